/** Where a matrix product gathers its patches by rows of the image, and how many rows of outputs each block has. */
import { gemm, tile } from '../runtime/generated/constants.js'
import { currentSimd } from '../runtime/core.js'
import { product, type ConvProblem } from './problem.js'

/** Taps of a kernel whose gathering counts, at most. */
const MOST_TAPS = 128

/** Rows of a register tile in the core that is loaded. */
export const tileRows = (): number => tile.ROWS[currentSimd()]

/**
 * Whether each row of the image is gathered once for all rows of the kernel that read it: for kernels of few taps, whose
 * gathering counts, and rows of outputs that panels fill, or but for half a panel where there are few filters.
 */
export function isRowwise({ C, K, groups, flip, kernel, output, stride, dilation }: ConvProblem): boolean {
  const [R = 1] = kernel.slice(-2)
  const isFlat = kernel.length > 1 && product([...kernel.slice(0, -2), ...output.slice(0, -2)]) === 1
  if (!isFlat || R === 1 || flip || stride.at(-2) !== 1 || dilation.at(-2) !== 1) return false
  const { COLUMNS } = tile
  const Q = output.at(-1) as number
  const half = Q % COLUMNS === COLUMNS / 2 && Q > 12 && K / groups <= 2 * tileRows()
  if (Q % COLUMNS !== 0 && !half) return false
  return (C / groups) * product(kernel) <= MOST_TAPS && Q <= gemm.SHORT_PANELS * COLUMNS
}
