/** Checks of functions of one tensor, element by element, against float64. */
import { expect } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import { tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import type { Pointwise } from '../operations/index.js'
import { numbers } from './linear.js'

const between = (count: number, seed: number, low: number, high: number): Float32Array =>
  numbers(count, seed, false).map((value) => low + ((value + 1) / 2) * (high - low))

/** Value and gradient over every remainder of the loops: 1 to 40 elements. */
export function expectElementwise<O>({ f, value, derivative, range }: Pointwise<O>, options: O): void {
  const [low, high] = range?.(options) ?? [-4, 4]
  for (let size = 1; size <= 40; size++) {
    scope(() => {
      const x = between(size, size, low, high)
      const dy = numbers(size, size + 50, false)
      const { value: y, pullback, dispose } = vjp((input) => f(input, options), tensor(x))
      const dx = pullback(tensor(dy))[0]!.data()
      y.data().forEach((actual, i) => {
        const exact = value(x[i]!, options)
        expect(Math.abs(actual - exact)).toBeLessThanOrEqual(2e-6 * Math.abs(exact) + 1e-37)
        const slope = dy[i]! * derivative(x[i]!, options)
        expect(Math.abs(dx[i]! - slope)).toBeLessThanOrEqual(4e-6 * Math.max(1, Math.abs(slope)))
      })
      dispose()
    })
  }
}

/** First and second derivatives against finite differences. */
export function expectDerivatives<O>({ f, smooth }: Pointwise<O>, options: O): void {
  scope(() => {
    const x = tensor(between(24, 9, ...(smooth?.(options) ?? [-4, 4])))
    const dy = tensor(numbers(24, 10, false))
    expect(gradcheck((input) => f(input, options), [x]).errors[0]).toBeLessThan(2e-3)
    const gradient = (input: Tensor, weights: Tensor): Tensor => {
      const { pullback, dispose } = vjp((inner) => f(inner, options), input)
      const [dx] = pullback(weights)
      dispose()
      return dx!
    }
    for (const error of gradcheck((input, weights) => gradient(input, weights), [x, dy]).errors) {
      expect(error).toBeLessThan(5e-3)
    }
  })
}
