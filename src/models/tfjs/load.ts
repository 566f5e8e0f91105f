/** Models of TensorFlow.js as programs. */
import { isBytes, type FileBytes } from '../../formats/limits.js'
import { formatOf } from '../../formats/formats.js'
import { parseJson } from '../../formats/json.js'
import { kernels } from '../../runtime/core.js'
import { checkFunction, checkObject } from '../../runtime/check.js'
import { ArgumentError, FormatError, ToeplitzError, UnsupportedError } from '../../runtime/errors.js'
import { checkCount, checkKeys } from '../../runtime/options.js'
import { inWords } from '../../runtime/text.js'
import { tensor } from '../../tensor/create.js'
import { keep, scope, type AnyTensor, type Tensor } from '../../tensor/tensor.js'
import { Program } from '../program.js'
import { Refusals } from '../refusals.js'
import type { Draft } from './draft.js'
import { draftGraph } from './graph/load.js'
import { isMembers, member, type Members } from './json.js'
import { draftLayers, type CustomLayers } from './layers/load.js'
import { Weights, type ReadShard } from './weights.js'

/** Options of `loadTfjs`. */
export interface TfjsOptions {
  /** What errors call the model; default 'the TensorFlow.js model'. */
  readonly name?: string | undefined
  /** Layers that the package does not know, by the name of their class. */
  readonly customLayers?: CustomLayers | undefined
}

const optionNames = { name: 0, customLayers: 0 }

/** Whole files begin so; more is not looked at to tell what a file is. */
const BEGINNING = 64

/** The object that a model.json holds. */
function membersOf(given: unknown): Members {
  if (isMembers(given) && !isBytes(given) && !(given instanceof ArrayBuffer)) return given
  let text = given
  if (given instanceof ArrayBuffer || isBytes(given)) {
    const bytes = given instanceof ArrayBuffer ? new Uint8Array(given) : given
    text = new TextDecoder().decode(bytes)
  }
  if (typeof text !== 'string')
    throw new ArgumentError(`the model must be an object, a text or bytes, given ${inWords(given)}`)
  if (text.trim() === '') throw new FormatError('the file is empty; give a model.json')
  const format = formatOf(new TextEncoder().encode(text.slice(0, BEGINNING)))
  if (format !== undefined && !text.trimStart().startsWith('{'))
    throw new FormatError(`it is ${format}, and no model; give a model.json`)
  const parsed = parseJson(text, 'model.json')
  if (!isMembers(parsed)) throw new FormatError('it is no object; give a model.json')
  return parsed
}

/** What kind of model it is: older files do not say so. */
function kindOf(model: Members): 'graph-model' | 'layers-model' {
  const format = member(model, 'format')
  if (format === 'graph-model' || format === 'layers-model') return format
  const topology = member(model, 'modelTopology')
  if (!isMembers(topology))
    throw new FormatError('it has no modelTopology; give the model.json of a TensorFlow.js model')
  if (format !== undefined && format !== null && typeof format !== 'string')
    throw new FormatError(`format must be a text, and is ${inWords(format)}`)
  if (Array.isArray(member(topology, 'node'))) return 'graph-model'
  if (isMembers(member(topology, 'model_config')) || typeof member(topology, 'class_name') === 'string')
    return 'layers-model'
  throw new UnsupportedError(`format ${inWords(format)} is not supported; supported are graph-model and layers-model`)
}

/** Begins every message with the name of the model. */
function naming<T>(name: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    if (error instanceof ToeplitzError && !error.message.startsWith(`${name}: `))
      error.message = `${name}: ${error.message}`
    throw error
  }
}

/**
 * Reads a model of TensorFlow.js: a layers-model, as Keras or `model.save()` write it, or a graph-model, as the converter makes of
 * TensorFlow's graphs. Its tensors keep the layout that they have there: pictures are (N, H, W, C).
 *
 *     const program = await loadTfjs(await readFile('model.json', 'utf8'), (path) => readFile(path))
 *     const { dense } = program.run({ image: x })
 *
 * @param model the model.json: its text, its bytes, or the object that it holds
 * @param read gives a file of weights by the name that the model gives it; nothing else is read
 * @throws FormatError when the model is damaged, contradicts itself or its weights are missing or short; UnsupportedError that names
 * every node or layer whose operator, type or option is not supported. Nothing stays in memory then.
 */
export async function loadTfjs(
  model: string | FileBytes | Readonly<Record<string, unknown>>,
  read: ReadShard,
  options: TfjsOptions = {},
): Promise<Program> {
  checkCount('loadTfjs', 3, arguments)
  checkKeys('loadTfjs', options, optionNames)
  checkFunction(read, 'loadTfjs: what reads the weights')
  const { name = 'the TensorFlow.js model', customLayers = {} } = options
  if (typeof name !== 'string') throw new ArgumentError(`loadTfjs: the name must be a text, given ${inWords(name)}`)
  checkObject(customLayers, 'loadTfjs: customLayers')
  for (const key of Object.keys(customLayers)) checkFunction(customLayers[key], `loadTfjs: the layer ${inWords(key)}`)
  kernels('loadTfjs')
  const refusals = new Refusals(name)
  const [weights, draft] = naming(name, (): [Weights, Draft] => {
    const members = membersOf(model)
    const kind = kindOf(members)
    const own = new Weights(member(members, 'weightsManifest'))
    return [
      own,
      kind === 'graph-model' ? draftGraph(members, own, refusals) : draftLayers(members, own, refusals, customLayers),
    ]
  })
  refusals.end()
  try {
    await weights.read(read)
    return naming(name, () => programOf(name, draft, weights, refusals))
  } catch (error) {
    return naming(name, () => {
      throw error
    })
  } finally {
    weights.close()
  }
}

/** The program of a draft whose weights have been read. */
function programOf(name: string, draft: Draft, weights: Weights, refusals: Refusals): Program {
  const { inputs, outputs, values, weights: trained, statistics } = draft.lower()
  refusals.end()
  const read = new Set([...values.nodes.flatMap((node) => node.inputs), ...outputs.map((output) => output.name)])
  const constants = new Map<string, AnyTensor>()
  try {
    scope(() => {
      for (const [value, { shape, dtype }] of weights.entries) {
        if (read.has(value))
          constants.set(value, keep(tensor(weights.values(value) as never, shape, { dtype }) as AnyTensor))
      }
    })
    const pick = (isPicked: (value: string) => boolean): Map<string, Tensor> => {
      const picked = new Map<string, Tensor>()
      for (const [value, x] of constants) if (x.dtype === 'float32' && isPicked(value)) picked.set(value, x as Tensor)
      return picked
    }
    return new Program({
      name,
      inputs,
      outputs,
      nodes: values.nodes,
      constants,
      parameters: pick((value) => trained.has(value) && !statistics.has(value)),
      buffers: pick((value) => statistics.has(value)),
    })
  } catch (error) {
    for (const x of constants.values()) x.dispose()
    throw error
  }
}
