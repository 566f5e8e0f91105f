/** Jobs on Redis: the same bits, tables and lines as in the process, through deaths and restarts, and what is told of bad input. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import type * as Main from '../../src/index.js'
import type * as Distributed from '../../src/distributed/index.js'
import type { Trial } from '../../src/train/index.js'
import manifest from '../../package.json' with { type: 'json' }
import { encodeModel } from '../../src/io/model-file.js'
import { encodePng } from '../../src/io/index.js'
import { freePort, hasRedis, startProcess, startRedis } from './lib/redis.mjs'
import * as trials from './lib/trials.mjs'

const queueName = `jobs-${manifest.version}-strict`
const dist = resolve(import.meta.dirname, '../../dist')
const modulePath = resolve(import.meta.dirname, 'lib/trials.mjs')
const load = async <T>(file: string): Promise<T> => (await import(/* @vite-ignore */ join(dist, file))) as T

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isSo(); tries++) await pause(50)
}

/** Debian's package redis-server brings it; `.ci/run` installs it. */
describe.skipIf(!hasRedis)('jobs on Redis (left out where redis-server is not installed)', () => {
  let main: typeof Main
  let distributed: typeof Distributed
  let redis: Awaited<ReturnType<typeof startRedis>>
  let folder: string
  const workers: Awaited<ReturnType<typeof startProcess>>[] = []
  const pools: Distributed.Pool[] = []

  beforeAll(async () => {
    main = await load('index.js')
    distributed = await load('distributed.js')
    await main.init()
    redis = await startRedis()
    folder = mkdtempSync(join(tmpdir(), 'toeplitz-jobs-'))
  })
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()))
    await Promise.all(workers.splice(0).map((worker) => worker.end('SIGKILL')))
  })
  afterAll(async () => {
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const worker = async (...more: string[]): Promise<(typeof workers)[number]> => {
    const started = await startProcess(redis.url, ...more)
    workers.push(started)
    return started
  }
  const pool = async (more: Distributed.RemoteOptions = {}): Promise<Distributed.Pool> => {
    const made = await distributed.remote({ redis: redis.url, ...more })
    pools.push(made)
    return made
  }

  /** SHA-256 of the weights after 12 steps of 8 parts, with dropout and batch normalization. */
  async function trained(
    exchange?: Distributed.Pool,
    onStep: (step: number) => Promise<void> | void = () => undefined,
  ): Promise<string> {
    const { BatchNorm2d, Conv2d, Dropout, Flatten, Linear, ReLU, SGD, Sequential } = main
    const layers = [
      ...[new Conv2d({ outChannels: 4, kernel: 3 }), new BatchNorm2d(), new ReLU(), new Dropout({ p: 0.5 })],
      ...[new Flatten(), new Linear({ outFeatures: 3 })],
    ]
    const model = new Sequential(layers, { input: [1, 8, 8], seed: 2 })
    await main.fit(
      model,
      { x: main.normal([60, 1, 8, 8], { seed: 4 }), y: Array.from({ length: 60 }, (_, n) => n % 3) },
      {
        ...{ epochs: 6, batchSize: 30, loss: main.crossEntropy, metrics: { accuracy: main.accuracy }, parts: 8 },
        optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }),
        ...(exchange ? { exchange } : {}),
        callbacks: { onStep: ({ step }) => onStep(step) },
      },
    )
    return createHash('sha256').update(model.save()).digest('hex')
  }

  async function counts(): Promise<Record<string, number>> {
    const queue = new Queue(queueName, {
      ...{ connection: { host: '127.0.0.1', port: redis.port }, prefix: 'toeplitz' },
    })
    const found = await queue.getJobCounts('waiting', 'active', 'delayed')
    await queue.close()
    return found
  }

  it('train to the same SHA-256 here, with one worker and with two, and leave nothing in the queue', async () => {
    const here = await trained()
    await worker()
    expect(await trained(await pool())).toBe(here)
    await worker('--concurrency', '2')
    expect(await trained(await pool())).toBe(here)
    expect(await counts()).toEqual({ waiting: 0, active: 0, delayed: 0 })
  })

  it('train to the same SHA-256 with values in a shared folder', async () => {
    const store = join(folder, 'store')
    await worker('--store', store)
    expect(await trained(await pool({ store: { folder: store } }))).toBe(await trained())
  })

  it('train to the same SHA-256 where a worker is killed and started again, and Redis restarts', async () => {
    const first = await worker()
    await worker()
    const notes: string[] = []
    const sha256 = await trained(await pool({ onNote: (line) => notes.push(line) }), async (step) => {
      if (step === 3) {
        await first.end('SIGKILL')
        await worker()
      }
      if (step === 7) await redis.restart()
    })
    expect(sha256).toBe(await trained())
    expect(notes.join('\n')).toMatch(/the connection is lost; waiting for it\n.*the connection is back/)
    expect(await counts()).toEqual({ waiting: 0, active: 0, delayed: 0 })
  })

  const table = ({ trials: list }: { readonly trials: readonly Trial[] }) => list.map(({ seconds: _, ...rest }) => rest)

  it('search to the same table, and a search that was killed goes on where it was', async () => {
    const options = { space: { lr: { low: 1e-4, high: 1 } }, trials: 4, rounds: 2, seed: 3 }
    const here = await distributed.remote()
    const wanted = table(await here.search(trials.score, { ...options, shared: { milliseconds: 1 } }))
    const module = modulePath
    await worker('--module', module)
    await worker('--module', module)
    /** Trials that the workers have computed. */
    const done = (): number => workers.flatMap(({ texts }) => texts.out.match(/"type":"trial"/g) ?? []).length
    const killed = await pool({ module })
    const found = killed.search(trials.score, {
      ...{ ...options, shared: { milliseconds: 1 } },
      onTrial: ({ number }) => (number === 3 ? killed.close() : undefined),
    })
    await expect(found).rejects.toThrow('the pool: it was closed while jobs ran')
    const before = done()
    expect(before).toBeGreaterThanOrEqual(3)
    expect(before).toBeLessThan(8)
    const again = await pool({ module })
    expect(table(await again.search(trials.score, { ...options, shared: { milliseconds: 1 } }))).toEqual(wanted)
    // What the killed search had done was not done again, but for the trial that each of the two workers may have been in the middle of.
    await until(() => done() >= 8)
    expect(done()).toBeLessThanOrEqual(10)
    // Nor is anything by a search that begins when all is done.
    expect(table(await again.search(trials.score, { ...options, shared: { milliseconds: 1 } }))).toEqual(wanted)
    expect(done()).toBeLessThanOrEqual(10)
  })

  it('predict to the same lines, one for each input, and go on after the last whole line', async () => {
    const { Flatten, Linear, Sequential } = main
    const model = new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { input: [1, 4, 4], seed: 1 })
    const size = [4, 4] as const
    const preprocessing = {
      ...{ channels: 1, order: 'rgb', resize: size, size, fit: 'contain', interpolation: 'bilinear' },
      ...{ invert: 'never', scale: 1 / 255, normalization: { mean: [0.5], std: [0.25] } },
    }
    const saved = encodeModel(model, { name: 'two', classes: ['a', 'b'], preprocessing } as never)
    const paths = Array.from({ length: 10 }, (_, n) => join(folder, `${n}.png`))
    paths.forEach((path, n) => {
      const data = Uint8Array.from({ length: 16 }, (__, i) => (i * 16 * (n + 1)) % 256)
      writeFileSync(path, n === 4 ? 'no picture' : encodePng({ width: 4, height: 4, channels: 1, data }))
    })
    paths.push(join(folder, 'none.png'))
    const output = join(folder, 'here.jsonl')
    const here = await distributed.remote()
    const options = { model: saved, top: 2, shard: 3 }
    expect(await here.predict(paths, { ...options, output })).toEqual({ lines: 11, resumed: 0, failed: 2 })
    const wanted = readFileSync(output, 'utf8')
    const lines = wanted.trimEnd().split('\n').map((line) => JSON.parse(line) as { image: string; error?: string }) // prettier-ignore
    expect(lines.map(({ image }) => image)).toEqual(paths)
    expect(lines[4]!.error).toMatch(/4\.png/)

    await worker()
    await worker()
    const there = await pool()
    const other = join(folder, 'there.jsonl')
    await there.predict(paths, { ...options, output: other })
    expect(readFileSync(other, 'utf8')).toBe(wanted)
    truncateSync(other, Buffer.byteLength(wanted.split('\n').slice(0, 5).join('\n')) + 4)
    expect(await there.predict(paths, { ...options, output: other })).toMatchObject({ lines: 11, resumed: 5 })
    expect(readFileSync(other, 'utf8')).toBe(wanted)
    await expect(there.predict(paths.slice(1), { ...options, output: other })).rejects.toThrow(
      'line 1 is not that of input 1',
    )
  })

  it('end in the failed set with their reason: poison, endless, broken and hostile ones', async () => {
    const module = modulePath
    const own = ['--module', module, '--tries', '2', '--timeout', '1']
    await worker(...own)
    const asked = await pool({ module, tries: 2 })
    const values = { lr: [0.1] }
    await expect(asked.search(trials.broken, { values })).rejects.toThrow('the disk is full')
    await expect(asked.search(trials.endless, { values })).rejects.toThrow('the job took more than 1 seconds')
    const queue = new Queue(queueName, {
      ...{ connection: { host: '127.0.0.1', port: redis.port }, prefix: 'toeplitz' },
    })
    const { id = '' } = await queue.add(
      'gradients',
      { type: 'gradients', weights: '../../etc/passwd' },
      { attempts: 5 },
    )
    const reasonOf = async (job: string): Promise<string | undefined> => (await queue.getJob(job))?.failedReason
    for (let tries = 0; tries < 100 && (await reasonOf(id)) === undefined; tries++) await pause(50)
    expect(await reasonOf(id)).toMatch(/^FORMAT: job: gradients cannot have/)
    await queue.close()

    const poisoned = asked.search(trials.poison, { values: { lr: [0.2] } })
    const told = expect(poisoned).rejects.toThrow('each worker that took it ended or fell silent')
    // Who watches over workers starts them again.
    let over = false
    void poisoned.catch(() => (over = true))
    while (!over) {
      await Promise.race([workers.at(-1).ended, poisoned.catch(() => undefined)])
      if (!over) await Promise.race([worker(...own).catch(() => undefined), poisoned.catch(() => undefined)])
      await pause(200)
    }
    await told
  })

  it('say that nobody works, and which releases are there', async () => {
    const client = new Redis(redis.port, '127.0.0.1')
    const facts = { id: 'old', host: 'h', pid: 1, version: '0.0.1', simd: 'strict', threads: 1, concurrency: 1 }
    await client.set('toeplitz:worker:old', JSON.stringify(facts))
    let note = ''
    const asked = await pool({ module: modulePath, onNote: (line) => (note = line) })
    const found = asked.search(trials.score, { values: { lr: [0.3] } })
    found.catch(() => undefined)
    for (let tries = 0; tries < 200 && note === ''; tries++) await pause(50)
    expect(note).toMatch(
      /no worker of toeplitz \S+ is there; workers of 0\.0\.1 are there.*start one: toeplitz worker --redis/,
    )
    await asked.close()
    await expect(found).rejects.toThrow('the pool: it was closed')
    await client.del('toeplitz:worker:old')
    client.disconnect()
  })

  it('tell in one line what is wrong with a server', async () => {
    const refused = `redis://127.0.0.1:${await freePort()}`
    await expect(distributed.remote({ redis: refused })).rejects.toThrow(/: nothing answers there; start redis-server/)
    await expect(distributed.startWorker({ redis: refused })).rejects.toMatchObject({ code: 'REDIS' })
    const guarded = await startRedis('--requirepass', 'secret', '--maxmemory-policy', 'allkeys-lru')
    onTestFinished(() => guarded.stop())
    const at = (user: string): string => guarded.url.replace('redis://', `redis://${user}`)
    await expect(distributed.remote({ redis: at('') })).rejects.toThrow('the name or the password is wrong')
    const wrong = distributed.remote({ redis: at(':wrong@') })
    await expect(wrong).rejects.toThrow(/^redis:\/\/:\*\*\*@127\.0\.0\.1:\d+.*the name or the password is wrong/)
    await expect(distributed.remote({ redis: at(':secret@') })).rejects.toThrow('its maxmemory-policy is allkeys-lru')
  })
})
