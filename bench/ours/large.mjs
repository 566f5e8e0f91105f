// @ts-check
// Our side of the large kernels.
import { Conv1d, Conv2d, Conv3d, conv1d, conv2d, conv3d, explain, scope, tensor } from '../../dist/index.js'
import { separableConv } from '../../dist/features.js'

const layers = [Conv1d, Conv2d, Conv3d]
const functions = [conv1d, conv2d, conv3d]

/**
 * What is taken unasked, and the same by the algorithm `other`; of separable kernels, direction by direction, and as they are.
 * @param {import('../large.mjs').Case} large
 * @param {{ x: Float32Array, w: Float32Array }} data
 * @param {string} other
 */
export function createLarge({ C, K, n, kernel, separable = false }, data, other) {
  const extents = kernel.map(() => n)
  const groups = separable ? C : 1
  const x = tensor(data.x, [1, C, ...extents])
  const directions = kernel.length - 1
  const convolve = /** @type {typeof conv2d} */ (functions[directions])
  const Layer = /** @type {typeof Conv2d} */ (layers[directions])
  const options = { padding: /** @type {const} */ ('same'), groups }
  const vectors = kernel.map((taps) => tensor(data.w.subarray(0, taps), [taps]))
  const w = separable ? outer(data.w, kernel, C) : tensor(data.w, [K, C / groups, ...kernel])
  const ours = separable ? () => separableConv(x, vectors, { padding: 'same' }) : () => convolve(x, w, options)
  const others = () => convolve(x, w, { ...options, algorithm: /** @type {'auto'} */ (other) })
  const layer = new Layer({ outChannels: K, kernel: /** @type {number[]} */ (kernel), ...options })
  return {
    ours: () => scope(() => void ours()),
    others: () => scope(() => void others()),
    output: { ours: () => scope(() => ours().data()), others: () => scope(() => others().data()) },
    algorithm: separable ? 'separable' : (explain(layer, [C, ...extents]).layers[0]?.passes[0]?.chosen ?? ''),
  }
}

/**
 * The kernel that is the product of the same vector along each direction, for each of C channels.
 * @param {Float32Array} values
 * @param {readonly number[]} kernel
 * @param {number} C
 */
function outer(values, kernel, C) {
  const taps = kernel.reduce(
    (all, extent) => all.flatMap((value) => [...values.subarray(0, extent)].map((v) => value * v)),
    [1],
  )
  return tensor(Array.from({ length: C }, () => taps).flat(), [C, 1, ...kernel])
}
