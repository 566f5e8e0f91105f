/** Adam (Kingma & Ba 2015; Goodfellow et al., algorithm 8.7) and AdamW (Loshchilov & Hutter 2019). */
import { kernels, parallel } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { LIGHT } from '../runtime/work.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkOption, Optimizer } from './optimizer.js'

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

abstract class AdamFamily extends Optimizer {
  readonly #beta1: number
  readonly #beta2: number
  readonly #eps: number
  readonly #weightDecay: number
  readonly #decoupled: boolean
  #rate = 0
  #correction = 1

  protected constructor(
    name: string,
    parameters: readonly Tensor[],
    { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0 }: AdamOptions,
    decoupled: boolean,
  ) {
    if (!Array.isArray(betas) || betas.length !== 2) throw new ShapeError(`${name}: betas must be two numbers`)
    const [beta1, beta2] = betas
    checkOption(name, 'the first of betas', beta1, { from: 0, below: 1 })
    checkOption(name, 'the second of betas', beta2, { from: 0, below: 1 })
    checkOption(name, 'eps', eps, { from: 0 })
    checkOption(name, 'weightDecay', weightDecay, { from: 0 })
    super(name, parameters, lr, { first: 0, second: 0 })
    this.#beta1 = beta1
    this.#beta2 = beta2
    this.#eps = eps
    this.#weightDecay = weightDecay
    this.#decoupled = decoupled
  }

  protected override prepare(step: number): void {
    const { scalar_pow: pow } = kernels()
    this.#rate = this.lr / (1 - pow(this.#beta1, step))
    this.#correction = 1 / Math.sqrt(1 - pow(this.#beta2, step))
  }

  protected override update(w: Tensor, dw: Tensor, index: number): void {
    parallel(
      'adam_step',
      w.size,
      LIGHT,
      w.pointer,
      this.slot('first', index),
      this.slot('second', index),
      dw.pointer,
      this.#rate,
      this.#beta1,
      1 - this.#beta1,
      this.#beta2,
      1 - this.#beta2,
      this.#correction,
      this.#eps,
      this.#decoupled ? 0 : this.#weightDecay,
      this.#decoupled ? this.lr * this.#weightDecay : 0,
    )
  }
}

/**
 * m = β₁ · m + (1 − β₁) · g, s = β₂ · s + (1 − β₂) · g² with g = dw + weightDecay · w, and
 * w = w − lr · m̂ / (√ŝ + eps), where m̂ and ŝ are m / (1 − β₁ᵗ) and s / (1 − β₂ᵗ) at step t.
 * @throws ShapeError when an option is out of its range.
 */
export class Adam extends AdamFamily {
  constructor(parameters: readonly Tensor[], options: AdamOptions = {}) {
    super('Adam', parameters, options, false)
  }
}

/**
 * Adam with decoupled weight decay: the gradient is dw alone, and w shrinks by lr · weightDecay · w.
 * @throws ShapeError when an option is out of its range.
 */
export class AdamW extends AdamFamily {
  constructor(parameters: readonly Tensor[], options: AdamOptions = {}) {
    super('AdamW', parameters, { weightDecay: 0.01, ...options }, true)
  }
}
