/** Convolutions of bytes are those of their definition, bit for bit, by kernels, by loops, and on threads. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { limitsOf, type ByteType } from '../../../src/ops/integers/bytes.js'
import { byteConv, type ByteConvOptions, type ByteOperands } from '../../../src/ops/integers/conv.js'
import { fixedOf } from '../../../src/ops/integers/fixed.js'
import type { Bytes } from '../../../src/ops/integers/windows.js'
import { initIntegers } from '../../../src/quant/index.js'
import { forceChunks, memoryUsage, runtimeInfo } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import { badWindows, bytesOf, listed } from './bytes.js'
import { convExactly, scaledExactly } from './reference.js'

beforeAll(() => init({ threads: 2 }))
afterEach(() => {
  forceChunks(undefined)
})
afterAll(() => init({ threads: 1 }))

/** Numbers by a seed, of a range. */
function drawn(seed: number, count: number, low: number, high: number): number[] {
  let state = seed >>> 0
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return low + Math.floor((state / 2 ** 32) * (high - low + 1))
  })
}

interface Case {
  readonly seed: number
  readonly xShape: readonly [number, number, number, number]
  readonly wShape: readonly [number, number, number, number]
  readonly outputs: readonly [number, number]
  readonly xType: ByteType
  readonly options: ByteConvOptions
}

/** Two directions of a window, and the pixels that are left when it has moved by `more`. */
const direction = (most: number) =>
  fc.record({
    kernel: fc.integer({ min: 1, max: 5 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    lo: fc.integer({ min: 0, max: 3 }),
    hi: fc.integer({ min: 0, max: 3 }),
    output: fc.integer({ min: 1, max: most }),
    left: fc.integer({ min: 0, max: 2 }),
  })

type Direction = {
  kernel: number
  stride: number
  dilation: number
  lo: number
  hi: number
  output: number
  left: number
}

/** Extents of the input that give the output; at least 1. */
function inputOf({ kernel, stride, dilation, lo, hi, output, left }: Direction): { n: number; output: number } {
  const n = Math.max(1, (output - 1) * stride + dilation * (kernel - 1) + 1 + Math.min(left, stride - 1) - lo - hi)
  return { n, output: Math.floor((n + lo + hi - dilation * (kernel - 1) - 1) / stride) + 1 }
}

const bytes = fc.constantFrom<ByteType>('uint8', 'int8')

const cases: fc.Arbitrary<Case> = fc
  .record({
    seed: fc.nat(),
    N: fc.integer({ min: 1, max: 3 }),
    groups: fc.constantFrom(1, 1, 1, 2, 3),
    c: fc.integer({ min: 1, max: 6 }),
    k: fc.integer({ min: 1, max: 9 }),
    h: direction(5),
    w: direction(19),
    pointwise: fc.boolean(),
    xType: bytes,
    type: bytes,
    zero: fc.integer({ min: 0, max: 255 }),
    yZero: fc.integer({ min: 0, max: 255 }),
    relu: fc.boolean(),
  })
  .map(({ seed, N, groups, c, k, h, w, pointwise, xType, type, zero, yZero, relu }) => {
    const plain = (of: Direction): Direction =>
      pointwise ? { ...of, kernel: 1, stride: 1, dilation: 1, lo: 0, hi: 0, left: 0 } : of
    const [rows, columns] = [plain(h), plain(w)]
    const [H, W] = [inputOf(rows), inputOf(columns)]
    const [low, high] = limitsOf(type)
    const offset = yZero + low
    const options: ByteConvOptions = {
      groups,
      stride: [rows.stride, columns.stride],
      dilation: [rows.dilation, columns.dilation],
      padding: [
        [rows.lo, rows.hi],
        [columns.lo, columns.hi],
      ],
      xZero: zero + limitsOf(xType)[0],
      yZero: offset,
      type,
      low: relu ? Math.max(low, offset) : low,
      high,
    }
    return {
      seed,
      xShape: [N, groups * c, H.n, W.n] as const,
      wShape: [groups * k, c, rows.kernel, columns.kernel] as const,
      outputs: [H.output, W.output] as const,
      xType,
      options,
    }
  })
  .filter(({ outputs }) => outputs[0] > 0 && outputs[1] > 0)

/** The operands of a case, and what the definition makes of them. */
function operandsOf({ seed, xShape, wShape, outputs, xType, options }: Case) {
  const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1)
  const [K] = wShape
  const factors = drawn(seed + 3, K, 1, 4000).map((value) => fixedOf(value / 4e5, 'factor'))
  const lists = {
    x: drawn(seed, size(xShape), ...limitsOf(xType)),
    w: drawn(seed + 1, size(wShape), -128, 127),
    bias: drawn(seed + 2, K, -20_000, 20_000),
    m: factors.map(({ m }) => m),
    s: factors.map(({ s }) => s),
  }
  const whole = (values: readonly number[]) => tensor([...values], [K], { dtype: 'int32' })
  const operands: ByteOperands = {
    x: tensor([...lists.x], [...xShape], { dtype: xType }) as Bytes,
    w: tensor([...lists.w], [...wShape], { dtype: 'int8' }),
    bias: whole(lists.bias),
    m: whole(lists.m),
    s: whole(lists.s),
  }
  return { operands, expected: convExactly(lists, xShape, wShape, outputs, options) }
}

function check(given: Case): void {
  scope(() => {
    const { operands, expected } = operandsOf(given)
    expect([...(byteConv(operands, given.options).data() as Uint8Array)]).toEqual(expected)
  })
}

describe('byteConv', () => {
  it('is its definition in loops of JavaScript, before the kernels are loaded', () => {
    expect(runtimeInfo().kernels).not.toContain('integer_conv_fwd')
    fc.assert(fc.property(cases, check), { numRuns: 60 })
  })

  it('is its definition by the kernels', async () => {
    await initIntegers()
    await initIntegers({})
    expect(runtimeInfo().kernels).toContain('integer_conv_fwd')
    const { liveBytes } = memoryUsage()
    fc.assert(fc.property(cases, check), { numRuns: 600 })
    expect(memoryUsage().liveBytes).toBe(liveBytes)
  })

  it('is the same however threads divide it', () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(1, 2, 7), (given, chunk) => {
        forceChunks(chunk)
        check(given)
      }),
      { numRuns: 150 },
    )
  })

  const plain: ByteConvOptions = {
    groups: 1,
    stride: [1, 1],
    dilation: [1, 1],
    padding: [
      [0, 0],
      [0, 0],
    ],
    xZero: 0,
    yZero: 0,
    type: 'uint8',
    low: 0,
    high: 255,
  }

  it.each([
    { xShape: [1, 300, 1, 1], wShape: [70, 300, 1, 1], outputs: [1, 1] },
    { xShape: [6, 37, 1, 1], wShape: [130, 37, 1, 1], outputs: [1, 1] },
    { xShape: [1, 130, 7, 7], wShape: [200, 130, 1, 1], outputs: [7, 7] },
    { xShape: [2, 40, 14, 14], wShape: [70, 40, 3, 3], outputs: [12, 12] },
    { xShape: [1, 8, 40, 33], wShape: [8, 1, 3, 3], outputs: [38, 31], groups: 8 },
  ] as const)(
    'is its definition in layers of networks: $xShape',
    ({ groups = 1, ...shapes }: Partial<ByteConvOptions> & Pick<Case, 'xShape' | 'wShape' | 'outputs'>) => {
      for (const xType of ['uint8', 'int8'] as const) {
        const xZero = xType === 'uint8' ? 131 : -7
        check({ ...shapes, seed: 11, xType, options: { ...plain, groups, xZero, yZero: 90 } })
      }
    },
  )

  it('holds the largest sums that the bound allows, of either sign', () => {
    const taps = 32_896
    for (const weight of [-128, 127]) {
      scope(() => {
        const { m, s } = fixedOf(2 ** -23, 'factor')
        const whole = (value: number) => tensor([value], [1], { dtype: 'int32' })
        const y = byteConv(
          {
            x: tensor(new Array<number>(taps).fill(255), [1, taps, 1, 1], { dtype: 'uint8' }),
            w: tensor(new Array<number>(taps).fill(weight), [1, taps, 1, 1], { dtype: 'int8' }),
            bias: whole(Math.sign(weight) * (2 ** 30 - 1)),
            m: whole(m),
            s: whole(s),
          },
          { ...plain, type: 'int8', yZero: 0, low: -128, high: 127 },
        )
        const sum = BigInt(taps * 255 * weight + Math.sign(weight) * (2 ** 30 - 1))
        expect(y.item()).toBe(Math.max(-128, Math.min(127, Number(scaledExactly(sum, m, s)))))
      })
    }
  })

  it('refuses sums that could pass 32 bits, and operands that do not fit', () => {
    scope(() => {
      const whole = (count: number) => tensor(new Array<number>(count).fill(0), [count], { dtype: 'int32' })
      const make = (xShape: number[], wShape: number[], count: number): ByteOperands => ({
        x: tensor(new Uint8Array(xShape.reduce((a, b) => a * b)), xShape, { dtype: 'uint8' }),
        w: tensor(new Int8Array(wShape.reduce((a, b) => a * b)), wShape, { dtype: 'int8' }),
        bias: whole(count),
        m: whole(count),
        s: whole(count),
      })
      const { liveBytes } = memoryUsage()
      for (const [operands, message] of [
        [
          make([1, 32_897, 1, 1], [1, 32_897, 1, 1], 1),
          /sums of 32897 products can pass 32 bits; at most 32896 are added/,
        ],
        [make([1, 2, 3, 3], [1, 3, 1, 1], 1), /1 groups of weights \(1, 3, 1, 1\) do not fit x \(1, 2, 3, 3\)/],
        [make([1, 2, 3, 3], [4, 2, 1, 1], 3), /bias must be \(4\), one for each filter, given \(3\)/],
        [
          make([1, 2, 3, 3], [1, 2, 4, 1], 1),
          /a kernel of \(4, 1\) reaches over 4 elements along direction 0, but the input has 3;/,
        ],
      ] as const) {
        expect(() => byteConv(operands, plain)).toThrow(message)
        for (const each of Object.values(operands)) each.dispose()
      }
      expect(memoryUsage().liveBytes).toBe(liveBytes)
    })
  })

  const onePixel = (): ByteOperands => {
    const whole = (value: number) => tensor([value], [1], { dtype: 'int32' })
    const { m, s } = fixedOf(1, 'factor')
    return {
      x: bytesOf([7, 3, 5, 9], [1, 1, 2, 2], 'uint8'),
      w: tensor([1], [1, 1, 1, 1], { dtype: 'int8' }),
      ...{ bias: whole(0), m: whole(m), s: whole(s) },
    }
  }

  it.each(badWindows)('refuses windows that are none: $what', ({ windows, message }) => {
    scope(() => {
      expect(() => byteConv(onePixel(), { ...plain, ...windows })).toThrow(`byteConv: ${message}`)
    })
  })

  it('refuses zero points that the type of their tensor does not hold', () => {
    scope(() => {
      expect(() => byteConv(onePixel(), { ...plain, xZero: -1 })).toThrow(
        'byteConv: the zero point of x must be a whole number from 0 to 255, which uint8 holds, given -1',
      )
      expect(() => byteConv(onePixel(), { ...plain, type: 'int8', yZero: 200 })).toThrow(
        'byteConv: the zero point of y must be a whole number from -128 to 127, which int8 holds, given 200',
      )
    })
  })

  it('adds zeros around an input of one pixel, whatever the kernel', () => {
    scope(() => {
      const { x, ...others } = onePixel()
      const padding = [
        [1, 0],
        [0, 2],
      ] as const
      const y = byteConv({ x, ...others }, { ...plain, padding, xZero: 1, yZero: 10 })
      expect([y.shape, listed(y)]).toEqual([
        [1, 1, 3, 4],
        [10, 10, 10, 10, 16, 12, 10, 10, 14, 18, 10, 10],
      ])
    })
  })

  it('takes windows that reach far over the input, by the taps that meet it', () => {
    const far = 2 ** 30
    for (const groups of [1, 3]) {
      const { liveBytes } = memoryUsage()
      check({
        seed: 5,
        xShape: [2, 3, 2, 2],
        wShape: [3, 3 / groups, 3, 3],
        outputs: [2, 3],
        xType: 'int8',
        options: {
          ...{ ...plain, groups, xZero: -4, yZero: 120 },
          dilation: [far, far],
          padding: [
            [far, far],
            [far, far + 1],
          ],
        },
      })
      expect(memoryUsage().liveBytes).toBe(liveBytes)
    }
  })
})
