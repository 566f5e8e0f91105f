/**
 * Singular values and vectors by one-sided Jacobi rotations in float64 (Hestenes 1958; Golub & Van Loan, *Matrix Computations*,
 * section 8.6.3): pairs of rows are rotated until all are orthogonal. Only +, −, ×, ÷ and √ are used, in a fixed order, so
 * the bits are the same everywhere, and small singular values are as exact as large ones.
 */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'

/** A (m, n) = Σᵢ values[i] · u[i] v[i]ᵀ, with r = min(m, n) terms. */
export interface Factors {
  /** Left vectors (r, m), one in each row, orthonormal; the largest component of each is above 0. */
  readonly u: Float64Array
  /** Singular values, the largest first. */
  readonly values: Float64Array
  /** Right vectors (r, n), one in each row, orthonormal. */
  readonly v: Float64Array
}

/** Rows or columns that are rotated, at most: the work grows with their square, times the longer side, times some ten rounds. */
const MOST_ROTATED = 1024
/** Elements of a matrix, at most: each takes eight bytes, twice. */
const MOST_ELEMENTS = 2 ** 24
/** What is decomposed, for messages. */
export const DECOMPOSED = `what is decomposed has at most ${MOST_ROTATED} rows or columns, and ${MOST_ELEMENTS} elements`

/** Whether a matrix of these extents is decomposed. */
export const isDecomposed = (m: number, n: number): boolean => Math.min(m, n) <= MOST_ROTATED && m * n <= MOST_ELEMENTS

/** The convergence is quadratic: ten rounds are usual, and rounding ends every one of them. */
const MOST_ROUNDS = 60
/** Rows whose cosine is below this count as orthogonal: half of the rounding of float64. */
const ORTHOGONAL = Number.EPSILON / 2

/** The singular value decomposition of a finite matrix (m, n), which is not changed. */
export function decompose(matrix: ArrayLike<number>, m: number, n: number): Factors {
  const isWide = m <= n
  const [r, length] = isWide ? [m, n] : [n, m]
  // The shorter side is rotated: rows of A or of Aᵀ. A power of two keeps the squares from overflowing, and rounds nothing.
  let largest = 0
  for (let i = 0; i < m * n; i++) largest = Math.max(largest, Math.abs(matrix[i] as number))
  let scale = 1
  while (largest * scale > 1) scale /= 2
  while (largest > 0 && largest * scale < 0.25) scale *= 2
  const w = new Float64Array(r * length)
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) w[isWide ? i * n + j : j * m + i] = (matrix[i * n + j] as number) * scale
  const rotations = new Float64Array(r * r)
  for (let i = 0; i < r; i++) rotations[i * r + i] = 1
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let rotated = false
    for (let p = 0; p < r - 1; p++)
      for (let q = p + 1; q < r; q++) if (orthogonalize(w, length, rotations, r, p, q)) rotated = true
    if (!rotated) break
  }
  // Now w = rotations · A, so that A = rotationsᵀ · w.
  const norms = Float64Array.from({ length: r }, (_, i) => Math.sqrt(dot(w, w, length, i, i)))
  const order = Array.from({ length: r }, (_, i) => i).sort(
    (i, j) => (norms[j] as number) - (norms[i] as number) || i - j,
  )
  const rotatedSide = new Float64Array(r * r)
  const otherSide = new Float64Array(r * length)
  order.forEach((from, to) => {
    const norm = norms[from] as number
    for (let i = 0; i < r; i++) rotatedSide[to * r + i] = rotations[from * r + i] as number
    for (let i = 0; i < length; i++) otherSide[to * length + i] = norm > 0 ? (w[from * length + i] as number) / norm : 0
    if (norm === 0) complete(otherSide, length, to)
  })
  const values = Float64Array.from(order, (from) => (norms[from] as number) / scale)
  const [u, v] = isWide ? [rotatedSide, otherSide] : [otherSide, rotatedSide]
  for (let i = 0; i < r; i++) {
    let extreme = 0
    for (let j = 0; j < m; j++)
      if (Math.abs(u[i * m + j] as number) > Math.abs(extreme)) extreme = u[i * m + j] as number
    if (extreme >= 0) continue
    for (let j = 0; j < m; j++) u[i * m + j] = -(u[i * m + j] as number)
    for (let j = 0; j < n; j++) v[i * n + j] = -(v[i * n + j] as number)
  }
  return { u, values, v }
}

function dot(a: Float64Array, b: Float64Array, length: number, i: number, j: number): number {
  const [p, q] = [i * length, j * length]
  let sum = 0
  for (let k = 0; k < length; k++) sum += (a[p + k] as number) * (b[q + k] as number)
  return sum
}

/** Rotates rows p and q of w, and of the rotations so far, so that they are orthogonal; says whether they were not. */
function orthogonalize(
  w: Float64Array,
  length: number,
  rotations: Float64Array,
  r: number,
  p: number,
  q: number,
): boolean {
  const [alpha, beta, gamma] = [dot(w, w, length, p, p), dot(w, w, length, q, q), dot(w, w, length, p, q)]
  if (!(Math.abs(gamma) > ORTHOGONAL * Math.sqrt(alpha) * Math.sqrt(beta))) return false
  const zeta = (beta - alpha) / (2 * gamma)
  // The smaller of the two roots of t² + 2ζt − 1; a large ζ² would overflow, and 1/(2ζ) is its limit.
  const size = Math.abs(zeta)
  const t = (zeta < 0 ? -1 : 1) * (size > 1e150 ? 1 / (2 * size) : 1 / (size + Math.sqrt(1 + size * size)))
  const c = 1 / Math.sqrt(1 + t * t)
  turn(w, length, p, q, c, c * t)
  turn(rotations, r, p, q, c, c * t)
  return true
}

function turn(a: Float64Array, length: number, p: number, q: number, c: number, s: number): void {
  for (let i = p * length, j = q * length; i < (p + 1) * length; i++, j++) {
    const [x, y] = [a[i] as number, a[j] as number]
    a[i] = c * x - s * y
    a[j] = s * x + c * y
  }
}

/** Makes row `row` the unit vector that is left of an axis when the rows before it are taken off, of the first axis that leaves enough. */
function complete(rows: Float64Array, length: number, row: number): void {
  const at = row * length
  for (let axis = 0; axis < length; axis++) {
    rows.fill(0, at, at + length)
    rows[at + axis] = 1
    // Twice is enough (Kahan): what one pass leaves by rounding, the second takes off.
    for (let pass = 0; pass < 2; pass++) {
      for (let other = 0; other < row; other++) {
        const share = dot(rows, rows, length, row, other)
        for (let i = 0; i < length; i++)
          rows[at + i] = (rows[at + i] as number) - share * (rows[other * length + i] as number)
      }
    }
    const norm = Math.sqrt(dot(rows, rows, length, row, row))
    if (norm < 0.5 / Math.sqrt(length)) continue
    for (let i = 0; i < length; i++) rows[at + i] = (rows[at + i] as number) / norm
    return
  }
}

/**
 * The singular value decomposition x = u · diag(s) · vᵀ of a matrix, computed in float64. No gradient flows through it. The time
 * grows with the square of the shorter side times the longer one: some ten seconds for 256 × 2304.
 *
 * @example
 * const { u, s, v } = svd(tensor([[3, 0], [0, 4]]))   // s: [4, 3]
 * @returns u (m, r) and v (n, r) with orthonormal columns, s (r) with the largest first, r = min(m, n)
 * @throws ShapeError unless x is (m, n) with a side of at most 1,024 and at most 2^24 elements; ArgumentError when it is not finite
 */
export function svd(x: Tensor): { readonly u: Tensor; readonly s: Tensor; readonly v: Tensor } {
  checkCount('svd', 1, arguments)
  checkTensor(x, 'svd', 'x')
  const [m, n] = x.shape as readonly [number, number]
  if (x.ndim !== 2 || m < 1 || n < 1)
    throw new ShapeError(`svd: x must be a matrix (m, n), given ${showShape(x.shape)}`)
  if (!isDecomposed(m, n)) throw new ShapeError(`svd: x is ${showShape(x.shape)}, and ${DECOMPOSED}`)
  const values = x.data()
  if (!values.every(Number.isFinite)) throw new ArgumentError('svd: the matrix must be finite numbers')
  const { u, values: s, v } = decompose(values, m, n)
  const r = s.length
  const asColumns = (rows: Float64Array, length: number): Tensor =>
    tensor(
      Float32Array.from({ length: r * length }, (_, i) => rows[(i % r) * length + Math.floor(i / r)] as number),
      [length, r],
    )
  return scope(() => ({ u: asColumns(u, m), s: tensor(Float32Array.from(s)), v: asColumns(v, n) }))
}
