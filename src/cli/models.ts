/** The model of a run: made, trained, and described. */
import type { ImageSource } from '../data/dataset.js'
import { imageExamples } from '../data/images.js'
import { cropped } from '../io/preprocessing.js'
import { PermutePixels } from '../layers/permute.js'
import { Graph } from '../nn/graph.js'
import { rbfLoss } from '../nn/rbf.js'
import { Sequential } from '../nn/sequential.js'
import { crossEntropy, type Labels } from '../ops/loss.js'
import type { Optimizer } from '../optim/optimizer.js'
import type { Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { fit } from '../train/fit.js'
import { accuracy } from '../train/metrics.js'
import type { FitOptions, History } from '../train/options.js'
import { createModel } from '../zoo/registry.js'
import type { Data } from './data.js'
import { UsageError } from './errors.js'
import { augmentationOf, initializerOf } from './options.js'
import { makeOwnModel, type OwnModel } from './ownModel.js'
import { learningRates, nameOf, type RunSettings } from './settings.js'
import { makeTuned } from './tuning.js'

/** What a run computes with. */
export interface RunParts {
  readonly data: Data
  readonly model: Graph
  readonly optimizer: Optimizer
}

/** The model of a run, for pictures as they are or as the augmentation cuts them; `own` is that of a file. */
export function makeModel(settings: RunSettings, source: ImageSource, own?: OwnModel): Graph {
  const model = plainModel(settings, source, own)
  return settings.permutePixels === 'none' ? model : withPermutedPixels(model, settings)
}

/** The same model behind a layer that shuffles the pixels, so that whoever uses the model shuffles them alike. */
function withPermutedPixels(model: Graph, { permutePixels, seed }: RunSettings): Graph {
  const layer = new PermutePixels({ seed: Number(permutePixels) })
  if (model instanceof Sequential)
    return new Sequential([layer, ...model.nodes.map((node) => node.layer)], { input: model.input as Shape, seed })
  const { nodes, inputs, outputs, auxiliary, blocks } = model
  const [input, ...others] = Object.keys(inputs) as [string, ...string[]]
  if (others.length > 0) throw new UsageError('--permute-pixels: the model has several inputs, and one is shuffled')
  const names = new Set([input, ...nodes.map(({ name }) => name)])
  let first = 'permute'
  while (names.has(first)) first += '-pixels'
  return new Graph(
    [
      { name: first, layer, inputs: input },
      ...nodes.map((node) => ({ ...node, inputs: node.inputs.map((read) => (read === input ? first : read)) })),
    ],
    { inputs, outputs, auxiliary, blocks, seed },
  )
}

function plainModel(settings: RunSettings, { shape, classes }: ImageSource, own?: OwnModel): Graph {
  const { model, augment, init, seed } = settings
  const [C, H, W] = shape
  const [h, w] = augmentationOf(augment)?.crop ?? [H, W]
  if (h > H || w > W) {
    throw new UsageError(`--augment ${augment}: the pictures have ${W} × ${H} pixels, of which no more can be cut out`)
  }
  const weightInit = initializerOf(init)
  if (own?.trained) return makeTuned(own.trained, [C, h, w], classes, settings)
  if (own) {
    if (weightInit)
      throw new UsageError(`--init ${init}: the layers of ${own.name} say what they begin with (weightInit)`)
    return makeOwnModel(own, [C, h, w], classes.length, seed)
  }
  return createModel(model, { input: [C, h, w], classes: classes.length, seed, ...(weightInit ? { weightInit } : {}) })
}

/** The loss that a model is trained by: that of its last layer. */
export const lossFor = (model: Graph): ((outputs: Tensor, labels: Labels) => Tensor) =>
  lastLayer(model) === 'RBF' ? rbfLoss : crossEntropy

/** The type of the layer whose values a model gives. */
const lastLayer = ({ nodes, outputs }: Graph): string | undefined =>
  nodes.find(({ name }) => name === outputs[0])?.layer.type

/** What is known of the model of a run besides itself: its preprocessing is that of the data, cut as the augmentation says. */
export const factsOf = (settings: RunSettings, { preprocessing, test }: Data) => ({
  name: nameOf(settings),
  preprocessing: cropped(preprocessing, augmentationOf(settings.augment)?.crop ?? preprocessing.size),
  classes: test.classes,
})

/** Steps in an epoch of a run. */
export const stepsPerEpoch = ({ batchSize }: RunSettings, { training }: Data): number =>
  Math.ceil(training.size / batchSize)

/** Trains the model as the settings of a run say, or of a trial. */
export async function trainModel(
  settings: RunSettings,
  { data, model, optimizer }: RunParts,
  how: Pick<FitOptions<Labels>, 'callbacks' | 'exchange' | 'signal' | 'start'>,
): Promise<History> {
  const { epochs, batchSize, seed, accumulate, parts, clipNorm, earlyStopping } = settings
  const { preprocessing } = factsOf(settings, data)
  return fit(model, imageExamples(data.training, preprocessing, augmentationOf(settings.augment)), {
    ...{ epochs, batchSize, seed, optimizer, metrics: { accuracy }, loss: lossFor(model) },
    // One part gives the bits of a batch that is not divided, and one that is divided is not accumulated.
    ...(parts > 1 || how.exchange ? { parts } : { accumulate }),
    schedule: learningRates(settings, epochs * stepsPerEpoch(settings, data)),
    ...(clipNorm > 0 ? { clipNorm } : {}),
    // The best weights are kept by the run, with its checkpoints.
    ...(earlyStopping > 0
      ? { earlyStopping: { patience: earlyStopping, monitor: 'accuracy', restoreBest: false } }
      : {}),
    validation: imageExamples(data.validation, preprocessing),
    ...how,
  })
}
