/**
 * Checkpoints: weights, optimizer state, the best weights so far and the place in the run, in one safetensors file with a
 * checksum over all of it. Together with the data they hold everything that the rest of the run depends on.
 */
import { parseJson } from '../../formats/json.js'
import { knownLayers as layers } from '../../models/knownLayers.js'
import { modelOfDescription, type ModelDescription } from '../../io/model-file.js'
import {
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsInput,
  type SafetensorsTensor,
} from '../../formats/safetensors.js'
import type { Graph } from '../../nn/graph.js'
import { checkState } from '../../nn/state.js'
import { largestFile, readFileOrExplain, writeFileAtomically } from '../../node/files.js'
import type { Optimizer } from '../../optim/optimizer.js'
import { FormatError, UnsupportedError } from '../../runtime/errors.js'
import type { Tensor } from '../../tensor/tensor.js'
import type { FitState } from '../../train/options.js'
import { settingParsers } from '../options.js'
import { flagOf, isModelFile, settingNames, trainDefaults, type RunSettings } from '../settings.js'
import type { MetricsPosition } from './metrics.js'

/** What a checkpoint holds besides tensors. */
export interface Progress {
  readonly settings: RunSettings
  readonly fit: FitState
  readonly optimizer: Readonly<Record<string, number>>
  /** What the model is, with its classes and its preprocessing: to use it before the run has ended. */
  readonly description: ModelDescription
  /** The data that the run is on: how many examples it trains with, and the digest of its fingerprint. */
  readonly data: { readonly training: number; readonly digest: string }
  /** Seconds of training so far. */
  readonly seconds: number
  /** What epochs the run had been given whenever it ended before, and was extended. */
  readonly extended: readonly number[]
  readonly metrics: MetricsPosition
}

/** Copies of a model's weights by name, as they were after an epoch. */
export type Weights = ReadonlyMap<string, Floats>

interface Floats {
  readonly dtype: 'F32'
  readonly shape: readonly number[]
  readonly data: Float32Array
}

export interface Checkpoint extends Progress {
  readonly path: string
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>
}

const FORMAT = 'toeplitz-checkpoint 5'

/** Tensors of a checkpoint are named after what they belong to. */
const kinds = { model: 'model.', optimizer: 'optimizer.', best: 'best.' } as const

/** Copies of all that a model has learned. */
export const weightsOf = (model: Graph): Weights =>
  new Map(
    [...model.namedState()].map(([name, tensor]) => [name, { dtype: 'F32', shape: tensor.shape, data: tensor.data() }]),
  )

/** Writes a checkpoint. `best` are the weights of the best epoch so far, where training may stop early. */
export async function writeCheckpoint(
  path: string,
  {
    model,
    optimizer,
    best,
  }: { readonly model: Graph; readonly optimizer: Optimizer; readonly best?: Weights | undefined },
  progress: Omit<Progress, 'optimizer'>,
): Promise<void> {
  const { tensors, numbers } = optimizer.state()
  const all: Record<string, SafetensorsInput> = {}
  for (const [name, tensor] of weightsOf(model)) all[kinds.model + name] = tensor
  for (const [name, tensor] of Object.entries(tensors)) all[kinds.optimizer + name] = tensor
  for (const [name, tensor] of best ?? []) all[kinds.best + name] = tensor
  const metadata = { format: FORMAT, progress: JSON.stringify({ ...progress, optimizer: numbers }) }
  await writeFileAtomically(path, encodeSafetensors(all, metadata, { checksum: true }))
}

/**
 * Checks before training that the checkpoints of a run can be read back.
 * @throws UnsupportedError when they would be larger than `largest` bytes
 */
export function checkSize(
  { model, optimizer }: { readonly model: Graph; readonly optimizer: Optimizer },
  { earlyStopping, optimizer: name }: RunSettings,
  largest = largestFile,
): void {
  const bytesOf = (tensors: Iterable<Pick<Tensor, 'size'>>): number =>
    [...tensors].reduce((sum, { size }) => sum + 4 * size, 0)
  const weights = bytesOf(model.namedState().values())
  const state = Object.values(optimizer.state().tensors).reduce((sum, { data }) => sum + data.byteLength, 0)
  // The header takes some hundred bytes for each tensor: a sixteenth of a GiB is more than any model needs.
  const bytes = weights * (earlyStopping > 0 ? 2 : 1) + state + 2 ** 26
  if (bytes <= largest) return
  const ways = [
    'a smaller model',
    name === 'sgd' ? '--momentum 0' : '--optimizer sgd --momentum 0',
    ...(earlyStopping > 0 ? ['--early-stopping 0'] : []),
  ]
  const gigabytes = (count: number): string => `${(count / 2 ** 30).toFixed(1)} GiB`
  throw new UnsupportedError(
    `a checkpoint of this run would take ${gigabytes(bytes)}, and at most ${gigabytes(largest)} can be read back; ` +
      `choose ${ways.slice(0, -1).join(', ')} or ${ways.at(-1)}`,
  )
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isCount = (value: unknown): boolean => isNumber(value) && Number.isSafeInteger(value) && value >= 0
const isDigest = (value: unknown): boolean => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
const areNumbers = (value: unknown): boolean => isObject(value) && Object.values(value).every(isNumber)

function isFitState(value: unknown): value is FitState {
  if (!isObject(value) || !isCount(value['step']) || !isObject(value['sums'])) return false
  const { sums, best, run } = value
  const { examples, loss, metrics } = sums
  const bestFits = best === undefined || (isObject(best) && isCount(best['epoch']) && isNumber(best['value']))
  const runFits =
    run === undefined ||
    (isObject(run) &&
      [run['examples'], run['batchSize'], run['seed'], run['model']].every(isCount) &&
      typeof run['dropLast'] === 'boolean')
  return isCount(examples) && isNumber(loss) && areNumbers(metrics) && bestFits && runFits
}

function isProgress(value: unknown): value is Progress {
  if (!isObject(value)) return false
  const { settings, fit, optimizer, description, data, seconds, extended, metrics } = value
  return (
    isObject(settings) &&
    isFitState(fit) &&
    areNumbers(optimizer) &&
    isObject(description) &&
    isObject(data) &&
    isCount(data['training']) &&
    isDigest(data['digest']) &&
    isNumber(seconds) &&
    seconds >= 0 &&
    Array.isArray(extended) &&
    extended.every(isCount) &&
    isObject(metrics) &&
    isCount(metrics['bytes']) &&
    isDigest(metrics['sha256'])
  )
}

/** What is wrong with the settings of a checkpoint, checked as those of a command line are; undefined when nothing is. */
function wrongSetting(settings: Readonly<Record<string, unknown>>): string | undefined {
  for (const name of settingNames) {
    const value = settings[name]
    const wrong = (why: string): string => `${flagOf(name)} is ${JSON.stringify(value) ?? 'missing'}: ${why}`
    // The folder of the data is looked for when it is opened, and a model of a file is in the checkpoint.
    if (name === 'data' || (name === 'model' && typeof value === 'string' && isModelFile(value))) {
      if (typeof value !== 'string') return wrong('It must be a name.')
      continue
    }
    try {
      if (settingParsers[name](String(value)) !== value) return wrong('It is of another type.')
    } catch (error) {
      return wrong((error as Error).message)
    }
  }
  return undefined
}

const advice = 'start the run again without --resume'

/** Whether a safetensors file says that it is a checkpoint, of this version or another. */
export const isCheckpoint = (bytes: Uint8Array): boolean =>
  new TextDecoder().decode(bytes.subarray(8, 8 + 4096)).includes(`"format":"${FORMAT.split(' ')[0]}`)

/** @throws FormatError when there is no checkpoint, or it is damaged. */
export const readCheckpoint = async (path: string): Promise<Checkpoint> =>
  decodeCheckpoint(await readFileOrExplain(path), path)

/** @throws FormatError when it is damaged, or no checkpoint */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const { tensors, metadata, verified } = decodeSafetensors(bytes, path)
  if (metadata['format'] !== FORMAT || !verified)
    throw new FormatError(
      `${path}: damaged, or not a checkpoint of this version: expected '${FORMAT}' and a checksum in its header; ${advice}`,
    )
  const progress = parseJson(metadata['progress'] ?? 'null', `${path}: progress in its header`)
  if (!isProgress(progress)) throw new FormatError(`${path}: the header does not tell where the run stood; ${advice}`)
  // Older checkpoints do not say how weights are stored, what a trained model goes on with, and that a batch is not divided.
  const { dtype, from, freeze, headOnly, unfreeze, lrHead, parts } = trainDefaults
  const settings = {
    dtype,
    from,
    freeze,
    headOnly,
    unfreeze,
    lrHead,
    parts,
    ...(progress.settings as Partial<RunSettings>),
  } as RunSettings
  const wrong = wrongSetting(settings)
  if (wrong !== undefined) throw new FormatError(`${path}: ${wrong} ${advice}`)
  return { ...progress, settings, path, tensors }
}

/** The tensors of a kind, by their own names. */
function part({ path, tensors }: Checkpoint, prefix: string): Map<string, Floats> {
  const floats = new Map<string, Floats>()
  for (const [name, { dtype, shape, data }] of tensors) {
    if (!name.startsWith(prefix)) continue
    if (dtype !== 'F32') throw new FormatError(`${path}: ${name} is ${dtype}, not F32; ${advice}`)
    floats.set(name.slice(prefix.length), { dtype, shape, data: data as Float32Array })
  }
  return floats
}

/**
 * Puts a checkpoint's numbers into a model and an optimizer, and gives the weights of the best epoch, if it has any.
 * @throws FormatError when they do not fit; neither has changed then
 */
export function restore(checkpoint: Checkpoint, model: Graph, optimizer: Optimizer): Weights | undefined {
  const { path, fit } = checkpoint
  const best = part(checkpoint, kinds.best)
  const weights = part(checkpoint, kinds.model)
  if (fit.best !== undefined && best.size === 0) {
    throw new FormatError(`${path}: the weights of the best epoch are missing; ${advice}`)
  }
  const needed = new Map([...model.namedState()].map(([name, { shape }]) => [name, shape]))
  for (const given of best.size > 0 ? [weights, best] : [weights]) checkState(needed, given, path)
  try {
    optimizer.loadState({
      tensors: Object.fromEntries(part(checkpoint, kinds.optimizer)),
      numbers: checkpoint.optimizer,
    })
  } catch (error) {
    throw new FormatError(`${path}: ${(error as Error).message}`, { cause: error })
  }
  model.assign(weights, path)
  return best.size > 0 ? best : undefined
}

/**
 * The model that a run would end with if it ended at its checkpoint: with the weights of the best epoch, where these are kept.
 * @throws FormatError when the description or the weights are damaged
 */
export function modelOf(checkpoint: Checkpoint): { readonly file: ModelDescription; readonly model: Graph } {
  const { path, description } = checkpoint
  const best = part(checkpoint, kinds.best)
  const described = modelOfDescription(description, `${path}: description in its header`, { layers })
  try {
    described.model.assign(best.size > 0 ? best : part(checkpoint, kinds.model), path)
  } catch (error) {
    described.model.dispose()
    throw error
  }
  return described
}
