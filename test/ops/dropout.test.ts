import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { dropout } from '../../src/ops/dropout.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { numbers } from '../helpers/linear.js'

beforeAll(() => init())

/** Philox4x32-10 in plain arithmetic: the four words of a counter. */
function philox(counter: readonly [number, number, number, number], seed: number): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint]
  let [k0, k1] = [BigInt(seed), 0n]
  const word = 0xffffffffn
  for (let round = 0; round < 10; round++) {
    const [left, right] = [c0 * 0xd2511f53n, c2 * 0xcd9e8d57n]
    ;[c0, c1, c2, c3] = [(right >> 32n) ^ c1 ^ k0, right & word, (left >> 32n) ^ c3 ^ k1, left & word]
    k0 = (k0 + 0x9e3779b9n) & word
    k1 = (k1 + 0xbb67ae85n) & word
  }
  return [c0, c1, c2, c3].map(Number)
}

describe('dropout', () => {
  it('follows the generator, whatever the size', () => {
    // The published vectors of the generator, so that the reference here is the right one.
    expect(philox([0, 0, 0, 0], 0)).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.constantFrom(0, 0.1, 0.5, 0.75, 0.999, 1),
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (count, p, seed, stream) => {
          scope(() => {
            const x = numbers(count, 3, false)
            const y = dropout(tensor(x), { p, seed, stream })
            const scale = Math.fround(p < 1 ? 1 / (1 - p) : 0)
            const wanted = x.map((value, i) => {
              const word = philox([i >> 2, 0, stream, 1], seed)[i & 3]!
              return value * (word >= p * 2 ** 32 ? scale : 0)
            })
            expect(y.data()).toEqual(wanted)
          })
        },
      ),
      { numRuns: 150 },
    )
  })

  it('uses the same mask for the gradient, and for the gradient of that', () => {
    scope(() => {
      const options = { p: 0.3, seed: 9, stream: 2 }
      const shape = [3, 5, 7]
      const x = uniform(shape, { low: 1, high: 2 })
      const { value, pullback } = vjp((t) => dropout(t, options), x)
      const [mask] = pullback(ones(shape))
      const xs = x.data()
      expect(value.data()).toEqual(mask!.data().map((factor, i) => factor * xs[i]!))
      const outer = vjp((dy) => vjp((t) => dropout(t, options), x).pullback(dy)[0]!, ones(shape))
      expect(outer.pullback(x)[0]!.data()).toEqual(value.data())
    })
  })

  it('drops a share of p and keeps the mean', () => {
    scope(() => {
      for (const p of [0.1, 0.5, 0.9]) {
        const y = dropout(ones([100_000]), { p, seed: 4 }).data()
        expect(y.filter((value) => value === 0).length / y.length).toBeCloseTo(p, 2)
        expect(y.reduce((sum, value) => sum + value, 0) / y.length).toBeCloseTo(1, 1)
      }
    })
  })

  it('draws other masks for other seeds and streams, independent of uniform numbers', () => {
    scope(() => {
      const mask = (seed: number, stream: number): boolean[] =>
        Array.from(dropout(ones([4096]), { p: 0.5, seed, stream }).data(), (value) => value > 0)
      const numbersBelow = Array.from(uniform([4096], { seed: 1 }).data(), (value) => value >= 0.5)
      const agreement = (a: readonly boolean[], b: readonly boolean[]): number =>
        a.filter((value, i) => value === b[i]).length / a.length
      const base = mask(1, 0)
      expect(agreement(base, mask(1, 0))).toBe(1)
      for (const other of [mask(2, 0), mask(1, 1), numbersBelow]) {
        expect(Math.abs(agreement(base, other) - 0.5)).toBeLessThan(0.04)
      }
    })
  })

  it('lets NaN and infinity through by IEEE rules', () => {
    scope(() => {
      expect([...dropout(tensor([NaN, Infinity, -Infinity]), { p: 0 }).data()]).toEqual([NaN, Infinity, -Infinity])
      expect([...dropout(tensor([NaN, Infinity, 2]), { p: 1 }).data()]).toEqual([NaN, NaN, 0])
    })
  })

  it.each<[string, () => unknown, RegExp]>([
    ['p', () => dropout(zeros([2]), { p: 1.5 }), /dropout: p must be a number from 0 to 1, given 1.5/],
    ['p of NaN', () => dropout(zeros([2]), { p: NaN }), /p must be a number from 0 to 1, given NaN/],
    ['seed', () => dropout(zeros([2]), { seed: -1 }), /dropout: a seed is a whole number/],
    ['stream', () => dropout(zeros([2]), { stream: 0.5 }), /dropout: a stream is a whole number.*not 0.5/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(message)
      expect(call).toThrow(ShapeError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
})
