/**
 * The only file that knows the compilation target. Everything else is written once and compiled
 * strict (multiply, then add: the same bits everywhere) or relaxed (fused where the machine can).
 */

/** Bytes of one f32. */
export const F32: usize = 4

/** a · b + c, four lanes. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c)
  return f32x4.add(f32x4.mul(a, b), c)
}

/** a · b + c of single numbers, rounded and overflowing as in the lanes of `madd`. */
@inline
export function maddScalar(a: f32, b: f32, c: f32): f32 {
  if (!ASC_FEATURE_RELAXED_SIMD) return c + a * b
  return f32x4.extract_lane(f32x4.relaxed_madd(f32x4.splat(a), f32x4.splat(b), f32x4.splat(c)), 0)
}

/** Sum of four lanes in the fixed order (0 + 2) + (1 + 3). */
@inline
export function horizontalSum(v: v128): f32 {
  const pairs = f32x4.add(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7))
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1)
}

/** Sum of two f64 lanes. */
@inline
export function horizontalSum64(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1)
}

/** The upper two f32 lanes as f64; `f64x2.promote_low_f32x4` gives the lower two. */
@inline
export function promoteHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15))
}

/** Loads `count` (1 to 3) floats at p into the low lanes; the others are zero. */
@inline
export function loadTail(p: usize, count: i32): v128 {
  if (count == 1) return v128.load32_zero(p)
  const low = v128.load64_zero(p)
  return count == 2 ? low : v128.load32_lane(p, low, 2, 8)
}

/** Stores the low `count` (1 to 3) lanes of v at p. */
@inline
export function storeTail(p: usize, v: v128, count: i32): void {
  if (count == 1) {
    v128.store32_lane(p, v, 0)
    return
  }
  v128.store64_lane(p, v, 0)
  if (count == 3) v128.store32_lane(p, v, 2, 8)
}

/**
 * `seen`, NaN from now on in lanes where `v` is NaN or infinite: 0·v is 0 for every other number. Where v is a sum of
 * numbers, it may be infinite although none of them is.
 */
@inline
export function trace(seen: v128, v: v128): v128 {
  return f32x4.add(seen, f32x4.mul(f32x4.splat(0), v))
}
