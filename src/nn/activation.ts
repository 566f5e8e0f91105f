/** Nonlinearities: layers without weights that keep the shape. */
import { ShapeError } from '../runtime/errors.js'
import {
  elu,
  gelu,
  leakyRelu,
  relu,
  scaledTanh,
  sigmoid,
  silu,
  softplus,
  tanh,
  type EluOptions,
  type GeluOptions,
  type LeakyReluOptions,
  type SoftplusOptions,
} from '../ops/activation.js'
import { eluNames, geluNames, leakyReluNames, softplusNames } from '../ops/activationOptions.js'
import { clamp } from '../ops/elementwise.js'
import { logSoftmax, softmax } from '../ops/softmax.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { LoweredLayer, type OptionRules } from './layer.js'
import { noRules, type RulesOf } from './options.js'

/** A layer that maps each element, or the channels at each place, to as many. */
abstract class Pointwise<Options extends object = object> extends LoweredLayer<Options> {
  /** What the options must be. */
  static override readonly rules: OptionRules = noRules

  outputShape(input: Shape): number[] {
    return [...input]
  }

  describe(): string {
    return this.type.toLowerCase()
  }
}

/** The shape of an input with channels. @throws ShapeError where it has none */
function overChannels(type: string, input: Shape): number[] {
  if (input.length === 0) throw new ShapeError(`${type}: the input must have channels, given single numbers`)
  return [...input]
}

/**
 * max(x, 0).
 *
 *     new ReLU()
 */
export class ReLU extends Pointwise {
  readonly type = 'ReLU'

  protected lower(x: Tensor): Tensor {
    return relu(x)
  }
}

/** min(max(x, 0), 6), MobileNet's. */
export class ReLU6 extends Pointwise {
  readonly type = 'ReLU6'

  protected lower(x: Tensor): Tensor {
    return clamp(x, { min: 0, max: 6 })
  }
}

/**
 * x, or negativeSlope · x below 0.
 *
 *     new LeakyReLU({ negativeSlope: 0.1 })
 */
export class LeakyReLU extends Pointwise<LeakyReluOptions> {
  static override readonly rules: OptionRules = leakyReluNames
  readonly type = 'LeakyReLU'

  protected lower(x: Tensor): Tensor {
    return leakyRelu(x, this.options)
  }
}

/**
 * x, or alpha · (eˣ − 1) below 0.
 *
 *     new ELU({ alpha: 1 })
 */
export class ELU extends Pointwise<EluOptions> {
  static override readonly rules: OptionRules = eluNames
  readonly type = 'ELU'

  protected lower(x: Tensor): Tensor {
    return elu(x, this.options)
  }
}

/**
 * x·Φ(x).
 *
 *     new GELU({ approximate: 'tanh' })
 */
export class GELU extends Pointwise<GeluOptions> {
  static override readonly rules: OptionRules = geluNames
  readonly type = 'GELU'

  protected lower(x: Tensor): Tensor {
    return gelu(x, this.options)
  }
}

/** x·σ(x). */
export class SiLU extends Pointwise {
  readonly type = 'SiLU'

  protected lower(x: Tensor): Tensor {
    return silu(x)
  }
}

/**
 * ln(1 + e^(beta·x)) / beta.
 *
 *     new Softplus({ beta: 2 })
 */
export class Softplus extends Pointwise<SoftplusOptions> {
  static override readonly rules: OptionRules = softplusNames
  readonly type = 'Softplus'

  protected lower(x: Tensor): Tensor {
    return softplus(x, this.options)
  }
}

/** 1 / (1 + e⁻ˣ). */
export class Sigmoid extends Pointwise {
  readonly type = 'Sigmoid'

  protected lower(x: Tensor): Tensor {
    return sigmoid(x)
  }
}

/** tanh x. */
export class Tanh extends Pointwise {
  readonly type = 'Tanh'

  protected lower(x: Tensor): Tensor {
    return tanh(x)
  }
}

/** 1.7159 · tanh(2x/3), LeNet-5's. */
export class ScaledTanh extends Pointwise {
  readonly type = 'ScaledTanh'

  protected lower(x: Tensor): Tensor {
    return scaledTanh(x)
  }
}

/** Options of `Softmax` and `LogSoftmax`. */
export interface SoftmaxOptions {
  /** true: the layer hands logits on, because the loss (`crossEntropy`) takes the softmax itself. Default false. */
  readonly inLoss?: boolean
}

/**
 * Probabilities over the channels. Leave it out of a model trained by `crossEntropy`, or let it be `inLoss`.
 *
 *     new Softmax({ inLoss: true })
 */
export class Softmax extends Pointwise<SoftmaxOptions> {
  static override readonly rules: OptionRules = { inLoss: 'flag' } satisfies RulesOf<SoftmaxOptions>
  readonly type = 'Softmax'

  /** The shape of the input. @throws ShapeError where it has no channels */
  override outputShape(input: Shape): number[] {
    return overChannels(this.type, input)
  }

  protected lower(x: Tensor): Tensor {
    return this.options.inLoss ? x : softmax(x, 1)
  }

  override operations(input: Shape): number {
    return this.options.inLoss ? 0 : sizeOf(input)
  }
}

/** Logarithms of the probabilities over the channels. */
export class LogSoftmax extends Pointwise {
  readonly type = 'LogSoftmax'

  /** The shape of the input. @throws ShapeError where it has no channels */
  override outputShape(input: Shape): number[] {
    return overChannels(this.type, input)
  }

  protected lower(x: Tensor): Tensor {
    return logSoftmax(x, 1)
  }

  override operations(input: Shape): number {
    return sizeOf(input)
  }
}
