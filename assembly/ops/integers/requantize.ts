/**
 * From sums of 32 bits to bytes, in integers alone. A factor M > 0 is stored as m and s with M = m / 2^(32 + s) and 2^30 ≤ m < 2^31;
 * a sum becomes zero + ⌊sum · M + 1/2⌋, the nearest with halves upwards, limited to low … high. The product has 64 bits, so
 * nothing is lost before the one rounding.
 *
 * Where M ≥ 1/2, s is below 0: the sum is limited to ±2^(30 + s), beyond which every result is limited anyway, and shifted
 * left by −s first. src/ops/integers/fixed.ts makes m and s, and refuses s outside of −16 … 31.
 */

/** Four sums times M, rounded, where s is not below 0; `round` is 2^(31 + s) in both lanes. */
@inline
export function reduced(v: v128, m: v128, round: v128, s: i32): v128 {
  const low = i64x2.add(i64x2.extmul_low_i32x4_s(v, m), round)
  const high = i64x2.add(i64x2.extmul_high_i32x4_s(v, m), round)
  return i32x4.shr_s(i8x16.shuffle(low, high, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31), s)
}

/** The same for any s; `round` is 2^31 in both lanes where s is below 0. */
@inline
export function scaled(v: v128, m: v128, round: v128, s: i32): v128 {
  if (s >= 0) return reduced(v, m, round, s)
  const limit = i32x4.splat(1 << (30 + s))
  return reduced(i32x4.shl(i32x4.min_s(i32x4.max_s(v, i32x4.neg(limit)), limit), -s), m, round, 0)
}

/** What is added before the shift: half of 2^(32 + s). */
@inline
export function rounding(s: i32): i64 {
  const one: i64 = 1
  const bits: i64 = 31 + max(s, 0)
  return one << bits
}

/** One sum times M, rounded as in the lanes of `scaled`. */
@inline
export function scaledOne(v: i32, m: i32, s: i32): i32 {
  let shift = s
  if (s < 0) {
    const limit = 1 << (30 + s)
    v = min(max(v, -limit), limit) << -s
    shift = 0
  }
  const product = <i64>v * <i64>m + rounding(shift)
  const bits: i64 = 32 + shift
  return <i32>(product >> bits)
}

/**
 * Eight bytes in the low half: two vectors of four rounded products, plus the zero point, limited. `zero`, `low` and `high` are
 * lanes of int16. Bytes of either sign are the low halves of the lanes.
 */
@inline
export function bytesOf(v0: v128, v1: v128, zero: v128, low: v128, high: v128): v128 {
  const v = i16x8.min_s(i16x8.max_s(i16x8.add_sat_s(i16x8.narrow_i32x4_s(v0, v1), zero), low), high)
  return i8x16.shuffle(v, v, 0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14)
}

/** Eight bytes at p as int16, less a zero point. */
@inline
export function widened(p: usize, signed: bool, zero: v128): v128 {
  return i16x8.sub(signed ? v128.load8x8_s(p) : v128.load8x8_u(p), zero)
}

/** One byte at p. */
@inline
export function byteAt(p: usize, signed: bool): i32 {
  return signed ? <i32>load<i8>(p) : <i32>load<u8>(p)
}

/** Stores the low `count` (1 to 8) bytes of v at p. */
@inline
export function storeBytes(p: usize, v: v128, count: i32): void {
  if (count == 8) {
    v128.store64_lane(p, v, 0)
    return
  }
  let bits = i64x2.extract_lane(v, 0)
  for (let i = 0; i < count; i++) {
    store<u8>(p + <usize>i, <u8>bits)
    bits >>= 8
  }
}
