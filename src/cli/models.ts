/** Models: new ones for a run, trained ones in folders and files. */
import { createHash } from 'node:crypto'
import { lstat, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ImageSource } from '../data/dataset.js'
import { decodeModel, decodeModelFile, type ModelDescription } from '../io/model-file.js'
import { parseJson } from '../io/json.js'
import { cropped } from '../io/preprocessing.js'
import type { Graph } from '../nn/graph.js'
import { modelFromJSON } from '../nn/registry.js'
import { rbfLoss } from '../nn/rbf.js'
import { crossEntropy, type Labels } from '../ops/loss.js'
import type { Tensor } from '../tensor/tensor.js'
import { isA, readFileOrExplain } from '../node/files.js'
import { FormatError } from '../runtime/errors.js'
import { architectures, createModel } from '../zoo/registry.js'
import { decodeCheckpoint, isCheckpoint, modelOf, readCheckpoint } from './checkpoint.js'
import type { Data, DataOptions } from './data.js'
import { UsageError } from './errors.js'
import { augmentationOf, initializerOf } from './options.js'
import { largestDescription, makeOwnModel, type OwnModel } from './ownModel.js'
import { runFiles } from './runFiles.js'
import { nameOf, type RunSettings } from './settings.js'

/** The model of a run, for pictures as they are or as the augmentation cuts them; `own` is that of a file. */
export function makeModel(
  { model, augment, init, seed }: RunSettings,
  { shape, classes }: ImageSource,
  own?: OwnModel,
): Graph {
  const [C, H, W] = shape
  const [h, w] = augmentationOf(augment)?.crop ?? [H, W]
  if (h > H || w > W) {
    throw new UsageError(`--augment ${augment}: the pictures have ${H} × ${W} pixels, of which no more can be cut out`)
  }
  const weightInit = initializerOf(init)
  if (own) {
    if (weightInit)
      throw new UsageError(`--init ${init}: the layers of ${own.name} say what they begin with (weightInit)`)
    return makeOwnModel(own, [C, h, w], classes.length, seed)
  }
  return createModel(model, { input: [C, h, w], classes: classes.length, seed, ...(weightInit ? { weightInit } : {}) })
}

/** The loss that a model is trained by: that of its last layer. */
export const lossFor = (model: Graph): ((outputs: Tensor, labels: Labels) => Tensor) =>
  lastLayer(model) === 'RBF' ? rbfLoss : crossEntropy

/** The type of the layer whose values a model gives. */
const lastLayer = ({ nodes, outputs }: Graph): string | undefined =>
  nodes.find(({ name }) => name === outputs[0])?.layer.type

/** What the model of a file says of the pictures of a folder that it is trained with. */
export function picturesFor(
  { input }: OwnModel,
  { augment }: Pick<RunSettings, 'augment'>,
): Pick<DataOptions, 'channels' | 'size'> {
  const [C, H, W] = input ?? []
  const size = H !== undefined && W !== undefined && !augmentationOf(augment)?.crop ? { size: [H, W] as const } : {}
  return { ...(C === 1 || C === 3 ? { channels: C } : {}), ...size }
}

/** What is known of the model of a run besides itself: its preprocessing is that of the data, cut as the augmentation says. */
export const factsOf = (settings: RunSettings, { preprocessing, test }: Data) => ({
  name: nameOf(settings),
  preprocessing: cropped(preprocessing, augmentationOf(settings.augment)?.crop ?? preprocessing.size),
  classes: test.classes,
})

/** A model as a file describes it. */
interface Described {
  readonly file: ModelDescription
  readonly model: Graph
  /** What a user should know of where it comes from. */
  readonly note?: string
}

/** A file with a description and weights in one: a whole model, or the checkpoint of a run. */
async function readWhole(path: string): Promise<Described> {
  const bytes = await readFileOrExplain(path)
  if (!isCheckpoint(bytes)) return decodeModel(bytes, path)
  const checkpoint = decodeCheckpoint(bytes, path)
  const best = checkpoint.fit.best === undefined ? '' : `, at its best epoch, ${checkpoint.fit.best.epoch},`
  return {
    ...modelOf(checkpoint),
    note: `${path}: the run stands at step ${checkpoint.fit.step}; its model${best} is used`,
  }
}

/** The text of a model.json, or of an architecture. */
const readDescription = async (path: string): Promise<string> =>
  new TextDecoder().decode(await readFileOrExplain(path, { maxBytes: largestDescription }))

/**
 * The file that a path means: itself, or in the folder of a run its checkpoint, as long as it is not finished, or else its
 * model.json. `isWhole` tells that the file holds weights, too.
 */
async function resolved(path: string): Promise<{ readonly path: string; readonly isWhole: boolean }> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() !== true) return { path, isWhole: path.endsWith('.safetensors') }
  const checkpoint = join(path, runFiles.checkpoint)
  if (await isA('file', checkpoint)) return { path: checkpoint, isWhole: true }
  return { path: join(path, runFiles.model), isWhole: false }
}

/** The data that the run in a folder was trained on, as it was named; undefined where the path is no folder of a run. */
export async function dataOfRun(path: string): Promise<string | undefined> {
  for (const name of [runFiles.checkpoint, runFiles.state]) {
    const file = join(path, name)
    if (await isA('file', file)) return (await readCheckpoint(file)).settings.data
  }
  return undefined
}

/** The architecture of a file that holds one, of a model.json, of a whole model or of a run. */
async function readArchitecture(name: string): Promise<Graph> {
  const { path, isWhole } = await resolved(name)
  if (isWhole) return (await readWhole(path)).model
  const text = await readDescription(path)
  const value = parseJson(text, path)
  // What a training takes as --model can be looked at before it.
  const isArchitecture = ['Sequential', 'Graph'].includes((Object(value) as { type?: string }).type ?? '')
  if (!isArchitecture) return decodeModelFile(text, path).model
  const { input, inputs = { input } } = value as { readonly input?: unknown; readonly inputs?: object }
  const unknown = Object.entries(inputs).find(([, shape]) => !Array.isArray(shape))
  if (unknown) {
    throw new FormatError(
      `${path}: the shape of ${unknown[0]} is left to the data, and needed here; give one, such as [3, 32, 32]`,
    )
  }
  return modelFromJSON(value, path)
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
  const { path, isWhole } = await resolved(name)
  if (isWhole) return readWhole(path)
  const { file, model } = decodeModelFile(await readDescription(path), path)
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
