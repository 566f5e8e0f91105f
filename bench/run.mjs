// @ts-check
// `npm run bench`: reads the command line, sees to it that what the benches need is there, runs them and prints.
// The benches and their peers are imported only once a check has passed: before `npm ci` they cannot be.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { BenchError, UsageError } from './lib/errors.mjs'

/**
 * One bench: what it can be run with, and how. A bench imports its peers and the library inside `run`. `options` are
 * those of the command line that not every bench has; `checkLayers` throws a UsageError when one is unknown. `networks` can be
 * asked for by name, and so can `networksIn` folders that are given. A case that cannot be measured is told to `refuse`.
 * `own`: its peers are other ways of the library itself.
 * @typedef {{
 *   description: string,
 *   peers: readonly string[],
 *   own?: boolean,
 *   options: readonly ('batch' | 'layer' | 'light' | 'models' | 'network' | 'threads')[],
 *   networks?: readonly string[],
 *   networksIn?: (folders: import('./models/list.mjs').Folders) => readonly string[],
 *   checkLayers?: (queries: readonly string[]) => void,
 *   run: (options: BenchOptions) => Promise<import('./lib/row.mjs').Row[]>,
 * }} Bench
 * @typedef {{
 *   batch: number | undefined,
 *   layers: readonly string[] | undefined,
 *   networks: readonly string[] | undefined,
 *   rounds: number | undefined,
 *   threads: number | undefined,
 *   peers: readonly string[],
 *   light: string | undefined,
 *   models: string | undefined,
 *   log: (line: string) => void,
 *   refuse: (line: string) => void,
 * }} BenchOptions
 */

/** @type {Record<string, () => Promise<{ bench: Bench }>>} */
const benches = {
  'train-step': () => import('./train-step.mjs'),
  layers: () => import('./layers.mjs'),
  forward: () => import('./forward.mjs'),
  start: () => import('./start.mjs'),
  gemm: () => import('./gemm.mjs'),
  growth: () => import('./growth.mjs'),
  scaling: () => import('./scaling.mjs'),
  accuracy: () => import('./accuracy.mjs'),
  models: () => import('./models.mjs'),
  large: () => import('./large.mjs'),
  integers: () => import('./integers.mjs'),
}

const here = fileURLToPath(new URL('.', import.meta.url))

async function usage() {
  const lines = await Promise.all(
    Object.entries(benches).map(async ([name, load]) => {
      const { bench } = await load()
      const peers = bench.peers.length > 0 ? `; peers: ${bench.peers.join(', ')}` : ''
      return `  ${name.padEnd(14)}${bench.description}${peers}`
    }),
  )
  return `Usage: npm run bench -- [bench…] [options]     (npm run -s …: without npm's own lines, as --json wants)

Measures toeplitz against its peers in the same process, taking turns. Without a name: every bench.

${lines.join('\n')}

Options:
  --json          print only the results, an array of { bench, case, family, ours_ms, peers: { name: ms }, ratio, algorithm, threads, simd, … }
  --layer <a,b>   layers, accuracy: only these, by name (vgg16/conv1_2), network (vgg16), family (5x5), or selected; growth: by family
  --network <a,b> train-step, forward, start, scaling: only these: lenet5, alexnet, googlenet, vgg16; training steps also mnist, cifar
                  models: by name (zoo/googlenet) or kind: light, npm, export, zoo
  --light <dir>   models: also ONNX's light models of this folder, light_*.onnx
  --models <dir>  models: also every .onnx file of this folder; NAME@1x3x320x320.onnx tells extents that a file leaves open
  --batch <n>     train-step: images in a batch (default: 128, of AlexNet 8)
  --threads <n>   threads of ours, onnxruntime-web and PyTorch; the other peers have one (default: 1, of scaling 2, of models 1 and 2)
  --rounds <n>    measured rounds, of which the median is reported (default: what fits into the bench's budget of time)
  --peers <a,b>   only these peers; none: only ours
  --save          also write bench/results/<bench>.json (<bench>-2-threads.json), and the READMEs' tables and chart from it
  -h, --help      this text
`
}

/**
 * @param {string} option
 * @param {string | undefined} text
 */
function positiveInteger(option, text) {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1) {
    throw new UsageError(`--${option} ${text}: expected a whole number of at least 1`)
  }
  return value
}

/**
 * What is to be done, or undefined when help is asked for.
 * @param {string[]} args
 */
async function readCommandLine(args) {
  const { values, positionals } = parse(args)
  if (values.help) return undefined
  const unknown = positionals.find((name) => !Object.hasOwn(benches, name))
  if (unknown !== undefined) {
    throw new UsageError(`unknown bench ${unknown}: expected ${Object.keys(benches).join(', ')}`)
  }
  const names = positionals.length > 0 ? [...new Set(positionals)] : Object.keys(benches)
  const loaded = await Promise.all(names.map(async (name) => (await benches[name]?.())?.bench))
  const found = loaded.filter((bench) => bench !== undefined)
  for (const option of /** @type {const} */ (['batch', 'layer', 'light', 'models', 'network', 'threads'])) {
    if (values[option] !== undefined && !found.some((bench) => bench.options.includes(option))) {
      throw new UsageError(`--${option} ${values[option]}: not an option of ${names.join(' or ')}`)
    }
  }
  const layers = values.layer?.split(',').map((name) => name.trim())
  if (layers !== undefined) {
    for (const bench of found) bench.checkLayers?.(layers)
    if (values.save) throw new UsageError(`--save with --layer ${values.layer}: only results of all layers are kept`)
  }
  const networks = values.network?.split(',').map((name) => name.trim())
  // Folders that are not there are refused before anything is installed.
  const all = [...new Set(found.flatMap((bench) => bench.networks ?? bench.networksIn?.(values) ?? []))]
  if (networks !== undefined) {
    const unknown = networks.find((name) => !all.includes(name))
    if (unknown !== undefined) {
      throw new UsageError(`--network ${values.network}: no network "${unknown}", expected ${all.join(', ')}`)
    }
  }
  for (const option of /** @type {const} */ (['batch', 'network'])) {
    if (values[option] !== undefined && values.save) {
      throw new UsageError(`--save with --${option} ${values[option]}: only results of the whole bench are kept`)
    }
  }
  const known = [...new Set(found.flatMap((bench) => bench.peers))]
  const wanted = values.peers === undefined ? known : values.peers.split(',').map((name) => name.trim())
  const peers = wanted.length === 1 && wanted[0] === 'none' ? [] : [...new Set(wanted)]
  const stranger = peers.find((name) => !known.includes(name))
  if (stranger !== undefined) {
    const expected = [...known, 'none'].join(', ').replace(/, none$/, ' or none')
    throw new UsageError(`--peers ${values.peers}: no peer "${stranger}" here, expected ${expected}`)
  }
  return {
    chosen: found.map((bench) => ({ bench, peers: peers.filter((name) => bench.peers.includes(name)) })),
    json: values.json ?? false,
    save: values.save ?? false,
    layers,
    networks,
    light: values.light,
    models: values.models,
    batch: positiveInteger('batch', values.batch),
    rounds: positiveInteger('rounds', values.rounds),
    threads: positiveInteger('threads', values.threads),
  }
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        save: { type: 'boolean' },
        layer: { type: 'string' },
        network: { type: 'string' },
        light: { type: 'string' },
        models: { type: 'string' },
        batch: { type: 'string' },
        rounds: { type: 'string' },
        threads: { type: 'string' },
        peers: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new UsageError(`${error.message.split(/[.\n]/)[0]} (--help lists the options)`)
  }
}

function requireLibrary() {
  if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
    throw new BenchError('the library is not built, dist/index.js is missing: run npm run build first')
  }
}

/** Installs the peers when they are missing or older than the lock file. */
function installPeers() {
  const lock = statSync(new URL('package-lock.json', import.meta.url))
  const installed = statSync(new URL('node_modules/.package-lock.json', import.meta.url), { throwIfNoEntry: false })
  if (installed !== undefined && installed.mtimeMs >= lock.mtimeMs) return
  process.stderr.write('bench: installing the peers (npm ci --prefix bench)\n')
  const npm = process.env['npm_execpath']
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', here]
  const result =
    npm !== undefined && basename(npm) === 'npm-cli.js'
      ? spawnSync(process.execPath, [npm, ...args], { cwd: here, encoding: 'utf8' })
      : spawnSync('npm', args, { cwd: here, encoding: 'utf8', shell: process.platform === 'win32' })
  if (result.status === 0) return
  const reasons = (result.stderr ?? '').split('\n').filter((line) => line.trim() !== '')
  throw new BenchError(
    `npm ci --prefix bench failed: ${result.error?.message ?? reasons[0] ?? `exit ${result.status}`}`,
  )
}

/** @param {string[]} args */
async function main(args) {
  const commandLine = await readCommandLine(args)
  if (commandLine === undefined) {
    process.stdout.write(await usage())
    return
  }
  const { chosen, json, save, ...options } = commandLine
  requireLibrary()
  installPeers()
  const { describeMachine } = await import('./lib/machine.mjs')
  const { formatTable } = await import('./lib/table.mjs')
  const { formatJson, saveResults } = await import('./lib/results.mjs')
  const log = (/** @type {string} */ line) => void process.stderr.write(`${line}\n`)
  const machine = describeMachine([...new Set(chosen.flatMap(({ bench, peers }) => (bench.own ? [] : peers)))])
  const rows = []
  /** @type {string[]} */
  const refused = []
  for (const { bench, peers } of chosen) {
    const measured = await bench.run({ ...options, peers, log, refuse: (line) => void refused.push(line) })
    rows.push(...measured)
    if (save) saveResults(measured, machine)
  }
  if (save) await (await import('./readme.mjs')).writeReadme()
  process.stdout.write(json ? formatJson(rows, machine) : formatTable(rows, machine))
  for (const line of refused) log(`bench: refused: ${line}`)
  if (refused.length > 0) process.exitCode = 1
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await main(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof BenchError)) throw error
    process.stderr.write(`bench: ${error.message}\n`)
    process.exitCode = error.exitCode
  }
}
