/** Pools of bytes. What lies around x is never the largest, and counts in a mean only where the caller says so. */
import { byteAt, scaledOne } from './requantize'
import { IntegerShape } from './shape'

/** Items begin ≤ item < end are maps of y (N, C, P, Q): the largest of each window, of the scale and the zero point of x. */
export function integer_maxpool_fwd(y: usize, x: usize, shape: usize, begin: i32, end: i32): void {
  const d = changetype<IntegerShape>(shape)
  const signed = d.xSigned != 0
  for (let item = begin; item < end; item++) {
    const map = x + <usize>item * <usize>(d.H * d.W)
    let to = y + <usize>item * <usize>(d.P * d.Q)
    for (let p = 0; p < d.P; p++) {
      const h = p * d.strideH - d.padH
      for (let q = 0; q < d.Q; q++) {
        const w = q * d.strideW - d.padW
        let most = i32.MIN_VALUE
        for (let r = 0; r < d.R; r++) {
          const row = h + r * d.dilationH
          if (row < 0 || row >= d.H) continue
          for (let s = 0; s < d.S; s++) {
            const column = w + s * d.dilationW
            if (column < 0 || column >= d.W) continue
            most = max(most, byteAt(map + <usize>(row * d.W + column), signed))
          }
        }
        store<u8>(to, <u8>min(d.high, max(d.low, most)))
        to++
      }
    }
  }
}

/**
 * Items begin ≤ item < end are maps of y (N, C, P, Q): zero + ⌊M[n] · Σ (x − xZero) + 1/2⌋ with the factor for windows of n elements. `factors`
 * and `shifts` are R · S + 1 int32 each; with `all` every window counts as whole, and there is one of each.
 */
export function integer_avgpool_fwd(
  y: usize,
  x: usize,
  factors: usize,
  shifts: usize,
  all: i32,
  shape: usize,
  begin: i32,
  end: i32,
): void {
  const d = changetype<IntegerShape>(shape)
  const signed = d.xSigned != 0
  for (let item = begin; item < end; item++) {
    const map = x + <usize>item * <usize>(d.H * d.W)
    let to = y + <usize>item * <usize>(d.P * d.Q)
    for (let p = 0; p < d.P; p++) {
      const h = p * d.strideH - d.padH
      for (let q = 0; q < d.Q; q++) {
        const w = q * d.strideW - d.padW
        let sum = 0
        let within = 0
        for (let r = 0; r < d.R; r++) {
          const row = h + r * d.dilationH
          if (row < 0 || row >= d.H) continue
          for (let s = 0; s < d.S; s++) {
            const column = w + s * d.dilationW
            if (column < 0 || column >= d.W) continue
            sum += byteAt(map + <usize>(row * d.W + column), signed) - d.xZero
            within++
          }
        }
        const at = (<usize>(all ? 0 : within)) << 2
        const mean = scaledOne(sum, load<i32>(factors + at), load<i32>(shifts + at)) + d.yZero
        store<u8>(to, <u8>min(d.high, max(d.low, mean)))
        to++
      }
    }
  }
}
