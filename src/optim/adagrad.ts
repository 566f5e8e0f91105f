/** AdaGrad (Duchi, Hazan & Singer 2011; Goodfellow et al., algorithm 8.4). */
import { parallel } from '../runtime/core.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkOption, Optimizer } from './optimizer.js'

export interface AdagradOptions {
  /** Learning rate; default 0.01. */
  readonly lr?: number
  /** The learning rate of step t, counted from 1, is lr / (1 + (t − 1) · lrDecay); default 0. */
  readonly lrDecay?: number
  /** Added to the root of the sum; default 1e-10. */
  readonly eps?: number
  /** What the sum starts from; default 0. */
  readonly initialAccumulatorValue?: number
  /** L2 penalty: weightDecay · w is added to the gradient; default 0. */
  readonly weightDecay?: number
}

/**
 * s = s + g² and w = w − lr · g / (√s + eps), with g = dw + weightDecay · w.
 * @throws ShapeError when an option is out of its range.
 */
export class Adagrad extends Optimizer {
  readonly #lrDecay: number
  readonly #eps: number
  readonly #weightDecay: number
  #rate = 0

  constructor(parameters: readonly Tensor[], options: AdagradOptions = {}) {
    const { lr = 0.01, lrDecay = 0, eps = 1e-10, initialAccumulatorValue = 0, weightDecay = 0 } = options
    checkOption('Adagrad', 'lrDecay', lrDecay, { from: 0 })
    checkOption('Adagrad', 'eps', eps, { from: 0 })
    checkOption('Adagrad', 'initialAccumulatorValue', initialAccumulatorValue, { from: 0 })
    checkOption('Adagrad', 'weightDecay', weightDecay, { from: 0 })
    super('Adagrad', parameters, lr, { sum: initialAccumulatorValue })
    this.#lrDecay = lrDecay
    this.#eps = eps
    this.#weightDecay = weightDecay
  }

  protected override prepare(step: number): void {
    this.#rate = this.lr / (1 + (step - 1) * this.#lrDecay)
  }

  protected override update(w: Tensor, dw: Tensor, index: number): void {
    const sum = this.slot('sum', index)
    parallel('adagrad_step', w.size, LIGHT, w.pointer, sum, dw.pointer, this.#rate, this.#eps, this.#weightDecay)
  }
}
