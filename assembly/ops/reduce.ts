/**
 * Sums, accumulated in float64 in a fixed order and rounded once; largest and smallest elements. Items are elements of
 * the output.
 *
 * A reduction is described by a pointer to 32-bit integers: the number of kept and of reduced dimensions (at least one
 * of these), then extent and stride in x, in elements, of the kept and then of the reduced dimensions, the innermost
 * first. Either the innermost kept or the innermost reduced dimension has stride 1.
 */
import { F32, horizontalSum64, promoteHigh, trace } from '../simd'

/** 1 where none of `count` floats at x is NaN or infinite, else 0. */
export function all_finite(x: usize, count: i32): i32 {
  let a = f32x4.splat(0)
  let b = a
  let c = a
  let d = a
  const whole = x + <usize>(count & ~15) * F32
  for (; x < whole; x += 64) {
    a = trace(a, v128.load(x))
    b = trace(b, v128.load(x, 16))
    c = trace(c, v128.load(x, 32))
    d = trace(d, v128.load(x, 48))
  }
  const lanes = f32x4.add(f32x4.add(a, b), f32x4.add(c, d))
  let rest: f32 = 0
  for (const end = x + <usize>(count & 15) * F32; x < end; x += F32) rest += 0 * load<f32>(x)
  return i32(!v128.any_true(f32x4.ne(lanes, lanes)) && rest == 0)
}

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

/** Bytes of one dimension of a description. */
const DIMENSION: usize = 8

/** Offset in bytes of item `index` of the dimensions from `first` to `last`. */
function offsetOf(first: usize, last: usize, index: i32): usize {
  let offset: usize = 0
  while (first < last) {
    const extent = load<i32>(first)
    offset += <usize>(index % extent) * <usize>load<i32>(first, 4)
    index /= extent
    first += DIMENSION
  }
  return offset * F32
}

/** Product of the extents of the dimensions from `first` to `last`. */
function countOf(first: usize, last: usize): i32 {
  let count = 1
  while (first < last) {
    count *= load<i32>(first)
    first += DIMENSION
  }
  return count
}

/** Rounds four sums and stores their quotients by the divisor. */
@inline
function storeSums(y: usize, low: v128, high: v128, divisor: f64): void {
  const by = f64x2.splat(divisor)
  v128.store64_lane(y, f32x4.demote_f64x2_zero(f64x2.div(low, by)), 0)
  v128.store64_lane(y + 8, f32x4.demote_f64x2_zero(f64x2.div(high, by)), 0)
}

/** y = Σ x / divisor over the reduced dimensions, each sum in the order of x. */
export function sum_fwd(y: usize, x: usize, shape: usize, divisor: f64, begin: i32, end: i32): void {
  const kept = shape + 8
  const reduced = kept + <usize>load<i32>(shape) * DIMENSION
  const last = reduced + <usize>load<i32>(shape, 4) * DIMENSION
  const inner = load<i32>(reduced)
  const step = (<usize>load<i32>(reduced, 4)) << 2
  const rows = countOf(reduced + DIMENSION, last)
  if (step == F32) {
    for (let i = begin; i < end; i++) {
      const from = x + offsetOf(kept, reduced, i)
      let sum: f64 = 0
      for (let row = 0; row < rows; row++) sum += sumOf(from + offsetOf(reduced + DIMENSION, last, row), inner)
      store<f32>(y + <usize>i * F32, <f32>(sum / divisor))
    }
    return
  }
  // Neighbouring outputs are neighbours in x: eight columns are summed at a time, each in the same order.
  const columns = load<i32>(kept)
  while (begin < end) {
    const from = x + offsetOf(kept, reduced, begin)
    const to = y + <usize>begin * F32
    const width = min(columns - (begin % columns), end - begin)
    if (width >= 8) {
      let sum0 = f64x2.splat(0)
      let sum2 = f64x2.splat(0)
      let sum4 = f64x2.splat(0)
      let sum6 = f64x2.splat(0)
      for (let row = 0; row < rows; row++) {
        let p = from + offsetOf(reduced + DIMENSION, last, row)
        for (let i = 0; i < inner; i++) {
          const v = v128.load(p)
          const w = v128.load(p, 16)
          sum0 = f64x2.add(sum0, f64x2.promote_low_f32x4(v))
          sum2 = f64x2.add(sum2, promoteHigh(v))
          sum4 = f64x2.add(sum4, f64x2.promote_low_f32x4(w))
          sum6 = f64x2.add(sum6, promoteHigh(w))
          p += step
        }
      }
      storeSums(to, sum0, sum2, divisor)
      storeSums(to + 16, sum4, sum6, divisor)
      begin += 8
    } else {
      let sum: f64 = 0
      for (let row = 0; row < rows; row++) {
        let p = from + offsetOf(reduced + DIMENSION, last, row)
        for (let i = 0; i < inner; i++) {
          sum += <f64>load<f32>(p)
          p += step
        }
      }
      store<f32>(to, <f32>(sum / divisor))
      begin++
    }
  }
}

/**
 * y = the largest element over the reduced dimensions, or with sign −1 the smallest; index = its place in x, the first
 * of equals, unless index is 0. A NaN outdoes every number.
 */
export function extremum_fwd(y: usize, index: usize, x: usize, shape: usize, sign: f32, begin: i32, end: i32): void {
  const kept = shape + 8
  const reduced = kept + <usize>load<i32>(shape) * DIMENSION
  const last = reduced + <usize>load<i32>(shape, 4) * DIMENSION
  const inner = load<i32>(reduced)
  const step = (<usize>load<i32>(reduced, 4)) << 2
  const rows = countOf(reduced + DIMENSION, last)
  for (let item = begin; item < end; item++) {
    const from = x + offsetOf(kept, reduced, item)
    let place = from
    let best = load<f32>(from) * sign
    for (let row = 0; row < rows; row++) {
      let p = from + offsetOf(reduced + DIMENSION, last, row)
      for (let i = 0; i < inner; i++) {
        const value = load<f32>(p) * sign
        // Greater, or one of the two is NaN: the first NaN stays.
        if (!(value <= best) && best == best) {
          best = value
          place = p
        }
        p += step
      }
    }
    store<f32>(y + <usize>item * F32, load<f32>(place))
    if (index) store<u32>(index + <usize>item * F32, <u32>((place - x) >> 2))
  }
}

/** dx[index[i]] = dy[i]; the caller has set dx to zero, and no index comes twice. */
export function extremum_dx(dx: usize, dy: usize, index: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i++) {
    store<f32>(dx + <usize>load<u32>(index + <usize>i * F32) * F32, load<f32>(dy + <usize>i * F32))
  }
}

/** y[i] = x[index[i]]: the adjoint of extremum_dx. */
export function extremum_gather(y: usize, x: usize, index: usize, begin: i32, end: i32): void {
  for (let i = begin; i < end; i++) {
    store<f32>(y + <usize>i * F32, load<f32>(x + <usize>load<u32>(index + <usize>i * F32) * F32))
  }
}
