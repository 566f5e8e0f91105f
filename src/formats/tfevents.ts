/**
 * Event files as TensorBoard reads them: records of TFRecord (a length, its check, the bytes, their check, all little endian), each of which
 * is an `Event` in protobuf (github.com/tensorflow/tensorboard, event.proto and summary.proto). Of them only the version and scalars are written.
 */
import { crc32c } from './crc32.js'

/** Numbers that belong to a step. */
export interface EventRecord {
  /** When it was, in seconds since 1970. */
  readonly time: number
  readonly step: number
  /** Values by their names, such as `loss/training`. */
  readonly scalars: Readonly<Record<string, number>>
}

const text = new TextEncoder()

/** A whole number from 0 on as a varint: seven bits in each byte, the lowest first. */
function varint(value: number): number[] {
  const bytes = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return [...bytes, value]
}

/** A field of bytes. */
const part = (number: number, bytes: ArrayLike<number>): number[] => [
  ...varint(8 * number + 2),
  ...varint(bytes.length),
  ...Array.from(bytes),
]

function little(size: 4 | 8, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size)
  write(new DataView(bytes.buffer))
  return bytes
}

const double = (value: number): Uint8Array => little(8, (view) => view.setFloat64(0, value, true))
const single = (value: number): Uint8Array => little(4, (view) => view.setFloat32(0, value, true))
const word = (value: number): Uint8Array => little(4, (view) => view.setUint32(0, value, true))

/** The check of a part of a record, masked as TFRecord asks: rotated by 15 bits, and a constant added. */
function masked(bytes: Uint8Array): Uint8Array {
  const check = crc32c(bytes)
  return word((((check >>> 15) | (check << 17)) + 0xa282ead8) >>> 0)
}

function framed(event: Uint8Array): Uint8Array {
  const length = little(8, (view) => view.setUint32(0, event.length, true))
  return Uint8Array.from([...length, ...masked(length), ...event, ...masked(event)])
}

/** The first record of a file. `time` is in seconds since 1970. */
export const eventsHead = (time: number): Uint8Array =>
  framed(Uint8Array.from([9, ...double(time), ...part(3, text.encode('brain.Event:2'))]))

/** A record of scalars. */
export function encodeEvent({ time, step, scalars }: EventRecord): Uint8Array {
  const values = Object.entries(scalars).flatMap(([name, value]) =>
    part(1, [...part(1, text.encode(name)), 0x15, ...single(value)]),
  )
  return framed(Uint8Array.from([9, ...double(time), 0x10, ...varint(step), ...part(5, values)]))
}
