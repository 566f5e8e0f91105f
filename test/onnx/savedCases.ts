/** Models that are saved in ONNX's format: each layer of the table of layers, options that ONNX has no word for, small networks. */
import * as nn from '../../src/nn/index.js'
import { createModel, type ArchitectureName } from '../../src/zoo/index.js'
import type { Graph } from '../../src/nn/graph.js'
import * as layers from '../../src/layers/index.js'
import { layerCases } from '../helpers/layers.js'

/** A model by name; `make` gives it with weights, and statistics that are not those of a new one. */
export interface SavedCase {
  readonly name: string
  make(): Graph
}

/** Layers with options that are written by several nodes. */
const others: readonly (readonly [name: string, layer: () => nn.Layer, input: readonly number[]])[] = [
  ['flipped, dilated', () => new nn.Conv2d({ outChannels: 4, kernel: [3, 2], flip: true, stride: 2, dilation: [1, 2], padding: 2 }), [3, 9, 8]], // prettier-ignore
  [
    'flipped, transposed',
    () => new nn.ConvTranspose2d({ outChannels: 4, kernel: 3, flip: true, stride: 2 }),
    [2, 5, 4],
  ],
  [
    'reflected padding',
    () => new nn.Conv2d({ outChannels: 4, kernel: 3, padding: 1, paddingMode: 'reflect' }),
    [3, 9, 8],
  ],
  [
    'circular padding',
    () => new nn.Conv2d({ outChannels: 4, kernel: 3, padding: [1, 2], paddingMode: 'circular' }),
    [3, 9, 8],
  ],
  [
    'replicated padding',
    () => new nn.Conv2d({ outChannels: 4, kernel: 3, padding: 1, paddingMode: 'replicate' }),
    [3, 9, 8],
  ],
  ['groups', () => new nn.Conv2d({ outChannels: 6, kernel: 3, groups: 3 }), [3, 9, 8]],
  ['averages that count padding in partial windows', () => new nn.AvgPool2d({ kernel: 3, stride: 2, padding: 1, ceil: true }), [3, 8, 7]], // prettier-ignore
  ['averages that do not', () => new nn.AvgPool2d({ kernel: 3, stride: 2, padding: 1, ceil: true, countIncludePad: false }), [3, 8, 7]], // prettier-ignore
  ['partial maxima', () => new nn.MaxPool2d({ kernel: 3, stride: 2, ceil: true }), [3, 8, 10]],
  ['dilated maxima', () => new nn.MaxPool2d({ kernel: 3, stride: 1, dilation: 2, padding: 1 }), [3, 8, 10]],
  ['partial norms', () => new nn.LPPool2d({ kernel: 3, stride: 2, ceil: true }), [3, 8, 8]],
  ['an even neighbourhood', () => new nn.LocalResponseNorm({ size: 4, alpha: 0.5 }), [7, 4, 3]],
  ['sums of squares', () => new nn.LocalResponseNorm({ size: 5, normalize: 'none', alpha: 0.1, k: 2 }), [7, 4, 3]],
  ['a bias for each place', () => new nn.Conv2d({ outChannels: 4, kernel: 3, bias: 'location' }), [3, 9, 8]],
  [
    'maps that are normalized to their last axis',
    () => new layers.LayerNorm({ normalizedShape: 5, eps: 0.01 }),
    [3, 4, 5],
  ],
  ['repeated pixels', () => new nn.Upsample2d({ scale: [2, 3] }), [3, 4, 5]],
  ['GELU by tanh', () => new nn.GELU({ approximate: 'tanh' }), [3, 4, 5]],
  ['a steep Softplus', () => new nn.Softplus({ beta: 2 }), [3, 4, 5]],
  ['adaptive averages side by side', () => new nn.AdaptiveAvgPool2d({ outputSize: [2, 3] }), [3, 6, 9]],
  ['adaptive averages that overlap', () => new nn.AdaptiveAvgPool2d({ outputSize: [4, 5] }), [3, 6, 9]],
  ['adaptive maxima that overlap', () => new nn.AdaptiveMaxPool2d({ outputSize: [4, 9] }), [3, 6, 9]],
]

const networks: readonly (readonly [ArchitectureName, object])[] = [
  ['convnet', {}],
  ['lenet5', {}],
  ['lenet5-paper', {}],
  ['nin-cifar10', { width: 0.1 }],
  ['googlenet', { width: 0.1, input: [3, 64, 64] }],
  ['googlenet-paper', { width: 0.1, input: [3, 64, 64] }],
]

/** Running statistics that matter. */
function withStatistics(model: Graph): Graph {
  for (const [name, x] of model.namedState()) {
    if (/running/.test(name)) x.assign(Float32Array.from({ length: x.size }, (_, i) => 0.5 + (i % 7) / 10))
  }
  return model
}

type LayerClass = new (options?: object) => nn.Layer

const classes: Readonly<Record<string, LayerClass>> = { ...nn, ...layers } as never

const single = (layer: nn.Layer, input: readonly number[]): Graph =>
  withStatistics(new nn.Sequential([layer], { input, seed: 1 }))

/** Layers whose operations have no counterpart in ONNX: k-means repeats until nothing changes. */
export const unsavedLayers: readonly string[] = ['ClusterPool']

export const savedCases: readonly SavedCase[] = [
  ...Object.entries(layerCases)
    .filter(([type]) => !unsavedLayers.includes(type))
    .map(([type, { input, options }]) => ({ name: type, make: () => single(new classes[type]!(options), input) })),
  ...others.map(([name, layer, input]) => ({ name, make: () => single(layer(), input) })),
  ...networks.map(([name, options]) => ({
    name,
    make: () => withStatistics(createModel(name, { ...options, seed: 1 })),
  })),
]
