/** One unit of each feature map, as a function of what it sees: what `reverseCorrelation` and other experiments are given. */
import type { Graph } from '../nn/graph.js'
import type { ForwardContext } from '../nn/layer.js'
import { neededFor } from '../nn/wiring.js'
import { pad, slice } from '../ops/layout.js'
import { ArgumentError, ShapeError, UnsupportedError } from '../runtime/errors.js'
import { checkCount } from '../runtime/options.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { nodeNamed, onlyInput } from './node.js'
import { fieldOf } from './strongest.js'

/** Layers that are bound to the places or to the size of the picture: over patches they would be others. */
const bound: ReadonlySet<string> = new Set(['PermutePixels', 'MeanImage', 'LocallyConnected1d', 'LocallyConnected2d'])

const inUse: ForwardContext = { training: false, seed: 0, step: 0, stream: 0 }

/** Units of a layer, one of each feature map. */
export interface MapUnits {
  /** (C, R, S): what a unit sees. */
  readonly shape: readonly [C: number, R: number, S: number]
  /** The responses (N, K) to patches (N, C, R, S). */
  respond(patches: Tensor): Tensor
}

/**
 * The units of a layer of feature maps as functions of their receptive fields: only the layers up to it are computed, over
 * patches instead of pictures, at a place that sees no padding.
 *
 * @param layer name of the layer, as in `model.nodes`
 * @example
 * const { shape, respond } = mapUnits(model, '1')
 * const filters = reverseCorrelation(respond, { shape, count: 10_000, seed: 1 })
 * @throws ShapeError when there is no such layer; UnsupportedError where its outputs see no window of whole pixels, are no feature
 *   maps, or come from a layer that is bound to the places of a picture
 */
export function mapUnits(model: Graph, layer: string): MapUnits {
  checkCount('mapUnits', 2, arguments)
  nodeNamed(model, layer, 'mapUnits: layer')
  const { input } = model
  if (input?.length !== 3) {
    const of = input ? `takes ${showShape(input)}` : 'does not know its input yet'
    throw new ArgumentError(`mapUnits: the model ${of}; one of pictures (C, H, W) is needed`)
  }
  const name = onlyInput(model, 'mapUnits')
  const { size, stride, offset } = fieldOf(model, layer, input, 'mapUnits')
  const shape = [input[0] as number, ...size] as unknown as MapUnits['shape']
  // The first place whose field begins in the picture, and where it does.
  const place = offset.map((first, axis) => Math.max(0, Math.ceil(-first / (stride[axis] as number))))
  const begin = offset.map((first, axis) => first + (place[axis] as number) * (stride[axis] as number))
  const path = neededFor(model.nodes, [layer])
  const fixed = path.find((node) => bound.has(node.layer.type))
  if (fixed) {
    throw new UnsupportedError(
      `mapUnits: layer '${fixed.name}', ${fixed.layer.describe()}, belongs to the places of a picture and cannot be computed over patches; choose a layer before it`,
    )
  }
  const output = model.shapes()[model.nodes.findIndex((node) => node.name === layer)]
  if (output?.length !== 3) {
    throw new UnsupportedError(`mapUnits: layer '${layer}' gives no feature maps; choose a layer before it`)
  }
  // Weights are made now, as the model makes them.
  model.namedState()
  return {
    shape,
    respond: (patches) => {
      checkTensor(patches, 'mapUnits', 'the patches')
      const [N, ...given] = patches.shape
      if (given.join() !== shape.join()) {
        throw new ShapeError(`mapUnits: patches must be (N, ${shape.join(', ')}), given ${showShape(patches.shape)}`)
      }
      return scope(() => {
        // Windows up to the place end where the field does.
        const values = new Map([
          [
            name,
            pad(
              patches,
              begin.map((room) => [room, 0] as const),
            ),
          ],
        ])
        for (const node of path) {
          const [first, ...others] = node.inputs.map((from) => values.get(from) as Tensor)
          values.set(node.name, node.layer.forward(first as Tensor, inUse, ...others))
        }
        const y = values.get(layer) as Tensor
        const K = y.shape[1] as number
        const [row = 0, column = 0] = place
        return slice(y, { begin: [0, 0, row, column], end: [N as number, K, row + 1, column + 1] }).reshape([
          N as number,
          K,
        ])
      })
    },
  }
}
