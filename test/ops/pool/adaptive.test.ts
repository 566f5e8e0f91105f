import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  globalAvgPool,
  globalMaxPool,
} from '../../../src/ops/pool/adaptive.js'
import type { OutputSize } from '../../../src/plan/pool.js'
import { init } from '../../../src/runtime/embedded.js'
import { ShapeError } from '../../../src/runtime/errors.js'
import { tensor, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { numbers } from '../../helpers/linear.js'
import {
  adaptive,
  compare,
  expectFiniteDifferences,
  itAgreesWithPyTorch,
  list,
  naiveMax,
  naiveMean,
} from '../../helpers/pool.js'
import { size } from '../../helpers/reference.js'
import { itRefuses } from '../../helpers/refusals.js'

beforeAll(() => init())

const adaptiveAvgPools = [adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d]
const adaptiveMaxPools = [adaptiveMaxPool1d, adaptiveMaxPool2d, adaptiveMaxPool3d]

const x2 = (): Tensor => zeros([1, 4, 5, 5])

describe('adaptive pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 3 })
          .chain((directions) =>
            fc.tuple(
              list(directions, 1, directions === 1 ? 60 : directions === 2 ? 17 : 6),
              list(directions, 1, directions === 1 ? 150 : directions === 2 ? 24 : 8),
            ),
          ),
        fc.boolean(),
        fc.integer({ min: 1, max: 1e6 }),
        ([input, output], maximum, seed) => {
          const xShape = [2, 2, ...input]
          const x = numbers(size(xShape), seed, maximum)
          const pool = (maximum ? adaptiveMaxPools : adaptiveAvgPools)[input.length - 1]!
          const ranges = input.map((n, axis) => adaptive(n, output[axis]!))
          compare((given) => pool(given, output), maximum ? naiveMax : naiveMean(false), x, xShape, ranges)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('summarizes four quadrants of any picture', () => {
    scope(() => {
      for (const [height, width] of [
        [28, 28],
        [61, 37],
        [1, 1],
      ] as const) {
        expect(adaptiveMaxPool2d(zeros([2, 3, height, width]), 2).shape).toEqual([2, 3, 2, 2])
        expect(adaptiveAvgPool2d(zeros([2, 3, height, width]), [null, 2]).shape).toEqual([2, 3, height, 2])
      }
    })
  })

  it('is global for an output of one', () => {
    scope(() => {
      for (const shape of [
        [2, 3, 19],
        [2, 3, 5, 7],
        [1, 2, 3, 4, 5],
      ]) {
        const spatial = shape.slice(2)
        const x = numbers(size(shape), 11, false)
        const ranges = spatial.map((n) => adaptive(n, 1))
        compare((given) => globalAvgPool(given), naiveMean(false), x, shape, ranges)
        compare((given) => globalMaxPool(given), naiveMax, x, shape, ranges)
      }
    })
  })

  it('gives NaN for a window with a NaN', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4, NaN, 6, 7, 8, 9], [1, 1, 3, 3])
      expect([...adaptiveMaxPool2d(x, [3, 1]).data()]).toEqual([3, NaN, 9])
      expect(globalMaxPool(x).item()).toBeNaN()
    })
  })

  itAgreesWithPyTorch({
    adaptiveAvgPool2d: (x, { outputSize }: { outputSize: OutputSize }) => adaptiveAvgPool2d(x, outputSize),
    adaptiveMaxPool2d: (x, { outputSize }: { outputSize: OutputSize }) => adaptiveMaxPool2d(x, outputSize),
  })

  it('has the gradients that finite differences show', () => {
    expectFiniteDifferences(
      (t) => adaptiveAvgPool2d(t, [4, 5]),
      (t) => adaptiveMaxPool2d(t, [4, 5]),
      (t) => globalMaxPool(t),
    )
  })

  itRefuses(
    [
      'output size',
      () => adaptiveAvgPool2d(x2(), 0),
      /adaptiveAvgPool2d: outputSize must be whole numbers from 1 on, given 0/,
    ],
    [
      'number of output sizes',
      () => adaptiveMaxPool2d(x2(), [1, 2, 3]),
      /outputSize must be a number or 2 numbers, given 3 numbers/,
    ],
    ['rank of a global pool', () => globalAvgPool(zeros([2, 3])), /globalAvgPool: x must be \(N, C, W\), /],
  )

  it('refuses what is not a tensor', () => {
    expect(() => globalAvgPool(null as never)).toThrow(ShapeError)
  })
})
