/**
 * Networks with layers of low rank: each that can be is replaced by two that need fewer parameters and operations (Denton et al.
 * 2014; Jaderberg, Vedaldi & Zisserman 2014).
 */
import { Graph } from '../nn/graph.js'
import type { Layer } from '../nn/layer.js'
import { Sequential } from '../nn/sequential.js'
import type { DecodedTensor } from '../nn/state.js'
import type { SummaryTotal } from '../nn/summary.js'
import type { GraphNode } from '../nn/wiring.js'
import { checkModel, checkNumber, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, needKeys, unknownName, type Names } from '../runtime/options.js'
import type { Shape } from '../tensor/shape.js'
import { MOST } from '../plan/window.js'
import { costsOf, errorsOf, factorable, factorsOf, valuesOf, type Filled } from './factors.js'

/** Options of `factorize`: a rank or an error. */
export interface FactorizeOptions {
  /**
   * Terms that are kept of each layer; layers of a smaller rank, and those that would cost no less, stay as they are. Or a rank
   * for each layer by its name: then these layers, and no others, are replaced.
   */
  readonly rank?: number | Readonly<Record<string, number>>
  /** ‖W − Ŵ‖ / ‖W‖ that each layer may have, from 0 and below 1: the smallest rank is taken that keeps to it. */
  readonly error?: number
  /** Names of the layers that may be replaced; default all. */
  readonly layers?: readonly string[]
}

/** Before and after. */
export interface Change {
  /** Of the layer or model that was given. */
  readonly before: number
  /** Of what takes its place. */
  readonly after: number
}

/** A layer that was replaced. */
export interface FactorizedLayer {
  /** The name of its node. */
  readonly name: string
  /** Terms that were kept. */
  readonly rank: number
  /** Terms that there are: the rank of its matrix. */
  readonly of: number
  /** ‖W − Ŵ‖ / ‖W‖. */
  readonly error: number
  /** Trained numbers. */
  readonly parameters: Change
  /** Operations for one input. */
  readonly operations: Change
}

/** A layer with weights that stayed as it is. */
export interface KeptLayer {
  /** The name of its node. */
  readonly name: string
  /** Why. */
  readonly reason: string
}

/** What `factorize` gives. */
export interface Factorized {
  /** The new model, with weights of its own. */
  readonly model: Graph
  /** The layers that were replaced, in the order of the model. */
  readonly layers: readonly FactorizedLayer[]
  /** Layers with weights that stayed as they are, and why. */
  readonly kept: readonly KeptLayer[]
  /** Trained numbers of the whole model. */
  readonly parameters: Change
  /** Operations of the whole model for one input. */
  readonly operations: Change
}

/** The two layers that a layer becomes, and what that changes. */
interface Pair {
  readonly layers: readonly [Filled, Filled]
  readonly told: Omit<FactorizedLayer, 'name'>
}

/**
 * Makes a model whose fully connected layers and convolutions are products of two of low rank, by the singular value
 * decomposition of their weights: W ≈ U·Vᵀ, and a kernel as a sum of separable ones. Nothing is trained; a few epochs of
 * training win back most of what it costs. The model that is given stays as it is. The time is that of `svd` for each layer.
 *
 * @example
 * const { model: smaller, layers, parameters } = factorize(model, { error: 0.3 })
 * console.table(layers)
 * @throws ArgumentError for a rank or an error that is none, a rank above that of a layer that was named, a layer that there is
 *   not or that cannot be factorized, and where no layer would be replaced; ShapeError for a model that does not know its input
 */
export function factorize(model: Graph, options: FactorizeOptions): Factorized {
  checkCount('factorize', 2, arguments)
  checkModel(model, 'factorize: the model')
  needKeys('factorize', options, { rank: 0, error: 0, layers: 0 } satisfies Names<FactorizeOptions>)
  const { rank, error, layers } = options
  if ((rank === undefined) === (error === undefined))
    throw new ArgumentError('factorize: give a rank or an error: { rank: 16 } or { error: 0.1 }')
  if (error !== undefined) {
    checkNumber(error, 'factorize: error', 0)
    if (error >= 1) throw wrongKind('factorize: error', 'below 1, which leaves nothing', error)
  }
  const isByName = typeof rank === 'object' && !Array.isArray(rank)
  if (isByName) checkObject(rank, 'factorize: rank', 'a number, or ranks by the names of layers')
  const ranks = isByName ? new Map(Object.entries(rank)) : undefined
  if (ranks && layers) throw new ArgumentError('factorize: give ranks by name, or the names of layers, not both')
  for (const [name, value] of ranks ?? []) checkWhole(value, `factorize: rank of '${name}'`, 1, MOST)
  if (rank !== undefined && !ranks) checkWhole(rank, 'factorize: rank', 1, MOST)
  if (layers !== undefined && !Array.isArray(layers)) throw wrongKind('factorize: layers', 'a list of names', layers)
  const named: readonly string[] | undefined = layers ?? (ranks && [...ranks.keys()])
  const byName = new Map(model.nodes.map((node) => [node.name, node]))
  for (const name of named ?? []) {
    if (typeof name !== 'string') throw wrongKind('factorize: a layer', 'a name', name)
    if (byName.has(name)) continue
    throw new ArgumentError(`factorize: ${unknownName('layer', name, [...byName.keys()])}`)
  }

  // Weights that were never used are drawn now, as the model draws them.
  model.namedState()
  const inputOf = inputShapes(model, model.shapes())
  const kept: { name: string; reason: string }[] = []
  const told: FactorizedLayer[] = []
  const pairs = new Map<Layer, Pair | undefined>()
  for (const node of model.nodes) {
    const { name, layer } = node
    const input = inputOf(node.inputs[0] as string)
    if (pairs.has(layer) || layer.weights(input).length === 0) continue
    const isNamed = named?.includes(name) ?? false
    const found =
      named && !isNamed ? notNamed : pairOf(node, input, { rank: ranks?.get(name) ?? (rank as number), error, isNamed })
    if (typeof found === 'string') {
      kept.push({ name, reason: found })
      pairs.set(layer, undefined)
    } else {
      told.push({ name, ...found.told })
      pairs.set(layer, found)
    }
  }
  if (told.length === 0) {
    const why = kept.find(({ reason }) => reason !== notNamed)
    throw new ArgumentError(
      `factorize: no layer would be replaced${why ? `; of '${why.name}': ${why.reason}` : ', since none has weights'}`,
    )
  }
  const smaller = rebuilt(model, pairs)
  const [before, after] = [model, smaller].map((of) => of.summary().total) as [SummaryTotal, SummaryTotal]
  return {
    model: smaller,
    layers: told,
    kept,
    parameters: { before: before.parameters, after: after.parameters },
    operations: { before: before.operations, after: after.operations },
  }
}

const notNamed = 'it was not named'

/** How a layer is to be replaced. */
interface Wish {
  readonly rank: number | undefined
  readonly error: number | undefined
  /** Whether it was asked for by its name: then what cannot be is an error. */
  readonly isNamed: boolean
}

/** The two layers for one; or, in words, why it stays. @throws ArgumentError for one that was named and cannot be replaced */
function pairOf({ name, layer }: GraphNode, input: Shape, { rank, error, isNamed }: Wish): Pair | string {
  const refused = (reason: string): string => {
    if (isNamed) throw new ArgumentError(`factorize: '${name}' cannot be replaced: ${reason}`)
    return reason
  }
  const own = valuesOf(layer)
  const found = factorable(layer, input, own.weight ?? [])
  if (typeof found === 'string') return refused(found)
  const of = Math.min(...found.extents)
  if (rank !== undefined && rank > of)
    return refused(`the rank must be at most that of its matrix of ${found.extents.join(' × ')}, ${of}, given ${rank}`)
  const before = costsOf([layer], input)
  /** Why so many terms are not worth it, where they are not. */
  const tooDear = (terms: number): string | undefined => {
    const after = costsOf(found.layers(terms), input)
    if (after.parameters < before.parameters && after.operations <= before.operations) return undefined
    return `of rank ${terms} it would have ${after.parameters} parameters in place of ${before.parameters}`
  }
  const isAsked = isNamed && rank !== undefined
  // A decomposition takes long: what no rank, or not this one, is worth is known before it.
  const early = isAsked ? undefined : tooDear(rank ?? 1)
  if (early) return refused(early)
  const factors = factorsOf(found)
  const errors = errorsOf(factors)
  const terms =
    rank ??
    Math.max(
      1,
      errors.findIndex((value) => value <= (error as number)),
    )
  const late = isAsked ? undefined : tooDear(terms)
  if (late) return refused(late)
  const layers = found.layers(terms)
  const after = costsOf(layers, input)
  const [first, second] = found.weights(factors, terms)
  return {
    layers: [
      { layer: layers[0], values: { weight: first } },
      { layer: layers[1], values: { ...own, weight: second } },
    ],
    told: {
      ...{ rank: terms, of, error: errors[terms] as number },
      parameters: { before: before.parameters, after: after.parameters },
      operations: { before: before.operations, after: after.operations },
    },
  }
}

/** A copy of the model with pairs in place of layers. */
function rebuilt(model: Graph, pairs: ReadonlyMap<Layer, Pair | undefined>): Graph {
  const copies = new Map<Layer, readonly Filled[]>()
  const copyOf = (layer: Layer): readonly Filled[] => {
    const known = copies.get(layer)
    if (known) return known
    const made = pairs.get(layer)?.layers ?? [
      { layer: new (layer.constructor as new (options: object) => Layer)(layer.options), values: valuesOf(layer) },
    ]
    for (const copy of made) copy.layer.trainable = layer.trainable
    copies.set(layer, made)
    return made
  }
  const names = new Set([...model.nodes.map(({ name }) => name), ...Object.keys(model.inputs)])
  const nodes = model.nodes.flatMap(({ name, layer, inputs, block }): (GraphNode & Pick<Filled, 'values'>)[] => {
    const [first, second] = copyOf(layer) as [Filled, Filled?]
    const own = block === undefined ? {} : { block }
    if (!second) return [{ name, ...first, inputs, ...own }]
    // What reads the layer reads the second of the two, which has its name.
    let between = `${name}-low`
    while (names.has(between)) between += '-low'
    names.add(between)
    return [
      { name: between, ...first, inputs, ...own },
      { name, ...second, inputs: [between], ...own },
    ]
  })
  const copy =
    model instanceof Sequential
      ? new Sequential(
          nodes.map(({ layer }) => layer),
          { input: model.input as Shape },
        )
      : new Graph(
          nodes.map(({ name, layer, inputs, block }) => ({
            name,
            layer,
            inputs,
            ...(block === undefined ? {} : { block }),
          })),
          { inputs: model.inputs, outputs: model.outputs, auxiliary: model.auxiliary, blocks: model.blocks },
        )
  const valuesByLayer = new Map(nodes.map(({ layer, values }) => [layer, values]))
  const state = new Map<string, DecodedTensor>()
  const shapes = copy.shapes()
  const inputOf = inputShapes(copy, shapes)
  const owned = new Set<Layer>()
  for (const { name, layer, inputs } of copy.nodes) {
    if (owned.has(layer)) continue
    owned.add(layer)
    for (const { name: weight, shape } of layer.weights(inputOf(inputs[0] as string))) {
      const data = valuesByLayer.get(layer)?.[weight] as Float32Array
      state.set(`${name}.${weight}`, { shape, data, dtype: 'F32' })
    }
  }
  copy.assign(state, 'factorize')
  return copy
}

/** The shape of what each node reads, without the batch, by the name of the node or of the input. */
function inputShapes(model: Graph, shapes: readonly Shape[]): (name: string) => Shape {
  const of = new Map(model.nodes.map(({ name }, index) => [name, shapes[index] as Shape]))
  for (const [name, shape] of Object.entries(model.inputs)) if (shape) of.set(name, shape)
  return (name) => of.get(name) as Shape
}
