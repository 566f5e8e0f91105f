/** Models from their JSON form, which may come from a stranger's file: every part of it is checked, and errors name the part. */
import { FormatError, isOutOfMemory, ToeplitzError } from '../runtime/errors.js'
import { checkObject, wrongKind } from '../runtime/check.js'
import { checkCount, checkKeys, unknownName, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import type { Shape } from '../tensor/shape.js'
import * as activations from './activation.js'
import * as convolutions from './conv.js'
import { Dropout } from './dropout.js'
import { Graph, type GraphConfig, type NodeConfig, type NodeOptions } from './graph.js'
import { Layer, type LayerConfig } from './layer.js'
import * as layouts from './layout.js'
import { Linear } from './linear.js'
import * as locals from './local.js'
import * as norms from './norm.js'
import * as pools from './pool.js'
import { RBF } from './rbf.js'
import { Sequential, type SequentialConfig } from './sequential.js'

/** A class of layers that is made of options. */
export type LayerClass = new (options: never) => Layer

const isLayer = (entry: [string, unknown]): entry is [string, LayerClass] =>
  typeof entry[1] === 'function' && entry[1].prototype instanceof Layer

/** Made by functions without arguments, whose calls bundlers drop where no model is read. */
const findClasses = (): ReadonlyMap<string, LayerClass> =>
  new Map(
    Object.entries({
      ...convolutions,
      ...pools,
      ...activations,
      ...norms,
      ...layouts,
      ...locals,
      Linear,
      Dropout,
      RBF,
    }).filter(isLayer),
  )
const listTypes = (): readonly string[] => [...classes.keys()]

/** Classes by the `type` of the JSON form, which is their name in the public API. */
const classes = findClasses()

/** The types that a model's JSON form may name. */
export const layerTypes = listTypes()

/** The most layers that a description may have: what has more is refused before any is made. */
const MOST_LAYERS = 2 ** 17
/** The most inputs that a graph, or a node, may have: they become the arguments of a function. */
const MOST_INPUTS = 100_000

/** The layers or nodes of a description. @throws FormatError when they are no list, or too long a one */
function listOf(value: unknown, name: string, what: 'layer' | 'node'): unknown[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new FormatError(`${name}: ${what}s must be a list of at least one ${what}`)
  if (value.length > MOST_LAYERS)
    throw new FormatError(`${name}: there are ${value.length} ${what}s; at most ${MOST_LAYERS} are read`)
  return value
}

function checkInputs(count: number, what: string): void {
  if (count > MOST_INPUTS) throw new FormatError(`${what} has ${count} inputs; at most ${MOST_INPUTS} are read`)
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** How a model is read. */
export interface ReadOptions {
  /** Classes besides those of the package, by the `type` of the JSON form, as in `{ layers: { Imported } }` of `toeplitz/onnx`. */
  readonly layers?: Readonly<Record<string, LayerClass>> | undefined
}

/** The classes that a description may name. */
function knownClasses({ layers = {} }: ReadOptions): ReadonlyMap<string, LayerClass> {
  checkObject(layers, 'layers', 'classes of layers by their types, as in { Imported }')
  const given = Object.entries(layers)
  for (const [type, Class] of given) {
    if (!isLayer([type, Class])) throw wrongKind(`layers: ${type}`, 'a class of layers', Class)
  }
  return given.length === 0 ? classes : new Map([...classes, ...given])
}

function layerFrom(config: unknown, where: string, known: ReadonlyMap<string, LayerClass>): Layer {
  if (!isObject(config) || typeof config['type'] !== 'string')
    throw new FormatError(`${where}: a layer must be an object with a type`)
  const { type, trainable = true, ...options } = config as LayerConfig
  if (typeof trainable !== 'boolean') {
    throw new FormatError(`${where}: trainable must be true or false, given ${inWords(trainable)}`)
  }
  const Class = known.get(type)
  if (!Class) {
    throw new FormatError(
      `${where}: ${unknownName('layer type', type, [...known.keys()])}; others are given, as { layers: { Imported } }`,
    )
  }
  const layer = new Class(options as never)
  layer.trainable = trainable
  return layer
}

function chainFrom(config: Record<string, unknown>, name: string, known: ReadonlyMap<string, LayerClass>): Sequential {
  checkKeys('the chain', config, { type: 0, layers: 0, input: 0 } satisfies Names<SequentialConfig>)
  const { layers, input } = config
  const listed = listOf(layers, name, 'layer')
  if (!Array.isArray(input) && input !== null && input !== undefined) {
    throw new FormatError(`${name}: input must be a shape such as [1, 28, 28], or null`)
  }
  const made: Layer[] = []
  for (const [index, layer] of listed.entries()) {
    const shared: unknown = isObject(layer) ? layer['shares'] : undefined
    const earlier = typeof shared === 'number' ? made[shared] : undefined
    if (shared !== undefined && !earlier) {
      throw new FormatError(
        `${name}: layer ${index} shares layer ${JSON.stringify(shared)}, which does not come before it`,
      )
    }
    made.push(earlier ?? layerFrom(layer, `${name}: layer ${index}`, known))
  }
  return new Sequential(made, input ? { input: input as number[] } : {})
}

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')

function nodeFrom(
  config: unknown,
  made: ReadonlyMap<string, Layer>,
  name: string,
  index: number,
  known: ReadonlyMap<string, LayerClass>,
): NodeOptions {
  if (!isObject(config) || typeof config['name'] !== 'string' || !isStrings(config['inputs'])) {
    throw new FormatError(`${name}: node ${index} must be an object with a name and a list of inputs`)
  }
  const { name: own, inputs, layer, shares, block } = config
  checkKeys(`node '${own}'`, config, { name: 0, inputs: 0, layer: 0, shares: 0, block: 0 } satisfies Names<NodeConfig>)
  const earlier = typeof shares === 'string' ? made.get(shares) : undefined
  if (shares !== undefined && !earlier) {
    throw new FormatError(`${name}: node '${own}' shares ${JSON.stringify(shares)}, which does not come before it`)
  }
  checkInputs(inputs.length, `${name}: node '${own}'`)
  return {
    name: own,
    inputs,
    layer: earlier ?? layerFrom(layer, `${name}: node '${own}'`, known),
    ...(typeof block === 'string' ? { block } : {}),
  }
}

/** A record whose values all pass `is`; absent: empty. */
function recordOf<T>(value: unknown, is: (item: unknown) => item is T, what: string): Record<string, T> {
  if (value === undefined) return {}
  if (isObject(value) && Object.values(value).every(is)) return value as Record<string, T>
  throw new FormatError(what)
}

const isShape = (value: unknown): value is Shape | null => value === null || Array.isArray(value)
const isNumber = (value: unknown): value is number => typeof value === 'number'
const isText = (value: unknown): value is string => typeof value === 'string'

function graphFrom(config: Record<string, unknown>, name: string, known: ReadonlyMap<string, LayerClass>): Graph {
  checkKeys('the graph', config, {
    type: 0,
    nodes: 0,
    inputs: 0,
    outputs: 0,
    auxiliary: 0,
    blocks: 0,
  } satisfies Names<GraphConfig>)
  const { nodes, inputs, outputs, auxiliary, blocks } = config
  const listed = listOf(nodes, name, 'node')
  if (!isStrings(outputs)) throw new FormatError(`${name}: outputs must be a list of names of nodes`)
  if (isObject(inputs)) checkInputs(Object.keys(inputs).length, name)
  const layers = new Map<string, Layer>()
  const made = listed.map((config, index) => {
    const node = nodeFrom(config, layers, name, index, known)
    layers.set(node.name, node.layer)
    return node
  })
  return new Graph(made, {
    inputs: recordOf(inputs, isShape, `${name}: inputs must have a shape such as [1, 28, 28], or null, for each name`),
    outputs,
    auxiliary: recordOf(auxiliary, isNumber, `${name}: auxiliary must have a weight for each name`),
    blocks: recordOf(blocks, isText, `${name}: blocks must have a text for each name`),
  })
}

/** Lists and objects within one another; a node, its layer and that layer's options are five. */
const MAX_DEPTH = 32
/** Whether a value has at most so many levels; it may hold itself. Without recursion, which would be as deep. */
function isShallow(value: unknown): boolean {
  // What is held in several places is followed once, or the number of places would double from level to level.
  let level = new Set<unknown>([value])
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const next = new Set<unknown>()
    for (const item of level) {
      if (typeof item === 'object' && item !== null) for (const held of Object.values(item)) next.add(held)
    }
    if (next.size === 0) return true
    level = next
  }
  return false
}

/**
 * A model from the JSON form that `toJSON` gives, with initial weights; `load` sets the trained ones.
 *
 *     const again = modelFromJSON(JSON.parse(JSON.stringify(model.toJSON())))
 *     again.load(model.save())
 *
 * @param options `layers` are classes besides those of the package
 * @throws FormatError that names `name` and the part that does not fit.
 */
export function modelFromJSON(config: unknown, name = 'model', options: ReadOptions = {}): Graph {
  checkCount('modelFromJSON', 3, arguments)
  checkKeys('modelFromJSON', options, { layers: 0 } satisfies Names<ReadOptions>)
  const known = knownClasses(options)
  if (typeof name !== 'string') throw wrongKind('modelFromJSON: name', 'a text for messages', name)
  const type = isObject(config) ? config['type'] : undefined
  if (!isObject(config) || (type !== 'Sequential' && type !== 'Graph')) {
    const other = typeof type === 'string' ? `: ${unknownName('model type', type, ['Sequential', 'Graph'])}` : ''
    throw new FormatError(`${name}: expected an object of type 'Sequential' or 'Graph'${other}`)
  }
  if (!isShallow(config)) {
    throw new FormatError(`${name}: it is nested more than ${MAX_DEPTH} levels deep, which no model is`)
  }
  try {
    return type === 'Graph' ? graphFrom(config, name, known) : chainFrom(config, name, known)
  } catch (error) {
    if (error instanceof FormatError || isOutOfMemory(error)) throw error
    // Whatever else a layer stumbles over is the file's fault.
    const message = error instanceof Error ? error.message : inWords(error)
    throw new FormatError(
      error instanceof ToeplitzError ? `${name}: ${message}` : `${name}: it is damaged: ${message}`,
      { cause: error },
    )
  }
}
