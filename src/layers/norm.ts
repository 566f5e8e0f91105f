/** Normalization of each example by itself, over groups of channels or over the last axes. */
import { LoweredLayer, type OptionRules, type WeightSpec } from '../nn/layer.js'
import type { RulesOf } from '../nn/options.js'
import { add, mul } from '../ops/elementwise.js'
import { standardized } from '../ops/standardize.js'
import { perDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'

/** Options of `GroupNorm`. */
export interface GroupNormOptions {
  /** Number of groups; divides the number of channels. 1: all channels together; as many as channels: each by itself. */
  readonly groups: number
  /** Added to the variance; default 1e-5. */
  readonly eps?: number
  /** Whether a factor and an offset of each channel are trained; default true. */
  readonly affine?: boolean
}

/** Options of `LayerNorm`. */
export interface LayerNormOptions {
  /** The last extents of the input, over which mean and variance are taken; default: all of them. */
  readonly normalizedShape?: number | readonly number[]
  /** Added to the variance; default 1e-5. */
  readonly eps?: number
  /** Whether a factor and an offset of each element are trained; default true. */
  readonly affine?: boolean
}

/** Factor 1 and offset 0 of a shape, unless the options say otherwise. */
const affineOf = ({ affine = true }: { readonly affine?: boolean }, shape: Shape): readonly WeightSpec[] =>
  affine
    ? [
        { name: 'weight', shape, init: { name: 'constant', value: 1 } as const },
        { name: 'bias', shape, init: 'zeros' },
      ]
    : []

/** Mean 0 and variance 1 within each example, whatever else is in the batch: the same in training and in use. */
abstract class ExampleNorm<Options extends LayerNormOptions | GroupNormOptions> extends LoweredLayer<Options> {
  /** y · weight + bias, where they are trained, both as `shape`. */
  protected scaled(y: Tensor, shape: Shape): Tensor {
    const { affine = true } = this.options
    return affine ? add(mul(y, this.weight('weight').reshape(shape)), this.weight('bias').reshape(shape)) : y
  }

  override operations(input: Shape): number {
    return sizeOf(input)
  }
}

/**
 * Normalization over groups of neighbouring channels and all their places: y = weight·(x − mean) / √(variance + eps) + bias,
 * mean and variance of each example and group, weight and bias (C). (Wu & He, 2018.)
 *
 *     new GroupNorm({ groups: 8 })
 */
export class GroupNorm extends ExampleNorm<GroupNormOptions> {
  static override readonly rules: OptionRules = {
    groups: 'count',
    eps: 'from 0',
    affine: 'flag',
  } satisfies RulesOf<GroupNormOptions>
  readonly type = 'GroupNorm'

  constructor(...given: [options: GroupNormOptions]) {
    super(...given)
    perDirection(this.options.groups, 1, 1, 'GroupNorm: groups')
  }

  /** The shape of the input. @throws ShapeError when the groups do not divide its channels. */
  outputShape(input: Shape): number[] {
    const { groups } = this.options
    if ((input[0] ?? 0) % groups !== 0 || input.length === 0) {
      throw new ShapeError(`GroupNorm: ${groups} groups do not divide the channels of ${showShape(input)}`)
    }
    return [...input]
  }

  override weights(input: Shape): readonly WeightSpec[] {
    return affineOf(this.options, [input[0] as number])
  }

  protected lower(x: Tensor): Tensor {
    const { groups, eps = 1e-5 } = this.options
    const [N = 1, C = 1, ...places] = x.shape
    return scope(() => {
      const { y } = standardized(x.reshape([N, groups, x.size / (N * groups)]), [2], eps)
      return this.scaled(y.reshape(x.shape), [C, ...places.map(() => 1)])
    })
  }

  describe(): string {
    return `groupnorm(${this.options.groups})`
  }
}

/**
 * Normalization over the last axes of each example: y = weight·(x − mean) / √(variance + eps) + bias, weight and bias of the
 * normalized shape. (Ba, Kiros & Hinton, 2016.)
 *
 *     new LayerNorm()                           // over all of (C, H, W)
 *     new LayerNorm({ normalizedShape: 64 })    // over the last axis, which must be 64
 */
export class LayerNorm extends ExampleNorm<LayerNormOptions> {
  static override readonly rules: OptionRules = {
    normalizedShape: 0,
    eps: 'from 0',
    affine: 'flag',
  } satisfies RulesOf<LayerNormOptions>
  readonly type = 'LayerNorm'

  #extents(input: Shape): readonly number[] {
    const { normalizedShape = input } = this.options
    return typeof normalizedShape === 'number' ? [normalizedShape] : normalizedShape
  }

  /** The shape of the input. @throws ShapeError when its last extents are others. */
  outputShape(input: Shape): number[] {
    const extents = this.#extents(input)
    if (!Array.isArray(extents) || extents.length === 0 || !sameShape(extents, input.slice(-extents.length))) {
      throw new ShapeError(
        `LayerNorm: normalizedShape must be the last extents of the input ${showShape(input)}, given ${inWords(this.options.normalizedShape)}`,
      )
    }
    return [...input]
  }

  override weights(input: Shape): readonly WeightSpec[] {
    return affineOf(this.options, this.#extents(input))
  }

  protected lower(x: Tensor): Tensor {
    const extents = this.#extents(x.shape.slice(1))
    const first = x.ndim - extents.length
    return scope(() => {
      const { y } = standardized(
        x,
        extents.map((_, axis) => first + axis),
        this.options.eps ?? 1e-5,
      )
      return this.scaled(y, extents)
    })
  }

  describe(): string {
    return 'layernorm'
  }
}
