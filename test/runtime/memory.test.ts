import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OutOfMemoryError } from '../../src/runtime/errors.js'
import { ALIGNMENT, Allocator } from '../../src/runtime/memory.js'

const make = (heapBase = 1000): Allocator =>
  new Allocator(new WebAssembly.Memory({ initial: 1, maximum: 65536 }), heapBase)

describe('the allocator', () => {
  it('gives aligned blocks above the heap base that never overlap, whatever the order', () => {
    const actions = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 200_000 })), { maxLength: 200 })
    fc.assert(
      fc.property(actions, (list) => {
        const allocator = make()
        const blocks: { pointer: number; bytes: number }[] = []
        for (const [take, number] of list) {
          if (take || blocks.length === 0) {
            const pointer = allocator.allocate(number)
            expect(pointer % ALIGNMENT).toBe(0)
            expect(pointer).toBeGreaterThanOrEqual(1000)
            expect(pointer + number).toBeLessThanOrEqual(allocator.memory.buffer.byteLength)
            for (const other of blocks) {
              expect(pointer + number <= other.pointer || other.pointer + other.bytes <= pointer).toBe(true)
            }
            blocks.push({ pointer, bytes: Math.max(1, number) })
          } else {
            allocator.release(blocks.splice(number % blocks.length, 1)[0]!.pointer)
          }
          expect(allocator.usage().blocks).toBe(blocks.length)
        }
        for (const { pointer } of blocks) allocator.release(pointer)
        expect(allocator.usage()).toMatchObject({ liveBytes: 0, blocks: 0 })
        // Everything has been merged again: one block takes all of it without growth.
        const reserved = allocator.memory.buffer.byteLength
        const peak = allocator.usage().peakBytes
        allocator.allocate(peak)
        expect(allocator.memory.buffer.byteLength).toBe(reserved)
      }),
      { numRuns: 200 },
    )
  })

  it('reuses what was returned and reports the peak', () => {
    const allocator = make()
    const first = allocator.allocate(1000)
    allocator.release(first)
    expect(allocator.allocate(1000)).toBe(first)
    expect(allocator.usage()).toMatchObject({ liveBytes: 1024, peakBytes: 1024, blocks: 1 })
  })

  it('refuses a number of bytes that has wrapped or is none', () => {
    const allocator = make()
    for (const bytes of [-1, -(2 ** 31), NaN, Infinity])
      expect(() => allocator.allocate(bytes)).toThrow(OutOfMemoryError)
    expect(allocator.usage()).toMatchObject({ liveBytes: 0, blocks: 0 })
  })

  it('leaves the last page of 4 GiB free, so that the address behind a block fits 32 bits', () => {
    const memory = { buffer: { byteLength: 2 ** 32 }, grow: () => 0 } as unknown as WebAssembly.Memory
    const allocator = new Allocator(memory, 2 ** 32 - 3 * 65536)
    const last = allocator.allocate(2 * 65536)
    expect(last + 2 * 65536).toBe(2 ** 32 - 65536)
    expect(() => allocator.allocate(64)).toThrow(OutOfMemoryError)
  })

  it('says how much was asked for when memory ends, and goes on', () => {
    const allocator = make()
    const kept = allocator.allocate(100)
    const before = allocator.usage()
    expect(() => allocator.allocate(5 * 2 ** 30)).toThrow(OutOfMemoryError)
    expect(() => allocator.allocate(5 * 2 ** 30)).toThrow(/5120\.0 MiB asked for with 128 bytes in use/)
    expect(allocator.usage()).toEqual(before)
    allocator.release(kept)
    expect(allocator.allocate(100)).toBe(kept)
  })

  it('leaves everything intact when the engine refuses to grow', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 })
    const allocator = new Allocator(memory, 0)
    const pointer = allocator.allocate(60_000)
    new Uint8Array(memory.buffer)[pointer] = 7
    expect(() => allocator.allocate(200_000)).toThrow(OutOfMemoryError)
    expect(new Uint8Array(memory.buffer)[pointer]).toBe(7)
    expect(allocator.usage().liveBytes).toBe(60_032)
    allocator.release(pointer)
    expect(allocator.allocate(60_000)).toBe(pointer)
  })

  it('refuses a pointer it did not give', () => {
    expect(() => {
      make().release(64)
    }).toThrow(/not an allocated block/)
  })
})
