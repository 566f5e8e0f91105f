/** The functions of the library that are no operations: what fails in them leaves nothing behind either. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as data from '../../src/data/index.js'
import * as t from '../../src/index.js'
import type { Tensor } from '../../src/index.js'
import * as operations from '../../src/ops/index.js'
import * as audio from '../../src/audio/index.js'
import * as features from '../../src/features/index.js'
import * as segmentation from '../../src/segmentation/index.js'
import * as training from '../../src/training/index.js'
import * as vision from '../../src/vision/index.js'
import * as volumes from '../../src/volumes/index.js'
import { cases } from '../operations/index.js'
import { bars, normalization } from '../helpers/bars.js'
import { consumed, expectSurvival, initWithFaults } from '../helpers/faults.js'
import { layerCases } from '../helpers/layers.js'

let x: Tensor
let picture: Tensor
let pooled: Tensor
let sound: Tensor
let labels: Tensor
let scored: Tensor
let model: t.Sequential
beforeAll(async () => {
  await initWithFaults()
  x = t.normal([3, 4], { seed: 1 })
  pooled = t.normal([1, 1, 3, 4], { seed: 3 })
  labels = t.tensor([1, 0, 3])
  scored = t.uniform([1, 3, 4, 4], { low: 0.1, seed: 4 })
  sound = t.normal([64], { seed: 4 })
  picture = t.normal([1, 1, 8, 8], { seed: 2 })
  model = new t.Sequential(
    [new t.Conv2d({ outChannels: 4, kernel: 3 }), new t.ReLU(), new t.Flatten(), new t.Linear({ outFeatures: 3 })],
    { input: [1, 8, 8] },
  )
  // Weights stay packed, and passes are repeated.
  for (let pass = 0; pass < 6; pass++) t.scope(() => void t.grad(() => t.sum(model.forward(picture)))(picture))
  for (let pass = 0; pass < 6; pass++) t.scope(() => void model.forward(picture))
})

afterAll(() => {
  for (const owned of [x, labels, scored, picture, pooled, sound, model]) owned.dispose()
  expect(t.memoryUsage()).toMatchObject({ liveBytes: 0, blocks: 0 })
})

type Use = () => readonly ArrayLike<number>[]

const pixels = Uint8ClampedArray.from({ length: 4 * 6 }, (_, i) => (i * 37) % 256)

/** What a function makes of a grid model, which is freed. */
const field = (use: (grid: segmentation.GridModel) => Tensor): Tensor =>
  t.scope(() => use(segmentation.pottsModel({ classes: 3, strength: 0.5 })))

/** By name, what calls the function once. */
const functions: Readonly<Record<string, Use>> = {
  tensor: () => consumed(t.tensor([[1, 2], [3, 4]])), // prettier-ignore
  full: () => consumed(t.full([2, 3], 4)),
  zeros: () => consumed(t.zeros([2, 3])),
  ones: () => consumed(t.ones([2, 3])),
  uniform: () => consumed(t.uniform([2, 30], { seed: 1 })),
  normal: () => consumed(t.normal([2, 30], { seed: 1 })),
  fromNHWC: () =>
    consumed(
      t.fromNHWC(
        Float32Array.from({ length: 24 }, (_, i) => i),
        [1, 2, 3, 4],
      ),
    ),
  toNHWC: () => [t.toNHWC(picture)],
  fromImageData: () => consumed(t.fromImageData({ data: pixels, width: 3, height: 2 })),
  initialize: () => consumed(t.initialize([6, 4], 'orthogonal', { seed: 1, stream: 2 })),
  rbfLoss: () => consumed(t.rbfLoss(x, [1, 2, 0])),
  clipGradNorm: () => consumed(...t.clipGradNorm([x, labels], 0.1).gradients),
  'clipGradNorm of little': () => consumed(...t.clipGradNorm([x, labels], 1e6).gradients),
  factorKernel: () => {
    const kernel = t.full([3, 2], 2)
    try {
      const { column, row } = t.factorKernel(kernel)!
      return consumed(column, row)
    } finally {
      kernel.dispose()
    }
  },
  maxPool2dWithIndices: () => {
    const { y, indices } = t.maxPool2dWithIndices(picture, { kernel: 2 })
    const positions = indices.data()
    indices.dispose()
    return [...consumed(y), Float64Array.from(positions)]
  },
  maxUnpool2d: () => consumed(t.maxUnpool2d(pooled, Array.from({ length: 12 }, (_, i) => 2 * i), { outputSize: [4, 6] })), // prettier-ignore
  scope: () => consumed(t.scope(() => t.add(t.mul(x, 2), 1))),
  vjp: () => {
    const { value, dispose } = t.vjp((a, b) => t.mul(a, b), x, x)
    dispose()
    return consumed(value)
  },
  grad: () => consumed(...t.grad((a, b) => t.sum(t.mul(a, b)))(x, x)),
  valueAndGrad: () => {
    const { value, gradients } = t.valueAndGrad((a) => t.sum(t.square(a)))(x)
    return consumed(value, ...gradients)
  },
  gradcheck: () => [t.gradcheck((a) => t.square(a), [x], { samples: 2 }).errors],
  permutation: () => [t.permutation(100, 1, 2)],
  tensorExamples: () => consumed(t.scope(() => t.tensorExamples(x, labels).batch(Int32Array.of(0, 2)).x)),
  arrayExamples: () => {
    const list = [1, 2, 3].map((value) => ({ value, y: value }))
    const examples = t.arrayExamples(list, ({ value }) => t.full([3], value))
    return consumed(t.scope(() => examples.batch(Int32Array.of(0, 2)).x))
  },
  argmax: () => [t.argmax(x)],
  accuracy: () => [[t.accuracy(x, labels)]],
  labelNumbers: () => [t.labelNumbers(labels)],
  schedule: () => [[t.schedule.cosine({ lr: 1, steps: 10 })(3), t.schedule.step({ lr: 1, every: 2 })(3)]],
  gabor: () => consumed(t.gabor({ size: 5 })),
  randomFilters: () => consumed(features.randomFilters({ filters: 3, size: 3 })),
  gaborBank: () => consumed(features.gaborBank({ size: 5, orientations: 2 })),
  differenceOfGaussians: () => consumed(features.differenceOfGaussians({ size: 5 })),
  stft: () => consumed(audio.stft(x, { size: 2, output: 'magnitude' })),
  melSpectrogram: () => consumed(audio.melSpectrogram(sound, { sampleRate: 64, size: 8, bands: 2, output: 'log' })),
  constantQ: () => consumed(audio.constantQ(x, { sampleRate: 64, from: 16, bins: 2, hop: 1 })),
  solids: () => [volumes.solids({ count: 2, size: 10 }).x],
  movements: () => [volumes.movements({ count: 2, frames: 4 }).x],
  clusterPool: () => consumed(features.clusterPool(scored, { clusters: [2, 2], location: 1, pool: 'mean' })),
  'clusterPool of channels': () => consumed(features.clusterPool(scored, { clusters: 2, of: 'channels' })),
  clusterRegions: () => {
    const regions = features.clusterRegions(scored, { clusters: 3 })
    const labels = regions.data()
    regions.dispose()
    return [labels]
  },
  topK: () => [[training.topK(x, labels, { k: 2 })]],
  f1: () => [[training.f1(x, labels)]],
  ema: () => {
    const average = training.ema(model)
    average.update()
    return Object.values(average.state().tensors).map(({ data }) => data)
  },
  replaceHead: () => consumed(...training.replaceHead(model, { classes: 2 }).model.namedState().values()),
  whiten: () => {
    const { mean, matrix } = features.whiten(x)
    return consumed(mean, matrix)
  },
  digitScenes: () => {
    const { images, labels } = segmentation.digitScenes(bars(4), { count: 1, size: 16, digitSize: 8, seed: 1 })
    return [images, labels]
  },
  pixelExamples: () => {
    const scenes = segmentation.digitScenes(bars(4), { count: 2, size: 16, digitSize: 8, seed: 1 })
    return consumed(segmentation.pixelExamples(scenes, normalization).batch(Int32Array.of(1)).x)
  },
  pixelAccuracy: () => [[segmentation.pixelAccuracy(scored, new Uint8Array(16))]],
  meanIoU: () => [[segmentation.meanIoU(scored, new Uint8Array(16))]],
  pottsModel: () => consumed(...Object.values(segmentation.pottsModel({ classes: 3 }) as object as Tensor[])),
  refine: () => consumed(field((grid) => segmentation.refine(scored, grid, { steps: 2, order: 'checkerboard' }))),
  meanFieldStep: () => consumed(field((grid) => segmentation.meanFieldStep(scored, scored, grid, { part: 'odd' }))),
  freeEnergy: () => consumed(field((grid) => segmentation.freeEnergy(scored, scored, grid))),
  pseudoLikelihood: () => consumed(field((grid) => segmentation.pseudoLikelihood(scored, new Uint8Array(16), grid))),
  'Boltzmann machine': () => {
    const machine = new features.ConvRBM({ filters: 2, size: 1, channels: picture.shape[1]!, pool: 1 })
    try {
      machine.step(picture)
      return consumed(machine.pool(picture))
    } finally {
      machine.dispose()
    }
  },
  activations: () => consumed(...vision.activations(model, picture).map(({ output }) => output)),
  occlusionMap: () => [vision.occlusionMap(model, picture, { stride: 4 }).values],
  saliencyMap: () => [vision.saliencyMap(model, picture).values],
  inputGradient: () => consumed(vision.inputGradient(model, picture).gradient),
  imageTensor: () => consumed(data.imageTensor(bars(2).images, [1, 8, 8], normalization)),
  imageExamples: () => {
    const augmentation = { shift: 1, brightness: 0.2 }
    const examples = data.imageExamples(bars(4), normalization, augmentation)
    return consumed(examples.batch(Int32Array.of(1, 3), { seed: 1, step: 2, first: 0 }).x)
  },
}

/** What takes no memory of the core and calls no kernel, and what files beside this one let fail. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  'starts the core, or tells of it': ['init', 'initSync', 'memoryUsage', 'runtimeInfo'],
  'operations.test.ts': Object.keys(cases).filter((name) => !(name in functions)),
  'models.test.ts': [
    ...Object.keys(layerCases),
    ...['Sequential', 'Graph', 'Layer', 'LoweredLayer', 'layerTypes', 'modelFromJSON'],
    ...['Optimizer', 'SGD', 'Adam', 'AdamW', 'RMSprop', 'Adagrad'],
  ],
  'training.test.ts': ['fit', 'FitRun', 'evaluate', 'batches', 'readBatches', 'randomSearch', 'gridSearch'],
  'numbers alone': [
    'checkSeed',
    'checkStream',
    'isOutOfMemory',
    'checkBatches',
    'ranked',
    'explain',
    'Summary',
    'Tensor',
  ],
  errors: Object.keys(t).filter((name) => name.endsWith('Error')),
}

describe('what fails leaves nothing', () => {
  it.each(Object.keys(functions))('%s', (name) => {
    const kept = (): readonly Tensor[] => [x, labels, picture, pooled, sound, ...model.parameters()]
    // A model gets over an allocation that fails while it captures a pass, which activations() runs anew each time.
    expectSurvival({ use: functions[name]!, kept, ...(name === 'activations' ? { forgives: 'allocation' } : {}) })
  })

  it('is tried for everything that the library exports', () => {
    const tried = [...Object.keys(functions), ...Object.values(elsewhere).flat()]
    expect(Object.keys(t).filter((name) => !tried.includes(name))).toEqual([])
    expect(Object.keys(operations).filter((name) => !(name in cases))).toEqual([])
    // Those of these entries that make or read tensors.
    const others = { ...vision, ...data } as Record<string, unknown>
    const withTensors = ['activations', 'occlusionMap', 'saliencyMap', 'inputGradient', 'imageTensor', 'imageExamples']
    for (const name of withTensors) expect(others[name], name).toBeTypeOf('function')
  })
})
