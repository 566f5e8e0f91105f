/**
 * Convolution whose kernel depends on the output pixel. Locally connected (9.9): each pixel has a kernel of its own.
 * Tiled (9.10): kernels repeat with a period in each direction. Both are one operation on classes of pixels that
 * share a kernel; it is linear in both arguments, and its three forms are closed under differentiation.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { multiplyAdds, type ConvProblem } from '../plan/conv.js'
import { skipsPadding } from '../plan/reach.js'
import { recordOf } from '../plan/record.js'
import {
  mapExtents,
  outputExtents,
  perDirection,
  resolvePadding,
  type Padding,
  type PerDirection,
} from '../plan/window.js'
import type { CallList } from '../runtime/calls.js'
import { kernels, withIntegers } from '../runtime/core.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { fieldsOfLocalShape } from '../runtime/generated/constants.js'
import { LIGHT, MULTIPLY_ADD } from '../runtime/work.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { checkSize, sameShape, showShape, sizeOf, stridesOf, type Shape } from '../tensor/shape.js'
import { zeros } from '../tensor/create.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
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
  readonly record: Int32Array
}

function encodeLocal(problem: ConvProblem, periods: readonly number[]): Int32Array {
  const { N, C, K, input, kernel, output, stride, lo } = problem
  const two = (values: readonly number[], filler: number): [number, number] =>
    (values.length === 1 ? [filler, ...values] : values) as [number, number]
  const [H, W] = two(input, 1)
  const [R, S] = two(kernel, 1)
  const [P, Q] = two(output, 1)
  const [T, U] = two(periods, 1)
  const [strideH, strideW] = two(stride, 1)
  const [padH, padW] = two(lo, 0)
  const skip = Number(skipsPadding(problem))
  return recordOf(fieldsOfLocalShape, { N, C, K, H, W, R, S, P, Q, T, U, strideH, strideW, padH, padW, skip })
}

type Pass = 'fwd' | 'dx' | 'dw' | 'db'

/** Lists the kernel of a pass, whose tensors have the names `left` and `right`. */
function listLocal(list: CallList, { problem, record, yShape }: Local, pass: Pass, left: string, right = left): void {
  const { N, K } = problem
  // Each kernel is used once: reading it takes most of the time.
  const work = 4 * MULTIPLY_ADD * multiplyAdds(problem)
  const ws = list.perThread(withIntegers(record, (shape) => kernels()[`local_${pass}_workspace`](shape)))
  const shape = list.integers(record)
  const from = [list.operand(left), list.operand(right)] as const
  if (pass === 'fwd') list.call('local_fwd', N, work / N, list.out, ...from, list.operand('bias'), ws, shape)
  else if (pass === 'dx') list.call('local_dx', N, work / N, list.out, ...from, ws, shape)
  else if (pass === 'dw') list.call('local_dw', K, work / K, list.out, ...from, ws, shape)
  else list.call('local_db', K, (LIGHT * sizeOf(yShape)) / K, list.out, from[0], ws, shape)
}

/** Options that are no tensors. */
type LocalSettings = Omit<LocalOptions, 'bias'>

/** x, weights by classes, and the bias. */
type Operands = { readonly x: Tensor; readonly w: Tensor; readonly bias: Tensor | undefined }

/** Defines the operation on what `infer` describes. */
function defineLocal<O>(name: string, infer: (inputs: Operands, options: O) => Local): Op<Operands, O> {
  return defineOp(name, {
    optional: ['bias'],
    infer,
    output: ({ yShape }) => yShape,
    prepare: (list, d) => {
      listLocal(list, d, 'fwd', 'x', 'w')
    },
    keeps: ['x', 'w'],
    gradient: ({ inputs: { x, w }, need }, dy, d) => ({
      x: need.x && inputGradient({ dy, w }, d),
      w: need.w && weightGradient({ dy, x }, d),
      bias: need.bias && biasGradient({ dy }, d),
    }),
  })
}

/** The operation as it was described before. */
const forward = defineLocal('localConv', (_, d: Local) => d)

const inputGradient: Op<{ dy: Tensor; w: Tensor }, Local> = defineOp('localConvInputGrad', {
  infer: (_, d) => d,
  output: ({ xShape }) => xShape,
  prepare: (list, d) => {
    listLocal(list, d, 'dx', 'dy', 'w')
  },
  gradient: ({ inputs: { dy, w }, need }, ddx, d) => ({
    dy: need.dy && forward({ x: ddx, w, bias: undefined }, d),
    w: need.w && weightGradient({ dy, x: ddx }, d),
  }),
})

const weightGradient: Op<{ dy: Tensor; x: Tensor }, Local> = defineOp('localConvWeightGrad', {
  nothing: 'zeros',
  infer: (_, d) => d,
  output: ({ wShape }) => wShape,
  prepare: (list, d) => {
    listLocal(list, d, 'dw', 'dy', 'x')
  },
  gradient: ({ inputs: { dy, x }, need }, ddw, d) => ({
    dy: need.dy && forward({ x, w: ddw, bias: undefined }, d),
    x: need.x && inputGradient({ dy, w: ddw }, d),
  }),
})

const biasGradient: Op<{ dy: Tensor }, Local> = defineOp('localConvBiasGrad', {
  nothing: 'zeros',
  infer: (_, d) => d,
  output: ({ biasShape }) => biasShape,
  prepare: (list, d) => {
    listLocal(list, d, 'db', 'dy')
  },
  keeps: [],
  // The bias alone, at all pixels that it is added to.
  gradient: (_, ddb, d) => ({
    dy: scope(() => forward({ x: zeros(d.xShape), w: zeros(d.wShape), bias: ddb }, d)),
  }),
})

/** Either operation for weights of one input's extents, with the class and the weight of each connection. */
interface Described {
  readonly problem: ConvProblem
  /** Extents of the classes: those of the output, or the periods. */
  readonly periods: readonly number[]
  /** Position in w of tap (c, …) of output map k at a pixel. */
  weightAt(k: number, c: number, tap: readonly number[], pixel: readonly number[]): number
}

/** Whether each location has a kernel of its own (9.9), or kernels repeat with a period (9.10). */
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
  if (letters === undefined)
    throw new ArgumentError(`${name}: ${variant} has one or two directions, given ${directions}`)
  if (w.length !== 2 * directions + 2) throw new ShapeError(`${name}: w must be ${letters}, given ${showShape(w)}`)
  const K = w[0] as number
  const C = (own ? w[directions + 1] : w[1]) as number
  const kernel = own ? w.slice(directions + 2) : w.slice(2, directions + 2)
  const periods = own ? w.slice(1, directions + 1) : w.slice(directions + 2)
  if (channels !== undefined && channels !== C) {
    throw new ShapeError(`${name}: x has ${channels} channels, w ${showShape(w)} takes ${C}`)
  }
  if (w.slice(1).includes(0)) {
    throw new ShapeError(`${name}: w ${showShape(w)} has the extent 0; channels, taps and kernels are one or more`)
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

/** Checks shapes and options of one variant, and describes it for weights of which those of one class lie together. */
function inferLocal(
  name: string,
  variant: LocalVariant,
  directions: number,
  x: Shape,
  w: Shape,
  bias: Shape | undefined,
  options: LocalSettings,
): Local {
  mapExtents(name, directions, x)
  const [N, channels, ...input] = x as readonly [number, number, ...number[]]
  const { problem, periods } = describeLocal(name, variant, input, w, options, N, channels)
  const { C, K, kernel, output } = problem
  const biasShape = [K, ...periods]
  if (bias && !sameShape(bias, biasShape)) {
    throw new ShapeError(`${name}: bias must be ${showShape(biasShape)}, one for each kernel, given ${showShape(bias)}`)
  }
  const yShape = [N, K, ...output]
  checkSize(yShape, name)
  return {
    problem,
    record: encodeLocal(problem, periods),
    xShape: x,
    wShape: [K, ...periods, C, ...kernel],
    yShape,
    biasShape,
  }
}

function local(variant: LocalVariant, directions: 1 | 2): (x: Tensor, w: Tensor, options?: LocalOptions) => Tensor {
  const name = variant === 'tiled' ? `tiledConv${directions}d` : `locallyConnected${directions}d`
  const infer = (x: Tensor, w: Tensor, bias: Tensor | undefined, options: LocalSettings): Local =>
    inferLocal(name, variant, directions, x.shape, w.shape, bias?.shape, options)
  const own = defineLocal(name, ({ x, w, bias }, options: LocalSettings) => infer(x, w, bias, options))
  return withArity(name, 3, (x: Tensor, w: Tensor, given: LocalOptions = {}) => {
    checkKeys(name, given, localNames, { bias: 0 })
    const { bias } = given
    if (variant === 'locallyConnected') return own({ x, w, bias }, given)
    checkTensor(x, name, 'x')
    checkTensor(w, name, 'w')
    if (bias) checkTensor(bias, name, 'bias')
    const d = infer(x, w, bias, given)
    // Kernels of one class together: (K, C, R, S, T, U) -> (K, T, U, C, R, S).
    const { kernel, input } = d.problem
    const order = [0, ...input.map((_, axis) => 2 + directions + axis), 1, ...kernel.map((_, axis) => 2 + axis)]
    return scope(() => forward({ x, w: transpose(w, order), bias }, d))
  })
}

/**
 * Locally connected layer (9.9): x (N, C, W), w (K, Q, C, S), bias (K, Q) -> (N, K, Q).
 *
 *     locallyConnected1d(x, w)                             // (8, 2, 10), (4, 8, 2, 3) -> (8, 4, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const locallyConnected1d = local('locallyConnected', 1)

/**
 * Locally connected layer (9.9): x (N, C, H, W), w (K, P, Q, C, R, S), bias (K, P, Q) -> (N, K, P, Q).
 *
 *     locallyConnected2d(x, w, { padding: 1 })             // (8, 2, 6, 6), (4, 6, 6, 2, 3, 3) -> (8, 4, 6, 6)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const locallyConnected2d = local('locallyConnected', 2)

/**
 * Tiled convolution (9.10): x (N, C, W), w (K, C, S, T), bias (K, T) -> (N, K, Q); column q uses kernel q mod T.
 *
 *     tiledConv1d(x, w)                                    // (8, 2, 10), (4, 2, 3, 2) -> (8, 4, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const tiledConv1d = local('tiled', 1)

/**
 * Tiled convolution (9.10): x (N, C, H, W), w (K, C, R, S, T, U), bias (K, T, U) -> (N, K, P, Q); pixel (p, q) uses
 * kernel (p mod T, q mod U).
 *
 *     tiledConv2d(x, w, { padding: 'same' })               // (8, 2, 6, 6), (4, 2, 3, 3, 2, 2) -> (8, 4, 6, 6)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const tiledConv2d = local('tiled', 2)
