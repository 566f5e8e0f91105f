/**
 * Arithmetic with broadcasting, and functions of one variable with their gradients. Items are elements.
 *
 * A broadcast is described by a pointer to 32-bit integers: the number of dimensions, then extent, stride in a and
 * stride in b of each, in elements, the innermost dimension first; its strides are 0 or 1. The null pointer stands for
 * operands of the output's shape.
 */
import { exp, log, pow } from '../math'
import { map, mapLight, zipLight } from '../micro/map'
import { F32, loadTail, storeTail } from '../simd'

class Add {

  @inline
  apply(left: v128, right: v128, a: v128, b: v128): v128 {
    return f32x4.add(left, right)
  }
}

class Sub {

  @inline
  apply(left: v128, right: v128, a: v128, b: v128): v128 {
    return f32x4.sub(left, right)
  }
}

class Mul {

  @inline
  apply(left: v128, right: v128, a: v128, b: v128): v128 {
    return f32x4.mul(left, right)
  }
}

class Div {

  @inline
  apply(left: v128, right: v128, a: v128, b: v128): v128 {
    return f32x4.div(left, right)
  }
}

/** f(a, x). */
class LeftFixed<F> {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return changetype<F>(0).apply(a, x, a, b)
  }
}

/** f(x, a). */
class RightFixed<F> {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return changetype<F>(0).apply(x, a, a, b)
  }
}

/** y = f(a, b) over the elements begin ≤ i < end of y, row by row of the innermost dimension. */
@inline
function broadcast<F>(y: usize, a: usize, b: usize, shape: usize, begin: i32, end: i32): void {
  const inner = shape ? load<i32>(shape, 4) : end
  const aStep = shape ? load<i32>(shape, 8) : 1
  const bStep = shape ? load<i32>(shape, 12) : 1
  const last = shape ? shape + <usize>load<i32>(shape) * 12 : 0
  while (begin < end) {
    let row = begin / inner
    const first = begin % inner
    const count = min(inner - first, end - begin)
    let p = a + <usize>(first * aStep) * F32
    let q = b + <usize>(first * bStep) * F32
    for (let dimension = shape + 12; dimension < last; dimension += 12) {
      const extent = load<i32>(dimension, 4)
      const index = row % extent
      row /= extent
      p += <usize>(index * load<i32>(dimension, 8)) * F32
      q += <usize>(index * load<i32>(dimension, 12)) * F32
    }
    const to = y + <usize>begin * F32
    if (aStep == bStep) zipLight<F>(to, p, q, 0, 0, 0, count)
    else if (aStep) mapLight<RightFixed<F>>(to, p, load<f32>(q), 0, 0, count)
    else mapLight<LeftFixed<F>>(to, q, load<f32>(p), 0, 0, count)
    begin += count
  }
}

/** y = a + b. */
export function add_fwd(y: usize, a: usize, b: usize, shape: usize, begin: i32, end: i32): void {
  broadcast<Add>(y, a, b, shape, begin, end)
}

/** y = a − b. */
export function sub_fwd(y: usize, a: usize, b: usize, shape: usize, begin: i32, end: i32): void {
  broadcast<Sub>(y, a, b, shape, begin, end)
}

/** y = a · b. */
export function mul_fwd(y: usize, a: usize, b: usize, shape: usize, begin: i32, end: i32): void {
  broadcast<Mul>(y, a, b, shape, begin, end)
}

/** y = a / b. */
export function div_fwd(y: usize, a: usize, b: usize, shape: usize, begin: i32, end: i32): void {
  broadcast<Div>(y, a, b, shape, begin, end)
}

class Exp {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return exp(x)
  }
}

class Log {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return log(x)
  }
}

class Sqrt {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return f32x4.sqrt(x)
  }
}

class Abs {

  @inline
  apply(x: v128, a: v128, b: v128): v128 {
    return f32x4.abs(x)
  }
}

class AbsGradient {

  @inline
  apply(dy: v128, x: v128, a: v128, b: v128): v128 {
    const signed = v128.xor(dy, v128.and(x, i32x4.splat(0x80000000)))
    return v128.and(signed, f32x4.ne(x, f32x4.splat(0)))
  }
}

class Clamp {

  @inline
  apply(x: v128, low: v128, high: v128): v128 {
    return f32x4.pmin(f32x4.pmax(x, low), high)
  }
}

class ClampGradient {

  @inline
  apply(dy: v128, x: v128, low: v128, high: v128): v128 {
    return v128.and(dy, v128.and(f32x4.ge(x, low), f32x4.le(x, high)))
  }
}

/** y = e^x. */
export function exp_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  map<Exp>(y, x, 0, 0, begin, end)
}

/** y = ln x. */
export function log_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  map<Log>(y, x, 0, 0, begin, end)
}

/** y = √x. */
export function sqrt_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  mapLight<Sqrt>(y, x, 0, 0, begin, end)
}

/** y = |x|. */
export function abs_fwd(y: usize, x: usize, begin: i32, end: i32): void {
  mapLight<Abs>(y, x, 0, 0, begin, end)
}

/** dx = dy·sign(x), 0 at 0. */
export function abs_dx(dx: usize, dy: usize, x: usize, begin: i32, end: i32): void {
  zipLight<AbsGradient>(dx, dy, x, 0, 0, begin, end)
}

/** y = x limited to [low, high]; NaN stays. */
export function clamp_fwd(y: usize, x: usize, low: f32, high: f32, begin: i32, end: i32): void {
  mapLight<Clamp>(y, x, low, high, begin, end)
}

/** dx = dy where low ≤ x ≤ high, else 0. */
export function clamp_dx(dx: usize, dy: usize, x: usize, low: f32, high: f32, begin: i32, end: i32): void {
  zipLight<ClampGradient>(dx, dy, x, low, high, begin, end)
}

/** y = x^p. */
export function pow_fwd(y: usize, x: usize, p: f64, begin: i32, end: i32): void {
  for (let i = begin; i < end; i += 4) {
    const count = min(4, end - i)
    const from = x + <usize>i * F32
    const v = pow(count == 4 ? v128.load(from) : loadTail(from, count), p)
    if (count == 4) v128.store(y + <usize>i * F32, v)
    else storeTail(y + <usize>i * F32, v, count)
  }
}
