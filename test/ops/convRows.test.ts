/** Patches gathered row by row of the image, exactly as the definition for small integers, beside all others. */
import { beforeAll, expect, it } from 'vitest'
import { conv2d, type ConvOptions } from '../../src/ops/index.js'
import { isRowwise as gathersRows } from '../../src/plan/rows.js'
import { describeConv } from '../../src/ops/conv.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor } from '../../src/tensor/create.js'
import { sizeOf, type Shape } from '../../src/tensor/shape.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const integers = (shape: Shape, seed: number): Tensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => ((Math.imul(i + 1000 * seed, 0x9e3779b1) >>> 24) % 7) - 3),
    shape,
  )

const isRowwise = (x: Shape, w: Shape, options: ConvOptions): boolean =>
  gathersRows(describeConv('conv2d', 2, x, w, options).problem)

const agree = (xShape: Shape, wShape: Shape, options: ConvOptions = {}): void => {
  scope(() => {
    const [x, w] = [integers(xShape, 5), integers(wShape, 3)]
    for (const activation of [{}, { activation: 'relu' }] as const) {
      const [y, expected] = (['gemm', 'direct'] as const).map((algorithm) =>
        conv2d(x, w, { ...options, algorithm, ...activation }).data(),
      )
      expect(y).toEqual(expected)
    }
  })
}

it.each([
  ['one panel', [2, 1, 9, 10], [5, 1, 3, 3], {}],
  ['several channels and filters', [2, 3, 11, 16], [13, 3, 3, 3], { padding: 1 }],
  ['blocks of rows', [1, 3, 60, 64], [6, 3, 5, 5], { padding: 2 }],
  ['one row for a block, and the widest rows', [1, 9, 10, 256], [7, 9, 3, 3], { padding: 1 }],
  ['groups', [2, 6, 9, 16], [8, 3, 3, 3], { padding: 1, groups: 2 }],
  ['every second column', [2, 2, 9, 33], [5, 2, 3, 3], { stride: [1, 2], padding: [1, 0] }],
  ['taps apart along rows', [2, 2, 9, 20], [5, 2, 3, 3], { dilation: [1, 2], padding: [1, 0] }],
  ['half a panel and few filters', [3, 1, 32, 32], [6, 1, 5, 5], {}],
  ['half a panel and two panels of filters', [1, 2, 20, 22], [10, 2, 3, 3], {}],
  ['few output rows', [1, 3, 3, 34], [4, 3, 3, 3], {}],
] as [string, Shape, Shape, ConvOptions][])('%s', (_, x, w, options) => {
  expect(isRowwise(x, w, options)).toBe(true)
  agree(x, w, options)
  scope(() => {
    agree(x, w, { ...options, bias: integers([w[0]!], 2) })
    const y = describeConv('conv2d', 2, x, w, options).yShape
    agree(x, w, { ...options, bias: integers(y.slice(1), 2) })
  })
})

it.each([
  ['rows that panels do not fill', [2, 3, 9, 15], [4, 3, 3, 3], {}],
  ['half a panel and many filters', [2, 1, 32, 32], [11, 1, 5, 5], {}],
  ['one row of taps', [2, 3, 9, 18], [4, 3, 1, 3], {}],
  ['every second row', [2, 3, 9, 34], [4, 3, 3, 3], { stride: 2, padding: [1, 0] }],
  ['a flipped kernel', [2, 3, 9, 18], [4, 3, 3, 3], { flip: true }],
  ['many taps', [1, 15, 9, 18], [4, 15, 3, 3], {}],
] as [string, Shape, Shape, ConvOptions][])('not %s', (_, x, w, options) => {
  expect(isRowwise(x, w, options)).toBe(false)
  agree(x, w, options)
})

it('keeps the weights of both orders apart', () => {
  scope(() => {
    const w = integers([5, 3, 3, 3], 3)
    const inputs = [18, 17, 18, 17].map((width, index) => integers([1, 3, 8, width], 5 + index))
    const expected = inputs.map((x) => conv2d(x, w, { algorithm: 'direct' }).data())
    for (let pass = 0; pass < 3; pass++) {
      expect(inputs.map((x) => conv2d(x, w, { algorithm: 'gemm' }).data())).toEqual(expected)
    }
  })
})
