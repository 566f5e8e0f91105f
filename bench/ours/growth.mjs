// @ts-check
// Our side of what grows: a pass of a layer, or a network, at one size.
import { Conv2d, conv2d, conv2dInputGrad, conv2dWeightGrad, explain, linear, scope, tensor } from '../../dist/index.js'
import { createModel } from '../../dist/zoo.js'
import { randomNumbers } from '../lib/random.mjs'
import { networkOf } from '../networks/steps.mjs'
import { algorithmOfProduct, algorithmsOfNetwork } from './algorithms.mjs'
import { createOurs } from './train-step.mjs'

/** @typedef {{ run: () => unknown, algorithm: string, dispose: () => void }} Work */

/**
 * One pass of a convolution of stride 1 whose output is as large as its input.
 * @param {{ C: number, K: number, kernel: number, groups: number }} layer
 * @param {import('./algorithms.mjs').Pass} pass
 * @param {number} batch
 * @param {number} extent of the maps
 * @returns {Work}
 */
export function createConvolution({ C, K, kernel, groups }, pass, batch, extent) {
  const options = { padding: (kernel - 1) / 2, groups }
  const x = randomTensor([batch, C, extent, extent], 1)
  const w = randomTensor([K, C / groups, kernel, kernel], 2)
  const dy = randomTensor([batch, K, extent, extent], 3)
  const compute = {
    forward: () => conv2d(x, w, options),
    'input gradient': () => conv2dInputGrad(w, dy, { inputSize: [extent, extent], ...options }),
    'weight gradient': () => conv2dWeightGrad(x, dy, { kernel: [kernel, kernel], ...options }),
  }[pass]
  const { layers } = explain(new Conv2d({ outChannels: K, kernel, ...options }), [C, extent, extent], { batch })
  return {
    run: () => scope(() => void compute()),
    algorithm: layers[0]?.passes.find((one) => one.pass === pass)?.chosen ?? '',
    dispose() {
      for (const owned of [x, w, dy]) owned.dispose()
    },
  }
}

/**
 * The forward pass of a fully connected layer.
 * @param {{ inputs: number, units: number }} layer
 * @param {number} batch
 * @returns {Work}
 */
export function createLinear({ inputs, units }, batch) {
  const x = randomTensor([batch, inputs], 1)
  const w = randomTensor([units, inputs], 2)
  return {
    run: () => scope(() => void linear(x, w)),
    algorithm: algorithmOfProduct({ M: batch, N: units, K: inputs }, { transposeB: true }),
    dispose() {
      for (const owned of [x, w]) owned.dispose()
    },
  }
}

/**
 * The forward pass of a network of the zoo.
 * @param {string} name
 * @param {[number, number, number]} input
 * @param {number} batch
 * @returns {Work}
 */
export function createForward(name, input, batch) {
  const model = createModel(name, { seed: 1, input }).eval()
  const x = randomTensor([batch, ...input], 1)
  return {
    run: () => scope(() => void model.forward(x)),
    algorithm: algorithmsOfNetwork(model, networkOf(model), batch),
    dispose() {
      x.dispose()
      model.dispose()
    },
  }
}

/**
 * A training step of a network of the zoo, in steps so small that it stays what it is.
 * @param {string} name
 * @param {[number, number, number]} input
 * @param {number} batch
 * @returns {Work}
 */
export function createTrainStep(name, input, batch) {
  const images = randomNumbers(batch * size(input), 1)
  const labels = Uint8Array.from({ length: batch }, (_, image) => (image * 7) % 10)
  const optimizer = { lr: 1e-6, momentum: 0.9, weightDecay: 5e-4 }
  const { ours, algorithm } = createOurs({ model: name, input }, { images, labels, batch, optimizer })
  return { run: ours.step, algorithm, dispose: () => ours.dispose?.() }
}

/**
 * @param {readonly number[]} shape
 * @param {number} seed
 */
const randomTensor = (shape, seed) => tensor(randomNumbers(size(shape), seed), shape)

/** @param {readonly number[]} shape */
const size = (shape) => shape.reduce((product, extent) => product * extent, 1)
