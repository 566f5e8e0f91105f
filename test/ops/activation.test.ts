import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import * as activations from '../../src/ops/activation.js'
import { add, elu, gelu, leakyRelu, relu, scaledTanh, sigmoid, silu, softplus, tanh } from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectOracle } from '../helpers/linear.js'
import { isRecorded, oracleCases } from '../helpers/oracle.js'

beforeAll(() => init())

describe.each(Object.entries(activations))('%s', (name, f) => {
  it.each(isRecorded(name) ? oracleCases(name) : [])('agrees with PyTorch, case $id', (test) => {
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
  it('are compared with PyTorch, those that were there when its results were recorded', () => {
    expect(Object.keys(activations).filter(isRecorded)).toHaveLength(9)
  })

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
