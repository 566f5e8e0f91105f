/** Patches gathered row by row of the image, exactly as the definition for small integers, beside all others. */
import { beforeAll, expect, it } from 'vitest'
import { conv2d, type ConvOptions } from '../../src/ops/index.js'
import { gatheringOf, gatherings } from '../../src/plan/gather.js'
import { candidatesFor, type Gathering } from '../../src/plan/conv.js'
import { convolve, describeConv } from '../../src/ops/conv.js'
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
  gatheringOf(describeConv('conv2d', 2, x, w, options).problem) === 'rows'

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

/** The result of 'gemm' with its patches gathered in a way that is asked for, beside that of the definition. */
const agreeBy = (gathering: Gathering, xShape: Shape, wShape: Shape, options: ConvOptions): void => {
  scope(() => {
    const [x, w, bias] = [integers(xShape, 5), integers(wShape, 3), integers([wShape[0]!], 2)]
    const conv = describeConv('conv2d', 2, xShape, wShape, options, bias.shape)
    const y = convolve({ x, w, bias }, { ...conv, algorithm: 'gemm', gathering })
    expect(y.data()).toEqual(conv2d(x, w, { ...options, bias, algorithm: 'direct' }).data())
  })
}

const problemOf = (x: Shape, w: Shape, options: ConvOptions = {}) => describeConv('conv2d', 2, x, w, options).problem

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
  agreeBy('rows', x, w, options)
  agreeBy('patches', x, w, options)
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

it.each([
  ['rows that panels do not fill', [2, 3, 9, 15], [4, 3, 3, 3], {}],
  ['rows of less than a panel', [2, 3, 9, 5], [4, 3, 3, 3], { padding: 1 }],
  ['rows of one output', [2, 3, 9, 3], [4, 3, 3, 3], {}],
  ['half a panel and many filters', [2, 1, 32, 32], [11, 1, 5, 5], {}],
  ['one row of taps', [2, 3, 9, 18], [4, 3, 1, 3], {}],
  ['many taps', [1, 56, 9, 18], [4, 56, 3, 3], {}],
] as [string, Shape, Shape, ConvOptions][])('by rows where that is asked for: %s', (_, x, w, options) => {
  const problem = problemOf(x, w, options)
  expect([gatherings.rows.possible(problem), gatherings.rows.suits(problem)]).toEqual([true, false])
  agreeBy('rows', x, w, options)
})

it.each([
  ['every second row', [2, 3, 9, 34], [4, 3, 3, 3], { stride: 2, padding: [1, 0] }],
  ['rows apart', [2, 3, 9, 18], [4, 3, 3, 3], { dilation: [2, 1] }],
  ['a flipped kernel', [2, 3, 9, 18], [4, 3, 3, 3], { flip: true }],
  ['more taps than a block', [1, 57, 9, 18], [4, 57, 3, 3], {}],
  ['longer rows than the table of pixels', [1, 1, 9, 260], [4, 1, 3, 3], {}],
] as [string, Shape, Shape, ConvOptions][])('cannot by rows: %s', (_, x, w, options) => {
  expect(gatherings.rows.possible(problemOf(x, w, options))).toBe(false)
  expect(gatheringOf(problemOf(x, w, options))).toBe('patches')
})

it('tells the variant beside the algorithm, in the forward pass', () => {
  const variantsOf = (x: Shape, pass: 'fwd' | 'dx') =>
    candidatesFor(problemOf(x, [5, 3, 3, 3]), pass).flatMap(({ algorithm, variant }) =>
      variant ? [[algorithm, variant]] : [],
    )
  expect(variantsOf([1, 3, 8, 18], 'fwd')).toEqual([['gemm', 'rows']])
  expect(variantsOf([1, 3, 8, 17], 'fwd')).toEqual([['gemm', 'patches']])
  expect(variantsOf([1, 3, 8, 18], 'dx')).toEqual([])
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
