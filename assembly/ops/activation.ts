/** Nonlinearities and their gradients, one pass each. Items are elements. Gradients read the input or the output. */
import { exp, expm1Negative, gaussian, normalCdf, sigmoid, softplus, tanh } from '../math'
import { map, mapLight, zip, zipLight } from '../micro/map'
import { madd } from '../simd'

class Relu {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    // In this order pmax returns x when x is NaN.
    return f32x4.pmax(x, f32x4.splat(0))
  }
}

class ReluGradient {

  @inline
  apply(dy: v128, y: v128, a: v128, b: v128): v128 {
    return v128.andnot(dy, f32x4.le(y, f32x4.splat(0)))
  }
}

/** y = max(x, 0); NaN stays NaN. */
export function relu_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  mapLight<Relu>(y, x, 0, 0, begin, end)
}

/** dx = dy, or 0 where y ≤ 0. */
export function relu_dx(dx: usize, dy: usize, y: usize, begin: i32, end: i32): void {
  zipLight<ReluGradient>(dx, dy, y, 0, 0, begin, end)
}

class LeakyRelu {

  @inline
  apply(x: v128, slope: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(x, slope), x, f32x4.le(x, f32x4.splat(0)))
  }
}

class LeakyReluGradient {

  @inline
  apply(dy: v128, y: v128, slope: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(dy, slope), dy, f32x4.le(y, f32x4.splat(0)))
  }
}

/** y = x, or slope·x where x ≤ 0. */
export function leakyRelu_fwd(y: usize, x: usize, slope: f32, begin: i32, end: i32): void {
  mapLight<LeakyRelu>(y, x, slope, 0, begin, end)
}

/** dx = dy, or slope·dy where y ≤ 0. */
export function leakyRelu_dx(dx: usize, dy: usize, y: usize, slope: f32, begin: i32, end: i32): void {
  zipLight<LeakyReluGradient>(dx, dy, y, slope, 0, begin, end)
}

class Elu {

  @inline
  apply(x: v128, alpha: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(alpha, expm1Negative(x)), x, f32x4.le(x, f32x4.splat(0)))
  }
}

class EluGradient {

  @inline
  apply(dy: v128, y: v128, alpha: v128, b: v128): v128 {
    return v128.bitselect(f32x4.mul(dy, f32x4.add(y, alpha)), dy, f32x4.le(y, f32x4.splat(0)))
  }
}

/** y = x, or alpha·(e^x − 1) where x ≤ 0. */
export function elu_fwd(y: usize, x: usize, alpha: f32, begin: i32, end: i32): void {
  map<Elu>(y, x, alpha, 0, begin, end)
}

/** dx = dy, or dy·(y + alpha) where y ≤ 0. */
export function elu_dx(dx: usize, dy: usize, y: usize, alpha: f32, begin: i32, end: i32): void {
  zipLight<EluGradient>(dx, dy, y, alpha, 0, begin, end)
}

class Sigmoid {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return sigmoid(x)
  }
}

class SigmoidGradient {

  @inline
  apply(dy: v128, y: v128, a: v128, b: v128): v128 {
    return f32x4.mul(dy, f32x4.mul(y, f32x4.sub(f32x4.splat(1), y)))
  }
}

/** y = 1 / (1 + e^−x). */
export function sigmoid_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  map<Sigmoid>(y, x, 0, 0, begin, end)
}

/** dx = dy·y·(1 − y). */
export function sigmoid_dx(dx: usize, dy: usize, y: usize, begin: i32, end: i32): void {
  zipLight<SigmoidGradient>(dx, dy, y, 0, 0, begin, end)
}

class Tanh {

  @inline
  apply(x: v128, amplitude: v128, slope: v128): v128 {
    return f32x4.mul(amplitude, tanh(f32x4.mul(slope, x)))
  }
}

class TanhGradient {

  @inline
  apply(dy: v128, y: v128, amplitude: v128, ratio: v128): v128 {
    return f32x4.mul(f32x4.mul(dy, ratio), f32x4.mul(f32x4.sub(amplitude, y), f32x4.add(amplitude, y)))
  }
}

/** y = amplitude·tanh(slope·x). */
export function tanh_fwd(y: usize, x: usize, amplitude: f32, slope: f32, begin: i32, end: i32): void {
  map<Tanh>(y, x, amplitude, slope, begin, end)
}

/** dx = dy·ratio·(amplitude² − y²), ratio = slope / amplitude. */
export function tanh_dx(dx: usize, dy: usize, y: usize, amplitude: f32, ratio: f32, begin: i32, end: i32): void {
  zipLight<TanhGradient>(dx, dy, y, amplitude, ratio, begin, end)
}

class Softplus {

  @inline
  apply(x: v128, beta: v128, b: v128): v128 {
    return f32x4.div(softplus(f32x4.mul(beta, x)), beta)
  }
}

/** y = ln(1 + e^(beta·x)) / beta. */
export function softplus_fwd(y: usize, x: usize, beta: f32, begin: i32, end: i32): void {
  map<Softplus>(y, x, beta, 0, begin, end)
}

/** x limited to ±limit, where a function has long become 0, 1 or x: infinities then give limits and not NaN. */
@inline
function limit(x: v128, bound: f32): v128 {
  return f32x4.pmin(f32x4.pmax(x, f32x4.splat(-bound)), f32x4.splat(bound))
}

/** dy·(σ(u) + x·σ(u)·(1 − σ(u))·du): the gradient of x·σ(u). */
@inline
function gateGradient(dy: v128, x: v128, u: v128, du: v128): v128 {
  const one = f32x4.splat(1)
  const e = exp(f32x4.neg(f32x4.abs(u)))
  const larger = f32x4.div(one, f32x4.add(one, e))
  const smaller = f32x4.mul(e, larger)
  const gate = v128.bitselect(smaller, larger, f32x4.lt(u, f32x4.splat(0)))
  const slope = f32x4.mul(f32x4.mul(larger, smaller), du)
  return f32x4.mul(dy, madd(x, slope, gate))
}

class Silu {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return f32x4.mul(f32x4.pmax(x, f32x4.splat(-128)), sigmoid(x))
  }
}

class SiluGradient {

  @inline
  apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    x = limit(x, 128)
    return gateGradient(dy, x, x, f32x4.splat(1))
  }
}

/** y = x·σ(x). */
export function silu_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  map<Silu>(y, x, 0, 0, begin, end)
}

/** dx = dy·(σ(x) + x·σ(x)·(1 − σ(x))). */
export function silu_dx(dx: usize, dy: usize, x: usize, begin: i32, end: i32): void {
  zip<SiluGradient>(dx, dy, x, 0, 0, begin, end)
}

class Gelu {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    const near = limit(x, 15)
    return f32x4.mul(f32x4.pmax(x, near), normalCdf(near, gaussian(near)))
  }
}

class GeluGradient {

  @inline
  apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    x = limit(x, 15)
    const g = gaussian(x)
    // φ(x) = e^(−x²/2) / √2π
    return f32x4.mul(dy, madd(x, f32x4.mul(g, f32x4.splat(0.3989422804014327)), normalCdf(x, g)))
  }
}

/** y = x·Φ(x). */
export function gelu_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  map<Gelu>(y, x, 0, 0, begin, end)
}

/** dx = dy·(Φ(x) + x·φ(x)). */
export function gelu_dx(dx: usize, dy: usize, x: usize, begin: i32, end: i32): void {
  zip<GeluGradient>(dx, dy, x, 0, 0, begin, end)
}

/** 2·√(2/π), and the coefficient of the cubic term. */
const GELU_SLOPE: f32 = 1.5957691216057308
const GELU_CUBIC: f32 = 0.044715

class GeluTanh {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    x = f32x4.pmax(x, f32x4.splat(-15))
    const square = f32x4.mul(x, x)
    const u = f32x4.mul(f32x4.mul(x, f32x4.splat(GELU_SLOPE)), madd(square, f32x4.splat(GELU_CUBIC), f32x4.splat(1)))
    return f32x4.mul(x, sigmoid(u))
  }
}

class GeluTanhGradient {

  @inline
  apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    x = limit(x, 15)
    const square = f32x4.mul(x, x)
    const slope = f32x4.splat(GELU_SLOPE)
    const u = f32x4.mul(f32x4.mul(x, slope), madd(square, f32x4.splat(GELU_CUBIC), f32x4.splat(1)))
    const du = f32x4.mul(slope, madd(square, f32x4.splat(3 * GELU_CUBIC), f32x4.splat(1)))
    return gateGradient(dy, x, u, du)
  }
}

/** y = ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) = x·σ(u). */
export function gelu_tanh_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  map<GeluTanh>(y, x, 0, 0, begin, end)
}

/** dx of gelu_tanh_fwd. */
export function gelu_tanh_dx(dx: usize, dy: usize, x: usize, begin: i32, end: i32): void {
  zip<GeluTanhGradient>(dx, dy, x, 0, 0, begin, end)
}
