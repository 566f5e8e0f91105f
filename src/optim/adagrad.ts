/** AdaGrad (Duchi, Hazan & Singer 2011; Goodfellow et al., algorithm 8.4). */
import { parallel } from '../runtime/core.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { Optimizer, type OptimizerParameters } from './optimizer.js'
import { checkCount } from '../runtime/options.js'

/** Options of `Adagrad`. */
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

const defaults: Required<AdagradOptions> = {
  lr: 0.01,
  lrDecay: 0,
  eps: 1e-10,
  initialAccumulatorValue: 0,
  weightDecay: 0,
}

/**
 * s = s + g² and w = w − lr · g / (√s + eps), with g = dw + weightDecay · w.
 *
 *     new Adagrad(model.parameters(), { lr: 0.01 })
 *
 * @throws ShapeError when an option is out of its range.
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(parameters: OptimizerParameters<AdagradOptions>, options?: AdagradOptions) {
    checkCount('Adagrad', 2, arguments)
    super('Adagrad', parameters, options, defaults, ({ initialAccumulatorValue }) => ({ sum: initialAccumulatorValue }))
  }

  protected override update(
    w: Tensor,
    dw: Tensor,
    index: number,
    { lr, lrDecay, eps, weightDecay }: Required<AdagradOptions>,
    step: number,
  ): void {
    const rate = lr / (1 + (step - 1) * lrDecay)
    parallel('adagrad_step', w.size, LIGHT, w.pointer, this.slot('sum', index), dw.pointer, rate, eps, weightDecay)
  }
}
