/** Arithmetic of shapes: sizes, strides, axes and broadcasting, and the checks of what callers give as a shape. */
import { ShapeError } from '../runtime/errors.js'
import { inWords, showShape } from '../runtime/text.js'

export { showShape }

/** Extents of a tensor, outermost first. */
export type Shape = readonly number[]

/** Number of elements; 1 for a scalar. */
export const sizeOf = (shape: Shape): number => shape.reduce((size, extent) => size * extent, 1)

/** Whether two shapes have the same extents. */
export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((extent, axis) => extent === b[axis])

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride
    stride *= shape[axis] as number
  }
  return strides
}

/** Linear memory ends at 4 GiB, which hold so many float32 elements: no tensor has more. */
const MOST_ELEMENTS = 2 ** 30

/**
 * Refuses the shape of a result that no memory holds, before anything is allocated; `what` names it. What passes has extents,
 * strides and offsets of at most 2³⁰ elements. The number of elements is a double, exact up to 2⁵³ and never rounded below
 * that, so that no product of extents slips through. (A tensor that is made of a shape alone is refused by the
 * allocator, which is asked for these bytes.)
 * @throws ShapeError that names the operation.
 */
export function checkSize(shape: Shape, name: string, what = 'the output'): void {
  if (!(sizeOf(shape) <= MOST_ELEMENTS)) {
    throw new ShapeError(`${name}: ${what} ${showShape(shape)} needs more than the 4 GiB of WebAssembly memory`)
  }
}

/** The most axes of a tensor: work on shapes stays small, whatever a file or a nested array says. */
export const MOST_AXES = 64

/** A shape of at most 64 whole numbers from `least` on, checked. @throws ShapeError that names `what`. */
export function checkShape(shape: Shape, what: string, least: 0 | 1 = 1): number[] {
  if (!Array.isArray(shape))
    throw new ShapeError(`${what}: a shape is an array of whole numbers, not ${inWords(shape)}`)
  if (shape.length > MOST_AXES) {
    throw new ShapeError(`${what}: a shape of ${shape.length} extents; a tensor has at most ${MOST_AXES} axes`)
  }
  for (const extent of shape as readonly unknown[]) {
    if (!Number.isInteger(extent) || (extent as number) < least) {
      throw new ShapeError(
        `${what}: shape ${showShape(shape)} has the extent ${inWords(extent)}; extents are whole numbers from ${least} on`,
      )
    }
  }
  return Array.from(shape as readonly number[])
}

/** Axis counted from the end when negative. @throws ShapeError when there is no such axis. */
export function checkAxis(axis: number, ndim: number, what: string): number {
  if (!Number.isInteger(axis) || axis < -ndim || axis >= ndim) {
    throw new ShapeError(
      `${what}: axis ${inWords(axis)} does not exist in ${ndim} dimensions; use ${-ndim} to ${ndim - 1}`,
    )
  }
  return axis < 0 ? axis + ndim : axis
}

/** The shape two operands broadcast to, as NumPy does. @throws ShapeError with both shapes. */
export function broadcastShapes(a: Shape, b: Shape, what: string): number[] {
  const ndim = Math.max(a.length, b.length)
  return Array.from({ length: ndim }, (_, axis) => {
    const left = a[axis - ndim + a.length] ?? 1
    const right = b[axis - ndim + b.length] ?? 1
    if (left !== right && left !== 1 && right !== 1) {
      throw new ShapeError(
        `${what}: shapes ${showShape(a)} and ${showShape(b)} do not broadcast; extents must be equal or 1, counted from the last`,
      )
    }
    return left === 1 ? right : left
  })
}
