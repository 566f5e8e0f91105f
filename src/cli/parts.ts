/** `--parts` and `--redis` of a training: into how many parts a batch is divided. */
import { PARTS } from '../train/part.js'
import type { TrainOptions } from './actions.js'
import { UsageError } from './errors.js'
import type { RunSettings } from './settings.js'

/** The parts of a new run: those that were typed, with `--redis` as many as `fit` takes with workers, else the whole batch. */
export const partsOf = ({ parts, batchSize, redis, given }: TrainOptions): number =>
  given.has('parts') || redis === undefined ? parts : Math.min(PARTS, batchSize)

/** @throws UsageError when a batch has no such parts, or is divided otherwise already */
export function checkParts(
  { parts, batchSize, accumulate }: Pick<RunSettings, 'parts' | 'batchSize' | 'accumulate'>,
  { redis }: Pick<TrainOptions, 'redis'>,
): void {
  if (parts > batchSize)
    throw new UsageError(
      `--parts ${parts}: a batch of ${batchSize} images has at most ${batchSize} parts; take fewer, or a larger --batch-size`,
    )
  if (accumulate > 1 && (parts > 1 || redis !== undefined))
    throw new UsageError(
      `--accumulate ${accumulate}: ${parts > 1 ? '--parts divides' : 'with --redis, parts divide'} a batch as well; give --accumulate to save memory, or parts for workers`,
    )
}
