import { decode, encode } from 'jpeg-js'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeJpeg } from '../../src/formats/jpeg.js'
import { decodeImage } from '../../src/formats/decode.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'
import { mutate, randomOf } from '../helpers/mutants.js'

/** A gradient of colours, which JPEG keeps well. */
const width = 24
const height = 17
const rgba = Uint8Array.from({ length: width * height * 4 }, (_, i) => {
  const x = (i >> 2) % width
  const y = Math.floor((i >> 2) / width)
  return [x * 8, y * 12, 128, 255][i & 3]!
})
const file = encode({ width, height, data: rgba }, 95).data

/** Pictures of a few dozen pixels that Pillow 12.3 (libjpeg-turbo) wrote, by the options that it was given. */
const written = new Map(
  Object.entries(
    JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/jpegs.json'), 'utf8')) as Record<string, string>,
  ).map(([name, text]) => [name, Uint8Array.from(Buffer.from(text, 'base64'))]),
)

function failure(bytes: Uint8Array, limits = {}): string {
  try {
    decodeJpeg(bytes, 'some.jpg', limits)
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError)
    const { message } = error as FormatError
    expect(message).toMatch(/^some\.jpg: [^\n]*$/)
    return message
  }
  throw new Error('no error was thrown')
}

const segment = (marker: number, ...data: number[]): number[] => [
  ...[0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 255],
  ...data,
]

/** A header of components of one byte each: (id, sampling, quantization table). */
const frame = (marker: number, w: number, h: number, ...components: number[]): number[] =>
  segment(marker, 8, h >> 8, h & 255, w >> 8, w & 255, components.length / 3, ...components)

const start = [0xff, 0xd8]
const end = [0xff, 0xd9]
const ones = segment(0xdb, 0, ...new Array<number>(64).fill(1))
/** One code of one bit, 0, for the value. */
const huffman = (kind: number, value: number): number[] =>
  segment(0xc4, kind, 1, ...new Array<number>(15).fill(0), value)
const scan = (components: number[], first = 0, last = 63, approximation = 0): number[] =>
  segment(0xda, components.length, ...components.flatMap((id) => [id, 0]), first, last, approximation)

describe('decodeJpeg', () => {
  it('gives the colours back, nearly', () => {
    const image = decodeJpeg(file, 'x')
    expect([image.width, image.height, image.channels]).toEqual([width, height, 3])
    let worst = 0
    for (let i = 0; i < width * height; i++)
      for (let c = 0; c < 3; c++) worst = Math.max(worst, Math.abs(image.data[i * 3 + c]! - rgba[i * 4 + c]!))
    expect(worst).toBeLessThan(24)
  })

  it.each([...written.keys()].filter((name) => name !== 'RGB without transform'))(
    'has the pixels of jpeg-js: %s',
    (name) => {
      const bytes = written.get(name)!
      const image = decodeJpeg(bytes, 'x')
      const oracle = decode(bytes, { useTArray: true, formatAsRGBA: false, tolerantDecoding: false })
      expect([image.width, image.height]).toEqual([oracle.width, oracle.height])
      expect(image.data).toEqual(oracle.data)
      // Wherever the bytes lie.
      const shifted = new Uint8Array(bytes.length + 3).subarray(3)
      shifted.set(bytes)
      expect(decodeJpeg(shifted, 'x')).toEqual(image)
    },
  )

  it('leaves colours alone that an Adobe marker says are not transformed, as jpeg-js does not', () => {
    const { data } = decodeJpeg(written.get('RGB without transform')!, 'x')
    // The fourth row, as Pillow reads it.
    const row = [
      ...[3, 0, 255, 255, 0, 252, 1, 0, 255, 255, 3, 255, 0, 0, 249],
      ...[57, 36, 20, 58, 32, 206, 78, 33, 225, 82, 34, 81],
    ]
    row.forEach((value, i) => {
      expect(Math.abs(data[3 * 27 + i]! - value)).toBeLessThan(3)
    })
  })

  it('reads over bytes between segments, and fills of 255', () => {
    const second = 4 + 16
    const bytes = Uint8Array.of(...file.subarray(0, second), 0, 1, 2, 0xff, 0xff, ...file.subarray(second), 7, 7)
    expect(decodeJpeg(bytes, 'x')).toEqual(decodeJpeg(file, 'x'))
  })

  it('refuses a file that is cut anywhere, or is none', () => {
    for (const bytes of [file, ...written.values()]) {
      for (let length = 0; length < bytes.length - 1; length += 3) failure(bytes.subarray(0, length))
    }
    // The end of a thumbnail in the middle of a file does not make it whole.
    const cut = Uint8Array.of(...file.subarray(0, 2), 0xff, 0xe1, 0, 4, 0xff, 0xd9, ...file.subarray(2, 500))
    expect(failure(cut)).toMatch(/^some\.jpg: the JPEG is/)
    expect(failure(new TextEncoder().encode('hello'))).toMatch(/^some\.jpg: not a JPEG/)
  })

  const grey = [1, 0x11, 0]
  const tables = [...ones, ...huffman(0, 0), ...huffman(0x10, 0)]
  it.each<[string, number[], string]>([
    ['no header', [...tables, ...scan([1]), 0], 'a scan before the header'],
    ['no scan', [...tables, ...frame(0xc0, 8, 8, ...grey)], 'it has no pixels for each colour'],
    [
      'a colour without a scan',
      [...tables, ...frame(0xc0, 8, 8, ...grey, 2, 0x11, 0, 3, 0x11, 0), ...scan([1]), 0],
      'no pixels for each',
    ],
    ['two headers', [...frame(0xc0, 8, 8, ...grey), ...frame(0xc0, 8, 8, ...grey)], 'two headers'],
    ['arithmetic coding', frame(0xc9, 8, 8, ...grey), 'save it as a baseline or progressive one'],
    ['a lossless picture', frame(0xc3, 8, 8, ...grey), 'lossless'],
    ['12 bits', segment(0xc1, 12, 0, 8, 0, 8, 1, ...grey), 'has 12 bits per sample'],
    ['2 components', frame(0xc0, 8, 8, ...grey, 2, 0x11, 0), 'has 2 components'],
    ['no rows', frame(0xc0, 8, 0, ...grey), 'has 8 × 0 pixels; both must be at least 1'],
    ['a sampling of 0', frame(0xc0, 8, 8, 1, 0x01, 0), 'components are not those'],
    ['a sampling of 5', frame(0xc0, 8, 8, 1, 0x51, 0), 'components are not those'],
    ['a quantization table 4', frame(0xc0, 8, 8, 1, 0x11, 4), 'components are not those'],
    ['equal components', frame(0xc0, 8, 8, ...grey, 2, 0x11, 0, 2, 0x11, 0), 'components are not those'],
    ['a short header', segment(0xc0, 8, 0, 8), 'a header of 3 bytes'],
    ['a header without its components', segment(0xc0, 8, 0, 8, 0, 8, 3, ...grey), 'a header of 9 bytes'],
    [
      'four colours without a name',
      [...tables, ...frame(0xc0, 8, 8, ...grey, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0), ...scan([1, 2, 3, 4]), 0],
      'four components of unknown meaning',
    ],
    ['a short quantization table', segment(0xdb, 0, 1, 2), 'a quantization table of 3 bytes'],
    [
      'a quantization table of 3 bytes each',
      segment(0xdb, 0x20, ...new Array<number>(192).fill(1)),
      'a quantization table of kind 32',
    ],
    ['a short Huffman table', segment(0xc4, 0, 1), 'a Huffman table of 2 bytes'],
    [
      'a Huffman table without values',
      segment(0xc4, 0, 1, ...new Array<number>(15).fill(0)),
      'a Huffman table of 17 bytes',
    ],
    [
      'a Huffman table of three codes of one bit',
      segment(0xc4, 0, 3, ...new Array<number>(15).fill(0), 1, 2, 3),
      'more codes than fit',
    ],
    ['a Huffman table 4', huffman(4, 0), 'a Huffman table of kind 4'],
    ['a segment of 1 byte', [0xff, 0xe0, 0, 1], 'a segment e0 of 1 bytes'],
    ['an unknown component', [...tables, ...frame(0xc0, 8, 8, ...grey), ...scan([7])], 'a scan of component 7'],
    ['a component twice', [...tables, ...frame(0xc0, 8, 8, ...grey), ...scan([1, 1])], 'a scan of component 1'],
    ['a scan of nothing', [...tables, ...frame(0xc0, 8, 8, ...grey), ...scan([])], 'a scan of 0 components'],
    ['no quantization table', [...frame(0xc0, 8, 8, ...grey), ...scan([1])], 'no quantization table 0'],
    ['no Huffman table', [...ones, ...frame(0xc0, 8, 8, ...grey), ...scan([1]), 0], 'whose Huffman table is missing'],
    [
      'an end in the data',
      [...tables, ...frame(0xc0, 80, 80, ...grey), ...scan([1]), 0],
      'the data of a scan end too soon',
    ],
    [
      'a code that is none',
      [...tables, ...frame(0xc0, 8, 8, ...grey), ...scan([1]), 0x80],
      'a Huffman code that stands for nothing',
    ],
    [
      'a coefficient of 16 bits',
      [...ones, ...huffman(0, 16), ...huffman(0x10, 0), ...frame(0xc0, 8, 8, ...grey), ...scan([1]), 0, 0, 0],
      'more than 15 bits',
    ],
    [
      '65 coefficients',
      [...ones, ...huffman(0, 0), ...huffman(0x10, 0xf1), ...frame(0xc0, 8, 8, ...grey), ...scan([1]), 0, 0, 0],
      'more than 64',
    ],
    ['a band of constants', [...tables, ...frame(0xc2, 8, 8, ...grey), ...scan([1], 0, 5)], 'coefficients 0 to 5'],
    ['a band backwards', [...tables, ...frame(0xc2, 8, 8, ...grey), ...scan([1], 9, 5)], 'coefficients 9 to 5'],
    ['a band to 64', [...tables, ...frame(0xc2, 8, 8, ...grey), ...scan([1], 9, 64)], 'coefficients 9 to 64'],
    ['bit 14', [...tables, ...frame(0xc2, 8, 8, ...grey), ...scan([1], 1, 5, 14)], 'coefficients 1 to 5'],
    [
      'missing restarts',
      [...tables, ...segment(0xdd, 0, 1), ...frame(0xc0, 16, 8, ...grey), ...scan([1]), 0],
      'a restart marker is missing',
    ],
  ])('explains %s', (_, parts, expected) => {
    expect(failure(Uint8Array.from([...start, ...parts, ...end]))).toContain(expected)
  })

  it('takes a scan again and again only as often as a coefficient has bits', () => {
    const picture = (times: number) => {
      const scans = Array.from({ length: times }, () => [...scan([1], 0, 0), 0]).flat()
      return Uint8Array.from([...start, ...tables, ...frame(0xc2, 8, 8, ...grey), ...scans, ...end])
    }
    expect(decodeJpeg(picture(896), 'x').width).toBe(8)
    expect(failure(picture(897))).toContain('more scans than a picture can have')
  })

  it('refuses a size beyond the limits, and one that so few bytes cannot hold, before it takes memory for it', () => {
    const colours = [1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]
    const header = (w: number, h: number) =>
      Uint8Array.from([...start, ...frame(0xc2, w, h, ...colours), ...new Array<number>(3000).fill(0)])
    expect(failure(header(65535, 65535))).toContain(
      '65535 × 65535 pixels, more than the limit of 67108864; make it smaller, or',
    )
    expect(failure(header(8000, 8000))).toContain('takes 600000000 bytes to decode, more than the limit of 536870912')
    expect(failure(header(7000, 7000))).toContain('cut short')
    for (let length = 3; length < file.length - 1; length++) {
      expect(failure(file.subarray(0, length))).toBe(
        'some.jpg: the JPEG is cut short: its end is missing; fetch or save it again',
      )
    }
    for (const length of [1, 2]) {
      const bytes = Uint8Array.of(0xff, 0xd8).subarray(0, length)
      expect(failure(bytes)).toContain(`the JPEG is cut short: ${length} bytes are given`)
      expect(() => decodeImage(bytes, 'x')).toThrow('the JPEG is cut short')
    }
    expect(failure(new Uint8Array(0))).toContain('the file is empty')
    expect(() => decodeImage(new Uint8Array(0), 'x')).toThrow('the file is empty')
    expect(failure(file, { maxPixels: 407 })).toContain('24 × 17 pixels, more than the limit of 407')
    expect(decodeJpeg(file, 'x', { maxPixels: 408 }).width).toBe(24)
    // 3 × 2 units of 4 + 1 + 1 blocks, two bytes for a coefficient, and the pixels.
    const small = written.get('colour 4:2:0')!
    const bytes = 3 * 2 * 6 * 64 * 2 + 3 * 37 * 29
    expect(decodeJpeg(small, 'x', { maxBytes: bytes }).width).toBe(37)
    expect(failure(small, { maxBytes: bytes - 1 })).toContain(`takes ${bytes} bytes to decode`)
    for (const bad of [0, -1, Number.NaN]) {
      expect(() => decodeJpeg(file, 'x', { maxPixels: bad })).toThrow(ShapeError)
      expect(() => decodeJpeg(file, 'x', { maxBytes: bad })).toThrow(/^maxBytes is .*; it must be a number above 0/)
    }
  })

  it('answers every mutant with a picture or a FormatError', () => {
    const random = randomOf(11)
    const files = [file, ...written.values()]
    let read = 0
    for (let n = 0; n < 600; n++) {
      const bytes = mutate(files[n % files.length]!, random)
      try {
        const image = decodeJpeg(bytes, 'x')
        expect(image.data).toHaveLength(3 * image.width * image.height)
        read++
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        expect(error.message).toMatch(/^x: [^\n]*$/)
      }
    }
    // JPEG has no checksums.
    expect(read).toBeGreaterThan(50)
  })
})
