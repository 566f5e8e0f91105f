/** Adam (Kingma & Ba 2015; Goodfellow et al., algorithm 8.7) and AdamW (Loshchilov & Hutter 2019). */
import { kernels, parallel } from '../runtime/core.js'
import { ArgumentError } from '../runtime/errors.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkOption, Optimizer, type OptimizerParameters } from './optimizer.js'
import { checkCount } from '../runtime/options.js'

/** Options of `Adam` and `AdamW`. */
export interface AdamOptions {
  /** Learning rate; default 0.001. */
  readonly lr?: number
  /** Decay of the running means of the gradient and of its square; default [0.9, 0.999]. */
  readonly betas?: readonly [number, number]
  /** Added to the root of the second moment; default 1e-8. */
  readonly eps?: number
  /** Adam: weightDecay · w is added to the gradient; default 0. AdamW: w shrinks by lr · weightDecay; default 0.01. */
  readonly weightDecay?: number
}

const defaults: Required<AdamOptions> = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 }

abstract class AdamFamily extends Optimizer<AdamOptions> {
  readonly #decoupled: boolean

  protected constructor(
    name: string,
    parameters: OptimizerParameters<AdamOptions>,
    options: AdamOptions | undefined,
    decoupled: boolean,
  ) {
    super(name, parameters, options, decoupled ? { ...defaults, weightDecay: 0.01 } : defaults, ({ betas }) => {
      if (!Array.isArray(betas) || betas.length !== 2) throw new ArgumentError(`${name}: betas must be two numbers`)
      checkOption(name, 'the first of betas', betas[0], { from: 0, below: 1 })
      checkOption(name, 'the second of betas', betas[1], { from: 0, below: 1 })
      return { first: 0, second: 0 }
    })
    this.#decoupled = decoupled
  }

  protected override update(
    w: Tensor,
    dw: Tensor,
    index: number,
    { lr, betas: [beta1, beta2], eps, weightDecay }: Required<AdamOptions>,
    step: number,
  ): void {
    const { scalar_pow: pow } = kernels()
    parallel(
      'adam_step',
      w.size,
      LIGHT,
      w.pointer,
      this.slot('first', index),
      this.slot('second', index),
      dw.pointer,
      lr / (1 - pow(beta1, step)),
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      1 / Math.sqrt(1 - pow(beta2, step)),
      eps,
      this.#decoupled ? 0 : weightDecay,
      this.#decoupled ? lr * weightDecay : 0,
    )
  }
}

/**
 * m = β₁ · m + (1 − β₁) · g, s = β₂ · s + (1 − β₂) · g² with g = dw + weightDecay · w, and
 * w = w − lr · m̂ / (√ŝ + eps), where m̂ and ŝ are m / (1 − β₁ᵗ) and s / (1 − β₂ᵗ) at step t.
 *
 *     new Adam(model.parameters(), { lr: 1e-3 })
 *
 * @throws ShapeError when an option is out of its range.
 */
export class Adam extends AdamFamily {
  constructor(parameters: OptimizerParameters<AdamOptions>, options?: AdamOptions) {
    checkCount('Adam', 2, arguments)
    super('Adam', parameters, options, false)
  }
}

/**
 * Adam with decoupled weight decay: the gradient is dw alone, and w shrinks by lr · weightDecay · w.
 *
 *     new AdamW(model.parameters(), { lr: 1e-3, weightDecay: 0.05 })
 *
 * @throws ShapeError when an option is out of its range.
 */
export class AdamW extends AdamFamily {
  constructor(parameters: OptimizerParameters<AdamOptions>, options?: AdamOptions) {
    checkCount('AdamW', 2, arguments)
    super('AdamW', parameters, options, true)
  }
}
