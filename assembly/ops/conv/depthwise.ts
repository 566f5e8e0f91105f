/**
 * Depthwise convolution: groups of one input channel. There is nothing to sum over channels, so a matrix product would
 * waste its rows; here each output row is swept in blocks of 16 or 4 pixels, all taps of a block at a time, and the maps
 * of 3 × 3 kernels down four columns at a time.
 *
 *   y[k, i]  = bias[k] + Σ_t w[k, t] · xp[tap t, pixel i]
 *   dw[k, t] = Σ_n Σ_i dy[k, i] · xp[tap t, pixel i]
 *
 * The input gradient for stride 1 is the forward pass of the adjoint problem.
 */
import { F32, horizontalSum, madd } from '../../simd'
import { sweep3x3 } from '../../micro/depthwise'
import { LONG_SUM, SUM_RUN, ConvShape, align, fillBias, fillTaps, padRegion, tapTableBytes } from './shape'

/** Rows of a run down four columns: the cache lines that it touches, which the next runs share, are 8 kB. */
const ROW_BLOCK: i32 = 64

/** Bytes of the padded copy of one map. */
@inline
function planeBytesOf(d: ConvShape): usize {
  return d.padded ? align(<usize>d.arrayPixels * F32 + 64) : 0
}

/** Workspace of both passes: one padded map, the table of taps, and a kernel of nine. */
export function conv_depthwise_workspace(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return planeBytesOf(d) + tapTableBytes(d) + 64
}

/** The map to read for one map x (D, H, W): x itself, or its padded copy in `to`. */
@inline
function padPlane(to: usize, x: usize, d: ConvShape): usize {
  if (!d.padded) return x
  const bytes = <usize>(d.arrayH * d.arrayW) * F32
  padRegion(to, x, d, 1, 0, d.reachD, 0, d.reachH, bytes, 0)
  return to
}

/** Four pixels, `step` bytes apart. */
@inline
function loadPixels(p: usize, step: usize): v128 {
  if (step == F32) return v128.load(p)
  let v = v128.load32_zero(p)
  v = v128.load32_lane(p + step, v, 1)
  v = v128.load32_lane(p + 2 * step, v, 2)
  return v128.load32_lane(p + 3 * step, v, 3)
}

/** Sixteen neighbouring outputs at y += Σ over the taps, for columns that lie side by side. */
function sweep16(y: usize, x: usize, taps: usize, end: usize, w: usize): void {
  let y0 = v128.load(y)
  let y1 = v128.load(y, 16)
  let y2 = v128.load(y, 32)
  let y3 = v128.load(y, 48)
  while (taps < end) {
    const p = x + <usize>load<u32>(taps)
    const weight = v128.load32_splat(w)
    y0 = madd(weight, v128.load(p), y0)
    y1 = madd(weight, v128.load(p, 16), y1)
    y2 = madd(weight, v128.load(p, 32), y2)
    y3 = madd(weight, v128.load(p, 48), y3)
    taps += 4
    w += F32
  }
  v128.store(y, y0)
  v128.store(y, y1, 16)
  v128.store(y, y2, 32)
  v128.store(y, y3, 48)
}

/** Four neighbouring outputs. */
function sweep4(y: usize, x: usize, step: usize, taps: usize, end: usize, w: usize): void {
  let sum = v128.load(y)
  while (taps < end) {
    sum = madd(v128.load32_splat(w), loadPixels(x + <usize>load<u32>(taps), step), sum)
    taps += 4
    w += F32
  }
  v128.store(y, sum)
}

/** One output. */
function sweep1(y: usize, x: usize, taps: usize, end: usize, w: usize): void {
  let sum = load<f32>(y)
  while (taps < end) {
    sum += load<f32>(w) * load<f32>(x + <usize>load<u32>(taps))
    taps += 4
    w += F32
  }
  store<f32>(y, sum)
}

/** Maps begin ≤ n·K + k < end of y (N, K, O, P, Q), for C / G = 1; the bias is one for each channel or location. */
export function conv_depthwise_fwd(
  y: usize,
  x: usize,
  w: usize,
  bias: usize,
  ws: usize,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const taps = ws + planeBytesOf(d)
  const last = taps + ((<usize>d.taps) << 2)
  const step = <usize>d.strideW * F32
  const rowBytes = <usize>d.arrayW * F32
  const planeBytes = <usize>d.arrayH * rowBytes
  const Q = d.Q
  const pitch = <usize>Q * F32
  // Two-dimensional 3 × 3 kernels with stride 1.
  const small = d.T == 1 && d.O == 1 && d.R == 3 && d.S == 3 && d.strideH == 1 && d.strideW == 1
  const near = d.dilationH == 1 && d.dilationW == 1 && d.bias != 2
  const swept = small && near && Q >= 4
  fillTaps(taps, d)
  for (let item = begin; item < end; item++) {
    const k = item % d.K
    const map = x + <usize>((item / d.K) * d.C + k / d.groupK) * <usize>d.inputPixels * F32
    const plane = padPlane(ws, map, d)
    let weights = w + <usize>k * ((<usize>d.taps) << 2)
    let row = y + <usize>item * <usize>d.pixels * F32
    if (swept) {
      const start = d.bias == 1 ? load<f32>(bias + <usize>k * F32) : 0
      if (d.flip) {
        const turned = taps + tapTableBytes(d)
        for (let t: usize = 0; t < 36; t += 4) store<f32>(turned + t, load<f32>(weights + 32 - t))
        weights = turned
      }
      for (let p = 0; p < d.P; p += ROW_BLOCK) {
        const bytes = <usize>min(ROW_BLOCK, d.P - p) * pitch
        for (let q = 0; q < Q; q += 4) {
          const offset = <usize>min(q, Q - 4) * F32
          const from = plane + <usize>p * rowBytes + offset
          sweep3x3(row + offset, row + offset + bytes, pitch, from, rowBytes, weights, start)
        }
        row += bytes
      }
      continue
    }
    fillBias(row, bias, d, k, 0, d.pixels)
    for (let o = 0; o < d.O; o++) {
      for (let p = 0; p < d.P; p++) {
        const from = plane + <usize>(o * d.strideD) * planeBytes + <usize>(p * d.strideH) * rowBytes
        let q = 0
        if (step == F32) {
          for (; q + 16 <= Q; q += 16) sweep16(row + <usize>q * F32, from + <usize>q * F32, taps, last, weights)
        }
        for (; q + 4 <= Q; q += 4) sweep4(row + <usize>q * F32, from + <usize>q * step, step, taps, last, weights)
        for (; q < Q; q++) sweep1(row + <usize>q * F32, from + <usize>q * step, taps, last, weights)
        row += pitch
      }
    }
  }
}

/** Filters begin ≤ k < end of dw (K, 1, T, R, S); images and rows are summed in rising order, four columns apart. */
export function conv_depthwise_dw(dw: usize, dy: usize, x: usize, ws: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const taps = ws + planeBytesOf(d)
  const count = d.taps
  const step = <usize>d.strideW * F32
  const rowBytes = <usize>d.arrayW * F32
  const planeBytes = <usize>d.arrayH * rowBytes
  const Q = d.Q
  const longest = d.pixels > LONG_SUM ? SUM_RUN : LONG_SUM
  fillTaps(taps, d)
  memory.fill(dw + <usize>begin * <usize>count * F32, 0, <usize>(end - begin) * <usize>count * F32)
  for (let n = 0; n < d.N; n++) {
    for (let k = begin; k < end; k++) {
      const plane = padPlane(ws, x + <usize>(n * d.C + k / d.groupK) * <usize>d.inputPixels * F32, d)
      const map = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
      for (let t = 0; t < count; t++) {
        const window = plane + <usize>load<u32>(taps + ((<usize>t) << 2))
        const to = dw + <usize>(k * count + t) * F32
        let sums = f32x4.splat(0)
        let rest: f32 = 0
        let left = longest
        let row = map
        for (let o = 0; o < d.O; o++) {
          for (let p = 0; p < d.P; p++) {
            let from = window + <usize>(o * d.strideD) * planeBytes + <usize>(p * d.strideH) * rowBytes
            const whole = row + ((<usize>(Q & ~3)) << 2)
            const stop = row + <usize>Q * F32
            do {
              if (left < 4) {
                store<f32>(to, load<f32>(to) + (horizontalSum(sums) + rest))
                sums = f32x4.splat(0)
                rest = 0
                left = longest
              }
              const pause = min(whole, row + ((<usize>(left & ~3)) << 2))
              left -= <i32>((pause - row) >> 2)
              while (row < pause) {
                sums = madd(v128.load(row), loadPixels(from, step), sums)
                row += 16
                from += 4 * step
              }
            } while (row < whole)
            left -= Q & 3
            while (row < stop) {
              rest += load<f32>(row) * load<f32>(from)
              row += F32
              from += step
            }
          }
        }
        store<f32>(to, load<f32>(to) + (horizontalSum(sums) + rest))
      }
    }
  }
}
