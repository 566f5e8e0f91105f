/** Determinants against Leibniz's sum. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { determinant } from '../../src/ops/determinant.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { normal, ones, tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'

beforeAll(() => init())

/** Along the first row, by the determinants of what is left. */
function leibniz(a: readonly (readonly number[])[]): number {
  if (a.length === 0) return 1
  return (a[0] as number[]).reduce((sum, value, j) => {
    const rest = a.slice(1).map((row) => row.filter((_, column) => column !== j))
    return sum + (j % 2 ? -value : value) * leibniz(rest)
  }, 0)
}

describe('determinant', () => {
  it('is the sum over all permutations, of each matrix', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        fc.infiniteStream(fc.integer({ min: -4, max: 4 })),
        (n, count, random) => {
          scope(() => {
            const stream = random[Symbol.iterator]()
            const matrices = Array.from({ length: count }, () =>
              Array.from({ length: n }, () => Array.from({ length: n }, () => stream.next().value as number)),
            )
            const y = determinant(tensor(matrices.flat(2), [count, n, n]))
            expect(y.shape).toEqual([count])
            y.data().forEach((value, i) => expect(value).toBeCloseTo(leibniz(matrices[i]!), 3))
          })
        },
      ),
    )
  })

  it('refuses what is not square, and to be differentiated', () => {
    expect(() => determinant(ones([2, 3]))).toThrow(ShapeError)
    expect(() => determinant(ones([2]))).toThrow(ShapeError)
    expect(() => vjp(determinant, normal([2, 2], { seed: 1 })).pullback(ones([]))).toThrow(UnsupportedError)
  })
})
