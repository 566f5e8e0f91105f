/** Normalization layers: of each element by its neighbouring channels, and of each channel by its batch. */
import {
  batchNorm,
  describeLocalResponse,
  localResponseNames,
  localResponseNorm,
  type LocalResponseNormOptions,
} from '../ops/norm.js'
import { ShapeError } from '../runtime/errors.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
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
