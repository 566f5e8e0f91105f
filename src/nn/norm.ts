/** Normalization layers: of each element by its neighbouring channels, and of each channel by its batch. */
import {
  batchNorm,
  describeLocalResponse,
  localResponseNames,
  localResponseNorm,
  type LocalResponseNormOptions,
} from '../ops/norm.js'
import { add, mul } from '../ops/elementwise.js'
import { standardized } from '../ops/standardize.js'
import { perDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { expectMaps, LoweredLayer, type ForwardContext, type OptionRules, type WeightSpec } from './layer.js'
import type { RulesOf } from './options.js'

/**
 * Each value divided by a power of its neighbouring channels' squares. (Krizhevsky et al., 2012, section 3.3.)
 *
 *     new LocalResponseNorm({ size: 5, alpha: 1e-4, beta: 0.75, k: 2, normalize: 'none' })
 */
export class LocalResponseNorm extends LoweredLayer<LocalResponseNormOptions> {
  static override readonly rules: OptionRules = localResponseNames
  readonly type = 'LocalResponseNorm'

  outputShape(input: Shape): number[] {
    describeLocalResponse([1, ...input], this.options)
    return [...input]
  }

  protected lower(x: Tensor): Tensor {
    return localResponseNorm(x, this.options)
  }

  override operations(input: Shape): number {
    return sizeOf(input)
  }

  describe(): string {
    return 'norm'
  }
}

/** Options of `BatchNorm1d`, `BatchNorm2d` and `BatchNorm3d`. */
export interface BatchNorm2dOptions {
  /** Number of channels; inferred from the input when left out. */
  readonly numFeatures?: number
  /** Added to the variance; default 1e-5. */
  readonly eps?: number
  /** Share of the new statistics in the running ones, from 0 to 1; default 0.1. */
  readonly momentum?: number
  /** Whether gamma and beta are trained; default true. */
  readonly affine?: boolean
}

/**
 * Batch normalization of each channel: by the statistics of the batch in training, which move `runningMean` and
 * `runningVar`, and by those in use. The running statistics are saved with the model. (Ioffe & Szegedy, 2015.)
 */
abstract class BatchNorm extends LoweredLayer<BatchNorm2dOptions> {
  static override readonly rules: OptionRules = {
    numFeatures: 'count',
    eps: 'from 0',
    momentum: 'share',
    affine: 'flag',
  } satisfies RulesOf<BatchNorm2dOptions>

  /** The shape of the input. @throws ShapeError when it has another number of channels. */
  outputShape(input: Shape): number[] {
    const { numFeatures } = this.options
    if (numFeatures !== undefined && numFeatures !== input[0]) {
      throw new ShapeError(
        `${this.type}: numFeatures is ${numFeatures}, but the input ${showShape(input)} has ${input[0]} channels`,
      )
    }
    return [...input]
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const shape = [input[0] as number]
    const one = { name: 'constant', value: 1 } as const
    const affine: readonly WeightSpec[] = [
      { name: 'weight', shape, init: one },
      { name: 'bias', shape, init: 'zeros' },
    ]
    return [
      ...(this.options.affine === false ? [] : affine),
      { name: 'runningMean', shape, init: 'zeros', trained: false },
      { name: 'runningVar', shape, init: one, trained: false },
    ]
  }

  protected lower(x: Tensor, { training }: ForwardContext): Tensor {
    const { eps, momentum, affine = true } = this.options
    return batchNorm(x, affine ? this.weight('weight') : undefined, affine ? this.weight('bias') : undefined, {
      training: training && this.trainable,
      eps,
      momentum,
      runningMean: this.weight('runningMean'),
      runningVar: this.weight('runningVar'),
    })
  }

  override operations(input: Shape): number {
    return sizeOf(input)
  }

  describe(): string {
    return 'batchnorm'
  }
}

/** Batch normalization of features (C). */
export class BatchNorm1d extends BatchNorm {
  readonly type = 'BatchNorm1d'

  /** (C) or (C, W). */
  override outputShape(input: Shape): number[] {
    if (input.length !== 1 && input.length !== 2) {
      throw new ShapeError(`BatchNorm1d: the input must be (C) or (C, W), given ${showShape(input)}`)
    }
    return super.outputShape(input)
  }
}

/** Batch normalization of feature maps (C, H, W). */
export class BatchNorm2d extends BatchNorm {
  readonly type = 'BatchNorm2d'

  /** (C, H, W). */
  override outputShape(input: Shape): number[] {
    expectMaps('BatchNorm2d', 2, input)
    return super.outputShape(input)
  }
}

/** Batch normalization of volumes (C, D, H, W). */
export class BatchNorm3d extends BatchNorm {
  readonly type = 'BatchNorm3d'

  /** (C, D, H, W). */
  override outputShape(input: Shape): number[] {
    expectMaps('BatchNorm3d', 3, input)
    return super.outputShape(input)
  }
}

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
