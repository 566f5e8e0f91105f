/**
 * Sums over windows, the core of the mean, the weighted mean and the p-norm: y = Σ x · numerator / extent for
 * x (maps, D, H, W) and y (maps, O, P, Q), one map at a time, and the adjoint of the sum without weights.
 *
 * Rows of a window are summed first, then their sums. Adaptive and large windows are summed along the window in float64, and
 * so are weighted ones of more than LONG taps, and the adjoint where more than LONG windows can share an element: with that
 * no sum is off by more than LONG · 2⁻²⁴ of its terms' magnitudes, and long ones are right to one rounding.
 */
import { LONG, roundAll } from '../../micro/long'
import { zipLight } from '../../micro/map'
import { F32 } from '../../simd'
import { sumOf } from '../reduce'
import { Adjacent, EverySecond, PoolShape, Strided, repeat } from './shape'

/** How the elements of a window enter its sum, and what the sum is divided by: here without weights. */
export class Plain {

  @inline
  add(sum: v128, value: v128, weight: usize): v128 {
    return f32x4.add(sum, value)
  }


  @inline
  addOne<T>(sum: T, value: f32, weight: usize): T {
    return sum + <T>value
  }

  /** Number of elements that count. */
  @inline
  extent(d: PoolShape, weights: usize, o: i32, p: i32, q: i32): f32 {
    const countPadding = d.countPadding != 0
    const planes = <f64>d.depth.extent(o, countPadding)
    return <f32>(planes * <f64>d.height.extent(p, countPadding) * <f64>d.width.extent(q, countPadding))
  }
}

/** Address of the weight of tap (t, r, s), of weights (T, R, S). */
@inline
export function weightAt(d: PoolShape, weights: usize, t: i32, r: i32, s: i32): usize {
  return weights + ((<usize>((t * d.height.kernel + r) * d.width.kernel + s)) << 2)
}

/** Sum over window (o, p, q), in T: rows first, in the order of `sumRow`. */
function sumWindow<Tap, T>(map: usize, weights: usize, d: PoolShape, o: i32, p: i32, q: i32): T {
  const w = d.width
  const planes = d.depth.count(o)
  const rows = d.height.count(p)
  const columns = w.count(q)
  const spacing = <usize>w.dilation * F32
  const corner = d.row(o, p) + w.first(q)
  let sum: T = 0
  for (let t = 0; t < planes; t++) {
    for (let r = 0; r < rows; r++) {
      let from = map + ((<usize>(corner + t * d.planePitch + r * d.rowPitch)) << 2)
      let weight = weightAt(d, weights, d.depth.tap(o) + t, d.height.tap(p) + r, w.tap(q))
      let rowSum: T = 0
      for (let s = 0; s < columns; s++) {
        rowSum = changetype<Tap>(0).addOne<T>(rowSum, load<f32>(from), weight)
        from += spacing
        weight += F32
      }
      sum += rowSum
    }
  }
  return sum
}

/** Taps of a window, some of which may lie beside the input. */
@inline
function tapsOf(d: PoolShape): f64 {
  return <f64>d.depth.kernel * <f64>d.height.kernel * <f64>d.width.kernel
}

/** Whether sums without weights run along the window, in float64: large windows. */
function isWide(d: PoolShape): bool {
  return d.width.kernel > 16 || tapsOf(d) > 512
}

/** Sum over window (o, p, q) in float64, for windows whose elements are neighbours. */
function sumWide(map: usize, d: PoolShape, o: i32, p: i32, q: i32): f64 {
  const w = d.width
  const planes = d.depth.count(o)
  const rows = d.height.count(p)
  const columns = w.count(q)
  if (columns <= 0) return 0
  const corner = d.row(o, p) + w.first(q)
  let sum: f64 = 0
  for (let t = 0; t < planes; t++) {
    const from = map + ((<usize>(corner + t * d.planePitch)) << 2)
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
  const left = d.row(o, p) - w.lo
  const pitch = <usize>d.rowPitch * F32
  const planePitch = <usize>d.planePitch * F32
  const step = <usize>w.stride * F32
  const spacing = <usize>w.dilation * F32
  const rowBytes = <usize>w.kernel * spacing
  const extent = changetype<Tap>(0).extent(d, weights, o, p, begin)
  const numerator = <f32>d.numerator
  for (let q = begin; q < end; q += 4) {
    // The last block overlaps the one before it rather than leave a remainder.
    if (q > end - 4) q = end - 4
    let plane = map + ((<usize>(left + q * w.stride)) << 2)
    let sum = f32x4.splat(0)
    for (let t = 0; t < planes; t++) {
      let start = plane
      for (let r = 0; r < rows; r++) {
        const stop = start + rowBytes
        let weight = weightAt(d, weights, d.depth.tap(o) + t, d.height.tap(p) + r, 0)
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

/** Whether the windows are 2 × 2, side by side and all inside, at least four in a row. */
function isPairs(d: PoolShape): bool {
  const w = d.width
  const h = d.height
  if (d.depth.n != 1 || d.depth.kernel != 1 || d.depth.output != 1 || w.output < 4) return false
  if (w.kernel != 2 || w.stride != 2 || w.dilation != 1 || w.insideBegin != 0 || w.insideEnd != w.output) return false
  return h.kernel == 2 && h.stride == 2 && h.dilation == 1 && h.insideBegin == 0 && h.insideEnd == h.output
}

/** `left` and `right` as pairs of neighbours, each pair added. */
@inline
function addPairs(left: v128, right: v128): v128 {
  return f32x4.add(
    i8x16.shuffle(left, right, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
    i8x16.shuffle(left, right, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31),
  )
}

/** The same for windows that are pairs of pairs, as LeNet-5's are. Sums in the order of `sumRow`. */
function sumPairs(y: usize, map: usize, d: PoolShape): void {
  const Q = d.width.output
  const pitch = <usize>d.width.n * F32
  const extent = changetype<Plain>(0).extent(d, 0, 0, 0, 0)
  const numerator = <f32>d.numerator
  for (let p = 0; p < d.height.output; p++) {
    for (let q = 0; q < Q; q += 4) {
      // The last block overlaps the one before it rather than leave a remainder.
      if (q > Q - 4) q = Q - 4
      const first = map + ((<usize>q) << 3)
      const second = first + pitch
      // A zero before the first, as a sum begins with: of zeros below 0 it makes one above.
      let sum = f32x4.add(f32x4.splat(0), addPairs(v128.load(first), v128.load(first, 16)))
      sum = f32x4.add(sum, addPairs(v128.load(second), v128.load(second, 16)))
      if (extent != numerator) sum = f32x4.div(f32x4.mul(sum, f32x4.splat(numerator)), f32x4.splat(extent))
      v128.store(y + ((<usize>q) << 2), sum)
    }
    map += 2 * pitch
    y += <usize>Q * F32
  }
}

/** y = Σ x · numerator / extent over all windows of one map. */
export function sumMap<Tap>(y: usize, map: usize, weights: usize, d: PoolShape): void {
  const w = d.width
  if (weights == 0 && isPairs(d)) {
    sumPairs(y, map, d)
    return
  }
  const Q = w.output
  const insideBegin = w.insideBegin
  const insideEnd = w.insideEnd
  const wide = weights ? tapsOf(d) > <f64>LONG : isWide(d)
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
          const sum = weights ? sumWindow<Tap, f64>(map, weights, d, o, p, q) : sumWide(map, d, o, p, q)
          value = <f32>((sum * <f64>numerator) / <f64>extent)
        } else {
          value = sumWindow<Tap, f32>(map, weights, d, o, p, q)
          if (extent != numerator) value = (value * numerator) / extent
        }
        store<f32>(out + ((<usize>q) << 2), value)
      }
      out += <usize>Q * F32
    }
  }
}

/** Means of the adaptive windows of one map: y = Σ x / extent. Windows that cover the same elements are summed once. */
export function meanAdaptive(y: usize, map: usize, d: PoolShape): void {
  const h = d.height
  const w = d.width
  const bytes = <usize>w.output * F32
  for (let o = 0; o < d.depth.output;) {
    const plane = y
    for (let p = 0; p < h.output;) {
      const row = y
      for (let q = 0; q < w.output;) {
        const extent = <f64>changetype<Plain>(0).extent(d, 0, o, p, q)
        store<f32>(y, <f32>(sumWide(map, d, o, p, q) / extent))
        const times = w.endSame(q) - q
        y = repeat(y, F32, times)
        q += times
      }
      const times = h.endSame(p) - p
      y = repeat(row, bytes, times)
      p += times
    }
    const times = d.depth.endSame(o) - o
    y = repeat(plane, bytes * <usize>h.output, times)
    o += times
  }
}

class Add {

  @inline
  apply(left: v128, right: v128, a: v128, b: v128): v128 {
    return f32x4.add(left, right)
  }
}

/** Whether so many windows can share an element that its gradient is summed in float64; of adaptive ones, MANY cover the same. */
function isCrowded(d: PoolShape): bool {
  const others = d.height.overlap * d.depth.overlap
  return d.width.kernel == 0 ? d.width.overlap * others > MANY : d.width.overlap + others > <f64>LONG
}

/** With windows of which each shares an element with one or two in each direction it is 8 to 27. */
const MANY: f64 = 64

/** Bytes of workspace for spreadMap: a row of float32, or a row and a map of float64. */
export function spreadWorkspace(d: PoolShape): f64 {
  return isCrowded(d) ? 8 * (<f64>d.width.n + <f64>d.inputPixels) : 4 * <f64>d.width.n
}

/** The adjoint of sumMap<Plain>: each row of dy is spread along W into a row at ws, which is then added along D and H. */
export function spreadMap(dx: usize, dy: usize, ws: usize, d: PoolShape): void {
  if (isCrowded(d)) {
    const map = ws + ((<usize>d.width.n) << 3)
    if (d.width.kernel == 0) spreadAdaptive(map, dy, d)
    else spreadRows<f64>(map, dy, ws, d)
    roundAll(dx, map, d.inputPixels)
  } else spreadRows<f32>(dx, dy, ws, d)
}

/** Adaptive windows that outnumber the elements: the gradients of those that cover the same ones are summed first. */
function spreadAdaptive(dx: usize, dy: usize, d: PoolShape): void {
  const depth = d.depth
  const h = d.height
  const w = d.width
  const H = h.output
  const W = w.output
  memory.fill(dx, 0, (<usize>d.inputPixels) << 3)
  for (let o = 0, o1 = 0; o < depth.output; o = o1) {
    o1 = depth.endSame(o)
    for (let p = 0, p1 = 0; p < H; p = p1) {
      p1 = h.endSame(p)
      for (let q = 0, q1 = 0; q < W; q = q1) {
        q1 = w.endSame(q)
        let sum: f64 = 0
        for (let i = o; i < o1; i++) {
          for (let j = p; j < p1; j++) sum += sumOf(dy + ((<usize>((i * H + j) * W + q)) << 2), q1 - q)
        }
        const share = sum / <f64>changetype<Plain>(0).extent(d, 0, o, p, q)
        const columns = w.count(q)
        for (let t = 0; t < depth.count(o); t++) {
          for (let r = 0; r < h.count(p); r++) {
            let to = dx + ((<usize>(d.row(o, p) + t * d.planePitch + r * d.rowPitch + w.first(q))) << 3)
            for (let s = 0; s < columns; s++) {
              store<f64>(to, load<f64>(to) + share)
              to += 8
            }
          }
        }
      }
    }
  }
}

/** The same with sums in T. */
function spreadRows<T>(dx: usize, dy: usize, row: usize, d: PoolShape): void {
  const w = d.width
  const shift = <usize>alignof<T>()
  const rowBytes = (<usize>w.n) << shift
  const spacing = (<usize>w.dilation) << shift
  const numerator = <f32>d.numerator
  const insideBegin = w.insideBegin
  const insideEnd = w.insideEnd
  memory.fill(dx, 0, (<usize>d.inputPixels) << shift)
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
          to += (<usize>w.origin(q)) << shift
        } else {
          extent = changetype<Plain>(0).extent(d, 0, o, p, q)
          count = w.count(q)
          to += (<usize>w.first(q)) << shift
        }
        const gradient = load<f32>(dy)
        dy += F32
        const share = extent == numerator ? gradient : (gradient * numerator) / extent
        for (; count > 0; count--) {
          store<T>(to, load<T>(to) + <T>share)
          to += spacing
        }
      }
      const first = d.row(o, p)
      for (let t = 0; t < planes; t++) {
        for (let r = 0; r < rows; r++) {
          const to = dx + ((<usize>(first + t * d.planePitch + r * d.rowPitch)) << shift)
          if (sizeof<T>() == 4) zipLight<Add>(to, to, row, 0, 0, 0, w.n)
          else for (let i: usize = 0; i < rowBytes; i += 8) store<f64>(to + i, load<f64>(to + i) + load<f64>(row + i))
        }
      }
    }
  }
}
