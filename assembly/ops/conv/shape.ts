/**
 * What every convolution kernel is told: one record of integers, which src/plan/conv.ts fills by the names of the fields.
 * One- and two-dimensional convolutions are three-dimensional ones with extents of 1.
 *
 * A convolution reads xp[tap[t] + pixel[i]] for tap t = (c, t, r, s) of the kernel and output pixel
 * i = (o, p, q), where xp is the padded input: the address is a sum of two offsets, each taken from a table.
 * Stride, dilation, flipping and the number of dimensions live in the tables alone.
 *
 * Tensors hold fewer than 2^30 floats, so a product of the extents of one tensor fits i32. Extents of the padded input are
 * virtual and could be anything: src/plan/reach.ts gives every algorithm but the direct one only shapes whose padded image
 * has fewer than 2^29 elements. Bytes of workspace multiply both, so they are computed in u64 and told as f64.
 */
import { LONG } from '../../micro/long'
import { F32 } from '../../simd'

/**
 * A filter gradient sums one product for each pixel of each image, and a float32 sum of m equal terms errs by up to
 * m · 2^-25 of itself: one that counts ones stops at 2^24. Maps of more than LONG_SUM pixels are therefore summed in runs
 * of SUM_RUN pixels, and the sums of the runs are added up. src/ops/conv.ts divides batches of images alike.
 */
export const LONG_SUM: i32 = LONG
export const SUM_RUN: i32 = 1 << 14


@unmanaged
export class ConvShape {
  N: i32
  C: i32
  K: i32
  G: i32
  D: i32
  H: i32
  W: i32
  T: i32
  R: i32
  S: i32
  O: i32
  P: i32
  Q: i32
  strideD: i32
  strideH: i32
  strideW: i32
  padD: i32
  padH: i32
  padW: i32
  dilationD: i32
  dilationH: i32
  dilationW: i32
  /** 1: the kernel is flipped, equation (9.4); 0: cross-correlation, equation (9.6). */
  flip: i32
  /** 0: no bias; 1: one per channel (K); 2: one per location (K, O, P, Q). */
  bias: i32
  /** 1: relu follows; 0: nothing does. */
  relu: i32
  /** 1: the direct algorithm passes over the taps that lie outside of the input; 0: it multiplies zeros there. */
  skip: i32
  /** 1: a matrix product takes its patches from rows of the image (gemm.ts); 0: pixel by pixel. */
  rowwise: i32

  /** Input and output channels of one group. */
  @inline
  get groupC(): i32 {
    return this.C / this.G
  }


  @inline
  get groupK(): i32 {
    return this.K / this.G
  }
  /** Taps of one output channel: (C / G) · T · R · S. */
  @inline
  get taps(): i32 {
    return this.groupC * this.T * this.R * this.S
  }
  /** Pixels of one output map and of one input map. */
  @inline
  get pixels(): i32 {
    return this.O * this.P * this.Q
  }


  @inline
  get inputPixels(): i32 {
    return this.D * this.H * this.W
  }
  /**
   * Extents of the input that the windows reach, padding included. These and what follows are not inlined: kernels ask for them outside of
   * their loops, and copies of them took 16 kB of the module.
   */
  get reachD(): i32 {
    return (this.O - 1) * this.strideD + (this.T - 1) * this.dilationD + 1
  }

  get reachH(): i32 {
    return (this.P - 1) * this.strideH + (this.R - 1) * this.dilationH + 1
  }

  get reachW(): i32 {
    return (this.Q - 1) * this.strideW + (this.S - 1) * this.dilationW + 1
  }
  /** Whether windows leave the input, so that it must be copied into a padded one. */
  get padded(): bool {
    return (
      (this.padD | this.padH | this.padW) > 0 || this.reachD > this.D || this.reachH > this.H || this.reachW > this.W
    )
  }
  /** Extents of the array that the tables address: the input itself, or its padded copy. */
  get arrayH(): i32 {
    return this.padded ? this.reachH : this.H
  }

  get arrayW(): i32 {
    return this.padded ? this.reachW : this.W
  }
  /** Elements of one channel of that array. */
  get arrayPixels(): i32 {
    return (this.padded ? this.reachD : this.D) * this.arrayH * this.arrayW
  }
  /** Bytes of the padded copy of one image; 0 if none is needed. */
  get paddedBytes(): usize {
    return this.padded ? <usize>this.C * <usize>this.arrayPixels * F32 : 0
  }
}

/** Rounds up to a multiple of 64 bytes. */
@inline
export function align(bytes: usize): usize {
  return (bytes + 63) & ~63
}

/** The same for sizes that a product of extents of several tensors may have. */
@inline
export function align64(bytes: u64): u64 {
  return (bytes + 63) & ~63
}

/** Bytes of the table of taps, and of the table of pixels with its last panel filled up. */
@inline
export function tapTableBytes(d: ConvShape): usize {
  return align((<usize>d.taps + 8) << 2)
}


@inline
export function pixelTableBytes(d: ConvShape): usize {
  return align((<usize>d.pixels + 8) << 2)
}

/** tap[t] = byte offset of tap t within one group; eight more entries repeat the last. */
export function fillTaps(table: usize, d: ConvShape): void {
  const rowBytes = <usize>d.arrayW * F32
  fillTapsOf(table, d, d.groupC, rowBytes, <usize>d.arrayH * rowBytes, <usize>d.arrayPixels * F32)
}

/** The same for an array of `channels` channels whose rows, planes and channels are so many bytes apart. */
export function fillTapsOf(
  table: usize,
  d: ConvShape,
  channels: i32,
  rowBytes: usize,
  planeBytes: usize,
  channelBytes: usize,
): void {
  let entry = table
  for (let c = 0; c < channels; c++) {
    for (let t = 0; t < d.T; t++) {
      for (let r = 0; r < d.R; r++) {
        for (let s = 0; s < d.S; s++) {
          const tt = d.flip ? d.T - 1 - t : t
          const rr = d.flip ? d.R - 1 - r : r
          const ss = d.flip ? d.S - 1 - s : s
          const offset =
            <usize>c * channelBytes +
            <usize>(tt * d.dilationD) * planeBytes +
            <usize>(rr * d.dilationH) * rowBytes +
            <usize>(ss * d.dilationW) * F32
          store<u32>(entry, <u32>offset)
          entry += 4
        }
      }
    }
  }
  const last = load<u32>(entry - 4)
  for (let i: usize = 0; i < 32; i += 4) store<u32>(entry + i, last)
}

/** pixel[i] = byte offset of output pixel i's window; entries beyond the last repeat pixel 0 (offset 0). */
export function fillPixels(table: usize, d: ConvShape): void {
  const rowBytes = <usize>d.arrayW * F32
  fillPixelsOf(table, d, 0, d.pixels, rowBytes, <usize>d.arrayH * rowBytes, 0)
}

/**
 * Offsets of the windows of `count` pixels from `first` on, `origin` bytes less, in an array whose rows and planes are
 * so many bytes apart; eight more entries repeat the first.
 */
export function fillPixelsOf(
  table: usize,
  d: ConvShape,
  first: i32,
  count: i32,
  rowBytes: usize,
  planeBytes: usize,
  origin: usize,
): void {
  const line = first / d.Q
  let q = first % d.Q
  let p = line % d.P
  let o = line / d.P
  let entry = table
  while (count > 0) {
    let offset =
      <usize>(o * d.strideD) * planeBytes + <usize>(p * d.strideH) * rowBytes + <usize>(q * d.strideW) * F32 - origin
    const inRow = min(count, d.Q - q)
    for (let j = 0; j < inRow; j++) {
      store<u32>(entry, <u32>offset)
      entry += 4
      offset += <usize>d.strideW * F32
    }
    count -= inRow
    q = 0
    p++
    if (p == d.P) {
      p = 0
      o++
    }
  }
  for (let i: usize = 0; i < 32; i += 4) store<u32>(entry + i, load<u32>(table))
}

/** Copies `count` floats. */
@inline
function copyRow(to: usize, from: usize, count: i32): void {
  const end = from + ((<usize>count) << 2)
  const whole = from + ((<usize>(count & ~3)) << 2)
  while (from < whole) {
    v128.store(to, v128.load(from))
    to += 16
    from += 16
  }
  while (from < end) {
    store<f32>(to, load<f32>(from))
    to += 4
    from += 4
  }
}


@inline
function zeroRow(to: usize, count: i32): void {
  const end = to + ((<usize>count) << 2)
  while (to < end) {
    store<f32>(to, 0)
    to += 4
  }
}

/**
 * Planes z0 ≤ z < z1 and rows h0 ≤ h < h1 of the padded image of x (channels, D, H, W), each row reachW columns wide:
 * rows follow each other, planes are `planeBytes` apart, channels `channelBytes`.
 */
export function padRegion(
  to: usize,
  x: usize,
  d: ConvShape,
  channels: i32,
  z0: i32,
  z1: i32,
  h0: i32,
  h1: i32,
  planeBytes: usize,
  channelBytes: usize,
): void {
  const columns = d.reachW
  const left = min(d.padW, columns)
  const inner = max(0, min(d.W, columns - left))
  const right = columns - left - inner
  const rowBytes = <usize>columns * F32
  for (let c = 0; c < channels; c++) {
    for (let z = z0; z < z1; z++) {
      const depth = z - d.padD
      let row = to + <usize>(z - z0) * planeBytes
      for (let h = h0; h < h1; h++) {
        const height = h - d.padH
        if (depth < 0 || depth >= d.D || height < 0 || height >= d.H) {
          zeroRow(row, columns)
        } else {
          zeroRow(row, left)
          const body = row + <usize>left * F32
          copyRow(body, x + <usize>((depth * d.H + height) * d.W) * F32, inner)
          zeroRow(body + <usize>inner * F32, right)
        }
        row += rowBytes
      }
    }
    to += channelBytes
    x += <usize>d.inputPixels * F32
  }
}

/**
 * The array to read for one image x (C, D, H, W): x itself, or its copy in `to` with zeros around it.
 * Rows and columns that no window reaches are left out of the copy.
 */
export function padImage(to: usize, x: usize, d: ConvShape): usize {
  if (!d.padded) return x
  memory.fill(to, 0, d.paddedBytes)
  moveImage(to, x, d, d.C, false)
  return to
}

/** x (channels, D, H, W) = the inner part of the padded image: the adjoint of padImage. */
export function unpadImage(x: usize, from: usize, d: ConvShape, channels: i32): void {
  memory.fill(x, 0, <usize>channels * <usize>d.inputPixels * F32)
  moveImage(from, x, d, channels, true)
}

/** Copies what the input and the padded array share, to the array or (back) to the input. */
function moveImage(array: usize, x: usize, d: ConvShape, channels: i32, back: bool): void {
  const rows = min(d.H, d.reachH - d.padH)
  const columns = min(d.W, d.reachW - d.padW)
  const planes = min(d.D, d.reachD - d.padD)
  if (rows <= 0 || columns <= 0) return
  const bytes = <usize>columns * F32
  for (let c = 0; c < channels; c++) {
    for (let z = 0; z < planes; z++) {
      let inner = x + <usize>((c * d.D + z) * d.H) * <usize>d.W * F32
      let outer =
        array +
        (<usize>c * <usize>d.arrayPixels +
          <usize>((z + d.padD) * d.arrayH + d.padH) * <usize>d.arrayW +
          <usize>d.padW) *
          F32
      for (let h = 0; h < rows; h++) {
        if (back) memory.copy(inner, outer, bytes)
        else memory.copy(outer, inner, bytes)
        inner += <usize>d.W * F32
        outer += <usize>d.arrayW * F32
      }
    }
  }
}

/** Sets `count` floats of y from a bias: its value for channel k repeated, its values from pixel i on, or zeros. */
@inline
export function fillBias(y: usize, bias: usize, d: ConvShape, k: i32, i: i32, count: i32): void {
  if (d.bias == 2) {
    memory.copy(y, bias + (<usize>k * <usize>d.pixels + <usize>i) * F32, <usize>count * F32)
    return
  }
  const value = d.bias == 1 ? load<f32>(bias + <usize>k * F32) : 0
  let j = 0
  if (count >= 4) {
    const v = f32x4.splat(value)
    for (; j + 4 <= count; j += 4) v128.store(y + <usize>j * F32, v)
  }
  for (; j < count; j++) store<f32>(y + <usize>j * F32, value)
}
