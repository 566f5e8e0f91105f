/** Pooling layers: a summary of each window of each feature map. */
import {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  globalAvgPool,
  globalMaxPool,
  lpPool2d,
  maxout,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type AvgPoolOptions,
  type LpPoolOptions,
  type MaxPoolOptions,
  type OutputSize,
} from '../ops/pool/index.js'
import { add, mul } from '../ops/elementwise.js'
import { avgPoolNames } from '../ops/pool/average.js'
import { lpPoolNames } from '../ops/pool/lp.js'
import { maxPoolNames } from '../ops/pool/max.js'
import { describeMaxout } from '../ops/pool/maxout.js'
import { adapt, poolNames, slide } from '../plan/pool.js'
import { perDirection, resolvePadding } from '../plan/window.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { expectMaps, LoweredLayer, type OptionRules, type WeightSpec } from './layer.js'
import type { Initializer } from './initialize.js'
import { notation } from './notation.js'
import { noRules, type RulesOf } from './options.js'
import { wholeWindow, type Window } from './receptive.js'

/** Options of `MaxPool1d`. */
export type MaxPool1dOptions = MaxPoolOptions
/** Options of `MaxPool2d`. */
export type MaxPool2dOptions = MaxPoolOptions
/** Options of `MaxPool3d`. */
export type MaxPool3dOptions = MaxPoolOptions
/** Options of `AvgPool1d`. */
export type AvgPool1dOptions = AvgPoolOptions
/** Options of `AvgPool2d`. */
export type AvgPool2dOptions = AvgPoolOptions
/** Options of `AvgPool3d`. */
export type AvgPool3dOptions = AvgPoolOptions
/** Options of `LPPool2d`. */
export type LPPool2dOptions = LpPoolOptions

const maxRules: OptionRules = Object.assign({}, poolNames, maxPoolNames)
const avgRules: OptionRules = Object.assign({}, poolNames, avgPoolNames)

/** Every pooling reads its input once: that is what the lecture counts. */
abstract class Pooling<Options extends object> extends LoweredLayer<Options> {
  override operations(input: Shape): number {
    return sizeOf(input)
  }
}

/** Windows that slide over maps of one to three directions. */
abstract class Sliding<Options extends MaxPoolOptions> extends Pooling<Options> {
  /** How many directions the maps of a class have. */
  static readonly directions: 1 | 2 | 3 = 2
  protected abstract readonly verb: string

  constructor(...given: [options: Options]) {
    super(...given)
    this.#each('kernel', 1)
  }

  /** How many directions the maps have. */
  protected get directions(): 1 | 2 | 3 {
    return (this.constructor as typeof Sliding).directions
  }

  /** An option for each direction. */
  #each(option: 'kernel' | 'stride' | 'dilation', otherwise: MaxPoolOptions['kernel']): number[] {
    const { constructor, directions } = this
    return perDirection(this.options[option] ?? otherwise, directions, 1, `${constructor.name}: ${option}`)
  }

  outputShape(input: Shape): number[] {
    expectMaps(this.type, this.directions, input)
    return slide(this.type, this.directions, [1, ...input], this.options).yShape.slice(1)
  }

  override window(input: Shape): Window {
    const { kernel, padding = 0 } = this.options
    const extents = this.#each('kernel', 1)
    const stride = this.#each('stride', kernel)
    const dilation = this.#each('dilation', 1)
    const { lo } = resolvePadding(padding, input.slice(1), extents, stride, dilation, this.type)
    return { reach: extents.map((extent, axis) => (dilation[axis] as number) * (extent - 1) + 1), stride, lo }
  }

  describe(): string {
    const { kernel, stride } = this.options
    return notation(this.verb, this.options, stride === undefined ? [kernel] : [kernel, stride], ['stride'])
  }
}

abstract class MaxPool extends Sliding<MaxPoolOptions> {
  static override readonly rules: OptionRules = maxRules
  protected readonly verb = 'pool'

  protected lower(x: Tensor): Tensor {
    return ([maxPool1d, maxPool2d, maxPool3d][this.directions - 1] as typeof maxPool2d)(x, this.options)
  }
}

/** The largest value of each window of (C, W). */
export class MaxPool1d extends MaxPool {
  static override readonly directions = 1
  readonly type = 'MaxPool1d'
}

/**
 * The largest value of each window of (C, H, W).
 *
 *     new MaxPool2d({ kernel: 3, stride: 2 })
 */
export class MaxPool2d extends MaxPool {
  readonly type = 'MaxPool2d'
}

/** The largest value of each window of (C, D, H, W). */
export class MaxPool3d extends MaxPool {
  static override readonly directions = 3
  readonly type = 'MaxPool3d'
}

abstract class AvgPool extends Sliding<AvgPoolOptions> {
  static override readonly rules: OptionRules = avgRules
  protected readonly verb = 'avg'

  protected lower(x: Tensor): Tensor {
    return ([avgPool1d, avgPool2d, avgPool3d][this.directions - 1] as typeof avgPool2d)(x, this.options)
  }
}

/** The mean of each window of (C, W). */
export class AvgPool1d extends AvgPool {
  static override readonly directions = 1
  readonly type = 'AvgPool1d'
}

/**
 * The mean of each window of (C, H, W).
 *
 *     new AvgPool2d({ kernel: 2 })
 */
export class AvgPool2d extends AvgPool {
  readonly type = 'AvgPool2d'
}

/** The mean of each window of (C, D, H, W). */
export class AvgPool3d extends AvgPool {
  static override readonly directions = 3
  readonly type = 'AvgPool3d'
}

/**
 * The p-norm of each window.
 *
 *     new LPPool2d({ kernel: 2, p: 2 })
 */
export class LPPool2d extends Sliding<LPPool2dOptions> {
  static override readonly rules: OptionRules = lpPoolNames
  readonly type = 'LPPool2d'
  protected readonly verb = 'lp'

  protected lower(x: Tensor): Tensor {
    return lpPool2d(x, this.options)
  }
}

/** Options of `Subsample2d`. */
export interface Subsample2dOptions {
  /** Extents of a window; windows lie side by side. */
  readonly kernel: MaxPoolOptions['kernel']
  /** Default: the sum of a window, 'constant' with the number of its elements. */
  readonly weightInit?: Initializer
  /** Default 'zeros'. */
  readonly biasInit?: Initializer
}

/**
 * Trainable subsampling, as LeNet-5's S2 and S4: the mean of each window times one trained weight for each map, plus one
 * trained bias. (LeCun, Bottou, Bengio & Haffner, 1998: they add the elements of the window, which a weight as large as the
 * window, the default, does.)
 *
 *     new Subsample2d({ kernel: 2 })
 */
export class Subsample2d extends Pooling<Subsample2dOptions> {
  static override readonly rules: OptionRules = {
    kernel: 0,
    weightInit: 'initializer',
    biasInit: 'initializer',
  } satisfies RulesOf<Subsample2dOptions>
  readonly type = 'Subsample2d'

  constructor(...given: [options: Subsample2dOptions]) {
    super(...given)
    perDirection(this.options.kernel, 2, 1, 'Subsample2d: kernel')
  }

  #kernel(): number[] {
    return perDirection(this.options.kernel, 2, 1, 'Subsample2d: kernel')
  }

  outputShape(input: Shape): number[] {
    expectMaps('Subsample2d', 2, input)
    return slide('Subsample2d', 2, [1, ...input], { kernel: this.options.kernel }).yShape.slice(1)
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const { weightInit = { name: 'constant', value: sizeOf(this.#kernel()) }, biasInit = 'zeros' } = this.options
    const shape = [input[0] as number]
    return [
      { name: 'weight', shape, init: weightInit },
      { name: 'bias', shape, init: biasInit },
    ]
  }

  protected lower(x: Tensor): Tensor {
    return scope(() => {
      const perMap = (name: string): Tensor => this.weight(name).reshape([-1, 1, 1])
      return add(mul(avgPool2d(x, { kernel: this.options.kernel }), perMap('weight')), perMap('bias'))
    })
  }

  override window(): Window {
    const kernel = this.#kernel()
    return { reach: kernel, stride: kernel, lo: [0, 0] }
  }

  describe(): string {
    return notation('avg', {}, [this.options.kernel])
  }
}

/** Options of `AdaptiveAvgPool2d` and `AdaptiveMaxPool2d`. */
export interface AdaptivePool2dOptions {
  /** Rows and columns of the output: one number, or one for each direction, where null keeps the input's. */
  readonly outputSize: OutputSize
}

/** A fixed grid of windows that covers (C, H, W), whatever its size. */
abstract class Adaptive extends Pooling<AdaptivePool2dOptions> {
  /** What the options must be. */
  static override readonly rules: OptionRules = { outputSize: 0 } satisfies RulesOf<AdaptivePool2dOptions>
  protected abstract readonly verb: string

  outputShape(input: Shape): number[] {
    expectMaps(this.type, 2, input)
    return adapt(this.type, 2, [1, ...input], this.options.outputSize).yShape.slice(1)
  }

  /** Exact where the output's extents divide the input's; the largest window otherwise. */
  override window(input: Shape): Window {
    const [, ...output] = this.outputShape(input)
    const ratio = input.slice(1).map((extent, axis) => extent / (output[axis] as number))
    const reach = ratio.map((value) => (Number.isInteger(value) ? value : Math.floor(value) + 2))
    return { reach, stride: ratio, lo: [0, 0] }
  }

  describe(): string {
    return `${this.verb}(→ ${JSON.stringify(this.options.outputSize)})`
  }
}

/**
 * Means over a grid of windows that covers the input.
 *
 *     new AdaptiveAvgPool2d({ outputSize: 7 })
 */
export class AdaptiveAvgPool2d extends Adaptive {
  readonly type = 'AdaptiveAvgPool2d'
  protected readonly verb = 'avg'

  protected lower(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.options.outputSize)
  }
}

/**
 * Maxima over a grid of windows that covers the input: a fixed number of features from images of any size.
 *
 *     new AdaptiveMaxPool2d({ outputSize: [2, 2] })
 */
export class AdaptiveMaxPool2d extends Adaptive {
  readonly type = 'AdaptiveMaxPool2d'
  protected readonly verb = 'pool'

  protected lower(x: Tensor): Tensor {
    return adaptiveMaxPool2d(x, this.options.outputSize)
  }
}

/** One window over each map of one to three directions: (C, H, W) -> (C, 1, 1). */
abstract class Global extends Pooling<object> {
  /** What the options must be. */
  static override readonly rules: OptionRules = noRules

  outputShape(input: Shape): number[] {
    expectMaps(this.type, [1, 2, 3], input)
    return input.map((extent, axis) => (axis === 0 ? extent : 1))
  }

  override window(input: Shape): Window {
    return wholeWindow(input)
  }
}

/** The mean of each map. */
export class GlobalAvgPool extends Global {
  readonly type = 'GlobalAvgPool'

  protected lower(x: Tensor): Tensor {
    return globalAvgPool(x)
  }

  describe(): string {
    return 'avg(global)'
  }
}

/** The largest value of each map. */
export class GlobalMaxPool extends Global {
  readonly type = 'GlobalMaxPool'

  protected lower(x: Tensor): Tensor {
    return globalMaxPool(x)
  }

  describe(): string {
    return 'pool(global)'
  }
}

/** Options of `Maxout`. */
export interface MaxoutOptions {
  /** Channels in a group; divides the number of channels. */
  readonly groupSize: number
}

/**
 * Maximum over groups of neighbouring channels: (C, …) -> (C / groupSize, …).
 *
 *     new Maxout({ groupSize: 2 })
 */
export class Maxout extends Pooling<MaxoutOptions> {
  static override readonly rules: OptionRules = { groupSize: 'count' } satisfies RulesOf<MaxoutOptions>
  readonly type = 'Maxout'

  constructor(...given: [options: MaxoutOptions]) {
    super(...given)
    perDirection(this.options.groupSize, 1, 1, 'Maxout: groupSize')
  }

  outputShape(input: Shape): number[] {
    return describeMaxout('Maxout', [1, ...input], this.options.groupSize).yShape.slice(1)
  }

  protected lower(x: Tensor): Tensor {
    return maxout(x, this.options.groupSize)
  }

  describe(): string {
    return `maxout(${this.options.groupSize})`
  }
}
