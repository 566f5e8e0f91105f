import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { conv1d, conv2d, conv3d, convMatrix, multiplyMatrix } from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { tensor, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { expectAdjoint, expectMatrix, numbersLike } from '../helpers/linear.js'

beforeAll(() => init())

describe('the matrix of a convolution', () => {
  it('is Toeplitz: each row is the one above, shifted', () => {
    scope(() => {
      const { rows, cols, rowPtr, colIndex, values } = convMatrix(tensor([[[1, 2, 3]]]), [5])
      expect([rows, cols]).toEqual([3, 5])
      expect([...rowPtr]).toEqual([0, 3, 6, 9])
      expect([...colIndex]).toEqual([0, 1, 2, 1, 2, 3, 2, 3, 4])
      expect([...values]).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3])
    })
  })

  it('is circulant for circular padding', () => {
    scope(() => {
      const matrix = convMatrix(tensor([[[1, 2, 3]]]), [4], { padding: 'same', paddingMode: 'circular' })
      expect([...matrix.colIndex]).toEqual([0, 1, 3, 0, 1, 2, 1, 2, 3, 0, 2, 3])
      expect([...matrix.values]).toEqual([2, 3, 1, 1, 2, 3, 1, 2, 3, 3, 1, 2])
    })
  })

  it.each([1, 2, 3])('agrees with the operation and its adjoint in %i directions, for all options', (directions) => {
    const operation = [conv1d, conv2d, conv3d][directions - 1]!
    const list = (min: number, max: number): fc.Arbitrary<number[]> =>
      fc.array(fc.integer({ min, max }), { minLength: directions, maxLength: directions })
    const shapes = fc
      .record({
        groups: fc.constantFrom(1, 1, 2),
        groupC: fc.integer({ min: 1, max: 3 }),
        groupK: fc.integer({ min: 1, max: 5 }),
        input: list(1, directions === 3 ? 4 : 9),
        kernel: list(1, directions === 3 ? 2 : 4),
        stride: list(1, 3),
        dilation: list(1, 2),
        padding: fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), {
          minLength: directions,
          maxLength: directions,
        }),
        paddingMode: fc.constantFrom('zeros', 'reflect', 'replicate', 'circular'),
        flip: fc.boolean(),
        seed: fc.integer({ min: 1, max: 1e6 }),
      })
      .filter(({ input, kernel, dilation, padding, paddingMode }) =>
        input.every((n, axis) => {
          const [lo, hi] = padding[axis]!
          const wide = paddingMode === 'reflect' ? n - 1 : paddingMode === 'circular' ? n : Infinity
          return n + lo + hi >= dilation[axis]! * (kernel[axis]! - 1) + 1 && Math.max(lo, hi) <= wide
        }),
      )
    fc.assert(
      fc.property(shapes, ({ groups, groupC, groupK, input, kernel, seed, ...rest }) => {
        const options = { groups, ...rest } as object
        scope(() => {
          const w = numbersLike([groups * groupK, groupC, ...kernel], seed)
          const x = numbersLike([1, groups * groupC, ...input], seed + 1)
          expectMatrix(convMatrix(w, input, options), (given) => operation(given, w, options), x)
          expectAdjoint((a, b) => operation(a, b, options), [x, w])
        })
      }),
      { numRuns: 100 },
    )
  })

  it('refuses what does not fit', () => {
    scope(() => {
      const w = zeros([2, 1, 3])
      expect(() => convMatrix(w, [2])).toThrow(/reaches over 3 elements/)
      expect(() => convMatrix(w, [])).toThrow(/inputSize must be the extents of one to three directions/)
      expect(() => convMatrix(w, [1.5])).toThrow(ShapeError)
      expect(() => convMatrix(w, [5], { variant: 'magic' as 'conv' })).toThrow(/variant must be conv, transpose/)
      expect(() => convMatrix(w, [5], { table: [[true]] })).toThrow(/table must be 2 × 1/)
      expect(() => multiplyMatrix(convMatrix(w, [5]), [1, 2])).toThrow(/5 columns, the vector 2 elements/)
    })
  })
})

describe('padding that the input cannot give', () => {
  it('is refused as by the operation, and so are list options of another length', () => {
    scope(() => {
      const w = zeros([1, 1, 3])
      expect(() => convMatrix(w, [3], { padding: [[0, 4]], paddingMode: 'reflect' })).toThrow(
        /convMatrix: padding along direction 0 can be at most 2 with 'reflect', given 4/,
      )
      expect(() => convMatrix(w, [3], { padding: 4, paddingMode: 'circular' })).toThrow(
        /at most 3 with 'circular', given 4/,
      )
      expect(() => convMatrix(w, [3], { paddingMode: 'mirror' as 'reflect' })).toThrow(
        /paddingMode must be zeros, reflect, replicate, circular, given 'mirror'/,
      )
    })
  })
})

describe('infinite weights on padded zeros', () => {
  it.each(['direct', 'gemm'] as const)('give NaN, as infinity times zero does, by %s', (algorithm) => {
    scope(() => {
      const y = conv1d(tensor([[[1, 2, 3]]]), tensor([[[Infinity, 1, 1]]]), { padding: 1, algorithm })
      expect([...y.data()]).toEqual([NaN, Infinity, Infinity])
    })
  })
})
