/** Models of other libraries, as commands are given them. */
import { dirname, join } from 'node:path'
import { parseJson } from '../formats/json.js'
import { isWithinFolder } from '../formats/limits.js'
import { readOnnx, type OnnxGraph, type OnnxTensor } from '../formats/onnx.js'
import { loadOnnx, type Program } from '../models/onnx/index.js'
import { loadTfjs } from '../models/tfjs/index.js'
import type { Graph } from '../nn/graph.js'
import { readFileOrExplain } from '../node/files.js'
import { initIntegers } from '../quant/index.js'
import { FormatError } from '../runtime/errors.js'
import { visible } from '../runtime/text.js'
import { UsageError } from './errors.js'
import { largestDescription } from './ownModel.js'
import type { NamedShapes } from './options.js'
import { modelNamed } from './trained.js'

/** Which format of another library a file has, if it is there: by its name, or a .json file by what it holds. */
async function formatOfOthers(path: string): Promise<'onnx' | 'tfjs' | undefined> {
  if (/\.onnx$/i.test(path)) return 'onnx'
  if (!/\.json$/i.test(path)) return undefined
  try {
    const text = new TextDecoder().decode(await readFileOrExplain(path, { maxBytes: largestDescription }))
    const value: unknown = parseJson(text, path)
    return typeof value === 'object' && value !== null && 'modelTopology' in value ? 'tfjs' : undefined
  } catch {
    // Who reads it as a model of ours says what is wrong.
    return undefined
  }
}

/** Extents by the names of a program's inputs; '' stands for the only one. @throws UsageError where it has several */
export function shapesFor({ inputs }: Program, { '': only, ...named }: NamedShapes): NamedShapes {
  if (!only) return named
  const [first, ...others] = inputs
  if (!first || others.length > 0)
    throw new UsageError(
      `--shape ${only.join()}: the model has the inputs ${inputs.map(({ name }) => name).join(', ')}; say which, as in --shape ${first?.name ?? 'x'}=${only.join()}`,
    )
  return { ...named, [first.name]: only }
}

/** Every constant of a graph, those of graphs in its nodes too. */
function* tensorsIn({ initializers, nodes }: OnnxGraph): Generator<OnnxTensor> {
  yield* initializers
  for (const { attributes } of nodes) {
    for (const attribute of attributes) {
      if (attribute.kind === 'tensor') yield attribute.value
      if (attribute.kind === 'tensors') yield* attribute.value
      if (attribute.kind === 'graph') yield* tensorsIn(attribute.value)
      if (attribute.kind === 'graphs') for (const graph of attribute.value) yield* tensorsIn(graph)
    }
  }
}

/** Names of operators of integers, which need kernels beside the core: QLinearConv, DequantizeLinear, MatMulInteger, … */
const ofIntegers = /^QLinear|QuantizeLinear$|^DequantizeLinear$|Integer$/

/** Whether a graph computes in integers. */
export const isQuantized = ({ nodes }: OnnxGraph): boolean => nodes.some(({ opType }) => ofIntegers.test(opType))

/** Reads an ONNX model, with the files of weights that it names beside it. */
async function readOnnxModel(path: string): Promise<Program> {
  const bytes = await readFileOrExplain(path)
  const locations = new Set<string>()
  const { graph } = readOnnx(bytes, path)
  if (isQuantized(graph)) await initIntegers()
  for (const { dataLocation, externalData } of tensorsIn(graph)) {
    const location = dataLocation === 1 ? externalData.find(({ key }) => key === 'location')?.value : undefined
    if (location !== undefined && isWithinFolder(location)) locations.add(location)
  }
  const externalData: Record<string, Uint8Array> = {}
  for (const location of locations) externalData[location] = await readFileOrExplain(join(dirname(path), location))
  return loadOnnx(bytes, { name: path, externalData })
}

/** Reads a model of TensorFlow.js, with the files of weights beside its model.json. */
async function readTfjsModel(path: string): Promise<Program> {
  return loadTfjs(
    await readFileOrExplain(path, { maxBytes: largestDescription }),
    (shard) => {
      if (isWithinFolder(shard)) return readFileOrExplain(join(dirname(path), shard))
      throw new FormatError(
        `${path}: its weights are at '${visible(shard)}'; they must lie within the folder of the model`,
      )
    },
    { name: path },
  )
}

/**
 * Reads a model of another library.
 * @throws FormatError or UnsupportedError that says what cannot be read
 */
export async function readForeign(path: string): Promise<Program> {
  return (await formatOfOthers(path)) === 'tfjs' ? readTfjsModel(path) : readOnnxModel(path)
}

/** Looks at a model, whatever it is, and gives back its memory. */
export async function withModel<T, U>(
  name: string,
  shape: NamedShapes | undefined,
  { own, foreign }: { own(model: Graph): T; foreign(program: Program, shapes: NamedShapes): U },
): Promise<T | U> {
  if ((await formatOfOthers(name)) === undefined) {
    if (Object.keys(shape ?? {}).length > 0)
      throw new UsageError(`--shape: ${name} knows its input; extents are given to models of other libraries`)
    const model = await modelNamed(name)
    try {
      return own(model)
    } finally {
      model.dispose()
    }
  }
  const program = await readForeign(name)
  try {
    return foreign(program, shapesFor(program, shape ?? {}))
  } finally {
    program.dispose()
  }
}
