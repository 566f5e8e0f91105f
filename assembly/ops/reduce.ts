/** Sums, accumulated in float64 in a fixed order and rounded once. */
import { F32, horizontalSum64, promoteHigh } from '../simd'

/** Σ of `count` floats at x. */
export function sumOf(x: usize, count: i32): f64 {
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  const whole = x + ((<usize>(count & ~3)) << 2)
  const end = x + ((<usize>count) << 2)
  while (x < whole) {
    const v = v128.load(x)
    low = f64x2.add(low, f64x2.promote_low_f32x4(v))
    high = f64x2.add(high, promoteHigh(v))
    x += 16
  }
  let sum = horizontalSum64(f64x2.add(low, high))
  while (x < end) {
    sum += <f64>load<f32>(x)
    x += F32
  }
  return sum
}

/** db[k] = Σ over n and i of dy[n, k, i], for begin ≤ k < end; dy is (N, K, pixels). */
export function sum_channels(db: usize, dy: usize, N: i32, K: i32, pixels: i32, begin: i32, end: i32): void {
  for (let k = begin; k < end; k++) {
    let sum: f64 = 0
    for (let n = 0; n < N; n++) sum += sumOf(dy + <usize>(n * K + k) * <usize>pixels * F32, pixels)
    store<f32>(db + <usize>k * F32, <f32>sum)
  }
}

/** y[i] = scale · Σ over rows of x (rows, columns), for begin ≤ i < end. */
export function sum_rows(y: usize, x: usize, rows: i32, columns: i32, scale: f64, begin: i32, end: i32): void {
  for (let i = begin; i < end; i++) {
    let sum: f64 = 0
    for (let row = 0; row < rows; row++) sum += <f64>load<f32>(x + <usize>row * <usize>columns * F32 + <usize>i * F32)
    store<f32>(y + <usize>i * F32, <f32>(sum * scale))
  }
}
