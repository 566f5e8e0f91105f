import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import { linear, matmul } from '../../src/ops/linear.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectAdjoint, expectOracle, numbers, numbersLike } from '../helpers/linear.js'
import { oracleCases } from '../helpers/oracle.js'
import { difference } from '../helpers/reference.js'

beforeAll(() => init())

interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly at: (row: number, column: number) => number
}

const matrix = (values: ArrayLike<number>, rows: number, columns: number): Matrix => ({
  rows,
  columns,
  at: (row, column) => values[row * columns + column]!,
})

const transpose = ({ rows, columns, at }: Matrix): Matrix => ({
  rows: columns,
  columns: rows,
  at: (row, column) => at(column, row),
})

/** a · b by its definition. */
function product(a: Matrix, b: Matrix): Float64Array {
  const result = new Float64Array(a.rows * b.columns)
  for (let m = 0; m < a.rows; m++)
    for (let n = 0; n < b.columns; n++)
      for (let k = 0; k < a.columns; k++) result[m * b.columns + n]! += a.at(m, k) * b.at(k, n)
  return result
}

interface Case {
  readonly M: number
  readonly N: number
  readonly K: number
  readonly integers: boolean
  readonly seed: number
}

/** Every remainder of the tile of 4 × 8, with one row and one column. */
const cases: fc.Arbitrary<Case> = fc.record({
  M: fc.integer({ min: 1, max: 13 }),
  N: fc.integer({ min: 1, max: 19 }),
  K: fc.integer({ min: 1, max: 40 }),
  integers: fc.boolean(),
  seed: fc.integer({ min: 1, max: 1e6 }),
})

/** Exact for small whole numbers; else within the error of a sum of K rounded products. */
function expectNear(given: Tensor, shape: number[], wanted: ArrayLike<number>, integers: boolean): void {
  expect(given.shape).toEqual(shape)
  const { error, scale } = difference(given.data(), wanted)
  expect(error).toBeLessThanOrEqual(integers ? 0 : 1e-5 * scale + 1e-6)
}

function checkMatmul({ M, N, K, integers, seed }: Case): void {
  const [as, bs, dys] = [M * K, K * N, M * N].map((count, i) => numbers(count, seed + i, integers))
  const [a, b, dy] = [matrix(as!, M, K), matrix(bs!, K, N), matrix(dys!, M, N)]
  scope(() => {
    const { value, pullback, dispose } = vjp(matmul, tensor(as!, [M, K]), tensor(bs!, [K, N]))
    expectNear(value, [M, N], product(a, b), integers)
    const [da, db] = pullback(tensor(dys!, [M, N])) as [Tensor, Tensor]
    expectNear(da, [M, K], product(dy, transpose(b)), integers)
    expectNear(db, [K, N], product(transpose(a), dy), integers)
    dispose()
  })
}

function checkLinear({ M, N, K, integers, seed }: Case, biased: boolean): void {
  const [xs, ws, dys, bs] = [M * K, N * K, M * N, N].map((count, i) => numbers(count, seed + i, integers))
  const [x, w, dy] = [matrix(xs!, M, K), matrix(ws!, N, K), matrix(dys!, M, N)]
  const y = product(x, transpose(w)).map((value, i) => value + (biased ? bs![i % N]! : 0))
  const db = new Float64Array(N)
  dys!.forEach((value, i) => (db[i % N]! += value))
  scope(() => {
    const bias = biased ? [tensor(bs!)] : []
    const { value, pullback, dispose } = vjp(linear, tensor(xs!, [M, K]), tensor(ws!, [N, K]), ...bias)
    expectNear(value, [M, N], y, integers)
    const [dx, dw, dbias] = pullback(tensor(dys!, [M, N])) as [Tensor, Tensor, Tensor | undefined]
    expectNear(dx, [M, K], product(dy, w), integers)
    expectNear(dw, [N, K], product(transpose(dy), x), integers)
    if (dbias) expectNear(dbias, [N], db, integers)
    expect(dbias !== undefined).toBe(biased)
    dispose()
  })
}

describe('matmul', () => {
  it('agrees with the definition, exactly for small integers, with both gradients', () => {
    fc.assert(fc.property(cases, checkMatmul), { numRuns: 300 })
  })

  it('agrees over every remainder of the register tile', () => {
    for (let M = 1; M <= 9; M++)
      for (let N = 1; N <= 17; N++) checkMatmul({ M, N, K: 3, integers: true, seed: M * 20 + N })
  })

  it.each([1023, 1024, 1025, 2049, 2500])('agrees where k fills more than one block: %i', (K) => {
    checkMatmul({ M: 5, N: 9, K, integers: true, seed: K })
    checkMatmul({ M: 6, N: 3, K, integers: false, seed: K })
    // The long extent is an outer one for the gradients of the others.
    checkMatmul({ M: K, N: 3, K: 2, integers: true, seed: K })
    checkMatmul({ M: 2, N: K, K: 3, integers: true, seed: K })
  })

  it('multiplies by the identity exactly, and keeps NaN and infinity where they belong', () => {
    scope(() => {
      const a = tensor([
        [0.1, Infinity],
        [NaN, -2.5],
      ])
      const swap = tensor([
        [1, 0],
        [0, 1],
      ])
      // Infinity · 0 is NaN.
      expect([...matmul(a, swap).data()]).toEqual([NaN, Infinity, NaN, NaN])
      expect([...matmul(tensor([[0.1, -3e38]]), swap).data()]).toEqual([0.1, -3e38].map(Math.fround))
    })
  })

  it('does not depend on how the rows are divided', () => {
    scope(() => {
      const [a, b] = [normal([11, 30], { seed: 1 }), normal([30, 13], { seed: 2 })]
      const whole = matmul(a, b).data()
      const values = a.data()
      for (let m = 0; m < 11; m++) {
        const row = tensor(values.subarray(m * 30, (m + 1) * 30), [1, 30])
        expect(matmul(row, b).data()).toEqual(whole.slice(m * 13, (m + 1) * 13))
      }
    })
  })

  it('is its own adjoint, and can be differentiated twice', () => {
    scope(() => {
      expectAdjoint((a) => matmul(a, numbersLike([7, 5], 3)), [numbersLike([6, 7], 1)])
      expectAdjoint((b) => matmul(numbersLike([7, 5], 3), b), [numbersLike([5, 9], 1)])
      const b = normal([3, 4], { seed: 2 })
      const dy = normal([2, 4], { seed: 3 })
      // The gradient with respect to b is aᵀ · dy: linear in a.
      expectAdjoint(
        (a) => vjp((given) => matmul(a, given), b).pullback(numbersLike([2, 4], 3))[0]!,
        [numbersLike([2, 3], 1)],
      )
      expect(gradcheck((a) => vjp((given) => matmul(given, b), a).pullback(dy)[0]!, [normal([2, 3])]).ok).toBe(true)
    })
  })

  it.each<[string, () => unknown, RegExp]>([
    ['rank of a', () => matmul(zeros([2]), zeros([2, 3])), /^matmul: a must be \(M, K\), given \(2\)$/],
    ['rank of b', () => matmul(zeros([2, 3]), zeros([1, 3, 2])), /^matmul: b must be \(K, N\), given \(1, 3, 2\)$/],
    [
      'inner extent',
      () => matmul(zeros([2, 3]), zeros([2, 3])),
      /^matmul: a \(2, 3\) and b \(2, 3\) do not fit; b must be \(3, N\)$/,
    ],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(message)
      expect(call).toThrow(ShapeError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
})

describe('linear', () => {
  it('agrees with the definition, exactly for small integers, with all gradients', () => {
    fc.assert(fc.property(cases, fc.boolean(), checkLinear), { numRuns: 300 })
  })

  it('agrees over every remainder of the register tile', () => {
    for (let M = 1; M <= 5; M++)
      for (let N = 1; N <= 17; N++) checkLinear({ M, N, K: 6, integers: true, seed: M * 20 + N }, N % 2 === 0)
  })

  it.each([1024, 1025, 3000])('agrees where k fills more than one block: %i', (K) => {
    checkLinear({ M: 3, N: 10, K, integers: true, seed: K }, true)
    checkLinear({ M: 1, N: 4, K, integers: false, seed: K }, true)
    checkLinear({ M: K, N: 2, K: 3, integers: true, seed: K }, true)
  })

  it.each(oracleCases('linear'))('agrees with PyTorch, case $id', (test) => {
    scope(() => {
      expectOracle(test, ({ x, w, bias }) => linear(x!, w!, bias))
    })
  })

  it('computes only the gradients that are asked for', () => {
    scope(() => {
      const [x, w, bias] = [normal([2, 3]), normal([4, 3]), normal([4])] as [Tensor, Tensor, Tensor]
      const { pullback } = vjp((given) => linear(x, w, given), bias)
      expect(pullback(zeros([2, 4])).map(({ shape }) => shape)).toEqual([[4]])
    })
  })

  it('leaves no memory behind', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const { pullback, dispose } = vjp(linear, normal([5, 7]), normal([3, 7]), normal([3]))
      pullback(zeros([5, 3]))
      dispose()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  const x = (): Tensor => zeros([2, 3])
  const w = (): Tensor => zeros([4, 3])
  it.each<[string, () => unknown, RegExp]>([
    [
      'rank of x',
      () => linear(zeros([1, 3, 1]), w()),
      /^linear: x must be \(N, in\); flatten\(\) it first, given \(1, 3, 1\)$/,
    ],
    ['rank of w', () => linear(x(), zeros([3])), /^linear: w must be \(out, in\), given \(3\)$/],
    [
      'number of features',
      () => linear(x(), zeros([3, 4])),
      /^linear: x \(2, 3\) has 3 features, w \(3, 4\) takes 4; w must be \(out, 3\)$/,
    ],
    ['bias', () => linear(x(), w(), zeros([3])), /^linear: bias must be \(4\) as w has 4 rows, given \(3\)$/],
    ['rank of bias', () => linear(x(), w(), zeros([1, 4])), /bias must be \(4\)/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(message)
      expect(call).toThrow(ShapeError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('refuses tensors that were disposed', () => {
    scope(() => {
      const dead = w()
      dead.dispose()
      expect(() => linear(x(), dead)).toThrow(DisposedError)
      expect(() => matmul(dead, zeros([3, 2]))).toThrow(DisposedError)
    })
  })
})
