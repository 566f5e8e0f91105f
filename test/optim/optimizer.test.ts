import { beforeAll, describe, expect, it } from 'vitest'
import { Adagrad, Adam, AdamW, RMSprop, SGD, type Optimizer } from '../../src/optim/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectClose, oracleCases } from '../helpers/oracle.js'

beforeAll(() => init())

type Make = (parameters: Tensor[], options: { lr: number }) => Optimizer

const kinds: [string, Make][] = [
  ['SGD', (parameters, options) => new SGD(parameters, { momentum: 0.9, ...options })],
  ['Adam', (parameters, options) => new Adam(parameters, options)],
  ['AdamW', (parameters, options) => new AdamW(parameters, options)],
  ['RMSprop', (parameters, options) => new RMSprop(parameters, { momentum: 0.5, ...options })],
  ['Adagrad', (parameters, options) => new Adagrad(parameters, options)],
]

describe('PyTorch', () => {
  const makers: Record<string, Make> = {
    sgd: (parameters, options) => new SGD(parameters, options),
    adam: (parameters, options) => new Adam(parameters, options),
    adamW: (parameters, options) => new AdamW(parameters, options),
    rmsprop: (parameters, options) => new RMSprop(parameters, options),
    adagrad: (parameters, options) => new Adagrad(parameters, options),
  }

  it.each(oracleCases('optimizers'))('$op $id makes the same five steps with $options', (test) => {
    scope(() => {
      const w = tensor(test.inputs.get('p0')!.data)
      const optimizer = makers[test.op]!([w], test.options as { lr: number })
      for (let step = 0; step < 5; step++) {
        optimizer.step([tensor(test.inputs.get(`g${step}`)!.data)])
        expectClose(w.data(), test.outputs.get(`p${step + 1}`)!.data)
      }
      optimizer.dispose()
    })
  })
})

describe.each(kinds)('%s', (name, make) => {
  const shapes = [[3, 4], [5], [1]]
  const parameters = (): Tensor[] => shapes.map((shape, index) => normal(shape, { seed: index + 1 }))
  const gradients = (step: number): Tensor[] =>
    shapes.map((shape, index) => uniform(shape, { low: -1, seed: step, stream: index }))

  it('goes on from a saved state with the same bits', () => {
    scope(() => {
      const [ours, theirs] = [parameters(), parameters()]
      const first = make(ours, { lr: 0.1 })
      for (let step = 0; step < 3; step++) first.step(gradients(step))
      first.lr = 0.025
      const state = JSON.parse(
        JSON.stringify(first.state(), (_, value: unknown) => (value instanceof Float32Array ? [...value] : value)),
      ) as ReturnType<Optimizer['state']>
      const second = make(theirs, { lr: 0.7 })
      second.loadState(state)
      theirs.forEach((parameter, index) => {
        parameter.assign(ours[index]!.data())
      })
      for (let step = 3; step < 6; step++) {
        first.step(gradients(step))
        second.step(gradients(step))
      }
      expect(second.lr).toBe(0.025)
      expect(second.steps).toBe(6)
      expect(theirs.map((parameter) => parameter.data())).toEqual(ours.map((parameter) => parameter.data()))
      expect(second.state()).toEqual(first.state())
      first.dispose()
      second.dispose()
    })
  })

  it('keeps its state through scopes, uses no memory for a step, and returns it all', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const own = parameters()
      const optimizer = scope(() => make(own, { lr: 0.1 }))
      const given = gradients(1)
      const live = memoryUsage()
      for (let step = 0; step < 100; step++) optimizer.step(given)
      expect(memoryUsage()).toEqual(live)
      optimizer.dispose()
      optimizer.dispose()
      expect(() => {
        optimizer.step(given)
      }).toThrow(DisposedError)
      expect(() => optimizer.state()).toThrow(DisposedError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('says what is wrong with gradients, and updates nothing then', () => {
    scope(() => {
      const own = parameters()
      const optimizer = make(own, { lr: 0.1 })
      const before = own.map((parameter) => parameter.data())
      const [a, b, c] = gradients(1) as [Tensor, Tensor, Tensor]
      const dead = zeros([1])
      dead.dispose()
      const wrong: [unknown[], RegExp][] = [
        [[a, b], /: step takes one gradient for each of the 3 parameters, given 2$/],
        [[a, c, b], /: gradient 1 must be \(5\) as its parameter, given \(1\)$/],
        [[a, b, 3], /: gradient 2 is not a Tensor of float32$/],
      ]
      for (const [list, message] of wrong) {
        const step = (): void => optimizer.step(list as Tensor[])
        expect(step).toThrow(ShapeError)
        expect(step).toThrow(message)
        expect(step).toThrow(new RegExp(`^${name}: `))
      }
      expect(() => {
        optimizer.step([a, b, dead])
      }).toThrow(DisposedError)
      expect(own.map((parameter) => parameter.data())).toEqual(before)
      expect(optimizer.steps).toBe(0)
      optimizer.dispose()
    })
  })

  it('refuses states that are not its own, and changes nothing then', () => {
    scope(() => {
      const optimizer = make(parameters(), { lr: 0.1 })
      optimizer.step(gradients(1))
      const state = optimizer.state()
      const [key, saved] = Object.entries(state.tensors)[0]!
      const { [key]: _, ...others } = state.tensors
      const refuse = (wrong: typeof state, message: RegExp): void => {
        expect(() => {
          optimizer.loadState(wrong)
        }).toThrow(message)
        expect(optimizer.state()).toEqual(state)
      }
      refuse({ ...state, tensors: others }, /loadState: the state has no '\w+\.0'; it is another optimizer's$/)
      refuse({ ...state, tensors: { ...state.tensors, 'odd.0': saved } }, /loadState: there is no 'odd.0' here/)
      refuse(
        { ...state, tensors: { ...state.tensors, [key]: { shape: [4, 3], data: saved.data } } },
        /must be \(3, 4\), given 12 values of shape \(4, 3\)/,
      )
      refuse(
        { ...state, tensors: { ...state.tensors, [key]: { shape: [3, 4], data: new Float32Array(3) } } },
        /must be \(3, 4\), given 3 values/,
      )
      refuse({ ...state, numbers: { lr: 1 } }, /step must be a whole number from 0 on, given undefined/)
      refuse({ ...state, numbers: { step: 1.5, lr: 1 } }, /given 1.5/)
      refuse({ ...state, numbers: { step: 1 } }, /lr must be a finite number from 0 on, given undefined/)
      optimizer.dispose()
    })
  })

  it('refuses parameters and learning rates that make no sense', () => {
    scope(() => {
      const w = tensor([1, 2])
      expect(() => make([], { lr: 1 })).toThrow(/parameters must be an array of at least one Tensor/)
      expect(() => make([3 as unknown as Tensor], { lr: 1 })).toThrow(/parameter 0 is not a Tensor/)
      expect(() => make([w, w.reshape([2, 1])], { lr: 1 })).toThrow(/parameters 0 and 1 share their memory/)
      const optimizer = make([w], { lr: 1 })
      for (const lr of [NaN, -1, Infinity, '1' as unknown as number]) {
        expect(() => {
          optimizer.lr = lr
        }).toThrow(/lr must be a finite number from 0 on/)
      }
      expect(optimizer.lr).toBe(1)
      optimizer.dispose()
    })
  })
})
