import { beforeAll, describe, expect, it } from 'vitest'
import { RMSprop, type RMSpropOptions } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { expectSteps, slot, type ReferenceStep } from './steps.js'

beforeAll(() => init())

const reference =
  ({ lr = 0.01, alpha = 0.99, eps = 1e-8, momentum = 0, weightDecay = 0 }: RMSpropOptions): ReferenceStep =>
  (w, g, _, state) => {
    const square = slot(state, 'square', w)
    const velocity = slot(state, 'velocity', w)
    for (let i = 0; i < w.length; i++) {
      const gradient = g[i]! + weightDecay * w[i]!
      square[i] = alpha * square[i]! + (1 - alpha) * gradient ** 2
      velocity[i] = momentum * velocity[i]! + gradient / (Math.sqrt(square[i]!) + eps)
      w[i]! -= lr * velocity[i]!
    }
  }

describe('RMSprop', () => {
  it.each<RMSpropOptions>([
    {},
    { lr: 0.05, alpha: 0.5, eps: 0.1 },
    { momentum: 0.9 },
    { weightDecay: 0.2 },
    { momentum: 0.5, weightDecay: 0.2, alpha: 0 },
  ])('makes the steps of PyTorch with %o', (options) => {
    expectSteps((parameters) => new RMSprop(parameters, options), reference(options))
  })

  it.each<[RMSpropOptions, RegExp]>([
    [{ alpha: 1 }, /^RMSprop: alpha must be at least 0 and less than 1, given 1$/],
    [{ eps: NaN }, /eps must be/],
    [{ momentum: -1 }, /momentum must be/],
    [{ weightDecay: NaN }, /weightDecay must be/],
  ])('refuses %o', (options, message) => {
    scope(() => {
      expect(() => new RMSprop([tensor([1])], options)).toThrow(message)
    })
  })
})
