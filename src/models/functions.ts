/** Functions of numbers that models from elsewhere have and the package's operations have not: made of those. */
import { isFollowed } from '../autodiff/op.js'
import { elu, leakyRelu, relu, softplus, tanh } from '../ops/activation.js'
import * as choice from '../ops/choice.js'
import { abs, add, clamp, div, mul, neg, pow, sub } from '../ops/elementwise.js'
import { power } from '../ops/transcendental.js'
import { tensor } from '../tensor/create.js'
import { scope, type AnyTensor, type Tensor } from '../tensor/tensor.js'
import { constantsOf } from './inputs.js'

/** x, below 0 times a slope for each element, which is laid over x: max(0, x) − slope · max(0, −x). */
export const sloped = (x: Tensor, slope: Tensor | number): Tensor => scope(() => sub(relu(x), mul(relu(neg(x)), slope)))

/** x, below 0 times one slope of either sign. */
export const leaky = (x: Tensor, slope: number): Tensor =>
  slope >= 0 ? leakyRelu(x, { negativeSlope: slope }) : sloped(x, slope)

/** max(0, min(1, αx + β)). */
export const hardSigmoid = (x: Tensor, alpha: number, beta: number): Tensor =>
  scope(() => clamp(add(mul(x, alpha), beta), { min: 0, max: 1 }))

/** Powers: where the exponent is one number of the file, those of the kernel. */
export function powers(x: AnyTensor, p: AnyTensor): AnyTensor {
  const isNumber = x.dtype === 'float32' && p.size === 1 && p.ndim <= x.ndim && !p.storage.isPlanned && !isFollowed(p)
  const exponent = isNumber ? constantsOf(p)[0] : undefined
  return exponent !== undefined && Number.isFinite(exponent) ? pow(x as Tensor, exponent) : power(x, p)
}

export const limited = (
  x: AnyTensor,
  min: AnyTensor | number | undefined,
  max: AnyTensor | number | undefined,
): AnyTensor => {
  const asTensor = (value: AnyTensor | number): AnyTensor => (typeof value === 'number' ? tensor([value], []) : value)
  return scope(() => {
    // A lower bound above the upper one gives the upper one.
    let y: AnyTensor = x
    if (min !== undefined) y = choice.maximum(y, asTensor(min))
    if (max !== undefined) y = choice.minimum(y, asTensor(max))
    return y === x ? x.alias() : y
  })
}

export const clip = (x: AnyTensor, min: number, max: number): AnyTensor =>
  x.dtype === 'float32' && min <= max ? clamp(x as Tensor, { min, max }) : limited(x, min, max)

/** alpha · (eˣ − 1) below 0, else x. */
export const exponential = (x: Tensor, alpha: number): Tensor =>
  alpha >= 0 ? elu(x, { alpha }) : add(relu(x), mul(elu(neg(relu(neg(x)))), alpha))

/** The constants of SELU, in single precision. */
export const seluAlpha = 1.67326319217681884765625
export const seluScale = 1.05070102214813232421875

/** scale · x, below 0 scale · alpha · (eˣ − 1). */
export const selu = (x: Tensor, alpha = seluAlpha, scale = seluScale): Tensor =>
  scope(() => mul(exponential(x, alpha), scale))

/** x · tanh(ln(1 + eˣ)). */
export const mish = (x: Tensor): Tensor => scope(() => mul(x, tanh(softplus(x))))

/** x / (1 + |x|). */
export const softsign = (x: Tensor): Tensor => scope(() => div(x, add(abs(x), 1)))
