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
import { panelCount, panelRows, sweep } from '../../micro/gemm'
import { B_STEP, COLUMNS, TILE_BYTES } from '../../micro/tile'
import { FREQUENCIES, SCRATCH_BYTES, inverseTiles, transformFilters, transformTiles } from '../../micro/winograd'
import { F32, storeTail } from '../../simd'
import { ConvShape, align, padImage } from './shape'
import { ROUNDED_BYTES, roundUp } from './tiles'

/** Bytes of V and M together that a block of tiles should stay within: most of a second-level cache. */
const BLOCK_BYTES: i32 = 1 << 20

/** Outputs of one tile along each direction: 4 for 3 × 3 kernels, 2 for 5 × 5. */
@inline
function outputsOf(d: ConvShape): i32 {
  return 7 - d.R
}

/** Bytes of one frequency of U. */
@inline
function filterStride(d: ConvShape): usize {
  return <usize>(d.groupK * d.groupC) * F32 + 64
}

/** Bytes of the transformed weights (G, 36, K/G, C/G). */
export function conv_winograd_packed(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return <usize>d.G * FREQUENCIES * filterStride(d)
}

/**
 * Transforms the weights: (K, C/G, R, R), or with `transposed` (C, K/G, R, R), those of the convolution whose input
 * gradient this one computes. Flipping is done here. In float64, rounded once. `ws` holds 2,048 bytes.
 */
export function conv_winograd_pack(packed: usize, w: usize, ws: usize, shape: usize, transposed: i32): void {
  const d = changetype<ConvShape>(shape)
  const groupC = d.groupC
  const groupK = d.groupK
  const stride = filterStride(d)
  const filterBytes = <usize>(d.R * d.R) * F32
  // Bytes from one filter to the next along k and along c.
  const alongK = transposed ? filterBytes : <usize>groupC * filterBytes
  const alongC = transposed ? <usize>groupK * filterBytes : filterBytes
  for (let g = 0; g < d.G; g++) {
    let to = packed
    let from = w + <usize>(g * (transposed ? groupC : groupK)) * (transposed ? alongC : alongK)
    for (let k = 0; k < groupK;) {
      const height = panelRows(groupK - k)
      for (let c = 0; c < groupC; c++) {
        const filters = from + <usize>c * alongC
        for (let pair = 0; pair < height; pair += 2) {
          const at = to + <usize>pair * F32
          winogradFilters(at, stride, filters + <usize>pair * alongK, alongK, height - pair, ws, d.R, d.flip)
        }
        to += <usize>height * F32
      }
      from += <usize>height * alongK
      k += height
    }
    packed += FREQUENCIES * stride
  }
}

/** U of two filters `along` bytes apart, of which `count` exist, into frequency f at to + f·stride. */
function winogradFilters(
  to: usize,
  stride: usize,
  from: usize,
  along: usize,
  count: i32,
  ws: usize,
  R: i32,
  flip: i32,
): void {
  const taps = R * R
  const rows = ws + 400
  const result = rows + 480
  for (let t = 0; t < taps; t++) {
    const tap = <usize>(flip ? taps - 1 - t : t) * F32
    const low: f64 = load<f32>(from + tap)
    const high: f64 = count > 1 ? <f64>load<f32>(from + along + tap) : 0
    v128.store(ws + ((<usize>t) << 4), f64x2.replace_lane(f64x2.splat(low), 1, high))
  }
  for (let r = 0; r < R; r++) transformFilters(rows + <usize>r * 96, 16, ws + ((<usize>(r * R)) << 4), 16, R)
  for (let column: usize = 0; column < 6; column++)
    transformFilters(result + column * 16, 96, rows + column * 16, 96, R)
  for (let f: usize = 0; f < 576; f += 16) {
    const both = f32x4.demote_f64x2_zero(v128.load(result + f))
    if (count > 1) v128.store64_lane(to, both, 0)
    else v128.store32_lane(to, both, 0)
    to += stride
  }
}

/** Tiles in one block: as many as stay in the second-level cache, or all where the weights are what must be streamed. */
function tileBlock(d: ConvShape, tiles: i32): i32 {
  const channels = d.groupC + d.groupK
  const fitting = BLOCK_BYTES / (36 * 4 * channels)
  const wanted = max(24, min(96, fitting))
  const whole = panelCount(tiles, COLUMNS) * COLUMNS
  if (whole <= 64) return whole
  // Blocks of equal size, so that none is left with a few tiles.
  const blocks = panelCount(tiles, wanted)
  return panelCount(panelCount(tiles, blocks), COLUMNS) * COLUMNS
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
  return (
    ROUNDED_BYTES +
    align(image) +
    align(SCRATCH_BYTES + 256) +
    2 * TILE_BYTES +
    align(FREQUENCIES * blockStride(block, d.groupC)) +
    align(FREQUENCIES * blockStride(block, d.groupK))
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
  const strideV = blockStride(block, groupC)
  const strideM = blockStride(block, groupK)
  const strideU = filterStride(d)
  const copy = ws + ROUNDED_BYTES
  const scratch = copy + align(rounded.paddedBytes + 64)
  const zero = scratch + align(SCRATCH_BYTES + 256)
  const edge = zero + TILE_BYTES
  const V = edge + TILE_BYTES
  const M = V + align(FREQUENCIES * strideV)
  const pitch = <usize>rounded.arrayW * F32
  const channelBytes = <usize>rounded.arrayPixels * F32
  const mapBytes = <usize>d.P * <usize>d.Q * F32
  memory.fill(zero, 0, B_STEP)
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
        const step = <usize>groupK * B_STEP
        for (let f: usize = 0; f < 36; f++) {
          let a = U + f * strideU
          let to = M + f * strideM
          for (let k = 0; k < groupK;) {
            const height = panelRows(groupK - k)
            sweep(to, B_STEP, step, zero, 0, 0, a, height, V + f * strideV, groupC, panels * COLUMNS, edge)
            a += <usize>(height * groupC) * F32
            to += <usize>height * B_STEP
            k += height
          }
        }
        for (let k = 0; k < groupK; k++) {
          const start = d.bias == 1 ? load<f32>(bias + <usize>(g * groupK + k) * F32) : 0
          writeBlock(
            maps + <usize>k * mapBytes,
            M + <usize>k * B_STEP,
            strideM,
            groupK,
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
  groupK: i32,
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
    const from = M + panel * <usize>groupK * B_STEP + ((<usize>(offset & 4)) << 2)
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
