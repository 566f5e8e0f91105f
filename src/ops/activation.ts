/**
 * Nonlinearities, element by element, with PyTorch's meanings. Gradients read the output where that is enough, so that
 * the input, often a large sum that nothing else needs, is freed early. Each function that is exported here is an
 * operation of the library, and an option `activation` of convolutions.
 */
import { checkNumber, wrongKind } from '../runtime/check.js'
import { HEAVY, LIGHT } from '../runtime/work.js'
import { checkKeys, withArity } from '../runtime/options.js'
import type { Tensor } from '../tensor/tensor.js'
import {
  eluNames,
  geluNames,
  leakyReluNames,
  softplusNames,
  type EluOptions,
  type GeluOptions,
  type LeakyReluOptions,
  type SoftplusOptions,
} from './activationOptions.js'
import { add, exp, mul, neg, square } from './elementwise.js'
import { plainUnary, rectifySlope, slope, unary } from './pointwise.js'

export type { EluOptions, GeluOptions, LeakyReluOptions, SoftplusOptions } from './activationOptions.js'

/**
 * max(0, x); NaN stays NaN. The gradient is 0 at 0.
 *
 *     relu(tensor([-1, 0, 2]))                             // Tensor (3) float32 [0, 0, 2]
 */
export const relu = plainUnary('relu', {
  forward: (list, y, x, size) => list.call('relu_fwd', size, LIGHT, y, x),
  keeps: 'y',
  gradient: (dy, y) => rectifySlope(dy, y),
})

/** The sign of the output must tell that of the input. */
const checkFactor = (value: number, what: string): void => checkNumber(value, what, 0)

const leak = unary<number>('leakyRelu', {
  check: (value) => checkFactor(value, 'leakyRelu: negativeSlope'),
  forward: (list, y, x, size, value) => list.call('leakyRelu_fwd', size, LIGHT, y, x, value),
  keeps: 'y',
  gradient: (dy, y, value) => leakSlope(dy, y, value),
})

const leakSlope = slope<number>('leakyReluGradient', {
  forward: (list, dx, dy, y, size, value) => list.call('leakyRelu_dx', size, LIGHT, dx, dy, y, value),
})

/**
 * x, or negativeSlope · x below 0.
 *
 *     leakyRelu(tensor([-1, 2]), { negativeSlope: 0.1 })   // Tensor (2) float32 [-0.1, 2]
 *
 * @throws ShapeError when the slope is negative.
 */
export const leakyRelu = withArity('leakyRelu', 2, (x: Tensor, options: LeakyReluOptions = {}): Tensor => {
  checkKeys('leakyRelu', options, leakyReluNames)
  return leak(x, options.negativeSlope ?? 0.01)
})

const exponentialUnit = unary<number>('elu', {
  check: (alpha) => checkFactor(alpha, 'elu: alpha'),
  forward: (list, y, x, size, alpha) => list.call('elu_fwd', size, HEAVY, y, x, alpha),
  keeps: 'y',
  gradient: (dy, y, alpha) => exponentialSlope(dy, y, alpha),
})

const exponentialSlope = slope<number>('eluGradient', {
  forward: (list, dx, dy, y, size, alpha) => list.call('elu_dx', size, LIGHT, dx, dy, y, alpha),
  // dy·ddx where y < 0.
  second: (ddx, dy, y) => rectifySlope(mul(ddx, dy), neg(y)),
})

/**
 * x, or alpha · (eˣ − 1) below 0.
 *
 *     elu(x, { alpha: 1 })
 *
 * @throws ShapeError when alpha is negative.
 */
export const elu = withArity('elu', 2, (x: Tensor, options: EluOptions = {}): Tensor => {
  checkKeys('elu', options, eluNames)
  return exponentialUnit(x, options.alpha ?? 1)
})

/** 1 / (1 + e⁻ˣ). */
export const sigmoid = plainUnary('sigmoid', {
  forward: (list, y, x, size) => list.call('sigmoid_fwd', size, HEAVY, y, x),
  keeps: 'y',
  gradient: (dy, y) => logisticSlope(dy, y),
})

const logisticSlope = slope<void>('sigmoidGradient', {
  forward: (list, dx, dy, y, size) => list.call('sigmoid_dx', size, LIGHT, dx, dy, y),
  // d(y − y²)/dy = 1 − 2y.
  second: (ddx, dy, y) => mul(mul(ddx, dy), add(mul(y, -2), 1)),
})

/** y = amplitude · tanh(slope · x). */
interface Curve {
  readonly amplitude: number
  readonly slope: number
}

/* @__NO_SIDE_EFFECTS__ */
function hyperbolic(name: string, curve: Curve): (x: Tensor) => Tensor {
  // dx = dy · (slope / amplitude) · (amplitude² − y²).
  const tangentSlope = slope<Curve>(`${name}Gradient`, {
    forward: (list, dx, dy, y, size, curve) =>
      list.call('tanh_dx', size, LIGHT, dx, dy, y, curve.amplitude, curve.slope / curve.amplitude),
    second: (ddx, dy, y, curve) => mul(mul(mul(ddx, dy), y), (-2 * curve.slope) / curve.amplitude),
  })
  const call = unary<Curve>(name, {
    forward: (list, y, x, size, curve) => list.call('tanh_fwd', size, HEAVY, y, x, curve.amplitude, curve.slope),
    keeps: 'y',
    gradient: tangentSlope,
  })
  return withArity(name, 1, (x: Tensor) => call(x, curve))
}

/** tanh x. */
export const tanh = hyperbolic('tanh', { amplitude: 1, slope: 1 })

/** 1.7159 · tanh(2x/3): f(±1) = ±1, LeCun, Bottou, Bengio & Haffner, "Gradient-based learning", 1998. */
export const scaledTanh = hyperbolic('scaledTanh', { amplitude: 1.7159, slope: 2 / 3 })

const smoothRelu = unary<number>('softplus', {
  check: (beta) => {
    if (typeof beta !== 'number' || !(beta > 0 && beta < Infinity)) {
      throw wrongKind('softplus: beta', 'a finite number above 0', beta)
    }
  },
  forward: (list, y, x, size, beta) => list.call('softplus_fwd', size, HEAVY, y, x, beta),
  keeps: 'x',
  gradient: (dy, x, beta) => mul(dy, sigmoid(beta === 1 ? x : mul(x, beta))),
})

/**
 * ln(1 + e^(beta·x)) / beta, without overflow.
 *
 *     softplus(x, { beta: 2 })
 *
 * @throws ShapeError when beta is not above 0.
 */
export const softplus = withArity('softplus', 2, (x: Tensor, options: SoftplusOptions = {}): Tensor => {
  checkKeys('softplus', options, softplusNames)
  return smoothRelu(x, options.beta ?? 1)
})

const normalUnit = unary<void>('gelu', {
  forward: (list, y, x, size) => list.call('gelu_fwd', size, HEAVY, y, x),
  keeps: 'x',
  gradient: (dy, x) => normalSlope(dy, x),
})

const normalSlope = slope<void>('geluGradient', {
  forward: (list, dx, dy, x, size) => list.call('gelu_dx', size, HEAVY, dx, dy, x),
  // (Φ + xφ)′ = φ·(2 − x²), φ = e^(−x²/2) / √(2π).
  second: (ddx, dy, x) => {
    const squared = square(x)
    const density = mul(exp(mul(squared, -0.5)), 0.3989422804014327)
    return mul(mul(ddx, dy), mul(density, add(neg(squared), 2)))
  },
})

/** Its option tells it from the other. */
const cubicUnit = unary<'tanh'>('gelu', {
  forward: (list, y, x, size) => list.call('gelu_tanh_fwd', size, HEAVY, y, x),
  keeps: 'x',
  gradient: (dy, x) => cubicSlope(dy, x),
})

const cubicSlope = slope<void>('geluGradient', {
  forward: (list, dx, dy, x, size) => list.call('gelu_tanh_dx', size, HEAVY, dx, dy, x),
  // (σ + xσ′u′)′ = σ′·(2u′ + x·u″ + x·u′²·(1 − 2σ)), u = 2√(2/π)·(x + 0.044715·x³), σ = σ(u).
  second: (ddx, dy, x) => {
    const slopeAtZero = 1.5957691216057308
    const cubic = 0.044715
    const squared = square(x)
    const gate = sigmoid(mul(mul(x, add(mul(squared, cubic), 1)), slopeAtZero))
    const first = mul(add(mul(squared, 3 * cubic), 1), slopeAtZero)
    const second = mul(squared, 6 * cubic * slopeAtZero)
    const third = mul(mul(x, square(first)), add(mul(gate, -2), 1))
    return mul(mul(ddx, dy), mul(mul(gate, add(neg(gate), 1)), add(add(mul(first, 2), second), third)))
  },
})

/**
 * x·Φ(x), Φ the normal distribution function, or its approximation by tanh; −0 at −∞.
 * Hendrycks & Gimpel, "Gaussian error linear units", 2016.
 *
 *     gelu(x, { approximate: 'tanh' })
 *
 * @throws ShapeError when `approximate` is neither 'none' nor 'tanh'.
 */
export const gelu = withArity('gelu', 2, (x: Tensor, options: GeluOptions = {}): Tensor => {
  checkKeys('gelu', options, geluNames)
  const { approximate = 'none' } = options
  if (approximate === 'none') return normalUnit(x)
  if (approximate === 'tanh') return cubicUnit(x, approximate)
  throw wrongKind('gelu: approximate', "'none' or 'tanh'", approximate)
})

/** x·σ(x), also called swish; −0 at −∞. */
export const silu = plainUnary('silu', {
  forward: (list, y, x, size) => list.call('silu_fwd', size, HEAVY, y, x),
  keeps: 'x',
  gradient: (dy, x) => gatedSlope(dy, x),
})

const gatedSlope = slope<void>('siluGradient', {
  forward: (list, dx, dy, x, size) => list.call('silu_dx', size, HEAVY, dx, dy, x),
  // (σ + xσ′)′ = σ′·(2 + x·(1 − 2σ)), σ′ = σ·(1 − σ).
  second: (ddx, dy, x) => {
    const gate = sigmoid(x)
    const bend = add(mul(x, add(mul(gate, -2), 1)), 2)
    return mul(mul(ddx, dy), mul(mul(gate, add(neg(gate), 1)), bend))
  },
})
