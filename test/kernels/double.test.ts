/** Elementary functions of one float64 against whole numbers of 200 bits behind the point, rounded once. */
import { beforeAll, describe, expect, it } from 'vitest'
import { kernels } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'

beforeAll(() => init())

const BITS = 200n
const ONE = 1n << BITS

/** A float64 as a whole number of 2^−200, exact above 2^−148. */
function fixed(x: number): bigint {
  const bits = new BigUint64Array(Float64Array.of(x).buffer)[0] as bigint
  const exponent = Number((bits >> 52n) & 0x7ffn)
  const fraction = (bits & 0xfffffffffffffn) | (exponent === 0 ? 0n : 1n << 52n)
  const shift = BigInt(Math.max(exponent, 1) - 1075) + BITS
  const magnitude = shift >= 0n ? fraction << shift : fraction >> -shift
  return bits >> 63n ? -magnitude : magnitude
}

const times = (a: bigint, b: bigint): bigint => (a * b) >> BITS

/** Σ terms, each from the one before, until they vanish. */
function series(first: bigint, next: (term: bigint, n: bigint) => bigint): bigint {
  let sum = 0n
  let term = first
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    sum += term
    term = next(term, n)
  }
  return sum
}

/** 2·artanh of a fraction. */
const twiceArtanh = (x: bigint): bigint => {
  const square = times(x, x)
  let power = x
  let sum = 0n
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += (2n * power) / n
    power = times(power, square)
  }
  return sum
}

const LN2 = twiceArtanh(ONE / 3n)
/** Machin, 1706: π = 16·arctan(1/5) − 4·arctan(1/239). */
const PI = ((): bigint => {
  const arctan = (n: bigint): bigint => {
    let sum = 0n
    let power = ONE / n
    for (let k = 1n; power !== 0n; k += 2n) {
      sum += k % 4n === 1n ? power / k : -(power / k)
      power /= n * n
    }
    return sum
  }
  return 16n * arctan(5n) - 4n * arctan(239n)
})()

/** e^x as a whole number of 2^(n − 200), and n. */
function expOf(x: bigint): { mantissa: bigint; exponent: number } {
  const n = x / LN2
  const r = x - n * LN2
  return { mantissa: series(ONE, (term, k) => times(term, r) / k), exponent: Number(n) }
}

function logOf(x: number): bigint {
  const exponent = Math.floor(Math.log2(x))
  const mantissa = fixed(x / 2 ** exponent)
  return BigInt(exponent) * LN2 + twiceArtanh(((mantissa - ONE) << BITS) / (mantissa + ONE))
}

function waveOf(x: bigint, cosine: boolean): bigint {
  const turned = ((x % (2n * PI)) + 2n * PI) % (2n * PI)
  const square = times(turned, turned)
  const first = cosine ? ONE : turned
  const skip = cosine ? 0n : 1n
  return series(first, (term, k) => -times(term, square) / ((2n * k + skip) * (2n * k - 1n + skip)))
}

/** How many units in the last place of the right value, value·2^exponent, an answer is away. */
function ulpsFrom(answer: number, value: bigint, exponent = 0): number {
  const size = value < 0n ? -value : value
  // 2^k ≤ |value|·2^exponent / 2^200 < 2^(k+1).
  const k = Math.max(size.toString(2).length - 1 - Number(BITS) + exponent, -1022)
  const scaled = fixed(answer / 2 ** (exponent > 0 ? exponent - 1 : exponent + 1) / (exponent > 0 ? 2 : 0.5))
  const difference = Number(scaled - value) / 2 ** Number(BITS)
  return Math.abs(difference) / 2 ** (k - exponent - 52)
}

/** Numbers between two bounds: evenly, near their ends, and by the power. */
function between(low: number, high: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => low + ((high - low) * (i + 0.37)) / count)
}

const largest = (xs: readonly number[], ulps: (x: number) => number): { x: number; ulps: number } =>
  xs.map((x) => ({ x, ulps: ulps(x) })).reduce((worst, each) => (each.ulps <= worst.ulps ? worst : each))

describe('functions of one float64 are right to 1 ulp', () => {
  it('exp', () => {
    const xs = [...between(-707, 709.7, 1500), ...between(-1, 1, 500), 1e-20, -1e-9, 0.34657359, -0.34657359]
    const worst = largest(xs, (x) => {
      const { mantissa, exponent } = expOf(fixed(x))
      return ulpsFrom(kernels().scalar_exp(x), mantissa, exponent)
    })
    expect(worst.ulps).toBeLessThan(1)
    expect(worst.ulps).toBeGreaterThan(0)
  })

  it('exp at and beyond its ends', () => {
    const { scalar_exp: exp } = kernels()
    expect([exp(0), exp(710), exp(Infinity), exp(-746), exp(-Infinity)]).toEqual([1, Infinity, Infinity, 0, 0])
    expect(exp(-745)).toBe(5e-324)
    expect(exp(NaN)).toBeNaN()
  })

  for (const name of ['sin', 'cos'] as const) {
    it(name, () => {
      const kernel = kernels()[`scalar_${name}`]
      const quarters = Array.from({ length: 41 }, (_, n) => ((n - 20) * Math.PI) / 2)
      const xs = [...between(-7, 7, 1500), ...between(-(2 ** 20), 2 ** 20, 500), ...quarters.filter((x) => x !== 0)]
      const worst = largest(xs, (x) => ulpsFrom(kernel(x), waveOf(fixed(x), name === 'cos')))
      expect(worst.ulps).toBeLessThan(1)
      expect([kernel(0), kernel(NaN), kernel(Infinity)]).toEqual([name === 'cos' ? 1 : 0, NaN, NaN])
    })
  }

  it('pow with whole exponents', () => {
    const { scalar_pow: pow } = kernels()
    for (const [base, exponents] of [
      [0.9, [1, 2, 7, 100, 1000, 6000]],
      [0.999, [1, 10, 5000, 123_457, 600_000]],
      [1.0001, [3, 65_535, 5_000_000]],
      [0.1, [1, 2, 3, 20, 200]],
      [10, [1, 2, 22, 23, 100, 300]],
    ] as const) {
      for (const exponent of exponents) {
        const log = logOf(base) * BigInt(exponent)
        const { mantissa, exponent: power } = expOf(log)
        expect(ulpsFrom(pow(base, exponent), mantissa, power), `${base}^${exponent}`).toBeLessThan(1)
        expect(pow(base, -exponent)).toBe(1 / pow(base, exponent))
      }
    }
  })

  it('pow is exact where the result is, and at its ends', () => {
    const { scalar_pow: pow } = kernels()
    expect([pow(0.5, 3), pow(2, 1023), pow(3, 30), pow(0, 0), pow(0, 5), pow(1, 2 ** 31 - 1)]).toEqual([
      0.125,
      2 ** 1023,
      205_891_132_094_649,
      1,
      0,
      1,
    ])
    expect([pow(10, 400), pow(1e160, 3), pow(0.1, 400), pow(Infinity, 2), pow(0, -1)]).toEqual([
      Infinity,
      Infinity,
      0,
      Infinity,
      Infinity,
    ])
    expect([pow(1e305, 1), pow(1e150, 2), pow(NaN, 2)]).toEqual([1e305, 1e150 * 1e150, NaN])
  })

  it('pow with other exponents, by the logarithm', () => {
    const { scalar_pow: pow } = kernels()
    for (const [base, exponent] of [
      [2, 0.5],
      [1000, 1 / 3],
      [1e5, 0.77],
      [0.003, 2.5],
      [7, -1.5],
    ] as const) {
      const log = times(logOf(base), fixed(exponent))
      const { mantissa, exponent: power } = expOf(log)
      const bound = 1.5 + Math.abs(exponent * Math.log(base))
      expect(ulpsFrom(pow(base, exponent), mantissa, power), `${base}^${exponent}`).toBeLessThan(bound)
    }
  })
})
