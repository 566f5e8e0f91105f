/**
 * Models as files: an architecture, and what is needed to use its weights on pictures. It stands in the header of the
 * weights file, so that one file is a whole model, and in a model.json beside it, for reading.
 */
import { modelFromJSON } from '../nn/registry.js'
import type { Graph } from '../nn/graph.js'
import { FormatError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { decodeSealedJson, encodeSealedJson, parseJson } from './json.js'
import { openSafetensors } from './safetensors.js'

/** What a model is, besides its weights. */
export interface ModelDescription {
  /** Tells the description from others. */
  readonly format: 'toeplitz-model'
  /** Version of the format. */
  readonly version: 1
  /** A name for people. */
  readonly name: string
  /** What `toJSON` of the model gave: `type` is Sequential or Graph. */
  readonly architecture: { readonly type: string }
  /** Pixels become (pixel / 255 − mean) / std; one number for all channels, or one for each. */
  readonly normalization: {
    readonly mean: number | readonly number[]
    readonly std: number | readonly number[]
  }
  /** Names of the outputs. */
  readonly classes: readonly string[]
}

/** A model.json. */
export interface ModelFile extends ModelDescription {
  /** The file with the weights, beside this one, and the SHA-256 of its bytes. */
  readonly weights: { readonly file: string; readonly sha256: string }
}

/** The key of the description in the header of a safetensors file. */
const metadataKey = 'toeplitz-model'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isFinite = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** The text of a model.json, indented for reading, with a checksum over all of it. */
export const encodeModelFile = (file: ModelFile): string => encodeSealedJson(file)

/** What is known of a model before its weights: all but its architecture, which the model itself tells. */
export type ModelFacts = Pick<ModelDescription, 'name' | 'normalization' | 'classes'>

/** The description of a model. */
export const describeModel = (model: Graph, { name, normalization, classes }: ModelFacts): ModelDescription => ({
  format: 'toeplitz-model',
  version: 1,
  name,
  architecture: model.toJSON(),
  normalization,
  classes,
})

/**
 * A whole model in one file: its weights as safetensors, with its description in the header and a checksum over all of it.
 */
export const encodeModel = (model: Graph, facts: ModelFacts): Uint8Array => {
  const description = checkDescription(describeModel(model, facts), 'encodeModel')
  return model.save({ [metadataKey]: JSON.stringify({ ...description, sealed: true }) })
}

/**
 * Reads a whole model: what `encodeModel` writes, and the model.safetensors of a training run.
 * @throws FormatError that names the file and the part that does not fit.
 */
export function decodeModel(
  bytes: Uint8Array,
  name: string,
): { readonly file: ModelDescription; readonly model: Graph } {
  const { metadata, tensors, verified } = openSafetensors(bytes, name)
  if (!Object.hasOwn(metadata, metadataKey)) {
    throw new FormatError(`${name}: the file holds weights without their architecture; was it saved as a whole model?`)
  }
  const where = `${name}: ${metadataKey} in its header`
  const { sealed, ...file } = checkDescription(parseJson(metadata[metadataKey] as string, where), where)
  if (sealed === true && !verified) throw new FormatError(`${name}: the file is damaged: its checksum is missing`)
  const model = makeModel(file, name)
  try {
    model.assign(tensors, name)
  } catch (error) {
    model.dispose()
    throw error
  }
  return { file, model }
}

/**
 * Reads a model.json and makes its model, with initial weights.
 * @throws FormatError that names the file and the part that does not fit.
 */
export function decodeModelFile(text: string, name: string): { readonly file: ModelFile; readonly model: Graph } {
  const file = checkDescription(decodeSealedJson(text, name), name) as Partial<ModelFile> & ModelDescription
  const { weights } = file
  if (
    !isObject(weights) ||
    typeof weights.file !== 'string' ||
    !/^[^/\\]+$/.test(weights.file) ||
    weights.file === '..'
  ) {
    throw new FormatError(`${name}: weights.file must be the name of a file beside this one`)
  }
  if (typeof weights.sha256 !== 'string') throw new FormatError(`${name}: weights.sha256 must be a text`)
  return { file: { ...file, weights }, model: makeModel(file, name) }
}

/** A description as it stands in a file: `sealed` says that the file was written with a checksum. */
type WrittenDescription = ModelDescription & { readonly sealed?: unknown }

function checkDescription(value: unknown, name: string): WrittenDescription {
  const wrong = (what: string): never => {
    throw new FormatError(`${name}: ${what}`)
  }
  if (!isObject(value) || value['format'] !== 'toeplitz-model') wrong("expected an object with format 'toeplitz-model'")
  const file = value as Record<string, unknown>
  if (file['version'] !== 1) wrong(`version ${inWords(file['version'])} is not known; this release reads version 1`)
  if (typeof file['name'] !== 'string') wrong('name must be a text')
  const normalization = file['normalization']
  const numbers = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value])
  if (
    !isObject(normalization) ||
    !numbers(normalization['mean']).every(isFinite) ||
    !numbers(normalization['std']).every((std) => isFinite(std) && std > 0)
  ) {
    wrong('normalization must have a finite mean and a std above 0, or a list of one for each channel')
  }
  const classes = file['classes']
  if (!Array.isArray(classes) || !classes.every((label) => typeof label === 'string'))
    wrong('classes must be a list of names')
  return file as unknown as WrittenDescription
}

/** The model of a description, with initial weights. */
function makeModel({ architecture, classes, normalization }: ModelDescription, name: string): Graph {
  const model = modelFromJSON(architecture, `${name}: architecture`)
  const wrong = (what: string): FormatError => new FormatError(`${name}: ${what}`)
  try {
    const { input } = model
    if (!input) throw wrong('architecture.input must be the shape of one input')
    for (const name of ['mean', 'std'] as const) {
      const values = normalization[name]
      if (typeof values !== 'number' && input.length === 3 && values.length !== input[0]) {
        throw wrong(`normalization.${name} has ${values.length} numbers, but the model takes ${input[0]} channels`)
      }
    }
    const outputs = model.outputShape()
    if (outputs.length !== 1 || outputs[0] !== classes.length) {
      throw wrong(`the model has outputs (${outputs.join(', ')}), but there are ${classes.length} classes`)
    }
    return model
  } catch (error) {
    model.dispose()
    throw error
  }
}
