/**
 * Decompression (LZMA, by Igor Pavlov: matches in what was written before, and adaptive arithmetic coding) of the core that
 * the build compressed. It is a fifth smaller than deflated, and is unpacked in the same time. The stream is our own, so
 * nothing is checked; every page that loads the package carries this file.
 */
import type { OwnBytes } from './platform.js'

/** How the build sets LZMA: the literal's context is three bits of the byte before, and the position's two bits. */
const LITERAL_BITS = 3
const POSITIONS = 4
/** Bytes before the stream: settings, size of the dictionary, and the unpacked size as 64 bits. */
const HEADER = 13

// Where the probabilities of each decision lie in one table, by the twelve states of the last packets (times 16 positions).
const IS_MATCH = 0
const IS_REPEATED = 192
const IS_FIRST = 204
const IS_SECOND = 216
const IS_THIRD = 228
const IS_LONG = 240
const DISTANCE_SLOT = 432
const DISTANCE_BITS = 688
const DISTANCE_LOW = 802
const NEW_LENGTH = 818
const OLD_LENGTH = 1332
const LITERAL = 1846
const LITERAL_SIZE = 768

/** The bytes that were compressed. */
export function unpackCore(source: Uint8Array): OwnBytes {
  const output = new Uint8Array(new DataView(source.buffer, source.byteOffset).getUint32(5, true))
  // Probabilities of a zero, in 2048ths.
  const probabilities = new Uint16Array(LITERAL + (LITERAL_SIZE << LITERAL_BITS)).fill(1024)
  let at = HEADER + 1
  let range = 0xffffffff
  let code = 0
  const next = (): void => {
    code = ((code << 8) | (source[at++] as number)) >>> 0
  }
  for (let i = 0; i < 4; i++) next()
  const grow = (): void => {
    if (range >= 1 << 24) return
    range = (range << 8) >>> 0
    next()
  }
  const bit = (index: number): number => {
    const probability = probabilities[index] as number
    const bound = (range >>> 11) * probability
    const is = code < bound ? 0 : 1
    if (is === 0) {
      range = bound
      probabilities[index] = probability + ((2048 - probability) >> 5)
    } else {
      range -= bound
      code -= bound
      probabilities[index] = probability - (probability >> 5)
    }
    grow()
    return is
  }
  /** A number of some bits, the highest first, each with probabilities by those before it. */
  const tree = (base: number, bits: number): number => {
    let node = 1
    for (let i = 0; i < bits; i++) node = 2 * node + bit(base + node)
    return node - (1 << bits)
  }
  /** The same with the lowest bit first. */
  const reversed = (base: number, bits: number): number => {
    let node = 1
    let value = 0
    for (let i = 0; i < bits; i++) {
      const is = bit(base + node)
      node = 2 * node + is
      value |= is << i
    }
    return value
  }
  const lengthOf = (base: number, position: number): number => {
    if (bit(base) === 0) return 2 + tree(base + 2 + position * 8, 3)
    return bit(base + 1) === 0 ? 10 + tree(base + 130 + position * 8, 3) : 18 + tree(base + 258, 8)
  }
  const distanceOf = (length: number): number => {
    const slot = tree(DISTANCE_SLOT + Math.min(length - 2, 3) * 64, 6)
    if (slot < 4) return slot
    const bits = (slot >> 1) - 1
    const high = (2 | (slot & 1)) << bits
    if (slot < 14) return high + reversed(DISTANCE_BITS + high - slot - 1, bits)
    let middle = 0
    for (let i = 4; i < bits; i++) {
      range >>>= 1
      middle *= 2
      if (code >= range) {
        code -= range
        middle++
      }
      grow()
    }
    return high + middle * 16 + reversed(DISTANCE_LOW, 4)
  }
  /** Distances of the last four matches, less one. */
  const last = [0, 0, 0, 0]
  const behind = (written: number): number => output[written - (last[0] as number) - 1] as number
  let state = 0
  for (let written = 0; written < output.length;) {
    const position = written % POSITIONS
    if (bit(IS_MATCH + state * 16 + position) === 0) {
      const before = written > 0 ? (output[written - 1] as number) : 0
      const base = LITERAL + LITERAL_SIZE * (before >> (8 - LITERAL_BITS))
      let symbol = 1
      // After a match the byte is unlike the one that would have gone on with it: its bits tell, until one differs.
      for (let match = behind(written), alike = state >= 7; alike && symbol < 256; match <<= 1) {
        const expected = (match >> 7) & 1
        symbol = 2 * symbol + bit(base + ((1 + expected) << 8) + symbol)
        alike = (symbol & 1) === expected
      }
      while (symbol < 256) symbol = 2 * symbol + bit(base + symbol)
      output[written++] = symbol
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6
      continue
    }
    const early = state < 7
    let length = 1
    if (bit(IS_REPEATED + state) === 0) {
      length = lengthOf(NEW_LENGTH, position)
      last.unshift(distanceOf(length))
      last.pop()
      state = early ? 7 : 10
    } else {
      const first = bit(IS_FIRST + state) === 0
      const one = first && bit(IS_LONG + state * 16 + position) === 0
      const which = first ? 0 : bit(IS_SECOND + state) === 0 ? 1 : 2 + bit(IS_THIRD + state)
      last.unshift(...last.splice(which, 1))
      if (!one) length = lengthOf(OLD_LENGTH, position)
      state = one ? (early ? 9 : 11) : early ? 8 : 11
    }
    for (const end = written + length; written < end; written++) output[written] = behind(written)
  }
  return output
}
