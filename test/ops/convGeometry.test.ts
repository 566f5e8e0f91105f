/** Strides, dilations and paddings of any size: right, or refused; and filter gradients over very many pixels. */
import { beforeAll, describe, expect, it } from 'vitest'
import { conv1d, conv2d, conv3d } from '../../src/ops/conv.js'
import {
  conv1dInputGrad,
  conv1dWeightGrad,
  conv2dInputGrad,
  conv2dWeightGrad,
  conv3dInputGrad,
} from '../../src/ops/convGradients.js'
import { convMatrix } from '../../src/ops/convMatrix.js'
import { convTranspose1d } from '../../src/ops/convTranspose.js'
import type { ConvAlgorithm } from '../../src/plan/conv.js'
import { init } from '../../src/runtime/embedded.js'
import { OutOfMemoryError, ShapeError, UnsupportedError } from '../../src/runtime/errors.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { full, normal, ones, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { checkConvolutions } from '../helpers/geometry.js'
import { size } from '../helpers/reference.js'

beforeAll(() => init())

const values = (make: () => Tensor): number[] => scope(() => [...make().data()])

describe('random geometry', () => {
  it.each([1, 2, 3, 4])('agrees with the pairs that meet, seed %i', (seed) => {
    const { faults, refused, cases } = checkConvolutions(seed, 75)
    expect(faults).toEqual([])
    // About half of the algorithms asked for by name cannot do their case.
    expect(refused).toBeLessThan(0.5 * cases)
  })
})

describe('windows that reach far beyond the input', () => {
  it('drops the taps that meet nothing', () => {
    const same = (dilation: number) =>
      values(() => conv2d(ones([1, 1, 8, 8]), ones([1, 1, 3, 3]), { padding: 'same', dilation }))
    expect(same(16383)).toEqual(new Array(64).fill(1))
    expect(same(2 ** 31 - 1)).toEqual(new Array(64).fill(1))
    expect(values(() => conv1d(ones([1, 1, 8]), ones([1, 1, 3]), { padding: 'same', dilation: 2 ** 30 }))).toEqual(
      new Array(8).fill(1),
    )
    const five = tensor([1, 2, 3, 4, 5], [1, 1, 5])
    for (const flip of [false, true]) {
      const y = values(() => conv1d(ones([1, 1, 8]), five, { padding: 'same', dilation: 2 ** 31 - 1, flip }))
      expect(y).toEqual(new Array(8).fill(3))
    }
    five.dispose()
  })

  it('gives dropped taps a gradient of zero', () => {
    const options = { padding: 'same', dilation: 2 ** 20, kernel: [5] } as const
    // Taps lie at −2^21, −2^20, 0, 2^20 and 2^21.
    expect(values(() => conv1dWeightGrad(ones([1, 1, 8]), ones([1, 1, 8]), options))).toEqual([0, 0, 8, 0, 0])
    const dx = () =>
      conv1dInputGrad(tensor([5, 6, 7], [1, 1, 3]), ones([1, 1, 8]), {
        padding: 'same',
        dilation: 2 ** 30,
        inputSize: [8],
      })
    expect(values(dx)).toEqual(new Array(8).fill(6))
  })

  it('passes over the input in strides longer than it', () => {
    // Windows at −2^30, −1 and 2^30 − 2 … of an input of 8 elements: only the second tap of the second meets it.
    const y = values(() =>
      conv1d(tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 8]), tensor([10, 1], [1, 1, 2]), {
        stride: 2 ** 30 - 1,
        padding: [[2 ** 30, 2 ** 30]],
      }),
    )
    expect(y).toEqual([0, 1, 0])
  })

  it('refuses what cannot be meant, before anything is allocated', () => {
    const x = ones([1, 1, 8])
    const w = ones([1, 1, 3])
    const before = memoryUsage()
    expect(() => conv1d(x, w, { padding: 2 ** 31 })).toThrow(
      'conv1d: padding can be at most 2147483647, given 2147483648',
    )
    expect(() => conv1d(x, w, { padding: 2 ** 31 - 1 })).toThrow(ShapeError)
    expect(() => conv1d(x, w, { padding: 'full', dilation: 2 ** 30 })).toThrow(ShapeError)
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    expect(() => conv1d(x, w, { stride: cyclic as number[] })).toThrow(ShapeError)
    const asked = () => conv1d(x, w, { padding: [[2 ** 30, 2 ** 30]], stride: 2 ** 28, algorithm: 'gemm' })
    expect(asked).toThrow(UnsupportedError)
    expect(asked).toThrow(/far more padding than input.*use direct/)
    expect(() => convTranspose1d(x, w, { stride: 2 ** 29 })).toThrow(/needs more than the 4 GiB/)
    expect(() => convMatrix(w, [8], { padding: [[0, 2 ** 28]] })).toThrow(
      /convMatrix: a matrix of .* smaller inputSize/,
    )
    expect(memoryUsage()).toEqual(before)
    x.dispose()
    w.dispose()
  })

  it('refuses packed weights and workspace beyond 4 GiB', () => {
    // Fourier transforms of 16 × 16 points make 2 × 2 filters 144 times as large: more than 2^32 bytes, which wrapped.
    const [x, w] = [ones([1, 1024, 4, 4]), full([2048, 1024, 2, 2], 1)]
    const before = memoryUsage().liveBytes
    expect(() => conv2d(x, w, { algorithm: 'fft' }).dispose()).toThrow(OutOfMemoryError)
    expect(memoryUsage().liveBytes).toBe(before)
    x.dispose()
    w.dispose()
  })
})

describe('filter gradients over more pixels than a float can count', () => {
  const pixels = 2 ** 24 + 2 ** 22
  const cases: [ConvAlgorithm, number[], number[]][] = [
    ['direct', [1, 1, 1, pixels], [1, 1]],
    ['gemm', [1, 1, 1, pixels], [1, 1]],
    ['depthwise', [1, 1, 1, pixels], [1, 1]],
    ['depthwise', [1, 1, pixels / 2, 2], [1, 1]],
    ['gemm', [pixels, 1, 1, 1], [1, 1]],
    ['dense', [pixels, 1, 1, 1], [1, 1]],
    ['direct', [pixels / 4, 1, 2, 2], [1, 1]],
  ]
  it.each(cases)('%s, x %j', (algorithm, shape, kernel) => {
    const dw = values(() => conv2dWeightGrad(ones(shape), ones(shape), { kernel, algorithm }))
    expect(dw).toEqual([pixels])
  })

  it.each(['winograd', 'gemm'] as const)('%s, a map of 4608 × 4608', (algorithm) => {
    const side = 4608
    const dw = values(() =>
      conv2dWeightGrad(ones([1, 1, side, side]), ones([1, 1, side - 2, side - 2]), { kernel: [3, 3], algorithm }),
    )
    for (const value of dw) expect(Math.abs(value / (side - 2) ** 2 - 1)).toBeLessThan(1e-4)
  })
})

describe('a kernel far wider than its input', () => {
  it.each([
    ['auto', 1, false],
    ['auto', 2, true],
    ['direct', 1, true],
    ['direct', 3, false],
  ] as const)(
    '%s, dilation %i, flip %s: every pair of a tap and an output that meets the input, and no other',
    (algorithm, dilation, flip) => {
      const [n, r, stride] = [5, 9001, 2]
      const lo = dilation * (r - 1)
      const options = { stride, dilation, padding: 'full', flip, algorithm } as const
      scope(() => {
        const [x, w] = [normal([1, 1, n], { seed: 1 }), normal([1, 1, r], { seed: 2 })]
        const y = conv1d(x, w, options)
        const dy = normal(y.shape, { seed: 3 })
        const [xs, ws, dys] = [x.data(), w.data(), dy.data()]
        const expected = { y: new Float64Array(y.size), dx: new Float64Array(n), dw: new Float64Array(r) }
        for (let i = 0; i < y.size; i++) {
          for (let j = 0; j < n; j++) {
            const tap = (j + lo - i * stride) / dilation
            if (!Number.isInteger(tap) || tap < 0 || tap >= r) continue
            const at = flip ? r - 1 - tap : tap
            expected.y[i]! += xs[j]! * ws[at]!
            expected.dx[j]! += dys[i]! * ws[at]!
            expected.dw[at]! += dys[i]! * xs[j]!
          }
        }
        const given = {
          y,
          dx: conv1dInputGrad(w, dy, { inputSize: [n], ...options }),
          dw: conv1dWeightGrad(x, dy, { kernel: [r], ...options }),
        }
        for (const [name, result] of Object.entries(given)) {
          const wanted = expected[name as 'y']
          result.data().forEach((value, i) => {
            if (Math.abs(value - wanted[i]!) > 1e-4 * (1 + Math.abs(wanted[i]!)))
              expect([name, i, value]).toEqual([name, i, wanted[i]])
          })
          expect(result.size).toBe(wanted.length)
        }
      })
    },
  )
})

describe('far more outputs than meet the input', () => {
  it.each([
    [[7], [3], [2 ** 22], [1]],
    [[7], [3], [2 ** 22 + 1], [3]],
    [[2], [4], [3 * 2 ** 20 - 1], [5]],
    [
      [5, 4],
      [3, 2],
      [1024, 1021],
      [1, 1],
    ],
    [
      [3, 2],
      [2, 5],
      [3001, 509],
      [2, 3],
    ],
    [
      [2, 3, 2],
      [2, 2, 2],
      [61, 203, 251],
      [1, 2, 1],
    ],
  ])('input %j, kernel %j, dilation %j, stride %j', (input, kernel, dilation, stride) => {
    const rank = input.length
    const output = input.map((n, a) => Math.floor((n + dilation[a]! * (kernel[a]! - 1) - 1) / stride[a]!) + 1)
    const [pixels, taps, elements] = [size(output), size(kernel), size(input)]
    const place = (flat: number, shape: readonly number[]): number[] =>
      shape.map((n, axis) => Math.floor(flat / size(shape.slice(axis + 1))) % n)
    scope(() => {
      const options = { padding: 'full', stride, dilation, algorithm: 'direct' } as const
      const [x, w] = [normal([1, 1, ...input], { seed: 1 }), normal([2, 1, ...kernel], { seed: 2 })]
      const bias = tensor([3, -2])
      const y = [conv1d, conv2d, conv3d][rank - 1]!(x, w, { ...options, bias })
      const dy = normal(y.shape, { seed: 3 })
      expect(y.shape).toEqual([1, 2, ...output])
      const dx = [conv1dInputGrad, conv2dInputGrad, conv3dInputGrad][rank - 1]!(w, dy, { ...options, inputSize: input })
      const [xs, ws, dys] = [x.data(), w.data(), dy.data()]
      const wanted = new Map<number, number>()
      const gradients = new Float64Array(elements)
      for (let j = 0; j < elements; j++) {
        const at = place(j, input)
        for (let t = 0; t < taps; t++) {
          const tap = place(t, kernel)
          const to = at.map((h, a) => (h + dilation[a]! * (kernel[a]! - 1 - tap[a]!)) / stride[a]!)
          if (to.some((i, a) => !Number.isInteger(i) || i >= output[a]!)) continue
          const i = to.reduce((flat, h, a) => flat * output[a]! + h, 0)
          for (let k = 0; k < 2; k++) {
            const weight = ws[k * taps + t]!
            wanted.set(k * pixels + i, (wanted.get(k * pixels + i) ?? 0) + xs[j]! * weight)
            gradients[j]! += dys[k * pixels + i]! * weight
          }
        }
      }
      const wrong: unknown[] = []
      y.data().forEach((value, i) => {
        const due = (i < pixels ? 3 : -2) + (wanted.get(i) ?? 0)
        if (Math.abs(value - due) > 1e-5 * (1 + Math.abs(due))) wrong.push([i, value, due])
      })
      expect(wrong.slice(0, 5)).toEqual([])
      dx.data().forEach((value, j) => expect(value).toBeCloseTo(gradients[j]!, 3))
    })
  })
})
