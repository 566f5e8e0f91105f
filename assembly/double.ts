/**
 * Elementary functions of one float64 or two, each within 1 ulp. They are used once in a row of a softmax, so they are small:
 * a reduction and one polynomial, a minimax fit made for this file, where libraries that are made for speed carry 10 kB of
 * tables. NaN gives NaN.
 */

/** ln 2 and π/2 as parts of 32 and 33 bits, whose products with whole numbers up to 2²⁰ are exact, and the rest. */
const LN2_HIGH: f64 = 0.6931471803691238
const LN2_LOW: f64 = 1.9082149292705877e-10
const QUARTER_HIGH: f64 = 1.5707963267341256
const QUARTER_MIDDLE: f64 = 6.077100506303966e-11
const QUARTER_LOW: f64 = 2.0222662487959506e-21

/** 2^n for −1022 ≤ n ≤ 1023. */
@inline
function power2(n: i32): f64 {
  return reinterpret<f64>((<i64>n + 1023) << 52)
}

/** q·x + c: a step of Horner's rule. */
@inline
function step(q: v128, x: v128, c: f64): v128 {
  return f64x2.add(f64x2.mul(q, x), f64x2.splat(c))
}

/** e^x. */
export function exp(x: f64): f64 {
  x = max(min(x, 710), -746)
  const n = nearest(x * 1.4426950408889634)
  const high = x - n * LN2_HIGH
  const low = n * LN2_LOW
  const r = high - low
  // e^r = 1 + r + r²·Q(r) for |r| ≤ 0.347, relative error 6e-20.
  let q: f64 = 2.092692288648583e-9
  q = q * r + 2.511224001836638e-8
  q = q * r + 2.7557233416062717e-7
  q = q * r + 2.755723423611406e-6
  q = q * r + 2.480158737370234e-5
  q = q * r + 1.9841269897059855e-4
  q = q * r + 1.3888888888858428e-3
  q = q * r + 8.333333333316739e-3
  q = q * r + 4.166666666666673e-2
  q = q * r + 0.16666666666666685
  q = q * r + 0.5
  const p = 1 + (r + (r * r * q + (high - r - low)))
  // In two factors, as n runs from −1076 to 1024.
  const half = (<i32>n) >> 1
  return p * power2(half) * power2(<i32>n - half)
}

function logPair(x: v128): v128 {
  // x = 2^n·(1 + f) with 1 + f from √½ to √2.
  const exponent = i64x2.shr_s(i64x2.sub(x, i64x2.splat(0x3fe6a09e667f3bcd)), 52)
  const f = f64x2.sub(i64x2.sub(x, i64x2.shl(exponent, 52)), f64x2.splat(1))
  const n = f64x2.convert_low_i32x4_s(i32x4.shuffle(exponent, exponent, 0, 2, 0, 2))
  // ln(1 + f) = f − f²/2 + s·(f²/2 + R(s²)), s = f/(2 + f); |error of R/s²| ≤ 2.5e-18.
  const s = f64x2.div(f, f64x2.add(f64x2.splat(2), f))
  const z = f64x2.mul(s, s)
  let r = step(f64x2.splat(0.14795953525207003), z, 0.15314050162244802)
  r = step(r, z, 0.1818356434222189)
  r = step(r, z, 0.22222198572840465)
  r = step(r, z, 0.28571428742391597)
  r = step(r, z, 0.39999999999414654)
  r = step(r, z, 0.6666666666666734)
  const square = f64x2.mul(f64x2.mul(f64x2.splat(0.5), f), f)
  const low = f64x2.add(f64x2.mul(s, f64x2.add(square, f64x2.mul(z, r))), f64x2.mul(n, f64x2.splat(LN2_LOW)))
  let y = f64x2.sub(f64x2.mul(n, f64x2.splat(LN2_HIGH)), f64x2.sub(f64x2.sub(square, low), f))
  // Infinity and NaN stay as they are.
  y = v128.bitselect(y, x, f64x2.lt(x, f64x2.splat(Infinity)))
  const none = v128.bitselect(f64x2.splat(-Infinity), f64x2.splat(NaN), f64x2.eq(x, f64x2.splat(0)))
  return v128.bitselect(none, y, f64x2.le(x, f64x2.splat(0)))
}

function sinPair(x: v128, quarter: f64): v128 {
  // x = n·π/2 + r + low with |r| ≤ π/4.
  const n = f64x2.nearest(f64x2.mul(x, f64x2.splat(0.6366197723675814)))
  const part = f64x2.sub(x, f64x2.mul(n, f64x2.splat(QUARTER_HIGH)))
  const middle = f64x2.mul(n, f64x2.splat(QUARTER_MIDDLE))
  const near = f64x2.sub(part, middle)
  const rest = f64x2.sub(f64x2.sub(f64x2.sub(part, near), middle), f64x2.mul(n, f64x2.splat(QUARTER_LOW)))
  const r = f64x2.add(near, rest)
  const low = f64x2.add(f64x2.sub(near, r), rest)
  const z = f64x2.mul(r, r)
  const half = f64x2.mul(f64x2.splat(0.5), z)
  const main = f64x2.sub(f64x2.splat(1), half)
  // sin r = r + r³·S(r²), relative error 3.5e-18.
  let q = step(f64x2.splat(1.5896795713489126e-10), z, -2.5050758115698182e-8)
  q = step(q, z, 2.755731369191555e-6)
  q = step(q, z, -1.9841269829807778e-4)
  q = step(q, z, 8.333333333322413e-3)
  q = step(q, z, -0.16666666666666632)
  const sine = f64x2.add(r, f64x2.add(f64x2.mul(f64x2.mul(r, z), q), f64x2.mul(low, main)))
  // cos r = 1 − r²/2 + r⁴·C(r²), error 5e-20.
  q = step(f64x2.splat(-1.1359648041096236e-11), z, 2.0875723278108346e-9)
  q = step(q, z, -2.755731435237199e-7)
  q = step(q, z, 2.480158728948234e-5)
  q = step(q, z, -1.3888888888874125e-3)
  q = step(q, z, 4.16666666666666e-2)
  const lost = f64x2.sub(f64x2.sub(f64x2.splat(1), main), half)
  const tail = f64x2.sub(f64x2.mul(f64x2.mul(z, z), q), f64x2.mul(r, low))
  const cosine = f64x2.add(main, f64x2.add(lost, tail))
  // Quarters of a turn: sin r, cos r, −sin r, −cos r.
  const turn = f64x2.add(n, f64x2.splat(quarter))
  const halves = f64x2.floor(f64x2.mul(turn, f64x2.splat(0.5)))
  const odd = f64x2.ne(f64x2.add(halves, halves), turn)
  const whole = f64x2.floor(f64x2.mul(halves, f64x2.splat(0.5)))
  const negative = f64x2.ne(f64x2.add(whole, whole), halves)
  return v128.xor(v128.bitselect(cosine, sine, odd), v128.and(negative, f64x2.splat(-0.0)))
}

// The compiler warns of exported functions of vectors, as no embedding can call them, unless they are inlined.

/** ln x of two numbers that are not subnormal; −∞ for 0, NaN for negative ones. */
@inline
export function logTwo(x: v128): v128 {
  return logPair(x)
}

/** The sines of two numbers, |x| ≤ 2²⁰, or where `quarter` is 1 the cosines. Each doubling beyond loses a bit. */
@inline
export function sinTwo(x: v128, quarter: f64): v128 {
  return sinPair(x, quarter)
}

/** ln x; −∞ for 0, NaN for negative numbers. */
export function log(x: f64): f64 {
  // Subnormal numbers are scaled by 2⁵⁴ first.
  const small = x < 2.2250738585072014e-308
  const y = f64x2.extract_lane(logPair(f64x2.splat(small ? x * 18014398509481984 : x)), 0)
  return small ? y - 37.42994775023705 : y
}

/** sin x for |x| ≤ 2²⁰. */
export function sin(x: f64): f64 {
  return f64x2.extract_lane(sinPair(f64x2.splat(x), 0), 0)
}

/** cos x for |x| ≤ 2²⁰. */
export function cos(x: f64): f64 {
  return f64x2.extract_lane(sinPair(f64x2.splat(x), 1), 0)
}

/** What rounding takes from a·b = `product`, by parts of 26 bits: Dekker, Numerische Mathematik 18, 1971. */
@inline
function lost(a: f64, b: f64, product: f64): f64 {
  const splitA = a * 134217729
  const splitB = b * 134217729
  const highA = splitA - (splitA - a)
  const highB = splitB - (splitB - b)
  const lowA = a - highA
  const lowB = b - highB
  return lowA * lowB - (product - highA * highB - lowA * highB - highA * lowB)
}

/** Products from here on are too large for the parts, and are rounded as they are. */
const LARGE: f64 = 1e290

/**
 * base^exponent for base ≥ 0. Whole exponents below 2³¹ by squaring, in sums of two float64; of others y the error is up to
 * 1 + |y·ln base| ulp.
 */
export function pow(base: f64, exponent: f64): f64 {
  let n = <i32>min(abs(exponent), 2147483647)
  if (<f64>n != abs(exponent)) return exp(exponent * log(base))
  let y: f64 = 1
  let yLow: f64 = 0
  let b = base
  let bLow: f64 = 0
  while (true) {
    if (n & 1) {
      const product = y * b
      const low = product < LARGE ? lost(y, b, product) + (y * bLow + yLow * b) : 0
      y = product + low
      yLow = product - y + low
    }
    n >>= 1
    if (n == 0) break
    const square = b * b
    const low = square < LARGE ? lost(b, b, square) + 2 * b * bLow : 0
    b = square + low
    bLow = square - b + low
  }
  return exponent < 0 ? 1 / y : y
}
