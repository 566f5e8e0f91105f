/** The structure of a graph: which node reads which, in an order in which each comes after what it reads. */
import { ShapeError } from '../runtime/errors.js'
import type { Layer } from './layer.js'

/** One use of a layer. The same layer in two nodes shares its weights. */
export interface GraphNode {
  /** Unlike every other node's and input's. It begins the names of the layer's weights. */
  readonly name: string
  /** What it computes; nodes that share weights have the same one. */
  readonly layer: Layer
  /** The inputs of the model and the nodes that it reads, in the layer's order. */
  readonly inputs: readonly string[]
  /** The block that the node is part of: one row of the summary, with the nodes as children. */
  readonly block?: string
}

const quoted = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ')

/** The nodes that lie on a cycle, in its order, starting anywhere. */
function findCycle(rest: ReadonlyMap<string, GraphNode>): string[] {
  const path: string[] = []
  let name = [...rest.keys()][0] as string
  while (!path.includes(name)) {
    path.push(name)
    // Every node that is left waits for another that is left.
    name = (rest.get(name) as GraphNode).inputs.find((input) => rest.has(input)) as string
  }
  return path.slice(path.indexOf(name)).reverse()
}

/** The nodes in an order in which each comes after what it reads; otherwise as given. @throws ShapeError on a cycle. */
export function sortNodes(nodes: readonly GraphNode[]): GraphNode[] {
  const rest = new Map(nodes.map((node) => [node.name, node]))
  const sorted: GraphNode[] = []
  while (rest.size > 0) {
    const ready = [...rest.values()].find(({ inputs }) => !inputs.some((input) => rest.has(input)))
    if (!ready) {
      const cycle = findCycle(rest)
      throw new ShapeError(
        `Graph: the nodes ${[...cycle, cycle[0]].join(' -> ')} form a cycle; a node may only read what comes before it`,
      )
    }
    sorted.push(ready)
    rest.delete(ready.name)
  }
  return sorted
}

/** The nodes that `wanted` need, in the order given. */
export function neededFor(nodes: readonly GraphNode[], wanted: readonly string[]): GraphNode[] {
  const needed = new Set(wanted)
  for (const { name, inputs } of [...nodes].reverse())
    if (needed.has(name)) for (const input of inputs) needed.add(input)
  return nodes.filter(({ name }) => needed.has(name))
}

/** Checks names and connections. @throws ShapeError that names the node. */
export function checkWiring(
  inputs: readonly string[],
  nodes: readonly GraphNode[],
  outputs: readonly string[],
): GraphNode[] {
  if (nodes.length === 0) throw new ShapeError('Graph: a model needs at least one layer')
  if (inputs.length === 0) throw new ShapeError('Graph: a model needs at least one input')
  const names = new Set(inputs)
  for (const { name } of nodes) {
    if (names.has(name)) throw new ShapeError(`Graph: two nodes or inputs are called '${name}'; names must differ`)
    names.add(name)
  }
  for (const { name, inputs: read, layer } of nodes) {
    if (read.length === 0) {
      throw new ShapeError(
        `Graph: node '${name}', ${layer.describe()}, reads nothing; connect it to an input or a node`,
      )
    }
    if (read.length > 1 && !layer.many) {
      throw new ShapeError(
        `Graph: node '${name}', ${layer.describe()}, takes one input, given ${quoted(read)}; join them by Concat or Add`,
      )
    }
    for (const input of read) {
      if (!names.has(input)) {
        throw new ShapeError(
          `Graph: node '${name}' reads '${input}', which does not exist; there are ${quoted([...names])}`,
        )
      }
    }
  }
  for (const output of outputs) {
    if (!nodes.some(({ name }) => name === output)) {
      throw new ShapeError(
        `Graph: there is no node '${output}' to be an output; nodes are ${quoted(nodes.map(({ name }) => name))}`,
      )
    }
  }
  const sorted = sortNodes(nodes)
  const needed = neededFor(sorted, outputs)
  const idle = nodes.find((node) => !needed.includes(node))
  if (idle) {
    throw new ShapeError(
      `Graph: node '${idle.name}', ${idle.layer.describe()}, leads to no output; let another node read it, or make it an output`,
    )
  }
  const unread = inputs.find((input) => !nodes.some(({ inputs: read }) => read.includes(input)))
  if (unread !== undefined)
    throw new ShapeError(`Graph: no node reads the input '${unread}'; connect it or leave it out`)
  return sorted
}
