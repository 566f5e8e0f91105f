/** Conversion of every type to every other. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { cast } from '../../src/ops/cast.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor } from '../../src/tensor/create.js'
import { dtypes, type DType } from '../../src/tensor/dtype.js'
import { scope } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const limits: Record<Exclude<DType, 'float32'>, [bigint, bigint]> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint8: [0n, 255n],
  int8: [-128n, 127n],
  bool: [0n, 1n],
}

/** Numbers of each type. */
const numbers: Record<DType, fc.Arbitrary<number | bigint>> = {
  float32: fc.oneof(
    fc.float(),
    fc.constantFrom(NaN, Infinity, -Infinity, -0, 0.5, -0.5, 255.9, -128.9, 2 ** 31, 2 ** 63, -(2 ** 63), 1e30),
  ),
  int32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  int64: fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    // Next to the middle of two float32, where two roundings go wrong.
    fc
      .tuple(
        fc.bigInt({ min: 2n ** 23n, max: 2n ** 24n - 1n }),
        fc.integer({ min: 1, max: 38 }),
        fc.constantFrom(-1n, 0n, 1n),
      )
      .map(([high, shift, by]) => (((2n * high + 1n) << BigInt(shift)) >> 1n) + by),
  ),
  uint8: fc.integer({ min: 0, max: 255 }),
  int8: fc.integer({ min: -128, max: 127 }),
  bool: fc.constantFrom(0, 1),
}

/** The float32 nearest to a bigint, of two the even, by comparing distances. */
function nearest(value: bigint): number {
  const about = Math.fround(Number(value))
  const bits = new Int32Array(1)
  const float = new Float32Array(bits.buffer)
  float[0] = about
  const middle = bits[0]!
  const near = [middle - 1, middle, middle + 1].map((of) => {
    bits[0] = of
    return { value: float[0]!, even: of % 2 === 0 }
  })
  const distance = (of: number): bigint => {
    const apart = BigInt(of) - value
    return apart < 0n ? -apart : apart
  }
  const finite = near.filter(({ value: of }) => Number.isInteger(of))
  finite.sort((a, b) => {
    const by = distance(a.value) - distance(b.value)
    return by < 0n ? -1 : by > 0n ? 1 : Number(b.even) - Number(a.even)
  })
  return finite[0]!.value
}

function expected(value: number | bigint, to: DType): number | bigint {
  if (to === 'float32') return typeof value === 'bigint' ? nearest(value) : Math.fround(value)
  if (to === 'bool') return value == 0 ? 0 : 1
  const [least, most] = limits[to]
  let whole: bigint
  if (typeof value === 'bigint') whole = value
  else if (Number.isNaN(value)) whole = 0n
  else if (value === Infinity) whole = most
  else if (value === -Infinity) whole = least
  else whole = BigInt(Math.trunc(value))
  whole = whole < least ? least : whole > most ? most : whole
  return to === 'int64' ? whole : Number(whole)
}

describe('cast', () => {
  it.each(dtypes.flatMap((from) => dtypes.map((to) => [from, to] as const)))('%s to %s', (from, to) => {
    fc.assert(
      fc.property(fc.array(numbers[from], { minLength: 1, maxLength: 20 }), (values) => {
        scope(() => {
          const x = tensor(values, [values.length], { dtype: from })
          const y = cast(x, to)
          expect([y.dtype, y.shape]).toEqual([to, x.shape])
          const given = [...(x.data() as unknown as Iterable<number | bigint>)]
          expect([...(y.data() as unknown as Iterable<number | bigint>)]).toEqual(
            given.map((value) => expected(value, to)),
          )
        })
      }),
      { numRuns: 200 },
    )
  })

  it('refuses what is no tensor or no type', () => {
    expect(() => cast(3 as never, 'int32')).toThrow(/cast: x must be a Tensor/)
    scope(() => {
      expect(() => cast(tensor([1]), 'float16' as never)).toThrow(/there is no type 'float16'; did you mean 'float32'/)
    })
  })
})
