/** Pictures with a label for every pixel, as examples to train on, at full resolution or on a coarser grid. */
import { imageTensor, type Normalization } from '../data/images.js'
import { checkNormalization } from '../io/preprocessing.js'
import { checkObject, checkWhole, wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { checkShape, showShape, sizeOf } from '../tensor/shape.js'
import type { Examples } from '../train/examples.js'
import { MOST_CLASSES } from '../training/confusion.js'
import { checkLabelMap } from './labelMap.js'

/** Pictures in memory with a label for every pixel. */
export interface PixelDataset {
  /** Pixels 0 to 255, (N, C, H, W), row-major. */
  readonly images: Uint8Array
  /** Labels (N, H, W), each an index into `classes`, or one that is ignored. */
  readonly labels: Uint8Array
  /** N, the number of pictures. */
  readonly size: number
  /** Channels, height and width of every picture, in pixels. */
  readonly shape: readonly [C: number, H: number, W: number]
  /** Names of the classes, by label. */
  readonly classes: readonly string[]
}

/** Options of `pixelExamples`. */
export interface PixelExampleOptions {
  /** Rows and columns of pixels that become one of the label map, by `coarseLabels`. Default 1: a label for every pixel. */
  readonly factor?: number
  /** A label that is allowed besides the classes: give it to the loss, too. */
  readonly ignoreIndex?: number
}

const exampleNames = { factor: 0, ignoreIndex: 0 } satisfies Names<PixelExampleOptions>

/**
 * Labels on a coarser grid, for a network whose maps shrink: each cell of factor × factor pixels has the label that most of them
 * have, the smallest of equals. One of the ways of section 9.6 out of a shrinking map is to "emit a lower-resolution grid of labels".
 *
 * @param labels (N, H, W), whole numbers from 0 to 255
 * @param size [H, W], which the factor divides
 * @returns (N, H / factor, W / factor)
 * @example
 * coarseLabels(Uint8Array.of(0, 3, 3, 3), [2, 2], 2) // Uint8Array [3]
 * @throws ShapeError when the labels are no maps of the size, or the factor does not divide it
 */
export function coarseLabels(labels: Uint8Array, size: readonly [H: number, W: number], factor: number): Uint8Array {
  checkCount('coarseLabels', 3, arguments)
  if (!(labels instanceof Uint8Array)) throw wrongKind('coarseLabels: the labels', 'a Uint8Array', labels)
  const [H, W] = checkShape(size, 'coarseLabels: size') as [number, number]
  if (size.length !== 2 || labels.length === 0 || labels.length % (H * W) !== 0)
    throw new ShapeError(`coarseLabels: ${labels.length} labels are no maps of ${showShape(size)}; give [H, W]`)
  checkWhole(factor, 'coarseLabels: factor', 1)
  if (H % factor !== 0 || W % factor !== 0)
    throw new ShapeError(`coarseLabels: the factor ${factor} must divide the size ${showShape(size)} of the label maps`)
  const [rows, columns] = [H / factor, W / factor]
  const coarse = new Uint8Array(labels.length / (factor * factor))
  const counts = new Uint32Array(256)
  coarse.forEach((_, i) => {
    const [map, row, column] = [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns]
    counts.fill(0)
    for (let y = 0; y < factor; y++) {
      const from = (map * H + row * factor + y) * W + column * factor
      for (const label of labels.subarray(from, from + factor)) (counts[label] as number)++
    }
    let best = 0
    for (let label = 1; label < 256; label++) if ((counts[label] as number) > (counts[best] as number)) best = label
    coarse[i] = best
  })
  return coarse
}

/**
 * Pictures with label maps as examples for `fit` and `evaluate`: inputs (N, C, H, W), normalized, and labels (N, H, W) in a row, as
 * `crossEntropy` takes them for scores (N, K, H, W). All labels are checked at once.
 *
 * @example
 * const examples = pixelExamples(digitScenes(training, { count: 2000 }), { mean: 0.5, std: 0.25 })
 * await fit(model, examples, { epochs: 4, batchSize: 16, loss: crossEntropy, optimizer: new Adam(model.parameters()) })
 * @throws ShapeError when pictures or label maps are of another size than the data set says; ArgumentError when a label is no class
 */
export function pixelExamples(
  dataset: PixelDataset,
  normalization: Normalization,
  options: PixelExampleOptions = {},
): Examples<Uint8Array> {
  const name = 'pixelExamples'
  checkCount(name, 3, arguments)
  checkKeys(name, options, exampleNames)
  checkObject(dataset, `${name}: the data set`, 'pictures with a label for every pixel', [
    'images',
    'labels',
    'size',
    'shape',
    'classes',
  ])
  const size = checkWhole(dataset.size, `${name}: size of the data set`, 1)
  const shape = checkShape(dataset.shape, `${name}: shape of the data set`) as [number, number, number]
  if (shape.length !== 3) throw new ShapeError(`${name}: the pictures must be (C, H, W), given ${showShape(shape)}`)
  const { images, labels } = dataset
  if (!(images instanceof Uint8Array)) throw wrongKind(`${name}: images`, 'a Uint8Array', images)
  if (!(labels instanceof Uint8Array)) throw wrongKind(`${name}: labels`, 'a Uint8Array', labels)
  const pixels = sizeOf(shape)
  if (images.length !== size * pixels) {
    throw new ShapeError(
      `${name}: ${size} pictures ${showShape(shape)} have ${size * pixels} pixels, given ${images.length}`,
    )
  }
  const [, H, W] = shape
  if (!Array.isArray(dataset.classes)) throw wrongKind(`${name}: classes`, 'a list of names', dataset.classes)
  const classes = checkWhole(dataset.classes.length, `${name}: the number of classes`, 1, MOST_CLASSES)
  checkLabelMap(name, labels, { shape: [size, H, W], classes, ignoreIndex: options.ignoreIndex })
  const { factor = 1 } = options
  const maps = factor === 1 ? labels : coarseLabels(labels, [H, W], factor)
  const own = maps.length / size
  checkNormalization(normalization, name)
  // Finds lists of numbers for other channels before the first batch.
  imageTensor(images.subarray(0, pixels), shape, normalization).dispose()
  return {
    size,
    batch: (indices) => {
      const chosen = new Uint8Array(indices.length * pixels)
      const target = new Uint8Array(indices.length * own)
      indices.forEach((index, n) => {
        chosen.set(images.subarray(index * pixels, (index + 1) * pixels), n * pixels)
        target.set(maps.subarray(index * own, (index + 1) * own), n * own)
      })
      return { x: imageTensor(chosen, shape, normalization), target }
    },
  }
}
