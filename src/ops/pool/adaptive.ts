/**
 * Maximum and mean over a grid of windows that cover x, whatever its size: x (N, C, …) -> y (N, C, …outputSize). Window i
 * of m reaches from floor(i·n / m) to ceil((i + 1)·n / m); global pooling has one window for each map. The kernels are
 * those of max.ts and average.ts: the shape record tells them that windows are adaptive.
 */
import type { Op } from '../../autodiff/op.js'
import { adapt, cover, type OutputSize } from '../../plan/pool.js'
import type { Tensor } from '../../tensor/tensor.js'
import { averaging } from './average.js'
import { maximum } from './max.js'

const adaptiveAverage = (directions: number): Op<{ x: Tensor }, OutputSize> =>
  averaging(`adaptiveAvgPool${directions}d`, (name, x, size) => adapt(name, directions, x, size))
const adaptiveMaximum = (directions: number): Op<{ x: Tensor }, OutputSize, 'indices'> =>
  maximum(`adaptiveMaxPool${directions}d`, (name, x, size) => adapt(name, directions, x, size))

const adaptiveAvg1d = adaptiveAverage(1)
const adaptiveAvg2d = adaptiveAverage(2)
const adaptiveAvg3d = adaptiveAverage(3)
const adaptiveMax1d = adaptiveMaximum(1)
const adaptiveMax2d = adaptiveMaximum(2)
const adaptiveMax3d = adaptiveMaximum(3)
const globalAvg = averaging('globalAvgPool', (name, x, _: undefined) => cover(name, x))
const globalMax = maximum('globalMaxPool', (name, x, _: undefined) => cover(name, x))

/** Mean over outputSize windows that cover x (N, C, W) -> (N, C, Q). @throws ShapeError */
export function adaptiveAvgPool1d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvg1d({ x }, outputSize)
}

/**
 * Mean over a grid of windows that cover x, whatever its size: x (N, C, H, W) -> (N, C, …outputSize). Window i of m
 * reaches from floor(i·n / m) to ceil((i + 1)·n / m).
 * @throws ShapeError when shapes or options do not fit.
 */
export function adaptiveAvgPool2d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvg2d({ x }, outputSize)
}

/** Mean over a grid of windows that cover x (N, C, D, H, W) -> (N, C, …outputSize). @throws ShapeError */
export function adaptiveAvgPool3d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvg3d({ x }, outputSize)
}

/** Maximum over outputSize windows that cover x (N, C, W) -> (N, C, Q). @throws ShapeError */
export function adaptiveMaxPool1d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMax1d({ x }, outputSize)
}

/**
 * Maximum over a grid of windows that cover x, whatever its size: x (N, C, H, W) -> (N, C, …outputSize). Window i of m
 * reaches from floor(i·n / m) to ceil((i + 1)·n / m): [2, 2] gives one summary for each quadrant.
 * @throws ShapeError when shapes or options do not fit.
 */
export function adaptiveMaxPool2d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMax2d({ x }, outputSize)
}

/** Maximum over a grid of windows that cover x (N, C, D, H, W) -> (N, C, …outputSize). @throws ShapeError */
export function adaptiveMaxPool3d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMax3d({ x }, outputSize)
}

/** Mean of each map: x (N, C, …) of one to three directions -> (N, C, 1, …). @throws ShapeError */
export function globalAvgPool(x: Tensor): Tensor {
  return globalAvg({ x }, undefined)
}

/** Maximum of each map: x (N, C, …) of one to three directions -> (N, C, 1, …). @throws ShapeError */
export function globalMaxPool(x: Tensor): Tensor {
  return globalMax({ x }, undefined)
}
