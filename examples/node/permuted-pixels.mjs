/**
 * Networks on MNIST with the pixels as they are and in a shuffled order, the same for all pictures: what a convolution knows of
 * neighbourhoods, and dense layers do not (Goodfellow et al., section 9.4).
 *
 *   node examples/node/permuted-pixels.mjs [--epochs 3] [--out result.json]
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { init } from 'toeplitz'
import { writeFileAtomically } from 'toeplitz/node'
import { machineRecord } from './machine.mjs'

const { values } = parseArgs({ options: { epochs: { type: 'string', default: '3' }, out: { type: 'string' } } })
const root = new URL('../../', import.meta.url)
const folder = await mkdtemp(join(tmpdir(), 'permuted-'))
const run = promisify(execFile)

async function train(model, more) {
  const options = ['train', '--model', model, '--data', 'mnist', '--epochs', values.epochs, ...more]
  const out = join(folder, [model, ...more].join(''))
  await run(process.execPath, [fileURLToPath(new URL('dist/cli/main.js', root)), ...options, '--out', out])
  const { test_error } = JSON.parse(await readFile(join(out, 'result.json'), 'utf8'))
  return { test_error, command: `toeplitz ${options.join(' ')}` }
}

const rows = []
for (const model of ['linear', 'two-layer', 'convnet']) {
  rows.push({ model, plain: await train(model, []), permuted: await train(model, ['--permute-pixels', '1']) })
  console.log(JSON.stringify(rows.at(-1)))
}
await rm(folder, { recursive: true })
if (values.out) {
  await init()
  await writeFileAtomically(values.out, `${JSON.stringify({ rows, machine: machineRecord() }, null, 2)}\n`)
}
