/** Fine-tuning: a trained model with another last layer, and groups of parameters that learn at rates of their own. */
import { Graph, type LayerSelection } from '../nn/graph.js'
import { modelFromJSON, type LayerClass } from '../nn/registry.js'
import { Sequential } from '../nn/sequential.js'
import { meantBy, neededFor, type GraphNode } from '../nn/wiring.js'
import type { ParameterGroup } from '../optim/optimizer.js'
import { checkList, checkModel, checkObject, checkWhole } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { checkSeed } from '../tensor/create.js'
import { sameShape, showShape, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

/** Options of `replaceHead`. */
export interface ReplaceHeadOptions {
  /** Number of the new classes, from 1 on. */
  readonly classes: number
  /** Seed of the new layer's weights. Default 0. */
  readonly seed?: number
  /** Classes of layers besides those of the package, as of `modelFromJSON`. */
  readonly layers?: Readonly<Record<string, LayerClass>> | undefined
}

/** A model with a new last layer. */
export interface Retargeted {
  /** A model of its own: no weight is shared with the one before. The caller disposes it. */
  readonly model: Graph
  /** The name of its last layer with weights, which are new. */
  readonly head: string
}

/** What sets the number of outputs of the layers that can be replaced. */
const widths: Readonly<Record<string, string>> = {
  Linear: 'outFeatures',
  Conv1d: 'outChannels',
  Conv2d: 'outChannels',
  Conv3d: 'outChannels',
}

/** The last layer with weights before the first output. @throws ArgumentError where it cannot be replaced */
export function headNode(model: Graph): GraphNode {
  const byName = new Map(model.nodes.map((node) => [node.name, node]))
  const name = 'replaceHead'
  let node = byName.get(model.outputs[0] as string) as GraphNode
  // Once weights have been made, layers without any can be told.
  model.namedState()
  while (node.layer.tensors().size === 0) {
    const before = node.inputs.length === 1 ? byName.get(node.inputs[0] as string) : undefined
    if (!before)
      throw new ArgumentError(
        `${name}: no single layer with weights gives the output; its last layer is '${node.name}'`,
      )
    node = before
  }
  const { layer } = node
  if (!Object.hasOwn(widths, layer.type)) {
    throw new ArgumentError(
      `${name}: the last layer with weights, '${node.name}', is of type ${layer.type}; one of ${Object.keys(widths).join(', ')} can be replaced`,
    )
  }
  if (model.nodes.some((other) => other !== node && other.layer === layer))
    throw new ArgumentError(`${name}: the last layer, '${node.name}', shares its weights with another`)
  return node
}

/** The same layers, without weights, and with another number of outputs of the head. */
function again(model: Graph, head: GraphNode, { classes, seed = 0, layers }: ReplaceHeadOptions): Graph {
  const config = model.toJSON() as { readonly type: string; readonly nodes?: object[]; readonly layers?: object[] }
  const plain = modelFromJSON(config, 'replaceHead: the model', { layers })
  const fresh = new Map(plain.nodes.map(({ name, layer }) => [name, layer]))
  const Class = (fresh.get(head.name) as GraphNode['layer']).constructor as LayerClass
  const given = { ...head.layer.options, [widths[head.layer.type] as string]: classes }
  fresh.set(head.name, new Class(given as never))
  const nodes = neededFor(model.nodes, model.outputs).map(({ name, inputs, block }) => ({
    ...{ name, inputs, layer: fresh.get(name) as GraphNode['layer'] },
    ...(block === undefined ? {} : { block }),
  }))
  if (model instanceof Sequential) {
    const { input } = model
    return new Sequential(
      nodes.map(({ layer }) => layer),
      { seed, ...(input ? { input } : {}) },
    )
  }
  const { inputs, outputs, blocks } = model
  const used = new Set(nodes.flatMap(({ block }) => block ?? []))
  const named = Object.fromEntries(Object.entries(blocks).filter(([name]) => used.has(name)))
  return new Graph(nodes, { inputs, outputs, blocks: named, seed })
}

/**
 * A copy of a trained model with another number of classes: its last layer with weights, `Linear` or a convolution, is made anew, and
 * all others have the weights that they had, and are frozen or not as they were. Auxiliary outputs are left out.
 *
 *     const { model, head } = replaceHead(trained, { classes: 2, seed: 1 })
 *     model.freeze((layer) => layer.type !== 'Linear')         // its convolutions stay as they are
 *
 * @throws ArgumentError when the model has no such layer, or its input is not known yet
 */
export function replaceHead(model: Graph, options: ReplaceHeadOptions): Retargeted {
  const name = 'replaceHead'
  checkCount(name, 2, arguments)
  checkModel(model, `${name}: the model`)
  needKeys(name, options, { classes: 0, seed: 0, layers: 0 } satisfies Names<ReplaceHeadOptions>)
  checkWhole(options.classes, `${name}: classes`, 1, 2 ** 24)
  checkSeed(options.seed ?? 0, name)
  // Makes the weights, or tells that the input is not known.
  const trained = model.namedState()
  const node = headNode(model)
  const own = new Set([...node.layer.tensors().keys()].map((weight) => `${node.name}.${weight}`))
  const made = again(model, node, options)
  try {
    const [before, after] = [model.outputShape(), made.outputShape()]
    const due: Shape = [options.classes, ...before.slice(1)]
    if (!sameShape(after, due)) {
      throw new ArgumentError(
        `${name}: the output would be ${showShape(after)} in place of ${showShape(due)}; what follows '${node.name}' depends on the number of its outputs`,
      )
    }
    for (const [weight, tensor] of made.namedState())
      if (!own.has(weight)) tensor.assign((trained.get(weight) as Tensor).data())
  } catch (error) {
    made.dispose()
    throw error
  }
  return { model: made, head: node.name }
}

/** Options of an optimizer for some parameters. Each optimizer takes those that it has, and refuses others. */
export interface GroupOptions {
  /** Learning rate of the layers. */
  readonly lr?: number
  /** Pull of their weights towards 0. */
  readonly weightDecay?: number
  /** Share of the last update that is kept, of SGD and RMSprop. */
  readonly momentum?: number
  /** Nesterov's momentum, of SGD. */
  readonly nesterov?: boolean
  /** What the first moments of the gradient keep and the second, of Adam and AdamW. */
  readonly betas?: readonly [number, number]
  /** What a root is kept above, of the adaptive optimizers. */
  readonly eps?: number
}

/** Some layers, and the options of the optimizer for them. */
export interface LayerGroup extends GroupOptions {
  /** A name, a pattern of names, or a function of a layer, as `freeze` takes them. */
  readonly layers: LayerSelection
}

/**
 * Parameters by layers, as groups for an optimizer: those of each selection with its options, and those of all other layers last,
 * without options of their own. A layer belongs to the first group that means it; frozen layers have no parameters.
 *
 *     new SGD(parameterGroups(model, [{ layers: head, lr: 0.05 }]), { lr: 0.005, momentum: 0.9 })
 *
 * @throws ArgumentError when a selection means no layer that is trained
 */
export function parameterGroups(model: Graph, groups: readonly LayerGroup[]): ParameterGroup<GroupOptions>[] {
  const name = 'parameterGroups'
  checkCount(name, 2, arguments)
  checkModel(model, `${name}: the model`)
  checkList(groups, `${name}: the groups`, "a list, such as [{ layers: 'head', lr: 0.1 }]")
  const left = new Map([...model.namedParameters()].map(([key, tensor]) => [tensor, key]))
  const made = groups.map((group, index): ParameterGroup<GroupOptions> => {
    checkObject(group, `${name}: group ${index}`, "{ layers, … }, such as { layers: 'head', lr: 0.1 }", ['layers'])
    const { layers, ...options } = group
    if ('parameters' in options)
      throw new ArgumentError(
        `${name}: group ${index} has layers and parameters; its parameters follow from the layers`,
      )
    if (!['string', 'function'].includes(typeof layers) && !(layers instanceof RegExp))
      throw new ArgumentError(
        `${name}: layers of group ${index} must be a name, a RegExp or a function of a layer, given ${inWords(layers)}`,
      )
    const meant = model.nodes.filter(meantBy(layers)).flatMap(({ layer }) => [...layer.parameters().values()])
    const parameters = [...new Set(meant)].filter((tensor) => left.delete(tensor))
    if (parameters.length === 0) {
      throw new ArgumentError(
        `${name}: group ${index} means no layer that is trained and in no group before; the layers are ${model.nodes.map((node) => node.name).join(', ')}`,
      )
    }
    return { ...options, parameters }
  })
  const rest = [...left.keys()]
  return rest.length === 0 ? made : [...made, { parameters: rest }]
}
