/**
 * Trainings whose workers are killed and whose Redis restarts: `npm run test:distributed`.
 *
 *   npm run test:distributed -- [--steps 200] [--kills 25] [--restarts 2] [--workers 2] [--seed 1]
 *
 * The ConvNet on MNIST, batches of 128 in 8 parts: in the process, then by workers that are killed at random moments and started
 * again while Redis restarts. Both must end with the same SHA-256, and nothing may be left in the queue.
 *
 * Exit codes: 0 all was so; 1 it was not; 2 wrong usage.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { imageExamples, imageRange } from '../../dist/data.js'
import { remote } from '../../dist/distributed.js'
import { crossEntropy, fit, init, SGD } from '../../dist/index.js'
import { loadMnist } from '../../dist/node.js'
import { convnet } from '../../dist/zoo.js'
import { startProcess, startRedis } from './lib/redis.mjs'

const number = { type: 'string' }
let options
try {
  options = parseArgs({
    options: { steps: number, kills: number, restarts: number, workers: number, seed: number },
  }).values
} catch (error) {
  console.error(`test:distributed: ${error.message}`)
  process.exit(2)
}
const { steps = '200', kills = '25', restarts = '2', workers: count = '2', seed = '1' } = options

/** Mulberry32: the same numbers from 0 up to 1 for the same seed. */
let state = Number(seed)
const random = () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

await init()
const { training } = await loadMnist()
const batchSize = 128
const images = imageRange(training, 0, Math.min(training.size, Number(steps) * batchSize))
const normalization = { mean: 0.1307, std: 0.3081 }

/** SHA-256 of the weights, and seconds. */
async function trained(exchange, onStep = () => undefined) {
  const model = convnet({ input: [1, 28, 28], classes: 10, seed: 0 })
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 })
  const began = performance.now()
  await fit(model, imageExamples(images, normalization), {
    ...{ epochs: 1, batchSize, loss: crossEntropy, optimizer, parts: 8 },
    ...(exchange ? { exchange } : {}),
    callbacks: { onStep },
  })
  const sha256 = createHash('sha256').update(model.save()).digest('hex')
  return { sha256, seconds: (performance.now() - began) / 1000 }
}

const here = await trained()
console.log(`in the process        ${here.sha256}  ${here.seconds.toFixed(1)} s`)
const redis = await startRedis()
const workers = await Promise.all(Array.from({ length: Number(count) }, () => startProcess(redis.url)))
let isOver = false
let killed = 0
let restarted = 0
try {
  const pool = await remote({ redis: redis.url })
  const calm = await trained(pool)
  console.log(`${count} workers             ${calm.sha256}  ${calm.seconds.toFixed(1)} s`)
  const killing = (async () => {
    while (!isOver && killed < Number(kills)) {
      await pause(200 + 1500 * random())
      if (isOver) break
      const which = Math.floor(random() * workers.length)
      await workers[which].end('SIGKILL')
      killed++
      workers[which] = await startProcess(redis.url)
    }
  })()
  const due = Array.from({ length: Number(restarts) }, (_, n) =>
    Math.floor(((n + 1) * Number(steps)) / (Number(restarts) + 1)),
  )
  const rough = await trained(pool, async ({ step }) => {
    if (!due.includes(step)) return
    await redis.restart()
    restarted++
  })
  isOver = true
  await killing
  console.log(`${killed} kills, ${restarted} restarts  ${rough.sha256}  ${rough.seconds.toFixed(1)} s`)
  await pool.close()
  const command = join(import.meta.dirname, '../../dist/cli/main.js')
  const { stdout } = spawnSync(process.execPath, [command, 'jobs', '--redis', redis.url, '--json'], {
    encoding: 'utf8',
  })
  const { counts } = JSON.parse(stdout)
  console.log(`left in the queue     ${JSON.stringify(counts)}`)
  const isSame = calm.sha256 === here.sha256 && rough.sha256 === here.sha256
  const isEmpty = counts.waiting + counts.active + counts.delayed + counts.failed === 0
  process.exitCode = isSame && isEmpty ? 0 : 1
} finally {
  isOver = true
  await Promise.all(workers.map((worker) => worker.end('SIGKILL')))
  await redis.stop()
}
