/**
 * What every runtime runs, from one bundle: all operations forward and backward, the training of small networks, learning
 * without labels, labels of pixels, sounds and looking into a network on fixed data. The result is one SHA-256 for each part, of the
 * bytes of its numbers.
 */
import * as t from '../../src/index.js'
import type { Tensor } from '../../src/index.js'
import * as audio from '../../src/audio/index.js'
import { factorize, separableConv, svd } from '../../src/features/index.js'
import { ChannelPool, LearnedPool2d, PermutePixels, StructuredConv2d } from '../../src/layers/index.js'
import * as priors from '../../src/priors/index.js'
import * as features from '../../src/features/index.js'
import * as segmentation from '../../src/segmentation/index.js'
import { unet } from '../../src/zoo/unet.js'
import * as volumes from '../../src/volumes/index.js'
import * as vision from '../../src/vision/index.js'
import * as data from '../../src/data/index.js'
import { balanceClasses, collectExamples, mixup, stratifiedSplit } from '../../src/data/index.js'
import { confusionMatrix, ema, parameterGroups, predictBatches, replaceHead } from '../../src/training/index.js'
import { initIntegers } from '../../src/quant/index.js'
import { integers } from './integers.js'
import { byAlgorithm, byFourier, cases, large, type MakeCase } from '../operations/index.js'

/** SHA-256 by the name of what was hashed. */
export type Hashes = Record<string, string>

export interface Report {
  readonly info: t.RuntimeInfo
  readonly hashes: Hashes
}

type Numbers = Float32Array | Float64Array | Int32Array

/** SHA-256 of arrays of numbers. Bits of NaN differ between engines, so a NaN is an error. */
async function sha256(name: string, arrays: readonly Numbers[]): Promise<string> {
  const parts = arrays.map((array) => {
    if (array.length === 0) throw new Error(`${name}: an array is empty`)
    if (array.some((value) => Number.isNaN(value))) throw new Error(`${name}: NaN among the results`)
    return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  })
  const bytes = new Uint8Array(parts.reduce((total, { length }) => total + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

const asNumbers = (values: ArrayLike<number>): Numbers =>
  values instanceof Float32Array || values instanceof Int32Array ? values : Float64Array.from(values)

/** Value and gradients of a case, as copies. */
function results(make: MakeCase): Numbers[] {
  return t.scope(() => {
    const made = make()
    if ('numbers' in made) return made.numbers.map(asNumbers)
    const { value, pullback, dispose } = t.vjp(made.fn, ...made.inputs)
    const gradients = pullback(t.normal(value.shape, { seed: 77 }))
    const data = [value, ...gradients].map((tensor) => tensor.data())
    dispose()
    return data
  })
}

const images = 96
const extent = 12

/** Pictures of noise with a bright bar whose place is the class. */
function examples(): t.Examples<Int32Array> & { readonly x: Tensor } {
  const x = t.normal([images, 1, extent, extent], { seed: 1, std: 0.3 })
  const label = (n: number): number => n % 10
  const values = x.data()
  for (let n = 0; n < images; n++) for (let i = 0; i < extent; i++) values[(n * extent + label(n)) * extent + i]! += 1
  x.assign(values)
  const size = extent * extent
  return {
    x,
    size: images,
    batch: (indices) => {
      const batch = new Float32Array(indices.length * size)
      indices.forEach((index, i) => batch.set(values.subarray(index * size, (index + 1) * size), i * size))
      return {
        x: t.tensor(batch, [indices.length, 1, extent, extent]),
        target: Int32Array.from(indices, label),
      }
    },
  }
}

const network = (): t.Sequential =>
  new t.Sequential(
    [
      new t.Conv2d({ outChannels: 6, kernel: 3, padding: 'same' }),
      new t.ReLU(),
      new t.MaxPool2d({ kernel: 2 }),
      new t.Conv2d({ outChannels: 17, kernel: 3, weightInit: 'orthogonal' }),
      new t.ReLU(),
      new t.Flatten(),
      new t.Linear({ outFeatures: 20, weightInit: 'lecun' }),
      new t.ReLU(),
      new t.Linear({ outFeatures: 10, weightInit: 'glorot' }),
    ],
    { input: [1, extent, extent], seed: 5 },
  )

/** Three epochs through `fit`: losses, weights, and what the trained network says of the images. */
async function training(): Promise<Record<'losses' | 'weights' | 'outputs', Numbers[]>> {
  const data = examples()
  const model = network()
  const { steps } = await t.fit(model, data, {
    epochs: 3,
    batchSize: 16,
    loss: t.crossEntropy,
    optimizer: new t.SGD(model.parameters(), { lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 1e-4 }),
    schedule: t.schedule.warmup(4, t.schedule.cosine({ lr: 0.05, steps: 14 })),
    metrics: { accuracy: t.accuracy },
    seed: 3,
  })
  const outputs = t.scope(() => model.forward(data.x).data())
  const weights = model.parameters().map((parameter) => parameter.data())
  const losses = [Float64Array.from(steps, ({ loss }) => loss)]
  if (!(losses[0]!.at(-1) < losses[0]![0]!)) throw new Error('training: the loss does not fall')
  model.dispose()
  data.x.dispose()
  return { losses, weights, outputs: [outputs] }
}

const optimizers: Readonly<Record<string, (parameters: Tensor[]) => t.Optimizer>> = {
  SGD: (parameters) => new t.SGD(parameters, { lr: 0.02 }),
  Adam: (parameters) => new t.Adam(parameters, { lr: 0.003 }),
  AdamW: (parameters) => new t.AdamW(parameters, { lr: 0.003, weightDecay: 0.01 }),
  RMSprop: (parameters) => new t.RMSprop(parameters, { lr: 0.002 }),
  Adagrad: (parameters) => new t.Adagrad(parameters, { lr: 0.02 }),
}

/** Weights after ten steps of an optimizer, gradients clipped. */
function optimized(make: (parameters: Tensor[]) => t.Optimizer): Numbers[] {
  const data = examples()
  const model = network()
  const optimizer = make(model.parameters())
  for (let step = 0; step < 10; step++) {
    t.scope(() => {
      const { x, target } = data.batch(Int32Array.from({ length: 12 }, (_, i) => (step * 12 + i) % images))
      const { gradients } = t.valueAndGrad(() => t.crossEntropy(model.forward(x), target))(...model.parameters())
      optimizer.step(t.clipGradNorm(gradients, 1).gradients)
    })
  }
  const weights = model.parameters().map((parameter) => parameter.data())
  model.dispose()
  data.x.dispose()
  return weights
}

/** Filters that are made without labels, by each of the ways. */
async function learned(): Promise<Record<string, Numbers[]>> {
  const { x } = examples()
  const seed = 4
  const options = { filters: 9, size: 4, patches: 500, rounds: 3, seed }
  const banks = t.scope(() =>
    [
      features.randomFilters({ filters: 5, size: 3, channels: 2, seed }),
      features.gaborBank({ size: 7, orientations: 3 }),
      features.differenceOfGaussians({ size: 7, sigmas: [0.8, 1.3] }),
    ].map((bank) => bank.data()),
  )
  const patches = await features.extractPatches(x, { size: 4, count: 500, seed })
  const whitened = t.scope(() => {
    const { apply, eigenvalues, matrix, mean } = features.whiten(patches)
    return [eigenvalues, matrix.data(), mean.data(), apply(patches).data()]
  })
  const found = [await features.kMeansFilters(x, options), await features.sparseFilters(x, options)]
  const filters = found.map(({ weight, bias, dictionary, objective }) => {
    const numbers = [weight, bias, dictionary].map((tensor) => tensor.data())
    for (const item of [weight, bias, dictionary]) item.dispose()
    return [...numbers, Float64Array.from(objective)]
  })
  const model = network()
  const losses = await features.greedyPretrain(model, x, { epochs: 1, batchSize: 16, noise: 0.2, seed })
  const machine = new features.ConvRBM({ filters: 6, size: 3, visible: 'gaussian', seed })
  await machine.train(x, { epochs: 1, batchSize: 16 })
  const made = {
    'features: banks': banks,
    'features: whitening': whitened,
    'features: k-means': filters[0]!,
    'features: sparse coding': filters[1]!,
    'features: autoencoders': [
      ...model.parameters().map((parameter) => parameter.data()),
      Float64Array.from(losses.flatMap((layer) => layer.losses)),
    ],
    'features: Boltzmann machine': [machine.filters, machine.hiddenBias, machine.visibleBias].map((w) => w.data()),
  }
  for (const item of [x, patches, model, machine]) item.dispose()
  return made
}

/** Labels of pixels: scenes, networks that are trained on them, and refinement by neighbours. */
async function labelled(): Promise<Record<string, Numbers[]>> {
  const glyphs = {
    images: Uint8Array.from({ length: 600 }, (_, i) => ((i * 7) % 100 > 45 && i % 10 > 2 ? 220 : 0)),
    ...{ labels: Uint8Array.of(0, 1, 2, 0, 1, 2), size: 6, shape: [1, 10, 10] as const, classes: ['a', 'b', 'c'] },
  }
  const scenes = segmentation.digitScenes(glyphs, { count: 12, size: 16, digits: [1, 3], digitSize: [6, 8], seed: 3 })
  const examples = segmentation.pixelExamples(scenes, { mean: 0.4, std: 0.25 })
  const shape = [1, 16, 16] as const
  const trained = async (model: t.Graph): Promise<Float32Array[]> => {
    const optimizer = new t.Adam(model.parameters(), { lr: 0.01 })
    await t.fit(model, examples, { epochs: 2, batchSize: 4, seed: 2, optimizer, loss: t.crossEntropy })
    optimizer.dispose()
    return [...model.namedState().values()].map((weights) => weights.data())
  }
  const recurrent = segmentation.recurrentConv({ input: shape, classes: 4, hidden: 5, kernels: [5, 3, 3], seed: 1 })
  const network = unet({ input: shape, classes: 4, width: 1 / 4, seed: 1 })
  const field = new t.Graph([...network.nodes, { name: 'field', layer: new segmentation.MeanField({ steps: 2 }) }], {
    inputs: { input: shape },
  })
  const made = {
    'labels of pixels: scenes': [scenes.images, scenes.labels].map((bytes) => Int32Array.from(bytes)),
    'labels of pixels: recurrent convolution': await trained(recurrent),
    'labels of pixels: U-Net': await trained(network),
    'labels of pixels: mean field': await trained(field),
    'labels of pixels: grid model': t.scope(() => {
      const { x, target } = examples.batch(Int32Array.of(0, 5))
      const scores = field.forward(x)
      const grid = segmentation.pottsModel({ classes: 4, strength: 0.3 })
      const q = segmentation.refine(scores, grid, { order: 'checkerboard' })
      const losses = [segmentation.freeEnergy(q, scores, grid), segmentation.pseudoLikelihood(scores, target, grid)]
      const regions = segmentation.dropSmallRegions(t.argmax(q).subarray(0, 256), [16, 16], { smallest: 5 })
      const measures = Float64Array.of(segmentation.pixelAccuracy(q, target), segmentation.meanIoU(q, target))
      return [q.data(), ...losses.map((loss) => loss.data()), regions, measures]
    }),
  }
  for (const model of [recurrent, network, field]) model.dispose()
  return made
}

/** Spectra of a sound with their gradients, and data that are made by a seed. */
function heard(): Record<string, Numbers[]> {
  const bands = { sampleRate: 8000, size: 64, bands: 8, from: 50, to: 4000 }
  const spectra: Record<string, (x: Tensor) => Tensor> = {
    stft: (x) => audio.stft(x, { size: 48, hop: 13, window: 'blackman' }),
    magnitudes: (x) => audio.stft(x, { size: 32, output: 'magnitude' }),
    mel: (x) => audio.melSpectrogram(x, { ...bands, output: 'log' }),
    'mel of slaney': (x) =>
      audio.melSpectrogram(x, { ...bands, scale: 'slaney', normalize: 'slaney', output: 'decibel' }),
    'constant Q': (x) => audio.constantQ(x, { sampleRate: 8000, from: 220, bins: 24, hop: 40 }),
  }
  const { x, target } = examples().batch(Int32Array.from({ length: 6 }, (_, n) => n))
  const pixels = Uint8Array.from(x.data(), (value) => Math.max(0, Math.min(255, 128 * value)))
  const shape = [1, extent, extent] as const
  const pictures = { images: pixels, labels: target, size: 6, shape, classes: Array.from({ length: 10 }, String) }
  x.dispose()
  return {
    ...Object.fromEntries(
      Object.entries(spectra).map(([name, fn]) => [
        `audio: ${name}`,
        results(() => ({ fn, inputs: [t.normal([2, 400], { seed: 9 })] })),
      ]),
    ),
    'volumes: solids': [volumes.solids({ count: 10, size: 12, seed: 3 }).x],
    'volumes: movements': [volumes.movements({ count: 12, seed: 3 }).x],
    'volumes: moving pictures': [volumes.movingPictures(pictures, { count: 16, size: 16, seed: 3 }).x],
  }
}

/** What a network of random weights is seen to respond to. */
function seen(): Record<string, Numbers[]> {
  const { x } = examples()
  const model = network()
  const found = t.scope(() => {
    const picture = t.slice(x, { begin: [3], end: [4] })
    const plane = [0, 1, 2].map((n) => t.slice(x, { begin: [n], end: [n + 1] }).reshape([1, extent, extent]))
    const { shape, respond } = vision.mapUnits(model, '4')
    const patches = vision.strongestPatches(model, x, { layer: '4', count: 3 })
    const regions = vision.linearRegions(model, { plane: plane as [Tensor, Tensor, Tensor], size: 24 })
    const sparse = vision.sparsity(model, x)
    return {
      'vision: deconvolution': [2, 9, 16].map((map) => vision.deconvolve(model, picture, { layer: '4', map }).values),
      // Beyond the border there is NaN, whose bits differ between engines.
      'vision: strongest patches': patches.flatMap(({ patches }) =>
        patches.map(({ values, response, picture }) =>
          Float64Array.from([picture, response, ...values.map((value) => (Number.isNaN(value) ? 0 : value))]),
        ),
      ),
      'vision: reverse correlation': [vision.reverseCorrelation(respond, { shape, count: 700, seed: 2 }).values],
      'vision: linear regions': [regions.values],
      'vision: sparsity': [Float64Array.from(sparse.flatMap(({ zeros, dead }) => [zeros, dead.length]))],
    }
  })
  x.dispose()
  model.dispose()
  return found
}

/** Layers of low rank, separable kernels and priors on weights. */
function simplified(): Record<string, Numbers[]> {
  const model = network()
  const { model: smaller } = factorize(model, { error: 0.7 })
  const w = t.normal([16, 16], { seed: 5 })
  const prior = new priors.MixturePrior({ components: 4 })
  const penalties: Record<string, (w: Tensor) => Tensor> = {
    'nearest convolution': (w) => priors.toeplitzPenalty(w, { input: [1, 4, 4], kernel: 3, strength: 0.3 }),
    'mixture of Gaussians': (w) => prior.penalty([w]),
  }
  const structured = new StructuredConv2d({ outChannels: 4, order: 3, sigma: 0.9, padding: 'same' })
  const made = {
    'low rank': [...smaller.namedState().values()].map((weights) => weights.data()),
    'low rank: singular values': t.scope(() => {
      const { u, s, v } = svd(w)
      return [u.data(), s.data(), v.data()]
    }),
    'low rank: separable kernels': results(() => ({
      fn: (x: Tensor) =>
        separableConv(x, [t.tensor([1, 2, 1]), t.tensor([1, -1]), t.tensor([3, 1, 2])], { padding: 'same' }),
      inputs: [t.normal([2, 3, 5, 6, 7], { seed: 6 })],
    })),
    ...Object.fromEntries(
      Object.entries(penalties).map(([name, fn]) => [
        `priors: ${name}`,
        results(() => ({ fn, inputs: [t.normal([16, 16], { seed: 7 })] })),
      ]),
    ),
    'priors: Gaussian derivatives': t.scope(() => {
      const model = new t.Sequential([new PermutePixels({ seed: 4 }), structured], { input: [2, 9, 8], seed: 3 })
      return [model.forward(t.normal([2, 2, 9, 8], { seed: 8 })).data()]
    }),
  }
  for (const each of [model, smaller, w, prior, structured]) each.dispose()
  return made
}

/** Pooling over clusters of responses, with learned weights, and over some channels. */
function pooled(): Record<string, Numbers[]> {
  const clustered =
    (options: features.ClusterPoolOptions): MakeCase =>
    () => ({
      fn: (x: Tensor) => features.clusterPool(x, options),
      inputs: [t.normal([3, 5, 8, 7], { seed: 4 })],
    })
  const model = new t.Sequential(
    [new ChannelPool({ groups: [[4, 1, 2], [0]], pool: 'mean' }), new LearnedPool2d({ kernel: 3, weightInit: 'normal' })], // prettier-ignore
    { input: [5, 8, 7], seed: 2 },
  )
  const made = {
    'pooling: clusters of places': results(clustered({ clusters: 4 })),
    'pooling: clusters from a grid': results(clustered({ clusters: [3, 2], location: 2, pool: 'mean' })),
    'pooling: clusters of channels': results(clustered({ clusters: 2, of: 'channels' })),
    'pooling: some channels, learned weights': t.scope(() => [
      model.forward(t.normal([2, 5, 8, 7], { seed: 5 })).data(),
    ]),
  }
  model.dispose()
  return made
}

/** Pictures changed at random, examples mixed, chosen and collected, averages of weights, and a network for other classes. */
async function around(): Promise<Record<string, Numbers[]>> {
  const labels = Int32Array.from({ length: 12 }, (_, n) => (n < 7 ? 0 : n % 3))
  const images = Uint8Array.from({ length: 12 * 3 * 9 * 8 }, (_, i) => (i * i * 7 + i * 31) % 256)
  const dataset = { images, labels, size: 12, shape: [3, 9, 8] as const, classes: ['a', 'b', 'c'] }
  const normalization = { mean: [0.4, 0.5, 0.6], std: 0.25 }
  const draw = { seed: 3, step: 9, first: 0 }
  const all = Int32Array.from({ length: 12 }, (_, i) => i)
  const changes: Record<string, data.Augmentation> = {
    'turned, zoomed and sheared': { rotate: 40, zoom: 0.3, shear: 20 },
    blurred: { blur: 2 },
    'in other colours': { hue: 0.3, grey: 0.3, brightness: 0.2, contrast: 0.2, saturation: 0.3 },
    'changed in every way': { rotate: 15, blur: 1, hue: 0.1, grey: 0.1, cutout: 3, flip: true, shift: 2, crop: [7, 7] },
  }
  const pictures = Object.entries(changes).map(([name, change]): [string, Numbers[]] => [
    `pictures: ${name}`,
    t.scope(() => [data.imageExamples(dataset, normalization, change).batch(all, draw).x.data()]),
  ])
  const mixed = t.scope(() => {
    const { x, target } = mixup(data.imageExamples(dataset, normalization), { classes: 3, alpha: 0.4 }).batch(all, draw)
    return [x.data(), target.data()]
  })
  const { training, validation } = stratifiedSplit(dataset, { share: 0.3, seed: 2 })
  const balanced = balanceClasses(training, { seed: 2 })
  const model = network()
  const average = ema(model, { decay: 0.9 })
  const optimizer = new t.Adam(model.parameters(), { lr: 0.01 })
  const { x, ...bars } = examples()
  await t.fit(model, bars, { epochs: 2, batchSize: 32, loss: t.crossEntropy, optimizer, callbacks: average })
  const { model: other, head } = replaceHead(model, { classes: 3, seed: 7 })
  const tuned = new t.SGD(parameterGroups(other, [{ layers: head, lr: 0.1 }]), { lr: 0.01 })
  const collected = await collectExamples(
    (function* () {
      for (let n = 0; n < 9; n++) yield { x: t.normal([1, extent, extent], { seed: 40 + n }), y: n % 3 }
    })(),
  )
  await t.fit(other, collected, { epochs: 2, batchSize: 4, loss: t.crossEntropy, optimizer: tuned })
  const scores = await predictBatches(other, collected, { batchSize: 4 })
  const made = {
    ...Object.fromEntries(pictures),
    'examples: mixed': mixed,
    'examples: split and balanced': [validation, balanced].map((part) => Float32Array.from(part.images)),
    'weights: averaged': Object.values(average.state().tensors).map(({ data }) => data),
    'weights: for other classes': [scores.data(), confusionMatrix(scores, collected.labels as number[]).counts],
  }
  for (const each of [x, scores, model, other, optimizer, tuned]) each.dispose()
  return made
}

/** Of the operations of integers. */
export async function hashesOfIntegers(): Promise<Hashes> {
  const hashes: Hashes = {}
  for (const [name, numbers] of Object.entries(integers())) hashes[name] = await sha256(name, numbers)
  return hashes
}

/** Runs everything. @param options those of `init`: the module where it cannot be compiled, and threads. */
export async function run(options: t.InitOptions = {}): Promise<Report> {
  await t.init(options)
  const hashes: Hashes = {}
  for (const [name, makers] of Object.entries(cases)) {
    hashes[name] = await sha256(name, makers.flatMap(results))
  }
  for (const [name, make] of Object.entries(byAlgorithm)) {
    hashes[`conv2d by ${name}`] = await sha256(name, results(make))
  }
  for (const [what, [name, make]] of Object.entries(byFourier)) {
    hashes[`${name} by fft, ${what}`] = await sha256(what, results(make))
  }
  for (const [name, make] of Object.entries(large)) {
    hashes[`large: ${name}`] = await sha256(name, results(make))
  }
  for (const [name, numbers] of Object.entries(await training())) {
    hashes[`training: ${name}`] = await sha256(name, numbers)
  }
  for (const [name, make] of Object.entries(optimizers)) {
    hashes[`${name}: weights`] = await sha256(name, optimized(make))
  }
  // Where a module cannot be compiled, loops give the same bytes.
  if (options.module === undefined) await initIntegers()
  Object.assign(hashes, await hashesOfIntegers())
  const more = {
    ...(await learned()),
    ...(await labelled()),
    ...heard(),
    ...seen(),
    ...simplified(),
    ...pooled(),
    ...(await around()),
  }
  for (const [name, numbers] of Object.entries(more)) hashes[name] = await sha256(name, numbers)
  const info = t.runtimeInfo()
  // Ends the workers, which would keep a process alive.
  if (info.threads > 1) await t.init({ threads: 1 })
  return { info, hashes }
}
