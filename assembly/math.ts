/**
 * Elementary functions on four floats at once. Errors are in units in the last place (ulp) of the result, the
 * largest found by comparison with float64 over dense samples (test/kernels/math.test.ts); they hold for the strict
 * build. NaN gives NaN, overflow gives infinity, underflow is gradual. Coefficients are minimax fits made for this
 * file, with the intervals and errors stated.
 */
import { madd } from './simd'

/** log₂(e), and 1.5·2²³: adding it rounds to a whole number, left in the low bits. */
const LOG2_E: f32 = 1.44269502
const ROUNDER: f32 = 12582912
const ROUNDER_BITS: i32 = 0x4b400000
/** ln 2 as a part of nine bits, whose products with whole numbers are exact, and the rest. */
const LN2_HIGH: f32 = 0.693359375
const LN2_LOW: f32 = -2.1219444e-4

/** e^r − 1 for |r| ≤ 0.347: r + r²·Q(r), relative error 1.4e-8. */
@inline
function expm1Reduced(r: v128): v128 {
  let q = madd(r, f32x4.splat(1.3938283082097769e-3), f32x4.splat(8.366559632122517e-3))
  q = madd(q, r, f32x4.splat(4.1666429489851e-2))
  q = madd(q, r, f32x4.splat(0.1666654348373413))
  q = madd(q, r, f32x4.splat(0.5))
  return madd(f32x4.mul(r, r), q, r)
}

/** x − n·ln 2. */
@inline
function reduce(x: v128, n: v128): v128 {
  return madd(n, f32x4.splat(-LN2_LOW), madd(n, f32x4.splat(-LN2_HIGH), x))
}

/** e^x; 1 ulp. */
@inline
export function exp(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104))
  const t = madd(x, f32x4.splat(LOG2_E), f32x4.splat(ROUNDER))
  const r = reduce(x, f32x4.sub(t, f32x4.splat(ROUNDER)))
  const p = f32x4.add(expm1Reduced(r), f32x4.splat(1))
  // 2^n in two factors, as n runs from -150 to 128.
  const n = i32x4.sub(t, i32x4.splat(ROUNDER_BITS))
  const half = i32x4.shr_s(n, 1)
  const one = i32x4.splat(127)
  const first = i32x4.shl(i32x4.add(half, one), 23)
  const second = i32x4.shl(i32x4.add(i32x4.sub(n, half), one), 23)
  return f32x4.mul(f32x4.mul(p, first), second)
}

/** e^x − 1 for x ≤ 0; 2 ulp. */
@inline
export function expm1Negative(x: v128): v128 {
  x = f32x4.pmax(x, f32x4.splat(-18))
  const t = madd(x, f32x4.splat(LOG2_E), f32x4.splat(ROUNDER))
  const q = expm1Reduced(reduce(x, f32x4.sub(t, f32x4.splat(ROUNDER))))
  const scale = i32x4.shl(i32x4.add(i32x4.sub(t, i32x4.splat(ROUNDER_BITS)), i32x4.splat(127)), 23)
  return madd(scale, q, f32x4.sub(scale, f32x4.splat(1)))
}

/** ln of finite positive numbers that are not subnormal, given as bits, plus `shift`·ln 2. */
@inline
function logNormal(bits: v128, shift: v128): v128 {
  // x = 2^n·(1 + f) with 1 + f from √½ to √2.
  const n = i32x4.shr_s(i32x4.sub(bits, i32x4.splat(0x3f3504f3)), 23)
  const f = f32x4.sub(i32x4.sub(bits, i32x4.shl(n, 23)), f32x4.splat(1))
  const k = f32x4.add(f32x4.convert_i32x4_s(n), shift)
  // ln(1 + f) = f − f²/2 + s·(f²/2 + R(s²)), s = f/(2 + f); |error of R| ≤ 1.6e-9.
  const s = f32x4.div(f, f32x4.add(f, f32x4.splat(2)))
  const z = f32x4.mul(s, s)
  let r = madd(z, f32x4.splat(0.2987079620361328), f32x4.splat(0.39977583289146423))
  r = madd(r, z, f32x4.splat(0.6666677594184875))
  const square = f32x4.mul(f32x4.mul(f, f), f32x4.splat(0.5))
  const y = madd(s, madd(r, z, square), f32x4.mul(k, f32x4.splat(LN2_LOW)))
  return madd(k, f32x4.splat(LN2_HIGH), f32x4.add(f32x4.sub(y, square), f))
}

/** ln x; 1 ulp. ln 0 = −∞, of negative numbers NaN. */
@inline
export function log(x: v128): v128 {
  // Subnormal numbers are scaled by 2²³ first.
  const small = f32x4.lt(x, f32x4.splat(1.17549435e-38))
  const bits = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, small)
  let y = logNormal(bits, v128.and(small, f32x4.splat(-23)))
  const infinite = f32x4.splat(f32.POSITIVE_INFINITY)
  y = v128.bitselect(infinite, y, f32x4.eq(x, infinite))
  y = v128.bitselect(f32x4.splat(f32.NEGATIVE_INFINITY), y, f32x4.eq(x, f32x4.splat(0)))
  return v128.bitselect(y, f32x4.splat(f32.NaN), f32x4.ge(x, f32x4.splat(0)))
}

/** ln(1 + u) for 0 ≤ u ≤ 1; 2 ulp. */
@inline
export function log1pUnit(u: v128): v128 {
  const w = f32x4.add(u, f32x4.splat(1))
  const lost = f32x4.sub(u, f32x4.sub(w, f32x4.splat(1)))
  return f32x4.add(logNormal(w, f32x4.splat(0)), f32x4.div(lost, w))
}

/** 1 / (1 + e^−x); 3 ulp. */
@inline
export function sigmoid(x: v128): v128 {
  const e = exp(f32x4.neg(f32x4.abs(x)))
  const one = f32x4.splat(1)
  return f32x4.div(v128.bitselect(e, one, f32x4.lt(x, f32x4.splat(0))), f32x4.add(e, one))
}

/** tanh x; 3 ulp. */
@inline
export function tanh(x: v128): v128 {
  const e = expm1Negative(f32x4.mul(f32x4.abs(x), f32x4.splat(-2)))
  const y = f32x4.div(e, f32x4.add(e, f32x4.splat(2)))
  // y ≤ 0: its sign bit is replaced by that of x.
  return v128.bitselect(x, y, i32x4.splat(0x80000000))
}

/** ln(1 + e^x), without overflow; 2 ulp. */
@inline
export function softplus(x: v128): v128 {
  const tail = log1pUnit(exp(f32x4.neg(f32x4.abs(x))))
  return f32x4.add(f32x4.pmax(x, f32x4.splat(0)), tail)
}

/** e^(−x²/2) for |x| ≤ 15. The rounding error of x² is put back, or the tail would lose digits. */
@inline
export function gaussian(x: v128): v128 {
  const square = f32x4.mul(x, x)
  const high = v128.and(x, i32x4.splat(0xfffff000))
  const low = f32x4.sub(x, high)
  let lost = f32x4.sub(f32x4.mul(high, high), square)
  lost = f32x4.add(lost, f32x4.mul(f32x4.mul(high, low), f32x4.splat(2)))
  lost = f32x4.add(lost, f32x4.mul(low, low))
  const e = exp(f32x4.mul(square, f32x4.splat(-0.5)))
  return f32x4.sub(e, f32x4.mul(f32x4.mul(e, lost), f32x4.splat(0.5)))
}

/** Φ(x), the normal distribution function, given g = gaussian(x), |x| ≤ 15; x·Φ(x) is within 8 ulp, in the tail too. */
@inline
export function normalCdf(x: v128, g: v128): v128 {
  // Φ(−u) = e^(−u²/2)·t·P(t), t = 1 / (1 + 0.35·u), for 0 ≤ u ≤ 15; relative error 3.3e-8.
  const one = f32x4.splat(1)
  const t = f32x4.div(one, madd(f32x4.abs(x), f32x4.splat(0.35), one))
  let p = madd(t, f32x4.splat(-0.029158692806959152), f32x4.splat(0.14403484761714935))
  p = madd(p, t, f32x4.splat(-0.2558470070362091))
  p = madd(p, t, f32x4.splat(0.1593286395072937))
  p = madd(p, t, f32x4.splat(-0.02321835234761238))
  p = madd(p, t, f32x4.splat(0.1055549681186676))
  p = madd(p, t, f32x4.splat(0.11982068419456482))
  p = madd(p, t, f32x4.splat(0.13986359536647797))
  p = madd(p, t, f32x4.splat(0.139621302485466))
  const tail = f32x4.mul(f32x4.mul(p, t), g)
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)))
}

/** 2^(p·log₂ a) for two positive finite float64 numbers; relative error below 1e-9 where the result fits a float. */
function powHalf(a: v128, p: f64): v128 {
  // a = 2^n·(1 + f); log₂(1 + f) = s·L(s²), s = f/(2 + f), relative error 5e-12.
  const high = i8x16.shuffle(a, a, 4, 5, 6, 7, 12, 13, 14, 15, 4, 5, 6, 7, 12, 13, 14, 15)
  const n = i32x4.shr_s(i32x4.sub(high, i32x4.splat(0x3fe6a09e)), 20)
  const f = f64x2.sub(i64x2.sub(a, i64x2.shl(i64x2.extend_low_i32x4_s(n), 52)), f64x2.splat(1))
  const s = f64x2.div(f, f64x2.add(f, f64x2.splat(2)))
  const z = f64x2.mul(s, s)
  let l = f64x2.add(f64x2.mul(z, f64x2.splat(0.34072795573926223)), f64x2.splat(0.41167282950395107))
  l = f64x2.add(f64x2.mul(l, z), f64x2.splat(0.5770835832301492))
  l = f64x2.add(f64x2.mul(l, z), f64x2.splat(0.9617966733501728))
  l = f64x2.add(f64x2.mul(l, z), f64x2.splat(2.885390081790081))
  let y = f64x2.mul(f64x2.add(f64x2.mul(l, s), f64x2.convert_low_i32x4_s(n)), f64x2.splat(p))
  // Beyond ±160 the float is infinite or zero.
  y = f64x2.pmax(f64x2.pmin(y, f64x2.splat(160)), f64x2.splat(-160))
  const whole = f64x2.nearest(y)
  // 2^r for |r| ≤ ½, relative error 5e-11.
  const r = f64x2.sub(y, whole)
  let e = f64x2.add(f64x2.mul(r, f64x2.splat(1.5196156895420912e-5)), f64x2.splat(0.0001546675632777989))
  e = f64x2.add(f64x2.mul(e, r), f64x2.splat(0.0013333935054274863))
  e = f64x2.add(f64x2.mul(e, r), f64x2.splat(0.009618038132030342))
  e = f64x2.add(f64x2.mul(e, r), f64x2.splat(0.055504103659923365))
  e = f64x2.add(f64x2.mul(e, r), f64x2.splat(0.24022651066561254))
  e = f64x2.add(f64x2.mul(e, r), f64x2.splat(0.693147180704533))
  e = f64x2.add(f64x2.mul(e, r), f64x2.splat(1))
  const exponent = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(whole))
  return i64x2.add(e, i64x2.shl(exponent, 52))
}

/** x^p for a finite p, as IEEE 754 has it: signs follow odd whole p, negative x with a fractional p gives NaN; 0.51 ulp. */
@inline
export function pow(x: v128, p: f64): v128 {
  if (p == 0) return f32x4.splat(1)
  const a = f32x4.abs(x)
  const upper = i8x16.shuffle(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)
  const low = f32x4.demote_f64x2_zero(powHalf(f64x2.promote_low_f32x4(a), p))
  const high = f32x4.demote_f64x2_zero(powHalf(f64x2.promote_low_f32x4(upper), p))
  let y = i8x16.shuffle(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
  const infinite = f32x4.splat(f32.POSITIVE_INFINITY)
  const isInfinite = f32x4.eq(a, infinite)
  y = v128.bitselect(p > 0 ? f32x4.splat(0) : infinite, y, f32x4.eq(a, f32x4.splat(0)))
  y = v128.bitselect(p > 0 ? infinite : f32x4.splat(0), y, isInfinite)
  y = v128.bitselect(y, a, f32x4.eq(a, a))
  if (p == floor<f64>(p)) {
    const half = p * 0.5
    return half == floor<f64>(half) ? y : v128.bitselect(x, y, i32x4.splat(0x80000000))
  }
  const invalid = v128.andnot(f32x4.lt(x, f32x4.splat(0)), isInfinite)
  return v128.bitselect(f32x4.splat(f32.NaN), y, invalid)
}
