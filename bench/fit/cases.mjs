// @ts-check
// The convolutions by which the costs of the algorithms are fitted and checked: the layers that are timed, batch 1, and
// training batches. Nothing is imported but the table, nothing is measured.
import { describeShape, layers, outputExtents } from '../layers/table.mjs'

/**
 * The same fields as ConvProblem of src/plan/conv.ts.
 * @typedef {{
 *   N: number, C: number, K: number, groups: number, flip: false,
 *   input: [number, number], kernel: [number, number], output: [number, number],
 *   stride: [number, number], dilation: [number, number], lo: [number, number], hi: [number, number],
 * }} Problem
 * @typedef {{ name: string, problem: Problem }} Case
 */

/**
 * @param {string} name
 * @param {number} N
 * @param {Omit<import('../layers/table.mjs').Layer, 'name' | 'family' | 'selected'>} layer
 * @returns {Case}
 */
function caseOf(name, N, { C, H, W, K, R, S, stride, padding, groups }) {
  const { P, Q } = outputExtents(/** @type {import('../layers/table.mjs').Layer} */ ({ H, W, R, S, stride, padding }))
  return {
    name,
    problem: {
      N,
      C,
      K,
      groups,
      flip: false,
      input: [H, W],
      kernel: [R, S],
      output: [P, Q],
      stride: [stride, stride],
      dilation: [1, 1],
      lo: [padding, padding],
      hi: [padding, padding],
    },
  }
}

/**
 * A batch of square maps under a square kernel, named by its shape.
 * @param {string} network
 * @param {number} N
 * @param {[channels: number, extent: number]} input
 * @param {number} K
 * @param {number} kernel
 * @param {{ stride?: number, padding?: number, groups?: number }} options
 */
function batch(network, N, [C, extent], K, kernel, { stride = 1, padding = 0, groups = 1 } = {}) {
  const layer = { C, H: extent, W: extent, K, R: kernel, S: kernel, stride, padding, groups }
  return caseOf(`${network} ${N}×${describeShape({ ...layer, family: '', selected: false })}`, N, layer)
}

/** @type {readonly Case[]} */
export const cases = [
  ...layers.map((layer) => caseOf(`${layer.name} ${describeShape(layer)}`, 1, layer)),

  batch('mnist/conv1', 128, [1, 28], 32, 5),
  batch('mnist/conv2', 128, [32, 12], 64, 5),
  batch('mnist/conv1', 32, [1, 28], 32, 5),
  batch('mnist/conv2', 32, [32, 12], 64, 5),
  batch('mnist/conv1', 1, [1, 28], 32, 5),
  batch('cifar/conv1', 128, [3, 32], 32, 5),
  batch('cifar/conv2', 128, [32, 14], 64, 5),
  batch('cifar/conv1', 32, [3, 32], 32, 5),
  batch('cifar/conv2', 32, [32, 14], 64, 5),
  batch('lenet5/c1', 128, [1, 32], 6, 5),
  batch('lenet5/c3', 128, [6, 14], 16, 5),
  batch('lenet5/c5', 128, [16, 5], 120, 5),
  batch('lenet5/c1', 16, [1, 32], 6, 5),
  batch('lenet5/c3', 16, [6, 14], 16, 5),

  // What lies between: other channels, maps and batches, strides, and kernels for Fourier transforms.
  batch('3×3', 32, [64, 32], 64, 3, { padding: 1 }),
  batch('3×3', 32, [128, 16], 128, 3, { padding: 1 }),
  batch('3×3', 32, [256, 8], 256, 3, { padding: 1 }),
  batch('3×3', 8, [256, 13], 384, 3, { padding: 1 }),
  batch('3×3', 64, [16, 32], 16, 3, { padding: 1 }),
  batch('3×3', 1, [16, 32], 16, 3, { padding: 1 }),
  batch('3×3', 1, [16, 14], 32, 3, { padding: 1 }),
  batch('3×3', 1, [32, 7], 32, 3, { padding: 1 }),
  batch('3×3', 16, [64, 4], 64, 3, { padding: 1 }),
  batch('3×3', 1, [64, 3], 64, 3, { padding: 1 }),
  batch('3×3', 8, [128, 2], 128, 3, { padding: 1 }),
  batch('3×3', 1, [8, 28], 8, 3, { padding: 1 }),
  batch('3×3', 1, [64, 56], 128, 3, { stride: 2, padding: 1 }),
  batch('3×3', 16, [32, 28], 64, 3, { stride: 2, padding: 1 }),
  batch('3×3', 8, [64, 28], 64, 3, { padding: 1, groups: 2 }),
  batch('5×5', 4, [16, 28], 32, 5, { padding: 2 }),
  batch('5×5', 1, [64, 56], 64, 5, { padding: 2 }),
  batch('5×5', 8, [32, 28], 96, 5, { padding: 2 }),
  batch('5×5', 1, [32, 56], 96, 5, { padding: 2 }),
  batch('5×5', 32, [32, 14], 64, 5, { padding: 2 }),
  batch('1×1', 16, [64, 28], 128, 1),
  batch('1×1', 16, [256, 8], 64, 1),
  batch('4×4', 1, [32, 28], 64, 4),
  batch('4×4', 16, [32, 14], 32, 4),
  batch('4×4', 8, [128, 13], 64, 4),
  batch('5×5', 1, [32, 56], 64, 5, { stride: 2, padding: 2 }),
  batch('5×5', 16, [16, 28], 32, 5, { stride: 2, padding: 2 }),
  batch('6×6', 4, [16, 32], 32, 6, { stride: 2 }),
  batch('7×7', 4, [3, 112], 32, 7, { stride: 2, padding: 3 }),
  batch('7×7', 1, [32, 56], 64, 7, { stride: 2, padding: 3 }),
  batch('9×9', 1, [3, 96], 32, 9, { stride: 3 }),
  batch('11×11', 4, [3, 115], 64, 11, { stride: 4 }),
  batch('7×7', 1, [32, 64], 32, 7, { padding: 3 }),
  batch('7×7', 8, [16, 28], 16, 7, { padding: 3 }),
  batch('7×7', 1, [64, 14], 64, 7, { padding: 3 }),
  batch('9×9', 4, [32, 32], 32, 9, { padding: 4 }),
  batch('9×9', 1, [1, 64], 64, 9, { padding: 4 }),
  batch('11×11', 1, [64, 56], 64, 11),
  batch('13×13', 1, [24, 48], 24, 13, { padding: 6 }),
  batch('15×15', 1, [16, 64], 32, 15),
  batch('21×21', 1, [16, 64], 16, 21),
  batch('whole', 1, [64, 7], 512, 7),
  batch('whole', 1, [256, 6], 256, 6),
  batch('whole', 4, [64, 4], 100, 4),
  batch('whole', 32, [64, 4], 100, 4),
  batch('whole', 32, [128, 4], 256, 4),
  batch('whole', 8, [50, 4], 500, 4),
  batch('whole', 64, [16, 3], 64, 3),
  batch('depthwise', 16, [32, 28], 32, 3, { padding: 1, groups: 32 }),
  batch('depthwise', 1, [64, 56], 64, 3, { stride: 2, padding: 1, groups: 64 }),
  batch('depthwise', 4, [64, 28], 64, 5, { padding: 2, groups: 64 }),
  batch('depthwise', 1, [256, 14], 256, 3, { padding: 1, groups: 256 }),
  batch('depthwise', 1, [64, 112], 64, 3, { padding: 1, groups: 64 }),
  batch('depthwise', 8, [96, 7], 96, 3, { padding: 1, groups: 96 }),
  batch('depthwise', 1, [64, 58], 64, 3, { groups: 64 }),
  batch('depthwise', 8, [32, 16], 32, 3, { groups: 32 }),
  batch('depthwise', 4, [64, 32], 64, 5, { groups: 64 }),
  batch('depthwise', 1, [32, 31], 32, 7, { padding: 3, groups: 32 }),
  batch('depthwise', 4, [96, 14], 96, 3, { padding: 1, groups: 96 }),
  batch('groups', 4, [96, 14], 96, 3, { padding: 1, groups: 24 }),
  batch('groups', 1, [64, 14], 64, 3, { padding: 1, groups: 16 }),
  batch('depthwise', 1, [512, 4], 512, 3, { padding: 1, groups: 512 }),
]
