/**
 * Checkpoints: weights, optimizer state and the place in the run, in one safetensors file. Together with the settings
 * they hold everything that the rest of the run depends on.
 */
import { join } from 'node:path'
import {
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsInput,
  type SafetensorsTensor,
} from '../io/safetensors.js'
import type { Graph } from '../nn/graph.js'
import { readFileOrExplain, writeFileAtomically } from '../node/files.js'
import type { Optimizer } from '../optim/optimizer.js'
import { FormatError } from '../runtime/errors.js'
import type { FitState } from '../train/fit.js'
import { settingNames, type RunSettings } from './settings.js'

/** What a checkpoint holds besides tensors. */
export interface Progress {
  readonly settings: RunSettings
  readonly fit: FitState
  readonly optimizer: Readonly<Record<string, number>>
  /** Examples in the training split: a different number would mean other data. */
  readonly examples: number
  /** Seconds of training so far. */
  readonly seconds: number
  /** Length of metrics.jsonl, in bytes: what came after it belongs to no checkpoint. */
  readonly metricsBytes: number
}

export interface Checkpoint extends Progress {
  readonly path: string
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>
}

export const checkpointPath = (directory: string): string => join(directory, 'checkpoint.safetensors')

const FORMAT = 'toeplitz-checkpoint 2'

export async function writeCheckpoint(
  directory: string,
  model: Graph,
  optimizer: Optimizer,
  progress: Omit<Progress, 'optimizer'>,
): Promise<void> {
  const { tensors, numbers } = optimizer.state()
  const all: Record<string, SafetensorsInput> = {}
  for (const [name, tensor] of model.namedState()) all[`model.${name}`] = { shape: tensor.shape, data: tensor.data() }
  for (const [name, { shape, data }] of Object.entries(tensors)) all[`optimizer.${name}`] = { shape, data }
  const metadata = { format: FORMAT, progress: JSON.stringify({ ...progress, optimizer: numbers }) }
  await writeFileAtomically(checkpointPath(directory), encodeSafetensors(all, metadata))
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const allNumbers = (value: unknown): boolean =>
  isObject(value) && Object.values(value).every((item) => typeof item === 'number')

function isProgress(value: unknown): value is Progress {
  if (!isObject(value) || !isObject(value['settings']) || !isObject(value['fit'])) return false
  const { settings, fit, optimizer, examples, seconds, metricsBytes } = value
  const { sums } = fit as { sums?: unknown }
  const settingsFit = settingNames.every((name) => ['string', 'number'].includes(typeof settings[name]))
  const sumsFit =
    isObject(sums) &&
    typeof sums['examples'] === 'number' &&
    typeof sums['loss'] === 'number' &&
    allNumbers(sums['metrics'])
  const numbersFit = [examples, seconds, metricsBytes, (fit as { step?: unknown }).step].every(
    (item) => typeof item === 'number' && item >= 0,
  )
  return settingsFit && sumsFit && numbersFit && allNumbers(optimizer)
}

/** @throws FormatError when there is no checkpoint, or it is damaged. */
export async function readCheckpoint(directory: string): Promise<Checkpoint> {
  const path = checkpointPath(directory)
  const { tensors, metadata } = decodeSafetensors(await readFileOrExplain(path), path)
  if (metadata['format'] !== FORMAT)
    throw new FormatError(`${path}: not a checkpoint of this version; expected '${FORMAT}' in its header`)
  let progress: unknown
  try {
    progress = JSON.parse(metadata['progress'] ?? '')
  } catch {
    progress = undefined
  }
  if (!isProgress(progress))
    throw new FormatError(`${path}: the header does not tell where the run stood; start the run again without --resume`)
  return { ...progress, path, tensors }
}

/** Puts a checkpoint's numbers into a model and an optimizer. @throws FormatError when they do not fit. */
export function restore(checkpoint: Checkpoint, model: Graph, optimizer: Optimizer): void {
  const part = (prefix: string): Map<string, SafetensorsTensor> =>
    new Map(
      [...checkpoint.tensors]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
    )
  model.assign(part('model.'), checkpoint.path)
  try {
    optimizer.loadState({
      tensors: Object.fromEntries(
        [...part('optimizer.')].map(([name, { shape, data }]) => [name, { shape, data: data as Float32Array }]),
      ),
      numbers: checkpoint.optimizer,
    })
  } catch (error) {
    throw new FormatError(`${checkpoint.path}: ${(error as Error).message}`, { cause: error })
  }
}
