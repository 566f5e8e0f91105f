/**
 * The allocator of linear memory. Kernels never allocate: this side hands out blocks, aligned to 64 bytes, and
 * takes them back. Free blocks are kept in bins by size (eight bins for each power of two) and merged with free
 * neighbours, so that a training step finds exactly what the step before it returned.
 */
import { type WasmMemory } from './platform.js'
import { OutOfMemoryError } from './errors.js'

/** Alignment, and the smallest block, in bytes: one cache line. */
export const ALIGNMENT = 64
/** Bytes of the block that so many take: whole cache lines, one at least. */
export const blockOf = (bytes: number): number => Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT)
const PAGE = 65536
/**
 * Memory grows by at least 16 MiB, or by a 64th of its size: engines that copy on growth do it seldom, and little is held
 * that is not used.
 */
const GROWTH_PAGES = 256
/** Linear memory is limited to 65,536 pages: 4 GiB. */
export const MAXIMUM_PAGES = 65536
/**
 * No block reaches into the last page of 4 GiB: the address behind a block then fits 32 bits, also where a loop goes a step
 * too far before it ends.
 */
const LAST_ADDRESS = (MAXIMUM_PAGES - 1) * PAGE

interface Block {
  readonly pointer: number
  bytes: number
  free: boolean
  /** Neighbours in the order of addresses. */
  previous: Block | undefined
  next: Block | undefined
  /** Neighbours in the bin of a free block. */
  before: Block | undefined
  after: Block | undefined
}

/** What is in use. `liveBytes` counts whole blocks, so it is a little above the tensors' sizes. */
export interface MemoryUsage {
  /** Bytes in blocks handed out now. */
  readonly liveBytes: number
  /** The largest `liveBytes` so far. */
  readonly peakBytes: number
  /** Number of blocks handed out now. */
  readonly blocks: number
  /** Bytes of linear memory that the runtime holds; it never shrinks. */
  readonly reservedBytes: number
}

const format = (bytes: number): string =>
  bytes < 1024 * 1024 ? `${bytes} bytes` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`

/** Bin of a block: the power of two, and the next three bits. */
function binOf(bytes: number): number {
  const units = bytes / ALIGNMENT
  const power = 31 - Math.clz32(units)
  return power * 8 + (power >= 3 ? (units >>> (power - 3)) & 7 : (units << (3 - power)) & 7)
}

/** Hands out blocks of linear memory, and takes them back. */
export class Allocator {
  readonly memory: WasmMemory
  readonly #maximumPages: number
  /** The first free block of each bin. */
  readonly #bins = new Array<Block | undefined>(27 * 8).fill(undefined)
  readonly #blocks = new Map<number, Block>()
  #last: Block | undefined
  #end: number
  #live = 0
  #peak = 0

  /** Manages `memory` from byte `heapBase` on. */
  constructor(memory: WasmMemory, heapBase: number, maximumPages = MAXIMUM_PAGES) {
    this.memory = memory
    this.#maximumPages = maximumPages
    this.#end = blockOf(heapBase)
  }

  /** Pointer to `bytes` bytes. @throws OutOfMemoryError when memory cannot grow; nothing has changed then. */
  allocate(bytes: number): number {
    const size = blockOf(bytes)
    // A number of bytes below 0 is one that wrapped.
    if (!(bytes >= 0 && size <= this.#maximumPages * PAGE)) throw this.#outOfMemory(bytes)
    const block = this.#take(size) ?? this.#extend(size, bytes)
    block.free = false
    this.#blocks.set(block.pointer, block)
    this.#live += block.bytes
    if (this.#live > this.#peak) this.#peak = this.#live
    return block.pointer
  }

  /** Returns a block. The pointer must come from `allocate` and not have been returned. */
  release(pointer: number): void {
    const block = this.#blocks.get(pointer)
    if (!block) throw new Error(`internal: ${pointer} is not an allocated block`)
    this.#blocks.delete(pointer)
    this.#live -= block.bytes
    this.#insert(this.#merge(block))
  }

  usage(): MemoryUsage {
    return {
      liveBytes: this.#live,
      peakBytes: this.#peak,
      blocks: this.#blocks.size,
      reservedBytes: this.memory.buffer.byteLength,
    }
  }

  /** A free block of at least `size` bytes, split to it. */
  #take(size: number): Block | undefined {
    const first = binOf(size)
    for (let bin = first; bin < this.#bins.length; bin++) {
      for (let block = this.#bins[bin]; block; block = block.after) {
        // Blocks of the first bin may be a little smaller than asked for; those of later bins never are.
        if (block.bytes < size) continue
        this.#remove(block)
        this.#split(block, size)
        return block
      }
    }
    return undefined
  }

  #split(block: Block, size: number): void {
    if (block.bytes === size) return
    const rest: Block = {
      pointer: block.pointer + size,
      bytes: block.bytes - size,
      free: true,
      previous: block,
      next: block.next,
      before: undefined,
      after: undefined,
    }
    if (block.next) block.next.previous = rest
    else this.#last = rest
    block.next = rest
    block.bytes = size
    this.#insert(rest)
  }

  /** A new block at the end of the heap; a free last block becomes part of it. */
  #extend(size: number, asked: number): Block {
    const tail = this.#last?.free ? this.#last : undefined
    const start = tail ? tail.pointer : this.#end
    this.#grow(start + size, asked)
    this.#end = start + size
    if (tail) {
      this.#remove(tail)
      tail.bytes = size
      return tail
    }
    const block: Block = {
      pointer: start,
      bytes: size,
      free: false,
      previous: this.#last,
      next: undefined,
      before: undefined,
      after: undefined,
    }
    if (this.#last) this.#last.next = block
    this.#last = block
    return block
  }

  #grow(end: number, asked: number): void {
    if (end > LAST_ADDRESS) throw this.#outOfMemory(asked)
    const pages = this.memory.buffer.byteLength / PAGE
    const needed = Math.ceil(end / PAGE) - pages
    if (needed <= 0) return
    const room = this.#maximumPages - pages
    const generous = Math.min(room, Math.max(needed, GROWTH_PAGES, pages >>> 6))
    for (const step of generous > needed ? [generous, needed] : [needed]) {
      if (step > room) continue
      try {
        this.memory.grow(step)
        return
      } catch {
        // The engine refused; the smaller step may still fit.
      }
    }
    throw this.#outOfMemory(asked)
  }

  #outOfMemory(asked: number): OutOfMemoryError {
    return new OutOfMemoryError(
      `out of memory: ${format(asked)} asked for with ${format(this.#live)} in use; WebAssembly memory ends at ${format(this.#maximumPages * PAGE)}, ` +
        'so dispose tensors (dispose(), scope()) or use a smaller batch',
    )
  }

  #merge(block: Block): Block {
    const { previous, next } = block
    if (next?.free) {
      this.#remove(next)
      this.#join(block, next)
    }
    if (previous?.free) {
      this.#remove(previous)
      this.#join(previous, block)
      return previous
    }
    return block
  }

  #join(left: Block, right: Block): void {
    left.bytes += right.bytes
    left.next = right.next
    if (right.next) right.next.previous = left
    else this.#last = left
  }

  #insert(block: Block): void {
    const bin = binOf(block.bytes)
    const first = this.#bins[bin]
    block.free = true
    block.before = undefined
    block.after = first
    if (first) first.before = block
    this.#bins[bin] = block
  }

  #remove(block: Block): void {
    const { before, after } = block
    if (before) before.after = after
    else this.#bins[binOf(block.bytes)] = after
    if (after) after.before = before
  }
}
