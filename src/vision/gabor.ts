/**
 * Gabor functions, the weights of simple cells in the primary visual cortex, equations (9.16) to (9.18): a wave under a
 * Gaussian window, turned by an angle.
 */
import { perDirection } from '../plan/window.js'
import { kernels } from '../runtime/core.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { tensor } from '../tensor/create.js'
import type { Tensor } from '../tensor/tensor.js'

/** An exponential and a cosine are computed for each pixel: as many as a Gaussian window of `weightedPool2d` may have. */
const MOST_PIXELS = 2 ** 22

/** Parameters of a Gabor function (9.16 to 9.18), in pixels and radians. */
export interface GaborOptions {
  /** Extents (R, S) in pixels, or one for both. */
  readonly size: number | readonly number[]
  /** Magnitude α. Default 1. */
  readonly alpha?: number
  /** How fast the window falls along the wave and across it: βx and βy, in 1/pixel². Default 0.1. */
  readonly betaX?: number
  /** As `betaX`, across the wave. Default 0.1. */
  readonly betaY?: number
  /** Frequency f of the wave, in radians per pixel. Default 1. */
  readonly frequency?: number
  /** Phase φ of the wave at the centre, in radians. Default 0. */
  readonly phase?: number
  /** Direction τ of the wave, in radians from the horizontal. Default 0. */
  readonly tau?: number
  /** Centre (x0, y0) in pixels: columns and rows from the first one. Default: the middle. */
  readonly centre?: readonly [x0: number, y0: number]
}

const gaborNames = {
  size: 0,
  alpha: 0,
  betaX: 0,
  betaY: 0,
  frequency: 0,
  phase: 0,
  tau: 0,
  centre: 0,
} satisfies Names<GaborOptions>

/**
 * w(x, y) = α · exp(−βx·x′² − βy·y′²) · cos(f·x′ + φ) (9.16), with x′ = (x − x0)·cos τ + (y − y0)·sin τ (9.17) and
 * y′ = −(x − x0)·sin τ + (y − y0)·cos τ (9.18), as a tensor (R, S): row y, column x. The same bits everywhere.
 * @throws ShapeError when an option is not a finite number, the size not whole, or above 2^22 pixels.
 */
export function gabor(options: GaborOptions): Tensor {
  checkCount('gabor', 1, arguments)
  checkKeys('gabor', options ?? null, gaborNames)
  const [R, S] = perDirection(options.size, 2, 1, 'gabor: size') as [number, number]
  const { alpha = 1, betaX = 0.1, betaY = 0.1, frequency = 1, phase = 0, tau = 0 } = options
  const { centre = [(S - 1) / 2, (R - 1) / 2] as const } = options
  const [x0, y0] = Array.isArray(centre) ? (centre as readonly [number, number]) : [Number.NaN, Number.NaN]
  for (const [name, value] of Object.entries({ alpha, betaX, betaY, frequency, phase, tau, x0, y0 })) {
    if (!Number.isFinite(value))
      throw new ArgumentError(`gabor: ${name} must be a finite number, given ${inWords(value)}`)
  }
  if (R * S > MOST_PIXELS) {
    throw new ShapeError(`gabor: size ${R} × ${S} has ${R * S} pixels; at most ${MOST_PIXELS} are computed`)
  }
  const k = kernels('gabor')
  const [cosine, sine] = [k.scalar_cos(tau), k.scalar_sin(tau)]
  const values = Float32Array.from({ length: R * S }, (_, i) => {
    const x = (i % S) - x0
    const y = Math.floor(i / S) - y0
    const along = x * cosine + y * sine
    const across = y * cosine - x * sine
    const window = k.scalar_exp(-betaX * along * along - betaY * across * across)
    return alpha * window * k.scalar_cos(frequency * along + phase)
  })
  return tensor(values, [R, S])
}
