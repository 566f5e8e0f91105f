/**
 * How far the windows of a convolution reach. Stride, dilation and padding may be as large as 2^31 − 1, so a padded input
 * can be far larger than every tensor. Two rules keep it from costing anything:
 *
 *  1. Taps that no output brings onto the input are dropped (`liveTapsOf`): what is left is a smaller convolution.
 *  2. Where the padded image would still be far larger than the tensors (`isWide`), only the direct algorithm is taken. There, and
 *     where next to no tap of a window meets the input (`skipsPadding`), it visits the pairs of taps and outputs that meet the
 *     input, and no padding.
 *
 * Positions are numbers below 2^53, which src/plan/window.ts checks, and exact.
 */
import { product, type ConvProblem } from './problem.js'

/** Elements of a padded image, and taps of a filter, up to which kernels can address them with 32-bit integers. */
const MOST_PADDED = 2 ** 29
const MOST_TAPS = 2 ** 28
/** Padded images up to so many elements are never called wide: they cost a few microseconds. */
const SMALL = 2 ** 14
/** A wide image has more than so many elements for each one of the input and the output. */
const WIDE = 16
/** Padded images up to so many elements keep the taps that meet no input, and with them the bits of the results. */
const KEPT = 2 ** 12

/** What tells how far windows reach. */
type Reaching = Pick<ConvProblem, 'C' | 'groups' | 'kernel' | 'input' | 'output' | 'stride' | 'dilation' | 'lo'>

/** Extents of the input that the windows reach, padding included. */
export const reachOf = ({ output, kernel, stride, dilation }: Reaching): number[] =>
  output.map(
    (total, axis) =>
      (total - 1) * (stride[axis] as number) + ((kernel[axis] as number) - 1) * (dilation[axis] as number) + 1,
  )

/** Elements of the padded image of one channel, or 0 if the windows stay within the input. */
export function paddedPixels(problem: Reaching): number {
  const { input, lo } = problem
  const reach = reachOf(problem)
  const padded = lo.some((zeros) => zeros > 0) || reach.some((extent, axis) => extent > (input[axis] as number))
  return padded ? product(reach) : 0
}

/** Whether the padded image is too large to be made: for its size, or against the input and the output. */
export function isWide(problem: Reaching): boolean {
  const { C, groups, kernel, input, output } = problem
  const pixels = paddedPixels(problem)
  if (pixels > MOST_PADDED || (C / groups) * product(kernel) > MOST_TAPS) return true
  return pixels > SMALL && pixels > WIDE * (product(input) + product(output))
}

/** Pixels that panels take at a time, for which in three dimensions the planes that they reach are padded: assembly/ops/conv/gemm.ts. */
const PIXEL_BLOCK = 512
/** Numbers padded for each product from which on that is too much. */
const COPIES = 8

/** Whether the planes of a volume are so large, against the filters, that padding them for each block of pixels is most of the work. */
export function copiesPlanes(problem: ConvProblem): boolean {
  const { K, groups, kernel } = problem
  if (kernel.length < 3 || paddedPixels(problem) === 0) return false
  const plane = product(reachOf(problem).slice(1))
  return plane > SMALL && plane > (COPIES * PIXEL_BLOCK * product(kernel.slice(1)) * K) / groups
}

/**
 * For each direction about how many pairs of a tap and an output meet the input, at most: a tap meets each element of the
 * input and each output once, and so does an output.
 */
export const meetings = ({ input, output, kernel }: ConvProblem): number =>
  product(
    input.map((n, axis) => {
      const [m, r] = [output[axis] as number, kernel[axis] as number]
      return Math.min(r * Math.min(n, m), m * Math.min(r, n))
    }),
  )

/** Pairs of a tap and an output of one map that may all be visited: 20 ms of the direct algorithm. */
const MANY_PAIRS = 2 ** 22
/** So many times the pairs that meet the input are too many: every other algorithm takes longer than the direct one for these. */
const SPARSE = 1024

/** Whether the direct algorithm visits only pairs of taps and outputs that meet the input. */
export function skipsPadding(problem: ConvProblem): boolean {
  const pairs = product(problem.kernel) * product(problem.output)
  return isWide(problem) || (pairs > MANY_PAIRS && pairs > SPARSE * meetings(problem))
}

/** A convolution without the taps that meet no input. */
export interface LiveTaps {
  /** The convolution that is left. */
  readonly problem: ConvProblem
  /** Along each direction the first tap that is kept, in the order of positions. */
  readonly first: readonly number[]
}

/** Taps first ≤ t ≤ last along one direction that can meet the input; one tap where none does. */
function liveAlong(problem: ConvProblem, axis: number): { first: number; last: number } {
  const at = (values: readonly number[]): number => values[axis] as number
  const [n, r, m, s, d] = [
    at(problem.input),
    at(problem.kernel),
    at(problem.output),
    at(problem.stride),
    at(problem.dilation),
  ]
  const lo = at(problem.lo)
  // Output i brings tap t to i·s + t·d − lo, with 0 ≤ i < m. The input begins at 0 and ends before n.
  const last = Math.min(r - 1, Math.floor((n - 1 + lo) / d))
  // The first tap stays at or before the input, so that padding does not become negative.
  const first = Math.max(0, Math.min(Math.ceil((lo - (m - 1) * s) / d), Math.floor(lo / d), last))
  return { first, last }
}

/** The convolution without the taps that meet no input, or undefined where there are none, or it is small. */
export function liveTapsOf(problem: ConvProblem): LiveTaps | undefined {
  if (paddedPixels(problem) <= KEPT) return undefined
  const ranges = problem.input.map((_, axis) => liveAlong(problem, axis))
  const kernel = ranges.map(({ first, last }) => last - first + 1)
  const { output, input } = problem
  if (kernel.every((extent, axis) => extent === problem.kernel[axis])) return undefined
  const first = ranges.map((range) => range.first)
  const lo = problem.lo.map((zeros, axis) => zeros - (first[axis] as number) * (problem.dilation[axis] as number))
  // One output has no stride, one tap no dilation.
  const stride = problem.stride.map((step, axis) => (output[axis] === 1 ? 1 : step))
  const dilation = problem.dilation.map((step, axis) => (kernel[axis] === 1 ? 1 : step))
  const left = { ...problem, kernel, lo, stride, dilation }
  const hi = reachOf(left).map((extent, axis) => Math.max(0, extent - (input[axis] as number) - (lo[axis] as number)))
  return { problem: { ...left, hi }, first }
}
