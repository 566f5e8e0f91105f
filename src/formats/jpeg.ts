/**
 * JPEG pictures (ITU-T T.81, JFIF) to 8-bit pixels, in arithmetic that is the same in every engine.
 *
 * jpeg-js, which read them before, takes 600 bytes of memory for each block of 64 samples, and so ten times its result; this
 * reader takes 128. Its pixels are the same. Coefficients lie in one array for each component, where samples take their
 * place.
 */
import { FormatError } from '../runtime/errors.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { formatOf, remedyOf } from './formats.js'
import { BitReader, HuffmanTable, readScan, zigzag, type Component, type ScanPart } from './jpeg-scan.js'
import { inverseTransform } from './jpeg-transform.js'
import {
  allocate,
  fileBytes,
  beginsWith,
  checkBytes,
  checkPixels,
  endsWithin,
  jpegSignature,
  limitNames,
  type FileBytes,
  type PictureLimits,
} from './limits.js'
import type { PngImage } from './png.js'

/** Whether the bytes begin as a JPEG does. */
export function isJpeg(file: FileBytes): boolean {
  checkCount('isJpeg', 1, arguments)
  return beginsWith(fileBytes(file, 'isJpeg'), jpegSignature)
}

// The second bytes of markers, of which the first is 255.
const SOF0 = 0xc0
const SOF2 = 0xc2
const DHT = 0xc4
const RST0 = 0xd0
const RST7 = 0xd7
const SOI = 0xd8
const EOI = 0xd9
const SOS = 0xda
const DQT = 0xdb
const DRI = 0xdd
const APP0 = 0xe0
const APP14 = 0xee
const TEM = 0x01

const letters = (codes: Iterable<number>): string => String.fromCharCode(...codes)

type Damaged = (what: string) => FormatError

/** The header of the picture. */
interface Frame {
  readonly width: number
  readonly height: number
  readonly progressive: boolean
  readonly components: readonly Component[]
  /** Units, in which the components of a scan take turns. */
  readonly units: { readonly columns: number; readonly rows: number }
}

/**
 * Reads a baseline, extended or progressive JPEG of 8 bits as RGB; grey ones have three equal channels.
 *
 * @param file the whole of it
 * @param name what to call it in errors, usually its path
 * @param limits of pixels and of memory; decoding takes at most three times the result, and 64 MB, and 3.7 times with the
 *   four components of printing colours
 * @throws FormatError when the bytes are not a JPEG, are damaged or cut short, or exceed a limit
 */
export function decodeJpeg(file: FileBytes, name: string, limits: PictureLimits = {}): PngImage {
  checkCount('decodeJpeg', 3, arguments)
  checkKeys('decodeJpeg', limits, limitNames)
  const bytes = fileBytes(file, name)
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; a JPEG picture was expected`)
  if (endsWithin(bytes, jpegSignature)) {
    throw new FormatError(`${name}: the JPEG is cut short: ${bytes.length} bytes are given; fetch or save it again`)
  }
  if (!isJpeg(bytes)) {
    const format = formatOf(bytes)
    const what = format === undefined ? ': it does not begin with ff d8 ff' : ` but ${format}`
    throw new FormatError(`${name}: not a JPEG${what}; ${remedyOf(bytes) ?? 'save it as JPEG'}`)
  }
  const reader = new JpegReader(bytes, name, limits)
  const { frame, transform } = reader.read()
  for (const { blocks, table } of frame.components) inverseTransform(blocks, table as Int32Array)
  const data = allocate(3 * frame.width * frame.height, `${name}: the JPEG`)
  writePixels(frame, transform, data)
  return { width: frame.width, height: frame.height, channels: 3, data }
}

/** Reads the segments of a file, and the coefficients of its scans. */
class JpegReader {
  readonly #bytes: Uint8Array
  readonly #name: string
  readonly #limits: PictureLimits
  readonly #damaged: Damaged
  readonly #quantizers: (Int32Array | undefined)[] = []
  readonly #tables: { dc: (HuffmanTable | undefined)[]; ac: (HuffmanTable | undefined)[] } = { dc: [], ac: [] }
  #frame: Frame | undefined
  #restartInterval = 0
  #jfif = false
  /** The colour transform that an Adobe marker names: 0 none, 1 YCbCr, 2 YCCK. */
  #adobe: number | undefined

  constructor(bytes: Uint8Array, name: string, limits: PictureLimits) {
    this.#bytes = bytes
    this.#name = name
    this.#limits = limits
    this.#damaged = (what) => new FormatError(`${name}: the JPEG is damaged: ${what}`)
  }

  #cutShort(): FormatError {
    return new FormatError(`${this.#name}: the JPEG is cut short: its end is missing; fetch or save it again`)
  }

  /** The picture with all of its coefficients, and whether its colours are transformed. */
  read(): { readonly frame: Frame; readonly transform: boolean } {
    const bytes = this.#bytes
    for (let at = 2; ;) {
      // Between segments, bytes of 255 fill, and others are passed over, as most decoders do.
      while (at < bytes.length && (bytes[at] !== 0xff || bytes[at + 1] === 0xff || bytes[at + 1] === 0)) at++
      const marker = bytes[at + 1]
      if (marker === undefined) throw this.#cutShort()
      at += 2
      if (marker === EOI) break
      if ((marker >= RST0 && marker <= RST7) || marker === TEM || marker === SOI) continue
      const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
      if (at + Math.max(length, 2) > bytes.length) throw this.#cutShort()
      if (length < 2) throw this.#damaged(`a segment ${marker.toString(16)} of ${length} bytes`)
      const segment = bytes.subarray(at + 2, at + length)
      at += length
      if (marker === SOS) at = this.#readScan(segment, at)
      else this.#readSegment(marker, segment)
    }
    const frame = this.#frame
    if (!frame || frame.components.some(({ table }) => !table)) throw this.#damaged('it has no pixels for each colour')
    return { frame, transform: this.#transforms(frame) }
  }

  #readSegment(marker: number, segment: Uint8Array): void {
    if (marker === DQT) this.#readQuantizers(segment)
    else if (marker === DHT) this.#readTables(segment)
    else if (marker >= SOF0 && marker <= SOF2) this.#readFrame(segment, marker === SOF2)
    else if (marker > SOF2 && marker < 0xd0 && marker !== 0xc8) {
      throw new FormatError(
        `${this.#name}: the JPEG is lossless, hierarchical or arithmetic coded, which is not supported; ` +
          'save it as a baseline or progressive one',
      )
    } else if (marker === DRI) this.#restartInterval = this.#fields(segment, 2, 'restart interval').getUint16(0)
    else if (marker === APP0 && letters(segment.subarray(0, 4)) === 'JFIF') this.#jfif = true
    else if (marker === APP14 && letters(segment.subarray(0, 5)) === 'Adobe') this.#adobe = segment[11] ?? 0
  }

  /** A segment of at least so many bytes. */
  #fields(segment: Uint8Array, length: number, what: string): DataView {
    if (segment.length < length) throw this.#damaged(`a ${what} of ${segment.length} bytes`)
    return new DataView(segment.buffer, segment.byteOffset, segment.length)
  }

  #readQuantizers(segment: Uint8Array): void {
    for (let at = 0; at < segment.length;) {
      const kind = segment[at++]!
      const wide = kind >> 4
      const view = this.#fields(segment, at + 64 * (1 + wide), 'quantization table')
      if (wide > 1 || (kind & 15) > 3) throw this.#damaged(`a quantization table of kind ${kind}`)
      const table = new Int32Array(64)
      for (let i = 0; i < 64; i++) table[zigzag[i]!] = wide ? view.getUint16(at + 2 * i) : view.getUint8(at + i)
      this.#quantizers[kind & 15] = table
      at += 64 * (1 + wide)
    }
  }

  #readTables(segment: Uint8Array): void {
    for (let at = 0; at < segment.length;) {
      const kind = segment[at++]!
      this.#fields(segment, at + 16, 'Huffman table')
      const counts = segment.subarray(at, at + 16)
      const total = counts.reduce((sum, count) => sum + count, 0)
      at += 16
      this.#fields(segment, at + total, 'Huffman table')
      if (total > 256 || kind >> 4 > 1 || (kind & 15) > 3) throw this.#damaged(`a Huffman table of kind ${kind}`)
      const table = new HuffmanTable(counts, segment.subarray(at, at + total), this.#damaged)
      this.#tables[kind >> 4 === 0 ? 'dc' : 'ac'][kind & 15] = table
      at += total
    }
  }

  #readFrame(segment: Uint8Array, progressive: boolean): void {
    if (this.#frame) throw this.#damaged('it has two headers')
    const view = this.#fields(segment, 6, 'header')
    const [precision, height, width, count] = [view.getUint8(0), view.getUint16(1), view.getUint16(3), view.getUint8(5)]
    const picture = `${this.#name}: the JPEG`
    checkPixels(picture, width, height, this.#limits)
    if (precision !== 8)
      throw new FormatError(`${picture} has ${precision} bits per sample; 8 are supported: save it with 8`)
    if (count !== 1 && count !== 3 && count !== 4) {
      throw new FormatError(`${picture} has ${count} components; 1, 3 and 4 are supported`)
    }
    this.#fields(segment, 6 + 3 * count, 'header')
    const read = Array.from({ length: count }, (_, i) => {
      const [id, sampling, quantizer] = segment.subarray(6 + 3 * i) as Uint8Array & [number, number, number]
      return { id, h: sampling >> 4, v: sampling & 15, quantizer }
    })
    const ids = new Set(read.map(({ id }) => id))
    if (ids.size < count || read.some(({ h, v, quantizer }) => h < 1 || h > 4 || v < 1 || v > 4 || quantizer > 3)) {
      throw this.#damaged('a header whose components are not those that JPEG defines')
    }
    const maxH = Math.max(...read.map(({ h }) => h))
    const maxV = Math.max(...read.map(({ v }) => v))
    const units = { columns: Math.ceil(width / (8 * maxH)), rows: Math.ceil(height / (8 * maxV)) }
    const components = read.map(({ h, v, ...part }): Component => ({
      ...part,
      ...{
        h,
        v,
        scaleX: h / maxH,
        scaleY: v / maxV,
        table: undefined,
        passed: 0,
        blocks: new Int16Array(0),
        known: new Int32Array(0),
      },
      columns: Math.ceil(Math.ceil((width * h) / maxH) / 8),
      rows: Math.ceil(Math.ceil((height * v) / maxV) / 8),
      storedColumns: units.columns * h,
      storedRows: units.rows * v,
    }))
    const stored = components.map(({ storedColumns, storedRows }) => 64 * storedColumns * storedRows)
    checkBytes(
      picture,
      stored.reduce((sum, size) => sum + (progressive ? 2.125 : 2) * size, 3 * width * height),
      this.#limits,
    )
    // Each block takes at least one bit of the file.
    const blocks = components.reduce((sum, { columns, rows }) => sum + columns * rows, 0)
    if (blocks > 8 * this.#bytes.length) throw this.#cutShort()
    components.forEach((component, i) => {
      component.blocks = new Int16Array(allocate(2 * stored[i]!, picture).buffer)
      if (progressive) component.known = new Int32Array(allocate(stored[i]! / 8, picture).buffer)
    })
    this.#frame = { width, height, progressive, components, units }
  }

  /** Reads a scan whose data begin at `at`, and gives the place of the marker after it. */
  #readScan(segment: Uint8Array, at: number): number {
    const frame = this.#frame
    if (!frame) throw this.#damaged('a scan before the header')
    const count = segment[0] ?? 0
    this.#fields(segment, 4 + 2 * count, 'scan')
    if (count < 1 || count > 4) throw this.#damaged(`a scan of ${count} components`)
    const { progressive } = frame
    const [first, last, approximation] = segment.subarray(1 + 2 * count) as Uint8Array & [number, number, number]
    const refines = progressive && approximation >> 4 > 0
    const low = approximation & 15
    const band = { first: progressive ? first : 0, last: progressive ? last : 63 }
    const bad = band.first > band.last || band.last > 63 || low > 13 || (band.first > 0 && count > 1)
    if (progressive && (bad || (band.first === 0 && band.last > 0))) {
      throw this.#damaged(`a scan of coefficients ${first} to ${last} of ${count} components`)
    }
    const seen = new Set<Component>()
    const parts = Array.from({ length: count }, (_, i): ScanPart => {
      const [id, tables] = segment.subarray(1 + 2 * i) as Uint8Array & [number, number]
      const component = frame.components.find((candidate) => candidate.id === id)
      if (!component || seen.has(component)) throw this.#damaged(`a scan of component ${id}`)
      seen.add(component)
      component.table ??= this.#quantizers[component.quantizer]
      if (!component.table) throw this.#damaged(`no quantization table ${component.quantizer}`)
      const { dc, ac } = this.#tables
      return { component, dc: dc[tables >> 4]?.prepared(), ac: ac[tables & 15]?.prepared() }
    })
    // What goes wrong with bits that are missing is that they are missing.
    const fail: Damaged = (what) => (bits.isPastEnd ? this.#cutShort() : this.#damaged(what))
    const bits = new BitReader(this.#bytes, at, fail)
    const scan = { parts, progressive, ...band, refines, low, restartInterval: this.#restartInterval }
    return readScan(scan, bits, frame.units)
  }

  /** Whether the colours are YCbCr, or YCCK, rather than RGB or CMYK: told as libjpeg does. */
  #transforms({ components }: Frame): boolean {
    if (components.length === 4) {
      if (this.#adobe === undefined) {
        throw new FormatError(
          `${this.#name}: the JPEG has four components of unknown meaning (CMYK without Adobe's marker); save it as RGB`,
        )
      }
      return this.#adobe !== 0
    }
    if (this.#jfif) return true
    if (this.#adobe !== undefined) return this.#adobe !== 0
    return letters(components.map(({ id }) => id)) !== 'RGB'
  }
}

/** A value cut to those of a byte, whose fraction is left out where it is stored. */
const clamp = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value)

/** Samples to pixels. Components of fewer samples repeat them; YCbCr becomes RGB (JFIF 1.02), and so do printing colours. */
function writePixels({ width, height, components }: Frame, transform: boolean, data: Uint8Array): void {
  const lines = components.map(({ storedColumns }) => new Uint8Array(8 * storedColumns))
  // Which sample of a component each column of the picture takes.
  const columns = components.map(({ scaleX }) => Uint16Array.from({ length: width }, (_, x) => Math.floor(x * scaleX)))
  const [line0, line1, line2, line3] = lines as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  const [column0, column1, column2, column3] = columns as [Uint16Array, Uint16Array, Uint16Array, Uint16Array]
  for (let y = 0, to = 0; y < height; y++) {
    components.forEach(({ blocks, storedColumns, scaleY }, i) => {
      const row = Math.floor(y * scaleY)
      const line = lines[i]!
      let at = 64 * (row >> 3) * storedColumns + 8 * (row & 7)
      for (let x = 0; x < line.length; x += 8, at += 64) for (let k = 0; k < 8; k++) line[x + k] = blocks[at + k]!
    })
    const from = to
    if (components.length === 1) {
      for (let x = 0; x < width; x++, to += 3) data[to] = data[to + 1] = data[to + 2] = line0[x]!
      continue
    }
    for (let x = 0; x < width; x++, to += 3) {
      const first = line0[column0[x]!]!
      const second = line1[column1[x]!]!
      const third = line2[column2[x]!]!
      data[to] = transform ? clamp(first + 1.402 * (third - 128)) : first
      data[to + 1] = transform ? clamp(first - 0.3441363 * (second - 128) - 0.71413636 * (third - 128)) : second
      data[to + 2] = transform ? clamp(first + 1.772 * (second - 128)) : third
    }
    if (components.length === 3) continue
    for (let x = 0, at = from; x < width; x++) {
      // Adobe stores how much of a colour is left out: of black, and of what is printed beside it.
      const black = 255 - line3[column3[x]!]!
      for (const end = at + 3; at < end; at++) {
        const printed = transform ? data[at]! : 255 - data[at]!
        data[at] = 255 - clamp(printed * (1 - black / 255) + black)
      }
    }
  }
}
