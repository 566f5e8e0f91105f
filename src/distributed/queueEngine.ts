/**
 * Jobs on BullMQ. A job is a function of the values that it names, so it may be computed twice: what was lost with a worker or with
 * Redis is added again, and outcomes are told apart by the jobs' names, so that none counts twice.
 */
import type { Queue, QueueEvents } from 'bullmq'
import type { Redis } from 'ioredis'
import { ToeplitzError } from '../runtime/errors.js'
import { isLasting, jobIn, packages, PREFIX, queueName, redisError, shownUrl } from './connection.js'
import { withdrawnError, type Engine, type Submission } from './engine.js'
import { checkResult, type Job, type JobResult } from './jobs.js'
import { workersOf, type WorkerFacts } from './registry.js'
import { ownRelease } from './release.js'
import { hashOf } from './store.js'
import { connectWithStore } from './storeOption.js'
import type { StoreOption } from './store.js'

/** How often pending jobs are looked at, besides the events, and how many of them. */
const POLL = { milliseconds: 1000, jobs: 64 } as const
/** Milliseconds after which workers are counted again. */
const SLOTS_EVERY = 3000
/** Seconds without an outcome after which it is said that nobody works. */
const IDLE = 5
/** Seconds for which jobs are kept in the queue: outcomes of searches and predictions, and failures. */
const KEPT = { answer: 86_400, failure: 604_800 } as const

interface Pending {
  readonly submission: Submission
  /** What all who submitted this job wait for. */
  readonly promise: Promise<JobResult>
  readonly resolve: (result: JobResult) => void
  readonly reject: (error: Error) => void
  tries: number
  /** How many wait for it. */
  waiting: number
}

export interface QueueOptions {
  readonly url: string
  readonly store: StoreOption | undefined
  /** Times that a job is tried. */
  readonly tries: number
  readonly onNote: (line: string) => void
}

/** The name of a job in the queue: what it says, hashed. */
const idOf = (job: Job): string => hashOf(JSON.stringify(job))

/** The error of a failed job: a worker writes its code first. */
function failureOf(reason: string): ToeplitzError {
  const [, code = 'FAILED', message = reason] = /^([A-Z_]+): ([\s\S]*)$/.exec(reason) ?? []
  if (!/stalled more than/.test(message)) return new ToeplitzError(code, message)
  return new ToeplitzError('FAILED', 'job: each worker that took it ended or fell silent; it is in the failed set')
}

class QueueEngine implements Engine {
  readonly store
  readonly keeps = true
  readonly width = 64
  readonly #queue: Queue
  readonly #events: QueueEvents
  readonly #clients: readonly Redis[]
  readonly #options: QueueOptions
  readonly #pending = new Map<string, Pending>()
  readonly #timer: NodeJS.Timeout
  #lastOutcome = performance.now()
  #saidIdle = false
  #polling = false
  #slots = { count: 0, at: Number.NEGATIVE_INFINITY }
  #closed = false

  constructor(
    queue: Queue,
    events: QueueEvents,
    { clients, store, options }: { clients: readonly Redis[]; store: Engine['store']; options: QueueOptions },
  ) {
    this.store = store
    this.#queue = queue
    this.#events = events
    this.#clients = clients
    this.#options = options
    // The connection is lost and comes back without anything to do: what was missed is found by looking.
    queue.on('error', () => undefined)
    events.on('error', () => undefined)
    events.on('completed', ({ jobId, returnvalue }) => {
      this.#completed(jobId, returnvalue)
    })
    events.on('failed', ({ jobId, failedReason }) => {
      void this.#failed(jobId, failedReason)
    })
    this.#timer = setInterval(() => void this.#poll(), POLL.milliseconds)
    let lost = false
    clients[0]?.on('close', () => {
      if (lost || this.#closed) return
      lost = true
      options.onNote(`${shownUrl(options.url)}: the connection is lost; waiting for it`)
    })
    clients[0]?.on('ready', () => {
      if (lost) options.onNote(`${shownUrl(options.url)}: the connection is back`)
      lost = false
    })
  }

  submit(submission: Submission): Promise<JobResult> {
    if (this.#closed) return Promise.reject(closedError())
    const id = idOf(submission.job)
    // Of two equal jobs in flight there is one in the queue.
    const known = this.#pending.get(id)
    if (known) {
      known.waiting++
      return known.promise
    }
    const { promise, resolve, reject } = promiseOf<JobResult>()
    if (this.#pending.size === 0) this.#lastOutcome = performance.now()
    this.#pending.set(id, { submission, promise, resolve, reject, tries: 1, waiting: 1 })
    void this.#begin(id, submission).catch((error: unknown) => {
      this.#reject(id, error)
    })
    return promise
  }

  async slots(): Promise<number> {
    if (performance.now() - this.#slots.at > SLOTS_EVERY && this.#clients[0]?.status === 'ready') {
      this.#slots = { count: this.#slots.count, at: performance.now() }
      // Where it cannot be known, the number before is as good.
      const found = await this.#workers().catch(() => undefined)
      const count = found?.own.reduce((sum, { concurrency }) => sum + concurrency, 0)
      this.#slots = { ...this.#slots, count: count ?? this.#slots.count }
    }
    return this.#slots.count
  }

  async forget(job: Job): Promise<void> {
    await this.#queue.remove(idOf(job))
  }

  async withdraw(job: Job): Promise<void> {
    const id = idOf(job)
    const pending = this.#pending.get(id)
    if (!pending || --pending.waiting > 0) return
    this.#pending.delete(id)
    pending.reject(withdrawnError())
    if (this.#clients[0]?.status === 'ready') await this.#giveUp(id, pending.submission).catch(() => undefined)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    const left = [...this.#pending]
    this.#pending.clear()
    for (const [, { reject }] of left) reject(closedError())
    if (this.#clients[0]?.status === 'ready') {
      await Promise.all(left.map(([id, { submission }]) => this.#giveUp(id, submission).catch(() => undefined)))
    }
    await Promise.all([this.#queue.close(), this.#events.close()])
    for (const client of this.#clients) client.disconnect()
  }

  /** Takes a job out of the queue, unless a worker has it or its outcome is kept for whoever asks again. */
  async #giveUp(id: string, { keep }: Submission): Promise<void> {
    if (keep && (await jobIn(this.#queue, id))?.finishedOn !== undefined) return
    await this.#queue.remove(id)
  }

  async #begin(id: string, submission: Submission): Promise<void> {
    if (submission.keep) {
      const known = await jobIn(this.#queue, id)
      if (known?.finishedOn !== undefined && known.failedReason) await this.#queue.remove(id)
      else if (known?.finishedOn !== undefined) {
        this.#completed(id, known.returnvalue)
        return
      } else if (known) return
    }
    await this.#add(id, submission)
  }

  /** Adds a job again that was lost, with the values that may be lost as well. */
  async #again(id: string, submission: Submission): Promise<void> {
    await submission.put()
    await this.#add(id, submission)
  }

  async #add(id: string, { job, keep }: Submission): Promise<void> {
    await this.#queue.add(job.type, job, {
      jobId: id,
      attempts: this.#options.tries,
      backoff: { type: 'fixed', delay: 500 },
      removeOnComplete: { age: KEPT.answer, ...(keep ? {} : { count: 1000 }) },
      removeOnFail: { age: KEPT.failure },
    })
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    this.#lastOutcome = performance.now()
    this.#saidIdle = false
    return pending
  }

  #completed(id: string, value: unknown): void {
    const pending = this.#take(id)
    if (!pending) return
    let { keep } = pending.submission
    try {
      pending.resolve(checkResult(pending.submission.job.type, value))
    } catch (error) {
      keep = false
      pending.reject(error as Error)
    }
    if (!keep) this.#queue.remove(id).catch(() => undefined)
  }

  #reject(id: string, error: unknown): void {
    this.#take(id)?.reject(error instanceof ToeplitzError ? error : redisError(this.#options.url, error))
  }

  /** It does not throw: what goes wrong here is told to who waits for the job. */
  async #failed(id: string, reason: string): Promise<void> {
    const pending = this.#pending.get(id)
    if (!pending) return
    const error = failureOf(reason)
    if (error.code !== 'ABSENT' || pending.tries >= this.#options.tries) {
      this.#reject(id, error)
      return
    }
    pending.tries++
    try {
      await this.#queue.remove(id)
      await this.#again(id, pending.submission)
    } catch (cause) {
      this.#reject(id, cause)
    }
  }

  /** Looks at the jobs that wait longest: an event may be lost with a connection, and a job with Redis. */
  async #poll(): Promise<void> {
    if (this.#polling || this.#closed || this.#pending.size === 0 || this.#clients[0]?.status !== 'ready') return
    this.#polling = true
    try {
      for (const [id, pending] of [...this.#pending].slice(0, POLL.jobs)) await this.#look(id, pending)
      await this.#tellIdle()
    } catch {
      // The connection was lost meanwhile: who works is told by the next look.
    } finally {
      this.#polling = false
    }
  }

  async #look(id: string, pending: Pending): Promise<void> {
    try {
      const job = await jobIn(this.#queue, id)
      if (!this.#pending.has(id)) return
      if (!job) {
        await this.#queue.remove(id)
        await this.#again(id, pending.submission)
      } else if (job.finishedOn === undefined) {
        // The next look begins with others.
        this.#pending.delete(id)
        this.#pending.set(id, pending)
      } else if (job.failedReason) await this.#failed(id, job.failedReason)
      else this.#completed(id, job.returnvalue)
    } catch (error) {
      // Where the connection was lost meanwhile, the next look finds what this one did not.
      if (isLasting(error)) this.#reject(id, error)
    }
  }

  /** All workers, and those that take the jobs of this pool. */
  async #workers(): Promise<{ readonly all: readonly WorkerFacts[]; readonly own: readonly WorkerFacts[] }> {
    const all = await workersOf(this.#clients[0] as Redis)
    const { version, simd } = ownRelease()
    return { all, own: all.filter((worker) => worker.version === version && worker.simd === simd) }
  }

  async #tellIdle(): Promise<void> {
    if (this.#saidIdle || performance.now() - this.#lastOutcome < IDLE * 1000) return
    const { own, all: workers } = await this.#workers()
    if (own.length > 0) return
    const { version } = ownRelease()
    this.#saidIdle = true
    const nameOf = (worker: { readonly version: string; readonly simd: string }): string =>
      worker.version === version ? `${version} with the ${worker.simd} core` : worker.version
    const others = [...new Set(workers.map(nameOf))].sort()
    const found =
      others.length > 0 ? `; workers of ${others.join(', ')} are there, and compute for their own release and core` : ''
    const url = shownUrl(this.#options.url)
    this.#options.onNote(
      `${url}: no worker of toeplitz ${version} is there${found}; start one: toeplitz worker --redis ${url}`,
    )
  }
}

/** A promise, and what settles it. */
function promiseOf<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

const closedError = (): ToeplitzError => new ToeplitzError('CLOSED', 'the pool: it was closed while jobs ran')

/** Connects to a queue. @throws as `startWorker` */
export async function queueEngine(options: QueueOptions): Promise<Engine> {
  const { bullmq } = await packages()
  const { client, store } = await connectWithStore(options.url, options.store)
  const others = [client.duplicate(), client.duplicate()] as const
  for (const other of others) other.on('error', () => undefined)
  const [connection, events] = others
  const name = queueName(ownRelease())
  return new QueueEngine(
    new bullmq.Queue(name, { connection, prefix: PREFIX }),
    new bullmq.QueueEvents(name, { connection: events, prefix: PREFIX }),
    { clients: [client, ...others], store, options },
  )
}
