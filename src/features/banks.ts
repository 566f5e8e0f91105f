/**
 * Filters that need no data: drawn at random, or made by hand as models of cells in the visual system. All of them are
 * weights (K, C, R, S) of an ordinary convolution, each filter with the sum 0 and the Euclidean norm 1, so that none of
 * them responds to plain brightness and all respond to contrast alike.
 *
 * - Random filters: Jarrett et al. 2009, Saxe et al. 2011; Goodfellow et al., section 9.9.
 * - Gabor functions, simple cells of the primary visual cortex: equations (9.16) to (9.18).
 * - Differences of Gaussians, ganglion cells of the retina with an on- or an off-centre: Rodieck 1965; Marr & Hildreth 1980.
 */
import { perDirection, MOST } from '../plan/window.js'
import { kernels } from '../runtime/core.js'
import { checkWhole } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { checkSeed, checkStream, normal, tensor, type RandomOptions } from '../tensor/create.js'
import { showShape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { gabor } from '../vision/gabor.js'
import { checkNumbers, checkPositive } from './check.js'

/** What every bank of filters is told. */
export interface BankOptions {
  /** Extents (R, S) of a filter in pixels, or one for both. */
  readonly size: number | readonly number[]
  /** C, channels of the pictures. Default 1. */
  readonly channels?: number
}

/** Options of `randomFilters`. */
export interface RandomFilterOptions extends BankOptions, RandomOptions {
  /** K, how many filters are drawn. */
  readonly filters: number
}

/** Options of `gaborBank`. */
export interface GaborBankOptions extends BankOptions {
  /** How many directions of the wave there are, evenly spaced over half a turn. Default 8. */
  readonly orientations?: number
  /** Frequencies of the wave, in radians per pixel. Default [π/2, π/3]. */
  readonly frequencies?: readonly number[]
  /** Phases of the wave at the centre, in radians. Default [0, π/2, π, 3π/2]: even and odd filters and their negatives. */
  readonly phases?: readonly number[]
  /** Standard deviation of the window along the wave, in wavelengths. Default 0.56: a bandwidth of one octave. */
  readonly bandwidth?: number
  /** Extent of the window along the wave by that across it. Default 0.5. */
  readonly aspect?: number
}

/** Options of `differenceOfGaussians`. */
export interface DifferenceOfGaussiansOptions extends BankOptions {
  /** Standard deviations of the centres, in pixels. Default [0.8]. */
  readonly sigmas?: readonly number[]
  /** Standard deviation of the surround by that of the centre. Default 1.6, close to a Laplacian. */
  readonly ratio?: number
}

const bankNames = { size: 0, channels: 0 } satisfies Names<BankOptions>
const randomNames = { filters: 0, seed: 0, stream: 0 } satisfies Names<Omit<RandomFilterOptions, keyof BankOptions>>
const gaborNames = { orientations: 0, frequencies: 0, phases: 0, bandwidth: 0, aspect: 0 } satisfies Names<
  Omit<GaborBankOptions, keyof BankOptions>
>
const differenceNames = { sigmas: 0, ratio: 0 } satisfies Names<Omit<DifferenceOfGaussiansOptions, keyof BankOptions>>

/** Weights of the largest bank that is drawn, and pixels of the largest that is computed, with an exponential for each. */
const MOST_DRAWN = 2 ** 26
const MOST_COMPUTED = 2 ** 22

/** The extents of a bank (K, C, R, S), checked. @throws ShapeError */
function extentsOf(
  { size, channels = 1 }: BankOptions,
  filters: number,
  most: number,
  name: string,
): [number, number, number, number] {
  const [R, S] = perDirection(size, 2, 1, `${name}: size`) as [number, number]
  const C = checkWhole(channels, `${name}: channels`, 1, MOST)
  if (R * S < 2) throw new ShapeError(`${name}: filters of 1 × 1 pixel have no contrast; use a size of 2 or more`)
  const count = filters * C * R * S
  if (!(count <= most)) {
    throw new ShapeError(`${name}: ${showShape([filters, C, R, S])} are ${count} weights; at most ${most} are made`)
  }
  return [filters, C, R, S]
}

/** Takes the mean off values and scales them to the norm 1. @throws ArgumentError when nothing is left of them */
function normalize(values: Float32Array, name: string, what: string): void {
  let sum = 0
  for (const value of values) sum += value
  const mean = sum / values.length
  let squares = 0
  for (const value of values) squares += (value - mean) * (value - mean)
  const norm = Math.sqrt(squares)
  // Below this, what is left is rounding.
  if (!(norm > 1e-5)) throw new ArgumentError(`${name}: ${what} is the same at every pixel; use a larger size`)
  for (let i = 0; i < values.length; i++) values[i] = ((values[i] as number) - mean) / norm
}

/** A bank of planes (R, S), each repeated for every channel. */
function bankOf(planes: readonly Float32Array[], shape: readonly number[], name: string): Tensor {
  const [, C = 1, R = 1, S = 1] = shape
  const values = new Float32Array(planes.length * C * R * S)
  planes.forEach((plane, k) => {
    normalize(plane, name, `filter ${k}`)
    // Over C equal planes the norm is √C times that of one.
    const scaled = plane.map((value) => value / Math.sqrt(C))
    for (let c = 0; c < C; c++) values.set(scaled, (k * C + c) * R * S)
  })
  return tensor(values, shape)
}

/**
 * Filters of independent normal numbers, as weights (K, C, R, S), each with the sum 0 and the norm 1. The same seed and
 * stream give the same bits everywhere.
 *
 * @example
 * const weights = randomFilters({ filters: 32, size: 5, channels: 3, seed: 1 }) // (32, 3, 5, 5)
 * @throws ShapeError when an option does not fit
 */
export function randomFilters(options: RandomFilterOptions): Tensor {
  checkCount('randomFilters', 1, arguments)
  needKeys('randomFilters', options, bankNames, randomNames)
  const { seed = 0, stream = 0 } = options
  const K = checkWhole(options.filters, 'randomFilters: filters', 1, MOST)
  const shape = extentsOf(options, K, MOST_DRAWN, 'randomFilters')
  checkSeed(seed, 'randomFilters')
  checkStream(stream, 'randomFilters')
  const drawn = normal(shape, { seed, stream })
  const values = drawn.data()
  drawn.dispose()
  const length = values.length / K
  for (let k = 0; k < K; k++) normalize(values.subarray(k * length, (k + 1) * length), 'randomFilters', `filter ${k}`)
  return tensor(values, shape)
}

/**
 * A bank of Gabor functions (9.16 to 9.18) as weights (K, C, R, S), with K = frequencies × orientations × phases, in this
 * order, the phases changing fastest. The window is as wide as the wavelength asks for, and every channel has the same plane.
 *
 * @example
 * const weights = gaborBank({ size: 7, orientations: 4, frequencies: [1.5], phases: [0, Math.PI / 2] }) // (8, 1, 7, 7)
 * @throws ShapeError when an option does not fit
 */
export function gaborBank(options: GaborBankOptions): Tensor {
  checkCount('gaborBank', 1, arguments)
  needKeys('gaborBank', options, bankNames, gaborNames)
  const { bandwidth = 0.56, aspect = 0.5 } = options
  const orientations = checkWhole(options.orientations ?? 8, 'gaborBank: orientations', 1, 4096)
  const frequencies = checkNumbers(options.frequencies ?? [Math.PI / 2, Math.PI / 3], 'gaborBank: frequencies', true)
  const quarter = Math.PI / 2
  const phases = checkNumbers(options.phases ?? [0, quarter, 2 * quarter, 3 * quarter], 'gaborBank: phases', false)
  checkPositive(bandwidth, 'gaborBank: bandwidth')
  checkPositive(aspect, 'gaborBank: aspect')
  const shape = extentsOf(options, frequencies.length * orientations * phases.length, MOST_COMPUTED, 'gaborBank')
  const size = shape.slice(2)
  const planes = frequencies.flatMap((frequency) => {
    // β = 1 / (2σ²), and σ is so many wavelengths of 2π / f.
    const sigma = (bandwidth * 2 * Math.PI) / frequency
    const betaX = 1 / (2 * sigma * sigma)
    const betaY = betaX * aspect * aspect
    return Array.from({ length: orientations }, (_, n) => (n * Math.PI) / orientations).flatMap((tau) =>
      phases.map((phase) => scope(() => gabor({ size, betaX, betaY, frequency, phase, tau }).data())),
    )
  })
  return bankOf(planes, shape, 'gaborBank')
}

/**
 * Cells with an on-centre and an off-centre: a narrow Gaussian less a wide one, and its negative, for each of the sigmas.
 * Weights (2 · sigmas, C, R, S): those with an on-centre come first. Every channel has the same plane.
 *
 * @example
 * const weights = differenceOfGaussians({ size: 7, sigmas: [0.8, 1.2] }) // (4, 1, 7, 7): on, on, off, off
 * @throws ShapeError when an option does not fit
 */
export function differenceOfGaussians(options: DifferenceOfGaussiansOptions): Tensor {
  checkCount('differenceOfGaussians', 1, arguments)
  needKeys('differenceOfGaussians', options, bankNames, differenceNames)
  const name = 'differenceOfGaussians'
  const sigmas = checkNumbers(options.sigmas ?? [0.8], `${name}: sigmas`, true)
  const { ratio = 1.6 } = options
  if (!(checkPositive(ratio, `${name}: ratio`) > 1)) {
    throw new ArgumentError(`${name}: ratio must be above 1, so that the surround is wider, given ${ratio}`)
  }
  const shape = extentsOf(options, 2 * sigmas.length, MOST_COMPUTED, name)
  const [, , R, S] = shape
  const { scalar_exp: exp } = kernels(name)
  /** A Gaussian around the middle, with the sum 1 over the window. */
  const gaussian = (sigma: number): Float64Array => {
    const values = Float64Array.from({ length: R * S }, (_, i) => {
      const [x, y] = [(i % S) - (S - 1) / 2, Math.floor(i / S) - (R - 1) / 2]
      return exp(-(x * x + y * y) / (2 * sigma * sigma))
    })
    let sum = 0
    for (const value of values) sum += value
    return values.map((value) => value / sum)
  }
  const on = sigmas.map((sigma) => {
    const [centre, surround] = [gaussian(sigma), gaussian(ratio * sigma)]
    return Float32Array.from(centre, (value, i) => value - (surround[i] as number))
  })
  const off = on.map((plane) => plane.map((value) => -value))
  return bankOf([...on, ...off], shape, name)
}
