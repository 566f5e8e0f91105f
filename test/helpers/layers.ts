/**
 * The one table of layers. Who adds a layer adds its row here: faults, summaries, files, memory, fuzzing and wrong options are tested
 * of every row.
 */
import * as layers from '../../src/layers/index.js'
import type { Graph } from '../../src/nn/graph.js'
import { layerTypes as ownTypes, modelFromJSON } from '../../src/nn/registry.js'
import { sizeOf } from '../../src/tensor/shape.js'

/** All types of layers, those of toeplitz/layers too. */
export const layerTypes: readonly string[] = [...ownTypes, ...Object.keys(layers)]

/** A model that may have any of them. */
export const readModel = (config: unknown, name = 'model'): Graph => modelFromJSON(config, name, { layers })

export interface LayerCase {
  /** The shape of one input. */
  readonly input: readonly number[]
  readonly options?: object
  /** A layer without weights and options that need be, which keeps the shape of any input. */
  readonly keepsShape?: true
}

/** Every layer once, small. */
export const layerCases: Readonly<Record<string, LayerCase>> = {
  Conv1d: { input: [3, 9], options: { outChannels: 4, kernel: 3, padding: 1 } },
  Conv2d: { input: [3, 7, 6], options: { outChannels: 17, kernel: 3, padding: 1 } },
  Conv3d: { input: [2, 4, 5, 5], options: { outChannels: 3, kernel: 2 } },
  ConvTranspose1d: { input: [3, 7], options: { outChannels: 4, kernel: 4, stride: 2 } },
  ConvTranspose2d: { input: [3, 5, 6], options: { outChannels: 4, kernel: 3, stride: 2, groups: 1 } },
  ConvTranspose3d: { input: [2, 3, 4, 4], options: { outChannels: 3, kernel: 2, stride: 2, bias: false } },
  MaxPool2d: { input: [3, 7, 6], options: { kernel: 3, stride: 2, padding: 1 } },
  AvgPool2d: { input: [3, 7, 6], options: { kernel: 2, ceil: true } },
  LPPool2d: { input: [3, 7, 6], options: { kernel: 2 } },
  MaxPool1d: { input: [3, 11], options: { kernel: 3, stride: 2, padding: 1 } },
  MaxPool3d: { input: [2, 5, 4, 6], options: { kernel: [3, 2, 2], stride: 2, padding: [1, 0, 1] } },
  AvgPool1d: { input: [3, 11], options: { kernel: 4, stride: 3, ceil: true } },
  AvgPool3d: { input: [2, 5, 4, 6], options: { kernel: [1, 2, 3] } },
  Subsample2d: { input: [3, 8, 6], options: { kernel: 2 } },
  AdaptiveAvgPool2d: { input: [3, 7, 6], options: { outputSize: [3, 4] } },
  AdaptiveMaxPool2d: { input: [3, 7, 6], options: { outputSize: 2 } },
  GlobalAvgPool: { input: [3, 7, 6] },
  GlobalMaxPool: { input: [3, 7, 6] },
  Maxout: { input: [6, 4, 4], options: { groupSize: 2 } },
  ReLU: { input: [3, 7, 6], keepsShape: true },
  ReLU6: { input: [3, 7, 6], keepsShape: true },
  LeakyReLU: { input: [3, 7, 6], keepsShape: true },
  ELU: { input: [3, 7, 6], keepsShape: true },
  GELU: { input: [3, 7, 6], keepsShape: true },
  SiLU: { input: [3, 7, 6], keepsShape: true },
  Softplus: { input: [3, 7, 6], keepsShape: true },
  Sigmoid: { input: [3, 7, 6], keepsShape: true },
  Tanh: { input: [3, 7, 6], keepsShape: true },
  ScaledTanh: { input: [3, 7, 6], keepsShape: true },
  Softmax: { input: [5], keepsShape: true },
  LogSoftmax: { input: [5], keepsShape: true },
  LocalResponseNorm: { input: [6, 4, 4], options: { size: 3 } },
  BatchNorm1d: { input: [5] },
  BatchNorm2d: { input: [3, 7, 6] },
  BatchNorm3d: { input: [3, 4, 3, 5] },
  GroupNorm: { input: [6, 4, 5], options: { groups: 3 } },
  LayerNorm: { input: [6, 4, 5], options: { normalizedShape: [4, 5] } },
  Flatten: { input: [3, 4, 2] },
  Reshape: { input: [3, 4, 2], options: { shape: [2, -1] } },
  Slice: { input: [3, 6, 7], options: { begin: [1, 2], end: [3, -1, 6] } },
  Split: { input: [6, 4, 5], options: { parts: 3, part: 1 } },
  Upsample2d: { input: [3, 4, 5], options: { scale: [2, 3], mode: 'bilinear' } },
  Concat: { input: [3, 4, 5] },
  Add: { input: [3, 4, 5] },
  Linear: { input: [11], options: { outFeatures: 7 } },
  LocallyConnected2d: { input: [2, 6, 5], options: { outChannels: 3, kernel: 3 } },
  LocallyConnected1d: { input: [2, 9], options: { outChannels: 3, kernel: 3, stride: 2, padding: 1 } },
  TiledConv2d: { input: [2, 6, 5], options: { outChannels: 3, kernel: 3, tiles: 2 } },
  TiledConv1d: { input: [2, 9], options: { outChannels: 3, kernel: 3, tiles: 2 } },
  SeparableConv2d: { input: [3, 6, 5], options: { kernel: [3, 5], padding: 'same', stride: 2 } },
  StructuredConv2d: { input: [2, 8, 7], options: { outChannels: 3, order: 2, sigma: 0.8, kernel: 5, padding: 'same' } },
  MeanImage: { input: [2, 4, 5] },
  ChannelPool: { input: [5, 4, 3], options: { groups: [[4, 1], [0]] } },
  ClusterPool: { input: [3, 6, 5], options: { clusters: [2, 3], location: 1, pool: 'mean' } },
  LearnedPool2d: { input: [3, 7, 6], options: { kernel: 3, stride: 2, padding: 1 } },
  PermutePixels: { input: [2, 4, 5], options: { seed: 3 } },
  ConnectedConv2d: { input: [2, 6, 5], options: { kernel: 3, table: [[true, false], [true, true]] } }, // prettier-ignore
  Dropout: { input: [3, 7, 6], options: { p: 0.4 }, keepsShape: true },
  RBF: { input: [9], options: { units: 4, bias: true } },
}

/** What a layer is said to be. */
export interface LayerRow {
  readonly type: string
  readonly input: number[]
  readonly options?: object
  /** Expected: output, parameters, the lecture's notation. */
  readonly output: number[]
  readonly parameters: number
  readonly name: string
}

const map = [16, 40, 36]
/** Connections of three maps with four. */
export const table = [
  [true, false, true, true],
  [false, true, true, false],
  [true, true, false, false],
]

const told: readonly LayerRow[] = [
  { type: 'Conv1d', input: [3, 900], options: { outChannels: 8, kernel: 5, stride: 2 }, output: [8, 448], parameters: 128, name: 'conv(5, 8, s2)' }, // prettier-ignore
  { type: 'Conv2d', input: map, options: { outChannels: 24, kernel: 3, padding: 1 }, output: [24, 40, 36], parameters: 3480, name: 'conv(3, 24, p1)' }, // prettier-ignore
  { type: 'Conv2d', input: map, options: { outChannels: 32, kernel: 5, stride: 2, padding: 2, groups: 2 }, output: [32, 20, 18], parameters: 6432, name: 'conv(5, 32, s2, p2, g2)' }, // prettier-ignore
  { type: 'Conv2d', input: map, options: { outChannels: 6, kernel: [3, 1], paddingMode: 'reflect', padding: [1, 0], bias: false }, output: [6, 40, 36], parameters: 288, name: 'conv(3×1, 6, p1×0)' }, // prettier-ignore
  { type: 'Conv3d', input: [2, 9, 20, 20], options: { outChannels: 4, kernel: 3, dilation: 2 }, output: [4, 5, 16, 16], parameters: 220, name: 'conv(3, 4, d2)' }, // prettier-ignore
  { type: 'ConvTranspose1d', input: [3, 400], options: { outChannels: 4, kernel: 4, stride: 2, padding: 1 }, output: [4, 800], parameters: 52, name: 'convT(4, 4, s2, p1)' }, // prettier-ignore
  { type: 'ConvTranspose2d', input: map, options: { outChannels: 8, kernel: 3, stride: 2 }, output: [8, 81, 73], parameters: 1160, name: 'convT(3, 8, s2)' }, // prettier-ignore
  { type: 'ConvTranspose3d', input: [2, 5, 10, 10], options: { outChannels: 3, kernel: 2, stride: 2 }, output: [3, 10, 20, 20], parameters: 51, name: 'convT(2, 3, s2)' }, // prettier-ignore
  { type: 'LocallyConnected2d', input: [4, 12, 11], options: { outChannels: 5, kernel: 3 }, output: [5, 10, 9], parameters: 5 * 90 * 37, name: 'local(3, 5)' }, // prettier-ignore
  { type: 'LocallyConnected1d', input: [4, 120], options: { outChannels: 5, kernel: 3 }, output: [5, 118], parameters: 5 * 118 * 13, name: 'local(3, 5)' }, // prettier-ignore
  { type: 'TiledConv1d', input: [4, 900], options: { outChannels: 8, kernel: 3, padding: 1, tiles: 2 }, output: [8, 900], parameters: 8 * 4 * 6 + 16, name: 'tiled(3, 8, 2, p1)' }, // prettier-ignore
  { type: 'SeparableConv2d', input: map, options: { kernel: 5, padding: 2 }, output: map, parameters: 16 * 11, name: 'separable(5, p2)' }, // prettier-ignore
  { type: 'StructuredConv2d', input: map, options: { outChannels: 8, order: 2, stride: 2 }, output: [8, 17, 15], parameters: 8 * (16 * 6 + 1), name: 'structured(7, 8, s2)' }, // prettier-ignore
  { type: 'MeanImage', input: map, output: map, parameters: 0, name: 'mean image' },
  { type: 'PermutePixels', input: map, options: { seed: 2 }, output: map, parameters: 0, name: 'permute' },
  { type: 'ChannelPool', input: map, options: { groups: [[0, 1, 2], [5, 7]] }, output: [13, 40, 36], parameters: 0, name: 'pool(2 of channels)' }, // prettier-ignore
  { type: 'ClusterPool', input: map, options: { clusters: 4 }, output: [16, 4], parameters: 0, name: 'clusters(4)' },
  { type: 'ClusterPool', input: map, options: { clusters: [3, 4], location: 2 }, output: [16, 3, 4], parameters: 0, name: 'clusters(3×4)' }, // prettier-ignore
  { type: 'ClusterPool', input: map, options: { clusters: 4, of: 'channels' }, output: [4, 40, 36], parameters: 0, name: 'clusters(4)' }, // prettier-ignore
  { type: 'LearnedPool2d', input: map, options: { kernel: 3, stride: 2 }, output: [16, 19, 17], parameters: 16 * 9, name: 'learned(3, 2)' }, // prettier-ignore
  { type: 'LearnedPool2d', input: map, options: { kernel: 2, shared: true }, output: [16, 20, 18], parameters: 4, name: 'learned(2)' }, // prettier-ignore
  { type: 'Conv2d', input: [4, 12, 11], options: { outChannels: 5, kernel: 3, bias: 'location' }, output: [5, 10, 9], parameters: 5 * 36 + 450, name: 'conv(3, 5)' }, // prettier-ignore
  { type: 'TiledConv2d', input: map, options: { outChannels: 8, kernel: 3, padding: 1, tiles: 2 }, output: [8, 40, 36], parameters: 8 * 16 * 36 + 32, name: 'tiled(3, 8, 2, p1)' }, // prettier-ignore
  { type: 'ConnectedConv2d', input: [4, 40, 40], options: { kernel: 5, table }, output: [3, 36, 36], parameters: 7 * 25 + 3, name: 'conv(5, 3)' }, // prettier-ignore
  { type: 'MaxPool2d', input: map, options: { kernel: 3, stride: 2, padding: 1 }, output: [16, 20, 18], parameters: 0, name: 'pool(3, 2, p1)' }, // prettier-ignore
  { type: 'AvgPool2d', input: map, options: { kernel: 2 }, output: [16, 20, 18], parameters: 0, name: 'avg(2)' },
  { type: 'LPPool2d', input: map, options: { kernel: 2, p: 2 }, output: [16, 20, 18], parameters: 0, name: 'lp(2)' },
  { type: 'MaxPool1d', input: [8, 900], options: { kernel: 3, stride: 2 }, output: [8, 449], parameters: 0, name: 'pool(3, 2)' }, // prettier-ignore
  { type: 'MaxPool3d', input: [4, 9, 20, 18], options: { kernel: [1, 2, 2] }, output: [4, 9, 10, 9], parameters: 0, name: 'pool(1×2×2)' }, // prettier-ignore
  { type: 'AvgPool1d', input: [8, 900], options: { kernel: 4 }, output: [8, 225], parameters: 0, name: 'avg(4)' },
  { type: 'AvgPool3d', input: [4, 9, 20, 18], options: { kernel: 3, stride: 3 }, output: [4, 3, 6, 6], parameters: 0, name: 'avg(3, 3)' }, // prettier-ignore
  { type: 'Subsample2d', input: map, options: { kernel: 2 }, output: [16, 20, 18], parameters: 32, name: 'avg(2)' },
  {
    type: 'AdaptiveAvgPool2d',
    input: map,
    options: { outputSize: 6 },
    output: [16, 6, 6],
    parameters: 0,
    name: 'avg(→ 6)',
  },
  { type: 'AdaptiveMaxPool2d', input: map, options: { outputSize: [2, null] }, output: [16, 2, 36], parameters: 0, name: 'pool(→ [2,null])' }, // prettier-ignore
  { type: 'GlobalAvgPool', input: map, output: [16, 1, 1], parameters: 0, name: 'avg(global)' },
  { type: 'GlobalMaxPool', input: map, output: [16, 1, 1], parameters: 0, name: 'pool(global)' },
  { type: 'Maxout', input: map, options: { groupSize: 4 }, output: [4, 40, 36], parameters: 0, name: 'maxout(4)' },
  { type: 'Softmax', input: map, options: { inLoss: true }, output: map, parameters: 0, name: 'softmax' },
  { type: 'LeakyReLU', input: map, options: { negativeSlope: 0.2 }, output: map, parameters: 0, name: 'leakyrelu' },
  { type: 'Softplus', input: map, options: { beta: 2 }, output: map, parameters: 0, name: 'softplus' },
  { type: 'LocalResponseNorm', input: map, options: { size: 5, k: 2 }, output: map, parameters: 0, name: 'norm' },
  { type: 'BatchNorm1d', input: [3000], options: { eps: 1e-3 }, output: [3000], parameters: 6000, name: 'batchnorm' },
  { type: 'BatchNorm2d', input: map, options: { momentum: 0.5 }, output: map, parameters: 32, name: 'batchnorm' },
  { type: 'BatchNorm3d', input: [4, 9, 20, 18], output: [4, 9, 20, 18], parameters: 8, name: 'batchnorm' },
  { type: 'GroupNorm', input: map, options: { groups: 4 }, output: map, parameters: 32, name: 'groupnorm(4)' },
  { type: 'LayerNorm', input: map, output: map, parameters: 2 * sizeOf(map), name: 'layernorm' },
  { type: 'LayerNorm', input: map, options: { normalizedShape: 36, affine: false }, output: map, parameters: 0, name: 'layernorm' }, // prettier-ignore
  { type: 'Dropout', input: map, options: { p: 0.25 }, output: map, parameters: 0, name: 'dropout(0.25)' },
  { type: 'Flatten', input: map, output: [sizeOf(map)], parameters: 0, name: 'flatten' },
  { type: 'Reshape', input: map, options: { shape: [4, -1, 36] }, output: [4, 160, 36], parameters: 0, name: 'reshape(4×-1×36)' }, // prettier-ignore
  { type: 'Slice', input: map, options: { begin: [0, 2, 2], end: [16, -2, -2] }, output: [16, 36, 32], parameters: 0, name: 'slice(0×2×2 → 16×-2×-2)' }, // prettier-ignore
  { type: 'Slice', input: map, options: { end: [3] }, output: [3, 40, 36], parameters: 0, name: 'slice(0 → 3)' },
  { type: 'Split', input: map, options: { parts: 4, part: 3 }, output: [4, 40, 36], parameters: 0, name: 'split(4/4)' },
  { type: 'Upsample2d', input: map, options: { scale: 2, mode: 'bilinear' }, output: [16, 80, 72], parameters: 0, name: 'upsample(2)' }, // prettier-ignore
  { type: 'Linear', input: [600], options: { outFeatures: 50 }, output: [50], parameters: 30050, name: 'fc(50)' },
  { type: 'Linear', input: map, options: { outFeatures: 50, everyPlace: true }, output: [50, 40, 36], parameters: 850, name: 'fc(50)' }, // prettier-ignore
  { type: 'RBF', input: [84], options: { units: 10, bias: true }, output: [10], parameters: 850, name: 'RBF(10)' },
  { type: 'RBF', input: map, options: { units: 3, codes: ['#.'.repeat(8), '.'.repeat(16), '#'.repeat(16)], trained: false }, output: [3, 40, 36], parameters: 0, name: 'RBF(3)' }, // prettier-ignore
]

/** Every layer of one input; sizes are large enough that what a pass needs besides tensors shows. */
export const layerRows: readonly LayerRow[] = [
  ...told,
  ...Object.entries(layerCases)
    .filter(([type, { keepsShape }]) => keepsShape && !told.some((row) => row.type === type && !row.options))
    .filter(([type]) => type !== 'Dropout')
    .map(([type]) => ({ type, input: map, output: map, parameters: 0, name: type.toLowerCase() })),
]
