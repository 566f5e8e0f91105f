/** Extents of 0: a batch of nothing gives nothing, weights a gradient of zero, and what has no meaning is refused. */
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import * as ops from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { operations } from '../operations/index.js'

beforeAll(() => init())

/** Inputs for a batch of N, and what is computed of them: the batch comes first in what it gives. */
type Batched = readonly [inputs: (N: number) => Tensor[], fn: (...inputs: Tensor[]) => Tensor]

const maps = (N: number): Tensor => normal([N, 4, 6, 7])
const unary = (fn: (x: Tensor) => Tensor): Batched => [(N) => [uniform([N, 3], { low: 0.5, high: 2 })], fn]
const binary = (fn: (a: Tensor, b: Tensor) => Tensor): Batched => [(N) => [ones([N, 3]), ones([N, 3])], fn]
const mapped = (fn: (x: Tensor) => Tensor): Batched => [(N) => [maps(N)], fn]

const batched: Readonly<Record<string, Batched>> = {
  ...Object.fromEntries(
    (
      [
        'relu',
        'sigmoid',
        'tanh',
        'scaledTanh',
        'softplus',
        'gelu',
        'silu',
        'exp',
        'log',
        'sqrt',
        'square',
        'abs',
      ] as const
    ).map((name) => [name, unary((x) => ops[name](x))]),
  ),
  ...Object.fromEntries(
    (['add', 'sub', 'mul', 'div'] as const).map((name) => [name, binary((a, b) => ops[name](a, b))]),
  ),
  neg: unary(ops.neg),
  elu: unary((x) => ops.elu(x)),
  leakyRelu: unary((x) => ops.leakyRelu(x)),
  pow: unary((x) => ops.pow(x, 2.5)),
  clamp: unary((x) => ops.clamp(x, { min: 0 })),
  softmax: unary((x) => ops.softmax(x)),
  logSoftmax: unary((x) => ops.logSoftmax(x)),
  dropout: unary((x) => ops.dropout(x, { p: 0.5, seed: 1 })),
  sum: unary((x) => ops.sum(x, 1)),
  mean: unary((x) => ops.mean(x, 1)),
  max: unary((x) => ops.max(x, 1)),
  min: unary((x) => ops.min(x, 1)),
  slice: unary((x) => ops.slice(x, { begin: [0, 1] })),
  concat: binary((a, b) => ops.concat([a, b], 1)),
  transpose: mapped((x) => ops.transpose(x, [0, 2, 1, 3])),
  flatten: mapped((x) => ops.flatten(x)),
  pad: mapped((x) => ops.pad(x, 1, { mode: 'reflect' })),
  upsample2d: mapped((x) => ops.upsample2d(x, { scale: 2 })),
  matmul: [(N) => [normal([N, 3]), normal([3, 2])], ops.matmul],
  linear: [(N) => [normal([N, 3]), normal([2, 3]), normal([2])], ops.linear],
  conv1d: [(N) => [normal([N, 4, 9]), normal([6, 4, 3]), normal([6])], (x, w, bias) => ops.conv1d(x, w, { bias })],
  conv2d: [(N) => [maps(N), normal([6, 4, 3, 3]), normal([6])], (x, w, bias) => ops.conv2d(x, w, { bias, padding: 1 })],
  conv3d: [(N) => [normal([N, 2, 4, 4, 4]), normal([6, 2, 3, 3, 3])], (x, w) => ops.conv3d(x, w)],
  convTranspose1d: [(N) => [normal([N, 4, 9]), normal([4, 6, 3])], (x, w) => ops.convTranspose1d(x, w)],
  convTranspose2d: [(N) => [maps(N), normal([4, 6, 3, 3])], (x, w) => ops.convTranspose2d(x, w, { stride: 2 })],
  convTranspose3d: [(N) => [normal([N, 2, 4, 4, 4]), normal([2, 6, 3, 3, 3])], (x, w) => ops.convTranspose3d(x, w)],
  locallyConnected1d: [(N) => [normal([N, 2, 4]), normal([3, 3, 2, 2])], (x, w) => ops.locallyConnected1d(x, w)],
  locallyConnected2d: [
    (N) => [normal([N, 2, 3, 3]), normal([3, 2, 2, 2, 2, 2])],
    (x, w) => ops.locallyConnected2d(x, w),
  ],
  tiledConv1d: [(N) => [normal([N, 2, 4]), normal([3, 2, 2, 2])], (x, w) => ops.tiledConv1d(x, w)],
  tiledConv2d: [(N) => [normal([N, 2, 4, 4]), normal([3, 2, 2, 2, 2, 2])], (x, w) => ops.tiledConv2d(x, w)],
  maxPool1d: [(N) => [normal([N, 4, 9])], (x) => ops.maxPool1d(x, { kernel: 2 })],
  maxPool2d: mapped((x) => ops.maxPool2d(x, { kernel: 2 })),
  maxPool3d: [(N) => [normal([N, 2, 4, 4, 4])], (x) => ops.maxPool3d(x, { kernel: 2 })],
  avgPool1d: [(N) => [normal([N, 4, 9])], (x) => ops.avgPool1d(x, { kernel: 2 })],
  avgPool2d: mapped((x) => ops.avgPool2d(x, { kernel: 2 })),
  avgPool3d: [(N) => [normal([N, 2, 4, 4, 4])], (x) => ops.avgPool3d(x, { kernel: 2 })],
  lpPool1d: [(N) => [normal([N, 4, 9])], (x) => ops.lpPool1d(x, { kernel: 2 })],
  lpPool2d: mapped((x) => ops.lpPool2d(x, { kernel: 2 })),
  weightedPool2d: mapped((x) => ops.weightedPool2d(x, { kernel: 2, sigma: 1 })),
  adaptiveAvgPool1d: [(N) => [normal([N, 4, 9])], (x) => ops.adaptiveAvgPool1d(x, 3)],
  adaptiveAvgPool2d: mapped((x) => ops.adaptiveAvgPool2d(x, 3)),
  adaptiveAvgPool3d: [(N) => [normal([N, 2, 4, 4, 4])], (x) => ops.adaptiveAvgPool3d(x, 2)],
  adaptiveMaxPool1d: [(N) => [normal([N, 4, 9])], (x) => ops.adaptiveMaxPool1d(x, 3)],
  adaptiveMaxPool2d: mapped((x) => ops.adaptiveMaxPool2d(x, 3)),
  adaptiveMaxPool3d: [(N) => [normal([N, 2, 4, 4, 4])], (x) => ops.adaptiveMaxPool3d(x, 2)],
  globalAvgPool: mapped((x) => ops.globalAvgPool(x)),
  globalMaxPool: mapped((x) => ops.globalMaxPool(x)),
  maxout: mapped((x) => ops.maxout(x, 2)),
  localResponseNorm: mapped((x) => ops.localResponseNorm(x, { size: 3 })),
  batchNorm: [
    (N) => [maps(N), ones([4]), zeros([4])],
    (x, gamma, beta) =>
      ops.batchNorm(x, gamma, beta, { training: false, runningMean: zeros([4]), runningVar: ones([4]) }),
  ],
  connectedConv2d: [
    (N) => [maps(N), normal([2, 4, 3, 3])],
    (x, w) =>
      ops.connectedConv2d(x, w, [
        [true, true, false, true],
        [false, true, true, true],
      ]),
  ],
  separableConv2d: [
    (N) => [maps(N), normal([3]), normal([3])],
    (x, column, row) => ops.separableConv2d(x, { column, row }),
  ],
  crossEntropy: [
    (N) => [normal([N, 3])],
    (x) => ops.crossEntropy(x, new Int32Array(x.shape[0]!), { reduction: 'none' }),
  ],
  mseLoss: binary((a, b) => ops.mseLoss(a, b, { reduction: 'none' })),
  bceWithLogits: binary((a, b) => ops.bceWithLogits(a, b, { reduction: 'none' })),
  hingeLoss: [(N) => [normal([N, 3])], (x) => ops.hingeLoss(x, new Int32Array(x.shape[0]!), { reduction: 'none' })],
}

/** Operations without a batch, and where they are tested instead. */
const elsewhere = new Set([
  'cast', // test/ops/cast.test.ts
  'conv1dInputGrad', // the gradients of the convolutions
  'conv2dInputGrad',
  'conv3dInputGrad',
  'conv1dWeightGrad',
  'conv2dWeightGrad',
  'conv3dWeightGrad',
  'convMatrix', // gives no tensor
  'factorKernel',
  'multiplyMatrix',
  'transposeMatrix',
  'maxPool2dWithIndices', // below
  'maxUnpool2d',
])

describe('a batch of nothing', () => {
  it('is tried for every operation', () => {
    expect(Object.keys(operations).filter((name) => !(name in batched) && !elsewhere.has(name))).toEqual([])
  })

  it.each(Object.entries(batched))('%s', (_, [make, fn]) => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const shape = fn(...make(2)).shape
      expect(shape[0]).toBe(2)
      const inputs = make(0)
      const { value, pullback } = vjp(fn, ...inputs)
      expect(value.shape).toEqual([0, ...shape.slice(1)])
      expect(value.data()).toEqual(new Float32Array(0))
      const gradients = pullback(zeros(value.shape))
      gradients.forEach((gradient, index) => {
        expect(gradient.shape).toEqual(inputs[index]!.shape)
        expect([...gradient.data()].every((element) => element === 0)).toBe(true)
      })
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('has maxima nowhere, and puts none back', () => {
    scope(() => {
      const { y, indices } = ops.maxPool2dWithIndices(zeros([0, 2, 4, 4]), { kernel: 2 })
      expect([y.shape, indices.bits.size]).toEqual([[0, 2, 2, 2], 0])
      expect(ops.maxUnpool2d(y, indices, { kernel: 2 }).shape).toEqual([0, 2, 4, 4])
    })
  })
})

describe('sums and places of nothing', () => {
  it('are 0, or refused where there is no answer', () => {
    scope(() => {
      const x = zeros([0, 3])
      expect(ops.sum(x).item()).toBe(0)
      expect([...ops.sum(x, 0).data()]).toEqual([0, 0, 0])
      expect([...ops.matmul(zeros([2, 0]), zeros([0, 2])).data()]).toEqual([0, 0, 0, 0])
      expect([...ops.pad(zeros([2, 0]), [0, 1], { value: 7 }).data()]).toEqual([7, 7, 7, 7])
      expect([...ops.concat([zeros([2, 0]), ones([2, 1])], 1).data()]).toEqual([1, 1])
      expect(ops.slice(ones([3]), { begin: [1], end: [1] }).shape).toEqual([0])
      expect(ops.add(x, ones([3])).shape).toEqual([0, 3])
      expect(ops.add(x, ones([1, 1])).shape).toEqual([0, 3])
      expect(ops.conv2d(zeros([1, 1, 4, 4]), zeros([0, 1, 3, 3])).shape).toEqual([1, 0, 2, 2])
      expect(x.reshape([3, 0, 5]).shape).toEqual([3, 0, 5])
      expect(tensor([]).shape).toEqual([0])
      expect(tensor([[], []]).shape).toEqual([2, 0])
      expect(String(tensor([]))).toBe('Tensor (0) float32 []')
    })
  })

  const w = (): Tensor => zeros([2, 0])
  it.each<[string, () => unknown, RegExp]>([
    ['mean', () => ops.mean(zeros([0, 3])), /^mean: x has no elements/],
    ['max', () => ops.max(zeros([0, 3]), 0), /^max: x has no elements/],
    ['mean over an empty axis', () => ops.mean(zeros([2, 0]), 1), /^mean: x has no elements/],
    ['crossEntropy', () => ops.crossEntropy(zeros([0, 3]), []), /no (rows|elements)/],
    ['mseLoss', () => ops.mseLoss(zeros([0]), zeros([0])), /^mseLoss: x has no elements/],
    ['linear', () => ops.linear(zeros([1, 0]), w(), zeros([2])), /^linear: x has no features/],
    ['conv2d without channels', () => ops.conv2d(zeros([1, 0, 4, 4]), zeros([2, 0, 3, 3])), /^conv2d: /],
    ['conv2d without pixels', () => ops.conv2d(zeros([1, 1, 0, 4]), zeros([2, 1, 3, 3])), /^conv2d: /],
    ['conv2d without taps', () => ops.conv2d(zeros([1, 1, 4, 4]), zeros([1, 1, 0, 3])), /^conv2d: /],
    ['maxPool2d without pixels', () => ops.maxPool2d(zeros([1, 1, 0, 4]), { kernel: 2 }), /^maxPool2d: /],
    [
      'globalAvgPool without pixels',
      () => ops.globalAvgPool(zeros([1, 1, 0, 4])),
      /^(globalAvgPool|adaptiveAvgPool2d): /,
    ],
    [
      'batchNorm in training',
      () => ops.batchNorm(zeros([0, 3]), ones([3]), zeros([3]), { training: true }),
      /^batchNorm: /,
    ],
    ['a wild extent beside 0', () => zeros([0, 3]).reshape([0, -1]), /^reshape: /],
  ])('%s', (_, use, message) => {
    const before = memoryUsage().liveBytes
    let thrown: unknown
    scope(() => {
      try {
        use()
      } catch (error) {
        thrown = error
      }
    })
    expect(thrown).toBeInstanceOf(ShapeError)
    expect((thrown as Error).message).toMatch(message)
    expect(memoryUsage().liveBytes).toBe(before)
  })
})
