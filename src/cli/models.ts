/** Models: new ones for a run, trained ones in folders and files. */
import { createHash } from 'node:crypto'
import { lstat, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ImageSource } from '../data/dataset.js'
import { decodeModel, decodeModelFile, type ModelDescription, type ModelFile } from '../io/model-file.js'
import type { Graph } from '../nn/graph.js'
import { readFileOrExplain } from '../node/files.js'
import { FormatError } from '../runtime/errors.js'
import { architectures, createModel } from '../zoo/registry.js'
import { augmentationOf, initializerOf } from './options.js'
import type { RunSettings } from './settings.js'

/** The model of a run, for pictures as they are or as the augmentation cuts them. */
export function makeModel({ model, augment, init, seed }: RunSettings, { shape, classes }: ImageSource): Graph {
  const [C, H, W] = shape
  const [h, w] = augmentationOf(augment)?.crop ?? [H, W]
  const weightInit = initializerOf(init)
  return createModel(model, { input: [C, h, w], classes: classes.length, seed, ...(weightInit ? { weightInit } : {}) })
}

/** Bytes of a model.json, which holds no weights: room for some million layers. */
const LARGEST_DESCRIPTION = 2 ** 28

/** Whether a path names a whole model in one file. */
const isWhole = (path: string): boolean => path.endsWith('.safetensors')

const readWhole = async (path: string): Promise<{ file: ModelDescription; model: Graph }> =>
  decodeModel(await readFileOrExplain(path), path)

/** A model.json, itself or that of a folder, and its architecture with initial weights. */
async function readModelFile(path: string): Promise<{ file: ModelFile; model: Graph; path: string }> {
  const found = await stat(path).catch(() => undefined)
  const resolved = found?.isDirectory() ? join(path, 'model.json') : path
  const text = new TextDecoder().decode(await readFileOrExplain(resolved, { maxBytes: LARGEST_DESCRIPTION }))
  return { ...decodeModelFile(text, resolved), path: resolved }
}

/** The architecture of a model.json or of a whole model. */
const readArchitecture = async (path: string): Promise<Graph> =>
  (await (isWhole(path) ? readWhole(path) : readModelFile(path))).model

/** A file or folder goes before an architecture of the same name; what looks like neither is taken for a misspelt name. */
export async function modelNamed(name: string): Promise<Graph> {
  // A link that leads nowhere was meant, too.
  const exists = (await lstat(name).catch(() => undefined)) !== undefined
  const isPath = exists || (/[/\\.]/.test(name) && !Object.hasOwn(architectures, name))
  return isPath ? readArchitecture(name) : createModel(name)
}

/** A trained model: architecture and weights. @throws FormatError when a file is damaged or the two do not belong together. */
export async function readTrainedModel(path: string): Promise<{ file: ModelDescription; model: Graph }> {
  if (isWhole(path)) return readWhole(path)
  const { file, model, path: resolved } = await readModelFile(path)
  const weightsPath = join(dirname(resolved), file.weights.file)
  const bytes = await readFileOrExplain(weightsPath)
  model.load(bytes, weightsPath)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== file.weights.sha256) {
    throw new FormatError(
      `${weightsPath}: the weights are not those that ${resolved} names (SHA-256 ${sha256.slice(0, 12)}…, expected ${file.weights.sha256.slice(0, 12)}…)`,
    )
  }
  return { file, model }
}
