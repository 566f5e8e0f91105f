/**
 * Moving elements: copies between strided layouts, and linear maps along one axis (padding by neighbours, linear
 * interpolation) with their adjoints. An axis of n elements is seen as x (outer, n, inner); items are outer indices.
 */
import { storeTransposed } from '../micro/gemm'
import { F32 } from '../simd'

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

/** y (rows, columns) = x, where rows of x are adjacent: 4 × 4 blocks are transposed in registers. */
function transposePlane(y: usize, x: usize, rows: i32, columns: i32, yRow: usize, xColumn: usize): void {
  const wholeRows = rows & ~3
  const wholeColumns = columns & ~3
  for (let row = 0; row < wholeRows; row += 4) {
    let from = x + ((<usize>row) << 2)
    let to = y + <usize>row * yRow
    for (let column = 0; column < wholeColumns; column += 4) {
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
    for (let column = wholeColumns; column < columns; column++) {
      copySteps(to, from, 4, yRow, F32)
      from += xColumn
      to += F32
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

/** dx (outer, n, inner) = dy (outer, lo + n + hi, inner) added where it came from, in rising order of the ends. */
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
    for (let i = 0; i < lo; i++) addRow(to + <usize>sourceOf(i - lo, n, mode) * row, from + <usize>i * row, inner)
    for (let i = lo + n; i < length; i++) {
      addRow(to + <usize>sourceOf(i - lo, n, mode) * row, from + <usize>i * row, inner)
    }
  }
}

/** Where element i of an axis enlarged by `scale` lies in the axis: pixels are areas, their centres are compared. */
@inline
function coordinate(i: i32, scale: i32): f64 {
  return max<f64>((<f64>i + 0.5) / <f64>scale - 0.5, 0)
}

/** y (outer, n·scale, inner) = x (outer, n, inner), interpolated linearly. */
export function interpolate_fwd(y: usize, x: usize, n: i32, inner: i32, scale: i32, begin: i32, end: i32): void {
  const row = <usize>inner * F32
  let to = y + <usize>begin * <usize>(n * scale) * row
  for (let item = begin; item < end; item++) {
    const from = x + <usize>item * <usize>n * row
    for (let i = 0; i < n * scale; i++) {
      const place = coordinate(i, scale)
      const low = <i32>place
      const part = <f32>(place - <f64>low)
      let p = from + <usize>low * row
      const toHigh = low + 1 < n ? row : 0
      const stop = to + row
      const whole = stop - 12
      const weight = f32x4.splat(part)
      const rest = f32x4.splat(1 - part)
      while (to < whole) {
        v128.store(to, f32x4.add(f32x4.mul(rest, v128.load(p)), f32x4.mul(weight, v128.load(p + toHigh))))
        to += 16
        p += 16
      }
      while (to < stop) {
        store<f32>(to, (1 - part) * load<f32>(p) + part * load<f32>(p + toHigh))
        to += F32
        p += F32
      }
    }
  }
}

/** dx (outer, n, inner) = the adjoint of interpolate_fwd at dy (outer, n·scale, inner), in rising order. */
export function interpolate_dx(dx: usize, dy: usize, n: i32, inner: i32, scale: i32, begin: i32, end: i32): void {
  const row = <usize>inner * F32
  let from = dy + <usize>begin * <usize>(n * scale) * row
  for (let item = begin; item < end; item++) {
    const to = dx + <usize>item * <usize>n * row
    memory.fill(to, 0, <usize>n * row)
    for (let i = 0; i < n * scale; i++) {
      const place = coordinate(i, scale)
      const low = <i32>place
      const part = <f32>(place - <f64>low)
      let p = to + <usize>low * row
      const toHigh = low + 1 < n ? row : 0
      const stop = from + row
      while (from < stop) {
        const value = load<f32>(from)
        store<f32>(p, load<f32>(p) + (1 - part) * value)
        store<f32>(p + toHigh, load<f32>(p + toHigh) + part * value)
        from += F32
        p += F32
      }
    }
  }
}
