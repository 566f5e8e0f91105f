/** Products of matrices over leading axes. */
import { ShapeError } from '../runtime/errors.js'
import { matmul } from '../ops/linear.js'
import { broadcastTo, concat, slice } from '../ops/layout.js'
import { broadcastShapes, showShape, sizeOf } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'

/** A product of matrices over leading axes that are laid over each other. */
export function product(a: Tensor, b: Tensor): Tensor {
  if (a.ndim === 0 || b.ndim === 0) throw new ShapeError('a number has no product of matrices; use Mul')
  return scope(() => {
    // A vector is a row on the left and a column on the right, and its axis goes again.
    const [left, right] = [a.ndim === 1 ? a.reshape([1, a.size]) : a, b.ndim === 1 ? b.reshape([b.size, 1]) : b]
    const [M, K] = left.shape.slice(-2) as [number, number]
    const [L, N] = right.shape.slice(-2) as [number, number]
    if (K !== L)
      throw new ShapeError(`${showShape(a.shape)} and ${showShape(b.shape)} have ${K} and ${L} terms in each sum`)
    const batch = broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2), 'MatMul')
    const shape = [...batch, ...(a.ndim === 1 ? [] : [M]), ...(b.ndim === 1 ? [] : [N])]
    if (right.ndim === 2) return matmul(left.reshape([sizeOf(left.shape.slice(0, -1)), K]), right).reshape(shape)
    const count = sizeOf(batch)
    const all = broadcastTo(left, [...batch, M, K]).reshape([count, M, K])
    const each = broadcastTo(right, [...batch, K, N]).reshape([count, K, N])
    if (count === 0) return matmul(all.reshape([0, K]), each.reshape([K, 0])).reshape(shape)
    const parts = Array.from({ length: count }, (_, i) => {
      const part = (x: Tensor): Tensor => slice(x, { begin: [i], end: [i + 1] }).reshape(x.shape.slice(1))
      return matmul(part(all), part(each))
    })
    return concat(parts, 0).reshape(shape)
  })
}
