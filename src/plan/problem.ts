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

/**
 * The convolution of two directions that one of one or three directions, of stride and dilation 1, is. Of one direction: a line of
 * L = extent / 2 outputs for each row, whose kernel is cut into rows of L taps, and whose input is rows of 2·L − 1 numbers that begin
 * L apart,
 *
 *   y[a·L + b] = Σ_cd w[c·L + d] · x[(a + c)·L + (b + d)],   0 ≤ b, d < L
 *
 * so that one tile of `extent` columns holds every row. Of three: each plane of the output is an image, and the T planes that it
 * reads are its channels. What the input and the output are then is copied (src/ops/convPlanes.ts).
 */
export function planarOf(problem: ConvProblem, extent: number): ConvProblem {
  const { N, C, kernel, input, output, lo, hi } = problem
  const [first, ...others] = kernel as [number, ...number[]]
  if (others.length === 1) return problem
  const steps = { stride: [1, 1], dilation: [1, 1] }
  if (others.length > 0) {
    const [planes, ...map] = output as [number, ...number[]]
    const inner = { input: input.slice(1), output: map, lo: lo.slice(1), hi: hi.slice(1) }
    return { ...problem, ...steps, ...inner, N: N * planes, C: C * first, kernel: others }
  }
  const columns = extent / 2
  const [rows, taps] = [output[0] as number, first].map((length) => Math.ceil(length / columns)) as [number, number]
  return {
    ...problem,
    ...steps,
    kernel: [taps, columns],
    input: [rows + taps - 1, 2 * columns - 1],
    output: [rows, columns],
    lo: [0, 0],
    hi: [0, 0],
  }
}

/** Tiles of `extent` × `extent` that cover the output. */
export const tilesOf = ({ kernel, output }: Pick<ConvProblem, 'kernel' | 'output'>, extent: number): number =>
  product(output.map((total, axis) => Math.ceil(total / (extent + 1 - (kernel[axis] as number)))))

/** Real numbers in a transformed tile: a Fourier transform has extent · (extent / 2 + 1) complex ones. */
export const numbersOf = (extent: number): number => (extent > 6 ? extent * (extent + 2) : extent * extent)

/** Filters of a group that are transformed with 64 points unasked: each takes 17 kB, so many 554 MB. */
export const MOST_FILTERS = 2 ** 15

/**
 * Points of the Fourier transforms, of which four rows and columns at least must be new: the smallest number that will do, or the next,
 * by the cheaper products. Of larger ones a kernel fills too little. 0 where none will do.
 */
export function fftExtent(problem: ConvProblem): number {
  const fits = [16, 32, 64].filter((extent) => Math.max(...planarOf(problem, extent).kernel) <= extent - 3)
  const isLarge = (problem.K * problem.C) / problem.groups > MOST_FILTERS
  const [first = 0, next = first] = fits.filter((extent) => extent < 64 || !isLarge || fits[0] === 64)
  // Every tile is multiplied by all filters, which are read once: that takes as long as some eight tiles.
  const products = (extent: number): number => {
    const planar = planarOf(problem, extent)
    return (tilesOf(planar, extent) * planar.N + 8) * numbersOf(extent)
  }
  return next !== first && products(next) < products(first) ? next : first
}
