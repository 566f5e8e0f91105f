/**
 * The filter gradient by Winograd's minimal filtering on e × e tiles: F(3×3, 4×4) on 6 × 6, a quarter of the
 * multiplications of the definition, F(5×5, 2×2) with 9/25 and, on 4 × 4, F(3×3, 2×2) with 4/9 of them. It correlates
 * tiles (t, t) of dy, as if they were filters, with the tiles of x that the forward pass transforms too, and adds all
 * tiles and images up before the one inverse:
 *
 *   E[f][k, tile] = (G dy Gᵀ)[f]   V[f][c, tile] = (Bᵀ x B)[f]   M[f][k, c] = Σ_tile E[f] · V[f]   dw = Aᵀ M A
 *
 * V: [frequency][panel of 8 c][tile][8]; E: [frequency][panel of h ≤ ROWS k][tile][h]; M: [frequency][panel of 8 c][k][8].
 */
import { panelCount, panelRows, partEnd, sweep } from '../../micro/gemm'
import { B_STEP, COLUMNS, ROWS, TILE_BYTES } from '../../micro/tile'
import { SCRATCH_BYTES, inverseFilters, transformGradients, transformTiles } from '../../micro/winograd'
import { inverseFilters4, transformGradients4, transformTiles4 } from '../../micro/winograd4'
import { F32 } from '../../simd'
import { ConvShape, align, padImage } from './shape'
import { ROUNDED_BYTES, roundUp, roundUpOutput, scatterLanes } from './tiles'

/** Input channels of one work item; output channels that are transformed together: whole panels of five or six. */
const CHANNELS_C: i32 = 64
const CHANNELS_K: i32 = 60
/** Tiles in one block: with these channels, V and E of one frequency fill the first-level cache. */
const TILES: i32 = 64

/** Work items that there should be, if the batch has as many images. */
const RUNS: i32 = 8

/** Bytes of a panel of E. */
const PANEL_BYTES: usize = <usize>(ROWS * TILES) * F32

/** Scratch: a transform or inverse (880 bytes), lanes, their queue, and where each tile of a block begins. */
const LANES: usize = 960
const QUEUE: usize = LANES + SCRATCH_BYTES
const ORIGINS: usize = QUEUE + 64
const WORK_BYTES: usize = ORIGINS + 256 + TILE_BYTES

/** Input channels of one work item, rounded up to panels. */
@inline
function blockC(d: ConvShape): i32 {
  return panelCount(min(CHANNELS_C, d.groupC), COLUMNS) * COLUMNS
}

/** Rows and columns of a tile of dy. */
@inline
function tileOf(d: ConvShape, e: i32): i32 {
  return e + 1 - d.R
}


@inline
function tilesOf(d: ConvShape, e: i32): i32 {
  return panelCount(d.P, tileOf(d, e)) * panelCount(d.Q, tileOf(d, e))
}

/** Images whose tiles are taken together: several where maps are small. */
@inline
function imageBlock(d: ConvShape, e: i32): i32 {
  return max(1, min(d.N, TILES / tilesOf(d, e)))
}

/** Bytes of one frequency in a block of tiles of V and of E, and of M. */
@inline
function inputStride(d: ConvShape): usize {
  return <usize>(blockC(d) * TILES) * F32 + 64
}


@inline
function gradientStride(d: ConvShape): usize {
  return <usize>panelCount(min(CHANNELS_K, d.groupK), ROWS) * PANEL_BYTES + 64
}


@inline
function sumStride(d: ConvShape): usize {
  return <usize>(d.groupK * blockC(d)) * F32 + 64
}

/** Bytes of the rounded copy of one image of x (one block of channels), and of dy. */
function inputBytes(d: ConvShape, e: i32): usize {
  const t = tileOf(d, e)
  return align(
    <usize>blockC(d) * <usize>(panelCount(d.P, t) * t + d.R - 1) * <usize>(panelCount(d.Q, t) * t + d.R - 1) * F32 + 64,
  )
}

function outputBytes(d: ConvShape, e: i32): usize {
  const t = tileOf(d, e)
  return align(<usize>d.groupK * <usize>(tilesOf(d, e) * t * t) * F32 + 64)
}

export function conv_winograd_dw_workspace(shape: usize, e: i32): usize {
  const d = changetype<ConvShape>(shape)
  const frequencies = <usize>(e * e)
  return (
    2 * ROUNDED_BYTES +
    WORK_BYTES +
    <usize>imageBlock(d, e) * (inputBytes(d, e) + outputBytes(d, e)) +
    align(frequencies * inputStride(d)) +
    align(frequencies * gradientStride(d))
  )
}

/** Blocks of input channels, group by group. */
@inline
function channelBlocks(d: ConvShape): i32 {
  return d.G * panelCount(d.groupC, CHANNELS_C)
}

/** Runs of images whose sums are added up in the end: several only where there are few channels. */
@inline
function imageRuns(d: ConvShape, e: i32): i32 {
  return min(panelCount(d.N, imageBlock(d, e)), panelCount(RUNS, channelBlocks(d)))
}

/** Bytes of M of one block of channels and one run of images. */
@inline
function sumBytes(d: ConvShape, e: i32): usize {
  return align(<usize>(e * e) * sumStride(d))
}

/** Bytes of `sums`. */
export function conv_winograd_dw_sums(shape: usize, e: i32): usize {
  const d = changetype<ConvShape>(shape)
  return <usize>conv_winograd_dw_items(shape, e) * sumBytes(d, e)
}

/** Work items of conv_winograd_dw: blocks of input channels, for each run of images. */
export function conv_winograd_dw_items(shape: usize, e: i32): i32 {
  const d = changetype<ConvShape>(shape)
  return channelBlocks(d) * imageRuns(d, e)
}

/** Items begin ≤ item < end of M, in `sums`; images and tiles are summed in rising order. */
export function conv_winograd_dw(
  sums: usize,
  dy: usize,
  x: usize,
  ws: usize,
  shape: usize,
  e: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const frequencies = <usize>(e * e)
  const t = tileOf(d, e)
  const groupC = d.groupC
  const groupK = d.groupK
  const tiles = tilesOf(d, e)
  const tilesW = panelCount(d.Q, t)
  const images = imageBlock(d, e)
  const blocks = panelCount(groupC, CHANNELS_C)
  const input = roundUp(ws, shape, t)
  const output = roundUpOutput(ws + ROUNDED_BYTES, shape, t, groupK)
  const scratch = ws + 2 * ROUNDED_BYTES
  const inputs = scratch + WORK_BYTES
  const outputs = inputs + <usize>images * inputBytes(d, e)
  const V = outputs + <usize>images * outputBytes(d, e)
  const strideV = inputStride(d)
  const E = V + align(frequencies * strideV)
  const strideE = gradientStride(d)
  const strideM = sumStride(d)
  const runs = imageRuns(d, e)
  const imageBytes = <usize>d.C * <usize>d.inputPixels * F32
  const mapBytes = <usize>d.pixels * F32
  const mapOut = <usize>output.arrayPixels * F32
  for (let item = begin; item < end; item++) {
    const run = item % runs
    const g = item / runs / blocks
    const firstC = ((item / runs) % blocks) * CHANNELS_C
    const M = sums + <usize>item * sumBytes(d, e)
    const lastN = partEnd(d.N, runs, run + 1)
    const channels = min(CHANNELS_C, groupC - firstC)
    const panelsC = panelCount(channels, COLUMNS)
    input.C = channels
    memory.fill(M, 0, frequencies * strideM)
    for (let n = partEnd(d.N, runs, run); n < lastN; n += images) {
      const count = min(images, lastN - n)
      let from = x + <usize>n * imageBytes + <usize>(g * groupC + firstC) * <usize>d.inputPixels * F32
      const x0 = input.padded ? inputs : from
      const stepX = input.padded ? inputBytes(d, e) : imageBytes
      for (let j = 0; j < count; j++) {
        padImage(inputs + <usize>j * inputBytes(d, e), from, input)
        from += imageBytes
      }
      from = dy + <usize>(n * d.K + g * groupK) * mapBytes
      const dy0 = output.padded ? outputs : from
      const stepDy = output.padded ? outputBytes(d, e) : <usize>d.K * mapBytes
      for (let j = 0; j < count; j++) {
        padImage(outputs + <usize>j * outputBytes(d, e), from, output)
        from += <usize>d.K * mapBytes
      }
      // Blocks of equal size, so that none is left with a few tiles.
      const total = count * tiles
      const block = panelCount(total, panelCount(total, TILES))
      for (let first = 0; first < total; first += block) {
        const depth = min(block, total - first)
        fillOrigins(scratch + ORIGINS, x0, stepX, input, tiles, tilesW, t, first, depth)
        transformInputs(V, strideV, scratch, input, channels, depth, e)
        fillOrigins(scratch + ORIGINS, dy0, stepDy, output, tiles, tilesW, t, first, depth)
        for (let k = 0; k < groupK; k += CHANNELS_K) {
          const maps = min(CHANNELS_K, groupK - k)
          transformOutputs(E, strideE, scratch, <usize>k * mapOut, output, maps, depth, t, e)
          for (let f: usize = 0; f < frequencies; f++) {
            for (let panel = 0; panel < panelsC; panel++) {
              let a = E + f * strideE
              const b = V + f * strideV + <usize>(panel * TILES) * B_STEP
              let sum = M + f * strideM + <usize>(panel * groupK + k) * B_STEP
              for (let row = 0; row < maps;) {
                const height = panelRows(maps - row)
                sweep(sum, B_STEP, 0, sum, B_STEP, B_STEP, a, height, b, depth, COLUMNS, scratch)
                a += PANEL_BYTES
                sum += <usize>height * B_STEP
                row += height
              }
            }
          }
        }
      }
    }
  }
}

/**
 * Filters begin ≤ item < end of dw (K, C/G, R, R), counted through the blocks of channels: the sums of the runs of images
 * are added in rising order, in place, and transformed back. `ws` holds 1,024 bytes.
 */
export function conv_winograd_dw_sum(
  dw: usize,
  sums: usize,
  ws: usize,
  shape: usize,
  e: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const groupC = d.groupC
  const groupK = d.groupK
  const blocks = panelCount(groupC, CHANNELS_C)
  const runs = imageRuns(d, e)
  const bytes = sumBytes(d, e)
  const stride = sumStride(d)
  const panelBytes = <usize>groupK * B_STEP
  for (let item = begin; item < end; item++) {
    const k = item % groupK
    const block = item / groupK
    const g = block / blocks
    const firstC = (block % blocks) * CHANNELS_C
    const channels = min(CHANNELS_C, groupC - firstC)
    const M = sums + <usize>(block * runs) * bytes + <usize>k * B_STEP
    for (let f = 0; f < e * e; f++) {
      let to = M + <usize>f * stride
      for (let c = 0; c < channels; c += COLUMNS) {
        let low = v128.load(to)
        let high = v128.load(to, 16)
        let from = to
        for (let run = 1; run < runs; run++) {
          from += bytes
          low = f32x4.add(low, v128.load(from))
          high = f32x4.add(high, v128.load(from, 16))
        }
        v128.store(to, low)
        v128.store(to, high, 16)
        to += panelBytes
      }
    }
    const to = dw + <usize>((g * groupK + k) * groupC + firstC) * <usize>(d.R * d.R) * F32
    writeFilters(to, M, stride, ws, channels, d, e)
  }
}

/** Filters to be counted by conv_winograd_dw_sum. */
export function conv_winograd_dw_filters(shape: usize): i32 {
  const d = changetype<ConvShape>(shape)
  return channelBlocks(d) * d.groupK
}

/** Where tiles first ≤ tile < first + count begin, counted through images `step` bytes apart. */
function fillOrigins(
  table: usize,
  from: usize,
  step: usize,
  d: ConvShape,
  tiles: i32,
  tilesW: i32,
  t: i32,
  first: i32,
  count: i32,
): void {
  for (let i = first; i < first + count; i++) {
    const tile = i % tiles
    const pixel = (tile / tilesW) * t * d.arrayW + (tile % tilesW) * t
    store<u32>(table, <u32>(from + <usize>(i / tiles) * step + <usize>pixel * F32))
    table += 4
  }
}

/** V of `count` tiles; lanes beyond the last channel repeat it. */
function transformInputs(
  V: usize,
  stride: usize,
  scratch: usize,
  d: ConvShape,
  channels: i32,
  count: i32,
  e: i32,
): void {
  const pitch = <usize>d.arrayW * F32
  const map = <usize>d.arrayPixels * F32
  const last = channels - 1
  for (let c = 0; c < channels; c += 4) {
    let to = V + <usize>((c / COLUMNS) * TILES) * B_STEP + ((<usize>(c & 4)) << 2)
    const o0 = <usize>c * map
    const o1 = <usize>min(c + 1, last) * map
    const o2 = <usize>min(c + 2, last) * map
    const o3 = <usize>min(c + 3, last) * map
    for (let i = 0; i < count; i++) {
      const at = <usize>load<u32>(scratch + ORIGINS + ((<usize>i) << 2))
      if (e == 6) transformTiles(to, stride, scratch, at + o0, at + o1, at + o2, at + o3, pitch)
      else transformTiles4(to, stride, scratch, at + o0, at + o1, at + o2, at + o3, pitch)
      to += B_STEP
    }
  }
}

/**
 * E of `count` tiles and `maps` channels from `offset` bytes behind the tiles' beginnings. Four channels of a panel are
 * transformed at a time; those beyond are collected from four panels.
 */
function transformOutputs(
  E: usize,
  stride: usize,
  scratch: usize,
  offset: usize,
  d: ConvShape,
  maps: i32,
  count: i32,
  t: i32,
  e: i32,
): void {
  const map = <usize>d.arrayPixels * F32
  const queue = scratch + QUEUE
  let waiting = 0
  for (let k = 0; k < maps;) {
    const height = panelRows(maps - k)
    const step = <usize>height * F32
    for (let row = 4; row < height; row++) {
      const at = queue + ((<usize>waiting) << 4)
      store<u32>(at, <u32>(E + <usize>row * F32))
      store<u32>(at, <u32>step, 4)
      store<u32>(at, <u32>(offset + <usize>(k + row) * map), 8)
      if (++waiting == 4) {
        transformOthers(queue, 4, stride, scratch, d, count, t, e)
        waiting = 0
      }
    }
    const last = maps - 1
    const o0 = offset + <usize>k * map
    const o1 = offset + <usize>min(k + 1, last) * map
    const o2 = offset + <usize>min(k + 2, last) * map
    const o3 = offset + <usize>min(k + 3, last) * map
    let to = E
    for (let i = 0; i < count; i++) {
      const at = <usize>load<u32>(scratch + ORIGINS + ((<usize>i) << 2))
      transformFour(to, stride, scratch, at + o0, at + o1, at + o2, at + o3, d, t, e)
      to += step
    }
    E += PANEL_BYTES
    k += height
  }
  if (waiting) transformOthers(queue, waiting, stride, scratch, d, count, t, e)
}

/** E of one to four channels of different panels: `queue` has 16 bytes for each, where to write, how far apart, its offset. */
function transformOthers(
  queue: usize,
  waiting: i32,
  stride: usize,
  scratch: usize,
  d: ConvShape,
  count: i32,
  t: i32,
  e: i32,
): void {
  for (let lane = waiting; lane < 4; lane++) memory.copy(queue + ((<usize>lane) << 4), queue, 16)
  const o0 = <usize>load<u32>(queue, 8)
  const o1 = <usize>load<u32>(queue, 24)
  const o2 = <usize>load<u32>(queue, 40)
  const o3 = <usize>load<u32>(queue, 56)
  for (let i = 0; i < count; i++) {
    const at = <usize>load<u32>(scratch + ORIGINS + ((<usize>i) << 2))
    transformFour(scratch + LANES, 16, scratch, at + o0, at + o1, at + o2, at + o3, d, t, e)
    scatterLanes(queue, scratch + LANES, stride, e)
  }
}


@inline
function transformFour(
  to: usize,
  stride: usize,
  scratch: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  d: ConvShape,
  t: i32,
  e: i32,
): void {
  const pitch = <usize>d.arrayW * F32
  if (e == 6) transformGradients(to, stride, scratch, p0, p1, p2, p3, pitch, t)
  else transformGradients4(to, stride, scratch, p0, p1, p2, p3, pitch)
}

/** Filters (R, R) of one output channel at `to` from its sums: `channels` of them, flipped where the kernel is. */
function writeFilters(
  to: usize,
  sums: usize,
  stride: usize,
  scratch: usize,
  channels: i32,
  d: ConvShape,
  e: i32,
): void {
  const R = d.R
  const taps = R * R
  for (let c = 0; c < channels; c += 4) {
    const from = sums + <usize>((c / COLUMNS) * d.groupK) * B_STEP + ((<usize>(c & 4)) << 2)
    if (e == 6) inverseFilters(scratch, from, stride, R)
    else inverseFilters4(scratch, from, stride)
    const lanes = min(4, channels - c)
    for (let lane = 0; lane < lanes; lane++) {
      for (let tap = 0; tap < taps; tap++) {
        const value = scratch + ((<usize>(d.flip ? taps - 1 - tap : tap)) << 4) + ((<usize>lane) << 2)
        store<f32>(to, load<f32>(value))
        to += F32
      }
    }
  }
}
