/**
 * Depthwise convolution of bytes: as integer_conv_fwd, where each group has one channel and K / C filters. A dot product in pairs adds
 * the taps s and s + 1 of a row: pairs that begin at even columns give every second output, those at odd columns the
 * others.
 */
import { align } from '../conv/shape'
import { bytesOf, rounding, scaled, scaledOne, storeBytes } from './requantize'
import { IntegerShape } from './shape'
import { widenPlane } from './widen'

/** Bytes of the pairs of weights of one filter: rows of the kernel, each with its taps in pairs. */
@inline
function weightBytes(d: IntegerShape): usize {
  return align((<usize>(d.R * ((d.S + 1) >> 1))) << 2)
}

/** Bytes of workspace of each thread: the widened channel, and the weights of a filter. */
export function integer_depthwise_workspace(shape: usize): f64 {
  const d = changetype<IntegerShape>(shape)
  return <f64>weightBytes(d) + <f64>d.reachH * <f64>d.reachW * 2 + 128
}

/** Even lanes of `even` and odd ones of `odd` in turn, as eight bytes. */
@inline
function alternating(even: v128, odd: v128, zero: v128, low: v128, high: v128): v128 {
  const v0 = i8x16.shuffle(even, odd, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
  const v1 = i8x16.shuffle(even, odd, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31)
  return bytesOf(v0, v1, zero, low, high)
}


@inline
function dot(w: v128, p: usize, sum: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(w, v128.load(p)), sum)
}

/**
 * Items begin ≤ item < end of y (N, K, P, Q) are maps. x (N, C, H, W) are bytes, w (K, 1, R, S) int8; bias, factors and shifts are
 * K int32 each.
 */
export function integer_depthwise_fwd(
  y: usize,
  x: usize,
  w: usize,
  bias: usize,
  factors: usize,
  shifts: usize,
  ws: usize,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<IntegerShape>(shape)
  const pairs = (d.S + 1) >> 1
  const weights = ws
  const plane = ws + weightBytes(d)
  const zero = i16x8.splat(<i16>d.yZero)
  const low = i16x8.splat(<i16>d.low)
  const high = i16x8.splat(<i16>d.high)
  const rowBytes = (<usize>d.reachW) << 1
  const inPairs = d.dilationW == 1 && d.strideW <= 2
  const threeByThree = inPairs && d.R == 3 && d.S == 3
  const perChannel = d.K / d.C
  let present = -1
  for (let item = begin; item < end; item++) {
    const k = item % d.K
    const channel = (item / d.K) * d.C + k / perChannel
    if (channel != present) widenPlane(plane, x + <usize>channel * <usize>(d.H * d.W), d)
    present = channel
    const filter = w + <usize>k * <usize>(d.R * d.S)
    for (let r = 0; r < d.R; r++) {
      for (let s = 0; s < pairs; s++) {
        const at = filter + <usize>(r * d.S + 2 * s)
        const to = weights + ((<usize>(r * pairs + s)) << 2)
        store<i16>(to, <i16>load<i8>(at))
        store<i16>(to, 2 * s + 1 < d.S ? <i16>load<i8>(at, 1) : 0, 2)
      }
    }
    const start = load<i32>(bias + ((<usize>k) << 2))
    const m = load<i32>(factors + ((<usize>k) << 2))
    const s = load<i32>(shifts + ((<usize>k) << 2))
    const m4 = i32x4.splat(m)
    const round = i64x2.splat(rounding(s))
    const start4 = i32x4.splat(start)
    let target = y + <usize>item * <usize>(d.P * d.Q)
    for (let p = 0; p < d.P; p++) {
      const row = plane + <usize>(p * d.strideH) * rowBytes
      if (!inPairs) {
        sumsOneByOne(target, row, filter, start, m, s, d)
        target += <usize>d.Q
        continue
      }
      const down = <usize>d.dilationH * rowBytes
      for (let q = 0; q < d.Q; q += 8) {
        let c0 = start4
        let c1 = start4
        // The other half of the outputs: one column further, or eight outputs of stride 2 on.
        const apart: usize = d.strideW == 1 ? 2 : 16
        let at = row + ((<usize>(q * d.strideW)) << 1)
        if (threeByThree) {
          for (let r: usize = 0; r < 3; r++) {
            const w0 = v128.load32_splat(weights + (r << 3))
            const w1 = v128.load32_splat(weights + (r << 3), 4)
            c0 = dot(w0, at, c0)
            c1 = dot(w0, at + apart, c1)
            c0 = dot(w1, at + 4, c0)
            c1 = dot(w1, at + apart + 4, c1)
            at += down
          }
        } else {
          let pair = weights
          for (let r = 0; r < d.R; r++) {
            let tap = at
            for (let j = 0; j < pairs; j++) {
              const v = v128.load32_splat(pair)
              c0 = dot(v, tap, c0)
              c1 = dot(v, tap + apart, c1)
              tap += 4
              pair += 4
            }
            at += down
          }
        }
        c0 = scaled(c0, m4, round, s)
        c1 = scaled(c1, m4, round, s)
        const bytes = d.strideW == 1 ? alternating(c0, c1, zero, low, high) : bytesOf(c0, c1, zero, low, high)
        storeBytes(target + <usize>q, bytes, min(8, d.Q - q))
      }
      target += <usize>d.Q
    }
  }
}

/** One row of outputs for any stride and dilation. */
function sumsOneByOne(y: usize, row: usize, filter: usize, start: i32, m: i32, s: i32, d: IntegerShape): void {
  for (let q = 0; q < d.Q; q++) {
    let sum = start
    let weight = filter
    for (let r = 0; r < d.R; r++) {
      let at = row + ((<usize>(r * d.dilationH * d.reachW + q * d.strideW)) << 1)
      for (let i = 0; i < d.S; i++) {
        sum += <i32>load<i8>(weight) * <i32>load<i16>(at)
        weight++
        at += (<usize>d.dilationW) << 1
      }
    }
    store<u8>(y + <usize>q, <u8>min(d.high, max(d.low, scaledOne(sum, m, s) + d.yZero)))
  }
}
