/**
 * The register tile of a product of int16 in pairs: C (rows, 8) = bias + A (rows, k) · B (k, 8) in 32 bits, by i32x4.dot_i16x8_s,
 * which adds two products in each lane.
 *
 * A panel of A holds one to TILE_ROWS rows: the pair (2k, 2k + 1) of row i of a panel of h rows is at a + 4·(k·h + i). A panel of B holds
 * eight columns: the pair of column j is at b + 4·(k·8 + j). An odd depth is filled up with zeros in A.
 */
import { Rows1, Rows2, Rows3, Rows4 } from '../../micro/tile'
import { panelCount } from '../../micro/gemm'

/** Rows of the tallest tile: the registers of 128-bit engines do not suffice for the sums of 5 rows. */
export const TILE_ROWS: i32 = 4
/** Bytes of one pair of steps in a panel of B. */
export const PAIR_BYTES: usize = 32

/** Rows of the next panel when `remaining` are left: as even as possible. */
@inline
export function tileRows(remaining: i32): i32 {
  return panelCount(remaining, panelCount(remaining, TILE_ROWS))
}

/** `sum` plus the two products in each lane. */
@inline
function dot(a: v128, b: v128, sum: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(a, b), sum)
}

/**
 * c, with rows `ld` bytes apart, = bias + a · b while b < end, in one flat loop. Two pairs in a turn are slower, since
 * the engine moves all loads of a turn before its sums and runs out of registers.
 */
@inline
function tileOf<T>(c: usize, ld: usize, bias: usize, a: usize, b: usize, end: usize): void {
  const rows = changetype<T>(0).rows
  let c00 = v128.load32_splat(bias)
  let c01 = c00
  let c10 = c00
  let c11 = c00
  let c20 = c00
  let c21 = c00
  let c30 = c00
  let c31 = c00
  if (rows > 1) c10 = c11 = v128.load32_splat(bias, 4)
  if (rows > 2) c20 = c21 = v128.load32_splat(bias, 8)
  if (rows > 3) c30 = c31 = v128.load32_splat(bias, 12)
  while (b < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    let s = v128.load32_splat(a)
    c00 = dot(s, b0, c00)
    c01 = dot(s, b1, c01)
    if (rows > 1) {
      s = v128.load32_splat(a, 4)
      c10 = dot(s, b0, c10)
      c11 = dot(s, b1, c11)
    }
    if (rows > 2) {
      s = v128.load32_splat(a, 8)
      c20 = dot(s, b0, c20)
      c21 = dot(s, b1, c21)
    }
    if (rows > 3) {
      s = v128.load32_splat(a, 12)
      c30 = dot(s, b0, c30)
      c31 = dot(s, b1, c31)
    }
    a += (<usize>rows) << 2
    b += PAIR_BYTES
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
}

/** The same for one to TILE_ROWS rows; `bias` are as many int32. */
@inline
export function integerTile(c: usize, ld: usize, rows: i32, bias: usize, a: usize, b: usize, depth: i32): void {
  const end = b + <usize>depth * PAIR_BYTES
  if (rows == 4) tileOf<Rows4>(c, ld, bias, a, b, end)
  else if (rows == 3) tileOf<Rows3>(c, ld, bias, a, b, end)
  else if (rows == 2) tileOf<Rows2>(c, ld, bias, a, b, end)
  else tileOf<Rows1>(c, ld, bias, a, b, end)
}
