/**
 * Guards around every block of linear memory: inputs, outputs, weights, workspaces. A kernel that writes outside of what it
 * was given changes a guard, or the sentinel, a block that nobody else has. Memory is poisoned with NaN when it is handed
 * out and when it is returned, so that what is read before it was written, or after it was freed, shows in results.
 */
import { Allocator } from '../../src/runtime/memory.js'
import { Fault } from './target.js'

const GUARD_BYTES = 64
const GUARD = 0x5a17c0de | 0
/** A quiet NaN. */
const POISON = 0x7fc0dead | 0
const SENTINEL_BYTES = 1 << 22
/** Larger blocks are refused as memory's end would: cases are to be small. */
const LARGEST_BLOCK = 1 << 28

interface Guarded {
  /** The block with its guards. */
  readonly begin: number
  readonly pointer: number
  /** Where the guard behind it begins and ends. */
  readonly behind: number
  readonly end: number
}

const live = new Map<number, Guarded>()
const broken: string[] = []
/** Linear memory, once something was allocated in it. */
let memory: WebAssembly.Memory | undefined
let sentinel: { readonly pointer: number; readonly copy: Buffer } | undefined

function isIntact(words: Int32Array, { begin, pointer, behind, end }: Guarded): boolean {
  for (let at = begin >>> 2; at < pointer >>> 2; at++) if (words[at] !== GUARD) return false
  for (let at = behind >>> 2; at < end >>> 2; at++) if (words[at] !== GUARD) return false
  return true
}

/** Puts guards around every block from now on: to be called before the core is loaded. */
export function installGuards(): void {
  allowWholeQuads()
  const { allocate, release } = Allocator.prototype
  Allocator.prototype.allocate = function (this: Allocator, bytes: number): number {
    if (!(bytes <= LARGEST_BLOCK)) return allocate.call(this, Math.max(bytes, 2 ** 40))
    memory = this.memory
    const size = 4 * Math.max(1, Math.ceil(bytes / 4))
    const begin = allocate.call(this, size + 2 * GUARD_BYTES)
    const pointer = begin + GUARD_BYTES
    const behind = pointer + size
    const end = begin + Math.ceil((size + 2 * GUARD_BYTES) / GUARD_BYTES) * GUARD_BYTES
    const words = new Int32Array(this.memory.buffer)
    words.fill(GUARD, begin >>> 2, pointer >>> 2)
    words.fill(POISON, pointer >>> 2, behind >>> 2)
    words.fill(GUARD, behind >>> 2, end >>> 2)
    live.set(pointer, { begin, pointer, behind, end })
    return pointer
  }
  Allocator.prototype.release = function (this: Allocator, pointer: number): void {
    const block = live.get(pointer)
    if (!block) {
      release.call(this, pointer)
      return
    }
    const words = new Int32Array(this.memory.buffer)
    if (!isIntact(words, block))
      broken.push(`the guards of a block of ${block.behind - pointer} bytes were overwritten`)
    live.delete(pointer)
    words.fill(POISON, pointer >>> 2, block.behind >>> 2)
    release.call(this, block.begin)
  }
}

/**
 * Lets the kernels that fill a block with random numbers write up to the next multiple of four of them, as they say they
 * do: blocks have room for that.
 */
function allowWholeQuads(): void {
  const { Instance } = WebAssembly
  const Watched = function (
    module: WebAssembly.Module,
    imports: WebAssembly.Imports,
  ): { exports: WebAssembly.Exports } {
    const exports = { ...new Instance(module, imports).exports }
    for (const name of ['random_bits', 'random_uniform', 'random_normal']) {
      const fill = exports[name] as (to: number, count: number, ...rest: number[]) => void
      exports[name] = (to: number, count: number, ...rest: number[]): void => {
        fill(to, count, ...rest)
        const block = live.get(to)
        if (!block || !memory) return
        const quads = to + 16 * Math.ceil(count / 4)
        new Int32Array(memory.buffer).fill(GUARD, block.behind >>> 2, Math.max(quads, block.behind) >>> 2)
      }
    }
    return { exports }
  }
  WebAssembly.Instance = Watched as unknown as typeof WebAssembly.Instance
}

/** Makes the sentinel by `allocate`, once the core is loaded. */
export function placeSentinel(allocate: (bytes: number) => number): void {
  const pointer = allocate(SENTINEL_BYTES)
  const bytes = Buffer.from((memory as WebAssembly.Memory).buffer, pointer, SENTINEL_BYTES)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (Math.imul(i, 0x9e3779b1) >>> 24) & 255
  sentinel = { pointer, copy: Buffer.from(bytes) }
}

/** @throws Fault when something was written outside of what it was given since the last call. */
export function checkGuards(): void {
  if (!memory) return
  const words = new Int32Array(memory.buffer)
  for (const block of live.values()) {
    if (isIntact(words, block)) continue
    broken.push(`the guards of a live block of ${block.behind - block.pointer} bytes were overwritten`)
    words.fill(GUARD, block.begin >>> 2, block.pointer >>> 2)
    words.fill(GUARD, block.behind >>> 2, block.end >>> 2)
  }
  if (sentinel) {
    const bytes = Buffer.from(memory.buffer, sentinel.pointer, SENTINEL_BYTES)
    if (bytes.compare(sentinel.copy) !== 0) {
      broken.push('memory of another tensor was overwritten')
      bytes.set(sentinel.copy)
    }
  }
  if (broken.length > 0) throw new Fault(broken.splice(0).join('; '))
}
