/** What pictures that callers give must have. */
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { isBytes } from './limits.js'

interface Pixels {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** Checks that a picture has the bytes that its extents say. @throws ShapeError that says what it has instead */
export function checkPixels(operation: string, image: Pixels, channels: number): void {
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
    throw new ShapeError(`${operation}: ${what} is ${inWords(size)}; it must be a whole number ≥ 1`)
  }
}
