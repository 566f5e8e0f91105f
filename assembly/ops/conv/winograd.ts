/**
 * Convolution by Winograd's minimal filtering on 6 × 6 tiles: F(4×4, 3×3) with a quarter of the multiplications of the
 * definition, and F(2×2, 5×5) with 9/25 of them. Two directions, stride 1, dilation 1, any padding and groups.
 *
 *   U[f][k, c] = (G g Gᵀ)[f]      V[f][c, tile] = (Bᵀ d B)[f]      M[f] = U[f] · V[f]      y = Aᵀ M A
 *
 * V and M hold a block of tiles: [frequency][panel of 8 tiles][channel][8]. Each frequency begins 64 bytes later than a
 * power of two would have it, so that the 36 streams of a transform do not meet in the same cache set. The input
 * gradient is this convolution too, with transposed and rotated weights.
 */
import { A_STEP, B_STEP, COLUMNS, ROWS, TILE_BYTES, multiplyTile } from '../../micro/gemm'
import { FREQUENCIES, SCRATCH_BYTES, inverseTiles, transformFilter, transformTiles } from '../../micro/winograd'
import { F32, storeTail } from '../../simd'
import { ConvShape, align, padImage } from './shape'

/** Fields of ConvShape. */
const SHAPE_BYTES: usize = 96
/** Bytes of V and M together that a block of tiles should stay within: most of a second-level cache. */
const BLOCK_BYTES: i32 = 1 << 20


@inline
function panelCount(n: i32, width: i32): i32 {
  return (n + width - 1) / width
}

/** Outputs of one tile along each direction: 4 for 3 × 3 kernels, 2 for 5 × 5. */
@inline
function outputsOf(d: ConvShape): i32 {
  return 7 - d.R
}

/** Bytes of one frequency of U. */
@inline
function filterStride(d: ConvShape): usize {
  return <usize>panelCount(d.groupK, ROWS) * <usize>d.groupC * A_STEP + 64
}

/** Bytes of the transformed weights (G, 36, K/G, C/G). */
export function conv_winograd_packed(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return <usize>d.G * FREQUENCIES * filterStride(d)
}

/**
 * Transforms the weights: (K, C/G, R, R), or with `transposed` (C, K/G, R, R), those of the convolution whose input
 * gradient this one computes. Flipping is done here. In float64, rounded once. `ws` holds 640 bytes.
 */
export function conv_winograd_pack(packed: usize, w: usize, ws: usize, shape: usize, transposed: i32): void {
  const d = changetype<ConvShape>(shape)
  const R = d.R
  const groupC = d.groupC
  const groupK = d.groupK
  const stride = filterStride(d)
  memory.fill(packed, 0, conv_winograd_packed(shape))
  for (let g = 0; g < d.G; g++) {
    for (let k = 0; k < groupK; k++) {
      for (let c = 0; c < groupC; c++) {
        const filter = transposed ? (g * groupC + c) * groupK + k : (g * groupK + k) * groupC + c
        const taps = w + <usize>filter * <usize>(R * R) * F32
        winogradFilter(ws, taps, R, d.flip)
        let to = packed + (<usize>(k / ROWS) * <usize>groupC + <usize>c) * A_STEP + ((<usize>(k % ROWS)) << 2)
        for (let f: usize = 0; f < 36; f++) {
          store<f32>(to, <f32>load<f64>(ws + f * 8))
          to += stride
        }
      }
    }
    packed += FREQUENCIES * stride
  }
}

/** scratch (6, 6) = G g Gᵀ, in float64. */
function winogradFilter(scratch: usize, taps: usize, R: i32, flip: i32): void {
  const values = scratch + 288
  for (let r = 0; r < R; r++) {
    // One row of taps, as float64 in the first line of the result, whose turn to be written comes later.
    for (let s = 0; s < R; s++) {
      const tap = flip ? (R - 1 - r) * R + R - 1 - s : r * R + s
      store<f64>(scratch + ((<usize>s) << 3), <f64>load<f32>(taps + <usize>tap * F32))
    }
    transformFilter(values + <usize>r * 48, 8, scratch, 8, R)
  }
  for (let column: usize = 0; column < 6; column++)
    transformFilter(scratch + column * 8, 48, values + column * 8, 48, R)
}

/** Tiles in one block: as many as stay in the second-level cache, or all where the weights are what must be streamed. */
function tileBlock(d: ConvShape, tiles: i32): i32 {
  const channels = d.groupC + panelCount(d.groupK, ROWS) * ROWS
  const fitting = BLOCK_BYTES / (36 * 4 * channels)
  const wanted = max(24, min(96, fitting))
  const whole = panelCount(tiles, COLUMNS) * COLUMNS
  if (whole <= 64) return whole
  // Blocks of equal size, so that none is left with a few tiles.
  const blocks = panelCount(tiles, wanted)
  return panelCount(panelCount(tiles, blocks), COLUMNS) * COLUMNS
}

/** A copy of the shape at `to` whose output is rounded up to whole tiles: its padded input holds every tile. */
function roundUp(to: usize, shape: usize, m: i32): ConvShape {
  memory.copy(to, shape, SHAPE_BYTES)
  const d = changetype<ConvShape>(to)
  d.P = panelCount(d.P, m) * m
  d.Q = panelCount(d.Q, m) * m
  return d
}

/** Bytes of one frequency of a block of V (channels = C/G) or of M (channels = K/G, rounded up). */
@inline
function blockStride(tiles: i32, channels: i32): usize {
  return <usize>tiles * <usize>channels * F32 + 64
}

export function conv_winograd_fwd_workspace(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  const m = outputsOf(d)
  const tilesH = panelCount(d.P, m)
  const tilesW = panelCount(d.Q, m)
  const block = tileBlock(d, tilesH * tilesW)
  // The padded image reaches six columns from the last tile's origin; its rows are read by whole vectors.
  const rows = tilesH * m + d.R - 1
  const columns = tilesW * m + d.R - 1
  const image = <usize>d.C * <usize>rows * <usize>columns * F32 + 64
  const rowsK = panelCount(d.groupK, ROWS) * ROWS
  return (
    128 +
    align(image) +
    align(SCRATCH_BYTES + 256) +
    align(FREQUENCIES * blockStride(block, d.groupC)) +
    align(FREQUENCIES * blockStride(block, rowsK))
  )
}

/** Images begin ≤ n < end of y (N, K, P, Q); `packed` from conv_winograd_pack. The bias may be one for each channel. */
export function conv_winograd_fwd(
  y: usize,
  x: usize,
  packed: usize,
  bias: usize,
  ws: usize,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const m = outputsOf(d)
  const rounded = roundUp(ws, shape, m)
  const tilesW = rounded.Q / m
  const tiles = (rounded.P / m) * tilesW
  const block = tileBlock(d, tiles)
  const groupC = d.groupC
  const groupK = d.groupK
  const rowsK = panelCount(groupK, ROWS) * ROWS
  const strideV = blockStride(block, groupC)
  const strideM = blockStride(block, rowsK)
  const strideU = filterStride(d)
  const copy = ws + 128
  const scratch = copy + align(rounded.paddedBytes + 64)
  const V = scratch + align(SCRATCH_BYTES + 256)
  const M = V + align(FREQUENCIES * strideV)
  const pitch = <usize>rounded.arrayW * F32
  const channelBytes = <usize>rounded.arrayPixels * F32
  const mapBytes = <usize>d.P * <usize>d.Q * F32
  for (let n = begin; n < end; n++) {
    const image = padImage(copy, x + <usize>n * <usize>d.C * <usize>d.inputPixels * F32, rounded)
    for (let g = 0; g < d.G; g++) {
      const channels = image + <usize>(g * groupC) * channelBytes
      const maps = y + <usize>(n * d.K + g * groupK) * mapBytes
      const U = packed + <usize>g * FREQUENCIES * strideU
      for (let first = 0; first < tiles; first += block) {
        const count = min(block, tiles - first)
        const panels = panelCount(count, COLUMNS)
        transformBlock(V, strideV, scratch, channels, channelBytes, groupC, pitch, tilesW, first, count, m)
        for (let f: usize = 0; f < 36; f++) {
          const filters = U + f * strideU
          let panel = V + f * strideV
          let to = M + f * strideM
          for (let p = 0; p < panels; p++) {
            let a = filters
            for (let k = 0; k < groupK; k += ROWS) {
              multiplyTile(to, a, panel, groupC)
              a += <usize>groupC * A_STEP
              to += TILE_BYTES
            }
            panel += <usize>groupC * B_STEP
          }
        }
        for (let k = 0; k < groupK; k++) {
          const start = d.bias == 1 ? load<f32>(bias + <usize>(g * groupK + k) * F32) : 0
          writeBlock(
            maps + <usize>k * mapBytes,
            M + <usize>k * B_STEP,
            strideM,
            rowsK,
            scratch,
            start,
            d,
            tilesW,
            first,
            count,
            m,
          )
        }
      }
    }
  }
}

/** V of tiles first ≤ tile < first + count, all channels; lanes beyond the last repeat the first tile. */
function transformBlock(
  V: usize,
  stride: usize,
  scratch: usize,
  channels: usize,
  channelBytes: usize,
  groupC: i32,
  pitch: usize,
  tilesW: i32,
  first: i32,
  count: i32,
  m: i32,
): void {
  const half = panelCount(count, COLUMNS) * 2
  const down = <usize>m * pitch
  const across = <usize>m * F32
  for (let quarter = 0; quarter < half; quarter++) {
    const tile = first + quarter * 4
    const last = first + count - 1
    const t0 = min(tile, last)
    const t1 = min(tile + 1, last)
    const t2 = min(tile + 2, last)
    const t3 = min(tile + 3, last)
    let p0 = channels + <usize>(t0 / tilesW) * down + <usize>(t0 % tilesW) * across
    let p1 = channels + <usize>(t1 / tilesW) * down + <usize>(t1 % tilesW) * across
    let p2 = channels + <usize>(t2 / tilesW) * down + <usize>(t2 % tilesW) * across
    let p3 = channels + <usize>(t3 / tilesW) * down + <usize>(t3 % tilesW) * across
    let to = V + <usize>(quarter >> 1) * <usize>groupC * B_STEP + ((<usize>(quarter & 1)) << 4)
    for (let c = 0; c < groupC; c++) {
      transformTiles(to, stride, scratch, p0, p1, p2, p3, pitch)
      to += B_STEP
      p0 += channelBytes
      p1 += channelBytes
      p2 += channelBytes
      p3 += channelBytes
    }
  }
}

/** One output map of tiles first ≤ tile < first + count from M, cut off at the map's borders. */
function writeBlock(
  map: usize,
  M: usize,
  stride: usize,
  rowsK: i32,
  scratch: usize,
  bias: f32,
  d: ConvShape,
  tilesW: i32,
  first: i32,
  count: i32,
  m: i32,
): void {
  const pitch = <usize>d.Q * F32
  for (let offset = 0; offset < count; offset += 4) {
    const panel = <usize>(offset / COLUMNS)
    const from = M + panel * <usize>rowsK * B_STEP + ((<usize>(offset & 4)) << 2)
    inverseTiles(scratch, from, stride, bias, m)
    const lanes = min(4, count - offset)
    for (let lane = 0; lane < lanes; lane++) {
      const tile = first + offset + lane
      const p = (tile / tilesW) * m
      const q = (tile % tilesW) * m
      const rows = min(m, d.P - p)
      const columns = min(m, d.Q - q)
      let to = map + <usize>p * pitch + <usize>q * F32
      let row = scratch + ((<usize>lane) << 4)
      for (let i = 0; i < rows; i++) {
        if (columns == 4) v128.store(to, v128.load(row))
        else storeTail(to, v128.load(row), columns)
        to += pitch
        row += 64
      }
    }
  }
}
