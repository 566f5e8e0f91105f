/**
 * The ways in which the forward pass of a matrix product gathers the patches of the image: variants of the algorithm 'gemm'. They add
 * the products of an output in different orders, so which one is taken is a function of the shapes, as the algorithm is.
 */
import { gemm, tile } from '../runtime/generated/constants.js'
import { currentSimd } from '../runtime/core.js'
import { product, type ConvProblem } from './problem.js'

/** A variant of an algorithm, which can do all that the algorithm can unless it says otherwise. */
export interface Variant {
  /** Whether it can do a problem. */
  possible?(problem: ConvProblem): boolean
  /** Whether it is taken unasked where it can do a problem. */
  suits?(problem: ConvProblem): boolean
}

const { COLUMNS } = tile

/** Taps of a kernel whose gathering counts, at most. */
const MOST_TAPS = 128

/** Rows of a register tile in the core that is loaded. */
export const tileRows = (): number => tile.ROWS[currentSimd()]

const tapsOf = ({ C, groups, kernel }: ConvProblem): number => (C / groups) * product(kernel)

/** The ways of gathering. Of those that can do a problem and suit it the first is taken. */
export const gatherings = {
  /**
   * Each row of the image once for all rows of the kernel that read it: products are added in the order (r, c, s) of the taps. For
   * kernels of few taps, whose gathering counts, and rows of outputs that panels fill, or but for half a panel where there are few
   * filters.
   */
  rows: {
    possible: (problem) => {
      const { flip, kernel, output, stride, dilation } = problem
      const isFlat = kernel.length > 1 && product([...kernel.slice(0, -2), ...output.slice(0, -2)]) === 1
      return (
        isFlat &&
        !flip &&
        stride.at(-2) === 1 &&
        dilation.at(-2) === 1 &&
        (output.at(-1) as number) <= gemm.SHORT_PANELS * COLUMNS &&
        tapsOf(problem) <= gemm.TAP_BLOCK
      )
    },
    suits: (problem) => {
      const { K, groups, kernel, output } = problem
      const Q = output.at(-1) as number
      const half = Q % COLUMNS === COLUMNS / 2 && Q > 12 && K / groups <= 2 * tileRows()
      return kernel.at(-2) !== 1 && tapsOf(problem) <= MOST_TAPS && (Q % COLUMNS === 0 || half)
    },
  },
  /** Each patch for itself: products are added in the order (c, r, s) of the taps. */
  patches: {},
} as const satisfies Record<string, Variant>

/** The ways of gathering by their names. */
export type Gathering = keyof typeof gatherings

/** The way in which patches are gathered unasked: the first of the table that can do a problem and suits it. */
export const gatheringOf = (problem: ConvProblem): Gathering =>
  (Object.keys(gatherings) as Gathering[]).find((name) => {
    const { possible, suits }: Variant = gatherings[name]
    return possible?.(problem) !== false && suits?.(problem) !== false
  }) as Gathering
