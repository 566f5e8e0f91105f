/**
 * Spectrograms along log frequency (Brown 1991): every bin is so many periods of its own wave long, so that bins an octave apart see
 * the same sound an octave apart. A pitch that rises moves the picture up, and a convolution moves with it (Goodfellow et al.,
 * section 9.2): equivariance that a linear axis of frequencies does not have.
 */
import { conv1d } from '../ops/conv.js'
import { checkNumber, checkWhole, wrongKind } from '../runtime/check.js'
import { kernels } from '../runtime/core.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { magnitudeOf, powerOf, soundRows } from './stft.js'

/** Options of `constantQ`. */
export interface ConstantQOptions {
  /** Samples in a second. */
  readonly sampleRate: number
  /** Frequency of the lowest bin, in Hz. */
  readonly from: number
  /** How many bins there are. */
  readonly bins: number
  /** Bins in an octave. Default 12: semitones. */
  readonly binsPerOctave?: number
  /** Samples from one frame to the next. */
  readonly hop: number
  /** Periods of the wave in a window, in parts of what keeps neighbouring bins apart. Default 1. */
  readonly periods?: number
  /** 'magnitude' or 'power'. Default 'magnitude'. */
  readonly output?: 'magnitude' | 'power'
}

const names = { sampleRate: 0, from: 0, bins: 0, binsPerOctave: 0, hop: 0, periods: 0, output: 0 } satisfies Names<
  Required<ConstantQOptions>
>

/** Samples of the longest wave, and numbers of all waves together. */
const LONGEST_WAVE = 2 ** 16
const MOST_NUMBERS = 2 ** 25

/**
 * The constant-Q spectrogram of sounds x (T), (N, T) or (N, C, T): (…, bins, M), M = 1 + ⌊(T − 1) / hop⌋. Bin b has the
 * frequency f = from · 2^(b / binsPerOctave), a Hann window of periods · sampleRate / (f · (2^(1 / binsPerOctave) − 1)) samples
 * around sample m · hop, and sums that are divided by those of the window; a sine of the amplitude 1 gives about ½. Beyond the
 * ends there is silence.
 *
 * @example
 * const spectrogram = constantQ(x, { sampleRate: 16000, from: 110, bins: 48, hop: 160 }) // four octaves from A on
 * @throws ShapeError when x is no sound; ArgumentError when an option does not fit, or a bin lies above half the sample rate
 */
export function constantQ(x: Tensor, options: ConstantQOptions): Tensor {
  checkCount('constantQ', 2, arguments)
  needKeys('constantQ', options, names)
  const { sampleRate, from, periods = 1, output = 'magnitude' } = options
  for (const [name, value] of Object.entries({ sampleRate, from, periods })) {
    checkNumber(value, `constantQ: ${name}`, 0)
    if (value === 0) throw wrongKind(`constantQ: ${name}`, 'a number above 0', value)
  }
  const bins = checkWhole(options.bins, 'constantQ: bins', 1, 2 ** 12)
  const perOctave = checkWhole(options.binsPerOctave ?? 12, 'constantQ: binsPerOctave', 1, 2 ** 10)
  const hop = checkWhole(options.hop, 'constantQ: hop', 1, 2 ** 24)
  if (output !== 'magnitude' && output !== 'power')
    throw wrongKind('constantQ: output', "'magnitude' or 'power'", output)
  const { scalar_cos: cos, scalar_sin: sin, scalar_pow: pow } = kernels('constantQ')
  const frequency = (bin: number): number => from * pow(2, bin / perOctave)
  if (frequency(bins - 1) > sampleRate / 2) {
    throw new ArgumentError(
      `constantQ: bin ${bins - 1} is ${frequency(bins - 1).toFixed(1)} Hz, above half the sample rate, ${sampleRate / 2} Hz; use fewer bins`,
    )
  }
  const quality = periods / (pow(2, 1 / perOctave) - 1)
  // Odd, with the middle of every window in the middle.
  const half = Math.ceil((quality * sampleRate) / from / 2)
  const length = 2 * half + 1
  if (!(length <= LONGEST_WAVE && 2 * bins * length <= MOST_NUMBERS)) {
    throw new ArgumentError(
      `constantQ: ${bins} waves of up to ${length} samples are too long; use a higher frequency to begin from, or fewer bins in an octave`,
    )
  }
  const values = new Float32Array(2 * bins * length)
  for (let bin = 0; bin < bins; bin++) {
    const f = frequency(bin)
    const own = (quality * sampleRate) / f
    const step = (2 * Math.PI * f) / sampleRate
    const reach = Math.min(half, Math.floor(own / 2))
    const window = (n: number): number => 0.5 + 0.5 * cos((2 * Math.PI * n) / own)
    let sum = 0
    for (let n = -reach; n <= reach; n++) sum += window(n)
    for (let n = -reach; n <= reach; n++) {
      const weight = window(n) / sum
      values[bin * length + half + n] = weight * cos(step * n)
      values[(bins + bin) * length + half + n] = -weight * sin(step * n)
    }
  }
  return scope(() => {
    const rows = soundRows(x, 'constantQ')
    const waves = tensor(values, [2 * bins, 1, length])
    const power = powerOf(conv1d(rows, waves, { stride: hop, padding: half }))
    const spectrogram = output === 'power' ? power : magnitudeOf(power)
    return spectrogram.reshape([...x.shape.slice(0, -1), ...power.shape.slice(1)])
  })
}
