/** Convolution by kernels that are outer products. */
import type { Initializer } from '../nn/initialize.js'
import { expectChannels, expectMaps, LoweredLayer, type OptionRules, type WeightSpec } from '../nn/layer.js'
import { notation } from '../nn/notation.js'
import { mapRules } from '../nn/options.js'
import { windowOf, type Window } from '../nn/receptive.js'
import { checkPaddingMode, describeConv, type Conv, type ConvOptions } from '../ops/conv.js'
import { separableConv2d, separableNames, type SeparableOptions } from '../ops/separable.js'
import { perDirection, type PerDirection } from '../plan/window.js'
import { pick } from '../runtime/options.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

/** Options of `SeparableConv2d`: those of the function `separableConv2d` but for the bias, and extents of the kernel. */
export interface SeparableConv2dOptions extends Omit<SeparableOptions, 'bias'> {
  /** Extents of the kernel: one number, or rows and columns. */
  readonly kernel: PerDirection
  /** Inferred from the input when left out. */
  readonly inChannels?: number
  /** Default true: one bias for each feature map. */
  readonly bias?: boolean
  /** Of columns and rows alike; by default such that their products have He's variance. */
  readonly weightInit?: Initializer
  /** Default 'zeros'. */
  readonly biasInit?: Initializer
}

/**
 * Each map convolved with a kernel that is an outer product, column · rowᵀ, in two passes: R + S multiplications for each pixel
 * in place of R · S (section 9.8). Weights `column` (C, R) and `row` (C, S), bias (C).
 *
 *     new SeparableConv2d({ kernel: 9, padding: 'same' })
 */
export class SeparableConv2d extends LoweredLayer<SeparableConv2dOptions> {
  static override readonly rules: OptionRules = Object.assign({}, mapRules, separableNames, { bias: 'flag' as const })
  readonly type = 'SeparableConv2d'

  constructor(...given: [options: SeparableConv2dOptions]) {
    super(...given)
    this.#kernel()
  }

  #kernel(): [number, number] {
    return perDirection(this.options.kernel, 2, 1, 'SeparableConv2d: kernel') as [number, number]
  }

  /** Both passes as the one convolution that they are together. */
  #describe(input: Shape): Conv {
    expectMaps(this.type, 2, input)
    expectChannels(this.type, this.options.inChannels, input)
    const C = input[0] as number
    const conv = describeConv(this.type, 2, [1, ...input], [C, 1, ...this.#kernel()], {
      ...(pick(this.options, separableNames) as ConvOptions),
      groups: C,
    })
    checkPaddingMode(this.type, conv.problem, this.options.paddingMode ?? 'zeros')
    return conv
  }

  outputShape(input: Shape): number[] {
    return this.#describe(input).yShape.slice(1)
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const C = input[0] as number
    const [R, S] = this.#kernel()
    const { bias = true, biasInit = 'zeros' } = this.options
    // The variance of a product is the product of the variances.
    const { weightInit: init = { name: 'normal', std: Math.sqrt(Math.sqrt(2 / (R * S))) } as const } = this.options
    const factors = [
      { name: 'column', shape: [C, R], init },
      { name: 'row', shape: [C, S], init },
    ]
    return bias ? [...factors, { name: 'bias', shape: [C], init: biasInit }] : factors
  }

  protected lower(x: Tensor): Tensor {
    const bias = this.options.bias === false ? {} : { bias: this.weight('bias') }
    const kernel = { column: this.weight('column'), row: this.weight('row') }
    return separableConv2d(x, kernel, { ...pick(this.options, separableNames), ...bias })
  }

  override operations(input: Shape): number {
    const [R, S] = this.#kernel()
    return (R + S + 1) * sizeOf(this.outputShape(input))
  }

  override window(input: Shape): Window {
    return windowOf(this.#describe(input))
  }

  describe(): string {
    return notation('separable', this.options, [this.options.kernel])
  }
}
