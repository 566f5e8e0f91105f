/** `toeplitz predict --redis`: what workers answer is what this process answers, in the same order. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Queue } from 'bullmq'
import manifest from '../../package.json' with { type: 'json' }
import type { Answer } from '../../src/classifier/answers.js'
import { PictureClassifier } from '../../src/classifier/index.js'
import type { PredictOptions } from '../../src/cli/actions.js'
import { predictCommand } from '../../src/cli/predict.js'
import { answersThere } from '../../src/cli/predictThere.js'
import { trainDefaults } from '../../src/cli/settings.js'
import { readTrainedModel } from '../../src/cli/trained.js'
import { engineHere } from '../../src/distributed/engine.js'
import { functionsOf } from '../../src/distributed/functions.js'
import { encodePng } from '../../src/formats/png.js'
import { tinyOptions, train, writeTinyData } from '../helpers/tinyRuns.js'
import { freePort, hasRedis, startProcess, startRedis } from './lib/redis.mjs'

const command = resolve(import.meta.dirname, '../../dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-predict-jobs-'))
const model = join(folder, 'run')
/** Ten pictures, of which one is none, a file that is missing between them and a folder. */
const pictures = [join(folder, 'a'), join(folder, 'missing.png'), join(folder, 'b/0.png'), join(folder, 'b/1.png')]

beforeAll(async () => {
  const data = join(folder, 'data')
  writeTinyData(data)
  await train({ ...tinyOptions, dataDir: data, batchSize: 16, epochs: 1, earlyStopping: 0, out: model })
  for (const [name, count] of [
    ['a', 8],
    ['b', 2],
  ] as const) {
    mkdirSync(join(folder, name))
    for (let n = 0; n < count; n++) {
      const data = Uint8Array.from({ length: 16 }, (_, i) => (i * 37 + n * 61 + count) % 256)
      const bytes = encodePng({ width: 4, height: 4, channels: 1, data })
      writeFileSync(join(folder, name, `${n}.png`), n === 4 ? bytes.subarray(0, 40) : bytes)
    }
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const { maxPixels, maxBytes } = trainDefaults
const options: PredictOptions = { maxPixels, maxBytes, batchSize: 3, top: 4, json: true, csv: false, debug: false }

it('answers are those of this process, to the bit and in order, on the engine of this process', async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  expect(await predictCommand(model, pictures, options, { stdout, stderr })).toBe(1)
  const here = JSON.parse(String(stdout.read())) as Answer[]
  const told = String(stderr.read()).trimEnd().split('\n')
  expect(here).toHaveLength(9)
  expect(told).toHaveLength(2)

  const engine = engineHere(await functionsOf())
  async function* paths(): AsyncGenerator<string> {
    for (let n = 0; n < 8; n++) yield await Promise.resolve(join(folder, 'a', `${n}.png`))
    yield* pictures.slice(1)
  }
  const errors: string[] = []
  const onFailure = (error: unknown): void => void errors.push((error as Error).message)
  const described = await readTrainedModel(model)
  const there: Answer[] = []
  const batches: number[] = []
  const classifier = new PictureClassifier(described)
  for await (const batch of answersThere(engine, paths(), classifier, { top: 4, batchSize: 3, onFailure })) {
    batches.push(batch.length)
    there.push(...batch)
  }
  await engine.close()
  described.model.dispose()
  expect(there).toEqual(here)
  expect(batches).toEqual([3, 2, 2, 2])
  expect(errors.map((message) => `toeplitz: ${message}`)).toEqual(told)
})

describe.skipIf(!hasRedis)('predict on workers (left out where redis-server is not installed)', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  const workers: Awaited<ReturnType<typeof startProcess>>[] = []
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.end('SIGKILL')))
  })
  afterAll(() => redis?.stop())

  const begin = (...more: string[]) => spawn(process.execPath, [command, 'predict', model, ...pictures, ...more])
  async function outcomeOf(child: ReturnType<typeof begin>) {
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const status = await new Promise((done) => child.once('close', done))
    return { status, stdout, stderr }
  }
  const predict = (...more: string[]) => outcomeOf(begin(...more))

  it('prints what this process prints, with one worker and with two, one of which dies', async () => {
    const own = ['--batch-size', '2', '--top', '3']
    const first = await startProcess(redis.url)
    workers.push(first)
    const csv = [...own, '--csv']
    const here = await predict(...csv)
    expect(here.stdout.trimEnd().split('\n')).toHaveLength(10)
    expect(await predict(...csv, '--redis', redis.url)).toEqual(here)
    expect(first.texts.out.match(/"type":"predict"/g)).toHaveLength(6)
    workers.push(await startProcess(redis.url))
    // Other numbers of classes are other jobs: nothing of before is asked for again.
    const there = predict('--batch-size', '1', '--top', '2', '--redis', redis.url)
    await first.end('SIGKILL')
    expect(await there).toEqual(await predict('--batch-size', '1', '--top', '2'))
  })

  it('takes its jobs out of the queue at Ctrl-C, and says that nobody works', async () => {
    const child = begin('--batch-size', '5', '--top', '1', '--redis', redis.url)
    let sent = false
    child.stderr.on('data', (chunk: Buffer) => {
      if (/no worker of toeplitz/.test(chunk.toString()) && !sent) sent = child.kill('SIGINT')
    })
    const { status, stdout, stderr } = await outcomeOf(child)
    expect(status).toBe(130)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^note: redis:\/\/127\.0\.0\.1:\d+: no worker of toeplitz .* is there; start one/m)
    const queue = new Queue(`jobs-${manifest.version}-strict`, {
      ...{ connection: { host: '127.0.0.1', port: redis.port }, prefix: 'toeplitz' },
    })
    for (let tries = 0; tries < 100 && (await queue.getJobCounts('waiting'))['waiting'] !== 0; tries++) await pause(50)
    expect(await queue.getJobCounts('waiting', 'active')).toEqual({ waiting: 0, active: 0 })
    await queue.close()
  })

  it('refuses in one line what cannot be reached, and limits that no worker has', async () => {
    const refused = await predict('--redis', `redis://:secret@127.0.0.1:${await freePort()}`)
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(/^toeplitz: redis:\/\/:\*\*\*@127\.0\.0\.1:\d+: nothing answers there; [^\n]*\n$/)
    const limited = await predict('--max-pixels', '100', '--redis', redis.url)
    expect(limited.status).toBe(2)
    expect(limited.stderr).toBe(
      'toeplitz: --max-pixels 100: workers read pictures of up to 67108864; leave it or --redis out\n',
    )
  })
})
