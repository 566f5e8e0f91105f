/** Functions of a model, which are operators that it defines by others, in the place of their calls. */
import { FormatError, UnsupportedError } from '../../runtime/errors.js'
import { inWords } from '../../runtime/text.js'
import type { OnnxAttribute, OnnxFunction, OnnxModel, OnnxNode, OnnxOpset } from '../../formats/onnx.js'

/** A node with the version of ONNX's operators that it is written in. */
export interface PlacedNode {
  readonly node: OnnxNode
  readonly opset: number
}

/** Functions call functions so deep at most, and make so many nodes in all. */
const MOST_DEPTH = 16
const MOST_NODES = 2 ** 20

/** Whether a set of operators is ONNX's own. */
export const isOwn = (domain: string): boolean => domain === '' || domain === 'ai.onnx'

/** The version of ONNX's operators in a list of sets; undefined where it is not named. */
export function ownVersion(sets: readonly OnnxOpset[]): number | undefined {
  const versions = new Set(sets.filter(({ domain }) => isOwn(domain)).map(({ version }) => version))
  if (versions.size > 1)
    throw new FormatError(
      `two versions of ONNX's operators are named, ${[...versions].join(' and ')}; export it again with one`,
    )
  return [...versions][0]
}

const keyOf = (domain: string, name: string): string => JSON.stringify([isOwn(domain) ? '' : domain, name])

/** The nodes of a list with every call of a function as the nodes of the function. */
export function inlined(model: OnnxModel, nodes: readonly OnnxNode[], opset: number): PlacedNode[] {
  const functions = new Map(model.functions.map((each) => [keyOf(each.domain, each.name), each]))
  if (functions.size < model.functions.length) throw new FormatError('two functions have the same name')
  const placed: PlacedNode[] = []
  let calls = 0
  const go = (list: readonly OnnxNode[], version: number, depth: number): void => {
    for (const node of list) {
      const called = functions.get(keyOf(node.domain, node.opType))
      if (called) {
        if (depth === MOST_DEPTH) throw new UnsupportedError(`functions call each other more than ${MOST_DEPTH} deep`)
        go(bodyOf(called, node, calls++), ownVersion(called.opsetImport) ?? version, depth + 1)
      } else placed.push({ node, opset: version })
      if (placed.length > MOST_NODES) throw new UnsupportedError(`functions make more than ${MOST_NODES} nodes`)
    }
  }
  go(nodes, opset, 0)
  return placed
}

/** The nodes of a function for one call: values with names of their own, attributes as the call gives them. */
function bodyOf(called: OnnxFunction, call: OnnxNode, number: number): OnnxNode[] {
  const what = `the function ${inWords(called.name)}`
  const values = new Map<string, string>([['', '']])
  called.inputs.forEach((name, index) => values.set(name, call.inputs[index] ?? ''))
  called.outputs.forEach((name, index) => {
    const given = call.outputs[index] ?? ''
    if (given !== '') values.set(name, given)
  })
  const attributes = new Map<string, OnnxAttribute>()
  for (const attribute of called.attributeDefaults) attributes.set(attribute.name, attribute)
  for (const attribute of call.attributes) attributes.set(attribute.name, attribute)
  const missing = called.attributes.find((name) => !attributes.has(name))
  if (missing !== undefined) throw new FormatError(`${what} needs the attribute ${inWords(missing)}`)
  const renamed = (name: string): string => {
    const own = values.get(name) ?? `${called.name} ${number}/${name}`
    values.set(name, own)
    return own
  }
  return called.nodes.map((node): OnnxNode => ({
    ...node,
    name: `${call.name || called.name} ${number}/${node.name || node.opType}`,
    inputs: node.inputs.map(renamed),
    outputs: node.outputs.map(renamed),
    attributes: node.attributes.flatMap((attribute): OnnxAttribute[] => {
      if (attribute.kind === 'graph' || attribute.kind === 'graphs')
        throw new UnsupportedError(`${what} holds a graph of its own, which is not supported`)
      if (attribute.kind !== 'reference') return [attribute]
      const given = attributes.get(attribute.value)
      return given ? [{ ...given, name: attribute.name }] : []
    }),
  }))
}
