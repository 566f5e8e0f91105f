// @ts-check
// Our side of a layer in integers, beside the same in float32: programs of one convolution each.
import { scope, tensor } from '../../dist/index.js'
import { loadOnnx } from '../../dist/onnx.js'
import { initIntegers } from '../../dist/quant.js'
import { convolutionModel, quantizedModel } from '../lib/onnx.mjs'

/** Loads the kernels of integers. */
export const load = () => initIntegers()

/**
 * @param {readonly number[] | Float32Array} values
 * @returns {[scale: number, zero: number]} that bytes stand for all of them by, and for 0
 */
function rangeOf(values) {
  let [low, high] = [0, 0]
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)]
  const scale = Math.fround((high - low) / 255)
  return [scale, Math.round(-low / scale)]
}

/**
 * The convolution of bytes, weights packed, bytes in and out; `output` is float32 again.
 * @param {import('../layers/table.mjs').Layer} layer
 * @param {import('../layers.mjs').LayerData} data
 * @param {Float32Array} due what it gives in float32
 */
export function createIntegers(layer, data, due) {
  const { C, H, W, K } = layer
  const x = rangeOf(data.x)
  const y = rangeOf(due)
  const each = data.weights.length / K
  const w = Float32Array.from({ length: K }, (_, k) => {
    const filter = data.weights.subarray(k * each, (k + 1) * each)
    return filter.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127
  })
  const scaleOf = (/** @type {number} */ k) => w[k] ?? 1
  const weights = Int8Array.from(data.weights, (value, i) => Math.round(value / scaleOf(Math.floor(i / each))))
  const bias = Int32Array.from(data.bias, (value, k) => Math.round(value / (x[0] * scaleOf(k))))
  const program = loadOnnx(quantizedModel(layer, { weights, bias }, { x, w, y }))
  const bytes = Uint8Array.from(data.x, (value) => Math.max(0, Math.min(255, Math.round(value / x[0]) + x[1])))
  const input = tensor(bytes, [1, C, H, W], { dtype: 'uint8' })
  return {
    run: () => scope(() => void program.run({ x: input })),
    output: () =>
      scope(() => {
        const [given] = Object.values(program.run({ x: input }))
        const bytes = /** @type {Uint8Array} */ (given?.data())
        return Float32Array.from(bytes, (byte) => (byte - y[1]) * y[0])
      }),
    dispose() {
      input.dispose()
      program.dispose()
    },
  }
}

/**
 * The same in float32.
 * @param {import('../layers/table.mjs').Layer} layer
 * @param {import('../layers.mjs').LayerData} data
 */
export function createFloats(layer, data) {
  const program = loadOnnx(convolutionModel(layer, data))
  const input = tensor(data.x, [1, layer.C, layer.H, layer.W])
  return {
    run: () => scope(() => void program.run({ x: input })),
    output: () => scope(() => Float32Array.from(program.forward(input).data())),
    dispose() {
      input.dispose()
      program.dispose()
    },
  }
}
