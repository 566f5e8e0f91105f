/**
 * Models as files: an architecture, and what is needed to use its weights on pictures. It stands in the header of the
 * weights file, so that one file is a whole model, and in a model.json beside it, for reading.
 */
import { modelFromJSON, type ReadOptions } from '../nn/registry.js'
import type { Graph } from '../nn/graph.js'
import { ArgumentError, FormatError } from '../runtime/errors.js'
import { type FileBytes } from '../formats/limits.js'
import { checkModel, checkObject, wrongKind } from '../runtime/check.js'
import { floatsOfHalves, halvesOfFloats } from '../formats/elements.js'
import { inWords, named } from '../runtime/text.js'
import { decodeSealedJson, encodeSealedJson, jsonOf, parseJson } from '../formats/json.js'
import {
  checkNormalization,
  checkPreprocessing,
  digitPictures,
  normalizedPixels,
  type Normalization,
  type Preprocessing,
} from './preprocessing.js'
import { encodeSafetensors, openSafetensors, type SafetensorsInput } from '../formats/safetensors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { scaledTensors, unscaledTensors } from './scaledTensors.js'
import type { Tensor } from '../tensor/tensor.js'

/** What a model is, besides its weights. */
export interface ModelDescription {
  /** Tells the description from others. */
  readonly format: 'toeplitz-model'
  /** Version of the format: 2, or 1 without preprocessing. Files of version 1 get one when they are read. */
  readonly version: 1 | 2
  /** A name for people. */
  readonly name: string
  /** What `toJSON` of the model gave: `type` is Sequential or Graph. */
  readonly architecture: { readonly type: string }
  /** What becomes of a picture before the model sees it; absent where the model takes no pictures of 1 or 3 channels. */
  readonly preprocessing?: Preprocessing
  /** That of the preprocessing, where there is one. */
  readonly normalization: Normalization
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

/** A description as it stands in a file: what is derived is left out. */
function written<Description extends ModelDescription>(description: Description): Omit<Description, 'normalization'> {
  checkObject(description, 'the description', 'that of describeModel()')
  const { normalization, ...rest } = description
  return description.version === 1 ? { ...rest, normalization } : rest
}

/** The text of a model.json, indented for reading, with a checksum over all of it. */
export function encodeModelFile(file: ModelFile): string {
  checkCount('encodeModelFile', 1, arguments)
  return encodeSealedJson(written(file))
}

/**
 * What is known of a model before its weights: all but its architecture, which the model itself tells. With a normalization
 * alone, a picture is brought to the model's input as `plainPreprocessing` says.
 */
export type ModelFacts = Pick<ModelDescription, 'name' | 'classes'> &
  ({ readonly preprocessing: Preprocessing } | { readonly normalization: Normalization })

const factNames = { name: 0, classes: 0, preprocessing: 0, normalization: 0 } satisfies Names<
  Pick<ModelDescription, 'name' | 'classes' | 'preprocessing' | 'normalization'>
>

/**
 * The description of a model.
 * @throws ShapeError when the preprocessing contradicts itself or the model's input
 */
export function describeModel(model: Graph, facts: ModelFacts): ModelDescription {
  checkCount('describeModel', 2, arguments)
  checkModel(model, 'describeModel: the model')
  checkObject(facts, 'describeModel: the facts', '{ name, classes, normalization } or { name, classes, preprocessing }')
  checkKeys('describeModel: the facts', facts, factNames)
  const { name, classes } = facts
  const description = { format: 'toeplitz-model', name, architecture: model.toJSON() } as const
  const preprocessing =
    'preprocessing' in facts ? facts.preprocessing : preprocessingOf(model.input, facts.normalization)
  if (preprocessing === undefined) {
    const { normalization } = facts as { readonly normalization: Normalization }
    return { ...description, version: 1, normalization, classes }
  }
  checkPreprocessing(preprocessing, 'preprocessing')
  const contradiction = model.input && contradictionWith(model.input, preprocessing)
  if (contradiction !== undefined) throw new ArgumentError(`preprocessing: ${contradiction}`)
  return { ...description, version: 2, preprocessing, normalization: preprocessing.normalization, classes }
}

/** How pictures come to a model of which no more is known than its normalization; undefined where it takes none. */
function preprocessingOf(
  input: readonly number[] | undefined,
  normalization: Normalization,
): Preprocessing | undefined {
  const [C, H, W] = input ?? []
  if (input?.length !== 3 || (C !== 1 && C !== 3)) return undefined
  // Checked with all that is known of the file.
  return normalizedPixels([C, H as number, W as number], normalization)
}

/** What of a preprocessing does not fit the input of a model. */
function contradictionWith(input: readonly number[], { channels, size }: Preprocessing): string | undefined {
  const shape = [channels, ...size]
  if (shape.join() === input.join()) return undefined
  return `it gives pictures of (${shape.join(', ')}), but the model takes (${input.join(', ')})`
}

/**
 * The preprocessing of a file of version 1: models of MNIST were used with light grounds inverted and see only digits, which
 * are not to be cut; all others were trained with what `plainPreprocessing` says.
 */
function preprocessingOfVersion1(
  input: readonly number[] | undefined,
  { name, classes, normalization }: ModelDescription,
): Preprocessing | undefined {
  const plain = preprocessingOf(input, normalization)
  const readsDigits = plain?.channels === 1 && /mnist/i.test(name) && classes.join() === '0,1,2,3,4,5,6,7,8,9'
  return plain && readsDigits ? { ...plain, ...digitPictures } : plain
}

/** Options of `encodeModel`. */
export interface EncodeModelOptions {
  /**
   * How weights are stored. 'float32' (default): as they are. 'float16': rounded to the nearest of eleven bits, halfway to the even
   * one, in half the bytes; they are float32 again when they are read. 'int8': weights (K, …) of two axes or more as whole numbers from −127
   * to 127 and a scale for each of the K slices, which of convolutions and linear layers are their output channels, in a quarter of the
   * bytes; a weight w is then within maxₖ |w| / 254 of what it was, and everything else, such as a bias, stays as it is. This is about the
   * file alone: when it is read, the weights are float32 again, and the model computes in float32; `quantize` of toeplitz/quant makes models
   * that compute in integers.
   */
  readonly dtype?: 'float32' | 'float16' | 'int8'
}

/** The largest number of float16. */
const LARGEST_HALF = 65504

/** A tensor's numbers as float16. @throws ArgumentError where one is none or beyond the range */
function halved(name: string, tensor: Tensor): SafetensorsInput {
  const floats = tensor.data()
  const halves = halvesOfFloats(floats)
  const place = halves.findIndex((half) => (half & 0x7c00) === 0x7c00)
  if (place >= 0) {
    throw new ArgumentError(
      `encodeModel: ${inWords(name)} has ${floats[place]}, which float16 does not hold: its numbers end at ${LARGEST_HALF}; leave dtype out`,
    )
  }
  return { shape: tensor.shape, data: halves, dtype: 'F16' }
}

/**
 * Rounds everything that a model keeps to numbers of float16, as which it can be stored without a further change.
 * @throws ArgumentError that names a tensor that is beyond its range; nothing has changed then
 */
export function roundToFloat16(model: Graph): void {
  const state = [...model.namedState()].map(([name, tensor]) => [tensor, halved(name, tensor).data] as const)
  for (const [tensor, halves] of state) tensor.assign(floatsOfHalves(halves as Uint16Array))
}

/** @throws ArgumentError where a tensor of the model holds NaN: no answer of it would be one */
function checkNumbers(model: Graph): void {
  for (const [name, tensor] of model.namedState()) {
    if (tensor.data().some((value) => Number.isNaN(value)))
      throw new ArgumentError(
        `encodeModel: ${inWords(name)} holds NaN: the training has diverged; train again with a lower learning rate`,
      )
  }
}

/**
 * A whole model in one file: its weights as safetensors, with its description in the header and a checksum over all of it.
 *
 *     const half = encodeModel(model, facts, { dtype: 'float16' })
 *     const quarter = encodeModel(model, facts, { dtype: 'int8' })
 *
 * @throws ShapeError when the facts contradict the model; ArgumentError where a weight is NaN, and with float16 or int8 where a tensor, which it names, has what that does not hold
 */
export function encodeModel(model: Graph, facts: ModelFacts, options: EncodeModelOptions = {}): Uint8Array {
  checkCount('encodeModel', 3, arguments)
  checkKeys('encodeModel', options, { dtype: 0 } satisfies Names<EncodeModelOptions>)
  const { dtype = 'float32' } = options
  if (dtype !== 'float32' && dtype !== 'float16' && dtype !== 'int8')
    throw wrongKind('encodeModel: dtype', "'float32', 'float16' or 'int8'", dtype)
  const description = checkDescription(describeModel(model, facts), 'encodeModel')
  checkNumbers(model)
  const metadata = { [metadataKey]: jsonOf({ ...written(description), sealed: true }) }
  if (dtype === 'float32') return model.save(metadata)
  const tensors = [...model.namedState()].flatMap(([name, tensor]) =>
    dtype === 'int8' ? scaledTensors(name, tensor) : [[name, halved(name, tensor)] as const],
  )
  return encodeSafetensors(Object.fromEntries(tensors), metadata, { checksum: true })
}

/**
 * Reads a whole model: what `encodeModel` writes, and the model.safetensors of a training run.
 *
 * @param options `layers` are classes besides those of the package, such as `Imported`
 * @throws FormatError that names the file and the part that does not fit.
 */
export function decodeModel(
  bytes: FileBytes,
  name: string,
  options: ReadOptions = {},
): { readonly file: ModelDescription; readonly model: Graph } {
  checkCount('decodeModel', 3, arguments)
  checkKeys('decodeModel', options, { layers: 0 })
  const { metadata, tensors, verified } = openSafetensors(bytes, name)
  if (!Object.hasOwn(metadata, metadataKey)) {
    throw new FormatError(`${name}: the file holds weights without their architecture; was it saved as a whole model?`)
  }
  const where = `${name}: ${metadataKey} in its header`
  const { sealed, ...description } = checkDescription(parseJson(metadata[metadataKey] as string, where), where)
  if (sealed === true && !verified) throw new FormatError(`${name}: the file is damaged: its checksum is missing`)
  const { file, model } = makeModel(description, name, options)
  try {
    model.assign(unscaledTensors(tensors, name), name)
  } catch (error) {
    model.dispose()
    throw error
  }
  return { file, model }
}

/**
 * Makes the model of a description, with initial weights.
 * @param name what errors call the description
 * @throws FormatError that names the part that does not fit
 */
export function modelOfDescription(
  description: unknown,
  name: string,
  options: ReadOptions = {},
): { readonly file: ModelDescription; readonly model: Graph } {
  const { sealed: _, ...checked } = checkDescription(description, name)
  return makeModel(checked, name, options)
}

/**
 * Reads a model.json and makes its model, with initial weights.
 *
 * @param options `layers` are classes besides those of the package
 * @throws FormatError that names the file and the part that does not fit.
 */
export function decodeModelFile(
  text: string,
  name: string,
  options: ReadOptions = {},
): { readonly file: ModelFile; readonly model: Graph } {
  checkCount('decodeModelFile', 3, arguments)
  checkKeys('decodeModelFile', options, { layers: 0 })
  const description = checkDescription(decodeSealedJson(text, name), name) as Partial<ModelFile> & ModelDescription
  const { weights } = description
  if (
    !isObject(weights) ||
    typeof weights.file !== 'string' ||
    !/^[^/\\]+$/.test(weights.file) ||
    weights.file === '..'
  ) {
    throw new FormatError(`${name}: weights.file must be the name of a file beside this one`)
  }
  if (typeof weights.sha256 !== 'string') throw new FormatError(`${name}: weights.sha256 must be a text`)
  return makeModel({ ...description, weights }, name, options)
}

/** A description as it stands in a file: `sealed` says that the file was written with a checksum. */
type WrittenDescription = ModelDescription & { readonly sealed?: unknown }

function checkDescription(value: unknown, name: string): WrittenDescription {
  const wrong = (what: string): never => {
    throw new FormatError(`${named(name)}: ${what}`)
  }
  if (!isObject(value) || value['format'] !== 'toeplitz-model') wrong("expected an object with format 'toeplitz-model'")
  const file = value as Record<string, unknown>
  const version = file['version']
  if (version !== 1 && version !== 2) {
    wrong(`version ${inWords(version)} is not known; this release reads versions 1 and 2`)
  }
  if (typeof file['name'] !== 'string') wrong('name must be a text')
  if (version === 1) {
    if (file['preprocessing'] !== undefined) wrong('preprocessing stands in files of version 2, and this is version 1')
    checkNormalization(file['normalization'], name)
  } else {
    const { normalization } = checkPreprocessing(file['preprocessing'], `${name}: preprocessing`, FormatError)
    const beside = file['normalization'] ?? normalization
    if (JSON.stringify(beside) !== JSON.stringify(normalization)) {
      wrong('normalization is another one than preprocessing.normalization')
    }
  }
  const classes = file['classes']
  if (!Array.isArray(classes) || !classes.every((label) => typeof label === 'string'))
    wrong('classes must be a list of names')
  return file as unknown as WrittenDescription
}

/** The model of a description, with initial weights, and the description with all that is derived. */
function makeModel<Description extends ModelDescription>(
  description: Description,
  name: string,
  options: ReadOptions = {},
): { readonly file: Description; readonly model: Graph } {
  const { architecture, classes } = description
  const model = modelFromJSON(architecture, `${name}: architecture`, options)
  const wrong = (what: string): FormatError => new FormatError(`${name}: ${what}`)
  try {
    const { input } = model
    if (!input) throw wrong('architecture.input must be the shape of one input')
    const preprocessing = description.preprocessing ?? preprocessingOfVersion1(input, description)
    const normalization = preprocessing?.normalization ?? description.normalization
    for (const name of ['mean', 'std'] as const) {
      const values = normalization[name]
      if (typeof values !== 'number' && input.length === 3 && values.length !== input[0]) {
        throw wrong(`normalization.${name} has ${values.length} numbers, but the model takes ${input[0]} channels`)
      }
    }
    const contradiction = preprocessing && contradictionWith(input, preprocessing)
    if (contradiction !== undefined) throw wrong(`preprocessing: ${contradiction}`)
    const outputs = model.outputShape()
    if (outputs.length !== 1 || outputs[0] !== classes.length) {
      throw wrong(`the model has outputs (${outputs.join(', ')}), but there are ${classes.length} classes`)
    }
    const derived = preprocessing ? ({ version: 2, preprocessing, normalization } as const) : { normalization }
    return { file: { ...description, ...derived }, model }
  } catch (error) {
    model.dispose()
    throw error
  }
}
