/**
 * Passes over the classes of (classes, inner), in vectors: with inner = 1 the vectors lie along the classes (the last
 * may be partial), otherwise across one to four neighbouring columns, `lanes` of them. Every pass returns its result
 * spread over the lanes that it belongs to, so that what follows need not know which it was.
 *
 * Sums are float64 in a fixed order. Maxima ignore NaN: it reaches every result through the sum of the exponentials,
 * as does an infinite maximum.
 */
import { exp } from '../math'
import { horizontalSum64, promoteHigh } from '../simd'
import { loadLanes, loadLanesOr, storeLanes } from './lanes'

/** Vectors from the first class to the last, and bytes from one to the next. */
@inline
export function vectorsOf(classes: i32, inner: i32): i32 {
  return inner == 1 ? (classes + 3) >> 2 : classes
}


@inline
export function stepOf(inner: i32): usize {
  return inner == 1 ? 16 : (<usize>inner) << 2
}

/** Lanes in use from column i on, in all vectors and in the last one. */
@inline
export function lanesOf(inner: i32, i: i32): i32 {
  return inner == 1 ? 4 : min(4, inner - i)
}


@inline
export function lastOf(classes: i32, inner: i32, lanes: i32): i32 {
  return inner == 1 ? ((classes - 1) & 3) + 1 : lanes
}

/** What a pass leaves behind: four f64 sums, then the four largest floats. */
export const SUMS_BYTES: usize = 48

/** Address of the largest floats of `expClasses`. */
@inline
export function largestAt(sums: usize): usize {
  return sums + 32
}

/** Stores four f64 sums, (low, high), at `sums`; along the classes their total, four times. */
@inline
function storeSums(sums: usize, low: v128, high: v128, inner: i32): void {
  if (inner == 1) {
    low = f64x2.splat(horizontalSum64(f64x2.add(low, high)))
    high = low
  }
  v128.store(sums, low)
  v128.store(sums, high, 16)
}

/** Largest of the classes. */
@inline
function largestClass(x: usize, classes: i32, inner: i32, lanes: i32): v128 {
  const lowest = f32x4.splat(f32.NEGATIVE_INFINITY)
  const step = stepOf(inner)
  const last = lastOf(classes, inner, lanes)
  let largest = lowest
  for (let v = vectorsOf(classes, inner); v > 0; v--) {
    largest = f32x4.pmax(largest, loadLanesOr(x, v > 1 ? lanes : last, lowest))
    x += step
  }
  if (inner == 1) {
    const pairs = i8x16.shuffle(largest, largest, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
    largest = f32x4.pmax(largest, pairs)
    const others = i8x16.shuffle(largest, largest, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
    largest = f32x4.pmax(largest, others)
  }
  return largest
}

/** y = e^(x − largest), kept unless y is 0; their sums at `sums`, the largest behind them. */
export function expClasses(y: usize, sums: usize, x: usize, classes: i32, inner: i32, lanes: i32): void {
  const lowest = f32x4.splat(f32.NEGATIVE_INFINITY)
  const step = stepOf(inner)
  const last = lastOf(classes, inner, lanes)
  const largest = largestClass(x, classes, inner, lanes)
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  for (let v = vectorsOf(classes, inner); v > 0; v--) {
    const used = v > 1 ? lanes : last
    const e = exp(f32x4.sub(loadLanesOr(x, used, lowest), largest))
    low = f64x2.add(low, f64x2.promote_low_f32x4(e))
    high = f64x2.add(high, promoteHigh(e))
    x += step
    if (y) {
      storeLanes(y, e, used)
      y += step
    }
  }
  storeSums(sums, low, high, inner)
  v128.store(largestAt(sums), largest)
}

/** Σ a · b (b = 0: Σ a) as four f64 at `sums`. */
export function sumClasses(sums: usize, a: usize, b: usize, classes: i32, inner: i32, lanes: i32): void {
  const step = stepOf(inner)
  const last = lastOf(classes, inner, lanes)
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  for (let v = vectorsOf(classes, inner); v > 0; v--) {
    const used = v > 1 ? lanes : last
    const value = loadLanes(a, used)
    let left = f64x2.promote_low_f32x4(value)
    let right = promoteHigh(value)
    a += step
    if (b) {
      const other = loadLanes(b, used)
      left = f64x2.mul(left, f64x2.promote_low_f32x4(other))
      right = f64x2.mul(right, promoteHigh(other))
      b += step
    }
    low = f64x2.add(low, left)
    high = f64x2.add(high, right)
  }
  storeSums(sums, low, high, inner)
}

/** Four f64 at p, rounded to floats. */
@inline
export function demoteFour(p: usize): v128 {
  const low = f32x4.demote_f64x2_zero(v128.load(p))
  const high = f32x4.demote_f64x2_zero(v128.load(p, 16))
  return i8x16.shuffle(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
}
