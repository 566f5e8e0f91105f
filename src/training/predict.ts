/** The outputs of a model for a whole data set, a batch at a time. */
import { MOST } from '../plan/window.js'
import { checkCallback, checkObject, checkSignal, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import type { ForwardOptions } from '../nn/graph.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { filled, lend, Tensor } from '../tensor/tensor.js'
import { tensorExamples, type DistantExamples, type Examples, type Rows } from '../train/examples.js'
import { turnTaker } from '../train/host.js'
import { readBatches } from '../train/reading.js'

/** What `predictBatches` needs of a model. */
export interface Predicting {
  /** The output (N, …) for inputs (N, …). */
  forward(x: Tensor, options: ForwardOptions): Tensor
  /** Shape of one input, by which the elements of a typed array are cut. */
  readonly input?: Shape | undefined
}

/** Options of `predictBatches`. */
export interface PredictOptions {
  /** Examples in a forward pass. Default 100. */
  readonly batchSize?: number
  /** Called after each batch with the numbers of examples that are done and that there are. */
  onBatch?(done: number, all: number): void
  /** Ends the work after the batch in progress. */
  readonly signal?: Signal
}

/** Inputs without targets, or examples as `fit` takes them, whose targets are not looked at. */
export type PredictData = Rows | Examples<unknown> | DistantExamples<unknown>

function examplesOf(model: Predicting, data: PredictData, name: string): Examples<unknown> | DistantExamples<unknown> {
  const isList = data instanceof Tensor || ArrayBuffer.isView(data)
  if (!isList) {
    checkObject(data, `${name}: the data`, 'a Tensor, a typed array or examples as fit takes them', ['size'])
    checkWhole(data.size, `${name}: the number of examples`)
    return data
  }
  const shape = data instanceof Tensor ? data.shape.slice(1) : model.input
  if (!shape)
    throw new ShapeError(
      `${name}: the elements of the data need the shape of an input; give a Tensor, or the input option of the model`,
    )
  const count = (data instanceof Tensor ? data.size : (data as Float32Array).length) / sizeOf(shape)
  if (!Number.isInteger(count) || count < 1) {
    throw new ShapeError(
      `${name}: the data must be one or more inputs of ${showShape(shape)}, given ${data instanceof Tensor ? showShape(data.shape) : `${(data as Float32Array).length} elements`}`,
    )
  }
  return tensorExamples(data, new Uint8Array(count), shape)
}

/** Rows of equal shape, put together as they come. */
class Outputs {
  readonly #rows: Float32Array[] = []
  #shape: Shape | undefined
  #count = 0

  add(output: unknown, count: number, name: string): void {
    if (!(output instanceof Tensor)) throw wrongKind(`${name}: what the model gives`, 'a Tensor', output)
    if (output.dtype !== 'float32' || output.shape[0] !== count) {
      throw new ShapeError(
        `${name}: the model gives ${showShape(output.shape)} ${output.dtype} for ${count} examples; one row of float32 for each is due`,
      )
    }
    const own = output.shape.slice(1)
    this.#shape ??= own
    if (!sameShape(own, this.#shape)) {
      throw new ShapeError(
        `${name}: the outputs are of ${showShape(this.#shape)} and of ${showShape(own)}; inputs must be of one shape`,
      )
    }
    this.#rows.push(output.data() as Float32Array)
    this.#count += count
  }

  all(name: string): Tensor {
    return filled([this.#count, ...(this.#shape as Shape)], name, (x) => {
      let at = 0
      for (const rows of this.#rows) {
        x.view().set(rows, at)
        at += rows.length
      }
    })
  }
}

/**
 * The outputs of a model for a whole data set, in the order of the examples, a batch at a time: only one batch's feature maps are in
 * memory. Layers behave as in use, not as in training. The host has its turn between the batches.
 *
 *     const scores = await predictBatches(model, pictures, { batchSize: 250 })   // (N, classes)
 *     argmax(scores)
 *
 * @returns the outputs (N, …), which the caller disposes
 * @throws ShapeError when the data does not fit the model, or outputs are of different shapes; ArgumentError when an example cannot be
 *   read; the reason of the signal when that ended it
 */
export async function predictBatches(
  model: Predicting,
  data: PredictData,
  options: PredictOptions = {},
): Promise<Tensor> {
  const name = 'predictBatches'
  checkCount(name, 3, arguments)
  checkObject(model, `${name}: the model`, 'a Sequential, a Graph or a Program', ['forward'])
  checkKeys(name, options, { batchSize: 0, onBatch: 0, signal: 0 } satisfies Names<PredictOptions>)
  const { onBatch, signal } = options
  const batchSize = checkWhole(options.batchSize ?? 100, `${name}: batchSize`, 1, MOST)
  checkCallback(onBatch, `${name}: onBatch`)
  checkSignal(signal, `${name}: signal`)
  const examples = examplesOf(model, data, name)
  // Groups would change the order of the examples, which is that of the outputs.
  if (examples.groups)
    throw new ArgumentError(`${name}: examples of different sizes have no common output; predict each size`)
  const outputs = new Outputs()
  const turn = turnTaker()
  let done = 0
  for await (const { parts } of readBatches(examples, { batchSize })) {
    for (const { examples: read } of parts) {
      const due = Math.min(batchSize, examples.size - done)
      if (read.indices.length !== due) {
        const missing = Array.from({ length: due }, (_, n) => done + n).find((index) => !read.indices.includes(index))
        throw new ArgumentError(`${name}: example ${missing} cannot be read; leave it out of the data`)
      }
      const { value, dispose } = lend(() => model.forward(read.batch().x, { training: false }))
      try {
        outputs.add(value, due, name)
      } finally {
        dispose()
      }
      done += due
    }
    onBatch?.(done, examples.size)
    await turn()
    if (signal?.aborted) throw signal.reason
  }
  return outputs.all(name)
}
