/** How each algorithm of src/plan/matmul.ts calls its kernel. */
import { planMatmul, type MatmulProblem } from '../plan/matmul.js'
import type { CallList, Place } from '../runtime/calls.js'
import { kernels } from '../runtime/core.js'
import { LIGHT, MULTIPLY_ADD } from '../runtime/work.js'

const workspaceOf = ({ M, N, K }: MatmulProblem): number => kernels().matmul_workspace(M, N, K)

/** out (M, N) = op(a) (M, K) · op(b) (K, N) [+ bias (N) in every row]: addresses, the bias's 0 for none. */
export function multiply(
  list: CallList,
  out: Place,
  a: Place,
  b: Place,
  bias: Place | 0,
  problem: MatmulProblem,
): void {
  const { M, N, K, transposeA, transposeB } = problem
  if (planMatmul(problem) === 'dot') {
    // Bound by reading b.
    list.call('matmul_dot_fwd', N, LIGHT * K, out, a, b, bias, M, N, K)
    return
  }
  // Strides in bytes: an operand that is read transposed lies as it is.
  const [aRow, aColumn] = transposeA ? [4, 4 * M] : [4 * K, 4]
  const [bRow, bColumn] = transposeB ? [4, 4 * K] : [4 * N, 4]
  const items = kernels().matmul_items(M, N)
  const work = (MULTIPLY_ADD * M * N * K) / items
  const ws = list.perThread(workspaceOf(problem))
  list.call('matmul_fwd', items, work, out, a, b, bias, ws, M, N, K, aRow, aColumn, bRow, bColumn)
}
