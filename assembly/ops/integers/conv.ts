/**
 * Convolution of bytes: y (N, K, P, Q) = zero + ⌊M[k] · (bias[k] + Σ w[k, c, r, s] · (x[n, c, …] − xZero)) + 1/2⌋, limited. Weights are
 * int8 with the zero point 0, sums have 32 bits and do not overflow (src/ops/integers/bytes.ts). A window's pixels outside of x are its
 * zero point and add nothing.
 *
 * x less its zero point is widened to int16 with zeros around it (integer_widen_fwd), and patches of eight output pixels are
 * gathered into panels of pairs of taps. A convolution of one pixel packs its panels from x itself.
 */
import { panelCount, partEnd } from '../../micro/gemm'
import { align } from '../conv/shape'
import { byteAt, bytesOf, reduced, rounding, scaled, storeBytes, widened } from './requantize'
import { IntegerShape } from './shape'
import { integerTile, PAIR_BYTES, TILE_ROWS, tileRows } from './tile'
import { widenPlane } from './widen'

/** Columns of a panel. */
const COLUMNS: i32 = 8
/** Bytes that the panels of one item may take, and the most panels of one item. */
const PANEL_BYTES: i32 = 1 << 16
const MOST_PANELS: i32 = 16
/** As many items as a call should have at least, and the fewest filters of one item. */
const ITEMS: i32 = 16
const FILTERS: i32 = 64

/** Bytes of the widened input of all images, with room for what vectors read behind it. */
export function integer_widen_bytes(shape: usize): f64 {
  const d = changetype<IntegerShape>(shape)
  return <f64>d.N * <f64>d.C * <f64>d.reachH * <f64>d.reachW * 2 + 64
}

/** Items begin ≤ item < end are channels of images: to (N, C, reachH, reachW) int16 = x − xZero, with zeros around it. */
export function integer_widen_fwd(to: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<IntegerShape>(shape)
  const plane = (<usize>(d.reachH * d.reachW)) << 1
  for (let item = begin; item < end; item++) {
    widenPlane(to + <usize>item * plane, x + <usize>item * <usize>(d.H * d.W), d)
  }
}

/** Bytes of packed weights. */
export function integer_conv_packed(shape: usize): f64 {
  const d = changetype<IntegerShape>(shape)
  return <f64>d.K * <f64>d.pairs * 4
}

/** Packs w (K, C/G, R, S) int8: panels of rows, each pair of taps of a row as two int16. */
export function integer_conv_pack(packed: usize, w: usize, shape: usize): void {
  const d = changetype<IntegerShape>(shape)
  const taps = d.groupC * d.R * d.S
  for (let g = 0; g < d.G; g++) {
    for (let k = 0; k < d.groupK;) {
      const rows = tileRows(d.groupK - k)
      const from = w + <usize>(g * d.groupK + k) * <usize>taps
      for (let t = 0; t < 2 * d.pairs; t += 2) {
        for (let i = 0; i < rows; i++) {
          const at = from + <usize>i * <usize>taps + <usize>t
          store<i16>(packed, <i16>load<i8>(at))
          store<i16>(packed, t + 1 < taps ? <i16>load<i8>(at, 1) : 0, 2)
          packed += 4
        }
      }
      k += rows
    }
  }
}

/** Panels of columns of one item. */
@inline
function panelsOf(d: IntegerShape): i32 {
  const all = panelCount(d.P * d.Q, COLUMNS)
  return min(all, max(1, min(MOST_PANELS, PANEL_BYTES / (d.pairs * <i32>PAIR_BYTES))))
}

/** Blocks of columns of a map. */
@inline
function blocksOf(d: IntegerShape): i32 {
  return panelCount(panelCount(d.P * d.Q, COLUMNS), panelsOf(d))
}

/** Parts of the filters of a group. */
@inline
function sharesOf(d: IntegerShape): i32 {
  return max(1, min(panelCount(ITEMS, d.N * d.G * blocksOf(d)), d.groupK / FILTERS))
}

/** Work items: a share of the filters of a group at a block of pixels of an image. */
export function integer_conv_items(shape: usize): i32 {
  const d = changetype<IntegerShape>(shape)
  return d.N * d.G * blocksOf(d) * sharesOf(d)
}

/** Bytes of the sums of a panel of filters at all pixels of an item. */
@inline
function sumBytes(d: IntegerShape): usize {
  return <usize>(TILE_ROWS * panelsOf(d)) * PAIR_BYTES
}

/** Bytes of workspace of each thread. */
export function integer_conv_workspace(shape: usize): f64 {
  const d = changetype<IntegerShape>(shape)
  const taps = align((<usize>(d.pairs * 2)) << 2)
  return (
    <f64>(taps + align((<usize>(panelsOf(d) * COLUMNS)) << 2) + sumBytes(d)) +
    <f64>panelsOf(d) * <f64>d.pairs * <f64>PAIR_BYTES
  )
}

/** Byte offsets of the taps of one group in the widened input; the last stands again where pairs are filled up. */
function fillTaps(table: usize, d: IntegerShape): void {
  const plane = d.reachH * d.reachW
  const begin = table
  for (let c = 0; c < d.groupC; c++) {
    for (let r = 0; r < d.R; r++) {
      for (let s = 0; s < d.S; s++) {
        store<u32>(table, (<u32>(c * plane + r * d.dilationH * d.reachW + s * d.dilationW)) << 1)
        table += 4
      }
    }
  }
  const end = begin + ((<usize>d.pairs) << 3)
  for (; table < end; table += 4) store<u32>(table, load<u32>(table - 4))
}

/** Byte offsets of the windows of `count` pixels from `first` on; up to eight entries behind them repeat the last. */
function fillPixels(table: usize, d: IntegerShape, first: i32, count: i32, entries: i32): void {
  let p = first / d.Q
  let q = first % d.Q
  let offset: u32 = 0
  for (let i = 0; i < entries; i++) {
    if (i < count) {
      offset = (<u32>(p * d.strideH * d.reachW + q * d.strideW)) << 1
      if (++q == d.Q) {
        q = 0
        p++
      }
    }
    store<u32>(table + ((<usize>i) << 2), offset)
  }
}

/** Eight int16, every second of sixteen. */
@inline
function everySecond(p: usize): v128 {
  return i8x16.shuffle(v128.load(p), v128.load(p, 16), 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29)
}

/** Two vectors of a pair of taps, side by side. */
@inline
function storePair(to: usize, a: v128, b: v128): void {
  v128.store(to, i8x16.shuffle(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23))
  v128.store(to, i8x16.shuffle(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31), 16)
}

/** A panel of eight pixels in one row of the map: taps of each are `step` (1 or 2) elements from those of the one before. */
function gatherRow(to: usize, image: usize, taps: usize, pairs: i32, step: i32): void {
  const end = taps + ((<usize>pairs) << 3)
  if (step == 1) {
    while (taps < end) {
      storePair(to, v128.load(image + <usize>load<u32>(taps)), v128.load(image + <usize>load<u32>(taps, 4)))
      taps += 8
      to += PAIR_BYTES
    }
    return
  }
  while (taps < end) {
    storePair(to, everySecond(image + <usize>load<u32>(taps)), everySecond(image + <usize>load<u32>(taps, 4)))
    taps += 8
    to += PAIR_BYTES
  }
}

/** A panel whose pixels lie in two rows of the map: `second` is where the first pixel would lie of the row of the last. */
function gatherRows(to: usize, first: usize, second: usize, mask: v128, taps: usize, pairs: i32, step: i32): void {
  const end = taps + ((<usize>pairs) << 3)
  if (step == 1) {
    while (taps < end) {
      const t0 = <usize>load<u32>(taps)
      const t1 = <usize>load<u32>(taps, 4)
      const a = v128.bitselect(v128.load(first + t0), v128.load(second + t0), mask)
      const b = v128.bitselect(v128.load(first + t1), v128.load(second + t1), mask)
      storePair(to, a, b)
      taps += 8
      to += PAIR_BYTES
    }
    return
  }
  while (taps < end) {
    const t0 = <usize>load<u32>(taps)
    const t1 = <usize>load<u32>(taps, 4)
    const a = v128.bitselect(everySecond(first + t0), everySecond(second + t0), mask)
    const b = v128.bitselect(everySecond(first + t1), everySecond(second + t1), mask)
    storePair(to, a, b)
    taps += 8
    to += PAIR_BYTES
  }
}

/** A panel of any eight pixels. */
function gatherAny(to: usize, image: usize, pixels: usize, taps: usize, pairs: i32): void {
  const p0 = image + <usize>load<u32>(pixels)
  const p1 = image + <usize>load<u32>(pixels, 4)
  const p2 = image + <usize>load<u32>(pixels, 8)
  const p3 = image + <usize>load<u32>(pixels, 12)
  const p4 = image + <usize>load<u32>(pixels, 16)
  const p5 = image + <usize>load<u32>(pixels, 20)
  const p6 = image + <usize>load<u32>(pixels, 24)
  const p7 = image + <usize>load<u32>(pixels, 28)
  for (let i = 0; i < pairs << 1; i++) {
    const t = <usize>load<u32>(taps)
    store<i16>(to, load<i16>(p0 + t))
    store<i16>(to, load<i16>(p1 + t), 4)
    store<i16>(to, load<i16>(p2 + t), 8)
    store<i16>(to, load<i16>(p3 + t), 12)
    store<i16>(to, load<i16>(p4 + t), 16)
    store<i16>(to, load<i16>(p5 + t), 20)
    store<i16>(to, load<i16>(p6 + t), 24)
    store<i16>(to, load<i16>(p7 + t), 28)
    taps += 4
    to += i & 1 ? PAIR_BYTES - 2 : 2
  }
}

/** Lanes before `count` are ones. */
@inline
function lanesBefore(count: i32): v128 {
  return i16x8.lt_s(i16x8(0, 1, 2, 3, 4, 5, 6, 7), i16x8.splat(<i16>count))
}

/** The panel of eight pixels whose offsets stand at `pixels`, of the widened input. */
function gatherPanel(to: usize, image: usize, pixels: usize, taps: usize, d: IntegerShape, count: i32): void {
  const step = d.strideW
  const first = load<u32>(pixels)
  const apart = (<u32>step) << 1
  if (step <= 2 && count == COLUMNS) {
    // Pixels of the first row: the others follow at the beginning of another.
    let inRow = 1
    while (inRow < COLUMNS && load<u32>(pixels + ((<usize>inRow) << 2)) == first + <u32>inRow * apart) inRow++
    if (inRow == COLUMNS) return gatherRow(to, image + <usize>first, taps, d.pairs, step)
    const second = load<u32>(pixels + ((<usize>inRow) << 2)) - <u32>inRow * apart
    if (load<u32>(pixels, 28) == second + 7 * apart) {
      gatherRows(to, image + <usize>first, image + <usize>second, lanesBefore(inRow), taps, d.pairs, step)
      return
    }
  }
  gatherAny(to, image, pixels, taps, d.pairs)
}

/** A panel of `count` pixels of x itself: channels are `plane` bytes apart. */
function packPixels(to: usize, x: usize, plane: usize, channels: i32, pairs: i32, count: i32, d: IntegerShape): void {
  const zero = i16x8.splat(<i16>d.xZero)
  const signed = d.xSigned != 0
  if (count < COLUMNS) return packSome(to, x, plane, channels, pairs, count, d)
  for (let c = 1; c < channels; c += 2) {
    storePair(to, widened(x, signed, zero), widened(x + plane, signed, zero))
    x += plane << 1
    to += PAIR_BYTES
  }
  if (channels & 1) storePair(to, widened(x, signed, zero), i16x8.splat(0))
}

/** The same for fewer than eight pixels; the other columns are 0. */
function packSome(to: usize, x: usize, plane: usize, channels: i32, pairs: i32, count: i32, d: IntegerShape): void {
  const signed = d.xSigned != 0
  memory.fill(to, 0, <usize>pairs * PAIR_BYTES)
  for (let c = 0; c < channels; c++) {
    for (let j: usize = 0; j < <usize>count; j++) store<i16>(to + (j << 2), <i16>(byteAt(x + j, signed) - d.xZero))
    x += plane
    to += c & 1 ? PAIR_BYTES - 2 : 2
  }
}

/** Bytes of `count` sums of one filter. */
function storeRow(to: usize, sums: usize, count: i32, factor: i32, s: i32, zero: v128, low: v128, high: v128): void {
  const m = i32x4.splat(factor)
  const round = i64x2.splat(rounding(s))
  let i = 0
  if (s < 0) {
    for (; i < count; i += COLUMNS) {
      const v0 = scaled(v128.load(sums), m, round, s)
      const v1 = scaled(v128.load(sums, 16), m, round, s)
      storeBytes(to + <usize>i, bytesOf(v0, v1, zero, low, high), min(COLUMNS, count - i))
      sums += 32
    }
    return
  }
  for (; i + COLUMNS <= count; i += COLUMNS) {
    const v0 = reduced(v128.load(sums), m, round, s)
    const v1 = reduced(v128.load(sums, 16), m, round, s)
    v128.store64_lane(to + <usize>i, bytesOf(v0, v1, zero, low, high), 0)
    sums += 32
  }
  if (i == count) return
  const v0 = reduced(v128.load(sums), m, round, s)
  const v1 = reduced(v128.load(sums, 16), m, round, s)
  storeBytes(to + <usize>i, bytesOf(v0, v1, zero, low, high), count - i)
}

/**
 * Items begin ≤ item < end of y (N, K, P, Q). `x` are bytes where the shape is pointwise, else what integer_widen_fwd made; `packed`
 * from integer_conv_pack; bias, factors m and shifts s are K int32 each.
 */
export function integer_conv_fwd(
  y: usize,
  x: usize,
  packed: usize,
  bias: usize,
  factors: usize,
  shifts: usize,
  ws: usize,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<IntegerShape>(shape)
  const pixels = d.P * d.Q
  const groupK = d.groupK
  const pairs = d.pairs
  const blocks = blocksOf(d)
  const shares = sharesOf(d)
  const panels = panelsOf(d)
  const pointwise = d.pointwise
  const taps = ws
  const table = taps + align((<usize>(pairs * 2)) << 2)
  const sums = table + align((<usize>(panels * COLUMNS)) << 2)
  const columns = sums + sumBytes(d)
  const panelBytes = <usize>pairs * PAIR_BYTES
  const pitch = <usize>panels * PAIR_BYTES
  const plane: usize = pointwise ? <usize>pixels : (<usize>(d.reachH * d.reachW)) << 1
  const zero = i16x8.splat(<i16>d.yZero)
  const low = i16x8.splat(<i16>d.low)
  const high = i16x8.splat(<i16>d.high)
  const filterPanels = panelCount(groupK, TILE_ROWS)
  if (!pointwise) fillTaps(taps, d)
  for (let item = begin; item < end; item++) {
    const share = item % shares
    const block = (item / shares) % blocks
    const g = (item / (shares * blocks)) % d.G
    const n = item / (shares * blocks * d.G)
    const first = block * panels * COLUMNS
    const count = min(panels * COLUMNS, pixels - first)
    const image = x + <usize>(n * d.C + g * d.groupC) * plane
    if (!pointwise) fillPixels(table, d, first, count, panels * COLUMNS)
    let to = columns
    for (let i = 0; i < count; i += COLUMNS) {
      const inPanel = min(COLUMNS, count - i)
      if (pointwise) packPixels(to, image + <usize>(first + i), plane, d.groupC, pairs, inPanel, d)
      else gatherPanel(to, image, table + ((<usize>i) << 2), taps, d, inPanel)
      to += panelBytes
    }
    // Rows of panels are as even as tileRows makes them: so many panels have a row more than the others.
    const lastPanel = partEnd(filterPanels, shares, share + 1)
    let panel = partEnd(filterPanels, shares, share)
    let k = partEnd(groupK, filterPanels, panel)
    for (; panel < lastPanel; panel++) {
      const rows = tileRows(groupK - k)
      const channel = <usize>(g * groupK + k)
      const a = packed + channel * <usize>pairs * 4
      let b = columns
      for (let i = 0; i < count; i += COLUMNS) {
        integerTile(sums + ((<usize>i) << 2), pitch, rows, bias + (channel << 2), a, b, pairs)
        b += panelBytes
      }
      let target = y + (<usize>n * <usize>d.K + channel) * <usize>pixels + <usize>first
      let from = sums
      for (let row = 0; row < rows; row++) {
        const at = (channel + <usize>row) << 2
        storeRow(target, from, count, load<i32>(factors + at), load<i32>(shifts + at), zero, low, high)
        from += pitch
        target += <usize>pixels
      }
      k += rows
    }
  }
}
