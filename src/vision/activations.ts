/** What each layer of a model makes of an input. */
import type { Graph } from '../nn/graph.js'
import { ShapeError } from '../runtime/errors.js'
import { checkModel } from '../runtime/check.js'
import { sameShape, showShape } from '../tensor/shape.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'
import { checkCount } from '../runtime/options.js'

/** The output of one layer. */
export interface Activation {
  /** The layer in the notation of the lecture, such as `conv(5, 32)`. */
  readonly layer: string
  /** Output of the layer, the batch first. */
  readonly output: Tensor
}

/**
 * The outputs of all layers for x (N, …), in order, as in use, not as in training. They belong to the scope around the
 * call.
 * @throws ShapeError when x does not fit the model.
 */
export function activations(model: Graph, x: Tensor): Activation[] {
  checkCount('activations', 2, arguments)
  checkModel(model, 'activations: the model')
  checkTensor(x, 'activations', 'x')
  const { input } = model
  if (input && !sameShape(input, x.shape.slice(1))) {
    throw new ShapeError(`activations: the model takes (N, ${input.join(', ')}), given ${showShape(x.shape)}`)
  }
  const names = model.nodes.map(({ name }) => name)
  const outputs = model.run(x, names, { training: false })
  return model.nodes.map(({ name, layer }) => ({ layer: layer.describe(), output: outputs[name] as Tensor }))
}
