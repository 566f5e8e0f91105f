// @ts-check
// onnxruntime-web's side of a layer: its WebAssembly backend (SIMD), a model of one Conv with constant
// weights, which it packs when the session is made.
//
// It takes its input from JavaScript memory and gives its output back there: `run` copies both on every call, and no
// option avoids that for this backend. The copies are part of what is measured.
import { InferenceSession, Tensor, env } from 'onnxruntime-web'
import { convolutionModel } from '../lib/onnx.mjs'
import { onnxOf } from '../networks/onnx.mjs'

/** @param {number} threads */
export function useThreads(threads) {
  env.wasm.numThreads = threads
}

/** @type {import('../layers.mjs').CreateLayer} */
export const createLayer = (layer, data) =>
  createSession(convolutionModel(layer, data), [layer.C, layer.H, layer.W], data.x)

/** @type {import('../forward.mjs').CreateNetwork} */
export const createNetwork = (network, image) => createSession(onnxOf(network), network.input, image)

/**
 * @param {Uint8Array} model
 * @param {readonly number[]} shape of the input, without the batch
 * @param {Float32Array} input
 */
async function createSession(model, shape, input) {
  const session = await InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' })
  const feeds = { x: new Tensor('float32', input, [1, ...shape]) }
  return {
    run: () => session.run(feeds),
    async output() {
      const { y } = await session.run(feeds)
      if (!(y?.data instanceof Float32Array)) throw new Error('onnxruntime-web gave no floats')
      return y.data
    },
    dispose: () => session.release(),
  }
}
