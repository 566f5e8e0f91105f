/**
 * The filter gradient by Winograd's minimal filtering on 6 × 6 tiles: F(3×3, 4×4), a quarter of the multiplications of
 * the definition, and F(5×5, 2×2) with 9/25 of them. It correlates tiles (t, t) of dy, as if they were filters, with
 * the tiles of x that the forward pass transforms too, and adds all tiles and images up before the one inverse:
 *
 *   E[f][k, tile] = (G dy Gᵀ)[f]   V[f][c, tile] = (Bᵀ x B)[f]   M[f][k, c] = Σ_tile E[f] · V[f]   dw = Aᵀ M A
 *
 * V: [frequency][panel of 8 channels][tile][8]; E: [frequency][panel of 4 channels][tile][4]; M: packed tiles (4, 8).
 */
import { panelCount, sweep } from '../../micro/gemm'
import { B_STEP, COLUMNS } from '../../micro/tile'
import { FREQUENCIES, SCRATCH_BYTES, inverseFilters, transformGradients, transformTiles } from '../../micro/winograd'
import { F32 } from '../../simd'
import { ConvShape, align, padImage } from './shape'
import { ROUNDED_BYTES, roundUp, roundUpOutput } from './tiles'

/** Input channels of one work item, and output channels whose tiles are transformed together. */
const CHANNELS_C: i32 = 64
const CHANNELS_K: i32 = 64
/** Tiles in one block: with 64 and 64 channels, V and E of one frequency fill the first-level cache. */
const TILES: i32 = 64

/** Rows of a tile of M, the four channels that are transformed together; bytes of a step of E, and of a tile. */
const ROWS: i32 = 4
const A_STEP: usize = 16
const TILE_BYTES: usize = 128

/** Bytes of scratch: transforms, the inverse of 5 × 5 filters (880), and a tile. */
const WORK_BYTES: usize = 1024

/** Sizes that the kernel and its workspace share. */
@inline
function blockC(d: ConvShape): i32 {
  return panelCount(min(CHANNELS_C, d.groupC), COLUMNS) * COLUMNS
}


@inline
function blockK(d: ConvShape): i32 {
  return panelCount(min(CHANNELS_K, d.groupK), ROWS) * ROWS
}

/** Rows and columns of a tile of dy: 4 for 3 × 3 kernels, 2 for 5 × 5. */
@inline
function tileOf(d: ConvShape): i32 {
  return 7 - d.R
}


@inline
function tilesOf(d: ConvShape): i32 {
  return panelCount(d.P, tileOf(d)) * panelCount(d.Q, tileOf(d))
}

/** Images whose tiles are taken together: several where maps are small. */
@inline
function imageBlock(d: ConvShape): i32 {
  return max(1, min(d.N, TILES / tilesOf(d)))
}

/** Bytes of one frequency of `channels` channels in a block of tiles, and of M. */
@inline
function blockStride(channels: i32): usize {
  return <usize>channels * <usize>TILES * F32 + 64
}


@inline
function sumStride(d: ConvShape): usize {
  return <usize>(panelCount(d.groupK, ROWS) * (blockC(d) / COLUMNS)) * TILE_BYTES + 64
}

/** Bytes of the rounded copy of one image of x (one block of channels), and of dy. */
function inputBytes(d: ConvShape): usize {
  const t = tileOf(d)
  return align(
    <usize>blockC(d) * <usize>(panelCount(d.P, t) * t + d.R - 1) * <usize>(panelCount(d.Q, t) * t + d.R - 1) * F32 + 64,
  )
}

function outputBytes(d: ConvShape): usize {
  const t = tileOf(d)
  return align(<usize>d.groupK * <usize>(tilesOf(d) * t * t) * F32 + 64)
}

export function conv_winograd_dw_workspace(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return (
    2 * ROUNDED_BYTES +
    WORK_BYTES +
    <usize>imageBlock(d) * (inputBytes(d) + outputBytes(d)) +
    align(FREQUENCIES * blockStride(blockC(d))) +
    align(FREQUENCIES * blockStride(blockK(d))) +
    align(FREQUENCIES * sumStride(d))
  )
}

/** Work items of conv_winograd_dw: blocks of input channels, group by group. */
export function conv_winograd_dw_items(shape: usize): i32 {
  const d = changetype<ConvShape>(shape)
  return d.G * panelCount(d.groupC, CHANNELS_C)
}

/**
 * Blocks begin ≤ item < end of dw (K, C/G, R, R). Each scans all images and tiles in rising order, so the sum does not
 * depend on how the blocks are divided.
 */
export function conv_winograd_dw(dw: usize, dy: usize, x: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const t = tileOf(d)
  const groupC = d.groupC
  const groupK = d.groupK
  const tiles = tilesOf(d)
  const tilesW = panelCount(d.Q, t)
  const images = imageBlock(d)
  const blocks = panelCount(groupC, CHANNELS_C)
  const input = roundUp(ws, shape, t)
  const output = roundUpOutput(ws + ROUNDED_BYTES, shape, t, groupK)
  const scratch = ws + 2 * ROUNDED_BYTES
  const inputs = scratch + WORK_BYTES
  const outputs = inputs + <usize>images * inputBytes(d)
  const V = outputs + <usize>images * outputBytes(d)
  const strideV = blockStride(blockC(d))
  const E = V + align(FREQUENCIES * strideV)
  const strideE = blockStride(blockK(d))
  const M = E + align(FREQUENCIES * strideE)
  const strideM = sumStride(d)
  const imageBytes = <usize>d.C * <usize>d.inputPixels * F32
  const mapBytes = <usize>d.pixels * F32
  const mapOut = <usize>output.arrayPixels * F32
  for (let item = begin; item < end; item++) {
    const g = item / blocks
    const firstC = (item % blocks) * CHANNELS_C
    const channels = min(CHANNELS_C, groupC - firstC)
    const panelsC = panelCount(channels, COLUMNS)
    input.C = channels
    memory.fill(M, 0, FREQUENCIES * strideM)
    for (let n = 0; n < d.N; n += images) {
      const count = min(images, d.N - n)
      let from = x + <usize>n * imageBytes + <usize>(g * groupC + firstC) * <usize>d.inputPixels * F32
      const x0 = input.padded ? inputs : from
      const stepX = input.padded ? inputBytes(d) : imageBytes
      for (let j = 0; j < count; j++) {
        padImage(inputs + <usize>j * inputBytes(d), from, input)
        from += imageBytes
      }
      from = dy + <usize>(n * d.K + g * groupK) * mapBytes
      const dy0 = output.padded ? outputs : from
      const stepDy = output.padded ? outputBytes(d) : <usize>d.K * mapBytes
      for (let j = 0; j < count; j++) {
        padImage(outputs + <usize>j * outputBytes(d), from, output)
        from += <usize>d.K * mapBytes
      }
      // Blocks of equal size, so that none is left with a few tiles.
      const total = count * tiles
      const block = panelCount(total, panelCount(total, TILES))
      for (let first = 0; first < total; first += block) {
        const depth = min(block, total - first)
        transformBlock(V, strideV, scratch, x0, stepX, input, channels, tiles, tilesW, first, depth, t, 0)
        for (let k = 0; k < groupK; k += CHANNELS_K) {
          const maps = min(CHANNELS_K, groupK - k)
          const dyK = dy0 + <usize>k * mapOut
          transformBlock(E, strideE, scratch, dyK, stepDy, output, maps, tiles, tilesW, first, depth, t, 1)
          for (let f: usize = 0; f < FREQUENCIES; f++) {
            let b = V + f * strideV
            let sum = M + f * strideM + <usize>(k / ROWS) * <usize>panelsC * TILE_BYTES
            for (let p = 0; p < panelsC; p++) {
              let a = E + f * strideE
              let to = sum
              for (let row = 0; row < maps; row += ROWS) {
                sweep(to, B_STEP, 0, to, B_STEP, B_STEP, a, ROWS, b, depth, COLUMNS, scratch)
                a += <usize>TILES * A_STEP
                to += <usize>panelsC * TILE_BYTES
              }
              b += <usize>TILES * B_STEP
              sum += TILE_BYTES
            }
          }
        }
      }
    }
    for (let k = 0; k < groupK; k++) {
      const tile = M + <usize>(k / ROWS) * <usize>panelsC * TILE_BYTES + <usize>(k % ROWS) * B_STEP
      const to = dw + <usize>((g * groupK + k) * groupC + firstC) * <usize>(d.R * d.R) * F32
      writeFilters(to, tile, strideM, scratch, channels, d)
    }
  }
}

/**
 * V (of x) or, with `gradient`, E (of dy) of tiles first ≤ tile < first + count, counted through images `step` bytes
 * apart; lanes beyond the last channel repeat it.
 */
function transformBlock(
  to: usize,
  stride: usize,
  scratch: usize,
  from: usize,
  step: usize,
  d: ConvShape,
  channels: i32,
  tiles: i32,
  tilesW: i32,
  first: i32,
  count: i32,
  t: i32,
  gradient: i32,
): void {
  const pitch = <usize>d.arrayW * F32
  const map = <usize>d.arrayPixels * F32
  for (let i = 0; i < count; i++) {
    const tile = (first + i) % tiles
    const origin =
      from +
      <usize>((first + i) / tiles) * step +
      <usize>((tile / tilesW) * t) * pitch +
      <usize>((tile % tilesW) * t) * F32
    for (let c = 0; c < channels; c += 4) {
      const last = channels - 1
      const p0 = origin + <usize>c * map
      const p1 = origin + <usize>min(c + 1, last) * map
      const p2 = origin + <usize>min(c + 2, last) * map
      const p3 = origin + <usize>min(c + 3, last) * map
      if (gradient) {
        const at = to + <usize>(c / ROWS) * <usize>TILES * A_STEP + <usize>i * A_STEP
        transformGradients(at, stride, scratch, p0, p1, p2, p3, pitch, t)
      } else {
        const at = to + <usize>(c / COLUMNS) * <usize>TILES * B_STEP + <usize>i * B_STEP + ((<usize>(c & 4)) << 2)
        transformTiles(at, stride, scratch, p0, p1, p2, p3, pitch)
      }
    }
  }
}

/** Filters (R, R) of one output channel at `to` from its sums: `channels` of them, flipped where the kernel is. */
function writeFilters(to: usize, sums: usize, stride: usize, scratch: usize, channels: i32, d: ConvShape): void {
  const R = d.R
  const taps = R * R
  for (let c = 0; c < channels; c += 4) {
    inverseFilters(scratch, sums + <usize>(c / COLUMNS) * TILE_BYTES + ((<usize>(c & 4)) << 2), stride, R)
    const lanes = min(4, channels - c)
    for (let lane = 0; lane < lanes; lane++) {
      for (let tap = 0; tap < taps; tap++) {
        const from = scratch + ((<usize>(d.flip ? taps - 1 - tap : tap)) << 4) + ((<usize>lane) << 2)
        store<f32>(to, load<f32>(from))
        to += F32
      }
    }
  }
}
