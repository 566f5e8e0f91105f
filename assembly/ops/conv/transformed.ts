/**
 * Convolution on transformed tiles of e × e: by Winograd's minimal filtering, F(4×4, 3×3) on 6 × 6 with a quarter of the
 * multiplications of the definition, F(2×2, 5×5) on 6 × 6 with 9/25 and F(2×2, 3×3) on 4 × 4 with 4/9 of them; and by
 * Fourier transforms of 16, 32 or 64 points, overlap and discard, for large kernels. Two directions, stride 1, dilation 1, any
 * padding and groups; Winograd's kernels are square. For Winograd:
 *
 *   U[f][k, c] = (G g Gᵀ)[f]      V[f][c, tile] = (Bᵀ d B)[f]      M[f] = U[f] · V[f]      y = Aᵀ M A
 *
 * A block of tiles, counted through several images where maps are small, is transformed, multiplied and transformed back
 * before the next one. U: [frequency][panel of h ≤ ROWS k][c][h]; V: [frequency][panel of 8 tiles][c][8]; M: [frequency]
 * [panel of 8 tiles][k][8]; each c of U and V is two where frequencies are complex (transforms.ts). Each frequency begins
 * 64 bytes later than a power of two would have it, so that the streams of a transform do not meet in the same cache set.
 * The input gradient is this convolution too, with transposed and rotated weights.
 */
import { fftTiles } from '../../micro/fft'
import { panelCount, panelRows, partEnd, sweep } from '../../micro/gemm'
import { B_STEP, COLUMNS, ROWS, Rows1, Rows2, Rows3, Rows4, Rows5, Rows6, TILE_BYTES, halfTile } from '../../micro/tile'
import { transformFilters } from '../../micro/winograd'
import { transformFilters4 } from '../../micro/winograd4'
import { F32, storeTail } from '../../simd'
import { ConvShape, align, align64, padRegion } from './shape'
import { ROUNDED_BYTES, partPitch, roundUp } from './tiles'
import {
  complexOf,
  fillTables,
  frequenciesOf,
  inverseOutput,
  lanesBytes,
  scatterLanes,
  scratchBytes,
  tableBytes,
  transformInput,
} from './transforms'

/** Bytes of V and M together that a block of tiles should stay within: most of a second-level cache. */
const BLOCK_BYTES: i32 = 1 << 20
/** Tiles in one block: at least and at most, and what an image may have to be taken whole. */
const FEWEST: i32 = 24
const MOST: i32 = 96
const WHOLE: i32 = 64
/** Panels of transposed filters that are packed together: neighbours in memory, which would be read for each panel anew. */
const PACKED_TOGETHER: i32 = 8
/** Work items that there should be at least. */
const SHARES: i32 = 4

/** Rows of outputs of one tile. */
@inline
function tileRows(d: ConvShape, e: i32): i32 {
  return e + 1 - d.R
}

/** Columns of outputs of one tile. */
@inline
function tileColumns(d: ConvShape, e: i32): i32 {
  return e + 1 - d.S
}

function tilesOf(d: ConvShape, e: i32): i32 {
  return panelCount(d.P, tileRows(d, e)) * panelCount(d.Q, tileColumns(d, e))
}

/** Bytes of one frequency of U. */
@inline
function filterStride(d: ConvShape, e: i32): u64 {
  return ((<u64>(d.groupK * d.groupC) * F32) << complexOf(e)) + 64
}

/** Bytes of the transformed weights (G, frequencies, K/G, C/G). */
export function conv_transformed_packed(shape: usize, e: i32): f64 {
  const d = changetype<ConvShape>(shape)
  return <f64>(<u64>d.G * <u64>(frequenciesOf(e) << complexOf(e)) * filterStride(d, e))
}

/** Bytes that conv_transformed_pack works in: for Fourier transforms also four filters and where they go. */
export function conv_transformed_pack_workspace(shape: usize, e: i32): usize {
  if (!complexOf(e)) return 2048
  const d = changetype<ConvShape>(shape)
  return 64 + align(<usize>(4 * d.R * d.S) * F32) + align(tableBytes(e)) + scratchBytes(e) + lanesBytes(e)
}

/**
 * Transforms the weights: (K, C/G, R, S), or with `transposed` (C, K/G, R, S), those of the convolution whose input
 * gradient this one computes. Flipping is done here. Winograd's in float64, rounded once. Items are panels of output
 * channels.
 */
export function conv_transformed_pack(
  packed: usize,
  w: usize,
  ws: usize,
  shape: usize,
  transposed: i32,
  e: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const groupC = d.groupC
  const groupK = d.groupK
  const panels = panelCount(groupK, ROWS)
  const complex = complexOf(e)
  const stride = <usize>filterStride(d, e)
  const groupBytes = <usize>(frequenciesOf(e) << complex) * stride
  if (complex) fillTables(ws + 64 + align(<usize>(4 * d.R * d.S) * F32), e)
  const filterBytes = <usize>(d.R * d.S) * F32
  // Bytes from one filter to the next along k and along c.
  const alongK = transposed ? filterBytes : <usize>groupC * filterBytes
  const alongC = transposed ? <usize>groupK * filterBytes : filterBytes
  for (let item = begin; item < end;) {
    const g = item / panels
    const count = min(transposed && !complex ? PACKED_TOGETHER : 1, min(end, (g + 1) * panels) - item)
    const firstK = partEnd(groupK, panels, item % panels)
    const lastK = partEnd(groupK, panels, (item % panels) + count)
    let from = w + <usize>(g * (transposed ? groupC : groupK)) * (transposed ? alongC : alongK)
    for (let c = 0; c < groupC; c++) {
      for (let k = firstK; k < lastK;) {
        const height = panelRows(groupK - k)
        const to = packed + <usize>g * groupBytes + ((<usize>(k * groupC + height * c) * F32) << complex)
        const filter = from + <usize>k * alongK
        if (complex) fourierFilters(to, stride, filter, alongK, height, ws, d.R, d.S, d.flip, e)
        for (let pair = complex ? height : 0; pair < height; pair += 2) {
          const at = to + <usize>pair * F32
          winogradFilters(at, stride, filter + <usize>pair * alongK, alongK, height - pair, ws, d.R, d.flip, e)
        }
        k += height
      }
      from += alongC
    }
    item += count
  }
}

/** Work items of conv_transformed_pack: panels of output channels. */
export function conv_transformed_pack_items(shape: usize): i32 {
  const d = changetype<ConvShape>(shape)
  return d.G * panelCount(d.groupK, ROWS)
}

/** U of `count` filters `along` bytes apart, the rows of one panel, four at a time. */
function fourierFilters(
  to: usize,
  stride: usize,
  from: usize,
  along: usize,
  count: i32,
  ws: usize,
  R: i32,
  S: i32,
  flip: i32,
  e: i32,
): void {
  const taps = R * S
  const bytes = <usize>taps * F32
  const copies = ws + 64
  const tables = copies + align(4 * bytes)
  const scratch = tables + align(tableBytes(e))
  const lanes = scratch + scratchBytes(e)
  for (let row = 0; row < count; row += 4) {
    for (let lane = 0; lane < 4; lane++) {
      const filter = min(row + lane, count - 1)
      const source = from + <usize>filter * along
      const copy = copies + <usize>lane * bytes
      for (let t = 0; t < taps; t++) {
        store<f32>(copy + <usize>t * F32, load<f32>(source + <usize>(flip ? taps - 1 - t : t) * F32))
      }
      store<u32>(ws + ((<usize>lane) << 4), <u32>(to + <usize>filter * F32))
      store<u32>(ws + ((<usize>lane) << 4), <u32>(<usize>count * F32), 4)
    }
    const last = copies + 3 * bytes
    fftTiles(lanes, 32, 16, scratch, tables, e, copies, copies + bytes, copies + 2 * bytes, last, <usize>S * F32, R, S)
    scatterLanes(ws, lanes, stride, e)
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
  e: i32,
): void {
  const taps = R * R
  const rows = ws + 400
  const result = rows + 480
  const pitch = (<usize>e) << 4
  for (let t = 0; t < taps; t++) {
    const tap = <usize>(flip ? taps - 1 - t : t) * F32
    const low: f64 = load<f32>(from + tap)
    const high: f64 = count > 1 ? <f64>load<f32>(from + along + tap) : 0
    v128.store(ws + ((<usize>t) << 4), f64x2.replace_lane(f64x2.splat(low), 1, high))
  }
  for (let r = 0; r < R; r++) {
    const row = ws + ((<usize>(r * R)) << 4)
    if (e == 6) transformFilters(rows + <usize>r * pitch, 16, row, 16, R)
    else transformFilters4(rows + <usize>r * pitch, 16, row, 16)
  }
  for (let column: usize = 0; column < pitch; column += 16) {
    if (e == 6) transformFilters(result + column, pitch, rows + column, pitch, R)
    else transformFilters4(result + column, pitch, rows + column, pitch)
  }
  const end = <usize>e * pitch
  for (let f: usize = 0; f < end; f += 16) {
    const both = f32x4.demote_f64x2_zero(v128.load(result + f))
    if (count > 1) v128.store64_lane(to, both, 0)
    else v128.store32_lane(to, both, 0)
    to += stride
  }
}

/** Images whose tiles are taken together: where there are several, they are one block. */
function imageBlock(d: ConvShape, e: i32): i32 {
  return max(1, min(d.N, wantedTiles(d, e) / tilesOf(d, e)))
}

/** Tiles in one block, as many as stay in the second-level cache. */
function wantedTiles(d: ConvShape, e: i32): i32 {
  const tileBytes = (<i64>(frequenciesOf(e) * 4) * <i64>(d.groupC + d.groupK)) << complexOf(e)
  return max(FEWEST, <i32>min(<i64>MOST, BLOCK_BYTES / tileBytes))
}

/** Tiles in each block of `total`: equal sizes, so that none is left with a few tiles; all of a small map. */
function tileBlock(d: ConvShape, e: i32, total: i32): i32 {
  const block = total <= WHOLE ? total : panelCount(total, panelCount(total, wantedTiles(d, e)))
  return panelCount(block, COLUMNS) * COLUMNS
}

/** Tiles in each block of the images that are taken together. */
function largestBlock(d: ConvShape, e: i32): i32 {
  return tileBlock(d, e, imageBlock(d, e) * tilesOf(d, e))
}

/** Blocks of tiles in the images that are taken together. */
function blocksOf(d: ConvShape, e: i32): i32 {
  return panelCount(imageBlock(d, e) * tilesOf(d, e), largestBlock(d, e))
}

/** Parts of the output channels of a group: several only where there are few blocks. */
function channelShares(d: ConvShape, e: i32): i32 {
  const blocks = panelCount(d.N, imageBlock(d, e)) * blocksOf(d, e) * d.G
  return min(panelCount(SHARES, blocks), panelCount(d.groupK, 32))
}

/** Rows of the padded input that a block of tiles reads. */
function regionRows(d: ConvShape, e: i32): i32 {
  const tilesH = panelCount(d.P, tileRows(d, e))
  const tilesW = panelCount(d.Q, tileColumns(d, e))
  const lines = blocksOf(d, e) == 1 ? tilesH : min(tilesH, panelCount(largestBlock(d, e) - 1, tilesW) + 1)
  return (lines - 1) * tileRows(d, e) + e
}

/** Bytes of that part of the channels of a group of one image. */
function regionBytes(d: ConvShape, e: i32): u64 {
  const l = tileColumns(d, e)
  const columns = panelCount(d.Q, l) * l + d.S - 1
  return align64(<u64>d.groupC * <u64>(regionRows(d, e) * columns) * F32 + 64)
}

/** Bytes of one frequency of a block of V (`depth` = C/G, twice that where it is complex) or of M (K/G). */
@inline
function blockStride(tiles: i32, depth: i32): u64 {
  return <u64>tiles * <u64>depth * F32 + 64
}

/** Scratch of a transform and its tables, four tiles of which a part is written, a bias in all lanes, and zeros. */
function workBytes(d: ConvShape, e: i32): usize {
  const parts = align(<usize>(4 * tileRows(d, e)) * partPitch(tileColumns(d, e)))
  return scratchBytes(e) + align(tableBytes(e)) + parts + 64 + TILE_BYTES
}

export function conv_transformed_fwd_workspace(shape: usize, e: i32): f64 {
  const d = changetype<ConvShape>(shape)
  const block = largestBlock(d, e)
  const complex = complexOf(e)
  const frequencies = <u64>frequenciesOf(e)
  return <f64>(
    (<u64>(ROUNDED_BYTES + align(<usize>block * ENTRY_BYTES) + workBytes(d, e)) +
      <u64>imageBlock(d, e) * regionBytes(d, e) +
      align64(frequencies * blockStride(block, d.groupC << complex)) +
      align64((frequencies << complex) * blockStride(block, d.groupK)))
  )
}

/** Work items of conv_transformed_fwd: blocks of tiles of each group, each for a share of the output channels. */
export function conv_transformed_fwd_items(shape: usize, e: i32): i32 {
  const d = changetype<ConvShape>(shape)
  return panelCount(d.N, imageBlock(d, e)) * blocksOf(d, e) * d.G * channelShares(d, e)
}

/**
 * Items begin ≤ item < end of y (N, K, P, Q); `packed` from conv_transformed_pack. The bias may be one for each channel. The
 * integer at `wrong` becomes 1 where a number is NaN or infinite before relu, of the tiles beyond the map too, and may where
 * they are of more than 1e36: one such input spreads over its tile, and transforms overflow where sums of products do not.
 */
export function conv_transformed_fwd(
  y: usize,
  wrong: usize,
  x: usize,
  packed: usize,
  bias: usize,
  ws: usize,
  shape: usize,
  e: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const m = tileRows(d, e)
  const l = tileColumns(d, e)
  const rounded = roundUp(ws, shape, m, l)
  const tiles = tilesOf(d, e)
  const tilesW = rounded.Q / l
  const images = imageBlock(d, e)
  const block = largestBlock(d, e)
  const blocks = blocksOf(d, e)
  const shares = channelShares(d, e)
  const groupC = d.groupC
  const groupK = d.groupK
  const filterPanels = panelCount(groupK, ROWS)
  const complex = complexOf(e)
  const depth = groupC << complex
  const frequencies = <usize>(frequenciesOf(e) << complex)
  const strideV = <usize>blockStride(block, depth)
  const strideM = <usize>blockStride(block, groupK)
  const strideU = <usize>filterStride(d, e)
  const table = ws + ROUNDED_BYTES
  const region = table + align(<usize>block * ENTRY_BYTES)
  const scratch = region + <usize>images * <usize>regionBytes(d, e)
  const tables = scratch + scratchBytes(e)
  const parts = tables + align(tableBytes(e))
  const V = scratch + workBytes(d, e)
  const M = V + align((frequencies >> complex) * strideV)
  const zero = V - TILE_BYTES
  const biases = zero - 64
  const imageBytes = <usize>d.C * <usize>d.inputPixels * F32
  const padded = rounded.padded
  const step = padded ? <usize>regionBytes(d, e) : imageBytes
  const pitch = <usize>rounded.arrayW * F32
  const channelBytes = padded ? <usize>regionRows(d, e) * pitch : <usize>d.inputPixels * F32
  const mapBytes = <usize>d.pixels * F32
  const panelM = <usize>groupK * B_STEP
  let held = 0
  memory.fill(zero, 0, TILE_BYTES)
  v128.store(biases, f32x4.splat(0), 32)
  fillTables(tables, e)
  for (let item = begin; item < end; item++) {
    const share = item % shares
    const g = (item / shares) % d.G
    const part = item / (shares * d.G)
    const n = (part / blocks) * images
    const count = min(images, d.N - n)
    // The tiles of a block stay transformed for all shares of the channels.
    if (item == begin || share == 0) {
      const first = (part % blocks) * block
      held = min(block, count * tiles - first)
      let channels = x + <usize>n * imageBytes + <usize>(g * groupC) * <usize>d.inputPixels * F32
      let top = 0
      if (padded) {
        const last = first + held - 1
        top = blocks == 1 ? 0 : (first / tilesW) * m
        const bottom = blocks == 1 ? rounded.reachH : (last / tilesW) * m + e
        for (let j = 0; j < count; j++) {
          padRegion(region + <usize>j * step, channels, rounded, groupC, 0, 1, top, bottom, 0, channelBytes)
          channels += imageBytes
        }
        channels = region
      }
      fillTiles(table, d, pitch, step, tiles, tilesW, m, l, first, held, top)
      transformBlock(V, strideV, scratch, tables, channels, pitch, channelBytes, groupC, table, held, e)
    }
    const firstPanel = partEnd(filterPanels, shares, share)
    const firstK = partEnd(groupK, filterPanels, firstPanel)
    const lastK = partEnd(groupK, filterPanels, partEnd(filterPanels, shares, share + 1))
    // Whole panels of tiles, and whether what is left is at most half of one.
    const half = ((held - 1) & 4) == 0
    const whole = half ? (held - 1) & ~(COLUMNS - 1) : panelCount(held, COLUMNS) * COLUMNS
    for (let f: usize = 0; f < frequencies; f++) {
      let a = packed + (<usize>g * frequencies + f) * strideU + <usize>(firstK * depth) * F32
      let to = M + f * strideM + <usize>firstK * B_STEP
      const b = V + (f >> complex) * strideV
      for (let k = firstK; k < lastK;) {
        const height = panelRows(groupK - k)
        sweep(to, B_STEP, panelM, zero, 0, 0, a, height, b, <usize>depth * B_STEP, depth, whole, zero)
        if (half) {
          const last = <usize>(whole / COLUMNS)
          halfSweep(to + last * panelM, zero, a, height, b + <usize>(whole * depth) * F32, depth)
        }
        a += <usize>(height * depth) * F32
        to += <usize>height * B_STEP
        k += height
      }
    }
    const maps = y + <usize>(n * d.K + g * groupK) * mapBytes
    const floor: f32 = d.relu ? 0 : -Infinity
    v128.store(biases, f32x4.splat(floor), 16)
    for (let k = firstK; k < lastK; k++) {
      const value: f32 = d.bias == 1 ? load<f32>(bias + <usize>(g * groupK + k) * F32) : 0
      v128.store(biases, f32x4.splat(value))
      const map = maps + <usize>k * mapBytes
      const sums = M + <usize>k * B_STEP
      writeBlock(map, sums, panelM, strideM, scratch, tables, parts, biases, d, table, held, e)
    }
  }
  const seen = v128.load(biases, 32)
  if (v128.any_true(f32x4.ne(seen, seen))) store<i32>(wrong, 1)
}

/** A last panel of up to four tiles: rows of c (height, 4) 32 bytes apart = panel a · panel b. */
@inline
function halfSweep(c: usize, zero: usize, a: usize, height: i32, b: usize, depth: i32): void {
  const end = b + <usize>depth * B_STEP
  if (height == 5) halfTile<Rows5>(c, B_STEP, zero, 0, a, b, end)
  else if (height == 4) halfTile<Rows4>(c, B_STEP, zero, 0, a, b, end)
  else if (height == 3) halfTile<Rows3>(c, B_STEP, zero, 0, a, b, end)
  else if (height == 2) halfTile<Rows2>(c, B_STEP, zero, 0, a, b, end)
  else if (height == 1) halfTile<Rows1>(c, B_STEP, zero, 0, a, b, end)
  else if (ROWS > 5) halfTile<Rows6>(c, B_STEP, zero, 0, a, b, end)
}

/** What a block knows of each of its tiles. */

@unmanaged
class Tile {
  /** Bytes from the first image's input and output to the tile's. */
  input: u32
  output: u32
  /** Outputs of the tile that exist: rows, and all of them. */
  rows: i32
  pixels: i32
}
const ENTRY_BYTES: usize = 16

/**
 * Tiles (m, l) of outputs, first ≤ tile < first + count, counted through images `step` bytes apart whose rows begin with row `top`; the last
 * is repeated to fill a panel.
 */
function fillTiles(
  table: usize,
  d: ConvShape,
  pitch: usize,
  step: usize,
  tiles: i32,
  tilesW: i32,
  m: i32,
  l: i32,
  first: i32,
  count: i32,
  top: i32,
): void {
  const whole = panelCount(count, COLUMNS) * COLUMNS
  for (let i = 0; i < whole; i++) {
    const tile = first + min(i, count - 1)
    const image = tile / tiles
    const p = ((tile % tiles) / tilesW) * m
    const q = ((tile % tiles) % tilesW) * l
    const entry = changetype<Tile>(table)
    entry.input = <u32>(<usize>image * step + <usize>(p - top) * pitch + <usize>q * F32)
    entry.output = <u32>((<usize>(image * d.K) * <usize>d.pixels + <usize>(p * d.Q + q)) * F32)
    entry.rows = min(m, d.P - p)
    entry.pixels = entry.rows * min(l, d.Q - q)
    table += ENTRY_BYTES
  }
}

/** V of the table's tiles, all channels of a group, four tiles at a time. */
function transformBlock(
  V: usize,
  stride: usize,
  scratch: usize,
  tables: usize,
  channels: usize,
  pitch: usize,
  channelBytes: usize,
  groupC: i32,
  table: usize,
  count: i32,
  e: i32,
): void {
  const complex = complexOf(e)
  for (let tile = 0; tile < count; tile += 4) {
    let to = V + <usize>((tile & ~(COLUMNS - 1)) * (groupC << complex) + (tile & 4)) * F32
    let p0 = channels + <usize>load<u32>(table)
    let p1 = channels + <usize>load<u32>(table, ENTRY_BYTES)
    let p2 = channels + <usize>load<u32>(table, 2 * ENTRY_BYTES)
    let p3 = channels + <usize>load<u32>(table, 3 * ENTRY_BYTES)
    for (let c = 0; c < groupC; c++) {
      transformInput(e, to, stride, B_STEP, scratch, tables, p0, p1, p2, p3, pitch)
      to += B_STEP << complex
      p0 += channelBytes
      p1 += channelBytes
      p2 += channelBytes
      p3 += channelBytes
    }
    table += 4 * ENTRY_BYTES
  }
}

/** One output map of the first `count` tiles of the table, four at a time, cut off at the map's borders. */
function writeBlock(
  map: usize,
  M: usize,
  panel: usize,
  stride: usize,
  scratch: usize,
  tables: usize,
  parts: usize,
  bias: usize,
  d: ConvShape,
  table: usize,
  count: i32,
  e: i32,
): void {
  const m = tileRows(d, e)
  const l = tileColumns(d, e)
  const pitch = <usize>d.Q * F32
  const partRow = partPitch(l)
  const part = <usize>m * partRow
  for (let first = 0; first < count; first += 4) {
    const from = M + <usize>(first / COLUMNS) * panel + ((<usize>(first & 4)) << 2)
    const lanes = min(4, count - first)
    const pixels = load<i32>(table, 12) + load<i32>(table, 28) + load<i32>(table, 44) + load<i32>(table, 60)
    const whole = lanes == 4 && pixels == 4 * m * l
    const t0 = whole ? map + <usize>load<u32>(table, 4) : parts
    const t1 = whole ? map + <usize>load<u32>(table, 20) : parts + part
    const t2 = whole ? map + <usize>load<u32>(table, 36) : parts + 2 * part
    const t3 = whole ? map + <usize>load<u32>(table, 52) : parts + 3 * part
    inverseOutput(e, t0, t1, t2, t3, whole ? pitch : partRow, scratch, tables, from, stride, bias, m, l)
    const parted = whole ? 0 : lanes
    for (let lane = 0; lane < parted; lane++) {
      const tile = changetype<Tile>(table + <usize>lane * ENTRY_BYTES)
      let row = map + <usize>tile.output
      let source = parts + <usize>lane * part
      for (let r = 0; r < tile.rows; r++) {
        copyRow(row, source, tile.pixels / tile.rows)
        row += pitch
        source += partRow
      }
    }
    table += 4 * ENTRY_BYTES
  }
}

/** Copies `count` floats; the last vector of the source is read whole. */
@inline
function copyRow(to: usize, from: usize, count: i32): void {
  for (; count >= 4; count -= 4) {
    v128.store(to, v128.load(from))
    to += 16
    from += 16
  }
  if (count > 0) storeTail(to, v128.load(from), count)
}
