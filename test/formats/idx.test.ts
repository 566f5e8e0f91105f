import fc from 'fast-check'
import { gzipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../src/formats/crc32.js'
import { readIdx, writeIdx } from '../../src/formats/idx.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'

const runs = { numRuns: 100 }
const ascii = (text: string) => new TextEncoder().encode(text)

function concat(...parts: ArrayLike<number>[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}

function failure(bytes: Uint8Array): FormatError {
  try {
    readIdx(bytes, 'some.idx')
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError)
    const { message } = error as FormatError
    expect(message.startsWith('some.idx: ')).toBe(true)
    expect(message).not.toContain('\n')
    return error as FormatError
  }
  throw new Error('no error was thrown')
}

const shapes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })
const arrays = shapes.chain((shape) => {
  const size = shape.reduce((product, dimension) => product * dimension, 1)
  return fc.record({ shape: fc.constant(shape), data: fc.uint8Array({ minLength: size, maxLength: size }) })
})

/** An IDX file of any type, elements written one by one. */
function idxOf(
  code: number,
  width: number,
  values: number[],
  set: (view: DataView, at: number, value: number) => void,
) {
  const bytes = new Uint8Array(8 + width * values.length)
  bytes.set([0, 0, code, 1])
  const view = new DataView(bytes.buffer)
  view.setUint32(4, values.length)
  values.forEach((value, i) => {
    set(view, 8 + width * i, value)
  })
  return bytes
}

describe('readIdx', () => {
  it('reads the bytes of a hand-written file', () => {
    const file = Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255)
    expect(readIdx(file, 'x')).toEqual({ shape: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 255) })
  })

  it.each([
    [0x09, 1, [-128, -1, 0, 127], Int8Array, 'setInt8'],
    [0x0b, 2, [-32768, -2, 258, 32767], Int16Array, 'setInt16'],
    [0x0c, 4, [-(2 ** 31), -2, 16909060, 2 ** 31 - 1], Int32Array, 'setInt32'],
    [0x0d, 4, [-1.5, 0.25, 3e38, Infinity], Float32Array, 'setFloat32'],
    [0x0e, 8, [-1.1, 2 ** -1074, 1e308, -Infinity], Float64Array, 'setFloat64'],
  ] as const)('reads big-endian elements of type %i', (code, width, values, type, setter) => {
    const file = idxOf(code, width, [...values], (view, at, value) => {
      view[setter](at, value)
    })
    const expected = { shape: [4], data: type.from(values) }
    expect(readIdx(file, 'x')).toEqual(expected)
    expect(readIdx(gzipSync(file), 'x')).toEqual(expected)
    const shifted = new Uint8Array(file.length + 3)
    shifted.set(file, 3)
    expect(readIdx(shifted.subarray(3), 'x')).toEqual(expected)
  })

  it('gives back what writeIdx wrote, plain and compressed at any level', () => {
    fc.assert(
      fc.property(arrays, fc.constantFrom(0, 1, 6, 9), ({ shape, data }, level) => {
        const file = writeIdx(shape, data)
        expect(readIdx(file, 'x')).toEqual({ shape, data })
        expect(readIdx(gzipSync(file, { level: level as 0 }), 'x')).toEqual({ shape, data })
      }),
      runs,
    )
  })

  it('reads gzip of several steps and every header field', () => {
    let state = 1
    const noise = Uint8Array.from({ length: 200_000 }, () => (state = Math.imul(state, 1103515245) + 12345) >>> 16)
    const file = writeIdx([2, 100_000], noise)
    // toEqual takes seconds for so many elements.
    const same = (bytes: Uint8Array) => Buffer.compare(readIdx(bytes, 'x').data as Uint8Array, noise) === 0
    for (const level of [0, 1] as const) expect(same(gzipSync(file, { level }))).toBe(true)
    const packed = gzipSync(file, { level: 1, filename: 'name' })
    expect(packed[3]).toBe(8)
    expect(same(packed)).toBe(true)
    // FEXTRA of 3 bytes, FNAME, FCOMMENT and FHCRC.
    const header = Uint8Array.of(0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3, 3, 0, 7, 7, 7, ...ascii('n\0comment\0'))
    const checksum = crc32(header)
    const body = gzipSync(file, { level: 1 }).subarray(10)
    expect(same(concat(header, [checksum & 255, (checksum >> 8) & 255], body))).toBe(true)
    expect(failure(concat(header, [0, 0], body)).message).toContain('the checksum of the header does not match')
  })

  it('reads one-byte elements as a view and not as a Buffer', () => {
    const file = Buffer.from(writeIdx([3], Uint8Array.of(1, 2, 3)))
    const { data } = readIdx(file, 'x')
    expect(data.constructor).toBe(Uint8Array)
    expect(data.buffer).toBe(file.buffer)
  })

  it.each([
    ['an empty file', new Uint8Array(0), 'the file is empty'],
    ['a web page', ascii('<!DOCTYPE html><html>'), 'begins with 3c 21 44 4f (it looks like a web page'],
    ['a web page after blanks', ascii('\n\n  <html>'), 'web page'],
    ['a zip archive', ascii('PK\x03\x04....'), 'begins with 50 4b 03 04 (it looks like a zip archive'],
    ['text', ascii('label\n7\n'), 'begins with 6c 61 62 65; an IDX file begins with 00 00'],
    ['one wrong byte', Uint8Array.of(1), 'begins with 01;'],
    ['gzip twice', gzipSync(gzipSync(writeIdx([1], Uint8Array.of(1)))), 'compressed with gzip twice'],
    ['gzip of nothing', gzipSync(new Uint8Array(0)), 'the gzip file holds nothing'],
    ['gzip of a web page', gzipSync(ascii('<html>')), 'web page'],
    ['an unknown type', Uint8Array.of(0, 0, 0x0a, 1, 0, 0, 0, 1, 5), 'unknown IDX element type 0a; known are 08'],
    ['no dimensions', Uint8Array.of(0, 0, 8, 0, 5), 'declares no dimensions'],
    ['a size of 0', Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 4, 0, 0, 0, 0), 'shape (4, 0) has a size of 0'],
    ['half a magic', Uint8Array.of(0, 0, 8), 'an IDX header takes at least 8 bytes, 3 are given'],
    ['half a header', Uint8Array.of(0, 0, 8, 3, 0, 0), 'an IDX header takes 16 bytes, 6 are given'],
    ['too little data', writeIdx([4], new Uint8Array(4)).subarray(0, 11), 'takes 12 bytes with the header, 11 are'],
    ['too much data', concat(writeIdx([4], new Uint8Array(4)), [0]), 'takes 12 bytes with the header, 13 are given'],
    ['sizes beyond addresses', concat([0, 0, 14, 3], new Uint8Array(12).fill(255)), 'more bytes than can be addressed'],
    ['a large promise', concat([0, 0, 8, 1, 255, 255, 255, 255], [1]), 'takes 4294967303 bytes with the header, 9 are'],
    ['the first byte of a gzip file', Uint8Array.of(0x1f), 'the gzip file is cut short: 1 bytes'],
    ['a short gzip file', Uint8Array.of(0x1f, 0x8b, 8), 'the gzip file is cut short: 3 bytes'],
    ['unknown gzip flags', concat([0x1f, 0x8b, 8, 0x80], new Uint8Array(20)), 'header flags 128 are not known'],
    ['an unknown gzip method', concat([0x1f, 0x8b, 7], new Uint8Array(20)), 'the gzip data are damaged'],
  ])('explains %s', (_, bytes, expected) => {
    expect(failure(bytes).message).toContain(expected)
  })

  it('explains gzip whose content is too short, too long or damaged', () => {
    const file = writeIdx([4], Uint8Array.of(1, 2, 3, 4))
    expect(failure(gzipSync(file.subarray(0, 11))).message).toContain('takes 12 bytes with the header, 11 are given')
    expect(failure(gzipSync(concat(file, [0]))).message).toContain('takes 12 bytes with the header, more are given')
    const packed = gzipSync(file)
    packed[packed.length - 8] = (packed[packed.length - 8] ?? 0) ^ 1
    expect(failure(packed).message).toContain('checksum')
    expect(failure(concat(gzipSync(file), gzipSync(file))).message).toContain('several gzip files in one')
    const damaged = gzipSync(file)
    damaged[10] = 0xff
    expect(failure(damaged).message).toContain('damaged')
  })

  it('refuses a decompression bomb without inflating it all', () => {
    // 4 MB of zeros in 4 kB, behind a header that promises one byte.
    const zeros = gzipSync(concat([0, 0, 8, 1, 0, 0, 0, 1, 0], new Uint8Array(4_000_000)), { level: 9 })
    expect(failure(zeros).message).toContain('takes 9 bytes with the header, more are given')
    // A promise of 4 GB in a file of a few bytes.
    const promise = gzipSync(concat([0, 0, 8, 1, 255, 255, 255, 255], new Uint8Array(1000)))
    expect(failure(promise).message).toContain('cut short')
  })

  it('stops where the compressed data end, and in a header without end', () => {
    const packed = gzipSync(writeIdx([4], Uint8Array.of(1, 2, 3, 4)))
    expect(failure(concat(packed, new Uint8Array(1_000_000))).message).toContain('damaged')
    expect(failure(concat(packed, [0])).message).toContain('checksum')
    const endlessName = concat([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], new Uint8Array(30_000_000).fill(110))
    const started = performance.now()
    expect(failure(endlessName).message).toContain('the header does not end')
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it('reports every truncation', () => {
    fc.assert(
      fc.property(
        arrays,
        fc.boolean(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ shape, data }, packed, where) => {
          const file = packed ? gzipSync(writeIdx(shape, data)) : writeIdx(shape, data)
          failure(file.slice(0, Math.floor(where * (file.length - 1))))
        },
      ),
      runs,
    )
  })

  it('reports every addition', () => {
    fc.assert(
      fc.property(
        arrays,
        fc.boolean(),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        ({ shape, data }, packed, more) => {
          const file = packed ? gzipSync(writeIdx(shape, data)) : writeIdx(shape, data)
          failure(concat(file, more))
        },
      ),
      runs,
    )
  })

  it('reports a changed byte of compressed data, unless the content is the same', () => {
    fc.assert(
      fc.property(arrays, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ shape, data }, where, change) => {
        const file = gzipSync(writeIdx(shape, data))
        const at = where % file.length
        file[at] = (file[at] ?? 0) ^ change
        try {
          expect(readIdx(file, 'x')).toEqual({ shape, data })
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      runs,
    )
  })

  it('answers any bytes with an array of its shape or a FormatError', () => {
    const start = fc.constantFrom([], [0, 0], [0, 0, 8, 1, 0, 0, 0], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 60 }), (prefix, rest) => {
        try {
          const { shape, data } = readIdx(concat(prefix, rest), 'x')
          expect(shape.reduce((product, dimension) => product * dimension, 1)).toBe(data.length)
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      runs,
    )
  })
})

describe('writeIdx', () => {
  it.each([
    [[], 0, 'the shape has 0 dimensions'],
    [new Array<number>(256).fill(1), 1, 'the shape has 256 dimensions'],
    [[0], 0, 'size 0 in shape (0)'],
    [[1.5], 1, 'size 1.5'],
    [[2 ** 32], 1, 'size 4294967296'],
    [[2, 3], 5, 'shape (2, 3) takes 6 bytes, 5 are given'],
  ])('refuses shape %j with %i bytes', (shape, length, expected) => {
    expect(() => writeIdx(shape, new Uint8Array(length))).toThrow(ShapeError)
    expect(() => writeIdx(shape, new Uint8Array(length))).toThrow(expected)
  })
})
