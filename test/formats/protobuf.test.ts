import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  blob,
  decode,
  doubles,
  encode,
  float,
  floats,
  int32s,
  int64,
  int64s,
  integer,
  integers,
  many,
  mapped,
  maybe,
  message,
  one,
  Refusal,
  text,
  uint64s,
  type Message,
} from '../../src/formats/protobuf.js'
import { ArgumentError, FormatError, UnsupportedError } from '../../src/runtime/errors.js'

interface Sample {
  readonly name: string
  readonly bytes: Uint8Array | undefined
  readonly size: number
  readonly big: bigint
  readonly real: number | undefined
  readonly texts: readonly string[]
  readonly blobs: readonly Uint8Array[]
  readonly sizes: readonly number[]
  readonly floats: Float32Array
  readonly doubles: Float64Array
  readonly int32s: Int32Array
  readonly int64s: BigInt64Array
  readonly uint64s: BigUint64Array
  readonly child: Sample | undefined
  readonly children: readonly Sample[]
  readonly sign: '+' | '-'
}

const sample: Message<Sample> = message<Sample>(
  'sample',
  () => ({
    name: one(1, text, ''),
    bytes: maybe(2, blob),
    size: one(3, integer, 0),
    big: one(4, int64, 0n),
    real: maybe(5, float),
    texts: many(6, text),
    blobs: many(7, blob),
    sizes: integers(8, 100),
    floats: floats(9),
    doubles: doubles(10),
    int32s: int32s(11),
    int64s: int64s(12),
    uint64s: uint64s(13),
    child: maybe(14, sample),
    children: many(15, sample),
    sign: one(
      200,
      mapped(
        integer,
        (code) => (code === 1 ? '-' : '+'),
        (sign) => (sign === '-' ? 1 : 0),
      ),
      '+',
    ),
  }),
  {
    kind: 'sign',
    refused: { 1000: 'it is of the thousandth kind, which is not read' },
    check({ name }) {
      if (name === 'forbidden') throw new Refusal('the name is forbidden')
    },
  },
)

const empty = decode(sample, new Uint8Array(0), 'x')
const read = (...bytes: readonly number[]): Sample => decode(sample, Uint8Array.from(bytes), 'x')

function failure(
  bytes: Uint8Array | readonly number[],
  Kind: typeof FormatError | typeof UnsupportedError = FormatError,
) {
  try {
    decode(sample, Uint8Array.from(bytes), 'x.bin')
  } catch (error) {
    expect(error).toBeInstanceOf(Kind)
    const { message } = error as Error
    expect(message.startsWith('x.bin: ')).toBe(true)
    expect(message).not.toContain('\n')
    return message.slice('x.bin: '.length)
  }
  throw new Error('no error was thrown')
}

const wellFormed = fc.string({ unit: 'grapheme', maxLength: 8 })
const bytesOf = fc.uint8Array({ maxLength: 8 })
const int64Of = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
/** Samples of so many levels. */
const samplesOf = (levels: number): fc.Arbitrary<Sample> =>
  fc.record<Sample>({
    name: wellFormed.filter((name) => name !== 'forbidden'),
    bytes: fc.option(bytesOf, { nil: undefined }),
    size: fc.maxSafeInteger(),
    big: int64Of,
    real: fc.option(fc.float(), { nil: undefined }),
    texts: fc.array(wellFormed, { maxLength: 3 }),
    blobs: fc.array(bytesOf, { maxLength: 3 }),
    sizes: fc.array(fc.maxSafeInteger(), { maxLength: 3 }),
    floats: fc.float32Array({ maxLength: 4 }),
    doubles: fc.float64Array({ maxLength: 4 }),
    int32s: fc.int32Array({ maxLength: 4 }),
    int64s: fc.array(int64Of, { maxLength: 4 }).map((list) => BigInt64Array.from(list)),
    uint64s: fc
      .array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 4 })
      .map((list) => BigUint64Array.from(list)),
    child: levels > 1 ? fc.option(samplesOf(levels - 1), { nil: undefined }) : fc.constant(undefined),
    children: levels > 1 ? fc.array(samplesOf(levels - 1), { maxLength: 2 }) : fc.constant([]),
    sign: fc.constantFrom('+' as const, '-' as const),
  })
const samples = samplesOf(3)

/** A field of wire type 2. */
const field = (number: number, content: readonly number[]): number[] => [number * 8 + 2, content.length, ...content]

describe('messages', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(samples, (given) => {
        const bytes = encode(sample, given)
        expect(decode(sample, bytes, 'x')).toEqual(given)
        expect(encode(sample, decode(sample, bytes, 'x'))).toEqual(bytes)
      }),
    )
  })

  it('are refused where they are cut, but between fields', () => {
    fc.assert(
      fc.property(samples, fc.nat(), (given, at) => {
        const bytes = encode(sample, given)
        const cut = at % (bytes.length + 1)
        let part: Sample
        try {
          part = decode(sample, bytes.slice(0, cut), 'x')
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError)
          return
        }
        expect(encode(sample, part)).toEqual(bytes.slice(0, cut))
      }),
    )
  })

  it('throw nothing else, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          decode(sample, bytes, 'x')
        } catch (error) {
          expect(error instanceof FormatError || error instanceof UnsupportedError).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('are the bytes of the documentation', () => {
    // https://protobuf.dev/programming-guides/encoding: 150, "testing", a message of 150, packed 3, 270, 86942, and −2.
    expect(read(0x18, 0x96, 1).size).toBe(150)
    expect(read(0x0a, 7, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67).name).toBe('testing')
    expect(read(0x72, 3, 0x18, 0x96, 1).child?.size).toBe(150)
    expect([...read(0x62, 6, 3, 0x8e, 2, 0x9e, 0xa7, 5).int64s]).toEqual([3n, 270n, 86942n])
    const minusTwo = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]
    expect(read(0x18, ...minusTwo).size).toBe(-2)
    expect(read(0x20, ...minusTwo).big).toBe(-2n)
    expect([...read(...field(11, minusTwo)).int32s]).toEqual([-2])
    expect([...read(...field(13, minusTwo)).uint64s]).toEqual([2n ** 64n - 2n])
    expect([...encode(sample, { ...empty, size: -2 })]).toEqual([0x18, ...minusTwo])
    expect([...encode(sample, { ...empty, size: 150, name: 'a' })]).toEqual([0x0a, 1, 0x61, 0x18, 0x96, 1])
    expect(encode(sample, empty)).toHaveLength(0)
  })

  it('hold lists of numbers packed, unpacked, and in parts of both', () => {
    const one = [0, 0, 0x80, 0x3f]
    const two = [0, 0, 0, 0x40]
    expect([...read(...field(9, [...one, ...two])).floats]).toEqual([1, 2])
    expect([...read(0x4d, ...one, 0x4d, ...two).floats]).toEqual([1, 2])
    expect([...read(...field(9, one), 0x4d, ...two, ...field(9, []), ...field(9, [...two, ...one])).floats]).toEqual([
      1, 2, 2, 1,
    ])
    expect([...read(0x58, 5, ...field(11, [6, 0x87, 1]), 0x58, 8, ...field(11, [9])).int32s]).toEqual([5, 6, 135, 8, 9])
    expect(read(0x40, 5, ...field(8, [6, 0x87, 1]), 0x40, 8).sizes).toEqual([5, 6, 135, 8])
    expect([...read(...field(10, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f])).doubles]).toEqual([1])
    expect([...read(0x51, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f).doubles]).toEqual([1])
    // Lower halves, as others take what is too large for 32 bits.
    expect([...read(0x58, 0x81, 0x80, 0x80, 0x80, 0x10).int32s]).toEqual([1])
  })

  it('skip fields that are not known', () => {
    const unknown = [
      ...[0xa0, 1, 0xff, 1],
      ...[0xa1, 1, 1, 2, 3, 4, 5, 6, 7, 8],
      ...[0xa2, 1, 2, 1, 2],
      ...[0xa5, 1, 1, 2, 3, 4],
      // The largest number that a field can have.
      ...[0xf8, 0xff, 0xff, 0xff, 0x0f, 1],
    ]
    expect(read(...unknown, 0x18, 7, ...unknown)).toEqual({ ...empty, size: 7 })
    expect(failure([0xa5, 1, 1, 2, 3])).toContain('cut short')
    expect(failure([0xa2, 1, 3, 1, 2])).toContain('3 bytes are due, 2 are left')
    expect(failure([0xa1, 1, 1])).toContain('8 bytes are due, 1 are left')
  })

  it('take the last of two values, and refuse two of one message', () => {
    expect(read(0x18, 1, 0x18, 2).size).toBe(2)
    expect(failure([...field(14, []), ...field(14, [])])).toContain('there twice')
  })

  it('leave bytes and aligned floats where they are', () => {
    const file = encode(sample, {
      ...empty,
      bytes: Uint8Array.of(1, 2, 3),
      blobs: [Uint8Array.of(4)],
      floats: Float32Array.of(1, 2),
    })
    const inPlace = [0, 1, 2, 3].map((shift) => {
      const moved = new Uint8Array(file.length + shift).subarray(shift)
      moved.set(file)
      const { bytes, blobs, floats } = decode(sample, moved, 'x')
      expect([bytes?.buffer, blobs[0]?.buffer]).toEqual([moved.buffer, moved.buffer])
      expect([...floats]).toEqual([1, 2])
      return floats.buffer === moved.buffer
    })
    expect(inPlace.filter(Boolean)).toHaveLength(1)
  })
})

describe('what is refused', () => {
  it.each<[string, readonly number[], RegExp]>([
    ['a group', [0xa3, 1], /a group is not read/],
    ['the end of a group', [0xa4, 1], /the end of a group is not read/],
    ['wire type 6', [0xa6, 1], /the wire type 6 is not read/],
    ['wire type 7', [0xa7, 1], /the wire type 7 is not read/],
    ['the field 0', [0, 1], /a number that there is not/],
    ['a key of more than 32 bits', [0x88, 0x80, 0x80, 0x80, 0x80, 1, 1], /a number that there is not/],
    ['a text as a varint', [0x08, 1], /a varint in place of bytes with their length/],
    ['a varint as bytes', [...field(3, [1])], /bytes with their length in place of a varint/],
    ['a float of 8 bytes', [0x29, 1, 2, 3, 4, 5, 6, 7, 8], /8 bytes in place of 4 bytes/],
    ['floats of 8 bytes', [0x49, 1, 2, 3, 4, 5, 6, 7, 8], /8 bytes in place of bytes with their length/],
    ['whole numbers of 4 bytes', [0x45, 1, 2, 3, 4], /4 bytes in place of bytes/],
    ['a group in place of a text', [0x0b], /a group in place of/],
    ['floats of six bytes', field(9, [1, 2, 3, 4, 5, 6]), /6 bytes are no list of numbers of 4 bytes/],
    ['doubles of four bytes', field(10, [1, 2, 3, 4]), /4 bytes are no list of numbers of 8 bytes/],
    ['a varint without its end', [0x18, 0x80], /1 bytes are due, 0 are left/],
    ['packed varints without their end', [...field(12, [1, 0x80]), 0x18, 1], /1 bytes are due, 0 are left/],
    ['an eleventh byte', [0x18, ...new Array<number>(10).fill(0x80), 1], /more than 64 bits/],
    ['a 65th bit', [0x18, ...new Array<number>(9).fill(0xff), 2], /more than 64 bits/],
    ['2^53', [0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], /the number 9007199254740992 is out of range/],
    ['a length of 2^63', [0x0a, ...new Array<number>(9).fill(0x80), 1], /922337203685477\d+ bytes are due, 0 are left/],
    [
      'a length of 2^64 - 1',
      [0x0a, ...new Array<number>(9).fill(0xff), 1],
      /184467440737095\d+ bytes are due, 0 are left/,
    ],
    ['a length of 2^32', [0x0a, 0x80, 0x80, 0x80, 0x80, 0x10, 1], /4294967296 bytes are due, 1 are left/],
    ['a message longer than the one around it', [...field(14, [0x0a, 2, 0x61]), 0x61], /2 bytes are due, 1 are left/],
    ['a text that is not UTF-8', field(1, [0xff]), /not in UTF-8/],
    ['a surrogate', field(1, [0xed, 0xa0, 0x80]), /not in UTF-8/],
    [
      'a list that is too long',
      field(8, new Array<number>(101).fill(1)),
      /a list has 101 numbers; at most 100 are read/,
    ],
  ])('%s', (_, bytes, reason) => {
    expect(failure(bytes)).toMatch(reason)
    // And within messages.
    expect(failure(field(14, field(15, bytes)))).toMatch(/^sample \(\+\), sample \(\+\), sample 0 \(\+\)[:,] /)
  })

  it('is told with the messages around it', () => {
    const named = field(1, [0x61, 0x0a])
    const bad = field(1, [0xff])
    expect(failure(field(14, [...named, ...bad]))).toMatch(
      /^sample \(\+\), sample 'a\\n' \(\+\): a text is not in UTF-8/,
    )
    const third = [...field(15, []), ...field(15, named), ...field(15, bad)]
    expect(failure(third)).toMatch(/^sample \(\+\), sample 2 \(\+\): a text/)
    expect(failure([...field(14, third), 0xc0, 0x0c, 1])).toMatch(
      /^sample \(\+\), sample \(\+\), sample 2 \(\+\): a text/,
    )
    expect(failure(field(15, field(1, [...new TextEncoder().encode('forbidden')])))).toMatch(/'forbidden' .*: the name/)
    let deep: readonly number[] = bad
    for (let level = 0; level < 20; level++) deep = field(14, deep)
    expect(failure(deep).length).toBeLessThan(200)
    expect(failure([0xc2, 0x3e, 0], UnsupportedError)).toMatch(/^sample \(\+\): it is of the thousandth kind/)
  })

  it('is more depth than 64 messages, read or written', () => {
    const nested = (levels: number): Sample => (levels === 1 ? empty : { ...empty, child: nested(levels - 1) })
    const deep = encode(sample, nested(64))
    expect(decode(sample, deep, 'x')).toEqual(nested(64))
    let bytes: Uint8Array = new Uint8Array(0)
    for (let level = 1; level < 65; level++) {
      const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
      bytes = Uint8Array.of(0x72, ...length, ...bytes)
    }
    expect(failure(bytes)).toContain('more than 64 messages within one another')
    expect(() => encode(sample, nested(66))).toThrow(ArgumentError)
    const circle = { ...empty } as { child: Sample }
    circle.child = circle as unknown as Sample
    expect(() => encode(sample, circle as unknown as Sample)).toThrow(/more than 64 messages within/)
  })

  it('is more than 2^20 messages and texts', () => {
    const of = (count: number): Uint8Array => {
      const bytes = new Uint8Array(2 * count)
      for (let i = 0; i < count; i++) bytes[2 * i] = 0x32
      return bytes
    }
    expect(decode(sample, of(2 ** 20), 'x').texts).toHaveLength(2 ** 20)
    expect(() => decode(sample, of(2 ** 20 + 1), 'x')).toThrow(/more than 1048576 messages, texts and lists/)
  })

  it('is a text of more than 16 MiB', () => {
    const bytes = new Uint8Array(2 ** 24 + 7).fill(0x61)
    bytes.set([0x0a, 0x81, 0x80, 0x80, 8])
    expect(() => decode(sample, bytes.subarray(0, 2 ** 24 + 6), 'x')).toThrow(/a text has 16777217 bytes/)
  })

  it('is, to write, what is not whole, and more than 2 GiB', () => {
    expect(() => encode(sample, { ...empty, size: 1.5 })).toThrow(ArgumentError)
    expect(() => encode(sample, { ...empty, sizes: [2 ** 53] })).toThrow(/9007199254740992 is no whole number/)
    const large = new Uint8Array(2 ** 27)
    expect(() => encode(sample, { ...empty, blobs: new Array<Uint8Array>(16).fill(large) })).toThrow(/at most 2 GiB/)
  })
})

it('reads numbers one by one in linear time', () => {
  const count = 400_000
  const unpacked = new Uint8Array(2 * count)
  const packed = new Uint8Array(3 * count)
  for (let i = 0; i < count; i++) {
    unpacked.set([0x60, 1], 2 * i)
    packed.set([0x62, 1, 1], 3 * i)
  }
  for (const bytes of [unpacked, packed]) {
    const began = performance.now()
    expect(decode(sample, bytes, 'x').int64s).toHaveLength(count)
    expect(performance.now() - began).toBeLessThan(2000)
  }
})
