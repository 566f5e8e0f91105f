/** A worker: takes jobs from the queue, lets threads compute them, and puts what they give into the store. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Job as QueueJob, Worker as QueueWorker } from 'bullmq'
import { checkCallback, checkNumber, checkPath, checkWhole, wrongKind } from '../runtime/check.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { ComputeThread } from './computeThread.js'
import { checkUrl, packages, PREFIX, queueName, withoutPasswords } from './connection.js'
import { checkJob, type JobResult } from './jobs.js'
import { BEAT, forgetWorker, tellWorker } from './registry.js'
import { ownRelease } from './release.js'
import { keeping } from './store.js'
import { connectWithStore } from './storeOption.js'
import type { StoreOption } from './store.js'

/** Options of `startWorker`. */
export interface WorkerOptions {
  /** Address of Redis or Valkey: redis://…, or rediss://… with TLS. */
  readonly redis: string
  /** Where values lie: the same as of the pools whose jobs it takes. Default 'redis'. */
  readonly store?: StoreOption
  /** Threads that compute a job together; any number gives the same bits. Default 1. */
  readonly threads?: number
  /** Jobs that are computed at the same time. Default 1. */
  readonly concurrency?: number
  /** Path of a module on this machine's disk whose functions jobs may name: losses, metrics and trials. */
  readonly module?: string
  /** Times that a job may take this worker's process with it, before it fails for good. Default 3. */
  readonly tries?: number
  /** Seconds that a job may take, at most 2147483. Default 3600. */
  readonly timeout?: number
  /** Seconds after which a job of a worker that is gone is given to another, at most 2147483. Default 15. */
  readonly lock?: number
  /** Told of each job that ends, one line of JSON without its end. */
  readonly onLog?: (line: string) => void
}

/** A worker that runs. */
export interface RunningWorker {
  /** Its identifier, as `toeplitz jobs` shows it. */
  readonly id: string
  /** Takes no more jobs, lets those that run end, and disconnects. */
  close(): Promise<void>
}

const workerNames = {
  redis: 0,
  store: 0,
  threads: 0,
  concurrency: 0,
  module: 0,
  tries: 0,
  timeout: 0,
  lock: 0,
  onLog: 0,
} satisfies Names<WorkerOptions>

/** Seconds that a timer can wait: its milliseconds are a number of 31 bits, and one of more would end at once. */
const LONGEST = 2_147_483

function checkSeconds(value: unknown, what: string): void {
  checkNumber(value, what, 1)
  if ((value as number) > LONGEST) throw wrongKind(what, `at most ${LONGEST} seconds`, value)
}

/** Errors after which trying again is of no use: the job itself is wrong. */
const hopeless = new Set(['FORMAT', 'SHAPE', 'UNSUPPORTED', 'DIVERGED', 'NOT_FINITE', 'ABSENT'])

/**
 * Starts a worker in this process. Jobs are computed in threads of their own, so that locks are renewed while kernels run.
 *
 *     const worker = await startWorker({ redis: 'redis://127.0.0.1:6379', threads: 1, concurrency: 2 })
 *     process.on('SIGTERM', () => void worker.close())
 *
 * @throws UnsupportedError when bullmq and ioredis are not installed; ToeplitzError with code REDIS when the server cannot be
 *   reached, refuses, or may throw keys away
 */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  checkCount('startWorker', 1, arguments)
  needKeys('startWorker', options, workerNames)
  const { threads = 1, concurrency = 1, module, tries = 3, timeout = 3600, lock = 15, onLog } = options
  for (const [name, value] of Object.entries({ threads, concurrency, tries })) checkWhole(value, `startWorker: ${name}`)
  for (const [name, value] of Object.entries({ timeout, lock })) checkSeconds(value, `startWorker: ${name}`)
  checkCallback(onLog, 'startWorker: onLog')
  if (module !== undefined) checkPath(module, 'startWorker: module')
  const url = checkUrl(options.redis)
  const { bullmq } = await packages()
  const { version, simd } = ownRelease()
  const { client, store: shared } = await connectWithStore(url, options.store)
  const blocking = client.duplicate()
  blocking.on('error', () => undefined)
  const store = keeping(shared)
  const compute = { threads, simd, ...(module === undefined ? {} : { module }) } as const
  const free = Array.from({ length: concurrency }, () => new ComputeThread(compute, store))
  const all = [...free]
  const id = randomUUID()
  const began = performance.now()
  const counts = { done: 0, failed: 0, busySeconds: 0 }
  const tell = (): Promise<void> => {
    const facts = { id, host: hostname(), pid: process.pid, version, simd, threads, concurrency, ...counts }
    return tellWorker(client, { ...facts, upSeconds: (performance.now() - began) / 1000 })
  }
  const log = (record: Record<string, unknown>): void => {
    try {
      onLog?.(JSON.stringify({ time: new Date().toISOString(), worker: id, ...record }))
    } catch {
      // Whether a line can be written has nothing to do with the job that it tells of.
    }
  }

  const run = async ({ id: job, data }: Pick<QueueJob<unknown, JobResult>, 'id' | 'data'>): Promise<JobResult> => {
    const started = performance.now()
    const thread = free.pop() as ComputeThread
    let failure: string | undefined
    // The type of a job that was refused is what a stranger wrote, and is not logged.
    let type: string | undefined
    try {
      const checked = checkJob(data, { version, simd })
      type = checked.type
      return await thread.run(checked, timeout)
    } catch (error) {
      // A module may throw anything, null as well.
      const { code = 'FAILED', message = String(error) } = Object(error) as { code?: string; message?: string }
      failure = `${code}: ${message}`
      // The code is told first: who waits for the job has only this text.
      throw hopeless.has(code) ? new bullmq.UnrecoverableError(failure) : new Error(failure)
    } finally {
      free.push(thread)
      const seconds = (performance.now() - started) / 1000
      counts.busySeconds += seconds
      counts[failure === undefined ? 'done' : 'failed']++
      log({ job, type, seconds, ...(failure ? { failure } : {}) })
    }
  }

  try {
    await Promise.all(all.map((thread) => thread.start()))
    await tell()
  } catch (error) {
    await Promise.all(all.map((thread) => thread.close()))
    client.disconnect()
    blocking.disconnect()
    throw error
  }
  const worker: QueueWorker<unknown, JobResult> = new bullmq.Worker(queueName({ version, simd }), run, {
    connection: blocking,
    prefix: PREFIX,
    concurrency,
    maxStalledCount: tries - 1,
    lockDuration: lock * 1000,
    stalledInterval: (lock * 1000) / 2,
    drainDelay: 1,
  })
  worker.on('error', (error) => {
    log({ failure: withoutPasswords(url, error.message) })
  })
  const beat = setInterval(() => void tell().catch(() => undefined), BEAT.every * 1000)
  let closing: Promise<void> | undefined
  return {
    id,
    close() {
      closing ??= (async () => {
        clearInterval(beat)
        await worker.close()
        await Promise.all(all.map((thread) => thread.close()))
        await forgetWorker(client, id).catch(() => undefined)
        client.disconnect()
        blocking.disconnect()
      })()
      return closing
    },
  }
}
