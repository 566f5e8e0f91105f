import { beforeAll, describe, expect, it } from 'vitest'
import { Adagrad, type AdagradOptions } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { expectSteps, slot, type ReferenceStep } from './steps.js'

beforeAll(() => init())

const reference =
  ({
    lr = 0.01,
    lrDecay = 0,
    eps = 1e-10,
    initialAccumulatorValue = 0,
    weightDecay = 0,
  }: AdagradOptions): ReferenceStep =>
  (w, g, t, state) => {
    const sum = slot(state, 'sum', w)
    if (t === 1) sum.fill(initialAccumulatorValue)
    for (let i = 0; i < w.length; i++) {
      const gradient = g[i]! + weightDecay * w[i]!
      sum[i]! += gradient ** 2
      w[i]! -= ((lr / (1 + (t - 1) * lrDecay)) * gradient) / (Math.sqrt(sum[i]!) + eps)
    }
  }

describe('Adagrad', () => {
  it.each<AdagradOptions>([
    {},
    { lr: 0.2, lrDecay: 0.3 },
    { lr: 0.2, initialAccumulatorValue: 0.5, eps: 0.1 },
    { lr: 0.2, weightDecay: 0.1 },
  ])('makes the steps of algorithm 8.4 with %o', (options) => {
    expectSteps((parameters) => new Adagrad(parameters, options), reference(options))
  })

  it.each<[AdagradOptions, RegExp]>([
    [{ lrDecay: -1 }, /^Adagrad: lrDecay must be a finite number from 0 on, given -1$/],
    [{ eps: NaN }, /eps must be/],
    [{ initialAccumulatorValue: -1 }, /initialAccumulatorValue must be/],
    [{ weightDecay: NaN }, /weightDecay must be/],
  ])('refuses %o', (options, message) => {
    scope(() => {
      expect(() => new Adagrad([tensor([1])], options)).toThrow(message)
    })
  })
})
