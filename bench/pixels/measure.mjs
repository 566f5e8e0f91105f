// @ts-check
// What a model's scores are worth on scenes: counts of pixels by label and prediction over all of them.
import { argmax, scope } from '../../dist/index.js'
import { PixelConfusion } from '../../dist/segmentation.js'

/** Scenes in a forward pass. */
const BATCH = 20

/**
 * @typedef {{ pixel_accuracy: number, mean_iou: number, iou: number[] }} Figures
 */

/** @param {PixelConfusion} confusion @returns {Figures} */
export const figuresOf = (confusion) => ({
  pixel_accuracy: round(confusion.pixelAccuracy),
  mean_iou: round(confusion.meanIoU),
  iou: confusion.iou.map(round),
})

/** @param {number} value */
const round = (value) => Math.round(value * 1e5) / 1e5

/**
 * Labels of a coarse grid, each for factor × factor pixels of (N, H, W).
 * @param {Int32Array} labels
 * @param {number} H
 * @param {number} W
 * @param {number} factor
 */
function enlarged(labels, H, W, factor) {
  if (factor === 1) return labels
  const [rows, columns] = [H / factor, W / factor]
  return Int32Array.from({ length: labels.length * factor * factor }, (_, i) => {
    const [n, row, column] = [Math.floor(i / (H * W)), Math.floor(i / W) % H, i % W]
    return /** @type {number} */ (labels[(n * rows + Math.floor(row / factor)) * columns + Math.floor(column / factor)])
  })
}

/**
 * Measures everything that `predict` gives of a batch, by name, against labels for every pixel.
 * @param {import('../../dist/segmentation.js').PixelDataset} scenes
 * @param {import('../../dist/index.js').Examples<Uint8Array>} examples of the scenes, with a label for every pixel
 * @param {(x: import('../../dist/index.js').Tensor) => Record<string, import('../../dist/index.js').Tensor>} predict scores
 * @param {number} factor
 * @returns {Record<string, Figures>}
 */
export function measureScores(scenes, examples, predict, factor = 1) {
  const [, H, W] = scenes.shape
  /** @type {Map<string, PixelConfusion>} */
  const confusions = new Map()
  for (let from = 0; from < scenes.size; from += BATCH) {
    const indices = Int32Array.from({ length: Math.min(BATCH, scenes.size - from) }, (_, i) => from + i)
    scope(() => {
      const { x, target } = examples.batch(indices)
      for (const [name, scores] of Object.entries(predict(x))) {
        const confusion = confusions.get(name) ?? new PixelConfusion({ classes: scenes.classes.length })
        confusions.set(name, confusion)
        confusion.add(enlarged(argmax(scores), H, W, factor), target)
      }
    })
  }
  return Object.fromEntries([...confusions].map(([name, confusion]) => [name, figuresOf(confusion)]))
}
