/**
 * y (M, N) = op(a) · op(b) [+ bias (N)], both operands packed into panels.
 * An operand is described by the byte strides of its two directions, so transposition costs nothing.
 */
import { LONG, RUN, addRun, roundAll } from '../micro/long'
import { horizontalSum, madd } from '../simd'
import { packPanel, packRows, panelCount, panelRows, sweep } from '../micro/gemm'
import { B_STEP, COLUMNS, TILE_BYTES } from '../micro/tile'

/** Steps of k in one block: a panel of B of 512 steps (16 kB) stays in the first-level cache. */
const DEPTH: i32 = 512

/**
 * Rows of one work item: a block whose packing costs a few hundredths of its products, and down to a quarter of that where
 * there would be fewer than four items.
 */
function blockRows(M: i32, N: i32): i32 {
  let block = 256
  while (block > 64 && panelCount(M, block) * panelCount(N, block) < 4) block >>= 1
  return block
}

/** Columns of one work item: as many, or twice as many, for which rows are packed once, where that leaves four items. */
function blockColumns(M: i32, N: i32): i32 {
  const block = blockRows(M, N)
  return panelCount(M, block) * panelCount(N, 2 * block) < 4 ? block : 2 * block
}

/** Work items of `matmul_fwd`: item i is block i / across of the rows and i % across of the columns. */
export function matmul_items(M: i32, N: i32): i32 {
  return panelCount(M, blockRows(M, N)) * panelCount(N, blockColumns(M, N))
}

/** Bytes of workspace for `matmul_fwd` besides sums in float64. */
@inline
function packedBytes(M: i32, N: i32, K: i32): usize {
  const depth = <usize>min(K, DEPTH)
  return TILE_BYTES + 64 + ((<usize>min(M, blockRows(M, N)) * depth) << 2) + depth * B_STEP
}

/** Bytes of workspace for `matmul_fwd`; sums of more than LONG products have float64 numbers of one block of y. */
export function matmul_workspace(M: i32, N: i32, K: i32): f64 {
  const sums = K > LONG ? 8 * <f64>min(M, blockRows(M, N)) * <f64>min(N, blockColumns(M, N)) : 0
  return <f64>packedBytes(M, N, K) + sums
}

/**
 * Items begin ≤ item < end of y. aRow, aColumn, bRow, bColumn: byte strides of a (M, K) and b (K, N).
 * Every element sums over k in rising order, whatever the range; above LONG in runs of RUN, see micro/long.ts.
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
  const blockM = blockRows(M, N)
  const blockN = blockColumns(M, N)
  const across = panelCount(N, blockN)
  const pitch = (<usize>N) << 2
  const scratch = ws
  const first = scratch + TILE_BYTES
  const panelB = first + 64
  const panelsA = panelB + <usize>min(K, DEPTH) * B_STEP
  const sums = K > LONG ? ws + packedBytes(M, N, K) : 0
  for (let item = begin; item < end; item++) {
    const m0 = (item / across) * blockM
    const n0 = (item % across) * blockN
    const rows = min(blockM, M - m0)
    const right = min(N, n0 + blockN)
    const block = y + <usize>m0 * pitch + ((<usize>n0) << 2)
    if (sums) memory.fill(sums, 0, (<usize>(rows * (right - n0))) << 3)
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
          if (k == 0) sweep(c, pitch, 0, first, 0, 0, panel, height, panelB, 0, depth, columns, scratch)
          else sweep(c, pitch, 0, c, pitch, 32, panel, height, panelB, 0, depth, columns, scratch)
          c += <usize>height * pitch
          panel += (<usize>(height * depth)) << 2
          m += height
        }
      }
      if (sums && ((k + DEPTH) % RUN == 0 || k + DEPTH >= K))
        addBlock(sums, block, pitch, rows, right - n0, k + DEPTH >= K)
    }
  }
}

/**
 * Adds a block of y (rows, columns) to `sums`, and leaves zeros, or in the end the sums. The bias is part of the first run.
 */
function addBlock(sums: usize, y: usize, pitch: usize, rows: i32, columns: i32, last: bool): void {
  for (let m = 0; m < rows; m++) {
    addRun(sums, y, columns)
    if (last) roundAll(y, sums, columns)
    sums += (<usize>columns) << 3
    y += pitch
  }
}

/** The row that a tile starts from: `columns` (1 to 8) floats of the bias from column n on, or zeros. */
@inline
function loadRow(to: usize, bias: usize, n: i32, columns: i32): void {
  memory.fill(to, 0, B_STEP)
  if (bias) memory.copy(to, bias + ((<usize>n) << 2), (<usize>columns) << 2)
}

/**
 * start + Σ a · b over `count` floats for two rows, b0 to y0 and b1 to y1: each with two sums of every other quadruple, added
 * in the end. The rows share the vectors of a, and no more vectors are read at a time than there are
 * registers for.
 */
function dotPair(y0: usize, y1: usize, start0: f32, start1: f32, a: usize, b0: usize, b1: usize, count: i32): void {
  let s00 = f32x4.splat(0)
  let s01 = s00
  let s10 = s00
  let s11 = s00
  const whole = a + ((<usize>(count & ~7)) << 2)
  const end = a + ((<usize>count) << 2)
  while (a < whole) {
    const v0 = v128.load(a)
    const v1 = v128.load(a, 16)
    s00 = madd(v0, v128.load(b0), s00)
    s01 = madd(v1, v128.load(b0, 16), s01)
    s10 = madd(v0, v128.load(b1), s10)
    s11 = madd(v1, v128.load(b1, 16), s11)
    a += 32
    b0 += 32
    b1 += 32
  }
  let sum0 = horizontalSum(f32x4.add(s00, s01))
  let sum1 = horizontalSum(f32x4.add(s10, s11))
  while (a < end) {
    sum0 += load<f32>(a) * load<f32>(b0)
    sum1 += load<f32>(a) * load<f32>(b1)
    a += 4
    b0 += 4
    b1 += 4
  }
  store<f32>(y0, start0 + sum0)
  store<f32>(y1, start1 + sum1)
}

/**
 * Columns begin ≤ n < end of y (M, N) = a (M, K) · b (N, K)ᵀ [+ bias (N)]: for a few rows, where b is read once and
 * packing it would cost more than the products. Both halves of the columns are read at a time, each as one long run of
 * memory: neighbours would be two runs with gaps, which the processor does not fetch ahead.
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
  const half = (end - begin + 1) >> 1
  const long = K > LONG
  const run = long ? RUN : K
  for (let n = begin; n < begin + half; n++) {
    // Of an odd number of columns the last is computed twice.
    const other = min(n + half, end - 1)
    const start0 = bias ? load<f32>(bias + ((<usize>n) << 2)) : 0
    const start1 = bias ? load<f32>(bias + ((<usize>other) << 2)) : 0
    const b0 = b + <usize>n * pitch
    const b1 = b + <usize>other * pitch
    for (let m = 0; m < M; m++) {
      const row = y + ((<usize>(m * N)) << 2)
      const y0 = row + ((<usize>n) << 2)
      const y1 = row + ((<usize>other) << 2)
      const x = a + <usize>m * pitch
      let sum0 = <f64>start0
      let sum1 = <f64>start1
      // One call, which the compiler puts in its place: each takes a tenth of a row of 400.
      for (let k = 0; k < K; k += run) {
        const at = (<usize>k) << 2
        dotPair(y0, y1, long ? 0 : start0, long ? 0 : start1, x + at, b0 + at, b1 + at, min(run, K - k))
        if (!long) break
        sum0 += <f64>load<f32>(y0)
        sum1 += <f64>load<f32>(y1)
      }
      if (long) {
        store<f32>(y0, <f32>sum0)
        store<f32>(y1, <f32>sum1)
      }
    }
  }
}
