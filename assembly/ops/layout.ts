/**
 * Moving elements: copies between strided layouts, and linear maps along one axis (padding by neighbours, linear
 * interpolation) with their adjoints. An axis of n elements is seen as x (outer, n, inner); items are outer indices.
 */
import { storeTransposed } from '../micro/gemm'
import { LONG } from '../micro/long'
import { loadLanes, storeLanes } from '../micro/lanes'
import { F32, promoteHigh } from '../simd'

/** Copies `count` adjacent floats. */
@inline
function copyRow(y: usize, x: usize, count: i32): void {
  const end = y + ((<usize>count) << 2)
  const whole = end - 12
  while (y < whole) {
    v128.store(y, v128.load(x))
    y += 16
    x += 16
  }
  while (y < end) {
    store<f32>(y, load<f32>(x))
    y += F32
    x += F32
  }
}

/** Copies `count` floats between steps in bytes. */
@inline
function copySteps(y: usize, x: usize, count: i32, yStep: usize, xStep: usize): void {
  for (let i = 0; i < count; i++) {
    store<f32>(y, load<f32>(x))
    y += yStep
    x += xStep
  }
}

/** Columns that are transposed together: one cache line of y, and few enough lines of x to stay near. */
const STRIP: i32 = 16

/** y (rows, columns) = x, where rows of x are adjacent: 4 × 4 blocks are transposed in registers, strip by strip. */
function transposePlane(y: usize, x: usize, rows: i32, columns: i32, yRow: usize, xColumn: usize): void {
  const wholeRows = rows & ~3
  for (let strip = 0; strip < columns; strip += STRIP) {
    const width = min(STRIP, columns - strip)
    for (let row = 0; row < wholeRows; row += 4) {
      let from = x + <usize>strip * xColumn + ((<usize>row) << 2)
      let to = y + <usize>row * yRow + ((<usize>strip) << 2)
      for (let column = 0; column < (width & ~3); column += 4) {
        const from2 = from + 2 * xColumn
        storeTransposed(
          to,
          yRow,
          v128.load(from),
          v128.load(from + xColumn),
          v128.load(from2),
          v128.load(from2 + xColumn),
        )
        from += 4 * xColumn
        to += 16
      }
      for (let column = width & ~3; column < width; column++) {
        copySteps(to, from, 4, yRow, F32)
        from += xColumn
        to += F32
      }
    }
  }
  for (let row = wholeRows; row < rows; row++) {
    copySteps(y + <usize>row * yRow, x + ((<usize>row) << 2), columns, F32, xColumn)
  }
}

/**
 * y = x, each with its own strides. `shape` points to 32-bit integers: the number of dimensions (two or more), then
 * extent, stride in y and stride in x of each, in elements, the innermost first. Items are the planes of the two
 * innermost dimensions. Strides in x may be 0, which repeats elements.
 */
export function copy_fwd(y: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const columns = load<i32>(shape, 4)
  const yColumn = (<usize>load<i32>(shape, 8)) << 2
  const xColumn = (<usize>load<i32>(shape, 12)) << 2
  const rows = load<i32>(shape, 16)
  const yRow = (<usize>load<i32>(shape, 20)) << 2
  const xRow = (<usize>load<i32>(shape, 24)) << 2
  const last = shape + <usize>load<i32>(shape) * 12
  for (let plane = begin; plane < end; plane++) {
    let to = y
    let from = x
    let rest = plane
    for (let dimension = shape + 24; dimension < last; dimension += 12) {
      const extent = load<i32>(dimension, 4)
      const index = <usize>(rest % extent)
      rest /= extent
      to += (index * <usize>load<i32>(dimension, 8)) << 2
      from += (index * <usize>load<i32>(dimension, 12)) << 2
    }
    if (yColumn == F32 && xRow == F32 && xColumn != F32) {
      transposePlane(to, from, rows, columns, yRow, xColumn)
    } else if (yColumn == F32 && xColumn == F32) {
      for (let row = 0; row < rows; row++) copyRow(to + <usize>row * yRow, from + <usize>row * xRow, columns)
    } else if (columns >= rows) {
      for (let row = 0; row < rows; row++) {
        copySteps(to + <usize>row * yRow, from + <usize>row * xRow, columns, yColumn, xColumn)
      }
    } else {
      for (let column = 0; column < columns; column++) {
        copySteps(to + <usize>column * yColumn, from + <usize>column * xColumn, rows, yRow, xRow)
      }
    }
  }
}

/** Adds `count` floats of x to y. */
@inline
function addRow(y: usize, x: usize, count: i32): void {
  const end = y + ((<usize>count) << 2)
  const whole = end - 12
  while (y < whole) {
    v128.store(y, f32x4.add(v128.load(y), v128.load(x)))
    y += 16
    x += 16
  }
  while (y < end) {
    store<f32>(y, load<f32>(y) + load<f32>(x))
    y += F32
    x += F32
  }
}

/**
 * to[i] += Σ of `count` rows from `from` on, for `inner` columns, each in float64: four columns at a time. For more rows than
 * float32 adds up.
 */
function addRows(to: usize, from: usize, count: i32, inner: i32): void {
  const row = <usize>inner * F32
  for (let i = 0; i < inner; i += 4) {
    const lanes = min(4, inner - i)
    const own = loadLanes(to, lanes)
    let low = f64x2.promote_low_f32x4(own)
    let high = promoteHigh(own)
    let p = from
    for (let j = 0; j < count; j++) {
      const v = loadLanes(p, lanes)
      low = f64x2.add(low, f64x2.promote_low_f32x4(v))
      high = f64x2.add(high, promoteHigh(v))
      p += row
    }
    storeLanes(to, demote(low, high), lanes)
    to += 16
    from += 16
  }
}

/** Four f64, rounded. */
@inline
function demote(low: v128, high: v128): v128 {
  const a = f32x4.demote_f64x2_zero(low)
  const b = f32x4.demote_f64x2_zero(high)
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
}

const REPLICATE: i32 = 1
const CIRCULAR: i32 = 2

/** The element of an axis of n that padding puts at place i, −n < i < 2n − 1 unless replicated; mode 0 reflects. */
@inline
function sourceOf(i: i32, n: i32, mode: i32): i32 {
  if (mode == REPLICATE) return min(max(i, 0), n - 1)
  if (i < 0) return mode == CIRCULAR ? i + n : -i
  if (i < n) return i
  return mode == CIRCULAR ? i - n : 2 * (n - 1) - i
}

/** y (outer, lo + n + hi, inner) = x (outer, n, inner) continued beyond its ends. */
export function pad_fwd(
  y: usize,
  x: usize,
  n: i32,
  inner: i32,
  lo: i32,
  hi: i32,
  mode: i32,
  begin: i32,
  end: i32,
): void {
  const row = <usize>inner * F32
  const length = lo + n + hi
  for (let item = begin; item < end; item++) {
    const from = x + <usize>item * <usize>n * row
    const to = y + <usize>item * <usize>length * row
    for (let i = 0; i < lo; i++) copyRow(to + <usize>i * row, from + <usize>sourceOf(i - lo, n, mode) * row, inner)
    copyRow(to + <usize>lo * row, from, n * inner)
    for (let i = lo + n; i < length; i++) {
      copyRow(to + <usize>i * row, from + <usize>sourceOf(i - lo, n, mode) * row, inner)
    }
  }
}

/**
 * dx (outer, n, inner) = dy (outer, lo + n + hi, inner) added where it came from, in rising order of the ends; in float64
 * where an edge was repeated more than LONG times.
 */
export function pad_dx(
  dx: usize,
  dy: usize,
  n: i32,
  inner: i32,
  lo: i32,
  hi: i32,
  mode: i32,
  begin: i32,
  end: i32,
): void {
  const row = <usize>inner * F32
  const length = lo + n + hi
  for (let item = begin; item < end; item++) {
    const to = dx + <usize>item * <usize>n * row
    const from = dy + <usize>item * <usize>length * row
    copyRow(to, from + <usize>lo * row, n * inner)
    if (mode == REPLICATE && max(lo, hi) > LONG) {
      addRows(to, from, lo, inner)
      addRows(to + <usize>(n - 1) * row, from + <usize>(lo + n) * row, hi, inner)
      continue
    }
    for (let i = 0; i < lo; i++) addRow(to + <usize>sourceOf(i - lo, n, mode) * row, from + <usize>i * row, inner)
    for (let i = lo + n; i < length; i++) {
      addRow(to + <usize>sourceOf(i - lo, n, mode) * row, from + <usize>i * row, inner)
    }
  }
}

/**
 * y (outer, n·scale, inner) = x (outer, n, inner), interpolated linearly. Pixels are areas and their centres are
 * compared: element q·scale + r lies at q + (r + ½)/scale − ½, so all elements of one r have the same weights.
 */
export function interpolate_fwd(y: usize, x: usize, n: i32, inner: i32, scale: i32, begin: i32, end: i32): void {
  const row = <usize>inner * F32
  for (let item = begin; item < end; item++) {
    const from = x + <usize>item * <usize>n * row
    for (let r = 0; r < scale; r++) {
      const place = (<f64>r + 0.5) / <f64>scale - 0.5
      const before = place < 0 ? 1 : 0
      const part = <f32>(place + <f64>before)
      const rest = <f32>1 - part
      let to = y + <usize>(item * n * scale + r) * row
      for (let q = 0; q < n; q++) {
        let low = from + <usize>max(q - before, 0) * row
        let high = from + <usize>min(q - before + 1, n - 1) * row
        if (inner == 1) {
          store<f32>(to, rest * load<f32>(low) + part * load<f32>(high))
          to += <usize>scale * F32
          continue
        }
        const stop = to + row
        const whole = stop - 12
        let p = to
        while (p < whole) {
          const left = f32x4.mul(f32x4.splat(rest), v128.load(low))
          v128.store(p, f32x4.add(left, f32x4.mul(f32x4.splat(part), v128.load(high))))
          p += 16
          low += 16
          high += 16
        }
        while (p < stop) {
          store<f32>(p, rest * load<f32>(low) + part * load<f32>(high))
          p += F32
          low += F32
          high += F32
        }
        to += <usize>scale * row
      }
    }
  }
}

/**
 * dx (outer, n, inner) = the adjoint of interpolate_fwd at dy (outer, n·scale, inner), in the order of r, then q; in float64
 * where the scale is above LONG.
 */
export function interpolate_dx(dx: usize, dy: usize, n: i32, inner: i32, scale: i32, begin: i32, end: i32): void {
  const row = <usize>inner * F32
  for (let item = begin; item < end; item++) {
    const to = dx + <usize>item * <usize>n * row
    if (scale > LONG) {
      const from = dy + <usize>item * <usize>n * <usize>scale * row
      for (let q = 0; q < n; q++) gatherInterpolated(to + <usize>q * row, from, q, n, inner, scale)
      continue
    }
    memory.fill(to, 0, <usize>n * row)
    for (let r = 0; r < scale; r++) {
      const place = (<f64>r + 0.5) / <f64>scale - 0.5
      const before = place < 0 ? 1 : 0
      const part = <f32>(place + <f64>before)
      const rest = <f32>1 - part
      let from = dy + <usize>(item * n * scale + r) * row
      for (let q = 0; q < n; q++) {
        let low = to + <usize>max(q - before, 0) * row
        let high = to + <usize>min(q - before + 1, n - 1) * row
        const stop = from + row
        for (let p = from; p < stop; p += F32) {
          const value = load<f32>(p)
          store<f32>(low, load<f32>(low) + rest * value)
          store<f32>(high, load<f32>(high) + part * value)
          low += F32
          high += F32
        }
        from += <usize>scale * row
      }
    }
  }
}

/** Element q of one item of dx, in float64: what it gave to those of y around it, four columns at a time. */
function gatherInterpolated(to: usize, dy: usize, q: i32, n: i32, inner: i32, scale: i32): void {
  const row = <usize>inner * F32
  for (let i = 0; i < inner; i += 4) {
    const lanes = min(4, inner - i)
    let low = f64x2.splat(0)
    let high = f64x2.splat(0)
    for (let near = max(q - 1, 0); near <= min(q + 1, n - 1); near++) {
      let p = dy + <usize>near * <usize>scale * row + <usize>i * F32
      for (let r = 0; r < scale; r++) {
        const place = (<f64>r + 0.5) / <f64>scale - 0.5
        const before = place < 0 ? 1 : 0
        const part = <f32>(place + <f64>before)
        let weight: f32 = 0
        if (max(near - before, 0) == q) weight += <f32>1 - part
        if (min(near - before + 1, n - 1) == q) weight += part
        const factor = f64x2.splat(<f64>weight)
        const v = loadLanes(p, lanes)
        low = f64x2.add(low, f64x2.mul(f64x2.promote_low_f32x4(v), factor))
        high = f64x2.add(high, f64x2.mul(promoteHigh(v), factor))
        p += row
      }
    }
    storeLanes(to, demote(low, high), lanes)
    to += 16
  }
}
