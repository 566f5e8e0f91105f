/**
 * Maxima of windows: y = max x, remembered as positions; dx adds dy at the positions, and the gather that reads x there
 * is the adjoint of dx. x (maps, D, H, W), y and positions (maps, O, P, Q). A window with a NaN gives NaN, equals go to
 * the first; a window without elements gives -∞ at position -1.
 */
import { LONG, roundAll } from '../../micro/long'
import { F32 } from '../../simd'
import { Adjacent, EverySecond, PoolShape, Strided, repeat } from './shape'

/** Whether windows are 2 × 2, side by side, inside the input, and at least four in a row. */
function isHalving(d: PoolShape): bool {
  const h = d.height
  const w = d.width
  return (
    d.depth.n == 1 &&
    d.depth.kernel == 1 &&
    d.depth.output == 1 &&
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

/**
 * The maximum of window q of an output row whose windows have `planes` planes and `rows` rows that lie in the input, the
 * first of them at `row`; and its flat position: the first of equals, the last NaN if there is one, -1 without elements.
 */
function maxOne(y: usize, indices: usize, map: usize, d: PoolShape, planes: i32, rows: i32, row: i32, q: i32): void {
  const columns = d.width.count(q)
  const step = d.width.dilation
  const corner = row + d.width.first(q)
  let at = planes > 0 && rows > 0 && columns > 0 ? corner : -1
  let best: f32 = -Infinity
  for (let t = 0; t < planes; t++) {
    for (let r = 0; r < rows; r++) {
      let i = corner + t * d.planePitch + r * d.rowPitch
      for (let s = 0; s < columns; s++) {
        const value = load<f32>(map + ((<usize>i) << 2))
        if (value > best || value != value) {
          best = value
          at = i
        }
        i += step
      }
    }
  }
  store<f32>(y, best)
  if (indices) store<i32>(indices, at)
}

/**
 * Maxima of the four windows whose first taps lie in columns `left` + `lanes` of the rows from `row` on; their positions
 * too where `locate` says so. Where `edged` says so, taps may lie beside the row, and count for nothing; each window has
 * one inside, and the dilation is 1. Both are literals.
 */
@inline
function maxBlock<L>(
  y: usize,
  indices: usize,
  locate: bool,
  edged: bool,
  map: usize,
  d: PoolShape,
  planes: i32,
  rows: i32,
  first: i32,
  left: i32,
  lanes: v128,
): void {
  const corner = first + left
  const step = <usize>d.width.stride * F32
  const spacing = <usize>d.width.dilation * F32
  const rowBytes = <usize>d.width.kernel * spacing
  const rowPitch = d.rowPitch
  const spacingLanes = i32x4.splat(d.width.dilation)
  const width = i32x4.splat(d.width.n)
  const lowest = f32x4.splat(-Infinity)
  const begins = i32x4.add(i32x4.splat(left), lanes)
  let best = lowest
  let nan = i32x4.splat(0)
  let at = i32x4.add(i32x4.splat(first), edged ? i32x4.max_s(begins, i32x4.splat(0)) : begins)
  for (let t = 0; t < planes; t++) {
    let row = corner + t * d.planePitch
    for (let r = 0; r < rows; r++) {
      let position = i32x4.add(i32x4.splat(row), lanes)
      const start = map + ((<usize>row) << 2)
      const stop = start + rowBytes
      let column = begins
      for (let from = start; from < stop; from += spacing) {
        let value = changetype<L>(0).load(from, step)
        if (edged) {
          // A column below 0 is a large number without a sign.
          value = v128.bitselect(value, lowest, i32x4.lt_u(column, width))
          column = i32x4.add(column, spacingLanes)
        }
        const isNan = f32x4.ne(value, value)
        if (locate) {
          const better = v128.or(v128.andnot(f32x4.gt(value, best), nan), isNan)
          at = v128.bitselect(position, at, better)
          position = i32x4.add(position, spacingLanes)
        }
        // pmax keeps `best` when `value` is NaN or equal; lanes that saw a NaN are set afterwards.
        nan = v128.or(nan, isNan)
        best = f32x4.pmax(best, value)
      }
      row += rowPitch
    }
  }
  if (locate) v128.store(indices, at)
  v128.store(y, v128.or(best, nan))
}

/**
 * Maxima of windows begin ≤ q < end (at least four) of an output row, all inside along W or, where the dilation is 1,
 * with a part inside; the rest as in maxOne.
 */
function maxRow<L>(
  y: usize,
  indices: usize,
  map: usize,
  d: PoolShape,
  planes: i32,
  rows: i32,
  row: i32,
  begin: i32,
  end: i32,
): void {
  const w = d.width
  const insideBegin = w.insideBegin
  const insideEnd = w.insideEnd
  const lanes = i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(w.stride))
  for (let q = begin; q < end; q += 4) {
    // The last block overlaps the one before it rather than leave a remainder.
    if (q > end - 4) q = end - 4
    const offset = (<usize>q) << 2
    const left = w.origin(q)
    const to = y + offset
    const at = indices + offset
    if (q >= insideBegin && q + 4 <= insideEnd) {
      if (indices) maxBlock<L>(to, at, true, false, map, d, planes, rows, row, left, lanes)
      else maxBlock<L>(to, 0, false, false, map, d, planes, rows, row, left, lanes)
    } else if (indices) maxBlock<L>(to, at, true, true, map, d, planes, rows, row, left, lanes)
    else maxBlock<L>(to, 0, false, true, map, d, planes, rows, row, left, lanes)
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

/** Stores eight neighbours, given their even and odd lanes. */
@inline
function storeMerged(to: usize, even: v128, odd: v128): void {
  v128.store(to, i8x16.shuffle(even, odd, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23))
  v128.store(to, i8x16.shuffle(even, odd, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31), 16)
}

/** Positions of the upper left elements of windows (p, q) to (p, q + 3). */
@inline
function upperLeft(p: i32, q: i32, W: i32): v128 {
  return i32x4.add(i32x4.splat(2 * (p * W + q)), i32x4(0, 2, 4, 6))
}

/** Maxima of one map where windows halve it. */
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
      const upper0 = v128.load(from)
      const upper4 = v128.load(from, 16)
      const lower0 = v128.load(from + pitch)
      const lower4 = v128.load(from + pitch, 16)
      const a = evens(upper0, upper4)
      const b = odds(upper0, upper4)
      const c = evens(lower0, lower4)
      const e = odds(lower0, lower4)
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
        const left = upperLeft(p, q, W)
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

/** Maxima of the adaptive windows of one map. Windows that cover the same elements are searched once. */
function maxAdaptive(y: usize, indices: usize, map: usize, d: PoolShape): void {
  const h = d.height
  const w = d.width
  const bytes = <usize>w.output * F32
  const across = indices - y
  for (let o = 0; o < d.depth.output;) {
    const plane = y
    for (let p = 0; p < h.output;) {
      const row = y
      for (let q = 0; q < w.output;) {
        maxOne(y, indices ? y + across : 0, map, d, d.depth.count(o), h.count(p), d.row(o, p), q)
        const times = w.endSame(q) - q
        if (indices) repeat(y + across, F32, times)
        y = repeat(y, F32, times)
        q += times
      }
      const times = h.endSame(p) - p
      if (indices) repeat(row + across, bytes, times)
      y = repeat(row, bytes, times)
      p += times
    }
    const times = d.depth.endSame(o) - o
    if (indices) repeat(plane + across, bytes * <usize>h.output, times)
    y = repeat(plane, bytes * <usize>h.output, times)
    o += times
  }
}

/** Maps begin ≤ item < end of y: maxima of windows, and, unless `indices` is 0, their flat positions in the map. */
export function maxpool_fwd(y: usize, indices: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  const w = d.width
  const Q = w.output
  // Windows at the borders are taken four at a time too, unless what they read beside the rows is no memory.
  const behind = <u64>(x + <usize>end * d.inputBytes) + (4 * <u64>w.stride + <u64>w.kernel) * F32
  const edged = <u64>x >= (<u64>w.lo) << 2 && behind <= (<u64>memory.size()) << 16
  const blockBegin = edged ? w.partBegin : w.insideBegin
  const blockEnd = edged ? w.partEnd : w.insideEnd
  const blocks = blockEnd - blockBegin >= 4
  const halving = isHalving(d)
  for (let item = begin; item < end; item++) {
    const map = x + <usize>item * d.inputBytes
    let out = y + <usize>item * d.bytes
    let outIndices = indices ? indices + <usize>item * d.bytes : 0
    if (halving) {
      maxHalving(out, outIndices, map, d)
      continue
    }
    if (w.kernel == 0) {
      maxAdaptive(out, outIndices, map, d)
      continue
    }
    for (let o = 0; o < d.depth.output; o++) {
      const planes = d.depth.count(o)
      for (let p = 0; p < d.height.output; p++) {
        const rows = d.height.count(p)
        const row = d.row(o, p)
        for (let q = 0; q < Q; q++) {
          if (q == blockBegin && blocks && planes > 0 && rows > 0) {
            if (w.stride == 1) maxRow<Adjacent>(out, outIndices, map, d, planes, rows, row, blockBegin, blockEnd)
            else if (w.stride == 2)
              maxRow<EverySecond>(out, outIndices, map, d, planes, rows, row, blockBegin, blockEnd)
            else maxRow<Strided>(out, outIndices, map, d, planes, rows, row, blockBegin, blockEnd)
            q = blockEnd
            if (q == Q) break
          }
          const offset = (<usize>q) << 2
          maxOne(out + offset, outIndices ? outIndices + offset : 0, map, d, planes, rows, row, q)
        }
        out += <usize>Q * F32
        if (outIndices) outIndices += <usize>Q * F32
      }
    }
  }
}

/** Gradient where windows halve the map: every element of dx under a window is written once. */
function spreadHalving(dx: usize, dy: usize, indices: usize, d: PoolShape): void {
  const Q = d.width.output
  const W = d.width.n
  const pitch = <usize>W * F32
  if (2 * Q < W || 2 * d.height.output < d.height.n) memory.fill(dx, 0, d.inputBytes)
  for (let p = 0; p < d.height.output; p++) {
    const row = dx + 2 * <usize>p * pitch
    for (let q = 0; q < Q; q += 4) {
      if (q > Q - 4) q = Q - 4
      const from = (<usize>(p * Q + q)) << 2
      const gradient = v128.load(dy + from)
      const at = i32x4.sub(v128.load(indices + from), upperLeft(p, q, W))
      const a = v128.and(gradient, i32x4.eq(at, i32x4.splat(0)))
      const b = v128.and(gradient, i32x4.eq(at, i32x4.splat(1)))
      const c = v128.and(gradient, i32x4.eq(at, i32x4.splat(W)))
      const e = v128.and(gradient, i32x4.eq(at, i32x4.splat(W + 1)))
      const to = row + ((<usize>q) << 3)
      storeMerged(to, a, b)
      storeMerged(to + pitch, c, e)
    }
  }
}

/**
 * Bytes of workspace for maxpool_dx: a map of float64 where an element can be the maximum of more than LONG windows, which
 * float32 would not add up; 0 otherwise.
 */
export function maxpool_dx_workspace(shape: usize): f64 {
  const d = changetype<PoolShape>(shape)
  return d.depth.overlap * d.height.overlap * d.width.overlap > <f64>LONG ? 8 * <f64>d.inputPixels : 0
}

/** map[positions[i]] += from[i] for i below `count`, in T; −1 is no position. */
function scatter<T>(map: usize, from: usize, positions: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    const position = load<i32>(positions)
    if (position >= 0) {
      const to = map + ((<usize>position) << alignof<T>())
      store<T>(to, load<T>(to) + <T>load<f32>(from))
    }
    from += F32
    positions += 4
  }
}

/**
 * Maps begin ≤ item < end of dx: dy added at the positions that maxpool_fwd stored, window after window. ws: 0 where
 * maxpool_dx_workspace is.
 */
export function maxpool_dx(dx: usize, dy: usize, indices: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<PoolShape>(shape)
  const bytes = d.bytes
  const halving = isHalving(d)
  for (let item = begin; item < end; item++) {
    const map = dx + <usize>item * d.inputBytes
    const from = dy + <usize>item * bytes
    const at = indices + <usize>item * bytes
    if (halving) {
      spreadHalving(map, from, at, d)
      continue
    }
    if (ws) {
      memory.fill(ws, 0, (<usize>d.inputPixels) << 3)
      scatter<f64>(ws, from, at, d.pixels)
      roundAll(map, ws, d.inputPixels)
    } else {
      memory.fill(map, 0, d.inputBytes)
      scatter<f32>(map, from, at, d.pixels)
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
