/** What kernels of integer convolutions and pools are told: one record, filled by src/ops/integers/windows.ts by the names of the fields. */

@unmanaged
export class IntegerShape {
  N: i32
  C: i32
  K: i32
  G: i32
  H: i32
  W: i32
  R: i32
  S: i32
  P: i32
  Q: i32
  strideH: i32
  strideW: i32
  padH: i32
  padW: i32
  dilationH: i32
  dilationW: i32
  /** Zero point of x, and 1 where its bytes have a sign. */
  xZero: i32
  xSigned: i32
  /** Zero point of y, and its limits, all of which its bytes hold. */
  yZero: i32
  low: i32
  high: i32

  /** Channels of one group. */
  @inline
  get groupC(): i32 {
    return this.C / this.G
  }


  @inline
  get groupK(): i32 {
    return this.K / this.G
  }
  /** Pairs of taps of one output channel, an odd one filled up. */
  @inline
  get pairs(): i32 {
    return (this.groupC * this.R * this.S + 1) >> 1
  }
  /** Extents that the windows reach over, padding included. */
  @inline
  get reachH(): i32 {
    return (this.P - 1) * this.strideH + (this.R - 1) * this.dilationH + 1
  }


  @inline
  get reachW(): i32 {
    return (this.Q - 1) * this.strideW + (this.S - 1) * this.dilationW + 1
  }
  /** Whether a window is one pixel and there is one at each pixel, so that x is read where it lies. */
  @inline
  get pointwise(): bool {
    const unpadded = this.padH == 0 && this.padW == 0
    const same = this.P == this.H && this.Q == this.W && this.strideH == 1 && this.strideW == 1
    return this.R == 1 && this.S == 1 && same && unpadded
  }
}
