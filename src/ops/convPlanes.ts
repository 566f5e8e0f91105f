/**
 * Copies between a convolution of one or three directions and the convolution of two directions that it is (`planarOf` of
 * src/plan/problem.ts). Of one direction, rows are filled with zeros; of three, two axes change places.
 */
import type { ConvProblem } from '../plan/conv.js'
import { after, type CallList, type Place } from '../runtime/calls.js'
import { sizeOf } from '../tensor/shape.js'
import { copyStrided } from './layout.js'

/** Where the elements of an operand are among those of the operand of the convolution of two directions, which has zeros besides. */
interface Part {
  /** Elements of the latter. */
  readonly size: number
  readonly extents: readonly number[]
  /** Strides in the latter; where they are left out, its elements lie side by side. */
  readonly planar?: readonly number[]
  /** Strides in the former. */
  readonly own?: readonly number[]
  /** The first element of it in the latter, and in the former. */
  readonly at?: number
  readonly from?: number
}

/** Lists the operand of the convolution of two directions. */
export function toPlanes(list: CallList, part: Part | undefined, x: Place): Place {
  if (!part) return x
  const { size, extents, planar, own, at = 0, from = 0 } = part
  const y = list.block(4 * size) as Place
  if (planar) list.fill(y, size, 0)
  copyStrided(list, { extents, yStrides: planar, xStrides: own }, after(y, 4 * at), after(x, 4 * from))
  return y
}

/** Lists an operand of the convolution that was asked for, from the one that `write` lists. */
export function fromPlanes(list: CallList, part: Part | undefined, y: Place, write: (y: Place) => void): void {
  if (!part) {
    write(y)
    return
  }
  const { size, extents, planar, own, at = 0 } = part
  const x = list.block(4 * size) as Place
  write(x)
  copyStrided(list, { extents, yStrides: own, xStrides: planar }, y, after(x, 4 * at))
}

/** Rows of `count` elements in rows of `length`, from `at` on. */
const rowsOf = (rows: number, count: number, length: number, at = 0): Part => ({
  size: rows * length,
  extents: [rows, count],
  planar: [length, 1],
  at,
})

/** (others, B, A, size) as (others, A, B, size). */
const swapped = (others: number, B: number, A: number, size: number): Part => ({
  size: others * A * B * size,
  extents: [others, A, B, size],
  own: [A * B * size, size, A * size, 1],
})

/** The outputs of a convolution (N, K, …). */
export function outputsIn({ N, K, output }: ConvProblem, planar: ConvProblem): Part | undefined {
  const size = sizeOf(planar.output)
  const [O] = output as [number]
  return output.length === 3 ? swapped(N, K, O, size) : output.length === 1 ? rowsOf(N * K, O, size) : undefined
}

/**
 * The weights of a convolution (K, C/G, …): of a flipped kernel of one direction, the zeros are before the taps. `transposed`: those of
 * its input gradient, whose channels are this one's outputs.
 */
export function weightsIn(
  { K, C, groups, kernel, flip }: ConvProblem,
  planar: ConvProblem,
  transposed = false,
): Part | undefined {
  const size = sizeOf(planar.kernel)
  const [T] = kernel as [number]
  if (kernel.length === 1) return rowsOf((K * C) / groups, T, size, flip ? size - T : 0)
  return kernel.length === 3 && transposed ? swapped(C, K / groups, T, size) : undefined
}

/** Lists the input of the convolution of two directions. */
export function planesIn(list: CallList, problem: ConvProblem, planar: ConvProblem, x: Place): Place {
  const { N, C, flip, kernel, input, output, lo } = problem
  if (kernel.length === 2) return x
  const [T, O, n, zeros] = [kernel, output, input, lo].map(([extent]) => extent) as [number, number, number, number]
  const [rows, columns] = planar.input as [number, number]
  const step = planar.kernel[1] as number
  const line = kernel.length === 1
  const unit = line ? 1 : rows * columns
  const whole = line ? (rows - 1) * step + columns : (O + T - 1) * unit
  const extents = line ? [N * C, rows, columns] : [N, O, C, T, unit]
  // Flipped, the first tap reads the last plane.
  const [first, along] = flip ? [T - 1, -unit] : [0, unit]
  return toPlanes(
    list,
    {
      size: sizeOf(extents),
      extents,
      ...(line ? { own: [whole, step, 1] } : { own: [C * whole, unit, whole, along, 1], from: first * unit }),
    },
    toPlanes(list, rowsOf(N * C, n * unit, whole, zeros * unit), x),
  )
}
