/**
 * Pooling of maps x (maps, D, H, W) to y (maps, O, P, Q), where a map is one channel of one image: maximum, mean,
 * weighted mean and p-norm over windows. One and two dimensions are three with extents of 1. A window is the product
 * of one range of elements for each direction; `Axis` gives that range, for sliding and for adaptive windows alike.
 *
 * Along a row of output, windows that lie inside the input are taken four at a time; those at the borders one by
 * one, in the same order of summation.
 */
import { pow } from '../math'
import { F32, loadTail, madd, storeTail } from '../simd'
import { sumOf } from './reduce'

/** Windows along one direction, filled by src/ops/pool.ts in this order. */
@unmanaged
class Axis {
  /** Elements of the input. */
  n: i32
  /** Taps of a window; 0: adaptive, window i of the output's m covers floor(i·n / m) to ceil((i + 1)·n / m). */
  kernel: i32
  /** Number of windows. */
  output: i32
  stride: i32
  lo: i32
  hi: i32
  dilation: i32


  @inline
  origin(i: i32): i32 {
    return i * this.stride - this.lo
  }

  /** First tap of window i that lies in the input. */
  tap(i: i32): i32 {
    if (this.kernel == 0) return 0
    const origin = this.origin(i)
    return origin >= 0 ? 0 : (this.dilation - 1 - origin) / this.dilation
  }

  /** Its position in the input. */
  first(i: i32): i32 {
    if (this.kernel == 0) return <i32>((<i64>i * this.n) / this.output)
    return this.origin(i) + this.tap(i) * this.dilation
  }

  /** Taps of window i that lie in the input; 0 or less if there is none. */
  count(i: i32): i32 {
    if (this.kernel == 0) {
      return <i32>(((<i64>i + 1) * this.n + this.output - 1) / this.output) - <i32>((<i64>i * this.n) / this.output)
    }
    const origin = this.origin(i)
    if (origin >= this.n) return 0
    return min(this.kernel, (this.n - 1 - origin) / this.dilation + 1) - this.tap(i)
  }

  /** Taps of window i that a mean divides by: those in the input, or also those in its padding. */
  extent(i: i32, countPadding: bool): i32 {
    if (this.kernel == 0 || !countPadding) return this.count(i)
    return min(this.kernel, this.n + this.hi - this.origin(i))
  }

  /** Elements from the first tap to the last. */
  @inline
  get reach(): i32 {
    return (this.kernel - 1) * this.dilation + 1
  }

  /** The windows insideBegin ≤ i < insideEnd lie in the input as a whole. */
  get insideBegin(): i32 {
    if (this.kernel == 0) return this.output
    return min(this.output, (this.lo + this.stride - 1) / this.stride)
  }

  get insideEnd(): i32 {
    const last = this.n + this.lo - this.reach
    if (this.kernel == 0 || last < 0) return this.insideBegin
    return max(this.insideBegin, min(this.output, last / this.stride + 1))
  }
}

/** What every pooling kernel is told: 23 integers. */
@unmanaged
class PoolShape {
  /** A mean is sum · numerator / extent; a p-norm takes the sum of a full window, as torch.nn.LPPool2d does. */
  numerator: i32
  /** 1: the extent of a window includes padding. */
  countPadding: i32


  @inline
  get depth(): Axis {
    return changetype<Axis>(changetype<usize>(this) + 8)
  }


  @inline
  get height(): Axis {
    return changetype<Axis>(changetype<usize>(this) + 36)
  }


  @inline
  get width(): Axis {
    return changetype<Axis>(changetype<usize>(this) + 64)
  }

  get inputPixels(): i32 {
    return this.depth.n * this.height.n * this.width.n
  }

  get pixels(): i32 {
    return this.depth.output * this.height.output * this.width.output
  }

  /** Whether sums run along the window, in float64: adaptive and large windows. */
  get wide(): bool {
    const taps = <i64>this.depth.kernel * this.height.kernel * this.width.kernel
    return taps == 0 || this.width.kernel > 16 || taps > 512
  }

  /** Whether windows are 2 × 2, side by side, inside the input, and at least four in a row. */
  get halving(): bool {
    const h = this.height
    const w = this.width
    return (
      this.depth.n == 1 &&
      this.depth.kernel == 1 &&
      this.depth.output == 1 &&
      h.kernel == 2 &&
      w.kernel == 2 &&
      h.stride == 2 &&
      w.stride == 2 &&
      (h.lo | w.lo) == 0 &&
      h.dilation == 1 &&
      w.dilation == 1 &&
      2 * h.output <= h.n &&
      2 * w.output <= w.n &&
      w.output >= 4
    )
  }
}

/** Elements p, p + step, p + 2·step, p + 3·step (bytes); each class reads no byte beyond the last of them. */
class Adjacent {

  @inline
  load(p: usize, step: usize): v128 {
    return v128.load(p)
  }
}

class EverySecond {

  @inline
  load(p: usize, step: usize): v128 {
    return i8x16.shuffle(v128.load(p), v128.load(p, 12), 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23, 28, 29, 30, 31)
  }
}

class Strided {

  @inline
  load(p: usize, step: usize): v128 {
    let v = v128.load32_zero(p)
    v = v128.load32_lane(p + step, v, 1)
    v = v128.load32_lane(p + 2 * step, v, 2)
    return v128.load32_lane(p + 3 * step, v, 3)
  }
}

/**
 * Flat position in the map of the largest element of window (o, p, q): the first of equals; the last NaN if there is
 * one; -1 if no tap lies in the input.
 */
function argMax(map: usize, d: PoolShape, o: i32, p: i32, q: i32): i32 {
  const planes = d.depth.count(o)
  const rows = d.height.count(p)
  const columns = d.width.count(q)
  if (planes <= 0 || rows <= 0 || columns <= 0) return -1
  const step = d.width.dilation
  let at = (d.depth.first(o) * d.height.n + d.height.first(p)) * d.width.n + d.width.first(q)
  const corner = at
  let best: f32 = -Infinity
  for (let t = 0; t < planes; t++) {
    for (let r = 0; r < rows; r++) {
      let i = corner + (t * d.depth.dilation * d.height.n + r * d.height.dilation) * d.width.n
      const end = i + columns * step
      for (; i < end; i += step) {
        const value = load<f32>(map + ((<usize>i) << 2))
        if (value > best || value != value) {
          best = value
          at = i
        }
      }
    }
  }
  return at
}

/** Stores the maximum of one window, and where it was found. */
@inline
function maxOne(y: usize, indices: usize, map: usize, d: PoolShape, o: i32, p: i32, q: i32): void {
  const at = argMax(map, d, o, p, q)
  store<f32>(y, at < 0 ? <f32>-Infinity : load<f32>(map + ((<usize>at) << 2)))
  if (indices) store<i32>(indices, at)
}

/** Maxima of windows begin ≤ q < end (at least four) of output row (o, p), all inside along W. */
function maxRow<L>(y: usize, indices: usize, map: usize, d: PoolShape, o: i32, p: i32, begin: i32, end: i32): void {
  const w = d.width
  const planes = d.depth.count(o)
  const rows = d.height.count(p)
  const left = (d.depth.first(o) * d.height.n + d.height.first(p)) * w.n - w.lo
  const pitch = <usize>(d.height.dilation * w.n) * F32
  const step = <usize>w.stride * F32
  const spacing = <usize>w.dilation * F32
  const rowBytes = <usize>w.kernel * spacing
  for (let q = begin; q < end; q += 4) {
    // The last block overlaps the one before it rather than leave a remainder.
    if (q > end - 4) q = end - 4
    const corner = left + q * w.stride
    let best = f32x4.splat(-Infinity)
    let nan = i32x4.splat(0)
    if (indices) {
      let lanes = i32x4.add(i32x4.splat(corner), i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(w.stride)))
      let at = lanes
      const spacingLanes = i32x4.splat(w.dilation)
      for (let t = 0; t < planes; t++) {
        let row = corner + t * d.depth.dilation * d.height.n * w.n
        for (let r = 0; r < rows; r++) {
          const start = map + ((<usize>row) << 2)
          const stop = start + rowBytes
          let position = i32x4.add(lanes, i32x4.splat(row - corner))
          for (let from = start; from < stop; from += spacing) {
            const value = changetype<L>(0).load(from, step)
            const isNan = f32x4.ne(value, value)
            const better = v128.or(v128.andnot(f32x4.gt(value, best), nan), isNan)
            nan = v128.or(nan, isNan)
            best = f32x4.pmax(best, value)
            at = v128.bitselect(position, at, better)
            position = i32x4.add(position, spacingLanes)
          }
          row += d.height.dilation * w.n
        }
      }
      v128.store(indices + ((<usize>q) << 2), at)
    } else {
      for (let t = 0; t < planes; t++) {
        let start = map + ((<usize>(corner + t * d.depth.dilation * d.height.n * w.n)) << 2)
        for (let r = 0; r < rows; r++) {
          const stop = start + rowBytes
          for (let from = start; from < stop; from += spacing) {
            const value = changetype<L>(0).load(from, step)
            // pmax keeps `best` when `value` is NaN or equal; lanes that saw a NaN are set afterwards.
            nan = v128.or(nan, f32x4.ne(value, value))
            best = f32x4.pmax(best, value)
          }
          start += pitch
        }
      }
    }
    v128.store(y + ((<usize>q) << 2), v128.or(best, nan))
  }
}

/** Even and odd lanes of eight neighbours. */
@inline
function evens(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
}


@inline
function odds(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
}

/** Maxima of one map where `d.halving` holds. */
function maxHalving(y: usize, indices: usize, map: usize, d: PoolShape): void {
  const Q = d.width.output
  const W = d.width.n
  const pitch = <usize>W * F32
  for (let p = 0; p < d.height.output; p++) {
    const row = map + 2 * <usize>p * pitch
    const out = (<usize>(p * Q)) << 2
    for (let q = 0; q < Q; q += 4) {
      if (q > Q - 4) q = Q - 4
      const from = row + ((<usize>q) << 3)
      const to = out + ((<usize>q) << 2)
      const upperLeft = v128.load(from)
      const upperRight = v128.load(from, 16)
      const lowerLeft = v128.load(from + pitch)
      const lowerRight = v128.load(from + pitch, 16)
      const a = evens(upperLeft, upperRight)
      const b = odds(upperLeft, upperRight)
      const c = evens(lowerLeft, lowerRight)
      const e = odds(lowerLeft, lowerRight)
      const nanA = f32x4.ne(a, a)
      const nanB = f32x4.ne(b, b)
      const nanC = f32x4.ne(c, c)
      const nanE = f32x4.ne(e, e)
      const upper = f32x4.pmax(a, b)
      const lower = f32x4.pmax(c, e)
      const nanUpper = v128.or(nanA, nanB)
      const nanLower = v128.or(nanC, nanE)
      v128.store(y + to, v128.or(f32x4.pmax(upper, lower), v128.or(nanUpper, nanLower)))
      if (indices) {
        const left = i32x4.add(i32x4.splat(2 * (p * W + q)), i32x4(0, 2, 4, 6))
        const takeB = v128.or(v128.andnot(f32x4.gt(b, a), nanA), nanB)
        const takeE = v128.or(v128.andnot(f32x4.gt(e, c), nanC), nanE)
        const takeLower = v128.or(v128.andnot(f32x4.gt(lower, upper), nanUpper), nanLower)
        // A comparison is -1 where it holds.
        const upperAt = i32x4.sub(left, takeB)
        const lowerAt = i32x4.sub(i32x4.add(left, i32x4.splat(W)), takeE)
        v128.store(indices + to, v128.bitselect(lowerAt, upperAt, takeLower))
      }
    }
  }
}

/**
 * Maps begin ≤ item < end of y (maps, O, P, Q): maxima of windows, and, unless `indices` is 0, their flat positions
 * in the map. A window with a NaN gives NaN, equals go to the first; a window without elements gives -∞ and -1.
 */
export function maxpool_fwd(y: usize, indices: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  const w = d.width
  const Q = w.output
  const insideBegin = w.insideBegin
  const insideEnd = w.insideEnd
  const blocks = insideEnd - insideBegin >= 4
  const mapBytes = <usize>d.pixels * F32
  const halving = d.halving
  for (let item = begin; item < end; item++) {
    const map = x + <usize>item * <usize>d.inputPixels * F32
    let out = y + <usize>item * mapBytes
    let outIndices = indices ? indices + <usize>item * mapBytes : 0
    if (halving) {
      maxHalving(out, outIndices, map, d)
      continue
    }
    for (let o = 0; o < d.depth.output; o++) {
      for (let p = 0; p < d.height.output; p++) {
        for (let q = 0; q < Q; q++) {
          if (blocks && q == insideBegin) {
            if (d.depth.count(o) > 0 && d.height.count(p) > 0) {
              if (w.stride == 1) maxRow<Adjacent>(out, outIndices, map, d, o, p, insideBegin, insideEnd)
              else if (w.stride == 2) maxRow<EverySecond>(out, outIndices, map, d, o, p, insideBegin, insideEnd)
              else maxRow<Strided>(out, outIndices, map, d, o, p, insideBegin, insideEnd)
              q = insideEnd
              if (q == Q) break
            }
          }
          const offset = (<usize>q) << 2
          maxOne(out + offset, outIndices ? outIndices + offset : 0, map, d, o, p, q)
        }
        out += <usize>Q * F32
        if (outIndices) outIndices += <usize>Q * F32
      }
    }
  }
}

/** Gradient where `d.halving` holds: every element of dx under a window is written once. */
function spreadHalving(dx: usize, dy: usize, indices: usize, d: PoolShape): void {
  const Q = d.width.output
  const W = d.width.n
  const pitch = <usize>W * F32
  if (2 * Q < W || 2 * d.height.output < d.height.n) memory.fill(dx, 0, <usize>d.inputPixels * F32)
  for (let p = 0; p < d.height.output; p++) {
    const row = dx + 2 * <usize>p * pitch
    for (let q = 0; q < Q; q += 4) {
      if (q > Q - 4) q = Q - 4
      const from = (<usize>(p * Q + q)) << 2
      const gradient = v128.load(dy + from)
      const at = i32x4.sub(v128.load(indices + from), i32x4.add(i32x4.splat(2 * (p * W + q)), i32x4(0, 2, 4, 6)))
      const a = v128.and(gradient, i32x4.eq(at, i32x4.splat(0)))
      const b = v128.and(gradient, i32x4.eq(at, i32x4.splat(1)))
      const c = v128.and(gradient, i32x4.eq(at, i32x4.splat(W)))
      const e = v128.and(gradient, i32x4.eq(at, i32x4.splat(W + 1)))
      const to = row + ((<usize>q) << 3)
      v128.store(to, i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23))
      v128.store(to, i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31), 16)
      v128.store(to + pitch, i8x16.shuffle(c, e, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23))
      v128.store(to + pitch, i8x16.shuffle(c, e, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31), 16)
    }
  }
}

/**
 * Maps begin ≤ item < end of dx (maps, D, H, W): dy (maps, O, P, Q) added at the positions that maxpool_fwd stored,
 * window after window.
 */
export function maxpool_dx(dx: usize, dy: usize, indices: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  const inputBytes = <usize>d.inputPixels * F32
  const bytes = <usize>d.pixels * F32
  const halving = d.halving
  for (let item = begin; item < end; item++) {
    const map = dx + <usize>item * inputBytes
    const from = dy + <usize>item * bytes
    const at = indices + <usize>item * bytes
    if (halving) {
      spreadHalving(map, from, at, d)
      continue
    }
    memory.fill(map, 0, inputBytes)
    for (let i: usize = 0; i < bytes; i += 4) {
      const position = load<i32>(at + i)
      if (position < 0) continue
      const to = map + ((<usize>position) << 2)
      store<f32>(to, load<f32>(to) + load<f32>(from + i))
    }
  }
}

/** y[i] = x[indices[i]] in each map begin ≤ item < end, 0 for index -1: the adjoint of maxpool_dx. */
export function maxpool_gather(
  y: usize,
  x: usize,
  indices: usize,
  inputPixels: i32,
  pixels: i32,
  begin: i32,
  end: i32,
): void {
  for (let item = begin; item < end; item++) {
    const map = x + <usize>item * <usize>inputPixels * F32
    const first = <usize>item * <usize>pixels * F32
    const stop = first + <usize>pixels * F32
    for (let i = first; i < stop; i += 4) {
      const position = load<i32>(indices + i)
      store<f32>(y + i, position < 0 ? 0 : load<f32>(map + ((<usize>position) << 2)))
    }
  }
}

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

/** How the elements of a window enter its sum, and what the sum is divided by. */
class Plain {

  @inline
  add(sum: v128, value: v128, weight: usize): v128 {
    return f32x4.add(sum, value)
  }


  @inline
  addOne(sum: f32, value: f32, weight: usize): f32 {
    return sum + value
  }

  /** Number of elements that count. */
  @inline
  extent(d: PoolShape, weights: usize, o: i32, p: i32, q: i32): f32 {
    const countPadding = d.countPadding != 0
    return <f32>(
      (<i64>d.depth.extent(o, countPadding) * d.height.extent(p, countPadding) * d.width.extent(q, countPadding))
    )
  }
}

class Weighted {

  @inline
  add(sum: v128, value: v128, weight: usize): v128 {
    return madd(value, v128.load32_splat(weight), sum)
  }


  @inline
  addOne(sum: f32, value: f32, weight: usize): f32 {
    return sum + value * load<f32>(weight)
  }

  /** Sum of the weights that count; exactly 1 for a full window. */
  @inline
  extent(d: PoolShape, weights: usize, o: i32, p: i32, q: i32): f32 {
    return weightExtent(d, weights, o, p, q)
  }
}

function weightExtent(d: PoolShape, weights: usize, o: i32, p: i32, q: i32): f32 {
  const countPadding = d.countPadding != 0
  const planes = d.depth.extent(o, countPadding)
  const rows = d.height.extent(p, countPadding)
  const columns = d.width.extent(q, countPadding)
  if (planes == d.depth.kernel && rows == d.height.kernel && columns == d.width.kernel) return 1
  const firstT = countPadding ? 0 : d.depth.tap(o)
  const firstR = countPadding ? 0 : d.height.tap(p)
  const firstS = countPadding ? 0 : d.width.tap(q)
  let sum: f64 = 0
  for (let t = firstT; t < firstT + planes; t++) {
    for (let r = firstR; r < firstR + rows; r++) {
      for (let s = firstS; s < firstS + columns; s++) {
        sum += <f64>load<f32>(weights + ((<usize>((t * d.height.kernel + r) * d.width.kernel + s)) << 2))
      }
    }
  }
  return sum == 0 ? 1 : <f32>sum
}

/** Address of the weight of the first tap of window (o, p) in row t, r and of column tap s. */
@inline
function weightRow(d: PoolShape, weights: usize, t: i32, r: i32, s: i32): usize {
  return weights + ((<usize>((t * d.height.kernel + r) * d.width.kernel + s)) << 2)
}

/** Sum over window (o, p, q): rows first, in the order of `sumRow`. */
function sumWindow<Tap>(map: usize, weights: usize, d: PoolShape, o: i32, p: i32, q: i32): f32 {
  const w = d.width
  const planes = d.depth.count(o)
  const rows = d.height.count(p)
  const columns = w.count(q)
  const spacing = <usize>w.dilation * F32
  let sum: f32 = 0
  for (let t = 0; t < planes; t++) {
    for (let r = 0; r < rows; r++) {
      const plane = d.depth.first(o) + t * d.depth.dilation
      const row = d.height.first(p) + r * d.height.dilation
      let from = map + ((<usize>((plane * d.height.n + row) * w.n + w.first(q))) << 2)
      let weight = weightRow(d, weights, d.depth.tap(o) + t, d.height.tap(p) + r, w.tap(q))
      let rowSum: f32 = 0
      for (let s = 0; s < columns; s++) {
        rowSum = changetype<Tap>(0).addOne(rowSum, load<f32>(from), weight)
        from += spacing
        weight += F32
      }
      sum += rowSum
    }
  }
  return sum
}

/** Sum over window (o, p, q) in float64, for windows whose elements are neighbours along W. */
function sumWide(map: usize, d: PoolShape, o: i32, p: i32, q: i32): f64 {
  const w = d.width
  const planes = d.depth.count(o)
  const rows = d.height.count(p)
  const columns = w.count(q)
  if (columns <= 0) return 0
  let sum: f64 = 0
  for (let t = 0; t < planes; t++) {
    const plane = d.depth.first(o) + t
    const from = map + ((<usize>((plane * d.height.n + d.height.first(p)) * w.n + w.first(q))) << 2)
    if (columns == w.n) {
      sum += sumOf(from, rows * columns)
      continue
    }
    for (let r = 0; r < rows; r++) sum += sumOf(from + ((<usize>(r * w.n)) << 2), columns)
  }
  return sum
}

/** Sums over windows begin ≤ q < end (at least four) of output row (o, p), all inside along W. */
function sumRow<L, Tap>(
  y: usize,
  map: usize,
  weights: usize,
  d: PoolShape,
  o: i32,
  p: i32,
  begin: i32,
  end: i32,
): void {
  const w = d.width
  const planes = d.depth.count(o)
  const rows = d.height.count(p)
  const left = (d.depth.first(o) * d.height.n + d.height.first(p)) * w.n - w.lo
  const pitch = <usize>(d.height.dilation * w.n) * F32
  const planePitch = <usize>(d.depth.dilation * d.height.n * w.n) * F32
  const step = <usize>w.stride * F32
  const spacing = <usize>w.dilation * F32
  const rowBytes = <usize>w.kernel * spacing
  const extent = changetype<Tap>(0).extent(d, weights, o, p, begin)
  const numerator = <f32>d.numerator
  for (let q = begin; q < end; q += 4) {
    if (q > end - 4) q = end - 4
    let plane = map + ((<usize>(left + q * w.stride)) << 2)
    let sum = f32x4.splat(0)
    for (let t = 0; t < planes; t++) {
      let start = plane
      for (let r = 0; r < rows; r++) {
        const stop = start + rowBytes
        let weight = weightRow(d, weights, d.depth.tap(o) + t, d.height.tap(p) + r, 0)
        let rowSum = f32x4.splat(0)
        for (let from = start; from < stop; from += spacing) {
          rowSum = changetype<Tap>(0).add(rowSum, changetype<L>(0).load(from, step), weight)
          weight += F32
        }
        sum = f32x4.add(sum, rowSum)
        start += pitch
      }
      plane += planePitch
    }
    if (extent != numerator) sum = f32x4.div(f32x4.mul(sum, f32x4.splat(numerator)), f32x4.splat(extent))
    v128.store(y + ((<usize>q) << 2), sum)
  }
}

/** Sums, times numerator / extent, over all windows of one map. */
function sumMap<Tap>(y: usize, map: usize, weights: usize, d: PoolShape): void {
  const w = d.width
  const Q = w.output
  const insideBegin = w.insideBegin
  const insideEnd = w.insideEnd
  const wide = !weights && d.wide
  const blocks = !wide && insideEnd - insideBegin >= 4
  const numerator = <f32>d.numerator
  let out = y
  for (let o = 0; o < d.depth.output; o++) {
    for (let p = 0; p < d.height.output; p++) {
      for (let q = 0; q < Q; q++) {
        if (blocks && q == insideBegin) {
          if (w.stride == 1) sumRow<Adjacent, Tap>(out, map, weights, d, o, p, insideBegin, insideEnd)
          else if (w.stride == 2) sumRow<EverySecond, Tap>(out, map, weights, d, o, p, insideBegin, insideEnd)
          else sumRow<Strided, Tap>(out, map, weights, d, o, p, insideBegin, insideEnd)
          q = insideEnd
          if (q == Q) break
        }
        const extent = changetype<Tap>(0).extent(d, weights, o, p, q)
        let value: f32
        if (wide) {
          value = <f32>((sumWide(map, d, o, p, q) * <f64>numerator) / <f64>extent)
        } else {
          value = sumWindow<Tap>(map, weights, d, o, p, q)
          if (extent != numerator) value = (value * numerator) / extent
        }
        store<f32>(out + ((<usize>q) << 2), value)
      }
      out += <usize>Q * F32
    }
  }
}

/** Maps begin ≤ item < end of y (maps, O, P, Q): sum · numerator / extent over windows. */
export function avgpool_fwd(y: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    sumMap<Plain>(y + <usize>item * <usize>d.pixels * F32, x + <usize>item * <usize>d.inputPixels * F32, 0, d)
  }
}

/** Bytes of workspace for avgpool_dx: one row. */
export function avgpool_dx_workspace(shape: usize): usize {
  return <usize>changetype<PoolShape>(shape).width.n * F32
}

/** to[i] += from[i] for `count` floats. */
@inline
function addRow(to: usize, from: usize, count: i32): void {
  const whole = to + ((<usize>(count & ~3)) << 2)
  while (to < whole) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)))
    to += 16
    from += 16
  }
  const rest = count & 3
  if (rest) storeTail(to, f32x4.add(loadTail(to, rest), loadTail(from, rest)), rest)
}

/** The adjoint of sumMap<Plain>: each row of dy is spread along W into `row`, which is then added along D and H. */
function spreadMap(dx: usize, dy: usize, row: usize, d: PoolShape): void {
  const w = d.width
  const rowBytes = <usize>w.n * F32
  const spacing = <usize>w.dilation * F32
  const numerator = <f32>d.numerator
  const insideBegin = w.insideBegin
  const insideEnd = w.insideEnd
  memory.fill(dx, 0, <usize>d.inputPixels * F32)
  for (let o = 0; o < d.depth.output; o++) {
    const planes = d.depth.count(o)
    for (let p = 0; p < d.height.output; p++) {
      const rows = d.height.count(p)
      memory.fill(row, 0, rowBytes)
      const insideExtent = insideBegin < insideEnd ? changetype<Plain>(0).extent(d, 0, o, p, insideBegin) : numerator
      for (let q = 0; q < w.output; q++) {
        let extent = insideExtent
        let count = w.kernel
        let to = row
        if (q >= insideBegin && q < insideEnd) {
          to += (<usize>w.origin(q)) << 2
        } else {
          extent = changetype<Plain>(0).extent(d, 0, o, p, q)
          count = w.count(q)
          to += (<usize>w.first(q)) << 2
        }
        const gradient = load<f32>(dy)
        dy += F32
        const share = extent == numerator ? gradient : (gradient * numerator) / extent
        for (; count > 0; count--) {
          store<f32>(to, load<f32>(to) + share)
          to += spacing
        }
      }
      for (let t = 0; t < planes; t++) {
        const plane = d.depth.first(o) + t * d.depth.dilation
        for (let r = 0; r < rows; r++) {
          const line = plane * d.height.n + d.height.first(p) + r * d.height.dilation
          addRow(dx + <usize>line * rowBytes, row, w.n)
        }
      }
    }
  }
}

/** Maps begin ≤ item < end of dx (maps, D, H, W), the adjoint of avgpool_fwd. */
export function avgpool_dx(dx: usize, dy: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    spreadMap(dx + <usize>item * <usize>d.inputPixels * F32, dy + <usize>item * <usize>d.pixels * F32, ws, d)
  }
}

/** w (R, S): a Gaussian of the distance from the centre of the window, divided by its sum. */
export function weightedpool_gaussian(w: usize, R: i32, S: i32, sigmaR: f64, sigmaS: f64): void {
  // Distances are taken relative to the smallest, so that a narrow Gaussian between two elements does not vanish.
  const nearestR: f64 = R & 1 ? 0 : 0.5
  const nearestS: f64 = S & 1 ? 0 : 0.5
  let sum: f64 = 0
  for (let pass = 0; pass < 2; pass++) {
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const dr = <f64>r - 0.5 * <f64>(R - 1)
        const ds = <f64>s - 0.5 * <f64>(S - 1)
        const squared =
          (dr * dr - nearestR * nearestR) / (sigmaR * sigmaR) + (ds * ds - nearestS * nearestS) / (sigmaS * sigmaS)
        const weight = NativeMath.exp(-0.5 * squared)
        if (pass == 0) sum += weight
        else store<f32>(w + ((<usize>(r * S + s)) << 2), <f32>(weight / sum))
      }
    }
  }
}

/** Maps begin ≤ item < end of y (maps, O, P, Q): Σ w·x over windows with weights w (T, R, S) of sum 1. */
export function weightedpool_fwd(y: usize, x: usize, w: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    sumMap<Weighted>(y + <usize>item * <usize>d.pixels * F32, x + <usize>item * <usize>d.inputPixels * F32, w, d)
  }
}

/** Maps begin ≤ item < end of dx (maps, D, H, W), the adjoint of weightedpool_fwd. */
export function weightedpool_dx(dx: usize, dy: usize, w: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  const columns = d.width
  const inputBytes = <usize>d.inputPixels * F32
  const spacing = <usize>columns.dilation * F32
  memory.fill(dx + <usize>begin * inputBytes, 0, <usize>(end - begin) * inputBytes)
  let from = dy + <usize>begin * <usize>d.pixels * F32
  for (let item = begin; item < end; item++) {
    const map = dx + <usize>item * inputBytes
    for (let o = 0; o < d.depth.output; o++) {
      const planes = d.depth.count(o)
      const firstPlane = d.depth.first(o)
      const firstT = d.depth.tap(o)
      for (let p = 0; p < d.height.output; p++) {
        const rows = d.height.count(p)
        const firstRow = d.height.first(p)
        const firstR = d.height.tap(p)
        for (let q = 0; q < columns.output; q++) {
          const gradient = load<f32>(from) / weightExtent(d, w, o, p, q)
          from += F32
          const count = columns.count(q)
          const first = columns.first(q)
          const firstS = columns.tap(q)
          for (let t = 0; t < planes; t++) {
            const plane = (firstPlane + t * d.depth.dilation) * d.height.n
            for (let r = 0; r < rows; r++) {
              const line = plane + firstRow + r * d.height.dilation
              let to = map + ((<usize>(line * columns.n + first)) << 2)
              let weight = weightRow(d, w, firstT + t, firstR + r, firstS)
              for (let s = 0; s < count; s++) {
                store<f32>(to, load<f32>(to) + gradient * load<f32>(weight))
                to += spacing
                weight += F32
              }
            }
          }
        }
      }
    }
  }
}

/** vⁿ for whole n from 0 on, by repeated squaring. */
@inline
function wholePower(v: v128, n: i32): v128 {
  let result = f32x4.splat(1)
  while (true) {
    if (n & 1) result = f32x4.mul(result, v)
    n >>= 1
    if (!n) return result
    v = f32x4.mul(v, v)
  }
}

/** vᵖ: a product where p is a small whole number. */
@inline
function power(v: v128, p: f64): v128 {
  if (p == 2) return f32x4.mul(v, v)
  if (p == 0.5) return f32x4.sqrt(v)
  const whole = <i32>abs(p)
  if (<f64>whole == abs(p) && whole <= 16) {
    const result = wholePower(v, whole)
    return p < 0 ? f32x4.div(f32x4.splat(1), result) : result
  }
  return anyPower(v, p)
}

function anyPower(v: v128, p: f64): v128 {
  return pow(v, p)
}

/** to[i] = from[i]ᵖ. */
function powers(to: usize, from: usize, count: i32, p: f64): void {
  const whole = to + ((<usize>(count & ~3)) << 2)
  while (to < whole) {
    v128.store(to, power(v128.load(from), p))
    to += 16
    from += 16
  }
  const rest = count & 3
  if (rest) storeTail(to, power(loadTail(from, rest), p), rest)
}

/** from · baseᵖ, 0 where the base is 0 if `flat`. */
@inline
function scaled(from: v128, base: v128, p: f64, flat: bool): v128 {
  const result = f32x4.mul(from, power(base, p))
  return flat ? v128.andnot(result, f32x4.eq(base, f32x4.splat(0))) : result
}

/** to[i] = from[i] · base[i]ᵖ. */
function scaleByPowers(to: usize, from: usize, base: usize, count: i32, p: f64, flat: bool): void {
  const whole = to + ((<usize>(count & ~3)) << 2)
  while (to < whole) {
    v128.store(to, scaled(v128.load(from), v128.load(base), p, flat))
    to += 16
    from += 16
    base += 16
  }
  const rest = count & 3
  if (rest) storeTail(to, scaled(loadTail(from, rest), loadTail(base, rest), p, flat), rest)
}

/** Bytes of workspace for lppool_fwd and for lppool_dx. */
export function lppool_fwd_workspace(shape: usize): usize {
  return <usize>changetype<PoolShape>(shape).inputPixels * F32
}

export function lppool_dx_workspace(shape: usize): usize {
  return <usize>changetype<PoolShape>(shape).pixels * F32 + avgpool_dx_workspace(shape)
}

/** Maps begin ≤ item < end of y (maps, O, P, Q): (Σ xᵖ)^(1/p) over windows; d.numerator is the size of a full one. */
export function lppool_fwd(y: usize, x: usize, ws: usize, p: f64, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  for (let item = begin; item < end; item++) {
    const out = y + <usize>item * <usize>d.pixels * F32
    powers(ws, x + <usize>item * <usize>d.inputPixels * F32, d.inputPixels, p)
    sumMap<Plain>(out, ws, 0, d)
    powers(out, out, d.pixels, 1 / p)
  }
}

/** dx = xᵖ⁻¹ · Σ over windows of dy · y¹⁻ᵖ, where y = 0 gives no gradient unless p = 1. */
export function lppool_dx(
  dx: usize,
  dy: usize,
  x: usize,
  y: usize,
  ws: usize,
  p: f64,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<PoolShape>(shape)
  const row = ws + ((<usize>d.pixels) << 2)
  for (let item = begin; item < end; item++) {
    const map = <usize>item * <usize>d.inputPixels * F32
    const out = <usize>item * <usize>d.pixels * F32
    scaleByPowers(ws, dy + out, y + out, d.pixels, 1 - p, p != 1)
    spreadMap(dx + map, ws, row, d)
    scaleByPowers(dx + map, dx + map, x + map, d.inputPixels, p - 1, false)
  }
}
