/** Labelled pictures in memory, and what every loader and every training program needs to do with them. */
import type { PixelPreprocessing } from '../io/preprocessing.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkNumber, checkObject } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { checkSource, listed } from './source.js'
import { checkCount } from '../runtime/options.js'

/** What is known of labelled pictures of one size before any is looked at. */
interface LabelledImages {
  /** N class numbers, each an index into `classes`. */
  readonly labels: Uint8Array | Int32Array
  /** N, the number of pictures. */
  readonly size: number
  /** Channels, height and width of every picture, in pixels. */
  readonly shape: readonly [C: number, H: number, W: number]
  /** Names of the classes, by class number. */
  readonly classes: readonly string[]
}

/** Labelled pictures held in memory. */
export interface ImageDataset extends LabelledImages {
  /** Pixels 0..255, shape (N, C, H, W), row-major. */
  readonly images: Uint8Array
}

/** Labelled pictures that are read when they are needed. */
export interface ImageFiles extends LabelledImages {
  /** The path of each picture, where each is a file of its own. */
  readonly files?: readonly string[]
  /** What was done to the pictures of the files, where they were of other sizes and kinds. */
  readonly preparation?: PixelPreprocessing
  /** Pixels (C, H, W) of one picture; undefined when it is damaged and to be left out. */
  read(index: number): Promise<Uint8Array | undefined>
}

/** Labelled pictures, wherever they are. */
export type ImageSource = ImageDataset | ImageFiles

/** Pixels (C, H, W) of one picture, a view where it is in memory; undefined when it is damaged. */
export async function readImage(source: ImageSource, index: number): Promise<Uint8Array | undefined> {
  checkCount('readImage', 2, arguments)
  checkSource(source, 'readImage')
  checkNumber(index, 'readImage: index')
  if (!('images' in source)) return source.read(index)
  const [C, H, W] = source.shape
  return source.images.subarray(index * C * H * W, (index + 1) * C * H * W)
}

/**
 * Checks that a model trained on one dataset can be tested on the other.
 *
 * @param names what to call the two in the error, usually their paths
 * @throws ShapeError when channels, height, width or the classes differ
 */
export function assertSameImages(
  training: ImageSource,
  test: ImageSource,
  names: { readonly training: string; readonly test: string } = { training: 'training set', test: 'test set' },
): void {
  checkCount('assertSameImages', 3, arguments)
  checkObject(names, 'assertSameImages: the names', 'what to call the two', ['training', 'test'])
  checkSource(training, names.training)
  checkSource(test, names.test)
  if (training.shape.join() !== test.shape.join()) {
    throw new ShapeError(
      `${names.test}: images are (${test.shape.join(', ')}), those of ${names.training} are ` +
        `(${training.shape.join(', ')}); both must have the same channels, height and width`,
    )
  }
  assertSameClasses(training, test, names)
}

/** @throws ShapeError when the classes of two data sets differ; `names` are what the error calls them */
export function assertSameClasses(
  training: Pick<ImageSource, 'classes'>,
  test: Pick<ImageSource, 'classes'>,
  names: { readonly training: string; readonly test: string },
): void {
  const same = training.classes.length === test.classes.length
  if (!same || training.classes.some((name, i) => name !== test.classes[i])) {
    throw new ShapeError(
      `${names.test}: the classes (${listed(test.classes)}) are not those of ${names.training} ` +
        `(${listed(training.classes)}); both must have the same classes in the same order`,
    )
  }
}

/**
 * Splits off the last `count` pictures for validation. Both parts are views: nothing is copied.
 *
 * @param count how many pictures to hold out, 1 to N - 1
 * @throws ShapeError when `count` is not a whole number in that range
 */
export function holdOut<Source extends ImageSource>(
  dataset: Source,
  count: number,
): { readonly training: Source; readonly validation: Source } {
  checkCount('holdOut', 2, arguments)
  checkSource(dataset, 'holdOut')
  if (!Number.isInteger(count) || count < 1 || count >= dataset.size) {
    throw new ArgumentError(
      `holdOut: count is ${inWords(count)}; it must be a whole number from 1 to ${dataset.size - 1} ` +
        `for a dataset of ${dataset.size} images`,
    )
  }
  const split = dataset.size - count
  return { training: imageRange(dataset, 0, split), validation: imageRange(dataset, split, dataset.size) }
}

/** Pictures begin ≤ i < end as a source of their own. */
export function imageRange<Source extends ImageSource>(source: Source, begin: number, end: number): Source {
  checkCount('imageRange', 3, arguments)
  checkSource(source, 'imageRange')
  checkNumber(begin, 'imageRange: begin')
  checkNumber(end, 'imageRange: end')
  const [channels, height, width] = source.shape
  const pixels = channels * height * width
  const part = { ...source, labels: source.labels.subarray(begin, end), size: end - begin }
  if ('images' in source) return { ...part, images: source.images.subarray(begin * pixels, end * pixels) }
  const files = source.files?.slice(begin, end)
  return { ...part, ...(files ? { files } : {}), read: (index: number) => source.read(begin + index) }
}
