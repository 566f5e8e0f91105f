/** Measures of a model's output on a batch. */
import { ShapeError } from '../runtime/errors.js'
import { showShape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Labels } from '../ops/loss.js'

/** A number for a batch, averaged over its examples: output (N, …) of the model, and what was wanted. */
export type Metric<Target, Output = Tensor> = (output: Output, target: Target) => number

/** Labels as plain numbers. */
export const labelNumbers = (labels: Labels): ArrayLike<number> => ('shape' in labels ? labels.data() : labels)

/** The class of the largest score in each row of (N, classes); the first of equals. */
export function argmax(scores: Tensor): Int32Array {
  if (scores.ndim !== 2) throw new ShapeError(`argmax: scores must be (N, classes), given ${showShape(scores.shape)}`)
  const [N, classes] = scores.shape as readonly [number, number]
  const values = scores.data()
  return Int32Array.from({ length: N }, (_, n) => {
    let best = 0
    for (let j = 1; j < classes; j++) {
      if ((values[n * classes + j] as number) > (values[n * classes + best] as number)) best = j
    }
    return best
  })
}

/** Share of the examples whose largest score is that of their label, 0 to 1. */
export function accuracy(output: Tensor, labels: Labels): number {
  const wanted = labelNumbers(labels)
  const predicted = argmax(output)
  let right = 0
  predicted.forEach((label, n) => {
    if (label === wanted[n]) right++
  })
  return right / predicted.length
}
