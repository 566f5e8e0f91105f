/**
 * Max unpooling: x (maps, pixels) written at its positions into zeros y (maps, outputPixels); positions of -1 are left
 * out. Of equal positions the last one stays, and receives the gradient.
 */
import { F32 } from '../../simd'

/** First i of `count` with indices[i] outside -1 … limit - 1; -1 if there is none. */
export function maxunpool_check(indices: usize, count: i32, limit: i32): i32 {
  for (let i = 0; i < count; i++) {
    if (<u32>(load<i32>(indices + ((<usize>i) << 2)) + 1) > <u32>limit) return i
  }
  return -1
}

/** Maps begin ≤ item < end of y (maps, outputPixels): y[indices[i]] = x[i], the last of equal positions, else 0. */
export function maxunpool_fwd(
  y: usize,
  x: usize,
  indices: usize,
  pixels: i32,
  outputPixels: i32,
  begin: i32,
  end: i32,
): void {
  for (let item = begin; item < end; item++) {
    const map = y + <usize>item * <usize>outputPixels * F32
    memory.fill(map, 0, <usize>outputPixels * F32)
    const first = <usize>item * <usize>pixels * F32
    const stop = first + <usize>pixels * F32
    for (let i = first; i < stop; i += 4) {
      const position = load<i32>(indices + i)
      if (position >= 0) store<f32>(map + ((<usize>position) << 2), load<f32>(x + i))
    }
  }
}

/** The adjoint of maxunpool_fwd: only the last writer of a position receives dy there. ws: one map of dy. */
export function maxunpool_dx(
  dx: usize,
  dy: usize,
  indices: usize,
  ws: usize,
  pixels: i32,
  outputPixels: i32,
  begin: i32,
  end: i32,
): void {
  for (let item = begin; item < end; item++) {
    const map = dy + <usize>item * <usize>outputPixels * F32
    const first = <usize>item * <usize>pixels * F32
    const stop = first + <usize>pixels * F32
    for (let i = first; i < stop; i += 4) {
      const position = load<i32>(indices + i)
      if (position >= 0) store<u32>(ws + ((<usize>position) << 2), <u32>i)
    }
    for (let i = first; i < stop; i += 4) {
      const position = load<i32>(indices + i)
      const own = position >= 0 && load<u32>(ws + ((<usize>position) << 2)) == <u32>i
      store<f32>(dx + i, own ? load<f32>(map + ((<usize>position) << 2)) : 0)
    }
  }
}
