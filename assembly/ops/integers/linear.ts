/**
 * Matrix product of bytes: y (N, K) = zero + ⌊M[k] · (bias[k] + Σ w[k, c] · (x[n, c] − xZero)) + 1/2⌋, limited. Weights are read as the int8
 * that they are: with few examples, the time is that of reading them.
 */
import { align } from '../conv/shape'
import { byteAt, scaledOne, widened } from './requantize'
import { IntegerShape } from './shape'

/** Bytes of one widened example. */
@inline
function exampleBytes(d: IntegerShape): usize {
  return align((<usize>d.C) << 1)
}

/** Bytes of the widened input. */
export function integer_linear_bytes(shape: usize): f64 {
  const d = changetype<IntegerShape>(shape)
  return <f64>d.N * <f64>exampleBytes(d)
}

/** Items begin ≤ item < end are examples: to = x − xZero as int16, each at a multiple of 64 bytes. */
export function integer_examples_fwd(to: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<IntegerShape>(shape)
  const zero = i16x8.splat(<i16>d.xZero)
  const signed = d.xSigned != 0
  for (let n = begin; n < end; n++) {
    let from = x + <usize>n * <usize>d.C
    let at = to + <usize>n * exampleBytes(d)
    for (let i = 8; i <= d.C; i += 8) {
      v128.store(at, widened(from, signed, zero))
      from += 8
      at += 16
    }
    for (let i = d.C & ~7; i < d.C; i++) {
      store<i16>(at, <i16>(byteAt(from, signed) - d.xZero))
      from++
      at += 2
    }
  }
}


@inline
function total(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3)
}

/**
 * Items begin ≤ k < end are columns of y (N, K). `x` from integer_examples_fwd, w (K, C) int8; bias, factors and shifts are K int32
 * each.
 */
export function integer_linear_fwd(
  y: usize,
  x: usize,
  w: usize,
  bias: usize,
  factors: usize,
  shifts: usize,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<IntegerShape>(shape)
  const bytes = exampleBytes(d)
  const whole = d.C & ~15
  for (let k = begin; k < end; k++) {
    const row = w + <usize>k * <usize>d.C
    const last = row + <usize>whole
    const start = load<i32>(bias + ((<usize>k) << 2))
    const m = load<i32>(factors + ((<usize>k) << 2))
    const s = load<i32>(shifts + ((<usize>k) << 2))
    let n = 0
    for (; n + 4 <= d.N; n += 4) {
      let at = row
      let x0 = x + <usize>n * bytes
      let x1 = x0 + bytes
      let x2 = x1 + bytes
      let x3 = x2 + bytes
      let c0 = i32x4.splat(0)
      let c1 = c0
      let c2 = c0
      let c3 = c0
      while (at < last) {
        const w0 = v128.load8x8_s(at)
        const w1 = v128.load8x8_s(at, 8)
        c0 = i32x4.add(i32x4.add(c0, i32x4.dot_i16x8_s(w0, v128.load(x0))), i32x4.dot_i16x8_s(w1, v128.load(x0, 16)))
        c1 = i32x4.add(i32x4.add(c1, i32x4.dot_i16x8_s(w0, v128.load(x1))), i32x4.dot_i16x8_s(w1, v128.load(x1, 16)))
        c2 = i32x4.add(i32x4.add(c2, i32x4.dot_i16x8_s(w0, v128.load(x2))), i32x4.dot_i16x8_s(w1, v128.load(x2, 16)))
        c3 = i32x4.add(i32x4.add(c3, i32x4.dot_i16x8_s(w0, v128.load(x3))), i32x4.dot_i16x8_s(w1, v128.load(x3, 16)))
        at += 16
        x0 += 32
        x1 += 32
        x2 += 32
        x3 += 32
      }
      put(y, d, n, k, start + total(c0) + rest(at, x0, d.C - whole), m, s)
      put(y, d, n + 1, k, start + total(c1) + rest(at, x1, d.C - whole), m, s)
      put(y, d, n + 2, k, start + total(c2) + rest(at, x2, d.C - whole), m, s)
      put(y, d, n + 3, k, start + total(c3) + rest(at, x3, d.C - whole), m, s)
    }
    for (; n < d.N; n++) {
      let at = row
      let from = x + <usize>n * bytes
      let c0 = i32x4.splat(0)
      let c1 = c0
      while (at < last) {
        c0 = i32x4.add(c0, i32x4.dot_i16x8_s(v128.load8x8_s(at), v128.load(from)))
        c1 = i32x4.add(c1, i32x4.dot_i16x8_s(v128.load8x8_s(at, 8), v128.load(from, 16)))
        at += 16
        from += 32
      }
      put(y, d, n, k, start + total(i32x4.add(c0, c1)) + rest(at, from, d.C - whole), m, s)
    }
  }
}

/** The products behind the last whole vector. */
function rest(w: usize, x: usize, count: i32): i32 {
  let sum = 0
  for (let i = 0; i < count; i++) sum += <i32>load<i8>(w + <usize>i) * <i32>load<i16>(x + ((<usize>i) << 1))
  return sum
}


@inline
function put(y: usize, d: IntegerShape, n: i32, k: i32, sum: i32, m: i32, s: i32): void {
  store<u8>(y + <usize>(n * d.K + k), <u8>min(d.high, max(d.low, scaledOne(sum, m, s) + d.yZero)))
}
