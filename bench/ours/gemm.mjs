// @ts-check
// Our side of the matrix products.
import { matmul, scope, tensor } from '../../dist/index.js'

/**
 * a (M, K) · b (K, N).
 * @param {{ M: number, N: number, K: number }} shape
 * @param {{ a: Float32Array, b: Float32Array }} data
 */
export function createProduct({ M, N, K }, data) {
  const a = tensor(data.a, [M, K])
  const b = tensor(data.b, [K, N])
  return {
    run: () => scope(() => void matmul(a, b)),
    output: () => scope(() => matmul(a, b).data()),
  }
}
