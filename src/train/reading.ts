/** Batches for programs of their own: what `fit` reads too, loaded when it is first used. */
import type { Batch, BatchOptions, DistantExamples, Examples, ReadBatch } from './examples.js'
import { checkCount } from '../runtime/options.js'
import { loadWork } from './later.js'

/** Batches of an epoch as they were read, `prefetch` of them ahead of the one that is being used. */
export async function* readBatches<Target>(
  data: Examples<Target> | DistantExamples<Target>,
  options: BatchOptions & { readonly parts?: number },
): AsyncGenerator<ReadBatch<Target>, void> {
  const { readAhead } = await loadWork()
  yield* readAhead(data, options)
}

/**
 * The batches of an epoch, made while the ones after are read. The tensors that were made for a batch are disposed when the
 * next one is asked for, and their memory is used again. An epoch goes on in the middle by `first`, the number of the first
 * batch.
 */
export async function* batches<Target>(
  data: Examples<Target> | DistantExamples<Target>,
  options: BatchOptions,
): AsyncGenerator<Batch<Target> & { readonly number: number; readonly indices: Int32Array }, void> {
  checkCount('batches', 2, arguments)
  const { makeBatches } = await loadWork()
  yield* makeBatches(data, options)
}
