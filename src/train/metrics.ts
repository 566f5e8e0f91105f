/** Measures of a model's output on a batch. */
import { ShapeError } from '../runtime/errors.js'
import { showShape } from '../tensor/shape.js'
import { tensor, type NestedArray } from '../tensor/create.js'
import { Tensor } from '../tensor/tensor.js'
import type { Distributions, Labels } from '../ops/loss.js'

/** A number for a batch, averaged over its examples: output (N, …) of the model, and what was wanted. */
export type Metric<Target, Output = Tensor> = (output: Output, target: Target) => number

/** Labels as plain numbers. */
export const labelNumbers = (labels: Labels): ArrayLike<number> => ('shape' in labels ? labels.data() : labels)

/** The class of the largest score in each row of (N, classes); the first of equals, and −1 where a score is NaN. */
export function argmax(scores: Tensor): Int32Array {
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
}

/**
 * Share of the examples whose largest score is that of their label, 0 to 1, or of the largest of their distribution. Scores
 * with a NaN are wrong.
 * @throws ShapeError when there is not one label for each example.
 */
export function accuracy(output: Tensor, target: Labels | Distributions): number {
  const predicted = argmax(output)
  const given =
    Array.isArray(target) && typeof target[0] === 'object' ? tensor(target as readonly NestedArray[]) : target
  const isSoft = given instanceof Tensor && given.ndim === 2
  const wanted = isSoft ? argmax(given) : labelNumbers(given as Labels)
  if (wanted.length !== predicted.length) {
    throw new ShapeError(`accuracy: ${predicted.length} outputs need as many labels, given ${wanted.length}`)
  }
  if (isSoft && given !== target) given.dispose()
  return (
    predicted.reduce((right, label, n) => right + (label >= 0 && label === wanted[n] ? 1 : 0), 0) / predicted.length
  )
}
