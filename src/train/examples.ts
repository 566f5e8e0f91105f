/** Where batches come from: examples drawn by number, in memory or read ahead of time, in an order that can be resumed. */
import { guarded, integersAt, kernels, withWorkspace } from '../runtime/core.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkShape, sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkFunction, checkList, checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { checkTensor, filled, Tensor } from '../tensor/tensor.js'
import { randomOrder } from '../tensor/order.js'
import { shuffleStream } from '../tensor/streams.js'
import { inWords } from '../runtime/text.js'
import { batchesOf, type Counted } from './count.js'
import { checkCount } from '../runtime/options.js'

/** Inputs (N, …) and what is wanted for them. */
export interface Batch<Target> {
  /** The inputs, (N, …). */
  readonly x: Tensor
  /** What is to be learned: labels, or whatever the loss takes. */
  readonly target: Target
}

/** What random changes of a batch are drawn from; without it, nothing is random. */
export interface Draw {
  /** Seed of the generator. */
  readonly seed: number
  /** Number of the training step, from 0. */
  readonly step: number
  /** Place in the step's batch of the first example: not 0 where a batch is made in parts. */
  readonly first: number
}

/** Examples that were read. */
export interface ReadExamples<Target> {
  /** Those of the examples asked for that could be read. */
  readonly indices: Int32Array
  /** Tensors that it makes belong to the scope around the call. Not to be called without examples. */
  batch(draw?: Draw): Batch<Target>
}

/** Examples in memory. Tensors that `batch` makes belong to the scope around the call. */
export interface Examples<Target> {
  /** How many there are. */
  readonly size: number
  /** The labels of all examples, in their order, where they are at hand: `fit` checks them before the first step. */
  readonly labels?: ArrayLike<unknown> | undefined
  /**
   * The group of each example, where those of a batch must be of one, such as pictures of one size: `fit` and `batches` then put
   * no others together, so that more batches than the last may not be full.
   */
  readonly groups?: ArrayLike<number> | undefined
  /** The examples of these numbers as a batch. `draw` seeds what is done to them at random. */
  batch(indices: Int32Array, draw?: Draw): Batch<Target>
}

/** Examples that must be read first, such as pictures in files. */
export interface DistantExamples<Target> {
  /** How many there are. */
  readonly size: number
  /** The labels of all examples, in their order, where they are at hand: `fit` checks them before the first step. */
  readonly labels?: ArrayLike<unknown> | undefined
  /**
   * The group of each example, where those of a batch must be of one, such as pictures of one size: `fit` and `batches` then put
   * no others together, so that more batches than the last may not be full.
   */
  readonly groups?: ArrayLike<number> | undefined
  /** Reads the examples of these numbers, from a disk or a network. */
  read(indices: Int32Array): Promise<ReadExamples<Target>>
}

/** Numbers in a row: as inputs they are cut into those that the model takes. */
export type Rows = Tensor | Float32Array | Float64Array | Int32Array | Uint8Array | Uint8ClampedArray

/** All inputs (N, …) and what is wanted for them: labels, or the rows of a tensor or of floats. */
export interface Arrays<Target> {
  /** A tensor (N, …), or its elements, N times those of the model's input. */
  readonly x: Rows
  /** N labels, or N rows. */
  readonly y: Target | Float32Array | Float64Array
}

/** What `fit` and `evaluate` take as data. */
export type TrainingData<Target> = Examples<Target> | DistantExamples<Target> | Arrays<Target>

/** Rows by their numbers, as a tensor of `shape` each. */
function rowsOf(x: Rows, shape: Shape, indices: Int32Array): Tensor {
  const size = sizeOf(shape)
  const fill = (batch: Tensor): void => {
    const from = x instanceof Tensor ? x.view() : x
    const to = batch.view()
    indices.forEach((index, n) => to.set(from.subarray(index * size, (index + 1) * size), n * size))
  }
  return filled([indices.length, ...shape], 'a batch', fill, x instanceof Tensor ? x.dtype : 'float32')
}

/**
 * Examples of a tensor (N, …), or of its elements with the shape of one example, and N labels or rows. What is given is not
 * copied, and must stay while the examples are used.
 *
 *     tensorExamples(pixels, labels, [1, 28, 28])
 *
 * @throws ShapeError unless there are as many of the one as of the other.
 */
export function tensorExamples<Target>(x: Rows, y: Target, shape?: Shape): Examples<Target> {
  checkCount('tensorExamples', 3, arguments)
  const isRows = (list: unknown): list is Rows =>
    list instanceof Tensor || (ArrayBuffer.isView(list) && !(list instanceof DataView))
  if (!isRows(x)) throw wrongKind('tensorExamples: x', 'a Tensor or a typed array', x)
  if (x instanceof Tensor) checkTensor(x, 'tensorExamples', 'x')
  // Whole numbers in a row are labels, in a tensor as in a list.
  const list: unknown = y instanceof Tensor && y.dtype !== 'float32' && y.ndim === 1 ? y.data() : y
  if (!isRows(list)) checkList(list, 'tensorExamples: y', 'a Tensor, labels or a typed array')
  const own =
    x instanceof Tensor ? x.shape.slice(1) : checkShape(shape as Shape, 'tensorExamples: the shape of an example')
  const [length, count] = [x, list].map((all) => (all instanceof Tensor ? all.size : (all as Float32Array).length)) as [
    number,
    number,
  ]
  const size = length / sizeOf(own)
  const isFloats = list instanceof Tensor || list instanceof Float32Array || list instanceof Float64Array
  const width = count / size
  const row = list instanceof Tensor ? list.shape.slice(1) : width === 1 ? [] : [width]
  if (!Number.isInteger(size) || !(isFloats ? sizeOf(row) === width && Number.isInteger(width) : width === 1)) {
    throw new ShapeError(
      `tensorExamples: ${length} elements of x in examples of ${showShape(own)} and ${count} of y do not match`,
    )
  }
  const targetOf = (indices: Int32Array): unknown =>
    isFloats
      ? rowsOf(list as Rows, row, indices)
      : (list as number[] & { constructor: ArrayConstructor }).constructor.from(
          indices,
          (index) => (list as number[])[index],
        )
  return {
    size,
    get labels() {
      if (row.length > 0) return undefined
      return list instanceof Tensor ? list.data() : (list as ArrayLike<unknown>)
    },
    batch: (indices) => ({ x: rowsOf(x, own, indices), target: targetOf(indices) as Target }),
  }
}

/**
 * Examples of a list: `toTensor` gives the input of one of them, without the batch, and `y` of each is its label.
 * @throws ShapeError when the tensors of a batch are of different shapes.
 */
export function arrayExamples<Label, Item extends { readonly y: Label }>(
  list: readonly Item[],
  toTensor: (item: Item) => Tensor,
): Examples<Item['y'][]> {
  checkCount('arrayExamples', 2, arguments)
  checkList(list, 'arrayExamples: the list')
  checkFunction(toTensor, 'arrayExamples: toTensor', 'a function of an item that gives a Tensor')
  const batch = (indices: Int32Array): Batch<Item['y'][]> => {
    const items = Array.from(indices, (index) => list[index] as Item)
    const inputs = items.map(toTensor)
    const shapeOf = (input: Tensor): Shape => {
      checkTensor(input, 'arrayExamples', 'what toTensor gives')
      return input.shape
    }
    const shape = shapeOf(inputs[0] as Tensor)
    const other = inputs.map(shapeOf).find((own) => !sameShape(own, shape))
    if (other)
      throw new ShapeError(
        `arrayExamples: toTensor gives ${showShape(shape)} and ${showShape(other)}; those of a batch must be equal`,
      )
    const x = filled([items.length, ...shape], 'a batch', (all) => {
      inputs.forEach((input, n) => {
        all.view().set(input.view(), n * input.size)
      })
    })
    return { x, target: items.map(({ y }) => y) }
  }
  return { size: list.length, labels: list.map((item) => (item as Item | undefined)?.y), batch }
}

/** Examples whose numbers and random bits memory holds. */
const MOST_EXAMPLES = 2 ** 29

/**
 * The numbers 0 to size − 1 in the random order of an epoch (Fisher-Yates on the core's generator).
 *
 *     permutation(1000, 7, 3)                              // the order of epoch 3, the same in every runtime
 *
 * @throws ShapeError when the size, the seed or the epoch is not a whole number in its range.
 */
export function permutation(size: number, seed: number, epoch: number): Int32Array {
  checkCount('permutation', 3, arguments)
  const check = (value: number, most: number, what: string): void => {
    if (!Number.isInteger(value) || value < 0 || value > most) {
      throw new ArgumentError(`permutation: ${what} must be a whole number from 0 to ${most}, not ${inWords(value)}`)
    }
  }
  check(size, MOST_EXAMPLES, 'the size')
  check(seed, 2 ** 32 - 1, 'the seed')
  check(epoch, 2 ** 29, 'the epoch')
  return withWorkspace(4 * (size + 3), (pointer) => {
    guarded('permutation', () => kernels().random_bits(pointer, size, seed, shuffleStream(epoch)))
    const bits = integersAt(pointer, size)
    return randomOrder(size, (i) => ((bits[i] as number) >>> 0) % (i + 1))
  })
}

/** How examples are put into batches. */
export interface BatchOptions {
  /** Examples in a batch; the last of an epoch may have fewer. */
  readonly batchSize: number
  /** Seed of the order of examples and of their random changes. Default 0. */
  readonly seed?: number
  /** Epoch from 0, for an order and changes of its own; left out, the order is that of the numbers and nothing changes. */
  readonly epoch?: number
  /** Number of the first batch: where an epoch goes on. Default 0. */
  readonly first?: number
  /** Batches that are read ahead. Default 2. */
  readonly prefetch?: number
  /** Whether the last batch is left out where it is not full. Default false. */
  readonly dropLast?: boolean
}

/** A batch whose parts (one, unless more were asked for) have been read. */
export interface ReadBatch<Target> {
  /** Number in the epoch, from 0. */
  readonly number: number
  /** What was read, in parts of the batch that are added in this order. */
  readonly parts: readonly { readonly draw: Draw | undefined; readonly examples: ReadExamples<Target> }[]
}

const lacking = (what: string): ShapeError =>
  new ArgumentError(`batches: a data set has a size, the number of examples, and batch() or read(); ${what}`)

/** @throws ShapeError when there is nothing to make batches of, or an option is out of its range. */
export function checkBatches(data: Counted, options: BatchOptions): void {
  checkCount('checkBatches', 2, arguments)
  if (Array.isArray(data)) throw lacking('of a list of inputs and one of labels, give { x, y }')
  const { size } = Object(data) as { readonly size: unknown }
  if (typeof size !== 'number')
    throw lacking(Object(data) === data ? `its size is ${inWords(size)}` : `it is ${inWords(data)}`)
  const { read, batch } = data as { readonly read?: unknown; readonly batch?: unknown }
  if (read === undefined && batch === undefined) throw lacking('it has neither function')
  if (read === undefined) checkFunction(batch, 'batches: batch of the data set')
  else checkFunction(read, 'batches: read of the data set')
  checkObject(options, 'batches: the options')
  const { batchSize, first = 0, prefetch = 2 } = options
  checkWhole(size, 'batches: the number of examples')
  checkWhole(batchSize, 'batches: batchSize')
  checkWhole(first, 'batches: first', 0)
  checkWhole(prefetch, 'batches: prefetch', 0)
  if (batchesOf(data, options) === 0) {
    throw new ArgumentError(
      `batches: dropLast leaves nothing of ${size} examples in batches of ${batchSize}; use smaller ones`,
    )
  }
}
