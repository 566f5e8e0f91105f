/** ONNX models as programs. */
import { FormatError, UnsupportedError } from '../../runtime/errors.js'
import { kernels } from '../../runtime/core.js'
import { checkCount, checkKeys } from '../../runtime/options.js'
import { inWords } from '../../runtime/text.js'
import { elementTypeName, readOnnx, type OnnxExternal, type OnnxModel, type OnnxValueInfo } from '../../formats/onnx.js'
import type { FileBytes } from '../../formats/limits.js'
import { keep, scope, type AnyTensor, type Tensor } from '../../tensor/tensor.js'
import type { ProgramValue } from '../imported.js'
import { Program } from '../program.js'
import { isOwn, ownVersion } from './inline.js'
import { Lowering, type LoweredNode } from './lower.js'
import { NEWEST, OLDEST } from './opsets.js'
import { typeOf } from './operators/elementwise.js'
import { stored } from './operators/layout.js'

/** Options of `loadOnnx`. */
export interface OnnxOptions {
  /** What errors call the file; default 'the ONNX model'. */
  readonly name?: string | undefined
  /** Files that weights lie in, by the names that the model gives them. Nothing else is read. */
  readonly externalData?: OnnxExternal | undefined
}

const optionNames = { name: 0, externalData: 0 }

/** The version of ONNX's operators that a model is written in. */
function opsetOf({ opsetImport }: OnnxModel): number {
  // A model of before the sets had versions is of the first.
  const version = ownVersion(opsetImport) ?? 1
  if (version < OLDEST || version > NEWEST) {
    throw new UnsupportedError(
      `it is of opset ${version}; supported are ${OLDEST} to ${NEWEST}: convert it with onnx.version_converter`,
    )
  }
  return version
}

/** What a file says of an input or an output. */
function valueOf({ name, type }: OnnxValueInfo, what: string): ProgramValue {
  if (type === undefined) return { name, dtype: 'float32', shape: undefined }
  if (type.kind !== 'tensor')
    throw new UnsupportedError(`${what} ${inWords(name)} is a ${type.kind}; tensors are supported`)
  try {
    return { name, dtype: typeOf(type.elementType), shape: type.shape?.map((dim) => dim ?? null) }
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error
    throw new UnsupportedError(
      `${what} ${inWords(name)} is of ${elementTypeName(type.elementType)}, which is not supported`,
    )
  }
}

/** The inputs that a node reads as weights or as statistics. */
const placesOf = ({ meaning, node }: LoweredNode, kinds: readonly ('weights' | 'statistics')[]): string[] =>
  kinds.flatMap((kind) => (meaning[kind] ?? []).map((place) => node.inputs[place] ?? ''))

/**
 * Whether a node gives a constant that others read as weights: some exporters have no initializers at all. It is kept then as an
 * initializer is, so that it can be trained.
 */
function givesWeights(nodes: readonly LoweredNode[]): (given: LoweredNode) => boolean {
  const read = new Set(nodes.flatMap((each) => placesOf(each, ['weights', 'statistics'])))
  return ({ node: { opType, domain, outputs } }) =>
    opType === 'Constant' && isOwn(domain) && outputs[0] !== '' && read.has(outputs[0] ?? '')
}

/**
 * Reads a model in ONNX's format, of opsets 6 to 22 and any IR version.
 *
 *     const program = loadOnnx(await readFile('model.onnx'))
 *     const { logits } = program.run({ image: x })
 *
 * Inputs that have an initializer are constants, and so are Constant nodes: what convolutions, products and normalization read of them
 * directly are weights, which can be trained. Weights of float16, bfloat16 and float64 become float32.
 * @throws FormatError when the file is damaged or contradicts itself, UnsupportedError that names every node whose operator, type
 * or option is not supported; nothing stays in memory then
 */
export function loadOnnx(file: FileBytes, options: OnnxOptions = {}): Program {
  checkCount('loadOnnx', 2, arguments)
  checkKeys('loadOnnx', options, optionNames)
  kernels('loadOnnx')
  const { name = 'the ONNX model', externalData } = options
  const model = readOnnx(file, name)
  const { graph } = model
  const lowering = new Lowering(model, name)
  const opset = lowering.attempt('the model', () => opsetOf(model))
  lowering.end()
  for (const initializer of graph.initializers) lowering.initializers.set(initializer.name, initializer)
  const inputs = graph.inputs
    .filter((input) => !lowering.initializers.has(input.name))
    .map((input) => lowering.attempt('inputs', () => valueOf(input, 'the input')))
  const outputs = graph.outputs.map((output) => lowering.attempt('outputs', () => valueOf(output, 'the output')))
  if (outputs.length === 0)
    lowering.attempt('outputs', () => {
      throw new FormatError('there is none')
    })
  const nodes = lowering.nodes(graph, opset as number, new Set(), '')
  lowering.end()

  const constants = new Map<string, AnyTensor>()
  const isWeight = givesWeights(nodes)
  try {
    scope(() => {
      for (const [value, initializer] of lowering.initializers) {
        constants.set(value, keep(stored(initializer, externalData, `${name}: initializer '${value}'`)))
      }
      for (const { imported } of nodes.filter(isWeight)) {
        const [x] = imported.compute([], { training: false, seed: 0, stream: 0 })
        constants.set(imported.outputs[0] as string, keep(x as AnyTensor))
      }
    })
    const pick = (places: 'weights' | 'statistics'): Map<string, Tensor> => {
      const picked = new Map<string, Tensor>()
      for (const value of nodes.flatMap((each) => placesOf(each, [places]))) {
        const x = constants.get(value)
        if (x?.dtype === 'float32') picked.set(value, x as Tensor)
      }
      return picked
    }
    const buffers = pick('statistics')
    const parameters = new Map([...pick('weights')].filter(([value]) => !buffers.has(value)))
    return new Program({
      name,
      inputs: inputs as ProgramValue[],
      outputs: outputs as ProgramValue[],
      constants,
      parameters,
      buffers,
      nodes: nodes.filter((each) => !isWeight(each)).map(({ imported }) => imported),
    })
  } catch (error) {
    for (const x of constants.values()) x.dispose()
    throw error
  }
}
