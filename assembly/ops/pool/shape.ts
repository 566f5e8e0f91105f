/**
 * What every pooling kernel is told about its windows, and how it loads the same tap of four of them.
 *
 * Maps x (maps, D, H, W) become y (maps, O, P, Q), where a map is one channel of one image; one and two dimensions are
 * three with extents of 1. A window is the product of one range of elements for each direction; `Axis` gives that
 * range, for sliding and for adaptive windows alike. Along a row of output, windows that lie inside the input are taken
 * four at a time; those at the borders one by one, in the same order of summation.
 */
import { F32 } from '../../simd'

/**
 * Windows along one direction, filled by src/plan/pool.ts in this order.
 *
 * n and output are extents of tensors, below 2³⁰. Kernel, stride, lo, hi and dilation may be up to 2³¹ − 1. The first tap of
 * a window lies at its origin, from −lo to n − 1, which 32 bits hold, so that `origin` is right although its product
 * may wrap; distances from an origin are below 2³² and taken without a sign.
 */
@unmanaged
class Axis {
  /** Elements of the input. */
  n: i32
  /** Taps of a window; 0: adaptive, window i of the output's m covers floor(i·n / m) to ceil((i + 1)·n / m). */
  kernel: i32
  /** Number of windows. */
  output: i32
  stride: i32
  lo: i32
  hi: i32
  /** 1 where a window has one tap. */
  dilation: i32
  /** The windows insideBegin ≤ i < insideEnd lie in the input as a whole; none where addresses of blocks could wrap. */
  insideBegin: i32
  insideEnd: i32
  /** Those of partBegin ≤ i < partEnd lie in it at least in part, provided that the dilation is 1; else as above. */
  partBegin: i32
  partEnd: i32


  @inline
  origin(i: i32): i32 {
    return i * this.stride - this.lo
  }

  /** First tap of window i that lies in the input. */
  tap(i: i32): i32 {
    if (this.kernel == 0) return 0
    const origin = this.origin(i)
    return origin >= 0 ? 0 : <i32>((<u32>-origin - 1) / <u32>this.dilation) + 1
  }

  /** Its position in the input; where the window has no tap there, an address that must not be read. */
  first(i: i32): i32 {
    if (this.kernel == 0) return <i32>((<i64>i * this.n) / this.output)
    return this.origin(i) + this.tap(i) * this.dilation
  }

  /** Taps of window i that lie in the input. */
  count(i: i32): i32 {
    if (this.kernel == 0) {
      return <i32>(((<i64>i + 1) * this.n + this.output - 1) / this.output) - <i32>((<i64>i * this.n) / this.output)
    }
    const origin = this.origin(i)
    if (origin >= this.n) return 0
    const before = <u32>(this.n - 1 - origin) / <u32>this.dilation + 1
    return max(0, <i32>min(<u32>this.kernel, before) - this.tap(i))
  }

  /** Behind the last of the windows from i on that cover the same elements: i + 1, unless adaptive windows outnumber them. */
  endSame(i: i32): i32 {
    if (this.kernel != 0 || this.output <= this.n) return i + 1
    const first = <i64>this.first(i)
    const last = first + this.count(i)
    // floor(j·n / m) ≤ first and ceil((j + 1)·n / m) ≤ last.
    const m = <i64>this.output
    return <i32>min<i64>(((first + 1) * m - 1) / this.n + 1, (last * m) / this.n)
  }

  /**
   * Taps of window i that a mean divides by: those in the input, or also those in its padding. Means have no dilation, so
   * that lo and hi, at most half of the kernel, are below 2³⁰.
   */
  extent(i: i32, countPadding: bool): i32 {
    if (this.kernel == 0 || !countPadding) return this.count(i)
    return <i32>min(<u32>this.kernel, <u32>(this.n + this.hi - this.origin(i)))
  }

  /** At most so many windows share an element. */
  @inline
  get overlap(): f64 {
    return this.kernel == 0 ? <f64>(this.output / this.n + 2) : <f64>min(this.kernel, this.output)
  }
}

/** 36 integers. */
@unmanaged
export class PoolShape {
  /** A mean is sum · numerator / extent; a p-norm takes the sum of a full window, as torch.nn.LPPool2d does. */
  numerator: f64
  /** 1: the extent of a window includes padding. */
  countPadding: i32


  @inline
  get depth(): Axis {
    return changetype<Axis>(changetype<usize>(this) + offsetof<PoolShape>())
  }


  @inline
  get height(): Axis {
    return changetype<Axis>(changetype<usize>(this) + offsetof<PoolShape>() + offsetof<Axis>())
  }


  @inline
  get width(): Axis {
    return changetype<Axis>(changetype<usize>(this) + offsetof<PoolShape>() + 2 * offsetof<Axis>())
  }

  /** Elements of one map of x and of y, and the bytes they take. */
  get inputPixels(): i32 {
    return this.depth.n * this.height.n * this.width.n
  }

  get pixels(): i32 {
    return this.depth.output * this.height.output * this.width.output
  }


  @inline
  get inputBytes(): usize {
    return <usize>this.inputPixels * F32
  }


  @inline
  get bytes(): usize {
    return <usize>this.pixels * F32
  }

  /** Elements of x from one tap to the next along D and along H; they may wrap where a window has one tap in the input. */
  @inline
  get planePitch(): i32 {
    return this.depth.dilation * this.height.n * this.width.n
  }


  @inline
  get rowPitch(): i32 {
    return this.height.dilation * this.width.n
  }

  /** Where the first row that windows (o, p) cover begins in the map, in elements. */
  row(o: i32, p: i32): i32 {
    return (this.depth.first(o) * this.height.n + this.height.first(p)) * this.width.n
  }
}

/** Copies the `bytes` at `from` behind themselves until they stand there `times` times; the end of them all. */
export function repeat(from: usize, bytes: usize, times: i32): usize {
  const end = from + bytes * <usize>times
  for (let to = from + bytes; to < end;) {
    const length = min(to - from, end - to)
    memory.copy(to, from, length)
    to += length
  }
  return end
}

/** Elements p, p + step, p + 2·step, p + 3·step (bytes); each class reads no byte beyond the last of them. */
export class Adjacent {

  @inline
  load(p: usize, step: usize): v128 {
    return v128.load(p)
  }
}

export class EverySecond {

  @inline
  load(p: usize, step: usize): v128 {
    return i8x16.shuffle(v128.load(p), v128.load(p, 12), 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23, 28, 29, 30, 31)
  }
}

export class Strided {

  @inline
  load(p: usize, step: usize): v128 {
    let v = v128.load32_zero(p)
    v = v128.load32_lane(p + step, v, 1)
    v = v128.load32_lane(p + 2 * step, v, 2)
    return v128.load32_lane(p + 3 * step, v, 3)
  }
}
