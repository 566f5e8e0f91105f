/** `Sequential`: a model whose layers are a chain. It is a graph in which each node reads the one before. */
import { wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import type { Shape } from '../tensor/shape.js'
import { Graph, type ModelOptions } from './graph.js'
import type { Layer, LayerConfig } from './layer.js'
import { modelNames } from './options.js'

/** Options of `Sequential`. */
export interface SequentialOptions extends ModelOptions {
  /** Shape of one input without the batch: (C, H, W). Left out, the first forward pass tells. */
  readonly input?: Shape
}

/** The JSON form of a chain; a layer that was there before is written as the number of its first place. */
export interface SequentialConfig {
  /** Tells a sequence from a `Graph`. */
  readonly type: 'Sequential'
  /** Shape of the input without the batch; null where the first forward pass decides. */
  readonly input: readonly number[] | null
  /** The layers, or the index of the layer whose weights are shared. */
  readonly layers: readonly (LayerConfig | { readonly shares: number })[]
}

/**
 * A model whose layers are applied one after another; its nodes are numbered from 0.
 *
 *     const model = new Sequential([new Conv2d({ outChannels: 8, kernel: 3 }), new ReLU(), new Flatten(), new Linear({ outFeatures: 10 })], {
 *       input: [1, 28, 28],
 *     })
 *     model.forward(x)                                     // (N, 1, 28, 28) -> (N, 10)
 */
export class Sequential extends Graph {
  constructor(layers: readonly Layer[], given: SequentialOptions = {}) {
    checkCount('Sequential', 2, arguments)
    if (!Array.isArray(layers)) throw wrongKind('Sequential: the layers', 'a list', layers)
    checkKeys('Sequential', given, modelNames, { input: 0 })
    const { input, ...options } = given
    if (layers.length === 0) throw new ArgumentError('Sequential: a model needs at least one layer')
    super(
      (layers as readonly Layer[]).map((layer, index) => ({ name: String(index), layer })),
      { ...options, inputs: { input: input ?? null } },
    )
  }

  override toJSON(): SequentialConfig {
    const first = new Map<Layer, number>()
    return {
      type: 'Sequential',
      input: this.input ?? null,
      layers: this.nodes.map(({ layer }, index) => {
        const shares = first.get(layer)
        if (shares !== undefined) return { shares }
        first.set(layer, index)
        return layer.config()
      }),
    }
  }
}
