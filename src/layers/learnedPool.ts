/** Pooling whose weights are learned. */
import type { Initializer } from '../nn/initialize.js'
import { expectMaps, LoweredLayer, type OptionRules, type WeightSpec } from '../nn/layer.js'
import { notation } from '../nn/notation.js'
import type { RulesOf } from '../nn/options.js'
import { windowOf, type Window } from '../nn/receptive.js'
import { conv2d, describeConv, type Conv, type ConvOptions } from '../ops/conv.js'
import { softmax } from '../ops/softmax.js'
import { perDirection, type PerDirection } from '../plan/window.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'

/** Options of `LearnedPool2d`. */
export interface LearnedPool2dOptions extends Pick<ConvOptions, 'padding'> {
  /** Extents of a window. */
  readonly kernel: PerDirection
  /** Distance between windows; default: `kernel`, so that they lie side by side. */
  readonly stride?: PerDirection
  /**
   * What the weights of a window may be: 'softmax', the default: positive, of sum 1, as the softmax of what is learned; 'free': any
   * numbers.
   */
  readonly weights?: 'softmax' | 'free'
  /** Whether all channels have one set of weights; default false: each has its own. */
  readonly shared?: boolean
  /** Of what is learned; by default such that the pooling begins as the mean of its window. */
  readonly weightInit?: Initializer
}

/**
 * A weighted sum of each window of (C, H, W), channel by channel, whose weights are learned: y = Σ wᵢ·xᵢ with w = softmax(v) or w = v.
 * It begins as average pooling. Weights `weight` (C, R, S), or (1, R, S) where channels share them. Padding counts as zeros.
 *
 *     new LearnedPool2d({ kernel: 3, stride: 2 })
 */
export class LearnedPool2d extends LoweredLayer<LearnedPool2dOptions> {
  static override readonly rules: OptionRules = {
    kernel: 0,
    stride: 0,
    padding: 0,
    weights: ['softmax', 'free'],
    shared: 'flag',
    weightInit: 'initializer',
  } satisfies RulesOf<LearnedPool2dOptions>
  readonly type = 'LearnedPool2d'

  constructor(...given: [options: LearnedPool2dOptions]) {
    super(...given)
    const kernel = this.#kernel()
    perDirection(this.options.stride ?? kernel, 2, 1, 'LearnedPool2d: stride')
  }

  #kernel(): [number, number] {
    return perDirection(this.options.kernel, 2, 1, 'LearnedPool2d: kernel') as [number, number]
  }

  #windows(): Pick<ConvOptions, 'stride' | 'padding'> {
    const { kernel, stride = kernel, padding = 'valid' } = this.options
    return { stride, padding }
  }

  #describe(input: Shape): Conv {
    expectMaps(this.type, 2, input)
    const C = input[0] as number
    return describeConv(this.type, 2, [1, ...input], [C, 1, ...this.#kernel()], { ...this.#windows(), groups: C })
  }

  outputShape(input: Shape): number[] {
    return this.#describe(input).yShape.slice(1)
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const { weights = 'softmax', shared = false } = this.options
    const shape = [shared ? 1 : (input[0] as number), ...this.#kernel()]
    const mean: Initializer = weights === 'softmax' ? 'zeros' : { name: 'constant', value: 1 / sizeOf(this.#kernel()) }
    return [{ name: 'weight', shape, init: this.options.weightInit ?? mean }]
  }

  protected lower(x: Tensor): Tensor {
    const [R, S] = this.#kernel()
    const { weights = 'softmax', shared = false } = this.options
    const [N, C, H, W] = x.shape as readonly [number, number, number, number]
    return scope(() => {
      const learned = this.weight('weight')
      const own = weights === 'free' ? learned : softmax(learned.reshape([-1, R * S]), 1)
      const kernel = own.reshape([-1, 1, R, S])
      if (!shared) return conv2d(x, kernel, { ...this.#windows(), groups: C })
      // One kernel for all channels: each map is a picture.
      const y = conv2d(x.reshape([N * C, 1, H, W]), kernel, this.#windows())
      return y.reshape([N, C, ...y.shape.slice(2)])
    })
  }

  override operations(input: Shape): number {
    const { yShape, wShape } = this.#describe(input)
    return sizeOf(wShape.slice(1)) * sizeOf(yShape)
  }

  override window(input: Shape): Window {
    return windowOf(this.#describe(input))
  }

  describe(): string {
    const { kernel, stride } = this.options
    return notation('learned', this.options, stride === undefined ? [kernel] : [kernel, stride], ['stride'])
  }
}
