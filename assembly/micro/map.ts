/**
 * Loops over elements begin ≤ i < end, four at a time. One loop serves every function: a class whose inlined `apply`
 * the compiler puts into it. Nothing outside the range is read or written, and the output may be an input.
 *
 *   unary    apply(x, a, b)             x a vector, a and b constants in all lanes
 *   binary   apply(left, right, a, b)
 *
 * `map` and `zip` have one body for vectors and tail, since the body of an exponential is what makes the module large.
 * `mapLight` and `zipLight` take two vectors a turn and leave the tail to calls, which makes functions of an instruction
 * or two up to four times as fast while they are in the cache.
 */
import { F32, loadTail, storeTail } from '../simd'

/** The vector at p, of which `left` bytes may be read. Not inlined: for tails. */
function loadPart(p: usize, left: usize): v128 {
  return left >= 16 ? v128.load(p) : loadTail(p, (<i32>left) >> 2)
}

/** Stores v at p, where `left` bytes may be written. Not inlined: for tails. */
function storePart(p: usize, v: v128, left: usize): void {
  if (left >= 16) v128.store(p, v)
  else storeTail(p, v, (<i32>left) >> 2)
}

/** y[i] = f(x[i]; a, b). */
@inline
export function map<F>(y: usize, x: usize, a: f32, b: f32, begin: i32, end: i32): void {
  const f = changetype<F>(0)
  const a4 = f32x4.splat(a)
  const b4 = f32x4.splat(b)
  const stop = x + <usize>end * F32
  const toY = y - x
  x += <usize>begin * F32
  while (x < stop) {
    const left = stop - x
    const v = f.apply(left >= 16 ? v128.load(x) : loadTail(x, (<i32>left) >> 2), a4, b4)
    if (left >= 16) v128.store(x + toY, v)
    else storeTail(x + toY, v, (<i32>left) >> 2)
    x += 16
  }
}

/** y[i] = f(x[i]; a, b), for functions of few instructions. */
@inline
export function mapLight<F>(y: usize, x: usize, a: f32, b: f32, begin: i32, end: i32): void {
  const f = changetype<F>(0)
  const a4 = f32x4.splat(a)
  const b4 = f32x4.splat(b)
  let to = y + <usize>begin * F32
  let from = x + <usize>begin * F32
  const stop = x + <usize>end * F32
  const whole = from + ((<usize>((end - begin) & ~7)) << 2)
  while (from < whole) {
    v128.store(to, f.apply(v128.load(from), a4, b4))
    v128.store(to, f.apply(v128.load(from, 16), a4, b4), 16)
    from += 32
    to += 32
  }
  while (from < stop) {
    storePart(to, f.apply(loadPart(from, stop - from), a4, b4), stop - from)
    from += 16
    to += 16
  }
}

/** y[i] = f(left[i], right[i]; a, b). */
@inline
export function zip<F>(y: usize, left: usize, right: usize, a: f32, b: f32, begin: i32, end: i32): void {
  const f = changetype<F>(0)
  const a4 = f32x4.splat(a)
  const b4 = f32x4.splat(b)
  const stop = left + <usize>end * F32
  const toY = y - left
  const toRight = right - left
  left += <usize>begin * F32
  while (left < stop) {
    const rest = stop - left
    const count = (<i32>rest) >> 2
    const p = left + toRight
    const v = f.apply(
      rest >= 16 ? v128.load(left) : loadTail(left, count),
      rest >= 16 ? v128.load(p) : loadTail(p, count),
      a4,
      b4,
    )
    if (rest >= 16) v128.store(left + toY, v)
    else storeTail(left + toY, v, count)
    left += 16
  }
}

/** y[i] = f(left[i], right[i]; a, b), for functions of few instructions. */
@inline
export function zipLight<F>(y: usize, left: usize, right: usize, a: f32, b: f32, begin: i32, end: i32): void {
  const f = changetype<F>(0)
  const a4 = f32x4.splat(a)
  const b4 = f32x4.splat(b)
  let to = y + <usize>begin * F32
  let p = left + <usize>begin * F32
  let q = right + <usize>begin * F32
  const stop = left + <usize>end * F32
  const whole = p + ((<usize>((end - begin) & ~7)) << 2)
  while (p < whole) {
    v128.store(to, f.apply(v128.load(p), v128.load(q), a4, b4))
    v128.store(to, f.apply(v128.load(p, 16), v128.load(q, 16), a4, b4), 16)
    p += 32
    q += 32
    to += 32
  }
  while (p < stop) {
    const rest = stop - p
    storePart(to, f.apply(loadPart(p, rest), loadPart(q, rest), a4, b4), rest)
    p += 16
    q += 16
    to += 16
  }
}
