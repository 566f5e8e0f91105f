/** What decoders take at most, measured in processes of their own: three times their result, and 64 MB. */
import { constants, crc32, deflateRawSync, deflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { encodeSafetensors } from '../../src/formats/safetensors.js'
import { processPeak, type Peak } from '../helpers/peak.js'

const entryOfNothing = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'

const MB = 1e6
const SECONDS = 60_000

/** Expects a result of so many bytes, within the bound and a time that tells a hang from a busy machine. */
function expectBounded({ bytes, result, error, milliseconds }: Peak, size: number): void {
  expect(error).toBeUndefined()
  expect(result).toBe(size)
  expect(bytes).toBeLessThan(3 * size + 64 * MB)
  expect(milliseconds).toBeLessThan(30_000)
}

/** Expects a refusal that took no memory to speak of. */
function expectRefused({ bytes, error, milliseconds }: Peak, message: RegExp): void {
  expect(error).toMatch(/^FormatError: x: /)
  expect(error).toMatch(message)
  expect(bytes).toBeLessThan(64 * MB)
  expect(milliseconds).toBeLessThan(10_000)
}

const PIECE = 16 * 1024 * 1024
const zeros = new Uint8Array(PIECE)
const deflatedPiece = deflateRawSync(zeros, { level: 9, finishFlush: constants.Z_FULL_FLUSH })

/** A deflate stream of bytes and then of zeros, a multiple of 16 MiB, made by repeating that of 16 MiB. */
function deflated(start: Uint8Array, count: number): Buffer {
  const pieces = Array.from({ length: count / PIECE }, () => deflatedPiece)
  const first = deflateRawSync(start, { finishFlush: constants.Z_FULL_FLUSH })
  return Buffer.concat([first, ...pieces, Buffer.of(3, 0)])
}

/** A gzip file of the same. */
function gzipped(start: Uint8Array, count: number): Buffer {
  let checksum = crc32(start)
  for (let done = 0; done < count; done += PIECE) checksum = crc32(zeros, checksum)
  const end = Buffer.alloc(8)
  end.writeUInt32LE(checksum)
  end.writeUInt32LE(start.length + count, 4)
  return Buffer.concat([Buffer.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3), deflated(start, count), end])
}

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length)
  bytes.writeUInt32BE(data.length)
  bytes.write(type, 4, 'latin1')
  bytes.set(data, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length)
  return bytes
}

interface Png {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colorType: number
  readonly interlaced?: boolean
  /** Chunks before the pixels. */
  readonly more?: readonly Buffer[]
  /** Compressed pixels; left out, rows of zeros. */
  readonly pixels?: Uint8Array
}

const samples = [1, 0, 3, 1, 2, 0, 4]

function png({ width, height, depth, colorType, interlaced = false, more = [], pixels }: Png): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([depth, colorType, 0, 0, interlaced ? 1 : 0], 8)
  const bits = samples[colorType]! * depth
  const passes = interlaced ? adam7 : [[0, 0, 1, 1] as const]
  const size = passes.reduce((sum, [left, top, stepX, stepY]) => {
    const columns = Math.ceil((width - left) / stepX)
    return sum + Math.ceil((height - top) / stepY) * (1 + Math.ceil((columns * bits) / 8))
  }, 0)
  return Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', header),
    ...more,
    chunk('IDAT', pixels ?? deflateSync(new Uint8Array(size), { level: 1 })),
    chunk('IEND', new Uint8Array(0)),
  ])
}

const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

const readPng = (file: Uint8Array, limits = '{}'): Peak =>
  processPeak(
    "import { decodePng } from './src/formats/png.js'",
    `(file) => decodePng(file, 'x', ${limits}).data.length`,
    file,
  )

describe('a PNG', () => {
  const palette = chunk('PLTE', new Uint8Array(6))
  const size = { width: 3000, height: 3000 }
  it.each<[string, Png, number]>([
    ['of colours and alpha', { ...size, depth: 8, colorType: 6 }, 4],
    ['of 16 bits', { ...size, depth: 16, colorType: 6 }, 4],
    ['of one bit', { ...size, depth: 1, colorType: 0 }, 1],
    ['of one bit, interlaced', { ...size, depth: 1, colorType: 0, interlaced: true }, 1],
    ['of a palette', { ...size, depth: 2, colorType: 3, more: [palette] }, 3],
    ['of 16 bits, interlaced', { ...size, depth: 16, colorType: 2, interlaced: true }, 3],
    ['of one row', { width: 2 ** 22, height: 1, depth: 16, colorType: 6 }, 4],
    ['of two rows', { width: 2 ** 21, height: 2, depth: 16, colorType: 6 }, 4],
    ['of one column', { width: 1, height: 2 ** 22, depth: 8, colorType: 2 }, 3],
  ])(
    '%s',
    (_, picture, channels) => {
      expectBounded(readPng(png(picture)), picture.width * picture.height * channels)
    },
    SECONDS,
  )

  it(
    'that inflates to more than its header tells is read, and inflated no further',
    () => {
      const pixels = Buffer.concat([Buffer.of(0x78, 0x01), deflated(new Uint8Array(0), 64 * PIECE)])
      const bomb = png({ width: 2, height: 2, depth: 8, colorType: 0, pixels })
      expect(bomb.length).toBeGreaterThan(1_000_000)
      const { bytes, result } = readPng(bomb)
      expect(result).toBe(4)
      expect(bytes).toBeLessThan(16 * MB)
    },
    SECONDS,
  )

  it(
    'has other compressed parts, which nobody inflates',
    () => {
      const bomb = Buffer.concat([Buffer.of(0x78, 0x01), deflated(new Uint8Array(0), 64 * PIECE)])
      const named = (...between: number[]) => Buffer.concat([Buffer.of(0x61, 0, ...between), bomb])
      const more = [chunk('iCCP', named(0)), chunk('zTXt', named(0)), chunk('iTXt', named(1, 0, 0, 0))]
      const { bytes, result } = readPng(png({ width: 2, height: 2, depth: 8, colorType: 0, more }))
      expect(result).toBe(4)
      expect(bytes).toBeLessThan(16 * MB)
    },
    SECONDS,
  )

  it(
    'of a million chunks takes no memory for each',
    () => {
      const empty = chunk('IDAT', new Uint8Array(0))
      const more = [Buffer.concat(Array.from({ length: 1_000_000 }, () => empty))]
      const { bytes, result } = readPng(png({ width: 2, height: 2, depth: 8, colorType: 0, more }))
      expect(result).toBe(4)
      expect(bytes).toBeLessThan(32 * MB)
    },
    SECONDS,
  )

  it(
    'of more bytes than the limit is refused before they are inflated',
    () => {
      const file = png({ width: 3000, height: 3000, depth: 8, colorType: 6 })
      expectRefused(
        readPng(file, '{ maxBytes: 35e6 }'),
        /takes 360\d{5} bytes to decode, more than the limit of 35000000/,
      )
      expectRefused(readPng(file, '{ maxPixels: 8e6 }'), /3000 × 3000 pixels, more than the limit of 8000000/)
    },
    SECONDS,
  )
})

const readJpeg = (file: Uint8Array, limits = '{}'): Peak =>
  processPeak(
    "import { decodeJpeg } from './src/formats/jpeg.js'",
    `(file) => decodeJpeg(file, 'x', ${limits}).data.length`,
    file,
  )

/** A picture of one colour, of which each block takes one bit: as large as JPEG can be for its file. */
function jpeg(marker: number, width: number, height: number, components: readonly number[], bytes?: number): Buffer {
  const segment = (code: number, ...data: number[]): Buffer => {
    const head = Buffer.from([0xff, code, (data.length + 2) >> 8, (data.length + 2) & 255])
    return Buffer.concat([head, Buffer.from(data)])
  }
  const high = Math.max(...components.map((sampling) => sampling >> 4))
  const wide = Math.max(...components.map((sampling) => sampling & 15))
  const units = Math.ceil(width / (8 * high)) * Math.ceil(height / (8 * wide))
  const blocks = units * components.reduce((sum, sampling) => sum + (sampling >> 4) * (sampling & 15), 0)
  const huffman = (kind: number): Buffer => segment(0xc4, kind, 1, ...new Array<number>(15).fill(0), 0)
  const parts = components.flatMap((sampling, i) => [i + 1, sampling, 0])
  // Sequential blocks have a second bit, which ends them.
  const bits = marker === 0xc2 ? blocks : 2 * blocks
  return Buffer.concat([
    Buffer.of(0xff, 0xd8),
    ...(components.length === 4 ? [segment(0xee, ...Buffer.from('Adobe'), 0, 0, 0, 0, 0, 0, 0)] : []),
    segment(0xdb, 0, ...new Array<number>(64).fill(1)),
    huffman(0),
    huffman(0x10),
    segment(marker, 8, height >> 8, height & 255, width >> 8, width & 255, components.length, ...parts),
    segment(0xda, components.length, ...components.flatMap((_, i) => [i + 1, 0]), 0, marker === 0xc2 ? 0 : 63, 0),
    Buffer.alloc(bytes ?? Math.ceil(bits / 8)),
    Buffer.of(0xff, 0xd9),
  ])
}

describe('a JPEG', () => {
  it.each<[string, number, number[]]>([
    ['of full colours', 0xc0, [0x11, 0x11, 0x11]],
    ['of full colours, progressive', 0xc2, [0x11, 0x11, 0x11]],
    ['of half the colours, progressive', 0xc2, [0x22, 0x11, 0x11]],
    ['of grey', 0xc0, [0x11]],
    ['of printing colours', 0xc2, [0x11, 0x11, 0x11, 0x11]],
  ])(
    '%s',
    (_, marker, components) => {
      expectBounded(readJpeg(jpeg(marker, 3000, 2400, components)), 3 * 3000 * 2400)
    },
    SECONDS,
  )

  it(
    'whose header promises more than its bytes can hold is refused for that',
    () => {
      for (const [width, height] of [
        [65535, 65535],
        [8192, 8192],
        [65535, 1024],
        [7000, 7000],
        [256, 65534],
      ] as const) {
        const header = jpeg(0xc2, width, height, [0x44, 0x11, 0x11], 3500)
        expectRefused(readJpeg(header), /more than the limit|cut short/)
        expectRefused(readJpeg(header, '{ maxPixels: Infinity, maxBytes: Infinity }'), /cut short/)
      }
    },
    5 * SECONDS,
  )
})

const readIdx = (file: Uint8Array, limits = '{}'): Peak =>
  processPeak(
    "import { readIdx } from './src/formats/idx.js'",
    `(file) => readIdx(file, 'x', ${limits}).data.byteLength`,
    file,
  )

/** A compressed file of a header and zeros. */
function idx(type: number, promised: number, given: number): Buffer {
  const header = Buffer.alloc(8 + (given % PIECE))
  header.set([0, 0, type, 1])
  header.writeUInt32BE(promised, 4)
  return gzipped(header, given - (given % PIECE))
}

describe('a compressed IDX file', () => {
  it(
    'takes what its header promises, once or twice',
    () => {
      expectBounded(readIdx(idx(8, 100 * MB, 100 * MB)), 100 * MB)
      expectBounded(readIdx(idx(13, 20 * MB, 80 * MB)), 80 * MB)
    },
    SECONDS,
  )

  it(
    'is refused where it holds more, or promises more than the limit or its bytes can hold',
    () => {
      expectRefused(readIdx(idx(8, 100, 64 * PIECE)), /takes 108 bytes with the header, more are given/)
      const large = idx(8, 1000 * MB, 1000 * MB)
      expect(large.length).toBeLessThan(1.1 * MB)
      expectRefused(readIdx(large), /takes 1000000008 bytes to decode, more than the limit of 536870912/)
      expectRefused(readIdx(idx(14, 2 ** 32 - 1, 1000), '{ maxBytes: Infinity }'), /which so few cannot hold/)
      const over = idx(8, 90 * MB, 90 * MB)
      expectRefused(readIdx(over, '{ maxBytes: 89e6 }'), /more than the limit of 89000000/)
      expectBounded(readIdx(over, '{ maxBytes: 91e6 }'), 90 * MB)
    },
    SECONDS,
  )
})

const readTensors = (file: Uint8Array): Peak =>
  processPeak(
    "import { decodeSafetensors } from './src/formats/safetensors.js'",
    `(file) => {
      let bytes = 0
      for (const { data } of decodeSafetensors(file, 'x').tensors.values()) bytes += data.byteLength
      return bytes
    }`,
    file,
  )

function tensorsOf(header: string, data: number): Buffer {
  const text = Buffer.from(header)
  const bytes = Buffer.alloc(8 + text.length + data)
  bytes.writeUInt32LE(text.length)
  bytes.set(text, 8)
  return bytes
}

describe('a safetensors file', () => {
  it(
    'takes its tensors, halves or whole, and 1 KiB for each',
    () => {
      const floats = new Float32Array(20 * MB)
      expectBounded(
        readTensors(encodeSafetensors({ a: { shape: [20, MB], data: floats } }, {}, { checksum: true })),
        80 * MB,
      )
      const half = tensorsOf(`{"a":{"dtype":"F16","shape":[${20 * MB}],"data_offsets":[0,${40 * MB}]}}`, 40 * MB)
      expectBounded(readTensors(half), 80 * MB)
      const entries = Array.from({ length: 200_000 }, (_, i) => `"${i}":${entryOfNothing}`)
      const { bytes, result } = readTensors(tensorsOf(`{${entries.join(',')}}`, 0))
      expect(result).toBe(0)
      expect(bytes).toBeLessThan(64 * MB + 200_000 * 1024)
    },
    SECONDS,
  )

  it.each<[string, () => string, RegExp]>([
    ['millions of empty objects', () => `{"a":{"shape":[${'{},'.repeat(3e6)}0]}}`, /has a value of 9000003 characters/],
    [
      'millions of fields',
      () => `{"a":{${Array.from({ length: 2 ** 20 + 1 }, (_, i) => `"${i}":0`).join(',')}}}`,
      /an object of more than 16 members/,
    ],
    [
      'millions of metadata',
      () => `{"__metadata__":{${Array.from({ length: 2 ** 20 + 1 }, (_, i) => `"${i}":""`).join(',')}}}`,
      /an object of more than 65536 members/,
    ],
    ['any depth', () => '{"a":'.repeat(2e6), /has a value of \d+ characters/],
    ['any depth of lists', () => `{"a":${'['.repeat(1e7)}`, /must be an object/],
    [
      'many dimensions',
      () => `{"a":{"dtype":"U8","shape":[${'1,'.repeat(3e6)}1],"data_offsets":[0,1]}}`,
      /has a value of/,
    ],
  ])(
    'of a header of %s is refused',
    (_, header, message) => {
      const { error, bytes, milliseconds } = readTensors(tensorsOf(header(), 1))
      expect(error).toMatch(message)
      expect(error).toMatch(/^FormatError: x: /)
      // The header as a string, and what is known of the keys.
      expect(bytes).toBeLessThan(64 * MB)
      expect(milliseconds).toBeLessThan(10_000)
    },
    SECONDS,
  )
})
