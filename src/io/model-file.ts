/** model.json: an architecture, and what is needed to use its weights on pictures. */
import { modelFromJSON } from '../nn/registry.js'
import type { Sequential, SequentialConfig } from '../nn/sequential.js'
import { FormatError } from '../runtime/errors.js'

export interface ModelFile {
  readonly format: 'toeplitz-model'
  readonly version: 1
  /** A name for people. */
  readonly name: string
  readonly architecture: SequentialConfig
  /** The file with the weights, beside this one, and the SHA-256 of its bytes. */
  readonly weights: { readonly file: string; readonly sha256: string }
  /** Pixels become (pixel / 255 − mean) / std. */
  readonly normalization: { readonly mean: number; readonly std: number }
  /** Names of the outputs. */
  readonly classes: readonly string[]
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isFinite = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** The text of a model.json, indented for reading. */
export const encodeModelFile = (file: ModelFile): string => `${JSON.stringify(file, null, 2)}\n`

/**
 * Reads a model.json and makes its model, with initial weights.
 * @throws FormatError that names the file and the part that does not fit.
 */
export function decodeModelFile(text: string, name: string): { readonly file: ModelFile; readonly model: Sequential } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new FormatError(
      `${name}: not JSON (${(error as Error).message.replace(/\s+/g, ' ')}); expected a toeplitz model.json`,
    )
  }
  const wrong = (what: string): never => {
    throw new FormatError(`${name}: ${what}`)
  }
  if (!isObject(value) || value['format'] !== 'toeplitz-model') wrong("expected an object with format 'toeplitz-model'")
  const file = value as Record<string, unknown>
  if (file['version'] !== 1)
    wrong(`version ${JSON.stringify(file['version'])} is not known; this release reads version 1`)
  if (typeof file['name'] !== 'string') wrong('name must be a text')
  const weights = file['weights']
  if (
    !isObject(weights) ||
    typeof weights['file'] !== 'string' ||
    !/^[^/\\]+$/.test(weights['file']) ||
    weights['file'] === '..'
  ) {
    wrong('weights.file must be the name of a file beside this one')
  }
  if (typeof (weights as Record<string, unknown>)['sha256'] !== 'string') wrong('weights.sha256 must be a text')
  const normalization = file['normalization']
  if (
    !isObject(normalization) ||
    !isFinite(normalization['mean']) ||
    !isFinite(normalization['std']) ||
    normalization['std'] <= 0
  ) {
    wrong('normalization must have a finite mean and a std above 0')
  }
  const classes = file['classes']
  if (!Array.isArray(classes) || !classes.every((label) => typeof label === 'string'))
    wrong('classes must be a list of names')
  const model = modelFromJSON(file['architecture'], `${name}: architecture`)
  try {
    const { input } = model
    if (!input) wrong('architecture.input must be the shape of one input')
    const outputs = model.shapes(input as readonly number[]).at(-1) as number[]
    if (outputs.length !== 1 || outputs[0] !== (classes as string[]).length) {
      wrong(`the model has outputs (${outputs.join(', ')}), but there are ${(classes as string[]).length} classes`)
    }
  } catch (error) {
    model.dispose()
    throw error
  }
  return { file: file as unknown as ModelFile, model }
}
