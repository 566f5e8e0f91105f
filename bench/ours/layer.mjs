// @ts-check
// Our side of a layer.
import { Conv2d, conv2d, explain, scope, tensor } from '../../dist/index.js'

/**
 * Which algorithm computes the layer.
 * @param {import('../layers/table.mjs').Layer} layer
 */
export function algorithmOf({ C, H, W, K, R, S, stride, padding, groups }) {
  const layer = new Conv2d({ outChannels: K, kernel: [R, S], stride, padding, groups })
  return explain(layer, [C, H, W]).layers[0]?.passes[0]?.chosen ?? ''
}

/** @type {import('../layers.mjs').CreateLayer} */
export function createLayer({ C, H, W, K, R, S, stride, padding, groups }, data) {
  const x = tensor(data.x, [1, C, H, W])
  const w = tensor(data.weights, [K, C / groups, R, S])
  const bias = tensor(data.bias, [K])
  const forward = () => conv2d(x, w, { bias, stride, padding, groups })
  return {
    run: () => scope(() => void forward()),
    output: () => scope(() => forward().data()),
    dispose() {
      for (const owned of [x, w, bias]) owned.dispose()
    },
  }
}
