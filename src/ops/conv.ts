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
import { defineOp, type GradientContext, type Op } from '../autodiff/op.js'
import {
  adjointProblem,
  isTransformed,
  planConv,
  type ConvAlgorithm,
  type ConvPass,
  type ConvProblem,
  type Gathering,
} from '../plan/conv.js'
import { liveTapsOf, skipsPadding, type LiveTaps } from '../plan/reach.js'
import { planBroadcast } from '../tensor/strided.js'
import {
  mapExtents,
  MOST,
  outputExtents,
  perDirection,
  resolvePadding,
  type Padding,
  type PerDirection,
} from '../plan/window.js'
import { CallList, type Look, type Place } from '../runtime/calls.js'
import { quiet } from '../runtime/core.js'
import { checkSwitch, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { LIGHT } from '../runtime/work.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { checkSize, sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, scope, type Affine, type Tensor } from '../tensor/tensor.js'
import * as activations from './activation.js'
import { outermost, scaledBias } from './affine.js'
import { mul } from './elementwise.js'
import { fusesRelu, listConv, listFilters, type BiasKind, type Pass } from './convKernels.js'
import { listCut, listEmbed, pad, type Box, type PaddingMode } from './layout.js'
import { rectifySlope } from './pointwise.js'
import { sumChannels, sumRows } from './reduce.js'

/** The functions that may end a convolution. */
export type Activation = keyof typeof activations

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
   * for large kernels of any extents, up to 61 a side, of one direction 1,952, of three by planes. Asked for by name, these three spread NaN and ∞ over a tile, and overflow from about 1e36 on.
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
/** The option of groups, with what it must be. */
export const groupNames = { groups: 'count' } as const satisfies Names<Pick<ConvOptions, 'groups'>>
/** Options of what comes after the convolution itself. */
export const outputNames = { bias: 0, activation: 0 } as const satisfies Names<Pick<ConvOptions, 'bias' | 'activation'>>

/** A validated convolution. */
export interface Conv {
  readonly problem: ConvProblem
  /** What is computed instead where taps of the kernel meet no input. */
  readonly live: LiveTaps | undefined
  readonly xShape: Shape
  readonly wShape: Shape
  readonly yShape: Shape
  readonly bias: BiasKind
  readonly algorithm: ConvAlgorithm | 'auto'
  /** Whether relu is part of it. */
  readonly relu?: boolean
  /** How a matrix product gathers its patches; left out, as src/plan/gather.ts chooses. Only tests ask for one. */
  readonly gathering?: Gathering
}

/** Options that are no tensors, of the window alone. */
export type ConvSettings = Omit<ConvOptions, 'bias' | 'activation'>

/** What a convolution and the adjoint of one check alike. */
interface Checked {
  readonly stride: number[]
  readonly dilation: number[]
  /** The extents of the kernel in letters. */
  readonly taps: string
}

/**
 * Checks the axes of x (N, C, …) and w, whose first two are told by `channels`, and the options of windows but for the padding.
 * @throws ShapeError
 */
export function checkOperands(
  name: string,
  directions: number,
  x: Shape,
  w: Shape,
  channels: string,
  { stride = 1, dilation = 1, flip }: Pick<ConvOptions, 'stride' | 'dilation' | 'flip'>,
): Checked {
  mapExtents(name, directions, x)
  const taps = ['S', 'R, S', 'T, R, S'][directions - 1] as string
  if (w.length !== directions + 2) {
    throw new ShapeError(`${name}: w must be (${channels}, ${taps}), given ${showShape(w)}`)
  }
  checkSwitch(flip, `${name}: flip`)
  return {
    stride: perDirection(stride, directions, 1, `${name}: stride`),
    dilation: perDirection(dilation, directions, 1, `${name}: dilation`),
    taps,
  }
}

/** @throws ShapeError unless groups divide the C input channels, and the K output channels where those are given */
export function checkGroups(name: string, groups: number, C: number, K?: number): void {
  if (Number.isInteger(groups) && groups >= 1 && C % groups === 0 && (K ?? 0) % groups === 0) return
  const channels = K === undefined ? `${C} input` : `${C} input and the ${K} output`
  throw new ShapeError(`${name}: groups must divide the ${channels} channels, given ${inWords(groups)}`)
}

/** Checks options and shapes of x, w and the bias, and derives the output's. */
export function describeConv(
  name: string,
  directions: number,
  x: Shape,
  w: Shape,
  options: ConvSettings,
  bias?: Shape,
): Conv {
  const { groups = 1, flip = false, algorithm = 'auto' } = options
  const { stride, dilation, taps } = checkOperands(name, directions, x, w, 'K, C/groups', options)
  const [N, C, ...input] = x as [number, number, ...number[]]
  const [K, groupC, ...kernel] = w as [number, number, ...number[]]
  checkGroups(name, groups, C, K)
  if (groupC !== C / groups) {
    throw new ShapeError(
      `${name}: x ${showShape(x)} has ${C} channels in ${groups} group${groups === 1 ? '' : 's'}, so w must be (K, ${C / groups}, ${taps}), given ${showShape(w)}`,
    )
  }
  const { lo, hi } = resolvePadding(options.padding ?? 'valid', input, kernel, stride, dilation, name)
  const windows = { input, kernel, stride, dilation, lo, hi }
  const output = outputExtents(windows, name)
  const problem: ConvProblem = { ...windows, output, N, C, K, groups, flip }
  const yShape = Object.freeze([N, K, ...output])
  checkSize(yShape, name)
  const live = checkedLiveTaps(name, problem)
  return { problem, live, xShape: x, wShape: w, yShape, bias: biasKind(name, bias, K, output), algorithm }
}

/** `liveTapsOf` a problem. @throws ShapeError where the padding that is left is more than kernels can be told. */
export function checkedLiveTaps(name: string, problem: ConvProblem): LiveTaps | undefined {
  const live = liveTapsOf(problem)
  const most = Math.max(...(live?.problem ?? problem).lo)
  if (most > MOST) {
    throw new ArgumentError(
      `${name}: padding can be at most ${MOST}, and here it is ${most}; use less padding or a smaller dilation`,
    )
  }
  return live
}

/** The weights of the taps that meet the input, as a box of all of them. */
function liveBox({ problem, wShape }: Conv, { first: taps, problem: inner }: LiveTaps): Box {
  const { kernel, flip } = problem
  const begin = taps.map((first, axis) =>
    flip ? (kernel[axis] as number) - first - (inner.kernel[axis] as number) : first,
  )
  return { outer: wShape, inner: [...wShape.slice(0, 2), ...inner.kernel], begin: [0, 0, ...begin] }
}

/** Which kind of bias has a shape. @throws ShapeError when none has. */
export function biasKind(name: string, bias: Shape | undefined, K: number, output: readonly number[]): BiasKind {
  if (!bias) return 'none'
  if (sameShape(bias, [K])) return 'channel'
  if (sameShape(bias, [K, ...output])) return 'location'
  throw new ShapeError(
    `${name}: bias must be (${K}), one for each channel, or ${showShape([K, ...output])}, one for each location; given ${showShape(bias)}`,
  )
}

/** A pass to be listed: whether relu follows, and whether it may be part of the pass. */
interface Listing {
  readonly pass: ConvPass
  readonly relu: 'none' | 'after' | 'fused'
  /** Names of the two tensors, in the order of the kernels. */
  readonly names: readonly [left: string, right: string]
}

/**
 * Lists one pass: the result is y, dx or dw. What was chosen by itself gives NaN and infinity where the definition does, and
 * nowhere else: where it may not have, the pass is computed again. Taps of the kernel that meet no input have no part in y and
 * dx, and a gradient of 0.
 */
function listPass(list: CallList, conv: Conv, listing: Listing): void {
  const { pass, relu, names } = listing
  const { live, yShape } = conv
  const problem = live?.problem ?? conv.problem
  const algorithm = planConv(problem, pass, conv.algorithm)
  const box = live && liveBox(conv, live)
  const size = sizeOf(pass === 'fwd' ? yShape : pass === 'dx' ? conv.xShape : (box?.inner ?? conv.wShape))
  const out = box && pass === 'dw' ? (list.block(4 * size) as Place) : list.out
  let right = list.operand(names[1])
  if (box && pass !== 'dw') {
    const part = list.block(4 * sizeOf(box.inner)) as Place
    listCut(list, box, part, right)
    right = part
  }
  const transformed = isTransformed(algorithm)
  // Transformed tiles do not line up with a bias for each location; what is looked at for infinities is to show them.
  const later = transformed && conv.bias === 'location'
  const fused = relu === 'fused' && fusesRelu(algorithm) && (transformed ? !later : inOrder(algorithm, problem, pass))
  const biasKind = pass === 'fwd' && !later ? conv.bias : 'none'
  const given: Pass = {
    list,
    problem,
    out,
    left: list.operand(names[0]),
    right,
    weights: box || pass === 'dw' ? undefined : names[1],
    bias: biasKind === 'none' ? 0 : list.operand('bias'),
    biasKind,
    relu: fused,
    variant: algorithm === 'gemm' && pass === 'fwd' ? conv.gathering : undefined,
    checked: conv.algorithm === 'auto',
  }
  if (pass === 'dw') listFilters(algorithm, given)
  else listConv(algorithm, pass, given)
  if (pass === 'fwd' && later) listSum(list, yShape, yShape.slice(1))
  if (conv.algorithm === 'auto' && mayBeWrong(algorithm, problem, pass)) {
    list.test({
      holds: (look) => isRight(algorithm, problem, pass, look, () => look.isFiniteAt(out, size)),
      otherwise: (look) => {
        const again = new CallList()
        // Relu hides what tiles made of it, and they look beyond the map too: without relu all can be looked at.
        if (fused && transformed) listPass(again, conv, { ...listing, relu: 'after' })
        else {
          const exact = live ? 'direct' : exactFor(problem, listing, look)
          if (exact !== algorithm) listPass(again, { ...conv, algorithm: exact }, listing)
        }
        return again
      },
    })
  }
  if (relu !== 'none' && !fused) list.call('relu_fwd', size, LIGHT, list.out, list.out)
  if (box && pass === 'dw') listEmbed(list, box, list.out, out, 0)
}

/** Lists the addition of a bias of `shape`, which broadcasts, to the result. */
function listSum(list: CallList, yShape: Shape, shape: Shape): void {
  const record = planBroadcast(yShape, yShape, shape)
  const laid = record ? list.integers(record) : 0
  list.call('add_fwd', sizeOf(yShape), LIGHT, list.out, list.out, list.operand('bias'), laid)
}

/** Whether an algorithm adds the products of each number in the order of the definition. */
const inOrder = (algorithm: ConvAlgorithm, { kernel, flip }: ConvProblem, pass: ConvPass): boolean =>
  algorithm === 'gemm'
    ? (pass === 'fwd' && !flip) || (pass === 'dx' && sizeOf(kernel) === 1)
    : algorithm === 'dense'
      ? pass !== 'fwd'
      : !isTransformed(algorithm) && pass !== 'dw'

/** Whether all windows lie within the input. */
const isUnpadded = ({ input, output, kernel, stride, dilation, lo }: ConvProblem): boolean =>
  input.every((extent, axis) => {
    const [step, apart, first] = [stride[axis], dilation[axis], lo[axis]] as [number, number, number]
    return first === 0 && ((output[axis] as number) - 1) * step + ((kernel[axis] as number) - 1) * apart < extent
  })

/** Whether the result may have to be computed by another algorithm. */
const mayBeWrong = (algorithm: ConvAlgorithm, problem: ConvProblem, pass: ConvPass): boolean =>
  algorithm !== 'direct' &&
  (!inOrder(algorithm, problem, pass) || (pass === 'dx' && !isUnpadded(windowsOf(algorithm, problem))))

/** What an algorithm slides its windows over in the input gradient: rows of a channel are convolved with zeros around dy. */
const windowsOf = (algorithm: ConvAlgorithm, problem: ConvProblem): ConvProblem =>
  algorithm === 'depthwise' ? adjointProblem(problem) : problem

/**
 * Whether weights, times zeros beyond the output's gradient, can make a number NaN that the definition does not: it adds
 * each product to an input where there is one, and the others multiply what windows over the padding would give.
 */
const addsZeros = (problem: ConvProblem, look: Look): boolean => !look.isFinite('w') && !isUnpadded(problem)

/**
 * Whether the result of an algorithm is NaN or infinite only where the definition's is. Transformed tiles spread what is
 * not finite, and overflow before sums of products do; so do sums in another order.
 */
function isRight(
  algorithm: ConvAlgorithm,
  problem: ConvProblem,
  pass: ConvPass,
  look: Look,
  isFinite: () => boolean,
): boolean {
  if (inOrder(algorithm, problem, pass)) return pass !== 'dx' || !addsZeros(windowsOf(algorithm, problem), look)
  return (pass !== 'dw' && isTransformed(algorithm) && quiet()) || isFinite()
}

/** What gives NaN and infinity where the definition does, at less cost where panels do. */
function exactFor(problem: ConvProblem, { pass, names }: Listing, look: Look): ConvAlgorithm {
  if (skipsPadding(problem)) return 'direct'
  if (inOrder('gemm', problem, pass)) return 'gemm'
  // Where an operand is not finite, order hardly matters: it is in the sum or not.
  const overflows = names.every((name) => look.isFinite(name))
  return overflows || pass === 'fwd' || (pass === 'dx' && addsZeros(problem, look)) ? 'direct' : 'gemm'
}

/** Gradient of a bias: dy (N, K, …) summed over what the bias does not distinguish. */
export function biasGradient(dy: Tensor, conv: { readonly bias: BiasKind }): Tensor {
  return conv.bias === 'channel' ? sumChannels(dy) : sumRows(dy)
}

/** The inputs of a convolution. */
type Operands = {
  readonly x: Tensor
  readonly w: Tensor
  readonly bias: Tensor | undefined
}

/** Gradients of x, w and the bias. */
const gradients = ({ inputs: { x, w }, need }: GradientContext<Operands>, dy: Tensor, conv: Conv) => ({
  x: need.x && inputGradient({ dy, w }, conv),
  w: need.w && weightGradient({ dy, x }, conv),
  bias: need.bias && biasGradient(dy, conv),
})

/** The convolution with weights and a bias that scale and shift its result: scale · (w ∗ x + bias) + shift. */
function scaledConv({ x, w, bias }: Operands, conv: Conv, by: Affine): Tensor {
  const shifted = scaledBias(bias, by)
  const kind = shifted && !bias ? 'channel' : conv.bias
  return convolve({ x, w: by.scale ? mul(w, outermost(by.scale, w)) : w, bias: shifted }, { ...conv, bias: kind })
}

/** A convolution as it was asked for, or as it was described before. */
type Asked = ConvSettings | Conv

/** Defines a convolution, along 1 to 3 directions or along those that were described, and with relu where that is asked for. */
function defineConv(name: string, directions: number, relu: 'none' | 'fused'): Op<Operands, Asked> {
  return defineOp(name, {
    optional: ['bias'],
    infer: ({ x, w, bias }: Operands, asked: Asked): Conv => {
      const conv = 'problem' in asked ? asked : describeConv(name, directions, x.shape, w.shape, asked, bias?.shape)
      return relu === 'none' ? conv : { ...conv, relu: true }
    },
    output: ({ yShape }) => yShape,
    prepare: (list, conv) => {
      listPass(list, conv, { pass: 'fwd', relu, names: ['x', 'w'] })
    },
    rectified: (list, conv) => {
      listPass(list, conv, { pass: 'fwd', relu: 'fused', names: ['x', 'w'] })
    },
    ...(relu === 'none' && { scaled: scaledConv }),
    keeps: relu === 'none' ? ['x', 'w'] : ['x', 'w', 'y'],
    // Convolution and relu have the bits of the two.
    gradient: (context, dy, conv) => gradients(context, relu === 'none' ? dy : rectifySlope(dy, context.y), conv),
  })
}

/** The convolution of a gradient, and any that was described before. */
export const convolve = defineConv('conv', 0, 'none')

/** h: the input whose windows dy (N, K, …) weighs by w. Its derivatives are the convolution and g. */
export const inputGradient: Op<{ dy: Tensor; w: Tensor }, Conv> = defineOp('convInputGrad', {
  infer: (_, conv) => conv,
  output: ({ xShape }) => xShape,
  prepare: (list, conv) => {
    listPass(list, conv, { pass: 'dx', relu: 'none', names: ['dy', 'w'] })
  },
  gradient: ({ inputs: { dy, w }, need }, ddx, conv) => ({
    dy: need.dy && convolve({ x: ddx, w, bias: undefined }, withoutBias(conv)),
    w: need.w && weightGradient({ dy, x: ddx }, conv),
  }),
})

/** g: the kernel that x and dy correlate to. Its derivatives are the convolution and h. */
export const weightGradient: Op<{ dy: Tensor; x: Tensor }, Conv> = defineOp('convWeightGrad', {
  nothing: 'zeros',
  infer: (_, conv) => conv,
  output: ({ wShape }) => wShape,
  prepare: (list, conv) => {
    listPass(list, conv, { pass: 'dw', relu: 'none', names: ['dy', 'x'] })
  },
  gradient: ({ inputs: { dy, x }, need }, ddw, conv) => ({
    dy: need.dy && convolve({ x, w: ddw, bias: undefined }, withoutBias(conv)),
    x: need.x && inputGradient({ dy, w: ddw }, conv),
  }),
})

/** The convolution alone, with which the derivatives of its gradients are computed. */
const withoutBias = (conv: Conv): Conv => (conv.bias === 'none' ? conv : { ...conv, bias: 'none' })

/**
 * Transposed convolution: y = h(w, x) and a bias, `described` by the convolution that it is the adjoint of, whose gradient of the
 * input it computes.
 */
export function defineTranspose<O>(
  name: string,
  describe: (x: Shape, w: Shape, options: O, bias: Shape | undefined) => Conv,
): Op<Operands, O> {
  return defineOp(name, {
    optional: ['bias'],
    infer: ({ x, w, bias }: Operands, options: O) => describe(x.shape, w.shape, options, bias?.shape),
    output: ({ xShape }) => xShape,
    prepare: (list, conv) => {
      listPass(list, conv, { pass: 'dx', relu: 'none', names: ['x', 'w'] })
      const { bias, xShape } = conv
      if (bias === 'none') return
      listSum(
        list,
        xShape,
        bias === 'location' ? xShape.slice(1) : xShape.slice(1).map((n, axis) => (axis === 0 ? n : 1)),
      )
    },
    keeps: ['x', 'w'],
    gradient: ({ inputs: { x, w }, need }, dy, conv) => ({
      x: need.x && convolve({ x: dy, w, bias: undefined }, withoutBias(conv)),
      w: need.w && weightGradient({ dy: x, x: dy }, conv),
      bias: need.bias && biasGradient(dy, conv),
    }),
  })
}

/** Numbers of an input with its padding, 16 MB, up to which nobody minds, and how many times those of input and output it may have. */
const MOST_PADDED = 2 ** 22
const PADDED_SHARE = 16

/** Checks that the input can give the padding asked for. @throws ShapeError that says how much it can give. */
export function checkPaddingMode(name: string, problem: ConvProblem, mode: PaddingMode): void {
  if (!paddingModes.includes(mode)) {
    throw wrongKind(`${name}: paddingMode`, paddingModes.join(', '), mode)
  }
  if (mode === 'zeros') return
  const { N, C, K, lo, hi, input, output } = problem
  if (mode === 'replicate') {
    const whole = [N, C, ...input.map((n, axis) => n + (lo[axis] as number) + (hi[axis] as number))]
    const most = Math.max(MOST_PADDED, PADDED_SHARE * (sizeOf([N, C, ...input]) + sizeOf([N, K, ...output])))
    if (sizeOf(whole) <= most) return
    throw new ShapeError(
      `${name}: padding and dilation make ${showShape(whole)} of the input ${showShape([N, C, ...input])}, far more than what is read of it; use less, or paddingMode 'zeros', which takes no memory`,
    )
  }
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
  options: ConvSettings,
): { readonly x: Tensor; readonly options: ConvSettings } {
  const { paddingMode = 'zeros', ...rest } = options
  if (paddingMode === 'zeros') return { x, options: rest }
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
  const plain = defineConv(name, directions, 'none')
  const rectified = defineConv(name, directions, 'fused')
  return withArity(name, 3, (x: Tensor, w: Tensor, given: ConvOptions = {}) => {
    checkKeys(name, given, convNames)
    const { bias, activation, paddingMode = 'zeros' } = given
    if (activation !== undefined && !(typeof activation === 'string' && Object.hasOwn(activations, activation))) {
      throw wrongKind(`${name}: activation`, `one of ${Object.keys(activations).join(', ')}`, activation)
    }
    const operation = activation === 'relu' ? rectified : plain
    const rest = activation === 'relu' ? undefined : activation
    // The operation looks at the options of the window alone.
    if (!rest && paddingMode === 'zeros') return operation({ x, w, bias }, given)
    checkTensor(x, name, 'x')
    checkTensor(w, name, 'w')
    return scope(() => {
      const padded = padInput(name, x, w.shape, given)
      const y = operation({ x: padded.x, w, bias }, padded.options)
      return rest ? activations[rest](y) : y
    })
  })
}

/**
 * One-dimensional convolution: x (N, C, W), w (K, C/groups, S) -> (N, K, Q), equations (9.4) to (9.8).
 *
 *     conv1d(x, w, { padding: 'same' })                    // (8, 2, 100), (16, 2, 5) -> (8, 16, 100)
 *
 * @throws ShapeError when shapes or options do not fit, UnsupportedError when `algorithm` cannot do the shape.
 */
export const conv1d = convolution(1)

/**
 * Two-dimensional convolution: x (N, C, H, W), w (K, C/groups, R, S) -> (N, K, P, Q), equations (9.4) to (9.8).
 *
 *     conv2d(x, w, { bias, stride: 2, padding: 1 })        // (8, 3, 32, 32), (16, 3, 3, 3) -> (8, 16, 16, 16)
 *     conv2d(x, w, { groups: 3, algorithm: 'direct' })     // the definition, channel groups apart
 *
 * @throws ShapeError when shapes or options do not fit, UnsupportedError when `algorithm` cannot do the shape.
 */
export const conv2d = convolution(2)

/**
 * Three-dimensional convolution: x (N, C, D, H, W), w (K, C/groups, T, R, S) -> (N, K, O, P, Q).
 *
 *     conv3d(x, w)                                         // (1, 1, 9, 9, 9), (4, 1, 3, 3, 3) -> (1, 4, 7, 7, 7)
 *
 * @throws ShapeError when shapes or options do not fit, UnsupportedError when `algorithm` cannot do the shape.
 */
export const conv3d = convolution(3)
