/**
 * One job for all threads: a kernel, its arguments and a range of independent items, in a block of shared memory of its
 * own. Threads take chunks of items with an atomic add, so that who computes what is left open; every item writes its
 * own results, so that they do not depend on it.
 *
 * A gate lets workers in: it counts those inside, or is closed. The main thread never waits for a worker that has not
 * come in, only for chunks that were begun.
 */

/** Kernels by their place in the order of the module's exports, the same in every thread. */
export type KernelList = readonly ((...args: number[]) => void)[]

/** What a worker is sent to begin with. */
export interface Invitation {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly board: SharedArrayBuffer
  /** Number of this thread; the main thread is 0. */
  readonly thread: number
}

const enum Word {
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
  /** 1: the workers are to end. */
  over,
  count,
}

const CLOSED = 1 << 30
/** The longest list of arguments is half as long. */
const MOST_ARGUMENTS = 32
const MOST_CHARACTERS = 256
const ARGUMENTS_AT = 64
const STEPS_AT = ARGUMENTS_AT + 8 * MOST_ARGUMENTS
const MESSAGE_AT = STEPS_AT + 8 * MOST_ARGUMENTS
const BOARD_BYTES = MESSAGE_AT + 2 * MOST_CHARACTERS

/**
 * How often a thread looks again before it sleeps: for some 0.7 ms. To wake a sleeper takes up to 0.2 ms of the one who
 * calls, and the jobs of a training step follow each other within a tenth of that.
 */
const SPINS = 100_000

/** The kernels of an instance. */
export const kernelList = (exports: WebAssembly.Exports): KernelList =>
  Object.values(exports).filter((value) => typeof value === 'function') as unknown as KernelList

export class Board {
  readonly buffer: SharedArrayBuffer
  readonly #words: Int32Array<SharedArrayBuffer>
  readonly #arguments: Float64Array<SharedArrayBuffer>
  readonly #steps: Float64Array<SharedArrayBuffer>
  readonly #message: Uint16Array<SharedArrayBuffer>

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(BOARD_BYTES)
    this.#words = new Int32Array(this.buffer, 0, Word.count)
    this.#arguments = new Float64Array(this.buffer, ARGUMENTS_AT, MOST_ARGUMENTS)
    this.#steps = new Float64Array(this.buffer, STEPS_AT, MOST_ARGUMENTS)
    this.#message = new Uint16Array(this.buffer, MESSAGE_AT, MOST_CHARACTERS)
    if (!buffer) this.#words[Word.gate] = CLOSED
  }

  // ---- the main thread --------------------------------------------------------------------------------------

  /** Posts a job and opens the gate. Nobody is inside. Argument i of a thread is args[i] + its number · steps[i]. */
  open(kernel: number, args: readonly number[], steps: readonly number[], items: number, chunk: number): void {
    const words = this.#words
    this.#arguments.set(args)
    this.#steps.set(steps)
    words[Word.kernel] = kernel
    words[Word.items] = items
    words[Word.chunk] = chunk
    words[Word.argumentCount] = args.length
    words[Word.failed] = 0
    Atomics.store(words, Word.next, 0)
    Atomics.store(words, Word.gate, 0)
    Atomics.add(words, Word.epoch, 1)
    Atomics.notify(words, Word.epoch)
  }

  /**
   * Closes the gate and waits until nobody is inside. `patience` is the time in ms after which a worker that does not
   * come out is given up: false then.
   */
  close(patience: number): boolean {
    const words = this.#words
    Atomics.or(words, Word.gate, CLOSED)
    for (let i = 0; i < SPINS; i++) if (Atomics.load(words, Word.gate) === CLOSED) return true
    // Time is counted in slices, so that a machine that slept meanwhile does not look like a lost worker.
    const slice = 100
    for (let waited = 0; waited < patience; waited += slice) {
      const inside = Atomics.load(words, Word.gate)
      if (inside === CLOSED) return true
      this.#waitOrSpin(inside, slice)
    }
    return Atomics.load(words, Word.gate) === CLOSED
  }

  /** Lets `slice` ms pass, or less if the gate changes. The main thread of a browser may not sleep. */
  #waitOrSpin(inside: number, slice: number): void {
    try {
      Atomics.wait(this.#words, Word.gate, inside, slice)
    } catch {
      const end = performance.now() + slice
      while (performance.now() < end) if (Atomics.load(this.#words, Word.gate) !== inside) return
    }
  }

  /** Which worker failed in this job, and why. */
  failure(): { readonly thread: number; readonly message: string } | undefined {
    const thread = Atomics.load(this.#words, Word.failed)
    if (thread === 0) return undefined
    const length = this.#words[Word.messageLength] as number
    return { thread, message: String.fromCharCode(...this.#message.slice(0, length)) }
  }

  /** Ends every worker that is not inside a kernel. */
  end(): void {
    Atomics.store(this.#words, Word.over, 1)
    Atomics.add(this.#words, Word.epoch, 1)
    Atomics.notify(this.#words, Word.epoch)
  }

  // ---- every thread -----------------------------------------------------------------------------------------

  /** Takes chunk after chunk of the job. */
  drain(kernels: KernelList, thread: number): void {
    const words = this.#words
    const kernel = kernels[words[Word.kernel] as number] as KernelList[number]
    const items = words[Word.items] as number
    const chunk = words[Word.chunk] as number
    const count = words[Word.argumentCount] as number
    const args = new Array<number>(count + 2)
    for (let i = 0; i < count; i++) {
      args[i] = (this.#arguments[i] as number) + thread * (this.#steps[i] as number)
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
    const words = this.#words
    let seen = 0
    for (;;) {
      for (let i = 0; i < SPINS && Atomics.load(words, Word.epoch) === seen; i++);
      // The sleep of JavaScript: engines miscompile that of WebAssembly.
      while (Atomics.load(words, Word.epoch) === seen) Atomics.wait(words, Word.epoch, seen)
      seen = Atomics.load(words, Word.epoch)
      if (Atomics.load(words, Word.over) === 1) return
      if (!this.#enter()) continue
      try {
        this.drain(kernels, thread)
      } catch (error) {
        this.#fail(thread, error)
      }
      if (Atomics.sub(words, Word.gate, 1) === CLOSED + 1) Atomics.notify(words, Word.gate)
    }
  }

  #enter(): boolean {
    let inside = Atomics.load(this.#words, Word.gate)
    while ((inside & CLOSED) === 0) {
      const found = Atomics.compareExchange(this.#words, Word.gate, inside, inside + 1)
      if (found === inside) return true
      inside = found
    }
    return false
  }

  /** Leaves a message, if it is the first of this job. The chunks that are left go to the others. */
  #fail(thread: number, error: unknown): void {
    const message = (error instanceof Error ? error.message : String(error)).slice(0, MOST_CHARACTERS)
    if (Atomics.compareExchange(this.#words, Word.failed, 0, -1) !== 0) return
    for (let i = 0; i < message.length; i++) this.#message[i] = message.charCodeAt(i)
    this.#words[Word.messageLength] = message.length
    Atomics.store(this.#words, Word.failed, thread)
  }
}
