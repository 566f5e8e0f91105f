/** What is recorded of a training: the lines of metrics.jsonl, the rows and points of the report, the lines of a terminal. */

/** One training step. */
export interface StepRecord {
  /** Counted from 1 over all epochs. */
  readonly step: number
  /** Counted from 1. */
  readonly epoch: number
  /** Mean loss of the batch. */
  readonly loss: number
  /** Training accuracy, 0 to 1: the mean over the steps of this epoch so far. */
  readonly accuracy: number
  readonly learningRate: number
}

/** One finished epoch. Accuracies are 0 to 1; validation is null where there is none. */
export interface EpochRecord {
  /** Counted from 1. */
  readonly epoch: number
  readonly trainingLoss: number
  readonly trainingAccuracy: number
  readonly validationLoss: number | null
  readonly validationAccuracy: number | null
  readonly seconds: number
  readonly imagesPerSecond: number
}
