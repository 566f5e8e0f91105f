import { beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad, vjp } from '../../src/autodiff/vjp.js'
import {
  conv1d,
  conv1dInputGrad,
  conv1dWeightGrad,
  conv2d,
  conv2dInputGrad,
  conv2dWeightGrad,
  conv3d,
  conv3dInputGrad,
  conv3dWeightGrad,
  mseLoss,
  type ConvOptions,
} from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, zeros } from '../../src/tensor/create.js'
import { keep, scope } from '../../src/tensor/tensor.js'
import { expectAdjoint, numbersLike } from '../helpers/linear.js'

beforeAll(() => init())

const sides = [
  { conv: conv1d, g: conv1dWeightGrad, h: conv1dInputGrad },
  { conv: conv2d, g: conv2dWeightGrad, h: conv2dInputGrad },
  { conv: conv3d, g: conv3dWeightGrad, h: conv3dInputGrad },
]

const optionSets: ConvOptions[] = [
  {},
  { stride: 2 },
  { padding: 'full', flip: true },
  { padding: 'same', dilation: 2, groups: 2 },
  { stride: 3, padding: 1, paddingMode: 'reflect' },
  { padding: 2, paddingMode: 'circular' },
  { padding: 1, paddingMode: 'replicate', groups: 2 },
]

describe.each([1, 2, 3])('g and h in %i directions', (directions) => {
  const { conv, g, h } = sides[directions - 1]!
  const input = [7, 6, 5].slice(0, directions)
  const kernel = [3, 2, 2].slice(0, directions)

  it.each(optionSets)('are the gradients of the convolution, with %j', (options) => {
    scope(() => {
      const x = numbersLike([2, 4, ...input], 1)
      const w = numbersLike([6, 4 / (options.groups ?? 1), ...kernel], 2)
      const { value, pullback } = vjp((a, b) => conv(a, b, options), x, w)
      const dy = numbersLike(value.shape, 3)
      const [dx, dw] = pullback(dy)
      expect(g(x, dy, { kernel, ...options }).data()).toEqual(dw!.data())
      expect(h(w, dy, { inputSize: input, ...options }).data()).toEqual(dx!.data())
    })
  })

  it.each(optionSets)('can be differentiated, with %j', (options) => {
    scope(() => {
      const x = numbersLike([1, 4, ...input], 1)
      const w = numbersLike([2, 4 / (options.groups ?? 1), ...kernel], 2)
      const dy = numbersLike(conv(x, w, options).shape, 3)
      expectAdjoint((a, b) => g(a, b, { kernel, ...options }), [x, dy])
      expectAdjoint((a, b) => h(a, b, { inputSize: input, ...options }), [w, dy])
    })
  })
})

describe('an autoencoder that reconstructs with h (9.14)', () => {
  it('trains', () => {
    const w = scope(() => keep(normal([4, 1, 3, 3], { seed: 3, std: 0.3 })))
    const optimizer = new SGD([w], { lr: 0.02, momentum: 0.9 })
    const losses = Array.from({ length: 60 }, () =>
      scope(() => {
        const x = normal([8, 1, 6, 6], { seed: 5 })
        const step = valueAndGrad((kernels) =>
          mseLoss(conv2dInputGrad(kernels, conv2d(x, kernels, { padding: 1 }), { inputSize: [6, 6], padding: 1 }), x),
        )
        const { value, gradients } = step(w)
        optimizer.step(gradients)
        return value.item()
      }),
    )
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 20)
    optimizer.dispose()
    w.dispose()
  })
})

describe('g and h', () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      'dy of another size',
      () => conv2dWeightGrad(zeros([1, 1, 5, 5]), zeros([1, 2, 4, 4]), { kernel: [3, 3] }),
      /dy must be \(1, 2, 3, 3\), the shape of the convolution's output/,
    ],
    [
      'groups',
      () => conv2dWeightGrad(zeros([1, 3, 5, 5]), zeros([1, 2, 3, 3]), { kernel: [3, 3], groups: 2 }),
      /groups must divide the 3 input channels/,
    ],
    [
      'rank',
      () => conv2dInputGrad(zeros([1, 3, 3]), zeros([1, 1, 3, 3]), { inputSize: [5, 5] }),
      /w must be \(K, C\/groups, …\)/,
    ],
    [
      'input size',
      () => conv2dInputGrad(zeros([1, 1, 3, 3]), zeros([1, 1, 3, 3]), { inputSize: [6, 5] }),
      /dy must be \(1, 1, 4, 3\)/,
    ],
    [
      'number of extents',
      () => conv2dInputGrad(zeros([1, 1, 3, 3]), zeros([1, 1, 3, 3]), { inputSize: [5] }),
      /inputSize must be a number or 2 numbers/,
    ],
  ])('refuse a wrong %s', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(message)
    })
  })
})
