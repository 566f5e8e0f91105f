/**
 * Convolution by its definition: one loop for each index, no copies. The oracle of every other algorithm, and
 * the choice for shapes too small to pack. Sums run over (c, t, r, s) in rising order.
 */
import { F32 } from '../../simd'
import { ConvShape, fillBias } from './shape'

/** First kernel index whose tap lies at or after 0, and one past the last that lies before `extent`. */
@inline
function firstTap(origin: i32, dilation: i32): i32 {
  return origin >= 0 ? 0 : (-origin + dilation - 1) / dilation
}


@inline
function endTap(origin: i32, dilation: i32, extent: i32, taps: i32): i32 {
  return origin >= extent ? 0 : min(taps, (extent - 1 - origin) / dilation + 1)
}

/** Offset in w of tap (c, t, r, s) of output channel k, for array position (t, r, s). */
@inline
function weightIndex(d: ConvShape, k: i32, c: i32, t: i32, r: i32, s: i32): usize {
  const tt = d.flip ? d.T - 1 - t : t
  const rr = d.flip ? d.R - 1 - r : r
  const ss = d.flip ? d.S - 1 - s : s
  return (<usize>(((k * d.groupC + c) * d.T + tt) * d.R + rr) * <usize>d.S + <usize>ss) * F32
}

/** Output maps begin ≤ n·K + k < end of y (N, K, O, P, Q). */
export function conv_direct_fwd(y: usize, x: usize, w: usize, bias: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  for (let item = begin; item < end; item++) {
    const n = item / d.K
    const k = item % d.K
    const firstC = (k / d.groupK) * d.groupC
    const map = y + <usize>item * <usize>d.pixels * F32
    fillBias(map, bias, d, k, 0, d.pixels)
    let out = map
    for (let o = 0; o < d.O; o++) {
      const z0 = o * d.strideD - d.padD
      const tEnd = endTap(z0, d.dilationD, d.D, d.T)
      for (let p = 0; p < d.P; p++) {
        const h0 = p * d.strideH - d.padH
        const rEnd = endTap(h0, d.dilationH, d.H, d.R)
        for (let q = 0; q < d.Q; q++) {
          const w0 = q * d.strideW - d.padW
          const sEnd = endTap(w0, d.dilationW, d.W, d.S)
          let sum = load<f32>(out)
          for (let c = 0; c < d.groupC; c++) {
            for (let t = firstTap(z0, d.dilationD); t < tEnd; t++) {
              for (let r = firstTap(h0, d.dilationH); r < rEnd; r++) {
                const row =
                  x +
                  <usize>(((n * d.C + firstC + c) * d.D + z0 + t * d.dilationD) * d.H + h0 + r * d.dilationH) *
                    <usize>d.W *
                    F32
                for (let s = firstTap(w0, d.dilationW); s < sEnd; s++) {
                  sum +=
                    load<f32>(w + weightIndex(d, k, c, t, r, s)) * load<f32>(row + <usize>(w0 + s * d.dilationW) * F32)
                }
              }
            }
          }
          store<f32>(out, sum)
          out += F32
        }
      }
    }
  }
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
        const z0 = o * d.strideD - d.padD
        const tEnd = endTap(z0, d.dilationD, d.D, d.T)
        for (let p = 0; p < d.P; p++) {
          const h0 = p * d.strideH - d.padH
          const rEnd = endTap(h0, d.dilationH, d.H, d.R)
          for (let q = 0; q < d.Q; q++) {
            const w0 = q * d.strideW - d.padW
            const sEnd = endTap(w0, d.dilationW, d.W, d.S)
            const gradient = load<f32>(from)
            from += F32
            for (let t = firstTap(z0, d.dilationD); t < tEnd; t++) {
              for (let r = firstTap(h0, d.dilationH); r < rEnd; r++) {
                const row = map + <usize>((z0 + t * d.dilationD) * d.H + h0 + r * d.dilationH) * <usize>d.W * F32
                for (let s = firstTap(w0, d.dilationW); s < sEnd; s++) {
                  const to = row + <usize>(w0 + s * d.dilationW) * F32
                  store<f32>(to, load<f32>(to) + gradient * load<f32>(w + weightIndex(d, k, c, t, r, s)))
                }
              }
            }
          }
        }
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
    const firstC = (k / d.groupK) * d.groupC
    for (let n = 0; n < d.N; n++) {
      let from = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
      for (let o = 0; o < d.O; o++) {
        const z0 = o * d.strideD - d.padD
        const tEnd = endTap(z0, d.dilationD, d.D, d.T)
        for (let p = 0; p < d.P; p++) {
          const h0 = p * d.strideH - d.padH
          const rEnd = endTap(h0, d.dilationH, d.H, d.R)
          for (let q = 0; q < d.Q; q++) {
            const w0 = q * d.strideW - d.padW
            const sEnd = endTap(w0, d.dilationW, d.W, d.S)
            const gradient = load<f32>(from)
            from += F32
            for (let c = 0; c < d.groupC; c++) {
              for (let t = firstTap(z0, d.dilationD); t < tEnd; t++) {
                for (let r = firstTap(h0, d.dilationH); r < rEnd; r++) {
                  const row =
                    x +
                    <usize>(((n * d.C + firstC + c) * d.D + z0 + t * d.dilationD) * d.H + h0 + r * d.dilationH) *
                      <usize>d.W *
                      F32
                  for (let s = firstTap(w0, d.dilationW); s < sEnd; s++) {
                    const to = dw + weightIndex(d, k, c, t, r, s)
                    store<f32>(to, load<f32>(to) + gradient * load<f32>(row + <usize>(w0 + s * d.dilationW) * F32))
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}
