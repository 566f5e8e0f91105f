/** Places of the largest and the smallest elements along an axis, for models from elsewhere. Computed in JavaScript. */
import { defineOp, type Op } from '../autodiff/op.js'
import { ArgumentError } from '../runtime/errors.js'
import { dtypes, type DType, type ElementArrays } from '../tensor/dtype.js'
import { checkAxis, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { elementsAt, type AnyTensor, type Tensor } from '../tensor/tensor.js'
import { gatherElements } from './places.js'

/** Which place along an axis is asked for. */
export interface ArgOptions {
  readonly axis: number
  readonly keepDims: boolean
  /** Whether the largest element is meant, else the smallest. */
  readonly largest: boolean
  /** Whether of equal elements the last one counts, else the first. */
  readonly last: boolean
}

/** x seen as (outer, n, inner), n along the axis. */
interface Axis {
  readonly axis: number
  readonly outer: number
  readonly n: number
  readonly inner: number
}

function axisOf(x: AnyTensor, given: number, name: string): Axis {
  const axis = checkAxis(given, x.ndim, name)
  return {
    axis,
    outer: sizeOf(x.shape.slice(0, axis)),
    n: x.shape[axis] as number,
    inner: sizeOf(x.shape.slice(axis + 1)),
  }
}

/** Whether a comes before b: NaN outdoes every number. */
type Before = (a: number | bigint, b: number | bigint) => boolean
const isLarger: Before = (a, b) => a > b || (a !== a && b === b)
const isSmaller: Before = (a, b) => a < b || (a !== a && b === b)

interface Arg extends Axis, ArgOptions {
  readonly dtype: DType
  readonly size: number
  readonly yShape: Shape
}

const arg: Op<{ x: AnyTensor }, ArgOptions, never, 'int64'> = defineOp('argExtremum', {
  types: { x: dtypes },
  infer: ({ x }: { x: AnyTensor }, options: ArgOptions): Arg => {
    const along = axisOf(x, options.axis, 'argExtremum')
    const yShape = options.keepDims
      ? x.shape.map((extent, axis) => (axis === along.axis ? 1 : extent))
      : x.shape.filter((_, axis) => axis !== along.axis)
    return { ...options, ...along, dtype: x.dtype, size: x.size, yShape }
  },
  output: ({ yShape }) => yShape,
  dtype: () => 'int64' as const,
  prepare: (list, { dtype, size, outer, n, inner, largest, last }) => {
    const isBefore = largest ? isLarger : isSmaller
    list.routine(
      (out, from) => {
        const places = elementsAt(out, outer * inner, 'int64')
        const x = elementsAt(from, size, dtype) as ElementArrays['float32']
        for (let row = 0; row < places.length; row++) {
          const first = Math.floor(row / inner) * n * inner + (row % inner)
          let best = 0
          for (let i = 1; i < n; i++) {
            const [a, b] = [x[first + i * inner] as number, x[first + best * inner] as number]
            if (isBefore(a, b) || (last && !isBefore(b, a))) best = i
          }
          places[row] = BigInt(best)
        }
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** The place of the largest or the smallest element along an axis. NaN outdoes every number. */
export const argExtremum = (x: AnyTensor, options: ArgOptions): Tensor<'int64'> => arg({ x }, options)

/** Which elements are asked for. */
export interface TopOptions {
  /** How many along the axis. */
  readonly count: number
  readonly axis: number
  readonly largest: boolean
}

interface Top extends Axis {
  readonly dtype: DType
  readonly size: number
  readonly count: number
  readonly largest: boolean
  readonly yShape: Shape
}

/** Places along the axis. */
const topPlaces: Op<{ x: AnyTensor }, TopOptions, never, 'int64'> = defineOp('top', {
  types: { x: dtypes },
  infer: ({ x }: { x: AnyTensor }, { count, axis: given, largest }: TopOptions): Top => {
    const along = axisOf(x, given, 'top')
    if (!Number.isInteger(count) || count < 0 || count > along.n) {
      throw new ArgumentError(
        `top: of the ${along.n} elements along axis ${along.axis} of ${showShape(x.shape)} there are no ${count}`,
      )
    }
    const yShape = x.shape.map((extent, axis) => (axis === along.axis ? count : extent))
    return { ...along, dtype: x.dtype, size: x.size, count, largest, yShape }
  },
  output: ({ yShape }) => yShape,
  dtype: () => 'int64' as const,
  prepare: (list, { dtype, size, outer, n, inner, count, largest }) => {
    const isBefore = largest ? isLarger : isSmaller
    list.routine(
      (out, from) => {
        const places = elementsAt(out, outer * count * inner, 'int64')
        const x = elementsAt(from, size, dtype) as ElementArrays['float32']
        const order = new Array<number>(n)
        for (let row = 0; row < outer * inner; row++) {
          const [block, column] = [Math.floor(row / inner), row % inner]
          for (let i = 0; i < n; i++) order[i] = (block * n + i) * inner + column
          // Of equal elements the first comes first, which engines differ in for NaN unless it is said.
          order.sort((i, j) => {
            const [a, b] = [x[i] as number, x[j] as number]
            return isBefore(a, b) ? -1 : isBefore(b, a) ? 1 : i - j
          })
          for (let i = 0; i < count; i++) {
            const place = Math.floor((order[i] as number) / inner) % n
            places[(block * count + i) * inner + column] = BigInt(place)
          }
        }
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/**
 * The `count` largest or smallest elements along an axis in order, and their places there. Of equal elements the first comes first;
 * NaN outdoes every number. Gradients flow through the elements.
 */
export function top<D extends DType>(
  x: Tensor<D>,
  options: TopOptions,
): { readonly values: Tensor<D>; readonly places: Tensor<'int64'> } {
  const places = topPlaces({ x }, options)
  return { values: gatherElements(x, places, options.axis), places }
}
