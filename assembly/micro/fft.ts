/**
 * Two-dimensional Fourier transforms of real tiles (n, n), n = 16, 32 or 64, four tiles at a time, one in each lane:
 *
 *   X[u, v] = 4 · Σ x[i, j] · ω^(u·i + v·j) / 2,  ω = e^(−2πi/n),  0 ≤ u < n,  0 ≤ v ≤ n/2
 *
 * The other half follows from X[u, v] = conj X[n−u, n−v]. Two real rows are one complex transform, which leaves a factor
 * of 2 that the inverse takes out. Complex numbers are two vectors, `im` bytes apart; exchanging them makes a transform
 * its inverse. Stockham's order, radix 4: Cooley & Tukey 1965; Van Loan, "Computational frameworks for the FFT", 1992.
 */
import { cos, sin } from '../double'
import { storeTail, trace } from '../simd'
import { storeTransposed } from './gemm'

/** Bytes of one complex vector in the arrays of this file. */
const PAIR: usize = 32

/** Bytes of a table of twiddle factors, and of the scratch of one transform of n points. */
@inline
export function twiddleBytes(n: i32): usize {
  return (<usize>n) << 3
}


@inline
export function gridBytes(n: i32): usize {
  return <usize>(n * (n / 2 + 1) + 3 * n) * PAIR
}

/** ω^k for 0 ≤ k < n: its real and its imaginary part, rounded once. */
export function fillTwiddles(table: usize, n: i32): void {
  const turn = 6.283185307179586 / <f64>n
  for (let k = 0; k < n; k++) {
    store<f32>(table, <f32>cos(turn * <f64>k))
    store<f32>(table, <f32>-sin(turn * <f64>k), 4)
    table += 8
  }
}

/** One pass of radix 4 over s interleaved sequences of n elements, `step` bytes apart, from `from` to `to`. */
function radix4(
  to: usize,
  toStep: usize,
  toIm: usize,
  from: usize,
  fromStep: usize,
  fromIm: usize,
  n: i32,
  s: i32,
  twiddles: usize,
): void {
  const quarter = <usize>((n >> 2) * s) * fromStep
  const across = <usize>s * toStep
  for (let p = 0; p < n >> 2; p++) {
    const w1 = twiddles + ((<usize>(p * s)) << 3)
    const w2 = twiddles + ((<usize>(2 * p * s)) << 3)
    const w3 = twiddles + ((<usize>(3 * p * s)) << 3)
    let a = from + <usize>(s * p) * fromStep
    let y = to + <usize>(4 * s * p) * toStep
    for (let q = 0; q < s; q++) {
      const b = a + quarter
      const c = b + quarter
      const d = c + quarter
      const sumR = f32x4.add(v128.load(a), v128.load(c))
      const sumI = f32x4.add(v128.load(a + fromIm), v128.load(c + fromIm))
      const differenceR = f32x4.sub(v128.load(a), v128.load(c))
      const differenceI = f32x4.sub(v128.load(a + fromIm), v128.load(c + fromIm))
      const otherR = f32x4.add(v128.load(b), v128.load(d))
      const otherI = f32x4.add(v128.load(b + fromIm), v128.load(d + fromIm))
      const turnedR = f32x4.sub(v128.load(b + fromIm), v128.load(d + fromIm))
      const turnedI = f32x4.sub(v128.load(d), v128.load(b))
      v128.store(y, f32x4.add(sumR, otherR))
      v128.store(y + toIm, f32x4.add(sumI, otherI))
      let at = y + across
      storeProduct(at, toIm, f32x4.add(differenceR, turnedR), f32x4.add(differenceI, turnedI), w1, p)
      at += across
      storeProduct(at, toIm, f32x4.sub(sumR, otherR), f32x4.sub(sumI, otherI), w2, p)
      at += across
      storeProduct(at, toIm, f32x4.sub(differenceR, turnedR), f32x4.sub(differenceI, turnedI), w3, p)
      a += fromStep
      y += toStep
    }
  }
}

/** (re, im) times the twiddle factor at w, which is 1 for p = 0. */
@inline
function storeProduct(to: usize, im: usize, re: v128, imaginary: v128, w: usize, p: i32): void {
  if (p == 0) {
    v128.store(to, re)
    v128.store(to + im, imaginary)
    return
  }
  const c = v128.load32_splat(w)
  const s = v128.load32_splat(w, 4)
  v128.store(to, f32x4.sub(f32x4.mul(re, c), f32x4.mul(imaginary, s)))
  v128.store(to + im, f32x4.add(f32x4.mul(re, s), f32x4.mul(imaginary, c)))
}

/** n complex numbers, transformed; `line` holds 2·n of them. */
function transform(
  to: usize,
  toStep: usize,
  toIm: usize,
  from: usize,
  fromStep: usize,
  fromIm: usize,
  line: usize,
  n: i32,
  twiddles: usize,
): void {
  radix4(line, PAIR, 16, from, fromStep, fromIm, n, 1, twiddles)
  if (n == 16) {
    radix4(to, toStep, toIm, line, PAIR, 16, 4, 4, twiddles)
    return
  }
  const next = line + <usize>n * PAIR
  radix4(next, PAIR, 16, line, PAIR, 16, n >> 2, 4, twiddles)
  if (n == 64) {
    radix4(to, toStep, toIm, next, PAIR, 16, 4, 16, twiddles)
    return
  }
  const half = toStep << 4
  for (let q: usize = 0; q < 16; q++) {
    const a = next + q * PAIR
    const b = a + 16 * PAIR
    const y = to + q * toStep
    v128.store(y, f32x4.add(v128.load(a), v128.load(b)))
    v128.store(y + toIm, f32x4.add(v128.load(a, 16), v128.load(b, 16)))
    v128.store(y + half, f32x4.sub(v128.load(a), v128.load(b)))
    v128.store(y + half + toIm, f32x4.sub(v128.load(a, 16), v128.load(b, 16)))
  }
}

/** A row of four windows, `count` floats, into n vectors PAIR bytes apart, with zeros behind it. */
@inline
function loadRow(to: usize, p0: usize, p1: usize, p2: usize, p3: usize, count: i32, n: i32): void {
  let j = 0
  for (; j + 4 <= count; j += 4) {
    const offset = (<usize>j) << 2
    storeTransposed(
      to + <usize>j * PAIR,
      PAIR,
      v128.load(p0 + offset),
      v128.load(p1 + offset),
      v128.load(p2 + offset),
      v128.load(p3 + offset),
    )
  }
  for (; j < count; j++) {
    const offset = (<usize>j) << 2
    let v = v128.load32_zero(p0 + offset)
    v = v128.load32_lane(p1 + offset, v, 1)
    v = v128.load32_lane(p2 + offset, v, 2)
    v128.store(to + <usize>j * PAIR, v128.load32_lane(p3 + offset, v, 3))
  }
  for (; j < n; j++) v128.store(to + <usize>j * PAIR, f32x4.splat(0))
}

/**
 * Four windows (rows, columns) at p0 … p3, rows `pitch` bytes apart, with zeros around them: the real part of frequency
 * f = u·(n/2 + 1) + v at to + f·stride, the imaginary part `im` bytes behind it.
 */
export function fftTiles(
  to: usize,
  stride: usize,
  im: usize,
  scratch: usize,
  twiddles: usize,
  n: i32,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  pitch: usize,
  rows: i32,
  columns: i32,
): void {
  const half = n / 2 + 1
  const rowBytes = <usize>half * PAIR
  const line = scratch + <usize>n * rowBytes
  const work = line + <usize>n * PAIR
  for (let i = 0; i < rows; i += 2) {
    loadRow(line, p0, p1, p2, p3, columns, n)
    p0 += pitch
    p1 += pitch
    p2 += pitch
    p3 += pitch
    loadRow(line + 16, p0, p1, p2, p3, i + 1 < rows ? columns : 0, n)
    p0 += pitch
    p1 += pitch
    p2 += pitch
    p3 += pitch
    transform(line, PAIR, 16, line, PAIR, 16, work, n, twiddles)
    // Z = A + iB: A = Z[v] + conj Z[n-v], B = (Z[v] − conj Z[n-v]) / i, both twice.
    let a = scratch + <usize>i * rowBytes
    for (let v = 0; v < half; v++) {
      const z = line + <usize>v * PAIR
      const mirrored = line + <usize>((n - v) & (n - 1)) * PAIR
      const zr = v128.load(z)
      const zi = v128.load(z, 16)
      const mr = v128.load(mirrored)
      const mi = v128.load(mirrored, 16)
      v128.store(a, f32x4.add(zr, mr))
      v128.store(a, f32x4.sub(zi, mi), 16)
      v128.store(a + rowBytes, f32x4.add(zi, mi))
      v128.store(a + rowBytes, f32x4.sub(mr, zr), 16)
      a += PAIR
    }
  }
  const filled = <usize>((rows + 1) & ~1) * rowBytes
  memory.fill(scratch + filled, 0, <usize>n * rowBytes - filled)
  for (let v: usize = 0; v < <usize>half; v++) {
    transform(to + v * stride, <usize>half * stride, im, scratch + v * PAIR, rowBytes, 16, work, n, twiddles)
  }
}

/**
 * The first (m, l) numbers of four windows from products of two transforms: frequency f's real part at from + 2·f·stride,
 * its imaginary part `stride` bytes behind it. Rows of `pitch` bytes at t0 … t3, with the vector at `bias` added; the
 * third one there becomes NaN where one of them is NaN or infinite, or their sum is.
 */
export function inverseFftTiles(
  t0: usize,
  t1: usize,
  t2: usize,
  t3: usize,
  pitch: usize,
  scratch: usize,
  twiddles: usize,
  n: i32,
  from: usize,
  stride: usize,
  bias: usize,
  m: i32,
  l: i32,
): void {
  const half = n / 2 + 1
  const rowBytes = <usize>half * PAIR
  const line = scratch + <usize>n * rowBytes
  const work = line + <usize>n * PAIR
  const start = v128.load(bias)
  let total = f32x4.splat(0)
  // Real and imaginary parts are exchanged in both transforms: -16 and -stride, modulo 2³².
  const back: usize = 0 - 16
  for (let v: usize = 0; v < <usize>half; v++) {
    const source = from + 2 * v * stride + stride
    transform(scratch + v * PAIR + 16, rowBytes, back, source, 2 * <usize>half * stride, 0 - stride, work, n, twiddles)
  }
  // Each transform of real numbers was twice as large.
  const scale = f32x4.splat(<f32>(0.25 / <f64>(n * n)))
  for (let i = 0; i < m; i += 2) {
    let a = scratch + <usize>i * rowBytes
    for (let v = 0; v < half; v++) {
      const ar = v128.load(a)
      const ai = v128.load(a, 16)
      const br = v128.load(a + rowBytes)
      const bi = v128.load(a + rowBytes, 16)
      const z = line + <usize>v * PAIR
      const mirrored = line + <usize>((n - v) & (n - 1)) * PAIR
      v128.store(mirrored, f32x4.add(ar, bi))
      v128.store(mirrored, f32x4.sub(br, ai), 16)
      v128.store(z, f32x4.sub(ar, bi))
      v128.store(z, f32x4.add(ai, br), 16)
      a += PAIR
    }
    transform(line + 16, PAIR, back, line + 16, PAIR, back, work, n, twiddles)
    const count = min(2, m - i)
    for (let row: usize = 0; row < <usize>count; row++) {
      for (let j = 0; j < l; j += 4) {
        const at = line + <usize>j * PAIR + (row << 4)
        const y0 = f32x4.add(f32x4.mul(v128.load(at), scale), start)
        const y1 = f32x4.add(f32x4.mul(v128.load(at + PAIR), scale), start)
        const y2 = f32x4.add(f32x4.mul(v128.load(at + 2 * PAIR), scale), start)
        const y3 = f32x4.add(f32x4.mul(v128.load(at + 3 * PAIR), scale), start)
        total = f32x4.add(total, f32x4.add(f32x4.add(y0, y1), f32x4.add(y2, y3)))
        storeTransposed(work, 16, y0, y1, y2, y3)
        const offset = (<usize>j) << 2
        storeSome(t0 + offset, v128.load(work), l - j)
        storeSome(t1 + offset, v128.load(work, 16), l - j)
        storeSome(t2 + offset, v128.load(work, 32), l - j)
        storeSome(t3 + offset, v128.load(work, 48), l - j)
      }
      t0 += pitch
      t1 += pitch
      t2 += pitch
      t3 += pitch
    }
  }
  v128.store(bias, trace(v128.load(bias, 32), total), 32)
}


@inline
function storeSome(to: usize, v: v128, count: i32): void {
  if (count >= 4) v128.store(to, v)
  else storeTail(to, v, count)
}
