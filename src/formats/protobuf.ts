/**
 * Protocol buffers, the wire format (https://protobuf.dev/programming-guides/encoding/), read and written by tables.
 *
 * A message is a sequence of fields. Each field begins with a key, the varint of field number · 8 + wire type, and goes on
 * with a varint (wire type 0), 8 bytes (1), a length and so many bytes (2) or 4 bytes (5). A varint has 7 bits in each
 * byte, lowest first; all bytes but the last have their highest bit set. Numbers are little endian.
 *
 * `message` makes a codec of a table: the name of each property, and the field that it is stored in. Fields that the table
 * does not name are skipped. Of a field that is no list and comes twice, the last one counts. Groups are refused.
 * A list of numbers may be packed (one field of wire type 2) or not, and is packed when it is written.
 *
 * Bytes are views of the file, and so are packed floats where they are aligned. Reading takes linear time. Everything that
 * is refused is thrown as a `Refusal`, which `decode` turns into an error with the names of the messages around it.
 */
import { ArgumentError, FormatError, isOutOfMemory, OutOfMemoryError, UnsupportedError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { elementsOf, toggleEndianness, type ArrayType } from './elements.js'

/** Messages within one another. Subgraphs of ONNX take three levels each. */
const MAX_DEPTH = 64
/** Messages, texts, byte strings and parts of lists in a file. Read, one takes about 200 bytes at most, however short it is. */
const MAX_VALUES = 2 ** 20
/** Bytes of a text. */
const MAX_TEXT = 2 ** 24
/** Bytes of a message: the limit of other implementations. */
const MAX_BYTES = 2 ** 31 - 1

/** How a value is stored: as a varint, as 8 bytes, as a length and so many bytes, as 4 bytes. Types 3 and 4 are groups. */
const [VARINT, EIGHT, LENGTH, FOUR] = [0, 1, 2, 5] as const
const wireNames = ['a varint', '8 bytes', 'bytes with their length', 'a group', 'the end of a group', '4 bytes']
const nameOf = (wire: number): string => wireNames[wire] ?? `the wire type ${wire}`
const damaged = 'the file is cut short or damaged'

/** Why bytes are refused, and within which messages they lie, outermost first. */
export class Refusal extends Error {
  readonly within: string[] = []

  constructor(
    reason: string,
    readonly Kind: typeof FormatError | typeof UnsupportedError = FormatError,
  ) {
    super(reason)
  }
}

/** A position in a file, and what has been read so far. */
export class ProtoReader {
  at = 0
  /** Where the innermost message ends. */
  end: number
  /** Messages that are open. */
  depth = 0
  /** Position of the next message in the list that it belongs to; −1 where it belongs to none. */
  index = -1
  /** The two halves of the last varint, lower and upper, as signed 32-bit integers. */
  low = 0
  high = 0
  readonly view: DataView
  readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #values = 0

  constructor(readonly bytes: Uint8Array) {
    this.end = bytes.length
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** Moves past so many bytes of the innermost message, and gives their position. */
  take(count: number): number {
    const { at, end } = this
    if (count > end - at) throw new Refusal(`${count} bytes are due, ${end - at} are left; ${damaged}`)
    this.at = at + count
    return at
  }

  /** Reads a varint into `low` and `high`. */
  varint(): void {
    let [low, high] = [0, 0]
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.take(1)] as number
      const bits = byte & 127
      if (shift < 28) low |= bits << shift
      else if (shift > 28) high |= bits << (shift - 32)
      else {
        low |= bits << 28
        high = bits >> 4
      }
      // The tenth byte holds the last of 64 bits.
      if (shift === 63 && byte > 1) break
      if (byte < 128) {
        this.low = low
        this.high = high
        return
      }
    }
    throw new Refusal(`a number has more than 64 bits; ${damaged}`)
  }

  /** A varint as a signed integer of 64 bits. */
  bigint(): bigint {
    this.varint()
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0)
  }

  /** A length, and the bytes after it, as a view of the file. */
  span(): Uint8Array {
    this.varint()
    const from = this.take((this.high >>> 0) * 2 ** 32 + (this.low >>> 0))
    return this.bytes.subarray(from, this.at)
  }

  /** Counts a value that takes memory of its own. */
  count(): void {
    if (++this.#values > MAX_VALUES) {
      throw new Refusal(`there are more than ${MAX_VALUES} messages, texts and lists, the most that are read`)
    }
  }

  /** Reads what `body` reads up to the end of the bytes that follow a length. */
  within(body: () => void): void {
    this.varint()
    const { end } = this
    const from = this.take((this.high >>> 0) * 2 ** 32 + (this.low >>> 0))
    this.end = this.at
    this.at = from
    body()
    this.end = end
  }

  /** Moves past the value of a field that nothing is known of. */
  skip(wire: number): void {
    if (wire === VARINT) this.varint()
    else if (wire === LENGTH) this.within(() => (this.at = this.end))
    else if (wire === EIGHT || wire === FOUR) this.take(wire === FOUR ? 4 : 8)
    else throw new Refusal(`${nameOf(wire)} is not read; the file is damaged or of another kind`)
  }
}

/** How a value is stored. The type of a value tells what else there is to know when it is written. */
export interface Codec<T> {
  readonly wire: number
  /** The fields of a message. */
  readonly table?: () => Table
  /** Whether values are lists of numbers, stored as one. */
  readonly isPacked?: boolean
  read(reader: ProtoReader): T
  /** What is written in place of a value, by `inner`. */
  to?(value: T): unknown
  readonly inner?: Codec<unknown>
}

/** A field of a message, as `one`, `maybe`, `many`, `integers` and the lists of numbers make it. */
export interface Field<T> {
  readonly number: number
  /** The value where the field is absent. */
  readonly empty: T
  readonly codec: Codec<unknown>
  /** Reads what one key announces. `soFar` is `empty` or what `add` gave before. */
  add(reader: ProtoReader, wire: number, soFar: unknown): unknown
  /** The value when the message has ended, of what `add` gave last; left out where both are the same. */
  finish?(soFar: unknown): T
}

/** The fields of a message by property. */
export type Fields<M> = { readonly [K in keyof M]-?: Field<M[K]> }

type Entry = readonly [key: string, field: Field<unknown>]

interface Table {
  readonly entries: readonly Entry[]
  readonly byNumber: readonly (Entry | undefined)[]
  /** A message of no fields. */
  readonly empty: Readonly<Record<string, unknown>>
}

/** Bytes, as a view of the file. */
export const blob: Codec<Uint8Array> = {
  wire: LENGTH,
  read(reader) {
    reader.count()
    return reader.span()
  },
}

/** Text in UTF-8. */
export const text: Codec<string> = {
  wire: LENGTH,
  read(reader) {
    const bytes = blob.read(reader)
    if (bytes.length > MAX_TEXT) throw new Refusal(`a text has ${bytes.length} bytes; at most ${MAX_TEXT} are read`)
    try {
      return reader.decoder.decode(bytes)
    } catch (error) {
      if (isOutOfMemory(error)) throw error
      throw new Refusal('a text is not in UTF-8; the file is damaged or of another kind')
    }
  },
}

/** A signed integer of 64 bits. */
export const int64: Codec<bigint> = { wire: VARINT, read: (reader) => reader.bigint() }

const exact = (value: bigint): number => {
  const number = Number(value)
  if (!Number.isSafeInteger(number))
    throw new Refusal(`the number ${value} is out of range; at most ±(2^53 − 1) is read`)
  return number
}

/** A whole number that numbers hold exactly. */
export const integer: Codec<number> = { wire: VARINT, read: (reader) => exact(reader.bigint()) }

/** A number of 32 bits. */
export const float: Codec<number> = { wire: FOUR, read: (reader) => reader.view.getFloat32(reader.take(4), true) }

/** A value by another codec, changed on its way. */
export const mapped = <W, T>(inner: Codec<W>, from: (stored: W) => T, to: (value: T) => W): Codec<T> => ({
  ...inner,
  inner,
  to,
  read: (reader) => from(inner.read(reader)),
})

function checkWire(given: number, due: number): void {
  if (given === due) return
  const problem = `a field is stored as ${nameOf(given)} in place of ${nameOf(due)}`
  throw new Refusal(`${problem}; the file is damaged or of another kind`)
}

/** A field that is `empty` where it is absent, and is not written then. */
export const one = <T>(number: number, codec: Codec<T>, empty: T): Field<T> => ({
  number,
  empty,
  codec,
  add(reader, wire, soFar) {
    checkWire(wire, codec.wire)
    // Two messages in one field would have to be merged.
    if (codec.table && soFar !== empty) throw new Refusal('a message that can be there once is there twice')
    reader.index = -1
    return codec.read(reader)
  },
})

/** A field that is undefined where it is absent. */
export const maybe = <T>(number: number, codec: Codec<T>): Field<T | undefined> =>
  one<T | undefined>(number, codec, undefined)

const none: readonly never[] = Object.freeze([])

/** A list of texts, bytes or messages. */
export const many = <T>(number: number, codec: Codec<T>): Field<readonly T[]> => ({
  number,
  empty: none,
  codec,
  add(reader, wire, soFar) {
    checkWire(wire, codec.wire)
    const list = soFar === none ? [] : (soFar as T[])
    reader.index = list.length
    list.push(codec.read(reader))
    return list
  },
})

type Numbers = Float32Array | Float64Array | Int32Array | BigInt64Array | BigUint64Array

/** A list of numbers: a view of the file where they are floats, packed as one part, and aligned. */
const numbers =
  <A extends Numbers>(
    wire: number,
    List: ArrayType<A> & (new (count: number) => A) & { readonly BYTES_PER_ELEMENT: number },
    read: (reader: ProtoReader) => A[number],
  ) =>
  (number: number): Field<A> => {
    const empty = new List(0)
    const readPacked = (reader: ProtoReader): A => {
      const { at } = reader
      const bytes = reader.span()
      const width = List.BYTES_PER_ELEMENT
      if (wire !== VARINT) {
        if (bytes.length % width === 0) return elementsOf(bytes, width, List)
        throw new Refusal(`${bytes.length} bytes are no list of numbers of ${width} bytes`)
      }
      // A byte without its highest bit is the last of a varint.
      let count = 0
      for (const byte of bytes) if (byte < 128) count++
      const list = new List(count)
      reader.at = at
      reader.within(() => {
        for (let i = 0; reader.at < reader.end; i++) list[i] = read(reader)
      })
      return list
    }
    return {
      number,
      empty,
      codec: { wire: LENGTH, isPacked: true, read: readPacked },
      add(reader, given, soFar) {
        const parts = soFar === empty ? [] : (soFar as (A | A[number])[])
        if (given !== wire) checkWire(given, LENGTH)
        reader.count()
        parts.push(given === wire ? read(reader) : readPacked(reader))
        return parts
      },
      finish(soFar) {
        if (soFar === empty) return empty
        const parts = soFar as (A | A[number])[]
        const [first] = parts
        if (parts.length === 1 && typeof first === 'object') return first
        const list = new List(
          parts.reduce<number>((sum, part) => sum + (typeof part === 'object' ? part.length : 1), 0),
        )
        let at = 0
        for (const part of parts) {
          if (typeof part === 'object') {
            ;(list as Float32Array).set(part as Float32Array, at)
            at += part.length
          } else list[at++] = part
        }
        return list
      },
    }
  }

export const floats: (number: number) => Field<Float32Array> = /* @__PURE__ */ numbers<Float32Array>(
  FOUR,
  Float32Array,
  float.read,
)
export const doubles: (number: number) => Field<Float64Array> = /* @__PURE__ */ numbers<Float64Array>(
  EIGHT,
  Float64Array,
  (reader) => reader.view.getFloat64(reader.take(8), true),
)
/** The lower 32 bits of each varint, as other implementations take them. */
export const int32s: (number: number) => Field<Int32Array> = /* @__PURE__ */ numbers<Int32Array>(
  VARINT,
  Int32Array,
  (reader) => {
    reader.varint()
    return reader.low
  },
)
export const int64s: (number: number) => Field<BigInt64Array> = /* @__PURE__ */ numbers<BigInt64Array>(
  VARINT,
  BigInt64Array,
  int64.read,
)
export const uint64s: (number: number) => Field<BigUint64Array> = /* @__PURE__ */ numbers<BigUint64Array>(
  VARINT,
  BigUint64Array,
  (reader) => BigInt.asUintN(64, reader.bigint()),
)

/** A short list of whole numbers that numbers hold exactly, of at most so many. */
export function integers(number: number, most: number): Field<readonly number[]> {
  const field = int64s(number)
  return {
    ...(field as Field<unknown>),
    empty: none,
    add: (reader, wire, soFar) => field.add(reader, wire, soFar === none ? field.empty : soFar),
    finish(soFar) {
      if (soFar === none) return none
      const list = field.finish?.(soFar) ?? field.empty
      if (list.length > most) throw new Refusal(`a list has ${list.length} numbers; at most ${most} are read`)
      return Array.from(list, exact)
    },
  }
}

/** The codec of a message, which a file may be as a whole. */
export interface Message<M> extends Codec<M> {
  readonly table: () => Table
  /** Reads fields up to the end of the reader. */
  body(reader: ProtoReader): M
}

/** What a message is called in errors, and what is refused of it. */
interface MessageOptions<M> {
  /** The property that tells the kind of a message, and stands behind its name in errors. */
  readonly kind?: keyof M
  /** Why a file is refused that has a field, by the field's number. */
  readonly refused?: Readonly<Record<number, string>>
  /** Looks at what was read. Throws a `Refusal` where it cannot be. */
  check?(record: M): void
}

/**
 * The codec of a message.
 *
 * @param noun what to call it in errors, as `node`; its `name` follows there, or its position where it has none
 * @param fields the table, as a function, since messages may hold one another
 */
export function message<M extends object>(
  noun: string,
  fields: () => Fields<M>,
  { kind, refused = {}, check }: MessageOptions<M> = {},
): Message<M> {
  let made: Table | undefined
  const table = (): Table => {
    if (made) return made
    const entries = Object.entries<Field<unknown>>(fields())
    const byNumber: Entry[] = []
    for (const entry of entries) byNumber[entry[1].number] = entry
    return (made = { entries, byNumber, empty: Object.fromEntries(entries.map(([key, { empty }]) => [key, empty])) })
  }
  const place = (record: Readonly<Record<string, unknown>>, index: number): string => {
    const { name } = record
    const shown = kind === undefined ? '' : record[kind as string]
    const called = typeof name === 'string' && name !== '' ? ` ${inWords(name)}` : index < 0 ? '' : ` ${index}`
    return `${noun}${called}${typeof shown === 'string' && shown !== '' ? ` (${shown.slice(0, 60)})` : ''}`
  }
  const body = (reader: ProtoReader): M => {
    const { index } = reader
    const { entries, byNumber, empty } = table()
    const record = { ...empty }
    try {
      if (++reader.depth > MAX_DEPTH) throw new Refusal(`there are more than ${MAX_DEPTH} messages within one another`)
      while (reader.at < reader.end) {
        reader.varint()
        const number = reader.low >>> 3
        const wire = reader.low & 7
        if (reader.high !== 0 || number === 0) throw new Refusal(`a field has a number that there is not; ${damaged}`)
        const entry = byNumber[number]
        const reason = refused[number]
        if (entry) record[entry[0]] = entry[1].add(reader, wire, record[entry[0]])
        else if (reason === undefined) reader.skip(wire)
        else throw new Refusal(reason, UnsupportedError)
      }
      for (const [key, field] of entries) if (field.finish) record[key] = field.finish(record[key])
      check?.(record as M)
      reader.depth--
    } catch (error) {
      if (error instanceof Refusal && noun !== '') error.within.unshift(place(record, index))
      throw error
    }
    return record as M
  }
  return {
    wire: LENGTH,
    table,
    body,
    read(reader) {
      reader.count()
      let record: M | undefined
      reader.within(() => (record = body(reader)))
      return record as M
    },
  }
}

/**
 * Reads bytes that are one message.
 *
 * @param what begins every error: the name of the file
 * @throws FormatError when they are not, and UnsupportedError when a field is refused that other programs read
 */
export function decode<M>(codec: Message<M>, bytes: Uint8Array, what: string): M {
  try {
    return codec.body(new ProtoReader(bytes))
  } catch (error) {
    if (isOutOfMemory(error)) {
      throw new OutOfMemoryError(`${what}: there is not enough memory to read it`, { cause: error })
    }
    if (!(error instanceof Refusal)) throw error
    const { within, Kind, message } = error
    const places = within.length > 6 ? [...within.slice(0, 2), '…', ...within.slice(-3)] : within
    throw new Kind(`${what}: ${places.length > 0 ? `${places.join(', ')}: ` : ''}${message}`)
  }
}

/** Bytes that are written from the end to the beginning, so that the length of a message is known before it is written. */
class ProtoWriter {
  /** Bytes written so far. */
  length = 0
  /** Last part first. */
  readonly #parts: Uint8Array[] = []
  #depth = 0

  /** Writes bytes before all others. They are copied at the end. */
  bytes(part: Uint8Array): void {
    this.#parts.push(part)
    this.length += part.length
  }

  varint(value: number | bigint): void {
    this.bytes(packed([value]))
  }

  /** Writes the fields of a message. */
  fields(table: Table, value: object): void {
    if (++this.#depth > MAX_DEPTH) {
      throw new ArgumentError(`there are more than ${MAX_DEPTH} messages within one another, which cannot be read back`)
    }
    for (const [key, { number, empty, codec }] of [...table.entries].reverse()) {
      const given = (value as Readonly<Record<string, unknown>>)[key]
      if (given === undefined || given === empty) continue
      if (codec.isPacked) {
        const list = given as Numbers
        if (list.length > 0) this.value(number, codec, list)
      } else if (Array.isArray(given)) {
        for (let i = given.length - 1; i >= 0; i--) this.value(number, codec, given[i])
      } else this.value(number, codec, given)
    }
    this.#depth--
  }

  /** Writes one value of a field, and its key before it. */
  value(number: number, codec: Codec<unknown>, given: unknown): void {
    let [stored, by] = [given, codec]
    for (; by.to && by.inner; by = by.inner) stored = by.to(stored)
    const before = this.length
    if (by.table) this.fields(by.table(), stored as object)
    else if (by.wire === VARINT) this.varint(stored as number | bigint)
    else if (by.wire === FOUR) this.bytes(bytesOf(Float32Array.of(stored as number)))
    else if (by.isPacked) this.bytes(isFloats(stored) ? bytesOf(stored) : packed(stored as Int32Array))
    else this.bytes(typeof stored === 'string' ? new TextEncoder().encode(stored) : (stored as Uint8Array))
    if (by.wire === LENGTH) this.varint(this.length - before)
    this.varint(number * 8 + by.wire)
  }

  /** The whole, in the order of the file. */
  finish(): Uint8Array {
    if (this.length > MAX_BYTES) {
      throw new ArgumentError(`protocol buffers hold at most 2 GiB, and these would have ${this.length} bytes`)
    }
    const whole = new Uint8Array(this.length)
    let at = this.length
    for (const part of this.#parts) whole.set(part, (at -= part.length))
    return whole
  }
}

const isFloats = (list: unknown): list is Float32Array | Float64Array =>
  list instanceof Float32Array || list instanceof Float64Array

function bytesOf(list: Float32Array | Float64Array): Uint8Array {
  const bytes = new Uint8Array(list.buffer, list.byteOffset, list.byteLength).slice()
  toggleEndianness(bytes, list.BYTES_PER_ELEMENT)
  return bytes
}

/** Varints, one after another. */
function packed(list: ArrayLike<number | bigint>): Uint8Array {
  const bytes = new Uint8Array(10 * list.length)
  let at = 0
  for (let i = 0; i < list.length; i++) {
    const value = list[i] as number | bigint
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      throw new ArgumentError(`${inWords(value)} is no whole number of 53 bits, which this field holds`)
    }
    let left = BigInt.asUintN(64, BigInt(value))
    for (; left > 127n; left >>= 7n) bytes[at++] = Number(left & 127n) | 128
    bytes[at++] = Number(left)
  }
  return bytes.slice(0, at)
}

/** The bytes of a message. @throws ShapeError when they would be over 2 GiB, or hold what cannot be read back */
export function encode<M extends object>(codec: Message<M>, value: M): Uint8Array {
  const writer = new ProtoWriter()
  writer.fields(codec.table(), value)
  return writer.finish()
}
