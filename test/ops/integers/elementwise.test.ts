/** Sums, tables and conversions of bytes are those of their definitions, by loops and by kernels. */
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { limitsOf, type ByteType, type Quantization } from '../../../src/ops/integers/bytes.js'
import { byteAdd, byteDequantize, byteLookup, byteQuantize } from '../../../src/ops/integers/elementwise.js'
import { initIntegers } from '../../../src/quant/index.js'
import { forceChunks } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import { bytesOf, byteType, listed, listOf } from './bytes.js'

beforeAll(() => init())
afterEach(() => {
  forceChunks(undefined)
})

const quantization = (type: ByteType): fc.Arbitrary<Quantization> => {
  const [min, max] = limitsOf(type)
  return fc
    .record({ scale: fc.integer({ min: 1, max: 5000 }), zero: fc.integer({ min, max }) })
    .map(({ scale, zero }) => ({ scale: Math.fround(scale / 1000), zero, type }))
}

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
  ['sums', checkSums],
  ['conversions', checkConversions],
  ['tables', checkTables],
] as const

/** Sums whose scales are far apart, and of operands whose types are not those of their scales. */
function itAddsAtTheEdges(): void {
  const unit = { scale: 1, zero: 0, type: 'uint8' } as const
  const limits = { low: 0, high: 255 } as const

  it('sums read bytes by the types of their tensors', () => {
    scope(() => {
      const signed = bytesOf([-3, -1, 5, -128, 127, 1, 2, 3, -9], [9], 'int8')
      const plain = bytesOf([200, 7, 1, 255, 0, 0, 0, 0, 9], [9], 'uint8')
      // Both scales say uint8, as a file does that leaves zero points out.
      const y = byteAdd(signed, plain, { a: unit, b: unit, y: unit, ...limits })
      expect(listed(y)).toEqual([197, 6, 6, 127, 127, 1, 2, 3, 0])
      const below = { ...unit, zero: -100 }
      expect(() => byteAdd(plain, plain, { a: below, b: unit, y: unit, ...limits })).toThrow(
        'byteAdd: a: the zero point must be a whole number from 0 to 255, which uint8 holds, given -100',
      )
    })
  })

  it('sums of the same shapes are each of their own scales', () => {
    scope(() => {
      const x = bytesOf([0, 10, 20, 30], [4], 'uint8')
      const add = (a: number, b: number, zero = 0): number[] =>
        listed(byteAdd(x, x, { a: { ...unit, scale: a }, b: { ...unit, scale: b, zero }, y: unit, ...limits }))
      expect(add(1, 1)).toEqual([0, 20, 40, 60])
      expect(add(2, 1)).toEqual([0, 30, 60, 90])
      expect(add(1, 4)).toEqual([0, 50, 100, 150])
      expect(add(1, 4, 5)).toEqual([0, 30, 80, 130])
    })
  })

  it('sums have scales below 2^20 times that of the result', () => {
    scope(() => {
      const x = bytesOf([0, 1, 2, 255, 0, 1, 2, 255, 3], [9], 'uint8')
      const one = bytesOf([0, 1, 2, 255, 9, 0, 0, 0, 0], [9], 'uint8')
      const below = { scale: 2 ** 20 - 1, zero: 1, type: 'uint8' } as const
      const y = byteAdd(x, one, { a: below, b: unit, y: unit, ...limits })
      expect(listed(y)).toEqual([0, 1, 255, 255, 0, 0, 255, 255, 255])
      for (const ratio of [2 ** 20, 1e30]) {
        const far = { ...unit, scale: ratio }
        const message = `byteAdd: a scale must be below 2^20 times that of the sum, given ${ratio} times it`
        expect(() => byteAdd(x, one, { a: far, b: unit, y: unit, ...limits })).toThrow(message)
        expect(() => byteAdd(x, one, { a: unit, b: far, y: unit, ...limits })).toThrow(message)
      }
    })
  })
}

describe('in loops of JavaScript', () => {
  for (const [name, property] of properties) {
    it(`${name} are their definitions`, () => {
      fc.assert(property as fc.IProperty<unknown>, { numRuns: 100 })
    })
  }

  itAddsAtTheEdges()

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
  itAddsAtTheEdges()
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
