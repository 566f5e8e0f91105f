/**
 * Sums, means and extrema over axes. Sums are accumulated in float64 in a fixed order and rounded once.
 * A sum and the repetition of its gradient are each other's adjoints, so both can be differentiated again.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { planCopy, planReduction, reducedStrides } from '../plan/strided.js'
import { floatsAt, parallel, withIntegers } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { LIGHT } from '../runtime/work.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { checkAxis, sameShape, showShape, sizeOf, stridesOf, type Shape } from '../tensor/shape.js'
import { empty, type Tensor } from '../tensor/tensor.js'
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
  checkKeys(name, options, { keepDims: 0 } satisfies Names<ReduceOptions>)
  const { keepDims = false } = options
  const listed = axis === undefined ? x.map((_, index) => index) : typeof axis === 'number' ? [axis] : axis
  if (!Array.isArray(listed)) {
    throw new ShapeError(`${name}: axis must be a whole number or an array of them, given ${inWords(axis)}`)
  }
  const axes = new Set((listed as readonly number[]).map((item) => checkAxis(item, x.length, name)))
  if (axes.size < listed.length) {
    throw new ShapeError(`${name}: axis ${showShape(listed as number[])} names an axis twice; each may come once`)
  }
  if (typeof keepDims !== 'boolean') {
    throw new ShapeError(`${name}: keepDims must be true or false, given ${inWords(keepDims)}`)
  }
  const yShape = keepDims
    ? x.map((extent, index) => (axes.has(index) ? 1 : extent))
    : x.filter((_, index) => !axes.has(index))
  return { xShape: x, yShape, axes }
}

/** What a caller asks for. */
interface Request extends ReduceOptions {
  readonly axis: Axes | undefined
}

/** A sum over axes, divided by 1 or by the number of elements. */
interface Total extends Reduction {
  readonly divisor: number
}

/** Makes y = Σ x / divisor. */
/* @__NO_SIDE_EFFECTS__ */
function summing<O>(name: string, describeTotal: (x: Shape, options: O) => Total): Op<{ x: Tensor }, O> {
  return defineOp(name, {
    shape: ({ x }: { x: Tensor }, options: O) => describeTotal(x.shape, options),
    forward: ({ x }, { xShape, yShape, axes, divisor }) => {
      const y = empty(yShape, name)
      withIntegers(planReduction(xShape, axes), (record) => {
        parallel('sum_fwd', y.size, (LIGHT * sizeOf(xShape)) / y.size, y.pointer, x.pointer, record, divisor)
      })
      return y
    },
    keeps: [],
    gradient: (_, dy, d) => ({ x: spread({ y: dy }, d) }),
  })
}

const total = summing<Total>('sum', (_, d) => d)

/** y / divisor, repeated along the axes that were reduced. */
const spread: Op<{ y: Tensor }, Total> = defineOp('sumGradient', {
  shape: (_, d: Total) => d,
  forward: ({ y }, { xShape, axes, divisor }) => {
    const x = empty(xShape, 'sumGradient')
    const { record, planes } = planCopy(xShape, stridesOf(xShape), reducedStrides(xShape, axes))
    const from = divisor === 1 ? y : quotient(y, divisor)
    withIntegers(record, (pointer) => {
      parallel('copy_fwd', planes, (LIGHT * x.size) / planes, x.pointer, from.pointer, pointer)
    })
    return x
  },
  keeps: [],
  gradient: (_, dx, d) => ({ y: total({ x: dx }, d) }),
})

/** y / divisor, not recorded. */
function quotient(y: Tensor, divisor: number): Tensor {
  const result = empty(y.shape, 'sumGradient')
  withNumber('div', result.pointer, y.pointer, y.size, divisor)
  return result
}

const summed = summing<Request>('sum', (x, { axis, ...options }) => ({
  ...describe('sum', x, axis, options),
  divisor: 1,
}))

const averaged = summing<Request>('mean', (x, { axis, ...options }) => {
  const reduction = describe('mean', x, axis, options)
  return { ...reduction, divisor: sizeOf(x) / sizeOf(reduction.yShape) }
})

/**
 * Σ x over `axis`: one, several, or all when left out.
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const sum = (x: Tensor, axis?: Axes, options: ReduceOptions = {}): Tensor => summed({ x }, { ...options, axis })

/**
 * The mean of x over `axis`: one, several, or all when left out.
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const mean = (x: Tensor, axis?: Axes, options: ReduceOptions = {}): Tensor =>
  averaged({ x }, { ...options, axis })

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
  return defineOp<{ x: Tensor }, Request, Reduction, { index: Tensor }>(name, {
    shape: ({ x }, { axis, ...options }) => describe(name, x.shape, axis, options),
    forward: ({ x }, { xShape, yShape, axes }) => {
      const y = empty(yShape, name)
      // Places in x, 32-bit integers in the memory of a tensor.
      const index = empty(yShape, name)
      withIntegers(planReduction(xShape, axes), (record) => {
        const work = (4 * LIGHT * sizeOf(xShape)) / y.size
        parallel('extremum_fwd', y.size, work, y.pointer, index.pointer, x.pointer, record, sign)
      })
      return { y, saved: { index } }
    },
    keeps: [],
    gradient: ({ saved: { index } }, dy, d) => ({ x: scatter({ dy, index }, d) }),
  })
}

/** dx: dy at the places `index`, 0 elsewhere. */
const scatter: Op<{ dy: Tensor; index: Tensor }, Reduction> = defineOp('extremumGradient', {
  shape: (_, d: Reduction) => d,
  forward: ({ dy, index }, { xShape }) => {
    const dx = empty(xShape, 'extremumGradient')
    floatsAt(dx.pointer, dx.size).fill(0)
    parallel('extremum_dx', dy.size, 4 * LIGHT, dx.pointer, dy.pointer, index.pointer)
    return dx
  },
  keeps: ['index'],
  gradient: ({ inputs: { index } }, ddx, d) => ({ dy: gather({ x: ddx, index }, d) }),
})

/** The elements of x at the places `index`. */
const gather: Op<{ x: Tensor; index: Tensor }, Reduction> = defineOp('extremumGather', {
  shape: (_, d: Reduction) => d,
  forward: ({ x, index }, { yShape }) => {
    const y = empty(yShape, 'extremumGather')
    parallel('extremum_gather', y.size, 4 * LIGHT, y.pointer, x.pointer, index.pointer)
    return y
  },
  keeps: ['index'],
  gradient: ({ inputs: { index } }, dy, d) => ({ x: scatter({ dy, index }, d) }),
})

const largest = extremum('max', 1)
const smallest = extremum('min', -1)

/**
 * The largest element over `axis`: one, several, or all when left out. NaN outdoes every number; the gradient goes to
 * the first of equals.
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const max = (x: Tensor, axis?: Axes, options: ReduceOptions = {}): Tensor => largest({ x }, { ...options, axis })

/**
 * The smallest element over `axis`: one, several, or all when left out. NaN outdoes every number; the gradient goes to
 * the first of equals.
 * @throws ShapeError when an axis does not exist or comes twice.
 */
export const min = (x: Tensor, axis?: Axes, options: ReduceOptions = {}): Tensor =>
  smallest({ x }, { ...options, axis })
