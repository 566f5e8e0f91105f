/** Fully connected layers. */
import { linear } from '../ops/linear.js'
import { perDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { Layer, type ForwardContext, type LayerConfig } from './layer.js'
import type { Initializer, Source } from './initialize.js'

export interface LinearOptions {
  /** Number of units. */
  readonly outFeatures: number
  /** Inferred from the input when left out. */
  readonly inFeatures?: number
  /** Default true. */
  readonly bias?: boolean
  /** Default 'he'. */
  readonly weightInit?: Initializer
  /** Default 'zeros'. */
  readonly biasInit?: Initializer
}

/** Fully connected layer with weights (out, in): y = x · wᵀ + bias. */
export class Linear extends Layer {
  readonly type = 'Linear'
  readonly options: LinearOptions

  constructor(options: LinearOptions) {
    super()
    this.options = { ...options }
    perDirection(options.outFeatures, 1, 1, 'Linear: outFeatures')
  }

  outputShape(input: Shape): number[] {
    const { inFeatures, outFeatures } = this.options
    if (input.length !== 1) {
      throw new ShapeError(
        `Linear: the input must be (features), given ${showShape(input)}; put a Flatten layer before it`,
      )
    }
    if (inFeatures !== undefined && inFeatures !== input[0]) {
      throw new ShapeError(`Linear: inFeatures is ${inFeatures}, but the input has ${input[0]} features`)
    }
    return [outFeatures]
  }

  protected override make(input: Shape, source: () => Source): void {
    const { outFeatures, bias = true, weightInit = 'he', biasInit = 'zeros' } = this.options
    this.addParameter('weight', [outFeatures, input[0] as number], weightInit, source)
    if (bias) this.addParameter('bias', [outFeatures], biasInit, source)
  }

  forward(x: Tensor, _context: ForwardContext): Tensor {
    return linear(x, this.parameter('weight'), this.options.bias === false ? undefined : this.parameter('bias'))
  }

  override operations(input: Shape): number {
    return (sizeOf(input) + 1) * this.options.outFeatures
  }

  describe(): string {
    return `fc(${this.options.outFeatures})`
  }

  override config(): LayerConfig {
    return { type: this.type, ...Layer.defined(this.options) }
  }
}
