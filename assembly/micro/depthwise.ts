/** Innermost loop of depthwise convolution: one map, one kernel. */
import { madd } from '../simd'

/**
 * Four columns of outputs of a 3 × 3 kernel w with stride 1: y, with rows `pitchY` bytes apart, before `end`, from the rows
 * at x, `pitch` bytes apart, each sum beginning with `start`. A row of the image is read once and adds to three outputs, and
 * the weights stay in registers. (A block of 16 outputs whose 24 loads stand in one piece of code takes 1.3 times as
 * long: engines move loads before sums and run out of registers.)
 */
export function sweep3x3(y: usize, end: usize, pitchY: usize, x: usize, pitch: usize, w: usize, start: f32): void {
  const w00 = v128.load32_splat(w)
  const w01 = v128.load32_splat(w, 4)
  const w02 = v128.load32_splat(w, 8)
  const w10 = v128.load32_splat(w, 12)
  const w11 = v128.load32_splat(w, 16)
  const w12 = v128.load32_splat(w, 20)
  const w20 = v128.load32_splat(w, 24)
  const w21 = v128.load32_splat(w, 28)
  const w22 = v128.load32_splat(w, 32)
  const first = f32x4.splat(start)
  let v0 = v128.load(x)
  let v1 = v128.load(x, 4)
  let v2 = v128.load(x, 8)
  let above = madd(w02, v2, madd(w01, v1, madd(w00, v0, first)))
  x += pitch
  v0 = v128.load(x)
  v1 = v128.load(x, 4)
  v2 = v128.load(x, 8)
  above = madd(w12, v2, madd(w11, v1, madd(w10, v0, above)))
  let here = madd(w02, v2, madd(w01, v1, madd(w00, v0, first)))
  while (y < end) {
    x += pitch
    v0 = v128.load(x)
    v1 = v128.load(x, 4)
    v2 = v128.load(x, 8)
    v128.store(y, madd(w22, v2, madd(w21, v1, madd(w20, v0, above))))
    above = madd(w12, v2, madd(w11, v1, madd(w10, v0, here)))
    here = madd(w02, v2, madd(w01, v1, madd(w00, v0, first)))
    y += pitchY
  }
}
