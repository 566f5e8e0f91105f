import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeSafetensors, encodeSafetensors, type SafetensorsInput } from '../../src/formats/safetensors.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'

const runs = { numRuns: 100 }

/** A file of a header as text and data. */
function fileOf(header: string | Uint8Array, data: ArrayLike<number> = []): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header
  const bytes = new Uint8Array(8 + text.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
  bytes.set(text, 8)
  bytes.set(data, 8 + text.length)
  return bytes
}

const entry = (dtype: string, shape: string, offsets: string) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`

function failure(bytes: Uint8Array): FormatError {
  try {
    decodeSafetensors(bytes, 'some.safetensors')
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError)
    const { message } = error as FormatError
    expect(message.startsWith('some.safetensors: ')).toBe(true)
    expect(message).not.toContain('\n')
    return error as FormatError
  }
  throw new Error('no error was thrown')
}

const inputs: fc.Arbitrary<SafetensorsInput> = fc
  .tuple(
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    fc.nat(4),
    fc.uint8Array({ minLength: 512, maxLength: 512 }),
  )
  .map(([shape, kind, noise]) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1)
    const constructors = [
      () => Float32Array.from(noise.subarray(0, size), (byte) => byte / 3 - 40),
      () => Float64Array.from(noise.subarray(0, size), (byte) => byte / 3 - 40),
      () => Int32Array.from(noise.subarray(0, size), (byte) => (byte - 128) * 9_000_000),
      () => noise.slice(0, size),
      () => new BigInt64Array(noise.slice(0, size * 8).buffer),
    ]
    return { shape, data: constructors[kind]?.() ?? new Uint8Array(size) }
  })
const names = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((name) => name !== '__metadata__')
const tensorRecords = fc.dictionary(names, inputs, { maxKeys: 5 })
const metadataRecords = fc.dictionary(names, fc.string({ unit: 'grapheme' }), { maxKeys: 3 })

describe('encodeSafetensors and decodeSafetensors', () => {
  it('give back tensors, their order and metadata', () => {
    fc.assert(
      fc.property(tensorRecords, metadataRecords, (tensors, metadata) => {
        const bytes = encodeSafetensors(tensors, metadata)
        expect(encodeSafetensors(tensors, metadata)).toEqual(bytes)
        expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0)
        const decoded = decodeSafetensors(bytes, 'x')
        expect([...decoded.tensors.keys()]).toEqual(Object.keys(tensors))
        expect(Object.entries(decoded.metadata)).toEqual(Object.entries(metadata))
        for (const [name, { shape, data }] of Object.entries(tensors)) {
          expect(decoded.tensors.get(name)?.shape).toEqual(shape)
          expect(decoded.tensors.get(name)?.data).toEqual(data)
        }
      }),
      runs,
    )
  })

  it('report every truncation and every addition', () => {
    fc.assert(
      fc.property(tensorRecords, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 20 }), (tensors, where, more) => {
        const bytes = encodeSafetensors(tensors)
        failure(bytes.slice(0, where % bytes.length))
        const longer = new Uint8Array(bytes.length + more.length)
        longer.set(bytes)
        longer.set(more, bytes.length)
        failure(longer)
      }),
      runs,
    )
  })

  it('answer a changed byte with a FormatError or a file that is consistent', () => {
    fc.assert(
      fc.property(tensorRecords, fc.nat(), fc.integer({ min: 1, max: 255 }), (tensors, where, change) => {
        const bytes = encodeSafetensors(tensors)
        // Within the header and its length: data carry no checksum.
        const at = where % (8 + new DataView(bytes.buffer).getUint32(0, true))
        bytes[at] = (bytes[at] ?? 0) ^ change
        try {
          for (const { shape, data } of decodeSafetensors(bytes, 'x').tensors.values()) {
            expect(data.length).toBe(shape.reduce((product, dimension) => product * dimension, 1))
          }
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      runs,
    )
  })
})

describe('a checksum', () => {
  const sealed = encodeSafetensors(
    { w: { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }, empty: { shape: [0], data: new Uint8Array(0) } },
    { classes: 'cat, dög', 7: 'seven' },
    { checksum: true },
  )

  it('comes first in the metadata, is told of, and is not part of what is given back', () => {
    const text = new TextDecoder().decode(sealed.subarray(8))
    expect(text).toMatch(
      /^\{"__metadata__":\{"toeplitz-checksum":"toeplitz-murmur3:[0-9a-f]{32}","7":"seven","classes":/,
    )
    const { metadata, verified, tensors } = decodeSafetensors(sealed, 'x')
    expect([verified, metadata]).toEqual([true, { classes: 'cat, dög', 7: 'seven' }])
    const again = Object.fromEntries([...tensors].map(([key, { shape, data }]) => [key, { shape, data }]))
    expect(encodeSafetensors(again as Record<string, SafetensorsInput>, metadata, { checksum: true })).toEqual(sealed)
    expect(decodeSafetensors(encodeSafetensors(again as Record<string, SafetensorsInput>), 'x').verified).toBe(false)
  })

  it('refuses every flipped bit, wherever it is', () => {
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const bytes = sealed.slice()
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7))
      failure(bytes)
    }
  })

  it('lets no exchanged, repeated, zeroed or missing part reach a tensor', () => {
    const { tensors } = decodeSafetensors(sealed, 'x')
    const named = Object.fromEntries([...tensors].map(([key, { shape, data }]) => [key, { shape, data }]))
    const weights = encodeSafetensors(named as Record<string, SafetensorsInput>, {}, { checksum: true })
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 64 }), fc.nat(3), (from, to, length, kind) => {
        const bytes = weights.slice()
        const [a, b] = [from % (bytes.length - length), to % (bytes.length - length)]
        const part = bytes.slice(a, a + length)
        if (kind === 0) bytes.copyWithin(a, b, b + length).set(part, b)
        else if (kind === 1) bytes.copyWithin(b, a, a + length)
        else if (kind === 2) bytes.fill(0, a, a + length)
        else bytes.copyWithin(a, a + length).fill(0, bytes.length - length)
        try {
          // Where nothing but the checksum itself is damaged, and all of it, there is nothing that could tell.
          expect(decodeSafetensors(bytes, 'x').tensors).toEqual(tensors)
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 500 },
    )
  })

  it('says what to do where a program changed the file and kept the metadata', () => {
    const moved = encodeSafetensors({}, { a: 'b' })
    const text = new TextDecoder().decode(moved.subarray(8)).replace('"a"', '"toeplitz-checksum"')
    expect(failure(fileOf(text)).message).toContain("has to leave out 'toeplitz-checksum' of the metadata")
    for (const metadata of [{ 'toeplitz-checksum': '' }, { a: 'toeplitz-murmur3:0' }]) {
      expect(() => encodeSafetensors({}, metadata)).toThrow(/is reserved; ask for a checksum by the option/)
    }
  })
})

describe('encodeSafetensors', () => {
  it('writes the bytes of the format', () => {
    const bytes = encodeSafetensors({ w: { shape: [2], data: Float32Array.of(1, -2) } }, { a: 'b' })
    const header = '{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
    expect(bytes).toEqual(fileOf(padded, [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]))
  })

  it('writes a part of a larger buffer', () => {
    const part = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
    const { tensors } = decodeSafetensors(encodeSafetensors({ part: { shape: [1, 2], data: part } }), 'x')
    expect(tensors.get('part')?.data).toEqual(Float32Array.of(2, 3))
  })

  it.each([
    ['a shape too small', { w: { shape: [2], data: new Float32Array(3) } }, {}, '"w" has 3 elements, which shape (2)'],
    ['a negative shape', { w: { shape: [-1, -3], data: new Float32Array(3) } }, {}, 'shape (-1, -3)'],
    ['the reserved name', { __metadata__: { shape: [], data: new Float32Array(1) } }, {}, 'reserved'],
    ['a name of half a letter', { 'a\ud800': { shape: [], data: new Float32Array(1) } }, {}, 'not well-formed'],
    ['metadata of half a letter', {}, { a: '\udc00' }, 'metadata "a" is not well-formed'],
    ['metadata of numbers', {}, { a: 1 as unknown as string }, 'metadata "a" is not a string'],
    [
      '16-bit data',
      { w: { shape: [1], data: new Int16Array(1) as unknown as Int32Array } },
      {},
      'must be a Float32Array',
    ],
    [
      'more metadata than can be read back',
      {},
      Object.fromEntries(Array.from({ length: 65_537 }, (_, i) => [String(i), ''])),
      '0 tensors and 65537 metadata; at most 524288 and 65536 can be read back',
    ],
  ])('refuses %s', (_, tensors, metadata, expected) => {
    const act = () => encodeSafetensors(tensors, metadata)
    expect(act).toThrow(ShapeError)
    expect(act).toThrow(expected)
  })
})

describe('decodeSafetensors', () => {
  it.each([
    ['F64', Float64Array.of(1.1, -Infinity)],
    ['F32', Float32Array.of(1.5, 3e38)],
    ['I64', BigInt64Array.of(-(2n ** 63n), 5n)],
    ['U64', BigUint64Array.of(2n ** 64n - 1n, 5n)],
    ['I32', Int32Array.of(-(2 ** 31), 7)],
    ['U32', Uint32Array.of(2 ** 32 - 1, 7)],
    ['I16', Int16Array.of(-32768, 7)],
    ['U16', Uint16Array.of(65535, 7)],
    ['I8', Int8Array.of(-128, 7)],
    ['U8', Uint8Array.of(255, 7)],
    ['BOOL', Uint8Array.of(1, 0)],
  ])('reads %s, aligned or not, as a copy', (dtype, data) => {
    const raw = new Uint8Array(data.buffer)
    const unpadded = fileOf(`{"a":${entry(dtype, '[2,1]', `[0,${raw.length}]`)}}`, raw)
    for (let shift = 0; shift < 8; shift++) {
      const bytes = new Uint8Array(unpadded.length + shift).subarray(shift)
      bytes.set(unpadded)
      const { tensors } = decodeSafetensors(bytes, 'x')
      bytes.fill(99)
      expect(tensors.get('a')).toEqual({ dtype, shape: [2, 1], data })
    }
  })

  it('refuses more tensors than it reads', () => {
    const nothing = entry('U8', '[0]', '[0,0]')
    const header = (count: number) => `{${Array.from({ length: count }, (_, i) => `"${i}":${nothing}`).join(',')}}`
    expect(failure(fileOf(header(2 ** 19 + 2))).message).toMatch(/an object of more than 524289 members/)
  })

  it('widens F16 exactly', () => {
    const halves = Uint16Array.of(0, 0x8000, 1, 0x83ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x3555)
    const file = fileOf(`{"a":${entry('F16', '[12]', '[0,24]')}}`, new Uint8Array(halves.buffer))
    const values = [0, -0, 2 ** -24, -1023 * 2 ** -24, 2 ** -14, 1, -2, 65504, Infinity, -Infinity, NaN, 1365 / 4096]
    expect(decodeSafetensors(file, 'x').tensors.get('a')?.data).toEqual(Float32Array.from(values))
  })

  it('writes halves that are said to be some, and no others', () => {
    const halves = Uint16Array.of(0x3c00, 0xbc00, 0x0001)
    const { tensors } = decodeSafetensors(encodeSafetensors({ a: { shape: [3], data: halves, dtype: 'F16' } }), 'f')
    expect(tensors.get('a')).toEqual({ dtype: 'F16', shape: [3], data: Float32Array.of(1, -1, 2 ** -24) })
    // Decoded again: floats are floats whatever they were.
    const again = decodeSafetensors(encodeSafetensors(Object.fromEntries(tensors) as never), 'f').tensors.get('a')
    expect(again!.dtype).toBe('F32')
    for (const dtype of [undefined, 'U16']) {
      expect(() => encodeSafetensors({ a: { shape: [3], data: halves, ...(dtype ? { dtype } : {}) } })).toThrow(
        /tensor "a" must be a Float32Array/,
      )
    }
  })

  it('widens BF16 exactly', () => {
    const halves = Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x0001)
    const file = fileOf(`{"a":${entry('BF16', '[4]', '[0,8]')}}`, new Uint8Array(halves.buffer))
    const expected = Float32Array.of(1, -2, Infinity, 2 ** -133)
    expect(decodeSafetensors(file, 'x').tensors.get('a')?.data).toEqual(expected)
  })

  it('reads tensors in the order of the header, wherever their data lie', () => {
    const header = `{"b":${entry('U8', '[1]', '[2,3]')},"none":${entry('F32', '[0,3]', '[2,2]')},"a":${entry('U8', '[2]', '[0,2]')}}`
    const { tensors } = decodeSafetensors(fileOf(header, [1, 2, 3]), 'x')
    expect([...tensors.keys()]).toEqual(['b', 'none', 'a'])
    expect(tensors.get('b')?.data).toEqual(Uint8Array.of(3))
    expect(tensors.get('none')?.data).toEqual(new Float32Array(0))
  })

  it('keeps keys that JavaScript treats specially', () => {
    const scalar = entry('U8', '[]', '[0,1]')
    const header = `{"__metadata__":{"__proto__":"x","constructor":"y"},"__proto__":${scalar}}`
    const { tensors, metadata } = decodeSafetensors(fileOf(header, [5]), 'x')
    expect([...tensors.keys()]).toEqual(['__proto__'])
    expect(Object.entries(metadata)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })

  it('reads a file without tensors', () => {
    expect(decodeSafetensors(fileOf('{}'), 'x').tensors.size).toBe(0)
  })

  const byte = entry('U8', '[1]', '[0,1]')
  it.each([
    ['nothing', new Uint8Array(0), 'cut short: 0 bytes are given'],
    ['seven bytes', new Uint8Array(7), 'cut short: 7 bytes are given'],
    ['a header beyond the file', fileOf('{}').subarray(0, 9), 'the header takes 2 bytes, 1 follow its length'],
    ['a zip archive', new TextEncoder().encode('PK\x03\x04abcdefgh'), 'not a safetensors file: its header would take'],
    ['a header of 101 MB', Uint8Array.of(0x40, 0x1d, 0x05, 0x06, 0, 0, 0, 0), 'over 100 MB'],
    ['a header of no bytes', fileOf(''), 'not a JSON object'],
    ['a header that is no JSON', fileOf('{"a":}'), 'the header is not a JSON object'],
    ['a byte order mark', fileOf('\ufeff{}'), 'the header is not a JSON object'],
    [
      'broken UTF-8',
      fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)),
      'the header is not a JSON object in UTF-8',
    ],
    ['an array', fileOf('[]'), 'not a JSON object'],
    ['null', fileOf('null'), 'not a JSON object'],
    ['deep nesting', fileOf('['.repeat(200_000)), 'not a JSON object'],
    ['deep nesting of objects', fileOf('{"a":'.repeat(200_000)), 'has a value of 999990 characters, "{'],
    [
      'deep nesting that is closed',
      fileOf(`{"a":{"dtype":${'['.repeat(200_000)}${']'.repeat(200_000)}}}`),
      'has a value of 400000 characters, "[[[',
    ],
    ['a tensor that is no object', fileOf('{"a":[1]}'), 'tensor "a" must be an object'],
    [
      'an unknown dtype',
      fileOf(`{"a":${entry('F8_E4M3', '[1]', '[0,1]')}}`, [0]),
      'unknown dtype "F8_E4M3"; known are F64',
    ],
    ['no dtype', fileOf('{"a":{"shape":[1],"data_offsets":[0,1]}}', [0]), 'unknown dtype missing'],
    ['a dtype of Object', fileOf(`{"a":${entry('constructor', '[1]', '[0,1]')}}`, [0]), 'unknown dtype "constructor"'],
    ['no shape', fileOf('{"a":{"dtype":"U8","data_offsets":[0,1]}}', [0]), 'has the shape missing'],
    ['a fractional shape', fileOf(`{"a":${entry('U8', '[0.5,2]', '[0,1]')}}`, [0]), 'has the shape [0.5,2]'],
    ['a negative shape', fileOf(`{"a":${entry('U8', '[-1,-1]', '[0,1]')}}`, [0]), 'has the shape [-1,-1]'],
    ['a shape of text', fileOf(`{"a":${entry('U8', '["1"]', '[0,1]')}}`, [0]), 'has the shape ["1"]'],
    ['a shape too large', fileOf(`{"a":${entry('U8', '[1e300]', '[0,1]')}}`, [0]), 'has the shape [1e+300]'],
    ['no offsets', fileOf('{"a":{"dtype":"U8","shape":[1]}}', [0]), 'data_offsets missing'],
    ['one offset', fileOf(`{"a":${entry('U8', '[1]', '[1]')}}`, [0]), 'data_offsets [1]; they must be two'],
    ['negative offsets', fileOf(`{"a":${entry('U8', '[1]', '[-1,0]')}}`, [0]), 'data_offsets [-1,0]; they must be two'],
    ['fractional offsets', fileOf(`{"a":${entry('U8', '[1]', '[0,1.5]')}}`, [0]), 'they must be two whole numbers'],
    ['offsets that go back', fileOf(`{"a":${entry('U8', '[1]', '[1,0]')}}`, [0]), 'data_offsets [1, 0]'],
    [
      'offsets beyond the file',
      fileOf(`{"a":${entry('U8', '[2]', '[0,2]')}}`, [0]),
      'but the file holds 1 bytes of data',
    ],
    [
      'another byte length',
      fileOf(`{"a":${entry('F32', '[2]', '[0,4]')}}`, [0, 0, 0, 0]),
      'F32 of shape (2) takes 8 bytes',
    ],
    ['a product that overflows', fileOf(`{"a":${entry('U8', '[9e15,9e15]', '[0,1]')}}`, [0]), 'takes 8.1e+31 bytes'],
    [
      'overlap',
      fileOf(`{"a":${entry('U8', '[2]', '[0,2]')},"b":${entry('U8', '[2]', '[1,3]')}}`, [0, 0, 0]),
      '"b" overlaps',
    ],
    ['sharing', fileOf(`{"a":${byte},"b":${byte}}`, [0]), 'tensor "b" overlaps the tensor before it'],
    [
      'a hole',
      fileOf(`{"a":${byte},"b":${entry('U8', '[1]', '[2,3]')}}`, [0, 0, 0]),
      '"b" leaves a hole before it: it begins at 2',
    ],
    ['a hole at the start', fileOf(`{"b":${entry('U8', '[1]', '[1,2]')}}`, [0, 0]), 'leaves a hole'],
    ['trailing bytes', fileOf(`{"a":${byte}}`, [0, 0]), 'the tensors take 1 bytes, the file holds 2'],
    ['a repeated tensor', fileOf(`{"a":${byte},"a" :${byte}}`, [0]), 'has the key "a" twice'],
    ['a repeated tensor, escaped', fileOf(`{"a":${byte},"\\u0061":${byte}}`, [0]), 'has the key "a" twice'],
    [
      'a repeated field',
      fileOf('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', [0]),
      'key "dtype" twice',
    ],
    ['repeated metadata', fileOf('{"__metadata__":{"}{":"\\"","}{":"1"}}'), 'has the key "}{" twice'],
    ['metadata of numbers', fileOf('{"__metadata__":{"a":1}}'), '__metadata__ "a" is not a string'],
    ['metadata of another kind', fileOf('{"__metadata__":"a"}'), '__metadata__ must be an object of strings'],
  ])('explains %s', (_, bytes, expected) => {
    expect(failure(bytes).message).toContain(expected)
  })

  it('shortens what it quotes', () => {
    expect(failure(fileOf(JSON.stringify({ ['n'.repeat(5000)]: 1 }))).message.length).toBeLessThan(250)
  })

  it('does not take equal keys of different objects, or values, for repetition', () => {
    const header = `{"__metadata__":{"a":"a","b":"\\\\","c":"{\\"a\\":1,\\"a\\":2}"},"a":${byte}}`
    expect(decodeSafetensors(fileOf(header, [0]), 'x').tensors.size).toBe(1)
  })
})
