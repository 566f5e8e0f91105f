/**
 * Transforms of Winograd's minimal filtering F(2×2, 3×3) on 4 × 4 tiles, points 0, ±1, ∞, four at a time, one in each
 * lane. As accurate as the definition, and 16/9 of F(4×4, 3×3)'s multiplications:
 *
 *         | 1  0 -1  0 |        | 1   0   0 |
 *    Bᵀ = | 0  1  1  0 |    G = | ½   ½   ½ |    Aᵀ = | 1  1  1  0 |
 *         | 0 -1  1  0 |        | ½  -½   ½ |         | 0  1 -1  1 |
 *         | 0 -1  0  1 |        | 0   0   1 |
 *
 * and F(3×3, 2×2) for the filter gradient, with the outer columns of G and (1 1 1 0, 0 1 -1 0, 0 1 1 1) for Aᵀ.
 */
import { trace } from '../simd'
import { storeTransposed } from './gemm'
import { loadPairs, storePairs } from './winograd'

/** One transform Bᵀ d of four vectors `step` bytes apart at `from`, written `stride` bytes apart at `to`. */
@inline
function transformInput(to: usize, stride: usize, from: usize, step: usize): void {
  const d0 = v128.load(from)
  const d1 = v128.load(from + step)
  const d2 = v128.load(from + 2 * step)
  const d3 = v128.load(from + 3 * step)
  v128.store(to, f32x4.sub(d0, d2))
  v128.store(to + stride, f32x4.add(d1, d2))
  v128.store(to + 2 * stride, f32x4.sub(d2, d1))
  v128.store(to + 3 * stride, f32x4.sub(d3, d1))
}

/** The input tiles of four windows (4, 4) at p0 … p3, rows `pitch` bytes apart, into frequency f at to + f·stride. */
export function transformTiles4(
  to: usize,
  stride: usize,
  scratch: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  pitch: usize,
): void {
  for (let row: usize = 0; row < 256; row += 64) {
    const columns = scratch + row
    storeTransposed(columns, 16, v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3))
    transformInput(columns, 16, columns, 16)
    p0 += pitch
    p1 += pitch
    p2 += pitch
    p3 += pitch
  }
  for (let column: usize = 0; column < 4; column++) {
    transformInput(to + column * stride, 4 * stride, scratch + column * 16, 64)
  }
}

/**
 * Output tiles (2, 2) of four windows from frequency f at from + f·stride: rows of `pitch` bytes at t0 … t3, with the
 * vector at `bias` added and the others used as in `inverseTiles`.
 */
export function inverseTiles4(
  t0: usize,
  t1: usize,
  t2: usize,
  t3: usize,
  pitch: usize,
  scratch: usize,
  from: usize,
  stride: usize,
  bias: usize,
): void {
  const start = v128.load(bias)
  const floor = v128.load(bias, 16)
  let total = f32x4.splat(0)
  for (let column: usize = 0; column < 4; column++) {
    const m0 = v128.load(from)
    const m1 = v128.load(from + 4 * stride)
    const m2 = v128.load(from + 8 * stride)
    const m3 = v128.load(from + 12 * stride)
    v128.store(scratch + column * 16, f32x4.add(m0, f32x4.add(m1, m2)))
    v128.store(scratch + column * 16, f32x4.add(f32x4.sub(m1, m2), m3), 64)
    from += stride
  }
  for (let row: usize = 0; row < 2; row++) {
    const m1 = v128.load(scratch, 16)
    const m2 = v128.load(scratch, 32)
    const y0 = f32x4.add(f32x4.add(v128.load(scratch), f32x4.add(m1, m2)), start)
    const y1 = f32x4.add(f32x4.add(f32x4.sub(m1, m2), v128.load(scratch, 48)), start)
    total = f32x4.add(total, f32x4.add(y0, y1))
    storePairs(t0, t1, t2, t3, f32x4.pmax(y0, floor), f32x4.pmax(y1, floor))
    scratch += 64
    t0 += pitch
    t1 += pitch
    t2 += pitch
    t3 += pitch
  }
  v128.store(bias, trace(v128.load(bias, 32), total), 32)
}

/** G g of three taps `step` bytes apart at `from`, four results `stride` bytes apart at `to`: two filters, in float64. */
export function transformFilters4(to: usize, stride: usize, from: usize, step: usize): void {
  const half = f64x2.splat(0.5)
  const g0 = v128.load(from)
  const g1 = f64x2.mul(half, v128.load(from + step))
  const g2 = v128.load(from + 2 * step)
  const even = f64x2.mul(half, f64x2.add(g0, g2))
  v128.store(to, g0)
  v128.store(to + stride, f64x2.add(even, g1))
  v128.store(to + 2 * stride, f64x2.sub(even, g1))
  v128.store(to + 3 * stride, g2)
}

/**
 * G g Gᵀ, without its factors ½, of four windows (2, 2) at p0 … p3, rows `pitch` bytes apart, into frequency f at
 * to + f·stride: 16 bytes, one lane for each window.
 */
export function transformGradients4(
  to: usize,
  stride: usize,
  scratch: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  pitch: usize,
): void {
  for (let row: usize = 0; row < 128; row += 64) {
    loadPairs(scratch + row, p0, p1, p2, p3)
    const g0 = v128.load(scratch + row)
    const g1 = v128.load(scratch + row, 16)
    v128.store(scratch + row, f32x4.add(g0, g1), 16)
    v128.store(scratch + row, f32x4.sub(g0, g1), 32)
    v128.store(scratch + row, g1, 48)
    p0 += pitch
    p1 += pitch
    p2 += pitch
    p3 += pitch
  }
  for (let column: usize = 0; column < 4; column++) {
    const g0 = v128.load(scratch)
    const g1 = v128.load(scratch, 64)
    v128.store(to, g0)
    v128.store(to + 4 * stride, f32x4.add(g0, g1))
    v128.store(to + 8 * stride, f32x4.sub(g0, g1))
    v128.store(to + 12 * stride, g1)
    scratch += 16
    to += stride
  }
}

/** Aᵀ of four vectors `step` bytes apart at `from`, with the factors of G, to three, `spread` bytes apart at `to`. */
@inline
function inverseFilter(to: usize, spread: usize, from: usize, step: usize): void {
  const half = f32x4.splat(0.5)
  const m1 = v128.load(from + step)
  const m2 = v128.load(from + 2 * step)
  const sum = f32x4.mul(half, f32x4.add(m1, m2))
  const last = f32x4.add(sum, v128.load(from + 3 * step))
  v128.store(to, f32x4.add(v128.load(from), sum))
  v128.store(to + spread, f32x4.mul(half, f32x4.sub(m1, m2)))
  v128.store(to + 2 * spread, last)
}

/** Filter gradients (3, 3) of four channels from frequency f at from + f·stride: tap t at scratch + 16·t. */
export function inverseFilters4(scratch: usize, from: usize, stride: usize): void {
  const columns = scratch + 144
  for (let column: usize = 0; column < 4; column++) {
    inverseFilter(columns + column * 16, 64, from + column * stride, 4 * stride)
  }
  for (let row: usize = 0; row < 3; row++) inverseFilter(scratch + row * 48, 16, columns + row * 64, 16)
}
