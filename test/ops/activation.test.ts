import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { activations } from '../../src/ops/activation.js'
import { add, elu, gelu, leakyRelu, relu, scaledTanh, sigmoid, silu, softplus, tanh } from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectDerivatives, expectElementwise, type Elementwise } from '../helpers/elementwise.js'
import { expectOracle } from '../helpers/linear.js'
import { oracleCases } from '../helpers/oracle.js'
import { normalCdf } from '../helpers/special.js'

beforeAll(() => init())

const logistic = (x: number): number => 1 / (1 + Math.exp(-x))
const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
const cubic = (x: number): number => 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)

const functions: Elementwise[] = [
  { name: 'relu', f: relu, value: (x) => Math.max(x, 0), derivative: (x) => (x > 0 ? 1 : 0), smooth: [0.1, 4] },
  {
    name: 'leakyRelu',
    f: leakyRelu,
    value: (x) => (x > 0 ? x : Math.fround(0.01) * x),
    derivative: (x) => (x > 0 ? 1 : 0.01),
    smooth: [-4, -0.1],
  },
  {
    name: 'leakyRelu of slope 0.3',
    f: (x) => leakyRelu(x, { negativeSlope: 0.3 }),
    value: (x) => (x > 0 ? x : Math.fround(0.3) * x),
    derivative: (x) => (x > 0 ? 1 : 0.3),
    smooth: [-4, -0.1],
  },
  {
    name: 'elu',
    f: elu,
    value: (x) => (x > 0 ? x : Math.expm1(x)),
    derivative: (x) => (x > 0 ? 1 : Math.exp(x)),
    smooth: [-4, -0.1],
  },
  {
    name: 'elu of alpha 0.5',
    f: (x) => elu(x, { alpha: 0.5 }),
    value: (x) => (x > 0 ? x : 0.5 * Math.expm1(x)),
    derivative: (x) => (x > 0 ? 1 : 0.5 * Math.exp(x)),
    smooth: [-4, -0.1],
  },
  { name: 'sigmoid', f: sigmoid, value: logistic, derivative: (x) => logistic(x) * logistic(-x), low: -20, high: 20 },
  { name: 'tanh', f: tanh, value: Math.tanh, derivative: (x) => 1 / Math.cosh(x) ** 2, low: -10, high: 10 },
  {
    name: 'scaledTanh',
    f: scaledTanh,
    value: (x) => 1.7159 * Math.tanh((2 / 3) * x),
    derivative: (x) => (1.7159 * 2) / 3 / Math.cosh((2 / 3) * x) ** 2,
  },
  { name: 'softplus', f: softplus, value: (x) => Math.log1p(Math.exp(x)), derivative: logistic, low: -30, high: 30 },
  {
    name: 'softplus of beta 3',
    f: (x) => softplus(x, { beta: 3 }),
    value: (x) => Math.log1p(Math.exp(3 * x)) / 3,
    derivative: (x) => logistic(3 * x),
  },
  {
    name: 'silu',
    f: silu,
    value: (x) => x * logistic(x),
    derivative: (x) => logistic(x) * (1 + x * logistic(-x)),
    low: -20,
    high: 20,
  },
  {
    name: 'gelu',
    f: gelu,
    value: (x) => x * normalCdf(x),
    derivative: (x) => normalCdf(x) + x * density(x),
    low: -8,
    high: 8,
  },
  {
    name: 'gelu by tanh',
    f: (x) => gelu(x, { approximate: 'tanh' }),
    value: (x) => x * logistic(cubic(x)),
    derivative: (x) => {
      const gate = logistic(cubic(x))
      return gate + x * gate * (1 - gate) * 2 * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x)
    },
  },
]

describe.each(functions)('$name', (test) => {
  it('agrees with float64 over every remainder, with its gradient', () => {
    expectElementwise(test)
  })

  it('can be differentiated twice', () => {
    expectDerivatives(test)
  })
})

describe.each(Object.entries(activations))('%s', (name, f) => {
  it.each(oracleCases(name))('agrees with PyTorch, case $id', (test) => {
    expect(test.options).toEqual({})
    expectOracle(test, ({ x }) => f(x!))
  })

  it('gives NaN for NaN and no NaN for anything else, gradients included', () => {
    scope(() => {
      const x = tensor([NaN, Infinity, -Infinity, 3e38, -3e38, 1e-45, 0, -0, 90, -90])
      const { value, pullback, dispose } = vjp((t) => f(t), x)
      const isNaN = [...value.data()].map(Number.isNaN)
      expect(isNaN).toEqual([true, ...new Array<boolean>(9).fill(false)])
      expect([...pullback(ones([10]))[0]!.data()].slice(1).some(Number.isNaN)).toBe(false)
      dispose()
    })
  })

  it('refuses what is not a tensor', () => {
    expect(() => f(3 as never)).toThrow(new RegExp(`${name}: x must be a Tensor, not 3;`))
  })
})

describe('activations', () => {
  it('pass the gradient through NaN and stop it at zero, as PyTorch does', () => {
    scope(() => {
      const { pullback, dispose } = vjp((t) => relu(t), tensor([NaN, 0, -0, 1e-45, -1e-45]))
      expect([...pullback(tensor([2, 2, 2, 2, 2]))[0]!.data()]).toEqual([2, 0, 0, 2, 0])
      dispose()
    })
  })

  it('keep the output and free the input where the output is enough', () => {
    scope(() => {
      const x = ones([1024])
      const kept = (f: (x: Tensor) => Tensor): number => {
        const before = memoryUsage().liveBytes
        const { value, dispose } = vjp((t) => f(add(t, 1)), x)
        const after = memoryUsage().liveBytes
        dispose()
        value.dispose()
        return (after - before) / 4096
      }
      for (const f of [relu, leakyRelu, elu, sigmoid, tanh, scaledTanh]) expect(kept(f)).toBe(1)
      for (const f of [softplus, gelu, silu]) expect(kept(f)).toBe(2)
      const before = memoryUsage().liveBytes
      vjp((t) => relu(t), x).dispose()
      expect(memoryUsage().liveBytes - before).toBe(4096)
    })
  })

  it.each<[string, (x: Tensor) => Tensor, RegExp]>([
    ['negative slope', (x) => leakyRelu(x, { negativeSlope: -1 }), /leakyRelu: negativeSlope must be .* given -1/],
    ['slope of NaN', (x) => leakyRelu(x, { negativeSlope: NaN }), /given NaN/],
    ['negative alpha', (x) => elu(x, { alpha: -0.5 }), /elu: alpha must be a finite number from 0 on, given -0.5/],
    ['beta of zero', (x) => softplus(x, { beta: 0 }), /softplus: beta must be a finite number above 0, given 0/],
    ['approximation', (x) => gelu(x, { approximate: 'sine' as 'tanh' }), /must be 'none' or 'tanh', given 'sine'/],
  ])('refuse a wrong %s and allocate nothing', (_, call, message) => {
    scope(() => {
      const x = zeros([4])
      const before = memoryUsage().liveBytes
      expect(() => call(x)).toThrow(ShapeError)
      expect(() => call(x)).toThrow(message)
      expect(memoryUsage().liveBytes).toBe(before)
    })
  })
})
