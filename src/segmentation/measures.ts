/**
 * How well a map of labels was predicted: the confusion of classes over any number of pictures, of which pixel accuracy and mean
 * intersection over union follow.
 */
import { labelList, type Labels } from '../ops/loss.js'
import { ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, Tensor } from '../tensor/tensor.js'
import { argmax } from '../train/metrics.js'
import { ConfusionMatrix } from '../training/confusion.js'
import { checkLabelMap, scoreExtents } from './labelMap.js'

/** Options of `pixelAccuracy` and `meanIoU`. */
export interface PixelOptions {
  /** Pixels of this label are left out, as `crossEntropy` leaves them out; it need be no class. */
  readonly ignoreIndex?: number | undefined
}

/** Options of `PixelConfusion`. */
export interface PixelConfusionOptions extends PixelOptions {
  /** K, the number of classes. */
  readonly classes: number
}

const pixelNames = { ignoreIndex: 0 } satisfies Names<PixelOptions>

/**
 * Counts of pixels by their label and by what was predicted, summed over a data set. Means over batches would weigh a class by the
 * number of batches that it occurs in; the counts of a whole data set do not.
 *
 * @example
 * const confusion = new PixelConfusion({ classes: 11 })
 * for (const { x, labels } of pictures) confusion.add(model.forward(x), labels)
 * console.log(confusion.pixelAccuracy, confusion.meanIoU)
 */
export class PixelConfusion extends ConfusionMatrix {
  /**
   * Counts the pixels of one or more pictures. Nothing is counted where an error is thrown.
   * @param predicted scores (N, K, H, W), of which the largest at each pixel decides, or a label for each pixel
   * @param labels what was wanted, (N, H, W), as a list or a Tensor
   * @throws ShapeError when the maps are not of one size, or there are not K scores; ArgumentError when a label is no class
   */
  override add(predicted: Tensor | Labels, labels: Labels): void {
    checkCount('add', 2, arguments)
    const name = 'PixelConfusion: add'
    const { classes } = this
    let guesses: ArrayLike<number>
    let shape: readonly number[]
    if (predicted instanceof Tensor && predicted.ndim === 4) {
      checkTensor(predicted, name, 'scores')
      const [N, K, H, W] = scoreExtents(name, predicted)
      if (K !== classes) {
        throw new ShapeError(
          `${name}: ${classes} classes need scores (N, ${classes}, H, W), given ${showShape(predicted.shape)}`,
        )
      }
      guesses = argmax(predicted)
      shape = [N, H, W]
    } else {
      const known = [predicted, labels].find((map) => map instanceof Tensor)
      shape = known?.shape ?? [labelList(predicted)?.length ?? 0]
      guesses = checkLabelMap(`${name}: what was predicted`, predicted, { shape, classes })
    }
    const wanted = checkLabelMap(name, labels, { shape, classes, ignoreIndex: this.ignoreIndex })
    this.count(wanted, guesses)
  }

  /** Share of the pixels whose label was predicted, 0 to 1; NaN where there are none. */
  get pixelAccuracy(): number {
    return this.accuracy
  }

  /**
   * Intersection over union of each class: pixels that have the label and were predicted so, divided by those of which one or the
   * other is true. NaN for a class that was neither wanted nor predicted.
   */
  get iou(): number[] {
    return Array.from({ length: this.classes }, (_, k) => {
      const { right, predicted, labelled } = this.tally(k)
      return right / (labelled + predicted - right)
    })
  }

  /** Mean of `iou` over the classes that were wanted or predicted; NaN where there are none. */
  get meanIoU(): number {
    const there = this.iou.filter((value) => !Number.isNaN(value))
    return there.reduce((sum, value) => sum + value, 0) / there.length
  }
}

function confusionOf(name: string, scores: Tensor, labels: Labels, options: PixelOptions): PixelConfusion {
  checkKeys(name, options, pixelNames)
  checkTensor(scores, name, 'scores')
  const [N, classes, H, W] = scoreExtents(name, scores)
  const { ignoreIndex } = options
  checkLabelMap(name, labels, { shape: [N, H, W], classes, ignoreIndex })
  const confusion = new PixelConfusion({ classes, ignoreIndex })
  confusion.add(scores, labels)
  return confusion
}

/**
 * Share of the pixels whose largest score is that of their label, 0 to 1. Of a whole data set: `PixelConfusion`.
 *
 * @param scores (N, K, H, W)
 * @param labels (N, H, W), whole numbers from 0 to K − 1
 * @example
 * pixelAccuracy(model.forward(x), labels, { ignoreIndex: 255 })
 * @throws ShapeError when the map is of another size; ArgumentError when a label is no class
 */
export function pixelAccuracy(scores: Tensor, labels: Labels, options: PixelOptions = {}): number {
  checkCount('pixelAccuracy', 3, arguments)
  return confusionOf('pixelAccuracy', scores, labels, options).pixelAccuracy
}

/**
 * Intersection over union, averaged over the classes that occur in the labels or in what is predicted, 0 to 1. Of a whole data set:
 * `PixelConfusion`, since the mean over batches is another number.
 *
 * @param scores (N, K, H, W)
 * @param labels (N, H, W), whole numbers from 0 to K − 1
 * @example
 * meanIoU(model.forward(x), labels)
 * @throws ShapeError when the map is of another size; ArgumentError when a label is no class
 */
export function meanIoU(scores: Tensor, labels: Labels, options: PixelOptions = {}): number {
  checkCount('meanIoU', 3, arguments)
  return confusionOf('meanIoU', scores, labels, options).meanIoU
}
