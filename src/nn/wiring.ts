/** The structure of a graph: which node reads which, in an order in which each comes after what it reads. */
import { checkSwitch, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { Layer } from './layer.js'

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

/** Layers of a model: by the name of a node, by a pattern of such names, or by a function of the layer. */
export type LayerSelection = string | RegExp | ((layer: Layer) => boolean)

/** Whether a selection means a node. */
export const meantBy = (which: LayerSelection): ((node: GraphNode) => boolean) =>
  typeof which === 'function'
    ? ({ layer }) => {
        const isMeant: unknown = which(layer)
        checkSwitch(isMeant, 'freeze and unfreeze: what the function of a layer gives')
        return isMeant === true
      }
    : which instanceof RegExp
      ? // Unlike test, search begins at the start whatever the flags are.
        ({ name }) => name.search(which) >= 0
      : ({ name }) => name === which

/** Names that a message lists before it gives their number. */
const LISTED = 20

/** Some names, the first of which stand for all of a model of thousands of nodes. */
const listed = (names: readonly string[], join = ', '): string =>
  names.length <= LISTED
    ? names.join(join)
    : `${names.slice(0, LISTED).join(join)}${join}… (${names.length - LISTED} more)`

/** The names of nodes or inputs in a message: all of them, or the first. */
export const quoted = (names: readonly string[]): string => listed(names.map((name) => `'${name}'`))

/** The nodes that lie on a cycle, in its order, starting anywhere. */
function findCycle(rest: ReadonlyMap<string, GraphNode>): string[] {
  const path = new Map<string, number>()
  let name = [...rest.keys()][0] as string
  while (!path.has(name)) {
    path.set(name, path.size)
    // Every node that is left waits for another that is left.
    name = (rest.get(name) as GraphNode).inputs.find((input) => rest.has(input)) as string
  }
  return [...path.keys()].slice(path.get(name)).reverse()
}

/** The smallest number first: a binary heap. */
class Smallest {
  readonly #heap: number[] = []

  add(value: number): void {
    const heap = this.#heap
    let at = heap.length
    for (let above = (at - 1) >> 1; at > 0 && (heap[above] as number) > value; above = (at - 1) >> 1) {
      heap[at] = heap[above] as number
      at = above
    }
    heap[at] = value
  }

  take(): number | undefined {
    const heap = this.#heap
    const [smallest] = heap
    const value = heap.pop()
    if (value === undefined || heap.length === 0) return smallest
    let at = 0
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      if ((heap[below + 1] ?? Infinity) < (heap[below] as number)) below++
      if ((heap[below] as number) >= value) break
      heap[at] = heap[below] as number
      at = below
    }
    heap[at] = value
    return smallest
  }
}

/**
 * The nodes in an order in which each comes after what it reads, and otherwise as given: of those that are ready, the one
 * that was given first comes next. Nodes that are given in such an order, as most are, take linear time; others take that
 * of a heap.
 * @throws ShapeError on a cycle
 */
export function sortNodes(nodes: readonly GraphNode[]): GraphNode[] {
  const places = new Map(nodes.map(({ name }, place) => [name, place]))
  if (nodes.every(({ inputs }, place) => inputs.every((input) => (places.get(input) ?? -1) < place))) return [...nodes]
  const readers = nodes.map((): number[] => [])
  const missing = nodes.map(({ inputs }, place) => {
    const read = inputs.map((input) => places.get(input)).filter((from) => from !== undefined)
    for (const from of read) (readers[from] as number[]).push(place)
    return read.length
  })
  const ready = new Smallest()
  missing.forEach((count, place) => {
    if (count === 0) ready.add(place)
  })
  const sorted: GraphNode[] = []
  for (let place = ready.take(); place !== undefined; place = ready.take()) {
    sorted.push(nodes[place] as GraphNode)
    for (const reader of readers[place] as number[]) {
      missing[reader] = (missing[reader] as number) - 1
      if (missing[reader] === 0) ready.add(reader)
    }
  }
  if (sorted.length < nodes.length) {
    const rest = nodes.filter((_, place) => (missing[place] as number) > 0)
    const cycle = findCycle(new Map(rest.map((node) => [node.name, node])))
    throw new ShapeError(
      `Graph: the nodes ${listed([...cycle, cycle[0] as string], ' -> ')} form a cycle; a node may only read what comes before it`,
    )
  }
  return sorted
}

/** The nodes that `wanted` need, in the order given: all of them where that is so. */
export function neededFor(nodes: readonly GraphNode[], wanted: readonly string[]): readonly GraphNode[] {
  const needed = new Set(wanted)
  let idle = 0
  for (let place = nodes.length - 1; place >= 0; place--) {
    const { name, inputs } = nodes[place] as GraphNode
    if (needed.has(name)) for (const input of inputs) needed.add(input)
    else idle++
  }
  return idle === 0 ? nodes : nodes.filter(({ name }) => needed.has(name))
}

const isNames = (value: unknown): boolean =>
  Array.isArray(value) && value.every((name: unknown) => typeof name === 'string')

/** Checks that nodes are nodes, and outputs names. @throws ShapeError that says which is none */
export function checkNodes(nodes: unknown, outputs: unknown): void {
  if (!Array.isArray(nodes)) throw wrongKind('Graph: the nodes', 'a list', nodes)
  for (const [index, node] of (nodes as unknown[]).entries()) {
    const { name, layer, inputs } = (typeof node === 'object' && node !== null ? node : {}) as Record<string, unknown>
    if (typeof name !== 'string' || !(layer instanceof Layer)) {
      throw new ArgumentError(
        `Graph: node ${index} must have a name and a layer, given ${inWords(name)} and ${inWords(layer)}`,
      )
    }
    if (inputs !== undefined && typeof inputs !== 'string' && !isNames(inputs)) {
      throw wrongKind(`Graph: the inputs of node '${name}'`, 'a name or a list of names', inputs)
    }
  }
  if (outputs !== undefined && !isNames(outputs)) {
    throw wrongKind('Graph: the outputs', 'a list of names of nodes', outputs)
  }
}

/** Checks names and connections. @throws ShapeError that names the node. */
export function checkWiring(
  inputs: readonly string[],
  nodes: readonly GraphNode[],
  outputs: readonly string[],
): GraphNode[] {
  if (nodes.length === 0) throw new ArgumentError('Graph: a model needs at least one layer')
  if (inputs.length === 0) throw new ArgumentError('Graph: a model needs at least one input')
  const names = new Set(inputs)
  for (const { name } of nodes) {
    if (names.has(name)) throw new ArgumentError(`Graph: two nodes or inputs are called '${name}'; names must differ`)
    names.add(name)
  }
  for (const { name, inputs: read, layer } of nodes) {
    if (read.length === 0) {
      throw new ArgumentError(
        `Graph: node '${name}', ${layer.describe()}, reads nothing; connect it to an input or a node`,
      )
    }
    if (read.length > 1 && !layer.many) {
      throw new ArgumentError(
        `Graph: node '${name}', ${layer.describe()}, takes one input, given ${quoted(read)}; join them by Concat or Add`,
      )
    }
    for (const input of read) {
      if (!names.has(input)) {
        throw new ArgumentError(
          `Graph: node '${name}' reads '${input}', which does not exist; there are ${quoted([...names])}`,
        )
      }
    }
  }
  for (const output of outputs) {
    if (!names.has(output) || inputs.includes(output)) {
      throw new ArgumentError(
        `Graph: there is no node '${output}' to be an output; nodes are ${quoted(nodes.map(({ name }) => name))}`,
      )
    }
  }
  const sorted = sortNodes(nodes)
  const needed = neededFor(sorted, outputs)
  if (needed.length < nodes.length) {
    const found = new Set(needed)
    const idle = nodes.find((node) => !found.has(node)) as GraphNode
    throw new ArgumentError(
      `Graph: node '${idle.name}', ${idle.layer.describe()}, leads to no output; let another node read it, or make it an output`,
    )
  }
  const read = new Set<string>()
  for (const { inputs: own } of nodes) for (const input of own) read.add(input)
  const unread = inputs.find((input) => !read.has(input))
  if (unread !== undefined)
    throw new ArgumentError(`Graph: no node reads the input '${unread}'; connect it or leave it out`)
  return sorted
}
