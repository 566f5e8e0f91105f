/**
 * One job for all threads: a kernel, its arguments and a range of independent items, in a block of shared memory of its
 * own. Threads take chunks of items with an atomic add, so that which thread takes which chunk is not determined. Every item
 * writes its own results, so that they do not depend on it.
 *
 * A gate lets workers in: it counts those inside, or is closed. The main thread never waits for a worker that has not
 * come in, only for chunks that were begun. Each worker has a seat, a word that is 1 while it is inside: by the seats the
 * main thread knows whom it waits for, and asks whether their threads are still there.
 */
import { type WasmExports, type WasmMemory, type WasmModule } from './platform.js'
import { MOST_THREADS } from './threads.js'

/** Kernels by their place in the order of the modules' exports, the same in every thread. */
export type KernelList = readonly ((...args: number[]) => void)[]

/** What a worker is sent to begin with. */
export interface Invitation {
  /** The core, and what was loaded beside it. */
  readonly modules: readonly WasmModule[]
  readonly memory: WasmMemory
  readonly board: SharedArrayBuffer
  /** Number of this thread; the main thread is 0. */
  readonly thread: number
}

/** The words of a board, by their places. */
export const enum Word {
  /** Goes up with every job; workers sleep on it. */
  epoch,
  /** Number of workers inside, or with the bit CLOSED. */
  gate,
  /** The next chunk to take. */
  next,
  kernel,
  items,
  /** Items in a chunk. */
  chunk,
  argumentCount,
  /** Number of the thread that failed, and the length of its message. */
  failed,
  messageLength,
  /** 1: the kernel trapped in the thread that failed. */
  trapped,
  /** 1: the workers are to end. */
  over,
  count,
}

/** The bit of the gate that keeps workers out. */
export const CLOSED = 1 << 30
/** The longest list of arguments is half as long. */
const MOST_ARGUMENTS = 32
const MOST_CHARACTERS = 256
const SEATS_AT = 64
const ARGUMENTS_AT = SEATS_AT + 4 * MOST_THREADS
const STEPS_AT = ARGUMENTS_AT + 8 * MOST_ARGUMENTS
const MESSAGE_AT = STEPS_AT + 8 * MOST_ARGUMENTS
const BOARD_BYTES = MESSAGE_AT + 2 * MOST_CHARACTERS

/**
 * How often a thread looks again before it sleeps: for some 0.7 ms. To wake a sleeper takes up to 0.2 ms of the one who
 * calls, and the jobs of a training step follow each other within a tenth of that.
 */
export const SPINS = 100_000

/** Names and functions of the kernels of some instances. */
export const kernelEntries = (instances: readonly WasmExports[]): [string, KernelList[number]][] =>
  instances
    .flatMap((exports) => Object.entries(exports))
    .filter((entry): entry is [string, never] => typeof entry[1] === 'function')

/** What workers do with a board, and what they share with the main thread, whose side is board.ts. */
export class Board {
  readonly buffer: SharedArrayBuffer
  protected readonly words: Int32Array<SharedArrayBuffer>
  /** Of each thread. */
  protected readonly seats: Int32Array<SharedArrayBuffer>
  protected readonly args: Float64Array<SharedArrayBuffer>
  protected readonly steps: Float64Array<SharedArrayBuffer>
  protected readonly message: Uint16Array<SharedArrayBuffer>

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(BOARD_BYTES)
    this.words = new Int32Array(this.buffer, 0, Word.count)
    this.seats = new Int32Array(this.buffer, SEATS_AT, MOST_THREADS)
    this.args = new Float64Array(this.buffer, ARGUMENTS_AT, MOST_ARGUMENTS)
    this.steps = new Float64Array(this.buffer, STEPS_AT, MOST_ARGUMENTS)
    this.message = new Uint16Array(this.buffer, MESSAGE_AT, MOST_CHARACTERS)
    if (!buffer) this.words[Word.gate] = CLOSED
  }

  // ---- every thread -----------------------------------------------------------------------------------------

  /** Takes chunk after chunk of the job. */
  drain(kernels: KernelList, thread: number): void {
    const words = this.words
    const kernel = kernels[words[Word.kernel] as number] as KernelList[number]
    const items = words[Word.items] as number
    const chunk = words[Word.chunk] as number
    const count = words[Word.argumentCount] as number
    const args = new Array<number>(count + 2)
    for (let i = 0; i < count; i++) {
      args[i] = (this.args[i] as number) + thread * (this.steps[i] as number)
    }
    for (;;) {
      const begin = Atomics.add(words, Word.next, 1) * chunk
      if (begin >= items) return
      args[count] = begin
      args[count + 1] = Math.min(items, begin + chunk)
      kernel(...args)
    }
  }

  // ---- workers ----------------------------------------------------------------------------------------------

  /** Works until the end: sleeps, comes in when there is a job, takes chunks. */
  serve(kernels: KernelList, thread: number): void {
    const words = this.words
    let seen = 0
    for (;;) {
      for (let i = 0; i < SPINS && Atomics.load(words, Word.epoch) === seen; i++);
      // The sleep of JavaScript: engines miscompile that of WebAssembly.
      while (Atomics.load(words, Word.epoch) === seen) Atomics.wait(words, Word.epoch, seen)
      seen = Atomics.load(words, Word.epoch)
      if (Atomics.load(words, Word.over) === 1) return
      if (!this.#enter(thread)) continue
      try {
        this.drain(kernels, thread)
      } catch (error) {
        this.#fail(thread, error)
      }
      this.leave(thread)
    }
  }

  #enter(thread: number): boolean {
    let inside = Atomics.load(this.words, Word.gate)
    while ((inside & CLOSED) === 0) {
      const found = Atomics.compareExchange(this.words, Word.gate, inside, inside + 1)
      if (found === inside) {
        Atomics.store(this.seats, thread, 1)
        return true
      }
      inside = found
    }
    return false
  }

  protected leave(thread: number): void {
    Atomics.store(this.seats, thread, 0)
    if (Atomics.sub(this.words, Word.gate, 1) === CLOSED + 1) Atomics.notify(this.words, Word.gate)
  }

  /** Leaves a message, if it is the first of this job. The chunks that are left go to the others. */
  #fail(thread: number, error: unknown): void {
    const message = (error instanceof Error ? error.message : String(error)).slice(0, MOST_CHARACTERS)
    if (Atomics.compareExchange(this.words, Word.failed, 0, -1) !== 0) return
    for (let i = 0; i < message.length; i++) this.message[i] = message.charCodeAt(i)
    this.words[Word.messageLength] = message.length
    this.words[Word.trapped] = error instanceof WebAssembly.RuntimeError ? 1 : 0
    Atomics.store(this.words, Word.failed, thread)
  }
}
