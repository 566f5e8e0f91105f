/** What a picture from a stranger may ask for, checked before anything is decoded. */
import { FormatError, OutOfMemoryError, ShapeError } from '../runtime/errors.js'

/** Limits of every function that decodes pictures. */
export interface PictureLimits {
  /** Largest width × height to decode, by default 2^26 (64 Mi). */
  readonly maxPixels?: number
  /** Largest number of bytes that decoding may take, the result included and the file not, by default 2^29 (512 MiB). */
  readonly maxBytes?: number
}

/** The limits where none are given. */
export const defaultLimits = { maxPixels: 2 ** 26, maxBytes: 2 ** 29 } as const satisfies PictureLimits

/** @throws ShapeError when a limit is not a number above 0 */
function limitOf(name: 'maxPixels' | 'maxBytes', value: number): number {
  if (value > 0) return value
  throw new ShapeError(`${name} is ${value}; it must be a number above 0, such as 1e6, or Infinity for none`)
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
export function allocate(bytes: number, picture: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes)
  } catch {
    throw new OutOfMemoryError(
      `${picture} takes ${bytes} bytes, which this runtime cannot give; lower maxBytes (--max-bytes)`,
    )
  }
}
