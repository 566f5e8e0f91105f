/**
 * Convolution whose kernel depends on the output pixel. Locally connected (9.9): each pixel has a kernel of its own.
 * Tiled (9.10): kernels repeat with a period in each direction. Both are one operation on classes of pixels that
 * share a kernel; it is linear in both arguments, and its three forms are closed under differentiation.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { multiplyAdds, type ConvProblem } from '../plan/conv.js'
import { outputExtents, perDirection, resolvePadding, type Padding, type PerDirection } from '../plan/window.js'
import { kernels, parallel, perThread, withIntegers } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { LIGHT, MULTIPLY_ADD } from '../runtime/work.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { checkSize, sameShape, showShape, stridesOf, type Shape } from '../tensor/shape.js'
import { checkTensor, empty, scope, type Tensor } from '../tensor/tensor.js'
import { transpose } from './layout.js'

/** Options of locally connected and tiled layers. */
export interface LocalOptions {
  /** locallyConnected: (K, …output extents); tiled: (K, …periods). */
  readonly bias?: Tensor | undefined
  /** As in `conv2d`; default 1. */
  readonly stride?: PerDirection
  /** As in `conv2d`; default 'valid'. */
  readonly padding?: Padding
}

/** Names of the options but for the bias. */
export const localNames = { stride: 0, padding: 0 } as const satisfies Names<Omit<LocalOptions, 'bias'>>

/** A validated operation: weights (K, classes, taps). */
interface Local {
  readonly problem: ConvProblem
  readonly xShape: Shape
  readonly wShape: Shape
  readonly yShape: Shape
  readonly biasShape: Shape
  /** LocalShape of assembly/ops/conv/local.ts. */
  readonly record: readonly number[]
}

function encodeLocal(
  { N, C, K, input, kernel, output, stride, lo }: ConvProblem,
  periods: readonly number[],
): number[] {
  const two = (values: readonly number[], filler: number): readonly number[] =>
    values.length === 1 ? [filler, ...values] : values
  const extents = [input, kernel, output, periods, stride].flatMap((values) => two(values, 1))
  return [N, C, K, ...extents, ...two(lo, 0)]
}

type Pass = 'fwd' | 'dx' | 'dw' | 'db'

function run(d: Local, pass: Pass, left: Tensor, right: Tensor | undefined, bias?: Tensor): Tensor {
  const { problem } = d
  const { N, K } = problem
  const out = empty({ fwd: d.yShape, dx: d.xShape, dw: d.wShape, db: d.biasShape }[pass])
  const a = left.pointer
  const b = right?.pointer ?? 0
  // Each kernel is used once: reading it takes most of the time.
  const work = 4 * MULTIPLY_ADD * multiplyAdds(problem)
  withIntegers(d.record, (shape) => {
    const bytes = kernels()[`local_${pass}_workspace`](shape)
    const ws = bytes > 0 ? perThread(bytes) : 0
    if (pass === 'fwd') parallel('local_fwd', N, work / N, out.pointer, a, b, bias?.pointer ?? 0, ws, shape)
    else if (pass === 'dx') parallel('local_dx', N, work / N, out.pointer, a, b, ws, shape)
    else if (pass === 'dw') parallel('local_dw', K, work / K, out.pointer, a, b, ws, shape)
    else parallel('local_db', K, (LIGHT * left.size) / K, out.pointer, a, ws, shape)
  })
  return out
}

const forward: Op<{ x: Tensor; w: Tensor; bias: Tensor | undefined }, Local> = defineOp('localConv', {
  optional: ['bias'],
  shape: (_, d) => d,
  forward: ({ x, w, bias }, d) => run(d, 'fwd', x, w, bias),
  keeps: ['x', 'w'],
  gradient: ({ inputs: { x, w }, need }, dy, d) => ({
    x: need.x && inputGradient({ dy, w }, d),
    w: need.w && weightGradient({ dy, x }, d),
    bias: need.bias && biasGradient({ dy }, d),
  }),
})

const inputGradient: Op<{ dy: Tensor; w: Tensor }, Local> = defineOp('localConvInputGrad', {
  shape: (_, d) => d,
  forward: ({ dy, w }, d) => run(d, 'dx', dy, w),
  gradient: ({ inputs: { dy, w }, need }, ddx, d) => ({
    dy: need.dy && forward({ x: ddx, w, bias: undefined }, d),
    w: need.w && weightGradient({ dy, x: ddx }, d),
  }),
})

const weightGradient: Op<{ dy: Tensor; x: Tensor }, Local> = defineOp('localConvWeightGrad', {
  shape: (_, d) => d,
  forward: ({ dy, x }, d) => run(d, 'dw', dy, x),
  gradient: ({ inputs: { dy, x }, need }, ddw, d) => ({
    dy: need.dy && forward({ x, w: ddw, bias: undefined }, d),
    x: need.x && inputGradient({ dy, w: ddw }, d),
  }),
})

const biasGradient: Op<{ dy: Tensor }, Local> = defineOp('localConvBiasGrad', {
  shape: (_, d) => d,
  forward: ({ dy }, d) => run(d, 'db', dy, undefined),
})

/** Either operation for weights of one input's extents, with the class and the weight of each connection. */
interface Described {
  readonly problem: ConvProblem
  /** Extents of the classes: those of the output, or the periods. */
  readonly periods: readonly number[]
  /** Position in w of tap (c, …) of output map k at a pixel. */
  weightAt(k: number, c: number, tap: readonly number[], pixel: readonly number[]): number
}

export type LocalVariant = 'locallyConnected' | 'tiled'

/** Checks x and w of one variant and derives the output. `x` are the extents of the input without batch and channels. */
export function describeLocal(
  name: string,
  variant: LocalVariant,
  x: readonly number[],
  w: Shape,
  options: LocalOptions,
  N = 1,
  channels?: number,
): Described {
  const directions = x.length
  const own = variant === 'locallyConnected'
  const letters = own
    ? ['(K, Q, C, S)', '(K, P, Q, C, R, S)'][directions - 1]
    : ['(K, C, S, T)', '(K, C, R, S, T, U)'][directions - 1]
  if (letters === undefined) throw new ShapeError(`${name}: ${variant} has one or two directions, given ${directions}`)
  if (w.length !== 2 * directions + 2) throw new ShapeError(`${name}: w must be ${letters}, given ${showShape(w)}`)
  const K = w[0] as number
  const C = (own ? w[directions + 1] : w[1]) as number
  const kernel = own ? w.slice(directions + 2) : w.slice(2, directions + 2)
  const periods = own ? w.slice(1, directions + 1) : w.slice(directions + 2)
  if (channels !== undefined && channels !== C) {
    throw new ShapeError(`${name}: x has ${channels} channels, w ${showShape(w)} takes ${C}`)
  }
  const stride = perDirection(options.stride ?? 1, directions, 1, `${name}: stride`)
  const dilation = kernel.map(() => 1)
  const { lo, hi } = resolvePadding(options.padding ?? 'valid', x, kernel, stride, dilation, name)
  const windows = { input: x, kernel, stride, dilation, lo, hi }
  const output = outputExtents(windows, name)
  if (own && !sameShape(periods, output)) {
    throw new ShapeError(
      `${name}: the output has ${showShape(output)} locations, w ${showShape(w)} has kernels for ${showShape(periods)}`,
    )
  }
  const strides = stridesOf(w)
  return {
    problem: { ...windows, output, N, C, K, groups: 1, flip: false },
    periods,
    weightAt(k, c, tap, pixel) {
      const repeated = pixel.map((p, axis) => p % (periods[axis] as number))
      const index = own ? [k, ...pixel, c, ...tap] : [k, c, ...tap, ...repeated]
      return index.reduce((total, value, axis) => total + value * (strides[axis] as number), 0)
    },
  }
}

function local(variant: LocalVariant, directions: 1 | 2): (x: Tensor, w: Tensor, options?: LocalOptions) => Tensor {
  const name = variant === 'tiled' ? `tiledConv${directions}d` : `locallyConnected${directions}d`
  return (x, w, options = {}) => {
    checkKeys(name, options, localNames, { bias: 0 })
    checkTensor(x, name, 'x')
    checkTensor(w, name, 'w')
    if (options.bias) checkTensor(options.bias, name, 'bias')
    if (x.ndim !== directions + 2) {
      throw new ShapeError(
        `${name}: x must be ${directions === 1 ? '(N, C, W)' : '(N, C, H, W)'}, given ${showShape(x.shape)}`,
      )
    }
    const [N, channels, ...input] = x.shape as readonly [number, number, ...number[]]
    const { problem, periods } = describeLocal(name, variant, input, w.shape, options, N, channels)
    const { C, K, kernel, output } = problem
    const biasShape = [K, ...periods]
    if (options.bias && !sameShape(options.bias.shape, biasShape)) {
      throw new ShapeError(
        `${name}: bias must be ${showShape(biasShape)}, one for each kernel, given ${showShape(options.bias.shape)}`,
      )
    }
    const d = {
      problem,
      record: encodeLocal(problem, periods),
      xShape: x.shape,
      wShape: [K, ...periods, C, ...kernel],
      yShape: [N, K, ...output],
      biasShape,
    }
    checkSize(d.yShape, name)
    if (variant === 'locallyConnected') return forward({ x, w, bias: options.bias }, d)
    // Kernels of one class together: (K, C, R, S, T, U) -> (K, T, U, C, R, S).
    const order = [0, ...periods.map((_, axis) => 2 + directions + axis), 1, ...kernel.map((_, axis) => 2 + axis)]
    return scope(() => forward({ x, w: transpose(w, order), bias: options.bias }, d))
  }
}

/**
 * Locally connected layer (9.9): x (N, C, W), w (K, Q, C, S), bias (K, Q) -> (N, K, Q).
 * @throws ShapeError when shapes or options do not fit.
 */
export const locallyConnected1d = local('locallyConnected', 1)

/**
 * Locally connected layer (9.9): x (N, C, H, W), w (K, P, Q, C, R, S), bias (K, P, Q) -> (N, K, P, Q).
 * @throws ShapeError when shapes or options do not fit.
 */
export const locallyConnected2d = local('locallyConnected', 2)

/**
 * Tiled convolution (9.10): x (N, C, W), w (K, C, S, T), bias (K, T) -> (N, K, Q); column q uses kernel q mod T.
 * @throws ShapeError when shapes or options do not fit.
 */
export const tiledConv1d = local('tiled', 1)

/**
 * Tiled convolution (9.10): x (N, C, H, W), w (K, C, R, S, T, U), bias (K, T, U) -> (N, K, P, Q); pixel (p, q) uses
 * kernel (p mod T, q mod U).
 * @throws ShapeError when shapes or options do not fit.
 */
export const tiledConv2d = local('tiled', 2)
