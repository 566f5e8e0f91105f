/** What goes wrong between a pool, Redis and workers: everyone who waits is told, and nothing stays behind. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type * as Main from '../../src/index.js'
import type * as Distributed from '../../src/distributed/index.js'
import { jobsOn, type QueueFacts } from '../../src/distributed/jobsOn.js'
import manifest from '../../package.json' with { type: 'json' }
import { encodePng } from '../../src/io/index.js'
import { encodeModel } from '../../src/io/model-file.js'
import { hasRedis, startProcess, startRedis } from './lib/redis.mjs'
import * as trials from './lib/trials.mjs'

const queueName = `jobs-${manifest.version}-strict`
const dist = resolve(import.meta.dirname, '../../dist')
const module = resolve(import.meta.dirname, 'lib/trials.mjs')
const load = async <T>(file: string): Promise<T> => (await import(/* @vite-ignore */ join(dist, file))) as T

/** Debian's package redis-server brings it; `.ci/run` installs it. */
describe.skipIf(!hasRedis)('faults on Redis (left out where redis-server is not installed)', () => {
  let main: typeof Main
  let distributed: typeof Distributed
  let redis: Awaited<ReturnType<typeof startRedis>>
  let folder: string
  let client: Redis
  const workers: Awaited<ReturnType<typeof startProcess>>[] = []
  const pools: Distributed.Pool[] = []

  beforeAll(async () => {
    main = await load('index.js')
    distributed = await load('distributed.js')
    await main.init()
    redis = await startRedis()
    client = new Redis(redis.port, '127.0.0.1')
    folder = mkdtempSync(join(tmpdir(), 'toeplitz-faults-'))
  })
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()))
    await Promise.all(workers.splice(0).map((worker) => worker.end('SIGKILL')))
    await client.flushall()
  })
  afterAll(async () => {
    client?.disconnect()
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const worker = async (...more: string[]): Promise<(typeof workers)[number]> => {
    const started = await startProcess(redis.url, ...more)
    workers.push(started)
    return started
  }
  const pool = async (more: Distributed.RemoteOptions = {}): Promise<Distributed.Pool> => {
    const made = await distributed.remote({ redis: redis.url, onNote: () => undefined, ...more })
    pools.push(made)
    return made
  }
  const connection = (): { readonly host: string; readonly port: number } => ({ host: '127.0.0.1', port: redis.port })
  const queueOf = (): Queue => new Queue(queueName, { connection: connection(), prefix: 'toeplitz' })
  async function counts(): Promise<Record<string, number>> {
    const queue = queueOf()
    const found = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed')
    await queue.close()
    return found
  }
  const clients = async (): Promise<number> =>
    String(await client.client('LIST'))
      .trim()
      .split('\n').length
  /** What `toeplitz jobs` says. */
  const jobs = (): QueueFacts =>
    JSON.parse(
      spawnSync(process.execPath, [join(dist, 'cli/main.js'), 'jobs', '--redis', redis.url, '--json'], {
        encoding: 'utf8',
      }).stdout,
    ) as QueueFacts
  const nothing = { waiting: 0, active: 0, delayed: 0, failed: 0 }

  function linear(): Main.Sequential {
    return new main.Sequential([new main.Flatten(), new main.Linear({ outFeatures: 2 })], { input: [1, 4, 4], seed: 1 })
  }
  async function training(exchange: Distributed.Pool, more: object = {}): Promise<Main.History> {
    const model = linear()
    const optimizer = new main.SGD(model.parameters(), { lr: 0.1 })
    const data = { x: main.normal([24, 1, 4, 4], { seed: 5 }), y: Array.from({ length: 24 }, (_, n) => n % 2) }
    const options = { epochs: 1, batchSize: 12, loss: main.crossEntropy, optimizer, parts: 4, exchange, ...more }
    // A run begins when it is awaited.
    return await main.fit(model, data, options)
  }
  function pictures(): { readonly paths: string[]; readonly model: Uint8Array } {
    const size = [4, 4]
    const preprocessing = {
      ...{ channels: 1, order: 'rgb', resize: size, size, fit: 'contain', interpolation: 'bilinear' },
      ...{ invert: 'never', scale: 1 / 255, normalization: { mean: [0.5], std: [0.25] } },
    }
    const paths = Array.from({ length: 6 }, (_, n) => join(folder, `${n}.png`))
    paths.forEach((path, n) => {
      const data = Uint8Array.from({ length: 16 }, (__, i) => (i * 16 * (n + 1)) % 256)
      writeFileSync(path, encodePng({ width: 4, height: 4, channels: 1, data }))
    })
    return {
      paths,
      model: encodeModel(linear(), { name: 'two', classes: ['a', 'b'], preprocessing } as never),
    }
  }

  it('equal jobs that are in flight at once are all answered', async () => {
    await worker('--module', module)
    const asked = await pool({ module })
    const { paths, model } = pictures()
    const outputs = [1, 2, 3].map((n) => join(folder, `equal-${n}.jsonl`))
    await Promise.all(outputs.map((output) => asked.predict(paths, { model, output, shard: 2 })))
    const [first, ...others] = outputs.map((output) => readFileSync(output, 'utf8'))
    expect(first!.split('\n')).toHaveLength(7)
    expect(others).toEqual([first, first])
    const values = { lr: [0.1, 0.2, 0.3] }
    const [one, two] = await Promise.all([
      asked.search(trials.score, { values }),
      asked.search(trials.score, { values }),
    ])
    expect(one.trials.map(({ score }) => score)).toEqual(two.trials.map(({ score }) => score))
    // The third pool asks when all is done.
    const third = await (await pool({ module })).search(trials.score, { values })
    expect(third.trials.map(({ score }) => score)).toEqual(one.trials.map(({ score }) => score))
  })

  it('a search that is given up does not take an equal one with it', async () => {
    const asked = await pool({ module })
    const values = { lr: [0.1, 0.2] }
    const controller = new AbortController()
    const given = asked.search(trials.score, { values, signal: controller.signal })
    const kept = asked.search(trials.score, { values })
    await pause(300)
    controller.abort()
    expect(await given).toMatchObject({ stopped: 'aborted', trials: [] })
    await worker('--module', module)
    expect((await kept).trials).toHaveLength(2)
  })

  it('an outcome whose value Redis has lost is computed again', async () => {
    const running = await worker()
    const asked = await pool()
    const { paths, model } = pictures()
    await asked.predict(paths, { model, output: join(folder, 'first.jsonl') })
    // Of the search, the predictions and the model nothing is left; that the job is done stands in the queue.
    for (const key of await client.keys('toeplitz:value:*')) await client.del(key)
    await asked.predict(paths, { model, output: join(folder, 'second.jsonl') })
    expect(readFileSync(join(folder, 'second.jsonl'), 'utf8')).toBe(readFileSync(join(folder, 'first.jsonl'), 'utf8'))
    expect(running.texts.out.match(/"type":"predict"/g)).toHaveLength(2)
  })

  it('values that vanish while a training waits for a worker are put again', async () => {
    const asked = await pool()
    const trained = training(asked)
    await pause(500)
    for (const key of await client.keys('toeplitz:value:*')) await client.del(key)
    await worker()
    expect((await trained).state.step).toBe(2)
  })

  it('a text, or what is no outcome, is told to who waits', async () => {
    const results: unknown[] = ['a text', { result: '../../etc/passwd', seconds: 1 }, null]
    const stranger = new Worker(queueName, () => Promise.resolve(results.shift()), {
      connection: connection(),
      prefix: 'toeplitz',
    })
    const asked = await pool({ module })
    for (let n = 0; n < 3; n++) {
      await expect(asked.search(trials.score, { values: { lr: [0.1 + n] } })).rejects.toThrow(
        'job: trial gives a score and seconds, and came back with',
      )
    }
    await stranger.close()
    // None of them is kept for who asks again.
    await worker('--module', module)
    expect((await asked.search(trials.score, { values: { lr: [0.1] } })).trials).toHaveLength(1)
  })

  it('a job that others have damaged in the queue is added again', async () => {
    const asked = await pool({ module })
    const found = asked.search(trials.score, { values: { lr: [0.1] } })
    await pause(300)
    const [key] = (await client.keys(`toeplitz:${queueName}:*`)).filter((name) => /:[0-9a-f]{64}$/.test(name))
    await client.hset(key!, 'data', '{')
    await pause(1500)
    await worker('--module', module)
    expect((await found).trials).toHaveLength(1)
  })

  it('a training and a search end at their signal though no worker is there, and leave no job', async () => {
    const asked = await pool({ module })
    const controllers = [new AbortController(), new AbortController()] as const
    const trained = training(asked, { signal: controllers[0].signal })
    const found = asked.search(trials.score, { values: { lr: [0.1, 0.2] }, signal: controllers[1].signal })
    for (let tries = 0; tries < 100 && (await counts())['waiting'] !== 6; tries++) await pause(50)
    expect((await counts())['waiting']).toBe(6)
    for (const controller of controllers) controller.abort()
    expect(await trained).toMatchObject({ stopped: 'aborted', state: { step: 0 } })
    expect(await found).toMatchObject({ stopped: 'aborted', trials: [] })
    expect(await counts()).toEqual(nothing)
    await pause(100)
    // Values of a step are deleted; those of a search expire, for who goes on with it.
    expect((await client.keys('toeplitz:value:*')).length).toBeLessThanOrEqual(2)
  })

  it('a store that fails while a job is added again is told to who waits', async () => {
    const own = join(folder, 'pool')
    await worker('--module', module, '--store', join(folder, 'another'))
    const asked = await pool({ module, store: { folder: own } })
    // The worker looks in another folder: after so many tries the pool says what is missing.
    await expect(asked.search(trials.score, { values: { lr: [0.1] } })).rejects.toMatchObject({ code: 'ABSENT' })
    await workers.pop()!.end('SIGKILL')
    const found = asked.search(trials.score, { values: { lr: [0.2] } })
    const told = expect(found).rejects.toMatchObject({ code: 'FILE' })
    await pause(300)
    rmSync(own, { recursive: true })
    writeFileSync(own, 'no folder')
    await worker('--module', module, '--store', join(folder, 'another'))
    await told
  })

  it('no connection stays where a store is refused', async () => {
    const before = await clients()
    const store = { folder: 5 as never }
    await expect(distributed.remote({ redis: redis.url, store })).rejects.toThrow('store: folder')
    await expect(distributed.startWorker({ redis: redis.url, store })).rejects.toThrow('store: folder')
    const file = join(folder, 'a-file')
    writeFileSync(file, '')
    await expect(distributed.remote({ redis: redis.url, store: { folder: file } })).rejects.toThrow('a-file')
    await expect(distributed.startWorker({ redis: redis.url, module: 5 as never })).rejects.toThrow(
      'module must be a path',
    )
    await expect(distributed.startWorker({ redis: redis.url, module: file + '.mjs' })).rejects.toThrow('cannot be read')
    for (let tries = 0; tries < 50 && (await clients()) > before; tries++) await pause(20)
    expect(await clients()).toBe(before)
  })

  it('what stands under keys of workers and of jobs and is of others does not end `jobs`', async () => {
    await client.set('toeplitz:worker:text', 'no JSON')
    await client.set('toeplitz:worker:list', '[1, null]')
    await client.hset('toeplitz:worker:hash', 'field', 'value')
    await worker()
    const queue = queueOf()
    const { id = '' } = await queue.add('stranger', { type: 'shell' })
    for (let tries = 0; tries < 100 && (await counts())['failed'] === 0; tries++) await pause(50)
    expect(jobs().failures).toMatchObject([{ id, type: 'stranger' }])
    await client.hset(`toeplitz:${queueName}:${id}`, 'data', '{')
    const facts = jobs()
    expect(facts).toMatchObject({ simd: 'strict', version: manifest.version, workers: [{ concurrency: 1 }] })
    expect(facts.failures).toEqual([{ id, type: 'unknown', reason: 'the job cannot be read' }])
    await queue.close()
  })

  it('each core has a queue of its own', async () => {
    await worker()
    const queue = queueOf()
    expect(await queue.getWorkersCount()).toBe(1)
    const relaxed = new Queue(`jobs-${manifest.version}-relaxed`, { connection: connection(), prefix: 'toeplitz' })
    expect(await relaxed.getWorkersCount()).toBe(0)
    await Promise.all([queue.close(), relaxed.close()])
  })

  it('a server whose memory is full is told in one line, and nobody waits for it', async () => {
    const full = await startRedis('--maxmemory', '8mb', '--maxmemory-policy', 'noeviction')
    onTestFinished(() => full.stop())
    const own = new Redis(full.port, '127.0.0.1')
    const asked = await distributed.remote({ redis: full.url, onNote: () => undefined })
    await own.set('ballast', Buffer.alloc(7 * 2 ** 20)).catch(() => undefined)
    await own.config('SET', 'maxmemory', '1mb')
    await expect(training(asked)).rejects.toThrow(/^redis:.*: its memory is full; give it more \(maxmemory\)/)
    await asked.close()
    own.disconnect()
  })

  it('no password stands in an error or in its cause', async () => {
    const guarded = await startRedis('--requirepass', 'right')
    onTestFinished(() => guarded.stop())
    for (const url of [
      guarded.url.replace('redis://', 'redis://:hunter2@'),
      guarded.url.replace('redis://', 'redis://somebody:hunter2@'),
      `${guarded.url}/?password=hunter2`,
    ]) {
      for (const call of [
        distributed.remote,
        distributed.startWorker,
        ({ redis: at }: { redis: string }) => jobsOn(at),
      ]) {
        const error: unknown = await call({ redis: url }).catch((reason: unknown) => reason)
        expect(error).toMatchObject({ code: 'REDIS', message: expect.stringContaining('password is wrong') as string })
        expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2')
      }
    }
  })

  it('SIGTERM lets the job that runs end, and a second signal ends the worker at once', async () => {
    const asked = await pool({ module })
    const patient = await worker('--module', module)
    const found = asked.search(trials.score, { values: { lr: [0.1] }, shared: { milliseconds: 1500 } })
    await pause(700)
    expect(await patient.end('SIGTERM')).toBe(0)
    expect((await found).trials).toHaveLength(1)
    expect(patient.texts.out).toMatch(/the worker takes no more jobs/)

    const hasty = await worker('--module', module)
    const endless = asked.search(trials.endless, { values: { lr: [0.1] } })
    endless.catch(() => undefined)
    await pause(700)
    const ended = hasty.end('SIGINT')
    for (let tries = 0; tries < 100 && !/takes no more jobs/.test(hasty.texts.out); tries++) await pause(20)
    hasty.child.kill('SIGINT')
    expect(await ended).toBe(130)
  })
})
