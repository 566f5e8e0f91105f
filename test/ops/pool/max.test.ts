import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../../src/autodiff/vjp.js'
import { transpose } from '../../../src/ops/layout.js'
import { maxPool1d, maxPool2d, maxPool2dWithIndices, maxPool3d, placesOfMaxima } from '../../../src/ops/pool/max.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor, uniform, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { numbers } from '../../helpers/linear.js'
import {
  cases,
  compare,
  expectFiniteDifferences,
  expectSecondDerivative,
  itAgreesWithPyTorch,
  naiveMax,
  options,
  rangesOf,
  sliding,
  type Windows,
} from '../../helpers/pool.js'
import { size } from '../../helpers/reference.js'
import { itRefuses } from '../../helpers/refusals.js'

beforeAll(() => init())

const maxPools = [maxPool1d, maxPool2d, maxPool3d]

const x2 = (): Tensor => zeros([1, 4, 5, 5])

describe('max pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(cases(3, 3), (test) => {
        const xShape = [...test.maps, ...test.input]
        const x = numbers(size(xShape), test.seed, test.integers)
        const pool = maxPools[test.directions - 1]!
        compare((input) => pool(input, options(test)), naiveMax, x, xShape, rangesOf(test))
      }),
      { numRuns: 250 },
    )
  })

  it('agrees for 2 × 2 windows of every width', () => {
    for (let width = 2; width <= 21; width++) {
      for (const height of [2, 3, 6]) {
        const xShape = [2, 2, height, width]
        const windows: Windows = {
          kernel: [2, 2],
          stride: [2, 2],
          padding: [
            [0, 0],
            [0, 0],
          ],
          dilation: [1, 1],
          ceil: false,
        }
        const ranges = [sliding(height, windows, 0), sliding(width, windows, 1)]
        compare((x) => maxPool2d(x, { kernel: 2 }), naiveMax, numbers(size(xShape), width, true), xShape, ranges)
        const partial = { ...windows, ceil: true }
        compare((x) => maxPool2d(x, { kernel: 2, ceil: true }), naiveMax, numbers(size(xShape), width, false), xShape, [
          sliding(height, partial, 0),
          sliding(width, partial, 1),
        ])
      }
    }
  })

  it('tells the places of maxima in the whole tensor, along rows or down columns', () => {
    scope(() => {
      const x = tensor(numbers(2 * 2 * 4 * 6, 9, false), [2, 2, 4, 6])
      const { y, indices } = maxPool2dWithIndices(x, { kernel: 2 })
      for (const byColumns of [false, true]) {
        const places = placesOfMaxima({ bits: indices.bits }, { plane: [4, 6], byColumns })
        expect([places.dtype, places.shape]).toEqual(['int64', y.shape])
        const values = byColumns ? transpose(x, [0, 1, 3, 2]).data() : x.data()
        expect(Float32Array.from(places.data(), (place) => values[Number(place)]!)).toEqual(y.data())
      }
    })
  })

  it('gives NaN for a window with a NaN, and its position', () => {
    for (const kernel of [2, 3]) {
      for (const stride of [1, 2, 3]) {
        for (let hole = 0; hole < 12; hole++) {
          scope(() => {
            const values = numbers(12 * 12, hole + 1, false)
            values[hole * 12 + hole] = NaN
            const x = tensor(values, [1, 1, 12, 12])
            const plain = maxPool2d(x, { kernel, stride })
            const { y, indices: positions } = maxPool2dWithIndices(x, { kernel, stride })
            expect(y.data()).toEqual(plain.data())
            const [, , P, Q] = y.shape as [number, number, number, number]
            y.data().forEach((value, i) => {
              const [p, q] = [Math.floor(i / Q), i % Q]
              const inside = [p, q].every((window) => hole >= window * stride && hole < window * stride + kernel)
              expect(Number.isNaN(value)).toBe(inside)
              if (inside) expect(positions.data()[i]).toBe(hole * 12 + hole)
            })
            expect(positions.shape).toEqual([1, 1, P, Q])
          })
        }
      }
    }
  })

  it('gives NaN also at borders and in small maps', () => {
    scope(() => {
      const x = tensor([
        [
          [
            [1, 2, 3],
            [4, NaN, 6],
            [7, 8, 9],
          ],
        ],
      ])
      const padded = maxPool2dWithIndices(x, { kernel: 2, padding: 1 })
      expect([...padded.y.data()]).toEqual([1, 3, 7, NaN])
      expect([...padded.indices.data()]).toEqual([0, 2, 6, 4])
    })
  })

  it('lets infinities through, also where all elements are -∞', () => {
    scope(() => {
      const x = tensor([[[[-Infinity, -Infinity, 1, Infinity]]]])
      const { y, indices: positions } = maxPool2dWithIndices(x, { kernel: [1, 2] })
      expect([...y.data()]).toEqual([-Infinity, Infinity])
      expect([...positions.data()]).toEqual([0, 3])
      const { pullback } = vjp((input) => maxPool2d(input, { kernel: [1, 2] }), x)
      expect([...pullback(tensor([[[[5, 7]]]]))[0]!.data()]).toEqual([5, 0, 0, 7])
    })
  })

  it('gives -∞ and no gradient where dilation leaves a window without elements', () => {
    scope(() => {
      const x = tensor([[[3]]])
      const { value, pullback } = vjp((input) => maxPool1d(input, { kernel: 2, dilation: 2, padding: 1 }), x)
      expect([...value.data()]).toEqual([-Infinity])
      expect([...pullback(tensor([[[1]]]))[0]!.data()]).toEqual([0])
    })
  })

  it('gives equals to the first', () => {
    scope(() => {
      const { indices: positions } = maxPool2dWithIndices(
        tensor([
          [
            [
              [1, 1, 0, 2, 1, 1, 1, 1],
              [1, 1, 2, 2, 1, 1, 1, 1],
            ],
          ],
        ]),
        {
          kernel: 2,
        },
      )
      expect([...positions.data()]).toEqual([0, 3, 4, 6])
    })
  })

  it('is little moved by a shift of the input (figure 9.8)', () => {
    scope(() => {
      const row = uniform([1, 1, 1001], { seed: 3 }).data()
      const pooled = (values: Float32Array): Float32Array =>
        maxPool1d(tensor(values, [1, 1, values.length]), { kernel: 3, stride: 1 }).data()
      const before = pooled(row.subarray(0, 1000))
      const after = pooled(row.subarray(1, 1001))
      // The detectors themselves all change; a pooled one keeps its value when its maximum is not at the edge.
      const same = (a: Float32Array, b: Float32Array): number =>
        a.filter((value, i) => value === b[i]).length / a.length
      expect(same(row.subarray(0, 1000), row.subarray(1, 1001))).toBe(0)
      expect(same(before, after)).toBeGreaterThan(0.4)
      expect(before.subarray(1)).toEqual(after.subarray(0, 997))
    })
  })

  itAgreesWithPyTorch({ maxPool1d, maxPool2d, maxPool3d })

  it('has the gradients that finite differences show', () => {
    expectFiniteDifferences(
      (t) => maxPool2d(t, { kernel: 3, stride: 1, padding: 1 }),
      (t) => maxPool2dWithIndices(t, { kernel: 2 }).y,
    )
  })

  it('can be differentiated twice', () => {
    expectSecondDerivative((t) => maxPool2d(t, { kernel: 3, stride: 2 }))
  })

  itRefuses(
    [
      'rank',
      () => maxPool2d(zeros([4, 5, 5]), { kernel: 2 }),
      /maxPool2d: x must be \(N, C, H, W\), given \(4, 5, 5\)/,
    ],
    ['kernel', () => maxPool2d(x2(), { kernel: 0 }), /maxPool2d: kernel must be whole numbers from 1 on, given 0/],
    [
      'missing kernel',
      () => maxPool2d(x2(), {} as never),
      /maxPool2d: kernel must be a number or 2 numbers, given undefined/,
    ],
    ['missing options', () => maxPool2d(x2(), undefined as never), /maxPool2d: kernel must be a number or 2 numbers/],
    [
      'dilation',
      () => maxPool2d(x2(), { kernel: 2, dilation: 0.5 }),
      /dilation must be whole numbers from 1 on, given 0.5/,
    ],
    ['negative padding', () => maxPool2d(x2(), { kernel: 2, padding: -1 }), /padding must be whole numbers from 0 on/],
    [
      'too much padding',
      () => maxPool2d(x2(), { kernel: 3, padding: 2 }),
      /padding must be at most half of the kernel.*at most 1; given 2/,
    ],
    [
      'too large a kernel',
      () => maxPool2d(x2(), { kernel: 6 }),
      /maxPool2d: a kernel of \(6, 6\) reaches over 6 elements along direction 0, but the input has 5/,
    ],
    ['ceil', () => maxPool2d(x2(), { kernel: 2, ceil: 1 as never }), /ceil must be true or false, given 1/],
  )

  it('refuses what is not a tensor', () => {
    expect(() => maxPool2d([1] as never, { kernel: 2 })).toThrow(/maxPool2d: x must be a Tensor, not \[1\];/)
  })

  it('returns all memory after a pass and its gradient', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const { pullback, dispose } = vjp((t) => maxPool2d(t, { kernel: 2 }), zeros([2, 3, 8, 8]))
      pullback(zeros([2, 3, 4, 4]))
      dispose()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
})
