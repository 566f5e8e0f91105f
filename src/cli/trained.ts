/** Trained models and architectures: of a file, or of the folder of a run. */
import { createHash } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { decodeModel, decodeModelFile } from '../io/model-file.js'
import { checkModelBytes } from '../formats/formats.js'
import { parseJson } from '../formats/json.js'
import type { Graph } from '../nn/graph.js'
import { modelFromJSON } from '../nn/registry.js'
import { readFileOrExplain } from '../node/files.js'
import { FormatError } from '../runtime/errors.js'
import { architectures, createModel } from '../zoo/registry.js'
import { knownLayers as layers } from '../models/knownLayers.js'
import { largestDescription } from './ownModel.js'
import type { Described } from './described.js'
import { Run } from './run/run.js'

/** Whether a file holds the weights with the architecture: a whole model, or the checkpoint of a run. */
const isWhole = (path: string): boolean => path.endsWith('.safetensors')

/** The model of such a file. */
async function readWhole(path: string): Promise<Described> {
  const bytes = await readFileOrExplain(path)
  checkModelBytes(bytes, path, due)
  return Run.modelAt(bytes, path) ?? decodeModel(bytes, path, { layers })
}

/** What a model is given as; pictures and data come after it. */
const due = 'give the folder of a run, its model.json or a model.safetensors first'

/** The text of a model.json, or of an architecture. */
async function readDescription(path: string): Promise<string> {
  const bytes = await readFileOrExplain(path, { maxBytes: largestDescription })
  checkModelBytes(bytes, path, due)
  const text = new TextDecoder().decode(bytes)
  if (text.trimStart().startsWith('{')) return text
  throw new FormatError(`${path}: is no model: neither JSON nor the name of a .safetensors file; ${due}`)
}

/** The file of the model in a folder; undefined where the path is no folder. @throws FormatError when the folder has none */
async function fileIn(name: string): Promise<string | undefined> {
  const path = await Run.modelFile(name)
  if (path === undefined || (await lstat(path).catch(() => undefined)) !== undefined) return path
  throw new FormatError(`${name}: there is no model in the folder; ${due}`)
}

/** The architecture of a file that holds one, of a model.json, of a whole model or of a run. */
async function readArchitecture(name: string): Promise<Graph> {
  const path = (await fileIn(name)) ?? name
  if (isWhole(path)) return (await readWhole(path)).model
  const text = await readDescription(path)
  const value = parseJson(text, path)
  // What a training takes as --model can be looked at before it.
  const isFile = !('type' in Object(value))
  if (isFile) return decodeModelFile(text, path, { layers }).model
  const model = modelFromJSON(value, path, { layers })
  const { input, inputs = { input } } = value as { readonly input?: unknown; readonly inputs?: object }
  const unknown = Object.entries(inputs).find(([, shape]) => !Array.isArray(shape))
  if (unknown) {
    model.dispose()
    throw new FormatError(
      `${path}: the shape of ${unknown[0]} is left to the data, and needed here; give one, such as [3, 32, 32]`,
    )
  }
  return model
}

/** A file or folder goes before an architecture of the same name; what looks like neither is taken for a misspelt name. */
export async function modelNamed(name: string): Promise<Graph> {
  // A link that leads nowhere was meant, too.
  const exists = (await lstat(name).catch(() => undefined)) !== undefined
  const isPath = exists || (/[/\\.]/.test(name) && !Object.hasOwn(architectures, name))
  return isPath ? readArchitecture(name) : createModel(name)
}

/** A trained model: architecture and weights. @throws FormatError when a file is damaged or the two do not belong together. */
export async function readTrainedModel(name: string): Promise<Described> {
  const path = (await fileIn(name)) ?? name
  if (isWhole(path)) return readWhole(path)
  const { file, model } = decodeModelFile(await readDescription(path), path, { layers })
  const weightsPath = join(dirname(path), file.weights.file)
  try {
    const bytes = await readFileOrExplain(weightsPath)
    model.load(bytes, weightsPath)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    if (sha256 !== file.weights.sha256) {
      throw new FormatError(
        `${weightsPath}: the weights are not those that ${path} names (SHA-256 ${sha256.slice(0, 12)}…, expected ${file.weights.sha256.slice(0, 12)}…)`,
      )
    }
    return { file, model }
  } catch (error) {
    model.dispose()
    throw error
  }
}
