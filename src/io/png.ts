/**
 * PNG pictures (https://www.w3.org/TR/png/) to and from 8-bit pixels, read and written by fast-png.
 *
 * Before it reads, a guard checks what fast-png 8 does not: it inflates pixels and colour profiles without a limit,
 * takes pixel data that end early for black, checks no checksum unless told and never that of the pixels, misreads
 * interlaced pictures below 8 bits per sample, and refuses a transparent colour in a picture of one or two pixels.
 */
import { convertIndexedToRgb, decode, encode, hasPngSignature } from 'fast-png'
import { Unzlib, zlibSync } from 'fflate'
import { FormatError, ShapeError } from '../runtime/errors.js'
import { crc32 } from './crc32.js'

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
export interface DecodePngOptions {
  /** Largest width × height to decode, by default 2^26 (64 Mi). Larger pictures are refused before any is decoded. */
  readonly maxPixels?: number
}

/**
 * Reads a PNG of any bit depth and colour type; interlaced ones only from 8 bits per sample. 16-bit samples are rounded
 * to 8 bits, smaller ones are spread over 0..255, palettes become RGB and a transparent colour becomes an alpha channel.
 * Colour profiles and gamma are ignored; of an animation, the still image is read.
 *
 * @param bytes the whole file
 * @param name what to call it in errors, usually its path
 * @throws FormatError when the file is not a PNG, is damaged or cut short, has more than `maxPixels` pixels, or is
 *   interlaced below 8 bits per sample
 */
export function decodePng(bytes: Uint8Array, name: string, { maxPixels = 2 ** 26 }: DecodePngOptions = {}): PngImage {
  const damaged: Damaged = (what, cause) => new FormatError(`${name}: the PNG is damaged: ${what}`, { cause })
  const { header, chunks, compressed } = readChunks(bytes, name, maxPixels, damaged)
  const { width, height, depth, samples, indexed } = header
  const transparent = transparentColor(header, chunks.get('tRNS'), damaged)
  const pixels = inflatePixels(compressed, header, damaged)
  const chunkNamed = (type: string) => chunks.get(type) ?? new Uint8Array(0)
  const start = Uint8Array.of(0, 0, 0, 0, ...new TextEncoder().encode('IDAT'))
  viewOf(start).setUint32(0, pixels.length)
  const file = concat([
    bytes.subarray(0, 33), // signature and IHDR
    ...(indexed ? [chunkNamed('PLTE'), chunkNamed('tRNS')] : []),
    ...[start, pixels, new Uint8Array(4)], // without a checksum: fast-png is not told to check it
    chunkNamed('IEND'),
  ])
  let values: ArrayLike<number>
  try {
    const image = decode(file)
    if (indexed) return { width, height, channels: chunks.has('tRNS') ? 4 : 3, data: convertIndexedToRgb(image) }
    // Rows of samples below 8 bits come packed. Unpacking is the same as looking up a palette of the numbers themselves.
    if (depth < 8) image.palette = Array.from({ length: 1 << depth }, (_, value) => [value])
    values = depth < 8 ? convertIndexedToRgb(image) : image.data
  } catch (error) {
    throw damaged(error instanceof Error ? error.message : String(error), error)
  }
  const channels = samples + (transparent === undefined ? 0 : 1)
  const largest = (1 << depth) - 1
  const data = new Uint8Array(width * height * channels)
  for (let from = 0, to = 0; from < values.length; from += samples, to += channels) {
    let opaque = 0
    for (let i = 0; i < samples; i++) {
      const value = values[from + i] ?? 0
      data[to + i] = Math.round((value * 255) / largest)
      if (transparent !== undefined && value !== transparent[i]) opaque = 255
    }
    if (transparent !== undefined) data[to + samples] = opaque
  }
  return { width, height, channels: channels as PngImage['channels'], data }
}

/**
 * Writes a PNG of 8 bits per sample. The same picture gives the same bytes.
 *
 * @throws ShapeError when sizes, channels and data do not fit one another
 */
export function encodePng({ width, height, channels, data }: PngImage): Uint8Array {
  try {
    return encode({ width, height, channels, depth: 8, data })
  } catch (error) {
    throw new ShapeError(`encodePng: ${error instanceof Error ? error.message : String(error)}`)
  }
}

type Damaged = (what: string, cause?: unknown) => FormatError

type Header = ReturnType<typeof parseHeader>

// A chunk: length of its data as uint32, four letters, the data, CRC-32 of letters and data; all big endian.
function readChunks(bytes: Uint8Array, name: string, maxPixels: number, damaged: Damaged) {
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; a PNG picture was expected`)
  if (!hasPngSignature(bytes)) throw new FormatError(`${name}: not a PNG picture${guess(bytes)}; save it as PNG`)
  const chunks = new Map<string, Uint8Array>()
  const pixels: Uint8Array[] = []
  const view = viewOf(bytes)
  let header: Header | undefined
  for (let position = 8; ;) {
    const left = bytes.length - position
    const length = left < 12 ? 0 : view.getUint32(position)
    if (left < 12 || length > left - 12) {
      throw new FormatError(`${name}: the PNG is cut short: it ends within or before a chunk; fetch or save it again`)
    }
    const chunk = bytes.subarray(position, position + 12 + length)
    const data = chunk.subarray(8, -4)
    const type = String.fromCharCode(...chunk.subarray(4, 8))
    const shown = JSON.stringify(type)
    position += chunk.length
    if (crc32(chunk.subarray(4, -4)) !== view.getUint32(position - 4)) {
      throw damaged(`the checksum of chunk ${shown} does not match`)
    }
    if (header === undefined) {
      if (type !== 'IHDR' || length !== 13) throw damaged(`it begins with chunk ${shown}, not an IHDR of 13 bytes`)
      header = parseHeader(data, name, maxPixels, damaged)
    } else if (type === 'IDAT') {
      pixels.push(data)
    } else if (type === 'PLTE' || type === 'tRNS' || type === 'IEND') {
      chunks.set(type, chunk)
      if (type === 'IEND') break
    } else if (/^[A-Z]/.test(type)) {
      throw damaged(`chunk ${shown} is not one that PNG defines here`)
    }
  }
  const palette = (chunks.get('PLTE')?.length ?? 12) - 12
  if (header.indexed && (palette === 0 || palette % 3 !== 0 || palette > 768)) {
    throw damaged(`a palette (chunk PLTE) of ${palette} bytes`)
  }
  return { header, chunks, compressed: concat(pixels) }
}

/** By colour type: how many samples a pixel has, and of what depths. */
const colorTypes: ReadonlyMap<number, readonly [samples: number, depths: readonly number[]]> = new Map([
  [0, [1, [1, 2, 4, 8, 16]]], // grey
  [2, [3, [8, 16]]], // RGB
  [3, [1, [1, 2, 4, 8]]], // palette
  [4, [2, [8, 16]]], // grey and alpha
  [6, [4, [8, 16]]], // RGBA
])

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

function parseHeader(data: Uint8Array, name: string, maxPixels: number, damaged: Damaged) {
  const width = viewOf(data).getUint32(0)
  const height = viewOf(data).getUint32(4)
  const [depth = 0, colorType = 0, compression, filter, interlace = 0] = data.subarray(8)
  const size = `${name}: the PNG has ${width} × ${height} pixels`
  if (width === 0 || height === 0) throw new FormatError(`${size}; both must be at least 1`)
  if (width * height > maxPixels) throw new FormatError(`${size}, more than the limit of ${maxPixels}; make it smaller`)
  const [samples, depths] = colorTypes.get(colorType) ?? [0, []]
  if (!depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw damaged(
      `PNG does not define colour type ${colorType} with ${depth} bits, ` +
        `compression ${compression}, filter ${filter} and interlacing ${interlace}`,
    )
  }
  if (interlace === 1 && depth < 8) {
    throw new FormatError(
      `${name}: interlaced PNG pictures of ${depth} bits per sample are not supported; save it without interlacing`,
    )
  }
  // Inflated, each row of each pass is the number of its filter and its samples.
  let pixelBytes = 0
  for (const [left, top, stepX, stepY] of interlace === 1 ? adam7 : [[0, 0, 1, 1] as const]) {
    const columns = Math.ceil((width - left) / stepX)
    const rows = Math.ceil((height - top) / stepY)
    if (columns > 0 && rows > 0) pixelBytes += rows * (1 + Math.ceil((columns * samples * depth) / 8))
  }
  return { width, height, depth, samples, indexed: colorType === 3, pixelBytes }
}

/** The samples of the one transparent colour of a picture without palette. */
function transparentColor({ depth, samples, indexed }: Header, chunk: Uint8Array | undefined, damaged: Damaged) {
  // Not allowed beside an alpha channel, where it has no meaning.
  if (chunk === undefined || indexed || samples % 2 === 0) return undefined
  const length = chunk.length - 12
  if (length !== 2 * samples) throw damaged(`a transparent colour of ${length} bytes, not ${2 * samples}`)
  return Array.from({ length: samples }, (_, i) => viewOf(chunk).getUint16(8 + 2 * i) & ((1 << depth) - 1))
}

/** More than the longest stored block (65 540 bytes): a step without pixels is one after the end of the stream. */
const stepBytes = 70_000

/** The zlib stream of the pixels anew, not compressed, when it holds as many bytes as the header tells. */
function inflatePixels(compressed: Uint8Array, { pixelBytes }: Header, damaged: Damaged): Uint8Array {
  const wrong = (given: string) => damaged(`its pixels take ${pixelBytes} bytes, ${given} are given`)
  // Deflate makes at most 1032 bytes of one.
  if (compressed.length * 1032 < pixelBytes) throw wrong('fewer')
  const pixels = new Uint8Array(pixelBytes)
  let filled = 0
  const inflator = new Unzlib((part) => {
    if (filled + part.length <= pixelBytes) pixels.set(part, filled)
    filled += part.length
  })
  for (let position = 0, last = false; !last; position += stepBytes) {
    const before = filled
    last = position + stepBytes >= compressed.length
    try {
      inflator.push(compressed.subarray(position, position + stepBytes), last)
    } catch (error) {
      throw damaged('its pixels cannot be inflated', error)
    }
    if (filled > pixelBytes) throw wrong('more')
    if (filled === before && !last)
      throw damaged(`its pixels end after ${filled} of ${pixelBytes} bytes, their data do not`)
  }
  if (filled < pixelBytes) throw wrong(String(filled))
  const stored = zlibSync(pixels, { level: 0 })
  // The last four bytes are Adler-32 of the content. Bytes between the end of the stream and those show here as well.
  if (!stored.subarray(-4).every((byte, i) => byte === compressed.at(i - 4))) {
    throw damaged('the checksum of its pixels does not match')
  }
  return stored
}

function guess(bytes: Uint8Array): string {
  const start = String.fromCharCode(...bytes.subarray(0, 12))
  if (start.startsWith('\xff\xd8\xff')) return ' but a JPEG'
  if (start.startsWith('GIF8')) return ' but a GIF'
  if (start.startsWith('RIFF') && start.endsWith('WEBP')) return ' but a WebP picture'
  if (start.trimStart().startsWith('<')) return ' but a web page or an SVG'
  if (start.startsWith('BM')) return ' but a Windows bitmap'
  return ''
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
