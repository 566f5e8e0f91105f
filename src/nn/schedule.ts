/** What a forward pass does and needs, derived from shapes alone: each node's output, when it is freed, bytes in use. */
import type { PassMemory } from '../graph/memory.js'
import { blockOf } from '../runtime/memory.js'
import { ArgumentError, OutOfMemoryError, ShapeError } from '../runtime/errors.js'
import { checkSize, sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { ReLU } from './activation.js'
import type { Layer } from './layer.js'
import { neededFor, type GraphNode } from './wiring.js'

/** Shapes of nodes and inputs by name, without the batch. */
export type Shapes = ReadonlyMap<string, Shape>

/** One node of a forward pass. */
export interface Step {
  readonly node: GraphNode
  /** Its place among all nodes of the model. */
  readonly place: number
  /** Names whose values nothing reads afterwards. */
  readonly last: readonly string[]
  /** 'here': the layer applies the ReLU that follows; 'done': it is that ReLU, and hands its input on. */
  readonly relu: 'here' | 'done' | undefined
}

/** Bytes. */
export interface ModelMemory {
  /** Trained numbers and running statistics. */
  readonly weights: number
  /** Copies of weights, packed or transformed for the fast algorithms: kept from the second pass on. */
  readonly packed: number
  /** Most that input, activations and workspace take at one time. */
  readonly working: number
  /** All three: the peak of repeated forward passes. */
  readonly peak: number
  /** The peak of a single pass, or where packed weights are not kept: each layer's are there while it runs. */
  readonly firstPeak: number
  /** The node at which a repeated pass is largest. */
  readonly at: string
}

const MEMORY_LIMIT = 2 ** 32

/** The output shape of every node. @throws ShapeError that names the node and the shapes it was given. */
export function inferShapes(inputs: Shapes, nodes: readonly GraphNode[]): Map<string, Shape> {
  const shapes = new Map(inputs)
  for (const { name, layer, inputs: read } of nodes) {
    try {
      const shape = layer.check(read.map((input) => shapes.get(input) as Shape))
      checkSize(shape, layer.type)
      shapes.set(name, shape)
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error
      // A picture that is too small is refused by a layer deep inside, whose input says nothing to whoever gave the picture.
      const given = read.some((input) => inputs.has(input))
        ? ''
        : `; the model's input is ${[...inputs.values()].map(showShape).join(' and ')}`
      throw new ArgumentError(`layer ${name}, ${layer.describe()}: ${error.message}${given}`)
    }
  }
  return shapes
}

/** The nodes that the outputs need, with what can be freed after each. Inputs belong to the caller, outputs are kept. */
export function planSteps(nodes: readonly GraphNode[], outputs: readonly string[]): Step[] {
  const kept = new Set(outputs)
  const places = new Map(nodes.map(({ name }, place) => [name, place]))
  const needed = neededFor(nodes, outputs)
  const rectifiers = rectifiersIn(needed, kept)
  const rectified = new Set<string | undefined>()
  for (const { inputs } of rectifiers) rectified.add(inputs[0])
  const seen = new Set<string>()
  const steps = new Array<Step>(needed.length)
  for (let index = needed.length - 1; index >= 0; index--) {
    const node = needed[index] as GraphNode
    const last: string[] = []
    for (const name of node.inputs) {
      if (seen.has(name)) continue
      seen.add(name)
      if (places.has(name) && !kept.has(name)) last.push(name)
    }
    const relu = rectified.has(node.name) ? 'here' : rectifiers.has(node) ? 'done' : undefined
    steps[index] = { node, last, place: places.get(node.name) as number, relu }
  }
  return steps
}

/** The ReLU nodes that the layer before can do: it fuses relu, nothing else reads what it gives, and it is no output. */
function rectifiersIn(nodes: readonly GraphNode[], kept: ReadonlySet<string>): Set<GraphNode> {
  const found = new Set<GraphNode>()
  const fusing = new Set<string>()
  for (const { layer, name } of nodes) if (layer.fusesRelu) fusing.add(name)
  if (fusing.size === 0) return found
  const readers = new Map<string, number>()
  for (const { inputs } of nodes) for (const name of inputs) readers.set(name, (readers.get(name) ?? 0) + 1)
  for (const node of nodes) {
    const { layer, inputs } = node
    const [before = ''] = inputs
    if (layer.constructor === ReLU && fusing.has(before) && readers.get(before) === 1 && !kept.has(before))
      found.add(node)
  }
  return found
}

/**
 * Bytes of the weights of some nodes, shared layers once.
 * @throws ShapeError when a layer is shared by inputs that need other weights
 */
export function weightBytes(shapes: Shapes, nodes: readonly GraphNode[]): number {
  const layers = new Map<Layer, Shape>()
  for (const { name, layer, inputs } of nodes) {
    const input = shapes.get(inputs[0] as string) as Shape
    const first = layers.get(layer)
    if (!first) layers.set(layer, input)
    else if (!sameShape(first, input)) checkShared(name, layer, first, input)
  }
  let bytes = 0
  for (const [layer, input] of layers) for (const { shape } of layer.weights(input)) bytes += blockOf(4 * sizeOf(shape))
  return bytes
}

function checkShared(name: string, layer: Layer, first: Shape, input: Shape): void {
  const needed = layer.weights(input)
  layer.weights(first).forEach(({ name: weight, shape }, index) => {
    const other = needed[index]?.shape ?? []
    if (sameShape(shape, other)) return
    throw new ShapeError(
      `layer ${name}, ${layer.describe()}: its weights are shared; its ${weight} is ${showShape(shape)} for an input ` +
        `${showShape(first)}, but an input ${showShape(input)} needs ${showShape(other)}`,
    )
  })
}

/** What a model takes: `weights` bytes of weights, and what was measured of a pass, nothing where it depends on numbers. */
export function measureMemory(measured: PassMemory | undefined, weights: number): ModelMemory {
  const { packed, working, single, at } = measured ?? { packed: 0, working: 0, single: 0, at: '' }
  return { weights, packed, working, peak: weights + packed + working, firstPeak: weights + single, at }
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`

/** @throws OutOfMemoryError when a model or a pass cannot fit, before anything is allocated. */
export function assertFits(bytes: number, what: string, instead: string): void {
  if (bytes > MEMORY_LIMIT) {
    throw new OutOfMemoryError(
      `${what} ${mebibytes(bytes)}, but WebAssembly memory ends at ${mebibytes(MEMORY_LIMIT)}; ${instead}`,
    )
  }
}

/** Checks the shapes of the tensors given to a model against each other. Gives the batch, and the shapes without it. */
export function splitBatch(given: ReadonlyMap<string, Shape>): { readonly batch: number; readonly shapes: Shapes } {
  const batches = new Set([...given.values()].map(([N]) => N))
  const [batch] = batches
  if (batches.size !== 1 || batch === undefined) {
    const listed = [...given].map(([name, shape]) => `${name} ${showShape(shape)}`).join(', ')
    throw new ArgumentError(`forward: the inputs must have one batch size as their first extent, given ${listed}`)
  }
  return { batch, shapes: new Map([...given].map(([name, shape]) => [name, shape.slice(1)])) }
}
