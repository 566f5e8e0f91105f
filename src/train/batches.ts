/** Reading and making batches: what `readBatches` and `batches` load when they are first used. */
import { checkFunction, checkObject } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { lend } from '../tensor/tensor.js'
import { batchesOf } from './count.js'
import {
  checkBatches,
  permutation,
  type Batch,
  type BatchOptions,
  type DistantExamples,
  type Draw,
  type Examples,
  type ReadBatch,
  type ReadExamples,
} from './examples.js'

const batchNames = {
  batchSize: 0,
  seed: 0,
  epoch: 0,
  first: 0,
  prefetch: 0,
  dropLast: 0,
} satisfies Names<BatchOptions>

/** A batch that a data set of the caller's gives. @throws ShapeError unless it has the members of one */
function checkBatch<Target>(batch: Batch<Target>): Batch<Target> {
  checkObject(batch, 'batches: what batch() gives', '{ x, target }', ['x'])
  if (!('target' in batch))
    throw new ArgumentError('batches: what batch() gives must be { x, target }; it has no target')
  return batch
}

/** The same of what it has read, where it must read. */
function checkRead<Target>(read: ReadExamples<Target>): ReadExamples<Target> {
  checkObject(read, 'batches: what read() gives', '{ indices, batch }', ['indices', 'batch'])
  checkFunction(read.batch, 'batches: batch of what read() gives')
  return { indices: read.indices, batch: (draw) => checkBatch(read.batch(draw)) }
}

/** An order cut into batches of one group each, which stand in the order of their first examples. */
function groupedBatches(
  order: Int32Array,
  groups: ArrayLike<number>,
  { batchSize, dropLast = false }: BatchOptions,
): number[][] {
  const open = new Map<number | undefined, number[]>()
  const all: number[][] = []
  for (const index of order) {
    const batch = open.get(groups[index])
    if (batch && batch.length < batchSize) batch.push(index)
    else open.set(groups[index], (all[all.length] = [index]))
  }
  return dropLast ? all.filter(({ length }) => length === batchSize) : all
}

/** What `readBatches` does. */
export async function* readAhead<Target>(
  data: Examples<Target> | DistantExamples<Target>,
  options: BatchOptions & { readonly parts?: number },
): AsyncGenerator<ReadBatch<Target>, void> {
  checkBatches(data, options)
  const { batchSize, seed = 0, epoch, first = 0, prefetch = 2, parts = 1 } = options
  const order =
    epoch === undefined ? Int32Array.from({ length: data.size }, (_, i) => i) : permutation(data.size, seed, epoch)
  const count = batchesOf(data, options)
  const partSize = Math.ceil(batchSize / parts)
  const grouped = data.groups && groupedBatches(order, data.groups, options)
  const partsOf = (number: number): { draw: Draw | undefined; indices: Int32Array }[] => {
    const batch = grouped
      ? Int32Array.from(grouped[number] as number[])
      : order.subarray(number * batchSize, (number + 1) * batchSize)
    return Array.from({ length: Math.ceil(batch.length / partSize) }, (_, part) => ({
      draw: epoch === undefined ? undefined : { seed, step: epoch * count + number, first: part * partSize },
      indices: batch.subarray(part * partSize, (part + 1) * partSize),
    }))
  }
  if (!('read' in data)) {
    for (let number = first; number < count; number++) {
      yield {
        number,
        parts: partsOf(number).map(({ draw, indices }) => ({
          draw,
          examples: { indices, batch: (given) => checkBatch(data.batch(indices, given)) },
        })),
      }
    }
    return
  }
  const ahead: Promise<ReadBatch<Target>['parts']>[] = []
  for (let number = first, next = first; number < count; number++) {
    for (; next < count && next <= number + prefetch; next++) {
      const reading = Promise.all(
        partsOf(next).map(async ({ draw, indices }) => ({ draw, examples: checkRead(await data.read(indices)) })),
      )
      // What fails while an earlier batch is in use is told when its turn comes.
      reading.catch(() => undefined)
      ahead.push(reading)
    }
    yield { number, parts: await (ahead.shift() as (typeof ahead)[number]) }
  }
}

/** What `batches` does. */
export async function* makeBatches<Target>(
  data: Examples<Target> | DistantExamples<Target>,
  options: BatchOptions,
): AsyncGenerator<Batch<Target> & { readonly number: number; readonly indices: Int32Array }, void> {
  checkKeys('batches', options, batchNames)
  for await (const { number, parts } of readAhead(data, options)) {
    for (const { draw, examples } of parts) {
      if (examples.indices.length === 0) continue
      const { value, dispose } = lend(() => examples.batch(draw))
      try {
        yield { number, indices: examples.indices, x: value.x, target: value.target }
      } finally {
        dispose()
      }
    }
  }
}
