// @ts-check
// The convolution layers that are timed: those of LeNet-5, AlexNet, VGG-16 and GoogLeNet, and two more. Of layers of
// equal shape only the first is timed. Nothing is imported, nothing is measured.

/**
 * Batch 1: x (1, C, H, W), w (K, C/groups, R, S). `padding` is that of every side. `selected`: one of those that the
 * summary "selected" is about, a handful from every kind of network.
 * @typedef {{
 *   name: string,
 *   family: string,
 *   C: number,
 *   H: number,
 *   W: number,
 *   K: number,
 *   R: number,
 *   S: number,
 *   stride: number,
 *   padding: number,
 *   groups: number,
 *   selected: boolean,
 * }} Layer
 */

const selected = new Set([
  'vgg16/conv1_2',
  'vgg16/conv3_2',
  'vgg16/conv4_2',
  'vgg16/conv5_1',
  'alexnet/conv3',
  'alexnet/conv2',
  'mnist/conv2',
  'googlenet/conv1',
  'googlenet/conv2_reduce',
  'googlenet/5b/1x1',
  'googlenet/3a/5x5',
  'lenet5/c1',
  'depthwise',
])

/**
 * A layer with a square map and a square kernel.
 * @param {string} name
 * @param {[channels: number, extent: number]} input
 * @param {number} K
 * @param {number} kernel
 * @param {{ stride?: number, padding?: number, groups?: number }} options
 * @returns {Layer}
 */
function layer(name, [C, extent], K, kernel, { stride = 1, padding = 0, groups = 1 } = {}) {
  const family = familyOf(name, C, extent, kernel, groups)
  const size = { C, H: extent, W: extent, K, R: kernel, S: kernel }
  return { name, family, ...size, stride, padding, groups, selected: selected.has(name) }
}

/**
 * Layers that a speed-up helps or misses together.
 * @param {string} name
 * @param {number} channels
 * @param {number} extent
 * @param {number} kernel
 * @param {number} groups
 */
function familyOf(name, channels, extent, kernel, groups) {
  if (name.startsWith('lenet5/')) return 'lenet'
  if (groups === channels) return 'depthwise'
  if (channels === 3) return 'first'
  if (kernel === 1) return `1x1-${extent}`
  if (kernel === 5) return '5x5'
  return extent >= 28 ? '3x3-large' : extent >= 13 ? '3x3-14' : '3x3-7'
}

/**
 * @param {string} name
 * @param {[channels: number, extent: number]} input
 * @param {{ one: number, three: [reduce: number, filters: number], five: [reduce: number, filters: number], pool: number }} filters
 */
function inception(name, [C, extent], { one, three, five, pool }) {
  return [
    layer(`${name}/1x1`, [C, extent], one, 1),
    layer(`${name}/3x3_reduce`, [C, extent], three[0], 1),
    layer(`${name}/3x3`, [three[0], extent], three[1], 3, { padding: 1 }),
    layer(`${name}/5x5_reduce`, [C, extent], five[0], 1),
    layer(`${name}/5x5`, [five[0], extent], five[1], 5, { padding: 2 }),
    layer(`${name}/pool_proj`, [C, extent], pool, 1),
  ]
}

const all = [
  layer('lenet5/c1', [1, 32], 6, 5),
  layer('lenet5/c3', [6, 14], 16, 5),
  layer('lenet5/c5', [16, 5], 120, 5),

  layer('mnist/conv2', [32, 12], 64, 5),

  layer('alexnet/conv1', [3, 227], 96, 11, { stride: 4 }),
  layer('alexnet/conv2', [96, 27], 256, 5, { padding: 2 }),
  layer('alexnet/conv3', [256, 13], 384, 3, { padding: 1 }),
  layer('alexnet/conv4', [384, 13], 384, 3, { padding: 1 }),
  layer('alexnet/conv5', [384, 13], 256, 3, { padding: 1 }),
  // CaffeNet, and AlexNet as it was published: two halves that do not see each other.
  layer('caffenet/conv2', [96, 27], 256, 5, { padding: 2, groups: 2 }),
  layer('caffenet/conv4', [384, 13], 384, 3, { padding: 1, groups: 2 }),
  layer('caffenet/conv5', [384, 13], 256, 3, { padding: 1, groups: 2 }),

  layer('vgg16/conv1_1', [3, 224], 64, 3, { padding: 1 }),
  layer('vgg16/conv1_2', [64, 224], 64, 3, { padding: 1 }),
  layer('vgg16/conv2_1', [64, 112], 128, 3, { padding: 1 }),
  layer('vgg16/conv2_2', [128, 112], 128, 3, { padding: 1 }),
  layer('vgg16/conv3_1', [128, 56], 256, 3, { padding: 1 }),
  layer('vgg16/conv3_2', [256, 56], 256, 3, { padding: 1 }),
  layer('vgg16/conv3_3', [256, 56], 256, 3, { padding: 1 }),
  layer('vgg16/conv4_1', [256, 28], 512, 3, { padding: 1 }),
  layer('vgg16/conv4_2', [512, 28], 512, 3, { padding: 1 }),
  layer('vgg16/conv4_3', [512, 28], 512, 3, { padding: 1 }),
  layer('vgg16/conv5_1', [512, 14], 512, 3, { padding: 1 }),
  layer('vgg16/conv5_2', [512, 14], 512, 3, { padding: 1 }),
  layer('vgg16/conv5_3', [512, 14], 512, 3, { padding: 1 }),

  layer('googlenet/conv1', [3, 224], 64, 7, { stride: 2, padding: 3 }),
  layer('googlenet/conv2_reduce', [64, 56], 64, 1),
  layer('googlenet/conv2', [64, 56], 192, 3, { padding: 1 }),
  ...inception('googlenet/3a', [192, 28], { one: 64, three: [96, 128], five: [16, 32], pool: 32 }),
  ...inception('googlenet/3b', [256, 28], { one: 128, three: [128, 192], five: [32, 96], pool: 64 }),
  ...inception('googlenet/4a', [480, 14], { one: 192, three: [96, 208], five: [16, 48], pool: 64 }),
  ...inception('googlenet/4b', [512, 14], { one: 160, three: [112, 224], five: [24, 64], pool: 64 }),
  ...inception('googlenet/4c', [512, 14], { one: 128, three: [128, 256], five: [24, 64], pool: 64 }),
  ...inception('googlenet/4d', [512, 14], { one: 112, three: [144, 288], five: [32, 64], pool: 64 }),
  ...inception('googlenet/4e', [528, 14], { one: 256, three: [160, 320], five: [32, 128], pool: 128 }),
  ...inception('googlenet/5a', [832, 7], { one: 256, three: [160, 320], five: [32, 128], pool: 128 }),
  ...inception('googlenet/5b', [832, 7], { one: 384, three: [192, 384], five: [48, 128], pool: 128 }),

  layer('depthwise', [128, 56], 128, 3, { padding: 1, groups: 128 }),
]

/** The layers that are timed: of every shape the first. @type {readonly Layer[]} */
export const layers = all.filter((item, index) => all.findIndex((other) => sameShape(item, other)) === index)

/**
 * @param {Layer} one
 * @param {Layer} other
 */
function sameShape(one, other) {
  return describeShape(one) === describeShape(other)
}

/**
 * The timed layers that any of `queries` means: a name, a family, the beginning of names (`vgg16`, `googlenet/3a`) or
 * `selected`. A name whose shape another layer has means that one. A query that means none is given back as `unknown`.
 * @param {readonly string[]} queries
 * @returns {{ found: readonly Layer[], unknown: string | undefined }}
 */
export function findLayers(queries) {
  const means = (/** @type {string} */ query, /** @type {Layer} */ { name, family, selected }) =>
    name === query || family === query || name.startsWith(`${query}/`) || (query === 'selected' && selected)
  const meant = all.filter((item) => queries.some((query) => means(query, item)))
  return {
    found: layers.filter((item) => meant.some((other) => sameShape(item, other))),
    unknown: queries.find((query) => !all.some((item) => means(query, item))),
  }
}

/** Extents of the output. @param {Layer} layer */
export function outputExtents({ H, W, R, S, stride, padding }) {
  const extent = (/** @type {number} */ n, /** @type {number} */ kernel) =>
    Math.floor((n + 2 * padding - kernel) / stride) + 1
  return { P: extent(H, R), Q: extent(W, S) }
}

/** Floating-point operations of the direct convolution, two for each multiply-add. @param {Layer} layer */
export function operationsOf(layer) {
  const { P, Q } = outputExtents(layer)
  return 2 * layer.K * P * Q * (layer.C / layer.groups) * layer.R * layer.S
}

/**
 * `64×56²→192, 3×3`; then what is not 1 or 0: stride, padding, groups.
 * @param {Omit<Layer, 'name'>} layer
 */
export function describeShape({ C, H, W, K, R, S, stride, padding, groups }) {
  const map = H === W ? `${H}²` : `${H}×${W}`
  const options = [stride > 1 ? ` s${stride}` : '', padding > 0 ? ` p${padding}` : '', groups > 1 ? ` g${groups}` : '']
  return `${C}×${map}→${K}, ${R}×${S}${options.join('')}`
}
