/**
 * IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist/), plain or compressed with gzip (RFC 1952).
 *
 * Layout, all big endian: 00 00, one byte for the element type, one byte for the number of dimensions, the sizes as
 * uint32, then the elements in row-major order.
 */
import { checkGzipEnd, isGzip, largestExpansion, openGzip } from './gzip.js'
import {
  allocate,
  checkBytes,
  endsWithin,
  fileBytes,
  isBytes,
  limitNames,
  type FileBytes,
  type PictureLimits,
} from './limits.js'
import { FormatError, ShapeError } from '../runtime/errors.js'
import { inWords, showShape } from '../runtime/text.js'
import { checkList, wrongKind } from '../runtime/check.js'
import { checkCount, checkKeys } from '../runtime/options.js'

/** Elements of an IDX file, in the typed array of the type that the file declares. */
export type IdxData = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array

/** An array read from an IDX file: `data` has the product of `shape` elements, row-major. */
export interface IdxArray {
  /** Extents, outermost first: (60000, 28, 28) for MNIST's training images. */
  readonly shape: number[]
  /** The values in row-major order. */
  readonly data: IdxData
}

/** Limits of functions that read compressed data. */
export type DataLimits = Pick<PictureLimits, 'maxBytes'>

interface ElementType {
  readonly name: string
  readonly bytes: number
  /** Elements from big-endian `bytes`, of which there is a whole number. */
  read(bytes: Uint8Array): IdxData
}

const elementTypes: ReadonlyMap<number, ElementType> = new Map<number, ElementType>([
  [0x08, { name: 'uint8', bytes: 1, read: (bytes) => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) }],
  [0x09, { name: 'int8', bytes: 1, read: (bytes) => new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length) }],
  [0x0b, { name: 'int16', bytes: 2, read: (bytes) => fill(new Int16Array(bytes.length / 2), bytes, 'getInt16') }],
  [0x0c, { name: 'int32', bytes: 4, read: (bytes) => fill(new Int32Array(bytes.length / 4), bytes, 'getInt32') }],
  [0x0d, { name: 'float32', bytes: 4, read: (bytes) => fill(new Float32Array(bytes.length / 4), bytes, 'getFloat32') }],
  [0x0e, { name: 'float64', bytes: 8, read: (bytes) => fill(new Float64Array(bytes.length / 8), bytes, 'getFloat64') }],
])

function fill<Data extends Int16Array | Int32Array | Float32Array | Float64Array>(
  target: Data,
  bytes: Uint8Array,
  getter: 'getInt16' | 'getInt32' | 'getFloat32' | 'getFloat64',
): Data {
  const view = viewOf(bytes)
  for (let i = 0; i < target.length; i++) target[i] = view[getter](i * target.BYTES_PER_ELEMENT, false)
  return target
}

/**
 * Reads an IDX file of any element type; gzip is recognised by its first bytes (1f 8b) and inflated.
 *
 * @param file the whole of it
 * @param name what to call it in errors, usually its path
 * @param limits of the memory that inflation may take, by default 512 MiB; reading takes at most three times the result
 * @returns the shape and the elements. One-byte elements of a file that is not compressed are a view of `file`;
 *   everything else is a copy.
 * @throws FormatError when the file is empty, not IDX, of an unknown type, cut short or too long, has no dimensions or
 *   one of size 0, when its gzip wrapping is damaged, or when inflation would exceed the limit. Nothing is inflated beyond
 *   what the header promises.
 */
export function readIdx(file: FileBytes, name: string, limits: DataLimits = {}): IdxArray {
  checkCount('readIdx', 3, arguments)
  checkKeys('readIdx', limits, limitNames)
  return readIdxOf(file, name, limits, () => undefined)
}

/** Looks at what the header of a file says, and throws where that is not what is wanted. */
type CheckHeader = (header: { readonly shape: readonly number[]; readonly type: string }) => void

/** The same of a file whose header is checked before anything is inflated. */
export function readIdxOf(file: FileBytes, name: string, limits: DataLimits, check: CheckHeader): IdxArray {
  const bytes = fileBytes(file, name)
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; an IDX file was expected`)
  const content = isGzip(bytes) || endsWithin(bytes, [0x1f, 0x8b]) ? gunzipIdx(bytes, name, limits, check) : bytes
  const header = parseHeader(content, name)
  if (header === undefined) {
    const expected = content.length < 4 ? 'at least 8' : String(4 + 4 * (content[3] ?? 0))
    throw new FormatError(`${name}: cut short: an IDX header takes ${expected} bytes, ${content.length} are given`)
  }
  const { shape, elementType, headerBytes, totalBytes } = header
  check({ shape, type: elementType.name })
  if (content.length < totalBytes) {
    throw new FormatError(
      `${name}: cut short: shape (${shape.join(', ')}) takes ${totalBytes} bytes with the header, ` +
        `${content.length} are given; fetch the file again`,
    )
  }
  if (content.length > totalBytes) throw tooLong(header, name, String(content.length))
  return { shape, data: elementType.read(content.subarray(headerBytes)) }
}

/**
 * Writes bytes as an IDX file of type 08 (uint8), not compressed.
 *
 * @param shape 1 to 255 sizes of at least 1, each below 2^32
 * @param data as many bytes as the product of the shape, row-major
 * @throws ShapeError when the shape cannot be written or does not match the data
 */
export function writeIdx(shape: readonly number[], data: Uint8Array): Uint8Array {
  checkCount('writeIdx', 2, arguments)
  checkList(shape, 'writeIdx: the shape', 'a list of sizes')
  if (!isBytes(data)) throw wrongKind('writeIdx: the data', 'bytes', data)
  if (shape.length < 1 || shape.length > 255) {
    throw new ShapeError(`writeIdx: the shape has ${shape.length} dimensions; IDX holds 1 to 255`)
  }
  let size = 1
  for (const dimension of shape) {
    if (!Number.isInteger(dimension) || dimension < 1 || dimension > 0xffffffff) {
      throw new ShapeError(
        `writeIdx: size ${inWords(dimension)} in shape ${showShape(shape)} is not a whole number ≥ 1`,
      )
    }
    size *= dimension
  }
  if (size !== data.length) {
    throw new ShapeError(`writeIdx: shape (${shape.join(', ')}) takes ${size} bytes, ${data.length} are given`)
  }
  const headerBytes = 4 + 4 * shape.length
  const bytes = new Uint8Array(headerBytes + size)
  const view = viewOf(bytes)
  bytes[2] = 0x08
  bytes[3] = shape.length
  shape.forEach((dimension, i) => {
    view.setUint32(4 + 4 * i, dimension, false)
  })
  bytes.set(data, headerBytes)
  return bytes
}

interface IdxHeader {
  readonly shape: number[]
  readonly elementType: ElementType
  readonly headerBytes: number
  readonly totalBytes: number
}

/** The header at the start of `bytes`, or undefined where more bytes are needed to read it. */
function parseHeader(bytes: Uint8Array, name: string): IdxHeader | undefined {
  const [first, second, typeCode, rank] = bytes
  if ((first ?? 0) !== 0 || (second ?? 0) !== 0) {
    throw new FormatError(
      `${name}: not an IDX file: it begins with ${hexadecimal(bytes.subarray(0, 4))}${guess(bytes)}; ` +
        'an IDX file begins with 00 00, a type code and the number of dimensions',
    )
  }
  if (typeCode === undefined || rank === undefined) return undefined
  const elementType = elementTypes.get(typeCode)
  if (elementType === undefined) {
    throw new FormatError(
      `${name}: unknown IDX element type ${hexadecimal([typeCode])}; ` +
        'known are 08 (uint8), 09 (int8), 0b (int16), 0c (int32), 0d (float32) and 0e (float64)',
    )
  }
  if (rank === 0) throw new FormatError(`${name}: the IDX header declares no dimensions; at least 1 is needed`)
  const headerBytes = 4 + 4 * rank
  if (bytes.length < headerBytes) return undefined
  const view = viewOf(bytes)
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i, false))
  if (shape.includes(0)) {
    throw new FormatError(`${name}: shape (${shape.join(', ')}) has a size of 0; every size must be at least 1`)
  }
  const totalBytes = shape.reduce((product, size) => product * size, elementType.bytes) + headerBytes
  if (!Number.isSafeInteger(totalBytes)) {
    throw new FormatError(`${name}: shape (${shape.join(', ')}) takes more bytes than can be addressed`)
  }
  return { shape, elementType, headerBytes, totalBytes }
}

function tooLong({ shape, totalBytes }: IdxHeader, name: string, given: string): FormatError {
  return new FormatError(
    `${name}: bytes after the end: shape (${shape.join(', ')}) takes ${totalBytes} bytes with the header, ` +
      `${given} are given`,
  )
}

const textStart = /^[\s\uFEFF]*</

function guess(bytes: Uint8Array): string {
  if (isGzip(bytes)) return ' (it was compressed with gzip twice: decompress it once)'
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return ' (it looks like a zip archive: unpack it)'
  if (textStart.test(new TextDecoder().decode(bytes.subarray(0, 64)))) {
    return ' (it looks like a web page: the download went wrong)'
  }
  return ''
}

function hexadecimal(bytes: Iterable<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The content of a gzip file, as far as there is any of what its IDX header promises. */
function gunzipIdx(bytes: Uint8Array, name: string, limits: DataLimits, check: CheckHeader): Uint8Array {
  const { inflator, compressed, damaged } = openGzip(bytes, name)
  // First the number of dimensions, then their sizes.
  const start = new Uint8Array(4 + 4 * 255)
  let filled = inflator.read(start.subarray(0, 4))
  if (filled === 0) throw new FormatError(`${name}: the gzip file holds nothing; an IDX file was expected`)
  parseHeader(start.subarray(0, filled), name)
  if (filled === 4) filled += inflator.read(start.subarray(4, 4 + 4 * (start[3] as number)))
  const header = parseHeader(start.subarray(0, filled), name)
  if (!header) {
    checkGzipEnd(inflator, start.subarray(0, filled), name, 'an IDX file')
    return start.subarray(0, filled)
  }
  const { shape, totalBytes, headerBytes, elementType } = header
  check({ shape, type: elementType.name })
  if (compressed * largestExpansion < totalBytes) {
    throw damaged(`shape (${shape.join(', ')}) takes ${totalBytes} bytes, which so few cannot hold`)
  }
  // Elements of more than one byte are turned around in a copy.
  checkBytes(`${name}: the content`, (elementType.bytes > 1 ? 2 : 1) * totalBytes, limits)
  const content = allocate(totalBytes, `${name}: the content`)
  content.set(start.subarray(0, headerBytes))
  const length = headerBytes + inflator.read(content.subarray(headerBytes))
  if (inflator.read(start.subarray(0, 1)) > 0) throw tooLong(header, name, 'more')
  checkGzipEnd(inflator, content.subarray(0, length), name, 'an IDX file')
  return content.subarray(0, length)
}
