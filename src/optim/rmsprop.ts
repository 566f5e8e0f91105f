/** RMSProp (Hinton 2012; Goodfellow et al., algorithms 8.5 and 8.6). */
import { parallel } from '../runtime/core.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkOption, Optimizer, type OptimizerParameters } from './optimizer.js'
import { checkCount } from '../runtime/options.js'

/** Options of `RMSprop`. */
export interface RMSpropOptions {
  /** Learning rate; default 0.01. */
  readonly lr?: number
  /** Decay of the running mean of the squared gradient; default 0.99. */
  readonly alpha?: number
  /** Added to the root of that mean; default 1e-8. */
  readonly eps?: number
  /** Share of the velocity that is kept at each step; default 0: no velocity. */
  readonly momentum?: number
  /** L2 penalty: weightDecay · w is added to the gradient; default 0. */
  readonly weightDecay?: number
}

const defaults: Required<RMSpropOptions> = { lr: 0.01, alpha: 0.99, eps: 1e-8, momentum: 0, weightDecay: 0 }

/**
 * s = alpha · s + (1 − alpha) · g² with g = dw + weightDecay · w, and w = w − lr · g / (√s + eps); with momentum,
 * v = momentum · v + g / (√s + eps) and w = w − lr · v.
 *
 *     new RMSprop(model.parameters(), { lr: 1e-3, momentum: 0.9 })
 *
 * @throws ShapeError when an option is out of its range.
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(parameters: OptimizerParameters<RMSpropOptions>, options?: RMSpropOptions) {
    checkCount('RMSprop', 2, arguments)
    super('RMSprop', parameters, options, defaults, ({ alpha, momentum }) => {
      checkOption('RMSprop', 'alpha', alpha, { from: 0, below: 1 })
      return momentum > 0 ? { square: 0, velocity: 0 } : { square: 0 }
    })
  }

  protected override update(
    w: Tensor,
    dw: Tensor,
    index: number,
    { lr, alpha, eps, momentum, weightDecay }: Required<RMSpropOptions>,
  ): void {
    const slots = [this.slot('square', index), this.slot('velocity', index)] as const
    const rest = [lr, alpha, 1 - alpha, eps, momentum, weightDecay] as const
    parallel('rmsprop_step', w.size, LIGHT, w.pointer, ...slots, dw.pointer, ...rest)
  }
}
