// @ts-check
// A network of TensorFlow.js's functions, in its own order NHWC, with fused biases and ReLUs.
import * as tf from '@tensorflow/tfjs-core'
import { asProducts, pair } from './steps.mjs'

/**
 * The function that computes a network from x (1, H, W, C), and the tensors it keeps.
 * @param {import('./steps.mjs').Network} network
 */
export function tfjsOf({ steps }) {
  const kept = tf.tidy(() =>
    steps.map((step) => {
      const { type, weight, bias, inputShape } = asProducts(step)
      if (!weight) return {}
      const w = tf.tensor(weight.data, [...weight.shape])
      const b = bias && tf.tensor1d(bias.data)
      if (type === 'Conv2d') return { w: tf.transpose(w, [2, 3, 1, 0]), ...(b && { b }) }
      // The columns of the first linear layer follow its input: (C, H, W) there, (H, W, C) here.
      const [C = 1, H = 1, W = 1] = step.inputShape
      const columns =
        inputShape.length === 3
          ? tf.reshape(tf.transpose(tf.reshape(w, [-1, C, H, W]), [0, 2, 3, 1]), [w.shape[0] ?? 0, -1])
          : w
      return { w: tf.transpose(columns), ...(b && { b }) }
    }),
  )
  const forward = (/** @type {tf.Tensor4D} */ x) =>
    tf.tidy(() => {
      /** @type {Map<string, any>} */
      const values = new Map([['x', x]])
      let y = /** @type {any} */ (x)
      steps.forEach(({ name, inputs, ...step }, index) => {
        y = compute(
          step,
          kept[index] ?? {},
          inputs.map((input) => values.get(input)),
        )
        values.set(name, y)
      })
      return /** @type {tf.Tensor} */ (y)
    })
  return { forward, tensors: kept.flatMap((entry) => Object.values(entry)) }
}

/**
 * @param {Omit<import('./steps.mjs').Step, 'name' | 'inputs'>} step
 * @param {any} kept
 * @param {any[]} inputs
 */
function compute({ type, options, relu }, { w, b }, inputs) {
  const [x] = inputs
  const activation = relu ? /** @type {const} */ ('relu') : 'linear'
  const kernel = pair(options['kernel'], 1)
  const [pad] = pair(options['padding'], 0)
  switch (type) {
    case 'Conv2d': {
      const strides = pair(options['stride'], 1)
      if ((options['groups'] ?? 1) !== 1) throw new Error('grouped convolutions are not supported here')
      return tf.fused.conv2d({ x, filter: w, strides, pad, bias: b, activation })
    }
    case 'Linear':
      return tf.fused.matMul({ a: tf.reshape(x, [1, -1]), b: w, bias: b, activation })
    case 'ReLU':
      return tf.relu(x)
    case 'MaxPool2d':
      return tf.maxPool(x, kernel, pair(options['stride'], kernel[0]), pad)
    case 'AvgPool2d':
      return tf.avgPool(x, kernel, pair(options['stride'], kernel[0]), pad)
    case 'GlobalAvgPool':
      return tf.mean(x, [1, 2])
    case 'Flatten':
      return x
    case 'Concat':
      return tf.concat(inputs, 3)
    case 'LocalResponseNorm': {
      const { size, alpha, beta, k } = options
      return tf.localResponseNormalization(x, (size - 1) / 2, k, alpha / size, beta)
    }
    case 'ScaledTanh':
      return tf.mul(tf.tanh(tf.mul(x, 2 / 3)), 1.7159)
    case 'RBF': {
      const a = tf.reshape(x, [1, -1])
      return tf.sub(tf.fused.matMul({ a, b: w, bias: b }), tf.sum(tf.square(a)))
    }
    default:
      throw new Error(`${type} has no form here`)
  }
}
