// @ts-check
// What quantized networks lose: trains networks with the command, quantizes each, and measures the test error before and after.
// docs/quantized.md is written from the result.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeMachine } from './lib/machine.mjs'

const usage = `usage: node bench/quantized.mjs --cifar10 DIR [--runs DIR]

Trains LeNet-5 on MNIST and the ConvNet on CIFAR-10, whose binary files are in the folder of --cifar10, unless their finished runs are in
the folder of --runs (runs/quantized), and writes what 'toeplitz quantize' says of each to bench/results/quantized-accuracy.json.
`
const root = fileURLToPath(new URL('../', import.meta.url))

/** @param {string} text @returns {never} */
function fail(text) {
  process.stderr.write(`quantized: ${text}\n`)
  process.exit(2)
}

const { values } = (() => {
  try {
    return parseArgs({ options: { cifar10: { type: 'string' }, runs: { type: 'string' } } })
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  }
})()
const { cifar10 = fail(usage), runs = join(root, 'runs/quantized') } = values

/** @param {readonly string[]} words @param {'inherit' | 'pipe'} output */
const toeplitz = (words, output) =>
  execFileSync(process.execPath, [join(root, 'dist/cli/main.js'), ...words], {
    encoding: 'utf8',
    stdio: ['ignore', output, 'inherit'],
  })

/** Networks: how they are trained, and where their data lies. */
const networks = [
  { name: 'lenet5-mnist', train: ['--model', 'lenet5', '--data', 'mnist', '--epochs', '4'], dataDir: undefined },
  { name: 'convnet-cifar10', train: ['--model', 'convnet', '--data', 'cifar10', '--epochs', '2'], dataDir: cifar10 },
]

/**
 * A row: errors of 10,000 test pictures in float32 and in integers, and bytes of the files.
 * @param {typeof networks[number]} network
 * @param {'fastest' | 'all'} layers
 */
function row({ name, train, dataDir }, layers) {
  const run = join(runs, name)
  const where = dataDir === undefined ? [] : ['--data-dir', dataDir]
  if (!existsSync(join(run, 'result.json'))) toeplitz(['train', ...train, ...where, '--out', run, '--force'], 'inherit')
  const { command } = JSON.parse(readFileSync(join(run, 'result.json'), 'utf8'))
  const words = ['--layers', layers, '--out', join(runs, `${name}-${layers}.onnx`), '--force', '--json']
  /** @type {{ test: object, bytes: object, examples: number, layers: { computes: string }[] }} */
  const { test, bytes, examples, layers: rows } = JSON.parse(toeplitz(['quantize', run, ...where, ...words], 'pipe'))
  const of = rows.length
  const integers = rows.filter(({ computes }) => computes === 'int8').length
  console.log(`${name}, ${layers}: ${JSON.stringify(test)}`)
  return { network: name, trained: command, layers, integers, of, examples, test, bytes }
}

const machine = describeMachine([])
const rows = networks.flatMap((network) => [row(network, 'fastest'), row(network, 'all')])
const record = { command: 'node bench/quantized.mjs --cifar10 DIR', machine, rows }
writeFileSync(join(root, 'bench/results/quantized-accuracy.json'), `${JSON.stringify(record, null, 2)}\n`)
console.log('written to bench/results/quantized-accuracy.json')
