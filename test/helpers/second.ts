/** Second derivatives against those of a definition in float64. */
import { expect } from 'vitest'
import { grad, vjp, type TensorFunction } from '../../src/autodiff/vjp.js'
import { mul } from '../../src/ops/elementwise.js'
import { sum } from '../../src/ops/reduce.js'
import { uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { difference } from './reference.js'

/** The gradient of ⟨weights, the gradient of ⟨dy, f⟩ by input k⟩ by every input and by dy, which is the last. */
export function secondDerivatives(f: TensorFunction, k: number, weights: Tensor, given: readonly Tensor[]): Tensor[] {
  return grad((...at) => {
    const dy = at[at.length - 1] as Tensor
    const { pullback, dispose } = vjp(f, ...at.slice(0, -1))
    const gradient = pullback(dy)[k] as Tensor
    dispose()
    return sum(mul(gradient, weights))
  })(...given)
}

/** A definition in float64: all elements of the inputs, to those of the output. */
export type Definition = (...inputs: Float64Array[]) => ArrayLike<number>

/**
 * Compares the second derivatives of ⟨dy, f⟩ by every pair of inputs, and by every input and dy, with central differences of
 * the definition of f alone, which owes nothing to the gradients of the library.
 */
export function expectSecond(
  f: TensorFunction,
  definition: Definition,
  inputs: readonly Tensor[],
  tolerance = 3e-5,
): void {
  scope(() => {
    const dy = uniform(f(...inputs).shape, { low: -1, high: 1, seed: 91 })
    const seeds = dy.data()
    const places = inputs.map((input) => Float64Array.from(input.data()))
    const step = 1e-3
    /** f where input k is moved along `direction`, and element i of input j besides. */
    const at = (k: number, direction: Float32Array, far: number, j = 0, i = 0, near = 0): ArrayLike<number> => {
      const moved = places.map((place) => place.slice())
      direction.forEach((value, index) => (moved[k]![index]! += far * value))
      moved[j]![i]! += near
      return definition(...moved)
    }
    const project = (y: ArrayLike<number>): number => Array.from(y).reduce((total, v, i) => total + v * seeds[i]!, 0)
    inputs.forEach((input, k) => {
      const weights = uniform(input.shape, { low: -1, high: 1, seed: 92 + k })
      const direction = weights.data()
      const given = secondDerivatives(f, k, weights, [...inputs, dy])
      const [high, low] = [at(k, direction, step), at(k, direction, -step)]
      const byDy = Array.from(high, (value, i) => (value - low[i]!) / (2 * step))
      const wanted = places.map((place, j) =>
        Array.from(place, (_, i) => {
          const corner = (far: number, near: number): number => project(at(k, direction, far, j, i, near))
          const mixed = corner(step, step) - corner(step, -step) - corner(-step, step) + corner(-step, -step)
          return mixed / (4 * step * step)
        }),
      )
      ;[...wanted, byDy].forEach((reference, j) => {
        const { error, scale } = difference(given[j]!.data(), reference)
        expect(error, `of input ${k} by ${j < inputs.length ? `input ${j}` : 'dy'}`).toBeLessThanOrEqual(
          tolerance * Math.max(1, scale),
        )
      })
    })
  })
}
