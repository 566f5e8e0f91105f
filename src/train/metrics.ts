/** Measures of a model's output on a batch. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { wrongKind } from '../runtime/check.js'
import { sameShape, showShape, sizeOf } from '../tensor/shape.js'
import { tensor } from '../tensor/create.js'
import { checkTensor, scope, Tensor } from '../tensor/tensor.js'
import { checkIgnored, isSoft, labelList, softIgnored, type Distributions, type Labels } from '../ops/loss.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'

/** A number for a batch, averaged over its examples: output (N, …) of the model, and what was wanted. */
export type Metric<Target, Output = Tensor> = (output: Output, target: Target) => number

/**
 * Labels as plain numbers.
 *
 *     labelNumbers(tensor([3, 1, 4]))                      // the numbers 3, 1 and 4
 */
export const labelNumbers = withArity('labelNumbers', 1, (labels: Labels): ArrayLike<number> => {
  const numbers = labelList(labels)
  if (numbers) return numbers as ArrayLike<number>
  throw wrongKind('the labels', 'a list of whole numbers or a Tensor', labels)
})

/**
 * The class of the largest score in each row of (N, classes), or at each place of (N, classes, …), such as the pixels of
 * (N, classes, H, W): N, or N · H · W, numbers in the order of the places. The first of equals, and −1 where a score is NaN.
 *
 *     argmax(tensor([[0.1, 0.9], [0.8, 0.2]]))   // Int32Array [1, 0]
 *
 * @throws ShapeError when there are fewer than two axes
 */
export const argmax = withArity('argmax', 1, (scores: Tensor): Int32Array => {
  checkTensor(scores, 'argmax', 'scores')
  const [N = 0, classes = 0, ...places] = scores.shape
  if (scores.ndim < 2) {
    throw new ShapeError(`argmax: scores must be (N, classes) or (N, classes, …), given ${showShape(scores.shape)}`)
  }
  const P = sizeOf(places)
  const values = scores.data()
  return Int32Array.from({ length: N * P }, (_, row) => {
    const at = (row - (row % P)) * classes + (row % P)
    let best = at
    for (let j = 0; j < classes; j++) {
      const score = values[at + j * P] as number
      if (Number.isNaN(score)) return -1
      if (score > (values[best] as number)) best = at + j * P
    }
    return (best - at) / P
  })
})

/** The class of the largest share in each distribution of a target. */
const likeliest = (target: Distributions, output: Tensor): Int32Array =>
  scope(() => {
    const shares = target instanceof Tensor ? target : tensor(target)
    if (!sameShape(shares.shape, output.shape)) {
      throw new ShapeError(
        `accuracy: distributions must be ${showShape(output.shape)}, as the output, given ${showShape(shares.shape)}`,
      )
    }
    return argmax(shares)
  })

/** Options of `accuracy`. */
export interface AccuracyOptions {
  /** Examples, or pixels, of this label are left out, as `crossEntropy` leaves them out of its mean. */
  readonly ignoreIndex?: number | undefined
}

/**
 * Share of the examples, or of the pixels of (N, classes, H, W), whose largest score is that of their label, 0 to 1, or of the
 * largest of their distribution. Scores with a NaN are wrong. Where `ignoreIndex` leaves out all there are, it is NaN.
 *
 *     accuracy(tensor([[1, 3, 2], [5, 0, 0]]), [1, 2])     // 0.5
 *     const withoutBorders = (output, target) => accuracy(output, target, { ignoreIndex: 255 })
 *
 * @throws ArgumentError when there is not one label for each example or pixel, or a label is no class and not ignored; ShapeError
 *   when there is not one distribution for each
 */
export const accuracy = withArity(
  'accuracy',
  3,
  (output: Tensor, target: Labels | Distributions, options: AccuracyOptions = {}): number => {
    checkKeys('accuracy', options, { ignoreIndex: 0 } satisfies Names<AccuracyOptions>)
    const { ignoreIndex } = options
    if (ignoreIndex !== undefined) checkIgnored('accuracy', ignoreIndex)
    const predicted = argmax(output)
    const soft = isSoft(target, output.ndim)
    if (soft && ignoreIndex !== undefined) throw softIgnored('accuracy')
    const wanted = soft ? likeliest(target, output) : labelNumbers(target)
    if (wanted.length !== predicted.length) {
      throw new ArgumentError(`accuracy: ${predicted.length} outputs need as many labels, given ${wanted.length}`)
    }
    let counted = 0
    let right = 0
    const K = output.shape[1] as number
    for (const [n, label] of predicted.entries()) {
      const wish = wanted[n] as number
      // Nothing that is predicted equals what is no class, such as 1n, true or 255: the share would be less, and nothing said.
      if (!Number.isInteger(wish)) throw wrongKind(`accuracy: label ${n}`, 'a whole number', wish)
      if (wish === ignoreIndex) continue
      if (!soft && (wish < 0 || wish >= K))
        throw new ArgumentError(`accuracy: label ${n} is ${wish}; with ${K} classes it is from 0 to ${K - 1}`)
      counted++
      if (label >= 0 && label === wish) right++
    }
    return right / counted
  },
)
