/**
 * Normalization of x (N, C, pixels).
 *
 *   local response   y = x · s^-β, s = k + α·Σ x² over neighbouring channels (Krizhevsky et al., 2012)
 *   batch            y = γ·(x - μ)/√(σ² + ε) + β with μ, σ² of each channel (Ioffe & Szegedy, 2015)
 *
 * Sums over a batch are accumulated in float64, channel by channel, in rising order.
 */
import { pow } from '../math'
import { loadLanes, storeLanes } from '../micro/lanes'
import { F32, horizontalSum64, promoteHigh } from '../simd'
import { sumOf } from './reduce'

/** Address of map (n, c) of an array (N, C, pixels), given n·C + c. */
@inline
function mapAt(array: usize, item: i32, pixels: i32): usize {
  return array + <usize>item * <usize>pixels * F32
}

/** s^-β: by square roots for the usual β. */
function inversePower(s: v128, beta: f64): v128 {
  const one = f32x4.splat(1)
  if (beta == 0.75) {
    const root = f32x4.sqrt(s)
    return f32x4.div(one, f32x4.mul(root, f32x4.sqrt(root)))
  }
  if (beta == 0.5) return f32x4.div(one, f32x4.sqrt(s))
  if (beta == 1) return f32x4.div(one, s)
  return pow(s, -beta)
}


@inline
function respond(
  y: usize,
  scale: usize,
  x: usize,
  neighbour: usize,
  neighbours: i32,
  pitch: usize,
  alpha: f32,
  beta: f64,
  k: f32,
  lanes: i32,
): void {
  let sum = f32x4.splat(0)
  for (let i = 0; i < neighbours; i++) {
    const v = loadLanes(neighbour, lanes)
    sum = f32x4.add(sum, f32x4.mul(v, v))
    neighbour += pitch
  }
  const s = f32x4.add(f32x4.splat(k), f32x4.mul(f32x4.splat(alpha), sum))
  if (scale) storeLanes(scale, s, lanes)
  storeLanes(y, f32x4.mul(loadLanes(x, lanes), inversePower(s, beta)), lanes)
}

/**
 * Maps begin ≤ n·C + c < end of y (N, C, pixels), and of `scale`, the sums s, unless that is 0. Channel c sees the
 * `size` channels from c - ⌊size / 2⌋ on.
 */
export function lrn_fwd(
  y: usize,
  scale: usize,
  x: usize,
  C: i32,
  pixels: i32,
  size: i32,
  alpha: f32,
  beta: f64,
  k: f32,
  begin: i32,
  end: i32,
): void {
  const pitch = (<usize>pixels) << 2
  const whole = (<usize>(pixels & ~3)) << 2
  const rest = pixels & 3
  for (let item = begin; item < end; item++) {
    const c = item % C
    const first = max(0, c - size / 2)
    const neighbours = min(C, c - size / 2 + size) - first
    const to = mapAt(y, item, pixels)
    const toScale = scale ? mapAt(scale, item, pixels) : 0
    const from = mapAt(x, item, pixels)
    const neighbour = mapAt(x, item - c + first, pixels)
    for (let i: usize = 0; i < whole; i += 16) {
      respond(to + i, toScale ? toScale + i : 0, from + i, neighbour + i, neighbours, pitch, alpha, beta, k, 4)
    }
    if (rest) {
      respond(
        to + whole,
        toScale ? toScale + whole : 0,
        from + whole,
        neighbour + whole,
        neighbours,
        pitch,
        alpha,
        beta,
        k,
        rest,
      )
    }
  }
}

/** Bytes of workspace for lrn_dx: one image. */
export function lrn_dx_workspace(C: i32, pixels: i32): f64 {
  return <f64>C * <f64>pixels * 4
}

/** dx = dy·s^-β, t = dx·x / s. */
@inline
function direct(dx: usize, t: usize, dy: usize, x: usize, scale: usize, beta: f64, lanes: i32): void {
  const s = loadLanes(scale, lanes)
  const d = f32x4.mul(loadLanes(dy, lanes), inversePower(s, beta))
  storeLanes(dx, d, lanes)
  storeLanes(t, f32x4.div(f32x4.mul(d, loadLanes(x, lanes)), s), lanes)
}

/** dx -= factor · x · Σ t over the channels that see this one. */
@inline
function through(dx: usize, x: usize, t: usize, neighbours: i32, pitch: usize, factor: f32, lanes: i32): void {
  let sum = f32x4.splat(0)
  for (let i = 0; i < neighbours; i++) {
    sum = f32x4.add(sum, loadLanes(t, lanes))
    t += pitch
  }
  const product = f32x4.mul(f32x4.mul(f32x4.splat(factor), loadLanes(x, lanes)), sum)
  storeLanes(dx, f32x4.sub(loadLanes(dx, lanes), product), lanes)
}

/** Images begin ≤ n < end of dx (N, C, pixels): dy·s^-β - 2αβ·x·Σ dy·x·s^(-β-1), given the sums s of lrn_fwd. */
export function lrn_dx(
  dx: usize,
  dy: usize,
  x: usize,
  scale: usize,
  ws: usize,
  C: i32,
  pixels: i32,
  size: i32,
  alpha: f32,
  beta: f64,
  begin: i32,
  end: i32,
): void {
  const pitch = (<usize>pixels) << 2
  const factor = <f32>(2 * <f64>alpha * beta)
  const whole = (<usize>(pixels & ~3)) << 2
  const rest = pixels & 3
  const elements = C * pixels
  const wholeImage = (<usize>(elements & ~3)) << 2
  const restImage = elements & 3
  for (let n = begin; n < end; n++) {
    const image = <usize>n * ((<usize>elements) << 2)
    for (let i: usize = 0; i < wholeImage; i += 16) {
      direct(dx + image + i, ws + i, dy + image + i, x + image + i, scale + image + i, beta, 4)
    }
    if (restImage) {
      const last = image + wholeImage
      direct(dx + last, ws + wholeImage, dy + last, x + last, scale + last, beta, restImage)
    }
    for (let c = 0; c < C; c++) {
      // Channel j sees channel c if j - ⌊size / 2⌋ ≤ c < j - ⌊size / 2⌋ + size.
      const first = max(0, c + size / 2 + 1 - size)
      const neighbours = min(C, c + size / 2 + 1) - first
      const map = image + <usize>c * pitch
      const t = ws + <usize>first * pitch
      for (let i: usize = 0; i < whole; i += 16) {
        through(dx + map + i, x + map + i, t + i, neighbours, pitch, factor, 4)
      }
      if (rest) through(dx + map + whole, x + map + whole, t + whole, neighbours, pitch, factor, rest)
    }
  }
}

/**
 * Statistics of channel c in three arrays of C floats: the mean, what rounding took from it (so that data far from
 * zero lose nothing), and 1 / √(σ² + ε).
 */
@inline
function storeStatistics(stats: usize, C: i32, c: i32, mean: f64, variance: f64, eps: f64): void {
  const at = stats + ((<usize>c) << 2)
  const pitch = (<usize>C) << 2
  const high = <f32>mean
  store<f32>(at, high)
  store<f32>(at + pitch, <f32>(mean - <f64>high))
  store<f32>(at + 2 * pitch, <f32>(1 / sqrt(variance + eps)))
}

/** Σ (x - mean)² over `count` floats. */
function squaresOf(x: usize, count: i32, mean: f64): f64 {
  const center = f64x2.splat(mean)
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  const whole = x + ((<usize>(count & ~3)) << 2)
  const end = x + ((<usize>count) << 2)
  while (x < whole) {
    const v = v128.load(x)
    const a = f64x2.sub(f64x2.promote_low_f32x4(v), center)
    const b = f64x2.sub(promoteHigh(v), center)
    low = f64x2.add(low, f64x2.mul(a, a))
    high = f64x2.add(high, f64x2.mul(b, b))
    x += 16
  }
  let sum = horizontalSum64(f64x2.add(low, high))
  while (x < end) {
    const distance = <f64>load<f32>(x) - mean
    sum += distance * distance
    x += F32
  }
  return sum
}

/** Moves a running value towards a new one. */
@inline
function moveTowards(running: usize, value: f64, momentum: f64): void {
  store<f32>(running, <f32>((1 - momentum) * <f64>load<f32>(running) + momentum * value))
}

/**
 * Channels begin ≤ c < end of `stats` (3, C) from the batch x (N, C, pixels). Unless they are 0, runningMean and
 * runningVar (C) move towards the mean and the unbiased variance.
 */
export function batchnorm_statistics(
  stats: usize,
  runningMean: usize,
  runningVar: usize,
  x: usize,
  N: i32,
  C: i32,
  pixels: i32,
  eps: f64,
  momentum: f64,
  begin: i32,
  end: i32,
): void {
  const count = <f64>N * <f64>pixels
  for (let c = begin; c < end; c++) {
    let sum: f64 = 0
    for (let n = 0; n < N; n++) sum += sumOf(mapAt(x, n * C + c, pixels), pixels)
    const mean = sum / count
    let squares: f64 = 0
    for (let n = 0; n < N; n++) squares += squaresOf(mapAt(x, n * C + c, pixels), pixels, mean)
    storeStatistics(stats, C, c, mean, squares / count, eps)
    if (runningMean) moveTowards(runningMean + ((<usize>c) << 2), mean, momentum)
    if (runningVar) moveTowards(runningVar + ((<usize>c) << 2), squares / (count - 1), momentum)
  }
}

/** Channels begin ≤ c < end of `stats` (3, C) from running values. */
export function batchnorm_frozen(
  stats: usize,
  runningMean: usize,
  runningVar: usize,
  C: i32,
  eps: f64,
  begin: i32,
  end: i32,
): void {
  for (let c = begin; c < end; c++) {
    const at = (<usize>c) << 2
    storeStatistics(stats, C, c, <f64>load<f32>(runningMean + at), <f64>load<f32>(runningVar + at), eps)
  }
}

/** (x - μ) without the scale. */
@inline
function centered(x: v128, high: v128, low: v128): v128 {
  return f32x4.sub(f32x4.sub(x, high), low)
}

/** Maps begin ≤ n·C + c < end of y (N, C, pixels); gamma and beta (C) are 1 and 0 where their pointer is 0. */
export function batchnorm_fwd(
  y: usize,
  x: usize,
  gamma: usize,
  beta: usize,
  stats: usize,
  C: i32,
  pixels: i32,
  begin: i32,
  end: i32,
): void {
  const pitch = (<usize>C) << 2
  for (let item = begin; item < end; item++) {
    const channel = (<usize>(item % C)) << 2
    const high = v128.load32_splat(stats + channel)
    const low = v128.load32_splat(stats + pitch + channel)
    let scale = v128.load32_splat(stats + 2 * pitch + channel)
    if (gamma) scale = f32x4.mul(scale, v128.load32_splat(gamma + channel))
    const shift = beta ? v128.load32_splat(beta + channel) : f32x4.splat(0)
    let from = mapAt(x, item, pixels)
    let to = mapAt(y, item, pixels)
    const stop = from + ((<usize>(pixels & ~3)) << 2)
    for (; from < stop; from += 16) {
      v128.store(to, f32x4.add(f32x4.mul(centered(v128.load(from), high, low), scale), shift))
      to += 16
    }
    const rest = pixels & 3
    if (rest) {
      const v = f32x4.mul(centered(loadLanes(from, rest), high, low), scale)
      storeLanes(to, f32x4.add(v, shift), rest)
    }
  }
}

/** Channels begin ≤ c < end of dgamma = Σ dy·(x - μ)/√(σ² + ε) and dbeta = Σ dy, each of C floats. */
export function batchnorm_dw(
  dgamma: usize,
  dbeta: usize,
  dy: usize,
  x: usize,
  stats: usize,
  N: i32,
  C: i32,
  pixels: i32,
  begin: i32,
  end: i32,
): void {
  const pitch = (<usize>C) << 2
  const whole = (<usize>(pixels & ~3)) << 2
  const rest = pixels & 3
  for (let c = begin; c < end; c++) {
    const channel = (<usize>c) << 2
    const high = v128.load32_splat(stats + channel)
    const low = v128.load32_splat(stats + pitch + channel)
    let sum: f64 = 0
    let products: f64 = 0
    for (let n = 0; n < N; n++) {
      const from = mapAt(x, n * C + c, pixels)
      const gradient = mapAt(dy, n * C + c, pixels)
      sum += sumOf(gradient, pixels)
      let lower = f64x2.splat(0)
      let upper = f64x2.splat(0)
      for (let i: usize = 0; i < whole; i += 16) {
        const product = f32x4.mul(centered(v128.load(from + i), high, low), v128.load(gradient + i))
        lower = f64x2.add(lower, f64x2.promote_low_f32x4(product))
        upper = f64x2.add(upper, promoteHigh(product))
      }
      if (rest) {
        // The gradient's lanes beyond the map are zero, and so is their product with a finite mean.
        const product = f32x4.mul(centered(loadLanes(from + whole, rest), high, low), loadLanes(gradient + whole, rest))
        lower = f64x2.add(lower, f64x2.promote_low_f32x4(product))
        if (rest == 3) upper = f64x2.add(upper, promoteHigh(product))
      }
      products += horizontalSum64(f64x2.add(lower, upper))
    }
    store<f32>(dbeta + channel, <f32>sum)
    store<f32>(dgamma + channel, <f32>(products * <f64>load<f32>(stats + 2 * pitch + channel)))
  }
}

/**
 * Maps begin ≤ n·C + c < end of dx (N, C, pixels), given dgamma and dbeta of batchnorm_dw. `count` is the number of
 * elements of a channel, or 0 where the statistics do not depend on x.
 */
export function batchnorm_dx(
  dx: usize,
  dy: usize,
  x: usize,
  gamma: usize,
  dgamma: usize,
  dbeta: usize,
  stats: usize,
  C: i32,
  pixels: i32,
  count: f64,
  begin: i32,
  end: i32,
): void {
  const pitch = (<usize>C) << 2
  const whole = (<usize>(pixels & ~3)) << 2
  const rest = pixels & 3
  for (let item = begin; item < end; item++) {
    const channel = (<usize>(item % C)) << 2
    const high = v128.load32_splat(stats + channel)
    const low = v128.load32_splat(stats + pitch + channel)
    const inverse = load<f32>(stats + 2 * pitch + channel)
    const scale = f32x4.splat(gamma ? inverse * load<f32>(gamma + channel) : inverse)
    let mean: f64 = 0
    let slope: f64 = 0
    if (count > 0) {
      mean = <f64>load<f32>(dbeta + channel) / count
      slope = (<f64>load<f32>(dgamma + channel) / count) * <f64>inverse
    }
    const means = f32x4.splat(<f32>mean)
    const slopes = f32x4.splat(<f32>slope)
    const to = mapAt(dx, item, pixels)
    const gradient = mapAt(dy, item, pixels)
    const from = mapAt(x, item, pixels)
    if (count > 0) {
      for (let i: usize = 0; i < whole; i += 16) {
        const along = f32x4.mul(centered(v128.load(from + i), high, low), slopes)
        v128.store(to + i, f32x4.mul(f32x4.sub(f32x4.sub(v128.load(gradient + i), means), along), scale))
      }
      if (rest) {
        const along = f32x4.mul(centered(loadLanes(from + whole, rest), high, low), slopes)
        const d = f32x4.sub(f32x4.sub(loadLanes(gradient + whole, rest), means), along)
        storeLanes(to + whole, f32x4.mul(d, scale), rest)
      }
    } else {
      for (let i: usize = 0; i < whole; i += 16) v128.store(to + i, f32x4.mul(v128.load(gradient + i), scale))
      if (rest) storeLanes(to + whole, f32x4.mul(loadLanes(gradient + whole, rest), scale), rest)
    }
  }
}
