// @ts-check
// Our side of a layer.
import { Conv2d, conv2d, explain, scope, tensor } from '../../dist/index.js'

/** @param {import('../layers/table.mjs').Layer} layer */
function passesOf({ C, H, W, K, R, S, stride, padding, groups }) {
  const layer = new Conv2d({ outChannels: K, kernel: [R, S], stride, padding, groups })
  return explain(layer, [C, H, W]).layers[0]?.passes ?? []
}

/**
 * Which algorithm computes the layer.
 * @param {import('../layers/table.mjs').Layer} layer
 */
export const algorithmOf = (layer) => passesOf(layer)[0]?.chosen ?? ''

/**
 * Every algorithm that can compute the layer, the passes that it can do, and whether it is only taken when asked for.
 * @param {import('../layers/table.mjs').Layer} layer
 */
export function algorithmsOf(layer) {
  const passes = passesOf(layer)
  return (passes[0]?.candidates ?? [])
    .filter(({ milliseconds }) => milliseconds !== null)
    .map(({ algorithm, reason }) => ({
      algorithm,
      asked: reason !== undefined,
      passes: passes
        .filter(({ candidates }) =>
          candidates.some((other) => other.algorithm === algorithm && other.milliseconds !== null),
        )
        .map(({ pass }) => pass),
    }))
}

/**
 * @param {import('../layers/table.mjs').Layer} layer
 * @param {import('../layers.mjs').LayerData} data
 * @param {string} algorithm
 */
export function createLayer({ C, H, W, K, R, S, stride, padding, groups }, data, algorithm = 'auto') {
  const x = tensor(data.x, [1, C, H, W])
  const w = tensor(data.weights, [K, C / groups, R, S])
  const bias = tensor(data.bias, [K])
  const options = { bias, stride, padding, groups, algorithm: /** @type {'auto'} */ (algorithm) }
  const forward = () => conv2d(x, w, options)
  return {
    run: () => scope(() => void forward()),
    output: () => scope(() => forward().data()),
    dispose() {
      for (const owned of [x, w, bias]) owned.dispose()
    },
  }
}
