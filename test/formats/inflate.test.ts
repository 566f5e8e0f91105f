import fc from 'fast-check'
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Inflator } from '../../src/formats/inflate.js'
import { mutate, randomOf } from '../helpers/mutants.js'

class Damaged extends Error {}
const fail = (what: string): Damaged => new Damaged(what)

/** The parts of a stream, cut at every `step` bytes. */
function partsOf(stream: Uint8Array, step: number): () => Uint8Array | undefined {
  let at = 0
  return () => (at < stream.length ? stream.subarray(at, (at += step)) : undefined)
}

/** All that a stream holds, asked for in pieces, and the bytes after it. */
function inflate(stream: Uint8Array, step = stream.length, piece = 1000): { content: Uint8Array; rest: number[] } {
  const inflator = new Inflator(partsOf(stream, step), fail)
  const pieces: Uint8Array[] = []
  for (;;) {
    const target = new Uint8Array(piece)
    const filled = inflator.read(target)
    pieces.push(target.subarray(0, filled))
    if (filled < piece) break
  }
  const rest: number[] = []
  for (let byte = inflator.byte(); byte !== undefined; byte = inflator.byte()) rest.push(byte)
  return { content: Uint8Array.from(Buffer.concat(pieces)), rest }
}

/** Bytes of every kind: noise, runs, and repetitions near and far. */
function sample(seed: number, length: number): Uint8Array {
  const random = randomOf(seed)
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const run = 1 + random(random(2) === 0 ? 40 : 3000)
    const kind = random(4)
    for (const end = Math.min(length, at + run); at < end; at++) {
      if (kind === 0) bytes[at] = random(256)
      else if (kind === 1) bytes[at] = run & 255
      else bytes[at] = at < 40_000 ? random(7) : bytes[at - (kind === 2 ? 3 : 31_000 + (run % 1768))]!
    }
  }
  return bytes
}

const strategies = [
  constants.Z_DEFAULT_STRATEGY,
  constants.Z_FILTERED,
  constants.Z_HUFFMAN_ONLY,
  constants.Z_RLE,
  constants.Z_FIXED,
]

describe('Inflator', () => {
  it('gives what was deflated, in every way, however it is cut and asked for, and what follows', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.oneof(fc.nat(300), fc.nat(200_000)),
        fc.nat(9),
        fc.constantFrom(...strategies),
        fc.integer({ min: 1, max: 70_000 }),
        fc.integer({ min: 1, max: 70_000 }),
        (seed, length, level, strategy, step, piece) => {
          const content = sample(seed, length)
          const deflated = deflateRawSync(content, { level, strategy, memLevel: 1 + (seed % 9) })
          const found = inflate(Buffer.concat([deflated, Buffer.of(1, 2, 3, 4, 5)]), step, piece)
          expect(Buffer.compare(found.content, content)).toBe(0)
          expect(found.rest).toEqual([1, 2, 3, 4, 5])
        },
      ),
      { numRuns: 150 },
    )
  })

  it('takes streams of many blocks, and of empty ones', () => {
    const stored = (bytes: number[], last: boolean) => [
      last ? 1 : 0,
      bytes.length,
      0,
      255 ^ bytes.length,
      255,
      ...bytes,
    ]
    const stream = Uint8Array.from([
      ...stored([], false),
      ...stored([7, 8], false),
      ...stored([], false),
      ...stored([9], true),
    ])
    expect(inflate(stream)).toEqual({ content: Uint8Array.of(7, 8, 9), rest: [] })
    expect(inflate(Uint8Array.of(3, 0))).toEqual({ content: new Uint8Array(0), rest: [] })
  })

  it('takes a megabyte of blocks that hold codes and nothing else in little time', () => {
    const bits: number[] = []
    const put = (value: number, count: number): void => {
      for (let i = 0; i < count; i++) bits.push((value >> i) & 1)
    }
    // 257 literals and one distance, by lengths of the symbols 18, 1 and 0; of the literals, only the end has a code.
    put(0b100, 3)
    put(0, 10)
    put(14, 4)
    for (const length of [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]) put(length, 3)
    put(127 << 1, 8)
    put(107 << 1, 8)
    put(0b0111, 4)
    put(0, 1)
    while (bits.length % 8 > 0) bits.push(...bits)
    const blocks = Uint8Array.from({ length: bits.length / 8 }, (_, i) =>
      bits.slice(8 * i, 8 * i + 8).reduce((byte, bit, at) => byte | (bit << at), 0),
    )
    const stream = new Uint8Array(Math.ceil(2 ** 20 / blocks.length) * blocks.length + 2)
    for (let at = 0; at < stream.length - 2; at += blocks.length) stream.set(blocks, at)
    stream.set([3, 0], stream.length - 2)
    expect(inflateRawSync(stream)).toHaveLength(0)
    const before = process.cpuUsage()
    expect(inflate(stream)).toEqual({ content: new Uint8Array(0), rest: [] })
    // 60 ms; with tables for each block it was 260.
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(2)
  })

  it('reads a code by its bits and then by its table, in every block', () => {
    const stream: Buffer[] = []
    const content: Uint8Array[] = []
    for (let length = 0; length < 120; length++) {
      // A full flush ends a block and begins another.
      const part = sample(length, 3 * length)
      content.push(part)
      stream.push(deflateRawSync(part, { finishFlush: constants.Z_FULL_FLUSH }))
    }
    const whole = Buffer.concat([...stream, Buffer.of(3, 0)])
    expect(Buffer.compare(inflate(whole, 7).content, Buffer.concat(content))).toBe(0)
  })

  it('answers every mutant as zlib does: the same bytes, or an error', () => {
    const random = randomOf(1)
    for (let n = 0; n < 3000; n++) {
      const level = random(10)
      const strategy = strategies[random(5)]!
      const stream = mutate(deflateRawSync(sample(n, random(600)), { level, strategy }), random)
      let expected: Uint8Array | undefined
      try {
        expected = inflateRawSync(stream, { maxOutputLength: 2_000_000 })
      } catch {
        expected = undefined
      }
      let found: Uint8Array | undefined
      try {
        found = inflate(stream).content
      } catch (error) {
        if (!(error instanceof Damaged)) throw error
      }
      expect(found === undefined, `mutant ${n}`).toBe(expected === undefined)
      if (found && expected) expect(Buffer.compare(found, expected), `mutant ${n}`).toBe(0)
    }
  })

  it('stops in the middle of a bomb', () => {
    const bomb = deflateRawSync(new Uint8Array(200_000_000))
    let given = 0
    const inflator = new Inflator(() => bomb.subarray(given, (given += 16)), fail)
    expect(inflator.read(new Uint8Array(100))).toBe(100)
    expect(given).toBeLessThan(1000)
  })
})
