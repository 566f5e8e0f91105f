/**
 * Separable kernels in any number of dimensions: an outer product of d vectors of w taps is d passes with w multiplications each,
 * O(w·d) for a pixel in place of O(w^d) (Goodfellow et al., section 9.8); and kernels as sums of such products.
 */
import { checkConstant } from '../autodiff/op.js'
import { conv1d, conv2d, conv3d, type ConvOptions } from '../ops/conv.js'
import { mul } from '../ops/elementwise.js'
import { checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, needKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { errorsOf } from './factors.js'
import { decompose, DECOMPOSED, isDecomposed } from './svd.js'

/** Options of `separableConv`. */
export interface SeparableConvOptions extends Pick<ConvOptions, 'bias' | 'flip' | 'paddingMode'> {
  /** 'valid', the default: the kernel stays inside; 'same': outputs of the extents of the inputs; 'full': every overlap. */
  readonly padding?: 'valid' | 'same' | 'full'
}

/**
 * Every channel of x (N, C, …) convolved with the outer product of one vector for each of its one to three directions, one
 * direction after another. A vector is (taps), or (C, taps) for one in each channel. Gradients flow through.
 *
 * @example
 * separableConv(volume, [smooth, smooth, tensor([-1, 0, 1])], { padding: 'same' })   // a derivative along the width
 * @throws ShapeError when the vectors do not fit the directions or channels of x, or are longer than it
 */
export function separableConv(x: Tensor, vectors: readonly Tensor[], options: SeparableConvOptions = {}): Tensor {
  checkCount('separableConv', 3, arguments)
  checkTensor(x, 'separableConv', 'x')
  if (!Array.isArray(vectors)) throw wrongKind('separableConv: the vectors', 'a list of tensors', vectors)
  checkKeys('separableConv', options, {
    bias: 0,
    flip: 0,
    paddingMode: 0,
    padding: 0,
  } satisfies Names<SeparableConvOptions>)
  const { bias, ...all } = options
  const directions = x.ndim - 2
  if (directions < 1 || directions > 3)
    throw new ShapeError(
      `separableConv: x must be (N, C, W), (N, C, H, W) or (N, C, D, H, W), given ${showShape(x.shape)}`,
    )
  if (vectors.length !== directions)
    throw new ShapeError(
      `separableConv: x ${showShape(x.shape)} has ${directions} directions; give a vector for each, given ${vectors.length}`,
    )
  const C = x.shape[1] as number
  const convolve = [conv1d, conv2d, conv3d][directions - 1] as typeof conv2d
  return scope(() => {
    let y = x
    for (const [axis, vector] of (vectors as readonly Tensor[]).entries()) {
      checkTensor(vector, 'separableConv', `vector ${axis}`)
      const taps = vector.shape.at(-1) ?? 0
      const isShared = vector.ndim === 1
      if (taps < 1 || !(isShared || (vector.ndim === 2 && vector.shape[0] === C)))
        throw new ShapeError(
          `separableConv: vector ${axis} must be (taps) or (${C}, taps), given ${showShape(vector.shape)}`,
        )
      const extents = Array.from({ length: directions }, (_, other) => (other === axis ? taps : 1))
      const one = vector.reshape([isShared ? 1 : C, 1, ...extents])
      const kernel = isShared ? mul(one, tensor(new Float32Array(C).fill(1), [C, 1, ...extents.map(() => 1)])) : one
      const isLast = axis === directions - 1
      y = convolve(y, kernel, { ...all, groups: C, ...(isLast && bias ? { bias } : {}) })
    }
    return y
  })
}

/** One term of a kernel: the outer product of a column (R) and a row (S). */
export interface SeparableTerm {
  /** (R), down. */
  readonly column: Tensor
  /** (S), across. */
  readonly row: Tensor
}

/** Options of `separableTerms`: a number of terms or an error. */
export interface SeparableTermsOptions {
  /** Terms that are kept, at most min(R, S). */
  readonly rank?: number
  /** ‖w − ŵ‖ / ‖w‖ that is allowed, from 0 on and below 1: as few terms are kept as keep to it. */
  readonly error?: number
}

/**
 * A kernel w (R, S) as a sum of separable ones, the one that matters most first: w ≈ Σ columnᵢ · rowᵢᵀ, the best sum of so many
 * terms in the sum of squares. Each goes to `separableConv2d`.
 *
 * @example
 * const terms = separableTerms(laplacianOfGaussian, { error: 0.01 })   // two terms
 * const y = terms.map((term) => separableConv2d(x, term)).reduce((sum, part) => add(sum, part))
 * @throws ShapeError unless w is (R, S); ArgumentError for a rank above min(R, S), for an error that is none, and for both
 */
export function separableTerms(w: Tensor, options: SeparableTermsOptions): SeparableTerm[] {
  checkCount('separableTerms', 2, arguments)
  checkTensor(w, 'separableTerms', 'w')
  checkConstant(w, 'separableTerms', 'w')
  needKeys('separableTerms', options, { rank: 0, error: 0 } satisfies Names<SeparableTermsOptions>)
  const [R, S] = w.shape as readonly [number, number]
  if (w.ndim !== 2 || R < 1 || S < 1)
    throw new ShapeError(`separableTerms: w must be (R, S), given ${showShape(w.shape)}`)
  if (!isDecomposed(R, S)) throw new ShapeError(`separableTerms: w is ${showShape(w.shape)}, and ${DECOMPOSED}`)
  const { rank, error } = options
  if ((rank === undefined) === (error === undefined))
    throw new ArgumentError('separableTerms: give a rank or an error: { rank: 2 } or { error: 0.01 }')
  if (rank !== undefined) checkWhole(rank, 'separableTerms: rank', 1, Math.min(R, S))
  if (error !== undefined) {
    checkNumber(error, 'separableTerms: error', 0)
    if (error >= 1) throw wrongKind('separableTerms: error', 'below 1, which leaves nothing', error)
  }
  const values = w.data()
  if (!values.every(Number.isFinite)) throw new ArgumentError('separableTerms: the kernel must be finite numbers')
  const factors = decompose(values, R, S)
  const terms =
    rank ??
    Math.max(
      1,
      errorsOf(factors).findIndex((left) => left <= (error as number)),
    )
  return scope(() =>
    Array.from({ length: terms }, (_, i) => {
      const root = Math.sqrt(factors.values[i] as number)
      const column = Float32Array.from(factors.u.subarray(i * R, (i + 1) * R), (value) => root * value)
      const row = Float32Array.from(factors.v.subarray(i * S, (i + 1) * S), (value) => root * value)
      return { column: tensor(column), row: tensor(row) }
    }),
  )
}
