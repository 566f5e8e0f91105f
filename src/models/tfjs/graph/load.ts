/** Graph-models: TensorFlow's graphs as nodes of a program. */
import { FormatError, UnsupportedError } from '../../../runtime/errors.js'
import { inWords } from '../../../runtime/text.js'
import { Tensor, type AnyTensor } from '../../../tensor/tensor.js'
import type { Compute, ProgramValue } from '../../imported.js'
import type { Refusals } from '../../refusals.js'
import type { Draft, Draw } from '../draft.js'
import { isMembers, listOf, member, objectOf, textOf, type Members } from '../json.js'
import { inOrder } from '../order.js'
import { Values } from '../values.js'
import type { Weights } from '../weights.js'
import { NodeReader, outputName, readNode, shapeOf, typeOf, type GraphNode } from './node.js'
import { operators } from './operators/index.js'
import type { Lowered } from './row.js'

/** Operators that stand for values that are there, or for none. */
const isInput = ({ op }: GraphNode): boolean => op === 'Placeholder'
const isConstant = ({ op }: GraphNode): boolean => op === 'Const'
const isNothing = ({ op }: GraphNode): boolean => op === 'NoOp'

/** The signature of a file: what its inputs and outputs are called, of which type and shape. */
function signatureOf(model: Members): Members | undefined {
  const given = member(model, 'signature')
  if (isMembers(given)) return given
  const more = member(model, 'userDefinedMetadata')
  const own = isMembers(more) ? member(more, 'signature') : undefined
  return isMembers(own) ? own : undefined
}

/** Values of a part of the signature by their names in the graph. */
function named(signature: Members | undefined, part: string): Map<string, Members> {
  const values = new Map<string, Members>()
  const given = signature && member(signature, part)
  if (!isMembers(given)) return values
  for (const key of Object.keys(given)) {
    const fields = objectOf(given[key], `signature: ${part}.${key}`)
    values.set(textOf(member(fields, 'name') ?? key, `signature: ${part}.${key}.name`).replace(/:0$/, ''), fields)
  }
  return values
}

/** What a signature or a placeholder says of a value. */
function told(name: string, type: unknown, shape: unknown): ProgramValue {
  return {
    name,
    dtype: type === undefined ? 'float32' : typeOf(type),
    shape: isMembers(shape) ? shapeOf(shape) : undefined,
  }
}

/** The node that gives a value. */
const makerOf = (value: string): string => value.replace(/:\d+$/, '')

/**
 * Reads the graph of a model. All that is refused without a look at weights is noted: names that nothing gives, and operators
 * that are not supported.
 */
export function draftGraph(model: Members, weights: Weights, refusals: Refusals): Draft {
  const topology = objectOf(member(model, 'modelTopology'), 'modelTopology')
  const nodes = listOf(member(topology, 'node'), 'modelTopology.node').map(readNode)
  const places = new Map(nodes.map(({ name }, place) => [name, place]))
  if (places.size < nodes.length) {
    const twice = nodes.find(({ name }, place) => places.get(name) !== place)
    throw new FormatError(`two nodes are called ${inWords(twice?.name)}`)
  }
  const where = ({ name, op }: GraphNode): string => `node ${inWords(name)} (${op})`
  for (const node of nodes) {
    refusals.attempt(where(node), () => {
      if (isConstant(node)) {
        if (!weights.entries.has(node.name)) throw new FormatError('the manifest has no weight of its name')
        return
      }
      if (isInput(node) || isNothing(node)) return
      const row = Object.hasOwn(operators, node.op) ? operators[node.op] : undefined
      if (!row) throw new UnsupportedError('the operator is not supported')
      const [least, most] = row.inputs
      const count = node.inputs.length
      if (count < least || count > most) {
        const due = least === most ? String(least) : most === Infinity ? `${least} or more` : `${least} to ${most}`
        throw new FormatError(`the operator takes ${due} inputs, given ${count}`)
      }
      for (const input of node.inputs) {
        const maker = nodes[places.get(makerOf(input)) ?? -1]
        if (!maker || isNothing(maker)) throw new FormatError(`it reads ${inWords(input)}, which nothing gives`)
      }
    })
  }
  refusals.end()
  const needs = nodes.map(({ inputs }) => inputs.map((input) => places.get(makerOf(input)) as number))
  const { order, circle } = inOrder(nodes.length, (place) => needs[place] as number[])
  if (circle !== undefined)
    throw new FormatError(`${where(nodes[circle] as GraphNode)} needs itself: the nodes are in a circle`)

  const signature = signatureOf(model)
  const reader = (): Draw => lowerGraph(nodes, order, places, signature, weights, refusals)
  return { lower: reader }
}

function lowerGraph(
  nodes: readonly GraphNode[],
  order: readonly number[],
  places: ReadonlyMap<string, number>,
  signature: Members | undefined,
  weights: Weights,
  refusals: Refusals,
): Draw {
  const values = new Values([...weights.entries.keys(), ...nodes.map(({ name }) => name)])
  /** Constants under other names are read by their own. */
  const aliases = new Map<string, string>()
  const resolved = (node: GraphNode): GraphNode => ({
    ...node,
    inputs: node.inputs.map((input) => aliases.get(input) ?? input),
  })
  /** Outputs of each node that are read. */
  const counts = new Map<string, number>()
  const outputs = outputsOf(nodes, places, signature, refusals)
  for (const value of [...nodes.flatMap(({ inputs }) => inputs), ...outputs.map(({ name }) => name)]) {
    const index = Number(/:(\d+)$/.exec(value)?.[1] ?? 0)
    const maker = makerOf(value)
    counts.set(maker, Math.max(counts.get(maker) ?? 1, index + 1))
  }
  const given = new Set<string>()
  const trained = new Set<string>()
  const statistics = new Set<string>()
  for (const place of order) {
    const node = resolved(nodes[place] as GraphNode)
    const { name, op } = node
    if (isNothing(node)) continue
    if (isConstant(node) || isInput(node)) {
      given.add(name)
      continue
    }
    const [source] = node.inputs
    if (op === 'Identity' && source !== undefined && weights.entries.has(source)) {
      aliases.set(name, source)
      given.add(name)
      values.add(name, op, [source], [{ name, isFirst: false }], ([x]) => [(x as AnyTensor).alias()])
      continue
    }
    refusals.attempt(`node ${inWords(name)} (${op})`, () => {
      const row = operators[op] as (typeof operators)[string]
      const missing = node.inputs.find((input) => !given.has(input))
      if (missing !== undefined && missing.includes(':'))
        throw new FormatError(`it reads ${inWords(missing)}, which nothing gives`)
      const read = counts.get(name) ?? 1
      if (read > MOST_OUTPUTS) throw new FormatError(`its output ${read - 1} is read, which it has not`)
      const reader = new NodeReader(node, read, weights, values)
      const lowered = row.lower(reader)
      reader.end()
      const made: Lowered = typeof lowered === 'function' ? { step: lowered } : lowered
      const count = made.outputs ?? 1
      if (read > count) throw new FormatError(`its output ${read - 1} is read, and it has ${count}`)
      if (count > MOST_OUTPUTS) throw new UnsupportedError(`${count} outputs are more than ${MOST_OUTPUTS}`)
      add(values, node, made, count)
      for (let index = 0; index < count; index++) given.add(outputName(name, index))
      for (const input of row.weights ?? []) if (node.inputs[input] !== undefined) trained.add(node.inputs[input])
      for (const input of row.statistics ?? []) if (node.inputs[input] !== undefined) statistics.add(node.inputs[input])
    })
  }
  for (const { name } of outputs) {
    if (refusals.refused.length === 0 && !given.has(name))
      refusals.attempt('outputs', () => {
        throw new FormatError(`the output ${inWords(name)} is given by nothing`)
      })
  }
  const inputs = inputsOf(nodes, places, signature, outputs, refusals)
  return { inputs, outputs, values, weights: trained, statistics }
}

/** Outputs of one node, at most. */
const MOST_OUTPUTS = 2 ** 12

function add(values: Values, { name, op, inputs }: GraphNode, made: Lowered, count: number): void {
  const { step, first = [], isFirst = false, ndim } = made
  const read = inputs.map((input, index) => (first.includes(index) ? values.first(input) : input))
  const compute: Compute = (tensors, context) => {
    const result = step(tensors, context)
    return (result instanceof Tensor ? [result] : result) as readonly AnyTensor[]
  }
  const outputs = Array.from({ length: count }, (_, index) => ({ name: outputName(name, index), isFirst, ndim }))
  values.add(name, op, read, outputs, compute)
}

/** The outputs of the signature, or what nothing reads. */
function outputsOf(
  nodes: readonly GraphNode[],
  places: ReadonlyMap<string, number>,
  signature: Members | undefined,
  refusals: Refusals,
): readonly ProgramValue[] {
  const named = refusals.attempt('outputs', () => namedOutputs(signature)) ?? []
  const unknown = named.find(({ name }) => !places.has(makerOf(name)))
  if (unknown) {
    refusals.attempt('outputs', () => {
      throw new FormatError(`the signature names ${inWords(unknown.name)}, which nothing gives`)
    })
  }
  if (named.length > 0) return named
  const read = new Set(nodes.flatMap(({ inputs }) => inputs.map(makerOf)))
  const open = nodes.filter((node) => !read.has(node.name) && !isConstant(node) && !isInput(node) && !isNothing(node))
  if (open.length === 0)
    refusals.attempt('outputs', () => {
      throw new FormatError('there is none')
    })
  return open.map(({ name }) => ({ name, dtype: 'float32', shape: undefined }))
}

const namedOutputs = (signature: Members | undefined): readonly ProgramValue[] =>
  [...named(signature, 'outputs')].map(([name, fields]) =>
    told(name, member(fields, 'dtype'), member(fields, 'tensorShape')),
  )

/** The placeholders that the outputs need, in the order of the signature, then of the file. */
function inputsOf(
  nodes: readonly GraphNode[],
  places: ReadonlyMap<string, number>,
  signature: Members | undefined,
  outputs: readonly ProgramValue[],
  refusals: Refusals,
): readonly ProgramValue[] {
  const needed = new Set<string>()
  const open = outputs.map(({ name }) => makerOf(name))
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (needed.has(name)) continue
    needed.add(name)
    open.push(...(nodes[places.get(name) ?? -1]?.inputs ?? []).map(makerOf))
  }
  const told = refusals.attempt('inputs', () => named(signature, 'inputs')) ?? new Map<string, Members>()
  const names = [...new Set([...told.keys(), ...nodes.map(({ name }) => name)])]
  return names.flatMap((name): ProgramValue[] => {
    const node = nodes[places.get(name) ?? -1]
    if (!node || !isInput(node) || !(needed.has(name) || told.has(name))) return []
    const value = refusals.attempt(`node ${inWords(name)} (${node.op})`, () => placeholder(node, told.get(name)))
    return value ? [value] : []
  })
}

function placeholder({ name, attributes }: GraphNode, said: Members | undefined): ProgramValue {
  const attribute = (key: string, kind: string): unknown => {
    const given = member(attributes, key)
    return given === undefined ? undefined : member(objectOf(given, `attribute ${inWords(key)}`), kind)
  }
  const own = told(name, attribute('dtype', 'type') ?? (said && member(said, 'dtype')), attribute('shape', 'shape'))
  if (own.shape || !said) return own
  return { ...own, shape: told(name, undefined, member(said, 'tensorShape')).shape }
}
