/** Activations by the names that Keras and TensorFlow give them. */
import { elu, gelu, relu, sigmoid, silu, softplus, tanh } from '../../ops/activation.js'
import { clamp, exp } from '../../ops/elementwise.js'
import { logSoftmax, softmax } from '../../ops/softmax.js'
import type { Tensor } from '../../tensor/tensor.js'
import { hardSigmoid, leaky, mish, selu, softsign } from '../functions.js'

/** A function of each number; of those of all channels together where it is given the axis that these lie in. */
export type ActivationOf = (x: Tensor, channels: number) => Tensor

/** min(6, max(0, x)). */
export const relu6 = (x: Tensor): Tensor => clamp(x, { min: 0, max: 6 })

/** Activations of layers, but for `hard_sigmoid`, which two versions of Keras mean in two ways. */
export const activations: Readonly<Record<string, ActivationOf>> = {
  linear: (x) => x.alias(),
  relu,
  relu6,
  elu: (x) => elu(x),
  selu: (x) => selu(x),
  softplus: (x) => softplus(x),
  softsign,
  tanh,
  sigmoid,
  swish: silu,
  silu,
  gelu: (x) => gelu(x),
  gelu_new: (x) => gelu(x, { approximate: 'tanh' }),
  softmax: (x, channels) => softmax(x, channels),
  log_softmax: (x, channels) => logSoftmax(x, channels),
  leaky_relu: (x) => leaky(x, 0.2),
  mish,
  exponential: exp,
}

/** max(0, min(1, 0.2x + 0.5)) before Keras 3, and max(0, min(1, x/6 + 0.5)) from it on. */
export const hardSigmoidOf = (isKeras3: boolean): ActivationOf =>
  isKeras3 ? (x) => hardSigmoid(x, 1 / 6, 0.5) : (x) => hardSigmoid(x, 0.2, 0.5)
