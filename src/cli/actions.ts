/** What the commands are asked for, as it was typed and read, and what a process ends with. */
import type { PictureLimits } from '../formats/limits.js'
import type { Fit } from '../io/planar.js'
import type { NamedShapes, Values } from './options.js'
import type { TrainSettings } from './settings.js'

export interface TrainOptions extends TrainSettings {
  readonly debug: boolean
  /** The settings that were typed, as opposed to defaults: a resumed run takes the others from its checkpoint. */
  readonly given: ReadonlySet<keyof TrainSettings>
}

/** Options of the commands that print JSON where it is asked for. */
export interface SummaryOptions {
  readonly json: boolean
  readonly debug: boolean
}

/** Options of the commands that look at a model, with extents of the inputs of one of another library. */
export interface InspectOptions extends SummaryOptions {
  readonly shape?: NamedShapes
}

/** Options of `toeplitz run`. */
export interface RunOptions extends SummaryOptions, Required<PictureLimits> {
  /** `name=path`, or a path alone. */
  readonly input: readonly string[]
  /** Names of values; of none all outputs. */
  readonly output: readonly string[]
  readonly top?: number
  readonly labels?: string
  readonly save?: string
  readonly fit: Fit
  readonly order: 'rgb' | 'bgr'
  readonly resize?: number
  /** Left out, 1/255, and 1 where the model takes bytes. */
  readonly scale?: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** Options of the commands that give pictures to a trained model; larger pictures than the limits are not read. */
interface PicturesOptions extends SummaryOptions, Required<PictureLimits> {
  /** Pictures that are computed together. */
  readonly batchSize: number
}

export interface PredictOptions extends PicturesOptions {
  /** Address of the queue whose workers compute; left out, this process does. */
  readonly redis?: string
  /** Classes for each picture; left out, the action decides. */
  readonly top?: number
  readonly csv: boolean
}

/** With `strict`, a damaged picture ends the command; left out, it is skipped. */
export type EvaluateOptions = PicturesOptions & Pick<TrainSettings, 'strict' | 'dataDir'>

/** Options of `toeplitz look`. */
export interface LookOptions extends Required<PictureLimits>, Pick<TrainSettings, 'strict' | 'dataDir'> {
  /** The page that is written. */
  readonly out: string
  /** Names of layers of feature maps; of none, some convolutions. */
  readonly layer: readonly string[]
  /** Name of a data set, or a folder; left out, that of the run. */
  readonly data?: string
  /** Pictures of it that are passed through the model. */
  readonly images: number
  /** Seed of the noise. */
  readonly seed: number
  readonly debug: boolean
}

/** Which layers `toeplitz quantize` computes in integers: those that are faster so, or all that can be. */
export const quantizedLayers = ['fastest', 'all'] as const

/** Options of `toeplitz quantize`. */
export interface QuantizeCommandOptions extends PicturesOptions, Pick<TrainSettings, 'strict' | 'dataDir'> {
  /** Name of a data set, or a folder; left out, that of the run. */
  readonly data?: string
  /** Training pictures from which the ranges of values are found. */
  readonly examples: number
  readonly layers: (typeof quantizedLayers)[number]
  /** A pattern of names of layers that stay in float32. */
  readonly skip?: string
  /** The file that is written. */
  readonly out: string
  /** With it, a file of that name is replaced; left out, that is an error. */
  readonly force?: boolean
  /** Whether the test error is measured, before and after. */
  readonly test: boolean
  /** What becomes of the pixels of an .onnx file's pictures, as for `toeplitz run`: left out, 1/255, 0 and 1. */
  readonly scale?: number
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
}

/** Which pass `toeplitz explain` is about. */
export const explainPasses = ['forward', 'input-gradient', 'weight-gradient', 'all'] as const

export interface ExplainOptions extends InspectOptions {
  /** Inputs that are computed together. */
  readonly batch: number
  readonly pass: (typeof explainPasses)[number]
}

/** The settings of a run that a search takes as they are typed; its trials have the defaults of the others. */
type SearchSettings =
  'model' | 'data' | 'imageSize' | 'fit' | 'maxPixels' | 'maxBytes' | 'batchSize' | 'init' | 'augment'

/** With `force`, a search that is in the folder of `out` is replaced; left out, that is an error. */
export interface SearchOptions extends Pick<TrainSettings, SearchSettings | 'seed' | 'out' | 'force' | 'dataDir'> {
  readonly lr: Values
  readonly weightDecay: Values
  /** Trials in a round. */
  readonly trials: number
  readonly rounds: number
  /** Epochs of a trial in the first round; twice as many in the second, and so on. */
  readonly epochs: number
  /** Training images of a trial; 0 for all. */
  readonly images: number
}

/** How `toeplitz features` comes by the filters of a model. */
export const featureMethods = ['kmeans', 'random', 'gabor', 'dog', 'autoencoder', 'rbm', 'sparse'] as const
export type FeatureMethod = (typeof featureMethods)[number]

/** The settings of a run that features are made with; the classifier behind them is trained with Adam. */
type FeatureSettings =
  'model' | 'data' | 'imageSize' | 'fit' | 'maxPixels' | 'maxBytes' | 'epochs' | 'batchSize' | 'lr' | 'weightDecay'

/** With `force`, features that are in the folder of `out` are replaced; left out, that is an error. */
export interface FeaturesOptions extends Pick<
  TrainSettings,
  FeatureSettings | 'seed' | 'out' | 'force' | 'dataDir' | 'threads'
> {
  readonly method: FeatureMethod
  /** Filters of the network single-layer; left out, as many as suit the method. */
  readonly filters?: number
  /** Their extents in pixels; left out, those of the network. */
  readonly size?: number
  /** Parts of the picture in each direction over which their responses are averaged; left out, those of the network. */
  readonly grid?: number
  /** Patches that k-means and sparse coding learn from; left out, as many as suit the method. */
  readonly patches?: number
  /** Share of the places at which a filter responds. */
  readonly active: number
  /** Passes over the data of an autoencoder or a Boltzmann machine. */
  readonly pretrainEpochs: number
  /** Training images; 0 for all. */
  readonly images: number
}

/** Options of `toeplitz worker`. */
export interface WorkerCommandOptions {
  /** Address of Redis. */
  readonly redis: string
  /** Folder with the values of jobs; left out, Redis holds them. */
  readonly store?: string
  readonly threads: number
  readonly concurrency: number
  readonly module?: string
  readonly tries: number
  /** Seconds that a job may take. */
  readonly timeout: number
  /** Seconds after which a job of a worker that is gone is given to another. */
  readonly lock: number
}

/** Options of `toeplitz jobs`. */
export interface JobsOptions extends SummaryOptions {
  /** Address of Redis. */
  readonly redis: string
}

/** What a process ends with; `unread` is what shells tell of one that wrote where nobody reads: 128 and SIGPIPE's number. */
export const exitCodes = { success: 0, failure: 1, usage: 2, interrupted: 130, unread: 141 } as const
