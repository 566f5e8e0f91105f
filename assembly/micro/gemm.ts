/**
 * C (rows, 8) += A (rows, k) · B (k, 8), on packed panels, and the functions that pack them.
 *
 * A panel of A holds ROWS rows: element (i, k) at a + 4·(k·ROWS + i). A panel of B holds COLUMNS columns:
 * element (k, j) at b + 4·(k·COLUMNS + j). Edges of the matrices are padded with zeros in the panels, so
 * that the loop never branches.
 */
import { madd } from '../simd'

/** Rows of a register tile. Four rows of eight columns keep 8 of the 15 usable registers as accumulators. */
export const ROWS: i32 = 4
/** Columns of a register tile: two vectors. */
export const COLUMNS: i32 = 8
/** Bytes of one tile, and of one step of k in each panel. */
export const TILE_BYTES: usize = 128
export const A_STEP: usize = 16
export const B_STEP: usize = 32

/** Two vectors of zeros, never written. */
const ZEROS = memory.data(32, 16)

/**
 * One register tile: c (4, 8) with rows `ld` bytes apart = start + panel a · panel b, while b < end. The rows of
 * `start` are `startLd` bytes apart: 0 repeats one row.
 * One flat loop with accumulators loaded from memory: a remainder loop or a nested one costs 15-35 %.
 */
function tile4x8(c: usize, ld: usize, start: usize, startLd: usize, a: usize, b: usize, end: usize): void {
  let c00 = v128.load(start)
  let c01 = v128.load(start, 16)
  start += startLd
  let c10 = v128.load(start)
  let c11 = v128.load(start, 16)
  start += startLd
  let c20 = v128.load(start)
  let c21 = v128.load(start, 16)
  start += startLd
  let c30 = v128.load(start)
  let c31 = v128.load(start, 16)
  while (b < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    let s = v128.load32_splat(a)
    c00 = madd(s, b0, c00)
    c01 = madd(s, b1, c01)
    s = v128.load32_splat(a, 4)
    c10 = madd(s, b0, c10)
    c11 = madd(s, b1, c11)
    s = v128.load32_splat(a, 8)
    c20 = madd(s, b0, c20)
    c21 = madd(s, b1, c21)
    s = v128.load32_splat(a, 12)
    c30 = madd(s, b0, c30)
    c31 = madd(s, b1, c31)
    a += A_STEP
    b += B_STEP
  }
  v128.store(c, c00)
  v128.store(c, c01, 16)
  c += ld
  v128.store(c, c10)
  v128.store(c, c11, 16)
  c += ld
  v128.store(c, c20)
  v128.store(c, c21, 16)
  c += ld
  v128.store(c, c30)
  v128.store(c, c31, 16)
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

/**
 * c (rows ≤ 4, columns ≤ 8) += a · b over `depth` steps. Partial tiles go through `scratch` (TILE_BYTES),
 * so that nothing outside the matrix is read or written.
 */
export function accumulateTile(
  c: usize,
  ld: usize,
  rows: i32,
  columns: i32,
  a: usize,
  b: usize,
  depth: i32,
  scratch: usize,
): void {
  const end = b + <usize>depth * B_STEP
  if (rows >= ROWS && columns >= COLUMNS) {
    tile4x8(c, ld, c, ld, a, b, end)
    return
  }
  rows = min(rows, ROWS)
  columns = min(columns, COLUMNS)
  memory.fill(scratch, 0, TILE_BYTES)
  copyBlock(scratch, B_STEP, c, ld, rows, columns)
  tile4x8(scratch, B_STEP, scratch, B_STEP, a, b, end)
  copyBlock(c, ld, scratch, B_STEP, rows, columns)
}

/** A packed tile (4, 8) at `to` = a · b over `depth` steps. */
@inline
export function multiplyTile(to: usize, a: usize, b: usize, depth: i32): void {
  tile4x8(to, B_STEP, ZEROS, 0, a, b, b + <usize>depth * B_STEP)
}

/** Transposes four vectors and stores them at `to`, `pitch` bytes apart. */
@inline
export function storeTransposed(to: usize, pitch: usize, v0: v128, v1: v128, v2: v128, v3: v128): void {
  const t0 = i8x16.shuffle(v0, v1, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
  const t1 = i8x16.shuffle(v2, v3, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
  const t2 = i8x16.shuffle(v0, v1, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
  const t3 = i8x16.shuffle(v2, v3, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
  v128.store(to, i8x16.shuffle(t0, t1, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23))
  to += pitch
  v128.store(to, i8x16.shuffle(t0, t1, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  to += pitch
  v128.store(to, i8x16.shuffle(t2, t3, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23))
  to += pitch
  v128.store(to, i8x16.shuffle(t2, t3, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
}

/**
 * Packs a panel `width` (4 or 8) lanes wide and `depth` steps deep. Source element (lane, k) is at
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
  if (laneStride == 4) {
    if (lanes == width) {
      for (let k = 0; k < depth; k++) {
        v128.store(to, v128.load(from))
        if (width == 8) v128.store(to, v128.load(from, 16), 16)
        to += pitch
        from += stepStride
      }
      return
    }
  } else if (stepStride == 4 && lanes == width) {
    const whole = depth & ~3
    for (let half = 0; half < width; half += 4) {
      let p0 = from + <usize>half * laneStride
      let p1 = p0 + laneStride
      let p2 = p1 + laneStride
      let p3 = p2 + laneStride
      let out = to + ((<usize>half) << 2)
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
    }
    return
  }
  for (let k = 0; k < depth; k++) {
    let p = from
    for (let lane = 0; lane < lanes; lane++) {
      store<f32>(to + ((<usize>lane) << 2), load<f32>(p))
      p += laneStride
    }
    for (let lane = lanes; lane < width; lane++) store<f32>(to + ((<usize>lane) << 2), 0)
    to += pitch
    from += stepStride
  }
}

/**
 * Packs all panels of a matrix whose element (lane, k) is at from + lane·laneStride + k·stepStride (bytes):
 * ceil(lanes / width) panels, one after another.
 */
export function packPanels(
  to: usize,
  from: usize,
  width: i32,
  lanes: i32,
  laneStride: usize,
  depth: i32,
  stepStride: usize,
): void {
  const panelBytes = <usize>depth * ((<usize>width) << 2)
  for (let lane = 0; lane < lanes; lane += width) {
    packPanel(to, from + <usize>lane * laneStride, width, lanes - lane, laneStride, depth, stepStride)
    to += panelBytes
  }
}
