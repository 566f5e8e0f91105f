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
/** Messages, texts and byte strings of a file. Read, one takes up to about 200 bytes, however short it is in the file. */
const MAX_VALUES = 2 ** 20
/** Bytes of a text. */
const MAX_TEXT = 2 ** 24
/** Bytes of a message: the limit of other implementations. */
const MAX_BYTES = 2 ** 31 - 1

/** How many bytes a value takes: those of a varint, 8, those that a length tells, 4. Types 3 and 4 are groups. */
const [VARINT, EIGHT, LENGTH, FOUR] = [0, 1, 2, 5] as const
const wireNames = ['a varint', '8 bytes', 'bytes with their length', 'a group', 'the end of a group', '4 bytes']

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
  /** Position of the next message in the list that it belongs to; −1 where it belongs to none. */
  index = -1
  /** The two halves of the last varint, lower and upper, as signed 32-bit integers. */
  low = 0
  high = 0
  readonly view: DataView
  readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #depth = 0
  #values = 0

  constructor(readonly bytes: Uint8Array) {
    this.end = bytes.length
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** Moves past so many bytes of the innermost message, and gives their position. */
  take(count: number): number {
    const { at, end } = this
    if (!(count >= 0 && count <= end - at)) {
      throw new Refusal(`${count} bytes are due, ${end - at} are left; the file is cut short or damaged`)
    }
    this.at = at + count
    return at
  }

  /** Reads a varint into `low` and `high`. */
  varint(): void {
    const { bytes, end } = this
    let [low, high] = [0, 0]
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= end) throw new Refusal('a number is cut short; the file is cut short or damaged')
      const byte = bytes[this.at++] as number
      const bits = byte & 127
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >> 4
      } else high |= bits << (shift - 32)
      // The tenth byte holds the last of 64 bits.
      if (shift === 63 && byte > 1) break
      if (byte < 128) {
        this.low = low
        this.high = high
        return
      }
    }
    throw new Refusal('a number has more than 64 bits; the file is damaged')
  }

  /** A varint that numbers hold exactly. */
  integer(): number {
    this.varint()
    const value = this.high * 2 ** 32 + (this.low >>> 0)
    if (!Number.isSafeInteger(value)) {
      throw new Refusal(`the number ${this.bigint()} is out of range; at most ±(2^53 − 1) is read here`)
    }
    return value
  }

  /** The last varint as a signed integer of 64 bits. */
  bigint(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0)
  }

  /** A length, and the bytes after it: moves past them, and gives their position. */
  span(): number {
    this.varint()
    return this.take((this.high >>> 0) * 2 ** 32 + (this.low >>> 0))
  }

  /** Counts a value that takes memory of its own. */
  count(): void {
    if (++this.#values > MAX_VALUES) {
      throw new Refusal(`there are more than ${MAX_VALUES} messages and texts, the most that are read`)
    }
  }

  /** Reads what `body` reads within the bytes that follow a length. */
  within(body: () => void): void {
    const from = this.span()
    const { at, end } = this
    this.at = from
    this.end = at
    body()
    this.end = end
  }

  /** Reads a message, one level deeper. */
  deeper(body: () => void): void {
    if (++this.#depth > MAX_DEPTH)
      throw new Refusal(`messages lie within one another more than ${MAX_DEPTH} levels deep`)
    body()
    this.#depth--
  }

  /** Moves past the value of a field that nothing is known of. */
  skip(wire: number): void {
    if (wire === VARINT) this.varint()
    else if (wire === LENGTH) this.span()
    else if (wire === EIGHT || wire === FOUR) this.take(wire === FOUR ? 4 : 8)
    else
      throw new Refusal(
        `${wireNames[wire] ?? `the wire type ${wire}`} is not read; the file is damaged or of another kind`,
      )
  }
}

/** Bytes that are written from the end to the beginning, so that the length of a message is known before it is written. */
export class ProtoWriter {
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
    this.bytes(Uint8Array.from(varintBytes(value)))
  }

  /** Writes what `body` writes, and its length before it. */
  within(body: () => void): void {
    const before = this.length
    if (++this.#depth > MAX_DEPTH) {
      throw new ArgumentError(
        `messages lie within one another more than ${MAX_DEPTH} levels deep, which cannot be read back`,
      )
    }
    body()
    this.#depth--
    this.varint(this.length - before)
  }

  /** The whole, in the order of the file. */
  finish(): Uint8Array {
    if (this.length > MAX_BYTES) {
      throw new ArgumentError(
        `a file of protocol buffers holds at most 2 GiB, and this one would have ${this.length} bytes`,
      )
    }
    const whole = new Uint8Array(this.length)
    let at = this.length
    for (const part of this.#parts) whole.set(part, (at -= part.length))
    return whole
  }
}

function varintBytes(value: number | bigint): number[] {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new ArgumentError(`${inWords(value)} is no whole number of 53 bits, which this field holds`)
  }
  const bytes: number[] = []
  let left = value
  if (left < 0 || left > 2 ** 31) {
    for (left = BigInt.asUintN(64, BigInt(left)); left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  } else for (left = Number(left); left > 127; left >>>= 7) bytes.push((left & 127) | 128)
  bytes.push(Number(left))
  return bytes
}

/** How one value is stored. */
export interface Codec<T> {
  readonly wire: number
  /** Whether values are messages: two of them in one field would have to be merged, and are refused. */
  readonly isMessage?: boolean
  read(reader: ProtoReader): T
  write(writer: ProtoWriter, value: T): void
}

/** A field of a message. Its parts are made by `one`, `maybe`, `many`, `integers` and the lists of numbers. */
export interface Field<T> {
  readonly number: number
  /** The value where the field is absent. */
  readonly empty: T
  /** Reads what one key announces. `soFar` is `empty` or what `add` gave before. */
  add(reader: ProtoReader, wire: number, soFar: unknown): unknown
  /** The value when the message has ended, of what `add` gave last; left out where both are the same. */
  finish?(soFar: unknown): T
  write(writer: ProtoWriter, value: T): void
}

/** The fields of a message by property. */
export type Fields<M> = { readonly [K in keyof M]-?: Field<M[K]> }

const writeKey = (writer: ProtoWriter, number: number, wire: number): void => writer.varint(number * 8 + wire)

function checkWire(given: number, due: number): void {
  if (given !== due) {
    throw new Refusal(
      `a field is stored as ${wireNames[given] ?? `the wire type ${given}`} in place of ${wireNames[due]}; ` +
        'the file is damaged or of another kind',
    )
  }
}

/** Text in UTF-8. */
export const text: Codec<string> = {
  wire: LENGTH,
  read(reader) {
    reader.count()
    const from = reader.span()
    if (reader.at - from > MAX_TEXT)
      throw new Refusal(`a text has ${reader.at - from} bytes; at most ${MAX_TEXT} are read`)
    try {
      return reader.at === from ? '' : reader.decoder.decode(reader.bytes.subarray(from, reader.at))
    } catch (error) {
      if (isOutOfMemory(error)) throw error
      throw new Refusal('a text is not in UTF-8; the file is damaged or of another kind')
    }
  },
  write(writer, value) {
    blob.write(writer, new TextEncoder().encode(value))
  },
}

/** Bytes, as a view of the file. */
export const blob: Codec<Uint8Array> = {
  wire: LENGTH,
  read(reader) {
    reader.count()
    const from = reader.span()
    return reader.bytes.subarray(from, reader.at)
  },
  write(writer, value) {
    writer.bytes(value)
    writer.varint(value.length)
  },
}

/** A whole number that numbers hold exactly. */
export const integer: Codec<number> = {
  wire: VARINT,
  read: (reader) => reader.integer(),
  write: (writer, value) => writer.varint(value),
}

/** A signed integer of 64 bits. */
export const int64: Codec<bigint> = {
  wire: VARINT,
  read(reader) {
    reader.varint()
    return reader.bigint()
  },
  write: (writer, value) => writer.varint(value),
}

/** A number of 32 bits. */
export const float: Codec<number> = {
  wire: FOUR,
  read: (reader) => reader.view.getFloat32(reader.take(4), true),
  write: (writer, value) => writer.bytes(bytesOf(Float32Array.of(value))),
}

/** A value by another codec, changed on its way. */
export const mapped = <W, T>(codec: Codec<W>, from: (stored: W) => T, to: (value: T) => W): Codec<T> => ({
  ...codec,
  read: (reader) => from(codec.read(reader)),
  write: (writer, value) => codec.write(writer, to(value)),
})

const addOne =
  <T>(codec: Codec<T>) =>
  (reader: ProtoReader, wire: number, soFar: unknown): T => {
    checkWire(wire, codec.wire)
    if (codec.isMessage === true && soFar !== undefined)
      throw new Refusal('a message that can be there once is there twice')
    reader.index = -1
    return codec.read(reader)
  }

function writeOne<T>(writer: ProtoWriter, number: number, codec: Codec<T>, value: T): void {
  codec.write(writer, value)
  writeKey(writer, number, codec.wire)
}

/** A field that is `empty` where it is absent, and is not written then. */
export const one = <T>(number: number, codec: Codec<T>, empty: T): Field<T> => ({
  number,
  empty,
  add: addOne(codec),
  write(writer, value) {
    if (value !== empty) writeOne(writer, number, codec, value)
  },
})

/** A field that is undefined where it is absent. */
export const maybe = <T>(number: number, codec: Codec<T>): Field<T | undefined> => ({
  number,
  empty: undefined,
  add: addOne(codec),
  write(writer, value) {
    if (value !== undefined) writeOne(writer, number, codec, value)
  },
})

const none: readonly never[] = Object.freeze([])

/** A list of texts, bytes or messages. */
export const many = <T>(number: number, codec: Codec<T>): Field<readonly T[]> => ({
  number,
  empty: none,
  add(reader, wire, soFar) {
    checkWire(wire, codec.wire)
    const list = soFar === none ? [] : (soFar as T[])
    reader.index = list.length
    list.push(codec.read(reader))
    return list
  },
  write(writer, value) {
    for (let i = value.length - 1; i >= 0; i--) writeOne(writer, number, codec, value[i] as T)
  },
})

/** A short list of whole numbers that numbers hold exactly, of at most so many. */
export const integers = (number: number, most: number): Field<readonly number[]> => ({
  number,
  empty: none,
  add(reader, wire, soFar) {
    const list = soFar === none ? [] : (soFar as number[])
    const add = (): void => {
      if (list.push(reader.integer()) > most)
        throw new Refusal(`a list has more than ${most} numbers, the most that are read`)
    }
    if (wire === VARINT) add()
    else {
      checkWire(wire, LENGTH)
      reader.within(() => {
        while (reader.at < reader.end) add()
      })
    }
    return list
  },
  write(writer, value) {
    if (value.length > 0) writeOne(writer, number, blob, Uint8Array.from(value.flatMap(varintBytes)))
  },
})

type Numbers = Float32Array | Float64Array | Int32Array | BigInt64Array | BigUint64Array

/** How the elements of a list of numbers are stored. */
interface Element<A extends Numbers> {
  readonly wire: number
  readonly List: ArrayType<A> & (new (count: number) => A)
  /** Reads an element to its place. */
  read(reader: ProtoReader, list: A, at: number): void
}

/** The part of an array that is filled so far. */
interface Filled<A> {
  list: A
  count: number
}

/** Room for so many more elements. A list grows to twice its length at least, so that single elements take linear time. */
function withRoom<A extends Numbers>(filled: Filled<A>, more: number, { List }: Element<A>): Filled<A> {
  const { list, count } = filled
  if (count + more <= list.length) return filled
  const larger = new List(Math.max(8, count + more, 2 * count))
  ;(larger as Float32Array).set(list.subarray(0, count) as Float32Array)
  return { list: larger, count }
}

const bytesOf = (numbers: Numbers): Uint8Array => {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength).slice()
  toggleEndianness(bytes, numbers.BYTES_PER_ELEMENT)
  return bytes
}

const numbers =
  <A extends Numbers>(element: Element<A>) =>
  (number: number): Field<A> => {
    const { wire: due, List } = element
    const width = List === (Float32Array as unknown) ? 4 : 8
    const empty = new List(0)
    const add = (reader: ProtoReader, wire: number, filled: Filled<A>): Filled<A> => {
      if (wire === due) {
        const room = withRoom(filled, 1, element)
        element.read(reader, room.list, room.count++)
        return room
      }
      checkWire(wire, LENGTH)
      const from = reader.span()
      const packed = reader.bytes.subarray(from, reader.at)
      if (due !== VARINT) {
        if (packed.length % width !== 0)
          throw new Refusal(`${packed.length} bytes are no list of numbers of ${width} bytes`)
        const list = elementsOf(packed, width, List)
        if (filled.count === 0) return { list, count: list.length }
        const room = withRoom(filled, list.length, element)
        ;(room.list as Float32Array).set(list as Float32Array, room.count)
        room.count += list.length
        return room
      }
      // A byte without its highest bit is the last of a varint.
      const room = withRoom(
        filled,
        packed.reduce((sum, byte) => sum + (byte < 128 ? 1 : 0), 0),
        element,
      )
      reader.at = from
      const end = reader.end
      reader.end = from + packed.length
      while (reader.at < reader.end) element.read(reader, room.list, room.count++)
      reader.end = end
      return room
    }
    return {
      number,
      empty,
      add: (reader, wire, soFar) =>
        add(reader, wire, soFar === empty ? { list: empty, count: 0 } : (soFar as Filled<A>)),
      finish(soFar) {
        if (soFar === empty) return empty
        const { list, count } = soFar as Filled<A>
        return count === list.length ? list : (list.slice(0, count) as A)
      },
      write(writer, value) {
        if (value.length === 0) return
        writeOne(writer, number, blob, due === VARINT ? packedVarints(value as BigInt64Array) : bytesOf(value))
      },
    }
  }

function packedVarints(values: Int32Array | BigInt64Array | BigUint64Array): Uint8Array {
  const bytes = new Uint8Array(10 * values.length)
  let at = 0
  for (const value of values) for (const byte of varintBytes(value)) bytes[at++] = byte
  return bytes.subarray(0, at)
}

/** Lists of numbers, each a typed array: a view of the file where they are packed, of one part, and aligned. */
export const floats = numbers<Float32Array>({
  wire: FOUR,
  List: Float32Array,
  read: (reader, list, at) => (list[at] = reader.view.getFloat32(reader.take(4), true)),
})
export const doubles = numbers<Float64Array>({
  wire: EIGHT,
  List: Float64Array,
  read: (reader, list, at) => (list[at] = reader.view.getFloat64(reader.take(8), true)),
})
/** The lower 32 bits of each varint, as other implementations take them. */
export const int32s = numbers<Int32Array>({
  wire: VARINT,
  List: Int32Array,
  read(reader, list, at) {
    reader.varint()
    list[at] = reader.low
  },
})
export const int64s = numbers<BigInt64Array>({
  wire: VARINT,
  List: BigInt64Array,
  read(reader, list, at) {
    reader.varint()
    list[at] = reader.bigint()
  },
})
export const uint64s = numbers<BigUint64Array>({
  wire: VARINT,
  List: BigUint64Array,
  read(reader, list, at) {
    reader.varint()
    list[at] = reader.bigint()
  },
})

/** The codec of a message, which a file may be as a whole. */
export interface Message<M> extends Codec<M> {
  /** Reads fields up to the end of the reader. */
  body(reader: ProtoReader): M
  /** Writes fields without a length before them. */
  bodyTo(writer: ProtoWriter, value: M): void
}

/** What a message is called in errors, and which fields of it are refused. */
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
  interface Table {
    readonly entries: readonly (readonly [key: string, field: Field<unknown>])[]
    readonly byNumber: readonly (readonly [key: string, field: Field<unknown>] | undefined)[]
    readonly template: Readonly<Record<string, unknown>>
  }
  let made: Table | undefined
  const table = (): Table => {
    if (made) return made
    const entries = Object.entries<Field<unknown>>(fields())
    const byNumber: [string, Field<unknown>][] = []
    for (const entry of entries) byNumber[entry[1].number] = entry
    return (made = { entries, byNumber, template: Object.fromEntries(entries.map(([key, { empty }]) => [key, empty])) })
  }
  const read = (reader: ProtoReader, record: Record<string, unknown>): void => {
    const { entries, byNumber } = table()
    while (reader.at < reader.end) {
      reader.varint()
      const number = reader.low >>> 3
      const wire = reader.low & 7
      if (reader.high !== 0 || number === 0)
        throw new Refusal('a field has a number that there is not; the file is damaged')
      const entry = byNumber[number]
      const reason = refused[number]
      if (entry) record[entry[0]] = entry[1].add(reader, wire, record[entry[0]])
      else if (reason === undefined) reader.skip(wire)
      else throw new Refusal(reason, UnsupportedError)
    }
    for (const [key, field] of entries) if (field.finish) record[key] = field.finish(record[key])
  }
  const body = (reader: ProtoReader): M => {
    const { index } = reader
    const record = { ...table().template }
    try {
      reader.deeper(() => read(reader, record))
      check?.(record as M)
    } catch (error) {
      if (error instanceof Refusal && noun !== '') {
        const { name } = record
        const called = typeof name === 'string' && name !== '' ? ` ${inWords(name)}` : index < 0 ? '' : ` ${index}`
        const shown = kind === undefined ? '' : record[kind as string]
        error.within.unshift(
          `${noun}${called}${typeof shown === 'string' && shown !== '' ? ` (${shown.slice(0, 60)})` : ''}`,
        )
      }
      throw error
    }
    return record as M
  }
  const bodyTo = (writer: ProtoWriter, value: M): void => {
    for (const [key, field] of [...table().entries].reverse()) {
      const given = (value as Record<string, unknown>)[key]
      if (given !== undefined) field.write(writer, given)
    }
  }
  return {
    wire: LENGTH,
    isMessage: true,
    body,
    bodyTo,
    read(reader) {
      reader.count()
      const { index } = reader
      let record: M | undefined
      reader.within(() => {
        reader.index = index
        record = body(reader)
      })
      return record as M
    },
    write: (writer, value) => writer.within(() => bodyTo(writer, value)),
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
    throw new Kind([what, ...(places.length > 0 ? [places.join(', ')] : []), message].join(': '))
  }
}

/** The bytes of a message. @throws ShapeError when they would be over 2 GiB, or hold what cannot be read back */
export function encode<M>(codec: Message<M>, value: M): Uint8Array {
  const writer = new ProtoWriter()
  codec.bodyTo(writer, value)
  return writer.finish()
}
