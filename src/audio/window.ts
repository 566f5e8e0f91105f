/** Windows of a short-time spectrum, and the waves that it is measured by, from the core's cosine: the same bits everywhere. */
import { kernels } from '../runtime/core.js'
import { ArgumentError } from '../runtime/errors.js'
import { wrongKind } from '../runtime/check.js'

/**
 * Windows by name, periodic: those of N samples are the first of N + 1 that are symmetric. Or numbers, as many as the window is
 * long.
 */
export type SoundWindow = (typeof windowNames)[number] | ArrayLike<number>

/** Names of windows. */
const windowNames = ['hann', 'hamming', 'blackman', 'rectangular'] as const

/** Coefficients a of the window Σ a_k · cos(2πkn / N), by name. */
const coefficients: Readonly<Record<(typeof windowNames)[number], readonly number[]>> = {
  hann: [0.5, -0.5],
  hamming: [0.54, -0.46],
  blackman: [0.42, -0.5, 0.08],
  rectangular: [1],
}

/** cos(2πn / N) for n = 0 … N − 1; a sine is the same a quarter of N later, where N is a multiple of 4. */
export function cosines(N: number): Float64Array {
  const { scalar_cos: cos } = kernels('stft')
  return Float64Array.from({ length: N }, (_, n) => cos((2 * Math.PI * n) / N))
}

/** sin(2πn / N) for n = 0 … N − 1. */
export function sines(N: number): Float64Array {
  const { scalar_sin: sin } = kernels('stft')
  return Float64Array.from({ length: N }, (_, n) => sin((2 * Math.PI * n) / N))
}

/** The numbers of a window of N samples. @throws ArgumentError */
export function windowOf(window: SoundWindow, N: number, what: string): Float64Array {
  if (typeof window === 'string') {
    const terms = Object.hasOwn(coefficients, window) ? coefficients[window] : undefined
    if (!terms) throw wrongKind(what, `${windowNames.map((name) => `'${name}'`).join(', ')} or numbers`, window)
    const wave = cosines(N)
    return Float64Array.from({ length: N }, (_, n) =>
      terms.reduce((sum, term, k) => sum + term * (wave[(k * n) % N] as number), 0),
    )
  }
  const given: unknown = window
  const isList = Array.isArray(given) || (ArrayBuffer.isView(given) && !(given instanceof DataView))
  if (!isList) throw wrongKind(what, `a name such as 'hann', or ${N} numbers`, given)
  const values = Float64Array.from(window, Number)
  if (values.length !== N)
    throw new ArgumentError(`${what} has ${values.length} numbers, and the size is ${N}; give as many`)
  if (!values.every(Number.isFinite)) throw new ArgumentError(`${what} must have finite numbers`)
  return values
}
