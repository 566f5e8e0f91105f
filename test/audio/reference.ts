/** Spectra by their definitions, in float64. */

/** Samples beyond the ends of a sound, as they are padded. */
const sampleAt = (x: ArrayLike<number>, t: number, mode: 'reflect' | 'zeros' | 'replicate'): number => {
  const T = x.length
  if (t >= 0 && t < T) return x[t] as number
  if (mode === 'zeros') return 0
  if (mode === 'replicate') return x[t < 0 ? 0 : T - 1] as number
  return x[t < 0 ? -t : 2 * (T - 1) - t] as number
}

/** Windows by their formulas. */
export const windows: Record<string, (n: number, N: number) => number> = {
  hann: (n, N) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / N),
  hamming: (n, N) => 0.54 - 0.46 * Math.cos((2 * Math.PI * n) / N),
  blackman: (n, N) => 0.42 - 0.5 * Math.cos((2 * Math.PI * n) / N) + 0.08 * Math.cos((4 * Math.PI * n) / N),
  rectangular: () => 1,
}

export interface Frames {
  readonly size: number
  readonly hop: number
  readonly window?: string
  readonly center?: boolean
  readonly paddingMode?: 'reflect' | 'zeros' | 'replicate'
}

/** X[k][m] of the STFT of one sound. */
export function stft(x: ArrayLike<number>, frames: Frames): { re: number; im: number }[][] {
  const { size, hop, window = 'hann', center = true, paddingMode = 'reflect' } = frames
  const reach = center ? size / 2 : 0
  const M = Math.floor((x.length + 2 * reach - size) / hop) + 1
  return Array.from({ length: size / 2 + 1 }, (_, k) =>
    Array.from({ length: M }, (_, m) => {
      let [re, im] = [0, 0]
      for (let n = 0; n < size; n++) {
        const value = windows[window]!(n, size) * sampleAt(x, m * hop + n - reach, paddingMode)
        const angle = (-2 * Math.PI * ((k * n) % size)) / size
        re += value * Math.cos(angle)
        im += value * Math.sin(angle)
      }
      return { re, im }
    }),
  )
}

/** Triangles of the mel scale. */
export function melFilters(options: {
  sampleRate: number
  size: number
  bands: number
  from: number
  to: number
  scale: 'htk' | 'slaney'
  normalize: 'none' | 'slaney'
}): number[][] {
  const { sampleRate, size, bands, from, to, scale, normalize } = options
  const step = Math.log(6.4) / 27
  const mel = (f: number): number =>
    scale === 'htk' ? 2595 * Math.log10(1 + f / 700) : f < 1000 ? f / (200 / 3) : 15 + Math.log(f / 1000) / step
  const hertz = (m: number): number =>
    scale === 'htk' ? 700 * (10 ** (m / 2595) - 1) : m < 15 ? (m * 200) / 3 : 1000 * Math.exp(step * (m - 15))
  const corner = (i: number): number => hertz(mel(from) + ((mel(to) - mel(from)) * i) / (bands + 1))
  return Array.from({ length: bands }, (_, b) => {
    const [left, middle, right] = [corner(b), corner(b + 1), corner(b + 2)]
    const height = normalize === 'slaney' ? 2 / (right - left) : 1
    return Array.from({ length: size / 2 + 1 }, (_, k) => {
      const f = (k * sampleRate) / size
      return height * Math.max(0, Math.min((f - left) / (middle - left), (right - f) / (right - middle)))
    })
  })
}

/** The constant-Q magnitude of one sound at a bin and a sample. */
export function constantQ(
  x: ArrayLike<number>,
  at: number,
  bin: number,
  { sampleRate, from, binsPerOctave }: { sampleRate: number; from: number; binsPerOctave: number },
): number {
  const f = from * 2 ** (bin / binsPerOctave)
  const own = sampleRate / f / (2 ** (1 / binsPerOctave) - 1)
  const reach = Math.floor(own / 2)
  let [re, im, sum] = [0, 0, 0]
  for (let n = -reach; n <= reach; n++) {
    const weight = 0.5 + 0.5 * Math.cos((2 * Math.PI * n) / own)
    const value = weight * sampleAt(x, at + n, 'zeros')
    const angle = (-2 * Math.PI * f * n) / sampleRate
    re += value * Math.cos(angle)
    im += value * Math.sin(angle)
    sum += weight
  }
  return Math.hypot(re, im) / sum
}
