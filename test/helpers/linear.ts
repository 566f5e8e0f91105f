/** Checks that hold for every operation that is linear in its tensors. */
import { expect } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { multiplyMatrix, transposeMatrix, type SparseMatrix } from '../../src/ops/convMatrix.js'
import { tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectClose, type OracleCase } from './oracle.js'
import { difference } from './reference.js'

/** Small whole numbers from −4 to 4, or fractions, from a seed. */
export function numbers(count: number, seed: number, integers = true): Float32Array {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return integers ? ((state >>> 8) % 9) - 4 : (state >>> 8) / 2 ** 23 - 1
  })
}

export const numbersLike = (shape: readonly number[], seed: number, integers = true): Tensor =>
  tensor(
    numbers(
      shape.reduce((total, extent) => total * extent, 1),
      seed,
      integers,
    ),
    shape,
  )

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** ⟨f(x), y⟩ = ⟨x, fᵀ(y)⟩: exact for small whole numbers, for each of the tensors f is linear in. */
export function expectAdjoint(operation: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): void {
  const { value, pullback, dispose } = vjp(operation, ...inputs)
  const y = numbersLike(value.shape, 77)
  const left = dot(value.data(), y.data())
  pullback(y).forEach((gradient, index) => {
    expect(dot(gradient.data(), inputs[index]!.data())).toBe(left)
  })
  dispose()
}

/** f(x) of one image is the product with the matrix, and its gradient the product with the transposed matrix. */
export function expectMatrix(matrix: SparseMatrix, operation: (x: Tensor) => Tensor, x: Tensor): void {
  const { value, pullback, dispose } = vjp((input) => operation(input), x)
  expect(value.size).toBe(matrix.rows)
  expect(x.size).toBe(matrix.cols)
  expect(difference(value.data(), multiplyMatrix(matrix, x.data())).error).toBe(0)
  const y = numbersLike(value.shape, 78)
  expect(difference(pullback(y)[0]!.data(), multiplyMatrix(transposeMatrix(matrix), y.data())).error).toBe(0)
  dispose()
}

/** Value and every gradient of one case of PyTorch's. */
export function expectOracle(
  test: OracleCase,
  operation: (inputs: Readonly<Record<string, Tensor>>, options: OracleCase['options']) => Tensor,
): void {
  scope(() => {
    const names = [...test.inputs.keys()]
    const inputs = [...test.inputs.values()].map(({ data, shape }) => tensor(data, shape))
    const { value, pullback, dispose } = vjp(
      (...given) => operation(Object.fromEntries(names.map((name, i) => [name, given[i]!])), test.options),
      ...inputs,
    )
    const y = test.outputs.get('y')!
    expect(value.shape).toEqual(y.shape)
    expectClose(value.data(), y.data)
    const gradients = pullback(tensor(test.dy!.data, test.dy!.shape))
    expect(test.gradients.size).toBeGreaterThan(0)
    for (const [name, reference] of test.gradients) expectClose(gradients[names.indexOf(name)]!.data(), reference.data)
    dispose()
  })
}
