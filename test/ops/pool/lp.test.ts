import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../../src/autodiff/gradcheck.js'
import { vjp } from '../../../src/autodiff/vjp.js'
import { lpPool1d, lpPool2d } from '../../../src/ops/pool/lp.js'
import { init } from '../../../src/runtime/embedded.js'
import { normal, ones, tensor, uniform, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { numbers } from '../../helpers/linear.js'
import {
  cases,
  compare,
  expectFiniteDifferences,
  itAgreesWithPyTorch,
  options,
  sliding,
  visitWindows,
  type Naive,
  type Window,
  type Windows,
} from '../../helpers/pool.js'
import { size } from '../../helpers/reference.js'
import { expectSecond, secondDerivatives } from '../../helpers/second.js'
import { itRefuses } from '../../helpers/refusals.js'

beforeAll(() => init())

const lpPools = [lpPool1d, lpPool2d]

const x2 = (): Tensor => zeros([1, 4, 5, 5])

const naivePower = (p: number, full: number): Naive => {
  const sum = (x: Float32Array, { from, counted }: Window): number =>
    (from.reduce((total, i) => total + x[i]! ** p, 0) * full) / counted
  return {
    value: (x, window) => sum(x, window) ** (1 / p),
    gradient(dx, dy, x, window) {
      const y = sum(x, window) ** (1 / p)
      if (y === 0 && p !== 1) return
      for (const i of window.from) dx[i]! += ((dy * y ** (1 - p) * full) / window.counted) * x[i]! ** (p - 1)
    },
  }
}

describe('p-norm pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(cases(2, 1), fc.constantFrom(2, 1, 3, 4, 1.5, 0.5, 2.7), (test, p) => {
        const xShape = [...test.maps, ...test.input]
        const positive = p !== 2 && p !== 4
        const x = numbers(size(xShape), test.seed, false).map((value) => (positive ? Math.abs(value) + 0.1 : value))
        const pool = lpPools[test.directions - 1]!
        const { kernel, stride, ceil } = test
        const windows: Windows = { ...options(test), padding: test.input.map((): [number, number] => [0, 0]) }
        const ranges = test.input.map((n, axis) => sliding(n, windows, axis))
        fc.pre(ranges.every(({ length }) => length > 0))
        compare(
          (input) => pool(input, { kernel, stride, ceil, p }),
          naivePower(p, size(kernel)),
          x,
          xShape,
          ranges,
          3e-5,
        )
      }),
      { numRuns: 200 },
    )
  })

  it('has the gradient 0 where the norm is 0', () => {
    scope(() => {
      const { value, pullback } = vjp(
        (x) => lpPool2d(x, { kernel: 2 }),
        tensor([
          [
            [
              [0, 0, 3],
              [0, 0, 4],
            ],
          ],
        ]),
      )
      expect([...value.data()]).toEqual([0])
      expect([...pullback(tensor([[[[1]]]]))[0]!.data()]).toEqual([0, 0, 0, 0, 0, 0])
    })
  })

  it.each([
    { shape: [1, 1, 7], kernel: [3], stride: [2], ceil: false },
    { shape: [2, 1, 5], kernel: [2], stride: [2], ceil: true },
    { shape: [1, 2, 4, 3], kernel: [2, 2], stride: [1, 1], ceil: false },
    { shape: [1, 1, 5, 5], kernel: [2, 3], stride: [2, 2], ceil: true },
    { shape: [2, 1, 3, 5], kernel: [3, 2], stride: [3, 2], ceil: false },
  ])('has the second derivatives of its definition: %j', ({ shape, kernel, stride, ceil }) => {
    const pool = lpPools[kernel.length - 1]!
    const [padding, dilation] = [kernel.map((): [number, number] => [0, 0]), kernel.map(() => 1)]
    const windows: Windows = { kernel, stride, padding, dilation, ceil }
    const ranges = kernel.map((_, axis) => sliding(shape[axis + 2]!, windows, axis))
    for (const p of [1, 2, 3, 4, 1.5, 0.5]) {
      const naive = naivePower(p, size(kernel))
      scope(() => {
        const x = uniform(shape, { low: 0.5, high: 1.5, seed: 8 })
        expectSecond(
          (input) => pool(input, { kernel, stride, ceil, p }),
          (values) => Array.from(visitWindows(shape, ranges), (window) => naive.value(values as never, window)),
          [x],
        )
      })
    }
  })

  it('has second derivatives by x of any sign, and a third', () => {
    scope(() => {
      const inputs = [normal([1, 1, 6], { seed: 2 }), normal([1, 1, 3], { seed: 3 })]
      const weights = normal([1, 1, 6], { seed: 4 })
      const f = (x: Tensor): Tensor => lpPool1d(x, { kernel: 2 })
      for (const k of [0, 1]) {
        const second = (...given: Tensor[]): Tensor => secondDerivatives(f, 0, weights, given)[k]!
        expect(gradcheck(second, inputs, { step: 3e-3 }).ok).toBe(true)
      }
    })
  })

  it.each([1, 1.5, 2, 3])('has second derivatives of 0 in windows of zeros, p = %d', (p) => {
    scope(() => {
      const inputs = [tensor([[[0, 0, 3, 4]]]), tensor([[[1, 1]]])]
      const [dx, ddy] = secondDerivatives((x) => lpPool1d(x, { kernel: 2, p }), 0, ones([1, 1, 4]), inputs)
      expect([...dx!.data().subarray(0, 2)]).toEqual([0, 0])
      expect(dx!.data().every(Number.isFinite)).toBe(true)
      expect(ddy!.data()[0]).toBe(p === 1 ? 2 : 0)
    })
  })

  itAgreesWithPyTorch({ lpPool2d })

  it('has the gradients that finite differences show', () => {
    expectFiniteDifferences((t) => lpPool2d(t, { kernel: 2, stride: 1 }))
  })

  itRefuses(
    ['missing options of a norm', () => lpPool2d(x2(), undefined as never), /lpPool2d: kernel must be/],
    ['p', () => lpPool2d(x2(), { kernel: 2, p: 0 }), /lpPool2d: p must be a positive number, given 0/],
    ['p of infinity', () => lpPool2d(x2(), { kernel: 2, p: Infinity }), /p must be a positive number, given Infinity/],
  )
})
