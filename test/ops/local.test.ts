import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import {
  conv2d,
  convMatrix,
  locallyConnected1d,
  locallyConnected2d,
  tiledConv1d,
  tiledConv2d,
  type LocalOptions,
} from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectAdjoint, expectMatrix, expectOracle, numbersLike } from '../helpers/linear.js'
import { oracleCases } from '../helpers/oracle.js'
import { size } from '../helpers/reference.js'

beforeAll(() => init())

const variants = {
  locallyConnected: {
    operations: [locallyConnected1d, locallyConnected2d],
    w: (K: number, C: number, kernel: number[], _: number[], output: number[]) => [K, ...output, C, ...kernel],
  },
  tiled: {
    operations: [tiledConv1d, tiledConv2d],
    w: (K: number, C: number, kernel: number[], periods: number[]) => [K, C, ...kernel, ...periods],
  },
} as const

describe.each(['locallyConnected2d', 'tiledConv2d'] as const)('%s', (name) => {
  const operation = { locallyConnected2d, tiledConv2d }[name]
  it.each(oracleCases(name))('agrees with PyTorch, case $id', (test) => {
    expectOracle(test, ({ x, w, bias }, options) => operation(x!, w!, { ...(options as LocalOptions), bias }))
  })
})

describe.each(Object.entries(variants))('%s', (variant, { operations, w: shapeOf }) => {
  it.each([1, 2])('in %i directions is the adjoint of its gradients and equals its matrix', (directions) => {
    const list = (min: number, max: number): fc.Arbitrary<number[]> =>
      fc.array(fc.integer({ min, max }), { minLength: directions, maxLength: directions })
    const shapes = fc
      .record({
        N: fc.integer({ min: 1, max: 3 }),
        C: fc.integer({ min: 1, max: 4 }),
        K: fc.integer({ min: 1, max: 5 }),
        input: list(1, 7),
        kernel: list(1, 4),
        stride: list(1, 3),
        padding: list(0, 2),
        periods: list(1, 3),
        seed: fc.integer({ min: 1, max: 1e6 }),
      })
      .filter(({ input, kernel, padding }) => input.every((n, axis) => n + 2 * padding[axis]! >= kernel[axis]!))
    fc.assert(
      fc.property(shapes, ({ N, C, K, input, kernel, stride, padding, periods, seed }) => {
        const output = input.map((n, axis) => Math.floor((n + 2 * padding[axis]! - kernel[axis]!) / stride[axis]!) + 1)
        const operation = operations[directions - 1]!
        const options = { stride, padding }
        scope(() => {
          const w = numbersLike(shapeOf(K, C, kernel, periods, output), seed)
          expectAdjoint((x, kernels) => operation(x, kernels, options), [numbersLike([N, C, ...input], seed + 1), w])
          expectMatrix(
            convMatrix(w, input, { variant: variant as 'tiled', ...options }),
            (x) => operation(x, w, options),
            numbersLike([1, C, ...input], seed + 2),
          )
        })
      }),
      { numRuns: 60 },
    )
  })
})

describe('kernels that depend on the place', () => {
  it('are a convolution when all are the same', () => {
    scope(() => {
      const x = numbersLike([2, 3, 6, 5], 1)
      const w = numbersLike([4, 3, 3, 2], 2)
      const bias = numbersLike([4], 3)
      const expected = conv2d(x, w, { bias, padding: 1 }).data()
      const values = w.data()
      const repeat = (periods: readonly number[]): Tensor => {
        const each = periods.reduce((total, extent) => total * extent, 1)
        return tensor(
          Float32Array.from({ length: values.length * each }, (_, i) => values[Math.floor(i / each)]!),
          [4, 3, 3, 2, ...periods],
        )
      }
      const tiledBias = tensor(
        Float32Array.from({ length: 24 }, (_, i) => bias.data()[Math.floor(i / 6)]!),
        [4, 2, 3],
      )
      expect(tiledConv2d(x, repeat([2, 3]), { bias: tiledBias, padding: 1 }).data()).toEqual(expected)
      expect(tiledConv2d(x, repeat([1, 1]), { bias: bias.reshape([4, 1, 1]), padding: 1 }).data()).toEqual(expected)
    })
  })

  it('have the gradients that finite differences give, biases included', () => {
    scope(() => {
      const x = normal([2, 2, 5, 4], { seed: 1 })
      const bias = normal([3, 2, 2], { seed: 3 })
      expect(
        gradcheck((a, w, b) => tiledConv2d(a, w, { bias: b }), [x, normal([3, 2, 2, 2, 2, 2], { seed: 2 }), bias]).ok,
      ).toBe(true)
      const local = gradcheck(
        (a, w, b) => locallyConnected2d(a, w, { bias: b }),
        [x, normal([3, 4, 3, 2, 2, 2], { seed: 2 }), normal([3, 4, 3])],
      )
      expect(local.ok).toBe(true)
    })
  })

  it.each<[string, () => unknown, RegExp]>([
    ['a period of zero', () => tiledConv2d(zeros([1, 1, 4, 4]), zeros([1, 1, 2, 2, 0, 1])), /extent 0/],
    [
      'weights for other places',
      () => locallyConnected2d(zeros([1, 1, 4, 4]), zeros([1, 3, 4, 1, 2, 2])),
      /output has \(3, 3\) locations, w \(1, 3, 4, 1, 2, 2\) has kernels for \(3, 4\)/,
    ],
    [
      'other channels',
      () => tiledConv2d(zeros([1, 2, 4, 4]), zeros([1, 3, 2, 2, 1, 1])),
      /x has 2 channels, w \(1, 3, 2, 2, 1, 1\) takes 3/,
    ],
    ['rank of w', () => tiledConv1d(zeros([1, 2, 4]), zeros([1, 2, 2])), /w must be \(K, C, S, T\), given \(1, 2, 2\)/],
    ['rank of x', () => locallyConnected1d(zeros([2, 4]), zeros([1, 3, 2, 2])), /x must be \(N, C, W\)/],
    [
      'bias',
      () => tiledConv1d(zeros([1, 2, 4]), zeros([3, 2, 2, 2]), { bias: zeros([3]) }),
      /bias must be \(3, 2\), one for each kernel/,
    ],
    ['kernel too wide', () => locallyConnected1d(zeros([1, 1, 2]), zeros([1, 1, 1, 3])), /reaches over 3 elements/],
  ])('refuse %s', (_, call, message) => {
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(ShapeError)
      expect(call).toThrow(message)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each([
    [[1], [2 ** 21], 1],
    [[2], [3 * 2 ** 20], 3],
    [[1, 2], [600, 500], 1],
    [[2, 2], [1201, 1000], 2],
  ])(
    'periods %j, padding %j, stride %i: pixels whose windows miss the input are the bias',
    (periods, padding, stride) => {
      const rank = periods.length
      const [input, kernel] = [[5, 4].slice(0, rank), [3, 2].slice(0, rank)]
      const output = input.map((n, a) => Math.floor((n + 2 * padding[a]! - kernel[a]!) / stride) + 1)
      const [elements, taps, pixels, classes] = [size(input), size(kernel), size(output), size(periods)]
      const place = (flat: number, shape: readonly number[]): number[] =>
        shape.map((n, axis) => Math.floor(flat / size(shape.slice(axis + 1))) % n)
      scope(() => {
        const [x, w, bias] = [
          normal([1, 1, ...input], { seed: 1 }),
          normal([2, 1, ...kernel, ...periods], { seed: 2 }),
          normal([2, ...periods], { seed: 3 }),
        ]
        const options = { padding, stride }
        const { value, pullback } = vjp(
          (a, b, c) => [tiledConv1d, tiledConv2d][rank - 1]!(a, b, { ...options, bias: c }),
          x,
          w,
          bias,
        )
        const dy = normal(value.shape, { seed: 4 })
        const [xs, ws, biases, dys, ys] = [x.data(), w.data(), bias.data(), dy.data(), value.data()]
        const wanted = new Map<number, number>()
        const [dx, dw] = [new Float64Array(elements), new Float64Array(ws.length)]
        const classOf = (pixel: readonly number[]): number =>
          pixel.reduce((flat, p, a) => flat * periods[a]! + (p % periods[a]!), 0)
        for (let j = 0; j < elements; j++) {
          for (let t = 0; t < taps; t++) {
            const tap = place(t, kernel)
            const pixel = place(j, input).map((h, a) => (h + padding[a]! - tap[a]!) / stride)
            if (pixel.some((p, a) => !Number.isInteger(p) || p >= output[a]!)) continue
            const i = pixel.reduce((flat, p, a) => flat * output[a]! + p, 0)
            for (let k = 0; k < 2; k++) {
              const at = (k * taps + t) * classes + classOf(pixel)
              wanted.set(k * pixels + i, (wanted.get(k * pixels + i) ?? 0) + ws[at]! * xs[j]!)
              dx[j]! += ws[at]! * dys[k * pixels + i]!
              dw[at]! += xs[j]! * dys[k * pixels + i]!
            }
          }
        }
        let worst = 0
        for (let i = 0; i < ys.length; i++) {
          const own = biases[Math.floor(i / pixels) * classes + classOf(place(i % pixels, output))]!
          worst = Math.max(worst, Math.abs(ys[i]! - own - (wanted.get(i) ?? 0)))
        }
        expect(worst).toBeLessThan(1e-5)
        const [gotX, gotW] = pullback(dy).map((gradient) => gradient.data())
        dx.forEach((value, j) => expect(gotX![j]).toBeCloseTo(value, 4))
        dw.forEach((value, j) => expect(gotW![j]).toBeCloseTo(value, 4))
      })
    },
  )
})
