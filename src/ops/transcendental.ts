/**
 * The error function, trigonometry, hyperbolic functions and powers of two tensors, element by element, for models from elsewhere.
 *
 * Every function is computed in double precision from + − · / and √, which give the same bits in every engine, and is rounded to float32
 * once. Before that rounding the relative error is below 1e-9, for every float32.
 */
import { tensor } from '../tensor/create.js'
import { ranges, type DType } from '../tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../tensor/tensor.js'
import { cast } from './cast.js'
import { equal, where } from './choice.js'
import { add, div, exp, log, mul, neg, sqrt, square, sub } from './elementwise.js'
import { pointwiseRoutine, type Element } from './pointwiseRoutine.js'
import { sumTo } from './reduce.js'

/** c₀ + x·(c₁ + x·(…)). */
function polynomial(coefficients: readonly number[], x: number): number {
  let y = 0
  for (let i = coefficients.length - 1; i >= 0; i--) y = y * x + (coefficients[i] as number)
  return y
}

/** The first terms of a power series, given the quotient of the n-th coefficient and the one before it. */
function series(first: number, count: number, quotient: (n: number) => number): number[] {
  const terms = [first]
  for (let n = 1; n < count; n++) terms.push((terms[n - 1] as number) * quotient(n))
  return terms
}

/** 2ⁿ, |n| ≤ 1000. */
function powerOfTwo(n: number): number {
  let power = 1
  let factor = n < 0 ? 0.5 : 2
  for (let left = Math.abs(n); left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power *= factor
    factor *= factor
  }
  return power
}

/** ln 2 as a number of 32 bits, whose multiples are exact, and the rest. */
const LN2_HIGH = 0.69314718036912381649
const LN2_LOW = 1.90821492927058770002e-10
const exponential = /* @__PURE__ */ series(1, 15, (n) => 1 / n)

/** eˣ; 0 below −200 and ∞ above 200, which no float32 holds. */
function expOf(x: number): number {
  if (x > 200) return Infinity
  if (x < -200) return 0
  if (x !== x) return x
  const n = Math.floor(x / LN2_HIGH + 0.5)
  return polynomial(exponential, x - n * LN2_HIGH - n * LN2_LOW) * powerOfTwo(n)
}

/** 2·artanh s = 2·(s + s³/3 + s⁵/5 + …), |s| ≤ 0.18. */
const areaTangent = /* @__PURE__ */ Array.from({ length: 11 }, (_, k) => 2 / (2 * k + 1))
const twiceArtanh = (s: number): number => s * polynomial(areaTangent, s * s)

const halvings = /* @__PURE__ */ [512, 256, 128, 64, 32, 16, 8, 4, 2, 1].map((n) => [n, powerOfTwo(n)] as const)

/** ln x, of doubles from 1e-300 on. */
function logOf(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN
  if (x === Infinity) return x
  let [m, e] = [x, 0]
  for (const [n, power] of halvings) {
    if (m >= power) [m, e] = [m / power, e + n]
    else if (m * power < 2) [m, e] = [m * power, e - n]
  }
  // m is from 1 to 2; around 1 the logarithm must not be a difference.
  if (m > Math.SQRT2) [m, e] = [m / 2, e + 1]
  return e * LN2_HIGH + (e * LN2_LOW + twiceArtanh((m - 1) / (m + 1)))
}

/** ln(1 + u), exact to the last digits around 0. */
const log1pOf = (u: number): number => (u > -0.29 && u < 0.41 ? twiceArtanh(u / (2 + u)) : logOf(1 + u))

/** An odd function, given its values above 0. The sign of 0 stays. */
const odd =
  (of: (x: number) => number): ((x: number) => number) =>
  (x) =>
    x < 0 ? -of(-x) : x === 0 ? x : of(x)

/** erf x = x·P(x²) up to 1, P from the power series. */
const erfNearZero = /* @__PURE__ */ series(2 / Math.sqrt(Math.PI), 15, (n) => -1 / n).map(
  (term, n) => term / (2 * n + 1),
)

/** erf x = 2/√π · e^(−x²) · Σ (2x²)ⁿ·x / (1·3·…·(2n+1)): terms above 0, which are summed without loss, and slowly. */
function erfBySeries(x: number): number {
  let [term, sum] = [x, x]
  for (let n = 1; term > sum * 1e-18; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * expOf(-x * x) * sum
}

/** Width of the stretches from 1 to 4.5 on each of which erf is a polynomial of its own. */
const STRETCH = 0.5

/** Taylor series around the middle c of a stretch: the derivatives of e^(−x²) are those of Hermite's polynomials. */
const erfStretches = /* @__PURE__ */ Array.from({ length: 7 }, (_, i) => {
  const c = 1 + (i + 0.5) * STRETCH
  const coefficients = [erfBySeries(c)]
  // H₀ = 1, H₁ = 2c, Hₙ₊₁ = 2c·Hₙ − 2n·Hₙ₋₁; the coefficient of hⁿ⁺¹ is (−1)ⁿ·Hₙ / (n+1)!.
  let [before, hermite] = [0, 1]
  let factor = (2 / Math.sqrt(Math.PI)) * expOf(-c * c)
  for (let n = 0; n < 16; n++) {
    factor /= n + 1
    coefficients.push(factor * hermite)
    factor = -factor
    ;[before, hermite] = [hermite, 2 * c * hermite - 2 * n * before]
  }
  return { c, coefficients }
})

const erfOf = /* @__PURE__ */ odd((x) => {
  if (x <= 1) return x * polynomial(erfNearZero, x * x)
  // 1 − erf 4.5 is 2e-10.
  if (x >= 4.5) return 1
  const stretch = erfStretches[Math.floor((x - 1) / STRETCH)]
  return stretch ? polynomial(stretch.coefficients, x - stretch.c) : x
})

const sine = /* @__PURE__ */ series(1, 10, (n) => -1 / (2 * n * (2 * n + 1)))
const cosine = /* @__PURE__ */ series(1, 10, (n) => -1 / (2 * n * (2 * n - 1)))

/** π/2 as two numbers of 33 bits, whose products with numbers of 20 bits are exact, and the rest. */
const QUARTER_1 = 1.57079632673412561417
const QUARTER_2 = 6.0771005063039659766e-11
const QUARTER_3 = 2.02226624879595063154e-21

/** ⌊2²⁴⁰·2/π⌋. */
const TWO_OVER_PI = 0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbn

/** Quarters of a turn to the nearest, and what is left of x, |r| ≤ π/4. */
function reduced(x: number): readonly [quarter: number, r: number] {
  if (Math.abs(x) < 1048576) {
    const n = Math.floor(x * (2 / Math.PI) + 0.5)
    const r = x - n * QUARTER_1 - n * QUARTER_2 - n * QUARTER_3
    return [((n % 4) + 4) % 4, r]
  }
  // From 2²⁰ on every float32 is a multiple of 1/16, and the turns are counted exactly.
  const turns = BigInt(x * 16) * TWO_OVER_PI
  const bits = 244n
  const n = (turns + (1n << (bits - 1n))) >> bits
  const rest = turns - (n << bits)
  // BigInt.asUintN is the number of quarters modulo 4, below 0 too.
  return [Number(BigInt.asUintN(2, n)), Number(rest) * powerOfTwo(-244) * (Math.PI / 2)]
}

const sineNear = (r: number): number => r * polynomial(sine, r * r)
const cosineNear = (r: number): number => polynomial(cosine, r * r)

function sinOf(x: number): number {
  if (x - x !== 0) return NaN
  if (x === 0) return x
  const [quarter, r] = reduced(x)
  const y = quarter % 2 === 0 ? sineNear(r) : cosineNear(r)
  return quarter < 2 ? y : -y
}

function cosOf(x: number): number {
  if (x - x !== 0) return NaN
  const [quarter, r] = reduced(x)
  const y = quarter % 2 === 0 ? cosineNear(r) : sineNear(r)
  return quarter === 0 || quarter === 3 ? y : -y
}

function tanOf(x: number): number {
  if (x - x !== 0) return NaN
  if (x === 0) return x
  const [quarter, r] = reduced(x)
  return quarter % 2 === 0 ? sineNear(r) / cosineNear(r) : -cosineNear(r) / sineNear(r)
}

const arcTangent = /* @__PURE__ */ Array.from({ length: 13 }, (_, k) => (k % 2 === 0 ? 1 : -1) / (2 * k + 1))

const atanOf = /* @__PURE__ */ odd((x) => {
  if (x > 1) return Math.PI / 2 - atanOf(1 / x)
  // arctan x = 2·arctan(x / (1 + √(1 + x²))), twice: then x is below 0.2.
  const half = x / (1 + Math.sqrt(1 + x * x))
  const quarter = half / (1 + Math.sqrt(1 + half * half))
  return 4 * quarter * polynomial(arcTangent, quarter * quarter)
})

/** The angle of the point (x, y), with the sign of y. */
function atan2Of(y: number, x: number): number {
  if (x !== x || y !== y) return NaN
  const [width, height] = [Math.abs(x), Math.abs(y)]
  const slope = height === 0 ? 0 : width === height ? 1 : height / width
  const angle = x < 0 || Object.is(x, -0) ? Math.PI - atanOf(slope) : atanOf(slope)
  return y < 0 || Object.is(y, -0) ? -angle : angle
}

const asinOf = (x: number): number => (x === 0 ? x : atanOf(x / Math.sqrt((1 - x) * (1 + x))))
const acosOf = (x: number): number => 2 * atanOf(Math.sqrt((1 - x) / (1 + x)))

const hyperbolicSine = /* @__PURE__ */ series(1, 9, (n) => 1 / (2 * n * (2 * n + 1)))
const sinhOf = /* @__PURE__ */ odd((x) => (x < 1 ? x * polynomial(hyperbolicSine, x * x) : (expOf(x) - expOf(-x)) / 2))
const coshOf = (x: number): number => (expOf(x) + expOf(-x)) / 2
const asinhOf = /* @__PURE__ */ odd((x) => (x === Infinity ? x : log1pOf(x + (x * x) / (1 + Math.sqrt(1 + x * x)))))
const acoshOf = (x: number): number => (x < 1 ? NaN : log1pOf(x - 1 + Math.sqrt((x - 1) * (x + 1))))
const atanhOf = /* @__PURE__ */ odd((x) => (x > 1 ? NaN : log1pOf((2 * x) / (1 - x)) / 2))

/** A function of float32 whose derivative is told by operations. */
/* @__NO_SIDE_EFFECTS__ */
const float = (
  name: string,
  of: (x: number) => number,
  gradient: (dy: Tensor, x: Tensor) => Tensor,
): ((x: Tensor) => Tensor) =>
  pointwiseRoutine(name, 1, {
    types: ['float32'],
    compute: () => of,
    gradient: (dy, [x]) => [scope(() => gradient(dy, x as Tensor))],
  }) as (x: Tensor) => Tensor

/** 2/√π · ∫ e^(−t²) from 0 to x. */
export const erf = /* @__PURE__ */ float('erf', erfOf, (dy, x) =>
  mul(mul(dy, exp(neg(square(x)))), 2 / Math.sqrt(Math.PI)),
)
/** sin x, of every float32. */
export const sin: (x: Tensor) => Tensor = /* @__PURE__ */ float('sin', sinOf, (dy, x) => mul(dy, cos(x)))
/** cos x, of every float32. */
export const cos: (x: Tensor) => Tensor = /* @__PURE__ */ float('cos', cosOf, (dy, x) => neg(mul(dy, sin(x))))
/** tan x. */
export const tan: (x: Tensor) => Tensor = /* @__PURE__ */ float('tan', tanOf, (dy, x) =>
  mul(dy, add(square(tan(x)), 1)),
)
/** (1 − x)·(1 + x) and the like, which rounding leaves exact where x is near 1. */
const product = (x: Tensor, isInside: boolean): Tensor => {
  const above = add(x, 1)
  return mul(isInside ? neg(sub(x, 1)) : sub(x, 1), above)
}
/** The angle from −π/2 to π/2 of a sine; NaN outside of −1 to 1. */
export const asin = /* @__PURE__ */ float('asin', asinOf, (dy, x) => div(dy, sqrt(product(x, true))))
/** The angle from 0 to π of a cosine; NaN outside of −1 to 1. */
export const acos = /* @__PURE__ */ float('acos', acosOf, (dy, x) => neg(div(dy, sqrt(product(x, true)))))
/** The angle from −π/2 to π/2 of a tangent. */
export const atan = /* @__PURE__ */ float('atan', atanOf, (dy, x) => div(dy, add(square(x), 1)))
/** The angle from −π to π of the point (x, y), broadcast. */
export const atan2 = /* @__PURE__ */ pointwiseRoutine('atan2', 2, {
  types: ['float32'],
  compute: () => atan2Of,
  gradient: (dy, operands, need) => {
    const [y, x] = operands as unknown as readonly [Tensor, Tensor]
    const slopeOf = (other: Tensor): Tensor => div(mul(dy, other), add(square(x), square(y)))
    return [
      need[0] ? scope(() => sumTo(slopeOf(x), y.shape)) : undefined,
      need[1] ? scope(() => sumTo(neg(slopeOf(y)), x.shape)) : undefined,
    ]
  },
}) as (y: Tensor, x: Tensor) => Tensor
/** (eˣ − e⁻ˣ) / 2. */
export const sinh: (x: Tensor) => Tensor = /* @__PURE__ */ float('sinh', sinhOf, (dy, x) => mul(dy, cosh(x)))
/** (eˣ + e⁻ˣ) / 2. */
export const cosh: (x: Tensor) => Tensor = /* @__PURE__ */ float('cosh', coshOf, (dy, x) => mul(dy, sinh(x)))
/** The inverse of sinh. */
export const asinh = /* @__PURE__ */ float('asinh', asinhOf, (dy, x) => div(dy, sqrt(add(square(x), 1))))
/** The inverse of cosh from 0 on; NaN below 1. */
export const acosh = /* @__PURE__ */ float('acosh', acoshOf, (dy, x) => div(dy, sqrt(product(x, false))))
/** The inverse of tanh; NaN outside of −1 to 1. */
export const atanh = /* @__PURE__ */ float('atanh', atanhOf, (dy, x) => div(dy, product(x, true)))

/** aᵇ as in C: 1 where b is 0 or a is 1, NaN where a is below 0 and b is not whole. */
function powerOf(a: number, b: number): number {
  if (b === 0 || a === 1) return 1
  if (a !== a || b !== b) return NaN
  const isOdd = Math.abs(b % 2) === 1
  const size = Math.abs(a)
  if (size === 1 && (b === Infinity || b === -Infinity)) return 1
  if (a < 0 && a !== -Infinity && Math.floor(b) !== b) return NaN
  const y = size === 0 ? (b < 0 ? Infinity : 0) : expOf(b * logOf(size))
  const isNegative = a < 0 || Object.is(a, -0)
  return isNegative && isOdd ? -y : y
}

/** A whole number to a whole power from 0 on, by squaring; `multiply` wraps where the type ends. */
function wholePower<T extends Element>(a: T, b: number, one: T, multiply: (a: T, b: T) => T): T {
  let power: T = one
  let factor: T = a
  for (let left = b; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = multiply(power, factor)
    factor = multiply(factor, factor)
  }
  return power
}

/** A power of whole numbers: exact, wrapped where the type ends, towards 0 and limited where the power is no whole number. */
function powerOfWhole(dtype: Exclude<DType, 'float32' | 'bool'>): (a: Element, b: Element) => Element {
  const isLarge = dtype === 'int64'
  const [least, most] = ranges[dtype]
  return (a, given) => {
    const b = Number(given)
    if (b >= 0 && b < Number.MAX_SAFE_INTEGER && Math.floor(b) === b) {
      return isLarge
        ? wholePower<bigint>(a as bigint, b, 1n, (x, y) => BigInt.asIntN(64, x * y))
        : wholePower<number>(a as number, b, 1, Math.imul)
    }
    const y = Math.trunc(powerOf(Number(a), b))
    if (y !== y) return isLarge ? 0n : 0
    if (y <= Number(least)) return isLarge ? least : Number(least)
    if (y >= Number(most)) return isLarge ? most : Number(most)
    return isLarge ? BigInt(y) : y
  }
}

/**
 * aᵇ, broadcast, of the type of a: float32 within 0.501 ulp. Whole numbers to whole powers wrap where their type ends; to other powers,
 * and to those below 0, they are what float64 gives, towards 0.
 */
export const power = /* @__PURE__ */ pointwiseRoutine('power', 2, {
  types: ['float32', 'int32', 'int64', 'uint8', 'int8'],
  apart: { 1: ['float32', 'int32', 'int64', 'uint8', 'int8'] },
  compute: (dtype) =>
    dtype === 'float32'
      ? (a: number, b: Element) => powerOf(a, Number(b))
      : powerOfWhole(dtype as Exclude<DType, 'float32' | 'bool'>),
  gradient: (dy, [a, b], need) => {
    const [base, exponent] = [a as Tensor, cast(b as AnyTensor, 'float32')]
    const zero = tensor([0], [])
    /** dy·slope where `isZero` does not hold, so that ∞·0 leaves no NaN. */
    const masked = (isZero: Tensor<'bool'>, slope: Tensor, shape: readonly number[]): Tensor =>
      sumTo(mul(dy, where(isZero, zero, slope)), shape)
    const gradients = [
      need[0]
        ? scope(() => masked(equal(exponent, zero), mul(exponent, power(base, sub(exponent, 1)) as Tensor), base.shape))
        : undefined,
      need[1]
        ? scope(() => masked(equal(base, zero), mul(power(base, exponent) as Tensor, log(base)), exponent.shape))
        : undefined,
    ]
    exponent.dispose()
    zero.dispose()
    return gradients
  },
})
