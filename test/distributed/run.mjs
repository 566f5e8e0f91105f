/**
 * Trainings, searches and predictions whose workers are killed and paused while Redis restarts: `npm run test:distributed`.
 *
 *   npm run test:distributed -- [--steps 200] [--kills 25] [--restarts 2] [--pauses 1] [--workers 1,2,5] [--seed 1] [--save]
 *
 * The ConvNet on MNIST, batches of 128 in 8 parts: in the process with 1 and 2 threads, by 1, 2 and 5 workers, and by 2 workers that are killed
 * at random moments and started again, paused for twice their lock, and whose Redis is killed and started again. All must end with the same
 * SHA-256. Then a search and a list of predictions, under the same faults: the same table and the same lines as in the process. All faults
 * that were asked for must have happened, and no job may be left in the queue. `--save` writes bench/results/distributed.json.
 *
 * Exit codes: 0 all was so; 1 it was not; 2 wrong usage.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { imageExamples, imageRange } from '../../dist/data.js'
import { remote } from '../../dist/distributed.js'
import { crossEntropy, fit, init, SGD } from '../../dist/index.js'
import { encodeModel, encodePng } from '../../dist/io.js'
import { loadMnist } from '../../dist/node.js'
import { convnet } from '../../dist/zoo.js'
import { faultsOf, randomOf } from './lib/faults.mjs'
import { startProcess, startRedis } from './lib/redis.mjs'
import { score } from './lib/trials.mjs'

const text = { type: 'string' }
let options
try {
  options = parseArgs({
    options: {
      ...{ steps: text, kills: text, restarts: text, pauses: text, workers: text, seed: text },
      ...{ save: { type: 'boolean' }, threads: text },
    },
  }).values
} catch (error) {
  console.error(`test:distributed: ${error.message}`)
  process.exit(2)
}
const { kills = '25', restarts = '2', pauses = '1', workers: counted = '1,2,5', seed = '1', threads } = options
const steps = Number(options.steps ?? 200)
const counts = { kills: Number(kills), restarts: Number(restarts), pauses: Number(pauses) }
const numbers = [steps, ...Object.values(counts), ...counted.split(',').map(Number), Number(seed)]
if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0) || steps < 2) {
  console.error(
    'test:distributed: --steps, from 2 on, --kills, --restarts, --pauses, --workers and --seed are whole numbers',
  )
  process.exit(2)
}

await init({ threads: Number(threads ?? 1) })
const { training } = await loadMnist()
const batchSize = 128
const images = imageRange(training, 0, Math.min(training.size, steps * batchSize))
const normalization = { mean: 0.1307, std: 0.3081 }
const madeNet = () => convnet({ input: [1, 28, 28], classes: 10, seed: 0 })

/** SHA-256 of the weights, and seconds. */
async function trained(exchange, onStep = () => undefined) {
  const model = madeNet()
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 })
  const began = performance.now()
  await fit(model, imageExamples(images, normalization), {
    ...{ epochs: 1, batchSize, loss: crossEntropy, optimizer, parts: 8 },
    ...(exchange ? { exchange } : {}),
    callbacks: { onStep: ({ step }) => onStep(step) },
  })
  const sha256 = createHash('sha256').update(model.save()).digest('hex')
  return { sha256, seconds: (performance.now() - began) / 1000 }
}

const own = fileURLToPath(import.meta.url)
const here = await trained()
if (threads !== undefined) {
  // This process was started by the one below, for another number of threads.
  console.log(JSON.stringify(here))
  process.exit(0)
}

const rows = []
let failed = false
function tell(name, { sha256, seconds }, more = {}) {
  const isSame = sha256 === rows[0]?.sha256 || rows.length === 0 || more.isOther
  if (!isSame) failed = true
  rows.push({ name, sha256, seconds: Number(seconds.toFixed(1)), ...(more.faults ? { faults: more.faults } : {}) })
  console.log(`${name.padEnd(42)} ${sha256}  ${seconds.toFixed(1).padStart(6)} s${isSame ? '' : '  DIFFERS'}`)
}

tell('training here, 1 thread', here)
const other = spawnSync(process.execPath, [own, '--threads', '2', '--steps', String(steps)], { encoding: 'utf8' })
tell('training here, 2 threads', JSON.parse(other.stdout))

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-faults-'))
const module = join(import.meta.dirname, 'lib/trials.mjs')
// A job that took its worker with it three times fails for good otherwise. Here workers are killed whatever they compute.
const more = ['--module', module, '--tries', '1000']
const redis = await startRedis()
const workers = []
const started = async (count) => {
  while (workers.length > count) await workers.pop().end()
  while (workers.length < count) workers.push(await startProcess(redis.url, ...more))
}
const sha = (value) => createHash('sha256').update(value).digest('hex')
const random = randomOf(Number(seed))
const words = (done) => `${done.kills} kills, ${done.restarts} restarts, ${done.pauses} pauses`

/** Runs something under faults, and checks that all of them happened. */
async function rough(name, events, run, wanted) {
  await started(2)
  const faults = faultsOf({ counts, events, random, redis, workers, more })
  const outcome = await run((event) => faults.at(event))
  const done = await faults.over()
  const isWhole = Object.keys(counts).every((kind) => done[kind] === counts[kind])
  if (!isWhole) {
    failed = true
    console.log(`of ${words(counts)}, there were only ${words(done)}`)
  }
  if (wanted !== undefined && outcome.sha256 !== wanted) {
    failed = true
    console.log(`${name}: ${outcome.sha256} is not ${wanted}, which it is in the process`)
  }
  tell(`${name}: ${words(done)}`, outcome, { faults: done, isOther: wanted !== undefined })
}

try {
  const pool = await remote({ redis: redis.url, module, onNote: () => undefined })
  for (const count of counted.split(',').map(Number)) {
    await started(count)
    tell(`training, ${count} worker${count === 1 ? '' : 's'}`, await trained(pool))
  }
  await rough('training', steps, (onStep) => trained(pool, onStep))

  const trials = 2 * counts.kills + 20
  const searched = async (where, onTrial) => {
    const began = performance.now()
    const found = await where.search(score, {
      ...{ space: { lr: { low: 1e-4, high: 1 } }, trials: trials / 2, rounds: 2, seed: 3, concurrency: 4 },
      ...{ shared: { milliseconds: 200 }, onTrial },
    })
    const table = JSON.stringify(found.trials.map((trial) => ({ ...trial, seconds: 0 })))
    return { sha256: sha(table), seconds: (performance.now() - began) / 1000 }
  }
  const local = await remote({ module })
  const table = await searched(local)
  tell('search here', table, { isOther: true })
  await rough('search', trials, (at) => searched(pool, ({ number }) => at(number)), table.sha256)

  const preprocessing = {
    ...{ channels: 1, order: 'rgb', resize: [28, 28], size: [28, 28], fit: 'contain', interpolation: 'bilinear' },
    ...{ invert: 'never', scale: 1 / 255, normalization: { mean: [0.1307], std: [0.3081] } },
  }
  const classes = Array.from({ length: 10 }, (_, n) => String(n))
  const model = encodeModel(madeNet(), { name: 'convnet', classes, preprocessing })
  const shards = 2 * counts.kills + 20
  const shard = 16
  const paths = Array.from({ length: shards * shard }, (_, n) => {
    const path = join(folder, `${n}.png`)
    const data = Uint8Array.from({ length: 28 * 28 }, () => Math.floor(256 * random()))
    writeFileSync(path, encodePng({ width: 28, height: 28, channels: 1, data }))
    return path
  })
  const predicted = async (where, name, onProgress) => {
    const output = join(folder, name)
    const began = performance.now()
    await where.predict(paths, { model, output, shard, ...(onProgress ? { onProgress } : {}) })
    return { sha256: sha(readFileSync(output)), seconds: (performance.now() - began) / 1000 }
  }
  const lines = await predicted(local, 'here.jsonl')
  tell('predictions here', lines, { isOther: true })
  await rough(
    'predictions',
    shards,
    (at) => predicted(pool, 'there.jsonl', (done) => at(Math.ceil(done / shard))),
    lines.sha256,
  )
  await pool.close()
  await local.close()

  const command = join(import.meta.dirname, '../../dist/cli/main.js')
  let left
  for (let tries = 0; tries < 20; tries++) {
    const { stdout } = spawnSync(process.execPath, [command, 'jobs', '--redis', redis.url, '--json'], {
      encoding: 'utf8',
    })
    left = JSON.parse(stdout).counts
    // A worker that was paused may still be at a job that another has done meanwhile.
    if (left.active === 0) break
    await pause(500)
  }
  console.log(`left in the queue: ${JSON.stringify(left)}`)
  if (left.waiting + left.active + left.delayed + left.failed > 0) failed = true
  if (options.save && !failed) {
    const flags = Object.entries({ steps, ...counts, workers: counted, seed }).map(
      ([name, value]) => `--${name} ${value}`,
    )
    const machine = { cpu: cpus()[0].model, versions: { node: process.versions.node }, date: new Date().toISOString() }
    const result = { command: `npm run test:distributed -- ${flags.join(' ')} --save`, machine, steps, rows, left }
    writeFileSync(
      join(import.meta.dirname, '../../bench/results/distributed.json'),
      `${JSON.stringify(result, null, 2)}\n`,
    )
  }
  process.exitCode = failed ? 1 : 0
} finally {
  await Promise.all(workers.map((worker) => worker.end('SIGKILL')))
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
}
