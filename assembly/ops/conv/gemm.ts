/**
 * Convolution as a matrix product whose patch matrix is never stored: panels of eight pixels (or eight taps)
 * are gathered from the image while they are used. Any kernel, stride, dilation, padding and number of groups.
 *
 *   y[k, i]   = bias + Σ_t w[k, t] · xp[tap t, pixel i]          forward, (9.7) and (9.8)
 *   dw[k, t]  = Σ_n Σ_i dy[k, i] · xp[tap t, pixel i]            (9.11)
 *   dxp[t, i] += Σ_k w[k, t] · dy[k, i]                           (9.13), scattered back to the image
 */
import {
  A_STEP,
  B_STEP,
  COLUMNS,
  ROWS,
  TILE_BYTES,
  accumulateTile,
  multiplyTile,
  packPanel,
  packPanels,
} from '../../micro/gemm'
import { gatherPixels, gatherTaps, scatterTile } from '../../micro/gather'
import { F32 } from '../../simd'
import {
  ConvShape,
  align,
  fillBias,
  fillPixels,
  fillTaps,
  padImage,
  pixelTableBytes,
  tapTableBytes,
  unpadImage,
} from './shape'

/** Bytes of packed weights that stay in the second-level cache while the panels of pixels pass by. */
const CACHED_WEIGHTS: i32 = 1 << 19
/** Pixels in one block of the filter gradient: eight taps of 512 pixels are 16 kB. */
const PIXEL_BLOCK: i32 = 512


@inline
function panelCount(n: i32, width: i32): i32 {
  return (n + width - 1) / width
}

/** Steps of k in one block of the forward pass. */
@inline
function tapBlock(d: ConvShape): i32 {
  return min(d.taps, max(128, min(1024, CACHED_WEIGHTS / (4 * d.groupK))))
}

// ---- forward ----------------------------------------------------------------------------------------------

/** Bytes of weights (G, K/G, taps) packed for the forward pass. */
export function conv_gemm_packed(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return <usize>d.G * <usize>panelCount(d.groupK, ROWS) * <usize>d.taps * A_STEP
}

/** Packs w into panels of four output channels, block of taps by block of taps. */
export function conv_gemm_pack(packed: usize, w: usize, shape: usize): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const block = tapBlock(d)
  const pitch = <usize>taps * F32
  for (let g = 0; g < d.G; g++) {
    const filters = w + <usize>(g * d.groupK) * pitch
    for (let t = 0; t < taps; t += block) {
      const depth = min(block, taps - t)
      packPanels(packed, filters + <usize>t * F32, ROWS, d.groupK, pitch, depth, F32)
      packed += <usize>panelCount(d.groupK, ROWS) * <usize>depth * A_STEP
    }
  }
}

export function conv_gemm_fwd_workspace(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return align(d.paddedBytes) + tapTableBytes(d) + pixelTableBytes(d) + TILE_BYTES + <usize>tapBlock(d) * B_STEP
}

/** Images begin ≤ n < end of y (N, K, O, P, Q); `packed` from conv_gemm_pack. */
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
  const block = tapBlock(d)
  const tapTable = ws + align(d.paddedBytes)
  const pixelTable = tapTable + tapTableBytes(d)
  const scratch = pixelTable + pixelTableBytes(d)
  const panel = scratch + TILE_BYTES
  const pitch = <usize>pixels * F32
  fillTaps(tapTable, d)
  fillPixels(pixelTable, d)
  for (let n = begin; n < end; n++) {
    const image = padImage(ws, x + <usize>n * <usize>d.C * <usize>d.inputPixels * F32, d)
    const maps = y + <usize>n * <usize>d.K * pitch
    let weights = packed
    for (let g = 0; g < d.G; g++) {
      const channels = image + <usize>(g * d.groupC) * <usize>d.arrayPixels * F32
      const firstK = g * groupK
      for (let t = 0; t < taps; t += block) {
        const depth = min(block, taps - t)
        for (let i = 0; i < pixels; i += COLUMNS) {
          const columns = min(COLUMNS, pixels - i)
          gatherPixels(panel, channels, tapTable + ((<usize>t) << 2), depth, pixelTable + ((<usize>i) << 2))
          let a = weights
          let c = maps + <usize>firstK * pitch + ((<usize>i) << 2)
          for (let k = 0; k < groupK; k += ROWS) {
            if (t == 0) {
              const rows = min(ROWS, groupK - k)
              for (let row = 0; row < rows; row++) {
                fillBias(c + <usize>row * pitch, bias, d, firstK + k + row, i, columns)
              }
            }
            accumulateTile(c, pitch, groupK - k, columns, a, panel, depth, scratch)
            a += <usize>depth * A_STEP
            c += pitch * ROWS
          }
        }
        weights += <usize>panelCount(groupK, ROWS) * <usize>depth * A_STEP
      }
    }
  }
}

// ---- gradient with respect to the input -------------------------------------------------------------------

/** Bytes of the transposed weights (G, taps, K/G), packed for the input gradient. */
export function conv_gemm_packed_transposed(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return <usize>d.G * <usize>panelCount(d.taps, ROWS) * <usize>d.groupK * A_STEP
}

/** Packs w transposed: panels of four taps, one after another, each over the output channels of its group. */
export function conv_gemm_pack_transposed(packed: usize, w: usize, shape: usize): void {
  const d = changetype<ConvShape>(shape)
  const pitch = <usize>d.taps * F32
  for (let g = 0; g < d.G; g++) {
    packPanels(packed, w + <usize>(g * d.groupK) * pitch, ROWS, d.taps, F32, d.groupK, pitch)
    packed += <usize>panelCount(d.taps, ROWS) * <usize>d.groupK * A_STEP
  }
}

export function conv_gemm_dx_workspace(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return (
    align(d.paddedBytes) +
    tapTableBytes(d) +
    pixelTableBytes(d) +
    TILE_BYTES +
    <usize>panelCount(d.pixels, COLUMNS) * <usize>d.groupK * B_STEP
  )
}

/** Images begin ≤ n < end of dx (N, C, D, H, W); `packed` from conv_gemm_pack_transposed. */
export function conv_gemm_dx(dx: usize, dy: usize, packed: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const pixels = d.pixels
  const groupK = d.groupK
  const tapTable = ws + align(d.paddedBytes)
  const pixelTable = tapTable + tapTableBytes(d)
  const scratch = pixelTable + pixelTableBytes(d)
  const panels = scratch + TILE_BYTES
  const pitch = <usize>pixels * F32
  const imageBytes = <usize>d.C * <usize>d.inputPixels * F32
  const panelBytes = <usize>groupK * B_STEP
  const rowBytes = <usize>groupK * A_STEP
  // Blocks of taps small enough that their weights stay cached while all pixels pass by.
  const block = max(ROWS, (CACHED_WEIGHTS / (4 * groupK)) & ~(ROWS - 1))
  fillTaps(tapTable, d)
  fillPixels(pixelTable, d)
  for (let n = begin; n < end; n++) {
    const target = dx + <usize>n * imageBytes
    const image = d.padded ? ws : target
    memory.fill(image, 0, d.padded ? d.paddedBytes : imageBytes)
    let weights = packed
    for (let g = 0; g < d.G; g++) {
      const channels = image + <usize>(g * d.groupC) * <usize>d.arrayPixels * F32
      const maps = dy + <usize>(n * d.K + g * groupK) * pitch
      packPanels(panels, maps, COLUMNS, pixels, F32, groupK, pitch)
      for (let first = 0; first < taps; first += block) {
        const last = min(taps, first + block)
        let panel = panels
        for (let i = 0; i < pixels; i += COLUMNS) {
          const columns = min(COLUMNS, pixels - i)
          let a = weights + <usize>(first / ROWS) * rowBytes
          for (let t = first; t < last; t += ROWS) {
            multiplyTile(scratch, a, panel, groupK)
            scatterTile(
              channels,
              scratch,
              tapTable + ((<usize>t) << 2),
              min(ROWS, taps - t),
              pixelTable + ((<usize>i) << 2),
              columns,
            )
            a += rowBytes
          }
          panel += panelBytes
        }
      }
      weights += <usize>panelCount(taps, ROWS) * rowBytes
    }
    if (d.padded) unpadImage(target, image, d)
  }
}

// ---- gradient with respect to the weights -----------------------------------------------------------------

/** Images in one block of pixels: several where maps are small. */
@inline
function imageBlock(d: ConvShape): i32 {
  return max(1, min(d.N, PIXEL_BLOCK / d.pixels))
}

export function conv_gemm_dw_workspace(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  const depth = <usize>min(PIXEL_BLOCK, imageBlock(d) * d.pixels)
  return (
    align(d.paddedBytes) * <usize>imageBlock(d) +
    tapTableBytes(d) +
    pixelTableBytes(d) +
    TILE_BYTES +
    depth * B_STEP +
    depth * <usize>panelCount(d.groupK, ROWS) * A_STEP
  )
}

/** Work items of conv_gemm_dw: panels of eight taps, group by group. */
export function conv_gemm_dw_items(shape: usize): i32 {
  const d = changetype<ConvShape>(shape)
  return d.G * panelCount(d.taps, COLUMNS)
}

/**
 * Panels begin ≤ item < end of dw (K, C/G, T, R, S). Each panel scans all images and pixels in rising order,
 * so the sum does not depend on how the panels are divided.
 */
export function conv_gemm_dw(dw: usize, dy: usize, x: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const pixels = d.pixels
  const groupK = d.groupK
  const tapPanels = panelCount(taps, COLUMNS)
  const images = imageBlock(d)
  const copyBytes = align(d.paddedBytes)
  const imageBytes = <usize>d.C * <usize>d.inputPixels * F32
  const tapTable = ws + copyBytes * <usize>images
  const pixelTable = tapTable + tapTableBytes(d)
  const scratch = pixelTable + pixelTableBytes(d)
  const panel = scratch + TILE_BYTES
  const gradients = panel + <usize>min(PIXEL_BLOCK, images * pixels) * B_STEP
  const pitch = <usize>taps * F32
  const mapBytes = <usize>pixels * F32
  fillTaps(tapTable, d)
  fillPixels(pixelTable, d)
  for (let item = begin; item < end; item++) {
    const t = (item % tapPanels) * COLUMNS
    const columns = min(COLUMNS, taps - t)
    let row = dw + <usize>((item / tapPanels) * groupK) * pitch + ((<usize>t) << 2)
    for (let k = 0; k < groupK; k++) {
      memory.fill(row, 0, <usize>columns * F32)
      row += pitch
    }
  }
  for (let n = 0; n < d.N; n += images) {
    const count = min(images, d.N - n)
    for (let j = 0; j < count; j++) padImage(ws + <usize>j * copyBytes, x + <usize>(n + j) * imageBytes, d)
    const base = d.padded ? ws : x + <usize>n * imageBytes
    const baseStep = d.padded ? copyBytes : imageBytes
    for (let i = 0; i < pixels; i += PIXEL_BLOCK) {
      const depth = min(PIXEL_BLOCK, pixels - i)
      const steps = depth * count
      for (let g = begin / tapPanels; g * tapPanels < end; g++) {
        // dy of this group and block: panels of four channels over all pixels of all images.
        for (let k = 0; k < groupK; k += ROWS) {
          let to = gradients + <usize>(k / ROWS) * <usize>steps * A_STEP
          for (let j = 0; j < count; j++) {
            const from = dy + <usize>((n + j) * d.K + g * groupK + k) * mapBytes + ((<usize>i) << 2)
            packPanel(to, from, ROWS, groupK - k, mapBytes, depth, F32)
            to += <usize>depth * A_STEP
          }
        }
        const lastItem = min(end, (g + 1) * tapPanels)
        for (let item = max(begin, g * tapPanels); item < lastItem; item++) {
          const t = (item - g * tapPanels) * COLUMNS
          let to = panel
          let image = base + <usize>(g * d.groupC) * <usize>d.arrayPixels * F32
          for (let j = 0; j < count; j++) {
            gatherTaps(to, image, tapTable + ((<usize>t) << 2), pixelTable + ((<usize>i) << 2), depth)
            to += <usize>depth * B_STEP
            image += baseStep
          }
          let a = gradients
          let c = dw + <usize>(g * groupK) * pitch + ((<usize>t) << 2)
          for (let k = 0; k < groupK; k += ROWS) {
            accumulateTile(c, pitch, groupK - k, taps - t, a, panel, steps, scratch)
            a += <usize>steps * A_STEP
            c += pitch * ROWS
          }
        }
      }
    }
  }
}
