/** Stochastic gradient descent with momentum: Goodfellow et al., section 8.3. */
import { parallel } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkOption, Optimizer } from './optimizer.js'

/** Options of `SGD`. */
export interface SGDOptions {
  /** Learning rate. */
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

/**
 * v = momentum · v + (1 − dampening) · g and w = w − lr · v, where g = dw + weightDecay · w and the first v is g.
 * With `nesterov`, w = w − lr · (g + momentum · v).
 * @throws ShapeError when an option is out of its range, or nesterov is without momentum or with dampening.
 */
export class SGD extends Optimizer {
  readonly #momentum: number
  readonly #nesterov: boolean
  readonly #weightDecay: number
  readonly #dampening: number
  #share = 1

  constructor(parameters: readonly Tensor[], options: SGDOptions) {
    const { lr, momentum = 0, nesterov = false, weightDecay = 0, dampening = 0 } = options
    checkOption('SGD', 'momentum', momentum, { from: 0 })
    checkOption('SGD', 'weightDecay', weightDecay, { from: 0 })
    checkOption('SGD', 'dampening', dampening, { from: 0 })
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new ShapeError(
        `SGD: nesterov needs a momentum above 0 and no dampening, given momentum ${momentum} and dampening ${dampening}`,
      )
    }
    super('SGD', parameters, lr, momentum > 0 ? { velocity: 0 } : {})
    this.#momentum = momentum
    this.#nesterov = nesterov
    this.#weightDecay = weightDecay
    this.#dampening = dampening
  }

  protected override prepare(step: number): void {
    // The velocity is zero before the first step, which PyTorch makes the gradient itself.
    this.#share = step === 1 ? 1 : 1 - this.#dampening
  }

  protected override update(w: Tensor, dw: Tensor, index: number): void {
    if (this.#momentum === 0) {
      parallel('sgd_step', w.size, LIGHT, w.pointer, dw.pointer, this.lr, this.#weightDecay)
      return
    }
    parallel(
      'sgd_momentum_step',
      w.size,
      LIGHT,
      w.pointer,
      this.slot('velocity', index),
      dw.pointer,
      this.lr,
      this.#momentum,
      this.#share,
      this.#weightDecay,
      this.#nesterov,
    )
  }
}
