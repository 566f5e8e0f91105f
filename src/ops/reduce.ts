/**
 * Sums, means and extrema over axes. Sums are accumulated in float64 in a fixed order and rounded once.
 * A sum and the repetition of its gradient are each other's adjoints, so both can be differentiated again.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { planCopy, planReduction, reducedStrides } from '../tensor/strided.js'
import type { Place } from '../runtime/calls.js'
import { checkSwitch, wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { LIGHT } from '../runtime/work.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { checkAxis, sameShape, showShape, sizeOf, stridesOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { withNumber } from './number.js'

/** One axis or several, counted from the end where negative; none: all. */
export type Axes = number | readonly number[]

/** Options of `sum`, `mean`, `max` and `min`. */
export interface ReduceOptions {
  /** Keep the axes that are reduced, with extent 1; default false. */
  readonly keepDims?: boolean | undefined
}

/** A validated reduction. */
interface Reduction {
  readonly xShape: Shape
  readonly yShape: Shape
  readonly axes: ReadonlySet<number>
}

function describe(name: string, x: Shape, axis: Axes | undefined, options: ReduceOptions): Reduction {
  const { keepDims = false } = options
  const listed = axis === undefined ? x.map((_, index) => index) : typeof axis === 'number' ? [axis] : axis
  if (!Array.isArray(listed)) {
    throw wrongKind(`${name}: axis`, 'a whole number or an array of them', axis)
  }
  const axes = new Set((listed as readonly number[]).map((item) => checkAxis(item, x.length, name)))
  if (axes.size < listed.length) {
    throw new ShapeError(`${name}: axis ${showShape(listed as number[])} names an axis twice; each may come once`)
  }
  checkSwitch(keepDims, `${name}: keepDims`)
  const yShape = keepDims
    ? x.map((extent, index) => (axes.has(index) ? 1 : extent))
    : x.filter((_, index) => !axes.has(index))
  return { xShape: x, yShape, axes }
}

/** What a caller asks for. */
interface Request extends ReduceOptions {
  readonly axis: Axes | undefined
}

/** Makes the function of an operation: what a call asks for becomes one object. */
/* @__NO_SIDE_EFFECTS__ */
const reducing = (
  name: string,
  op: Op<{ x: Tensor }, Request>,
): ((x: Tensor, axis?: Axes, options?: ReduceOptions) => Tensor) =>
  withArity(name, 3, (x: Tensor, axis?: Axes, options: ReduceOptions = {}) => {
    checkKeys(name, options, { keepDims: 0 } satisfies Names<ReduceOptions>)
    return op({ x }, { ...options, axis })
  })

/** A sum over axes, divided by 1 or by the number of elements. */
interface Total extends Reduction {
  readonly divisor: number
}

/** Makes y = Σ x / divisor. */
/* @__NO_SIDE_EFFECTS__ */
function summing<O>(
  name: string,
  describeTotal: (x: Shape, options: O) => Total,
  nothing?: 'zeros',
): Op<{ x: Tensor }, O> {
  return defineOp(name, {
    ...(nothing && { nothing }),
    infer: ({ x }: { x: Tensor }, options: O) => describeTotal(x.shape, options),
    output: ({ yShape }) => yShape,
    prepare: (list, { xShape, yShape, axes, divisor }) => {
      const size = sizeOf(yShape)
      const record = list.integers(planReduction(xShape, axes))
      list.call('sum_fwd', size, (LIGHT * sizeOf(xShape)) / size, list.out, list.operand('x'), record, divisor)
    },
    keeps: [],
    gradient: (_, dy, d) => ({ x: spread({ y: dy }, d) }),
  })
}

const total = summing<Total>('sum', (_, d) => d, 'zeros')

/** y / divisor, repeated along the axes that were reduced. */
const spread: Op<{ y: Tensor }, Total> = defineOp('sumGradient', {
  infer: (_, d: Total) => d,
  output: ({ xShape }) => xShape,
  prepare: (list, { xShape, yShape, axes, divisor }) => {
    const { record, planes } = planCopy(xShape, stridesOf(xShape), reducedStrides(xShape, axes))
    let from = list.operand('y')
    if (divisor !== 1) {
      const size = sizeOf(yShape)
      const quotient = list.block(4 * size) as Place
      withNumber(list, 'div', quotient, from, size, divisor)
      from = quotient
    }
    list.call('copy_fwd', planes, (LIGHT * sizeOf(xShape)) / planes, list.out, from, list.integers(record))
  },
  keeps: [],
  gradient: (_, dx, d) => ({ y: total({ x: dx }, d) }),
})

const summed = summing<Request>(
  'sum',
  (x, { axis, ...options }) => ({
    ...describe('sum', x, axis, options),
    divisor: 1,
  }),
  'zeros',
)

const averaged = summing<Request>('mean', (x, { axis, ...options }) => {
  const reduction = describe('mean', x, axis, options)
  return { ...reduction, divisor: sizeOf(x) / sizeOf(reduction.yShape) }
})

/**
 * Σ x over `axis`: one, several, or all when left out. Of no elements it is 0.
 *
 *     sum(x)                                               // a scalar
 *     sum(x, [2, 3], { keepDims: true })                   // (8, 3, 5, 5) -> (8, 3, 1, 1)
 *
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const sum = reducing('sum', summed)

/**
 * The mean of x over `axis`: one, several, or all when left out.
 *
 *     mean(x, 1)                                           // (8, 3, 5) -> (8, 5)
 *
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const mean = reducing('mean', averaged)

/** x summed to `shape`, which broadcasts to x's: the adjoint of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x.alias()
  const added = x.ndim - shape.length
  const axes = x.shape.flatMap((extent, axis) => (shape[axis - added] === extent ? [] : [axis]))
  return total({ x }, { xShape: x.shape, yShape: shape, axes: new Set(axes), divisor: 1 })
}

/** dy (N, K, …) summed over everything but K: the gradient of a bias for each channel. */
export const sumChannels = (x: Tensor): Tensor =>
  sum(
    x,
    x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis])),
  )

/** dy (N, …) summed over N: the gradient of a bias for each location. */
export const sumRows = (x: Tensor): Tensor => sum(x, 0)

/** Makes the largest element (sign 1) or the smallest (sign −1). */
/* @__NO_SIDE_EFFECTS__ */
function extremum(name: string, sign: number): Op<{ x: Tensor }, Request> {
  return defineOp<{ x: Tensor }, Request, Reduction, 'index'>(name, {
    infer: ({ x }, { axis, ...options }) => describe(name, x.shape, axis, options),
    output: ({ yShape }) => yShape,
    // Places in x, 32-bit integers in the memory of a tensor.
    saves: { index: ({ yShape }) => yShape },
    prepare: (list, { xShape, yShape, axes }) => {
      const size = sizeOf(yShape)
      const record = list.integers(planReduction(xShape, axes))
      const work = (4 * LIGHT * sizeOf(xShape)) / size
      list.call('extremum_fwd', size, work, list.out, list.operand('index'), list.operand('x'), record, sign)
    },
    keeps: [],
    gradient: ({ saved: { index } }, dy, d) => ({ x: scatter({ dy, index }, d) }),
  })
}

/** dx: dy at the places `index`, 0 elsewhere. */
const scatter: Op<{ dy: Tensor; index: Tensor }, Reduction> = defineOp('extremumGradient', {
  infer: (_, d: Reduction) => d,
  output: ({ xShape }) => xShape,
  prepare: (list, { xShape, yShape }) => {
    list.fill(list.out, sizeOf(xShape), 0)
    list.call('extremum_dx', sizeOf(yShape), 4 * LIGHT, list.out, list.operand('dy'), list.operand('index'))
  },
  keeps: ['index'],
  gradient: ({ inputs: { index } }, ddx, d) => ({ dy: gather({ x: ddx, index }, d) }),
})

/** The elements of x at the places `index`. */
const gather: Op<{ x: Tensor; index: Tensor }, Reduction> = defineOp('extremumGather', {
  infer: (_, d: Reduction) => d,
  output: ({ yShape }) => yShape,
  prepare: (list, { yShape }) => {
    list.call('extremum_gather', sizeOf(yShape), 4 * LIGHT, list.out, list.operand('x'), list.operand('index'))
  },
  keeps: ['index'],
  gradient: ({ inputs: { index } }, dy, d) => ({ x: scatter({ dy, index }, d) }),
})

const largest = extremum('max', 1)
const smallest = extremum('min', -1)

/**
 * The largest element over `axis`: one, several, or all when left out. NaN outdoes every number; the gradient goes to
 * the first of equals.
 *
 *     max(x, -1)                                           // (8, 3, 5) -> (8, 3)
 *
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const max = reducing('max', largest)

/**
 * The smallest element over `axis`: one, several, or all when left out. NaN outdoes every number; the gradient goes to
 * the first of equals.
 *
 *     min(x)                                               // a scalar
 *
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const min = reducing('min', smallest)
