/**
 * The short-time Fourier transform,
 *
 *   X[k, m] = Σ_n w[n] · x[m · hop + n] · exp(−2πi · k · n / size),   k = 0 … size / 2,
 *
 * which is a strided convolution of the sound with windowed cosines and sines (Allen & Rabiner 1977), and is computed as one: so
 * gradients flow to the sound, and several threads share the frames.
 */
import { conv1d } from '../ops/conv.js'
import { clamp, add, sqrt, square, sub } from '../ops/elementwise.js'
import { slice, transpose, type PaddingMode } from '../ops/layout.js'
import { checkSwitch, checkWhole, wrongKind } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkCount, needKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { showShape, sizeOf } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { cosines, sines, windowOf, type SoundWindow } from './window.js'

/** How sounds are cut into frames. */
export interface FrameOptions {
  /** Samples of a frame: size / 2 + 1 frequencies are told apart, sampleRate / size Hz from each other. */
  readonly size: number
  /** Samples from one frame to the next. Default a quarter of the size. */
  readonly hop?: number
  /** What the samples of a frame are multiplied by. Default 'hann'. */
  readonly window?: SoundWindow
  /** Whether frame m has its middle at sample m · hop, for which the ends are padded; else it begins there. Default true. */
  readonly center?: boolean
  /** What stands beyond the ends: as of `conv1d`. Default 'reflect'. */
  readonly paddingMode?: PaddingMode
}

/** Options of `stft`. */
export interface StftOptions extends FrameOptions {
  /** 'complex': real and imaginary parts, along a last axis of 2; 'magnitude': |X|; 'power': |X|². Default 'complex'. */
  readonly output?: (typeof outputs)[number]
}

const outputs = ['complex', 'magnitude', 'power'] as const

/** Names of the options that all spectra have. */
export const frameNames = { size: 0, hop: 0, window: 0, center: 0, paddingMode: 0 } satisfies Names<FrameOptions>

/** The longest frame: its waves are a matrix of as many rows. */
const LONGEST_FRAME = 2 ** 13

/** A magnitude below the root of this is told as 0, so that its gradient is 0 and not infinite. */
const SMALLEST_POWER = 1 / 2 ** 100
const SMALLEST = 1 / 2 ** 50

/** √power, with the gradient 0 where the power is 0. */
export const magnitudeOf = (power: Tensor): Tensor => sub(sqrt(clamp(power, { min: SMALLEST_POWER })), SMALLEST)

/** x (T), (N, T) or (N, C, T) as (rows, 1, T), for one convolution of all. @throws ShapeError */
export function soundRows(x: Tensor, name: string): Tensor {
  checkTensor(x, name, 'x')
  const T = x.shape.at(-1)
  if (x.ndim < 1 || x.ndim > 3 || T === undefined || x.size === 0) {
    throw new ShapeError(`${name}: x must be sounds (T), (N, T) or (N, C, T), given ${showShape(x.shape)}`)
  }
  return x.reshape([sizeOf(x.shape.slice(0, -1)), 1, T])
}

/** The options of frames, checked. @throws ArgumentError */
export function framesOf(options: FrameOptions, T: number, name: string): Required<Omit<FrameOptions, 'window'>> {
  const size = checkWhole(options.size, `${name}: size`, 2, LONGEST_FRAME)
  if (size % 2 !== 0) throw wrongKind(`${name}: size`, 'an even number', size)
  const hop = checkWhole(options.hop ?? Math.max(1, Math.floor(size / 4)), `${name}: hop`, 1, 2 ** 24)
  const { center = true, paddingMode = 'reflect' } = options
  checkSwitch(center, `${name}: center`)
  const padded: Readonly<Record<PaddingMode, number>> = {
    reflect: size / 2 + 1,
    circular: size / 2,
    zeros: 1,
    replicate: 1,
  }
  if (typeof paddingMode !== 'string' || !Object.hasOwn(padded, paddingMode))
    throw wrongKind(
      `${name}: paddingMode`,
      Object.keys(padded)
        .map((mode) => `'${mode}'`)
        .join(', '),
      paddingMode,
    )
  const shortest = center ? padded[paddingMode] : size
  if (T < shortest) {
    throw new ShapeError(
      `${name}: x has ${T} samples, and ${shortest} are needed for frames of ${size}${center ? ' that are padded' : ''}; use a smaller size`,
    )
  }
  return { size, hop, center, paddingMode }
}

/** Weights (2F, 1, size) of the convolution: windowed cosines of all F frequencies, then the negatives of the sines. */
function wavesOf(size: number, window: Float64Array): Tensor {
  const F = size / 2 + 1
  const [cosine, sine] = [cosines(size), sines(size)]
  const values = new Float32Array(2 * F * size)
  for (let k = 0; k < F; k++) {
    for (let n = 0; n < size; n++) {
      const angle = (k * n) % size
      values[k * size + n] = (window[n] as number) * (cosine[angle] as number)
      values[(F + k) * size + n] = -(window[n] as number) * (sine[angle] as number)
    }
  }
  return tensor(values, [2 * F, 1, size])
}

/** Real and imaginary parts (rows, 2K, M) of what K waves each give: |·|² (rows, K, M). */
export function powerOf(parts: Tensor): Tensor {
  const [N, both, M] = parts.shape as readonly [number, number, number]
  const half = (begin: number): Tensor => square(slice(parts, { begin: [0, begin, 0], end: [N, begin + both / 2, M] }))
  return add(half(0), half(both / 2))
}

/** Real and imaginary parts (rows, 2F, M) of the frames of x (rows, 1, T). */
export function spectrum(x: Tensor, options: FrameOptions, name: string): Tensor {
  const { size, hop, center, paddingMode } = framesOf(options, x.shape[2] as number, name)
  const waves = wavesOf(size, windowOf(options.window ?? 'hann', size, `${name}: window`))
  return conv1d(x, waves, { stride: hop, ...(center ? { padding: size / 2, paddingMode } : {}) })
}

/**
 * The short-time Fourier transform of sounds x (T), (N, T) or (N, C, T): F = size / 2 + 1 frequencies by M frames,
 * (…, F, M, 2) as real and imaginary parts, or (…, F, M) as magnitudes or powers. Frequency k is k · sampleRate / size Hz;
 * with `center` M = 1 + ⌊(T + 2⌊size / 2⌋ − size) / hop⌋ = 1 + ⌊T / hop⌋. Windows, frames and padding are those of
 * `torch.stft` and librosa, but that the window is 'hann' where none is told.
 *
 * @example
 * const spectrogram = stft(x, { size: 512, hop: 128, output: 'magnitude' }) // x (N, 1, 16000) -> (N, 1, 257, 126)
 * @throws ShapeError when x is no sound or is too short; ArgumentError when an option does not fit
 */
export function stft(x: Tensor, options: StftOptions): Tensor {
  checkCount('stft', 2, arguments)
  needKeys('stft', options, frameNames, { output: 0 } satisfies Names<Omit<StftOptions, keyof FrameOptions>>)
  const { output = 'complex' } = options
  if (!outputs.includes(output)) throw wrongKind('stft: output', "'complex', 'magnitude' or 'power'", output)
  return scope(() => {
    const parts = spectrum(soundRows(x, 'stft'), options, 'stft')
    const [rows, both, M] = parts.shape as readonly [number, number, number]
    const shape = [...x.shape.slice(0, -1), both / 2, M]
    if (output === 'complex') {
      return transpose(parts.reshape([rows, 2, both / 2, M]), [0, 2, 3, 1]).reshape([...shape, 2])
    }
    const power = powerOf(parts)
    return (output === 'power' ? power : magnitudeOf(power)).reshape(shape)
  })
}
