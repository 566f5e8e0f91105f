/**
 * Ranks of classes: the rank of a class is the number of classes before it, in the order of their scores and, of equal scores, of their
 * numbers, as `argmax` takes the first of equals.
 */
import { sizeOf } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

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
