/**
 * Guards around every block of linear memory that is handed out: what writes beside its block changes one. Blocks are filled
 * with NaN first, so that what is read before it was written shows in results.
 */
import { ALIGNMENT, Allocator } from '../../src/runtime/memory.js'

const PATTERN = 0x5a17c0de
const NAN = 0x7fc0dead

/** Where the guards around a block begin and end, in 32-bit words. */
interface Guarded {
  readonly before: readonly [number, number]
  readonly behind: readonly [number, number]
}

let guards: { broken(): number } | undefined

/** Guards blocks from now on, and says how many are not intact any more. */
export const guardBlocks = (): { broken(): number } => (guards ??= install())

function install(): { broken(): number } {
  const { allocate, release } = Allocator.prototype
  const live = new Map<number, Guarded>()
  let memory: WebAssembly.Memory | undefined
  let broken = 0
  const intact = ({ before, behind }: Guarded): boolean => {
    const words = new Uint32Array(memory!.buffer)
    return [before, behind].every(([begin, end]) => words.subarray(begin, end).every((word) => word === PATTERN))
  }
  Allocator.prototype.allocate = function (this: Allocator, bytes: number): number {
    // What no memory holds is refused as always.
    if (!(bytes >= 0 && bytes < 2 ** 31)) return allocate.call(this, bytes)
    memory = this.memory
    // A kernel may write up to the end of the last cache line of its block.
    const size = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
    const begin = allocate.call(this, size + 2 * ALIGNMENT)
    const pointer = begin + ALIGNMENT
    const words = new Uint32Array(memory.buffer)
    const before = [begin / 4, pointer / 4] as const
    const behind = [(pointer + size) / 4, (pointer + size + ALIGNMENT) / 4] as const
    words.fill(NAN, before[1], behind[0])
    for (const range of [before, behind]) words.fill(PATTERN, ...range)
    live.set(pointer, { before, behind })
    return pointer
  }
  Allocator.prototype.release = function (this: Allocator, pointer: number): void {
    const block = live.get(pointer)
    live.delete(pointer)
    if (block && !intact(block)) broken++
    release.call(this, block ? pointer - ALIGNMENT : pointer)
  }
  return { broken: () => broken + [...live.values()].filter((block) => !intact(block)).length }
}
