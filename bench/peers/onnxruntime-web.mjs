// @ts-check
// onnxruntime-web's side of a layer: its WebAssembly backend (SIMD) on one thread, a model of one Conv with constant
// weights, which it packs when the session is made.
//
// It takes its input from JavaScript memory and gives its output back there: `run` copies both on every call, and no
// option avoids that for this backend. The copies are part of what is measured.
import { InferenceSession, Tensor, env } from 'onnxruntime-web'
import { convolutionModel } from '../lib/onnx.mjs'

env.wasm.numThreads = 1

/** @type {import('../layers.mjs').CreateLayer} */
export async function createLayer(layer, data) {
  const session = await InferenceSession.create(convolutionModel(layer, data), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  })
  const feeds = { x: new Tensor('float32', data.x, [1, layer.C, layer.H, layer.W]) }
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
