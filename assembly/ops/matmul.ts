/**
 * y (M, N) = op(a) · op(b) [+ bias (N)], both operands packed into panels.
 * An operand is described by the byte strides of its two directions, so transposition costs nothing.
 */
import { horizontalSum, madd } from '../simd'
import { A_STEP, B_STEP, COLUMNS, ROWS, TILE_BYTES, accumulateTile, packPanel, packPanels } from '../micro/gemm'

/** Steps of k in one block: a panel of B of 1024 steps (32 kB) stays in the first-level cache. */
const BLOCK: i32 = 1024

/** Bytes of workspace for `matmul_fwd`. */
export function matmul_workspace(M: i32, N: i32, K: i32): usize {
  const depth = <usize>min(K, BLOCK)
  const panels = <usize>((M + ROWS - 1) / ROWS)
  return TILE_BYTES + panels * depth * A_STEP + depth * B_STEP
}

/**
 * Rows begin ≤ m < end of y. aRow, aColumn, bRow, bColumn: byte strides of a (M, K) and b (K, N).
 * Every element sums over k in rising order, whatever the range.
 */
export function matmul_fwd(
  y: usize,
  a: usize,
  b: usize,
  bias: usize,
  ws: usize,
  N: i32,
  K: i32,
  aRow: usize,
  aColumn: usize,
  bRow: usize,
  bColumn: usize,
  begin: i32,
  end: i32,
): void {
  const rows = end - begin
  const pitch = (<usize>N) << 2
  y += <usize>begin * pitch
  a += <usize>begin * aRow
  for (let m = 0; m < rows; m++) {
    const row = y + <usize>m * pitch
    if (bias) memory.copy(row, bias, pitch)
    else memory.fill(row, 0, pitch)
  }
  const scratch = ws
  const panelA = ws + TILE_BYTES
  for (let k = 0; k < K; k += BLOCK) {
    const depth = min(BLOCK, K - k)
    const panelB = panelA + <usize>((rows + ROWS - 1) / ROWS) * <usize>depth * A_STEP
    packPanels(panelA, a + <usize>k * aColumn, ROWS, rows, aRow, depth, aColumn)
    for (let n = 0; n < N; n += COLUMNS) {
      packPanel(panelB, b + <usize>k * bRow + <usize>n * bColumn, COLUMNS, N - n, bColumn, depth, bRow)
      let c = y + ((<usize>n) << 2)
      let p = panelA
      for (let m = 0; m < rows; m += ROWS) {
        accumulateTile(c, pitch, rows - m, N - n, p, panelB, depth, scratch)
        c += pitch * ROWS
        p += <usize>depth * A_STEP
      }
    }
  }
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
