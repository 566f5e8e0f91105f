/** Which layers of a model are looked at: its convolutions, each with the nonlinearity that follows it. */
import type { Graph } from '../../nn/graph.js'
import type { GraphNode } from '../../nn/wiring.js'
import type { Shape } from '../../tensor/shape.js'
import { UnsupportedError } from '../../runtime/errors.js'
import { unknownName } from '../../runtime/options.js'
import { fieldOf } from '../../vision/strongest.js'
import { UsageError } from '../errors.js'
import type { Needed } from './inputs.js'
import type { LayerTitle } from './records.js'

/** Layers whose numbers are responses of filters at the places of a picture. */
const convolutions: ReadonlySet<string> = new Set([
  ...['Conv2d', 'ConnectedConv2d', 'SeparableConv2d', 'LocallyConnected2d', 'TiledConv2d', 'StructuredConv2d'],
])
/** What may stand between a convolution and its nonlinearity, and the nonlinearities. */
const norms: ReadonlySet<string> = new Set(['BatchNorm2d', 'Dropout'])
const nonlinearities: ReadonlySet<string> = new Set([
  ...['ReLU', 'ReLU6', 'LeakyReLU', 'ELU', 'GELU', 'SiLU', 'Softplus', 'Sigmoid', 'Tanh', 'ScaledTanh'],
])

/** Convolutions that are shown where none are named: the first, the last, and one between them. */
const SHOWN = 3

/** A layer of feature maps. */
export interface LookedLayer extends LayerTitle, Needed {
  /** The convolution whose responses they are, if they are of one. */
  readonly convolution: GraphNode | undefined
  /** Feature maps. */
  readonly maps: number
}

/** A convolution and what follows it up to its nonlinearity, as long as nothing else reads what is between. */
function withNonlinearity(model: Graph, first: GraphNode): readonly GraphNode[] {
  const chain = [first]
  for (;;) {
    const { name } = chain.at(-1)
    const readers = model.nodes.filter(({ inputs }) => inputs.includes(name))
    const [next] = readers
    if (!next || readers.length > 1) return [first]
    if (nonlinearities.has(next.layer.type)) return [...chain, next]
    if (!norms.has(next.layer.type)) return [first]
    chain.push(next)
  }
}

/** The layers whose maps are shown. @throws UsageError when one that was named is none of feature maps */
export function layersOf(model: Graph, names: readonly string[]): readonly LookedLayer[] {
  const shapes = new Map(model.shapes().map((shape, n) => [(model.nodes[n] as GraphNode).name, shape]))
  const found = model.nodes.filter(({ layer, name }) => convolutions.has(layer.type) && shapes.get(name)?.length === 3)
  if (names.length > 0) return names.map((name) => namedLayer(model, name, { found, shapes }))
  const picked = new Set(
    Array.from({ length: Math.min(SHOWN, found.length) }, (_, n, all = Math.min(SHOWN, found.length)) =>
      all === 1 ? 0 : Math.round((n * (found.length - 1)) / (all - 1)),
    ),
  )
  return [...picked].flatMap((index): LookedLayer[] => {
    const convolution = found[index] as GraphNode
    const chain = withNonlinearity(model, convolution)
    const { name } = chain.at(-1) as GraphNode
    const title = chain.map(({ layer }) => layer.describe()).join(', ')
    try {
      return [looked(model, { name, title, convolution, shape: shapes.get(name) as Shape })]
    } catch (error) {
      // What sees no window of whole pixels has no patches; one that is named is an error.
      if (error instanceof UnsupportedError) return []
      throw error
    }
  })
}

interface Known {
  readonly found: readonly GraphNode[]
  readonly shapes: ReadonlyMap<string, Shape>
}

function namedLayer(model: Graph, name: string, { found, shapes }: Known): LookedLayer {
  const node = model.nodes.find((one) => one.name === name)
  if (found.length === 0) {
    throw new UsageError(
      `--layer ${name}: the model has no convolution, so that there are no feature maps to look at; leave --layer out`,
    )
  }
  if (!node) throw new UsageError(`--layer ${name}: ${unknownName('layer', name, [...shapes.keys()])}`)
  const shape = shapes.get(name) as Shape
  const maps = [...shapes].filter(([, { length }]) => length === 3).map(([other]) => other)
  if (shape.length !== 3) {
    throw new UsageError(
      `--layer ${name}: ${node.layer.describe()} gives ${shape.join(' × ')} numbers and no feature maps; layers with maps are ${maps.join(', ')}`,
    )
  }
  const convolution = found.find((one) => withNonlinearity(model, one).some((each) => each.name === name))
  return looked(model, { name, title: node.layer.describe(), convolution, shape })
}

interface Found {
  readonly name: string
  readonly title: string
  readonly convolution: GraphNode | undefined
  readonly shape: Shape
}

/** A layer with its receptive field; one of no window of whole pixels is not looked at. */
function looked(model: Graph, { name, title, convolution, shape }: Found): LookedLayer {
  const { size } = fieldOf(model, name, model.input as Shape, '--layer')
  return { name, layer: name, title, convolution, maps: shape[0] as number, field: size as unknown as Needed['field'] }
}

/** What of the picture each layer needs; a field that is larger than the input, as padding makes it, asks for no more than that. */
export const neededOf = (
  layers: readonly LookedLayer[],
  [, H, W]: readonly [number, number, number],
): readonly Needed[] => layers.filter(({ field: [rows, columns] }) => rows <= H && columns <= W)
