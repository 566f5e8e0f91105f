/** Descriptions that jobs refer to, as JSON in the store: what all parts of a run and all trials of a search have in common. */
import { jsonOf, parseJson } from '../formats/json.js'
import { FormatError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'

/** The description of a training run. */
export interface RunDescription {
  readonly model: { readonly type: string }
  readonly parameters: readonly string[]
  readonly loss: string
  readonly metrics: Readonly<Record<string, string>>
  readonly seed: number
  readonly module?: string
}

/** The description of a trial. */
export interface TrialDescription {
  readonly trial: string
  readonly module?: string
  /** Values that all trials have. */
  readonly shared?: unknown
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string'
const isRecord: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const runFields: Readonly<Record<keyof RunDescription, Check>> = {
  model: isRecord,
  parameters: (value) => Array.isArray(value) && value.every(isText),
  loss: isText,
  metrics: (value) => isRecord(value) && Object.values(value as object).every(isText),
  seed: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  module: (value) => value === undefined || isText(value),
}
const trialFields: Readonly<Record<keyof TrialDescription, Check>> = {
  trial: isText,
  module: runFields.module,
  shared: () => true,
}

function read(bytes: Uint8Array, what: string, fields: Readonly<Record<string, Check>>): unknown {
  const found = Object(parseJson(new TextDecoder().decode(bytes), what)) as Record<string, unknown>
  for (const [name, check] of Object.entries(fields)) {
    if (!check(found[name])) throw new FormatError(`${what}: the description has ${inWords(found[name])} as ${name}`)
  }
  return found
}

export const encodeDescription = (description: RunDescription | TrialDescription): Uint8Array =>
  new TextEncoder().encode(jsonOf(description))

/** @throws FormatError unless the bytes are the description of a run */
export const decodeRun = (bytes: Uint8Array): RunDescription => read(bytes, 'run', runFields) as RunDescription

/** @throws FormatError unless the bytes are the description of a trial */
export const decodeTrial = (bytes: Uint8Array): TrialDescription =>
  read(bytes, 'trial', trialFields) as TrialDescription
