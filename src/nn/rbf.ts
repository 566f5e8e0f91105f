/**
 * Euclidean radial basis functions, the output layer of LeNet-5: unit i answers with the negative of its squared distance
 *
 *   y_i = −Σ_j (x_j − w_ij)² [− b_i]
 *
 * so that the largest answer is the nearest code, as with scores of any other output layer. (LeCun, Bottou, Bengio &
 * Haffner, 1998, equation 7, where the sign is positive.)
 */
import { conv2d } from '../ops/conv.js'
import { add, mul, neg, square, sub } from '../ops/elementwise.js'
import { concat } from '../ops/layout.js'
import { crossEntropy, isSoft, type Distributions, type Labels } from '../ops/loss.js'
import { sum } from '../ops/reduce.js'
import { perDirection } from '../plan/window.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { wrongKind } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { full, tensor } from '../tensor/create.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, scope, Tensor } from '../tensor/tensor.js'
import { LoweredLayer, type OptionRules, type WeightSpec } from './layer.js'
import type { Initializer } from './initialize.js'
import type { RulesOf } from './options.js'

/** Options of `RBF`. */
export interface RBFOptions {
  /** Number of units. */
  readonly units: number
  /** The codes, one for each unit, of '#' for +1 and '.' for −1: a picture read row by row. Left out, they are drawn. */
  readonly codes?: readonly string[]
  /** Whether the codes are trained; default true. */
  readonly trained?: boolean
  /** Whether each unit has a trained offset; default false. */
  readonly bias?: boolean
  /** Where there are no codes; default: 'uniform' of −1 to 1. */
  readonly weightInit?: Initializer
}

/** (features), or (features, H, W) where the units stand at every place. */
export class RBF extends LoweredLayer<RBFOptions> {
  static override readonly rules: OptionRules = {
    units: 'count',
    codes: 0,
    trained: 'flag',
    bias: 'flag',
    weightInit: 'initializer',
  } satisfies RulesOf<RBFOptions>
  readonly type = 'RBF'

  constructor(...given: [options: RBFOptions]) {
    super(...given)
    const { codes, units } = this.options
    perDirection(units, 1, 1, 'RBF: units')
    const isCode = (code: unknown): boolean => typeof code === 'string' && /^[#.]+$/.test(code)
    if (codes !== undefined && (!Array.isArray(codes) || codes.length !== units || !codes.every(isCode))) {
      throw new ArgumentError(`RBF: codes must be ${units} texts of '#' and '.', one for each unit`)
    }
  }

  outputShape(input: Shape): number[] {
    const { units, codes } = this.options
    if (input.length !== 1 && input.length !== 3) {
      throw new ShapeError(`RBF: the input must be (features) or (features, H, W), given ${showShape(input)}`)
    }
    for (const [unit, code] of (codes ?? []).entries()) {
      if (code.length !== input[0]) {
        throw new ShapeError(
          `RBF: the input ${showShape(input)} has ${input[0]} features, but the code of unit ${unit} has ${code.length}`,
        )
      }
    }
    return [units, ...input.slice(1)]
  }

  override weights(input: Shape): readonly WeightSpec[] {
    const { units, codes, trained = true, bias = false, weightInit } = this.options
    const drawn = weightInit ?? ({ name: 'uniform', low: -1, high: 1 } as const)
    const init = codes
      ? Float32Array.from(
          codes.flatMap((code) => Array.from(code)),
          (mark) => (mark === '#' ? 1 : -1),
        )
      : drawn
    const weight: WeightSpec = { name: 'weight', shape: [units, input[0] as number], init, trained }
    return bias ? [weight, { name: 'bias', shape: [units], init: 'zeros' }] : [weight]
  }

  protected lower(x: Tensor): Tensor {
    return scope(() => {
      const w = this.weight('weight')
      const [units] = w.shape as readonly [number, number]
      const places = x.ndim === 2 ? x.reshape([...x.shape, 1, 1]) : x
      // −Σ (x − w)² = 2·Σ x·w − Σ x² − Σ w²: the first is a fully connected layer, whose bias takes the last.
      const norms = sum(square(w), 1)
      const offset = this.options.bias ? add(norms, this.weight('bias')) : norms
      const products = conv2d(places, mul(w, 2).reshape([...w.shape, 1, 1]), { bias: neg(offset) })
      const y = sub(products, sum(square(places), 1, { keepDims: true }))
      return x.ndim === 2 ? y.reshape([x.shape[0] as number, units]) : y
    })
  }

  override operations(input: Shape): number {
    const { units, bias = false } = this.options
    const [features, ...places] = input as [number, ...number[]]
    return (features + (bias ? 1 : 0)) * units * sizeOf(places)
  }

  describe(): string {
    return `RBF(${this.options.units})`
  }
}

/** Options of `rbfLoss`. */
export interface RbfLossOptions {
  /** Penalty of the class of everything that is no digit: keeps the codes from collapsing. Default 1. */
  readonly rubbish?: number
}

/**
 * LeNet-5's loss of the answers y (N, classes) of an RBF layer: −y_D + ln(e^−j + Σ e^y_i), D the label and j `rubbish`;
 * equation 9 of the paper, with the sign of our answers. It is the cross-entropy with one more class, whose answer is −j.
 *
 *     rbfLoss(model.forward(x), [3, 1, 4])
 */
export function rbfLoss(answers: Tensor, target: Labels | Distributions, options: RbfLossOptions = {}): Tensor {
  checkCount('rbfLoss', 3, arguments)
  checkKeys('rbfLoss', options, { rubbish: 0 } satisfies Names<RbfLossOptions>)
  const { rubbish = 1 } = options
  checkTensor(answers, 'rbfLoss', 'answers')
  if (!Number.isFinite(rubbish)) throw wrongKind('rbfLoss: rubbish', 'a finite number', rubbish)
  if (answers.ndim < 2)
    throw new ShapeError(`rbfLoss: answers must be (N, classes, …), given ${showShape(answers.shape)}`)
  return scope(() => {
    const [N, , ...places] = answers.shape as readonly [number, number, ...number[]]
    const others = (value: number): Tensor => full([N, 1, ...places], value)
    const extended = concat([answers, others(-rubbish)], 1)
    if (!isSoft(target, answers.ndim)) return crossEntropy(extended, target)
    const q = target instanceof Tensor ? target : tensor(target)
    return crossEntropy(extended, q.ndim === answers.ndim && q.shape[0] === N ? concat([q, others(0)], 1) : q)
  })
}
