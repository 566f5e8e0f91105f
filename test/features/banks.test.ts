/** Filters that need no data: random ones, Gabor functions, differences of Gaussians. */
import { beforeAll, describe, expect, it } from 'vitest'
import { differenceOfGaussians, gaborBank, randomFilters } from '../../src/features/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

/** The filters of a bank, each as numbers. */
function filtersOf(bank: Tensor): number[][] {
  const values = bank.data()
  const size = values.length / (bank.shape[0] as number)
  return Array.from({ length: bank.shape[0] as number }, (_, k) => [...values.subarray(k * size, (k + 1) * size)])
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const dot = (a: readonly number[], b: readonly number[]): number => sum(a.map((value, i) => value * b[i]!))

describe('every bank', () => {
  it.each([
    ['randomFilters', () => randomFilters({ filters: 5, size: [3, 4], channels: 2, seed: 7 }), [5, 2, 3, 4]],
    ['gaborBank', () => gaborBank({ size: 7, channels: 3, orientations: 3, phases: [0, 1] }), [12, 3, 7, 7]],
    ['differenceOfGaussians', () => differenceOfGaussians({ size: [7, 9], sigmas: [0.8, 1.2] }), [4, 1, 7, 9]],
  ])('%s gives weights of the sum 0 and the norm 1, the same each time', (_, make, shape) => {
    scope(() => {
      const bank = make()
      expect(bank.shape).toEqual(shape)
      for (const filter of filtersOf(bank)) {
        expect(sum(filter)).toBeCloseTo(0, 5)
        expect(dot(filter, filter)).toBeCloseTo(1, 5)
      }
      expect(make().data()).toEqual(bank.data())
    })
  })
})

it('random filters are of their seed and stream', () => {
  scope(() => {
    const make = (seed: number, stream: number) => randomFilters({ filters: 2, size: 3, seed, stream }).data()
    expect(make(1, 0)).not.toEqual(make(2, 0))
    expect(make(1, 0)).not.toEqual(make(1, 1))
  })
})

describe('a bank of Gabor functions', () => {
  const options = { size: 9, orientations: 4, frequencies: [1.2], phases: [0, Math.PI / 2, Math.PI] }

  it('has the wave of (9.16) in each direction, with its window', () => {
    scope(() => {
      const filters = filtersOf(gaborBank(options))
      const sigma = (0.56 * 2 * Math.PI) / 1.2
      for (let n = 0; n < 4; n++) {
        const tau = (n * Math.PI) / 4
        const plane = Array.from({ length: 81 }, (_, i) => {
          const [x, y] = [(i % 9) - 4, Math.floor(i / 9) - 4]
          const along = x * Math.cos(tau) + y * Math.sin(tau)
          const across = y * Math.cos(tau) - x * Math.sin(tau)
          const window = Math.exp(-(along * along + 0.25 * across * across) / (2 * sigma * sigma))
          return window * Math.cos(1.2 * along)
        })
        const centred = plane.map((value) => value - sum(plane) / 81)
        const norm = Math.sqrt(dot(centred, centred))
        filters[n * 3]!.forEach((value, i) => expect(value).toBeCloseTo(centred[i]! / norm, 5))
      }
    })
  })

  it('has odd filters beside even ones, and their negatives', () => {
    scope(() => {
      const [even, odd, negative] = filtersOf(gaborBank(options)) as [number[], number[], number[]]
      expect(dot(even, odd)).toBeCloseTo(0, 5)
      expect(dot(even, negative)).toBeCloseTo(-1, 5)
      odd.forEach((value, i) => expect(value).toBeCloseTo(-odd[80 - i]!, 5))
    })
  })
})

it('a cell with an on-centre is bright in the middle and dark around it, and one with an off-centre its negative', () => {
  scope(() => {
    const [on, off] = filtersOf(differenceOfGaussians({ size: 7, sigmas: [1] })) as [number[], number[]]
    const gaussian = (sigma: number): number[] => {
      const values = Array.from({ length: 49 }, (_, i) => {
        const [x, y] = [(i % 7) - 3, Math.floor(i / 7) - 3]
        return Math.exp(-(x * x + y * y) / (2 * sigma * sigma))
      })
      return values.map((value) => value / sum(values))
    }
    const surround = gaussian(1.6)
    const expected = gaussian(1).map((value, i) => value - surround[i]!)
    const norm = Math.sqrt(dot(expected, expected))
    on.forEach((value, i) => expect(value).toBeCloseTo(expected[i]! / norm, 5))
    expect(on[24]).toBeGreaterThan(0)
    expect(on[0]).toBeLessThan(0)
    off.forEach((value, i) => expect(value).toBeCloseTo(-on[i]!, 6))
  })
})

describe('bad options', () => {
  it.each([
    [() => randomFilters({ filters: 0, size: 3 }), /^randomFilters: filters must be a whole number from 1 /],
    [() => randomFilters({ filters: 2, size: 1 }), /^randomFilters: filters of 1 × 1 pixel have no contrast/],
    [() => randomFilters({ filters: 2 ** 20, size: 99 }), /^randomFilters: \(1048576, 1, 99, 99\) are \d+ weights/],
    [() => randomFilters({ filters: 2, size: 3, sead: 1 } as never), /there is no option 'sead'; did you mean 'seed'/],
    [() => gaborBank({ size: 5, orientations: 1.5 }), /^gaborBank: orientations must be a whole number/],
    [
      () => gaborBank({ size: 5, frequencies: [0] }),
      /^gaborBank: frequencies must be a list of finite numbers above 0/,
    ],
    [() => gaborBank({ size: 5, phases: [] }), /^gaborBank: phases must be a list of finite numbers, at least one/],
    [() => gaborBank({ size: 2000 }), /at most 4194304 are made/],
    [() => gaborBank({ size: 3, frequencies: [2 * Math.PI] }), /^gaborBank: filter \d+ is the same at every pixel/],
    [() => differenceOfGaussians({ size: 5, ratio: 1 }), /^differenceOfGaussians: ratio must be above 1/],
    [() => differenceOfGaussians({ size: 5, sigmas: [-1] }), /sigmas must be a list of finite numbers above 0/],
    [() => differenceOfGaussians(undefined as never), /^differenceOfGaussians: the options are missing/],
  ])('%s', (make, message) => {
    expect(make).toThrow(ShapeError)
    expect(make).toThrow(message)
  })
})
