/**
 * Convolutions chosen by themselves beside the definition, where numbers are large or not finite: both must be NaN, infinite
 * and finite in the same places.
 */
import { expect, it } from 'vitest'
import { conv2d, type ConvOptions } from '../../src/ops/index.js'
import { convolution, describeConv, inputGradient, weightGradient } from '../../src/ops/conv.js'
import { planConv, type ConvAlgorithm, type ConvPass } from '../../src/plan/conv.js'
import { tensor } from '../../src/tensor/create.js'
import { sizeOf, type Shape } from '../../src/tensor/shape.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

interface Case {
  readonly name: string
  readonly x: Shape
  readonly w: Shape
  readonly options?: ConvOptions
  /** What is taken unasked in each pass; left out: whatever it is. */
  readonly taken?: Partial<Record<ConvPass, ConvAlgorithm>>
}

/** At least one problem for every algorithm in every pass in which it is taken unasked. */
export const cases: readonly Case[] = [
  {
    name: 'tiles of 6',
    x: [2, 18, 13, 14],
    w: [20, 18, 3, 3],
    options: { padding: 1 },
    taken: { fwd: 'winograd', dx: 'winograd' },
  },
  {
    name: 'tiles of 6, 5 × 5',
    x: [1, 16, 15, 15],
    w: [24, 16, 5, 5],
    options: { padding: 2 },
    taken: { fwd: 'winograd' },
  },
  {
    name: 'tiles of 6, flipped, without padding',
    x: [1, 32, 12, 12],
    w: [32, 32, 3, 3],
    options: { flip: true },
    taken: { fwd: 'winograd' },
  },
  { name: 'tiles of 4', x: [1, 64, 4, 4], w: [64, 64, 3, 3] },
  { name: 'phases', x: [1, 3, 40, 40], w: [32, 3, 11, 11], options: { stride: 4 }, taken: { fwd: 'phases' } },
  {
    name: 'Fourier transforms',
    x: [1, 16, 20, 20],
    w: [16, 16, 9, 9],
    options: { padding: 4 },
    taken: { fwd: 'fft' },
  },
  {
    name: 'panels',
    x: [2, 3, 11, 10],
    w: [7, 3, 3, 3],
    options: { padding: 1 },
    taken: { fwd: 'gemm', dx: 'gemm', dw: 'gemm' },
  },
  {
    name: 'panels, strided and padded',
    x: [1, 4, 12, 12],
    w: [6, 4, 3, 3],
    options: { padding: 2, stride: 2 },
    taken: { fwd: 'gemm' },
  },
  { name: 'panels, 1 × 1', x: [2, 20, 7, 7], w: [24, 20, 1, 1], taken: { fwd: 'gemm' } },
  {
    name: 'depthwise without padding',
    x: [1, 8, 24, 24],
    w: [8, 1, 3, 3],
    options: { groups: 8 },
    taken: { dx: 'depthwise' },
  },
  { name: 'groups', x: [1, 8, 9, 9], w: [8, 4, 3, 3], options: { padding: 1, groups: 2, dilation: 2 } },
  {
    name: 'depthwise',
    x: [2, 8, 12, 12],
    w: [8, 1, 3, 3],
    options: { padding: 1, groups: 8 },
    taken: { fwd: 'depthwise' },
  },
  { name: 'dense', x: [1, 8, 5, 5], w: [10, 8, 5, 5], taken: { fwd: 'dense' } },
  { name: 'one direction', x: [2, 16, 40], w: [16, 16, 3], options: { padding: 1 } },
  { name: 'three directions', x: [1, 16, 6, 6, 6], w: [16, 16, 3, 3, 3], options: { padding: 1 } },
]

/** Numbers from 0 on by a linear congruential generator, the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Numbers of either sign, of sizes up to `most`. */
function values(shape: Shape, most: number, seed: number): Float32Array<ArrayBuffer> {
  const next = generator(seed)
  return Float32Array.from({ length: sizeOf(shape) }, () => (2 * next() - 1) * most)
}

/** x, w and dy. */
type Numbers = readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>]

/** What each number is: -2 and 2 for infinities, 1 for NaN, 0 for finite ones. */
const kinds = (y: Tensor): Int8Array =>
  Int8Array.from(y.data(), (value) => (Number.isNaN(value) ? 1 : Number.isFinite(value) ? 0 : 2 * Math.sign(value)))

const special = [NaN, Infinity, -Infinity]

/** Where one number is put among the others: in a corner, where windows meet the padding, and anywhere. */
const places = (size: number, seed: number): number[] => [seed % 2 ? 0 : size - 1, Math.floor(generator(seed)() * size)]

/** Fails where two tensors are not NaN, infinite and finite in the same places, or not all `finite`. */
function agree(chosen: Tensor, exact: Tensor, finite: boolean): void {
  const [a, b] = [kinds(chosen), kinds(exact)]
  const wrong = a.findIndex((kind, index) => kind !== b[index])
  expect(wrong, `${wrong}: ${a[wrong]} instead of ${b[wrong]}`).toBe(-1)
  if (finite) expect(b.every((kind) => kind === 0)).toBe(true)
}

/** Tests that every case of the table is finite, NaN and infinite where the definition is; not `thorough`: at fewer places. */
export function testRange(thorough: boolean): void {
  for (const { name, x: xShape, w: wShape, options = {}, taken = {} } of cases) {
    const directions = xShape.length - 2
    const conv = convolution(directions)
    const describe_ = (algorithm: ConvAlgorithm | 'auto') =>
      describeConv('conv', directions, xShape, wShape, { ...options, algorithm })
    const [auto, direct] = [describe_('auto'), describe_('direct')]
    /** The passes that read these numbers, or those that read one of them: 0 is x, 1 is w, 2 is dy. */
    const compare = (numbers: Numbers, { finite = false, only }: { finite?: boolean; only?: number } = {}): void => {
      scope(() => {
        const [X, W, DY] = [tensor(numbers[0], xShape), tensor(numbers[1], wShape), tensor(numbers[2], auto.yShape)]
        for (const activation of only === 2 ? [] : ([undefined, 'relu'] as const)) {
          const given = { ...options, ...(activation ? { activation } : {}) }
          agree(conv(X, W, given), conv(X, W, { ...given, algorithm: 'direct' }), finite)
        }
        if (only !== 0) agree(inputGradient({ dy: DY, w: W }, auto), inputGradient({ dy: DY, w: W }, direct), finite)
        if (only !== 1) agree(weightGradient({ dy: DY, x: X }, auto), weightGradient({ dy: DY, x: X }, direct), finite)
      })
    }
    const yShape = auto.yShape
    const ordinary = (): Numbers => [values(xShape, 1, 1), values(wShape, 1, 2), values(yShape, 1, 3)]

    it(`${name}: takes ${JSON.stringify(taken)} unasked`, () => {
      for (const [pass, algorithm] of Object.entries(taken)) {
        expect(planConv(auto.problem, pass as ConvPass)).toBe(algorithm)
      }
    })

    it(`${name}: large numbers whose sums are finite`, () => {
      const fill = (shape: Shape, value: number) => new Float32Array(sizeOf(shape)).fill(value)
      const most = 1e38 / Math.max(sizeOf(wShape) / wShape[1]!, sizeOf(yShape))
      compare([fill(xShape, 1e38), fill(wShape, most / 1e38), fill(yShape, 1e-3)], { finite: true })
      compare([fill(xShape, most / 1e30), fill(wShape, 1e27), fill(yShape, 1e-3)], { finite: true })
      compare([fill(xShape, 1e-3), fill(wShape, most / 1e38), fill(yShape, 1e38)], { finite: true })
    })

    it(`${name}: numbers whose sums overflow here and there`, () => {
      for (const size of thorough ? [1e18, 1e19, 3e19] : [1e19]) {
        compare([values(xShape, size, 4), values(wShape, size, 5), values(yShape, size, 6)])
      }
    })

    it(`${name}: one number that is not finite`, () => {
      special.slice(thorough ? 0 : 1).forEach((value, index) => {
        for (const operand of [0, 1, 2]) {
          const given = ordinary()
          const size = given[operand]!.length
          for (const place of places(size, 7 + index).slice(thorough ? 0 : 1)) {
            const all = given.map((numbers) => numbers.slice()) as unknown as Numbers
            all[operand]![place] = value
            compare(all, { only: operand })
          }
        }
      })
    })

    it(`${name}: biases that are not finite, and ordinary numbers keep the bits of what was chosen`, () => {
      const [x, w] = ordinary()
      scope(() => {
        const [X, W] = [tensor(x, xShape), tensor(w, wShape)]
        for (const shape of [[wShape[0]!], yShape.slice(1)]) {
          for (const value of [...special, 1e38]) {
            const bias = values(shape, 1, 8)
            bias[bias.length >> 1] = value
            for (const activation of [undefined, 'relu'] as const) {
              const given = { ...options, bias: tensor(bias, shape), ...(activation ? { activation } : {}) }
              agree(conv(X, W, given), conv(X, W, { ...given, algorithm: 'direct' }), value === 1e38)
            }
          }
        }
        const algorithm = planConv(auto.problem, 'fwd')
        expect(conv(X, W, options).data()).toEqual(conv(X, W, { ...options, algorithm }).data())
      })
    })
  }

  it.each([
    ['winograd', 3, 8],
    ['winograd', 5, 20],
    ['winograd2', 3, 3],
    ['fft', 9, 4],
  ] as const)('one large value costs the others of its tile by %s, side %i, at most %i units', (algorithm, r, most) => {
    scope(() => {
      const [xShape, wShape] = [
        [1, 16, 24, 24],
        [16, 16, r, r],
      ]
      const [x, w] = [values(xShape, 1, 1), values(wShape, 1, 2)]
      x[5 * 576 + 300] = 1e30
      const given = { padding: r >> 1 }
      const [X, W] = [tensor(x, xShape), tensor(w, wShape)]
      const exact = conv2d(X, W, { ...given, algorithm: 'direct' }).data()
      const errors = conv2d(X, W, { ...given, algorithm })
        .data()
        .map((y, index) => Math.abs(y - exact[index]!))
      expect(Math.max(...errors)).toBeLessThan(most * 2 ** -24 * 1e30)
      expect(Math.max(...errors)).toBeGreaterThan(0)
    })
  })

  it('leaves no alarm behind: what was asked for by name does not disturb what comes after', () => {
    scope(() => {
      const shape = [1, 16, 12, 12]
      const [x, w] = [tensor(values(shape, 1, 1), shape), tensor(values([16, 16, 3, 3], 1, 2), [16, 16, 3, 3])]
      const bad = tensor(values(shape, 1, 1).fill(NaN, 0, 1), shape)
      const before = conv2d(x, w, { padding: 1 }).data()
      expect(Number.isNaN(conv2d(bad, w, { padding: 1, algorithm: 'winograd' }).data()[0])).toBe(true)
      expect(conv2d(x, w, { padding: 1 }).data()).toEqual(before)
      expect(planConv(describeConv('conv2d', 2, shape, [16, 16, 3, 3], { padding: 1 }).problem, 'fwd')).toBe('winograd')
    })
  })
}
