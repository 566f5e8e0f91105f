/** Pools of bytes are those of their definitions, by loops and by kernels. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { limitsOf } from '../../../src/ops/integers/bytes.js'
import { fixedOf } from '../../../src/ops/integers/fixed.js'
import { byteAvgPool, byteMaxPool } from '../../../src/ops/integers/pool.js'
import type { ByteWindows } from '../../../src/ops/integers/windows.js'
import { cast } from '../../../src/ops/cast.js'
import { maxPool2d } from '../../../src/ops/pool/max.js'
import { initIntegers } from '../../../src/quant/index.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import { badWindows, bytesOf, byteType, listed, listOf } from './bytes.js'
import { scaledExactly, windowsOf, within } from './reference.js'

beforeAll(() => init())

interface Direction {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly n: number
  readonly lo: number
  readonly hi: number
}

const axis: fc.Arbitrary<Direction> = fc
  .record({
    kernel: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    n: fc.integer({ min: 1, max: 9 }),
    lo: fc.integer({ min: 0, max: 2 }),
    hi: fc.integer({ min: 0, max: 2 }),
  })
  .filter(({ kernel, dilation, n, lo, hi }) => {
    const reach = dilation * (kernel - 1) + 1
    return n + lo + hi >= reach && Math.max(lo, hi) <= reach / 2
  })

const pools = fc
  .record({ h: axis, w: axis, C: fc.integer({ min: 1, max: 5 }), type: byteType, ceil: fc.boolean() })
  .chain((given) =>
    fc.record({
      given: fc.constant(given),
      x: listOf(given.type, given.C * given.h.n * given.w.n),
      zero: fc.integer({ min: limitsOf(given.type)[0], max: limitsOf(given.type)[1] }),
      factor: fc.integer({ min: 1, max: 3000 }).map((value) => value / 1000),
      all: fc.boolean(),
    }),
  )

/** Windows in two directions. */
const windowsFrom = (h: Direction, w: Direction): ByteWindows => ({
  kernel: [h.kernel, w.kernel],
  stride: [h.stride, w.stride],
  dilation: [h.dilation, w.dilation],
  padding: [
    [h.lo, h.hi],
    [w.lo, w.hi],
  ],
})

/**
 * How many windows there are along a direction, one by one: each must end within the padded input, or with `ceil` begin
 * before its end, and within the input or the zeros before it.
 */
function countOf({ kernel, stride, dilation, n, lo, hi }: Direction, ceil: boolean): number {
  let count = 0
  for (let first = 0; ; first += stride, count++) {
    const isWhole = first + dilation * (kernel - 1) < n + lo + hi
    // The window before this one did not reach the end: this one is the partial window that `ceil` keeps.
    const isPartial = ceil && first - stride + dilation * (kernel - 1) + 1 < n + lo + hi && first < n + lo
    if (!isWhole && !isPartial) return count
  }
}

/** Checks both pools against their definitions. */
const checkPools = fc.property(pools, ({ given: { h, w, C, type, ceil }, x, zero, factor, all }) => {
  scope(() => {
    const [low, high] = limitsOf(type)
    const windows = windowsFrom(h, w)
    const outputs = [h, w].map((along) => countOf(along, ceil)) as [number, number]
    const limits = { xZero: zero, yZero: zero, type, low, high, ceil }
    const shape = [1, C, h.n, w.n] as const
    const input = bytesOf(x, shape, type)
    const largest: number[] = []
    const means: number[] = []
    for (let c = 0; c < C; c++) {
      windowsOf(shape, windows, outputs, (places) => {
        const values = places.filter((place) => place >= 0).map((place) => x[c * h.n * w.n + place]!)
        largest.push(Math.max(low, ...values))
        const { m, s } = fixedOf(factor / Math.max(1, all ? places.length : values.length), 'factor')
        const sum = values.reduce((total, value) => total + value - zero, 0)
        means.push(within(scaledExactly(BigInt(sum), m, s) + BigInt(zero), low, high))
      })
    }
    const maxima = byteMaxPool(input, { ...windows, ...limits })
    expect([maxima.shape, listed(maxima)]).toEqual([[1, C, ...outputs], largest])
    expect(listed(byteAvgPool(input, { ...windows, ...limits, factor, countIncludePad: all }))).toEqual(means)
  })
})

describe('pools of bytes', () => {
  it('are their definitions in loops of JavaScript', () => {
    fc.assert(checkPools, { numRuns: 100 })
  })

  it('are their definitions by kernels', async () => {
    await initIntegers()
    fc.assert(checkPools, { numRuns: 300 })
  })

  it('have the maxima of float32, with partial windows too', () => {
    fc.assert(
      fc.property(pools, ({ given: { h, w, C, type, ceil }, x, zero }) => {
        scope(() => {
          const input = bytesOf(x, [1, C, h.n, w.n], type)
          const windows = windowsFrom(h, w)
          const [low, high] = limitsOf(type)
          const y = byteMaxPool(input, { ...windows, ceil, xZero: zero, yZero: zero, type, low, high })
          const due = maxPool2d(cast(input, 'float32'), { ...windows, ceil })
          // A window without a pixel of x is -Infinity in float32, and the least byte here.
          expect([y.shape, listed(y)]).toEqual([due.shape, [...due.data()].map((value) => Math.max(low, value))])
        })
      }),
      { numRuns: 200 },
    )
  })

  const plain = { xZero: 0, yZero: 0, type: 'uint8', low: 0, high: 255, ceil: false } as const
  const of = (kernel: readonly [number, number], more: Partial<ByteWindows> = {}): ByteWindows => ({
    kernel,
    stride: [1, 1],
    dilation: [1, 1],
    padding: [
      [0, 0],
      [0, 0],
    ],
    ...more,
  })

  it('add as many bytes as 32 bits hold, and no more', () => {
    // 2^30 / 255: a whole map of 2048 × 2048 is below, and above the bound of products of 32,896.
    scope(() => {
      const x = tensor(new Uint8Array(2048 * 2048).fill(255), [1, 1, 2048, 2048], { dtype: 'uint8' })
      const whole = { ...plain, factor: 1, countIncludePad: false }
      expect(listed(byteAvgPool(x, { ...whole, ...of([2048, 2048]) }))).toEqual([255])
    })
    scope(() => {
      const x = tensor(new Uint8Array(2053 * 2053), [1, 1, 2053, 2053], { dtype: 'uint8' })
      const whole = { ...plain, factor: 1, countIncludePad: false }
      expect(() => byteAvgPool(x, { ...whole, ...of([2053, 2053]) })).toThrow(
        'byteAvgPool: sums of 4214809 bytes can pass 32 bits; at most 4210752 are added',
      )
    })
  })

  it('take windows that reach far over the input, by the pixels that it has', () => {
    scope(() => {
      const x = bytesOf([7, 3, 5, 9], [1, 1, 2, 2], 'uint8')
      const far = 2 ** 30
      const windows = of([2, 2], {
        dilation: [far, far],
        padding: [
          [far, 0],
          [far, 0],
        ],
      })
      // The first window has a tap at (−2^30, −2^30) and one at (0, 0); there are two along each direction.
      expect(listed(byteMaxPool(x, { ...plain, ...windows }))).toEqual([7, 3, 5, 9])
      expect(listed(byteAvgPool(x, { ...plain, ...windows, factor: 1, countIncludePad: false }))).toEqual([7, 3, 5, 9])
      expect(listed(byteAvgPool(x, { ...plain, ...windows, factor: 1, countIncludePad: true }))).toEqual([2, 1, 1, 2])
    })
  })

  it.each(badWindows)('refuse windows that are none: $what', ({ windows, message }) => {
    scope(() => {
      const x = bytesOf([7, 3, 5, 9], [1, 1, 2, 2], 'uint8')
      const given = of([1, 1], windows)
      expect(() => byteMaxPool(x, { ...plain, ...given })).toThrow(`byteMaxPool: ${message}`)
      expect(() => byteAvgPool(x, { ...plain, ...given, factor: 1, countIncludePad: true })).toThrow(
        `byteAvgPool: ${message}`,
      )
    })
  })
})
