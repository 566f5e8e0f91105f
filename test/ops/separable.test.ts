import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import { connectedConv2d, conv2d, convMatrix, factorKernel, separableConv2d } from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, ones, tensor, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { expectMatrix, numbersLike } from '../helpers/linear.js'

beforeAll(() => init())

/** Which of the six maps of S2 each of the sixteen maps of C3 sees: table I of LeCun et al. (1998). */
const c3 = [
  '1...111..1111.11',
  '11...111..1111.1',
  '111...111..1.111',
  '.111..1111..1.11',
  '..111..1111.11.1',
  '...111..1111.111',
]
const table = Array.from({ length: 16 }, (_, k) => c3.map((row) => row[k] === '1'))

describe('separable convolution', () => {
  it.each([
    {},
    { stride: [2, 1] as const },
    { padding: 'same' as const, flip: true },
    { padding: [[1, 0], 2] as const, dilation: 2 },
    { padding: 1, paddingMode: 'reflect' as const },
  ])('equals the convolution with the outer product, with %j', (options) => {
    scope(() => {
      const x = numbersLike([2, 3, 7, 8], 1)
      const column = numbersLike([3], 2)
      const row = numbersLike([2], 3)
      const [a, b] = [column.data(), row.data()]
      const kernel = tensor(
        Float32Array.from({ length: 18 }, (_, i) => a[Math.floor(i / 2) % 3]! * b[i % 2]!),
        [3, 1, 3, 2],
      )
      const bias = numbersLike([3], 4)
      const expected = conv2d(x, kernel, { ...options, bias, groups: 3 })
      expect(separableConv2d(x, { column, row }, { ...options, bias }).data()).toEqual(expected.data())
    })
  })

  it('takes a kernel for each channel and has gradients for everything', () => {
    scope(() => {
      const check = gradcheck(
        (x, column, row, bias) => separableConv2d(x, { column: column, row: row }, { padding: 1, bias }),
        [normal([1, 2, 5, 4], { seed: 1 }), normal([2, 3], { seed: 2 }), normal([3], { seed: 3 }), normal([2])],
      )
      expect(check.ok).toBe(true)
      expect(() => separableConv2d(zeros([1, 2, 4, 4]), { column: ones([3, 2]), row: ones([2]) })).toThrow(ShapeError)
    })
  })

  it('factors what is an outer product, and nothing else', () => {
    scope(() => {
      const { column, row } = factorKernel(
        tensor([
          [1, 0, -1],
          [2, 0, -2],
          [1, 0, -1],
        ]),
      )!
      const product = [...column.data()].flatMap((c) => [...row.data()].map((r) => c * r))
      product.forEach((value, i) => expect(value).toBeCloseTo([1, 0, -1, 2, 0, -2, 1, 0, -1][i]!, 6))
      expect(
        factorKernel(
          tensor([
            [1, 0],
            [0, 1],
          ]),
        ),
      ).toBeUndefined()
      expect(
        factorKernel(
          tensor([
            [NaN, 0],
            [0, 1],
          ]),
        ),
      ).toBeUndefined()
      expect([...factorKernel(zeros([2, 3]))!.row.data()]).toEqual([0, 0, 0])
      expect(() => factorKernel(zeros([2]))).toThrow(/must be \(R, S\)/)
    })
  })
})

describe('a connection table', () => {
  it('equals the matrix with those channels alone', () => {
    scope(() => {
      const w = numbersLike([16, 6, 2, 2], 1)
      expectMatrix(convMatrix(w, [4, 4], { table }), (x) => connectedConv2d(x, w, table), numbersLike([1, 6, 4, 4], 2))
    })
  })

  it('gives missing connections no gradient', () => {
    scope(() => {
      const { pullback, value } = vjp(
        (w) => connectedConv2d(ones([1, 6, 4, 4]), w, table),
        numbersLike([16, 6, 2, 2], 1),
      )
      const dw = pullback(ones(value.shape))[0]!.data()
      table.flat().forEach((connected, i) => expect(dw[i * 4]! !== 0).toBe(connected))
      // LeNet-5's C3: 60 connections of 25 weights and 16 biases are 1,516 parameters.
      expect(table.flat().filter(Boolean).length * 25 + 16).toBe(1516)
    })
  })

  it('must have a row for each map and an entry for each channel', () => {
    scope(() => {
      expect(() => connectedConv2d(zeros([1, 6, 4, 4]), zeros([16, 6, 2, 2]), table.slice(1))).toThrow(
        /table must be 16 × 6 booleans.*given 15 × 6/,
      )
      expect(() => connectedConv2d(zeros([1, 6, 4, 4]), zeros([16, 6, 2, 2]), 3 as never)).toThrow(ShapeError)
    })
  })
})

describe('what is refused', () => {
  it('are lists of another length, and tables of other things than booleans', () => {
    scope(() => {
      const [x, column, row] = [zeros([1, 1, 4, 4]), ones([2]), ones([2])]
      expect(() => separableConv2d(x, { column, row }, { padding: [1, 1, 1] as never })).toThrow(
        /separableConv2d: padding must be a number or 2 entries, given 3/,
      )
      expect(() => separableConv2d(x, { column, row }, { stride: [1] as never })).toThrow(
        /stride must be a number or 2 entries, given 1/,
      )
      expect(() => connectedConv2d(zeros([1, 1, 4, 4]), zeros([1, 1, 2, 2]), [[1]] as never)).toThrow(
        /must be 1 × 1 booleans/,
      )
    })
  })
})
