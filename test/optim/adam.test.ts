import { beforeAll, describe, expect, it } from 'vitest'
import { Adam, AdamW, type AdamOptions } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { expectSteps, slot, type ReferenceStep } from './steps.js'

beforeAll(() => init())

const reference =
  (
    { lr = 1e-3, betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8, weightDecay }: AdamOptions,
    decoupled: boolean,
  ): ReferenceStep =>
  (w, g, t, state) => {
    const first = slot(state, 'first', w)
    const second = slot(state, 'second', w)
    const decay = weightDecay ?? (decoupled ? 0.01 : 0)
    for (let i = 0; i < w.length; i++) {
      const gradient = decoupled ? g[i]! : g[i]! + decay * w[i]!
      if (decoupled) w[i]! *= 1 - lr * decay
      first[i] = beta1 * first[i]! + (1 - beta1) * gradient
      second[i] = beta2 * second[i]! + (1 - beta2) * gradient ** 2
      w[i]! -= (lr * (first[i]! / (1 - beta1 ** t))) / (Math.sqrt(second[i]! / (1 - beta2 ** t)) + eps)
    }
  }

const options: AdamOptions[] = [
  {},
  { lr: 0.1 },
  { lr: 0.1, betas: [0.5, 0.7], eps: 0.01 },
  { lr: 0.05, weightDecay: 0.2 },
  { lr: 0.1, betas: [0, 0] },
]

describe('Adam', () => {
  it.each(options)('makes the steps of algorithm 8.7 with %o', (given) => {
    expectSteps((parameters) => new Adam(parameters, given), reference(given, false))
  })

  it('moves by the learning rate in the first step, whatever the gradient', () => {
    scope(() => {
      const w = tensor([0, 0, 0])
      new Adam([w], { lr: 0.25 }).step([tensor([1e-3, -5, 1e4])])
      const moved = [...w.data()]
      ;[-0.25, 0.25, -0.25].forEach((value, i) => {
        expect(moved[i]).toBeCloseTo(value, 4)
      })
    })
  })

  it.each<[AdamOptions, RegExp]>([
    [{ betas: [1, 0.9] }, /^Adam: the first of betas must be at least 0 and less than 1, given 1$/],
    [{ betas: [0.9, NaN] }, /the second of betas must be/],
    [{ betas: [0.9] as unknown as [number, number] }, /betas must be two numbers/],
    [{ eps: -1 }, /eps must be/],
    [{ weightDecay: Infinity }, /weightDecay must be/],
    [{ lr: NaN }, /lr must be/],
  ])('refuses %o', (given, message) => {
    scope(() => {
      expect(() => new Adam([tensor([1])], given)).toThrow(message)
    })
  })
})

describe('AdamW', () => {
  it.each(options)('shrinks the weights apart from the gradient with %o', (given) => {
    expectSteps((parameters) => new AdamW(parameters, given), reference(given, true))
  })
})
