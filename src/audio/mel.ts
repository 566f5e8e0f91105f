/**
 * Spectrograms along a scale of pitch, as the ear has one: mel (Stevens, Volkmann & Newman 1937) by overlapping triangles over the
 * frequencies of an STFT.
 */
import { conv1d } from '../ops/conv.js'
import { clamp, log, mul } from '../ops/elementwise.js'
import { checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { kernels } from '../runtime/core.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { frameNames, framesOf, powerOf, soundRows, spectrum, type FrameOptions } from './stft.js'

/** Options of `melFilters`. */
export interface MelFilterOptions {
  /** Samples in a second. */
  readonly sampleRate: number
  /** Samples of a frame of the STFT. */
  readonly size: number
  /** Triangles. Default 128. */
  readonly bands?: number
  /** Where the first triangle begins, in Hz. Default 0. */
  readonly from?: number
  /** Where the last one ends, in Hz. Default half the sample rate. */
  readonly to?: number
  /**
   * 'htk': 2595 · log10(1 + f / 700); 'slaney': linear up to 1000 Hz, logarithmic above. Default 'htk'.
   */
  readonly scale?: 'htk' | 'slaney'
  /** 'slaney': each triangle has the area 1 over Hz; 'none': each has the height 1. Default 'none'. */
  readonly normalize?: 'slaney' | 'none'
}

/** Options of `melSpectrogram`. */
export interface MelSpectrogramOptions extends FrameOptions, MelFilterOptions {
  /** 'power': sums of |X|²; 'log': their natural logarithms; 'decibel': 10 · log10 of them. Default 'power'. */
  readonly output?: (typeof outputs)[number]
  /** Powers below this count as this where logarithms are taken. Default 1e-10. */
  readonly floor?: number
}

const outputs = ['power', 'log', 'decibel'] as const

const bandNames = { sampleRate: 0, size: 0, bands: 0, from: 0, to: 0, scale: 0, normalize: 0 } satisfies Names<
  Required<MelFilterOptions>
>

/** Decibels of a natural logarithm: 10 / ln 10. */
const DECIBELS = 10 / Math.LN10

/** The natural logarithm of x ≥ 1 by the core's exponential, the same everywhere: Halley's steps, each exact where e^y = x. */
function logarithm(x: number): number {
  const { scalar_exp: exp } = kernels('melFilters')
  let y = 0
  // A step is below 2, and the error of the last ones falls with its third power.
  for (let step = 0; step < 64; step++) {
    const power = exp(y)
    y += (2 * (x - power)) / (x + power)
  }
  return y
}

/** From Hz to mel and back. */
interface Scale {
  readonly of: (frequency: number) => number
  readonly back: (mel: number) => number
}

function scaleOf(scale: MelFilterOptions['scale'] = 'htk', name: string): Scale {
  const { scalar_exp: exp } = kernels('melFilters')
  if (scale === 'htk') {
    const unit = 2595 / Math.LN10
    return { of: (f) => unit * logarithm(1 + f / 700), back: (mel) => 700 * (exp(mel / unit) - 1) }
  }
  if (scale !== 'slaney') throw wrongKind(`${name}: scale`, "'htk' or 'slaney'", scale)
  // 15 mel at 1000 Hz, and 27 more for each factor of 6.4.
  const unit = logarithm(6.4) / 27
  return {
    of: (f) => (f < 1000 ? (3 * f) / 200 : 15 + logarithm(f / 1000) / unit),
    back: (mel) => (mel < 15 ? (200 * mel) / 3 : 1000 * exp(unit * (mel - 15))),
  }
}

/**
 * Triangles over the frequencies k · sampleRate / size of an STFT, as a matrix (bands, size / 2 + 1): each rises from the middle
 * of the one before to its own and falls to that of the next, and the middles are evenly spaced in mel.
 *
 * @example
 * const filters = melFilters({ sampleRate: 16000, size: 512, bands: 40 }) // (40, 257)
 * @throws ArgumentError when an option does not fit, or a triangle is so narrow that no frequency lies in it
 */
export function melFilters(options: MelFilterOptions): Tensor {
  checkCount('melFilters', 1, arguments)
  needKeys('melFilters', options, bandNames)
  return filtersOf(options, 'melFilters')
}

function filtersOf(options: MelFilterOptions, name: string): Tensor {
  const { sampleRate, from = 0, normalize = 'none' } = options
  checkNumber(sampleRate, `${name}: sampleRate`, 0)
  const { to = sampleRate / 2 } = options
  const size = checkWhole(options.size, `${name}: size`, 2, 2 ** 13)
  const bands = checkWhole(options.bands ?? 128, `${name}: bands`, 1, 2 ** 12)
  checkNumber(from, `${name}: from`, 0)
  checkNumber(to, `${name}: to`, 0)
  if (!(from < to && to <= sampleRate / 2)) {
    throw new ArgumentError(
      `${name}: from ${from} to ${to} Hz must rise, up to half the sample rate, ${sampleRate / 2} Hz`,
    )
  }
  if (normalize !== 'none' && normalize !== 'slaney')
    throw wrongKind(`${name}: normalize`, "'slaney' or 'none'", normalize)
  const { of, back } = scaleOf(options.scale, name)
  const [low, high] = [of(from), of(to)]
  const corners = Float64Array.from({ length: bands + 2 }, (_, i) => back(low + ((high - low) * i) / (bands + 1)))
  const F = Math.floor(size / 2) + 1
  const values = new Float32Array(bands * F)
  for (let band = 0; band < bands; band++) {
    const [left, middle, right] = corners.subarray(band, band + 3) as unknown as [number, number, number]
    const height = normalize === 'slaney' ? 2 / (right - left) : 1
    let isEmpty = true
    for (let k = 0; k < F; k++) {
      const f = (k * sampleRate) / size
      const value = height * Math.max(0, Math.min((f - left) / (middle - left), (right - f) / (right - middle)))
      values[band * F + k] = value
      if (value > 0) isEmpty = false
    }
    if (isEmpty) {
      throw new ArgumentError(
        `${name}: no frequency of a frame of ${size} samples lies in band ${band}, ${left.toFixed(1)} to ${right.toFixed(1)} Hz; use fewer bands or a larger size`,
      )
    }
  }
  return tensor(values, [bands, F])
}

/**
 * The mel spectrogram of sounds x (T), (N, T) or (N, C, T): (…, bands, M) sums of the powers of an STFT under triangles,
 * as they are or as logarithms. Frames are those of `stft`.
 *
 * @example
 * const pictures = melSpectrogram(x, { sampleRate: 16000, size: 512, hop: 160, bands: 40, output: 'log' }) // (N, 1, 40, M)
 * @throws ShapeError when x is no sound or is too short; ArgumentError when an option does not fit
 */
export function melSpectrogram(x: Tensor, options: MelSpectrogramOptions): Tensor {
  checkCount('melSpectrogram', 2, arguments)
  const own = { output: 0, floor: 0 }
  needKeys('melSpectrogram', options, { ...frameNames, ...bandNames }, own)
  const { output = 'power', floor = 1e-10 } = options
  if (!outputs.includes(output)) throw wrongKind('melSpectrogram: output', "'power', 'log' or 'decibel'", output)
  checkNumber(floor, 'melSpectrogram: floor')
  if (!(floor > 0)) throw wrongKind('melSpectrogram: floor', 'a number above 0', floor)
  return scope(() => {
    const rows = soundRows(x, 'melSpectrogram')
    framesOf(options, rows.shape[2] as number, 'melSpectrogram')
    const filters = filtersOf(options, 'melSpectrogram')
    const power = powerOf(spectrum(rows, options, 'melSpectrogram'))
    // Sums over the frequencies of each frame: a convolution with one tap.
    const sums = conv1d(power, filters.reshape([...filters.shape, 1]))
    const shape = [...x.shape.slice(0, -1), ...sums.shape.slice(1)]
    if (output === 'power') return sums.reshape(shape)
    const logarithms = log(clamp(sums, { min: floor }))
    return (output === 'log' ? logarithms : mul(logarithms, DECIBELS)).reshape(shape)
  })
}
