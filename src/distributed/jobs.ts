/** What a job may say. Whoever can reach the queue can add jobs, so every field is checked before anything is made of it. */
import { FormatError } from '../runtime/errors.js'
import type { Simd } from '../runtime/core.js'
import { inWords } from '../runtime/text.js'
import { isName } from './store.js'

/** What every job has. */
interface Common {
  /** Release of the library that added the job. Another one may compute other bits. */
  readonly version: string
  /** The core that computes: relaxed instructions round otherwise. */
  readonly simd: Simd
}

/** A part of a training step. */
export interface JobPart {
  /** Name of the part's inputs and targets. */
  readonly part: string
  readonly examples: number
  /** Number of the pass. */
  readonly step: number
}

/** The gradients of some parts of a training step, which follow one another, and the sum of them. */
export interface GradientsJob extends Common {
  readonly type: 'gradients'
  /** Name of the run's description: model, loss, metrics, seed. */
  readonly run: string
  /** Name of the weights, a safetensors file. */
  readonly weights: string
  /** At most 256, so that a job stays small. */
  readonly parts: readonly JobPart[]
}

/** One trial of a search. */
export interface TrialJob extends Common {
  readonly type: 'trial'
  /** Name of the trial's description: a function of the worker's module, or a training. */
  readonly trial: string
  readonly values: Readonly<Record<string, number>>
  readonly number: number
  readonly round: number
  readonly seed: number
}

/** What a model sees in some pictures. */
export interface PredictJob extends Common {
  readonly type: 'predict'
  /** Name of the model, a model.safetensors. */
  readonly model: string
  /** Name of the pictures' bytes. */
  readonly pictures: string
  /** Classes for each picture. */
  readonly top: number
}

export type Job = GradientsJob | TrialJob | PredictJob

/** What a job gives: the name of its outcome in the store; of a trial, its score, as text where it is no finite number. */
export interface JobResult {
  readonly result?: string
  readonly score?: number | null
  readonly seconds: number
}

/** Parts of one job. */
export const MOST_PARTS = 256

type Check = (value: unknown) => boolean

const whole: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0
const positive: Check = (value) => whole(value) && value !== 0
const numbers: Check = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(Number.isFinite)
const isPart: Check = (value) => {
  const { part, examples, step, ...more } = Object(value) as Record<string, unknown>
  return isName(part) && whole(examples) && whole(step) && Object.keys(more).length === 0
}
const common: Readonly<Record<keyof Common | 'type', Check>> = {
  type: (value) => typeof value === 'string',
  version: (value) => typeof value === 'string' && value.length <= 64,
  simd: (value) => value === 'strict' || value === 'relaxed',
}
const fields: Readonly<Record<Job['type'], Readonly<Record<string, Check>>>> = {
  gradients: {
    ...{ ...common, run: isName, weights: isName },
    parts: (value) => Array.isArray(value) && value.length > 0 && value.length <= MOST_PARTS && value.every(isPart),
  },
  trial: { ...common, trial: isName, values: numbers, number: whole, round: whole, seed: whole },
  predict: { ...common, model: isName, pictures: isName, top: positive },
}

/** What a job gave, as it came back. @throws FormatError unless it has what jobs of this type give */
export function checkResult(type: Job['type'], value: unknown): JobResult {
  const { result, score, seconds } = Object(value) as Record<string, unknown>
  const isAnswer = type === 'trial' ? score === null || Number.isFinite(score) : isName(result)
  if (isAnswer && Number.isFinite(seconds)) return value as JobResult
  const due = type === 'trial' ? 'a score' : 'the name of a value'
  throw new FormatError(`job: ${type} gives ${due} and seconds, and came back with ${inWords(value)}`)
}

/** Bytes of a job's data: what it refers to lies in the store. */
const LARGEST = 64 * 1024

/**
 * A job that may run on this release and this core.
 * @throws FormatError where a field is missing, unknown or no value that it can have, or where release or core are others
 */
export function checkJob(data: unknown, own: { readonly version: string; readonly simd: Simd }): Job {
  const job = Object(data) as Record<string, unknown>
  const { type } = job
  if (typeof type !== 'string' || !Object.hasOwn(fields, type)) {
    throw new FormatError(`job: the type is one of ${Object.keys(fields).join(', ')}, given ${inWords(type)}`)
  }
  const due = fields[type as Job['type']]
  for (const name of Object.keys(job)) {
    if (!Object.hasOwn(due, name))
      throw new FormatError(`job: ${type} has no field ${JSON.stringify(name.slice(0, 64))}`)
  }
  for (const [name, check] of Object.entries(due)) {
    if (!check(job[name])) throw new FormatError(`job: ${type} cannot have ${inWords(job[name])} as ${name}`)
  }
  if (JSON.stringify(data).length > LARGEST) throw new FormatError(`job: more than ${LARGEST} bytes of data`)
  for (const name of ['version', 'simd'] as const) {
    if (job[name] === own[name]) continue
    throw new FormatError(`job: made for ${name} ${String(job[name])}, and this worker has ${own[name]}`)
  }
  return data as Job
}
