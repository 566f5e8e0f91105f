/**
 * Convolution as a prior on a fully connected layer (Goodfellow et al., section 9.4): its weights W (K·P·Q, C·H·W) are pulled
 * towards the nearest matrix of a convolution, in which all entries with the same offset are equal and those beyond the kernel are
 * zero: Toeplitz in one direction, doubly block Toeplitz in two. With no strength the layer is dense; with an infinite one it is
 * the convolution.
 *
 * Each entry of that matrix is one weight of the kernel, or zero. So the nearest one in the sum of squares has the means of the
 * entries of W that share a weight, and both ways are convolutions: of pictures with one pixel each, I (C·H·W, C, H, W).
 */
import { conv2d, describeConv } from '../ops/conv.js'
import { conv2dWeightGrad } from '../ops/convGradients.js'
import { div, mul, square, sub } from '../ops/elementwise.js'
import { transpose } from '../ops/layout.js'
import { sum } from '../ops/reduce.js'
import { perDirection, type PerDirection } from '../plan/window.js'
import { checkNumber } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { checkShape, showShape, sizeOf } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'

/** The convolution that a dense layer could be. */
export interface NearestConvolutionOptions {
  /** (C, H, W) of what the layer reads, flattened. */
  readonly input: readonly number[]
  /** Extents of the kernel. */
  readonly kernel: PerDirection
  /** As in `conv2d`; default 'same'. */
  readonly padding?: 'valid' | 'same' | 'full' | PerDirection
  /** As in `conv2d`; default 1. */
  readonly stride?: PerDirection
}

/** Options of `toeplitzPenalty`. */
export interface ToeplitzPenaltyOptions extends NearestConvolutionOptions {
  /** λ, from 0 on; default 1. */
  readonly strength?: number
}

/** Elements of the input, each of which is a picture of that many: the work grows with their square. */
const MOST_INPUTS = 4096

const names = { input: 0, kernel: 0, padding: 0, stride: 0 } satisfies Names<NearestConvolutionOptions>

/** W as answers to pictures of one pixel (C·H·W, K, P, Q), and the kernel of the nearest convolution; within a scope. */
function nearest(w: Tensor, options: NearestConvolutionOptions, name: string) {
  checkTensor(w, name, 'w')
  const { kernel, padding = 'same', stride = 1 } = options
  const input = checkShape(options.input, `${name}: input`)
  if (input.length !== 3) throw new ShapeError(`${name}: input must be (C, H, W), given ${showShape(input)}`)
  const extents = perDirection(kernel, 2, 1, `${name}: kernel`)
  const inputs = sizeOf(input)
  if (inputs > MOST_INPUTS)
    throw new ShapeError(
      `${name}: an input ${showShape(input)} has ${inputs} elements; at most ${MOST_INPUTS} are taken`,
    )
  const C = input[0] as number
  const how = { padding, stride } as { padding: 'same'; stride: number }
  const [, , P, Q] = describeConv(name, 2, [1, ...input], [1, C, ...extents], how).yShape as [1, 1, number, number]
  const K = (w.shape[0] ?? 0) / (P * Q)
  if (w.ndim !== 2 || w.shape[1] !== inputs || !(K >= 1 && Number.isInteger(K)))
    throw new ShapeError(
      `${name}: w must be (K·${P}·${Q}, ${inputs}) for an input ${showShape(input)}, given ${showShape(w.shape)}`,
    )
  const pixels = new Float32Array(inputs * inputs)
  for (let i = 0; i < inputs; i++) pixels[i * inputs + i] = 1
  const x = tensor(pixels, [inputs, ...input])
  const windows = { ...how, kernel: extents }
  const answers = transpose(w).reshape([inputs, K, P, Q])
  const sums = conv2dWeightGrad(x, answers, windows)
  // How many entries are one weight; none where a tap never meets the input.
  const met = conv2dWeightGrad(x, tensor(new Float32Array(inputs * P * Q).fill(1), [inputs, 1, P, Q]), windows)
  const counts = tensor(
    met.data().map((count) => Math.max(1, count)),
    met.shape,
  )
  return { x, answers, how, shared: div(sums, counts) }
}

/**
 * The kernel (K, C, R, S) of the convolution whose matrix is nearest to w (K·P·Q, C·H·W) in the sum of squares: each of its
 * weights is the mean of the entries of w that would be that weight. Gradients flow through.
 *
 * @example
 * const kernel = nearestConvolution(dense.parameters()[0], { input: [1, 28, 28], kernel: 5 })
 * @throws ShapeError when w is not of the shape that the convolution's matrix has, or the input has more than 4,096 elements
 */
export function nearestConvolution(w: Tensor, options: NearestConvolutionOptions): Tensor {
  checkCount('nearestConvolution', 2, arguments)
  needKeys('nearestConvolution', options, names)
  return scope(() => nearest(w, options, 'nearestConvolution').shared)
}

/**
 * λ/2 · ‖W − T(W)‖², where T(W) is the matrix of the convolution nearest to the dense weights w (K·P·Q, C·H·W): zero where w is a
 * convolution. A term of a loss; its gradient is λ·(W − T(W)).
 *
 * @example
 * const loss = (output, labels) => add(crossEntropy(output, labels), toeplitzPenalty(w, { input: [1, 14, 14], kernel: 3, strength: 0.1 }))
 * @throws ShapeError as `nearestConvolution`; ArgumentError for a strength below 0
 */
export function toeplitzPenalty(w: Tensor, options: ToeplitzPenaltyOptions): Tensor {
  const name = 'toeplitzPenalty'
  checkCount(name, 2, arguments)
  needKeys(name, options, names, { strength: 0 })
  const { strength = 1, ...convolution } = options
  checkNumber(strength, `${name}: strength`)
  if (strength < 0)
    throw new ArgumentError(
      `${name}: strength must not be negative, given ${strength}: it would reward what is no convolution`,
    )
  return scope(() => {
    const { x, answers, how, shared } = nearest(w, convolution, name)
    return mul(sum(square(sub(answers, conv2d(x, shared, how)))), strength / 2)
  })
}
