import { beforeAll, describe, expect, it } from 'vitest'
import { SGD, type SGDOptions } from '../../src/optim/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { expectSteps, slot, type ReferenceStep } from './steps.js'

beforeAll(() => init())

const reference =
  ({ lr, momentum = 0, nesterov = false, weightDecay = 0, dampening = 0 }: SGDOptions): ReferenceStep =>
  (w, g, t, state) => {
    const velocity = slot(state, 'velocity', w)
    for (let i = 0; i < w.length; i++) {
      const gradient = g[i]! + weightDecay * w[i]!
      velocity[i] = t === 1 ? gradient : momentum * velocity[i]! + (1 - dampening) * gradient
      if (momentum === 0) velocity[i] = gradient
      w[i]! -= lr * (nesterov ? gradient + momentum * velocity[i]! : velocity[i]!)
    }
  }

describe('SGD', () => {
  it.each<SGDOptions>([
    { lr: 0.1 },
    { lr: 0.1, weightDecay: 0.05 },
    { lr: 0.1, momentum: 0.9 },
    { lr: 0.1, momentum: 0.9, dampening: 0.3 },
    { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.05 },
  ])('makes the steps of PyTorch with %o', (options) => {
    expectSteps((parameters) => new SGD(parameters, options), reference(options))
  })

  it('updates in place, bit for bit, with a learning rate that may change', () => {
    scope(() => {
      const w = tensor([1, 2, 3, 4, 5])
      const optimizer = new SGD([w], { lr: 0.5, momentum: 0.5 })
      const g = tensor([1, 1, 2, 2, 4])
      optimizer.step([g])
      expect([...w.data()]).toEqual([0.5, 1.5, 2, 3, 3])
      optimizer.lr = 1
      optimizer.step([g])
      expect([...w.data()]).toEqual([-1, 0, -1, 0, -3])
      expect(optimizer.steps).toBe(2)
    })
  })

  it('touches nothing outside its parameters', () => {
    scope(() => {
      const [before, w, after] = [tensor([7, 7, 7]), tensor([1, 2, 3, 4, 5]), tensor([7, 7, 7])]
      new SGD([w], { lr: 1, momentum: 0.5 }).step([tensor([1, 1, 1, 1, 1])])
      expect([...before.data(), ...after.data()]).toEqual([7, 7, 7, 7, 7, 7])
    })
  })

  it('leaves an infinite weight alone without weight decay', () => {
    scope(() => {
      const w = tensor([Infinity, 1])
      new SGD([w], { lr: 1 }).step([tensor([1, 1])])
      expect([...w.data()]).toEqual([Infinity, 0])
    })
  })

  it('keeps a velocity only where there is momentum', () => {
    scope(() => {
      const w = tensor([1, 2])
      const before = memoryUsage().blocks
      const plain = new SGD([w], { lr: 1 })
      expect(memoryUsage().blocks).toBe(before)
      const heavy = new SGD([w], { lr: 1, momentum: 0.9 })
      expect(memoryUsage().blocks).toBe(before + 1)
      heavy.dispose()
      plain.dispose()
      expect(memoryUsage().blocks).toBe(before)
    })
  })

  it.each<[string, SGDOptions, RegExp]>([
    ['NaN lr', { lr: NaN }, /^SGD: lr must be a finite number from 0 on, given NaN$/],
    ['negative lr', { lr: -1 }, /lr must be a finite number from 0 on, given -1/],
    ['missing lr', {} as SGDOptions, /lr must be a finite number from 0 on, given undefined/],
    ['infinite momentum', { lr: 1, momentum: Infinity }, /momentum must be a finite number from 0 on, given Infinity/],
    ['weight decay', { lr: 1, weightDecay: -1e-4 }, /weightDecay must be/],
    ['dampening', { lr: 1, momentum: 0.5, dampening: NaN }, /dampening must be/],
    ['nesterov without momentum', { lr: 1, nesterov: true }, /nesterov needs a momentum above 0 and no dampening/],
    ['nesterov with dampening', { lr: 1, nesterov: true, momentum: 0.5, dampening: 0.1 }, /and dampening 0.1/],
  ])('refuses a wrong option: %s', (_, options, message) => {
    scope(() => {
      const w = tensor([1])
      const before = memoryUsage().liveBytes
      expect(() => new SGD([w], options)).toThrow(message)
      expect(() => new SGD([w], options)).toThrow(ShapeError)
      expect(memoryUsage().liveBytes).toBe(before)
    })
  })
})
