/**
 * `toeplitz features`: the convolutions of a model are filled without labels and stay as they are; features are computed once,
 * and the classifier behind them is trained and tested.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { imageRange, type ImageSource } from '../data/dataset.js'
import { imageExamples } from '../data/images.js'
import { extractFeatures, headOf, type FeatureExamples } from '../features/extract.js'
import { encodePng } from '../formats/png.js'
import { describeModel, encodeModel, encodeModelFile } from '../io/model-file.js'
import type { Graph } from '../nn/graph.js'
import { isA } from '../node/files.js'
import { Folder, type Note } from '../node/resultFolder.js'
import { Adam } from '../optim/adam.js'
import type { Tensor } from '../tensor/tensor.js'
import { fit } from '../train/fit.js'
import { accuracy } from '../train/metrics.js'
import type { EpochEvent, StepEvent } from '../train/options.js'
import { filterGrid } from '../vision/tiles.js'
import { singleLayerClassifier } from '../zoo/singleLayer.js'
import { exitCodes, type FeatureMethod, type FeaturesOptions } from './actions.js'
import { assertOutside, loadData, type Data } from './data.js'
import { UsageError } from './errors.js'
import { convolutionsOf, fillFilters, lastFilled, type LayerLearning } from './fillFilters.js'
import { Interrupt } from './interrupt.js'
import { factsOf, lossFor, makeModel } from './models.js'
import type { OwnModel } from './ownModel.js'
import { calmly, createProgress, type ProgressStream } from './progress.js'
import { errorLines, machineRecord, measure, top5Record } from './results.js'
import { featuresRecord } from './featuresRecord.js'
import { fingerprintOf } from './fingerprint.js'
import { Run } from './run/run.js'
import { flagOf, learningRates, nameOf, trainDefaults, type RunSettings } from './settings.js'
import { optionWords } from './shell.js'
import { startCore } from './startCore.js'
import { choose } from './suited.js'
import { outputTo } from './terminal.js'

/** The network that the options for filters are for. */
const singleLayer = 'single-layer'

/** What is taken where nothing is typed. */
export const featureDefaults = {
  method: 'kmeans',
  model: singleLayer,
  data: 'mnist',
  epochs: 20,
  batchSize: 100,
  lr: 0.001,
  weightDecay: 0,
  active: 0.2,
  pretrainEpochs: 1,
  images: 0,
  seed: 1,
} as const satisfies Partial<FeaturesOptions>

/** Filters of the network single-layer by method, where none are typed: those made by hand are few kinds. */
const filtersBy: Partial<Record<FeatureMethod, number>> = { gabor: 96, dog: 8, rbm: 64 }

const names = {
  weights: 'model.safetensors',
  model: 'model.json',
  filters: 'filters.png',
  record: featuresRecord,
} as const

/** Takes the folder for the results. */
async function takeFolder(options: FeaturesOptions, note: Note): Promise<Folder> {
  const { method, out, force = false } = options
  const base = join('runs', `${method}-${nameOf(options)}`)
  await assertOutside(options.data, out ?? base, out !== undefined)
  return Folder.takeNew({ out, base }, Object.values(names), note, async (folder) => {
    const path = optionWords('--out', folder.path)
    if (await folder.has(names.record)) {
      if (force) return
      throw new UsageError(
        `${path} holds features (${names.record}); choose another folder, or replace them with --force`,
      )
    }
    const file = await Run.modelFile(folder.path)
    const isRun =
      file !== folder.pathOf(names.model) || (await folder.has(names.model)) || (await folder.has(names.weights))
    if (file !== undefined && isRun) throw new UsageError(`${path} holds a training run; choose another folder`)
  })
}

/** The settings that a training would have. */
function settingsOf(options: FeaturesOptions): RunSettings {
  const { model, data, imageSize, fit, maxPixels, maxBytes, epochs, batchSize, lr, weightDecay, seed } = options
  const own = { model, data, imageSize, fit, maxPixels, maxBytes, epochs, batchSize, lr, weightDecay, seed }
  return { ...trainDefaults, optimizer: 'adam', momentum: 0, ...own }
}

/** The model to fill. @throws UsageError when options for another one are typed */
function modelFor(options: FeaturesOptions, settings: RunSettings, source: ImageSource, own?: OwnModel): Graph {
  const { shape, classes } = source
  const { method, filters, size, grid, model, seed } = options
  if (model !== singleLayer) {
    const typed = Object.entries({ filters, size, grid }).find(([, value]) => value !== undefined)
    if (typed)
      throw new UsageError(
        `${flagOf(typed[0])} ${typed[1]}: only the network ${singleLayer} can be told; ${model} has filters of its own`,
      )
    return makeModel(settings, source, own)
  }
  return singleLayerClassifier({
    ...{ input: shape, classes: classes.length, seed, filters: filters ?? filtersBy[method] ?? 400 },
    ...(size === undefined ? {} : { kernel: size }),
    ...(grid === undefined ? {} : { grid }),
  })
}

/** The command that gives the same again. */
function commandOf(options: FeaturesOptions): string {
  const shown = [
    ...['method', 'model', 'data', 'images', 'filters', 'size', 'grid', 'patches', 'active', 'pretrainEpochs'],
    ...['epochs', 'batchSize', 'lr', 'weightDecay', 'seed', 'imageSize', 'fit'],
  ] as const
  const off: Readonly<Record<string, unknown>> = { ...featureDefaults, imageSize: 0, fit: trainDefaults.fit }
  const always = ['method', 'model', 'data', 'seed']
  const words = shown.flatMap((name) => {
    const value = options[name as keyof FeaturesOptions] as string | number | undefined
    if (value === undefined || (!always.includes(name) && value === off[name])) return []
    return [optionWords(flagOf(name), value)]
  })
  return `toeplitz features ${words.join(' ')}`
}

/** The action behind `toeplitz features`; gives the exit code. */
export async function featuresCommand(
  options: FeaturesOptions,
  { stdout }: { readonly stdout: ProgressStream } = process,
): Promise<number> {
  const note = outputTo(stdout).line
  const interrupt = new Interrupt('SIGINT', 'SIGTERM')
  const folder = await takeFolder(options, note)
  try {
    await startCore(options.threads, note)
    const { method, data: name, dataDir, images } = options
    // Settings are of their own, so that none but the size of the pictures is to be chosen.
    const given = new Set(['epochs', 'lr', ...(options.imageSize > 0 ? ['imageSize'] : [])])
    const { settings, lines, own, pictures } = await choose(settingsOf(options), given)
    for (const line of [lines.imageSize, lines.channels]) if (line !== undefined) note(line)
    const onSkip = ({ message }: Error): void => {
      note(`warning: ${message}; skipped`)
    }
    const all = await loadData(name, { ...settings, ...pictures, dataDir, onSkip, note })
    const training = images > 0 && images < all.training.size ? imageRange(all.training, 0, images) : all.training
    const data = { ...all, training }
    const model = modelFor(options, settings, training, own)
    note(
      `${method} filters for ${settings.model} on ${name}: ${training.size} training, ${data.validation.size} validation, ${data.test.size} test images; results in ${folder.path}`,
    )
    const made = await makeFeatures(model, { data, settings, options, stdout, interrupt })
    if (!made) {
      note('Interrupted; nothing was written.')
      return exitCodes.interrupted
    }
    const digest = (await isA('directory', name)) ? (await fingerprintOf(all, name)).digest : undefined
    await writeResults(folder, model, { data, settings, options, made, digest, note })
    model.dispose()
    return exitCodes.success
  } finally {
    folder.close()
    interrupt.stop()
  }
}

interface Work {
  readonly data: Data
  readonly settings: RunSettings
  readonly options: FeaturesOptions
  readonly stdout: ProgressStream
  readonly interrupt: Interrupt
}

/** Seconds that each part of the work took, how the filters learned, and what training the classifier gave. */
interface Made {
  readonly learning: readonly LayerLearning[]
  readonly seconds: { readonly filters: number; readonly features: number; readonly classifier: number }
  readonly epochs: readonly EpochEvent[]
  readonly features: readonly number[]
}

/** Fills the filters, computes the features and trains the classifier; undefined where that was interrupted. */
async function makeFeatures(model: Graph, work: Work): Promise<Made | undefined> {
  const { data, settings, options, stdout, interrupt } = work
  const note = outputTo(stdout).line
  const { signal } = interrupt
  interrupt.onFinishing = () => {
    note('Finishing the step in progress. Ctrl-C again ends at once.')
  }
  const { preprocessing } = factsOf(settings, data)
  const [examples, validation] = [data.training, data.validation].map((source) =>
    imageExamples(source, preprocessing),
  ) as [ReturnType<typeof imageExamples>, ReturnType<typeof imageExamples>]
  const progress = calmly(note)
  try {
    const began = performance.now()
    const learning = await fillFilters(model, examples, { ...options, signal, note, progress })
    const until = lastFilled(model)
    const filled = performance.now()
    const extract = (from: typeof examples): Promise<FeatureExamples<Int32Array>> =>
      extractFeatures(model, until, from, {
        signal,
        onBatch: (done) => {
          progress(`features of ${done} of ${from.size} images`)
        },
      })
    const features = { training: await extract(examples), validation: await extract(validation) }
    const extracted = performance.now()
    note(`features of ${features.training.size} images: ${features.training.shape.join(' × ')} numbers each`)
    const epochs = await trainHead(model, until, features, work)
    if (!epochs) return undefined
    const frozen = new Set(
      model.nodes.slice(0, model.nodes.findIndex(({ name }) => name === until) + 1).map(({ layer }) => layer),
    )
    model.freeze((layer) => frozen.has(layer))
    const seconds = (from: number, to: number): number => Math.round((to - from) / 100) / 10
    return {
      learning,
      seconds: {
        filters: seconds(began, filled),
        features: seconds(filled, extracted),
        classifier: seconds(extracted, performance.now()),
      },
      epochs,
      features: features.training.shape,
    }
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

/** Trains what comes behind the features; undefined where that was interrupted. */
async function trainHead(
  model: Graph,
  until: string,
  {
    training,
    validation,
  }: { readonly training: FeatureExamples<Int32Array>; readonly validation: FeatureExamples<Int32Array> },
  { settings, stdout, interrupt }: Work,
): Promise<readonly EpochEvent[] | undefined> {
  const { epochs, batchSize, lr, weightDecay, seed } = settings
  const head = headOf(model, until)
  const optimizer = new Adam(head.parameters(), { lr, weightDecay })
  const progress = createProgress(stdout)
  const stepsPerEpoch = Math.ceil(training.size / batchSize)
  const began = performance.now()
  let examples = 0
  const onStep = ({ epoch, step, running }: StepEvent): void => {
    examples += batchSize
    const imagesPerSecond = examples / ((performance.now() - began) / 1000)
    progress.step({ epoch, step, loss: running.loss, accuracy: running.metrics['accuracy'] ?? 0, imagesPerSecond })
  }
  const onEpoch = (event: EpochEvent): void => {
    progress.epoch({
      epoch: event.epoch,
      trainingLoss: event.training.loss,
      trainingAccuracy: event.training.metrics['accuracy'] ?? 0,
      validationLoss: event.validation?.loss ?? null,
      validationAccuracy: event.validation?.metrics['accuracy'] ?? null,
      seconds: event.seconds,
      imagesPerSecond: event.examplesPerSecond,
    })
  }
  progress.start({ epochs, stepsPerEpoch, batchSize, firstStep: 0 })
  interrupt.onFinishing = () => {
    progress.note('Finishing the step in progress. Ctrl-C again ends at once.')
  }
  try {
    const history = await fit(head, training, {
      ...{ epochs, batchSize, seed, optimizer, validation, loss: lossFor(model), metrics: { accuracy } },
      schedule: learningRates(settings, epochs * stepsPerEpoch),
      callbacks: { onStep, onEpoch },
      signal: interrupt.signal,
    })
    return history.stopped === 'aborted' ? undefined : history.epochs
  } finally {
    progress.stop()
    optimizer.dispose()
  }
}

interface Results extends Omit<Work, 'stdout' | 'interrupt'> {
  readonly made: Made
  /** Of the pictures of a folder, all of them: `evaluate` measures those that were held out only where it finds the same. */
  readonly digest: string | undefined
  readonly note: Note
}

/** Tests the model, and writes it with its filters and the record of how it was made. */
async function writeResults(
  folder: Folder,
  model: Graph,
  { data, settings, options, made, digest, note }: Results,
): Promise<void> {
  const facts = factsOf(settings, data)
  const { images, loss, wrong, top5Errors } = await measure(model, data.test, facts.preprocessing)
  const weights = encodeModel(model, facts)
  const sha256 = createHash('sha256').update(weights).digest('hex')
  const [first] = convolutionsOf(model)
  const filters = first?.layer.tensors().get('weight') as Tensor
  const record = {
    name: `${options.method}-${nameOf(settings)}`,
    command: commandOf(options),
    method: options.method,
    model: settings.model,
    data: settings.data,
    ...(digest === undefined ? {} : { digest }),
    seed: settings.seed,
    filters: filters.shape,
    features: made.features,
    ...(made.learning.length > 0 ? { learning: made.learning } : {}),
    test_error: wrong.length / images,
    ...top5Record(images, top5Errors),
    test: { images, errors: wrong.length, loss },
    training_images: data.training.size,
    epochs: made.epochs.map(({ epoch, training, validation }) => ({
      epoch,
      trainingLoss: training.loss,
      trainingAccuracy: training.metrics['accuracy'],
      validationLoss: validation?.loss,
      validationAccuracy: validation?.metrics['accuracy'],
    })),
    seconds: made.seconds,
    sha256,
    machine: machineRecord(),
  }
  await folder.check()
  const paths = {
    weights: await folder.write(names.weights, weights),
    filters: await folder.write(names.filters, encodePng(filterGrid(filters, { zoom: 4, normalize: 'each' }))),
  }
  const described = { ...describeModel(model, facts), weights: { file: names.weights, sha256 } }
  await folder.write(names.model, encodeModelFile(described))
  await folder.write(names.record, `${JSON.stringify(record, null, 2)}\n`)
  const { filters: learning, features: extraction, classifier } = made.seconds
  errorLines(images, wrong.length, top5Errors).forEach(note)
  note(
    `time         ${learning} s for the filters, ${extraction} s for the features, ${classifier} s for the classifier`,
  )
  note(`filters      ${paths.filters}`)
  note(`weights      ${paths.weights}`)
  note(`SHA-256      ${sha256}`)
}
