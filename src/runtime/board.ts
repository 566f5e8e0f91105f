/** The main thread's side of a board: posting jobs, and waiting until the workers are out of them. */
import { Board, CLOSED, SPINS, Word } from './job.js'
import { MOST_THREADS } from './threads.js'

/** How long the main thread sleeps, in ms, until it asks whether the workers inside are still there. */
const SLICE = 100

/** How a job ended. */
export interface Closed {
  /** Workers whose threads ended inside: what they had begun is not done. */
  readonly ended: readonly number[]
  /** false: somebody is inside still, after all patience. */
  readonly empty: boolean
}

/** What the main thread knows of workers while it waits for them. */
export interface Vigil {
  /** Whether a worker's thread has ended; undefined where that cannot be told. */
  hasEnded(thread: number): boolean | undefined
  /** Time in ms after which a worker is given up: one whose thread is known to be there, and any other. */
  readonly patience: { readonly running: number; readonly unknown: number }
}

/** The board as the main thread uses it. */
export class MainBoard extends Board {
  /** Posts a job and opens the gate. Nobody is inside. Argument i of a thread is args[i] + its number · steps[i]. */
  open(kernel: number, args: readonly number[], steps: readonly number[], items: number, chunk: number): void {
    const words = this.words
    this.args.set(args)
    this.steps.set(steps)
    words[Word.kernel] = kernel
    words[Word.items] = items
    words[Word.chunk] = chunk
    words[Word.argumentCount] = args.length
    words[Word.failed] = 0
    words[Word.trapped] = 0
    Atomics.store(words, Word.next, 0)
    Atomics.store(words, Word.gate, 0)
    Atomics.add(words, Word.epoch, 1)
    Atomics.notify(words, Word.epoch)
  }

  /** Closes the gate and waits until nobody is inside, or those who are are given up, which takes `least` ms or more. */
  close(vigil: Vigil, least: number): Closed {
    const words = this.words
    const ended: number[] = []
    Atomics.or(words, Word.gate, CLOSED)
    for (let i = 0; i < SPINS; i++) if (Atomics.load(words, Word.gate) === CLOSED) return { ended, empty: true }
    // Time is counted in slices, so that a machine that slept meanwhile does not look like a lost worker.
    for (let waited = 0; ;) {
      const inside = Atomics.load(words, Word.gate)
      if (inside === CLOSED) return { ended, empty: true }
      if (!this.#sleep(inside)) continue
      waited += SLICE
      let patience = vigil.patience.running
      for (let thread = 1; thread < MOST_THREADS; thread++) {
        if (!this.#isSeated(thread)) continue
        const state = vigil.hasEnded(thread)
        if (state === undefined) patience = vigil.patience.unknown
        // A thread that ended in its seat leaves by our hand. It may have left by itself since we looked.
        if (!state || !this.#isSeated(thread)) continue
        this.leave(thread)
        ended.push(thread)
      }
      if (waited >= Math.max(patience, least)) return { ended, empty: Atomics.load(words, Word.gate) === CLOSED }
    }
  }

  #isSeated(thread: number): boolean {
    return Atomics.load(this.seats, thread) === 1
  }

  /** Whether SLICE ms passed before the gate changed. The main thread of a browser may not sleep. */
  #sleep(inside: number): boolean {
    try {
      return Atomics.wait(this.words, Word.gate, inside, SLICE) === 'timed-out'
    } catch {
      const end = performance.now() + SLICE
      while (performance.now() < end) if (Atomics.load(this.words, Word.gate) !== inside) return false
      return true
    }
  }

  /** Which worker failed in this job, and why; `trapped` tells a trap of the kernel from other errors. */
  failure(): { readonly thread: number; readonly message: string; readonly trapped: boolean } | undefined {
    const thread = Atomics.load(this.words, Word.failed)
    // Below 0 the worker ended while it left its message.
    if (thread <= 0) return undefined
    const length = this.words[Word.messageLength] as number
    return {
      thread,
      message: String.fromCharCode(...this.message.slice(0, length)),
      trapped: this.words[Word.trapped] === 1,
    }
  }

  /** Ends every worker that is not inside a kernel. */
  end(): void {
    Atomics.store(this.words, Word.over, 1)
    Atomics.add(this.words, Word.epoch, 1)
    Atomics.notify(this.words, Word.epoch)
  }
}
