/**
 * The worker threads of one core. A job is synchronous: the main thread posts it, takes part in it and returns when every
 * chunk is done, so memory grows only while no worker is inside. Workers that die are replaced.
 */
import { type WasmMemory } from './platform.js'
import type { LinkedModule } from './load.js'
import { WorkerError } from './errors.js'
import { MainBoard, type Vigil } from './board.js'
import { kernelEntries, type Invitation, type KernelList } from './job.js'
import { hasEnded, spawn } from './spawn.js'
import { distrust, trapped, type WorkerHandle } from './threads.js'

/** A worker has this long to start, in ms. */
const START = 20_000
/**
 * A worker that is in a kernel so much longer than the calling thread is given up, in ms: kernels end by themselves, so that
 * a thread that is known to be there is most likely slow.
 */
const PATIENCE_RUNNING = 30_000
/** The same where the runtime does not tell whether the thread is still there. */
const PATIENCE_UNKNOWN = 5_000
/** A worker that is given up has this long to end, in ms. */
const FAREWELL = 1_000
/** So many workers are replaced, for each thread, before there are fewer. */
const REPLACEMENTS = 8

/** What a pool is made with. */
export interface PoolOptions {
  /** The core, and what was loaded beside it. */
  readonly modules: readonly LinkedModule[]
  readonly memory: WasmMemory
  /** Threads, the main thread included. */
  readonly threads: number
  readonly createWorker: (() => WorkerHandle) | undefined
  /** In ms, instead of the times above. */
  readonly patience?: number | undefined
}

interface Member {
  readonly handle: WorkerHandle
  ready: boolean
}

/** The worker threads of a core, and the jobs that they do with the main thread. */
export class Pool {
  readonly #options: PoolOptions
  readonly #kernels: KernelList
  readonly #numbers: ReadonlyMap<string, number>
  readonly #members = new Map<number, Member>()
  #board = new MainBoard()
  readonly #vigil: Vigil
  #replaced = 0
  #started = false
  #closed = false
  #offBecause: string | undefined

  private constructor(options: PoolOptions) {
    const { patience } = options
    this.#options = options
    this.#vigil = {
      hasEnded: (thread) => {
        const member = this.#members.get(thread)
        return member && hasEnded(member.handle)
      },
      patience: { running: patience ?? PATIENCE_RUNNING, unknown: patience ?? PATIENCE_UNKNOWN },
    }
    const entries = kernelEntries(options.modules.map(({ exports }) => exports))
    this.#kernels = entries.map(([, kernel]) => kernel)
    this.#numbers = new Map(entries.map(([name], index) => [name, index]))
  }

  /** The same threads with other modules, for which these are ended. */
  renew(modules: PoolOptions['modules']): Promise<Pool> {
    this.close()
    return Pool.start({ ...this.#options, modules })
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
   * Runs kernel `name` over 0 to `items` in chunks. Argument i of thread t is args[i] + t · steps[i]. `expected` is the time
   * that a chunk takes, in ms, a rough estimate: nobody is given up before many times as long.
   * @throws WorkerError when a worker fails; what the kernel writes is not complete then. CoreError when the kernel traps in
   * a worker, or a worker that was given up may go on writing.
   */
  run(
    name: string,
    args: readonly number[],
    steps: readonly number[],
    items: number,
    chunk: number,
    expected = 0,
  ): void {
    const board = this.#board
    let thrown: { readonly error: unknown } | undefined
    board.open(this.#numbers.get(name) as number, args, steps, items, chunk)
    try {
      board.drain(this.#kernels, 0)
    } catch (error) {
      thrown = { error }
    }
    const { ended, empty } = board.close(this.#vigil, 100 * expected)
    const failure = board.failure()
    for (const thread of ended) this.#lose(thread, this.#members.get(thread), 'it ended inside a kernel')
    // Nothing is as bad as a trap.
    if (thrown?.error instanceof WebAssembly.RuntimeError) throw thrown.error
    if (failure?.trapped) throw trapped(name, failure.message)
    if (!empty) this.#giveUp(name)
    if (thrown) throw thrown.error
    if (failure) throw new WorkerError(`${name}: worker thread ${failure.thread} failed: ${failure.message}`)
    // What it had begun may be half written, and not every kernel can be run again on that.
    if (ended.length > 0) {
      throw new WorkerError(
        `${name}: worker thread ${ended.join(' and ')} ended inside the kernel; the result is lost, and another thread is started`,
      )
    }
  }

  /** Starts all workers anew because one does not come out of its kernel. */
  #giveUp(name: string): never {
    const handles = [...this.#members.values()].map(({ handle }) => handle)
    this.#restart()
    if (sawEnd(handles, FAREWELL)) {
      throw new WorkerError(
        `${name}: a worker thread did not come back; the result is lost, and the threads are started anew`,
      )
    }
    throw distrust(name, 'a worker thread did not come back and may go on writing to memory')
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
    const { modules, memory, createWorker } = this.#options
    const invitation: Invitation = {
      modules: modules.map(({ module }) => module),
      memory,
      board: this.#board.buffer,
      thread,
    }
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
        if (member) {
          member.ready = true
          // The first answer is what later ones are told from.
          hasEnded(member.handle)
        }
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
    this.#board = new MainBoard()
    this.#replaced += threads.length
    for (const thread of threads) void this.#add(thread)
  }
}

/** Waits up to `time` ms until the threads of workers that were told to end have ended; false where one may not have. */
function sawEnd(workers: readonly WorkerHandle[], time: number): boolean {
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (let waited = 0; ; waited += 10) {
    const states = workers.map(hasEnded)
    if (states.every((ended) => ended === true)) return true
    if (states.includes(undefined) || waited >= time) return false
    Atomics.wait(clock, 0, 0, 10)
  }
}
