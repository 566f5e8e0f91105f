/**
 * Convolution by its definition: one loop for each index, no copies. The oracle of every other algorithm, and the
 * choice for shapes too small to pack. Sums run over (c, t, r, s) in rising order; zeros around the input are
 * multiplied like any other value, so that infinite weights meet them as IEEE rules say.
 *
 * With `skip` taps that lie outside of the input are passed over instead, and so are outputs whose taps all do: then a
 * shape costs its memory and the taps that meet the input, however far its stride, dilation and padding reach.
 * Positions are i64, since they may lie anywhere.
 */
import { F32, maddScalar } from '../../simd'
import { LONG_SUM, SUM_RUN, ConvShape, fillBias } from './shape'

/** The first i < count for which origin + i · step is 0 or more, else `count`; 0 where nothing is skipped. */
@inline
function firstInside(skip: i32, origin: i64, step: i32, count: i32): i32 {
  if (!skip || origin >= 0) return 0
  return <i32>min<i64>((<i64>step - 1 - origin) / step, count)
}

/** Behind the last i < count for which origin + i · step is below n, or 0; `count` where nothing is skipped. */
@inline
function endInside(skip: i32, origin: i64, step: i32, count: i32, n: i32): i32 {
  if (!skip) return count
  const room = <i64>n - 1 - origin
  return room < 0 ? 0 : <i32>min<i64>(room / step + 1, count)
}

/**
 * Outputs from one whose taps all miss the input, those below tap `first` before its begin and the others behind its end,
 * to the next for which a tap has come in from before; there is none, and `count` is as good, where `first` is 0.
 */
function toNext(first: i32, origin: i64, dilation: i32, step: i32, count: i32): i32 {
  if (first == 0) return count
  const distance = -origin - <i64>(first - 1) * dilation
  return <i32>min<i64>((distance + step - 1) / step, count)
}

/** Offset in w of tap (c, t, r, s) of output channel k, for array position (t, r, s). */
@inline
function weightIndex(d: ConvShape, k: i32, c: i32, t: i32, r: i32, s: i32): usize {
  const tt = d.flip ? d.T - 1 - t : t
  const rr = d.flip ? d.R - 1 - r : r
  const ss = d.flip ? d.S - 1 - s : s
  return (<usize>(((k * d.groupC + c) * d.T + tt) * d.R + rr) * <usize>d.S + <usize>ss) * F32
}

/** Address of element (z, h, w) of a map (D, H, W), or 0 outside of it. */
@inline
function inside(map: usize, d: ConvShape, z: i64, h: i64, w: i64): usize {
  if (z < 0 || z >= d.D || h < 0 || h >= d.H || w < 0 || w >= d.W) return 0
  return map + <usize>((<i32>z * d.H + <i32>h) * d.W + <i32>w) * F32
}

/** Output maps begin ≤ n·K + k < end of y (N, K, O, P, Q). */
export function conv_direct_fwd(y: usize, x: usize, w: usize, bias: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const skip = d.skip
  const inputBytes = <usize>d.inputPixels * F32
  const o0 = firstInside(skip, <i64>(d.T - 1) * d.dilationD - d.padD, d.strideD, d.O)
  const o1 = endInside(skip, -(<i64>d.padD), d.strideD, d.O, d.D)
  const p0 = firstInside(skip, <i64>(d.R - 1) * d.dilationH - d.padH, d.strideH, d.P)
  const p1 = endInside(skip, -(<i64>d.padH), d.strideH, d.P, d.H)
  const q0 = firstInside(skip, <i64>(d.S - 1) * d.dilationW - d.padW, d.strideW, d.Q)
  const q1 = endInside(skip, -(<i64>d.padW), d.strideW, d.Q, d.W)
  for (let item = begin; item < end; item++) {
    const k = item % d.K
    const input = x + <usize>((item / d.K) * d.C + (k / d.groupK) * d.groupC) * inputBytes
    const map = y + <usize>item * <usize>d.pixels * F32
    fillBias(map, bias, d, k, 0, d.pixels)
    for (let o = o0; o < o1; o++) {
      const z = <i64>o * d.strideD - d.padD
      const t0 = firstInside(skip, z, d.dilationD, d.T)
      const t1 = endInside(skip, z, d.dilationD, d.T, d.D)
      if (t0 >= t1) {
        o += toNext(t0, z, d.dilationD, d.strideD, o1 - o) - 1
        continue
      }
      for (let p = p0; p < p1; p++) {
        const h = <i64>p * d.strideH - d.padH
        const r0 = firstInside(skip, h, d.dilationH, d.R)
        const r1 = endInside(skip, h, d.dilationH, d.R, d.H)
        if (r0 >= r1) {
          p += toNext(r0, h, d.dilationH, d.strideH, p1 - p) - 1
          continue
        }
        const row = map + <usize>((o * d.P + p) * d.Q) * F32
        for (let q = q0; q < q1; q++) {
          const v = <i64>q * d.strideW - d.padW
          const s0 = firstInside(skip, v, d.dilationW, d.S)
          const s1 = endInside(skip, v, d.dilationW, d.S, d.W)
          if (s0 < s1) addWindow(row + <usize>q * F32, input, w, d, k, z, h, v, t0, t1, r0, r1, s0, s1)
          else q += toNext(s0, v, d.dilationW, d.strideW, q1 - q) - 1
        }
      }
    }
  }
}

/** Adds to the output at `out` the window whose first tap is at (z, h, v): all channels, taps t0 ≤ t < t1 and so on. */
function addWindow(
  out: usize,
  input: usize,
  w: usize,
  d: ConvShape,
  k: i32,
  z: i64,
  h: i64,
  v: i64,
  t0: i32,
  t1: i32,
  r0: i32,
  r1: i32,
  s0: i32,
  s1: i32,
): void {
  let sum = load<f32>(out)
  for (let c = 0; c < d.groupC; c++) {
    for (let t = t0; t < t1; t++) {
      for (let r = r0; r < r1; r++) {
        for (let s = s0; s < s1; s++) {
          const from = inside(input, d, z + <i64>t * d.dilationD, h + <i64>r * d.dilationH, v + <i64>s * d.dilationW)
          sum = maddScalar(load<f32>(w + weightIndex(d, k, c, t, r, s)), from ? load<f32>(from) : 0, sum)
        }
      }
    }
    input += <usize>d.inputPixels * F32
  }
  store<f32>(out, sum)
}

/** Input maps begin ≤ n·C + c < end of dx (N, C, D, H, W). */
export function conv_direct_dx(dx: usize, dy: usize, w: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const skip = d.skip
  const o0 = firstInside(skip, <i64>(d.T - 1) * d.dilationD - d.padD, d.strideD, d.O)
  const o1 = endInside(skip, -(<i64>d.padD), d.strideD, d.O, d.D)
  const p0 = firstInside(skip, <i64>(d.R - 1) * d.dilationH - d.padH, d.strideH, d.P)
  const p1 = endInside(skip, -(<i64>d.padH), d.strideH, d.P, d.H)
  const q0 = firstInside(skip, <i64>(d.S - 1) * d.dilationW - d.padW, d.strideW, d.Q)
  const q1 = endInside(skip, -(<i64>d.padW), d.strideW, d.Q, d.W)
  for (let item = begin; item < end; item++) {
    const n = item / d.C
    const c = (item % d.C) % d.groupC
    const firstK = ((item % d.C) / d.groupC) * d.groupK
    const map = dx + <usize>item * <usize>d.inputPixels * F32
    memory.fill(map, 0, <usize>d.inputPixels * F32)
    for (let k = firstK; k < firstK + d.groupK; k++) {
      const gradients = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
      for (let o = o0; o < o1; o++) {
        const z = <i64>o * d.strideD - d.padD
        const t0 = firstInside(skip, z, d.dilationD, d.T)
        const t1 = endInside(skip, z, d.dilationD, d.T, d.D)
        if (t0 >= t1) {
          o += toNext(t0, z, d.dilationD, d.strideD, o1 - o) - 1
          continue
        }
        for (let p = p0; p < p1; p++) {
          const h = <i64>p * d.strideH - d.padH
          const r0 = firstInside(skip, h, d.dilationH, d.R)
          const r1 = endInside(skip, h, d.dilationH, d.R, d.H)
          if (r0 >= r1) {
            p += toNext(r0, h, d.dilationH, d.strideH, p1 - p) - 1
            continue
          }
          const row = gradients + <usize>((o * d.P + p) * d.Q) * F32
          for (let q = q0; q < q1; q++) {
            const v = <i64>q * d.strideW - d.padW
            const s0 = firstInside(skip, v, d.dilationW, d.S)
            const s1 = endInside(skip, v, d.dilationW, d.S, d.W)
            if (s0 < s1) spread(map, load<f32>(row + <usize>q * F32), w, d, k, c, z, h, v, t0, t1, r0, r1, s0, s1)
            else q += toNext(s0, v, d.dilationW, d.strideW, q1 - q) - 1
          }
        }
      }
    }
  }
}

/** Adds gradient · w[k, c] to the window of `map` whose first tap is at (z, h, v), taps t0 ≤ t < t1 and so on. */
function spread(
  map: usize,
  gradient: f32,
  w: usize,
  d: ConvShape,
  k: i32,
  c: i32,
  z: i64,
  h: i64,
  v: i64,
  t0: i32,
  t1: i32,
  r0: i32,
  r1: i32,
  s0: i32,
  s1: i32,
): void {
  for (let t = t0; t < t1; t++) {
    for (let r = r0; r < r1; r++) {
      for (let s = s0; s < s1; s++) {
        const to = inside(map, d, z + <i64>t * d.dilationD, h + <i64>r * d.dilationH, v + <i64>s * d.dilationW)
        if (to) store<f32>(to, maddScalar(gradient, load<f32>(w + weightIndex(d, k, c, t, r, s)), load<f32>(to)))
      }
    }
  }
}

/** Filters begin ≤ k < end of dw (K, C/G, T, R, S); images and pixels are summed in rising order. */
export function conv_direct_dw(dw: usize, dy: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  for (let k = begin; k < end; k++) {
    for (let c = 0; c < d.groupC; c++) {
      for (let t = 0; t < d.T; t++) {
        for (let r = 0; r < d.R; r++) {
          for (let s = 0; s < d.S; s++) {
            store<f32>(dw + weightIndex(d, k, c, t, r, s), correlate(dy, x, d, k, c, t, r, s))
          }
        }
      }
    }
  }
}

/** Σ over images and outputs of dy · the input that tap (t, r, s) of input channel c of k's group meets. */
function correlate(dy: usize, x: usize, d: ConvShape, k: i32, c: i32, t: i32, r: i32, s: i32): f32 {
  const skip = d.skip
  const z = <i64>t * d.dilationD - d.padD
  const h = <i64>r * d.dilationH - d.padH
  const v = <i64>s * d.dilationW - d.padW
  const o0 = firstInside(skip, z, d.strideD, d.O)
  const o1 = endInside(skip, z, d.strideD, d.O, d.D)
  const p0 = firstInside(skip, h, d.strideH, d.P)
  const p1 = endInside(skip, h, d.strideH, d.P, d.H)
  const q0 = firstInside(skip, v, d.strideW, d.Q)
  const q1 = endInside(skip, v, d.strideW, d.Q, d.W)
  let total: f32 = 0
  let sum: f32 = 0
  const run = <i64>d.N * d.pixels > LONG_SUM ? SUM_RUN : LONG_SUM
  let left = run
  for (let n = 0; n < d.N; n++) {
    const map = x + <usize>(n * d.C + (k / d.groupK) * d.groupC + c) * <usize>d.inputPixels * F32
    const gradients = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
    for (let o = o0; o < o1; o++) {
      for (let p = p0; p < p1; p++) {
        let from = gradients + <usize>((o * d.P + p) * d.Q + q0) * F32
        for (let q = q0; q < q1; q++) {
          const at = inside(map, d, <i64>o * d.strideD + z, <i64>p * d.strideH + h, <i64>q * d.strideW + v)
          sum = maddScalar(load<f32>(from), at ? load<f32>(at) : 0, sum)
          from += F32
          if (--left == 0) {
            total += sum
            sum = 0
            left = run
          }
        }
      }
    }
  }
  return total + sum
}
