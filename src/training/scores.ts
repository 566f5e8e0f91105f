/** Measures of a model's output on a batch, beside `accuracy`: confusion, precision, recall, F1 and the first k classes. */
import { checkIgnored, type Labels } from '../ops/loss.js'
import { checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, pick, type Names } from '../runtime/options.js'
import { showShape, sizeOf } from '../tensor/shape.js'
import { checkTensor, Tensor } from '../tensor/tensor.js'
import { ranksOf } from '../train/ranks.js'
import { averageNames, classNumbers, ConfusionMatrix, refuseSoft, type AverageOptions } from './confusion.js'

/** Options of `confusionMatrix`. */
export interface ConfusionOptions {
  /** K, the number of classes. Default: the number of scores, where the output has scores. */
  readonly classes?: number | undefined
  /** Examples of this label are left out, as `crossEntropy` leaves them out of its mean; it need be no class. */
  readonly ignoreIndex?: number | undefined
}

/** Options of `precision`, `recall` and `f1`. */
export interface ScoreOptions extends ConfusionOptions, AverageOptions {}

/** Options of `topK`. */
export interface TopKOptions {
  /** How many classes may be named; default 5. */
  readonly k?: number
  /** Examples of this label are left out. */
  readonly ignoreIndex?: number | undefined
}

const confusionNames = { classes: 0, ignoreIndex: 0 } satisfies Names<ConfusionOptions>

/** The confusion of a batch, for a function of this name. */
function confusionOf(
  name: string,
  output: Tensor | Labels,
  target: Labels,
  { classes, ignoreIndex }: ConfusionOptions,
): ConfusionMatrix {
  const hasScores = output instanceof Tensor && output.ndim > 1
  if (hasScores) checkTensor(output, name, 'output')
  const K = classes ?? (hasScores ? output.shape[1] : undefined)
  if (K === undefined)
    throw new ArgumentError(`${name}: predictions without scores do not tell how many classes there are; give classes`)
  const matrix = new ConfusionMatrix({ classes: K, ignoreIndex })
  matrix.add(output, target)
  return matrix
}

/**
 * The confusion of a batch, to which further batches can be added.
 *
 *     const matrix = confusionMatrix(model.forward(x), labels)
 *     matrix.counts                                        // K · K counts: labels down, predictions across
 *     matrix.add(model.forward(more), moreLabels)
 *
 * @param output scores (N, K) or (N, K, …), of which the largest decides, or one predicted class for each example
 * @param target one label for each example, or for each place of (N, K, …)
 * @throws ShapeError when there are not K scores; ArgumentError when the numbers do not match, or a label is no class
 */
export function confusionMatrix(
  output: Tensor | Labels,
  target: Labels,
  options: ConfusionOptions = {},
): ConfusionMatrix {
  checkCount('confusionMatrix', 3, arguments)
  checkKeys('confusionMatrix', options, confusionNames)
  return confusionOf('confusionMatrix', output, target, options)
}

function averaged(
  measure: 'precision' | 'recall' | 'f1',
  output: Tensor | Labels,
  target: Labels,
  options: ScoreOptions,
): number {
  checkKeys(measure, options, confusionNames, averageNames)
  return confusionOf(measure, output, target, options)[measure](pick(options, averageNames))
}

/**
 * Precision of a batch, 0 to 1: of the examples for which a class was predicted, the share that has its label. Of a whole data set
 * ask a `ConfusionMatrix`, since the mean over batches is another number.
 *
 *     precision(tensor([[0, 1], [0, 1], [1, 0]]), [1, 0, 0], { positive: 1 })   // 0.5
 *
 * @throws as `confusionMatrix`
 */
export function precision(output: Tensor | Labels, target: Labels, options: ScoreOptions = {}): number {
  checkCount('precision', 3, arguments)
  return averaged('precision', output, target, options)
}

/**
 * Recall of a batch, 0 to 1: of the examples of a label, the share for which it was predicted. Of a whole data set ask a
 * `ConfusionMatrix`.
 *
 *     recall(tensor([[0, 1], [0, 1], [1, 0]]), [1, 0, 0], { positive: 1 })      // 1
 *
 * @throws as `confusionMatrix`
 */
export function recall(output: Tensor | Labels, target: Labels, options: ScoreOptions = {}): number {
  checkCount('recall', 3, arguments)
  return averaged('recall', output, target, options)
}

/**
 * F1 of a batch, the harmonic mean of precision and recall, 0 to 1. Of a whole data set ask a `ConfusionMatrix`.
 *
 *     f1(tensor([[0, 1], [0, 1], [1, 0]]), [1, 0, 0], { positive: 1 })          // 2/3
 *
 * @throws as `confusionMatrix`
 */
export function f1(output: Tensor | Labels, target: Labels, options: ScoreOptions = {}): number {
  checkCount('f1', 3, arguments)
  return averaged('f1', output, target, options)
}

/**
 * Share of the examples whose label is among the k classes of the largest scores, 0 to 1: 1 minus the top-k error, the measure of
 * ImageNet's competition, whose pictures often show several things (k = 5). Of equal scores the first class counts as
 * the larger one, as in `argmax`; an example with a NaN among its scores is wrong. NaN where `ignoreIndex` leaves out all there are.
 *
 *     topK(tensor([[1, 3, 2], [5, 0, 4]]), [2, 1], { k: 2 })                    // 0.5
 *     await evaluate(model, test, { …, metrics: { top5: topK } })
 *
 * @param output scores (N, K) or (N, K, …)
 * @param target one label for each example, or for each place of (N, K, …)
 * @throws ShapeError when there are no scores; ArgumentError when k is not from 1 to K, or a label is no class
 */
export function topK(output: Tensor, target: Labels, options: TopKOptions = {}): number {
  checkCount('topK', 3, arguments)
  checkKeys('topK', options, { k: 0, ignoreIndex: 0 } satisfies Names<TopKOptions>)
  checkTensor(output, 'topK', 'output')
  const [N = 0, K = 0, ...places] = output.shape
  if (output.ndim < 2)
    throw new ShapeError(`topK: the output must be (N, classes) or (N, classes, …), given ${showShape(output.shape)}`)
  const k = checkWhole(options.k ?? 5, 'topK: k', 1, K)
  const { ignoreIndex } = options
  if (ignoreIndex !== undefined) checkIgnored('topK', ignoreIndex)
  refuseSoft('topK', target, output)
  const labels = classNumbers('topK', target, { classes: K, ignoreIndex })
  const rows = N * sizeOf(places)
  if (labels.length !== rows)
    throw new ArgumentError(`topK: ${rows} outputs need as many labels, given ${labels.length}`)
  const ranks = ranksOf(output, labels).filter((_, row) => labels[row] !== ignoreIndex)
  return ranks.filter((rank) => rank >= 0 && rank < k).length / ranks.length
}
