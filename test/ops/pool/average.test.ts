import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TensorFunction } from '../../../src/autodiff/vjp.js'
import { globalAvgPool } from '../../../src/ops/pool/adaptive.js'
import { avgPool1d, avgPool2d, avgPool3d, type AvgPoolOptions } from '../../../src/ops/pool/average.js'
import { init } from '../../../src/runtime/embedded.js'
import { normal, tensor, uniform, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { numbers } from '../../helpers/linear.js'
import {
  cases,
  compare,
  expectFiniteDifferences,
  expectSecondDerivative,
  itAgreesWithPyTorch,
  naiveMean,
  options,
  rangesOf,
  sliding,
  type Windows,
} from '../../helpers/pool.js'
import { size } from '../../helpers/reference.js'
import { itRefuses } from '../../helpers/refusals.js'

beforeAll(() => init())

const avgPools = [avgPool1d, avgPool2d, avgPool3d]

const x2 = (): Tensor => zeros([1, 4, 5, 5])

/** The options of a mean, which has no dilation. */
const meanOptions = (windows: Windows): AvgPoolOptions => {
  const { kernel, stride, padding, ceil } = options(windows)
  return { kernel, stride, padding, ceil }
}

describe('mean pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(cases(3, 1), fc.boolean(), (test, countIncludePad) => {
        const xShape = [...test.maps, ...test.input]
        const x = numbers(size(xShape), test.seed, test.integers)
        const pool = avgPools[test.directions - 1]!
        compare(
          (input) => pool(input, { ...meanOptions(test), countIncludePad }),
          naiveMean(countIncludePad),
          x,
          xShape,
          rangesOf(test),
        )
      }),
      { numRuns: 250 },
    )
  })

  it('keeps its accuracy over large windows', () => {
    scope(() => {
      const n = 300_001
      const x = uniform([1, 1, n], { seed: 5 })
      const mean = x.data().reduce((sum, value) => sum + value, 0) / n
      expect(globalAvgPool(x).item()).toBe(Math.fround(mean))
      expect(avgPool1d(x, { kernel: n }).item()).toBe(Math.fround(mean))
    })
  })

  it('agrees with the definition for wide and for tall windows', () => {
    for (const [input, kernel] of [
      [
        [3, 50],
        [2, 17],
      ],
      [
        [5, 40],
        [5, 40],
      ],
      [
        [70, 9],
        [66, 8],
      ],
    ] as const) {
      for (const countIncludePad of [true, false]) {
        const xShape = [1, 2, ...input]
        const windows: Windows = {
          kernel,
          stride: [1, 3],
          padding: [
            [1, 0],
            [2, 4],
          ],
          dilation: [1, 1],
          ceil: true,
        }
        const ranges = input.map((n, axis) => sliding(n, windows, axis))
        const pool: TensorFunction = (x) => avgPool2d(x, { ...meanOptions(windows), countIncludePad })
        compare(pool, naiveMean(countIncludePad), numbers(size(xShape), 5, false), xShape, ranges)
      }
    }
  })

  it('moves with its input, bit for bit', () => {
    scope(() => {
      const x = normal([1, 1, 9, 40], { seed: 2 }).data()
      const shifted = Float32Array.from(x, (_, i) => (i % 40 === 39 ? 0 : x[i + 1]!))
      const pool = (values: Float32Array): Float32Array =>
        avgPool2d(tensor(values, [1, 1, 9, 40]), { kernel: 3, stride: 1 }).data()
      const [before, after] = [pool(x), pool(shifted)]
      for (let i = 0; i < 7 * 38; i++) if (i % 38 < 37) expect(after[i]).toBe(before[i + 1])
    })
  })

  it('gives NaN for a window with a NaN', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4, NaN, 6, 7, 8, 9], [1, 1, 3, 3])
      expect(avgPool2d(x, { kernel: 3 }).item()).toBeNaN()
    })
  })

  itAgreesWithPyTorch({ avgPool1d, avgPool2d, avgPool3d })

  it('has the gradients that finite differences show', () => {
    expectFiniteDifferences((t) => avgPool2d(t, { kernel: 3, stride: 2, ceil: true }))
  })

  it('can be differentiated twice', () => {
    expectSecondDerivative((t) => avgPool2d(t, { kernel: 3, stride: 2 }))
  })

  itRefuses(
    ['rank in one dimension', () => avgPool1d(x2(), { kernel: 2 }), /avgPool1d: x must be \(N, C, W\)/],
    ['missing options of a mean', () => avgPool2d(x2(), undefined as never), /avgPool2d: kernel must be/],
    ['number of strides', () => avgPool2d(x2(), { kernel: 2, stride: [1] }), /stride must be a number or 2 numbers/],
    [
      'stride',
      () => avgPool2d(x2(), { kernel: 2, stride: 0 }),
      /avgPool2d: stride must be whole numbers from 1 on, given 0/,
    ],
    ['full padding', () => avgPool2d(x2(), { kernel: 4, padding: 'full' }), /at most 2; given 3/],
    [
      'countIncludePad',
      () => avgPool2d(x2(), { kernel: 2, countIncludePad: 'no' as never }),
      /countIncludePad must be true or false, given 'no'/,
    ],
  )
})
