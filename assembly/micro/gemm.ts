/**
 * Matrix products on packed panels: how rows are divided into tiles, the sweep of one panel of rows over panels of
 * columns, and the functions that pack.
 */
import { B_STEP, COLUMNS, ROWS, Rows1, Rows2, Rows3, Rows4, Rows5, Rows6, halfTile, tile } from './tile'

/**
 * Rows of the next panel when `remaining` rows are left: as even as possible, so that 64 rows are 12 panels of five and
 * one of four, and none is nearly empty. Panels hold their rows exactly: panel m begins depth·m floats after the first.
 */
@inline
export function panelRows(remaining: i32): i32 {
  const panels = (remaining + ROWS - 1) / ROWS
  return (remaining + panels - 1) / panels
}

/** Number of items of `width` that cover n. */
@inline
export function panelCount(n: i32, width: i32): i32 {
  return (n + width - 1) / width
}

/** Units from the first to the beginning of part `part` when n of them are divided evenly into `parts`. */
@inline
export function partEnd(n: i32, parts: i32, part: i32): i32 {
  return (n / parts) * part + min(n % parts, part)
}

/** Copies a (rows, columns) block of floats between two row pitches (bytes). */
function copyBlock(to: usize, toPitch: usize, from: usize, fromPitch: usize, rows: i32, columns: i32): void {
  const bytes = (<usize>columns) << 2
  for (let i = 0; i < rows; i++) {
    for (let j: usize = 0; j < bytes; j += 4) store<f32>(to + j, load<f32>(from + j))
    to += toPitch
    from += fromPitch
  }
}


@inline
function sweepRows<T>(
  c: usize,
  ld: usize,
  step: usize,
  start: usize,
  startLd: usize,
  startStep: usize,
  a: usize,
  b: usize,
  apart: usize,
  depth: i32,
  columns: i32,
  scratch: usize,
): void {
  const bytes = <usize>depth * B_STEP
  for (; columns >= COLUMNS; columns -= COLUMNS) {
    tile<T>(c, ld, start, startLd, a, b, b + bytes)
    c += step
    start += startStep
    b += apart
  }
  if (columns == 0) return
  if (columns == 4) {
    halfTile<T>(c, ld, start, startLd, a, b, b + bytes)
    return
  }
  const rows = changetype<T>(0).rows
  if (startStep) {
    copyBlock(scratch, B_STEP, start, startLd, rows, columns)
    start = scratch
    startLd = B_STEP
  }
  if (columns <= 4) halfTile<T>(scratch, B_STEP, start, startLd, a, b, b + bytes)
  else tile<T>(scratch, B_STEP, start, startLd, a, b, b + bytes)
  copyBlock(c, ld, scratch, B_STEP, rows, columns)
}

/**
 * C (rows, columns) = start + panel a (rows ≤ ROWS) · panels b, `apart` bytes apart, over `depth` steps. Rows of C are `ld`
 * bytes apart, its panels of eight columns `step` bytes. `start` has rows `startLd` bytes and panels `startStep` bytes apart:
 * C itself, another matrix, or with startStep = 0 one packed tile for all panels. A last, partial panel of other than four
 * columns goes through `scratch` (TILE_BYTES), so that nothing outside the matrices is read or written.
 */
export function sweep(
  c: usize,
  ld: usize,
  step: usize,
  start: usize,
  startLd: usize,
  startStep: usize,
  a: usize,
  rows: i32,
  b: usize,
  apart: usize,
  depth: i32,
  columns: i32,
  scratch: usize,
): void {
  if (rows == 5) sweepRows<Rows5>(c, ld, step, start, startLd, startStep, a, b, apart, depth, columns, scratch)
  else if (rows == 4) sweepRows<Rows4>(c, ld, step, start, startLd, startStep, a, b, apart, depth, columns, scratch)
  else if (rows == 3) sweepRows<Rows3>(c, ld, step, start, startLd, startStep, a, b, apart, depth, columns, scratch)
  else if (rows == 2) sweepRows<Rows2>(c, ld, step, start, startLd, startStep, a, b, apart, depth, columns, scratch)
  else if (rows == 1) sweepRows<Rows1>(c, ld, step, start, startLd, startStep, a, b, apart, depth, columns, scratch)
  else if (ROWS > 5) sweepRows<Rows6>(c, ld, step, start, startLd, startStep, a, b, apart, depth, columns, scratch)
}

/** Lane l of each of four vectors, side by side, at t0 … t3. */
@inline
export function storeLanes(t0: usize, t1: usize, t2: usize, t3: usize, v0: v128, v1: v128, v2: v128, v3: v128): void {
  const low01 = i8x16.shuffle(v0, v1, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
  const low23 = i8x16.shuffle(v2, v3, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
  const high01 = i8x16.shuffle(v0, v1, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
  const high23 = i8x16.shuffle(v2, v3, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
  v128.store(t0, i8x16.shuffle(low01, low23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23))
  v128.store(t1, i8x16.shuffle(low01, low23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  v128.store(t2, i8x16.shuffle(high01, high23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23))
  v128.store(t3, i8x16.shuffle(high01, high23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
}

/** Transposes four vectors and stores them at `to`, `pitch` bytes apart. */
@inline
export function storeTransposed(to: usize, pitch: usize, v0: v128, v1: v128, v2: v128, v3: v128): void {
  storeLanes(to, to + pitch, to + 2 * pitch, to + 3 * pitch, v0, v1, v2, v3)
}

/** Lanes first ≤ lane < lanes, each contiguous along k, into a panel of `pitch` bytes a step. */
function packContiguous(to: usize, pitch: usize, from: usize, lanes: i32, laneStride: usize, depth: i32): void {
  const whole = depth & ~3
  let lane = 0
  for (; lane + 4 <= lanes; lane += 4) {
    let p0 = from
    let p1 = p0 + laneStride
    let p2 = p1 + laneStride
    let p3 = p2 + laneStride
    let out = to
    for (let k = 0; k < whole; k += 4) {
      storeTransposed(out, pitch, v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3))
      p0 += 16
      p1 += 16
      p2 += 16
      p3 += 16
      out += pitch << 2
    }
    for (let k = whole; k < depth; k++) {
      store<f32>(out, load<f32>(p0))
      store<f32>(out, load<f32>(p1), 4)
      store<f32>(out, load<f32>(p2), 8)
      store<f32>(out, load<f32>(p3), 12)
      p0 += 4
      p1 += 4
      p2 += 4
      p3 += 4
      out += pitch
    }
    to += 16
    from += laneStride << 2
  }
  for (; lane < lanes; lane++) {
    let p = from
    let out = to
    for (let k = 0; k < whole; k += 4) {
      const v = v128.load(p)
      v128.store32_lane(out, v, 0)
      out += pitch
      v128.store32_lane(out, v, 1)
      out += pitch
      v128.store32_lane(out, v, 2)
      out += pitch
      v128.store32_lane(out, v, 3)
      out += pitch
      p += 16
    }
    for (let k = whole; k < depth; k++) {
      store<f32>(out, load<f32>(p))
      out += pitch
      p += 4
    }
    to += 4
    from += laneStride
  }
}

/**
 * Packs a panel `width` (at most 8) lanes wide and `depth` steps deep. Source element (lane, k) is at
 * from + lane·laneStride + k·stepStride (bytes); lanes beyond `lanes` become zero.
 */
export function packPanel(
  to: usize,
  from: usize,
  width: i32,
  lanes: i32,
  laneStride: usize,
  depth: i32,
  stepStride: usize,
): void {
  lanes = min(lanes, width)
  const pitch = (<usize>width) << 2
  if (lanes < width) memory.fill(to, 0, <usize>depth * pitch)
  if (stepStride == 4) {
    packContiguous(to, pitch, from, lanes, laneStride, depth)
    return
  }
  if (laneStride == 4 && lanes == 8) {
    for (let k = 0; k < depth; k++) {
      v128.store(to, v128.load(from))
      v128.store(to, v128.load(from, 16), 16)
      to += pitch
      from += stepStride
    }
    return
  }
  for (let k = 0; k < depth; k++) {
    let p = from
    let lane = 0
    if (laneStride == 4 && lanes >= 4) {
      v128.store(to, v128.load(p))
      p += 16
      lane = 4
    }
    for (; lane < lanes; lane++) {
      store<f32>(to + ((<usize>lane) << 2), load<f32>(p))
      p += laneStride
    }
    to += pitch
    from += stepStride
  }
}

/** Packs `rows` rows into panels of panelRows(…): rows · depth floats. Strides as in packPanel. */
export function packRows(to: usize, from: usize, rows: i32, laneStride: usize, depth: i32, stepStride: usize): void {
  while (rows > 0) {
    const height = panelRows(rows)
    packPanel(to, from, height, height, laneStride, depth, stepStride)
    to += (<usize>(height * depth)) << 2
    from += <usize>height * laneStride
    rows -= height
  }
}

/** Packs `columns` columns into panels of eight, the last one filled up with zeros. Strides as in packPanel. */
export function packColumns(
  to: usize,
  from: usize,
  columns: i32,
  laneStride: usize,
  depth: i32,
  stepStride: usize,
): void {
  for (let j = 0; j < columns; j += COLUMNS) {
    packPanel(to, from + <usize>j * laneStride, COLUMNS, columns - j, laneStride, depth, stepStride)
    to += <usize>depth * B_STEP
  }
}
