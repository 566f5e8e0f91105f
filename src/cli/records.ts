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

/** A layer of a model. */
export interface LayerRow {
  readonly layer: string
  /** Output volume of one image, such as `32 × 28 × 28`. */
  readonly output: string
  readonly parameters: number
  readonly operations: number
}

/** A test image whose predicted class is not the true one. */
export interface Mistake {
  /** Channel by channel, 0 to 255. */
  readonly pixels: Uint8Array
  /** [C, H, W]; C is 1 (gray) or 3 (red, green, blue). */
  readonly shape: readonly [number, number, number]
  /** True class. */
  readonly label: number
  readonly predicted: number
  /** Probability that the model gave to `predicted`, 0 to 1. */
  readonly probability: number
  /** Probability that it gave to the true class. */
  readonly ofLabel: number
}

/** How often one class was taken for another. */
export interface Confused {
  readonly label: number
  readonly predicted: number
  readonly count: number
}

/** Classes of which the whole matrix is kept; in one of more, nothing could be found. */
export const largestMatrix = 100

/** The whole matrix, true classes as rows; of more than `largestMatrix` classes, what was confused most often. */
export type Confusion = readonly (readonly number[])[] | { readonly confused: readonly Confused[] }

/** What the page of a run shows. */
export interface ReportData {
  readonly model: string
  readonly dataset: string
  /** Names of the classes, in the order of their numbers. */
  readonly classes: readonly string[]
  /** An interrupted run has no test result. */
  readonly status: 'finished' | 'interrupted'
  /** Result on the test images, null where they were not used. */
  readonly test: {
    readonly images: number
    readonly errors: number
    /** Images whose class is none of the five most probable ones; undefined where classes are few. */
    readonly top5Errors?: number | undefined
    readonly loss: number
  } | null
  /** Duration of the training, validation included. */
  readonly seconds: number
  /** Training images a second over the whole run, validation left out. */
  readonly imagesPerSecond: number
  /** The exact command line, to be run again. */
  readonly command: string
  readonly seed: number
  /** SHA-256 of the weights, hexadecimal. */
  readonly weightsHash: string
  /** Version of toeplitz. */
  readonly version: string
  /** What it ran in, such as `Node 20.19, strict SIMD, 1 thread`. */
  readonly environment: string
  /** What it ran on, such as `Intel Xeon, 4 cores, linux x64`. */
  readonly machine: string
  /** When the report was made. */
  readonly date: Date
  /** More facts for the header, such as the learning rate: name and value. */
  readonly settings?: readonly (readonly [name: string, value: string])[]
  readonly layers: readonly LayerRow[]
  readonly batchSize: number
  readonly stepsPerEpoch: number
  readonly steps: readonly StepRecord[]
  readonly epochs: readonly EpochRecord[]
  /** Weights of the first convolution, (K, C, R, S), null where the model has none. */
  readonly filters: { readonly values: Float32Array; readonly shape: readonly number[] } | null
  /** Test images by true class (rows) and predicted class (columns), null where they were not used. */
  readonly confusion: Confusion | null
  /** The mistakes with the highest loss, worst first. The first 36 are shown. */
  readonly mistakes: readonly Mistake[]
}
