/** Groups of parameters, in every optimizer. */
import { beforeAll, describe, expect, it } from 'vitest'
import { Adagrad, Adam, AdamW, RMSprop, SGD, type Optimizer, type ParameterGroup } from '../../src/optim/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

interface Options {
  readonly lr: number
  readonly weightDecay?: number
}
type Given = readonly Tensor[] | readonly ParameterGroup<Options>[]

const makers: Record<string, (given: Given, options?: Partial<Options>) => Optimizer> = {
  SGD: (given, options) => new SGD(given as Tensor[], options as Options),
  'SGD with momentum': (given, options) => new SGD(given as Tensor[], { momentum: 0.9, ...options } as Options),
  Adam: (given, options) => new Adam(given, options),
  AdamW: (given, options) => new AdamW(given, options),
  RMSprop: (given, options) => new RMSprop(given, { momentum: 0.5, ...options }),
  Adagrad: (given, options) => new Adagrad(given, options),
}

const three = (): [Tensor, Tensor, Tensor] => [normal([5], { seed: 1 }), normal([2, 3], { seed: 2 }), tensor([1, 2])]
const gradients = (step: number): [Tensor, Tensor, Tensor] => [
  normal([5], { seed: 10 + step }),
  normal([2, 3], { seed: 20 + step }),
  normal([2], { seed: 30 + step }),
]

describe.each(Object.entries(makers))('groups of %s', (_, make) => {
  it('are optimizers of their own, to the bit', () => {
    scope(() => {
      const [a, b, c] = three()
      const together = make(
        [
          { parameters: [a, b], lr: 0.05 },
          { parameters: [c], weightDecay: 0.3 },
        ],
        { lr: 0.02, weightDecay: 0.1 }, // prettier-ignore
      )
      expect(together.parameters).toEqual([a, b, c])
      const [d, e, f] = three()
      const first = make([d, e], { lr: 0.05, weightDecay: 0.1 })
      const second = make([f], { lr: 0.02, weightDecay: 0.3 })
      for (let step = 0; step < 4; step++) {
        const [ga, gb, gc] = gradients(step)
        together.step([ga, gb, gc])
        first.step([ga, gb])
        second.step([gc])
      }
      for (const [own, other] of [[a, d], [b, e], [c, f]] as const) expect(own.data()).toEqual(other.data()) // prettier-ignore
      for (const optimizer of [together, first, second]) optimizer.dispose()
    })
  })

  it('follow a schedule in proportion', () => {
    scope(() => {
      const [a, b, c] = three()
      const groups = make([{ parameters: [a], lr: 0.4 }, { parameters: [b, c] }], { lr: 0.1 })
      const [d, e, f] = three()
      const own = make([d], { lr: 0.4 })
      const others = make([e, f], { lr: 0.1 })
      for (const [step, rate] of [0.1, 0.05, 0].entries()) {
        groups.lr = rate
        own.lr = 4 * rate
        others.lr = rate
        const [ga, gb, gc] = gradients(step)
        groups.step([ga, gb, gc])
        own.step([ga])
        others.step([gb, gc])
      }
      a.data().forEach((value, i) => {
        expect(value).toBeCloseTo(d.data()[i]!, 5)
      })
      expect(b.data()).toEqual(e.data())
      expect(c.data()).toEqual(f.data())
      for (const optimizer of [groups, own, others]) optimizer.dispose()
    })
  })

  it('go on from a saved state to the bit', () => {
    scope(() => {
      const started = (): { parameters: Tensor[]; optimizer: Optimizer } => {
        const [a, b, c] = three()
        const groups = [{ parameters: [a], lr: 0.3 }, { parameters: [b, c], weightDecay: 0.2 }] // prettier-ignore
        return { parameters: [a, b, c], optimizer: make(groups, { lr: 0.1 }) }
      }
      const whole = started()
      const begun = started()
      for (let step = 0; step < 3; step++) {
        whole.optimizer.step(gradients(step))
        begun.optimizer.step(gradients(step))
      }
      const resumed = started()
      resumed.parameters.forEach((parameter, index) => {
        parameter.assign(begun.parameters[index]!.data())
      })
      resumed.optimizer.loadState(begun.optimizer.state())
      for (const { optimizer } of [whole, resumed]) for (let step = 3; step < 6; step++) optimizer.step(gradients(step))
      resumed.parameters.forEach((parameter, index) => {
        expect(parameter.data()).toEqual(whole.parameters[index]!.data())
      })
      for (const { optimizer } of [whole, begun, resumed]) optimizer.dispose()
    })
  })
})

describe('groups', () => {
  it('may all have their own rate, and options of their own', () => {
    scope(() => {
      const [a, b, c] = three()
      const optimizer = new SGD([{ parameters: [a], lr: 0.5 }, { parameters: [b, c], lr: 0.25, momentum: 0.9 }]) // prettier-ignore
      expect(optimizer.lr).toBe(0.5)
      expect(Object.keys(optimizer.state().tensors)).toEqual(['velocity.1', 'velocity.2'])
      optimizer.dispose()
    })
  })

  const a = (): Tensor => tensor([1, 2])
  const shared = (): ParameterGroup<Options>[] => {
    const w = a()
    return [{ parameters: [w] }, { parameters: [w] }]
  }
  it.each<[string, () => unknown, RegExp]>([
    [
      'no rate',
      () => new SGD([{ parameters: [a()] }]),
      /^SGD: group 0: lr must be a finite number from 0 on, given undefined/,
    ],
    [
      'no rate in one',
      () => new SGD([{ parameters: [a()], lr: 1 }, { parameters: [a()] }]),
      /^SGD: group 1: lr must be/,
    ],
    ['no parameters', () => new Adam([{ parameters: [] }]), /^Adam: group 0: parameters must be an array/],
    ['nothing that is trained', () => new Adam([]), /given none; is every layer frozen\?$/],
    [
      'another word',
      () => new Adam([{ params: [] }] as never),
      /there is no option 'params'; did you mean 'parameters'\?/,
    ],
    ['one parameter in two', () => new Adam(shared()), /^Adam: parameters 0 and 1 share their memory/],
    [
      'a misspelt option',
      () => new Adam([{ parameters: [a()], learningRate: 1 } as never]),
      /^Adam: group 0: there is no option 'learningRate'; did you mean 'lr'\?/,
    ],
    [
      'a wrong option',
      () => new RMSprop([{ parameters: [a()], alpha: 1 }]),
      /alpha must be at least 0 and less than 1/,
    ],
    [
      'a rate of 0 for the others',
      () => new SGD([{ parameters: [a()], lr: 1 }, { parameters: [a()] }], { lr: 0 }),
      /^SGD: lr must be above 0 where a group has a rate of its own/,
    ],
    ['groups and parameters', () => new SGD([{ parameters: [a()] }, a()] as never, { lr: 1 }), /^SGD: group 1/],
  ])('refuse %s, and keep no memory', (_, make, message) => {
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(make).toThrow(ShapeError)
      expect(make).toThrow(message)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each<[string, () => unknown, RegExp]>([
    [
      'SGD',
      () => new SGD([a()], { lr: 1, learning_rate: 2 } as never),
      /^SGD: there is no option 'learning_rate'; did you mean 'lr'\? There are lr, momentum, nesterov, weightDecay, dampening$/,
    ],
    [
      'Adam',
      () => new Adam([a()], { learningRate: 1e-3 } as never),
      /^Adam: there is no option 'learningRate'; did you mean 'lr'\?/,
    ],
    [
      'AdamW',
      () => new AdamW([a()], { decay: 1e-3 } as never),
      /^AdamW: there is no option 'decay'; did you mean 'weightDecay'\?/,
    ],
    [
      'RMSprop',
      () => new RMSprop([a()], { rho: 0.9 } as never),
      /^RMSprop: there is no option 'rho'; there are lr, alpha/,
    ],
    [
      'Adagrad',
      () => new Adagrad([a()], { epsilon: 1 } as never),
      /^Adagrad: there is no option 'epsilon'; did you mean 'eps'\?/,
    ],
    [
      'options that are a number',
      () => new SGD([a()], 0.1 as never),
      /^SGD: the options must be an object, given 0.1$/,
    ],
  ])('%s: a name that there is none of is refused', (_, make, message) => {
    scope(() => {
      expect(make).toThrow(ShapeError)
      expect(make).toThrow(message)
    })
  })
})
