/** Which algorithm computes a matrix product: a pure function of the shapes. */

/** op(a) (M, K) · op(b) (K, N); which of the two are read transposed. */
export interface MatmulProblem {
  readonly M: number
  readonly N: number
  readonly K: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

/**
 * 'dot' takes inner products of rows as they lie in memory, 'gemm' packs both operands. Up to four rows, packing b costs
 * more than it saves: a fully connected layer at batch 1 is bound by reading its weights once.
 */
export const planMatmul = ({ M, transposeA, transposeB }: MatmulProblem): 'dot' | 'gemm' =>
  M <= 4 && transposeB && (!transposeA || M === 1) ? 'dot' : 'gemm'
