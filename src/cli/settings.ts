/** What a training run is made of, as typed, and what is taken where nothing is typed. */
import { basename, resolve } from 'node:path'
import type { Fit } from '../io/planar.js'
import { defaultLimits } from '../formats/limits.js'
import { constant, cosine, step, warmup, type Schedule } from '../optim/schedule.js'
import { optionWords } from './shell.js'

/** Steps of rising learning rate: at most these, and at most a tenth of the run. */
const WARMUP_STEPS = 200

/** Images in one forward pass when measuring. */
export const evaluationBatch = 250

/** Pictures in a job of `predict`: their files travel, and photographs have megabytes. */
export const jobBatch = 32

/** How weights can be stored. */
export const storedTypes = ['float32', 'float16'] as const
type StoredType = (typeof storedTypes)[number]

/** How the learning rate falls. */
export const scheduleNames = ['cosine', 'step', 'constant'] as const
type ScheduleName = (typeof scheduleNames)[number]

/** What is taken where nothing is typed, for each optimizer; those without momentum do not have it. */
const optimizerDefaults = {
  sgd: { lr: 0.04, momentum: 0.9, weightDecay: 5e-4 },
  adam: { lr: 0.001, weightDecay: 0 },
  adamw: { lr: 0.001, weightDecay: 0.01 },
  rmsprop: { lr: 0.001, momentum: 0, weightDecay: 0 },
  adagrad: { lr: 0.01, weightDecay: 0 },
} as const
export type OptimizerName = keyof typeof optimizerDefaults
export const optimizerNames = Object.keys(optimizerDefaults) as readonly OptimizerName[]

/** Whether an optimizer keeps a share of its last update. */
export const hasMomentum = (name: OptimizerName): boolean => 'momentum' in optimizerDefaults[name]

export interface TrainSettings {
  /** Name of an architecture, or a file with one: what `toJSON` of a model gives, or a model.json. */
  readonly model: string
  /** Name of a data set, or a folder with one of pictures. */
  readonly data: string
  /** `none`, or a trained model that goes on: a run's folder, its model.json or its model.safetensors. */
  readonly from: string
  /** `none`, or a pattern of the names of layers that stay as they are. */
  readonly freeze: string
  /** Whether the last layer alone is trained. */
  readonly headOnly: boolean
  /** Whether layers that are frozen in the trained model learn again. */
  readonly unfreeze: boolean
  /** Highest learning rate of the last layer; 0 for that of the others. */
  readonly lrHead: number
  /** Height and width to which the pictures of a folder are brought; 0 for those of the first. */
  readonly imageSize: number
  /** How the pictures of a folder are brought to this size. */
  readonly fit: Fit
  /** Pictures of more pixels are damaged ones. */
  readonly maxPixels: number
  /** Files that take more bytes to decode are damaged ones. */
  readonly maxBytes: number
  readonly epochs: number
  readonly batchSize: number
  readonly optimizer: OptimizerName
  readonly lr: number
  readonly schedule: ScheduleName
  readonly momentum: number
  readonly weightDecay: number
  /** Initial weights: `default` (the model's own), or as `parseInitializer` reads them. */
  readonly init: string
  /** Random changes of the training images: `none`, or as `parseAugmentation` reads them. */
  readonly augment: string
  /** `none`, or the seed of the order into which the pixels of every picture are shuffled. */
  readonly permutePixels: string
  /** Largest L2 norm of the gradients; 0 for any. */
  readonly clipNorm: number
  /** Parts in which a batch passes through the model. */
  readonly accumulate: number
  /** Parts of a batch whose gradients are computed apart and added in an order that depends on their number; 1 for a whole batch. */
  readonly parts: number
  /** Epochs without improvement after which training ends; 0 for never. */
  readonly earlyStopping: number
  readonly seed: number
  /** How the weights are stored in the end; those of float16 are tested as they are stored. */
  readonly dtype: StoredType
  /** Folder for the results; left out, the action chooses one. */
  readonly out?: string
  /** Folder of the run to go on with; true when `--resume` was given without one. */
  readonly resume?: string | true
  /** Folder with the files of the data set; left out, the installed package. */
  readonly dataDir?: string
  /** Address of the queue whose workers compute the parts; left out, this process does. The bits are the same. */
  readonly redis?: string
  /** Threads to compute with; left out, one. The bits are the same for any number. */
  readonly threads?: number
  /** Whether a damaged picture ends the run; left out, it is skipped. */
  readonly strict?: boolean
  /** Whether a run that is in the folder of `out` is replaced; left out, that is an error. */
  readonly force?: boolean
  /** Whether the curves are written as TensorBoard reads them too; left out, they are not. */
  readonly tensorboard?: boolean
  /** Whether a run is resumed though its data is not what it was started on; left out, that is an error. */
  readonly acceptChangedData?: boolean
}

/** The settings that decide the bits of a run. */
export type RunSettings = Omit<
  TrainSettings,
  'out' | 'resume' | 'dataDir' | 'redis' | 'threads' | 'strict' | 'force' | 'tensorboard' | 'acceptChangedData'
>

/** What `toeplitz train` uses where nothing else is asked for. */
export const trainDefaults = {
  model: 'convnet',
  data: 'mnist',
  from: 'none',
  freeze: 'none',
  headOnly: false,
  unfreeze: false,
  lrHead: 0,
  imageSize: 0,
  fit: 'cover',
  ...defaultLimits,
  epochs: 2,
  batchSize: 64,
  optimizer: 'sgd',
  lr: optimizerDefaults.sgd.lr,
  schedule: 'cosine',
  momentum: optimizerDefaults.sgd.momentum,
  weightDecay: optimizerDefaults.sgd.weightDecay,
  init: 'default',
  augment: 'none',
  permutePixels: 'none',
  clipNorm: 0,
  accumulate: 1,
  parts: 1,
  earlyStopping: 0,
  seed: 1,
  dtype: 'float32',
} as const satisfies RunSettings

export const settingNames = Object.keys(trainDefaults) as readonly (keyof RunSettings)[]

/** Defaults that are better for a model on a data set, found by search; docs/training.md has the results. */
const recipes: Readonly<Record<string, Partial<RunSettings>>> = {
  'convnet/cifar10': { epochs: 20, lr: 0.03, augment: 'flip,shift=3' },
  'linear/cifar10': { epochs: 8, lr: 0.002, weightDecay: 1e-3 },
  'lenet5/mnist': { epochs: 16, lr: 0.01, weightDecay: 1e-4 },
  'lenet5-paper/mnist': { epochs: 16, lr: 0.005, weightDecay: 1e-4 },
  'two-layer/cifar10': { epochs: 12, lr: 0.02, augment: 'flip' },
}

/** The settings with a recipe's where none was typed. */
export function withRecipe<Settings extends RunSettings>(
  settings: Settings,
  given: ReadonlySet<keyof TrainSettings>,
): Settings {
  const { optimizer, model, data } = settings
  const recipe = settings.from === 'none' ? (recipes[`${model}/${data}`] ?? {}) : {}
  // Recipes were found with SGD: another optimizer takes other rates.
  const rates = { momentum: 0, ...optimizerDefaults[optimizer] }
  const better = optimizer === 'sgd' ? { ...rates, ...recipe } : { ...recipe, ...rates }
  return {
    ...settings,
    ...Object.fromEntries(Object.entries(better).filter(([name]) => !given.has(name as keyof RunSettings))),
  }
}

/** A run's name, as `convnet-mnist`. */
export const nameOf = ({
  model,
  data,
  from,
}: Pick<RunSettings, 'model' | 'data'> & Partial<Pick<RunSettings, 'from'>>): string =>
  `${(from ?? 'none') !== 'none' ? 'tuned' : isModelFile(model) ? basename(model).slice(0, -5) : model}-${folderName(data)}`

/** The last name of a path; of one that has none of its own, such as `..`, that of the folder it means. */
function folderName(path: string): string {
  const name = basename(path)
  return ['', '.', '..'].includes(name) ? basename(resolve(path)) : name
}

/** What the model of a run comes from: an architecture, a file with one, or a trained model that goes on. */
export const sourceOf = ({ model, from }: Pick<RunSettings, 'model' | 'from'>): string =>
  from === 'none' ? model : from

/** Whether a model is a file's. */
export const isModelFile = (model: string): boolean => /.\.json$/i.test(model)

/** `--weight-decay` for `weightDecay`. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/**
 * The command that makes a run, for a shell, without its folders; of one that was extended, the commands. What is switched off is
 * left out.
 */
export function commandOf(settings: RunSettings, extended: readonly number[] = []): string {
  const [first, ...later] = [...extended, settings.epochs]
  const { model, data, from } = settings
  // Which run it is follows from its model and its data.
  const begins = from === 'none' ? optionWords('--model', model) : optionWords('--from', from)
  const run = [begins, optionWords('--data', data)].join(' ')
  const more = later.map((epochs) => `toeplitz train ${run} --resume --epochs ${epochs}`)
  return [commandOfRun({ ...settings, epochs: first }), ...more].join(' && ')
}

/** A setting as it is typed: what is switched on needs no value. */
export const wordsOf = (name: string, value: string | number | boolean): string =>
  typeof value === 'boolean' ? flagOf(name) : optionWords(flagOf(name), value)

function commandOfRun(settings: RunSettings): string {
  const off: Partial<RunSettings> = {
    ...(settings.from === 'none' ? {} : { model: settings.model }),
    ...{ from: 'none', freeze: 'none', headOnly: false, unfreeze: false, lrHead: 0 },
    imageSize: 0,
    fit: 'cover',
    ...defaultLimits,
    optimizer: 'sgd',
    ...(hasMomentum(settings.optimizer) ? {} : { momentum: 0 }),
    init: 'default',
    augment: 'none',
    permutePixels: 'none',
    clipNorm: 0,
    accumulate: 1,
    parts: 1,
    earlyStopping: 0,
    dtype: 'float32',
  }
  const shown = settingNames.filter((name) => settings[name] !== off[name])
  return `toeplitz train ${shown.map((name) => wordsOf(name, settings[name])).join(' ')}`
}

/** A rise from 0, since the first weights are far from any good ones, and then the schedule by name. */
export function learningRates({ lr, schedule }: RunSettings, steps: number): Schedule {
  const rise = Math.min(WARMUP_STEPS, Math.floor(steps / 10))
  const after: Schedule = {
    // Half a cosine down to 0.
    cosine: () => cosine({ lr, steps: steps - rise }),
    // A tenth after each third.
    step: () => step({ lr, every: Math.ceil((steps - rise) / 3) }),
    constant: () => constant(lr),
  }[schedule]()
  return rise > 0 ? warmup(rise, after) : after
}
