/**
 * Whether the right class is among the k best: the measure of ImageNet's competition, whose pictures often show several things
 * (k = 5). The rank of a class is the number of classes before it, in the order of their scores and, of equal scores, of their
 * numbers, as `argmax` takes the first of equals.
 */
import { checkIgnored, isSoft, type Labels } from '../ops/loss.js'
import { checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { showShape, sizeOf } from '../tensor/shape.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'
import { labelNumbers } from './metrics.js'

/** Options of `topK`. */
export interface TopKOptions {
  /** How many classes may be named: from 1 to the number of classes. Default 5. */
  readonly k?: number | undefined
  /** Examples, or pixels, of this label are left out, as `crossEntropy` leaves them out of its mean. */
  readonly ignoreIndex?: number | undefined
}

/**
 * The rank, from 0, of the label of each row of scores (N, K) or of each place of (N, K, …); −1 where a score of the row is NaN.
 * Labels are checked by the caller, but for those that are no class, whose rank is K.
 */
export function ranksOf(scores: Tensor, labels: ArrayLike<number>): Int32Array {
  const [N = 0, K = 0, ...places] = scores.shape
  const P = sizeOf(places)
  const values = scores.data()
  return Int32Array.from({ length: N * P }, (_, row) => {
    const at = (row - (row % P)) * K + (row % P)
    const label = labels[row] as number
    const own = label >= 0 && label < K ? (values[at + label * P] as number) : -Infinity
    let before = label >= 0 && label < K ? 0 : K
    for (let j = 0; j < K; j++) {
      const score = values[at + j * P] as number
      if (Number.isNaN(score)) return -1
      if (before < K && (score > own || (score === own && j < label))) before++
    }
    return before
  })
}

/**
 * Share of the examples, or of the pixels of (N, K, H, W), whose label is among the k largest scores, 0 to 1: 1 minus the top-k
 * error. Scores with a NaN are wrong. Where `ignoreIndex` leaves out all there are, it is NaN. As a metric of `fit` and
 * `evaluate` it is the top-5 accuracy.
 *
 * @example
 * topK(tensor([[0.1, 0.5, 0.4]]), [2], { k: 2 })             // 1
 * const { metrics } = await evaluate(model, data, { batchSize: 100, loss: crossEntropy, metrics: { top5: (y, t) => topK(y, t) } })
 * @throws ShapeError when scores or labels do not fit; ArgumentError when k is above the number of classes, or a label is none of them
 */
export const topK = withArity('topK', 3, (output: Tensor, target: Labels, options: TopKOptions = {}): number => {
  checkKeys('topK', options, { k: 0, ignoreIndex: 0 } satisfies Names<TopKOptions>)
  checkTensor(output, 'topK', 'scores')
  if (output.ndim < 2) {
    throw new ShapeError(`topK: scores must be (N, classes) or (N, classes, …), given ${showShape(output.shape)}`)
  }
  const [N = 0, K = 0, ...places] = output.shape
  const { ignoreIndex } = options
  const k = checkWhole(options.k ?? 5, 'topK: k', 1)
  if (k > K) throw new ArgumentError(`topK: k must be at most ${K}, the number of classes, given ${k}`)
  if (ignoreIndex !== undefined) checkIgnored('topK', ignoreIndex)
  if (isSoft(target, output.ndim)) throw wrongKind('topK: the target', 'labels, one for each example', target)
  const labels = labelNumbers(target)
  const rows = N * sizeOf(places)
  if (labels.length !== rows)
    throw new ArgumentError(`topK: ${rows} outputs need as many labels, given ${labels.length}`)
  for (let n = 0; n < rows; n++) {
    const label = labels[n] as number
    if (label === ignoreIndex || (Number.isInteger(label) && label >= 0 && label < K)) continue
    throw wrongKind(`topK: label ${n}`, `a whole number from 0 to ${K - 1}`, label)
  }
  let counted = 0
  let right = 0
  for (const [n, rank] of ranksOf(output, labels).entries()) {
    if (labels[n] === ignoreIndex) continue
    counted++
    if (rank >= 0 && rank < k) right++
  }
  return right / counted
})
