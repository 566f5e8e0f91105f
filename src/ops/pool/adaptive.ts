/**
 * Maximum and mean over a grid of windows that cover x, whatever its size: x (N, C, …) -> y (N, C, …outputSize). Window i
 * of m reaches from floor(i·n / m) to ceil((i + 1)·n / m); global pooling has one window for each map. The kernels are
 * those of max.ts and average.ts: the shape record tells them that windows are adaptive.
 */
import { adapt, cover, type Describe, type OutputSize } from '../../plan/pool.js'
import { withArity } from '../../runtime/options.js'
import type { Tensor } from '../../tensor/tensor.js'
import { averaging } from './average.js'
import { maximum } from './max.js'

/** Mean or maximum over a grid of windows in so many directions. */
/* @__NO_SIDE_EFFECTS__ */
function adaptive(kind: 'Avg' | 'Max', directions: number): (x: Tensor, outputSize: OutputSize) => Tensor {
  const name = `adaptive${kind}Pool${directions}d`
  const describe: Describe<OutputSize> = (_, x, size) => adapt(name, directions, x, size)
  const op = kind === 'Avg' ? averaging(name, describe) : maximum(name, describe)
  return withArity(name, 2, (x: Tensor, outputSize: OutputSize) => op({ x }, outputSize))
}

const globalAvg = averaging('globalAvgPool', (name, x, _: undefined) => cover(name, x))
const globalMax = maximum('globalMaxPool', (name, x, _: undefined) => cover(name, x))

/**
 * Mean over outputSize windows that cover x (N, C, W) -> (N, C, Q).
 *
 *     adaptiveAvgPool1d(x, 4)                              // (8, 2, 10) -> (8, 2, 4)
 *
 * @throws ShapeError
 */
export const adaptiveAvgPool1d = adaptive('Avg', 1)

/**
 * Mean over a grid of windows that cover x, whatever its size: x (N, C, H, W) -> (N, C, …outputSize). Window i of m
 * reaches from floor(i·n / m) to ceil((i + 1)·n / m).
 *
 *     adaptiveAvgPool2d(x, [7, 7])                         // (8, 2, 10, 13) -> (8, 2, 7, 7)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const adaptiveAvgPool2d = adaptive('Avg', 2)

/**
 * Mean over a grid of windows that cover x (N, C, D, H, W) -> (N, C, …outputSize).
 *
 *     adaptiveAvgPool3d(x, 2)                              // (1, 2, 5, 6, 7) -> (1, 2, 2, 2, 2)
 *
 * @throws ShapeError
 */
export const adaptiveAvgPool3d = adaptive('Avg', 3)

/**
 * Maximum over outputSize windows that cover x (N, C, W) -> (N, C, Q).
 *
 *     adaptiveMaxPool1d(x, 4)                              // (8, 2, 10) -> (8, 2, 4)
 *
 * @throws ShapeError
 */
export const adaptiveMaxPool1d = adaptive('Max', 1)

/**
 * Maximum over a grid of windows that cover x, whatever its size: x (N, C, H, W) -> (N, C, …outputSize). Window i of m
 * reaches from floor(i·n / m) to ceil((i + 1)·n / m): [2, 2] gives one summary for each quadrant.
 *
 *     adaptiveMaxPool2d(x, [2, null])                      // (8, 2, 10, 13) -> (8, 2, 2, 13)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const adaptiveMaxPool2d = adaptive('Max', 2)

/**
 * Maximum over a grid of windows that cover x (N, C, D, H, W) -> (N, C, …outputSize).
 *
 *     adaptiveMaxPool3d(x, 2)                              // (1, 2, 5, 6, 7) -> (1, 2, 2, 2, 2)
 *
 * @throws ShapeError
 */
export const adaptiveMaxPool3d = adaptive('Max', 3)

/**
 * Mean of each map: x (N, C, …) of one to three directions -> (N, C, 1, …).
 *
 *     globalAvgPool(x)                                     // (8, 2, 10, 13) -> (8, 2, 1, 1)
 *
 * @throws ShapeError
 */
export const globalAvgPool = withArity('globalAvgPool', 1, (x: Tensor) => globalAvg({ x }, undefined))

/**
 * Maximum of each map: x (N, C, …) of one to three directions -> (N, C, 1, …).
 *
 *     globalMaxPool(x)                                     // (8, 2, 10, 13) -> (8, 2, 1, 1)
 *
 * @throws ShapeError
 */
export const globalMaxPool = withArity('globalMaxPool', 1, (x: Tensor) => globalMax({ x }, undefined))
