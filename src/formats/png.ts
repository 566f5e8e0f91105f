/**
 * PNG pictures (https://www.w3.org/TR/png/) to and from 8-bit pixels.
 *
 * Files are written by fast-png. They are read here, row by row as they are inflated, so that decoding takes the result,
 * two rows and 64 KiB: fast-png 8 takes up to ten times the result, inflates pixels and colour profiles without a limit,
 * takes pixel data that end early for black, checks no checksum of the pixels and misreads interlaced pictures below 8 bits
 * per sample.
 */
import { encode } from 'fast-png'
import { ArgumentError, FormatError } from '../runtime/errors.js'
import { checkObject } from '../runtime/check.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { crc32 } from './crc32.js'
import { formatOf, remedyOf } from './formats.js'
import { Inflator } from './inflate.js'
import {
  allocate,
  fileBytes,
  beginsWith,
  checkBytes,
  checkPixels,
  endsWithin,
  limitNames,
  pngSignature,
  type FileBytes,
  type PictureLimits,
} from './limits.js'

/** A picture of 8 bits per sample, (height, width, channels) row-major: grey, grey and alpha, RGB or RGBA. */
export interface PngImage {
  /** Columns. */
  readonly width: number
  /** Rows. */
  readonly height: number
  /** 1 grey, 2 grey and alpha, 3 red, green and blue, 4 with alpha. */
  readonly channels: 1 | 2 | 3 | 4
  /** The channels of a pixel beside each other, row by row, one byte each. */
  readonly data: Uint8Array
}

/** Limits of `decodePng`. */
export type DecodePngOptions = PictureLimits

/**
 * Reads a PNG of any bit depth, colour type and interlacing. 16-bit samples are rounded to 8 bits, smaller ones are spread
 * over 0..255, palettes become RGB and a transparent colour becomes an alpha channel. Colour profiles and gamma are ignored,
 * and so are bytes after the pixels and after the end; of an animation, the still image is read.
 *
 * @param file the whole of it
 * @param name what to call it in errors, usually its path
 * @param limits of pixels and of memory; decoding takes at most three times the result, and 64 MB
 * @throws FormatError when the file is not a PNG, is damaged or cut short, or exceeds a limit
 */
export function decodePng(file: FileBytes, name: string, limits: DecodePngOptions = {}): PngImage {
  checkCount('decodePng', 3, arguments)
  checkKeys('decodePng', limits, limitNames)
  const bytes = fileBytes(file, name)
  const damaged: Damaged = (what) => new FormatError(`${name}: the PNG is damaged: ${what}`)
  const chunks = readChunks(bytes, name, limits, damaged)
  const { width, height, samples, depth } = chunks.header
  const { channels, write } = samplesOf(chunks, damaged)
  const passes = passesOf(chunks.header)
  const buffered = Math.max(0, ...passes.map(({ bufferBytes }) => bufferBytes))
  const inflated = passes.reduce((sum, { rows, stride }) => sum + rows * stride, 0)
  // Filtered rows are work too. Those of 16 bits, or of a single pixel, have more bytes than the result.
  checkBytes(`${name}: the PNG`, Math.max(width * height * channels + buffered, inflated), limits)
  const pixels = new PixelReader(bytes, chunks, passes, damaged)
  const data = allocate(width * height * channels, `${name}: the PNG`)
  const buffer = allocate(buffered, `${name}: the PNG`)
  const pixelBytes = Math.max(1, (samples * depth) / 8)
  for (const { left, top, stepX, stepY, rows, stride, together } of passes) {
    const pitch = stepY * width * channels
    // Rows are read some together, behind the last of those before, from which they may be differences.
    let begin = 0
    for (let done = 0; done < rows; done += together) {
      const count = Math.min(together, rows - done)
      const end = begin + count * stride
      pixels.read(buffer.subarray(begin, end))
      for (let at = begin; at < end; at += stride) {
        const filter = buffer[at] as number
        if (filter > 0) unfilter(buffer, at, stride, pixelBytes, filter, done === 0 && at === begin, damaged)
      }
      const to = top * width * channels + done * pitch
      write({ buffer, from: begin + 1, stride, count, left, step: stepX }, data, to, pitch)
      buffer.copyWithin(0, end - stride, end)
      begin = stride
    }
  }
  pixels.end()
  return { width, height, channels, data }
}

/**
 * Writes a PNG of 8 bits per sample. The same picture gives the same bytes.
 *
 * @throws ShapeError when sizes, channels and data do not fit one another
 */
export function encodePng(image: PngImage): Uint8Array {
  checkCount('encodePng', 1, arguments)
  checkObject(image, 'encodePng: the image', '{ width, height, channels, data }')
  const { width, height, channels, data } = image
  try {
    return encode({ width, height, channels, depth: 8, data })
  } catch (error) {
    throw new ArgumentError(`encodePng: ${error instanceof Error ? error.message : String(error)}`)
  }
}

type Damaged = (what: string) => FormatError

interface Header {
  readonly width: number
  readonly height: number
  /** Bits of a sample. */
  readonly depth: number
  /** Samples of a pixel: 1 for an index into the palette. */
  readonly samples: number
  readonly indexed: boolean
  readonly interlaced: boolean
}

/** What is known of a file before its pixels are inflated. */
interface Chunks {
  readonly header: Header
  readonly palette: Uint8Array
  /** The alpha of the colours of the palette, or the one transparent colour. */
  readonly transparency: Uint8Array | undefined
  /** Where the first chunk of pixels begins, and how many bytes all of them hold. */
  readonly pixelsAt: number
  readonly compressed: number
}

// The types of chunks: four letters, as numbers.
const IHDR = 0x49484452
const PLTE = 0x504c5445
const tRNS = 0x74524e53
const IDAT = 0x49444154
const IEND = 0x49454e44
const CgBI = 0x43674249

// A chunk: length of its data as uint32, four letters, the data, CRC-32 of letters and data; all big endian.
function readChunks(bytes: Uint8Array, name: string, limits: PictureLimits, damaged: Damaged): Chunks {
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; a PNG picture was expected`)
  if (endsWithin(bytes, pngSignature)) {
    throw new FormatError(`${name}: the PNG is cut short: ${bytes.length} bytes are given; fetch or save it again`)
  }
  if (!beginsWith(bytes, pngSignature)) {
    const format = formatOf(bytes)
    const what = format === undefined ? '' : ` but ${format}`
    throw new FormatError(`${name}: not a PNG picture${what}; ${remedyOf(bytes) ?? 'save it as PNG'}`)
  }
  const view = viewOf(bytes)
  let header: Header | undefined
  let palette: Uint8Array = new Uint8Array(0)
  let transparency: Uint8Array | undefined
  let pixelsAt = bytes.length
  let compressed = 0
  for (let position = 8; ;) {
    const left = bytes.length - position
    const length = left < 12 ? 0 : view.getUint32(position)
    if (left < 12 || length > left - 12) {
      throw new FormatError(`${name}: the PNG is cut short: it ends within or before a chunk; fetch or save it again`)
    }
    const begin = position
    const type = view.getUint32(begin + 4)
    const shown = (): string => JSON.stringify(String.fromCharCode(...bytes.subarray(begin + 4, begin + 8)))
    const end = begin + 8 + length
    position = end + 4
    if (crc32(bytes, begin + 4, end) !== view.getUint32(end)) {
      throw damaged(`the checksum of chunk ${shown()} does not match`)
    }
    if (header === undefined) {
      if (type === CgBI) {
        throw new FormatError(
          `${name}: is a PNG in the form that Apple's Xcode gives it (chunk CgBI), which is none by the standard; ` +
            'take the original, or save it as PNG again',
        )
      }
      if (type !== IHDR || length !== 13) throw damaged(`it begins with chunk ${shown()}, not an IHDR of 13 bytes`)
      header = parseHeader(bytes.subarray(begin + 8, end), damaged)
      checkPixels(`${name}: the PNG`, header.width, header.height, limits)
    } else if (type === IDAT) {
      pixelsAt = Math.min(pixelsAt, begin)
      compressed += length
    } else if (type === PLTE) palette = bytes.subarray(begin + 8, end)
    else if (type === tRNS) transparency = bytes.subarray(begin + 8, end)
    else if (type === IEND) return { header, palette, transparency, pixelsAt, compressed }
    // Capitals begin the names of chunks that must be understood.
    else if ((type & 0x20000000) === 0) throw damaged(`chunk ${shown()} is not one that PNG defines here`)
  }
}

/** By colour type: how many samples a pixel has, and of what depths. */
const colorTypes: ReadonlyMap<number, readonly [samples: number, depths: readonly number[]]> = new Map([
  [0, [1, [1, 2, 4, 8, 16]]], // grey
  [2, [3, [8, 16]]], // RGB
  [3, [1, [1, 2, 4, 8]]], // palette
  [4, [2, [8, 16]]], // grey and alpha
  [6, [4, [8, 16]]], // RGBA
])

function parseHeader(data: Uint8Array, damaged: Damaged): Header {
  const width = viewOf(data).getUint32(0)
  const height = viewOf(data).getUint32(4)
  const [depth = 0, colorType = 0, compression, filter, interlace = 0] = data.subarray(8)
  const [samples, depths] = colorTypes.get(colorType) ?? [0, []]
  if (!depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw damaged(
      `PNG does not define colour type ${colorType} with ${depth} bits, ` +
        `compression ${compression}, filter ${filter} and interlacing ${interlace}`,
    )
  }
  return { width, height, depth, samples, indexed: colorType === 3, interlaced: interlace === 1 }
}

/** The passes of an interlaced picture: left, top, stepX and stepY. */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

/** Pixels that lie in the file together: every stepX-th of every stepY-th row, from (left, top) on. */
interface Pass {
  readonly left: number
  readonly top: number
  readonly stepX: number
  readonly stepY: number
  readonly rows: number
  /** Bytes of a row, with the number of its filter before its samples. */
  readonly stride: number
  /** Rows that are read at a time: 64 KiB of them, at least one. */
  readonly together: number
  /** Bytes of as many rows, and of the one before them, where there is one. */
  readonly bufferBytes: number
}

const TOGETHER_BYTES = 65_536

/** The passes that have pixels. */
function passesOf({ width, height, depth, samples, interlaced }: Header): Pass[] {
  return (interlaced ? adam7 : [[0, 0, 1, 1] as const])
    .map(([left, top, stepX, stepY]) => {
      const columns = Math.max(0, Math.ceil((width - left) / stepX))
      const rows = columns === 0 ? 0 : Math.max(0, Math.ceil((height - top) / stepY))
      const stride = 1 + Math.ceil((columns * samples * depth) / 8)
      const together = Math.min(rows, Math.max(1, Math.floor(TOGETHER_BYTES / stride)))
      const bufferBytes = (together + (rows > together ? 1 : 0)) * stride
      return { left, top, stepX, stepY, rows, stride, together, bufferBytes }
    })
    .filter(({ rows }) => rows > 0)
}

/** Rows of up to so many pixels are copied one by one, which then takes less time than a view of them. */
const SHORT_ROW = 16

/** Rows of a pass as they lie in a buffer, and the columns of the picture that their pixels are. */
interface PassRows {
  readonly buffer: Uint8Array
  /** Where the samples of the first row begin. */
  readonly from: number
  /** Bytes from one row to the next. */
  readonly stride: number
  readonly count: number
  /** The column of the first pixel, and the distance to the next. */
  readonly left: number
  readonly step: number
}

/** How the samples of rows become pixels of 8 bits. */
interface Samples {
  readonly channels: PngImage['channels']
  /** Writes rows into the picture: the first into that which begins at `to`, each of the others `pitch` bytes further on. */
  readonly write: (rows: PassRows, data: Uint8Array, to: number, pitch: number) => void
}

function samplesOf(chunks: Chunks, damaged: Damaged): Samples {
  const { header, transparency } = chunks
  if (header.indexed) return paletteSamples(chunks, damaged)
  const { depth, samples, width } = header
  const transparent = transparentColor(header, transparency, damaged)
  if (!transparent && depth >= 8) return wholeSamples(header)
  const channels = (samples + (transparent ? 1 : 0)) as PngImage['channels']
  const largest = (1 << depth) - 1
  const scale = 255 / largest
  return {
    channels,
    write({ buffer, from, stride, count, left, step }, data, to, pitch) {
      for (let row = 0; row < count; row++) {
        const start = from + row * stride
        for (let x = left, number = 0, at = to + row * pitch + left * channels; x < width; x += step) {
          let opaque = 0
          for (let i = 0; i < samples; i++, number++) {
            const value = sampleAt(buffer, start, number, depth)
            // Below 16 bits the scale is whole.
            data[at + i] = depth < 16 ? value * scale : narrow(value)
            if (transparent && value !== transparent[i]) opaque = 255
          }
          if (transparent) data[at + samples] = opaque
          at += step * channels
        }
      }
    },
  }
}

/** Samples of one or two bytes, which are all that there is of a pixel. */
function wholeSamples({ depth, samples, width }: Header): Samples {
  const bytes = depth / 8
  return {
    channels: samples as PngImage['channels'],
    write({ buffer, from, stride, count, left, step }, data, to, pitch) {
      for (let row = 0; row < count; row++) {
        let at = from + row * stride
        let into = to + row * pitch + left * samples
        if (bytes === 1 && step === 1 && width > SHORT_ROW) {
          data.set(buffer.subarray(at, at + width * samples), into)
          continue
        }
        for (let x = left; x < width; x += step, into += (step - 1) * samples) {
          for (const end = into + samples; into < end; into++, at += bytes) {
            const high = buffer[at] as number
            data[into] = bytes === 1 ? high : narrow((high << 8) | (buffer[at + 1] as number))
          }
        }
      }
    },
  }
}

/** 16 bits rounded to 8: the nearest to value / 257. */
const narrow = (value: number): number => (value * 255 + 32_895) >>> 16

/** The sample of a number in the row that begins at `from`. */
function sampleAt(buffer: Uint8Array, from: number, number: number, depth: number): number {
  if (depth === 8) return buffer[from + number] as number
  if (depth === 16) return ((buffer[from + 2 * number] as number) << 8) | (buffer[from + 2 * number + 1] as number)
  const bit = number * depth
  return ((buffer[from + (bit >>> 3)] as number) >> (8 - depth - (bit & 7))) & ((1 << depth) - 1)
}

function paletteSamples({ header, palette, transparency }: Chunks, damaged: Damaged): Samples {
  const { width, depth } = header
  if (palette.length === 0 || palette.length % 3 !== 0 || palette.length > 768) {
    throw damaged(`a palette (chunk PLTE) of ${palette.length} bytes`)
  }
  const colors = palette.length / 3
  const alphas = transparency?.length ?? 0
  if (alphas > colors) throw damaged(`more alpha values than there are palette colors (${alphas} vs ${colors})`)
  const channels = transparency ? 4 : 3
  return {
    channels,
    write({ buffer, from, stride, count, left, step }, data, to, pitch) {
      for (let row = 0; row < count; row++) {
        const start = from + row * stride
        for (let x = left, number = 0, at = to + row * pitch + left * channels; x < width; x += step, number++) {
          const index = sampleAt(buffer, start, number, depth)
          if (index >= colors) throw damaged(`Incorrect index of palette color: ${index} of ${colors}`)
          for (let i = 0; i < 3; i++) data[at + i] = palette[3 * index + i] as number
          if (transparency) data[at + 3] = transparency[index] ?? 255
          at += step * channels
        }
      }
    },
  }
}

/** The samples of the one transparent colour of a picture without palette. */
function transparentColor({ depth, samples }: Header, data: Uint8Array | undefined, damaged: Damaged) {
  // Not allowed beside an alpha channel, where it has no meaning.
  if (data === undefined || samples % 2 === 0) return undefined
  if (data.length !== 2 * samples) throw damaged(`a transparent colour of ${data.length} bytes, not ${2 * samples}`)
  return Array.from({ length: samples }, (_, i) => viewOf(data).getUint16(2 * i) & ((1 << depth) - 1))
}

/**
 * Gives back to a row, which begins with the number of its filter at `at`, what the filter took from it: each byte is a
 * difference from a guess by those `step` to the left and above.
 */
function unfilter(
  rows: Uint8Array,
  at: number,
  stride: number,
  step: number,
  filter: number,
  first: boolean,
  damaged: Damaged,
): void {
  let i = at + 1
  // Beside the row and above the first one lie zeros.
  const inner = Math.min(i + step, at + stride)
  const end = at + stride
  if (filter > 4) throw damaged(`Unsupported filter: ${filter}`)
  if (filter === 1 || (filter === 4 && first)) {
    for (i = inner; i < end; i++) rows[i] = (rows[i] as number) + (rows[i - step] as number)
  } else if (filter === 2) {
    if (first) return
    for (; i < end; i++) rows[i] = (rows[i] as number) + (rows[i - stride] as number)
  } else if (filter === 3) {
    if (first) i = inner
    for (; i < inner; i++) rows[i] = (rows[i] as number) + ((rows[i - stride] as number) >> 1)
    for (; i < end; i++) {
      const sum = (rows[i - step] as number) + (first ? 0 : (rows[i - stride] as number))
      rows[i] = (rows[i] as number) + (sum >> 1)
    }
  } else {
    for (; i < inner; i++) rows[i] = (rows[i] as number) + (rows[i - stride] as number)
    for (; i < end; i++) {
      const a = rows[i - step] as number
      const b = rows[i - stride] as number
      const c = rows[i - stride - step] as number
      const left = Math.abs(b - c)
      const above = Math.abs(a - c)
      const corner = Math.abs(a + b - 2 * c)
      rows[i] = (rows[i] as number) + (left <= above && left <= corner ? a : above <= corner ? b : c)
    }
  }
}

/** Largest prime below 2^16, modulo which the sums of Adler-32 count. */
const ADLER = 65_521
/** So many bytes can be added before the sums have to be reduced. */
const ADLER_STEP = 3800

/** The rows of the pixels, in a zlib stream (RFC 1950) that lies in one chunk or in many. */
class PixelReader {
  readonly #inflator: Inflator
  readonly #damaged: Damaged
  readonly #expected: number
  #given = 0
  /** Whether the last chunk has been given: what follows it in the file is no chunk. */
  #ended = false
  // The two sums of Adler-32.
  #low = 1
  #high = 0

  constructor(bytes: Uint8Array, { pixelsAt, compressed }: Chunks, passes: readonly Pass[], damaged: Damaged) {
    this.#damaged = damaged
    this.#expected = passes.reduce((sum, { rows, stride }) => sum + rows * stride, 0)
    // Deflate makes at most 1032 bytes of one.
    if (compressed * 1032 < this.#expected) throw this.#wrong('fewer')
    const view = viewOf(bytes)
    let position = pixelsAt
    const nextChunk = (): Uint8Array | undefined => {
      while (!this.#ended) {
        const begin = position + 8
        const type = view.getUint32(position + 4)
        const end = begin + view.getUint32(position)
        position = end + 4
        if (type === IDAT) return bytes.subarray(begin, end)
        this.#ended = type === IEND
      }
      return undefined
    }
    this.#inflator = new Inflator(nextChunk, (what) => damaged(`its pixels cannot be inflated: ${what}`))
    const method = this.#inflator.byte() ?? 0
    const flags = this.#inflator.byte() ?? 0
    // Deflate with a window of at most 32 KiB, without a dictionary; a multiple of 31.
    if ((method & 15) !== 8 || method >> 4 > 7 || (flags & 32) !== 0 || (method * 256 + flags) % 31 !== 0) {
      throw damaged('its pixels cannot be inflated: they are no zlib stream')
    }
  }

  /** Fills a target. */
  read(target: Uint8Array): void {
    this.#given += this.#inflator.read(target)
    let low = this.#low
    let high = this.#high
    for (let i = 0; i < target.length; low %= ADLER, high %= ADLER) {
      for (const end = Math.min(i + ADLER_STEP, target.length); i < end; i++) {
        low += target[i] as number
        high += low
      }
    }
    this.#low = low
    this.#high = high
    if (this.#given < this.#expected && this.#inflator.ended) throw this.#wrong(String(this.#given))
  }

  /**
   * Checks the checksum of the stream. What comes after the pixels is passed over, as other decoders do: bytes after the stream,
   * and in it more rows than there are, with which it is not inflated to its end.
   */
  end(): void {
    if (this.#inflator.read(new Uint8Array(1)) > 0) return
    let checksum = 0
    for (let i = 0; i < 4; i++) checksum = checksum * 256 + (this.#inflator.byte() ?? Number.NaN)
    if (checksum !== this.#high * 65536 + this.#low) {
      throw this.#damaged('the checksum of its pixels does not match')
    }
  }

  #wrong(given: string): FormatError {
    return this.#damaged(`its pixels take ${this.#expected} bytes, ${given} are given`)
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
