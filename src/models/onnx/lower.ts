/** Nodes of a file as nodes of a program: every name is checked, every operator looked up, every attribute read. */
import { FormatError, UnsupportedError } from '../../runtime/errors.js'
import { inWords } from '../../runtime/text.js'
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from '../../formats/onnx.js'
import { scope, Tensor, type AnyTensor } from '../../tensor/tensor.js'
import type { ImportedNode, NodeContext } from '../imported.js'
import { Refusals } from '../refusals.js'
import { inlined, isOwn } from './inline.js'
import { NodeReader } from './node.js'
import { isKnownSet, meaningsOf } from './operators/index.js'
import type { Meaning, Subgraph } from './row.js'

/** A node, what its operator means, and what it computes. */
export interface LoweredNode {
  readonly node: OnnxNode
  readonly meaning: Meaning
  readonly imported: ImportedNode
}

/** What a model is lowered with: all that cannot be run is told at once. */
export class Lowering extends Refusals {
  readonly model: OnnxModel
  /** Constants of the graph and of those within it, by names that no other has. */
  readonly initializers = new Map<string, OnnxTensor>()

  constructor(model: OnnxModel, name: string) {
    super(name)
    this.model = model
  }

  /**
   * The nodes of a graph. `outer` are values that are there besides its own, `prefix` begins the names of what it holds.
   * @throws FormatError where a value is made twice, or read before it is made
   */
  nodes(graph: OnnxGraph, opset: number, outer: ReadonlySet<string>, prefix: string): LoweredNode[] {
    const placed = inlined(this.model, graph.nodes, opset)
    const names = namesOf(
      placed.map(({ node }) => node),
      prefix,
    )
    const where = (index: number): string =>
      `node '${names[index] as string}' (${(placed[index]?.node as OnnxNode).opType})`
    const there = checkNames(
      graph,
      placed.map(({ node }) => node),
      outer,
      where,
      this.name,
    )
    return placed.flatMap(({ node, opset: version }, index): LoweredNode[] => {
      const made = this.attempt(where(index), () => this.#node(node, version, names[index] as string, there))
      return made ? [made] : []
    })
  }

  /** One node, with the graphs in it. */
  #node(node: OnnxNode, opset: number, name: string, there: ReadonlySet<string>): LoweredNode {
    const meaning = meaningOf(node, opset)
    const captured: string[] = []
    const subgraph = (graph: OnnxGraph, what: string): Subgraph => {
      const { captured: own, run } = this.#subgraph(graph, opset, there, `${name}/${what}/`)
      for (const value of own) if (!captured.includes(value)) captured.push(value)
      return { inputs: graph.inputs.length, outputs: graph.outputs.length, run }
    }
    const reader = new NodeReader(node, opset)
    const lower = meaning.lower(reader, subgraph)
    reader.end()
    const count = node.inputs.length
    return {
      node,
      meaning,
      imported: {
        name,
        operator: node.opType,
        inputs: [...node.inputs, ...captured],
        outputs: node.outputs,
        compute: (tensors, context) => {
          const outer = new Map(captured.map((value, index) => [value, tensors[count + index] as AnyTensor]))
          const given = lower(tensors.slice(0, count), context, outer)
          return (given instanceof Tensor ? [given] : given) as readonly AnyTensor[]
        },
      },
    }
  }

  /** A graph within a node: it reads values of the graph around it by their names. */
  #subgraph(
    graph: OnnxGraph,
    opset: number,
    outer: ReadonlySet<string>,
    prefix: string,
  ): { readonly captured: readonly string[]; readonly run: Subgraph['run'] } {
    const constants = new Map<string, string>()
    for (const initializer of graph.initializers) {
      const unique = prefix + initializer.name
      constants.set(initializer.name, unique)
      this.initializers.set(unique, initializer)
    }
    const lowered = this.nodes(graph, opset, outer, prefix)
    const own = new Set([
      ...graph.inputs.map((input) => input.name),
      ...lowered.flatMap(({ imported }) => imported.outputs),
    ])
    const read = [...lowered.flatMap(({ imported }) => imported.inputs), ...graph.outputs.map((output) => output.name)]
    const free = [...new Set(read)].filter((value) => value !== '' && !own.has(value) && !constants.has(value))
    const captured = [...free, ...constants.values()]
    const run: Subgraph['run'] = (inputs, context, values) => {
      const all = new Map<string, AnyTensor>()
      for (const value of free) all.set(value, values.get(value) as AnyTensor)
      for (const [value, unique] of constants) all.set(value, values.get(unique) as AnyTensor)
      graph.inputs.forEach((input, index) => {
        const x = inputs[index]
        if (x) all.set(input.name, x)
      })
      return scope(() => {
        for (const { imported } of lowered) computeInto(imported, all, context)
        return graph.outputs.map((output) => (all.get(output.name) as AnyTensor).alias())
      })
    }
    return { captured, run }
  }
}

function computeInto(node: ImportedNode, values: Map<string, AnyTensor>, context: NodeContext): void {
  const given = node.compute(
    node.inputs.map((name) => values.get(name)),
    context,
  )
  node.outputs.forEach((name, index) => {
    const y = given[index]
    if (name !== '' && y) values.set(name, y)
  })
}

/** What the operator of a node means in an opset. */
function meaningOf(node: OnnxNode, opset: number): Meaning {
  const set = isOwn(node.domain) ? '' : node.domain
  if (!isKnownSet(set))
    throw new UnsupportedError(`the operator is of the set ${inWords(node.domain)}, which is not supported`)
  const meanings = meaningsOf(set, node.opType)
  const meaning = meanings?.findLast(({ since }) => since <= opset)
  if (!meaning) {
    throw new UnsupportedError(
      meanings
        ? `the operator is there from opset ${meanings[0]?.since} on, and the model is of ${opset}`
        : `the operator is not supported${/quantize|QLinear|Integer$/i.test(node.opType) ? '; those of integers are after initIntegers() of toeplitz/quant' : ''}`,
    )
  }
  const [least, most] = meaning.inputs
  const count = node.inputs.length
  if (count < least || count > most) {
    const due = least === most ? String(least) : most === Infinity ? `${least} or more` : `${least} to ${most}`
    throw new FormatError(`the operator takes ${due} inputs, given ${count}`)
  }
  return meaning
}

/** Names for nodes, of which many files have none, and some the same twice. */
function namesOf(nodes: readonly OnnxNode[], prefix: string): string[] {
  const seen = new Map<string, number>()
  return nodes.map(({ name, opType, outputs }, index) => {
    const own = prefix + (name || outputs.find((output) => output !== '') || `${opType} ${index}`)
    const before = seen.get(own) ?? 0
    seen.set(own, before + 1)
    return before === 0 ? own : `${own} (${before + 1})`
  })
}

/** Checks that every value is made once, and before it is read; gives all that are there. */
function checkNames(
  graph: OnnxGraph,
  nodes: readonly OnnxNode[],
  outer: ReadonlySet<string>,
  where: (index: number) => string,
  name: string,
): ReadonlySet<string> {
  const there = new Set(outer)
  const twice = (kind: string, list: readonly { readonly name: string }[]): void => {
    const seen = new Set<string>()
    for (const each of list) {
      if (seen.has(each.name)) throw new FormatError(`${name}: two ${kind} are called ${inWords(each.name)}`)
      seen.add(each.name)
      there.add(each.name)
    }
  }
  twice('inputs', graph.inputs)
  twice('initializers', graph.initializers)
  const makers = new Map(nodes.flatMap((node, index) => node.outputs.map((output) => [output, index] as const)))
  nodes.forEach((node, index) => {
    for (const input of node.inputs) {
      if (input === '' || there.has(input)) continue
      const maker = makers.get(input)
      throw new FormatError(
        maker === undefined
          ? `${name}: ${where(index)} reads ${inWords(input)}, which nothing gives`
          : `${name}: ${where(index)} reads ${inWords(input)}, which ${where(maker)} gives ${maker === index ? 'itself' : 'only after it'}: the nodes are in a circle or out of order`,
      )
    }
    for (const output of node.outputs) {
      if (output === '') continue
      if (there.has(output))
        throw new FormatError(`${name}: ${where(index)} gives ${inWords(output)}, which is there already`)
      there.add(output)
    }
  })
  for (const { name: output } of graph.outputs) {
    if (!there.has(output)) throw new FormatError(`${name}: the output ${inWords(output)} is given by nothing`)
  }
  return there
}
