// @ts-check
// jax-js's side of the training step: its WebAssembly backend, which in Node has one thread. The whole step, forward,
// gradients and update, is one function under `jit`.
//
// Every array that is passed on is given away; `.ref` keeps one for another use.
import { defaultDevice, init, jit, lax, nn, numpy as np, valueAndGrad } from '@jax-js/jax'
import { LeftOutError } from '../lib/errors.mjs'
import { pair } from '../networks/steps.mjs'

await init('wasm')
defaultDevice('wasm')

/**
 * @param {import('../train-step.mjs').Problem} problem
 * @returns {import('../train-step.mjs').Contender}
 */
export function createTrainStep({ network, images, labels, batch, optimizer }) {
  const { lr, momentum, weightDecay } = optimizer
  const forward = forwardOf(network)
  const pixels = network.input.reduce((product, extent) => product * extent, 1)
  const weights = network.steps.flatMap(({ weight, bias }) => [weight, bias].filter((values) => values !== undefined))
  const arrayOf = (/** @type {Float32Array} */ data, /** @type {readonly number[]} */ shape) =>
    np.array(new Float32Array(data)).reshape([...shape])
  let parameters = weights.map(({ data, shape }) => arrayOf(data, shape))
  let velocities = weights.map(({ data, shape }) => arrayOf(new Float32Array(data.length), shape))
  const outputs = weights.at(-1)?.shape[0] ?? 0
  const lossOf = (/** @type {np.Array[]} */ given, /** @type {np.Array} */ x, /** @type {np.Array} */ target) =>
    nn
      .logSoftmax(forward(given, x))
      .mul(target)
      .sum()
      .mul(-1 / batch)
  const train = jit(
    (/** @type {any} */ given, /** @type {any} */ moving, /** @type {any} */ x, /** @type {any} */ target) => {
      const kept = given.map((/** @type {np.Array} */ array) => array.ref)
      const [loss, gradients] = /** @type {any} */ (valueAndGrad(lossOf)(given, x, target))
      /** @type {np.Array[]} */
      const moved = kept.map((/** @type {np.Array} */ w, /** @type {number} */ index) =>
        moving[index].mul(momentum).add(gradients[index]).add(w.ref.mul(weightDecay)),
      )
      const updated = kept.map((/** @type {np.Array} */ w, /** @type {number} */ index) =>
        w.sub(/** @type {np.Array} */ (moved[index]).ref.mul(lr)),
      )
      return [loss, updated, moved]
    },
  )
  let next = 0
  return {
    name: 'jax-js',
    async parameters() {
      const copies = []
      for (const array of parameters) copies.push(Float32Array.from(/** @type {any} */ (await array.ref.data())))
      return copies
    },
    async step() {
      const begin = next
      const end = begin + batch
      next = end % labels.length
      const x = arrayOf(images.subarray(begin * pixels, end * pixels), [batch, ...network.input])
      const target = nn.oneHot(np.array(Int32Array.from(labels.subarray(begin, end))), outputs)
      const [loss, updated, moved] = /** @type {any} */ (train(parameters, velocities, x, target))
      parameters = updated
      velocities = moved
      for (const array of [...parameters, ...velocities]) await array.blockUntilReady()
      return (await loss.data())[0]
    },
    dispose() {
      for (const array of [...parameters, ...velocities]) array.dispose()
    },
  }
}

/**
 * The function of the network: (parameters, x) to its outputs (N, classes).
 * @param {import('../networks/steps.mjs').Network} network
 */
function forwardOf({ steps }) {
  const apply = steps.map((step) => functionOf(step))
  return (/** @type {np.Array[]} */ parameters, /** @type {np.Array} */ x) => {
    let y = x
    let next = 0
    steps.forEach(({ weight, bias, relu }, index) => {
      const w = weight && parameters[next++]
      const b = bias && parameters[next++]
      y = /** @type {any} */ (apply[index])(y, w, b)
      if (relu) y = rectified(y)
    })
    return y
  }
}

/**
 * @param {import('../networks/steps.mjs').Step} step
 * @returns {(x: any, w: any, b: any) => any}
 */
function functionOf({ type, options }) {
  const kernel = pair(options['kernel'], 1)
  const [top, left] = pair(options['padding'], 0)
  switch (type) {
    case 'Conv2d': {
      const strides = pair(options['stride'], 1)
      const pads = /** @type {[number, number][]} */ ([
        [top, top],
        [left, left],
      ])
      const groups = { featureGroupCount: options['groups'] ?? 1 }
      return (x, w, b) => lax.convGeneralDilated(x, w, strides, pads, groups).add(b.reshape([1, -1, 1, 1]))
    }
    case 'Linear':
      return (x, w, b) => np.matmul(x, w.transpose()).add(b)
    case 'Flatten':
      return (x) => x.reshape([x.shape[0], -1])
    case 'ReLU':
      return rectified
    case 'ScaledTanh':
      return (x) => np.tanh(x.mul(2 / 3)).mul(1.7159)
    case 'MaxPool2d':
      return (x) => largest(windows(x, kernel, options), kernel)
    case 'AvgPool2d':
      return (x) => np.mean(windows(x, kernel, options), [3, 5])
    case 'RBF':
      return (x, w, b) => {
        const products = np.matmul(x.ref, w.ref.transpose()).mul(2)
        const squares = np.square(x).sum(1, { keepdims: true })
        return products.sub(squares).sub(np.square(w).sum(1)).sub(b)
      }
    default:
      throw new LeftOutError(`has no ${type}`)
  }
}

/**
 * The gradient of its own relu at 0 is not 0.
 * @param {any} x
 */
const rectified = (x) => np.where(np.greater(x.ref, 0), x, 0)

/**
 * The largest of each window, the first of equal ones: the gradient of `max` would go to all of them.
 * @param {any} x (N, C, P, h, Q, w)
 * @param {readonly number[]} kernel
 */
function largest(x, [h = 1, w = 1]) {
  let y = x.ref.slice([], [], [], 0, [], 0)
  for (let i = 1; i < h * w; i++) {
    const other = (i === h * w - 1 ? x : x.ref).slice([], [], [], Math.floor(i / w), [], i % w)
    y = np.where(np.greaterEqual(y.ref, other.ref), y, other)
  }
  return y
}

/**
 * (N, C, P, h, Q, w): windows side by side, which is several times as fast as its reduceWindow.
 * @param {any} x
 * @param {readonly number[]} kernel
 * @param {Record<string, any>} options
 */
function windows(x, [h = 1, w = 1], { stride, padding }) {
  const [N, C, H, W] = x.shape
  const [down, right] = pair(stride, 0)
  const apart = (down !== 0 && down !== h) || (right !== 0 && right !== w)
  if (apart || padding || H % h !== 0 || W % w !== 0) throw new LeftOutError('has no gradient of such windows in time')
  return x.reshape([N, C, H / h, h, W / w, w])
}
