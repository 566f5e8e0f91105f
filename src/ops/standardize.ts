/** What is centred and scaled by its own statistics, over any axes: the middle of layer, group and instance normalization. */
import { scope, type Tensor } from '../tensor/tensor.js'
import { add, div, sqrt, square, sub } from './elementwise.js'
import { mean } from './reduce.js'

/** y = (x − mean) / √(variance + ε) over some axes, and what it is made of. */
export function standardized(
  x: Tensor,
  axes: readonly number[],
  eps: number,
): { readonly y: Tensor; readonly average: Tensor; readonly variance: Tensor; readonly deviation: Tensor } {
  return scope(() => {
    const average = mean(x, axes, { keepDims: true })
    const centred = sub(x, average)
    const variance = mean(square(centred), axes, { keepDims: true })
    const deviation = sqrt(add(variance, eps))
    return { y: div(centred, deviation), average, variance, deviation }
  })
}
