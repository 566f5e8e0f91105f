/**
 * Convolution by its definition: one loop for each index, no copies. The oracle of every other algorithm, and the
 * choice for shapes too small to pack. Sums run over (c, t, r, s) in rising order; zeros around the input are
 * multiplied like any other value, so that infinite weights meet them as IEEE rules say.
 */
import { F32 } from '../../simd'
import { ConvShape, fillBias } from './shape'

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
function inside(map: usize, d: ConvShape, z: i32, h: i32, w: i32): usize {
  if (z < 0 || z >= d.D || h < 0 || h >= d.H || w < 0 || w >= d.W) return 0
  return map + <usize>((z * d.H + h) * d.W + w) * F32
}

/** Output maps begin ≤ n·K + k < end of y (N, K, O, P, Q). */
export function conv_direct_fwd(y: usize, x: usize, w: usize, bias: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const inputBytes = <usize>d.inputPixels * F32
  for (let item = begin; item < end; item++) {
    const k = item % d.K
    const input = x + <usize>((item / d.K) * d.C + (k / d.groupK) * d.groupC) * inputBytes
    let out = y + <usize>item * <usize>d.pixels * F32
    fillBias(out, bias, d, k, 0, d.pixels)
    for (let o = 0; o < d.O; o++) {
      for (let p = 0; p < d.P; p++) {
        for (let q = 0; q < d.Q; q++) {
          out = addWindow(out, input, w, d, k, o * d.strideD - d.padD, p * d.strideH - d.padH, q * d.strideW - d.padW)
        }
      }
    }
  }
}

/** Adds to the output at `out` the window of all channels whose first tap is at (z, h, v); gives the next output. */
function addWindow(out: usize, input: usize, w: usize, d: ConvShape, k: i32, z: i32, h: i32, v: i32): usize {
  let sum = load<f32>(out)
  for (let c = 0; c < d.groupC; c++) {
    for (let t = 0; t < d.T; t++) {
      for (let r = 0; r < d.R; r++) {
        for (let s = 0; s < d.S; s++) {
          const from = inside(input, d, z + t * d.dilationD, h + r * d.dilationH, v + s * d.dilationW)
          sum += load<f32>(w + weightIndex(d, k, c, t, r, s)) * (from ? load<f32>(from) : 0)
        }
      }
    }
    input += <usize>d.inputPixels * F32
  }
  store<f32>(out, sum)
  return out + F32
}

/** Input maps begin ≤ n·C + c < end of dx (N, C, D, H, W). */
export function conv_direct_dx(dx: usize, dy: usize, w: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  for (let item = begin; item < end; item++) {
    const n = item / d.C
    const c = (item % d.C) % d.groupC
    const firstK = ((item % d.C) / d.groupC) * d.groupK
    const map = dx + <usize>item * <usize>d.inputPixels * F32
    memory.fill(map, 0, <usize>d.inputPixels * F32)
    for (let k = firstK; k < firstK + d.groupK; k++) {
      let from = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
      for (let o = 0; o < d.O; o++) {
        for (let p = 0; p < d.P; p++) {
          for (let q = 0; q < d.Q; q++) {
            spread(
              map,
              load<f32>(from),
              w,
              d,
              k,
              c,
              o * d.strideD - d.padD,
              p * d.strideH - d.padH,
              q * d.strideW - d.padW,
            )
            from += F32
          }
        }
      }
    }
  }
}

/** Adds gradient · w[k, c] to the window of `map` whose first tap is at (z, h, v). */
function spread(map: usize, gradient: f32, w: usize, d: ConvShape, k: i32, c: i32, z: i32, h: i32, v: i32): void {
  for (let t = 0; t < d.T; t++) {
    for (let r = 0; r < d.R; r++) {
      for (let s = 0; s < d.S; s++) {
        const to = inside(map, d, z + t * d.dilationD, h + r * d.dilationH, v + s * d.dilationW)
        if (to) store<f32>(to, load<f32>(to) + gradient * load<f32>(w + weightIndex(d, k, c, t, r, s)))
      }
    }
  }
}

/** Filters begin ≤ k < end of dw (K, C/G, T, R, S); images and pixels are summed in rising order. */
export function conv_direct_dw(dw: usize, dy: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  const filterBytes = <usize>d.taps * F32
  memory.fill(dw + <usize>begin * filterBytes, 0, <usize>(end - begin) * filterBytes)
  for (let k = begin; k < end; k++) {
    for (let n = 0; n < d.N; n++) {
      const input = x + <usize>(n * d.C + (k / d.groupK) * d.groupC) * <usize>d.inputPixels * F32
      let from = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
      for (let o = 0; o < d.O; o++) {
        for (let p = 0; p < d.P; p++) {
          for (let q = 0; q < d.Q; q++) {
            weigh(
              dw,
              load<f32>(from),
              input,
              d,
              k,
              o * d.strideD - d.padD,
              p * d.strideH - d.padH,
              q * d.strideW - d.padW,
            )
            from += F32
          }
        }
      }
    }
  }
}

/** Adds gradient · the window of all channels whose first tap is at (z, h, v) to filter k of dw. */
function weigh(dw: usize, gradient: f32, input: usize, d: ConvShape, k: i32, z: i32, h: i32, v: i32): void {
  for (let c = 0; c < d.groupC; c++) {
    for (let t = 0; t < d.T; t++) {
      for (let r = 0; r < d.R; r++) {
        for (let s = 0; s < d.S; s++) {
          const from = inside(input, d, z + t * d.dilationD, h + r * d.dilationH, v + s * d.dilationW)
          const to = dw + weightIndex(d, k, c, t, r, s)
          store<f32>(to, load<f32>(to) + gradient * (from ? load<f32>(from) : 0))
        }
      }
    }
    input += <usize>d.inputPixels * F32
  }
}
