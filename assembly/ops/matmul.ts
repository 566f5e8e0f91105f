/**
 * y (M, N) = op(a) · op(b) [+ bias (N)], both operands packed into panels.
 * An operand is described by the byte strides of its two directions, so transposition costs nothing.
 */
import { horizontalSum, madd } from '../simd'
import { packPanel, packRows, panelCount, panelRows, sweep } from '../micro/gemm'
import { B_STEP, COLUMNS, TILE_BYTES } from '../micro/tile'

/** Steps of k in one block: a panel of B of 512 steps (16 kB) stays in the first-level cache. */
const DEPTH: i32 = 512

/**
 * Rows and columns of one work item: blocks whose packing costs a few hundredths of their products, and down to a quarter
 * of that where there would be fewer than four. Item i is block i / across of the rows and i % across of the columns.
 */
function blockSize(M: i32, N: i32): i32 {
  let block = 256
  while (block > 64 && panelCount(M, block) * panelCount(N, block) < 4) block >>= 1
  return block
}

/** Work items of `matmul_fwd`. */
export function matmul_items(M: i32, N: i32): i32 {
  const block = blockSize(M, N)
  return panelCount(M, block) * panelCount(N, block)
}

/** Bytes of workspace for `matmul_fwd`. */
export function matmul_workspace(M: i32, N: i32, K: i32): usize {
  const depth = <usize>min(K, DEPTH)
  return TILE_BYTES + 64 + ((<usize>min(M, blockSize(M, N)) * depth) << 2) + depth * B_STEP
}

/**
 * Items begin ≤ item < end of y. aRow, aColumn, bRow, bColumn: byte strides of a (M, K) and b (K, N).
 * Every element sums over k in rising order, whatever the range.
 */
export function matmul_fwd(
  y: usize,
  a: usize,
  b: usize,
  bias: usize,
  ws: usize,
  M: i32,
  N: i32,
  K: i32,
  aRow: usize,
  aColumn: usize,
  bRow: usize,
  bColumn: usize,
  begin: i32,
  end: i32,
): void {
  const block = blockSize(M, N)
  const across = panelCount(N, block)
  const pitch = (<usize>N) << 2
  const scratch = ws
  const first = scratch + TILE_BYTES
  const panelB = first + 64
  const panelsA = panelB + <usize>min(K, DEPTH) * B_STEP
  for (let item = begin; item < end; item++) {
    const m0 = (item / across) * block
    const n0 = (item % across) * block
    const rows = min(block, M - m0)
    const right = min(N, n0 + block)
    for (let k = 0; k < K; k += DEPTH) {
      const depth = min(DEPTH, K - k)
      packRows(panelsA, a + <usize>m0 * aRow + <usize>k * aColumn, rows, aRow, depth, aColumn)
      for (let n = n0; n < right; n += COLUMNS) {
        const columns = min(COLUMNS, N - n)
        packPanel(panelB, b + <usize>k * bRow + <usize>n * bColumn, COLUMNS, columns, bColumn, depth, bRow)
        if (k == 0) loadRow(first, bias, n, columns)
        let c = y + <usize>m0 * pitch + ((<usize>n) << 2)
        let panel = panelsA
        for (let m = 0; m < rows;) {
          const height = panelRows(rows - m)
          if (k == 0) sweep(c, pitch, 0, first, 0, 0, panel, height, panelB, depth, columns, scratch)
          else sweep(c, pitch, 0, c, pitch, 32, panel, height, panelB, depth, columns, scratch)
          c += <usize>height * pitch
          panel += (<usize>(height * depth)) << 2
          m += height
        }
      }
    }
  }
}

/** The row that a tile starts from: `columns` (1 to 8) floats of the bias from column n on, or zeros. */
@inline
function loadRow(to: usize, bias: usize, n: i32, columns: i32): void {
  memory.fill(to, 0, B_STEP)
  if (bias) memory.copy(to, bias + ((<usize>n) << 2), (<usize>columns) << 2)
}

/** Σ a · b over `count` floats: four sums of every sixteenth quadruple, added in the order (0 + 1) + (2 + 3). */
function dot(a: usize, b: usize, count: i32): f32 {
  let s0 = f32x4.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  const whole = b + ((<usize>(count & ~15)) << 2)
  const end = b + ((<usize>count) << 2)
  while (b < whole) {
    s0 = madd(v128.load(a), v128.load(b), s0)
    s1 = madd(v128.load(a, 16), v128.load(b, 16), s1)
    s2 = madd(v128.load(a, 32), v128.load(b, 32), s2)
    s3 = madd(v128.load(a, 48), v128.load(b, 48), s3)
    a += 64
    b += 64
  }
  let sum = horizontalSum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)))
  while (b < end) {
    sum += load<f32>(a) * load<f32>(b)
    a += 4
    b += 4
  }
  return sum
}

/**
 * Columns begin ≤ n < end of y (M, N) = a (M, K) · b (N, K)ᵀ [+ bias (N)]: for a few rows, where b is read once and
 * packing it would cost more than the products.
 */
export function matmul_dot_fwd(
  y: usize,
  a: usize,
  b: usize,
  bias: usize,
  M: i32,
  N: i32,
  K: i32,
  begin: i32,
  end: i32,
): void {
  const pitch = (<usize>K) << 2
  for (let n = begin; n < end; n++) {
    const row = b + <usize>n * pitch
    const start = bias ? load<f32>(bias + ((<usize>n) << 2)) : 0
    for (let m = 0; m < M; m++) {
      store<f32>(y + ((<usize>(m * N + n)) << 2), start + dot(a + <usize>m * pitch, row, K))
    }
  }
}
