/**
 * Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations in float64 (Golub & Van Loan, *Matrix
 * Computations*, section 8.5). Only +, −, ×, ÷ and √ are used, in a fixed order, so the bits are the same everywhere.
 */

/** A = Vᵀ · diag(values) · V. */
export interface Eigen {
  /** Eigenvalues, the largest first. */
  readonly values: Float64Array
  /** Eigenvectors (n, n): row i belongs to value i, has the norm 1 and a largest component above 0. */
  readonly vectors: Float64Array
}

/** Jacobi converges quadratically: ten rounds are usual, and rounding ends every one of them. */
const MOST_ROUNDS = 60

/** The eigenvalues and eigenvectors of a symmetric matrix (n, n), which is not changed. O(n³). */
export function symmetricEigen(matrix: Float64Array, n: number): Eigen {
  const a = matrix.slice()
  const v = new Float64Array(n * n)
  for (let i = 0; i < n; i++) v[i * n + i] = 1
  let total = 0
  for (const value of a) total += value * value
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let off = 0
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) off += (a[p * n + q] as number) * (a[p * n + q] as number)
    // What is left beside the diagonal is below the rounding of what is on it.
    if (!(off > 1e-30 * total)) break
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q)
  }
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (i, j) => (a[j * n + j] as number) - (a[i * n + i] as number) || i - j,
  )
  const values = Float64Array.from(order, (i) => a[i * n + i] as number)
  const vectors = new Float64Array(n * n)
  order.forEach((from, to) => {
    const vector = v.subarray(from * n, (from + 1) * n)
    let largest = 0
    for (const value of vector) if (Math.abs(value) > Math.abs(largest)) largest = value
    for (let i = 0; i < n; i++) vectors[to * n + i] = largest < 0 ? -(vector[i] as number) : (vector[i] as number)
  })
  return { values, vectors }
}

/** One rotation of rows and columns p and q, by the angle that makes a[p, q] zero, and of the rows of v. */
function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q] as number
  if (apq === 0) return
  const theta = ((a[q * n + q] as number) - (a[p * n + p] as number)) / (2 * apq)
  // The smaller of the two roots of t² + 2θt − 1. A large θ² would overflow, and 1/(2θ) is its limit.
  const size = Math.abs(theta)
  const t = (theta < 0 ? -1 : 1) * (size > 1e150 ? 1 / (2 * size) : 1 / (size + Math.sqrt(size * size + 1)))
  const c = 1 / Math.sqrt(t * t + 1)
  const s = t * c
  for (let i = 0; i < n; i++) {
    const [aip, aiq] = [a[i * n + p] as number, a[i * n + q] as number]
    a[i * n + p] = c * aip - s * aiq
    a[i * n + q] = s * aip + c * aiq
  }
  for (let i = 0; i < n; i++) {
    const [api, aqi] = [a[p * n + i] as number, a[q * n + i] as number]
    a[p * n + i] = c * api - s * aqi
    a[q * n + i] = s * api + c * aqi
    const [vpi, vqi] = [v[p * n + i] as number, v[q * n + i] as number]
    v[p * n + i] = c * vpi - s * vqi
    v[q * n + i] = s * vpi + c * vqi
  }
  a[p * n + q] = 0
  a[q * n + p] = 0
}
