/** Stochastic gradient descent with momentum: Goodfellow et al., section 8.3. */
import { parallel } from '../runtime/core.js'
import { ArgumentError } from '../runtime/errors.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { Optimizer, type OptimizerParameters, type ParameterGroup } from './optimizer.js'
import { checkCount } from '../runtime/options.js'

/** Options of `SGD`. */
export interface SGDOptions {
  /** Learning rate. It may be left out where every group has its own. */
  readonly lr: number
  /** Share of the velocity that is kept at each step; default 0: no velocity. */
  readonly momentum?: number
  /** Nesterov's momentum, equations (8.21) and (8.22) rearranged for the point itself; default false. */
  readonly nesterov?: boolean
  /** L2 penalty: weightDecay · w is added to the gradient; default 0. */
  readonly weightDecay?: number
  /** The gradient enters the velocity with the factor 1 − dampening, but whole in the first step; default 0. */
  readonly dampening?: number
}

const defaults: Required<SGDOptions> = {
  lr: undefined as never,
  momentum: 0,
  nesterov: false,
  weightDecay: 0,
  dampening: 0,
}

/**
 * v = momentum · v + (1 − dampening) · g and w = w − lr · v, where g = dw + weightDecay · w and the first v is g.
 * With `nesterov`, w = w − lr · (g + momentum · v).
 *
 *     const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 })
 *     optimizer.step(gradients)
 *
 * @throws ShapeError when an option is out of its range, or nesterov is without momentum or with dampening.
 */
export class SGD extends Optimizer<SGDOptions> {
  constructor(parameters: readonly Tensor[], options: SGDOptions)
  constructor(groups: readonly ParameterGroup<SGDOptions>[], options?: Partial<SGDOptions>)
  constructor(parameters: OptimizerParameters<SGDOptions>, options?: Partial<SGDOptions>) {
    checkCount('SGD', 2, arguments)
    super('SGD', parameters, options, defaults, ({ momentum, nesterov, dampening }) => {
      if (nesterov && (momentum === 0 || dampening !== 0)) {
        throw new ArgumentError(
          `SGD: nesterov needs a momentum above 0 and no dampening, given momentum ${momentum} and dampening ${dampening}`,
        )
      }
      return momentum > 0 ? { velocity: 0 } : {}
    })
  }

  protected override update(w: Tensor, dw: Tensor, index: number, options: Required<SGDOptions>, step: number): void {
    const { lr, momentum, nesterov, weightDecay, dampening } = options
    if (momentum === 0) {
      parallel('sgd_step', w.size, LIGHT, w.pointer, dw.pointer, lr, weightDecay)
      return
    }
    const velocity = this.slot('velocity', index)
    // The velocity is zero before the first step, which PyTorch makes the gradient itself.
    const share = step === 1 ? 1 : 1 - dampening
    parallel(
      'sgd_momentum_step',
      w.size,
      LIGHT,
      w.pointer,
      velocity,
      dw.pointer,
      lr,
      momentum,
      share,
      weightDecay,
      nesterov,
    )
  }
}
