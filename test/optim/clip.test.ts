import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { clipGradNorm } from '../../src/optim/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

describe('clipGradNorm', () => {
  it('scales to the norm asked for, and only down', () => {
    const numbers = fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 1, maxLength: 19 })
    fc.assert(
      fc.property(fc.array(numbers, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 300 }), (lists, max) => {
        scope(() => {
          const { gradients, norm } = clipGradNorm(
            lists.map((list) => tensor(list)),
            max,
          )
          // Squares of whole numbers: the sum is exact in any order.
          expect(norm).toBe(Math.sqrt(lists.flat().reduce((sum, value) => sum + value * value, 0)))
          const factor = Math.min(1, max / (norm + 1e-6))
          lists.forEach((list, index) => {
            const clipped = gradients[index]!.data()
            list.forEach((value, i) => {
              expect(Math.abs(clipped[i]! - value * factor)).toBeLessThanOrEqual(2e-7 * Math.abs(value * factor))
            })
          })
        })
      }),
    )
  })

  it('accumulates in float64', () => {
    scope(() => {
      const { norm } = clipGradNorm([tensor(new Float32Array(1001).fill(1e-4)), tensor([1e4, 2 ** 100])], 1)
      expect(norm).toBe(2 ** 100)
      const small = clipGradNorm([tensor([4096]), tensor(new Float32Array(999).fill(0.5))], 1)
      expect(small.norm).toBe(Math.sqrt(4096 * 4096 + 999 / 4))
    })
  })

  it('gives gradients of their own, whether clipped or not', () => {
    const before = memoryUsage().liveBytes
    for (const maxNorm of [0.5, 1000]) {
      const given = [tensor([3, 4]), tensor([[12]])]
      const { gradients } = clipGradNorm(given, maxNorm)
      for (const gradient of given) gradient.dispose()
      expect(gradients.map(({ shape }) => shape)).toEqual([[2], [1, 1]])
      expect(gradients.every((gradient) => gradient.data().every(Number.isFinite))).toBe(true)
      for (const gradient of gradients) gradient.dispose()
    }
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('reports what is not a number', () => {
    scope(() => {
      const nan = clipGradNorm([tensor([1, NaN]), tensor([1])], 1)
      expect(nan.norm).toBeNaN()
      expect([...nan.gradients[1]!.data()]).toEqual([NaN])
      const infinite = clipGradNorm([tensor([1, Infinity])], 1)
      expect(infinite.norm).toBe(Infinity)
      expect([...infinite.gradients[0]!.data()]).toEqual([0, NaN])
    })
  })

  it('has a norm of 0 for no gradients at all', () => {
    expect(clipGradNorm([], 1)).toEqual({ gradients: [], norm: 0 })
  })

  it('refuses other things', () => {
    scope(() => {
      const g = tensor([1])
      for (const maxNorm of [NaN, -1, Infinity]) {
        expect(() => clipGradNorm([g], maxNorm)).toThrow(/^clipGradNorm: maxNorm must be a finite number from 0 on/)
      }
      expect(() => clipGradNorm([g, 1 as unknown as Tensor], 1)).toThrow(ShapeError)
      const dead = zeros([2])
      dead.dispose()
      expect(() => clipGradNorm([g, dead], 1)).toThrow(DisposedError)
    })
  })
})
