/**
 * Which algorithm computes a convolution: a pure function of the shapes. A new algorithm is one more entry of
 * `algorithms`; tests and benchmarks iterate the table.
 */
import { UnsupportedError } from '../runtime/errors.js'
import { threeDirections, type Windows } from './window.js'

export type ConvPass = 'fwd' | 'dx' | 'dw'

/** A convolution with all extents known. Spatial extents are those of one to three directions. */
export interface ConvProblem extends Windows {
  readonly N: number
  readonly C: number
  readonly K: number
  readonly groups: number
  readonly flip: boolean
}

interface Algorithm {
  /** Why the algorithm cannot do this, or undefined if it can. */
  unsupported(problem: ConvProblem, pass: ConvPass): string | undefined
  /** Estimated time in arbitrary units, comparable between algorithms. */
  cost(problem: ConvProblem, pass: ConvPass): number
}

const product = (values: readonly number[]): number => values.reduce((total, value) => total * value, 1)

/** Multiply-adds of one pass. */
export function multiplyAdds(problem: ConvProblem): number {
  const { N, C, K, groups, kernel, output } = problem
  return N * K * (C / groups) * product(kernel) * product(output)
}

export const algorithms = {
  /** Loops over the definition: no workspace, one multiply-add at a time. */
  direct: {
    unsupported: () => undefined,
    cost: (problem) => multiplyAdds(problem) * 8,
  },
  /** Panels of patches times packed weights, 4 × 8 register tiles; both edges are rounded up. */
  gemm: {
    unsupported: () => undefined,
    cost: (problem, pass) => {
      const { N, C, K, groups, kernel, output } = problem
      const taps = (C / groups) * product(kernel)
      const pixels = product(output)
      const rows = K / groups
      const up = (value: number, to: number): number => Math.ceil(value / to) * to
      const tile = {
        fwd: up(rows, 4) * up(pixels, 8) * taps,
        dx: up(taps, 4) * up(pixels, 8) * rows,
        dw: up(rows, 4) * up(taps, 8) * pixels,
      }
      const gathered = { fwd: taps * up(pixels, 8), dx: 2 * up(taps, 4) * up(pixels, 8), dw: up(taps, 8) * pixels }
      return N * groups * (tile[pass] + 6 * gathered[pass]) + 4 * groups * rows * taps + 2000
    },
  },
} as const satisfies Record<string, Algorithm>

export type ConvAlgorithm = keyof typeof algorithms

const names = Object.keys(algorithms) as ConvAlgorithm[]

/** The algorithms that can do a pass. */
export const algorithmsFor = (problem: ConvProblem, pass: ConvPass): ConvAlgorithm[] =>
  names.filter((name) => (algorithms[name] as Algorithm).unsupported(problem, pass) === undefined)

/** The cheapest algorithm, or the one that was asked for. @throws UnsupportedError when that one cannot do it. */
export function planConv(
  problem: ConvProblem,
  pass: ConvPass,
  requested: ConvAlgorithm | 'auto' = 'auto',
): ConvAlgorithm {
  const possible = algorithmsFor(problem, pass)
  if (requested !== 'auto') {
    if (possible.includes(requested)) return requested
    const reason = names.includes(requested)
      ? (algorithms[requested] as Algorithm).unsupported(problem, pass)
      : 'there is no such algorithm'
    throw new UnsupportedError(
      `convolution: algorithm '${requested}' cannot do this (${reason}); use ${possible.join(', ')} or auto`,
    )
  }
  const cost = (name: ConvAlgorithm): number => (algorithms[name] as Algorithm).cost(problem, pass)
  return possible.reduce((best, name) => (cost(name) < cost(best) ? name : best))
}

/** Position of each field of ConvShape in assembly/ops/conv/shape.ts. */
export function encodeConv(problem: ConvProblem, bias: 'none' | 'channel' | 'location'): number[] {
  const { N, C, K, groups, flip, input, kernel, output, stride, lo, dilation } = problem
  return [
    N,
    C,
    K,
    groups,
    ...threeDirections(input, 1),
    ...threeDirections(kernel, 1),
    ...threeDirections(output, 1),
    ...threeDirections(stride, 1),
    ...threeDirections(lo, 0),
    ...threeDirections(dilation, 1),
    flip ? 1 : 0,
    ['none', 'channel', 'location'].indexOf(bias),
  ]
}
