/**
 * The filter gradient on transformed tiles of e × e: by Winograd's minimal filtering, F(3×3, 4×4) on 6 × 6 with a quarter
 * of the multiplications of the definition, F(4×4, 3×3) with as many and, on 4 × 4, F(3×3, 2×2) with 4/9 of them; and by
 * Fourier transforms of 16, 32 or 64 points. It correlates tiles (t, u) of dy, as if they were filters, with the tiles of x
 * that the forward pass transforms too, and adds all tiles and images up before the one inverse. For Winograd:
 *
 *   E[f][k, tile] = (G dy Gᵀ)[f]   V[f][c, tile] = (Bᵀ x B)[f]   M[f][k, c] = Σ_tile E[f] · V[f]   dw = Aᵀ M A
 *
 * V: [frequency][panel of 8 c][tile][8]; E: [frequency][panel of h ≤ ROWS k][tile][h]; M: [frequency][panel of 8 c][k][8];
 * each tile of E and V is two where frequencies are complex (transforms.ts).
 *
 * A filter of 5 × 5 is four of 3 × 3 that overlap: its corners, each that of a channel which is x moved by 0 or 2 rows and
 * columns. The multiplications are as many as those of F(5×5, 2×2), 9/25, the errors half as large, and a quarter of the
 * tiles of dy is transformed. Below, such quarters are meant by channels where they are not those of x itself.
 */
import { panelCount, panelRows, partEnd, sweep } from '../../micro/gemm'
import { B_STEP, COLUMNS, ROWS } from '../../micro/tile'
import { F32 } from '../../simd'
import { ConvShape, LONG_SUM, SUM_RUN, align, align64, padImage } from './shape'
import { ROUNDED_BYTES, partPitch, roundUp, roundUpOutput } from './tiles'
import {
  complexOf,
  fillTables,
  frequenciesOf,
  inverseFilter,
  inverseOutput,
  lanesBytes,
  scatterLanes,
  scratchBytes,
  tableBytes,
  transformInput,
  transformOutput,
} from './transforms'

/** Input channels of one work item; output channels that are transformed together: whole panels of five or six. */
const CHANNELS_C: i32 = 64
const CHANNELS_K: i32 = 60
/** Work items that there should be, if the batch has as many images. */
const ITEMS: i32 = 8

/**
 * Tiles in one block: with these channels, V and E of one of Winograd's frequencies fill the first-level cache. Those of 64 × 64
 * points are few, since all frequencies of a block are held: 17 kB for each tile and channel.
 */
@inline
function blockTiles(e: i32): i32 {
  return e > 32 ? 8 : complexOf(e) ? 32 : 64
}

/** Bytes of a panel of E. */
@inline
function panelBytes(e: i32): usize {
  return (<usize>(ROWS * blockTiles(e)) * F32) << complexOf(e)
}

/** Whether a filter is made of four. */
@inline
function quartered(d: ConvShape, e: i32): bool {
  return e == 6 && d.R == 5
}

/** Taps of a filter that is transformed, in each direction. */
@inline
function tapsOf(d: ConvShape, e: i32): i32 {
  return quartered(d, e) ? 3 : d.R
}

/** Channels for each one of x. */
@inline
function eachOf(d: ConvShape, e: i32): i32 {
  return quartered(d, e) ? 4 : 1
}

/** Channels of a group. */
function channelsOf(d: ConvShape, e: i32): i32 {
  return d.groupC * eachOf(d, e)
}

/** Input channels of one work item, rounded up to panels. */
function blockC(d: ConvShape, e: i32): i32 {
  return panelCount(min(CHANNELS_C, channelsOf(d, e)), COLUMNS) * COLUMNS
}

/** Rows of a tile of dy. */
@inline
function tileRows(d: ConvShape, e: i32): i32 {
  return e + 1 - tapsOf(d, e)
}

/** Columns of a tile of dy: as many where the kernel is square. */
@inline
function tileColumns(d: ConvShape, e: i32): i32 {
  return tileRows(d, e) + d.R - d.S
}

function tilesOf(d: ConvShape, e: i32): i32 {
  return panelCount(d.P, tileRows(d, e)) * panelCount(d.Q, tileColumns(d, e))
}

/** Images whose tiles are taken together: several where maps are small. */
function imageBlock(d: ConvShape, e: i32): i32 {
  return max(1, min(d.N, blockTiles(e) / tilesOf(d, e)))
}

/** Bytes of one frequency in a block of tiles of V and of E, and of M. */
function inputStride(d: ConvShape, e: i32): usize {
  return ((<usize>(blockC(d, e) * blockTiles(e)) * F32) << complexOf(e)) + 64
}

function gradientStride(d: ConvShape, e: i32): usize {
  return <usize>panelCount(min(CHANNELS_K, d.groupK), ROWS) * panelBytes(e) + 64
}

function sumStride(d: ConvShape, e: i32): u64 {
  return <u64>d.groupK * <u64>blockC(d, e) * F32 + 64
}

/**
 * Scratch of one work item: of a transform, its tables, four filters, the collected lanes, their queue, and where each
 * tile of a block begins.
 */
@inline
function partsBytes(d: ConvShape): usize {
  return align(<usize>(4 * d.R) * partPitch(d.S) + <usize>(d.R * (d.R + 6)) * 16)
}

function workBytes(d: ConvShape, e: i32): usize {
  return scratchBytes(e) + align(tableBytes(e)) + partsBytes(d) + lanesBytes(e) + 64 + 256
}

/** Bytes of the rounded copy of one image of x (one block of channels), and of dy. */
function inputBytes(d: ConvShape, e: i32): u64 {
  const t = tileRows(d, e)
  const u = tileColumns(d, e)
  const rows = panelCount(d.P, t) * t + d.R - 1
  const columns = panelCount(d.Q, u) * u + d.S - 1
  return align64(<u64>(blockC(d, e) / eachOf(d, e)) * <u64>(rows * columns) * F32 + 64)
}

function outputBytes(d: ConvShape, e: i32): u64 {
  const pixels = tilesOf(d, e) * tileRows(d, e) * tileColumns(d, e)
  return align64(<u64>d.groupK * <u64>pixels * F32 + 64)
}

export function conv_transformed_dw_workspace(shape: usize, e: i32): f64 {
  const d = changetype<ConvShape>(shape)
  const frequencies = <usize>frequenciesOf(e)
  const products = frequencies << complexOf(e)
  return <f64>(
    (<u64>(2 * ROUNDED_BYTES + workBytes(d, e)) +
      <u64>imageBlock(d, e) * (inputBytes(d, e) + outputBytes(d, e)) +
      <u64>(align(frequencies * inputStride(d, e)) + align(products * gradientStride(d, e))) +
      align64(<u64>products * sumStride(d, e)))
  )
}

/**
 * Runs of images, each with a sum of its own: several only where there are few channels. Quarters of a filter have two from
 * 64 tiles on, although those are one block: half as long, their sums err less.
 */
function runsOf(d: ConvShape, e: i32): i32 {
  const blocks = d.G * panelCount(channelsOf(d, e), CHANNELS_C)
  const least = quartered(d, e) ? min(2, min(d.N, (d.N * tilesOf(d, e)) / 32)) : 1
  return min(panelCount(ITEMS, blocks), max(least, panelCount(d.N, imageBlock(d, e))))
}

/** Work items of conv_transformed_dw: for each run of images the blocks of input channels, group by group. */
export function conv_transformed_dw_items(shape: usize, e: i32): i32 {
  const d = changetype<ConvShape>(shape)
  return runsOf(d, e) * d.G * panelCount(channelsOf(d, e), CHANNELS_C)
}

/** Filter gradients that conv_transformed_dw makes, one for each run of images; more than one are to be added up. */
export function conv_transformed_dw_runs(shape: usize, e: i32): i32 {
  return runsOf(changetype<ConvShape>(shape), e)
}

/**
 * Items begin ≤ item < end of dw (runs, K, C/G, R, S). Each scans its images and all tiles in rising order, so the sum
 * does not depend on how the items are divided.
 */
export function conv_transformed_dw(
  dw: usize,
  dy: usize,
  x: usize,
  ws: usize,
  shape: usize,
  e: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const complex = complexOf(e)
  const frequencies = <usize>frequenciesOf(e)
  const products = frequencies << complex
  const t = tileRows(d, e)
  const u = tileColumns(d, e)
  const groupC = d.groupC
  const groupK = d.groupK
  const tiles = tilesOf(d, e)
  const tilesW = panelCount(d.Q, u)
  const images = imageBlock(d, e)
  const runs = runsOf(d, e)
  const blocks = panelCount(channelsOf(d, e), CHANNELS_C)
  const each = eachOf(d, e)
  const input = roundUp(ws, shape, t, u)
  const output = roundUpOutput(ws + ROUNDED_BYTES, shape, t, u, groupK)
  const scratch = ws + 2 * ROUNDED_BYTES
  const inputs = scratch + workBytes(d, e)
  const origins = inputs - 256
  const inputPitch = <usize>inputBytes(d, e)
  const outputPitch = <usize>outputBytes(d, e)
  const outputs = inputs + <usize>images * inputPitch
  const V = outputs + <usize>images * outputPitch
  const strideV = inputStride(d, e)
  const E = V + align(frequencies * strideV)
  const strideE = gradientStride(d, e)
  const M = E + align(products * strideE)
  const strideM = <usize>sumStride(d, e)
  const panelV = (<usize>blockTiles(e) * B_STEP) << complex
  const imageBytes = <usize>d.C * <usize>d.inputPixels * F32
  const mapBytes = <usize>d.pixels * F32
  const mapOut = <usize>output.arrayPixels * F32
  const filterBytes = <usize>(d.R * d.S) * F32
  fillTables(scratch + scratchBytes(e), e)
  for (let item = begin; item < end; item++) {
    const run = item / (d.G * blocks)
    const g = (item / blocks) % d.G
    const firstC = ((item % blocks) * CHANNELS_C) / each
    const channels = min(CHANNELS_C, (groupC - firstC) * each)
    const panelsC = panelCount(channels, COLUMNS)
    const lastN = partEnd(d.N, runs, run + 1)
    input.C = channels / each
    const filters = dw + <usize>((run * d.K + g * groupK) * groupC + firstC) * filterBytes
    let summed = 0
    let joins = false
    memory.fill(M, 0, products * strideM)
    for (let n = partEnd(d.N, runs, run); n < lastN; n += images) {
      const count = min(images, lastN - n)
      let from = x + <usize>n * imageBytes + <usize>(g * groupC + firstC) * <usize>d.inputPixels * F32
      const x0 = input.padded ? inputs : from
      const stepX = input.padded ? inputPitch : imageBytes
      for (let j = 0; j < count; j++) {
        padImage(inputs + <usize>j * inputPitch, from, input)
        from += imageBytes
      }
      from = dy + <usize>(n * d.K + g * groupK) * mapBytes
      const dy0 = output.padded ? outputs : from
      const stepDy = output.padded ? outputPitch : <usize>d.K * mapBytes
      for (let j = 0; j < count; j++) {
        padImage(outputs + <usize>j * outputPitch, from, output)
        from += <usize>d.K * mapBytes
      }
      // Blocks of equal size, so that none is left with a few tiles.
      const total = count * tiles
      const block = panelCount(total, panelCount(total, blockTiles(e)))
      for (let first = 0; first < total; first += block) {
        const depth = min(block, total - first)
        if (d.pixels > LONG_SUM && summed > SUM_RUN / (t * u)) {
          writeAll(filters, joins, M, strideM, scratch, channels, d, e)
          memory.fill(M, 0, products * strideM)
          joins = true
          summed = 0
        }
        summed += depth
        fillOrigins(origins, x0, stepX, input, tiles, tilesW, t, u, first, depth)
        transformInputs(V, strideV, scratch, origins, input, channels, depth, e)
        fillOrigins(origins, dy0, stepDy, output, tiles, tilesW, t, u, first, depth)
        for (let k = 0; k < groupK; k += CHANNELS_K) {
          const maps = min(CHANNELS_K, groupK - k)
          transformOutputs(E, strideE, scratch, origins, <usize>k * mapOut, output, maps, depth, t, u, e)
          for (let f: usize = 0; f < products; f++) {
            for (let panel = 0; panel < panelsC; panel++) {
              let a = E + f * strideE
              const b = V + (f >> complex) * strideV + <usize>panel * panelV
              let sum = M + f * strideM + <usize>(panel * groupK + k) * B_STEP
              for (let row = 0; row < maps;) {
                const height = panelRows(maps - row)
                sweep(sum, B_STEP, 0, sum, B_STEP, B_STEP, a, height, b, 0, depth << complex, COLUMNS, scratch)
                a += panelBytes(e)
                sum += <usize>height * B_STEP
                row += height
              }
            }
          }
        }
      }
    }
    writeAll(filters, joins, M, strideM, scratch, channels, d, e)
  }
}

/** The filters of all output channels of a group from their sums M; with `joins` they are added to those at `to`. */
function writeAll(
  to: usize,
  joins: bool,
  M: usize,
  stride: usize,
  scratch: usize,
  channels: i32,
  d: ConvShape,
  e: i32,
): void {
  const pitch = <usize>(d.groupC * d.R * d.S) * F32
  for (let k = 0; k < d.groupK; k++) {
    writeFilters(to, joins, M + <usize>k * B_STEP, stride, scratch, channels, d, e)
    to += pitch
  }
}

/** dw = the sum of what the runs of an algorithm made, in rising order: numbers begin ≤ i < end of `count`. */
export function conv_dw_sum(dw: usize, sums: usize, count: i32, runs: i32, begin: i32, end: i32): void {
  for (let i = begin; i < end; i++) {
    let from = sums + <usize>i * F32
    let sum = load<f32>(from)
    for (let run = 1; run < runs; run++) {
      from += <usize>count * F32
      sum += load<f32>(from)
    }
    store<f32>(dw + <usize>i * F32, sum)
  }
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
  u: i32,
  first: i32,
  count: i32,
): void {
  for (let i = first; i < first + count; i++) {
    const tile = i % tiles
    const pixel = (tile / tilesW) * t * d.arrayW + (tile % tilesW) * u
    store<u32>(table, <u32>(from + <usize>(i / tiles) * step + <usize>pixel * F32))
    table += 4
  }
}

/** V of `count` tiles; lanes beyond the last channel repeat it. */
function transformInputs(
  V: usize,
  stride: usize,
  scratch: usize,
  origins: usize,
  d: ConvShape,
  channels: i32,
  count: i32,
  e: i32,
): void {
  const pitch = <usize>d.arrayW * F32
  const map = <usize>d.arrayPixels * F32
  const last = channels - 1
  const complex = complexOf(e)
  const tables = scratch + scratchBytes(e)
  const quarters = quartered(d, e)
  for (let c = 0; c < channels; c += 4) {
    let to = V + ((<usize>((c / COLUMNS) * blockTiles(e)) * B_STEP) << complex) + ((<usize>(c & 4)) << 2)
    const o0 = <usize>(quarters ? c >> 2 : c) * map
    const o1 = quarters ? o0 + 2 * F32 : <usize>min(c + 1, last) * map
    const o2 = quarters ? o0 + 2 * pitch : <usize>min(c + 2, last) * map
    const o3 = quarters ? o1 + 2 * pitch : <usize>min(c + 3, last) * map
    for (let i = 0; i < count; i++) {
      const at = <usize>load<u32>(origins + ((<usize>i) << 2))
      transformInput(e, to, stride, B_STEP, scratch, tables, at + o0, at + o1, at + o2, at + o3, pitch)
      to += B_STEP << complex
    }
  }
}

/**
 * E of `count` tiles and `maps` channels from `offset` bytes behind the tiles' beginnings. Four channels of a panel are
 * transformed at a time; those beyond, and all where frequencies are complex, are collected and scattered.
 */
function transformOutputs(
  E: usize,
  stride: usize,
  scratch: usize,
  origins: usize,
  offset: usize,
  d: ConvShape,
  maps: i32,
  count: i32,
  t: i32,
  u: i32,
  e: i32,
): void {
  const map = <usize>d.arrayPixels * F32
  const pitch = <usize>d.arrayW * F32
  const queue = origins - 64
  const tables = scratch + scratchBytes(e)
  const complex = complexOf(e)
  let waiting = 0
  for (let k = 0; k < maps;) {
    const height = panelRows(maps - k)
    const step = <usize>height * F32
    for (let row = complex ? 0 : 4; row < height; row++) {
      const at = queue + ((<usize>waiting) << 4)
      store<u32>(at, <u32>(E + <usize>row * F32))
      store<u32>(at, <u32>step, 4)
      store<u32>(at, <u32>(offset + <usize>(k + row) * map), 8)
      if (++waiting == 4) {
        transformOthers(queue, 4, stride, scratch, origins, d, count, t, u, e)
        waiting = 0
      }
    }
    if (!complex) {
      const last = maps - 1
      const o0 = offset + <usize>k * map
      const o1 = offset + <usize>min(k + 1, last) * map
      const o2 = offset + <usize>min(k + 2, last) * map
      const o3 = offset + <usize>min(k + 3, last) * map
      let to = E
      for (let i = 0; i < count; i++) {
        const at = <usize>load<u32>(origins + ((<usize>i) << 2))
        transformOutput(e, to, stride, 0, scratch, tables, at + o0, at + o1, at + o2, at + o3, pitch, t, u)
        to += step
      }
    }
    E += panelBytes(e)
    k += height
  }
  if (waiting) transformOthers(queue, waiting, stride, scratch, origins, d, count, t, u, e)
}

/** E of one to four channels: `queue` has 16 bytes for each, where to write, how far apart, and its offset. */
function transformOthers(
  queue: usize,
  waiting: i32,
  stride: usize,
  scratch: usize,
  origins: usize,
  d: ConvShape,
  count: i32,
  t: i32,
  u: i32,
  e: i32,
): void {
  for (let lane = waiting; lane < 4; lane++) memory.copy(queue + ((<usize>lane) << 4), queue, 16)
  const lanes = queue - lanesBytes(e)
  const tables = scratch + scratchBytes(e)
  const pitch = <usize>d.arrayW * F32
  const o0 = <usize>load<u32>(queue, 8)
  const o1 = <usize>load<u32>(queue, 24)
  const o2 = <usize>load<u32>(queue, 40)
  const o3 = <usize>load<u32>(queue, 56)
  const apart: usize = 16 << complexOf(e)
  for (let i = 0; i < count; i++) {
    const at = <usize>load<u32>(origins + ((<usize>i) << 2))
    transformOutput(e, lanes, apart, 16, scratch, tables, at + o0, at + o1, at + o2, at + o3, pitch, t, u)
    scatterLanes(queue, lanes, stride, e)
  }
}

/** Filters of one output channel at `to` from its sums: those of `channels`, flipped where the kernel is. */
function writeFilters(
  to: usize,
  joins: bool,
  sums: usize,
  stride: usize,
  scratch: usize,
  channels: i32,
  d: ConvShape,
  e: i32,
): void {
  const R = d.R
  const S = d.S
  const taps = tapsOf(d, e)
  const tables = scratch + scratchBytes(e)
  const filters = tables + align(tableBytes(e))
  const complex = complexOf(e)
  // Bytes from tap to tap along a row, from row to row, and from channel to channel of what an inverse leaves.
  const column: usize = complex ? F32 : 16
  const pitch = complex ? partPitch(S) : <usize>taps * 16
  const along = complex ? <usize>R * pitch : F32
  for (let c = 0; c < channels; c += 4) {
    const from = sums + <usize>((c / COLUMNS) * d.groupK) * B_STEP + ((<usize>(c & 4)) << 2)
    if (complex) {
      const none = tables - 64
      v128.store(none, f32x4.splat(0))
      const f1 = filters + along
      inverseOutput(e, filters, f1, f1 + along, f1 + 2 * along, pitch, scratch, tables, from, stride, none, R, S)
    } else inverseFilter(e, filters, from, stride, taps)
    const count = quartered(d, e) ? 1 : min(4, channels - c)
    for (let lane = 0; lane < count; lane++) {
      const filter = filters + <usize>lane * along
      for (let row = 0; row < R; row++) {
        const r = d.flip ? R - 1 - row : row
        // Rows and columns beyond the third are the last two of another quarter.
        const from = filter + (r < taps ? <usize>r * pitch : 2 * along + <usize>(r - 2) * pitch)
        for (let tap = 0; tap < S; tap++) {
          const s = d.flip ? S - 1 - tap : tap
          const value = load<f32>(from + (complex || s < taps ? <usize>s * column : along + <usize>(s - 2) * column))
          store<f32>(to, joins ? load<f32>(to) + value : value)
          to += F32
        }
      }
    }
  }
}
