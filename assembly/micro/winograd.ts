/**
 * Transforms of Winograd's minimal filtering on 6 × 6 tiles, four tiles at a time, one in each lane.
 *
 * With the points 0, ±a, ±b, ∞, a = √½ and b = √2, the five finite ones are the roots of x⁵ − 5/2·x³ + x, and
 * y = Aᵀ [(G g) ⊙ (Bᵀ d)] gives m outputs of a correlation with r taps for every m + r = 7:
 *
 *         | 1   0  -5/2  0   1  0 |        | 1   1   1   1   1  0 |              | 1   0   0  … |
 *         | 0  -b   -2   a   1  0 |        | 0   a  -a   b  -b  · |              | 1   a   a² … | / -3/2
 *    Bᵀ = | 0   b   -2  -a   1  0 |   Aᵀ = | 0   a²  a²  b²  b² · |          G = | 1  -a   a² … | / -3/2
 *         | 0  -a  -1/2  b   1  0 |        | 0   a³ -a³  b³ -b³ · |              | 1   b   b² … | / 6
 *         | 0   a  -1/2 -b   1  0 |                                              | 1  -b   b² … | / 6
 *         | 0   1   0  -5/2  0  1 |        (m rows; the last column is 1 in      | 0   …  0   1 |
 *                                           the last row, else 0)                 (r columns)
 *
 * These points lose half of what the usual 0, ±1, ±2, ∞ do. Lavin & Gray, "Fast algorithms for convolutional neural
 * networks", 2016; points after Barabasz et al., "Error analysis and improving the accuracy of Winograd convolution",
 * 2020.
 */
import { trace } from '../simd'
import { storeLanes, storeTransposed } from './gemm'

/** Bytes of scratch that any transform takes. */
export const SCRATCH_BYTES: usize = 640

const A: f32 = 0.7071067811865476
const B: f32 = 1.4142135623730951

/** One transform Bᵀ d of six vectors `step` bytes apart at `from`, written `stride` bytes apart at `to`. */
@inline
function transformInput(to: usize, stride: usize, from: usize, step: usize): void {
  const a = f32x4.splat(A)
  const b = f32x4.splat(B)
  const d0 = v128.load(from)
  const d1 = v128.load(from + step)
  const d2 = v128.load(from + 2 * step)
  const d3 = v128.load(from + 3 * step)
  const d4 = v128.load(from + 4 * step)
  const d5 = v128.load(from + 5 * step)
  const half = f32x4.splat(2.5)
  v128.store(to, f32x4.add(f32x4.sub(d0, f32x4.mul(half, d2)), d4))
  let even = f32x4.sub(d4, f32x4.add(d2, d2))
  let odd = f32x4.sub(f32x4.mul(a, d3), f32x4.mul(b, d1))
  v128.store(to + stride, f32x4.add(even, odd))
  v128.store(to + 2 * stride, f32x4.sub(even, odd))
  even = f32x4.sub(d4, f32x4.mul(f32x4.splat(0.5), d2))
  odd = f32x4.sub(f32x4.mul(b, d3), f32x4.mul(a, d1))
  v128.store(to + 3 * stride, f32x4.add(even, odd))
  v128.store(to + 4 * stride, f32x4.sub(even, odd))
  v128.store(to + 5 * stride, f32x4.add(f32x4.sub(d1, f32x4.mul(half, d3)), d5))
}

/**
 * The input tiles of four windows (6, 6) at p0 … p3, rows `pitch` bytes apart, into frequency f at
 * to + f·stride: 16 bytes, one lane for each tile.
 */
export function transformTiles(
  to: usize,
  stride: usize,
  scratch: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  pitch: usize,
): void {
  for (let row: usize = 0; row < 576; row += 96) {
    const columns = scratch + row
    storeTransposed(columns, 16, v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3))
    const low = i8x16.shuffle(
      v128.load64_zero(p0, 16),
      v128.load64_zero(p1, 16),
      0,
      1,
      2,
      3,
      16,
      17,
      18,
      19,
      4,
      5,
      6,
      7,
      20,
      21,
      22,
      23,
    )
    const high = i8x16.shuffle(
      v128.load64_zero(p2, 16),
      v128.load64_zero(p3, 16),
      0,
      1,
      2,
      3,
      16,
      17,
      18,
      19,
      4,
      5,
      6,
      7,
      20,
      21,
      22,
      23,
    )
    v128.store(columns, i8x16.shuffle(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), 64)
    v128.store(columns, i8x16.shuffle(low, high, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 80)
    transformInput(columns, 16, columns, 16)
    p0 += pitch
    p1 += pitch
    p2 += pitch
    p3 += pitch
  }
  for (let column: usize = 0; column < 6; column++) {
    transformInput(to + column * stride, 6 * stride, scratch + column * 16, 96)
  }
}

/** One transform Aᵀ of six vectors `step` bytes apart at `from` to m = 2, 3 or 4, `spread` bytes apart at `to`. */
@inline
function transformOutput(to: usize, spread: usize, from: usize, step: usize, m: i32): void {
  const m0 = v128.load(from)
  const m1 = v128.load(from + step)
  const m2 = v128.load(from + 2 * step)
  const m3 = v128.load(from + 3 * step)
  const m4 = v128.load(from + 4 * step)
  const m5 = v128.load(from + 5 * step)
  const sumA = f32x4.add(m1, m2)
  const sumB = f32x4.add(m3, m4)
  const differenceA = f32x4.mul(f32x4.splat(A), f32x4.sub(m1, m2))
  const differenceB = f32x4.mul(f32x4.splat(B), f32x4.sub(m3, m4))
  v128.store(to, f32x4.add(f32x4.add(m0, sumA), sumB))
  const first = f32x4.add(differenceA, differenceB)
  if (m == 2) {
    v128.store(to + spread, f32x4.add(first, m5))
    return
  }
  const half = f32x4.splat(0.5)
  v128.store(to + spread, first)
  const second = f32x4.add(f32x4.mul(half, sumA), f32x4.add(sumB, sumB))
  if (m == 3) {
    v128.store(to + 2 * spread, f32x4.add(second, m5))
    return
  }
  v128.store(to + 2 * spread, second)
  const third = f32x4.add(f32x4.mul(half, differenceA), f32x4.add(differenceB, differenceB))
  v128.store(to + 3 * spread, f32x4.add(third, m5))
}

/**
 * Output tiles (m, m), m = 2, 3 or 4, of four windows from frequency f at from + f·stride: rows of `pitch` bytes at t0 … t3,
 * with the vector at `bias` added, and what is below the vector after it raised to that; a third vector there becomes NaN
 * where an output is NaN or infinite before that, or their sum is. `scratch` holds 640 bytes.
 */
export function inverseTiles(
  t0: usize,
  t1: usize,
  t2: usize,
  t3: usize,
  pitch: usize,
  scratch: usize,
  from: usize,
  stride: usize,
  bias: usize,
  m: i32,
): void {
  const columns = scratch + 64
  const start = v128.load(bias)
  const floor = v128.load(bias, 16)
  let total = f32x4.splat(0)
  for (let column: usize = 0; column < 6; column++) {
    transformOutput(columns + column * 16, 96, from + column * stride, 6 * stride, m)
  }
  for (let row = 0; row < m; row++) {
    transformOutput(scratch, 16, columns + <usize>row * 96, 16, m)
    const y0 = f32x4.add(v128.load(scratch), start)
    const y1 = f32x4.add(v128.load(scratch, 16), start)
    const v0 = f32x4.pmax(y0, floor)
    const v1 = f32x4.pmax(y1, floor)
    total = f32x4.add(total, f32x4.add(y0, y1))
    if (m == 2) storePairs(t0, t1, t2, t3, v0, v1)
    else {
      const y2 = f32x4.add(v128.load(scratch, 32), start)
      const v2 = f32x4.pmax(y2, floor)
      total = f32x4.add(total, y2)
      if (m == 3) {
        storePairs(t0, t1, t2, t3, v0, v1)
        v128.store32_lane(t0, v2, 0, 8)
        v128.store32_lane(t1, v2, 1, 8)
        v128.store32_lane(t2, v2, 2, 8)
        v128.store32_lane(t3, v2, 3, 8)
      } else {
        const y3 = f32x4.add(v128.load(scratch, 48), start)
        total = f32x4.add(total, y3)
        storeLanes(t0, t1, t2, t3, v0, v1, v2, f32x4.pmax(y3, floor))
      }
    }
    t0 += pitch
    t1 += pitch
    t2 += pitch
    t3 += pitch
  }
  v128.store(bias, trace(v128.load(bias, 32), total), 32)
}

/** Two floats at each of p0 … p3: the first ones at `to`, the second ones behind them. */
@inline
export function loadPairs(to: usize, p0: usize, p1: usize, p2: usize, p3: usize): void {
  const low = v128.load64_lane(p1, v128.load64_zero(p0), 1)
  const high = v128.load64_lane(p3, v128.load64_zero(p2), 1)
  v128.store(to, i8x16.shuffle(low, high, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27))
  v128.store(to, i8x16.shuffle(low, high, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31), 16)
}

/** Lane l of v0 and of v1 side by side, at t0 … t3. */
@inline
export function storePairs(t0: usize, t1: usize, t2: usize, t3: usize, v0: v128, v1: v128): void {
  const low = i8x16.shuffle(v0, v1, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
  const high = i8x16.shuffle(v0, v1, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
  v128.store64_lane(t0, low, 0)
  v128.store64_lane(t1, low, 1)
  v128.store64_lane(t2, high, 0)
  v128.store64_lane(t3, high, 1)
}

/**
 * G g of r taps (3 to 5) `step` bytes apart at `from`, six results `stride` bytes apart at `to`: two filters at a time,
 * in float64. Points ±p share Σ even and Σ odd powers.
 */
export function transformFilters(to: usize, stride: usize, from: usize, step: usize, r: i32): void {
  const g0 = v128.load(from)
  const g1 = v128.load(from + step)
  const g2 = v128.load(from + 2 * step)
  const g3 = r > 3 ? v128.load(from + 3 * step) : f64x2.splat(0)
  const g4 = r == 5 ? v128.load(from + 4 * step) : f64x2.splat(0)
  v128.store(to, g0)
  // p² = 1/2, with the factor -1/(3/2).
  let even = f64x2.add(g0, f64x2.mul(f64x2.splat(0.5), f64x2.add(g2, f64x2.mul(f64x2.splat(0.5), g4))))
  let odd = f64x2.mul(f64x2.splat(0.7071067811865476), f64x2.add(g1, f64x2.mul(f64x2.splat(0.5), g3)))
  const inner = f64x2.splat(-0.6666666666666666)
  v128.store(to + stride, f64x2.mul(inner, f64x2.add(even, odd)))
  v128.store(to + 2 * stride, f64x2.mul(inner, f64x2.sub(even, odd)))
  // p² = 2, with the factor 1/6.
  const two = f64x2.splat(2)
  even = f64x2.add(g0, f64x2.mul(two, f64x2.add(g2, f64x2.mul(two, g4))))
  odd = f64x2.mul(f64x2.splat(1.4142135623730951), f64x2.add(g1, f64x2.mul(two, g3)))
  const outer = f64x2.splat(0.16666666666666666)
  v128.store(to + 3 * stride, f64x2.mul(outer, f64x2.add(even, odd)))
  v128.store(to + 4 * stride, f64x2.mul(outer, f64x2.sub(even, odd)))
  v128.store(to + 5 * stride, r == 5 ? g4 : r == 4 ? g3 : g2)
}

/**
 * G g of r = 3 or 4 vectors `step` bytes apart at `from` without its factors -2/3 and 1/6, which inverseFilters puts
 * in; six results `stride` bytes apart at `to`.
 */
@inline
function transformGradient(to: usize, stride: usize, from: usize, step: usize, r: i32): void {
  const g0 = v128.load(from)
  const g1 = v128.load(from + step)
  const g2 = v128.load(from + 2 * step)
  const g3 = r == 4 ? v128.load(from + 3 * step) : f32x4.splat(0)
  const half = f32x4.splat(0.5)
  let even = f32x4.add(g0, f32x4.mul(half, g2))
  let odd = f32x4.mul(f32x4.splat(A), r == 4 ? f32x4.add(g1, f32x4.mul(half, g3)) : g1)
  v128.store(to, g0)
  v128.store(to + stride, f32x4.add(even, odd))
  v128.store(to + 2 * stride, f32x4.sub(even, odd))
  even = f32x4.add(g0, f32x4.add(g2, g2))
  odd = f32x4.mul(f32x4.splat(B), r == 4 ? f32x4.add(g1, f32x4.add(g3, g3)) : g1)
  v128.store(to + 3 * stride, f32x4.add(even, odd))
  v128.store(to + 4 * stride, f32x4.sub(even, odd))
  v128.store(to + 5 * stride, r == 4 ? g3 : g2)
}

/** Three floats: memory may end behind them. */
@inline
function load3(p: usize): v128 {
  return v128.load32_lane(p, v128.load64_zero(p), 2, 8)
}

/**
 * G g Gᵀ, without its factors, of four windows (r, r) at p0 … p3, r = 3 or 4, rows `pitch` bytes apart, into frequency
 * f at to + f·stride: 16 bytes, one lane for each window.
 */
export function transformGradients(
  to: usize,
  stride: usize,
  scratch: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  pitch: usize,
  r: i32,
): void {
  for (let i = 0; i < r; i++) {
    const columns = scratch + <usize>i * 96
    if (r == 4) storeTransposed(columns, 16, v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3))
    else storeTransposed(columns, 16, load3(p0), load3(p1), load3(p2), load3(p3))
    transformGradient(columns, 16, columns, 16, r)
    p0 += pitch
    p1 += pitch
    p2 += pitch
    p3 += pitch
  }
  for (let column: usize = 0; column < 6; column++) {
    transformGradient(to + column * stride, 6 * stride, scratch + column * 16, 96, r)
  }
}

/** Aᵀ of six vectors `step` bytes apart at `from`, with the factors of G, to m = 3 or 4, `spread` bytes apart at `to`. */
@inline
function inverseFilter(to: usize, spread: usize, from: usize, step: usize, m: i32): void {
  const m0 = v128.load(from)
  const m1 = v128.load(from + step)
  const m2 = v128.load(from + 2 * step)
  const m3 = v128.load(from + 3 * step)
  const m4 = v128.load(from + 4 * step)
  const m5 = v128.load(from + 5 * step)
  const inner = f32x4.splat(-0.6666666666666666)
  const outer = f32x4.splat(0.16666666666666666)
  const sumA = f32x4.mul(inner, f32x4.add(m1, m2))
  const sumB = f32x4.mul(outer, f32x4.add(m3, m4))
  const differenceA = f32x4.mul(f32x4.splat(-0.4714045207910317), f32x4.sub(m1, m2))
  const differenceB = f32x4.mul(f32x4.splat(0.2357022603955158), f32x4.sub(m3, m4))
  const half = f32x4.splat(0.5)
  v128.store(to, f32x4.add(f32x4.add(m0, sumA), sumB))
  v128.store(to + spread, f32x4.add(differenceA, differenceB))
  const second = f32x4.add(f32x4.mul(half, sumA), f32x4.add(sumB, sumB))
  if (m == 3) {
    v128.store(to + 2 * spread, f32x4.add(second, m5))
    return
  }
  v128.store(to + 2 * spread, second)
  const third = f32x4.add(f32x4.mul(half, differenceA), f32x4.add(differenceB, differenceB))
  v128.store(to + 3 * spread, f32x4.add(third, m5))
}

/**
 * Filter gradients (m, m), m = 3 or 4, of four channels from frequency f at from + f·stride: tap t at scratch + 16·t,
 * one lane for each channel. `scratch` holds 16·m·(m + 6) bytes.
 */
export function inverseFilters(scratch: usize, from: usize, stride: usize, m: i32): void {
  const columns = scratch + <usize>(m * m) * 16
  for (let column: usize = 0; column < 6; column++) {
    inverseFilter(columns + column * 16, 96, from + column * stride, 6 * stride, m)
  }
  for (let row = 0; row < m; row++) inverseFilter(scratch + <usize>(row * m) * 16, 16, columns + <usize>row * 96, 16, m)
}
