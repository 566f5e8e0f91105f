// @ts-check
// TensorFlow.js's side of a layer: its WebAssembly backend (SIMD; in Node always one thread), in its own order NHWC.
// Convolutions are XNNPACK's: the operator is made, and the weights are packed, on the first call, and kept while the
// tensor of weights lives. Kernels are eager and synchronous: when the call returns, the output is there.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { deserialize } from 'node:v8'
import { setThreadsCount } from '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { LeftOutError } from '../lib/errors.mjs'
import { firstOutput } from '../models/values.mjs'
import { tfjsOf } from '../networks/tfjs.mjs'

/** Workers are a page's: in Node there is always one thread. */
export const mostThreads = 1

setThreadsCount(1)
await tf.setBackend('wasm')

/** @type {import('../layers.mjs').CreateLayer} */
export function createLayer(layer, data) {
  const { C, H, W, K, R, S, groups } = layer
  const x = tf.tidy(() => tf.transpose(tf.tensor4d(data.x, [1, C, H, W]), [0, 2, 3, 1]))
  const b = tf.tensor1d(data.bias)
  const w = tf.tensor4d(data.weights, [K, C / groups, R, S])
  const { forward, tensors } =
    groups === 1 ? dense(layer, x, w, b) : groups === C ? depthwise(layer, x, w, b) : grouped(layer, x, w, b)
  w.dispose()
  return {
    run: () => forward().dispose(),
    output() {
      const y = tf.tidy(() => tf.transpose(forward(), [0, 3, 1, 2]))
      const values = y.dataSync()
      y.dispose()
      return Float32Array.from(values)
    },
    dispose: () => tf.dispose([x, b, ...tensors]),
  }
}

/**
 * What computes a layer, and the tensors it keeps.
 * @typedef {{ forward: () => tf.Tensor4D, tensors: tf.Tensor[] }} Prepared
 * @typedef {(layer: import('../layers/table.mjs').Layer, x: tf.Tensor4D, w: tf.Tensor4D, bias: tf.Tensor1D) => Prepared} Prepare
 */

/** @type {Prepare} */
function dense({ stride: strides, padding: pad }, x, w, bias) {
  const filter = tf.tidy(() => tf.transpose(w, [2, 3, 1, 0]))
  return { forward: () => tf.fused.conv2d({ x, filter, strides, pad, bias }), tensors: [filter] }
}

/** @type {Prepare} */
function depthwise({ stride: strides, padding: pad }, x, w, bias) {
  const filter = tf.tidy(() => tf.transpose(w, [2, 3, 0, 1]))
  return { forward: () => tf.fused.depthwiseConv2d({ x, filter, strides, pad, bias }), tensors: [filter] }
}

/**
 * There is no grouped convolution: the channels are split, convolved group by group and put together again.
 * @type {Prepare}
 */
function grouped({ stride: strides, padding: pad, groups }, x, w, bias) {
  /** @type {tf.Tensor4D[]} */
  const filters = tf.tidy(() => tf.split(tf.transpose(w, [2, 3, 1, 0]), groups, 3))
  /** @type {tf.Tensor1D[]} */
  const biases = tf.split(bias, groups)
  const forward = () =>
    tf.tidy(() => {
      /** @type {tf.Tensor4D[]} */
      const parts = tf.split(x, groups, 3)
      const outputs = filters.map((filter, group) => {
        const [part, partOfBias] = [parts[group], biases[group]]
        if (part === undefined || partOfBias === undefined) throw new Error(`group ${group} is missing`)
        return tf.fused.conv2d({ x: part, filter, strides, pad, bias: partOfBias })
      })
      return tf.concat4d(outputs, 3)
    })
  return { forward, tensors: [...filters, ...biases] }
}

/** @type {import('../forward.mjs').CreateNetwork} */
export function createNetwork(network, image) {
  const [C = 1, H = 1, W = 1] = network.input
  const x = tf.tidy(() => tf.transpose(tf.tensor4d(image, [1, C, H, W]), [0, 2, 3, 1]))
  const { forward, tensors } = tfjsOf(network)
  return {
    run: () => forward(x).dispose(),
    output() {
      const y = forward(x)
      const values = y.dataSync()
      y.dispose()
      return Float32Array.from(values)
    },
    dispose: () => tf.dispose([x, ...tensors]),
  }
}

/** @type {import('../models/peers.mjs').CreateModel} */
export async function createModel({ tfjs, network }, inputs) {
  if (tfjs !== undefined) return createGraphModel(tfjs, inputs)
  const [image] = inputs
  if (network === undefined || image === undefined) throw new LeftOutError('reads no ONNX')
  const { run, output, dispose } = await createNetwork(deserialize(readFileSync(network)), image.data)
  return { run, outputs: async () => ({ [firstOutput]: await output() }), dispose }
}

/**
 * A graph-model of TensorFlow.js, whose weights lie beside it.
 * @param {string} path of its model.json
 * @param {readonly import('../models/values.mjs').Input[]} inputs
 */
async function createGraphModel(path, inputs) {
  const { loadGraphModel } = await import('@tensorflow/tfjs-converter')
  const { modelTopology, weightsManifest } = JSON.parse(readFileSync(path, 'utf8'))
  const weightSpecs = weightsManifest.flatMap((/** @type {any} */ group) => group.weights)
  const shards = weightsManifest.flatMap((/** @type {any} */ group) => group.paths)
  const weights = Buffer.concat(shards.map((/** @type {string} */ shard) => readFileSync(join(dirname(path), shard))))
  const weightData = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length)
  const model = await loadGraphModel({ load: async () => ({ modelTopology, weightSpecs, weightData }) })
  const feeds = Object.fromEntries(
    inputs.map(({ name, shape, data }) => [name.replace(/:0$/, ''), tf.tensor(data, [...shape])]),
  )
  const names = model.outputs.map(({ name }) => name)
  const execute = () => /** @type {tf.Tensor[]} */ ([model.execute(feeds, names)].flat())
  return {
    run: () => tf.dispose(execute()),
    outputs: () => {
      const results = execute()
      const values = results.map((result, index) => [names[index] ?? '', Float32Array.from(result.dataSync())])
      tf.dispose(results)
      return Object.fromEntries(values)
    },
    dispose() {
      model.dispose()
      tf.dispose(feeds)
    },
  }
}
