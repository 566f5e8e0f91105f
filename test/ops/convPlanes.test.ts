/** Convolutions of one and three directions by Fourier transforms, as convolutions of two, against the definition. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { conv1d, conv3d, init, normal, scope, vjp, type Tensor } from '../../src/index.js'
import { difference } from '../helpers/reference.js'

beforeAll(() => init())

/** One direction: its input, its taps, and zeros before and after it, fewer than the taps. */
const direction = (longest: number, taps: number) =>
  fc
    .record({
      n: fc.integer({ min: 1, max: longest }),
      r: fc.integer({ min: 1, max: taps }),
      lo: fc.nat(),
      hi: fc.nat(),
    })
    .map(({ n, r, lo, hi }) => ({ n: Math.max(n, r), r, padding: [lo % r, hi % r] as [number, number] }))

const channels = fc.record({
  N: fc.integer({ min: 1, max: 3 }),
  groups: fc.constantFrom(1, 1, 2),
  C: fc.integer({ min: 1, max: 4 }),
  K: fc.integer({ min: 1, max: 7 }),
  flip: fc.boolean(),
  seed: fc.nat({ max: 2 ** 20 }),
})

interface Extents {
  readonly n: number
  readonly r: number
  readonly padding: [number, number]
}

describe.each([
  ['one direction', conv1d, fc.tuple(direction(400, 300))],
  ['three directions', conv3d, fc.tuple(direction(6, 5), direction(20, 14), direction(20, 18))],
] as const)('a convolution of %s by Fourier transforms', (_, convolve, extents) => {
  it('gives what the definition gives, forward and backward', () => {
    fc.assert(
      fc.property(channels, extents as fc.Arbitrary<Extents[]>, ({ N, groups, C, K, flip, seed }, along) => {
        const kernel = along.map(({ r }) => r)
        fc.pre(kernel.some((r) => r > 1))
        scope(() => {
          const x = normal([N, groups * C, ...along.map(({ n }) => n)], { seed })
          const w = normal([groups * K, C, ...kernel], { seed: seed + 1 })
          const bias = normal([groups * K], { seed: seed + 2 })
          const options = { groups, flip, padding: along.map(({ padding }) => padding) }
          const passes = (algorithm: 'fft' | 'direct'): Tensor[] => {
            const of = (...[a, b, c]: Tensor[]) =>
              convolve(a as Tensor, b as Tensor, { ...options, bias: c as Tensor, algorithm })
            const { value, pullback } = vjp(of, x, w, bias)
            return [value, ...pullback(normal(value.shape, { seed: seed + 3 }))]
          }
          const expected = passes('direct')
          passes('fft').forEach((given, i) => {
            const values = expected[i]!.data()
            expect(given.shape).toEqual(expected[i]!.shape)
            const { error, scale } = difference(given.data(), Float64Array.from(values))
            expect(error).toBeLessThanOrEqual(2e-5 * scale + 1e-6)
          })
        })
      }),
      { numRuns: 60 },
    )
  })
})
