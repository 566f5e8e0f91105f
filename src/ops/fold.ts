/** Sums, products and extrema of whole numbers over axes, and running sums, for models from elsewhere. Computed in JavaScript. */
import { defineOp, type Op } from '../autodiff/op.js'
import { arrays, ranges, type DType, type ElementArrays } from '../tensor/dtype.js'
import { checkAxis, sizeOf, stridesOf, type Shape } from '../tensor/shape.js'
import { reducedStrides } from '../tensor/strided.js'
import { elementsAt, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** What becomes of the elements along the axes. */
export type Fold = 'sum' | 'mean' | 'prod' | 'max' | 'min' | 'sumSquare' | 'sumAbs'

type WholeType = Exclude<DType, 'float32'>
const whole: readonly DType[] = ['int32', 'int64', 'uint8', 'int8', 'bool']

/** How a fold goes over the elements: from `start`, by `step`, in numbers or in bigints. */
interface Steps<T> {
  readonly start: T
  step(total: T, x: T): T
}

/** Sums and products of doubles wrap as int32 does; a mean needs the sum itself, which a double holds up to 2⁵³. */
function smallSteps(fold: Fold, dtype: WholeType): Steps<number> {
  const [least, most] = ranges[dtype]
  switch (fold) {
    case 'sum':
      return { start: 0, step: (total, x) => (total + x) | 0 }
    case 'mean':
      return { start: 0, step: (total, x) => total + x }
    case 'prod':
      return { start: 1, step: Math.imul }
    case 'max':
      return { start: Number(least), step: Math.max }
    case 'min':
      return { start: Number(most), step: Math.min }
    case 'sumSquare':
      return { start: 0, step: (total, x) => (total + Math.imul(x, x)) | 0 }
    case 'sumAbs':
      return { start: 0, step: (total, x) => (total + Math.abs(x)) | 0 }
  }
}

function largeSteps(fold: Fold): Steps<bigint> {
  const [least, most] = ranges.int64
  switch (fold) {
    case 'sum':
    case 'mean':
      return { start: 0n, step: (total, x) => total + x }
    case 'prod':
      return { start: 1n, step: (total, x) => BigInt.asIntN(64, total * x) }
    case 'max':
      return { start: least, step: (total, x) => (x > total ? x : total) }
    case 'min':
      return { start: most, step: (total, x) => (x < total ? x : total) }
    case 'sumSquare':
      return { start: 0n, step: (total, x) => BigInt.asIntN(64, total + x * x) }
    case 'sumAbs':
      return { start: 0n, step: (total, x) => total + (x < 0n ? -x : x) }
  }
}

interface Folding {
  readonly fold: Fold
  readonly dtype: WholeType
  readonly xShape: Shape
  readonly yShape: Shape
  readonly axes: readonly number[]
  /** Strides of the result along the axes of x, 0 along those that are folded. */
  readonly strides: readonly number[]
  /** Elements that each element of the result is made of. */
  readonly count: number
}

/** Calls `use` with each place of a tensor, in order, and the place in another that has these strides. */
function forEachPlace(shape: Shape, strides: readonly number[], use: (from: number, to: number) => void): void {
  const size = sizeOf(shape)
  const index = shape.map(() => 0)
  let to = 0
  for (let from = 0; from < size; from++) {
    use(from, to)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1
      to += strides[axis] as number
      if (next < (shape[axis] as number)) {
        index[axis] = next
        break
      }
      to -= next * (strides[axis] as number)
      index[axis] = 0
    }
  }
}

interface FoldRequest {
  readonly fold: Fold
  readonly axes: readonly number[]
  readonly keepDims: boolean
}

const folding: Op<{ x: AnyTensor }, FoldRequest, never, DType> = defineOp('foldWhole', {
  types: { x: whole },
  nothing: 'prepared',
  infer: ({ x }: { x: AnyTensor }, { fold, axes: given, keepDims }: FoldRequest): Folding => {
    const axes = new Set(given.map((axis) => checkAxis(axis, x.ndim, 'foldWhole')))
    const kept = x.shape.map((extent, axis) => (axes.has(axis) ? 1 : extent))
    return {
      fold,
      dtype: x.dtype as WholeType,
      xShape: x.shape,
      yShape: keepDims ? kept : x.shape.filter((_, axis) => !axes.has(axis)),
      axes: [...axes].sort((a, b) => a - b),
      strides: reducedStrides(x.shape, axes),
      count: sizeOf(x.shape.filter((_, axis) => axes.has(axis))),
    }
  },
  output: ({ yShape }) => yShape,
  dtype: ({ dtype }): DType => dtype,
  prepare: (list, { fold, dtype, xShape, yShape, strides, count }) => {
    const run = <T extends number | bigint>({ start, step }: Steps<T>, end: (total: T) => T): void => {
      list.routine(
        (out, from) => {
          const y = elementsAt(out, sizeOf(yShape), dtype) as unknown as T[]
          const x = elementsAt(from, sizeOf(xShape), dtype) as unknown as T[]
          const totals = new Array<T>(y.length).fill(start)
          forEachPlace(xShape, strides, (at, to) => (totals[to] = step(totals[to] as T, x[at] as T)))
          for (let i = 0; i < totals.length; i++) y[i] = end(totals[i] as T)
        },
        list.out,
        list.operand('x'),
      )
    }
    const isMean = fold === 'mean' && count > 0
    if (dtype === 'int64') run(largeSteps(fold), (total) => (isMean ? total / BigInt(count) : total))
    else run(smallSteps(fold, dtype), (total) => (isMean ? Math.trunc(total / count) : total))
  },
  keeps: [],
})

/**
 * Whole numbers folded over axes, of their own type: sums and products wrap where the type ends, a mean is rounded towards 0, and the
 * largest of no elements is the type's smallest.
 */
export const foldWhole = <D extends DType>(
  x: Tensor<D>,
  fold: Fold,
  axes: readonly number[],
  keepDims: boolean,
): Tensor<D> => folding({ x }, { fold, axes, keepDims }) as Tensor<D>

/** How a running sum is made. */
export interface CumulativeOptions {
  readonly axis: number
  /** Whether an element is left out of its own sum. */
  readonly exclusive: boolean
  /** Whether it is summed from the end. */
  readonly reverse: boolean
}

interface Cumulative extends CumulativeOptions {
  readonly dtype: DType
  readonly shape: Shape
}

const summable: readonly DType[] = ['float32', 'int32', 'int64', 'uint8', 'int8']

const cumulative: Op<{ x: AnyTensor }, CumulativeOptions, never, DType> = defineOp('cumulativeSum', {
  types: { x: summable },
  infer: ({ x }: { x: AnyTensor }, options: CumulativeOptions): Cumulative => ({
    ...options,
    axis: checkAxis(options.axis, x.ndim, 'cumulativeSum'),
    dtype: x.dtype,
    shape: x.shape,
  }),
  output: ({ shape }) => shape,
  dtype: ({ dtype }): DType => dtype,
  prepare: (list, { dtype, shape, axis, exclusive, reverse }) => {
    const size = sizeOf(shape)
    const n = shape[axis] as number
    const inner = stridesOf(shape)[axis] as number
    const step = reverse ? -inner : inner
    list.routine(
      (out, from) => {
        const y = elementsAt(out, size, dtype) as ElementArrays['float32']
        const x = elementsAt(from, size, dtype) as ElementArrays['float32']
        const zero = new arrays[dtype](1)[0] as number
        for (let row = 0; row < size / n; row++) {
          let at = Math.floor(row / inner) * n * inner + (row % inner) + (reverse ? (n - 1) * inner : 0)
          // A double, or a bigint; whole numbers wrap when they are stored.
          let total = zero
          for (let i = 0; i < n; i++, at += step) {
            const next = total + (x[at] as number)
            y[at] = exclusive ? total : next
            total = next
          }
        }
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
  gradient: (_, dy, { axis, exclusive, reverse }) => ({
    x: cumulative({ x: dy }, { axis, exclusive, reverse: !reverse }) as Tensor,
  }),
})

/** The sums of the elements up to each one along an axis: of float32 in double precision, each rounded once. */
export const cumulativeSum = <D extends DType>(x: Tensor<D>, options: CumulativeOptions): Tensor<D> =>
  cumulative({ x }, options) as Tensor<D>
