/**
 * The book's g and h as functions: the gradients of a convolution with respect to its kernel (9.11) and to its input
 * (9.13), for every option of conv1d, conv2d and conv3d. Both are linear in both arguments and differentiable.
 */
import { vjp } from '../autodiff/vjp.js'
import { perDirection } from '../plan/window.js'
import { checkWhole } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { needKeys, withArity } from '../runtime/options.js'
import { zeros } from '../tensor/create.js'
import { sameShape, showShape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import {
  checkGroups,
  convolution,
  describeConv,
  inputGradient,
  padInput,
  weightGradient,
  type Conv,
  type ConvOptions,
  groupNames,
  windowNames,
} from './conv.js'

/** Options of the convolution that is differentiated; its bias and activation play no part. */
export type ConvGradientOptions = Omit<ConvOptions, 'bias' | 'activation'>

function checkGradient(name: string, dy: Tensor, conv: Conv): void {
  if (!sameShape(dy.shape, conv.yShape)) {
    throw new ShapeError(
      `${name}: dy must be ${showShape(conv.yShape)}, the shape of the convolution's output, given ${showShape(dy.shape)}`,
    )
  }
}

function checkRank(name: string, argument: string, value: Tensor, directions: number, letters: string): void {
  checkTensor(value, name, argument)
  const { shape } = value
  if (shape.length !== directions + 2)
    throw new ShapeError(`${name}: ${argument} must be ${letters}, given ${showShape(shape)}`)
}

/** Options of `conv1dWeightGrad`, `conv2dWeightGrad` and `conv3dWeightGrad`. */
export interface WeightGradOptions extends ConvGradientOptions {
  /** Extents of the kernel. */
  readonly kernel: readonly number[]
}

const weightNames = { ...groupNames, kernel: 0 }
const inputNames = { ...groupNames, inputSize: 0 }

function weightGrad(directions: number): (x: Tensor, dy: Tensor, options: WeightGradOptions) => Tensor {
  const name = `conv${directions}dWeightGrad`
  return withArity(name, 3, (x: Tensor, dy: Tensor, given: WeightGradOptions) => {
    needKeys(name, given, windowNames, weightNames)
    const { kernel, ...options } = given
    checkRank(name, 'x', x, directions, '(N, C, …)')
    checkRank(name, 'dy', dy, directions, '(N, K, …)')
    const extents = perDirection(kernel, directions, 1, `${name}: kernel`)
    const { groups = 1 } = options
    const C = x.shape[1] as number
    checkGroups(name, groups, C)
    const wShape = [dy.shape[1] as number, C / groups, ...extents]
    checkGradient(name, dy, describeConv(name, directions, x.shape, wShape, options))
    return scope(() => {
      const { x: padded, options: rest } = padInput(name, x, wShape, options)
      return weightGradient({ dy, x: padded }, describeConv(name, directions, padded.shape, wShape, rest))
    })
  })
}

/** Options of `conv1dInputGrad`, `conv2dInputGrad` and `conv3dInputGrad`. */
export interface InputGradOptions extends ConvGradientOptions {
  /** Extents of the convolution's input: several give one output size, so it must be told. */
  readonly inputSize: readonly number[]
}

function inputGrad(directions: number): (w: Tensor, dy: Tensor, options: InputGradOptions) => Tensor {
  const name = `conv${directions}dInputGrad`
  const operation = convolution(directions)
  return withArity(name, 3, (w: Tensor, dy: Tensor, given: InputGradOptions) => {
    needKeys(name, given, windowNames, inputNames)
    const { inputSize, ...options } = given
    checkRank(name, 'w', w, directions, '(K, C/groups, …)')
    checkRank(name, 'dy', dy, directions, '(N, K, …)')
    const extents = perDirection(inputSize, directions, 1, `${name}: inputSize`)
    const { groups = 1, paddingMode = 'zeros' } = options
    checkWhole(groups, `${name}: groups`)
    const xShape = [dy.shape[0] as number, (w.shape[1] as number) * groups, ...extents]
    const conv = describeConv(name, directions, xShape, w.shape, options)
    checkGradient(name, dy, conv)
    if (paddingMode === 'zeros') return inputGradient({ dy, w }, conv)
    // Padding by input values has an adjoint of its own: the tape knows it.
    return scope(() => {
      const [dx] = vjp((x) => operation(x, w, options), zeros(xShape)).pullback(dy)
      return dx as Tensor
    })
  })
}

/**
 * g (9.11): x (N, C, W), dy (N, K, Q) -> dw (K, C/groups, S).
 *
 *     conv1dWeightGrad(x, dy, { kernel: [3] })       // x (8, 2, 10), dy (8, 4, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const conv1dWeightGrad = weightGrad(1)
/**
 * g (9.11): x (N, C, H, W), dy (N, K, P, Q) -> dw (K, C/groups, R, S).
 *
 *     conv2dWeightGrad(x, dy, { kernel: [3, 3] })       // x (8, 2, 10, 10), dy (8, 4, 8, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const conv2dWeightGrad = weightGrad(2)
/**
 * g (9.11): x (N, C, D, H, W), dy (N, K, O, P, Q) -> dw (K, C/groups, T, R, S).
 *
 *     conv3dWeightGrad(x, dy, { kernel: [3, 3, 3] })       // x (8, 2, 10, 10, 10), dy (8, 4, 8, 8, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const conv3dWeightGrad = weightGrad(3)

/**
 * h (9.13): w (K, C/groups, S), dy (N, K, Q) -> dx (N, C, W).
 *
 *     conv1dInputGrad(w, dy, { inputSize: [10] })    // w (4, 2, 3), dy (8, 4, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const conv1dInputGrad = inputGrad(1)
/**
 * h (9.13): w (K, C/groups, R, S), dy (N, K, P, Q) -> dx (N, C, H, W).
 *
 *     conv2dInputGrad(w, dy, { inputSize: [10, 10] })    // w (4, 2, 3, 3), dy (8, 4, 8, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const conv2dInputGrad = inputGrad(2)
/**
 * h (9.13): w (K, C/groups, T, R, S), dy (N, K, O, P, Q) -> dx (N, C, D, H, W).
 *
 *     conv3dInputGrad(w, dy, { inputSize: [10, 10, 10] })    // w (4, 2, 3, 3, 3), dy (8, 4, 8, 8, 8)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const conv3dInputGrad = inputGrad(3)
