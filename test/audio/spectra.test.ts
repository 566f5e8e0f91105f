/** Spectra of sounds against their definitions in float64, their gradients, and an octave as a shift along log frequency. */
import { beforeAll, describe, expect, it } from 'vitest'
import { constantQ, melFilters, melSpectrogram, stft } from '../../src/audio/index.js'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import { conv2d } from '../../src/ops/conv.js'
import { mul, sum, slice } from '../../src/ops/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ArgumentError, ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import * as reference from './reference.js'

beforeAll(() => init())

/** The largest difference, in parts of the largest magnitude. */
function apart(found: Float32Array, expected: readonly number[]): number {
  expect(found.length).toBe(expected.length)
  const largest = Math.max(...expected.map(Math.abs))
  return Math.max(...expected.map((value, i) => Math.abs(value - found[i]!))) / largest
}

describe('stft', () => {
  const cases: [T: number, frames: reference.Frames][] = [
    [700, { size: 64, hop: 16 }],
    [701, { size: 64, hop: 23, window: 'hamming', paddingMode: 'zeros' }],
    [300, { size: 30, hop: 7, window: 'blackman', center: false }],
    [333, { size: 34, hop: 34, window: 'rectangular', paddingMode: 'replicate' }],
    [40, { size: 2, hop: 1 }],
    [3000, { size: 1024, hop: 256 }],
    [2500, { size: 2048, hop: 512 }],
  ]
  it.each(cases)('of %d samples, %o, is that of the definition within 1e-5', (T, frames) => {
    scope(() => {
      const x = uniform([2, T], { low: -1, high: 1, seed: T })
      const sounds = [x.data().subarray(0, T), x.data().subarray(T)]
      const expected = sounds.map((sound) => reference.stft(sound, frames))
      const [F, M] = [expected[0]!.length, expected[0]![0]!.length]
      const complex = stft(x, frames as never)
      expect(complex.shape).toEqual([2, F, M, 2])
      const parts = expected.flatMap((one) => one.flatMap((row) => row.flatMap(({ re, im }) => [re, im])))
      expect(apart(complex.data(), parts)).toBeLessThan(1e-5)
      const magnitudes = expected.flatMap((one) => one.flatMap((row) => row.map(({ re, im }) => Math.hypot(re, im))))
      expect(apart(stft(x, { ...frames, output: 'magnitude' } as never).data(), magnitudes)).toBeLessThan(1e-5)
      const powers = magnitudes.map((value) => value * value)
      expect(apart(stft(x, { ...frames, output: 'power' } as never).data(), powers)).toBeLessThan(1e-5)
    })
  })

  it('takes sounds with and without a batch and channels, and a window of numbers', () => {
    scope(() => {
      const x = normal([2, 3, 90], { seed: 1 })
      const options = { size: 16, hop: 8, output: 'magnitude' } as const
      const all = stft(x, options)
      expect(all.shape).toEqual([2, 3, 9, 12])
      expect(stft(x.reshape([6, 90]), options).data()).toEqual(all.data())
      expect(stft(x.reshape([540]), options).shape).toEqual([9, 68])
      const window = Float64Array.from({ length: 16 }, (_, n) => reference.windows['hann']!(n, 16))
      expect(stft(x, { ...options, window }).data()).toEqual(all.data())
    })
  })

  it('finds a tone at its frequency, and nothing elsewhere', () => {
    scope(() => {
      const x = tensor(Float32Array.from({ length: 512 }, (_, t) => Math.cos((2 * Math.PI * 12 * t) / 64)))
      const found = stft(x, { size: 64, hop: 64, center: false, output: 'magnitude' }).data()
      const column = Array.from({ length: 33 }, (_, k) => found[k * 8]!)
      expect(column[12]).toBeCloseTo(16, 4)
      expect(column[11]).toBeCloseTo(8, 4)
      expect(Math.max(...column.filter((_, k) => Math.abs(k - 12) > 1))).toBeLessThan(1e-4)
    })
  })

  it('is linear, and its gradient the adjoint', () => {
    scope(() => {
      const fn = (x: Tensor): Tensor => stft(x, { size: 16, hop: 5 })
      const [a, b] = [normal([2, 61], { seed: 1 }), normal([2, 61], { seed: 2 })]
      const { value, pullback } = vjp(fn, a)
      const dy = normal(value.shape, { seed: 3 })
      const [back] = pullback(dy) as [Tensor]
      expect(sum(mul(fn(b), dy)).item()).toBeCloseTo(sum(mul(b, back)).item(), 3)
    })
  })

  it('has magnitudes of silence with gradients of 0', () => {
    scope(() => {
      const { value, pullback } = vjp((x) => stft(x, { size: 8, output: 'magnitude' }), zeros([20]))
      expect(value.data().every((one) => one === 0)).toBe(true)
      const [dx] = pullback(normal(value.shape, { seed: 1 })) as [Tensor]
      expect(dx.data().every((one) => one === 0)).toBe(true)
    })
  })
})

describe('melFilters', () => {
  const sampled = { sampleRate: 16_000, size: 512, bands: 20, from: 60, to: 7600 }
  it.each([
    { ...sampled, scale: 'htk', normalize: 'none' },
    { ...sampled, scale: 'slaney', normalize: 'slaney' },
    { ...sampled, sampleRate: 22_050, bands: 40, to: 11_025, scale: 'slaney', normalize: 'none' },
    { ...sampled, from: 0, scale: 'htk', normalize: 'slaney' },
  ] as const)('are the triangles of the definition: %o', (options) => {
    scope(() => {
      const found = melFilters(options)
      expect(found.shape).toEqual([options.bands, 257])
      expect(apart(found.data(), reference.melFilters(options).flat())).toBeLessThan(1e-6)
    })
  })
})

describe('melSpectrogram', () => {
  const options = { sampleRate: 8000, size: 128, hop: 40, bands: 12, from: 100, to: 3800 } as const
  it('is the sum of powers under the triangles, plain, as logarithms and in decibels', () => {
    scope(() => {
      const x = uniform([1, 2, 900], { low: -1, high: 1, seed: 5 })
      const filters = reference.melFilters({ ...options, scale: 'htk', normalize: 'none' })
      const bands = [x.data().subarray(0, 900), x.data().subarray(900)].flatMap((sound) => {
        const powers = reference.stft(sound, options)
        return filters.map((filter) =>
          powers[0]!.map((_, m) =>
            filter.reduce((all, weight, k) => all + weight * (powers[k]![m]!.re ** 2 + powers[k]![m]!.im ** 2), 0),
          ),
        )
      })
      const plain = melSpectrogram(x, options)
      expect(plain.shape).toEqual([1, 2, 12, 23])
      expect(apart(plain.data(), bands.flat())).toBeLessThan(1e-5)
      const logarithms = bands.flat().map(Math.log)
      expect(apart(melSpectrogram(x, { ...options, output: 'log' }).data(), logarithms)).toBeLessThan(1e-5)
      const decibels = bands.flat().map((power) => 10 * Math.log10(power))
      expect(apart(melSpectrogram(x, { ...options, output: 'decibel' }).data(), decibels)).toBeLessThan(1e-5)
      const silent = melSpectrogram(zeros([900]), { ...options, output: 'decibel', floor: 1e-8 })
      expect(silent.data().every((value) => Math.abs(value + 80) < 1e-4)).toBe(true)
    })
  })
})

describe('gradients', () => {
  it.each<[string, (x: Tensor) => Tensor]>([
    ['stft', (x) => stft(x, { size: 8, hop: 3 })],
    ['stft, zeros and a window of its own', (x) => stft(x, { size: 4, window: [1, 2, 3, 4], paddingMode: 'zeros' })],
    ['magnitudes', (x) => stft(x, { size: 8, hop: 3, output: 'magnitude' })],
    ['powers', (x) => stft(x, { size: 8, center: false, output: 'power' })],
    ['melSpectrogram', (x) => melSpectrogram(x, { sampleRate: 100, size: 16, hop: 5, bands: 3 })],
    ['logarithms', (x) => melSpectrogram(x, { sampleRate: 100, size: 16, hop: 5, bands: 3, output: 'log' })],
    ['decibels', (x) => melSpectrogram(x, { sampleRate: 100, size: 16, hop: 5, bands: 3, output: 'decibel' })],
    ['constantQ', (x) => constantQ(x, { sampleRate: 100, from: 20, bins: 4, binsPerOctave: 4, hop: 6 })],
  ])('of %s are those of finite differences', (_, fn) => {
    scope(() => {
      const result = gradcheck(fn, [normal([2, 30], { seed: 11 })])
      expect(result).toMatchObject({ ok: true })
    })
  })
})

describe('constantQ', () => {
  const options = { sampleRate: 8000, from: 110, bins: 60, binsPerOctave: 12, hop: 200 }

  it('is that of the definition', () => {
    scope(() => {
      const x = uniform([2400], { low: -1, high: 1, seed: 3 })
      const found = constantQ(x, options)
      expect(found.shape).toEqual([60, 12])
      const expected = Array.from({ length: 720 }, (_, i) =>
        reference.constantQ(x.data(), (i % 12) * 200, Math.floor(i / 12), options),
      )
      expect(apart(found.data(), expected)).toBeLessThan(1e-5)
    })
  })

  /** A note of four harmonics. */
  const note = (frequency: number): Tensor =>
    tensor(
      Float32Array.from({ length: 8000 }, (_, t) =>
        [1, 2, 3, 4].reduce((all, h) => all + Math.sin((2 * Math.PI * h * frequency * t) / 8000) / h, 0),
      ),
    )

  it('moves by the bins of an octave with a note, and what a convolution makes of it moves as far; frequencies of an STFT do not', () => {
    scope(() => {
      // Frames from the middle, where no window meets the ends.
      const middle = (x: Tensor): Tensor => slice(x, { begin: [0, 15], end: [x.shape[0] as number, 26] })
      const [low, high] = [note(220), note(440)].map((x) => middle(constantQ(x, options))) as [Tensor, Tensor]
      const rows = (x: Tensor, begin: number, end: number): Tensor =>
        slice(x, { begin: [begin, 0], end: [end, x.shape[1] as number] })
      // Up to bin 46 = 42.4 + … the notes of both fit: 220 … 880 Hz and 440 … 1760 Hz.
      const [before, after] = [rows(low, 4, 44), rows(high, 16, 56)]
      expect(apart(after.data(), [...before.data()])).toBeLessThan(0.01)
      // Without the move they are far apart.
      expect(apart(rows(high, 4, 44).data(), [...before.data()])).toBeGreaterThan(0.9)
      const w = normal([3, 1, 5, 3], { seed: 1 })
      const maps = (x: Tensor): Tensor => conv2d(x.reshape([1, 1, ...x.shape]), w)
      const [lowMaps, highMaps] = [maps(low), maps(high)]
      const ofMaps = (x: Tensor, begin: number): Tensor =>
        slice(x, { begin: [0, 0, begin, 0], end: [1, 3, begin + 36, x.shape[3] as number] })
      expect(apart(ofMaps(highMaps, 16).data(), [...ofMaps(lowMaps, 4).data()])).toBeLessThan(0.02)
      // Along a linear axis the harmonics spread: no shift of the one is the other.
      const linear = (x: Tensor): Float32Array => {
        const y = stft(x, { size: 512, hop: 4000, output: 'magnitude' })
        const [F, M] = y.shape as readonly [number, number]
        return Float32Array.from({ length: F }, (_, k) => y.data()[k * M + 1]!)
      }
      const [one, other] = [linear(note(220)), linear(note(440))]
      const distances = Array.from({ length: 100 }, (_, shift) =>
        apart(other.subarray(shift, shift + 150), [...one.subarray(0, 150)]),
      )
      expect(Math.min(...distances)).toBeGreaterThan(0.3)
    })
  })
})

describe('bad options', () => {
  const x = (): Tensor => zeros([400])
  const mel = { sampleRate: 8000, size: 64 }
  const q = { sampleRate: 8000, from: 100, bins: 12, hop: 100 }
  it.each<[() => unknown, RegExp]>([
    [() => stft(x(), undefined as never), /^stft: the options are missing; there are size, hop/],
    [() => stft(x(), { size: 7 }), /^stft: size must be an even number, given 7/],
    [() => stft(x(), { size: 2 ** 14 }), /^stft: size must be a whole number from 2 to 8192, given 16384/],
    [
      () => stft(x(), { size: 1000 }),
      /^stft: x has 400 samples, and 501 are needed for frames of 1000 that are padded/,
    ],
    [() => stft(x(), { size: 402, center: false }), /^stft: x has 400 samples, and 402 are needed for frames of 402;/],
    [() => stft(x(), { size: 64, hop: 0 }), /^stft: hop must be a whole number from 1 /],
    [() => stft(x(), { size: 64, window: 'hanning' as never }), /^stft: window must be 'hann', .* given 'hanning'/],
    [() => stft(x(), { size: 64, window: [1, 2] }), /^stft: window has 2 numbers, and the size is 64/],
    [() => stft(x(), { size: 2, window: [1, Number.NaN] }), /^stft: window must have finite numbers/],
    [
      () => stft(x(), { size: 64, output: 'phase' as never }),
      /^stft: output must be 'complex', 'magnitude' or 'power'/,
    ],
    [() => stft(x(), { size: 64, center: 1 as never }), /^stft: center must be true or false/],
    [() => stft(zeros([1, 1, 1, 9]), { size: 4 }), /^stft: x must be sounds \(T\), \(N, T\) or \(N, C, T\), given/],
    [() => stft(zeros([0, 9]), { size: 4 }), /^stft: x must be sounds/],
    [
      () => melSpectrogram(x(), { ...mel, to: 5000 }),
      /from 0 to 5000 Hz must rise, up to half the sample rate, 4000 Hz/,
    ],
    [() => melSpectrogram(x(), { ...mel, bands: 60 }), /no frequency of a frame of 64 samples lies in band 0, 0.0 to/],
    [() => melSpectrogram(x(), { ...mel, bands: 3, floor: 0 }), /^melSpectrogram: floor must be a number above 0/],
    [() => melSpectrogram(x(), { ...mel, scale: 'bark' as never }), /scale must be 'htk' or 'slaney', given 'bark'/],
    [() => melSpectrogram(x(), { ...mel, bnds: 3 } as never), /there is no option 'bnds'; did you mean 'bands'/],
    [() => melFilters({ ...mel, size: 64, bands: 0 }), /^melFilters: bands must be a whole number from 1 to 4096/],
    [() => constantQ(x(), { ...q, bins: 100 }), /^constantQ: bin 99 is .* above half the sample rate, 4000 Hz/],
    [() => constantQ(x(), { ...q, from: 0 }), /^constantQ: from must be a number above 0/],
    [() => constantQ(x(), { ...q, from: 0.01 }), /^constantQ: 12 waves of up to \d+ samples are too long/],
  ])('%s', (call, message) => {
    scope(() => {
      expect(call).toThrow(ShapeError)
      expect(call).toThrow(message)
    })
  })

  it('are told as arguments or as shapes', () => {
    scope(() => {
      expect(() => stft(x(), { size: 7 })).toThrow(ArgumentError)
      expect(() => stft(x(), { size: 1000 })).not.toThrow(ArgumentError)
    })
  })
})
