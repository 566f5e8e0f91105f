/**
 * Maximum over groups of channels: x (N, C, …) -> y (N, C / groupSize, …). A group is a map (groupSize, pixels), pooled
 * along its first direction by the kernels of max.ts.
 */
import { makePool, plainAxis, type Pool } from '../../plan/pool.js'
import { ShapeError } from '../../runtime/errors.js'
import { inWords } from '../../runtime/text.js'
import { showShape, sizeOf, type Shape } from '../../tensor/shape.js'
import type { Tensor } from '../../tensor/tensor.js'
import { maximum } from './max.js'
import { withArity } from '../../runtime/options.js'

/** The pooling that maxout is. @throws ShapeError when groupSize does not divide the channels. */
export function describeMaxout(name: string, x: Shape, groupSize: number): Pool {
  const [N, C, ...spatial] = x as readonly [number, number, ...number[]]
  if (x.length < 2) throw new ShapeError(`${name}: x must be (N, C, …), given ${showShape(x)}`)
  if (!Number.isInteger(groupSize) || groupSize < 1 || C % groupSize !== 0) {
    throw new ShapeError(`${name}: groupSize must divide the ${C} channels of x, given ${inWords(groupSize)}`)
  }
  const pixels = sizeOf(spatial)
  const axes = [plainAxis(groupSize, groupSize, 1), plainAxis(pixels, 1, pixels)]
  return makePool(name, x, [N, C / groupSize, ...spatial], axes)
}

const maxoutOp = maximum('maxout', describeMaxout)

/**
 * Maximum over groups of `groupSize` neighbouring channels: x (N, C, …) -> (N, C / groupSize, …) (Goodfellow et al.,
 * "Maxout networks", 2013).
 *
 *     maxout(x, 2)                                         // (8, 6, 10, 10) -> (8, 3, 10, 10)
 *
 * @throws ShapeError when groupSize does not divide C.
 */
export const maxout = withArity('maxout', 2, (x: Tensor, groupSize: number) => maxoutOp({ x }, groupSize))
