/** How many of a network's activations are zero, and which of its units never respond: they have died (section 6.3 of the book). */
import type { Graph } from '../nn/graph.js'
import { checkModel, checkWhole } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { sizeOf } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { eachBatch, type Pictures } from './batches.js'

/** Options of `sparsity`. */
export interface SparsityOptions {
  /** Inputs in one forward pass, where they are a tensor. Default 64. */
  readonly batchSize?: number
}

/** How sparse the output of a layer is. */
export interface LayerSparsity {
  /** Name of the layer's node. */
  readonly name: string
  /** The layer in the notation of the lecture, such as `relu`. */
  readonly layer: string
  /** Share of the activations that are exactly zero, 0 to 1, over all inputs and places. */
  readonly zeros: number
  /** Number of units: feature maps, or single numbers where there are no maps. */
  readonly units: number
  /** Units, from 0, that are zero for every input and at every place. */
  readonly dead: readonly number[]
}

/**
 * Share of zeros and dead units of every layer, over inputs (N, …), in use and not as in training. What is dead depends on the
 * inputs: with few of them, units that are merely seldom active seem dead.
 *
 * @example
 * for (const { layer, zeros, dead } of sparsity(model, pictures)) console.log(layer, zeros, dead.length)
 * @throws ShapeError when the inputs do not fit the model
 */
export function sparsity(model: Graph, pictures: Pictures, options: SparsityOptions = {}): LayerSparsity[] {
  checkCount('sparsity', 3, arguments)
  const name = 'sparsity'
  checkModel(model, `${name}: the model`)
  checkKeys(name, options, { batchSize: 0 } satisfies Names<SparsityOptions>)
  const batchSize = checkWhole(options.batchSize ?? 64, `${name}: batchSize`, 1, 2 ** 16)
  const names = model.nodes.map((node) => node.name)
  /** For each layer, the activations of each unit that are not zero, and all activations. */
  const active = names.map(() => new Float64Array(0))
  const sizes = names.map(() => 0)
  eachBatch(pictures, batchSize, name, (x) => {
    const outputs = model.run(x, names, { training: false })
    names.forEach((node, n) => {
      const { shape, size } = outputs[node] as Tensor
      const [N = 1, units = 1, ...plane] = shape
      const values = (outputs[node] as Tensor).data()
      const places = sizeOf(plane)
      if (active[n]?.length === 0) active[n] = new Float64Array(units)
      const counts = active[n] as Float64Array
      for (let row = 0; row < N * units; row++) {
        let count = 0
        for (let i = row * places; i < (row + 1) * places; i++) if (values[i] !== 0) count++
        counts[row % units] = (counts[row % units] as number) + count
      }
      sizes[n] = (sizes[n] as number) + size
    })
  })
  return model.nodes.map(({ name, layer }, n) => {
    const counts = active[n] as Float64Array
    const total = counts.reduce((sum, count) => sum + count, 0)
    return {
      name,
      layer: layer.describe(),
      zeros: 1 - total / (sizes[n] as number),
      units: counts.length,
      dead: Array.from(counts.keys()).filter((unit) => counts[unit] === 0),
    }
  })
}
