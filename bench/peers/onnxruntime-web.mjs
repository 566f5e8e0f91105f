// @ts-check
// onnxruntime-web's side of a layer: its WebAssembly backend (SIMD), a model of one Conv with constant
// weights, which it packs when the session is made.
//
// It takes its input from JavaScript memory and gives its output back there: `run` copies both on every call, and no
// option avoids that for this backend. The copies are part of what is measured.
import { readFileSync } from 'node:fs'
import { InferenceSession, Tensor, env } from 'onnxruntime-web'
import { LeftOutError } from '../lib/errors.mjs'
import { convolutionModel } from '../lib/onnx.mjs'
import { asFloats } from '../models/values.mjs'
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

/** @type {import('../models/peers.mjs').CreateModel} */
export async function createModel({ onnx }, inputs) {
  const threads = env.wasm.numThreads
  const { outputs, ...session } = await startSession(readFileSync(onnx), inputs)
  if (env.wasm.numThreads !== threads) throw new LeftOutError(`has ${env.wasm.numThreads} thread here`)
  return { outputs, ...session }
}

/**
 * @param {Uint8Array} model
 * @param {readonly number[]} shape of the input, without the batch
 * @param {Float32Array} data
 */
async function createSession(model, shape, data) {
  const { outputs, ...session } = await startSession(model, [{ name: 'x', shape: [1, ...shape], data }])
  return {
    ...session,
    async output() {
      const { y } = await outputs()
      if (y === undefined) throw new Error('onnxruntime-web gave no output')
      return y
    },
  }
}

/**
 * @param {Uint8Array} model
 * @param {readonly import('../models/values.mjs').Input[]} inputs
 */
async function startSession(model, inputs) {
  const session = await InferenceSession.create(model, {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  })
  const feeds = Object.fromEntries(inputs.map(({ name, shape, data }) => [name, new Tensor('float32', data, shape)]))
  return {
    run: () => session.run(feeds),
    outputs: async () =>
      Object.fromEntries(Object.entries(await session.run(feeds)).map(([name, { data }]) => [name, asFloats(data)])),
    dispose: () => session.release(),
  }
}
