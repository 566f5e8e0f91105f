/** Fully connected layers, for features (C) or for the channels at each place of a map (C, H, W). */
import { conv2d } from '../ops/conv.js'
import { linear } from '../ops/linear.js'
import { type ConvProblem } from '../plan/conv.js'
import { perDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { expectMaps, LoweredLayer, type LayerConvolution, type OptionRules, type WeightSpec } from './layer.js'
import type { Initializer } from './initialize.js'
import type { RulesOf } from './options.js'

/** Options of `Linear`. */
export interface LinearOptions {
  /** Number of units. */
  readonly outFeatures: number
  /** Inferred from the input when left out. */
  readonly inFeatures?: number
  /** Default true. */
  readonly bias?: boolean
  /**
   * true: the input is (C, H, W) and the units stand at each of its places, reading the C channels there, with the same
   * weights (out, C). So a network for one size of images runs over larger ones. Default false.
   */
  readonly everyPlace?: boolean
  /** Default 'he'. */
  readonly weightInit?: Initializer
  /** Default 'zeros'. */
  readonly biasInit?: Initializer
}

/** The convolution by a kernel of one pixel that a fully connected layer is at every place of (C, H, W). */
export function placeProblem(N: number, input: Shape, units: number): ConvProblem {
  const [C, ...plane] = input as [number, number, number]
  const [ones, zeros] = [
    [1, 1],
    [0, 0],
  ]
  const windows = { kernel: ones, stride: ones, dilation: ones, lo: zeros, hi: zeros, input: plane, output: plane }
  return { ...windows, N, C, K: units, groups: 1, flip: false }
}

/**
 * Fully connected layer with weights (out, in): y = x · wᵀ + bias.
 *
 *     new Linear({ outFeatures: 10 })
 */
export class Linear extends LoweredLayer<LinearOptions> {
  static override readonly rules: OptionRules = {
    outFeatures: 'count',
    inFeatures: 'count',
    bias: 'flag',
    everyPlace: 'flag',
    weightInit: 'initializer',
    biasInit: 'initializer',
  } satisfies RulesOf<LinearOptions>
  readonly type = 'Linear'

  constructor(...given: [options: LinearOptions]) {
    super(...given)
    perDirection(this.options.outFeatures, 1, 1, 'Linear: outFeatures')
  }

  outputShape(input: Shape): number[] {
    const { inFeatures, outFeatures, everyPlace = false } = this.options
    if (everyPlace) expectMaps('Linear', 2, input)
    else if (input.length !== 1) {
      throw new ShapeError(
        `Linear: the input must be (features), given ${showShape(input)}; put a Flatten layer before it`,
      )
    }
    if (inFeatures !== undefined && inFeatures !== input[0]) {
      throw new ShapeError(`Linear: inFeatures is ${inFeatures}, but the input has ${input[0]} features`)
    }
    return [outFeatures, ...input.slice(1)]
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const { outFeatures, bias = true, weightInit = 'he', biasInit = 'zeros' } = this.options
    const weight = { name: 'weight', shape: [outFeatures, input[0] as number], init: weightInit }
    return bias ? [weight, { name: 'bias', shape: [outFeatures], init: biasInit }] : [weight]
  }

  protected lower(x: Tensor): Tensor {
    const { everyPlace = false, bias = true } = this.options
    const [w, b] = [this.weight('weight'), bias ? this.weight('bias') : undefined]
    if (!everyPlace) return linear(x, w, b)
    return scope(() => conv2d(x, w.reshape([...w.shape, 1, 1]), b ? { bias: b } : {}))
  }

  override operations(input: Shape): number {
    const [features, ...places] = input as [number, ...number[]]
    return (features + 1) * this.options.outFeatures * sizeOf(places)
  }

  override convolution(N: number, input: Shape): LayerConvolution | undefined {
    const { outFeatures, everyPlace = false } = this.options
    if (!everyPlace) return undefined
    return { problem: placeProblem(N, input, outFeatures), algorithm: 'auto', transposed: false }
  }

  describe(): string {
    return `fc(${this.options.outFeatures})`
  }
}
