/**
 * Guards around every block of linear memory that is handed out: inputs, outputs, weights and workspaces. What writes beside
 * its block changes a guard, or the sentinel, a block that nobody else has. Blocks are filled with NaN when they are handed
 * out and when they are returned, so that what is read before it was written, or after it was freed, shows in results.
 */
import { Allocator } from '../../src/runtime/memory.js'

const GUARD_BYTES = 64
const GUARD = 0x5a17c0de | 0
/** A quiet NaN. */
const POISON = 0x7fc0dead | 0
const SENTINEL_BYTES = 1 << 22
/** Kernels that fill a block with random numbers write whole quads, for which blocks have room. */
const QUAD_BYTES = 16

export interface Guards {
  /** How many guards and sentinels are not intact, since the first call of `guardBlocks`. */
  broken(): number
  /** What was found broken since the last call, a line for each; then all is whole again. */
  take(): string[]
  /** Makes the sentinel in a block from `allocate`, once the core is loaded. */
  placeSentinel(allocate: (bytes: number) => number): void
}

/** A block with its guards: where they begin and end. */
interface Guarded {
  readonly begin: number
  readonly pointer: number
  readonly behind: number
  readonly end: number
}

let guards: Guards | undefined

/**
 * Guards blocks from now on, and tells which were not heeded. Blocks of more than `largest` bytes are refused, as at the end
 * of memory.
 */
export const guardBlocks = (largest = 2 ** 31): Guards => (guards ??= install(largest))

function install(largest: number): Guards {
  const { allocate, release } = Allocator.prototype
  const live = new Map<number, Guarded>()
  let found: string[] = []
  let count = 0
  let memory: WebAssembly.Memory | undefined
  let sentinel: { readonly pointer: number; readonly copy: Buffer } | undefined
  const words = (): Int32Array => new Int32Array((memory as WebAssembly.Memory).buffer)
  const paint = ({ begin, pointer, behind, end }: Guarded): void => {
    words()
      .fill(GUARD, begin >>> 2, pointer >>> 2)
      .fill(GUARD, behind >>> 2, end >>> 2)
  }
  const examine = (block: Guarded, state: string): void => {
    const { begin, pointer, behind, end } = block
    const all = words()
    const isGuard = (word: number): boolean => word === GUARD
    const whole = [all.subarray(begin >>> 2, pointer >>> 2), all.subarray(behind >>> 2, end >>> 2)]
    if (whole.every((part) => part.every(isGuard))) return
    found.push(`the guards of a ${state} block of ${behind - pointer} bytes were overwritten`)
    count++
    paint(block)
  }
  const examineAll = (): void => {
    if (!memory) return
    for (const block of live.values()) examine(block, 'live')
    if (!sentinel) return
    const bytes = Buffer.from(memory.buffer, sentinel.pointer, SENTINEL_BYTES)
    if (bytes.equals(sentinel.copy)) return
    found.push('the memory of another tensor was overwritten')
    count++
    bytes.set(sentinel.copy)
  }
  Allocator.prototype.allocate = function (this: Allocator, bytes: number): number {
    if (!(bytes >= 0 && bytes <= largest)) return allocate.call(this, Math.max(bytes, 2 ** 40))
    memory = this.memory
    const size = QUAD_BYTES * Math.max(1, Math.ceil(bytes / QUAD_BYTES))
    const begin = allocate.call(this, size + 2 * GUARD_BYTES)
    const pointer = begin + GUARD_BYTES
    const end = begin + GUARD_BYTES * Math.ceil((size + 2 * GUARD_BYTES) / GUARD_BYTES)
    const block = { begin, pointer, behind: pointer + size, end }
    words().fill(POISON, pointer >>> 2, block.behind >>> 2)
    paint(block)
    live.set(pointer, block)
    return pointer
  }
  Allocator.prototype.release = function (this: Allocator, pointer: number): void {
    const block = live.get(pointer)
    if (!block) {
      release.call(this, pointer)
      return
    }
    live.delete(pointer)
    examine(block, 'released')
    words().fill(POISON, pointer >>> 2, block.behind >>> 2)
    release.call(this, block.begin)
  }
  return {
    broken() {
      examineAll()
      return count
    },
    take() {
      examineAll()
      const taken = found
      found = []
      return taken
    },
    placeSentinel(from) {
      const pointer = from(SENTINEL_BYTES)
      const bytes = Buffer.from((memory as WebAssembly.Memory).buffer, pointer, SENTINEL_BYTES)
      for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i, 0x9e3779b1) >>> 24
      sentinel = { pointer, copy: Buffer.from(bytes) }
    },
  }
}
