// @ts-check
// Our side of a layer.
import { conv2d, scope, tensor } from '../../dist/index.js'

/**
 * Which algorithm computes the layer. The library does not tell yet.
 * @param {import('../layers/table.mjs').Layer} _layer
 */
export const algorithmOf = (_layer) => 'auto'

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
