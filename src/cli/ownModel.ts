/** Models of a file: `--model net.json`, with what `toJSON` of a model gave, or the model.json of a run. */
import { parseJson } from '../formats/json.js'
import { Graph } from '../nn/graph.js'
import { modelFromJSON } from '../nn/registry.js'
import { Sequential } from '../nn/sequential.js'
import { readFileOrExplain } from '../node/files.js'
import { FormatError } from '../runtime/errors.js'
import { showShape } from '../tensor/shape.js'
import { knownLayers as layers } from '../models/knownLayers.js'
import type { Described } from './described.js'

/** Bytes of a file that holds no weights: room for some million layers. */
export const largestDescription = 2 ** 28

/** An architecture as a file has it, and the shape of the pictures that it is for, where it says so. */
export interface OwnModel {
  readonly name: string
  readonly architecture: unknown
  readonly input: readonly number[] | undefined
  /** The trained model, where its weights are those that training begins with. */
  readonly trained?: Described
}

/**
 * Reads the architecture of a file.
 * @throws FormatError when it holds none
 */
export async function readOwnModel(path: string): Promise<OwnModel> {
  const bytes = await readFileOrExplain(path, { maxBytes: largestDescription })
  const value = parseJson(new TextDecoder().decode(bytes), path)
  const isFile = typeof value === 'object' && value !== null && 'architecture' in value
  return ownModel(isFile ? value.architecture : value, path)
}

/** The same of an architecture that is known already. @throws FormatError when it is none */
export function ownModel(architecture: unknown, name: string): OwnModel {
  const model = modelFromJSON(architecture, name, { layers })
  const { input } = model
  model.dispose()
  return { name, architecture, input }
}

/**
 * Makes the model, for pictures of a shape and so many classes.
 * @throws FormatError that says what does not fit
 */
export function makeOwnModel(
  { name, architecture }: OwnModel,
  shape: readonly number[],
  classes: number,
  seed: number,
): Graph {
  const wrong = (what: string): FormatError => new FormatError(`${name}: ${what}`)
  const read = modelFromJSON(architecture, name, { layers })
  const { nodes, outputs, auxiliary, blocks } = read
  const inputs = Object.keys((read.toJSON() as { inputs?: object }).inputs ?? { input: 0 })
  if (inputs.length !== 1) throw wrong(`the model has ${inputs.length} inputs; pictures are one`)
  const given = read.input ?? shape
  checkInput(given, shape, name)
  // The same layers, with the shape of the pictures and the seed of the run.
  const model =
    read instanceof Sequential
      ? new Sequential(
          nodes.map(({ layer }) => layer),
          { input: shape, seed },
        )
      : new Graph(nodes, { inputs: { [inputs[0] as string]: shape }, outputs, auxiliary, blocks, seed })
  checkOutput(model, classes, name)
  return model
}

/** @throws FormatError when a model takes other pictures than those of the data */
export function checkInput(input: readonly number[] | undefined, shape: readonly number[], name: string): void {
  if (input?.join() === shape.join()) return
  throw new FormatError(
    `${name}: the model takes pictures of ${input ? showShape(input) : 'no known size'}, and those of the data are ${showShape(shape)}; ` +
      'change its input (null takes any), or --image-size',
  )
}

/** @throws FormatError when a model does not end in one number for each class, as the loss takes them */
export function checkOutput(model: Graph, classes: number, name: string): void {
  const wrong = (what: string): FormatError => new FormatError(`${name}: ${what}`)
  const { nodes, outputs } = model
  const found = model.outputShape()
  if (found.length !== 1 || found[0] !== classes) {
    throw wrong(`the model gives ${showShape(found)} for a picture, and the data has ${classes} classes`)
  }
  const last = nodes.find(({ name }) => name === outputs[0])?.layer
  const { type = '', inLoss = false } = (last?.config() ?? {}) as { type?: string; inLoss?: boolean }
  if (type === 'Softmax' && !inLoss) {
    throw wrong('the model ends in a Softmax, which is part of the loss; leave it out, or give it "inLoss": true')
  }
}
