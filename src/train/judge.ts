/** Whether an epoch is better than the best one before: for early stopping, and for rates that fall on a plateau. */
import type { Averages, FitState } from './options.js'

/** What is compared, and by how much it must improve to count. */
export interface Judging {
  /** 'loss' (default), of which less is better, or a metric, of which more is. */
  readonly monitor?: string
  /** Default 0. */
  readonly minimumChange?: number
}

/** What the monitored value of an epoch makes of the best one so far. A value that is not a finite number never counts. */
export function judge(
  best: FitState['best'],
  epoch: number,
  measured: Averages,
  { monitor = 'loss', minimumChange = 0 }: Judging,
): { readonly best: FitState['best']; readonly improved: boolean } {
  const value = monitor === 'loss' ? measured.loss : (measured.metrics[monitor] as number)
  const change = best === undefined ? Infinity : monitor === 'loss' ? best.value - value : value - best.value
  return Number.isFinite(value) && change > minimumChange
    ? { best: { epoch, value }, improved: true }
    : { best, improved: false }
}
