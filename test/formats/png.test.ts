import { encode as encodeWithFastPng } from 'fast-png'
import fc from 'fast-check'
import { zlibSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../src/formats/crc32.js'
import { decodeImage } from '../../src/formats/decode.js'
import { decodePng, encodePng, type PngImage } from '../../src/formats/png.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'

const runs = { numRuns: 100 }
const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
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

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

function chunk(type: string, data: ArrayLike<number>): Uint8Array {
  const body = concat(ascii(type), data)
  return concat(uint32(data.length), body, uint32(crc32(body)))
}

interface Raw {
  width: number
  height: number
  depth: number
  colorType: number
  interlaced?: boolean
  /** Row-major samples at their depth. */
  samples: ArrayLike<number>
  palette?: number[]
  transparency?: number[]
  /** The filter of each row, in turn. */
  filters?: number[]
}

const sampleCounts = new Map([
  [0, 1],
  [2, 3],
  [3, 1],
  [4, 2],
  [6, 4],
])

const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

function header({ width, height, depth, colorType, interlaced = false }: Omit<Raw, 'samples'>): Uint8Array {
  return chunk('IHDR', concat(uint32(width), uint32(height), [depth, colorType, 0, 0, interlaced ? 1 : 0]))
}

/** Filtered rows of all passes, written straight from the specification. */
function rowsOf({ width, height, depth, colorType, interlaced = false, samples, filters = [0] }: Raw): Uint8Array {
  const count = sampleCounts.get(colorType) ?? 1
  const pixelBytes = Math.max(1, (count * depth) / 8)
  const rows: Uint8Array[] = []
  for (const [left, top, stepX, stepY] of interlaced ? adam7 : [[0, 0, 1, 1] as const]) {
    const columns = Math.ceil((width - left) / stepX)
    if (columns <= 0) continue
    let above = new Uint8Array(Math.ceil((columns * count * depth) / 8))
    for (let y = top; y < height; y += stepY) {
      const line = new Uint8Array(above.length)
      let bit = 0
      for (let x = left; x < width; x += stepX) {
        for (let i = 0; i < count; i++) {
          const value = samples[(y * width + x) * count + i] ?? 0
          for (let b = depth - 1; b >= 0; b--, bit++) {
            line[bit >> 3] = (line[bit >> 3] ?? 0) | (((value >> b) & 1) << (7 - (bit & 7)))
          }
        }
      }
      const filter = filters[rows.length % filters.length] ?? 0
      const filtered = line.map((value, i) => {
        const a = i < pixelBytes ? 0 : (line[i - pixelBytes] ?? 0)
        const b = above[i] ?? 0
        const c = i < pixelBytes ? 0 : (above[i - pixelBytes] ?? 0)
        const p = a + b - c
        const nearest = [a, b, c].reduce((best, next) => (Math.abs(p - next) < Math.abs(p - best) ? next : best))
        return value - ([0, a, b, (a + b) >> 1, nearest][filter] ?? 0)
      })
      rows.push(concat([filter], filtered))
      above = line
    }
  }
  return concat(...rows)
}

function pngOf(raw: Raw, inflated: Uint8Array = rowsOf(raw)): Uint8Array {
  return concat(
    signature,
    header(raw),
    raw.palette === undefined ? [] : chunk('PLTE', raw.palette),
    raw.transparency === undefined ? [] : chunk('tRNS', raw.transparency),
    chunk('IDAT', zlibSync(inflated)),
    chunk('IEND', []),
  )
}

function failure(bytes: Uint8Array, options?: { maxPixels?: number }): FormatError {
  try {
    decodePng(bytes, 'some.png', options)
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError)
    const { message } = error as FormatError
    expect(message.startsWith('some.png: ')).toBe(true)
    expect(message).not.toContain('\n')
    return error as FormatError
  }
  throw new Error('no error was thrown')
}

const size = fc.integer({ min: 1, max: 19 })
const kinds = fc.constantFrom<[number, number]>(
  ...[1, 2, 4, 8, 16].map((depth): [number, number] => [0, depth]),
  ...[8, 16].flatMap((depth): [number, number][] => [2, 4, 6].map((colorType) => [colorType, depth])),
)
const raws: fc.Arbitrary<Raw> = fc
  .tuple(size, size, kinds, fc.boolean(), fc.array(fc.nat(4), { minLength: 1, maxLength: 7 }), fc.nat())
  .map(([width, height, [colorType, depth], interlaced, filters, seed]) => {
    let state = seed
    const samples = Array.from({ length: width * height * (sampleCounts.get(colorType) ?? 1) }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return (state >>> 8) & (2 ** depth - 1)
    })
    return { width, height, depth, colorType, interlaced, filters, samples }
  })

const images: fc.Arbitrary<PngImage> = fc
  .tuple(size, size, fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const))
  .chain(([width, height, channels]) => {
    const length = width * height * channels
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((data): PngImage => ({ width, height, channels, data }))
  })

describe('decodePng', () => {
  it('gives back what encodePng wrote', () => {
    fc.assert(
      fc.property(images, (image) => {
        const bytes = encodePng(image)
        expect(encodePng(image)).toEqual(bytes)
        expect(decodePng(bytes, 'x')).toEqual(image)
      }),
      runs,
    )
  })

  it('reads every depth, colour type, filter and interlacing', () => {
    fc.assert(
      fc.property(raws, (raw) => {
        const largest = 2 ** raw.depth - 1
        const data = Uint8Array.from(raw.samples, (sample) => Math.round((sample * 255) / largest))
        const { width, height } = raw
        expect(decodePng(pngOf(raw), 'x')).toEqual({ width, height, channels: sampleCounts.get(raw.colorType), data })
      }),
      runs,
    )
  })

  it('reads interlaced files of another writer', () => {
    fc.assert(
      fc.property(images, (image) => {
        expect(decodePng(encodeWithFastPng({ ...image, depth: 8 }, { interlace: 'Adam7' }), 'x')).toEqual(image)
      }),
      { numRuns: 30 },
    )
  })

  it('turns palettes of any depth into RGB or RGBA', () => {
    const palette = Array.from({ length: 6 }, (_, i) => i * 40)
    const colors = [palette.slice(0, 3), palette.slice(3)]
    for (const depth of [1, 2, 4, 8]) {
      for (const interlaced of [false, true]) {
        const samples = Array.from({ length: 21 }, (_, i) => (i * i) % 2)
        const raw = { width: 7, height: 3, depth, colorType: 3, interlaced, samples, palette }
        expect(decodePng(pngOf(raw), 'x')).toEqual({
          width: 7,
          height: 3,
          channels: 3,
          data: Uint8Array.from(samples.flatMap((index) => colors[index] ?? [])),
        })
        const { channels, data } = decodePng(pngOf({ ...raw, transparency: [9] }), 'x')
        expect(channels).toBe(4)
        expect(data).toEqual(
          Uint8Array.from(samples.flatMap((index) => [...(colors[index] ?? []), index === 0 ? 9 : 255])),
        )
      }
    }
  })

  it('turns a transparent colour into an alpha channel', () => {
    // Of the two bytes, only the depth's bits count.
    const gray = { width: 2, height: 1, depth: 4, colorType: 0, samples: [3, 4], transparency: [1, 0x13] }
    expect(decodePng(pngOf(gray), 'x')).toEqual({
      width: 2,
      height: 1,
      channels: 2,
      data: Uint8Array.of(51, 0, 68, 255),
    })
    const rgb = { width: 1, height: 1, depth: 8, colorType: 2, samples: [1, 2, 3], transparency: [0, 1, 0, 2, 0, 3] }
    expect(decodePng(pngOf(rgb), 'x').data).toEqual(Uint8Array.of(1, 2, 3, 0))
    // Two 16-bit samples that round to the same 8 bits: only the exact one is transparent.
    const deep = { width: 2, height: 1, depth: 16, colorType: 0, samples: [256, 257], transparency: [1, 0] }
    expect(decodePng(pngOf(deep), 'x').data).toEqual(Uint8Array.of(1, 0, 1, 255))
    // Meaningless beside an alpha channel.
    const alpha = { width: 1, height: 1, depth: 8, colorType: 4, samples: [5, 6], transparency: [0, 5] }
    expect(decodePng(pngOf(alpha), 'x').data).toEqual(Uint8Array.of(5, 6))
  })

  it('reads data split over chunks, among chunks it does not know, at any offset', () => {
    const raw = { width: 3, height: 1, depth: 8, colorType: 0, samples: [1, 2, 3] }
    const data = zlibSync(rowsOf(raw))
    const parts = Array.from(data, (byte) => chunk('IDAT', [byte]))
    const profile = chunk('iCCP', concat(ascii('name'), [0, 0], [1, 2, 3]))
    const bytes = concat(signature, header(raw), profile, chunk('tEXt', []), ...parts, chunk('IEND', []))
    const shifted = concat([0], bytes).subarray(1)
    expect(decodePng(shifted, 'x').data).toEqual(Uint8Array.of(1, 2, 3))
    expect(decodePng(Buffer.from(bytes), 'x').data.constructor).toBe(Uint8Array)
  })

  it('reads pictures of several steps of inflation', () => {
    let state = 1
    const samples = Array.from({ length: 400 * 300 }, () => (state = Math.imul(state, 1103515245) + 12345) >>> 24)
    const raw = { width: 400, height: 300, depth: 8, colorType: 0, samples, filters: [0, 1, 2, 3, 4] }
    expect(decodePng(pngOf(raw), 'x').data).toEqual(Uint8Array.from(samples))
  })

  const tiny: Raw = { width: 2, height: 2, depth: 8, colorType: 0, samples: [1, 2, 3, 4] }
  const tinyHeader = header(tiny)
  const end = chunk('IEND', [])
  const data = chunk('IDAT', zlibSync(rowsOf(tiny)))
  const file = (...chunks: ArrayLike<number>[]) => concat(signature, ...chunks)
  it.each([
    ['an empty file', new Uint8Array(0), 'the file is empty; a PNG'],
    ['a JPEG', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0), 'not a PNG picture but a JPEG; save it as PNG'],
    ['a GIF', ascii('GIF89a'), 'but a GIF'],
    ['a WebP', ascii('RIFF1234WEBPVP8 '), 'but a WebP'],
    ['a bitmap', ascii('BM1234'), 'but a Windows bitmap (BMP); save it as PNG'],
    [
      "a PNG of Apple's",
      file(chunk('CgBI', [80, 0, 32, 6]), tinyHeader, data, end),
      "Apple's Xcode gives it (chunk CgBI)",
    ],
    ['a web page', ascii('\n<html>'), 'but a web page'],
    ['noise', Uint8Array.of(1, 2, 3), 'not a PNG picture; save it as PNG'],
    ['a signature alone', Uint8Array.from(signature), 'cut short'],
    ['no IHDR', file(data, end), 'begins with chunk "IDAT", not an IHDR'],
    ['a long IHDR', file(chunk('IHDR', new Uint8Array(14))), 'not an IHDR of 13 bytes'],
    ['two IHDR', file(tinyHeader, tinyHeader, data, end), 'chunk "IHDR" is not one that PNG defines here'],
    ['no IDAT', file(tinyHeader, end), 'its pixels take 6 bytes, fewer are given'],
    ['no IEND', file(tinyHeader, data), 'cut short'],
    ['an unknown critical chunk', file(tinyHeader, chunk('ABCD', []), data, end), '"ABCD"'],
    ['a chunk beyond the file', file(uint32(0xffffffff), ascii('IHDR'), new Uint8Array(9)), 'cut short'],
    ['a width of 0', pngOf({ ...tiny, width: 0 }), '0 × 2 pixels; both must be at least 1'],
    ['3 bits', file(header({ ...tiny, depth: 3 }), data, end), 'colour type 0 with 3 bits'],
    ['colour type 5', file(header({ ...tiny, colorType: 5 }), data, end), 'colour type 5 with 8 bits'],
    ['a palette of 16 bits', file(header({ ...tiny, colorType: 3, depth: 16 })), 'colour type 3 with 16 bits'],
    ['no palette', pngOf({ ...tiny, colorType: 3 }), 'a palette (chunk PLTE) of 0 bytes'],
    [
      'a palette of 4 bytes',
      pngOf({ ...tiny, colorType: 3, palette: [1, 2, 3, 4] }),
      'a palette (chunk PLTE) of 4 bytes',
    ],
    [
      'a palette of 257',
      pngOf({ ...tiny, colorType: 3, palette: new Array<number>(771).fill(0) }),
      'a palette (chunk PLTE) of 771 bytes',
    ],
    [
      'a colour outside the palette',
      pngOf({ ...tiny, colorType: 3, palette: [1, 2, 3] }),
      'Incorrect index of palette color',
    ],
    [
      'transparency without colours',
      pngOf({ ...tiny, colorType: 3, palette: [1, 2, 3], transparency: [1, 2] }),
      'more alpha values than there are palette colors',
    ],
    ['half a transparent colour', pngOf({ ...tiny, transparency: [1] }), 'a transparent colour of 1 bytes, not 2'],
    ['too few pixels', pngOf(tiny, rowsOf(tiny).subarray(0, 5)), 'its pixels take 6 bytes, 5 are given'],
    ['an unknown filter', pngOf(tiny, Uint8Array.of(0, 1, 2, 5, 3, 4)), 'Unsupported filter: 5'],
    ['pixels that are not zlib', file(tinyHeader, chunk('IDAT', new Uint8Array(20)), end), 'cannot be inflated'],
    ['broken deflate', file(tinyHeader, chunk('IDAT', [0x78, 0x9c, 7, 7, 7, 7, 7, 7, 7]), end), 'cannot be inflated'],
    [
      'a wrong Adler-32',
      file(tinyHeader, chunk('IDAT', concat(zlibSync(rowsOf(tiny)).slice(0, -4), [0, 0, 0, 0])), end),
      'checksum of its pixels',
    ],
  ])('explains %s', (_, bytes, expected) => {
    expect(failure(bytes).message).toContain(expected)
  })

  it('explains unknown methods', () => {
    for (const at of [10, 11, 12]) {
      const fields = concat(uint32(2), uint32(2), [8, 0, 0, 0, 0])
      fields[at] = 2
      expect(failure(file(chunk('IHDR', fields), data, end)).message).toContain('PNG does not define')
    }
  })

  it('refuses more pixels than the limit before it decodes any', () => {
    const huge = header({ width: 2 ** 31 - 1, height: 2 ** 31 - 1, depth: 8, colorType: 6 })
    expect(failure(file(huge)).message).toContain('2147483647 × 2147483647 pixels, more than the limit of 67108864')
    expect(failure(pngOf(tiny), { maxPixels: 3 }).message).toContain('2 × 2 pixels, more than the limit of 3')
    expect(decodePng(pngOf(tiny), 'x', { maxPixels: 4 }).width).toBe(2)
  })

  it('passes over what follows the pixels, and inflates none of it', () => {
    const whole = decodePng(pngOf(tiny), 'x')
    const stream = zlibSync(rowsOf(tiny))
    for (const bytes of [
      concat(pngOf(tiny), ascii('and more')),
      concat(pngOf(tiny), pngOf(tiny)),
      file(tinyHeader, chunk('IDAT', concat(stream, [0, 1, 2])), end),
      file(tinyHeader, chunk('IDAT', stream), chunk('IDAT', new Uint8Array(1000)), end),
      file(tinyHeader, chunk('IDAT', stream), chunk('IDAT', []), end),
      pngOf(tiny, concat(rowsOf(tiny), [0])),
      pngOf(tiny, concat(rowsOf(tiny), rowsOf(tiny))),
      // What it inflates to would take 50 MB.
      file(tinyHeader, chunk('IDAT', zlibSync(concat(rowsOf(tiny), new Uint8Array(50_000_000)), { level: 9 })), end),
    ]) {
      expect(decodePng(bytes, 'x')).toEqual(whole)
    }
  })

  it('refuses pixels that could not inflate to what the header tells', () => {
    const promise = file(header({ width: 8000, height: 8000, depth: 16, colorType: 6 }), data, end)
    expect(failure(promise).message).toContain('its pixels take 512008000 bytes, fewer are given')
  })

  it('does not read on after the end of the deflate stream', () => {
    const stream = zlibSync(rowsOf(tiny).subarray(0, 5))
    const long = file(tinyHeader, chunk('IDAT', concat(stream, new Uint8Array(10_000_000))), end)
    expect(failure(long).message).toContain('its pixels take 6 bytes, 5 are given')
  })

  it.each([1, 2, 4, 7])('says of the first %i bytes of a picture that the rest is missing', (length) => {
    const bytes = Uint8Array.from(signature).subarray(0, length)
    const message = `the PNG is cut short: ${length} bytes are given; fetch or save it again`
    expect(failure(bytes).message).toContain(message)
    expect(() => decodeImage(bytes, 'x')).toThrow(message)
  })

  it('reports every truncation', () => {
    fc.assert(
      fc.property(raws, fc.nat(), (raw, where) => {
        const bytes = pngOf(raw)
        const cut = failure(bytes.slice(0, where % bytes.length))
        expect(cut.message).toMatch(/cut short|is empty/)
      }),
      runs,
    )
  })

  it('reports every changed byte', () => {
    fc.assert(
      fc.property(raws, fc.nat(), fc.integer({ min: 1, max: 255 }), (raw, where, change) => {
        const bytes = pngOf(raw)
        const at = where % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ change
        failure(bytes)
      }),
      runs,
    )
  })

  it('answers any stream of pixels with a picture or a FormatError', () => {
    fc.assert(
      fc.property(raws, fc.uint8Array({ maxLength: 60 }), fc.boolean(), (raw, noise, wrapped) => {
        const stream = wrapped ? zlibSync(noise) : concat([0x78, 0x9c], noise)
        const bytes = file(header(raw), chunk('IDAT', stream), end)
        try {
          expect(decodePng(bytes, 'x').width).toBe(raw.width)
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      runs,
    )
  })
})

describe('encodePng', () => {
  it.each([
    [{ width: 2, height: 2, channels: 1, data: new Uint8Array(3) }, 'wrong data size. Found 3, expected 4'],
    [{ width: 0, height: 2, channels: 1, data: new Uint8Array(0) }, 'width must be a positive integer'],
    [{ width: 2, height: 0.5, channels: 1, data: new Uint8Array(1) }, 'height must be a positive integer'],
    [{ width: 1, height: 1, channels: 5, data: new Uint8Array(5) }, 'unsupported number of channels: 5'],
  ])('refuses %o', (image, expected) => {
    expect(() => encodePng(image as PngImage)).toThrow(ShapeError)
    expect(() => encodePng(image as PngImage)).toThrow(expected)
  })
})
