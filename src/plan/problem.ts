/** A convolution with all extents known: what is planned, counted and encoded. */
import type { Windows } from './window.js'

/** The forward pass, and the gradients of the input and of the weights. */
export type ConvPass = 'fwd' | 'dx' | 'dw'

/** A convolution by its extents; spatial ones are those of one to three directions. */
export interface ConvProblem extends Windows {
  /** Images. */
  readonly N: number
  /** Input channels. */
  readonly C: number
  /** Output channels. */
  readonly K: number
  /** Groups of channels that do not see each other. */
  readonly groups: number
  /** Whether the kernel is flipped, (9.4). */
  readonly flip: boolean
}

/** The product of some numbers; 1 of none. */
export const product = (values: readonly number[]): number => values.reduce((total, value) => total * value, 1)

/** Multiply-adds of one pass. */
export function multiplyAdds(problem: ConvProblem): number {
  const { N, C, K, groups, kernel, output } = problem
  return N * K * (C / groups) * product(kernel) * product(output)
}

/** The convolution whose forward pass, with the same weights, is the input gradient of this one: stride 1. */
export function adjointProblem(problem: ConvProblem): ConvProblem {
  const { C, K, input, output, kernel, lo, dilation, flip } = problem
  return {
    ...problem,
    C: K,
    K: C,
    input: output,
    output: input,
    lo: lo.map((zeros, axis) => (dilation[axis] as number) * ((kernel[axis] as number) - 1) - zeros),
    flip: !flip,
  }
}

/**
 * The convolution with stride 1 that one of stride s is (assembly/ops/conv/phases.ts): the s · s phases of the input are
 * its channels, kernels are ⌈R/s⌉ wide. Its input holds whole tiles of `extent` × `extent`, and the padding.
 */
export function phasesOf(problem: ConvProblem, extent = 6): ConvProblem {
  const { C, kernel, stride, output } = problem
  const s = stride[0] as number
  const r = Math.ceil((kernel[0] as number) / s)
  const outputs = extent + 1 - r
  return {
    ...problem,
    C: C * s * s,
    flip: false,
    input: output.map((total) => Math.ceil(total / outputs) * outputs + r - 1),
    kernel: [r, r],
    stride: [1, 1],
    lo: [0, 0],
    hi: [0, 0],
  }
}

/** Tiles of `extent` × `extent` that cover the output. */
export const tilesOf = ({ kernel, output }: Pick<ConvProblem, 'kernel' | 'output'>, extent: number): number =>
  product(output.map((total) => Math.ceil(total / (extent + 1 - (kernel[0] as number)))))

/** Real numbers in a transformed tile: a Fourier transform has extent · (extent / 2 + 1) complex ones. */
export const numbersOf = (extent: number): number => (extent > 6 ? extent * (extent + 2) : extent * extent)

/** Points of the Fourier transforms: the cheaper number for the products. At least four outputs of a tile must be new. */
export function fftExtent(problem: ConvProblem): number {
  // Every tile is multiplied by all filters, which are read once: that takes as long as some eight tiles.
  const products = (extent: number): number => (tilesOf(problem, extent) * problem.N + 8) * numbersOf(extent)
  return (problem.kernel[0] as number) <= 13 && products(16) <= products(32) ? 16 : 32
}
