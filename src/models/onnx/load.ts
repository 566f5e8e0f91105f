/** ONNX models as programs. */
import { FormatError, ToeplitzError, UnsupportedError } from '../../runtime/errors.js'
import { kernels } from '../../runtime/core.js'
import { checkKeys } from '../../runtime/options.js'
import { inWords } from '../../runtime/text.js'
import {
  elementTypeName,
  readOnnx,
  type OnnxExternal,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxValueInfo,
} from '../../formats/onnx.js'
import type { FileBytes } from '../../formats/limits.js'
import { keep, scope, Tensor, type AnyTensor } from '../../tensor/tensor.js'
import type { ImportedNode, ProgramValue } from '../imported.js'
import { Program } from '../program.js'
import { NodeReader } from './node.js'
import { operators } from './operators/index.js'
import { typeOf } from './operators/elementwise.js'
import { stored } from './operators/layout.js'
import type { Lowered, Meaning } from './row.js'

/** Options of `loadOnnx`. */
export interface OnnxOptions {
  /** What errors call the file; default 'the ONNX model'. */
  readonly name?: string | undefined
  /** Files that weights lie in, by the names that the model gives them. Nothing else is read. */
  readonly externalData?: OnnxExternal | undefined
}

const optionNames = { name: 0, externalData: 0 }

/** Opsets whose operators the tables know. */
const OLDEST = 6
const NEWEST = 22

/** Whether a set of operators is ONNX's own. */
const isOwn = (domain: string): boolean => domain === '' || domain === 'ai.onnx'

/** The version of ONNX's operators that a model is written in. */
function opsetOf({ opsetImport }: OnnxModel, name: string): number {
  const own = opsetImport.filter(({ domain }) => isOwn(domain))
  // A model of before the sets had versions is of the first.
  const version = own[0]?.version ?? 1
  if (own.length > 1 && own.some((other) => other.version !== version))
    throw new FormatError(`${name}: two versions of ONNX's operators are named; export it again with one`)
  if (version < OLDEST || version > NEWEST) {
    throw new UnsupportedError(
      `${name}: is of opset ${version}; supported are ${OLDEST} to ${NEWEST}: convert it with onnx.version_converter`,
    )
  }
  return version
}

/** The meaning of a node, and what it computes. */
function lowered(node: OnnxNode, opset: number): { readonly meaning: Meaning; readonly lower: Lowered } {
  if (!isOwn(node.domain))
    throw new UnsupportedError(`the operator is of the set ${inWords(node.domain)}, which is not supported`)
  const meanings = Object.hasOwn(operators, node.opType) ? operators[node.opType] : undefined
  const meaning = meanings?.findLast(({ since }) => since <= opset)
  if (!meaning) {
    throw new UnsupportedError(
      meanings
        ? `the operator is there from opset ${meanings[0]?.since} on, and the model is of ${opset}`
        : 'the operator is not supported',
    )
  }
  const [least, most] = meaning.inputs
  const count = node.inputs.length
  if (count < least || count > most) {
    const due = least === most ? String(least) : most === Infinity ? `${least} or more` : `${least} to ${most}`
    throw new FormatError(`the operator takes ${due} inputs, given ${count}`)
  }
  const reader = new NodeReader(node, opset)
  const lower = meaning.lower(reader)
  reader.end()
  return { meaning, lower }
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

/** Names for nodes, of which many files have none, and some the same twice. */
function namesOf(nodes: readonly OnnxNode[]): string[] {
  const seen = new Set<string>()
  return nodes.map(({ name, opType, outputs }, index) => {
    let own = name || outputs.find((output) => output !== '') || `${opType} ${index}`
    while (seen.has(own)) own = `${own}'`
    seen.add(own)
    return own
  })
}

/** Checks that every value is made once, and before it is read. */
function checkOrder(graph: OnnxGraph, names: readonly string[], name: string): void {
  const there = new Set<string>()
  for (const { name: value } of graph.inputs) {
    if (there.has(value)) throw new FormatError(`${name}: two inputs are called ${inWords(value)}`)
    there.add(value)
  }
  const initializers = new Set<string>()
  for (const { name: value } of graph.initializers) {
    if (initializers.has(value)) throw new FormatError(`${name}: two initializers are called ${inWords(value)}`)
    initializers.add(value)
    there.add(value)
  }
  const makers = new Map(graph.nodes.flatMap((node, index) => node.outputs.map((output) => [output, index] as const)))
  graph.nodes.forEach((node, index) => {
    const where = `${name}: node '${names[index] as string}' (${node.opType})`
    for (const input of node.inputs) {
      if (input === '' || there.has(input)) continue
      const maker = makers.get(input)
      throw new FormatError(
        maker === undefined
          ? `${where} reads ${inWords(input)}, which nothing gives`
          : `${where} reads ${inWords(input)}, which node '${names[maker] as string}' gives only ${maker === index ? 'itself' : 'after it'}: the nodes are in a circle or out of order`,
      )
    }
    for (const output of node.outputs) {
      if (output === '') continue
      if (there.has(output)) throw new FormatError(`${where} gives ${inWords(output)}, which is there already`)
      there.add(output)
    }
  })
  for (const { name: output } of graph.outputs) {
    if (!there.has(output)) throw new FormatError(`${name}: the output ${inWords(output)} is given by nothing`)
  }
}

/**
 * Reads a model in ONNX's format, of opsets 6 to 22 and any IR version.
 *
 *     const program = loadOnnx(await readFile('model.onnx'))
 *     const { logits } = program.run({ image: x })
 *
 * Inputs that have an initializer are constants. Weights of float16, bfloat16 and float64 become float32.
 * @throws FormatError when the file is damaged or contradicts itself, UnsupportedError that names every node whose operator, type
 * or option is not supported; nothing stays in memory then
 */
export function loadOnnx(file: FileBytes, options: OnnxOptions = {}): Program {
  checkKeys('loadOnnx', options, optionNames)
  kernels('loadOnnx')
  const { name = 'the ONNX model', externalData } = options
  const model = readOnnx(file, name)
  const { graph } = model
  const opset = opsetOf(model, name)
  const names = namesOf(graph.nodes)
  checkOrder(graph, names, name)

  const refused: string[] = []
  let damaged = false
  const attempt = <T>(what: string, use: () => T): T | undefined => {
    try {
      return use()
    } catch (error) {
      if (!(error instanceof ToeplitzError)) throw error
      damaged ||= !(error instanceof UnsupportedError)
      refused.push(`${what}: ${error.message}`)
      return undefined
    }
  }
  const given = new Set(graph.initializers.map((initializer) => initializer.name))
  const inputs = graph.inputs
    .filter((input) => !given.has(input.name))
    .map((input) => attempt('inputs', () => valueOf(input, 'the input')))
  const outputs = graph.outputs.map((output) => attempt('outputs', () => valueOf(output, 'the output')))
  if (outputs.length === 0) refused.push('there is no output')
  const nodes = graph.nodes.map((node, index) =>
    attempt(`node '${names[index] as string}' (${node.opType})`, () => ({ node, ...lowered(node, opset) })),
  )
  if (refused.length > 0) {
    const message = `${name}: ${refused.length === 1 ? '' : `${refused.length} things cannot be run: `}${refused.join('; ')}`
    throw damaged ? new FormatError(message) : new UnsupportedError(message)
  }

  const constants = new Map<string, AnyTensor>()
  try {
    scope(() => {
      for (const initializer of graph.initializers) {
        constants.set(
          initializer.name,
          keep(stored(initializer, externalData, `${name}: initializer '${initializer.name}'`)),
        )
      }
    })
    const pick = (places: 'weights' | 'statistics'): Map<string, Tensor> => {
      const picked = new Map<string, Tensor>()
      for (const each of nodes) {
        for (const place of each?.meaning[places] ?? []) {
          const value = each?.node.inputs[place] ?? ''
          const x = constants.get(value)
          if (x?.dtype === 'float32') picked.set(value, x as Tensor)
        }
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
      nodes: nodes.map((each, index): ImportedNode => {
        const { node, lower } = each as { readonly node: OnnxNode; readonly lower: Lowered }
        return {
          name: names[index] as string,
          operator: node.opType,
          inputs: node.inputs,
          outputs: node.outputs,
          compute: (tensors, context) => {
            const result = lower(tensors, context)
            return (result instanceof Tensor ? [result] : result) as readonly AnyTensor[]
          },
        }
      }),
    })
  } catch (error) {
    for (const x of constants.values()) x.dispose()
    throw error
  }
}
