/**
 * Whitening: a rotation and a scaling of patches after which their components are uncorrelated and of variance 1, so that
 * what is learned from them is not merely that neighbouring pixels are alike. Zero-phase whitening (ZCA; Bell & Sejnowski
 * 1997) is the one whose result is closest to the patches themselves.
 */
import { sub } from '../ops/elementwise.js'
import { linear } from '../ops/linear.js'
import { checkNumber } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, withArity, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { symmetricEigen } from './eigen.js'

/** Options of `whiten`. */
export interface WhitenOptions {
  /** Added to each eigenvalue of the covariance, in units of the patches squared: it keeps noise small. Default 0.1. */
  readonly epsilon?: number
}

/** What whitens patches like those that it was fitted to: z = M · (x − μ). */
export interface Whitening {
  /** μ (D), the mean of the patches. */
  readonly mean: Tensor
  /** M (D, D) = Σᵢ vᵢ vᵢᵀ / √(λᵢ + ε), which is symmetric. */
  readonly matrix: Tensor
  /** λ, the eigenvalues of the covariance of the patches, the largest first. */
  readonly eigenvalues: Float64Array
  /** Whitens patches (N, D). Gradients flow through. */
  apply(x: Tensor): Tensor
}

/** Components of the longest patch: the work grows with their third power. */
const MOST_COMPONENTS = 1024

/**
 * Fits zero-phase whitening to patches (N, D), in float64.
 *
 * @example
 * const whitening = whiten(patches, { epsilon: 0.1 })
 * const white = whitening.apply(patches)
 * @throws ShapeError unless there are two patches or more, of at most 1,024 finite components
 */
export function whiten(x: Tensor, options: WhitenOptions = {}): Whitening {
  checkCount('whiten', 2, arguments)
  checkTensor(x, 'whiten', 'x')
  checkKeys('whiten', options, { epsilon: 0 } satisfies Names<WhitenOptions>)
  const { epsilon = 0.1 } = options
  checkNumber(epsilon, 'whiten: epsilon', 0)
  if (x.ndim !== 2 || (x.shape[0] as number) < 2 || (x.shape[1] as number) < 1)
    throw new ShapeError(`whiten: x must be (N, D) with two patches or more, given ${showShape(x.shape)}`)
  const [N, D] = x.shape as readonly [number, number]
  if (D > MOST_COMPONENTS)
    throw new ShapeError(
      `whiten: patches of ${D} components; at most ${MOST_COMPONENTS} are whitened: use smaller ones`,
    )
  const { mean, covariance } = moments(x.data(), N, D)
  // Of a number that is not finite the whole covariance is none.
  if (!covariance.every(Number.isFinite)) throw new ArgumentError('whiten: the patches must be finite numbers')
  const { values, vectors } = symmetricEigen(covariance, D)
  // A covariance has no eigenvalue below 0 but by rounding.
  const scales = values.map((value) => Math.sqrt(Math.max(value, 0) + epsilon))
  const flat = scales.findIndex((scale) => !(scale > 1e-12))
  if (flat >= 0) {
    throw new ArgumentError(
      `whiten: the patches do not vary in ${D - flat} of ${D} directions; give an epsilon above 0, or more patches`,
    )
  }
  const matrix = new Float64Array(D * D)
  for (let k = 0; k < D; k++) {
    const vector = vectors.subarray(k * D, (k + 1) * D)
    for (let i = 0; i < D; i++) {
      const factor = (vector[i] as number) / (scales[k] as number)
      for (let j = 0; j < D; j++) matrix[i * D + j] = (matrix[i * D + j] as number) + factor * (vector[j] as number)
    }
  }
  const fitted = scope(() => ({ mean: tensor(mean), matrix: tensor(matrix, [D, D]) }))
  const apply = withArity('apply', 1, (patches: Tensor): Tensor => {
    checkTensor(patches, 'whitening', 'x')
    if (patches.ndim !== 2 || patches.shape[1] !== D)
      throw new ShapeError(`whitening: x must be (N, ${D}), given ${showShape(patches.shape)}`)
    return scope(() => linear(sub(patches, fitted.mean), fitted.matrix))
  })
  return { mean: fitted.mean, matrix: fitted.matrix, eigenvalues: values, apply }
}

/** Mean and covariance of rows (N, D), summed in float64 in the order of the rows. */
function moments(x: Float32Array, N: number, D: number): { mean: Float64Array; covariance: Float64Array } {
  const mean = new Float64Array(D)
  for (let n = 0; n < N; n++) for (let i = 0; i < D; i++) mean[i] = (mean[i] as number) + (x[n * D + i] as number)
  for (let i = 0; i < D; i++) mean[i] = (mean[i] as number) / N
  const covariance = new Float64Array(D * D)
  const row = new Float64Array(D)
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < D; i++) row[i] = (x[n * D + i] as number) - (mean[i] as number)
    for (let i = 0; i < D; i++) {
      const value = row[i] as number
      for (let j = i; j < D; j++) covariance[i * D + j] = (covariance[i * D + j] as number) + value * (row[j] as number)
    }
  }
  for (let i = 0; i < D; i++) {
    for (let j = i; j < D; j++) {
      const value = (covariance[i * D + j] as number) / N
      covariance[i * D + j] = value
      covariance[j * D + i] = value
    }
  }
  return { mean, covariance }
}
