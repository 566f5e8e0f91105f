/** RMSProp (Hinton 2012; Goodfellow et al., algorithms 8.5 and 8.6). */
import { parallel } from '../runtime/core.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkOption, Optimizer } from './optimizer.js'

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

/**
 * s = alpha · s + (1 − alpha) · g² with g = dw + weightDecay · w, and w = w − lr · g / (√s + eps); with momentum,
 * v = momentum · v + g / (√s + eps) and w = w − lr · v.
 * @throws ShapeError when an option is out of its range.
 */
export class RMSprop extends Optimizer {
  readonly #alpha: number
  readonly #eps: number
  readonly #momentum: number
  readonly #weightDecay: number

  constructor(parameters: readonly Tensor[], options: RMSpropOptions = {}) {
    const { lr = 0.01, alpha = 0.99, eps = 1e-8, momentum = 0, weightDecay = 0 } = options
    checkOption('RMSprop', 'alpha', alpha, { from: 0, below: 1 })
    checkOption('RMSprop', 'eps', eps, { from: 0 })
    checkOption('RMSprop', 'momentum', momentum, { from: 0 })
    checkOption('RMSprop', 'weightDecay', weightDecay, { from: 0 })
    super('RMSprop', parameters, lr, momentum > 0 ? { square: 0, velocity: 0 } : { square: 0 })
    this.#alpha = alpha
    this.#eps = eps
    this.#momentum = momentum
    this.#weightDecay = weightDecay
  }

  protected override prepare(): void {
    // Every step is alike.
  }

  protected override update(w: Tensor, dw: Tensor, index: number): void {
    parallel(
      'rmsprop_step',
      w.size,
      LIGHT,
      w.pointer,
      this.slot('square', index),
      this.#momentum > 0 ? this.slot('velocity', index) : 0,
      dw.pointer,
      this.lr,
      this.#alpha,
      1 - this.#alpha,
      this.#eps,
      this.#momentum,
      this.#weightDecay,
    )
  }
}
