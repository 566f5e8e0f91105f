/** Labelled pictures in memory, and what every loader and every training program needs to do with them. */
import { ShapeError } from '../runtime/errors.js'

/** Labelled pictures of one size, held in memory. */
export interface ImageDataset {
  /** Pixels 0..255, shape (N, C, H, W), row-major. */
  readonly images: Uint8Array
  /** N class numbers, each an index into `classes`. */
  readonly labels: Uint8Array
  /** N, the number of pictures. */
  readonly size: number
  /** Channels, height and width of every picture, in pixels. */
  readonly shape: readonly [C: number, H: number, W: number]
  /** Names of the classes, by class number. */
  readonly classes: readonly string[]
}

/**
 * Checks that a model trained on one dataset can be tested on the other.
 *
 * @param names what to call the two in the error, usually their paths
 * @throws ShapeError when channels, height, width or the classes differ
 */
export function assertSameImages(
  training: ImageDataset,
  test: ImageDataset,
  names: { readonly training: string; readonly test: string } = { training: 'training set', test: 'test set' },
): void {
  if (training.shape.join() !== test.shape.join()) {
    throw new ShapeError(
      `${names.test}: images are (${test.shape.join(', ')}), those of ${names.training} are ` +
        `(${training.shape.join(', ')}); both must have the same channels, height and width`,
    )
  }
  const same = training.classes.length === test.classes.length
  if (!same || training.classes.some((name, i) => name !== test.classes[i])) {
    throw new ShapeError(
      `${names.test}: the classes (${test.classes.join(', ')}) are not those of ${names.training} ` +
        `(${training.classes.join(', ')}); both must have the same classes in the same order`,
    )
  }
}

/**
 * Splits off the last `count` pictures for validation. Both parts are views: nothing is copied.
 *
 * @param count how many pictures to hold out, 1 to N - 1
 * @throws ShapeError when `count` is not a whole number in that range
 */
export function holdOut(
  dataset: ImageDataset,
  count: number,
): { readonly training: ImageDataset; readonly validation: ImageDataset } {
  if (!Number.isInteger(count) || count < 1 || count >= dataset.size) {
    throw new ShapeError(
      `holdOut: count is ${count}; it must be a whole number from 1 to ${dataset.size - 1} ` +
        `for a dataset of ${dataset.size} images`,
    )
  }
  const split = dataset.size - count
  return { training: range(dataset, 0, split), validation: range(dataset, split, dataset.size) }
}

function range(dataset: ImageDataset, begin: number, end: number): ImageDataset {
  const [channels, height, width] = dataset.shape
  const pixels = channels * height * width
  return {
    images: dataset.images.subarray(begin * pixels, end * pixels),
    labels: dataset.labels.subarray(begin, end),
    size: end - begin,
    shape: dataset.shape,
    classes: dataset.classes,
  }
}
