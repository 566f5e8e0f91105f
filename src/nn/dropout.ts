/** Dropout as a layer: the operation of src/ops/dropout.ts in training, and nothing in use. */
import { dropout } from '../ops/dropout.js'
import type { Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { LoweredLayer, type ForwardContext, type OptionRules } from './layer.js'
import type { RulesOf } from './options.js'

/** Options of `Dropout`. */
export interface DropoutLayerOptions {
  /** Probability with which an element becomes zero, from 0 to 1; default 0.5. */
  readonly p?: number
}

/**
 * In training, sets elements to zero with probability p and scales the others by 1 / (1 − p); in use it changes nothing.
 * The mask is a function of the seed, the step and the layer's place in the model.
 *
 *     new Dropout({ p: 0.2 })
 */
export class Dropout extends LoweredLayer<DropoutLayerOptions> {
  static override readonly rules: OptionRules = { p: 'share' } satisfies RulesOf<DropoutLayerOptions>
  readonly type = 'Dropout'

  outputShape(input: Shape): number[] {
    return [...input]
  }

  protected lower(x: Tensor, { training, seed, stream }: ForwardContext): Tensor {
    return training ? dropout(x, { p: this.options.p, seed, stream }) : x
  }

  describe(): string {
    return `dropout(${this.options.p ?? 0.5})`
  }
}
