/**
 * Kernel calls that are noted while they are made, to be made again: a small network spends more time in deciding what to
 * call than in its kernels.
 */
import { type WasmMemory } from './platform.js'
import type { Kernels } from './generated/kernels.js'
import type { Allocator, MemoryUsage } from './memory.js'

/** What hands out memory. */
export type Memory = Pick<Allocator, 'allocate' | 'release' | 'usage' | 'memory'>

/** Kernels that tell sizes: these depend on shapes alone, so that what was decided by them holds for every repetition. */
const tellsSizes = (name: string): boolean =>
  /_(workspace|items|packed|packed_transposed|rowwise|sums|runs|blocks)$/.test(name)

/**
 * Stands between a pass and the memory and kernels that it uses. Blocks that the pass returns are used again for it
 * alone, and stay with it: its calls name them.
 */
export class Tracer implements Memory {
  /** Whether something was done that calls of kernels alone do not repeat. */
  failed = false
  readonly #memory: Memory
  readonly #calls: { readonly name: string; run(): unknown }[] = []
  /** Bytes of each block, by its address. */
  readonly #held = new Map<number, number>()
  readonly #free = new Set<number>()

  constructor(memory: Memory) {
    this.#memory = memory
  }

  get memory(): WasmMemory {
    return this.#memory.memory
  }

  usage(): MemoryUsage {
    return this.#memory.usage()
  }

  allocate(bytes: number): number {
    let found: number | undefined
    const sizeOf = (pointer: number): number => this.#held.get(pointer) as number
    for (const pointer of this.#free) {
      if (sizeOf(pointer) >= bytes && (found === undefined || sizeOf(pointer) < sizeOf(found))) found = pointer
    }
    if (found === undefined) {
      found = this.#memory.allocate(bytes)
      this.#held.set(found, bytes)
    }
    this.#free.delete(found)
    return found
  }

  release(pointer: number): void {
    if (this.#held.has(pointer)) this.#free.add(pointer)
    else this.#memory.release(pointer)
  }

  /** The kernels, each of which notes its calls. */
  watch(kernels: Kernels): Kernels {
    const watched = Object.entries(kernels).map(([name, kernel]) => {
      const run = kernel as (...args: unknown[]) => unknown
      const noted = (...args: unknown[]): unknown => {
        const result = run(...args)
        if (result === undefined) this.note(name, () => run(...args))
        else if (!tellsSizes(name)) this.failed = true
        return result
      }
      return [name, noted]
    })
    return Object.fromEntries(watched) as Kernels
  }

  /** Notes a call of a kernel, or a test of what kernels gave. */
  note(name: string, run: () => unknown): void {
    this.#calls.push({ name, run })
  }

  /**
   * Makes the calls again, up to a test that gives false: whether there was none. `failure` gives what is to be thrown for what
   * a kernel threw.
   */
  replay(failure: (name: string, error: unknown) => unknown): boolean {
    let at = ''
    try {
      for (const call of this.#calls) {
        at = call.name
        if (call.run() === false) return false
      }
    } catch (error) {
      throw failure(at, error)
    }
    return true
  }

  /** Gives back every block. */
  dispose(): void {
    for (const pointer of this.#held.keys()) this.#memory.release(pointer)
    this.#held.clear()
    this.#calls.length = 0
  }
}
