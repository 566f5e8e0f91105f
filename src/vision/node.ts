/** Layers of a model by the names of their nodes. */
import type { Graph } from '../nn/graph.js'
import type { GraphNode } from '../nn/wiring.js'
import { checkModel, wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { unknownName } from '../runtime/options.js'

/**
 * The node that a function was told by name.
 *
 * @param what the function and its argument, as `deconvolve: layer`
 * @throws ArgumentError that offers the nearest name
 */
export function nodeNamed(model: Graph, wanted: string, what: string): GraphNode {
  const [name = what] = what.split(':')
  checkModel(model, `${name}: the model`)
  if (typeof wanted !== 'string') throw wrongKind(what, 'the name of a layer', wanted)
  const node = model.nodes.find((one) => one.name === wanted)
  if (node) return node
  const names = model.nodes.map((one) => one.name)
  throw new ArgumentError(`${name}: ${unknownName('layer', wanted, names)}`)
}

/** The name of the only input of a model. @throws ArgumentError where it has several */
export function onlyInput(model: Graph, name: string): string {
  const inputs = Object.keys(model.inputs)
  if (inputs.length === 1) return inputs[0] as string
  throw new ArgumentError(`${name}: the model has the inputs ${inputs.join(', ')}; pictures are one`)
}
