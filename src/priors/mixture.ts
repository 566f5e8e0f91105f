/**
 * Weights that find what they share (Nowlan & Hinton 1992, soft weight sharing): they are taken for draws from a mixture of
 * Gaussians whose means, deviations and shares are learned together with them. Groups of weights gather around the means, and a
 * weight can then be replaced by the mean of its group.
 */
import { add, exp, log, mul, square, sub } from '../ops/elementwise.js'
import { max, sum } from '../ops/reduce.js'
import { logSoftmax } from '../ops/softmax.js'
import { checkList, checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { checkTensor, keep, scope, type Tensor } from '../tensor/tensor.js'

/** Options of `MixturePrior`. */
export interface MixturePriorOptions {
  /** Gaussians, from 1 to 256; default 8. */
  readonly components?: number
  /** The means begin evenly from −range to range; default 0.5. */
  readonly range?: number
  /** Factor of the penalty, from 0 on; default 1. */
  readonly strength?: number
}

/** What `MixturePrior.share` did. */
export interface SharedWeights {
  /** How many different values are left. */
  readonly distinct: number
  /** Weights in each component. */
  readonly counts: readonly number[]
}

/** ½ ln 2π. */
const HALF_LOG_TWO_PI = 0.9189385332046727

/**
 * A mixture of Gaussians as a prior of weights: −Σᵢ ln Σⱼ πⱼ·N(wᵢ; μⱼ, σⱼ) is added to a loss, and the mixture's own parameters are
 * trained with the weights.
 *
 * @example
 * const prior = new MixturePrior({ components: 8, strength: 1e-3 })
 * const optimizer = new Adam([...model.parameters(), ...prior.parameters()])
 * const loss = (output, labels) => add(crossEntropy(output, labels), prior.penalty([w]))
 * prior.share([w])   // { distinct: 8, … }
 */
export class MixturePrior {
  /** Factor of the penalty. */
  readonly strength: number
  readonly #means: Tensor
  readonly #deviations: Tensor
  readonly #shares: Tensor

  /** @throws ArgumentError for options that are none */
  constructor(options: MixturePriorOptions = {}) {
    checkCount('MixturePrior', 1, arguments)
    checkKeys('MixturePrior', options, { components: 0, range: 0, strength: 0 } satisfies Names<MixturePriorOptions>)
    const { components = 8, range = 0.5, strength = 1 } = options
    const J = checkWhole(components, 'MixturePrior: components', 1, 256)
    checkNumber(range, 'MixturePrior: range', 0)
    if (range < 1e-6 || range > 1e6) throw wrongKind('MixturePrior: range', 'from 0.000001 to 1000000', range)
    checkNumber(strength, 'MixturePrior: strength')
    if (strength < 0) throw new ArgumentError(`MixturePrior: strength must not be negative, given ${strength}`)
    this.strength = strength
    const step = J > 1 ? (2 * range) / (J - 1) : range
    const [means, deviations, shares] = scope((): [Tensor, Tensor, Tensor] => [
      tensor(Float32Array.from({ length: J }, (_, j) => (J > 1 ? j * step - range : 0))),
      // Neighbours overlap at the start.
      log(tensor(new Float32Array(J).fill(step / 2))),
      tensor(new Float32Array(J)),
    ])
    this.#means = keep(means)
    this.#deviations = keep(deviations)
    this.#shares = keep(shares)
  }

  /** Means, logarithms of the deviations, and logarithms of the shares up to a constant: each (components). */
  parameters(): [means: Tensor, deviations: Tensor, shares: Tensor] {
    checkCount('parameters', 0, arguments)
    return [this.#means, this.#deviations, this.#shares]
  }

  /** ln(πⱼ·N(wᵢ; μⱼ, σⱼ)) as (weights, components), within a scope. */
  #joint(w: Tensor): Tensor {
    const J = this.#means.size
    const row = (x: Tensor): Tensor => x.reshape([1, J])
    const deviations = row(this.#deviations)
    const z = mul(sub(w.reshape([w.size, 1]), row(this.#means)), exp(mul(deviations, -1)))
    const scaled = add(sub(logSoftmax(row(this.#shares), 1), deviations), -HALF_LOG_TWO_PI)
    return sub(scaled, mul(square(z), 0.5))
  }

  /** The negative logarithm of the likelihood of all weights, times `strength`: a term of a loss. */
  penalty(weights: readonly Tensor[]): Tensor {
    checkCount('penalty', 1, arguments)
    this.#check(weights, 'penalty')
    return scope(() => {
      let total: Tensor | undefined
      for (const w of weights) {
        const joint = this.#joint(w)
        const most = max(joint, 1, { keepDims: true })
        const likelihood = sum(add(most, log(sum(exp(sub(joint, most)), 1, { keepDims: true }))))
        total = total ? add(total, likelihood) : likelihood
      }
      return mul(total as Tensor, -this.strength)
    })
  }

  /** Gives every weight the mean of the component that it most probably belongs to. */
  share(weights: readonly Tensor[]): SharedWeights {
    checkCount('share', 1, arguments)
    this.#check(weights, 'share')
    const means = this.#means.data()
    const counts = Array<number>(means.length).fill(0)
    for (const w of weights) {
      const joint = scope(() => this.#joint(w))
      const values = joint.data()
      joint.dispose()
      if (!values.every(Number.isFinite))
        throw new ArgumentError('share: the weights and the mixture must be finite numbers')
      w.assign(
        Float32Array.from({ length: w.size }, (_, i) => {
          const row = values.subarray(i * means.length, (i + 1) * means.length)
          let best = 0
          row.forEach((value, j) => {
            if (value > (row[best] as number)) best = j
          })
          counts[best] = (counts[best] as number) + 1
          return means[best] as number
        }),
      )
    }
    return { distinct: new Set(means.filter((_, j) => (counts[j] as number) > 0)).size, counts }
  }

  #check(weights: readonly Tensor[], method: string): void {
    checkList(weights, `${method}: weights`, 'a list of tensors')
    if (weights.length === 0) throw new ArgumentError(`${method}: give at least one tensor of weights`)
    weights.forEach((w, index) => {
      checkTensor(w, method, `weights[${index}]`)
    })
  }

  /** Frees the parameters. */
  dispose(): void {
    for (const tensor of this.parameters()) tensor.dispose()
  }
}
