/** Measures of a model's output on a batch. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { wrongKind } from '../runtime/check.js'
import { showShape } from '../tensor/shape.js'
import { tensor } from '../tensor/create.js'
import { checkTensor, scope, Tensor } from '../tensor/tensor.js'
import { isSoft, labelList, type Distributions, type Labels } from '../ops/loss.js'
import { withArity } from '../runtime/options.js'

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
 * The class of the largest score in each row of (N, classes); the first of equals, and −1 where a score is NaN.
 *
 *     argmax(tensor([[1, 3, 2], [5, 0, 0]]))               // Int32Array [1, 0]
 */
export const argmax = withArity('argmax', 1, (scores: Tensor): Int32Array => {
  checkTensor(scores, 'argmax', 'scores')
  if (scores.ndim !== 2) throw new ShapeError(`argmax: scores must be (N, classes), given ${showShape(scores.shape)}`)
  const [N, classes] = scores.shape as readonly [number, number]
  const values = scores.data()
  return Int32Array.from({ length: N }, (_, n) => {
    let best = 0
    for (let j = 0; j < classes; j++) {
      const score = values[n * classes + j] as number
      if (Number.isNaN(score)) return -1
      if (score > (values[n * classes + best] as number)) best = j
    }
    return best
  })
})

/**
 * Share of the examples whose largest score is that of their label, 0 to 1, or of the largest of their distribution. Scores
 * with a NaN are wrong.
 *
 *     accuracy(tensor([[1, 3, 2], [5, 0, 0]]), [1, 2])     // 0.5
 *
 * @throws ShapeError when there is not one label for each example.
 */
export const accuracy = withArity('accuracy', 2, (output: Tensor, target: Labels | Distributions): number => {
  const predicted = argmax(output)
  const wanted = isSoft(target, 2)
    ? scope(() => argmax(target instanceof Tensor ? target : tensor(target)))
    : labelNumbers(target)
  if (wanted.length !== predicted.length) {
    throw new ArgumentError(`accuracy: ${predicted.length} outputs need as many labels, given ${wanted.length}`)
  }
  const wrong = Array.prototype.findIndex.call(wanted, (label) => !Number.isInteger(label))
  // Nothing that is predicted equals what is no number, such as 1n or true: the share would be 0, and nothing said.
  if (wrong >= 0) throw wrongKind(`accuracy: label ${wrong}`, 'a whole number', wanted[wrong])
  return (
    predicted.reduce((right, label, n) => right + (label >= 0 && label === wanted[n] ? 1 : 0), 0) / predicted.length
  )
})
