/**
 * Convolution in one, two and three dimensions and its two adjoints:
 *
 *   y  = conv(x, w)             cross-correlation (9.6), or convolution (9.4) with flip; channels (9.7), strides (9.8)
 *   dw = g(x, dy)               the gradient with respect to the kernel (9.11)
 *   dx = h(w, dy)               the gradient with respect to the input (9.13)
 *
 * Each is linear in both arguments and their derivatives are each other, so the three are closed under
 * differentiation. Shapes: x (N, C, …), w (K, C/groups, …), y (N, K, …).
 */
import { defineOp, type GradientContext, type Inputs, type Op, type Saved } from '../autodiff/op.js'
import { costOf, isTiled, planConv, type ConvAlgorithm, type ConvPass, type ConvProblem } from '../plan/conv.js'
import { isWide, liveTapsOf, type LiveTaps } from '../plan/reach.js'
import { remembering } from '../plan/remember.js'
import { MOST, outputExtents, perDirection, resolvePadding, type Padding, type PerDirection } from '../plan/window.js'
import { allFinite, holds, isCapturing, parallel, quiet } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { LIGHT } from '../runtime/work.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { checkSize, sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, empty, scope, type Tensor } from '../tensor/tensor.js'
import { activations, rectifySlope, relu, type Activation } from './activation.js'
import { fusesRelu, runConv } from './convKernels.js'
import { add } from './elementwise.js'
import { pad, slice, type PaddingMode } from './layout.js'
import { sumChannels, sumRows } from './reduce.js'

/** Options of `conv1d`, `conv2d` and `conv3d`. What has one number for each direction takes one for all too. */
export interface ConvOptions {
  /** (K): one for each channel, or (K, …output extents): one for each location. */
  readonly bias?: Tensor | undefined
  /** Default 1. */
  readonly stride?: PerDirection
  /** Default 'valid'. 'same': output = ceil(input / stride); 'full': dilation·(kernel − 1) zeros on each side. */
  readonly padding?: Padding
  /** Distance between the taps of the kernel; default 1. */
  readonly dilation?: PerDirection
  /** Channels are divided into this many groups that do not see each other; default 1. */
  readonly groups?: number
  /** true: convolution (9.4), the kernel flipped; default false: cross-correlation (9.6). */
  readonly flip?: boolean
  /** What lies around the input: zeros, or its own values mirrored, repeated or wrapped. Default 'zeros'. */
  readonly paddingMode?: PaddingMode
  /** Applied to the output; default none. */
  readonly activation?: Activation
  /**
   * Default 'auto': the cheapest for the shape, whose numbers are finite, NaN and infinite where those of 'direct', the
   * definition, are. 'direct', 'gemm' and 'depthwise' add the products of the definition, so small whole numbers are exact
   * and shifted inputs give shifted bits. 'winograd', which 'auto' takes from 16 channels on, errs about 2.5 times as much,
   * relative to the largest input of a tile. 'winograd2' (3 × 3) is slower and errs no more than the definition; 'fft' is
   * for large kernels. Asked for by name, these three spread NaN and ∞ over a tile, and overflow from about 1e36 on.
   */
  readonly algorithm?: ConvAlgorithm | 'auto'
}

const paddingModes: readonly PaddingMode[] = ['zeros', 'reflect', 'replicate', 'circular']

/** Names of the options that every convolution has, those of groups, and those of what comes after. */
export const windowNames = {
  stride: 0,
  padding: 0,
  dilation: 0,
  flip: 'flag',
  paddingMode: paddingModes,
  algorithm: 0,
} as const satisfies Names<Omit<ConvOptions, 'groups' | 'bias' | 'activation'>>
export const groupNames = { groups: 'count' } as const satisfies Names<Pick<ConvOptions, 'groups'>>
export const outputNames = { bias: 0, activation: 0 } as const satisfies Names<Pick<ConvOptions, 'bias' | 'activation'>>

export type Bias = 'none' | 'channel' | 'location'

/** A validated convolution. */
export interface Conv {
  readonly problem: ConvProblem
  /** What is computed instead where taps of the kernel meet no input. */
  readonly live: LiveTaps | undefined
  readonly xShape: Shape
  readonly wShape: Shape
  readonly yShape: Shape
  readonly bias: Bias
  readonly algorithm: ConvAlgorithm | 'auto'
}

const remember = remembering<Conv>()

/** Checks options and shapes of x and w, and derives the output's. */
export function describeConv(name: string, directions: number, x: Shape, w: Shape, options: ConvOptions): Conv {
  const { bias, stride, padding, dilation, groups, flip, algorithm } = options
  return remember([x, w], [name, bias?.shape, stride, padding, dilation, groups, flip, algorithm], () =>
    deriveConv(name, directions, x, w, options),
  )
}

function deriveConv(name: string, directions: number, x: Shape, w: Shape, options: ConvOptions): Conv {
  const { groups = 1, flip = false, algorithm = 'auto' } = options
  const letters = ['W', 'H, W', 'D, H, W'][directions - 1] as string
  const taps = ['S', 'R, S', 'T, R, S'][directions - 1] as string
  if (x.length !== directions + 2) {
    throw new ShapeError(`${name}: x must be (N, C, ${letters}), given ${showShape(x)}`)
  }
  if (w.length !== directions + 2) {
    throw new ShapeError(`${name}: w must be (K, C/groups, ${taps}), given ${showShape(w)}`)
  }
  const [N, C, ...input] = x as [number, number, ...number[]]
  const [K, groupC, ...kernel] = w as [number, number, ...number[]]
  if (!Number.isInteger(groups) || groups < 1 || C % groups !== 0 || K % groups !== 0) {
    throw new ShapeError(
      `${name}: groups must divide the ${C} input and the ${K} output channels, given ${inWords(groups)}`,
    )
  }
  if (groupC !== C / groups) {
    throw new ShapeError(
      `${name}: x ${showShape(x)} has ${C} channels in ${groups} group${groups === 1 ? '' : 's'}, so w must be (K, ${C / groups}, ${taps}), given ${showShape(w)}`,
    )
  }
  if (typeof flip !== 'boolean') throw new ShapeError(`${name}: flip must be true or false, given ${inWords(flip)}`)
  const stride = perDirection(options.stride ?? 1, directions, 1, `${name}: stride`)
  const dilation = perDirection(options.dilation ?? 1, directions, 1, `${name}: dilation`)
  const { lo, hi } = resolvePadding(options.padding ?? 'valid', input, kernel, stride, dilation, name)
  const windows = { input, kernel, stride, dilation, lo, hi }
  const output = outputExtents(windows, name)
  const problem: ConvProblem = { ...windows, output, N, C, K, groups, flip }
  const yShape = Object.freeze([N, K, ...output])
  checkSize(yShape, name)
  const live = checkedLiveTaps(name, problem)
  return { problem, live, xShape: x, wShape: w, yShape, bias: biasKind(name, options.bias, K, output), algorithm }
}

/** `liveTapsOf` a problem. @throws ShapeError where the padding that is left is more than kernels can be told. */
export function checkedLiveTaps(name: string, problem: ConvProblem): LiveTaps | undefined {
  const live = liveTapsOf(problem)
  const most = Math.max(...(live?.problem ?? problem).lo)
  if (most > MOST) throw new ShapeError(`${name}: padding can be at most ${MOST}, given ${most}; use less padding`)
  return live
}

/** The weights of a pass by live taps alone, or the part of dw that they are. */
function livePart({ problem, wShape, live }: Conv): { begin: number[]; end: number[]; shape: number[] } {
  const { kernel, flip } = problem
  const kept = (live as LiveTaps).problem.kernel
  const begin = (live as LiveTaps).first.map((first, axis) =>
    flip ? (kernel[axis] as number) - first - (kept[axis] as number) : first,
  )
  const [K, groupC] = wShape as [number, number]
  const shape = [K, groupC, ...kept]
  return {
    begin: [0, 0, ...begin],
    end: [K, groupC, ...begin.map((first, axis) => first + (kept[axis] as number))],
    shape,
  }
}

/** Which kind of bias a tensor is. @throws ShapeError when it is none. */
export function biasKind(name: string, bias: Tensor | undefined, K: number, output: readonly number[]): Bias {
  if (!bias) return 'none'
  if (sameShape(bias.shape, [K])) return 'channel'
  if (sameShape(bias.shape, [K, ...output])) return 'location'
  throw new ShapeError(
    `${name}: bias must be (${K}), one for each channel, or ${showShape([K, ...output])}, one for each location; given ${showShape(bias.shape)}`,
  )
}

/**
 * Runs one pass: the result is y, dx or dw; `left` and `right` are its two tensors in the order of the kernels. What was
 * chosen by itself gives NaN and infinity where the definition does, and nowhere else: where it may not have, the pass is
 * computed again.
 */
function run(conv: Conv, pass: ConvPass, left: Tensor, right: Tensor, bias?: Tensor, rectified = false): Tensor {
  if (conv.live) return runLive(conv, pass, left, right, bias, rectified)
  const { problem } = conv
  const algorithm = planConv(problem, pass, conv.algorithm)
  if (rectified && !fuses(algorithm, conv, pass)) return relu(run(conv, pass, left, right, bias))
  const out = runBy(algorithm, conv, pass, left, right, bias, rectified)
  if (conv.algorithm !== 'auto') return out
  const { pointer, size } = out
  const isGood = isRight(algorithm, problem, pass, right, pointer, size)
  if (isCapturing()) testAgain(isGood, algorithm, problem, pass, right, pointer, size)
  if (isGood) return out
  // Relu hides what tiles made of it, and they look beyond the map too: without relu all can be looked at.
  if (rectified && isTiled(algorithm)) {
    out.dispose()
    return relu(run(conv, pass, left, right, bias))
  }
  const exact = exactFor(problem, pass, left, right)
  if (exact === algorithm) return out
  out.dispose()
  return run({ ...conv, algorithm: exact }, pass, left, right, bias, rectified)
}

/**
 * Whether relu is part of the pass. Transformed tiles do not line up with a bias for each location; what is looked at for
 * infinities is to show them.
 */
const fuses = (algorithm: ConvAlgorithm, { bias, problem }: Conv, pass: ConvPass): boolean =>
  fusesRelu(algorithm) && (isTiled(algorithm) ? bias !== 'location' : inOrder(algorithm, problem, pass))

/** Whether an algorithm adds the products of each number in the order of the definition. */
const inOrder = (algorithm: ConvAlgorithm, { kernel, flip }: ConvProblem, pass: ConvPass): boolean =>
  algorithm === 'gemm'
    ? (pass === 'fwd' && !flip) || (pass === 'dx' && sizeOf(kernel) === 1)
    : algorithm === 'dense'
      ? pass !== 'fwd'
      : !isTiled(algorithm) && pass !== 'dw'

/** Whether all windows lie within the input. */
const isUnpadded = ({ input, output, kernel, stride, dilation, lo }: ConvProblem): boolean =>
  input.every((extent, axis) => {
    const [step, apart, first] = [stride[axis], dilation[axis], lo[axis]] as [number, number, number]
    return first === 0 && ((output[axis] as number) - 1) * step + ((kernel[axis] as number) - 1) * apart < extent
  })

/**
 * Whether weights, times zeros beyond the output's gradient, can make a number NaN that the definition does not: it adds
 * each product to an input where there is one, and the others multiply what windows over the padding would give.
 */
const addsZeros = (problem: ConvProblem, { storage, size }: Pick<Tensor, 'storage' | 'size'>): boolean =>
  !storage.isFinite(size) && !isUnpadded(problem)

/**
 * Whether the result of an algorithm is NaN or infinite only where the definition's is. Transformed tiles spread what is
 * not finite, and overflow before sums of products do; so do sums in another order. The result is `size` numbers at `out`:
 * repeated passes have no tensors.
 */
function isRight(
  algorithm: ConvAlgorithm,
  problem: ConvProblem,
  pass: ConvPass,
  weights: Pick<Tensor, 'storage' | 'size'>,
  out: number,
  size: number,
): boolean {
  if (inOrder(algorithm, problem, pass)) return pass !== 'dx' || !addsZeros(problem, weights)
  return (pass !== 'dw' && isTiled(algorithm) && quiet()) || allFinite(out, size)
}

/** Lets the capture that is under way ask `isRight` again after its calls: apart, since a closure slows every call down. */
function testAgain(
  isGood: boolean,
  ...[algorithm, problem, pass, { storage, size }, out, length]: Parameters<typeof isRight>
): void {
  holds(isGood, () => isRight(algorithm, problem, pass, { storage, size }, out, length))
}

/** What gives NaN and infinity where the definition does, at less cost where panels do. */
function exactFor(problem: ConvProblem, pass: ConvPass, left: Tensor, right: Tensor): ConvAlgorithm {
  if (isWide(problem)) return 'direct'
  if (inOrder('gemm', problem, pass)) return 'gemm'
  // Where an operand is not finite, order hardly matters: it is in the sum or not.
  const overflows = [left, right].every(({ storage, size }) => storage.isFinite(size))
  return overflows || pass === 'fwd' || (pass === 'dx' && addsZeros(problem, right)) ? 'direct' : 'gemm'
}

/** Runs a pass by one algorithm, with relu only where that is part of it. */
function runBy(
  algorithm: ConvAlgorithm,
  conv: Conv,
  pass: ConvPass,
  left: Tensor,
  right: Tensor,
  bias: Tensor | undefined,
  rectified: boolean,
): Tensor {
  const { problem } = conv
  if (pass === 'dw' && splitsImages(problem)) return sumOfImages(algorithm, conv, left, right)
  const out = empty(pass === 'fwd' ? conv.yShape : pass === 'dx' ? conv.xShape : conv.wShape)
  const later = bias && conv.bias === 'location' && isTiled(algorithm) ? bias : undefined
  const now = later ? undefined : bias
  runConv(algorithm, pass, {
    problem,
    out: out.pointer,
    left: left.pointer,
    right: right.pointer,
    weights: right.storage,
    bias: now?.pointer ?? 0,
    biasKind: now ? conv.bias : 'none',
    relu: rectified,
    checked: conv.algorithm === 'auto',
    work: costOf(problem, pass, algorithm),
  })
  return later ? add(out, later) : out
}

/** The same by the taps that meet the input: the others have no part in y and dx, and a gradient of 0. */
function runLive(conv: Conv, pass: ConvPass, left: Tensor, right: Tensor, bias?: Tensor, rectified?: boolean): Tensor {
  const { problem } = conv.live as LiveTaps
  const { begin, end, shape } = livePart(conv)
  const inner: Conv = { ...conv, problem, live: undefined, wShape: shape }
  if (pass !== 'dw') return run(inner, pass, left, slice(right, { begin, end }), bias, rectified)
  const around = conv.wShape.map((extent, axis) => [begin[axis] as number, extent - (end[axis] as number)] as const)
  return pad(run(inner, pass, left, right), around)
}

/**
 * Pixels of all images from which on a filter gradient is the sum of those of runs of images, and the pixels of such a
 * run: LONG_SUM and SUM_RUN of assembly/ops/conv/shape.ts, which divides the pixels of one image alike.
 */
const LONG_SUM = 2 ** 18
const SUM_RUN = 2 ** 14

const splitsImages = ({ N, output }: ConvProblem): boolean => N > 1 && N * sizeOf(output) > LONG_SUM

/** dw as the sum of those of runs of images, added in rising order. */
function sumOfImages(algorithm: ConvAlgorithm, conv: Conv, dy: Tensor, x: Tensor): Tensor {
  const { problem } = conv
  const images = Math.max(1, Math.floor(SUM_RUN / sizeOf(problem.output)))
  const dw = empty(conv.wShape)
  const part = empty(conv.wShape)
  const [dyBytes, xBytes] = [(4 * dy.size) / problem.N, (4 * x.size) / problem.N]
  const [most, rest] = [images, problem.N % images].map((N) => ({ ...problem, N })) as [ConvProblem, ConvProblem]
  for (let n = 0; n < problem.N; n += images) {
    const run = n + images > problem.N ? rest : most
    runConv(algorithm, 'dw', {
      problem: run,
      out: n === 0 ? dw.pointer : part.pointer,
      left: dy.pointer + n * dyBytes,
      right: x.pointer + n * xBytes,
      weights: x.storage,
      bias: 0,
      biasKind: 'none',
      relu: false,
      checked: false,
      work: costOf(run, 'dw', algorithm),
    })
    if (n > 0) parallel('add_fwd', dw.size, LIGHT, dw.pointer, dw.pointer, part.pointer, 0)
  }
  return dw
}

/** Gradient of a bias: dy (N, K, …) summed over what the bias does not distinguish. */
export function biasGradient(dy: Tensor, conv: { readonly bias: Bias }): Tensor {
  return conv.bias === 'channel' ? sumChannels(dy) : sumRows(dy)
}

/** The inputs of a convolution. */
interface Operands extends Inputs {
  readonly x: Tensor
  readonly w: Tensor
  readonly bias: Tensor | undefined
}

/** Gradients of x, w and the bias. */
const gradients = ({ inputs: { x, w }, need }: GradientContext<Operands, Saved>, dy: Tensor, conv: Conv) => ({
  x: need.x && inputGradient({ dy, w }, conv),
  w: need.w && weightGradient({ dy, x }, conv),
  bias: need.bias && biasGradient(dy, conv),
})

const convolve: Op<Operands, Conv> = defineOp('conv', {
  optional: ['bias'],
  shape: (_, conv) => conv,
  forward: ({ x, w, bias }, conv) => run(conv, 'fwd', x, w, bias),
  keeps: ['x', 'w'],
  gradient: gradients,
})

/** Convolution and relu in one pass, with the bits of the two. */
const convolveRelu: Op<Operands, Conv> = defineOp('convRelu', {
  optional: ['bias'],
  shape: (_, conv) => conv,
  forward: ({ x, w, bias }, conv) => run(conv, 'fwd', x, w, bias, true),
  keeps: ['x', 'w', 'y'],
  gradient: (context, dy, conv) => gradients(context, rectifySlope(dy, context.y), conv),
})

/** h: the input whose windows dy (N, K, …) weighs by w. Its derivatives are the convolution and g. */
export const inputGradient: Op<{ dy: Tensor; w: Tensor }, Conv> = defineOp('convInputGrad', {
  shape: (_, conv) => conv,
  forward: ({ dy, w }, conv) => run(conv, 'dx', dy, w),
  gradient: ({ inputs: { dy, w }, need }, ddx, conv) => ({
    dy: need.dy && convolve({ x: ddx, w, bias: undefined }, conv),
    w: need.w && weightGradient({ dy, x: ddx }, conv),
  }),
})

/** g: the kernel that x and dy correlate to. Its derivatives are the convolution and h. */
export const weightGradient: Op<{ dy: Tensor; x: Tensor }, Conv> = defineOp('convWeightGrad', {
  shape: (_, conv) => conv,
  forward: ({ dy, x }, conv) => run(conv, 'dw', dy, x),
  gradient: ({ inputs: { dy, x }, need }, ddw, conv) => ({
    dy: need.dy && convolve({ x, w: ddw, bias: undefined }, conv),
    x: need.x && inputGradient({ dy, w: ddw }, conv),
  }),
})

/** Checks that the input can give the padding asked for. @throws ShapeError that says how much it can give. */
export function checkPaddingMode(name: string, { lo, hi, input }: ConvProblem, mode: PaddingMode): void {
  if (!paddingModes.includes(mode)) {
    throw new ShapeError(`${name}: paddingMode must be ${paddingModes.join(', ')}, given ${inWords(mode)}`)
  }
  if (mode !== 'reflect' && mode !== 'circular') return
  input.forEach((n, axis) => {
    const wide = Math.max(lo[axis] as number, hi[axis] as number)
    const most = mode === 'reflect' ? n - 1 : n
    if (wide > most) {
      throw new ShapeError(
        `${name}: padding along direction ${axis} can be at most ${most} with '${mode}', given ${wide}; the input has ${n} elements`,
      )
    }
  })
}

/**
 * The input with its padding made, unless it is zeros: those the kernels add themselves. Gives what is left to do.
 * @throws ShapeError when the mode is unknown, or the input too small for it.
 */
export function padInput(
  name: string,
  x: Tensor,
  w: Shape,
  options: ConvOptions,
): { readonly x: Tensor; readonly options: ConvOptions } {
  const { paddingMode = 'zeros', ...rest } = options
  if (paddingMode === 'zeros') return { x, options }
  const { problem } = describeConv(name, x.ndim - 2, x.shape, w, options)
  checkPaddingMode(name, problem, paddingMode)
  const { lo, hi } = problem
  const around = lo.map((zeros, axis) => [zeros, hi[axis] as number] as const)
  return { x: pad(x, [[0, 0], [0, 0], ...around], { mode: paddingMode }), options: { ...rest, padding: 0 } }
}

const convNames = /* @__PURE__ */ Object.assign({}, windowNames, groupNames, outputNames)

/** conv1d, conv2d or conv3d. */
export function convolution(directions: number): (x: Tensor, w: Tensor, options?: ConvOptions) => Tensor {
  const name = `conv${directions}d`
  return (x, w, options = {}) => {
    checkKeys(name, options, convNames)
    const { bias, activation } = options
    checkTensor(x, name, 'x')
    checkTensor(w, name, 'w')
    if (bias) checkTensor(bias, name, 'bias')
    if (activation !== undefined && !(typeof activation === 'string' && Object.hasOwn(activations, activation))) {
      throw new ShapeError(
        `${name}: activation must be one of ${Object.keys(activations).join(', ')}, given ${inWords(activation)}`,
      )
    }
    const conv = describeConv(name, directions, x.shape, w.shape, options)
    checkPaddingMode(name, conv.problem, options.paddingMode ?? 'zeros')
    const operation = activation === 'relu' ? convolveRelu : convolve
    const rest = activation === 'relu' ? undefined : activation
    if (!rest && (options.paddingMode ?? 'zeros') === 'zeros') return operation({ x, w, bias }, conv)
    return scope(() => {
      const padded = padInput(name, x, w.shape, options)
      const y = operation(
        { x: padded.x, w, bias },
        describeConv(name, directions, padded.x.shape, w.shape, padded.options),
      )
      return rest ? activations[rest](y) : y
    })
  }
}

/**
 * One-dimensional convolution: x (N, C, W), w (K, C/groups, S) -> (N, K, Q), equations (9.4) to (9.8).
 * @throws ShapeError when shapes or options do not fit, UnsupportedError when `algorithm` cannot do the shape.
 */
export const conv1d = convolution(1)

/**
 * Two-dimensional convolution: x (N, C, H, W), w (K, C/groups, R, S) -> (N, K, P, Q), equations (9.4) to (9.8).
 * @throws ShapeError when shapes or options do not fit, UnsupportedError when `algorithm` cannot do the shape.
 */
export const conv2d = convolution(2)

/**
 * Three-dimensional convolution: x (N, C, D, H, W), w (K, C/groups, T, R, S) -> (N, K, O, P, Q).
 * @throws ShapeError when shapes or options do not fit, UnsupportedError when `algorithm` cannot do the shape.
 */
export const conv3d = convolution(3)
