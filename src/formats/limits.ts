/** What a picture from a stranger may ask for, checked before anything is decoded. */
import { ArgumentError, FormatError, OutOfMemoryError } from '../runtime/errors.js'
import { type OwnBytes } from '../runtime/platform.js'
import { wrongKind } from '../runtime/check.js'
import type { Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'

/** Limits of every function that decodes pictures. */
export interface PictureLimits {
  /** Largest width × height to decode, by default 2^26 (64 Mi). */
  readonly maxPixels?: number
  /**
   * Largest number of bytes that decoding may take, by default 2^29 (512 MiB): those in memory, the result included and the
   * file not, and those that the rows of a PNG are inflated to.
   */
  readonly maxBytes?: number
}

/** Whether a value is bytes: those of another realm are too. */
export const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && (value as Uint8Array).BYTES_PER_ELEMENT === 1

/** The bytes of a file. */
export type FileBytes = Uint8Array | ArrayBuffer

/** Those bytes as an array of them. @throws ShapeError when what is given as a file is no bytes */
export function fileBytes(bytes: FileBytes, name: unknown): Uint8Array {
  if (typeof name !== 'string') throw wrongKind('the name of a file', 'a text for messages', name)
  if (isBytes(bytes)) return bytes
  if (Object.prototype.toString.call(bytes) === '[object ArrayBuffer]') return new Uint8Array(bytes)
  throw wrongKind(`${name}: a file`, 'a Uint8Array or an ArrayBuffer', bytes)
}

/** How pictures begin. */
export const pngSignature: readonly number[] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
export const jpegSignature: readonly number[] = [0xff, 0xd8, 0xff]

/** Whether a file begins with a signature. */
export const beginsWith = (bytes: Uint8Array, signature: readonly number[]): boolean =>
  signature.every((byte, i) => bytes[i] === byte)

/** Whether a file has ended before its signature has: as far as it goes, its bytes are those of the signature. */
export const endsWithin = (bytes: Uint8Array, signature: readonly number[]): boolean =>
  bytes.length > 0 && bytes.length < signature.length && bytes.every((byte, i) => byte === signature[i])

/** The limits where none are given. */
export const defaultLimits = { maxPixels: 2 ** 26, maxBytes: 2 ** 29 } as const satisfies PictureLimits

/** Names of the limits. */
export const limitNames = { maxPixels: 0, maxBytes: 0 } satisfies Names<PictureLimits>

/** @throws ShapeError when a limit is not a number above 0 */
function limitOf(name: 'maxPixels' | 'maxBytes', value: number): number {
  if (value > 0) return value
  throw new ArgumentError(
    `${name} is ${inWords(value)}; it must be a number above 0, such as 1e6, or Infinity for none`,
  )
}

/**
 * Checks the extents of a picture.
 *
 * @param picture what the file is, beginning with its name: "x.png: the PNG"
 * @throws FormatError when there are more pixels than the limit, or none
 */
export function checkPixels(
  picture: string,
  width: number,
  height: number,
  { maxPixels = defaultLimits.maxPixels }: PictureLimits,
): void {
  const size = `${picture} has ${width} × ${height} pixels`
  if (width === 0 || height === 0) throw new FormatError(`${size}; both must be at least 1`)
  if (width * height > limitOf('maxPixels', maxPixels)) {
    throw new FormatError(
      `${size}, more than the limit of ${maxPixels}; make it smaller, or raise maxPixels (--max-pixels)`,
    )
  }
}

/**
 * Checks the memory that decoding takes.
 *
 * @param bytes all that will be in memory at the same time, without the file
 * @throws FormatError when it is more than the limit
 */
export function checkBytes(picture: string, bytes: number, { maxBytes = defaultLimits.maxBytes }: PictureLimits): void {
  if (bytes > limitOf('maxBytes', maxBytes)) {
    throw new FormatError(
      `${picture} takes ${bytes} bytes to decode, more than the limit of ${maxBytes}; make it smaller, or raise maxBytes (--max-bytes)`,
    )
  }
}

/** Memory for a picture whose limits were checked. @throws OutOfMemoryError when the runtime has no more */
export function allocate(bytes: number, picture: string): OwnBytes {
  try {
    return new Uint8Array(bytes)
  } catch {
    throw new OutOfMemoryError(
      `${picture} takes ${bytes} bytes, which this runtime cannot give; lower maxBytes (--max-bytes)`,
    )
  }
}

/** Whether a path that a file names leads to a place within the folder of the file, on any system. */
export const isWithinFolder = (path: string): boolean =>
  path !== '' && !/^[/~]|^[A-Za-z]:|\\|(^|\/)\.\.(\/|$)|\0/.test(path)
