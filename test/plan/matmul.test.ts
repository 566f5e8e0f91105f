import { expect, it } from 'vitest'
import { planMatmul } from '../../src/plan/matmul.js'

it.each([
  [{ M: 1, transposeA: false, transposeB: true }, 'dot'],
  [{ M: 4, transposeA: false, transposeB: true }, 'dot'],
  [{ M: 5, transposeA: false, transposeB: true }, 'gemm'],
  [{ M: 1, transposeA: false, transposeB: false }, 'gemm'],
  [{ M: 2, transposeA: true, transposeB: true }, 'gemm'],
  [{ M: 1, transposeA: true, transposeB: true }, 'dot'],
])('takes inner products where both rows lie in memory as they are: %o by %s', (problem, algorithm) => {
  expect(planMatmul({ N: 9, K: 8, ...problem })).toBe(algorithm)
})
