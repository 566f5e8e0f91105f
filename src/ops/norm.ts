/** Normalization: of each element by its neighbouring channels, and of each channel by its batch. */
import { checkConstant, defineOp, type Op } from '../autodiff/op.js'
import { gradientAgain, vjp } from '../autodiff/vjp.js'
import { planCopy } from '../tensor/strided.js'
import { after, type Place } from '../runtime/calls.js'
import { kernels } from '../runtime/core.js'
import { checkNumber, checkSwitch, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { HEAVY, LIGHT } from '../runtime/work.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { makePool, plainAxis } from '../plan/pool.js'
import { tensor } from '../tensor/create.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { add, div, mul, pow, sqrt, square, sub } from './elementwise.js'
import { average } from './pool/average.js'
import { mean } from './reduce.js'

/** Options of `localResponseNorm`. */
export interface LocalResponseNormOptions {
  /** Number of neighbouring channels in the sum, the channel itself included. */
  readonly size: number
  /** Default 1e-4. */
  readonly alpha?: number | undefined
  /** Default 0.75. */
  readonly beta?: number | undefined
  /** Default 1. */
  readonly k?: number | undefined
  /** Whether alpha is divided by `size` (default, as PyTorch and Caffe do) or not (as in the paper). */
  readonly normalize?: 'size' | 'none' | undefined
}

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  /** true: by the statistics of the batch, which also move the running ones; false (default): by the running ones. */
  readonly training?: boolean | undefined
  /** Added to the variance; default 1e-5. */
  readonly eps?: number | undefined
  /** (C): updated in place when training, needed otherwise. */
  readonly runningMean?: Tensor | undefined
  /** (C), unbiased variances; updated in training, used otherwise. */
  readonly runningVar?: Tensor | undefined
  /** Share of the new statistics in the running ones, from 0 to 1; default 0.1. */
  readonly momentum?: number | undefined
}

/** The options of `localResponseNorm`, each with what it must be. */
export const localResponseNames = {
  size: 'count',
  alpha: 0,
  beta: 0,
  k: 0,
  normalize: ['size', 'none'],
} as const satisfies Names<LocalResponseNormOptions>
const batchNames = {
  training: 0,
  eps: 0,
  runningMean: 0,
  runningVar: 0,
  momentum: 0,
} satisfies Names<BatchNormOptions>

/** x as (N, C, pixels). */
interface Layout {
  readonly shape: Shape
  readonly N: number
  readonly C: number
  readonly pixels: number
}

function layoutOf(name: string, x: Shape): Layout {
  if (x.length < 2) throw new ShapeError(`${name}: x must be (N, C, …), given ${showShape(x)}`)
  const [N, C, ...spatial] = x as readonly [number, number, ...number[]]
  return { shape: x, N, C, pixels: sizeOf(spatial) }
}

interface LocalResponse extends Layout {
  readonly size: number
  /** Divided by size where that is asked for. */
  readonly alpha: number
  readonly beta: number
  readonly k: number
}

/** Checks shape and options of local response normalization. @throws ShapeError */
export function describeLocalResponse(x: Shape, options: LocalResponseNormOptions): LocalResponse {
  const name = 'localResponseNorm'
  checkKeys(name, options, localResponseNames)
  const { size, alpha = 1e-4, beta = 0.75, k = 1, normalize = 'size' } = options
  const layout = layoutOf(name, x)
  if (!Number.isInteger(size) || size < 1 || size > 0x7fffffff) {
    throw wrongKind(`${name}: size`, 'a whole number from 1 on', size)
  }
  for (const [argument, value] of Object.entries({ alpha, beta, k })) checkNumber(value, `${name}: ${argument}`)
  if (normalize !== 'size' && normalize !== 'none') {
    throw wrongKind(`${name}: normalize`, "'size' or 'none'", normalize)
  }
  // A sum over twice the channels is a sum over all, in float32 as it has far fewer terms than LONG in assembly/micro/long.ts:
  // time goes with channels · size. More would overflow the index of the last.
  return { ...layout, size: Math.min(size, 2 * layout.C), alpha: normalize === 'size' ? alpha / size : alpha, beta, k }
}

/** The definition, made of other operations: the sums over neighbouring channels are those of a pooling over (channels, pixels). */
function composeLocalResponse(x: Tensor, { shape, C, pixels, size, alpha, beta, k }: LocalResponse): Tensor {
  const lo = Math.floor(size / 2)
  const channels = { ...plainAxis(C, size, C), lo, hi: size - 1 - lo }
  const pool = makePool('localResponseNorm', shape, shape, [channels, plainAxis(pixels, 1, pixels)], size, true)
  return mul(x, pow(add(mul(average({ x: square(x) }, pool), alpha), k), -beta))
}

const localResponseGradient: Op<{ dy: Tensor; x: Tensor; scale: Tensor }, LocalResponse> = defineOp(
  'localResponseNormGradient',
  {
    infer: (_, d) => d,
    output: ({ shape }) => shape,
    prepare: (list, { N, C, pixels, size, alpha, beta }) => {
      const from = [list.operand('dy'), list.operand('x'), list.operand('scale')] as const
      const ws = list.perThread(kernels().lrn_dx_workspace(C, pixels))
      list.call('lrn_dx', N, 2 * HEAVY * C * pixels, list.out, ...from, ws, C, pixels, size, alpha, beta)
    },
    gradient: ({ inputs: { dy, x } }, ddx, d) => {
      const [ddy, again] = gradientAgain((at) => composeLocalResponse(at, d), [x], dy, ddx)
      return { dy: ddy, x: again }
    },
  },
)

const localResponse: Op<{ x: Tensor }, LocalResponseNormOptions> = defineOp('localResponseNorm', {
  infer: ({ x }: { x: Tensor }, options: LocalResponseNormOptions) => describeLocalResponse(x.shape, options),
  output: ({ shape }) => shape,
  saves: { scale: ({ shape }: LocalResponse) => shape },
  prepare: (list, { N, C, pixels, size, alpha, beta, k }) => {
    const out = [list.out, list.operand('scale')] as const
    list.call('lrn_fwd', N * C, 2 * HEAVY * pixels, ...out, list.operand('x'), C, pixels, size, alpha, beta, k)
  },
  keeps: ['x'],
  gradient: ({ inputs: { x }, saved, need }, dy, d) => ({
    x: need.x && localResponseGradient({ dy, x, scale: saved.scale }, d),
  }),
})

/**
 * Local response normalization: y = x / (k + α·Σ x²)^β, the sum over `size` neighbouring channels, α divided by `size`
 * unless `normalize` is 'none'. x (N, C, …) -> the same shape. Channel c sees the channels from c − ⌊size / 2⌋ on.
 * (Krizhevsky, Sutskever & Hinton, 2012, section 3.3: size 5, alpha 1e-4, beta 0.75, k 2, normalize 'none'.)
 *
 *     localResponseNorm(x, { size: 5, alpha: 1e-4, beta: 0.75, k: 2, normalize: 'none' })   // as in AlexNet
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const localResponseNorm = withArity(
  'localResponseNorm',
  2,
  (x: Tensor, options: LocalResponseNormOptions): Tensor => {
    return localResponse({ x }, options ?? {})
  },
)

interface BatchInputs {
  readonly x: Tensor
  readonly gamma: Tensor | undefined
  readonly beta: Tensor | undefined
  readonly runningMean: Tensor | undefined
  readonly runningVar: Tensor | undefined
  readonly [name: string]: Tensor | undefined
}

type Statistics = Omit<BatchNormOptions, 'runningMean' | 'runningVar'>

interface Batch extends Layout {
  readonly training: boolean
  readonly eps: number
  readonly momentum: number
  /** Names of the running statistics that are given. */
  readonly running: readonly ('runningMean' | 'runningVar')[]
}

function describeBatch({ x, gamma, beta, runningMean, runningVar }: BatchInputs, options: Statistics): Batch {
  const name = 'batchNorm'
  const { training = false, eps = 1e-5, momentum = 0.1 } = options
  const layout = layoutOf(name, x.shape)
  const { N, C, pixels } = layout
  checkSwitch(training, `${name}: training`)
  if (!Number.isFinite(eps) || eps < 0) {
    throw wrongKind(`${name}: eps`, 'a number from 0 on', eps)
  }
  if (!Number.isFinite(momentum) || momentum < 0 || momentum > 1) {
    throw wrongKind(`${name}: momentum`, 'a number from 0 to 1', momentum)
  }
  for (const [argument, value] of Object.entries({ gamma, beta, runningMean, runningVar })) {
    if (value && !sameShape(value.shape, [C])) {
      throw new ShapeError(
        `${name}: ${argument} must be (${C}), one for each channel of x ${showShape(x.shape)}, given ${showShape(value.shape)}`,
      )
    }
  }
  if (training && N * pixels < 2) {
    throw new ShapeError(
      `${name}: training needs at least 2 elements for each channel, but x ${showShape(x.shape)} has 1; use a larger batch`,
    )
  }
  if (!training && !(runningMean && runningVar)) {
    throw new ArgumentError(
      `${name}: give runningMean and runningVar (${C}), or training: true to use the statistics of the batch`,
    )
  }
  const given = { runningMean, runningVar }
  const running = (['runningMean', 'runningVar'] as const).filter((argument) => given[argument])
  return { ...layout, training, eps, momentum, running }
}

/** One row of an (R, C) tensor. */
const rowOf: Op<{ x: Tensor }, number> = defineOp('batchNormRowGradient', {
  infer: ({ x }: { x: Tensor }, row: number) => ({ R: x.shape[0] as number, C: x.shape[1] as number, row }),
  output: ({ C }) => [C],
  prepare: (list, { C, row }) => {
    const { record, planes } = planCopy([C], [1], [1])
    const from = after(list.operand('x'), 4 * C * row)
    list.call('copy_fwd', planes, (LIGHT * C) / planes, list.out, from, list.integers(record))
  },
  keeps: [],
  gradient: (_, dy, { R, row }) => ({ x: scope(() => inRow(dy, row, R)) }),
})

/** An (R, C) tensor with `values` (C) in one row, and 0 in the others. */
const inRow = (values: Tensor, row: number, R: number): Tensor =>
  mul(
    values.reshape([1, -1]),
    tensor(
      Array.from({ length: R }, (_, r) => (r === row ? 1 : 0)),
      [R, 1],
    ),
  )

/** The definition, made of other operations, given the statistics where they do not depend on x. */
function composeBatch(x: Tensor, gamma: Tensor | undefined, beta: Tensor | undefined, stats: Tensor, d: Batch): Tensor {
  const over = (values: Tensor): Tensor => values.reshape([d.C, ...d.shape.slice(2).map(() => 1)])
  const row = (index: number): Tensor => over(rowOf({ x: stats }, index))
  const axes = d.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]))
  const meanOf = (values: Tensor): Tensor => mean(values, axes, { keepDims: true })
  const centered = (values: Tensor): Tensor => sub(values, meanOf(values))
  let y: Tensor
  if (d.training) {
    // Twice, so that what rounding takes from a mean far from zero is not lost.
    const distances = centered(centered(x))
    y = div(distances, sqrt(add(meanOf(square(distances)), d.eps)))
  } else y = mul(sub(sub(x, row(0)), row(1)), row(2))
  if (gamma) y = mul(y, over(gamma))
  return beta ? add(y, over(beta)) : y
}

/** dgamma = Σ dy · x̂ (first C elements) and dbeta = Σ dy (the others). */
const batchSums: Op<{ dy: Tensor; x: Tensor; stats: Tensor }, Batch> = defineOp('batchNormSumsGradient', {
  nothing: 'zeros',
  infer: (_, d) => d,
  output: ({ C }) => [2, C],
  prepare: (list, { N, C, pixels }) => {
    const from = [list.operand('dy'), list.operand('x'), list.operand('stats')] as const
    list.call('batchnorm_dw', C, 2 * LIGHT * N * pixels, list.out, after(list.out, 4 * C), ...from, N, C, pixels)
  },
  // ⟨dsums, (dgamma, dbeta)⟩ = ⟨dy, y⟩ where the rows of dsums stand for gamma and beta.
  gradient: ({ inputs: { dy, x, stats } }, dsums, d) =>
    scope(() => {
      const [gamma, beta] = [0, 1].map((row) => rowOf({ x: dsums }, row))
      const { value, pullback } = vjp((at) => composeBatch(at, gamma, beta, stats, d), x)
      return { dy: value, x: pullback(dy)[0] }
    }),
})

/** dx = gamma / √(variance + eps) · (dy − (dbeta + x̂ · dgamma) / count), without the fraction where the statistics are running ones. */
const batchInputGradient: Op<
  { dy: Tensor; x: Tensor; gamma: Tensor | undefined; sums: Tensor | undefined; stats: Tensor },
  Batch
> = defineOp('batchNormGradient', {
  optional: ['gamma', 'sums'],
  infer: (_, d) => d,
  output: ({ shape }) => shape,
  prepare: (list, { N, C, pixels, training }) => {
    const sums = list.operand('sums')
    const from = ['dy', 'x', 'gamma'].map((name) => list.operand(name)) as [Place, Place, Place]
    const behind = [sums, after(sums, 4 * C), list.operand('stats')] as const
    const count = training ? N * pixels : 0
    list.call('batchnorm_dx', N * C, 2 * LIGHT * pixels, list.out, ...from, ...behind, C, pixels, count)
  },
  // By dy, x and gamma, of which sums and statistics are functions: nothing is left for those.
  gradient: ({ inputs: { dy, x, gamma, stats } }, ddx, d) => {
    const f = (at: Tensor, scale?: Tensor): Tensor => composeBatch(at, scale, undefined, stats, d)
    const [ddy, again, dgamma] = gradientAgain(f, gamma ? [x, gamma] : [x], dy, ddx)
    return { dy: ddy, x: again, gamma: dgamma, sums: undefined }
  },
})

const batch = defineOp<BatchInputs, Statistics, Batch, 'stats'>('batchNorm', {
  optional: ['gamma', 'beta', 'runningMean', 'runningVar'],
  infer: (inputs: BatchInputs, options: Statistics) => describeBatch(inputs, options),
  output: ({ shape }) => shape,
  saves: { stats: ({ C }: Batch) => [3, C] },
  always: ['stats'],
  writes: ({ training, running }) => (training ? running : []),
  prepare: (list, { N, C, pixels, training, eps, momentum }) => {
    const x = list.operand('x')
    const stats = list.operand('stats')
    const running = [list.operand('runningMean'), list.operand('runningVar')] as const
    if (training) {
      list.call('batchnorm_statistics', C, 2 * LIGHT * N * pixels, stats, ...running, x, N, C, pixels, eps, momentum)
    } else list.call('batchnorm_frozen', C, LIGHT, stats, ...running, C, eps)
    const [scale, shift] = [list.operand('gamma'), list.operand('beta')]
    list.call('batchnorm_fwd', N * C, LIGHT * pixels, list.out, x, scale, shift, stats, C, pixels)
  },
  affine: ({ gamma, beta, runningMean, runningVar }, { training, eps }) => {
    if (training) return undefined
    const inverse = pow(add(runningVar as Tensor, eps), -0.5)
    const scale = gamma ? mul(gamma, inverse) : inverse
    const shift = mul(runningMean as Tensor, mul(scale, -1))
    return { scale, shift: beta ? add(beta, shift) : shift }
  },
  keeps: ['x', 'gamma'],
  gradient: ({ inputs: { x, gamma }, saved, need }, dy, d) => {
    const stats = saved.stats
    const sums = need.gamma || need.beta || (need.x && d.training) ? batchSums({ dy, x, stats }, d) : undefined
    return {
      x: need.x && batchInputGradient({ dy, x, gamma, sums: d.training ? sums : undefined, stats }, d),
      gamma: need.gamma && sums && rowOf({ x: sums }, 0),
      beta: need.beta && sums && rowOf({ x: sums }, 1),
    }
  },
})

/**
 * Batch normalization: y = gamma·(x − mean) / √(variance + eps) + beta for each channel; x (N, C, …) -> the same shape,
 * gamma and beta (C), 1 and 0 where they are left out. When training, mean and (biased) variance are those of the
 * batch, and runningMean and runningVar, if given, are moved towards the mean and the unbiased variance in place.
 * (Ioffe & Szegedy, 2015.)
 *
 *     batchNorm(x, gamma, beta, { training: true, runningMean, runningVar })
 *     batchNorm(x, gamma, beta, { runningMean, runningVar })   // in use
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const batchNorm = withArity(
  'batchNorm',
  4,
  (x: Tensor, gamma: Tensor | undefined, beta: Tensor | undefined, options: BatchNormOptions = {}): Tensor => {
    checkKeys('batchNorm', options, batchNames)
    const { runningMean, runningVar, ...statistics } = options
    checkConstant(runningMean, 'batchNorm', 'runningMean')
    checkConstant(runningVar, 'batchNorm', 'runningVar')
    return batch({ x, gamma, beta, runningMean, runningVar }, statistics)
  },
)
