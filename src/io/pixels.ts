/** What pictures that callers give must have. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkObject } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { isBytes } from '../formats/limits.js'

interface Pixels {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** The channels of a picture, which tells them. */
function imageChannels(operation: string, image: Pixels & { readonly channels?: unknown }): number {
  const { channels } = Object(image) as { readonly channels: unknown }
  if ([1, 2, 3, 4].includes(channels as number)) return channels as number
  throw new ArgumentError(`${operation}: the image's channels must be 1, 2, 3 or 4, given ${inWords(channels)}`)
}

/** Checks that a picture has the bytes that its extents say. @throws ShapeError that says what it has instead */
export function checkPixels(operation: string, image: Pixels, channels = imageChannels(operation, image)): void {
  checkObject(image, `${operation}: the image`, '{ width, height, data }')
  checkSize(operation, "the image's width", image.width)
  checkSize(operation, "the image's height", image.height)
  if (!isBytes(image.data)) throw new ShapeError(`${operation}: the pixels must be bytes, given ${inWords(image.data)}`)
  const expected = image.width * image.height * channels
  if (image.data.length !== expected) {
    throw new ShapeError(
      `${operation}: ${image.width} × ${image.height} pixels of ${channels} bytes take ${expected} bytes, ` +
        `${image.data.length} are given`,
    )
  }
}

export function checkSize(operation: string, what: string, size: number): void {
  if (!Number.isInteger(size) || size < 1) {
    throw new ArgumentError(`${operation}: ${what} is ${inWords(size)}; it must be a whole number ≥ 1`)
  }
}
