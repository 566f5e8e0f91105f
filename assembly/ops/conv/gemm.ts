/**
 * Convolution as a matrix product whose patch matrix is never stored: panels of eight pixels (or eight taps)
 * are gathered from the image while they are used. Any kernel, stride, dilation, padding and number of groups.
 *
 *   y[k, i]   = bias + Σ_t w[k, t] · xp[tap t, pixel i]          forward, (9.7) and (9.8)
 *   dw[k, t]  = Σ_n Σ_i dy[k, i] · xp[tap t, pixel i]            (9.11)
 *   dxp[t, i] += Σ_k w[k, t] · dy[k, i]                           (9.13), scattered back to the image
 *
 * Work is divided by the shape alone, into items that write different outputs. Each pads what it reads of the image.
 */
import { packColumns, packPanel, packRows, panelCount, panelRows, partEnd, sweep } from '../../micro/gemm'
import { gatherBlock, gatherTaps, scatterTile } from '../../micro/gather'
import { B_STEP, COLUMNS, ROWS, TILE_BYTES } from '../../micro/tile'
import { F32 } from '../../simd'
import {
  ConvShape,
  LONG_SUM,
  SUM_RUN,
  align,
  align64,
  fillPixelsOf,
  fillTaps,
  fillTapsOf,
  padRegion,
  tapTableBytes,
  unpadImage,
} from './shape'

/** Taps in one block of the forward pass: a panel of eight pixels is 16 kB, one of five output channels 10 kB. */
const TAP_BLOCK: i32 = 512
/** Panels of pixels in one item at most, and the bytes that they should stay within. */
const PANELS: i32 = 16
const PANEL_BYTES: i32 = 1 << 17
/** The same in the forward pass where panels are so short that they stay in a first-level cache. */
const SHORT_PANELS: i32 = 32
const SHORT_BYTES: i32 = 1 << 15
/** Bytes that rows of the image should stay within where patches are gathered row-wise. */
const ROW_BYTES: i32 = 1 << 16
/** Items of one image that a few threads can share. */
const SHARES: i32 = 4
/** Pixels in one block of the filter gradient: eight taps of 512 pixels are 16 kB. */
const PIXEL_BLOCK: i32 = 512
/** Taps in one item of a gradient: enough for the other operand, packed once for an item, to cost a few hundredths. */
const TAP_SHARE: i32 = 128
/** Bytes of a table of the offsets of one block of pixels. */
const PIXEL_TABLE: usize = align(4 * (SHORT_PANELS * COLUMNS + COLUMNS))

/** Sets the lanes below 0 of `rows` rows of `columns` floats to 0; NaN stays NaN. */
function relu(y: usize, pitch: usize, rows: i32, columns: i32): void {
  const zero = f32x4.splat(0)
  for (let i = 0; i < rows; i++) {
    let p = y
    const end = y + <usize>columns * F32
    for (; p + 16 <= end; p += 16) v128.store(p, f32x4.pmax(v128.load(p), zero))
    for (; p < end; p += 4) store<f32>(p, f32x4.extract_lane(f32x4.pmax(v128.load32_zero(p), zero), 0))
    y += pitch
  }
}

// ---- forward ----------------------------------------------------------------------------------------------

/**
 * Row-wise, a block is whole rows of the output, and what is gathered is rows of the image, (row, c, s): the patches of a row
 * of the output are R rows of them, one behind the other, and each is gathered once instead of R times. src/plan/gather.ts says
 * where that is done; weights are packed by taps (r, c, s) then, instead of (c, r, s).
 */
function isRowwise(d: ConvShape): bool {
  return d.rowwise != 0
}

/** Bytes of one row of the image in all panels of a row-wise block. */
function rowPanelBytes(d: ConvShape): i32 {
  return panelCount(d.Q, COLUMNS) * d.groupC * d.S * <i32>B_STEP
}

/** Bytes of weights (G, K/G, taps) packed for the forward pass. */
export function conv_gemm_packed(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return <usize>(d.K * d.taps) * F32
}

/** Packs w into panels of output channels, block of taps by block of taps. */
export function conv_gemm_pack(packed: usize, w: usize, shape: usize): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const pitch = <usize>taps * F32
  for (let g = 0; g < d.G; g++) {
    const filters = w + <usize>(g * d.groupK) * pitch
    for (let t = 0; t < taps; t += TAP_BLOCK) {
      const depth = min(TAP_BLOCK, taps - t)
      if (isRowwise(d)) packRowwise(packed, filters, d)
      else packRows(packed, filters + <usize>t * F32, d.groupK, pitch, depth, F32)
      packed += <usize>(d.groupK * depth) * F32
    }
  }
}

/** The filters of a group in panels, their taps in the order (r, c, s). */
function packRowwise(packed: usize, filters: usize, d: ConvShape): void {
  const pitch = <usize>d.taps * F32
  const row = <usize>d.S * F32
  for (let k = 0; k < d.groupK;) {
    const height = panelRows(d.groupK - k)
    for (let r = 0; r < d.R; r++) {
      let from = filters + <usize>r * row
      for (let c = 0; c < d.groupC; c++) {
        packPanel(packed, from, height, height, pitch, d.S, F32)
        packed += <usize>(height * d.S) * F32
        from += <usize>d.R * row
      }
    }
    filters += <usize>height * pitch
    k += height
  }
}

/** Blocks of pixels of one map. */
function pixelBlocks(d: ConvShape): i32 {
  if (isRowwise(d)) {
    const rows = max(1, ROW_BYTES / rowPanelBytes(d) + 1 - d.R)
    return panelCount(d.P, min(rows, panelCount(d.P, SHARES)))
  }
  const bytes = min(TAP_BLOCK, d.taps) * <i32>B_STEP
  const most = max(1, min(max(PANELS, min(SHORT_PANELS, SHORT_BYTES / bytes)), PANEL_BYTES / bytes))
  // Whole rows where panels do not cross them: the rows around a block are padded with it.
  const row = d.Q / COLUMNS
  const panels = d.Q % COLUMNS == 0 && row <= most ? most - (most % row) : most
  return panelCount(panelCount(d.pixels, COLUMNS), panels)
}

/** Blocks of panels of output channels of one group: several only where a map has few pixels. */
function channelBlocks(d: ConvShape): i32 {
  return min(panelCount(SHARES, pixelBlocks(d)), panelCount(d.groupK, 8 * ROWS))
}

/** Rows of the output in the largest row-wise block. */
function blockRows(d: ConvShape): i32 {
  return panelCount(d.P, pixelBlocks(d))
}

/** Panels of pixels of the largest block. */
function blockPanels(d: ConvShape): i32 {
  return panelCount(panelCount(d.pixels, COLUMNS), pixelBlocks(d))
}

/** Rows (in three dimensions planes) of outputs that a block of pixels can touch. */
function blockLines(d: ConvShape): i32 {
  if (isRowwise(d)) return blockRows(d)
  const line = d.O > 1 ? d.P * d.Q : d.Q
  return min(d.O > 1 ? d.O : d.P, panelCount(blockPanels(d) * COLUMNS - 1, line) + 1)
}

/** Bytes of a plane and of a channel of the padded region that one item reads. */
function regionPlane(d: ConvShape): usize {
  const rows = d.O > 1 ? d.reachH : (blockLines(d) - 1) * d.strideH + (d.R - 1) * d.dilationH + 1
  return <usize>(rows * d.reachW) * F32
}

function regionPlanes(d: ConvShape): i32 {
  return d.O > 1 ? (blockLines(d) - 1) * d.strideD + (d.T - 1) * d.dilationD + 1 : d.reachD
}

/** Work items of conv_gemm_fwd. */
export function conv_gemm_fwd_items(shape: usize): i32 {
  const d = changetype<ConvShape>(shape)
  return d.N * d.G * channelBlocks(d) * pixelBlocks(d)
}

export function conv_gemm_fwd_workspace(shape: usize): f64 {
  const d = changetype<ConvShape>(shape)
  const region: u64 = d.padded ? <u64>d.groupC * <u64>regionPlanes(d) * <u64>regionPlane(d) + 64 : 0
  const rows = blockRows(d) + d.R - 1
  const panels = isRowwise(d)
    ? <usize>(rows * rowPanelBytes(d))
    : <usize>blockPanels(d) * <usize>min(TAP_BLOCK, d.taps) * B_STEP
  return <f64>(<u64>(forwardTableBytes(d) + PIXEL_TABLE + 2 * TILE_BYTES + panels) + align64(region))
}

/** Bytes of the table of taps of the forward pass. */
function forwardTableBytes(d: ConvShape): usize {
  if (!isRowwise(d)) return tapTableBytes(d)
  return align(<usize>((blockRows(d) + d.R - 1) * d.groupC * d.S) * 4)
}

/** Items begin ≤ item < end of y (N, K, O, P, Q); `packed` from conv_gemm_pack. */
export function conv_gemm_fwd(
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
  const taps = d.taps
  const pixels = d.pixels
  const groupK = d.groupK
  const groupC = d.groupC
  const blocks = pixelBlocks(d)
  const across = channelBlocks(d)
  const pixelPanels = panelCount(pixels, COLUMNS)
  const filterPanels = panelCount(groupK, ROWS)
  const padded = d.padded
  const rowBytes = <usize>d.arrayW * F32
  const planeBytes = padded ? regionPlane(d) : <usize>d.H * rowBytes
  const channelBytes = padded ? <usize>regionPlanes(d) * planeBytes : <usize>d.inputPixels * F32
  const tapTable = ws
  const pixelTable = tapTable + forwardTableBytes(d)
  const scratch = pixelTable + PIXEL_TABLE
  const start = scratch + TILE_BYTES
  const region = start + TILE_BYTES
  const panels = padded ? region + align(<usize>groupC * channelBytes + 64) : region
  const pitch = <usize>pixels * F32
  const rowwise = isRowwise(d)
  if (rowwise) fillRows(tapTable, d, blockRows(d) + d.R - 1, rowBytes, channelBytes)
  else fillTapsOf(tapTable, d, groupC, rowBytes, planeBytes, channelBytes)
  memory.fill(start, 0, TILE_BYTES)
  for (let item = begin; item < end; item++) {
    const block = item % blocks
    const share = (item / blocks) % across
    const group = item / (blocks * across)
    const n = group / d.G
    const g = group % d.G
    const i = rowwise ? partEnd(d.P, blocks, block) * d.Q : partEnd(pixelPanels, blocks, block) * COLUMNS
    const next = rowwise ? partEnd(d.P, blocks, block + 1) * d.Q : partEnd(pixelPanels, blocks, block + 1) * COLUMNS
    const count = min(pixels, next) - i
    let image = x + <usize>(n * d.C + g * groupC) * <usize>d.inputPixels * F32
    let origin: usize = 0
    if (padded) {
      const line = d.O > 1 ? d.P * d.Q : d.Q
      const first = i / line
      const last = (i + count - 1) / line
      if (d.O > 1) {
        const z = first * d.strideD
        const z1 = last * d.strideD + (d.T - 1) * d.dilationD + 1
        padRegion(region, image, d, groupC, z, z1, 0, d.reachH, planeBytes, channelBytes)
        origin = <usize>z * planeBytes
      } else {
        const h = first * d.strideH
        const h1 = last * d.strideH + (d.R - 1) * d.dilationH + 1
        padRegion(region, image, d, groupC, 0, d.reachD, h, h1, planeBytes, channelBytes)
        origin = <usize>h * rowBytes
      }
      image = region
    }
    // A row-wise block is a run of rows, each a product of its own; another is one run of all its pixels.
    const lines = rowwise ? count / d.Q : 1
    const columns = count / lines
    fillPixelsOf(pixelTable, d, i, columns, rowBytes, planeBytes, origin)
    const firstPanel = partEnd(filterPanels, across, share)
    const lastPanel = partEnd(filterPanels, across, share + 1)
    const firstK = partEnd(groupK, filterPanels, firstPanel)
    for (let t = 0; t < taps; t += TAP_BLOCK) {
      const depth = min(TAP_BLOCK, taps - t)
      const steps = rowwise ? (lines + d.R - 1) * groupC * d.S : depth
      gatherBlock(panels, image, tapTable + ((<usize>t) << 2), steps, pixelTable, columns)
      const apart = <usize>steps * B_STEP
      let a = packed + <usize>(g * groupK * taps + groupK * t + firstK * depth) * F32
      let k = firstK
      for (let p = firstPanel; p < lastPanel; p++) {
        const height = panelRows(groupK - k)
        const channel = g * groupK + k
        const y0 = y + (<usize>(n * d.K + channel) * <usize>pixels + <usize>i) * F32
        let from = start
        if (t > 0) from = y0
        else if (d.bias == 2) from = bias + (<usize>channel * <usize>pixels + <usize>i) * F32
        else if (d.bias == 1) fillStart(start, bias + <usize>channel * F32, height)
        const packedStart = from == start
        let b = panels
        let c = y0
        for (let line = 0; line < lines; line++) {
          const ld = packedStart ? B_STEP : pitch
          sweep(c, pitch, B_STEP, from, ld, packedStart ? 0 : B_STEP, a, height, b, apart, depth, columns, scratch)
          b += <usize>(groupC * d.S) * B_STEP
          c += <usize>columns * F32
          if (!packedStart) from += <usize>columns * F32
        }
        if (d.relu && t + depth == taps) relu(y0, pitch, height, count)
        a += <usize>(height * depth) * F32
        k += height
      }
    }
  }
}

/** Offsets of the first pixels of rows of the image, (row, c, s). */
function fillRows(table: usize, d: ConvShape, rows: i32, rowBytes: usize, channelBytes: usize): void {
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < d.groupC; c++) {
      let offset = <usize>row * rowBytes + <usize>c * channelBytes
      for (let s = 0; s < d.S; s++) {
        store<u32>(table, <u32>offset)
        table += 4
        offset += <usize>d.dilationW * F32
      }
    }
  }
}

/** The packed tile that repeats `rows` values of a bias in its columns. */
@inline
function fillStart(start: usize, bias: usize, rows: i32): void {
  for (let i = 0; i < rows; i++) {
    const v = v128.load32_splat(bias)
    v128.store(start, v)
    v128.store(start, v, 16)
    start += B_STEP
    bias += F32
  }
}

// ---- gradient with respect to the input -------------------------------------------------------------------

/** Input channels of one item: about TAP_SHARE taps. */
function channelShare(d: ConvShape): i32 {
  return min(d.groupC, panelCount(TAP_SHARE, d.T * d.R * d.S))
}

/** Bytes of the transposed weights (G, taps, K/G), packed for the input gradient. */
export function conv_gemm_packed_transposed(shape: usize): usize {
  return conv_gemm_packed(shape)
}

/** Packs w transposed: panels of taps over the output channels of their group, item by item of conv_gemm_dx. */
export function conv_gemm_pack_transposed(packed: usize, w: usize, shape: usize): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const share = channelShare(d) * d.T * d.R * d.S
  const pitch = <usize>taps * F32
  for (let g = 0; g < d.G; g++) {
    const filters = w + <usize>(g * d.groupK) * pitch
    for (let t = 0; t < taps; t += share) {
      packRows(packed, filters + <usize>t * F32, min(share, taps - t), F32, d.groupK, pitch)
      packed += <usize>(min(share, taps - t) * d.groupK) * F32
    }
  }
}

/** Work items of conv_gemm_dx: some input channels of a group of an image. */
export function conv_gemm_dx_items(shape: usize): i32 {
  const d = changetype<ConvShape>(shape)
  return d.N * d.G * panelCount(d.groupC, channelShare(d))
}

export function conv_gemm_dx_workspace(shape: usize): f64 {
  const d = changetype<ConvShape>(shape)
  const copy: u64 = d.padded ? <u64>channelShare(d) * <u64>d.arrayPixels * F32 : 0
  const panels = <u64>min(PANELS, panelCount(d.pixels, COLUMNS)) * <u64>d.groupK * B_STEP
  return <f64>(<u64>(tapTableBytes(d) + PIXEL_TABLE + <usize>(2 + PANELS) * TILE_BYTES) + align64(copy) + panels)
}

/** Items begin ≤ item < end of dx (N, C, D, H, W); `packed` from conv_gemm_pack_transposed. */
export function conv_gemm_dx(dx: usize, dy: usize, packed: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const pixels = d.pixels
  const groupK = d.groupK
  const share = channelShare(d)
  const shares = panelCount(d.groupC, share)
  const kernel = d.T * d.R * d.S
  const tapTable = ws
  const pixelTable = tapTable + tapTableBytes(d)
  const scratch = pixelTable + PIXEL_TABLE
  const zero = scratch + TILE_BYTES
  const tiles = zero + TILE_BYTES
  const copy = tiles + <usize>PANELS * TILE_BYTES
  const panels = copy + align(d.padded ? <usize>share * <usize>d.arrayPixels * F32 : 0)
  const pitch = <usize>pixels * F32
  const mapBytes = <usize>d.inputPixels * F32
  const arrayBytes = <usize>d.arrayPixels * F32
  const rowBytes = <usize>d.arrayW * F32
  const planeBytes = <usize>d.arrayH * rowBytes
  fillTaps(tapTable, d)
  memory.fill(zero, 0, TILE_BYTES)
  for (let item = begin; item < end; item++) {
    const firstC = (item % shares) * share
    const channels = min(share, d.groupC - firstC)
    const taps = channels * kernel
    const g = (item / shares) % d.G
    const n = item / (shares * d.G)
    const target = dx + <usize>(n * d.C + g * d.groupC + firstC) * mapBytes
    const image = d.padded ? copy : target
    memory.fill(image, 0, <usize>channels * arrayBytes)
    const weights = packed + <usize>((g * d.groupC + firstC) * kernel * groupK) * F32
    const maps = dy + <usize>(n * d.K + g * groupK) * pitch
    for (let i = 0; i < pixels; i += PANELS * COLUMNS) {
      const count = min(PANELS * COLUMNS, pixels - i)
      packColumns(panels, maps + <usize>i * F32, count, F32, groupK, pitch)
      fillPixelsOf(pixelTable, d, i, count, rowBytes, planeBytes, 0)
      let a = weights
      for (let t = 0; t < taps;) {
        const height = panelRows(taps - t)
        const tileBytes = <usize>height * B_STEP
        const whole = panelCount(count, COLUMNS) * COLUMNS
        sweep(tiles, B_STEP, tileBytes, zero, 0, 0, a, height, panels, <usize>groupK * B_STEP, groupK, whole, scratch)
        let tile = tiles
        for (let j = 0; j < count; j += COLUMNS) {
          const offsets = pixelTable + ((<usize>j) << 2)
          scatterTile(image, tile, tapTable + ((<usize>t) << 2), height, offsets, min(COLUMNS, count - j))
          tile += tileBytes
        }
        a += <usize>(height * groupK) * F32
        t += height
      }
    }
    if (d.padded) unpadImage(target, image, d, channels)
  }
}

// ---- gradient with respect to the weights -----------------------------------------------------------------

/** Images in one block of pixels: several where maps are small. */
function imageBlock(d: ConvShape): i32 {
  return max(1, min(d.N, PIXEL_BLOCK / d.pixels))
}

/** Blocks of panels of eight taps of one group. */
function tapBlocks(d: ConvShape): i32 {
  return panelCount(d.taps, TAP_SHARE)
}

/** Runs of images whose sums are added up in the end: several only where there are few taps. */
function imageRuns(d: ConvShape): i32 {
  return min(panelCount(d.N, imageBlock(d)), panelCount(2 * SHARES, d.G * tapBlocks(d)))
}

/** Most channels that a block of taps can touch. */
function touchedChannels(d: ConvShape): i32 {
  const panels = panelCount(panelCount(d.taps, COLUMNS), tapBlocks(d))
  return min(d.groupC, panelCount(panels * COLUMNS - 1, d.T * d.R * d.S) + 1)
}

/** Bytes of the sums of the runs of images; 0 if there is one run, which is dw itself. */
export function conv_gemm_dw_sums(shape: usize): f64 {
  const d = changetype<ConvShape>(shape)
  const runs = imageRuns(d)
  return runs == 1 ? 0 : <f64>runs * <f64>(d.K * d.taps) * F32
}

/** Bytes of the sums over one run of pixels, of the taps of one item; 0 if a map is one run. */
function partBytes(d: ConvShape): u64 {
  const panels = panelCount(panelCount(d.taps, COLUMNS), tapBlocks(d))
  return d.pixels > LONG_SUM ? <u64>d.groupK * <u64>panels * B_STEP : 0
}

export function conv_gemm_dw_workspace(shape: usize): f64 {
  const d = changetype<ConvShape>(shape)
  const steps = <u64>(imageBlock(d) * min(PIXEL_BLOCK, d.pixels))
  const region: u64 = d.padded ? <u64>touchedChannels(d) * <u64>d.arrayPixels * F32 + 64 : 0
  return <f64>(
    (align64(region) * <u64>imageBlock(d) +
      <u64>(tapTableBytes(d) + align(4 * <usize>(PIXEL_BLOCK + COLUMNS)) + 2 * TILE_BYTES) +
      steps * B_STEP +
      align64(steps * <u64>d.groupK * F32) +
      partBytes(d))
  )
}

/** Work items of conv_gemm_dw: blocks of taps of a group, for each run of images. */
export function conv_gemm_dw_items(shape: usize): i32 {
  const d = changetype<ConvShape>(shape)
  return imageRuns(d) * d.G * tapBlocks(d)
}

/**
 * Items begin ≤ item < end of dw (K, C/G, T, R, S), or of `sums` (runs, K, C/G, T, R, S) when conv_gemm_dw_sums is
 * not 0. Images, then pixels, are summed in rising order.
 */
export function conv_gemm_dw(
  dw: usize,
  sums: usize,
  dy: usize,
  x: usize,
  ws: usize,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const pixels = d.pixels
  const groupK = d.groupK
  const kernel = d.T * d.R * d.S
  const blocks = tapBlocks(d)
  const runs = imageRuns(d)
  const tapPanels = panelCount(d.taps, COLUMNS)
  const images = imageBlock(d)
  const padded = d.padded
  const arrayBytes = <usize>d.arrayPixels * F32
  const copyBytes = padded ? align(<usize>touchedChannels(d) * arrayBytes + 64) : 0
  const mapBytes = <usize>d.inputPixels * F32
  const rowBytes = <usize>d.arrayW * F32
  const planeBytes = <usize>d.arrayH * rowBytes
  const tapTable = ws + copyBytes * <usize>images
  const pixelTable = tapTable + tapTableBytes(d)
  const scratch = pixelTable + align(4 * <usize>(PIXEL_BLOCK + COLUMNS))
  const zero = scratch + TILE_BYTES
  const panel = zero + TILE_BYTES
  const gradients = panel + <usize>(images * min(PIXEL_BLOCK, pixels)) * B_STEP
  const part = gradients + align(<usize>(images * min(PIXEL_BLOCK, pixels)) * <usize>groupK * F32)
  const pitch = <usize>d.taps * F32
  const outBytes = <usize>pixels * F32
  fillTaps(tapTable, d)
  memory.fill(zero, 0, TILE_BYTES)
  for (let item = begin; item < end; item++) {
    const block = item % blocks
    const g = (item / blocks) % d.G
    const run = item / (blocks * d.G)
    const firstTap = partEnd(tapPanels, blocks, block) * COLUMNS
    const lastTap = min(d.taps, partEnd(tapPanels, blocks, block + 1) * COLUMNS)
    const firstC = firstTap / kernel
    const channels = (lastTap - 1) / kernel + 1 - firstC
    const target = (runs == 1 ? dw : sums + <usize>(run * d.K) * pitch) + <usize>(g * groupK) * pitch
    const lastN = partEnd(d.N, runs, run + 1)
    // A map of more than one run of pixels is an image of its own: each run but the first sums into `part`, then joins.
    const partPitch = <usize>panelCount(lastTap - firstTap, COLUMNS) * B_STEP
    let fresh = true
    for (let n = partEnd(d.N, runs, run); n < lastN; n += images) {
      const count = min(images, lastN - n)
      // The array that the tap table addresses begins firstC channels before what is copied of it.
      let base = x + <usize>(n * d.C + g * d.groupC) * mapBytes
      let baseStep = <usize>d.C * mapBytes
      if (padded) {
        for (let j = 0; j < count; j++) {
          const from = base + <usize>j * baseStep + <usize>firstC * mapBytes
          const to = ws + <usize>j * copyBytes
          padRegion(to, from, d, channels, 0, d.reachD, 0, d.reachH, planeBytes, arrayBytes)
        }
        base = ws - <usize>firstC * arrayBytes
        baseStep = copyBytes
      }
      for (let i = 0; i < pixels; i += PIXEL_BLOCK) {
        const depth = min(PIXEL_BLOCK, pixels - i)
        const steps = depth * count
        const apart = pixels > LONG_SUM && i >= SUM_RUN
        const begins = fresh || (apart && i % SUM_RUN == 0)
        fillPixelsOf(pixelTable, d, i, depth, rowBytes, planeBytes, 0)
        // dy of this group and block: panels of channels over the pixels of all images.
        let to = gradients
        for (let k = 0; k < groupK;) {
          const height = panelRows(groupK - k)
          for (let j = 0; j < count; j++) {
            const from = dy + <usize>((n + j) * d.K + g * groupK + k) * outBytes + <usize>i * F32
            packPanel(to, from, height, height, outBytes, depth, F32)
            to += <usize>(height * depth) * F32
          }
          k += height
        }
        for (let t = firstTap; t < lastTap; t += COLUMNS) {
          let step = panel
          let image = base
          for (let j = 0; j < count; j++) {
            gatherTaps(step, image, tapTable + ((<usize>t) << 2), pixelTable, depth)
            step += <usize>depth * B_STEP
            image += baseStep
          }
          const columns = min(COLUMNS, lastTap - t)
          let a = gradients
          for (let k = 0; k < groupK;) {
            const height = panelRows(groupK - k)
            const ld = apart ? partPitch : pitch
            const c = apart
              ? part + <usize>k * partPitch + <usize>(t - firstTap) * F32
              : target + <usize>k * pitch + <usize>t * F32
            if (begins) sweep(c, ld, 0, zero, 0, 0, a, height, panel, 0, steps, columns, scratch)
            else sweep(c, ld, 0, c, ld, B_STEP, a, height, panel, 0, steps, columns, scratch)
            a += <usize>(height * steps) * F32
            k += height
          }
        }
        fresh = false
        if (apart && ((i + PIXEL_BLOCK) % SUM_RUN == 0 || i + PIXEL_BLOCK >= pixels)) {
          const to = target + <usize>firstTap * F32
          addRows(to, pitch, part, partPitch, groupK, lastTap - firstTap)
        }
      }
    }
  }
}

/** Adds `rows` rows of `columns` floats, `ld` bytes apart, to those at `to`. */
function addRows(to: usize, pitch: usize, from: usize, ld: usize, rows: i32, columns: i32): void {
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) {
      const at = to + <usize>i * F32
      store<f32>(at, load<f32>(at) + load<f32>(from + <usize>i * F32))
    }
    to += pitch
    from += ld
  }
}
