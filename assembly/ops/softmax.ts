/**
 * Softmax y = e^x / Σ e^x and its logarithm over the middle axis of (outer, classes, inner), with the maximum taken
 * off first. Ranges are over outer; every element is computed in the same way in any range.
 */
import { logTwo } from '../double'
import { exp } from '../math'
import { loadLanes, storeLanes } from '../micro/lanes'
import {
  SUMS_BYTES,
  demoteFour,
  expClasses,
  lanesOf,
  largestAt,
  lastOf,
  stepOf,
  sumClasses,
  vectorsOf,
} from '../micro/softmax'
import { F32 } from '../simd'

/** Bytes of workspace for the functions of this file. */
export function softmax_workspace(): f64 {
  return <f64>SUMS_BYTES
}

export function softmax_fwd(y: usize, x: usize, ws: usize, classes: i32, inner: i32, begin: i32, end: i32): void {
  const slab = <usize>classes * <usize>inner * F32
  const step = stepOf(inner)
  for (let n = begin; n < end; n++) {
    for (let i = 0; i < inner; i += 4) {
      const at = <usize>n * slab + <usize>i * F32
      const lanes = lanesOf(inner, i)
      const last = lastOf(classes, inner, lanes)
      expClasses(y + at, ws, x + at, classes, inner, lanes)
      const factor = f32x4.div(f32x4.splat(1), demoteFour(ws))
      let p = y + at
      for (let v = vectorsOf(classes, inner); v > 0; v--) {
        const used = v > 1 ? lanes : last
        storeLanes(p, f32x4.mul(loadLanes(p, used), factor), used)
        p += step
      }
    }
  }
}

/** dx = y · (dy − Σ y · dy). */
export function softmax_dx(
  dx: usize,
  dy: usize,
  y: usize,
  ws: usize,
  classes: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const slab = <usize>classes * <usize>inner * F32
  const step = stepOf(inner)
  for (let n = begin; n < end; n++) {
    for (let i = 0; i < inner; i += 4) {
      let at = <usize>n * slab + <usize>i * F32
      const lanes = lanesOf(inner, i)
      const last = lastOf(classes, inner, lanes)
      sumClasses(ws, y + at, dy + at, classes, inner, lanes)
      const sum = demoteFour(ws)
      for (let v = vectorsOf(classes, inner); v > 0; v--) {
        const used = v > 1 ? lanes : last
        storeLanes(dx + at, f32x4.mul(loadLanes(y + at, used), f32x4.sub(loadLanes(dy + at, used), sum)), used)
        at += step
      }
    }
  }
}

/** y = x − max − ln Σ e^(x − max); the logarithm in float64, so that a sum next to 1 keeps its digits. */
export function logsoftmax_fwd(y: usize, x: usize, ws: usize, classes: i32, inner: i32, begin: i32, end: i32): void {
  const slab = <usize>classes * <usize>inner * F32
  const step = stepOf(inner)
  for (let n = begin; n < end; n++) {
    for (let i = 0; i < inner; i += 4) {
      let at = <usize>n * slab + <usize>i * F32
      const lanes = lanesOf(inner, i)
      const last = lastOf(classes, inner, lanes)
      expClasses(0, ws, x + at, classes, inner, lanes)
      const largest = v128.load(largestAt(ws))
      for (let p = ws; p < ws + 32; p += 16) v128.store(p, logTwo(v128.load(p)))
      const logarithm = demoteFour(ws)
      for (let v = vectorsOf(classes, inner); v > 0; v--) {
        const used = v > 1 ? lanes : last
        storeLanes(y + at, f32x4.sub(f32x4.sub(loadLanes(x + at, used), largest), logarithm), used)
        at += step
      }
    }
  }
}

/** dx = dy − e^y · Σ dy. */
export function logsoftmax_dx(
  dx: usize,
  dy: usize,
  y: usize,
  ws: usize,
  classes: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const slab = <usize>classes * <usize>inner * F32
  const step = stepOf(inner)
  for (let n = begin; n < end; n++) {
    for (let i = 0; i < inner; i += 4) {
      let at = <usize>n * slab + <usize>i * F32
      const lanes = lanesOf(inner, i)
      const last = lastOf(classes, inner, lanes)
      sumClasses(ws, dy + at, 0, classes, inner, lanes)
      const sum = demoteFour(ws)
      for (let v = vectorsOf(classes, inner); v > 0; v--) {
        const used = v > 1 ? lanes : last
        const share = f32x4.mul(exp(loadLanes(y + at, used)), sum)
        storeLanes(dx + at, f32x4.sub(loadLanes(dy + at, used), share), used)
        at += step
      }
    }
  }
}
