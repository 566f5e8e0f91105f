/** Numbers that become pictures, and pictures to draw on. */
import type { PngImage } from '../formats/png.js'
import { checkObject, wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, Tensor } from '../tensor/tensor.js'

/** A picture of red, green, blue and alpha, 8 bits each, row by row. */
export interface Picture extends PngImage {
  /** Red, green, blue and alpha. */
  readonly channels: 4
}

/** A tensor, or numbers in row-major order with their shape. */
export type Planes = Tensor | { readonly shape: Shape; readonly values: ArrayLike<number> }

/** Whether a value is numbers in a row. */
export const isNumbers = (values: unknown): boolean => typeof (Object(values) as ArrayLike<unknown>).length === 'number'

/** Numbers and their shape. @throws ShapeError when the numbers do not fill the shape */
export function planesOf(x: Planes, name: string): { readonly shape: Shape; readonly values: ArrayLike<number> } {
  if (x instanceof Tensor) {
    checkTensor(x, name, 'the first argument')
    return { shape: x.shape, values: x.data() }
  }
  checkObject(x, `${name}: the first argument`, 'a Tensor, or { shape, values }', ['shape', 'values'])
  const shape = checkShape(x.shape, name)
  if (!isNumbers(x.values)) throw wrongKind(`${name}: values`, 'a list of numbers', x.values)
  if (sizeOf(shape) === x.values.length) return { shape, values: x.values }
  throw new ShapeError(
    `${name}: ${x.values.length} values do not fill shape ${showShape(shape)} (${sizeOf(shape)} elements)`,
  )
}

/** Pixels of the largest picture that is drawn, or of several together: 256 MiB. */
const MOST_PIXELS = 2 ** 26

/** A transparent picture. @throws ShapeError when it, or as many as `count`, would be too large */
export function blank(width: number, height: number, count = 1): Picture {
  if (width * height * count > MOST_PIXELS) {
    throw new ShapeError(
      `${count === 1 ? 'a picture' : `${count} pictures`} of ${width} × ${height} pixels would be drawn; at most ${MOST_PIXELS} pixels can be: use a smaller zoom or fewer planes`,
    )
  }
  return { width, height, channels: 4, data: new Uint8Array(width * height * 4) }
}
