/**
 * A call that is right for everything that the package exports: the table from which wrong calls are made. Names are those
 * of the exports; `new X` makes one, and `X.y` calls a method of its first argument.
 */
import { node, onnx, value } from '../helpers/onnx.js'
import { layerCases, layerTypes } from '../helpers/layers.js'
import { operations } from '../operations/index.js'
import * as exportedNetworks from '../../src/zoo/index.js'
import type { Json } from './mutate.js'
import { bytes, t, tag } from './tags.js'

const image = (channels: number, width = 3, height = 2): Json => ({
  width,
  height,
  channels,
  data: bytes(width * height * channels),
})
const dataset = { images: bytes(64, 9), labels: bytes(4, 1), size: 4, shape: [1, 4, 4], classes: ['a', 'b', 'c'] }
const sized = {
  ...{ size: 2, labels: bytes(2, 1), classes: ['a', 'b'], channels: 1, read: tag('function') },
  sizes: [
    [4, 4],
    [5, 4],
  ],
}
const { images: _, ...unread } = { ...dataset, classes: ['b'], labels: bytes(4, 0) }
const one = { ...dataset, classes: ['b'], labels: bytes(4, 0) }
const pixelOptions = { order: 'rgb', invert: 'never', resize: 5, fit: 'cover', interpolation: 'area' }
const normalization = { mean: 0.5, std: 0.25 }
const preprocessing = {
  ...{ channels: 1, order: 'rgb', invert: 'light-background', resize: [5, 6], size: [4, 4], fit: 'contain' },
  ...{ interpolation: 'bilinear', scale: 1 / 255, normalization },
}
const random = { seed: 3, stream: 1 }
const list = (count: number, value: Json): Json[] => new Array<Json>(count).fill(value)

const optimizers: Record<string, Json[][]> = {
  'new SGD': [[[t(2, 3), t(3)], { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-4, dampening: 0 }]],
  'new Adam': [[[t(2, 3)], { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 }]],
  'new AdamW': [[[t(2, 3)], { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0.1 }]],
  'new RMSprop': [[[t(2, 3)], { lr: 0.1, alpha: 0.9, eps: 1e-8, momentum: 0.5, weightDecay: 0 }]],
  'new Adagrad': [[[t(2, 3)], { lr: 0.1, lrDecay: 0.1, eps: 1e-8, initialAccumulatorValue: 0.1, weightDecay: 0 }]],
  'SGD.step': [[tag('sgd'), [t(2, 3)]]],
  'SGD.loadState': [
    [
      tag('sgd'),
      {
        tensors: { 'velocity.0': { shape: [2, 3], data: tag('Float32Array', { values: list(6, 1) }) } },
        numbers: { step: 3, lr: 0.1 },
      },
    ],
  ],
}

const layers = Object.fromEntries(
  layerTypes.map((type): [string, Json[][]] => {
    const d = Number(/(\d)d$/.exec(type)?.[1] ?? 2)
    const kernel = {
      outChannels: 3,
      kernel: 2,
      inChannels: 4,
      bias: true,
      weightInit: 'he',
      biasInit: { name: 'constant', value: 1 },
      stride: 1,
      padding: 0,
    }
    const known: Record<string, Json> = {
      Linear: { outFeatures: 3, inFeatures: 4, bias: true, everyPlace: false, weightInit: 'he' },
      Maxout: { groupSize: 2 },
      Upsample2d: { scale: 2, mode: 'bilinear' },
      Subsample2d: { kernel: 2, weightInit: 'zeros' },
      AdaptiveAvgPool2d: { outputSize: 2 },
      AdaptiveMaxPool2d: { outputSize: [2, 2] },
      GroupNorm: { groups: 2, eps: 1e-5, affine: true },
      LayerNorm: { normalizedShape: [6, 6], eps: 1e-5, affine: true },
      Reshape: { shape: [2, -1] },
      Slice: { begin: [1], end: [2] },
      Split: { parts: 2, part: 1 },
      SeparableConv2d: {
        ...{ kernel: 2, inChannels: 4, bias: true, weightInit: 'he', biasInit: 'zeros' },
        ...{ stride: 1, padding: 0, dilation: 1, flip: false, paddingMode: 'zeros' },
      },
      StructuredConv2d: {
        ...{
          outChannels: 3,
          order: 1,
          sigma: 1,
          kernel: 3,
          inChannels: 4,
          bias: true,
          weightInit: 'he',
          biasInit: 'zeros',
        },
        ...{ stride: 1, padding: 0, dilation: 1, paddingMode: 'zeros' },
      },
      PermutePixels: { seed: 1 },
      ChannelPool: { groups: [[0, 2], [3]], pool: 'mean' }, // prettier-ignore
      ClusterPool: { clusters: [2, 3], of: 'places', location: 1, rounds: 3, pool: 'mean' },
      LearnedPool2d: { kernel: 2, stride: 1, padding: 1, weights: 'free', shared: true, weightInit: 'he' },
      LPPool2d: { kernel: 2, p: 2 },
      ConnectedConv2d: { kernel: 2, table: [list(4, true), list(4, true)], padding: 1 },
      LocalResponseNorm: { size: 3, alpha: 1, beta: 0.5, k: 1, normalize: 'none' },
      Dropout: { p: 0.5 },
      RBF: { units: 2, codes: ['#.#.', '....'], trained: true, bias: true },
      LeakyReLU: { negativeSlope: 0.1 },
      ELU: { alpha: 1 },
      GELU: { approximate: 'tanh' },
      Softplus: { beta: 1 },
      Softmax: { inLoss: true },
    }
    // Those of a family, whatever the number of directions.
    const families: readonly (readonly [RegExp, Json])[] = [
      [/^MaxPool/, { kernel: 2, stride: 1, padding: 1, dilation: 1, ceil: true }],
      [/^AvgPool/, { kernel: 2, stride: 1, padding: 1, ceil: false, countIncludePad: true }],
      [/^BatchNorm/, { numFeatures: 4, eps: 1e-5, momentum: 0.1, affine: true }],
      [/^LocallyConnected/, kernel],
      [/^TiledConv/, { ...kernel, tiles: 2 }],
      [/^Conv/, { ...kernel, dilation: 1, groups: 1, flip: false }],
    ]
    const own = known[type] ?? families.find(([family]) => family.test(type))?.[1]
    // Layers that need no options of their own here are called as in the table.
    if (own === undefined) {
      const { input, options = {} } = layerCases[type] ?? { input: [4, 6, 6] }
      return [`layer ${type}`, [[options as Json, [...input]]]]
    }
    const input =
      type === 'Linear' || type === 'BatchNorm1d'
        ? [4]
        : [4, ...list(/Conv|Pool|Upsample|Subsample|Locally|BatchNorm3d/.test(type) ? d : 2, 6)]
    return [`layer ${type}`, [[own, input]]]
  }),
)

/** A program of one node, as a model file has it. */
const rectifier = btoa(
  String.fromCharCode(
    ...onnx({ inputs: [value('x', ['N', 4])], outputs: [value('y', ['N', 4])], nodes: [node('Relu', ['x'], ['y'])] }),
  ),
)

const models: Record<string, Json[][]> = {
  'new Sequential': [[[tag('layer')], { input: [4], seed: 1, keepPacked: true }]],
  'new Graph': [
    [
      [{ name: 'a', layer: tag('layer'), inputs: ['x'], block: 'b' }],
      { inputs: { x: [4] }, outputs: ['a'], auxiliary: {}, blocks: { b: 'B' }, seed: 1 },
    ],
  ],
  'new Imported': [[{ onnx: rectifier, input: [4], output: [4], trainable: true }]],
  modelFromJSON: [
    [{ type: 'Sequential', input: [4], layers: [{ type: 'Linear', outFeatures: 2 }] }, 'name', { layers: {} }],
  ],
  'Graph.forward': [
    [tag('model'), t(2, 1, 4, 4), { training: true, seed: 1, step: 2 }],
    [tag('model'), { input: t(1, 1, 4, 4) }],
  ],
  'Graph.forwardTraining': [[tag('model'), t(2, 1, 4, 4), { seed: 1 }]],
  'Graph.run': [[tag('model'), t(2, 1, 4, 4), ['0', '2'], { training: false }]],
  'Graph.shapes': [
    [tag('model'), [1, 4, 4]],
    [tag('model'), { input: [1, 4, 4] }],
  ],
  'Graph.outputShape': [[tag('model'), [1, 4, 4]]],
  'Graph.summary': [[tag('model'), [1, 4, 4], { batch: 2, training: true }]],
  'Graph.explain': [[tag('model'), [1, 4, 4], { batch: 2 }]],
  'Graph.save': [[tag('model'), { key: 'value' }]],
  'Graph.load': [[tag('model'), bytes(40), 'name']],
  'Graph.copyFrom': [[tag('model'), tag('model')]],
  explain: [[tag('convolution'), [1, 4, 4], { batch: 2 }]],
  initialize: [
    [[3, 4, 2], { name: 'he', gain: 2, distribution: 'uniform' }, { seed: 1, stream: 2 }],
    [[3, 4], 'lecun', { seed: 1, stream: 0 }],
  ],
  rbfLoss: [[t(2, 3), tag('Int32Array', { values: [0, 2] }), { rubbish: 1 }]],
}

const training: Record<string, Json[][]> = {
  checkBatches: [
    [
      { size: 4, batch: tag('function') },
      { batchSize: 2, first: 0, prefetch: 1 },
    ],
  ],
  fit: [
    [
      {
        epochs: 2,
        batchSize: 2,
        clipNorm: 1,
        accumulate: 2,
        seed: 1,
        prefetch: 1,
        earlyStopping: { patience: 1, monitor: 'loss', minimumChange: 0 },
      },
    ],
    [{ epochs: 1, batchSize: 2, parts: 2 }],
  ],
  permutation: [[5, 1, 2]],
  tensorExamples: [
    [t(2, 3), [0, 1]],
    [tag('Float32Array', { values: list(6, 1) }), tag('Int32Array', { values: [0, 1] }), [3]],
  ],
  arrayExamples: [[[{ y: 1 }], tag('function')]],
  checkSeed: [[3, 'x']],
  checkStream: [[3, 'x']],
  ranked: [[[{ number: 1, round: 1, values: { lr: 1 }, score: 0.5, seconds: 1 }]]],
  labelNumbers: [[tag('Int32Array', { values: [0, 1] })]],
  argmax: [[t(2, 3)]],
  accuracy: [[t(2, 3), [0, 1], { ignoreIndex: 0 }]],
  topK: [[t(2, 3), [0, 1], { k: 2, ignoreIndex: 0 }]],
  randomSearch: [
    [
      tag('score'),
      {
        space: { lr: { low: 0.1, high: 1, scale: 'linear' } },
        trials: 2,
        rounds: 2,
        keep: 0.5,
        seed: 1,
        concurrency: 2,
      },
    ],
  ],
  gridSearch: [[tag('score'), { values: { lr: [0.1, 1] } }]],
  clipGradNorm: [[[t(2, 3), t(3)], 1]],
  'schedule.constant': [[0.1]],
  'schedule.step': [[{ lr: 0.1, every: 3, gamma: 0.1 }]],
  'schedule.cosine': [[{ lr: 0.1, steps: 10, minimum: 0 }]],
  grad: [[tag('function')]],
  vjp: [[tag('identity'), t(2, 3)]],
  gradcheck: [[tag('identity'), [t(1)], { samples: 3, seed: 1 }]],
  scope: [[tag('function')]],
}

const files: Record<string, Json[][]> = {
  encodePng: [[image(3)]],
  toGrayscale: [[image(4)]],
  resizeGrayscale: [[image(1), 5, 2]],
  lightOnDark: [[image(1)]],
  toPlanes: [
    [image(4), 3],
    [image(2), 1],
  ],
  coverPlanes: [[image(3), 3, 4, 4]],
  coverImage: [[{ shape: [3, 2, 3], data: bytes(18) }, 4, 4]],
  isJpeg: [[bytes(4, 255)]],
  decodePng: [[bytes(60), 'name', { maxPixels: 100 }]],
  decodeJpeg: [[bytes(60), 'name']],
  decodeImage: [[bytes(60), 'name']],
  decodeSafetensors: [[bytes(60), 'name']],
  decodeModel: [[bytes(60), 'name', { layers: {} }]],
  decodeModelFile: [['{}', 'name', { layers: {} }]],
  loadStateDict: [[tag('model'), bytes(60), { strict: false, name: 'weights' }]],
  loadOnnx: [[bytes(60), { name: 'model.onnx', externalData: {} }]],
  saveOnnx: [[tag('model'), { opset: 17 }]],
  loadTfjs: [
    ['{"format":"graph-model","modelTopology":{"node":[]}}', tag('function'), { name: 'm', customLayers: {} }],
  ],
  readTensorFile: [[bytes(20), 'name']],
  encodeModelFile: [[{ format: 'toeplitz-model' }]],
  describeModel: [[tag('model'), { name: 'm', normalization, classes: ['a'] }]],
  encodeModel: [[tag('model'), { name: 'm', normalization, classes: ['a', 'b', 'c'] }, { dtype: 'float16' }]],
  encodeSafetensors: [[{ a: { shape: [2, 3], data: tag('Float32Array', { values: list(6, 1) }) } }, { key: 'value' }]],
  readIdx: [[bytes(20, 0), 'name']],
  writeIdx: [[[2, 3], bytes(6)]],
  cifar10FromBinary: [[[{ bytes: bytes(3073, 1), name: 'n' }]]],
  mnistFromIdx: [[{ bytes: bytes(20, 0), name: 'a' }, { bytes: bytes(20, 0), name: 'b' }, ['x', 'y']]],
  fitNormalization: [[dataset]],
  imageTensor: [[bytes(16), [1, 4, 4], normalization]],
  plainPreprocessing: [[[1, 4, 4], normalization]],
  preprocess: [[[image(3)], preprocessing]],
  preparePixels: [[image(4), preprocessing]],
  loadClassifier: [[bytes(60), { layers: {} }]],
  'new PictureClassifier': [[{ file: { name: 'm', classes: ['a', 'b', 'c'], preprocessing }, model: tag('model') }]],
  imageExamples: [
    [dataset, normalization, { crop: [3, 3], shift: 1, flip: true, brightness: 0.1, contrast: 0.1, saturation: 0 }],
  ],
  imageRange: [[dataset, 1, 3]],
  subset: [[dataset, [2, 0, 2]]],
  shuffled: [[dataset, 3]],
  stratifiedSplit: [[one, { share: 0.5, seed: 1 }]],
  balanceClasses: [[one, { perClass: 5, seed: 1 }]],
  mixup: [
    [
      { size: 4, batch: tag('function') },
      { classes: 3, alpha: 0.5 },
    ],
  ],
  imageDataset: [
    [
      [
        { image: image(3), label: 'a' },
        { image: image(4), label: 'b' },
      ],
      { ...pixelOptions, size: [4, 4], channels: 1, classes: ['a', 'b'] },
    ],
  ],
  cached: [[{ ...unread, read: tag('function') }, { maxBytes: 1e6 }]],
  sizedExamples: [[sized, normalization, { multiple: 2, augmentation: { flip: true } }]],
  sizedRange: [[sized, 0, 1]],
  holdOut: [[dataset, 1]],
  assertSameImages: [[dataset, dataset, { training: 'a', test: 'b' }]],
  'new Painter': [[[1, 4, 4], normalization, { crop: [2, 2], shift: 1, flip: true }]],
}

const vision: Record<string, Json[][]> = {
  gabor: [[{ size: [5, 4], alpha: 1, betaX: 0.1, betaY: 0.2, frequency: 1, phase: 0, tau: 0.5, centre: [1, 2] }]],
  activations: [[tag('model'), t(1, 1, 4, 4)]],
  occlusionMap: [[tag('model'), t(1, 4, 4), { target: 1, size: 2, stride: [1, 2], fill: [0.5], batchSize: 3 }]],
  saliencyMap: [[tag('model'), t(1, 4, 4), { target: 1, kind: 'contribution' }]],
  paletteOf: [
    [
      [
        [0, 0, 0],
        [255, 255, 255],
      ],
    ],
  ],
  rangeOf: [[tag('Float32Array', { values: [1, 2] }), 'extent']],
  tileGrid: [[t(4, 3, 3), { columns: 2, gap: 1, zoom: 2, normalize: 'each', range: [0, 1] }]],
  tilePictures: [[t(4, 3, 3), { zoom: 2, normalize: 'all', range: 'positive' }]],
  filterGrid: [[t(4, 3, 3, 3), { color: true, zoom: 1 }]],
  featureMapGrid: [[t(1, 4, 3, 3), { columns: 2 }]],
  deconvolve: [[tag('model'), t(1, 4, 4), { layer: '0', map: 1, place: [1, 0] }]],
  strongestPatches: [[tag('model'), t(3, 1, 4, 4), { layer: '0', count: 2, maps: [1], batchSize: 2 }]],
  sparsity: [[tag('model'), t(3, 1, 4, 4), { batchSize: 2 }]],
  reverseCorrelation: [[tag('identity'), { shape: [3], count: 9, std: 0.5, seed: 1, batchSize: 4 }]],
  linearRegions: [
    [tag('model'), { plane: [t(1, 4, 4), t(1, 4, 4), t(1, 4, 4)], range: [-1, 1], size: 3, layers: [], batchSize: 4 }],
  ],
  regionPicture: [[{ shape: [2, 2], values: [0, 1, 1, 2], count: 3, units: 2 }, 2]],
  pictureWeights: [[tag('model')]],
  mapUnits: [[tag('model'), '0']],
  heatMap: [[t(1, 4, 4), t(2, 2), { range: 'extent', opacity: 0.5, zoom: 2 }]],
}

/** Tensors that no gradient is asked of, since what they are given to goes on after the call. */
const of = (...shape: number[]): Json => tag('positive', { shape })
const learning = { size: 3, contrast: 0.01, epsilon: 0.1, active: 0.2, rounds: 2, batchSize: 100, seed: 1 }
const features: Record<string, Json[][]> = {
  randomFilters: [[{ filters: 3, size: [3, 2], channels: 2, ...random }]],
  gaborBank: [[{ size: 5, channels: 2, orientations: 2, frequencies: [1], phases: [0, 1], bandwidth: 0.5, aspect: 1 }]],
  differenceOfGaussians: [[{ size: [5, 7], channels: 1, sigmas: [0.8, 1], ratio: 1.6 }]],
  extractPatches: [[of(4, 1, 6, 6), { size: 3, count: 5, seed: 1, normalize: true, contrast: 0.01 }]],
  whiten: [[t(6, 4), { epsilon: 0.1 }]],
  calibrateFilters: [[of(2, 1, 3, 3), of(4, 1, 6, 6), { active: 0.2, patches: 20, seed: 1 }]],
  kMeansFilters: [[of(4, 1, 6, 6), { ...learning, filters: 2, patches: 20, distance: 'euclidean' }]],
  sparseFilters: [[of(4, 1, 6, 6), { ...learning, filters: 2, patches: 20, lambda: 0.5, steps: 2 }]],
  sparseCode: [[of(20, 5), { atoms: 3, lambda: 0.5, steps: 2, rounds: 2, batchSize: 7, seed: 1 }]],
  clusterPool: [
    [t(2, 3, 4, 5), { clusters: [2, 2], of: 'places', location: 0.5, rounds: 3, pool: 'mean' }],
    [t(2, 3, 6), { clusters: 2, of: 'channels' }],
  ],
  clusterRegions: [[of(2, 3, 4, 5), { clusters: 3, of: 'places', location: 0.5, rounds: 3 }]],
  headOf: [[tag('model'), '0']],
  svd: [[t(4, 3)]],
  separableConv: [[t(2, 3, 5, 5), [t(3), t(3, 3)], { padding: 'same', flip: true, paddingMode: 'zeros', bias: t(3) }]],
  separableTerms: [
    [of(4, 3), { rank: 2 }],
    [of(4, 3), { error: 0.1 }],
  ],
  factorize: [[tag('model'), { error: 0.9, layers: ['0'] }]],
  greedyPretrain: [
    [tag('model'), of(4, 1, 4, 4), { layers: ['0'], epochs: 1, batchSize: 2, lr: 0.01, pool: 1, noise: 0.5, seed: 1 }],
  ],
  'new ConvRBM': [
    [
      {
        ...{ filters: 2, size: 3, channels: 1, pool: 2, visible: 'gaussian', lr: 0.1, momentum: 0.5 },
        ...{ weightDecay: 0.1, sparsity: 0.1, sparsityRate: 1, std: 0.1, seed: 1 },
      },
    ],
  ],
}

const dense = { input: [1, 3, 3], kernel: 2, padding: 'same', stride: 1 }
const priors: Record<string, Json[][]> = {
  nearestConvolution: [[t(9, 9), dense]],
  toeplitzPenalty: [[t(9, 9), { ...dense, strength: 0.5 }]],
  'new MixturePrior': [[{ components: 3, range: 0.5, strength: 0.1 }]],
}

const quantizing = {
  weights: 'per-channel',
  activations: 'per-tensor',
  range: 'mse',
  percentile: 99.9,
  layers: 'all',
  skip: [],
  report: tag('function'),
}
const quant: Record<string, Json[][]> = {
  initIntegers: [[{}]],
  quantize: [[tag('model'), [t(1, 1, 4, 4)], quantizing]],
  quantizeToOnnx: [[tag('model'), [t(1, 1, 4, 4)], quantizing]],
}

const grid = { neighbours: t(3, 3), compatibility: t(2, 2) }
const pixelSet = { images: bytes(96, 9), labels: bytes(96, 1), size: 6, shape: [1, 4, 4], classes: ['ground', 'x'] }
const scores = t(1, 2, 3, 3)
const segmentation: Record<string, Json[][]> = {
  digitScenes: [[dataset, { count: 2, size: 16, digits: [1, 2], digitSize: 8, clutter: 1, seed: 1 }]],
  pixelExamples: [[pixelSet, normalization, { factor: 2, ignoreIndex: 255 }]],
  coarseLabels: [[bytes(16), [4, 4], 2]],
  pixelAccuracy: [[scores, list(9, 1), { ignoreIndex: 255 }]],
  meanIoU: [[scores, list(9, 1), { ignoreIndex: 255 }]],
  'new PixelConfusion': [[{ classes: 3, ignoreIndex: 255 }]],
  regionsOf: [[bytes(12), [3, 4], { connectivity: 4, ignoreIndex: 0 }]],
  dropSmallRegions: [[bytes(12), [3, 4], { connectivity: 8, smallest: 2 }]],
  pottsModel: [[{ classes: 2, strength: 0.5, connectivity: 8 }]],
  meanFieldStep: [[tag('positive', { shape: [1, 2, 3, 3] }), scores, grid, { part: 'even' }]],
  refine: [[scores, grid, { steps: 2, order: 'parallel' }]],
  freeEnergy: [[tag('positive', { shape: [1, 2, 3, 3] }), scores, grid]],
  pseudoLikelihood: [[scores, list(9, 1), grid, { ignoreIndex: 255 }]],
  recurrentConv: [
    [
      {
        ...{ input: [1, 8, 8], classes: 3, hidden: 2, steps: 2, kernels: [3, 1, 3], auxiliary: 0.5 },
        ...{ weightInit: 'he', seed: 1, keepPacked: true },
      },
    ],
  ],
  scoresOf: [[2]],
  'new MeanField': [[{ steps: 2, size: 3, strength: 0.1 }]],
}

const frames = { size: 8, hop: 3, window: 'hann', center: true, paddingMode: 'reflect' }
const bands = { sampleRate: 100, bands: 3, from: 1, to: 50, scale: 'htk', normalize: 'none' }
const audio: Record<string, Json[][]> = {
  decodeWav: [[bytes(60), 'name']],
  stft: [
    [t(2, 20), { ...frames, output: 'magnitude' }],
    [t(1, 2, 20), { size: 4, window: [1, 2, 2, 1] }],
  ],
  melFilters: [[{ ...bands, size: 32 }]],
  melSpectrogram: [[t(2, 40), { ...frames, ...bands, size: 32, output: 'log', floor: 1e-6 }]],
  constantQ: [
    [t(2, 30), { sampleRate: 100, from: 10, bins: 6, binsPerOctave: 3, hop: 4, periods: 1, output: 'magnitude' }],
  ],
}
const volumes: Record<string, Json[][]> = {
  decodeNifti: [[bytes(360), 'name', { maxBytes: 1e6 }]],
  readRaw: [[bytes(10), 'name', { shape: [2, 1, 2], type: 'int16', order: 'big', offset: 2, slope: 2, intercept: 1 }]],
  solids: [[{ count: 3, size: 10, noise: 0.1, seed: 1 }]],
  movements: [[{ count: 3, frames: 5, noise: 0.1, seed: 1 }]],
  movingPictures: [[dataset, { count: 3, frames: 3, size: 6, channels: 3, speed: 1, noise: 0.1, seed: 1 }]],
}
const scoring = { classes: 3, ignoreIndex: 255 }
const around: Record<string, Json[][]> = {
  confusionMatrix: [[t(2, 3), [0, 1], scoring]],
  'new ConfusionMatrix': [[scoring]],
  ...Object.fromEntries(
    ['precision', 'recall', 'f1'].map((name): [string, Json[][]] => [
      name,
      [
        [t(2, 3), [0, 1], { ...scoring, average: 'micro' }],
        [t(2, 3), [0, 1], { ...scoring, positive: 1 }],
      ],
    ]),
  ),
  reduceOnPlateau: [
    [
      {
        ...{ optimizer: tag('sgd'), factor: 0.5, patience: 2, minLr: 1e-5, monitor: 'accuracy' },
        ...{ minimumChange: 0.1, cooldown: 1 },
      },
    ],
  ],
  ema: [[tag('model'), { decay: 0.9 }]],
  combineCallbacks: [[{ onStep: tag('function'), onEpoch: tag('function') }]],
  progress: [[{ epochs: 2, onProgress: tag('function'), stepsPerEpoch: 3 }]],
  replaceHead: [[tag('model'), { classes: 2, seed: 1, layers: {} }]],
  parameterGroups: [[tag('model'), [{ layers: '0', lr: 0.1 }]]],
}

const plain = { classes: 5, seed: 1, weightInit: 'he', keepPacked: true }
const network = { ...plain, width: 0.1 }
const networks: Record<string, Json[][]> = {
  alexnet: [[{ ...network, input: [3, 96, 96], groups: 1, order: 'paper' }], [{ ...network, variant: 'torchvision' }]],
  convnet: [[{ ...plain, input: [1, 28, 28] }]],
  densenet121: [[{ ...network, input: [3, 64, 64] }]],
  googlenet: [
    [{ ...network, input: [3, 224, 224], auxiliary: true, auxiliaryPadding: 1, normalize: true }],
    [{ ...network, input: [3, 64, 64], auxiliary: true, variant: 'torchvision' }],
  ],
  lenet5: [
    [{ ...network, input: [1, 28, 28] }],
    [
      {
        classes: 10,
        width: 1,
        variant: 'paper',
        nonlinearities: { convolution: 'tanh', subsampling: 'none', hidden: 'relu' },
      },
    ],
  ],
  labelling: [[{ ...network, input: [1, 16, 16], pooling: 'unit' }]],
  linearClassifier: [[{ ...plain, input: [1, 28, 28] }]],
  nin: [[{ ...network, input: [3, 32, 32], variant: 'cifar10' }]],
  singleLayerClassifier: [[{ ...plain, input: [1, 28, 28], filters: 3, kernel: 5, grid: 2 }]],
  twoLayerClassifier: [[{ ...plain, input: [1, 28, 28], hidden: 5 }]],
  resnet18: [[{ ...network, input: [3, 64, 64] }]],
  unet: [[{ ...network, input: [1, 16, 16], depth: 2 }]],
  vgg: [
    [{ ...network, input: [3, 64, 64], configuration: 'A' }],
    [{ ...network, input: [3, 64, 64], configuration: 'D', variant: 'torchvision', batchNorm: true }],
  ],
  zfnet: [[{ ...network, input: [3, 96, 96], maps: [3, 4, 5] }]],
}

/** Networks that are not listed are called with the options that all have. */
const zoo: Record<string, Json[][]> = {
  ...Object.fromEntries(
    Object.values(exportedNetworks.architectures)
      .filter(({ make }) => Object.hasOwn(exportedNetworks, make.name))
      .map(({ make }) => [make.name, [[{ ...plain, input: [1, 28, 28] }]]]),
  ),
  ...networks,
}

export const calls: Readonly<Record<string, readonly (readonly Json[])[]>> = {
  ...Object.fromEntries(Object.entries(operations).map(([name, row]) => [name, row.calls])),
  ...optimizers,
  ...layers,
  ...models,
  ...training,
  ...files,
  ...vision,
  ...features,
  ...priors,
  ...quant,
  ...segmentation,
  ...audio,
  ...volumes,
  ...around,
  ...zoo,
  tensor: [
    [[1, 2, 3, 4], [2, 2], { dtype: 'float32' }],
    [
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [tag('Float32Array', { values: [1, 2] }), [2, 1]],
  ],
  full: [[[2, 3], 4]],
  zeros: [[[2, 3]]],
  ones: [[[2, 3]]],
  uniform: [[[2, 3], { ...random, low: -1, high: 1 }]],
  normal: [[[2, 3], { ...random, mean: 0, std: 2 }]],
  fromNHWC: [[tag('Float32Array', { values: list(12, 1) }), [1, 2, 2, 3]]],
  toNHWC: [[t(1, 3, 2, 2)]],
  fromImageData: [[{ data: bytes(24), width: 3, height: 2 }]],
  'Tensor.reshape': [[t(2, 6), [3, -1]]],
  'Tensor.assign': [[t(2, 2), tag('Float32Array', { values: list(4, 1) })]],
  'Tensor.item': [[t(1)]],
  'Tensor.data': [[t(3)]],
  'Tensor.toString': [[t(3)]],
  isOutOfMemory: [[{ message: 'x' }]],
}

/** Exports that no wrong call is made of, with the reason. */
export const exempt: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      ...[
        'CoreError',
        'DisposedError',
        'DivergedError',
        'FormatError',
        'NotInitializedError',
        'OutOfMemoryError',
        'ArgumentError',
        'ShapeError',
        'ToeplitzError',
      ],
      ...['UnsupportedError', 'WorkerError'],
      'Program',
    ].map((name) => [name, 'made by the library']),
  ),
  ...Object.fromEntries(['Layer', 'LoweredLayer', 'Optimizer'].map((name) => [name, 'abstract'])),
  ...Object.fromEntries(
    ['Tensor', 'Summary', 'FitRun', 'Plateau', 'WeightAverage'].map((name) => [name, 'made by functions']),
  ),
  ...Object.fromEntries(
    ['init', 'initSync', 'runtimeInfo', 'memoryUsage'].map((name) => [name, 'of the process as a whole']),
  ),
  ...Object.fromEntries(
    [
      'layerTypes',
      'schedule',
      'fashionClasses',
      'joints',
      'digitPictures',
      'architectures',
      'digitCodes',
      'lenet5Table',
      'onnxOperators',
      'tfjsLayers',
      'tfjsOperators',
    ].map((name) => [name, 'no function']),
  ),
  ...Object.fromEntries(
    [
      'evaluate',
      'batches',
      'readBatches',
      'fitNormalizationOf',
      'meanImage',
      'readImage',
      'extractFeatures',
      'predictBatches',
      'collectExamples',
    ].map((name) => [name, 'asynchronous, over data of the caller']),
  ),
  ...Object.fromEntries(['valueAndGrad'].map((name) => [name, 'as grad'])),
  ...Object.fromEntries(
    ['architecture', 'createModel', 'lossOf', 'nearestNames', 'initializeFromA'].map((name) => [
      name,
      'names of the zoo',
    ]),
  ),
  ...Object.fromEntries(['resample', 'Axis'].map((name) => [name, 'steps of resizeGrayscale'])),
  ...Object.fromEntries(
    ['diverging', 'divergingDark', 'gray', 'ink', 'imageDataOf', 'inputGradient'].map((name) => [
      name,
      'pictures for a page',
    ]),
  ),
}
