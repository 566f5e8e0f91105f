/** Convolutional layers: one kernel for all places, in one to three dimensions, and its adjoint. */
import {
  checkPaddingMode,
  conv1d,
  conv2d,
  conv3d,
  describeConv,
  groupNames,
  windowNames,
  type Conv,
  type ConvOptions,
} from '../ops/conv.js'
import {
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  describeTranspose,
  transposeNames,
  type ConvTransposeOptions,
} from '../ops/convTranspose.js'
import { perDirection } from '../plan/window.js'
import { wrongKind } from '../runtime/check.js'
import { defined, pick } from '../runtime/options.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import {
  expectChannels,
  expectMaps,
  LoweredLayer,
  type ForwardContext,
  type LayerConvolution,
  type OptionRules,
  type WeightSpec,
} from './layer.js'
import { notation } from './notation.js'
import { kernelRules, type KernelOptions } from './options.js'
import { windowOf, type Window } from './receptive.js'

export type { KernelOptions } from './options.js'

/** Options of `Conv1d`: the window, and those of the function `conv1d` but for bias and activation. */
export type Conv1dOptions = Omit<KernelOptions, 'bias'> &
  Omit<ConvOptions, 'bias' | 'activation'> & {
    /** true, the default: one bias for each feature map. 'location': one for each place of each, for inputs of one size. */
    readonly bias?: boolean | 'location'
  }
/** Options of `Conv2d`. */
export type Conv2dOptions = Conv1dOptions
/** Options of `Conv3d`. */
export type Conv3dOptions = Conv1dOptions

/** Options of `ConvTranspose1d`: the window, and those of the function `convTranspose1d` but for the bias. */
export type ConvTranspose1dOptions = KernelOptions & Omit<ConvTransposeOptions, 'bias'>
/** Options of `ConvTranspose2d`. */
export type ConvTranspose2dOptions = ConvTranspose1dOptions
/** Options of `ConvTranspose3d`. */
export type ConvTranspose3dOptions = ConvTranspose1dOptions

const convNames = Object.assign({}, windowNames, groupNames)
const convRules: OptionRules = Object.assign({}, kernelRules, convNames, { bias: 0 as const })
const transposeRules: OptionRules = Object.assign({}, kernelRules, transposeNames)

/** A layer with weights `weight` and `bias` over a kernel. */
abstract class Kernel<Options extends Conv1dOptions | ConvTranspose1dOptions> extends LoweredLayer<Options> {
  protected abstract readonly directions: 1 | 2 | 3

  constructor(...given: [options: Options]) {
    super(...given)
    perDirection(this.options.outChannels, 1, 1, `${new.target.name}: outChannels`)
  }

  protected get kernel(): number[] {
    return perDirection(this.options.kernel, this.directions, 1, `${this.type}: kernel`)
  }

  /** Extents of the weights. */
  protected abstract weightShape(input: Shape): number[]

  /** What the operation is for x (N, C, …) and weights of these shapes. */
  protected abstract infer(x: Shape, w: Shape): Conv

  /** What the operation is for N inputs. @throws ShapeError where they do not fit */
  protected describeInputs(input: Shape, N = 1): Conv {
    expectMaps(this.type, this.directions, input)
    expectChannels(this.type, this.options.inChannels, input)
    return this.infer([N, ...input], this.weightShape(input))
  }

  protected abstract transform(x: Tensor, w: Tensor, bias: Tensor | undefined, relu: boolean): Tensor

  override weights(input: Shape): readonly WeightSpec[] {
    const { outChannels, bias = true, weightInit = 'he', biasInit = 'zeros' } = this.options
    const weight = { name: 'weight', shape: this.weightShape(input), init: weightInit }
    const shape = bias === 'location' ? this.outputShape(input) : [outChannels]
    return bias ? [weight, { name: 'bias', shape, init: biasInit }] : [weight]
  }

  protected lower(x: Tensor, { relu = false }: ForwardContext): Tensor {
    const bias = this.options.bias === false ? undefined : this.weight('bias')
    return this.transform(x, this.weight('weight'), bias, relu)
  }
}

/** The convolution that is left when the input has its padding. */
function withoutPadding(conv: Conv): Conv {
  const { lo, hi, input } = conv.problem
  const zeros = lo.map(() => 0)
  const padded = input.map((n, axis) => n + (lo[axis] as number) + (hi[axis] as number))
  return { ...conv, live: undefined, problem: { ...conv.problem, input: padded, lo: zeros, hi: zeros } }
}

/** A kernel that slides: weights (K, C/groups, …kernel). */
abstract class Convolution extends Kernel<Conv1dOptions> {
  static override readonly rules: OptionRules = convRules
  override readonly fusesRelu = true

  constructor(...given: [options: Conv1dOptions]) {
    super(...given)
    const { bias = true } = this.options
    if (typeof bias !== 'boolean' && bias !== 'location') {
      throw wrongKind(`${new.target.name}: bias`, "true, false or 'location'", bias)
    }
  }

  protected infer(x: Shape, w: Shape): Conv {
    return describeConv(this.type, this.directions, x, w, pick(this.options, convNames))
  }

  protected weightShape(input: Shape): number[] {
    return [this.options.outChannels, (input[0] as number) / (this.options.groups ?? 1), ...this.kernel]
  }

  outputShape(input: Shape): number[] {
    const { problem, yShape } = this.describeInputs(input)
    checkPaddingMode(this.type, problem, this.options.paddingMode ?? 'zeros')
    return yShape.slice(1)
  }

  protected transform(x: Tensor, w: Tensor, bias: Tensor | undefined, relu: boolean): Tensor {
    const convolve = [conv1d, conv2d, conv3d][this.directions - 1] as typeof conv2d
    return convolve(
      x,
      w,
      defined({ ...pick(this.options, convNames), bias, activation: relu ? ('relu' as const) : undefined }),
    )
  }

  override operations(input: Shape): number {
    const { yShape, wShape } = this.describeInputs(input)
    return (sizeOf(wShape.slice(1)) + 1) * sizeOf(yShape)
  }

  override window(input: Shape): Window {
    return windowOf(this.describeInputs(input))
  }

  override convolution(N: number, input: Shape): LayerConvolution {
    const conv = this.describeInputs(input, N)
    // Padding with the input's own values is made before the convolution.
    const { problem, live, algorithm } = (this.options.paddingMode ?? 'zeros') === 'zeros' ? conv : withoutPadding(conv)
    return { problem: live?.problem ?? problem, algorithm, transposed: false }
  }

  describe(): string {
    return notation('conv', this.options, [this.options.kernel, this.options.outChannels])
  }
}

/**
 * One-dimensional convolution: x (N, C, W), weights (K, C/groups, S).
 *
 *     new Conv1d({ outChannels: 16, kernel: 5, padding: 'same' })
 */
export class Conv1d extends Convolution {
  readonly type = 'Conv1d'
  protected readonly directions = 1
}

/**
 * Two-dimensional convolution: x (N, C, H, W), weights (K, C/groups, R, S).
 *
 *     new Conv2d({ outChannels: 16, kernel: 3, stride: 2, padding: 1 })
 */
export class Conv2d extends Convolution {
  readonly type = 'Conv2d'
  protected readonly directions = 2
}

/**
 * Three-dimensional convolution: x (N, C, D, H, W), weights (K, C/groups, T, R, S).
 *
 *     new Conv3d({ outChannels: 4, kernel: 3 })
 */
export class Conv3d extends Convolution {
  readonly type = 'Conv3d'
  protected readonly directions = 3
}

/** The adjoint of a convolution: weights (C, K/groups, …kernel). */
abstract class Transposed extends Kernel<ConvTranspose1dOptions> {
  static override readonly rules: OptionRules = transposeRules

  protected infer(x: Shape, w: Shape): Conv {
    return describeTranspose(this.type, this.directions, x, w, pick(this.options, transposeNames))
  }

  protected weightShape(input: Shape): number[] {
    return [input[0] as number, this.options.outChannels / (this.options.groups ?? 1), ...this.kernel]
  }

  outputShape(input: Shape): number[] {
    perDirection(this.options.outChannels / (this.options.groups ?? 1), 1, 1, `${this.type}: outChannels / groups`)
    return this.describeInputs(input).xShape.slice(1)
  }

  protected transform(x: Tensor, w: Tensor, bias: Tensor | undefined): Tensor {
    const convolve = [convTranspose1d, convTranspose2d, convTranspose3d][this.directions - 1] as typeof convTranspose2d
    return convolve(x, w, defined({ ...pick(this.options, transposeNames), bias }))
  }

  /** Multiply-adds of the convolution that it is the adjoint of, and one addition of the bias for each output. */
  override operations(input: Shape): number {
    const { wShape, xShape, yShape } = this.describeInputs(input)
    return sizeOf(wShape.slice(1)) * sizeOf(yShape) + sizeOf(xShape.slice(1))
  }

  /** An output sees the inputs whose windows reach it: at most ⌈reach / stride⌉, at a stride of 1 / stride. */
  override window(input: Shape): Window {
    const { reach, stride, lo } = windowOf(this.describeInputs(input))
    const step = (axis: number): number => stride[axis] as number
    return {
      reach: reach.map((extent, axis) => Math.ceil(extent / step(axis))),
      stride: stride.map((value) => 1 / value),
      lo: lo.map((zeros, axis) => ((reach[axis] as number) - 1 - zeros) / step(axis)),
    }
  }

  override convolution(N: number, input: Shape): LayerConvolution {
    const { problem, live, algorithm } = this.describeInputs(input, N)
    return { problem: live?.problem ?? problem, algorithm, transposed: true }
  }

  describe(): string {
    return notation('convT', this.options, [this.options.kernel, this.options.outChannels])
  }
}

/**
 * Transposed convolution: x (N, C, W), weights (C, K/groups, S).
 *
 *     new ConvTranspose1d({ outChannels: 4, kernel: 2, stride: 2 })
 */
export class ConvTranspose1d extends Transposed {
  readonly type = 'ConvTranspose1d'
  protected readonly directions = 1
}

/**
 * Transposed convolution: x (N, C, H, W), weights (C, K/groups, R, S).
 *
 *     new ConvTranspose2d({ outChannels: 3, kernel: 4, stride: 2, padding: 1 })
 */
export class ConvTranspose2d extends Transposed {
  readonly type = 'ConvTranspose2d'
  protected readonly directions = 2
}

/**
 * Transposed convolution: x (N, C, D, H, W), weights (C, K/groups, T, R, S).
 *
 *     new ConvTranspose3d({ outChannels: 4, kernel: 2, stride: 2 })
 */
export class ConvTranspose3d extends Transposed {
  readonly type = 'ConvTranspose3d'
  protected readonly directions = 3
}
