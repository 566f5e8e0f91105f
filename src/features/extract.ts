/**
 * Features of a whole data set, computed once: where the first layers of a model stay as they are, only what comes behind them
 * needs to be trained, and an epoch costs no convolution.
 */
import { MOST } from '../plan/window.js'
import { checkCallback, checkSignal, checkWhole } from '../runtime/check.js'
import { Graph } from '../nn/graph.js'
import { ArgumentError, isOutOfMemory, OutOfMemoryError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import type { Signal } from '../runtime/platform.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { lend, Tensor } from '../tensor/tensor.js'
import {
  tensorExamples,
  type Arrays,
  type DistantExamples,
  type Examples,
  type TrainingData,
} from '../train/examples.js'
import { turnTaker } from '../train/host.js'
import { readBatches } from '../train/reading.js'
import { nodeNamed } from '../vision/node.js'
import { checkData } from './data.js'

/** Options of `extractFeatures`. */
export interface ExtractOptions {
  /** Examples in a forward pass. Default 100. */
  readonly batchSize?: number
  /** Called after each batch with the number of examples that are done. */
  onBatch?(done: number): void
  /** Ends the work after the batch in progress. */
  readonly signal?: Signal
}

/** Features with the targets of the examples that they were made of: data for `fit` and `evaluate`. */
export interface FeatureExamples<Target> extends Examples<Target> {
  /** Shape of the features of one example. */
  readonly shape: Shape
  /** All features (N, …), in the order of the examples. */
  readonly values: Float32Array
}

/**
 * Runs a model up to a layer, once over a data set, in use and not as in training, and gives the outputs of that layer as
 * examples with the same targets. They are kept as float32 outside of the core's memory.
 *
 * @param until the name of the layer, as in `model.nodes`; layers of a `Sequential` are named by their numbers
 * @example
 * const features = await extractFeatures(model, '3', imageExamples(training, normalization))
 * const head = headOf(model, '3')
 * await fit(head, features, { epochs: 20, batchSize: 100, loss: crossEntropy, optimizer: new Adam(head.parameters()) })
 * @throws ShapeError when there is no such layer, or the data does not fit the model; OutOfMemoryError when the features do
 *   not fit into memory; the reason of the signal when that ended it
 */
export async function extractFeatures<Target>(
  model: Graph,
  until: string,
  data: TrainingData<Target>,
  options: ExtractOptions = {},
): Promise<FeatureExamples<Target>> {
  checkCount('extractFeatures', 4, arguments)
  const name = 'extractFeatures'
  checkKeys(name, options, { batchSize: 0, onBatch: 0, signal: 0 } satisfies Names<ExtractOptions>)
  const { onBatch, signal } = options
  nodeNamed(model, until, `${name}: until`)
  const examples = examplesOf(model, data, name)
  const N = checkData(examples, name)
  const batchSize = checkWhole(options.batchSize ?? 100, `${name}: batchSize`, 1, MOST)
  checkCallback(onBatch, `${name}: onBatch`)
  checkSignal(signal, `${name}: signal`)

  let shape: Shape | undefined
  let values = new Float32Array(0)
  const targets = new Targets<Target>(N)
  let done = 0
  const turn = turnTaker()
  for await (const { parts } of readBatches(examples, { batchSize })) {
    for (const { examples: read } of parts) {
      if (read.indices.length === 0) continue
      const { value, dispose } = lend(() => {
        const { x, target } = read.batch()
        return { output: model.run(x, [until], { training: false })[until] as Tensor, target }
      })
      try {
        const { output, target } = value
        const own = output.shape.slice(1)
        const count = read.indices.length
        if (output.shape[0] !== count) {
          throw new ShapeError(
            `${name}: a batch of ${count} examples has inputs ${showShape(output.shape)} at '${until}'; give one for each`,
          )
        }
        if (!shape) {
          shape = own
          values = floats(N, own, name)
        }
        if (!sameShape(own, shape))
          throw new ShapeError(
            `${name}: layer '${until}' gives ${showShape(shape)} and ${showShape(own)}; inputs must be of one shape`,
          )
        values.set(output.view(), done * sizeOf(shape))
        targets.add(target, count, name)
        done += count
      } finally {
        dispose()
      }
    }
    onBatch?.(done)
    await turn()
    if (signal?.aborted) throw signal.reason
  }
  if (!shape) throw new ArgumentError(`${name}: none of the examples can be read`)
  const all = values.subarray(0, done * sizeOf(shape))
  const { size, batch } = tensorExamples(all, targets.all(), shape)
  const { labels } = targets
  return { size, batch, ...(labels ? { labels } : {}), shape, values: all }
}

/** The examples of what `fit` takes: as they are, or of all inputs and targets. @throws ShapeError where there are no targets */
function examplesOf<Target>(
  model: Graph,
  data: TrainingData<Target>,
  name: string,
): Examples<Target> | DistantExamples<Target> {
  if (data instanceof Tensor)
    throw new ArgumentError(
      `${name}: features need targets; give examples, as of tensorExamples(x, labels), or { x, y }`,
    )
  const { x, y } = Object(data) as Partial<Arrays<Target>>
  if (x === undefined || y === undefined) return data as Examples<Target> | DistantExamples<Target>
  return tensorExamples(x, y as Target, model.input)
}

/** Floats for the features of N examples. @throws OutOfMemoryError */
function floats(N: number, shape: Shape, name: string): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(N * sizeOf(shape))
  } catch (error) {
    if (!isOutOfMemory(error)) throw error
    const gigabytes = (4 * N * sizeOf(shape)) / 1e9
    throw new OutOfMemoryError(
      `${name}: features ${showShape(shape)} of ${N} examples take ${gigabytes.toFixed(1)} GB; stop at a layer with fewer, behind a pooling`,
      { cause: error },
    )
  }
}

/** Targets of batches, put together: labels in a list of their kind, or rows of floats. */
class Targets<Target> {
  readonly #N: number
  #labels: unknown[] = []
  #rows: { values: Float32Array; length: number; filled: number } | undefined
  #kind: ArrayConstructor | undefined

  constructor(N: number) {
    this.#N = N
  }

  /** Adds the targets of `count` examples. @throws ArgumentError when they are none that can be kept */
  add(target: unknown, count: number, name: string): void {
    if (target instanceof Tensor && target.dtype === 'float32' && target.shape[0] === count) {
      const length = target.size / count
      if (target.ndim <= 2) {
        this.#rows ??= { values: new Float32Array(this.#N * length), length, filled: 0 }
        this.#rows.values.set(target.data() as Float32Array, this.#rows.filled)
        this.#rows.filled += count * length
        return
      }
    } else {
      const list = target instanceof Tensor ? target.data() : (target as ArrayLike<unknown> | undefined)
      if (typeof list === 'object' && list.length === count) {
        this.#kind ??= list.constructor as ArrayConstructor
        for (let n = 0; n < count; n++) this.#labels.push(list[n])
        return
      }
    }
    throw new ArgumentError(
      `${name}: the targets of a batch must be a list of one for each example, or a Tensor (N) or (N, D)`,
    )
  }

  /** As `fit` takes them: labels in the kind of list that the batches had, or rows. */
  all(): Target {
    const { values, filled } = this.#rows ?? {}
    return (values ? values.subarray(0, filled) : (this.#kind ?? Array).from(this.#labels)) as Target
  }

  /** Labels, where there is one for each example. */
  get labels(): ArrayLike<unknown> | undefined {
    return this.#rows ? undefined : this.#labels
  }
}

/**
 * What comes behind a layer of a model, as a model of its own that takes the outputs of that layer. The layers are the same
 * objects: what is trained in the one is trained in the other. Both are to be disposed, and the first of them that is frees the
 * weights that they share.
 *
 * @throws ShapeError when there is no such layer, nothing comes behind it, or what does reads something before it, too
 */
export function headOf(model: Graph, until: string): Graph {
  checkCount('headOf', 2, arguments)
  nodeNamed(model, until, 'headOf: until')
  const [output] = model.outputs as [string]
  const byName = new Map(model.nodes.map((node) => [node.name, node]))
  const needed = new Set<string>()
  const visit = (name: string, reader: string): void => {
    if (name === until || needed.has(name)) return
    const node = byName.get(name)
    if (!node)
      throw new ArgumentError(
        `headOf: layer '${reader}' reads the input '${name}' beside '${until}'; choose a later layer`,
      )
    needed.add(name)
    for (const read of node.inputs) visit(read, name)
  }
  visit(output, output)
  if (needed.size === 0)
    throw new ArgumentError(`headOf: '${until}' is the output of the model; nothing comes behind it`)
  // Its weights are made now, as the model makes them, and not as one that begins here would.
  model.namedState()
  const shape = model.shapes()[model.nodes.findIndex(({ name }) => name === until)] as number[]
  return new Graph(
    model.nodes.filter(({ name }) => needed.has(name)).map(({ name, layer, inputs }) => ({ name, layer, inputs })),
    { inputs: { [until]: shape }, outputs: [output] },
  )
}
