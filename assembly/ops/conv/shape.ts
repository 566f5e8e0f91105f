/**
 * What every convolution kernel is told: one record of 26 integers, filled by src/plan/conv.ts in this order.
 * One- and two-dimensional convolutions are three-dimensional ones with extents of 1.
 *
 * A convolution reads xp[tap[t] + pixel[i]] for tap t = (c, t, r, s) of the kernel and output pixel
 * i = (o, p, q), where xp is the padded input: the address is a sum of two offsets, each taken from a table.
 * Stride, dilation, flipping and the number of dimensions live in the tables alone.
 */
import { F32 } from '../../simd'


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
  /** Extents of the input that the windows reach, padding included. */
  @inline
  get reachD(): i32 {
    return (this.O - 1) * this.strideD + (this.T - 1) * this.dilationD + 1
  }


  @inline
  get reachH(): i32 {
    return (this.P - 1) * this.strideH + (this.R - 1) * this.dilationH + 1
  }


  @inline
  get reachW(): i32 {
    return (this.Q - 1) * this.strideW + (this.S - 1) * this.dilationW + 1
  }
  /** Whether windows leave the input, so that it must be copied into a padded one. */
  @inline
  get padded(): bool {
    return (
      (this.padD | this.padH | this.padW) > 0 || this.reachD > this.D || this.reachH > this.H || this.reachW > this.W
    )
  }
  /** Extents of the array that the tables address: the input itself, or its padded copy. */
  @inline
  get arrayH(): i32 {
    return this.padded ? this.reachH : this.H
  }


  @inline
  get arrayW(): i32 {
    return this.padded ? this.reachW : this.W
  }
  /** Elements of one channel of that array. */
  @inline
  get arrayPixels(): i32 {
    return (this.padded ? this.reachD : this.D) * this.arrayH * this.arrayW
  }
  /** Bytes of the padded copy of one image; 0 if none is needed. */
  @inline
  get paddedBytes(): usize {
    return this.padded ? <usize>this.C * <usize>this.arrayPixels * F32 : 0
  }
}

/** Rounds up to a multiple of 64 bytes. */
@inline
export function align(bytes: usize): usize {
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

/** tap[t] = byte offset of tap t within one group; entries beyond the last repeat tap 0. */
export function fillTaps(table: usize, d: ConvShape): void {
  const rowBytes = <usize>d.arrayW * F32
  const planeBytes = <usize>d.arrayH * rowBytes
  const channelBytes = <usize>d.arrayPixels * F32
  const last = table + ((<usize>d.taps) << 2)
  let entry = table
  for (let c = 0; c < d.groupC; c++) {
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
  for (let i: usize = 0; i < 32; i += 4) store<u32>(last + i, load<u32>(table))
}

/** pixel[i] = byte offset of output pixel i's window; entries beyond the last repeat pixel 0 (offset 0). */
export function fillPixels(table: usize, d: ConvShape): void {
  const rowBytes = <usize>d.arrayW * F32
  const planeBytes = <usize>d.arrayH * rowBytes
  let entry = table
  for (let o = 0; o < d.O; o++) {
    for (let p = 0; p < d.P; p++) {
      let offset = <usize>(o * d.strideD) * planeBytes + <usize>(p * d.strideH) * rowBytes
      for (let q = 0; q < d.Q; q++) {
        store<u32>(entry, <u32>offset)
        entry += 4
        offset += <usize>d.strideW * F32
      }
    }
  }
  for (let i: usize = 0; i < 32; i += 4) store<u32>(entry + i, 0)
}

/**
 * The array to read for one image x (C, D, H, W): x itself, or its copy in `to` with zeros around it.
 * Rows and columns that no window reaches are left out of the copy.
 */
export function padImage(to: usize, x: usize, d: ConvShape): usize {
  if (!d.padded) return x
  memory.fill(to, 0, d.paddedBytes)
  moveImage(to, x, d, false)
  return to
}

/** x (C, D, H, W) += or = the inner part of the padded image: the adjoint of padImage. */
export function unpadImage(x: usize, from: usize, d: ConvShape): void {
  memory.fill(x, 0, <usize>d.C * <usize>d.inputPixels * F32)
  moveImage(from, x, d, true)
}

/** Copies what the input and the padded array share, to the array or (back) to the input. */
function moveImage(array: usize, x: usize, d: ConvShape, back: bool): void {
  const rows = min(d.H, d.reachH - d.padH)
  const columns = min(d.W, d.reachW - d.padW)
  const planes = min(d.D, d.reachD - d.padD)
  if (rows <= 0 || columns <= 0) return
  const bytes = <usize>columns * F32
  for (let c = 0; c < d.C; c++) {
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
