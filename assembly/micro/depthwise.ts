/** Innermost loops of depthwise convolution: one map, one kernel. */
import { madd } from '../simd'

/**
 * Two rows of outputs, `count` ≥ 8 columns each, of a 3 × 3 kernel w with stride 1: rows at y and y + pitchY from the
 * four rows at x, `pitch` bytes apart, each sum beginning with `start`. The nine weights stay in registers, and of the
 * 36 products of eight columns every two share a load. A last block overlaps the one before it.
 */
export function sweep3x3(y: usize, pitchY: usize, x: usize, pitch: usize, w: usize, start: f32, count: i32): void {
  const w00 = v128.load32_splat(w)
  const w01 = v128.load32_splat(w, 4)
  const w02 = v128.load32_splat(w, 8)
  const w10 = v128.load32_splat(w, 12)
  const w11 = v128.load32_splat(w, 16)
  const w12 = v128.load32_splat(w, 20)
  const w20 = v128.load32_splat(w, 24)
  const w21 = v128.load32_splat(w, 28)
  const w22 = v128.load32_splat(w, 32)
  const last = y + ((<usize>(count - 8)) << 2)
  while (true) {
    let p = x
    let c00 = f32x4.splat(start)
    let c01 = c00
    let c10 = c00
    let c11 = c00
    c00 = madd(w00, v128.load(p), c00)
    c01 = madd(w00, v128.load(p, 16), c01)
    c00 = madd(w01, v128.load(p, 4), c00)
    c01 = madd(w01, v128.load(p, 20), c01)
    c00 = madd(w02, v128.load(p, 8), c00)
    c01 = madd(w02, v128.load(p, 24), c01)
    p += pitch
    let v = v128.load(p)
    c00 = madd(w10, v, c00)
    c10 = madd(w00, v, c10)
    v = v128.load(p, 16)
    c01 = madd(w10, v, c01)
    c11 = madd(w00, v, c11)
    v = v128.load(p, 4)
    c00 = madd(w11, v, c00)
    c10 = madd(w01, v, c10)
    v = v128.load(p, 20)
    c01 = madd(w11, v, c01)
    c11 = madd(w01, v, c11)
    v = v128.load(p, 8)
    c00 = madd(w12, v, c00)
    c10 = madd(w02, v, c10)
    v = v128.load(p, 24)
    c01 = madd(w12, v, c01)
    c11 = madd(w02, v, c11)
    p += pitch
    v = v128.load(p)
    c00 = madd(w20, v, c00)
    c10 = madd(w10, v, c10)
    v = v128.load(p, 16)
    c01 = madd(w20, v, c01)
    c11 = madd(w10, v, c11)
    v = v128.load(p, 4)
    c00 = madd(w21, v, c00)
    c10 = madd(w11, v, c10)
    v = v128.load(p, 20)
    c01 = madd(w21, v, c01)
    c11 = madd(w11, v, c11)
    v = v128.load(p, 8)
    c00 = madd(w22, v, c00)
    c10 = madd(w12, v, c10)
    v = v128.load(p, 24)
    c01 = madd(w22, v, c01)
    c11 = madd(w12, v, c11)
    p += pitch
    c10 = madd(w20, v128.load(p), c10)
    c11 = madd(w20, v128.load(p, 16), c11)
    c10 = madd(w21, v128.load(p, 4), c10)
    c11 = madd(w21, v128.load(p, 20), c11)
    c10 = madd(w22, v128.load(p, 8), c10)
    c11 = madd(w22, v128.load(p, 24), c11)
    v128.store(y, c00)
    v128.store(y, c01, 16)
    v128.store(y + pitchY, c10)
    v128.store(y + pitchY, c11, 16)
    if (y == last) return
    const step = min<usize>(32, last - y)
    y += step
    x += step
  }
}
