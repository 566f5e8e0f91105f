/**
 * Convolution whose kernel depends on the output pixel: locally connected layers (9.9), where every pixel has its own,
 * and tiled convolution (9.10), where kernels repeat with a period. Pixels of one class share a kernel:
 *
 *   y[n, k, i]    = bias[k, class i] + Σ_t w[k, class i, t] · xp[n, tap t, pixel i]
 *   dw[k, j, t]   = Σ_n Σ_{i of class j} dy[n, k, i] · xp[n, tap t, pixel i]
 *   dxp[tap t, pixel i] += Σ_k w[k, class i, t] · dy[n, k, i]
 *
 * w is (K, classes, taps), bias (K, classes), `classOf` a table of one u32 for each pixel. No groups.
 */
import { F32, horizontalSum, madd } from '../../simd'
import { ConvShape, align, fillPixels, fillTaps, padImage, pixelTableBytes, tapTableBytes, unpadImage } from './shape'

/** Workspace of every pass: the padded image, the tables, and one patch. */
export function local_workspace(shape: usize): usize {
  const d = changetype<ConvShape>(shape)
  return align(d.paddedBytes) + tapTableBytes(d) + pixelTableBytes(d) + align(<usize>d.taps * F32)
}

/** patch[t] = image[tap t], the window of one pixel. */
function gatherPatch(patch: usize, image: usize, taps: usize, count: i32): void {
  const end = taps + ((<usize>count) << 2)
  while (taps < end) {
    store<f32>(patch, load<f32>(image + <usize>load<u32>(taps)))
    taps += 4
    patch += F32
  }
}

/** Σ a · b over `count` floats. */
function dot(a: usize, b: usize, count: i32): f32 {
  let sum = f32x4.splat(0)
  const whole = a + ((<usize>(count & ~3)) << 2)
  const end = a + ((<usize>count) << 2)
  while (a < whole) {
    sum = madd(v128.load(a), v128.load(b), sum)
    a += 16
    b += 16
  }
  let total = horizontalSum(sum)
  while (a < end) {
    total += load<f32>(a) * load<f32>(b)
    a += F32
    b += F32
  }
  return total
}

/** y += factor · x over `count` floats. */
function accumulate(y: usize, x: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor)
  const whole = y + ((<usize>(count & ~3)) << 2)
  const end = y + ((<usize>count) << 2)
  while (y < whole) {
    v128.store(y, madd(factors, v128.load(x), v128.load(y)))
    y += 16
    x += 16
  }
  while (y < end) {
    store<f32>(y, load<f32>(y) + factor * load<f32>(x))
    y += F32
    x += F32
  }
}

/** Images begin ≤ n < end of y (N, K, O, P, Q); bias (K, classes), or 0 for none. */
export function local_fwd(
  y: usize,
  x: usize,
  w: usize,
  bias: usize,
  ws: usize,
  shape: usize,
  classOf: usize,
  classes: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const pixels = d.pixels
  const tapTable = ws + align(d.paddedBytes)
  const pixelTable = tapTable + tapTableBytes(d)
  const patch = pixelTable + pixelTableBytes(d)
  fillTaps(tapTable, d)
  fillPixels(pixelTable, d)
  for (let n = begin; n < end; n++) {
    const image = padImage(ws, x + <usize>n * <usize>d.C * <usize>d.inputPixels * F32, d)
    for (let i = 0; i < pixels; i++) {
      const j = <i32>load<u32>(classOf + ((<usize>i) << 2))
      gatherPatch(patch, image + <usize>load<u32>(pixelTable + ((<usize>i) << 2)), tapTable, taps)
      for (let k = 0; k < d.K; k++) {
        const own = <usize>(k * classes + j)
        const start = bias ? load<f32>(bias + own * F32) : 0
        const value = start + dot(w + own * <usize>taps * F32, patch, taps)
        store<f32>(y + <usize>(n * d.K + k) * <usize>pixels * F32 + <usize>i * F32, value)
      }
    }
  }
}

/** Images begin ≤ n < end of dx (N, C, D, H, W). */
export function local_dx(
  dx: usize,
  dy: usize,
  w: usize,
  ws: usize,
  shape: usize,
  classOf: usize,
  classes: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const pixels = d.pixels
  const tapTable = ws + align(d.paddedBytes)
  const pixelTable = tapTable + tapTableBytes(d)
  const patch = pixelTable + pixelTableBytes(d)
  const imageBytes = <usize>d.C * <usize>d.inputPixels * F32
  fillTaps(tapTable, d)
  fillPixels(pixelTable, d)
  for (let n = begin; n < end; n++) {
    const target = dx + <usize>n * imageBytes
    const image = d.padded ? ws : target
    memory.fill(image, 0, d.padded ? d.paddedBytes : imageBytes)
    for (let i = 0; i < pixels; i++) {
      const j = <i32>load<u32>(classOf + ((<usize>i) << 2))
      memory.fill(patch, 0, <usize>taps * F32)
      for (let k = 0; k < d.K; k++) {
        const gradient = load<f32>(dy + <usize>(n * d.K + k) * <usize>pixels * F32 + <usize>i * F32)
        accumulate(patch, w + <usize>(k * classes + j) * <usize>taps * F32, gradient, taps)
      }
      const window = image + <usize>load<u32>(pixelTable + ((<usize>i) << 2))
      for (let t = 0; t < taps; t++) {
        const to = window + <usize>load<u32>(tapTable + ((<usize>t) << 2))
        store<f32>(to, load<f32>(to) + load<f32>(patch + <usize>t * F32))
      }
    }
    if (d.padded) unpadImage(target, image, d, d.C)
  }
}

/** Filters begin ≤ k < end of dw (K, classes, taps); images, then pixels, are summed in rising order. */
export function local_dw(
  dw: usize,
  dy: usize,
  x: usize,
  ws: usize,
  shape: usize,
  classOf: usize,
  classes: i32,
  begin: i32,
  end: i32,
): void {
  const d = changetype<ConvShape>(shape)
  const taps = d.taps
  const pixels = d.pixels
  const tapTable = ws + align(d.paddedBytes)
  const pixelTable = tapTable + tapTableBytes(d)
  const patch = pixelTable + pixelTableBytes(d)
  const filterBytes = <usize>classes * <usize>taps * F32
  fillTaps(tapTable, d)
  fillPixels(pixelTable, d)
  memory.fill(dw + <usize>begin * filterBytes, 0, <usize>(end - begin) * filterBytes)
  for (let n = 0; n < d.N; n++) {
    const image = padImage(ws, x + <usize>n * <usize>d.C * <usize>d.inputPixels * F32, d)
    for (let i = 0; i < pixels; i++) {
      const j = <i32>load<u32>(classOf + ((<usize>i) << 2))
      gatherPatch(patch, image + <usize>load<u32>(pixelTable + ((<usize>i) << 2)), tapTable, taps)
      for (let k = begin; k < end; k++) {
        const gradient = load<f32>(dy + <usize>(n * d.K + k) * <usize>pixels * F32 + <usize>i * F32)
        accumulate(dw + <usize>(k * classes + j) * <usize>taps * F32, patch, gradient, taps)
      }
    }
  }
}

/** db[k, j] = Σ_n Σ_{i of class j} dy[n, k, i], for begin ≤ k < end. */
export function local_db(db: usize, dy: usize, shape: usize, classOf: usize, classes: i32, begin: i32, end: i32): void {
  const d = changetype<ConvShape>(shape)
  memory.fill(db + <usize>(begin * classes) * F32, 0, <usize>((end - begin) * classes) * F32)
  for (let n = 0; n < d.N; n++) {
    for (let k = begin; k < end; k++) {
      let from = dy + <usize>(n * d.K + k) * <usize>d.pixels * F32
      for (let i = 0; i < d.pixels; i++) {
        const to = db + (<usize>(k * classes) + <usize>load<u32>(classOf + ((<usize>i) << 2))) * F32
        store<f32>(to, load<f32>(to) + load<f32>(from))
        from += F32
      }
    }
  }
}
