/**
 * Factors in integers. Sums of products are brought to the scale of a result by a factor M > 0, stored as two whole numbers m and s with
 * M = m / 2^(32 + s) and 2^30 ≤ m < 2^31 (Jacob et al. 2018, section 2.2): a sum becomes ⌊sum · M + 1/2⌋. Every step is exact, so that all
 * engines and all kernels give the same number.
 */
import { ArgumentError } from '../../runtime/errors.js'

/** A factor as the kernels are told it. */
export interface Fixed {
  readonly m: number
  readonly s: number
}

/** Powers of two, 2^0 to 2^63, each a product: engines differ in other powers. */
const powers = Array.from({ length: 64 }, (_, exponent) =>
  Array.from({ length: exponent }, () => 2).reduce((a, b) => a * b, 1),
)

/** 2^exponent for exponents of 0 to 63. */
export const powerOfTwo = (exponent: number): number => powers[exponent] as number

/** Least and most shift that kernels take. */
const SHIFTS = [-16, 31] as const

/**
 * The nearest factor that kernels compute with. One below 2^−33 has fewer bits, or is 0.
 * @param what begins the error
 * @throws ArgumentError where the factor is not above 0, or 2^15 and more
 */
export function fixedOf(factor: number, what: string): Fixed {
  if (!(factor > 0) || factor === Infinity) throw new ArgumentError(`${what} must be a number above 0, given ${factor}`)
  let m = factor * 2 ** 32
  let s = 0
  for (; m >= 2 ** 31; s--) m /= 2
  for (; m < 2 ** 30 && s < SHIFTS[1]; s++) m *= 2
  m = Math.round(m)
  if (m === 2 ** 31) {
    m /= 2
    s--
  }
  if (s < SHIFTS[0]) throw new ArgumentError(`${what} must be below 2^15, given ${factor}`)
  return { m, s }
}

/** ⌊sum · M + 1/2⌋ as the kernels compute it: a whole number of 32 bits in, and one out. */
export function scaledBy(sum: number, m: number, s: number): number {
  let value = sum
  let shift = s
  if (s < 0) {
    const limit = powerOfTwo(30 + s)
    value = Math.max(-limit, Math.min(limit, sum)) * powerOfTwo(-s)
    shift = 0
  }
  // The product has 62 bits, of which a double holds 53: the lower 16 bits of m are multiplied apart.
  const high = Math.floor(m / 65536)
  const upper = value * high + Math.floor((value * (m - high * 65536)) / 65536)
  return Math.floor((upper + powerOfTwo(15 + shift)) / powerOfTwo(16 + shift))
}

/** `value`, or the limit that it lies beyond. */
export const limited = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value))

/** `value` to the nearest whole number, halves to the even one. */
export function roundEven(value: number): number {
  const down = Math.floor(value)
  const above = value - down
  if (above !== 0.5) return above < 0.5 ? down : down + 1
  return down % 2 === 0 ? down : down + 1
}
