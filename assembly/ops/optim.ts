/**
 * Optimizer steps, in place: one pass over weight w, gradient dw and state. Elements begin ≤ i < end, each on its
 * own, so that any division into ranges gives the same bits. The order of operations is PyTorch's.
 */
import { loadLanes, storeLanes } from '../micro/lanes'
import { F32, madd, promoteHigh, horizontalSum64 } from '../simd'

/** The gradient with the L2 penalty: dw + decay · w; without a penalty dw alone, even where w is infinite. */
@inline
function penalized(dw: v128, w: v128, decay: f32): v128 {
  return decay == 0 ? dw : madd(f32x4.splat(decay), w, dw)
}


@inline
function sgdLanes(
  w: usize,
  velocity: usize,
  dw: usize,
  lr: f32,
  momentum: f32,
  share: f32,
  decay: f32,
  nesterov: bool,
  lanes: i32,
): void {
  const weight = loadLanes(w, lanes)
  const gradient = penalized(loadLanes(dw, lanes), weight, decay)
  const factor = f32x4.splat(momentum)
  const speed = madd(factor, loadLanes(velocity, lanes), f32x4.mul(f32x4.splat(share), gradient))
  const direction = nesterov ? madd(factor, speed, gradient) : speed
  storeLanes(velocity, speed, lanes)
  storeLanes(w, madd(f32x4.splat(-lr), direction, weight), lanes)
}

/**
 * Gradient descent with momentum: v = momentum · v + share · g, w -= lr · v (nesterov: lr · (g + momentum · v)),
 * where g = dw + decay · w. `share` is 1 − dampening.
 */
export function sgd_momentum_step(
  w: usize,
  velocity: usize,
  dw: usize,
  lr: f32,
  momentum: f32,
  share: f32,
  decay: f32,
  nesterov: bool,
  begin: i32,
  end: i32,
): void {
  let i = <usize>begin * F32
  const whole = i + <usize>((end - begin) & ~3) * F32
  for (; i < whole; i += 16) sgdLanes(w + i, velocity + i, dw + i, lr, momentum, share, decay, nesterov, 4)
  const rest = (end - begin) & 3
  if (rest) sgdLanes(w + i, velocity + i, dw + i, lr, momentum, share, decay, nesterov, rest)
}


@inline
function descentLanes(w: usize, dw: usize, lr: f32, decay: f32, lanes: i32): void {
  const weight = loadLanes(w, lanes)
  const gradient = penalized(loadLanes(dw, lanes), weight, decay)
  storeLanes(w, madd(f32x4.splat(-lr), gradient, weight), lanes)
}

/** Gradient descent: w -= lr · (dw + decay · w). */
export function sgd_step(w: usize, dw: usize, lr: f32, decay: f32, begin: i32, end: i32): void {
  let i = <usize>begin * F32
  const whole = i + <usize>((end - begin) & ~3) * F32
  for (; i < whole; i += 16) descentLanes(w + i, dw + i, lr, decay, 4)
  const rest = (end - begin) & 3
  if (rest) descentLanes(w + i, dw + i, lr, decay, rest)
}


@inline
function adamLanes(
  w: usize,
  first: usize,
  second: usize,
  dw: usize,
  rate: f32,
  beta1: f32,
  share1: f32,
  beta2: f32,
  share2: f32,
  correction: f32,
  epsilon: f32,
  decay: f32,
  shrink: f32,
  lanes: i32,
): void {
  const weight = loadLanes(w, lanes)
  const gradient = penalized(loadLanes(dw, lanes), weight, decay)
  const mean = madd(f32x4.splat(beta1), loadLanes(first, lanes), f32x4.mul(f32x4.splat(share1), gradient))
  const square = f32x4.mul(gradient, gradient)
  const variance = madd(f32x4.splat(beta2), loadLanes(second, lanes), f32x4.mul(f32x4.splat(share2), square))
  const root = madd(f32x4.sqrt(variance), f32x4.splat(correction), f32x4.splat(epsilon))
  const shrunk = penalized(weight, weight, -shrink)
  storeLanes(first, mean, lanes)
  storeLanes(second, variance, lanes)
  storeLanes(w, madd(f32x4.splat(-rate), f32x4.div(mean, root), shrunk), lanes)
}

/**
 * Adam: first = beta1 · first + share1 · g, second = beta2 · second + share2 · g², with g = dw + decay · w, and
 * w = w − shrink · w − rate · first / (correction · √second + epsilon). Bias corrections are in `rate` and `correction`.
 */
export function adam_step(
  w: usize,
  first: usize,
  second: usize,
  dw: usize,
  rate: f32,
  beta1: f32,
  share1: f32,
  beta2: f32,
  share2: f32,
  correction: f32,
  epsilon: f32,
  decay: f32,
  shrink: f32,
  begin: i32,
  end: i32,
): void {
  let i = <usize>begin * F32
  const whole = i + <usize>((end - begin) & ~3) * F32
  // prettier-ignore
  for (; i < whole; i += 16)
    adamLanes(w + i, first + i, second + i, dw + i, rate, beta1, share1, beta2, share2, correction, epsilon, decay, shrink, 4)
  const rest = (end - begin) & 3
  // prettier-ignore
  if (rest)
    adamLanes(w + i, first + i, second + i, dw + i, rate, beta1, share1, beta2, share2, correction, epsilon, decay, shrink, rest)
}


@inline
function rmspropLanes(
  w: usize,
  square: usize,
  velocity: usize,
  dw: usize,
  lr: f32,
  alpha: f32,
  share: f32,
  epsilon: f32,
  momentum: f32,
  decay: f32,
  lanes: i32,
): void {
  const weight = loadLanes(w, lanes)
  const gradient = penalized(loadLanes(dw, lanes), weight, decay)
  const squared = f32x4.mul(f32x4.splat(share), f32x4.mul(gradient, gradient))
  const mean = madd(f32x4.splat(alpha), loadLanes(square, lanes), squared)
  storeLanes(square, mean, lanes)
  let direction = f32x4.div(gradient, f32x4.add(f32x4.sqrt(mean), f32x4.splat(epsilon)))
  if (velocity) {
    direction = madd(f32x4.splat(momentum), loadLanes(velocity, lanes), direction)
    storeLanes(velocity, direction, lanes)
  }
  storeLanes(w, madd(f32x4.splat(-lr), direction, weight), lanes)
}

/**
 * RMSProp: square = alpha · square + share · g², d = g / (√square + epsilon) with g = dw + decay · w, and w -= lr · d,
 * or with a velocity (0: none) v = momentum · v + d, w -= lr · v.
 */
export function rmsprop_step(
  w: usize,
  square: usize,
  velocity: usize,
  dw: usize,
  lr: f32,
  alpha: f32,
  share: f32,
  epsilon: f32,
  momentum: f32,
  decay: f32,
  begin: i32,
  end: i32,
): void {
  let i = <usize>begin * F32
  const whole = i + <usize>((end - begin) & ~3) * F32
  for (; i < whole; i += 16) {
    const speed = velocity ? velocity + i : 0
    rmspropLanes(w + i, square + i, speed, dw + i, lr, alpha, share, epsilon, momentum, decay, 4)
  }
  const rest = (end - begin) & 3
  const speed = velocity ? velocity + i : 0
  if (rest) rmspropLanes(w + i, square + i, speed, dw + i, lr, alpha, share, epsilon, momentum, decay, rest)
}


@inline
function adagradLanes(w: usize, sum: usize, dw: usize, lr: f32, epsilon: f32, decay: f32, lanes: i32): void {
  const weight = loadLanes(w, lanes)
  const gradient = penalized(loadLanes(dw, lanes), weight, decay)
  const total = madd(gradient, gradient, loadLanes(sum, lanes))
  const root = f32x4.add(f32x4.sqrt(total), f32x4.splat(epsilon))
  storeLanes(sum, total, lanes)
  storeLanes(w, madd(f32x4.splat(-lr), f32x4.div(gradient, root), weight), lanes)
}

/** AdaGrad: sum += g², w -= lr · g / (√sum + epsilon), with g = dw + decay · w. */
export function adagrad_step(
  w: usize,
  sum: usize,
  dw: usize,
  lr: f32,
  epsilon: f32,
  decay: f32,
  begin: i32,
  end: i32,
): void {
  let i = <usize>begin * F32
  const whole = i + <usize>((end - begin) & ~3) * F32
  for (; i < whole; i += 16) adagradLanes(w + i, sum + i, dw + i, lr, epsilon, decay, 4)
  const rest = (end - begin) & 3
  if (rest) adagradLanes(w + i, sum + i, dw + i, lr, epsilon, decay, rest)
}

/** Σ x² over `count` floats, in float64. */
export function norm_squares(x: usize, count: i32): f64 {
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  const whole = x + <usize>(count & ~3) * F32
  for (; x < whole; x += 16) {
    const v = v128.load(x)
    const left = f64x2.promote_low_f32x4(v)
    const right = promoteHigh(v)
    low = f64x2.add(low, f64x2.mul(left, left))
    high = f64x2.add(high, f64x2.mul(right, right))
  }
  let sum = horizontalSum64(f64x2.add(low, high))
  for (const rest = x + <usize>(count & 3) * F32; x < rest; x += F32) {
    const value = <f64>load<f32>(x)
    sum += value * value
  }
  return sum
}

/** y[i] = factor · x[i] for begin ≤ i < end. */
export function norm_scale(y: usize, x: usize, factor: f32, begin: i32, end: i32): void {
  let i = <usize>begin * F32
  const whole = i + <usize>((end - begin) & ~3) * F32
  const splat = f32x4.splat(factor)
  for (; i < whole; i += 16) v128.store(y + i, f32x4.mul(splat, v128.load(x + i)))
  const rest = (end - begin) & 3
  if (rest) storeLanes(y + i, f32x4.mul(splat, loadLanes(x + i, rest)), rest)
}
