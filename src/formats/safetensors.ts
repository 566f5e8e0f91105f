/**
 * Safetensors files (https://huggingface.co/docs/safetensors).
 *
 * Layout, all little endian: the header's length as uint64, the header as JSON in UTF-8, then the tensors' bytes. The
 * header maps each name to { dtype, shape, data_offsets: [begin, end] }, offsets counted from the end of the header;
 * `__metadata__` maps strings to strings. The tensors cover the data without holes or overlap.
 *
 * A file may carry a checksum over all of its bytes as the first of its metadata. Other programs take it for metadata like
 * any other.
 */
import { ArgumentError, FormatError, ShapeError } from '../runtime/errors.js'
import { inWords, showShape } from '../runtime/text.js'
import { fileBytes, type FileBytes } from './limits.js'
import { checkObject } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { checksumMark, isChecksumLike, isIntact, seal, unsealedChecksum } from './checksum.js'
import { elementsOf, floatsOfHalves, floatsOfUpperHalves, toggleEndianness, type ArrayType } from './elements.js'

export type { FileBytes } from './limits.js'

/** A tensor to write: the typed array decides the dtype. */
export interface SafetensorsInput {
  /** Extents, outermost first. */
  readonly shape: readonly number[]
  /** The values in row-major order; the type of the array decides the type in the file. */
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array | Int8Array | BigInt64Array | Uint16Array
  /** 'F16' says that a Uint16Array holds the bits of float16 numbers. Of other arrays it says nothing. */
  readonly dtype?: string
}

/** Elements that were read; see `decodeSafetensors` for the array of each dtype. */
export type SafetensorsData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** Options of `encodeSafetensors`. */
export interface EncodeSafetensorsOptions {
  /** Whether the file gets a checksum over all of its bytes, by which `decodeSafetensors` finds damage. Default false. */
  readonly checksum?: boolean
}

/** A tensor that was read: `data` is a copy with the product of `shape` elements, row-major. */
export interface SafetensorsTensor {
  /** The type in the file: F32, F64, I32, … */
  readonly dtype: string
  /** Extents, outermost first. */
  readonly shape: number[]
  /** The values in row-major order. */
  readonly data: SafetensorsData
}

/** The contents of a file, tensors in the order of its header. */
export interface SafetensorsFile {
  /** The tensors by name, in the order of the header. */
  readonly tensors: Map<string, SafetensorsTensor>
  /** Free text by key, as in the header's `__metadata__`, without the checksum. */
  readonly metadata: Record<string, string>
  /** Whether the file has a checksum. It then was found to be right. */
  readonly verified: boolean
}

interface Dtype {
  readonly bytes: number
  /** The elements as they stand in a file, where they are whole and little endian. */
  readonly View: ArrayType<SafetensorsData>
  /** Makes numbers of them, where JavaScript has no array of the kind. */
  readonly widen?: (halves: Uint16Array) => Float32Array
}

const dtypes: ReadonlyMap<string, Dtype> = new Map<string, Dtype>([
  ['F64', { bytes: 8, View: Float64Array }],
  ['F32', { bytes: 4, View: Float32Array }],
  ['F16', { bytes: 2, View: Uint16Array, widen: floatsOfHalves }],
  ['BF16', { bytes: 2, View: Uint16Array, widen: floatsOfUpperHalves }],
  ['I64', { bytes: 8, View: BigInt64Array }],
  ['U64', { bytes: 8, View: BigUint64Array }],
  ['I32', { bytes: 4, View: Int32Array }],
  ['U32', { bytes: 4, View: Uint32Array }],
  ['I16', { bytes: 2, View: Int16Array }],
  ['U16', { bytes: 2, View: Uint16Array }],
  ['I8', { bytes: 1, View: Int8Array }],
  ['U8', { bytes: 1, View: Uint8Array }],
  ['BOOL', { bytes: 1, View: Uint8Array }],
])

const metadataKey = '__metadata__'
/** The limit of the reference implementation. */
const largestHeaderBytes = 100_000_000
/**
 * Tensors, and entries of the metadata: each takes up to 1 KiB of memory, however short its text. The most layers that a
 * file may describe, 2^17, have up to four tensors each.
 */
const mostTensors = 2 ** 19
const mostMetadata = 2 ** 16
/** Fields of a tensor, of which the format defines three, and characters of a field. */
const mostFields = 16
const longestField = 1024
/** The key of the checksum in the metadata, and how a header with a checksum begins, up to its digits. */
const checksumKey = 'toeplitz-checksum'
const sealedHead = (): string => `{"${metadataKey}":{"${checksumKey}":"${checksumMark}`
const plainFields = /^\{"dtype":"\w+","shape":\[[\d,]*\],"data_offsets":\[\d+,\d+\]\}$/
const loneSurrogate = /\p{Surrogate}/u

/**
 * Writes tensors in the order given. The same tensors and metadata give the same bytes.
 *
 * @param tensors by name; the dtype is F32, F64, I32, U8, I8 or I64 after the typed array, or F16 where a Uint16Array is said to hold
 *   that. Keys that are whole numbers come first, as JavaScript orders them.
 * @param metadata strings to keep beside the tensors
 * @param options whether the file gets a checksum
 * @returns the file; its header is padded with spaces to a multiple of 8 bytes
 * @throws ShapeError when a shape does not match its data, a name cannot be written, metadata are not strings, or there is
 *   more of them than can be read back
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, SafetensorsInput>>,
  metadata: Readonly<Record<string, string>> = {},
  options: EncodeSafetensorsOptions = {},
): Uint8Array {
  checkCount('encodeSafetensors', 3, arguments)
  checkKeys('encodeSafetensors', options, { checksum: 0 } satisfies Names<EncodeSafetensorsOptions>)
  checkObject(tensors, 'encodeSafetensors: the tensors')
  checkObject(metadata, 'encodeSafetensors: the metadata', 'an object of strings')
  const { checksum = false } = options
  const entries: string[] = []
  const texts = checksum ? [`"${checksumKey}":"${unsealedChecksum}"`] : []
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw new ArgumentError(`encodeSafetensors: metadata ${quote(key)} is not a string`)
    if (loneSurrogate.test(key + '\n' + value)) {
      throw new ArgumentError(`encodeSafetensors: metadata ${quote(key)} is not well-formed Unicode`)
    }
    if (key === checksumKey || isChecksumLike(value)) {
      throw new ArgumentError(`encodeSafetensors: metadata ${quote(key)} is reserved; ask for a checksum by the option`)
    }
    texts.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`)
  }
  if (texts.length > 0) entries.push(`"${metadataKey}":{${texts.join(',')}}`)
  const named = Object.entries(tensors)
  if (named.length > mostTensors || texts.length > mostMetadata) {
    throw new ArgumentError(
      `encodeSafetensors: ${named.length} tensors and ${texts.length} metadata; ` +
        `at most ${mostTensors} and ${mostMetadata} can be read back`,
    )
  }
  let end = 0
  for (const [name, given] of named as [string, SafetensorsInput | null | undefined][]) {
    const { shape, data, dtype: bits } = given ?? ({} as SafetensorsInput)
    const dtype = dtypeOf(name, data, bits)
    if (name === metadataKey || loneSurrogate.test(name)) {
      throw new ArgumentError(`encodeSafetensors: tensor name ${quote(name)} is reserved or not well-formed Unicode`)
    }
    if (!Array.isArray(shape) || !shape.every(isSize) || product(shape) !== data.length) {
      throw new ShapeError(
        `encodeSafetensors: tensor ${quote(name)} has ${data.length} elements, which shape ${Array.isArray(shape) ? showShape(shape) : quote(shape)} ` +
          'does not hold; the product of its sizes must be the number of elements',
      )
    }
    const begin = end
    end += data.byteLength
    entries.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${begin},${end}]}`,
    )
  }
  const header = new TextEncoder().encode(`{${entries.join(',')}}`)
  const headerBytes = Math.ceil(header.length / 8) * 8
  if (headerBytes > largestHeaderBytes) {
    throw new ArgumentError(`encodeSafetensors: the header takes ${headerBytes} bytes; at most 100 MB can be read back`)
  }
  const bytes = new Uint8Array(8 + headerBytes + end)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true)
  bytes.set(header, 8)
  bytes.fill(0x20, 8 + header.length, 8 + headerBytes)
  let position = 8 + headerBytes
  for (const [, { data }] of named) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position)
    toggleEndianness(bytes.subarray(position, position + data.byteLength), data.BYTES_PER_ELEMENT)
    position += data.byteLength
  }
  if (checksum) seal(bytes, 8 + sealedHead().length)
  return bytes
}

/**
 * Reads a file; everything returned is a copy.
 *
 * F16 and BF16 are widened to a Float32Array, which holds each of their values exactly; BOOL is a Uint8Array of 0 and 1;
 * F64, F32, I64, U64, I32, U32, I16, U16, I8 and U8 are the typed array of their name. Reading takes at most three times
 * the memory of what is returned, each tensor and each entry of the metadata counted as 1 KiB more, and 64 MB.
 *
 * @param file the whole of it
 * @param name what to call it in errors, usually its path
 * @throws FormatError when a checksum in the file does not match, when the header is too long, not JSON or names a key
 *   twice, when a dtype is not one of those above, when offsets and shapes disagree, leave holes, overlap or do not cover
 *   the file exactly, or when metadata are not strings
 */
export function decodeSafetensors(file: FileBytes, name: string): SafetensorsFile {
  checkCount('decodeSafetensors', 2, arguments)
  const bytes = fileBytes(file, name)
  const { tensors: views, metadata, verified } = openSafetensors(bytes, name)
  const tensors = new Map<string, SafetensorsTensor>()
  for (const [key, { dtype, shape, data }] of views) {
    tensors.set(key, { dtype, shape, data: data.buffer === bytes.buffer ? data.slice() : data })
  }
  return { tensors, metadata, verified }
}

/**
 * Reads a file as `decodeSafetensors` does, but for the elements: `data` of a tensor is made each time that it is read, as a
 * view of `bytes` where that is possible. A file of many tensors can then be refused before anything is copied, and a model
 * takes its weights over without a second copy of them.
 */
export function openSafetensors(file: FileBytes, name: string): SafetensorsFile {
  const bytes = fileBytes(file, name)
  if (bytes.length < 8) {
    throw new FormatError(`${name}: cut short: ${bytes.length} bytes are given, a safetensors file has at least 10`)
  }
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  if (headerBytes > BigInt(largestHeaderBytes)) {
    throw new FormatError(`${name}: not a safetensors file: its header would take ${headerBytes} bytes, over 100 MB`)
  }
  const dataStart = 8 + Number(headerBytes)
  if (dataStart > bytes.length) {
    throw new FormatError(
      `${name}: the header takes ${headerBytes} bytes, ${bytes.length - 8} follow its length; ` +
        'the file is cut short or is not a safetensors file',
    )
  }
  const text = headerText(bytes.subarray(8, dataStart), name)
  const sealed = text.startsWith(sealedHead())
  if (sealed && !isIntact(bytes, 8 + sealedHead().length)) throw damaged(name)
  const available = bytes.length - dataStart
  const entries: TensorEntry[] = []
  let metadata: Record<string, string> = {}
  for (const [key, value] of membersOf(text, name, mostTensors + 1)) {
    if (key === metadataKey) metadata = parseMetadata(value, sealed, name)
    else entries.push(parseEntry(key, value, available, name))
  }
  checkCoverage(entries, available, name)
  const tensors = new Map<string, SafetensorsTensor>()
  for (const entry of entries) tensors.set(entry.key, new StoredTensor(entry, bytes, dataStart))
  return { tensors, metadata, verified: sealed }
}

/** A tensor whose elements stay in the file. */
class StoredTensor implements SafetensorsTensor {
  readonly dtype: string
  readonly shape: number[]

  constructor(
    private readonly entry: TensorEntry,
    private readonly file: Uint8Array,
    private readonly dataStart: number,
  ) {
    this.dtype = entry.dtypeName
    this.shape = entry.shape
  }

  get data(): SafetensorsData {
    const { begin, end, dtype } = this.entry
    return valuesOf(this.file.subarray(this.dataStart + begin, this.dataStart + end), dtype)
  }
}

const damaged = (name: string): FormatError =>
  new FormatError(
    `${name}: its checksum does not match: the file is damaged, or was changed by a program that does not know of it; ` +
      `such a program has to leave out '${checksumKey}' of the metadata`,
  )

interface TensorEntry {
  readonly key: string
  readonly dtypeName: string
  readonly dtype: Dtype
  readonly shape: number[]
  readonly begin: number
  readonly end: number
}

const notJson = (name: string, cause?: unknown): FormatError =>
  new FormatError(`${name}: the header is not a JSON object in UTF-8; the file is damaged or not a safetensors file`, {
    cause,
  })

function headerText(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw notJson(name, error)
  }
}

const [QUOTE, BACKSLASH, COMMA, COLON, OPEN, CLOSE] = [0x22, 0x5c, 0x2c, 0x3a, 0x7b, 0x7d]

/** The value of a short JSON text. */
function parseField(text: string, name: string): unknown {
  if (text.length > longestField) {
    throw new FormatError(
      `${name}: the header has a value of ${text.length} characters, ${quote(text)}; none is so long`,
    )
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw notJson(name, error)
  }
}

/**
 * The members of a JSON object: each key, and the text of its value, which is not parsed yet. JSON.parse of the whole
 * header would take up to twenty times its length, and would silently keep the last of two members of the same key.
 *
 * @throws FormatError when the text is not that of one object, or a key repeats
 */
function* membersOf(text: string, name: string, most: number): Generator<[key: string, value: string]> {
  let at = 0
  /** Moves past space, and gives the character after it; NaN at the end. */
  const skipSpace = (): number => {
    let code = text.charCodeAt(at)
    while (code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d) code = text.charCodeAt(++at)
    return code
  }
  /** Moves past a string that begins here, and tells whether it stands for itself. */
  const skipString = (): boolean => {
    let plain = true
    for (at++; ; at++) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) break
      // Control characters must be escaped, and a string must end.
      if (!(code >= 0x20)) throw notJson(name)
      if (code === BACKSLASH) {
        plain = false
        at++
      }
    }
    at++
    return plain
  }
  /** Moves past a value; what is within it is looked at when it is parsed. */
  const skipValue = (): void => {
    for (let depth = 0; at < text.length;) {
      const code = text.charCodeAt(at)
      if (depth === 0 && (code === COMMA || code === CLOSE || code === 0x5d || code <= 0x20)) return
      if (code === QUOTE) skipString()
      else {
        if (code === OPEN || code === 0x5b) depth++
        else if (code === CLOSE || code === 0x5d) depth--
        at++
      }
    }
  }
  if (skipSpace() !== OPEN) throw notJson(name)
  at++
  const keys = new Set<string>()
  for (let more = skipSpace() !== CLOSE; more;) {
    if (skipSpace() !== QUOTE) throw notJson(name)
    const begin = at
    const key = skipString() ? text.slice(begin + 1, at - 1) : parseString(text.slice(begin, at), name)
    if (keys.has(key)) {
      throw new FormatError(`${name}: the header has the key ${quote(key)} twice; every key must be unique`)
    }
    keys.add(key)
    if (keys.size > most) {
      throw new FormatError(`${name}: the header has an object of more than ${most} members, the most there can be`)
    }
    if (skipSpace() !== COLON) throw notJson(name)
    at++
    skipSpace()
    const from = at
    skipValue()
    if (from === at) throw notJson(name)
    yield [key, text.slice(from, at)]
    const next = skipSpace()
    if (next !== COMMA && next !== CLOSE) throw notJson(name)
    more = next === COMMA
    if (more) at++
  }
  at++
  skipSpace()
  if (at < text.length) throw notJson(name)
}

/** A string of any length. */
function parseString(text: string, name: string): string {
  try {
    return String(JSON.parse(text))
  } catch (error) {
    throw notJson(name, error)
  }
}

/** The metadata, but for a checksum, which may stand there only where the file is `sealed` by it. */
function parseMetadata(value: string, sealed: boolean, name: string): Record<string, string> {
  if (value[0] !== '{') throw new FormatError(`${name}: ${metadataKey} must be an object of strings`)
  const strings: [string, string][] = []
  for (const [key, text] of membersOf(value, name, mostMetadata)) {
    if (text[0] !== '"') {
      throw new FormatError(`${name}: ${metadataKey} ${quote(key)} is not a string; metadata must be strings`)
    }
    const string = parseString(text, name)
    if (loneSurrogate.test(key + '\n' + string)) {
      throw new FormatError(`${name}: ${metadataKey} ${quote(key)} is not well-formed Unicode`)
    }
    if (key !== checksumKey && !isChecksumLike(string)) strings.push([key, string])
    else if (!sealed) throw damaged(name)
  }
  return Object.fromEntries(strings)
}

/** The three fields of a tensor. Those of later versions of the format are looked at and passed over. */
function parseFields(text: string, name: string): { dtype?: unknown; shape?: unknown; data_offsets?: unknown } {
  // What most programs write is parsed at once: no field of it can repeat, or be nested.
  if (text.length <= longestField && plainFields.test(text)) return parseField(text, name) as object
  const fields: { dtype?: unknown; shape?: unknown; data_offsets?: unknown } = {}
  for (const [field, value] of membersOf(text, name, mostFields)) {
    const parsed = parseField(value, name)
    if (field === 'dtype' || field === 'shape' || field === 'data_offsets') fields[field] = parsed
  }
  return fields
}

function parseEntry(key: string, text: string, available: number, name: string): TensorEntry {
  const wrong = (what: string): FormatError => new FormatError(`${name}: tensor ${quote(key)}${what}`)
  if (text[0] !== '{') throw wrong(` must be an object with dtype, shape and data_offsets`)
  const { dtype: dtypeName, shape, data_offsets: offsets } = parseFields(text, name)
  const dtype = typeof dtypeName === 'string' ? dtypes.get(dtypeName) : undefined
  if (typeof dtypeName !== 'string' || dtype === undefined) {
    const known = [...dtypes.keys()].join(', ')
    throw wrong(` has the unknown dtype ${quote(dtypeName)}; known are ${known}`)
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw wrong(` has the shape ${quote(shape)}; it must be an array of whole numbers from 0 to 2^53 - 1`)
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw wrong(` has the data_offsets ${quote(offsets)}; they must be two whole numbers ≥ 0`)
  }
  const [begin = 0, end = 0] = offsets
  if (begin > end || end > available) {
    throw wrong(
      ` has the data_offsets [${begin}, ${end}], but the file holds ${available} bytes of data; ` +
        'it is cut short or damaged',
    )
  }
  const expected = product(shape) * dtype.bytes
  if (expected !== end - begin) {
    throw wrong(
      `: ${dtypeName} of shape (${shape.join(', ')}) takes ${expected} bytes, ` +
        `data_offsets [${begin}, ${end}] hold ${end - begin}`,
    )
  }
  return { key, dtypeName, dtype, shape, begin, end }
}

function checkCoverage(entries: readonly TensorEntry[], available: number, name: string): void {
  let covered = 0
  for (const { key, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) {
      const problem = begin < covered ? 'overlaps the tensor before it' : 'leaves a hole before it'
      throw new FormatError(`${name}: tensor ${quote(key)} ${problem}: it begins at ${begin}, ${covered} was expected`)
    }
    covered = end
  }
  if (covered !== available) {
    throw new FormatError(
      `${name}: bytes after the end: the tensors take ${covered} bytes, the file holds ${available} bytes of data`,
    )
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function product(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((size, dimension) => size * dimension, 1)
}

/** What a file says, fit for one line of an error. */
function quote(value: unknown): string {
  let text = value === undefined ? 'missing' : inWords(value)
  try {
    text = JSON.stringify(value) ?? text
  } catch {
    // What JSON cannot say is said in words.
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

function dtypeOf(name: string, data: unknown, bits: unknown): string {
  if (bits === 'F16' && data instanceof Uint16Array) return bits
  if (data instanceof Float32Array) return 'F32'
  if (data instanceof Float64Array) return 'F64'
  if (data instanceof Int32Array) return 'I32'
  if (data instanceof Uint8Array) return 'U8'
  if (data instanceof Int8Array) return 'I8'
  if (data instanceof BigInt64Array) return 'I64'
  throw new ArgumentError(
    `encodeSafetensors: tensor ${quote(name)} must be a Float32Array, Float64Array, Int32Array, Uint8Array, Int8Array or BigInt64Array`,
  )
}

/** The elements that some bytes of a file are: numbers, made where JavaScript has no array of the kind. */
function valuesOf(stored: Uint8Array, { bytes, View, widen }: Dtype): SafetensorsData {
  const elements = elementsOf(stored, bytes, View)
  return widen ? widen(elements as Uint16Array) : elements
}
