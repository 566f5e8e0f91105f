/**
 * Losses. One pass computes the loss and, where a gradient may follow, its derivative `delta`, so that the gradient is
 * a product. Items (rows of a batch, or blocks of BLOCK elements) leave their float64 sums in `sums`, which
 * `loss_total` adds in order.
 *
 * Optional outputs are 0 where they are not wanted: `losses` (one for each row or element), `delta`.
 */
import { logTwo } from '../double'
import { log1pUnit, exp, sigmoid } from '../math'
import { firstLanes, loadLanes, storeLanes } from '../micro/lanes'
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
import { F32, horizontalSum64, promoteHigh } from '../simd'

const BLOCK: i32 = 4096

/** Blocks of `count` elements. */
export function loss_blocks(count: i32): i32 {
  return (count + BLOCK - 1) / BLOCK
}

/** y = scale · Σ of `count` f64 at `sums`. */
export function loss_total(y: usize, sums: usize, count: i32, scale: f64): void {
  let total: f64 = 0
  for (let i = 0; i < count; i++) total += load<f64>(sums + ((<usize>i) << 3))
  store<f32>(y, <f32>(scale * total))
}

/** dx = delta · scale · dy for a scalar dy, elements begin ≤ i < end. */
export function loss_dx(dx: usize, delta: usize, dy: usize, scale: f64, begin: i32, end: i32): void {
  const factor = f32x4.splat(<f32>(scale * <f64>load<f32>(dy)))
  for (let i = begin; i < end; i += 4) {
    const at = <usize>i * F32
    const lanes = min(4, end - i)
    storeLanes(dx + at, f32x4.mul(loadLanes(delta + at, lanes), factor), lanes)
  }
}

/** dx (N, classes, inner) = delta · scale · dy (N, inner), for begin ≤ n < end. */
export function loss_each_dx(
  dx: usize,
  delta: usize,
  dy: usize,
  scale: f32,
  classes: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const step = stepOf(inner)
  for (let n = begin; n < end; n++) {
    for (let i = 0; i < inner; i += 4) {
      let at = (<usize>n * <usize>classes * <usize>inner + <usize>i) * F32
      const lanes = lanesOf(inner, i)
      const last = lastOf(classes, inner, lanes)
      const row = dy + (<usize>n * <usize>inner + <usize>i) * F32
      const given = inner == 1 ? v128.load32_splat(row) : loadLanes(row, lanes)
      const factor = f32x4.mul(given, f32x4.splat(scale))
      for (let v = vectorsOf(classes, inner); v > 0; v--) {
        const used = v > 1 ? lanes : last
        storeLanes(dx + at, f32x4.mul(loadLanes(delta + at, used), factor), used)
        at += step
      }
    }
  }
}

/** Bytes of workspace for `crossentropy_fwd`: two sets of sums, and four derivatives. */
export function crossentropy_workspace(): f64 {
  return <f64>(2 * SUMS_BYTES + 16)
}

/**
 * Cross-entropy of x (N, classes, inner) and labels (N, inner), for begin ≤ n < end, with p = softmax(x):
 * loss = −(1 − smoothing) · ln p[label] − smoothing / classes · Σ ln p, and
 * delta = p − (1 − smoothing) · [label] − smoothing / classes.
 * Both are multiplied by factors (N, inner), where there are any; a factor of 0 gives 0, whatever x holds.
 */
export function crossentropy_fwd(
  losses: usize,
  delta: usize,
  sums: usize,
  x: usize,
  labels: usize,
  factors: usize,
  ws: usize,
  smoothing: f64,
  classes: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const step = stepOf(inner)
  const share = smoothing / <f64>classes
  const plain = ws + SUMS_BYTES
  const fixed = plain + SUMS_BYTES
  for (let n = begin; n < end; n++) {
    let total: f64 = 0
    for (let i = 0; i < inner; i += 4) {
      const at = (<usize>n * <usize>classes * <usize>inner + <usize>i) * F32
      const lanes = lanesOf(inner, i)
      const last = lastOf(classes, inner, lanes)
      const pixels = min(4, inner - i)
      const row = (<usize>n * <usize>inner + <usize>i) * F32
      expClasses(delta ? delta + at : 0, ws, x + at, classes, inner, lanes)
      if (smoothing > 0) sumClasses(plain, x + at, 0, classes, inner, lanes)
      let logarithms = f64x2.splat(0)
      for (let lane = 0; lane < pixels; lane++) {
        const four = (<usize>lane) << 2
        const eight = (<usize>lane) << 3
        const hit = at + four + <usize>load<i32>(labels + row + four) * <usize>inner * F32
        const sum = load<f64>(ws + eight)
        const largest = <f64>load<f32>(largestAt(ws) + four)
        if (!(lane & 1)) logarithms = logTwo(v128.load(ws + eight))
        const logarithm = lane & 1 ? f64x2.extract_lane(logarithms, 1) : f64x2.extract_lane(logarithms, 0)
        let loss = logarithm - (<f64>load<f32>(x + hit) - largest)
        if (smoothing > 0) {
          const mean = load<f64>(plain + eight) / <f64>classes
          loss = (1 - smoothing) * loss + smoothing * (logarithm - (mean - largest))
        }
        const own: f64 = factors ? <f64>load<f32>(factors + row + four) : 1
        loss = own == 0 ? 0 : own * loss
        total += loss
        if (losses) store<f32>(losses + row + four, <f32>loss)
        // In float64: where p is next to 1, floats would leave nothing of the difference.
        if (delta)
          store<f32>(
            fixed + four,
            own == 0 ? 0 : <f32>(own * (<f64>load<f32>(delta + hit) / sum - (1 - smoothing) - share)),
          )
      }
      if (!delta) continue
      const factor = f32x4.div(f32x4.splat(1), demoteFour(ws))
      let own = f32x4.splat(1)
      if (factors) own = inner == 1 ? v128.load32_splat(factors + row) : loadLanes(factors + row, lanes)
      const counts = f32x4.ne(own, f32x4.splat(0))
      let p = delta + at
      for (let v = vectorsOf(classes, inner); v > 0; v--) {
        const used = v > 1 ? lanes : last
        const difference = f32x4.sub(f32x4.mul(loadLanes(p, used), factor), f32x4.splat(<f32>share))
        storeLanes(p, v128.and(f32x4.mul(difference, own), counts), used)
        p += step
      }
      for (let lane = 0; lane < pixels; lane++) {
        const four = (<usize>lane) << 2
        const hit = at + four + <usize>load<i32>(labels + row + four) * <usize>inner * F32
        store<f32>(delta + hit, load<f32>(fixed + four))
      }
    }
    store<f64>(sums + ((<usize>n) << 3), total)
  }
}

/**
 * Multi-class hinge loss of scores x (N, classes, inner) and labels (N, inner), for begin ≤ n < end:
 * loss = Σ over j ≠ label of max(0, x[j] − x[label] + margin).
 */
export function hinge_fwd(
  losses: usize,
  delta: usize,
  sums: usize,
  x: usize,
  labels: usize,
  margin: f64,
  classes: i32,
  inner: i32,
  begin: i32,
  end: i32,
): void {
  const pitch = <usize>inner * F32
  for (let n = begin; n < end; n++) {
    let total: f64 = 0
    for (let i = 0; i < inner; i++) {
      const row = (<usize>n * <usize>inner + <usize>i) * F32
      const label = load<i32>(labels + row)
      let at = (<usize>n * <usize>classes * <usize>inner + <usize>i) * F32
      const hit = at + <usize>label * pitch
      const limit = <f64>load<f32>(x + hit) - margin
      let loss: f64 = 0
      let violations: f64 = 0
      for (let j = 0; j < classes; j++) {
        const excess = <f64>load<f32>(x + at) - limit
        const counts = j != label && !(excess <= 0)
        if (counts) loss += excess
        if (counts) violations += 1
        if (delta) store<f32>(delta + at, counts ? 1 : 0)
        at += pitch
      }
      if (delta) store<f32>(delta + hit, <f32>-violations)
      if (losses) store<f32>(losses + row, <f32>loss)
      total += loss
    }
    store<f64>(sums + ((<usize>n) << 3), total)
  }
}

/** Squared error (x − target)², delta = 2 · (x − target), for blocks begin ≤ block < end of `count` elements. */
export function mse_fwd(
  losses: usize,
  delta: usize,
  sums: usize,
  x: usize,
  target: usize,
  count: i32,
  begin: i32,
  end: i32,
): void {
  for (let block = begin; block < end; block++) {
    const stop = min(count, (block + 1) * BLOCK)
    let low = f64x2.splat(0)
    let high = f64x2.splat(0)
    for (let i = block * BLOCK; i < stop; i += 4) {
      const at = <usize>i * F32
      const lanes = min(4, stop - i)
      const difference = f32x4.sub(loadLanes(x + at, lanes), loadLanes(target + at, lanes))
      const left = f64x2.promote_low_f32x4(difference)
      const right = promoteHigh(difference)
      low = f64x2.add(low, f64x2.mul(left, left))
      high = f64x2.add(high, f64x2.mul(right, right))
      if (losses) storeLanes(losses + at, f32x4.mul(difference, difference), lanes)
      if (delta) storeLanes(delta + at, f32x4.add(difference, difference), lanes)
    }
    store<f64>(sums + ((<usize>block) << 3), horizontalSum64(f64x2.add(low, high)))
  }
}

/**
 * Binary cross-entropy of logits, −target · ln σ(x) − (1 − target) · ln(1 − σ(x)) = max(x, 0) − x · target + ln(1 + e^−|x|),
 * delta = σ(x) − target, for blocks begin ≤ block < end of `count` elements.
 */
export function bce_fwd(
  losses: usize,
  delta: usize,
  sums: usize,
  x: usize,
  target: usize,
  count: i32,
  begin: i32,
  end: i32,
): void {
  for (let block = begin; block < end; block++) {
    const stop = min(count, (block + 1) * BLOCK)
    let low = f64x2.splat(0)
    let high = f64x2.splat(0)
    for (let i = block * BLOCK; i < stop; i += 4) {
      const at = <usize>i * F32
      const lanes = min(4, stop - i)
      const logit = loadLanes(x + at, lanes)
      const wanted = loadLanes(target + at, lanes)
      const tail = log1pUnit(exp(f32x4.neg(f32x4.abs(logit))))
      const linear = f32x4.sub(f32x4.max(logit, f32x4.splat(0)), f32x4.mul(logit, wanted))
      const loss = f32x4.add(linear, tail)
      const counted = firstLanes(loss, lanes)
      low = f64x2.add(low, f64x2.promote_low_f32x4(counted))
      high = f64x2.add(high, promoteHigh(counted))
      if (losses) storeLanes(losses + at, loss, lanes)
      if (delta) storeLanes(delta + at, f32x4.sub(sigmoid(logit), wanted), lanes)
    }
    store<f64>(sums + ((<usize>block) << 3), horizontalSum64(f64x2.add(low, high)))
  }
}
