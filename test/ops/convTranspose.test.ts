import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  convMatrix,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type ConvTransposeOptions,
} from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { expectAdjoint, expectMatrix, expectOracle, numbersLike } from '../helpers/linear.js'
import { oracleCases } from '../helpers/oracle.js'

beforeAll(() => init())

const operations = [convTranspose1d, convTranspose2d, convTranspose3d] as const

describe.each([1, 2, 3])('convTranspose%id', (directions) => {
  const operation = operations[directions - 1]!

  it.each(oracleCases(`convTranspose${directions}d`))('agrees with PyTorch, case $id', (test) => {
    expectOracle(test, ({ x, w, bias }, options) => operation(x!, w!, { ...(options as ConvTransposeOptions), bias }))
  })

  it('is the adjoint of its gradient and equals its matrix', () => {
    const list = (min: number, max: number): fc.Arbitrary<number[]> =>
      fc.array(fc.integer({ min, max }), { minLength: directions, maxLength: directions })
    const shapes = fc.record({
      N: fc.integer({ min: 1, max: 2 }),
      groups: fc.constantFrom(1, 1, 2),
      groupC: fc.integer({ min: 1, max: 5 }),
      groupK: fc.integer({ min: 1, max: 4 }),
      input: list(1, directions === 3 ? 3 : 6),
      kernel: list(1, directions === 3 ? 2 : 4),
      stride: list(1, 3),
      dilation: list(1, 2),
      flip: fc.boolean(),
      extra: list(0, 2),
      seed: fc.integer({ min: 1, max: 1e6 }),
    })
    fc.assert(
      fc.property(shapes, ({ N, groups, groupC, groupK, input, kernel, stride, dilation, flip, extra, seed }) => {
        const outputPadding = extra.map((value, axis) => Math.min(value, Math.max(stride[axis]!, dilation[axis]!) - 1))
        const options = { groups, stride, dilation, flip, outputPadding }
        scope(() => {
          const w = numbersLike([groups * groupC, groupK, ...kernel], seed)
          expectAdjoint(
            (x, kernels) => operation(x, kernels, options),
            [numbersLike([N, groups * groupC, ...input], seed + 1), w],
          )
          expectMatrix(
            convMatrix(w, input, { variant: 'transpose', ...options }),
            (x) => operation(x, w, options),
            numbersLike([1, groups * groupC, ...input], seed + 2),
          )
        })
      }),
      { numRuns: 60 },
    )
  })
})

describe('convTranspose2d', () => {
  const x = (): ReturnType<typeof zeros> => zeros([1, 4, 5, 5])
  const w = (): ReturnType<typeof zeros> => zeros([4, 2, 3, 3])

  it('takes the size that several paddings give', () => {
    scope(() => {
      expect(convTranspose2d(x(), w(), { stride: 2, outputSize: [11, 12] }).shape).toEqual([1, 2, 11, 12])
      expect(convTranspose2d(x(), w(), { stride: 2, padding: [[1, 0], 1], outputPadding: [0, 1] }).shape).toEqual([
        1, 2, 10, 10,
      ])
    })
  })

  it.each<[string, ConvTransposeOptions, RegExp]>([
    [
      'a size no padding gives',
      { stride: 2, outputSize: [13, 11] },
      /outputSize \(13, 11\) cannot be: direction 0 gives 11 to 12/,
    ],
    ['two sizes', { outputSize: [7, 7], outputPadding: 0 }, /outputSize or outputPadding, not both/],
    [
      'too much output padding',
      { stride: 2, outputPadding: 2 },
      /outputPadding 2 along direction 0 must be below the stride or the dilation \(2\)/,
    ],
    ['padding by name', { padding: 'same' as never }, /padding 'same' has no meaning here/],
    ['padding that leaves nothing', { padding: 4 }, /leaves nothing of the output/],
    ['groups', { groups: 3 }, /groups must divide the 4 input channels, given 3/],
    ['stride zero', { stride: 0 }, /stride must be whole numbers from 1 on, given 0/],
    ['bias', { bias: undefined, dilation: NaN }, /dilation must be whole numbers/],
  ])('refuses %s and allocates nothing', (_, options, message) => {
    scope(() => {
      const [input, kernel] = [x(), w()]
      const before = memoryUsage().liveBytes
      expect(() => convTranspose2d(input, kernel, options)).toThrow(ShapeError)
      expect(() => convTranspose2d(input, kernel, options)).toThrow(message)
      expect(memoryUsage().liveBytes).toBe(before)
    })
  })

  it('refuses shapes that do not fit', () => {
    scope(() => {
      expect(() => convTranspose2d(zeros([4, 5, 5]), w())).toThrow(/x must be \(N, C, H, W\)/)
      expect(() => convTranspose2d(x(), zeros([3, 2, 3, 3]))).toThrow(
        /so w must be \(4, K\/groups, R, S\), given \(3, 2, 3, 3\)/,
      )
      expect(() => convTranspose2d(x(), w(), { bias: zeros([3]) })).toThrow(/bias must be \(2\)/)
    })
  })
})
