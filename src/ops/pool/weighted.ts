/**
 * Weighted mean over sliding windows: x (N, C, H, W) -> y (N, C, P, Q), y = Σ w·x / extent with weights w (R, S) of
 * sum 1, given or a Gaussian of the distance from the centre. The extent is the sum of the weights that count. The
 * gradient spreads dy · w / extent. The kernels are those of assembly/ops/pool/weighted.ts.
 */
import { defineOp, isFollowed, type Op } from '../../autodiff/op.js'
import { poolNames, slide, type SlidingPool } from '../../plan/pool.js'
import type { PerDirection } from '../../plan/window.js'
import type { CallList, Place } from '../../runtime/calls.js'
import { wrongKind } from '../../runtime/check.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import { checkKeys, withArity, type Names } from '../../runtime/options.js'
import { checkSize, sameShape, showShape, sizeOf, type Shape } from '../../tensor/shape.js'
import { ones, tensor } from '../../tensor/create.js'
import { checkTensor, scope, Tensor } from '../../tensor/tensor.js'
import { conv2d } from '../conv.js'
import { add, div } from '../elementwise.js'
import { pad } from '../layout.js'
import { avgPoolNames, type AvgPoolOptions } from './average.js'

/** Options of `weightedPool2d`. */
export interface WeightedPoolOptions extends Omit<AvgPoolOptions, 'kernel'> {
  /** Extents of a window; default: those of `weights`. */
  readonly kernel?: PerDirection | undefined
  /** Weights (R, S) from 0 on, which are divided by their sum. Give these or `sigma`. */
  readonly weights?: readonly (readonly number[])[] | Tensor | undefined
  /** Standard deviation, in elements, of a Gaussian around the centre of the window, which may have up to 2²² taps. */
  readonly sigma?: number | readonly number[] | undefined
}

const weightedNames = { weights: 0, sigma: 0 } satisfies Names<Pick<WeightedPoolOptions, 'weights' | 'sigma'>>

interface WeightedPool {
  readonly pool: SlidingPool
  /** Normalized weights, or the deviations of a Gaussian. */
  readonly weights: Float32Array | undefined
  readonly sigma: readonly number[]
}

/** Weights (R, S) as rows. */
function weightRows(name: string, weights: WeightedPoolOptions['weights']): readonly (readonly number[])[] {
  if (weights instanceof Tensor) {
    checkTensor(weights, name, 'weights')
    if (weights.ndim !== 2) throw new ShapeError(`${name}: weights must be (R, S), given ${showShape(weights.shape)}`)
    const [rows, columns] = weights.shape as readonly [number, number]
    const data = weights.data()
    return Array.from({ length: rows }, (_, r) => [...data.subarray(r * columns, (r + 1) * columns)])
  }
  if (!Array.isArray(weights) || weights.length === 0 || !Array.isArray(weights[0]) || weights[0].length === 0) {
    throw new ShapeError(`${name}: weights must be R rows of S numbers`)
  }
  for (const row of weights as readonly unknown[]) {
    const length = Array.isArray(row) ? row.length : 0
    if (length !== weights[0].length) {
      throw new ShapeError(
        `${name}: weights must be rows of equal length, given rows of ${weights[0].length} and ${length}`,
      )
    }
  }
  return weights as readonly (readonly number[])[]
}

function normalizeWeights(name: string, rows: readonly (readonly number[])[]): Float32Array {
  const flat = rows.flat()
  let sum = 0
  for (const weight of flat) {
    if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0) {
      throw wrongKind(`${name}: weights`, 'finite numbers from 0 on', weight)
    }
    sum += weight
  }
  if (!(sum > 0)) throw new ArgumentError(`${name}: weights must have a sum above 0, given ${sum}`)
  return Float32Array.from(flat, (weight) => weight / sum)
}

function checkSigma(name: string, sigma: number | readonly number[]): readonly number[] {
  const list = typeof sigma === 'number' ? [sigma, sigma] : sigma
  if (!Array.isArray(list) || list.length !== 2 || !list.every((value) => Number.isFinite(value) && value > 0)) {
    throw wrongKind(`${name}: sigma`, 'a positive number or two', sigma)
  }
  return [...(list as readonly number[])]
}

/** Taps of a kernel up to which a Gaussian is computed, each time anew: a quarter of a second. */
const MOST_GAUSSIAN = 2 ** 22

function describeWeighted(x: Shape, options: WeightedPoolOptions): WeightedPool {
  const name = 'weightedPool2d'
  checkKeys(name, options, poolNames, { ...avgPoolNames, ...weightedNames })
  const { weights, sigma } = options
  if ((weights === undefined) === (sigma === undefined)) {
    throw new ArgumentError(`${name}: give either weights or sigma, not ${weights === undefined ? 'neither' : 'both'}`)
  }
  const rows = weights === undefined ? undefined : weightRows(name, weights)
  const extents = rows && [rows.length, (rows[0] as readonly number[]).length]
  const kernel = (options.kernel ?? extents) as PerDirection
  const pool = slide(name, 2, x, { ...options, kernel, dilation: 1 }, { countIncludePad: options.countIncludePad })
  checkSize(pool.kernel, name, 'the kernel')
  if (!rows && sizeOf(pool.kernel) > MOST_GAUSSIAN) {
    throw new ShapeError(
      `${name}: a Gaussian is computed for at most ${MOST_GAUSSIAN} taps, and the kernel ${showShape(pool.kernel)} has more; use a smaller kernel, or give weights`,
    )
  }
  if (extents && !sameShape(extents, pool.kernel)) {
    throw new ShapeError(
      `${name}: weights must be ${showShape(pool.kernel)} like the kernel, given ${showShape(extents)}`,
    )
  }
  return {
    pool,
    weights: rows && normalizeWeights(name, rows),
    sigma: sigma === undefined ? [1, 1] : checkSigma(name, sigma),
  }
}

/** The weights in linear memory. */
function listWeights(list: CallList, { pool, weights, sigma }: WeightedPool): Place {
  if (weights) return list.floats(weights)
  const [R, S] = pool.kernel as readonly [number, number]
  const gaussian = list.block(R * S * 4) as Place
  list.once('weightedpool_gaussian', gaussian, R, S, sigma[0] as number, sigma[1] as number)
  return gaussian
}

const weighted: Op<{ x: Tensor }, WeightedPool | WeightedPoolOptions> = defineOp('weightedPool2d', {
  infer: ({ x }: { x: Tensor }, asked: WeightedPool | WeightedPoolOptions) =>
    typeof asked === 'object' && 'pool' in asked ? asked : describeWeighted(x.shape, asked),
  output: ({ pool }) => pool.yShape,
  prepare: (list, d) => {
    const { maps, work, record } = d.pool
    const weights = listWeights(list, d)
    list.call('weightedpool_fwd', maps, work, list.out, list.operand('x'), weights, list.integers(record))
  },
  keeps: [],
  gradient: ({ need }, dy, d) => ({ x: need.x && weightedGradient({ dy }, d) }),
})

const weightedGradient: Op<{ dy: Tensor }, WeightedPool> = defineOp('weightedPool2dGradient', {
  infer: (_, d) => d,
  output: ({ pool }) => pool.xShape,
  prepare: (list, d) => {
    const { maps, work, record } = d.pool
    const weights = listWeights(list, d)
    list.call('weightedpool_dx', maps, work, list.out, list.operand('dy'), weights, list.integers(record))
  },
  keeps: [],
  gradient: ({ need }, ddx, d) => ({ dy: need.dy && weighted({ x: ddx }, d) }),
})

/** The same of weights that are differentiated: a convolution with them, divided by the sums of those that count. */
function weightedByTensor(x: Tensor, weights: Tensor, options: WeightedPoolOptions): Tensor {
  const { pool } = describeWeighted(x.shape, options)
  // Extents of the map, the kernel and the output, stride and padding, along H and along W: the order of PoolShape.
  const axes = [14, 25].map(
    (at) => [...pool.record.subarray(at, at + 6)] as [number, number, number, number, number, number],
  )
  const stride = axes.map(([, , , step]) => step)
  const convolve = (maps: Tensor, value: number): Tensor => {
    const padded = pad(
      maps.reshape([-1, 1, ...x.shape.slice(2)]),
      axes.map(([, , , , lo, hi]) => [lo, hi] as const),
      { value },
    )
    // Behind the padding, what the last windows of `ceil` reach over.
    const ends = axes.map(([n, kernel, output, step, lo, hi]) =>
      Math.max(0, (output - 1) * step + kernel - lo - n - hi),
    )
    return conv2d(
      pad(
        padded,
        ends.map((end) => [0, end] as const),
      ),
      weights.reshape([1, 1, ...pool.kernel]),
      { stride },
    )
  }
  return scope(() => {
    const extents = convolve(ones(x.shape.slice(2)), (options.countIncludePad ?? true) ? 1 : 0)
    // Where no weight counts, 0 / 1.
    const none = tensor(
      extents.data().map((extent) => (extent === 0 ? 1 : 0)),
      extents.shape,
    )
    return div(convolve(x, 0), add(extents, none)).reshape(pool.yShape)
  })
}

/**
 * Mean over windows with weights that fall with the distance from the centre, given as such or as a Gaussian:
 * x (N, C, H, W) -> (N, C, P, Q). The weights are divided by their sum; padding counts as zeros, unless
 * `countIncludePad` is false. Weights that are a Tensor have a gradient; while it is asked for, results may differ in rounding.
 * @throws ShapeError when shapes or options do not fit.
 */
export const weightedPool2d = withArity('weightedPool2d', 2, (x: Tensor, options: WeightedPoolOptions): Tensor => {
  checkTensor(x, 'weightedPool2d', 'x')
  const weights = options?.weights
  if (isFollowed(weights)) return weightedByTensor(x, weights, options)
  return weighted({ x }, options ?? {})
})
