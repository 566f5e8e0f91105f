/** Pools, sums, tables and conversions of bytes are those of their definitions, by loops and by kernels. */
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { limitsOf, type ByteType, type Quantization } from '../../../src/ops/integers/bytes.js'
import type { Bytes } from '../../../src/ops/integers/conv.js'
import { byteAdd, byteDequantize, byteLookup, byteQuantize } from '../../../src/ops/integers/elementwise.js'
import { fixedOf } from '../../../src/ops/integers/fixed.js'
import { initIntegers } from '../../../src/quant/index.js'
import { byteAvgPool, byteMaxPool } from '../../../src/ops/integers/pool.js'
import { forceChunks } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import { scaledExactly, windowsOf, within } from './reference.js'

beforeAll(() => init())
afterEach(() => {
  forceChunks(undefined)
})

const byteType = fc.constantFrom<ByteType>('uint8', 'int8')

/** Bytes of a type. */
const listOf = (type: ByteType, length: number) => {
  const [min, max] = limitsOf(type)
  return fc.array(fc.integer({ min, max }), { minLength: length, maxLength: length })
}

const quantization = (type: ByteType): fc.Arbitrary<Quantization> => {
  const [min, max] = limitsOf(type)
  return fc
    .record({ scale: fc.integer({ min: 1, max: 5000 }), zero: fc.integer({ min, max }) })
    .map(({ scale, zero }) => ({ scale: Math.fround(scale / 1000), zero, type }))
}

const bytesOf = (values: readonly number[], shape: readonly number[], type: ByteType): Bytes =>
  tensor([...values], [...shape], { dtype: type }) as Bytes
const listed = (y: Bytes): number[] => [...(y.data() as Uint8Array)]

const axis = fc
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

/** Checks both pools against their definitions. */
const checkPools = fc.property(pools, ({ given: { h, w, C, type, ceil }, x, zero, factor, all }) => {
  scope(() => {
    const [low, high] = limitsOf(type)
    const pairs = [h, w] as const
    const windows = {
      kernel: pairs.map(({ kernel }) => kernel) as [number, number],
      stride: pairs.map(({ stride }) => stride) as [number, number],
      dilation: pairs.map(({ dilation }) => dilation) as [number, number],
      padding: pairs.map(({ lo, hi }): [number, number] => [lo, hi]) as [[number, number], [number, number]],
    }
    const outputs = pairs.map(({ kernel, stride, dilation, n, lo, hi }) => {
      const steps = (n + lo + hi - dilation * (kernel - 1) - 1) / stride
      return (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
    }) as [number, number]
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
    expect(listed(byteMaxPool(input, { ...windows, ...limits }))).toEqual(largest)
    expect(listed(byteAvgPool(input, { ...windows, ...limits, factor, countIncludePad: all }))).toEqual(means)
  })
})

const sums = fc
  .record({ a: byteType, b: byteType, y: byteType, size: fc.integer({ min: 1, max: 40 }) })
  .chain(({ a, b, y, size }) =>
    fc.record({
      x: fc.tuple(listOf(a, size), listOf(b, size)),
      how: fc.record({ a: quantization(a), b: quantization(b), y: quantization(y) }),
    }),
  )

/** Checks sums: each is nearer to the exact one than half a unit and what factors of 21 bits may err by. */
const checkSums = fc.property(sums, ({ x: [a, b], how }) => {
  scope(() => {
    const [low, high] = limitsOf(how.y.type)
    const y = byteAdd(bytesOf(a, [a.length], how.a.type), bytesOf(b, [b.length], how.b.type), { ...how, low, high })
    listed(y).forEach((value, i) => {
      const sum = how.a.scale * (a[i]! - how.a.zero) + how.b.scale * (b[i]! - how.b.zero)
      const exact = Math.max(low, Math.min(high, sum / how.y.scale + how.y.zero))
      expect(Math.abs(value - exact)).toBeLessThanOrEqual(
        0.5 + (255 * 2 * 2 ** -20 * Math.max(how.a.scale, how.b.scale)) / how.y.scale + 1e-9,
      )
    })
  })
})

const conversions = byteType.chain((type) =>
  fc.record({
    how: quantization(type),
    x: fc.array(fc.float({ noDefaultInfinity: false }), { minLength: 1, maxLength: 40 }),
    bytes: fc.integer({ min: 1, max: 40 }).chain((length) => listOf(type, length)),
  }),
)

/** Half to even, by the fraction of a double. */
const nearest = (value: number): number => {
  const down = Math.floor(value)
  return value - down < 0.5 || (value - down === 0.5 && down % 2 === 0) ? down : down + 1
}

/** Checks the way from float32 and to it. */
const checkConversions = fc.property(conversions, ({ how, x, bytes }) => {
  scope(() => {
    const [low, high] = limitsOf(how.type)
    const q = listed(byteQuantize(tensor(x), how))
    const expected = x.map((value) => {
      const ratio = Math.fround(Math.fround(value) / how.scale)
      if (Number.isNaN(ratio)) return low
      if (Math.abs(ratio) > 1000) return ratio > 0 ? high : low
      return Math.max(low, Math.min(high, nearest(ratio) + how.zero))
    })
    expect(q).toEqual(expected.map((value) => value + 0))
    const back = byteDequantize(bytesOf(bytes, [bytes.length], how.type), how).data()
    expect([...back]).toEqual(bytes.map((value) => Math.fround((value - how.zero) * how.scale)))
  })
})

/** Checks tables. */
const checkTables = fc.property(
  byteType,
  byteType,
  listOf('uint8', 256),
  fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 70 }),
  (from, to, table, x) => {
    scope(() => {
      const input = bytesOf(
        x.map((value) => value + limitsOf(from)[0]),
        [x.length],
        from,
      )
      const y = byteLookup(input, to, table).data() as Uint8Array
      const expected = x.map((value) => table[from === 'int8' ? (value + 128) & 255 : value]!)
      expect([...new Uint8Array(y.buffer, y.byteOffset, y.length)]).toEqual(expected)
    })
  },
)

/** Runs of a property by loops, then by kernels, then by kernels in pieces. */
const properties = [
  ['pools', checkPools],
  ['sums', checkSums],
  ['conversions', checkConversions],
  ['tables', checkTables],
] as const

describe('in loops of JavaScript', () => {
  for (const [name, property] of properties) {
    it(`${name} are their definitions`, () => {
      fc.assert(property as fc.IProperty<unknown>, { numRuns: 100 })
    })
  }

  it('all give what the kernels give', async () => {
    const run = (): number[][] =>
      scope(() => {
        const type = 'uint8'
        const how = { scale: 0.02, zero: 100, type } as const
        const x = tensor(Array.from({ length: 1000 }, (_, i) => ((i * 7919) % 503) / 100 - 2.5))
        const q = byteQuantize(x, how)
        const sum = byteAdd(q, q, { a: how, b: how, y: { scale: 0.05, zero: 3, type: 'int8' }, low: -128, high: 127 })
        return [listed(q), listed(sum)]
      })
    const before = run()
    await initIntegers()
    expect(run()).toEqual(before)
  })
})

describe('by kernels', () => {
  beforeAll(() => initIntegers())
  for (const [name, property] of properties) {
    it(`${name} are their definitions`, () => {
      fc.assert(property as fc.IProperty<unknown>, { numRuns: 300 })
    })
  }

  it.each([
    [{ scale: 0, zero: 0, type: 'uint8' }, /scale must be a number from 2\^-126 on, .* given 0$/],
    [{ scale: -1, zero: 0, type: 'uint8' }, /scale must be a number from 2\^-126 on, .* given -1$/],
    [{ scale: NaN, zero: 0, type: 'uint8' }, /scale must be .* given NaN$/],
    [{ scale: 1e-39, zero: 0, type: 'uint8' }, /scale must be .* given 1e-39$/],
    [{ scale: 1, zero: 256, type: 'uint8' }, /zero point must be a whole number from 0 to 255, which uint8 holds/],
    [{ scale: 1, zero: 0.5, type: 'int8' }, /zero point must be a whole number from -128 to 127, which int8 holds/],
  ] as const)('refuse %j', (how, message) => {
    scope(() => {
      expect(() => byteQuantize(tensor([1]), how)).toThrow(message)
    })
  })
})
