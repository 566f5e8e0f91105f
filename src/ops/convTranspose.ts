/**
 * Transposed convolution in one, two and three dimensions: the adjoint of a convolution, used as a forward pass.
 * x (N, C, …), w (C, K/groups, …) -> (N, K, …) with extents (n − 1)·stride − lo − hi + dilation·(kernel − 1) + 1 +
 * outputPadding. With w read as the kernel of a convolution from K to C channels, y = h(w, x), equation (9.13).
 */
import type { ConvProblem } from '../plan/conv.js'
import { perDirection, resolvePadding, type PerDirection } from '../plan/window.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { checkSize, showShape, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import {
  biasKind,
  checkedLiveTaps,
  checkGroups,
  checkOperands,
  defineTranspose,
  type Conv,
  type ConvOptions,
} from './conv.js'

/** Options of `convTranspose1d`, `convTranspose2d` and `convTranspose3d`. */
export interface ConvTransposeOptions extends Pick<
  ConvOptions,
  'bias' | 'stride' | 'dilation' | 'groups' | 'flip' | 'algorithm'
> {
  /** Zeros that the convolution would have put around; they are cut off the output. Default 0. */
  readonly padding?: number | readonly (number | readonly [lo: number, hi: number])[]
  /** Rows and columns added at the end, 0 up to stride − 1 (or dilation − 1): several inputs have one output size. */
  readonly outputPadding?: PerDirection
  /** The extents of the output, instead of `outputPadding`. */
  readonly outputSize?: readonly number[]
}

/** Options that are no tensors. */
export type TransposeSettings = Omit<ConvTransposeOptions, 'bias'>

/** Names of the options but for the bias. */
export const transposeNames = {
  stride: 0,
  padding: 0,
  outputPadding: 0,
  outputSize: 0,
  dilation: 0,
  groups: 'count',
  flip: 'flag',
  algorithm: 0,
} as const satisfies Names<Omit<ConvTransposeOptions, 'bias'>>

function outputExtents(
  name: string,
  smallest: readonly number[],
  room: readonly number[],
  { outputPadding, outputSize }: TransposeSettings,
): number[] {
  if (outputSize !== undefined && outputPadding !== undefined) {
    throw new ArgumentError(`${name}: give outputSize or outputPadding, not both`)
  }
  if (outputSize !== undefined) {
    const size = perDirection(outputSize, smallest.length, 1, `${name}: outputSize`)
    size.forEach((extent, axis) => {
      const low = smallest[axis] as number
      const high = low + (room[axis] as number) - 1
      if (extent < low || extent > high) {
        throw new ShapeError(
          `${name}: outputSize ${showShape(size)} cannot be: direction ${axis} gives ${low === high ? String(low) : `${low} to ${high}`} with this input, kernel, stride and padding`,
        )
      }
    })
    return size
  }
  const extra = perDirection(outputPadding ?? 0, smallest.length, 0, `${name}: outputPadding`)
  return smallest.map((extent, axis) => {
    const added = extra[axis] as number
    if (added >= (room[axis] as number)) {
      throw new ArgumentError(
        `${name}: outputPadding ${added} along direction ${axis} must be below the stride or the dilation (${room[axis]})`,
      )
    }
    return extent + added
  })
}

/** Checks a transposed convolution and describes the convolution it is the adjoint of. */
export function describeTranspose(
  name: string,
  directions: number,
  x: Shape,
  w: Shape,
  options: TransposeSettings,
  bias?: Shape,
): Conv {
  const { groups = 1, flip = false, algorithm = 'auto' } = options
  const { stride, dilation, taps } = checkOperands(name, directions, x, w, 'C, K/groups', options)
  const [N, C, ...output] = x as [number, number, ...number[]]
  const [inputs, groupK, ...kernel] = w as [number, number, ...number[]]
  checkGroups(name, groups, C)
  if (inputs !== C)
    throw new ShapeError(
      `${name}: x ${showShape(x)} has ${C} channels, so w must be (${C}, K/groups, ${taps}), given ${showShape(w)}`,
    )
  const { padding = 0 } = options
  if (typeof padding === 'string') {
    throw new ArgumentError(
      `${name}: padding ${inWords(padding)} has no meaning here; give numbers or [lo, hi] pairs, and outputSize for the size`,
    )
  }
  const { lo, hi } = resolvePadding(padding, output, kernel, stride, dilation, name)
  const smallest = output.map(
    (n, axis) =>
      (n - 1) * (stride[axis] as number) -
      (lo[axis] as number) -
      (hi[axis] as number) +
      (dilation[axis] as number) * ((kernel[axis] as number) - 1) +
      1,
  )
  const room = stride.map((step, axis) => Math.max(step, dilation[axis] as number))
  const input = outputExtents(name, smallest, room, options)
  if (input.some((extent) => extent < 1)) {
    throw new ShapeError(
      `${name}: padding ${showShape(lo)}, ${showShape(hi)} leaves nothing of the output ${showShape(input)}; use less padding`,
    )
  }
  const K = groupK * groups
  checkSize([N, K, ...input], name)
  // The convolution goes from y to x: its input channels are ours to make.
  const problem: ConvProblem = { N, C: K, K: C, groups, flip, input, kernel, stride, dilation, lo, hi, output }
  const yShape = [N, K, ...input]
  const live = checkedLiveTaps(name, problem)
  return {
    problem,
    live,
    xShape: yShape,
    wShape: w,
    yShape: x,
    bias: biasKind(name, bias, K, input),
    algorithm,
  }
}

function transposed(directions: number): (x: Tensor, w: Tensor, options?: ConvTransposeOptions) => Tensor {
  const name = `convTranspose${directions}d`
  const operation = defineTranspose<TransposeSettings>(name, (x, w, options, bias) =>
    describeTranspose(name, directions, x, w, options, bias),
  )
  return withArity(name, 3, (x: Tensor, w: Tensor, given: ConvTransposeOptions = {}) => {
    checkKeys(name, given, transposeNames, { bias: 0 })
    return operation({ x, w, bias: given.bias }, given)
  })
}

/**
 * Transposed convolution: x (N, C, W), w (C, K/groups, S) -> (N, K, …).
 *
 *     convTranspose1d(x, w, { stride: 2 })                 // (8, 4, 10), (4, 2, 2) -> (8, 2, 20)
 *
 * @throws ShapeError when shapes or options do not fit, or no padding gives `outputSize`.
 */
export const convTranspose1d = transposed(1)

/**
 * Transposed convolution: x (N, C, H, W), w (C, K/groups, R, S) -> (N, K, …).
 *
 *     convTranspose2d(x, w, { stride: 2, padding: 1, outputSize: [32, 32] })   // (8, 16, 16, 16), (16, 3, 3, 3) -> (8, 3, 32, 32)
 *
 * @throws ShapeError when shapes or options do not fit, or no padding gives `outputSize`.
 */
export const convTranspose2d = transposed(2)

/**
 * Transposed convolution: x (N, C, D, H, W), w (C, K/groups, T, R, S) -> (N, K, …).
 *
 *     convTranspose3d(x, w, { stride: 2 })                 // (1, 4, 5, 5, 5), (4, 1, 2, 2, 2) -> (1, 1, 10, 10, 10)
 *
 * @throws ShapeError when shapes or options do not fit, or no padding gives `outputSize`.
 */
export const convTranspose3d = transposed(3)
