/**
 * The worker threads of one core. A job is synchronous: the main thread posts it, takes part in it and returns when every
 * chunk is done, so memory grows only while no worker is inside. Workers that die are replaced.
 */
import { WorkerError } from './errors.js'
import { Board, kernelList, type Invitation, type KernelList } from './job.js'
import { spawn, type WorkerHandle } from './spawn.js'

/** A worker has this long to start, in ms. */
const START = 20_000
/** A worker that is in a kernel this much longer than the others is given up, in ms. */
const PATIENCE = 30_000
/** So many workers are replaced, for each thread, before there are fewer. */
const REPLACEMENTS = 8

export interface PoolOptions {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly exports: WebAssembly.Exports
  /** Threads, the main thread included. */
  readonly threads: number
  readonly createWorker: (() => WorkerHandle) | undefined
  /** Default 30 s. */
  readonly patience?: number | undefined
}

interface Member {
  readonly handle: WorkerHandle
  ready: boolean
}

export class Pool {
  readonly #options: PoolOptions
  readonly #kernels: KernelList
  readonly #numbers: ReadonlyMap<string, number>
  readonly #members = new Map<number, Member>()
  #board = new Board()
  #replaced = 0
  #started = false
  #closed = false
  #offBecause: string | undefined

  private constructor(options: PoolOptions) {
    this.#options = options
    this.#kernels = kernelList(options.exports)
    const names = Object.entries(options.exports).filter(([, value]) => typeof value === 'function')
    this.#numbers = new Map(names.map(([name], index) => [name, index]))
  }

  /** Starts the workers and waits until they are ready, or one has failed: `offBecause` says why then. */
  static async start(options: PoolOptions): Promise<Pool> {
    const pool = new Pool(options)
    await Promise.all(Array.from({ length: options.threads - 1 }, (_, i) => pool.#add(i + 1)))
    pool.#started = true
    if (pool.#offBecause !== undefined) pool.close()
    return pool
  }

  /** Threads that take part, the main thread included. */
  get threads(): number {
    let count = 1
    for (const { ready } of this.#members.values()) if (ready) count++
    return count
  }

  /** Number of workspaces that a job needs: one for each thread that could take part. */
  get places(): number {
    return this.#options.threads
  }

  /** Why there are fewer threads than were asked for. */
  get offBecause(): string | undefined {
    return this.#offBecause
  }

  /**
   * Runs kernel `name` over 0 to `items` in chunks. Argument i of thread t is args[i] + t · steps[i].
   * @throws WorkerError when a worker fails; what the kernel writes is not complete then.
   */
  run(name: string, args: readonly number[], steps: readonly number[], items: number, chunk: number): void {
    const board = this.#board
    board.open(this.#numbers.get(name) as number, args, steps, items, chunk)
    let out: boolean
    try {
      board.drain(this.#kernels, 0)
    } finally {
      out = board.close(this.#options.patience ?? PATIENCE)
      if (!out) this.#restart()
    }
    if (!out)
      throw new WorkerError(
        `${name}: a worker thread did not come back; the result is lost, and the threads are started anew`,
      )
    const failure = board.failure()
    if (failure) throw new WorkerError(`${name}: worker thread ${failure.thread} failed: ${failure.message}`)
  }

  /** Ends the workers. */
  close(): void {
    this.#closed = true
    this.#board.end()
    for (const { handle } of this.#members.values()) void handle.terminate()
    this.#members.clear()
  }

  /** Starts worker number `thread`. Resolves when it is ready or has failed. */
  #add(thread: number): Promise<void> {
    const { module, memory, createWorker } = this.#options
    const invitation: Invitation = { module, memory, board: this.#board.buffer, thread }
    return new Promise((resolve) => {
      let member: Member | undefined
      const timer = setTimeout(() => lost(`it did not start within ${START / 1000} s`), START)
      const lost = (reason: string): void => {
        clearTimeout(timer)
        if (member === undefined || this.#members.get(thread) === member) this.#lose(thread, member, reason)
        resolve()
      }
      const ready = (): void => {
        clearTimeout(timer)
        if (member) member.ready = true
        resolve()
      }
      try {
        member = { handle: spawn(invitation, { ready, lost }, createWorker), ready: false }
        this.#members.set(thread, member)
      } catch (error) {
        lost(error instanceof Error ? error.message : String(error))
      }
    })
  }

  /** A worker has died between jobs, or could not be started: once the pool runs, another takes its place. */
  #lose(thread: number, member: Member | undefined, reason: string): void {
    this.#members.delete(thread)
    if (this.#closed) return
    void member?.handle.terminate()
    if (this.#started && ++this.#replaced <= REPLACEMENTS * this.#options.threads) void this.#add(thread)
    else this.#offBecause ??= `a worker thread failed: ${reason}`
  }

  /** Leaves the workers and their board to themselves and starts others. */
  #restart(): void {
    const threads = [...this.#members.keys()]
    this.#board.end()
    for (const { handle } of this.#members.values()) void handle.terminate()
    this.#members.clear()
    this.#board = new Board()
    this.#replaced += threads.length
    for (const thread of threads) void this.#add(thread)
  }
}
