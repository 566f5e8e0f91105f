/**
 * What features are learned from: inputs in memory, or examples as `fit` takes them, of which the targets are not looked at.
 * They are read in batches, so that a data set need not be in memory as numbers.
 */
import { checkFunction } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { sameShape, showShape, type Shape } from '../tensor/shape.js'
import { checkTensor, filled, scope, Tensor } from '../tensor/tensor.js'
import type { DistantExamples, Draw, Examples, ReadExamples } from '../train/examples.js'
import type { Graph } from '../nn/graph.js'

/** A tensor (N, C, H, W), or examples with such inputs. Targets are ignored. */
export type FeatureData = Tensor | Examples<unknown> | DistantExamples<unknown>

/** Inputs of some examples, and which ones they are: those that could not be read are missing. */
export interface Inputs {
  readonly x: Tensor
  readonly indices: Int32Array
}

/** Number of examples. @throws ShapeError when the data is none that features are learned from */
export function checkData(data: FeatureData, name: string): number {
  if (data instanceof Tensor) {
    checkTensor(data, name, 'the data')
    if (data.ndim !== 4 || data.size === 0)
      throw new ShapeError(`${name}: the data must be (N, C, H, W), given ${showShape(data.shape)}`)
    return data.shape[0] as number
  }
  const { size, read, batch } = Object(data) as { size?: unknown; read?: unknown; batch?: unknown }
  if (!Number.isInteger(size) || (size as number) < 1 || (read === undefined && batch === undefined)) {
    throw new ArgumentError(
      `${name}: the data must be a Tensor (N, C, H, W), or examples as fit takes them, with a size from 1 on, given ${inWords(data)}`,
    )
  }
  checkFunction(read ?? batch, `${name}: ${read === undefined ? 'batch' : 'read'} of the data`)
  return size as number
}

/** Checks that inputs are maps of one shape. @throws ShapeError */
export function checkMaps(x: unknown, shape: Shape | undefined, name: string): asserts x is Tensor {
  checkTensor(x, name, 'the input of the examples')
  if (x.ndim !== 4) throw new ShapeError(`${name}: inputs must be (N, C, H, W), given ${showShape(x.shape)}`)
  if (shape && !sameShape(shape, x.shape.slice(1))) {
    throw new ShapeError(`${name}: the inputs are of ${showShape(shape)} and of ${showShape(x.shape.slice(1))}`)
  }
}

/** Rows of a tensor by their numbers, as a tensor. */
const rowsOf = (x: Tensor, indices: Int32Array): Tensor => {
  const size = x.size / (x.shape[0] as number)
  return filled([indices.length, ...x.shape.slice(1)], 'a batch', (batch) => {
    const [from, to] = [x.view(), batch.view()]
    indices.forEach((index, n) => {
      to.set(from.subarray(index * size, (index + 1) * size), n * size)
    })
  })
}

/** Calls `use` in a scope with the inputs of the examples of these numbers; not at all where none of them can be read. */
export async function withInputs<Result>(
  data: FeatureData,
  indices: Int32Array,
  use: (inputs: Inputs) => Result,
): Promise<Result | undefined> {
  if (data instanceof Tensor) return scope(() => use({ x: rowsOf(data, indices), indices }))
  if (!('read' in data)) return scope(() => use({ x: data.batch(indices).x, indices }))
  const read = await data.read(indices)
  if (read.indices.length === 0) return undefined
  return scope(() => use({ x: read.batch().x, indices: read.indices }))
}

/** Examples whose inputs, and whose targets, are what a model makes of the inputs of others up to a node; undefined: of nothing. */
export function throughModel(
  model: Graph,
  until: string | undefined,
  data: FeatureData,
): Examples<Tensor> | DistantExamples<Tensor> {
  const pass = (x: Tensor): { x: Tensor; target: Tensor } => {
    const value = until === undefined ? x : (model.run(x, [until], { training: false })[until] as Tensor)
    return { x: value, target: value }
  }
  if (data instanceof Tensor) return { size: data.shape[0] as number, batch: (indices) => pass(rowsOf(data, indices)) }
  if (!('read' in data)) return { size: data.size, batch: (indices, draw) => pass(data.batch(indices, draw).x) }
  return {
    size: data.size,
    async read(indices): Promise<ReadExamples<Tensor>> {
      const read = await data.read(indices)
      return { indices: read.indices, batch: (draw?: Draw) => pass(read.batch(draw).x) }
    },
  }
}
