/**
 * The register tile of a matrix product: C (rows, 8 or 4) = start + A (rows, k) · B (k, 8), on packed panels.
 *
 * A panel of A holds one to ROWS rows: element (i, k) of a panel of h rows is at a + 4·(k·h + i). A panel of B holds
 * eight columns: element (k, j) is at b + 4·(k·8 + j), columns beyond the matrix are zero.
 */
import { madd } from '../simd'

/**
 * Rows of the tallest tile: two accumulators each, which with two vectors of B, one of A and, where they are not
 * fused, one product, fill the 15 registers that can be used. Strict: 4 rows reach 46 GFLOPS, 5 rows 55, 6 rows 32.
 */
export const ROWS: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 5
/** Columns of a panel of B: two vectors. */
export const COLUMNS: i32 = 8
/** Bytes of one step of k in a panel of B, and of a row of a packed tile. */
export const B_STEP: usize = 32
/** Bytes of the largest tile, rounded up to 64. */
export const TILE_BYTES: usize = 192

/** Rows of a tile, known when the module is compiled. */
export class Rows1 {

  @inline
  get rows(): i32 {
    return 1
  }
}
export class Rows2 {

  @inline
  get rows(): i32 {
    return 2
  }
}
export class Rows3 {

  @inline
  get rows(): i32 {
    return 3
  }
}
export class Rows4 {

  @inline
  get rows(): i32 {
    return 4
  }
}
export class Rows5 {

  @inline
  get rows(): i32 {
    return 5
  }
}
export class Rows6 {

  @inline
  get rows(): i32 {
    return 6
  }
}

/** One step of k alone: c = start + a · b for the first of the columns that two vectors, or with `half` one, hold. */
function oneStep(c: usize, ld: usize, start: usize, startLd: usize, a: usize, b: usize, rows: i32, half: bool): void {
  const b0 = v128.load(b)
  const b1 = half ? b0 : v128.load(b, 16)
  for (let i = 0; i < rows; i++) {
    const s = v128.load32_splat(a)
    v128.store(c, madd(s, b0, v128.load(start)))
    if (!half) v128.store(c, madd(s, b1, v128.load(start, 16)), 16)
    a += 4
    c += ld
    start += startLd
  }
}

/**
 * c, with rows `ld` bytes apart, = start + a · b while b < end. The rows of `start` are `startLd` bytes apart (0 repeats
 * one row).
 *
 * One flat loop, tested at its top, with accumulators loaded from memory before it and stored after it: a remainder
 * loop, a nested one, or a test at the bottom costs 15-50 %. Up to four rows take two steps at a time, since a turn costs
 * a cycle beside the four that its products take: 45 → 53 GFLOPS with four rows, 41 → 53 with three, 28 → 45 with two; five
 * rows lose by it. An odd step comes first, by itself.
 */
export function tile<T>(c: usize, ld: usize, start: usize, startLd: usize, a: usize, b: usize, end: usize): void {
  const rows = changetype<T>(0).rows
  if (rows < 5 && ((end - b) & B_STEP) != 0) {
    oneStep(c, ld, start, startLd, a, b, rows, false)
    start = c
    startLd = ld
    a += (<usize>rows) << 2
    b += B_STEP
  }
  let c00 = v128.load(start)
  let c01 = v128.load(start, 16)
  let c10 = c00
  let c11 = c01
  let c20 = c00
  let c21 = c01
  let c30 = c00
  let c31 = c01
  let c40 = c00
  let c41 = c01
  let c50 = c00
  let c51 = c01
  if (rows > 1) {
    start += startLd
    c10 = v128.load(start)
    c11 = v128.load(start, 16)
  }
  if (rows > 2) {
    start += startLd
    c20 = v128.load(start)
    c21 = v128.load(start, 16)
  }
  if (rows > 3) {
    start += startLd
    c30 = v128.load(start)
    c31 = v128.load(start, 16)
  }
  if (rows > 4) {
    start += startLd
    c40 = v128.load(start)
    c41 = v128.load(start, 16)
  }
  if (rows > 5) {
    start += startLd
    c50 = v128.load(start)
    c51 = v128.load(start, 16)
  }
  while (b < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    let s = v128.load32_splat(a)
    c00 = madd(s, b0, c00)
    c01 = madd(s, b1, c01)
    if (rows > 1) {
      s = v128.load32_splat(a, 4)
      c10 = madd(s, b0, c10)
      c11 = madd(s, b1, c11)
    }
    if (rows > 2) {
      s = v128.load32_splat(a, 8)
      c20 = madd(s, b0, c20)
      c21 = madd(s, b1, c21)
    }
    if (rows > 3) {
      s = v128.load32_splat(a, 12)
      c30 = madd(s, b0, c30)
      c31 = madd(s, b1, c31)
    }
    if (rows > 4) {
      s = v128.load32_splat(a, 16)
      c40 = madd(s, b0, c40)
      c41 = madd(s, b1, c41)
    }
    if (rows > 5) {
      s = v128.load32_splat(a, 20)
      c50 = madd(s, b0, c50)
      c51 = madd(s, b1, c51)
    }
    a += (<usize>rows) << 2
    if (rows > 4) b += B_STEP
    else {
      const b2 = v128.load(b, 32)
      const b3 = v128.load(b, 48)
      s = v128.load32_splat(a)
      c00 = madd(s, b2, c00)
      c01 = madd(s, b3, c01)
      if (rows > 1) {
        s = v128.load32_splat(a, 4)
        c10 = madd(s, b2, c10)
        c11 = madd(s, b3, c11)
      }
      if (rows > 2) {
        s = v128.load32_splat(a, 8)
        c20 = madd(s, b2, c20)
        c21 = madd(s, b3, c21)
      }
      if (rows > 3) {
        s = v128.load32_splat(a, 12)
        c30 = madd(s, b2, c30)
        c31 = madd(s, b3, c31)
      }
      a += (<usize>rows) << 2
      b += 2 * B_STEP
    }
  }
  v128.store(c, c00)
  v128.store(c, c01, 16)
  if (rows > 1) {
    c += ld
    v128.store(c, c10)
    v128.store(c, c11, 16)
  }
  if (rows > 2) {
    c += ld
    v128.store(c, c20)
    v128.store(c, c21, 16)
  }
  if (rows > 3) {
    c += ld
    v128.store(c, c30)
    v128.store(c, c31, 16)
  }
  if (rows > 4) {
    c += ld
    v128.store(c, c40)
    v128.store(c, c41, 16)
  }
  if (rows > 5) {
    c += ld
    v128.store(c, c50)
    v128.store(c, c51, 16)
  }
}

/** The same for the left four of the eight columns, two steps at a time: 35 → 45 GFLOPS with five rows. */
export function halfTile<T>(c: usize, ld: usize, start: usize, startLd: usize, a: usize, b: usize, end: usize): void {
  const rows = changetype<T>(0).rows
  if (((end - b) & B_STEP) != 0) {
    oneStep(c, ld, start, startLd, a, b, rows, true)
    start = c
    startLd = ld
    a += (<usize>rows) << 2
    b += B_STEP
  }
  let c0 = v128.load(start)
  let c1 = c0
  let c2 = c0
  let c3 = c0
  let c4 = c0
  let c5 = c0
  if (rows > 1) c1 = v128.load(start + startLd)
  if (rows > 2) c2 = v128.load(start + 2 * startLd)
  if (rows > 3) c3 = v128.load(start + 3 * startLd)
  if (rows > 4) c4 = v128.load(start + 4 * startLd)
  if (rows > 5) c5 = v128.load(start + 5 * startLd)
  while (b < end) {
    const b0 = v128.load(b)
    c0 = madd(v128.load32_splat(a), b0, c0)
    if (rows > 1) c1 = madd(v128.load32_splat(a, 4), b0, c1)
    if (rows > 2) c2 = madd(v128.load32_splat(a, 8), b0, c2)
    if (rows > 3) c3 = madd(v128.load32_splat(a, 12), b0, c3)
    if (rows > 4) c4 = madd(v128.load32_splat(a, 16), b0, c4)
    if (rows > 5) c5 = madd(v128.load32_splat(a, 20), b0, c5)
    a += (<usize>rows) << 2
    const b1 = v128.load(b, 32)
    c0 = madd(v128.load32_splat(a), b1, c0)
    if (rows > 1) c1 = madd(v128.load32_splat(a, 4), b1, c1)
    if (rows > 2) c2 = madd(v128.load32_splat(a, 8), b1, c2)
    if (rows > 3) c3 = madd(v128.load32_splat(a, 12), b1, c3)
    if (rows > 4) c4 = madd(v128.load32_splat(a, 16), b1, c4)
    if (rows > 5) c5 = madd(v128.load32_splat(a, 20), b1, c5)
    a += (<usize>rows) << 2
    b += 2 * B_STEP
  }
  v128.store(c, c0)
  if (rows > 1) v128.store(c + ld, c1)
  if (rows > 2) v128.store(c + 2 * ld, c2)
  if (rows > 3) v128.store(c + 3 * ld, c3)
  if (rows > 4) v128.store(c + 4 * ld, c4)
  if (rows > 5) v128.store(c + 5 * ld, c5)
}
