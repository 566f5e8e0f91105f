import { beforeAll, describe, expect, it } from 'vitest'
import { DivergedError, ShapeError } from '../../src/runtime/errors.js'
import { init } from '../../src/runtime/embedded.js'
import { gridSearch, randomSearch } from '../../src/train/search.js'
import { ranked, type Trial } from '../../src/train/trials.js'

beforeAll(() => init())

const space = { lr: { low: 1e-4, high: 1 }, decay: { low: 1e-6, high: 1e-2 } }
/** Highest at lr = 0.03 and decay = 10⁻⁴, by distances of logarithms. */
const hill = ({ lr, decay }: Readonly<Record<string, number>>): number =>
  -(Math.log10(lr! / 0.03) ** 2) - Math.log10(decay! / 1e-4) ** 2

describe('randomSearch', () => {
  it('tries every n-th of each range once, in log space', async () => {
    const { trials, stopped } = await randomSearch(() => 1, { space, trials: 16, seed: 3 })
    expect(stopped).toBe('finished')
    expect(trials.map(({ number, round }) => [number, round])).toEqual(Array.from({ length: 16 }, (_, i) => [i + 1, 1]))
    for (const name of ['lr', 'decay'] as const) {
      const { low, high } = space[name]
      const places = trials.map(({ values }) => (16 * Math.log(values[name]! / low)) / Math.log(high / low))
      places.sort((a, b) => a - b)
      // Rounding to three digits moves a value by at most half a per cent.
      places.forEach((place, nth) => {
        expect(place).toBeGreaterThan(nth - 0.02)
        expect(place).toBeLessThan(nth + 1.02)
      })
    }
    const product = trials.map(({ values }) => values['lr']! * values['decay']!)
    expect(new Set(product.map((value) => value.toPrecision(2))).size).toBeGreaterThan(8)
  })

  it('draws from a linear range too', async () => {
    const { trials } = await randomSearch(() => 1, { space: { m: { low: -1, high: 3, scale: 'linear' } }, trials: 4 })
    const sorted = trials.map(({ values }) => values['m']!).sort((a, b) => a - b)
    sorted.forEach((value, nth) => expect(Math.floor(value + 1)).toBe(nth))
  })

  it('comes closer from round to round', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const { trials, best } = await randomSearch(hill, { space, trials: 12, rounds: 3, seed })
      expect(trials).toHaveLength(36)
      const spread = (round: number): number => {
        const values = trials.filter((trial) => trial.round === round).map(({ values: { lr } }) => Math.log10(lr!))
        return Math.max(...values) - Math.min(...values)
      }
      expect(spread(3)).toBeLessThan(spread(1) / 2)
      const coarse = ranked(trials.filter(({ round }) => round === 1))[0]!
      expect(best!.score!).toBeGreaterThanOrEqual(coarse.score!)
      expect(best!.score!).toBeGreaterThan(-0.1)
    }
  })

  it('tries the same for the same seed', async () => {
    const values = async (seed: number): Promise<unknown> =>
      (await randomSearch(hill, { space, trials: 5, rounds: 2, seed })).trials.map((trial) => trial.values)
    expect(await values(7)).toEqual(await values(7))
    expect(await values(7)).not.toEqual(await values(8))
  })

  it('goes on after trials that diverge, but not after other errors', async () => {
    const sometimes = ({ lr }: Readonly<Record<string, number>>): number => {
      if (lr! > 0.1) throw new DivergedError('too fast')
      return lr! > 0.01 ? NaN : lr!
    }
    const { trials, best } = await randomSearch(sometimes, { space, trials: 12, rounds: 2 })
    expect(trials).toHaveLength(24)
    expect(trials.filter(({ score }) => score === null).length).toBeGreaterThan(2)
    expect(best!.values['lr']).toBeLessThan(0.01)
    expect(best!.score).toBe(Math.max(...trials.map(({ score }) => score ?? 0)))
    const failing = (): never => {
      throw new Error('disk')
    }
    await expect(randomSearch(failing, { space, trials: 2 })).rejects.toThrow('disk')
    const none = await randomSearch(() => NaN, { space, trials: 3, rounds: 2 })
    expect([none.best, none.trials.length]).toEqual([undefined, 6])
  })

  it('refuses a score that is no number, and a controller in place of its signal', async () => {
    const space = { lr: { low: 1e-4, high: 1 } }
    for (const score of [undefined, '0.5', null]) {
      await expect(randomSearch(() => score as never, { space, trials: 2 })).rejects.toThrow(
        /^search: what the function gives must be a number, the score, given /,
      )
    }
    const signal = new AbortController() as never
    await expect(randomSearch(() => 1, { space, trials: 2, signal })).rejects.toThrow(
      /^search: signal must be an Abort/,
    )
  })

  it('ends at a signal with the trials that are whole', async () => {
    const controller = new AbortController()
    const told: Trial[] = []
    const { stopped, trials } = await randomSearch(
      (_, { number }) => {
        if (number === 3) controller.abort()
        return number
      },
      { space, trials: 5, signal: controller.signal, onTrial: (trial) => void told.push(trial) },
    )
    expect([stopped, trials.length, told]).toEqual(['aborted', 2, trials])
  })

  it.each([
    [{ space: {}, trials: 1 }, /no dimension/],
    [
      { space: { lr: { low: 0, high: 1 } }, trials: 1 },
      /lr must have a low end \(above 0\) below its high end, given 0 to 1/,
    ],
    [{ space: { lr: { low: 2, high: 1 } }, trials: 1 }, /given 2 to 1/],
    [{ space, trials: 0 }, /trials must be a whole number from 1 on/],
    [{ space, trials: 1, rounds: 0.5 }, /rounds/],
    [{ space, trials: 1, keep: 0 }, /keep/],
  ])('refuses %j', async (options, message) => {
    await expect(randomSearch(() => 1, options)).rejects.toThrow(message)
    await expect(randomSearch(() => 1, options)).rejects.toThrow(ShapeError)
  })
})

describe('gridSearch', () => {
  it('tries every combination', async () => {
    const { trials, best } = await gridSearch(hill, { values: { lr: [0.01, 0.03, 0.1], decay: [1e-5, 1e-4] } })
    expect(trials.map(({ values }) => [values['lr'], values['decay']])).toEqual([
      ...[
        [0.01, 1e-5],
        [0.01, 1e-4],
        [0.03, 1e-5],
        [0.03, 1e-4],
        [0.1, 1e-5],
        [0.1, 1e-4],
      ],
    ])
    expect(best!.values).toEqual({ lr: 0.03, decay: 1e-4 })
    await expect(gridSearch(hill, { values: {} })).rejects.toThrow(/no dimension/)
    await expect(gridSearch(hill, { values: { lr: [] } })).rejects.toThrow(/lr must have at least one value/)
  })
})
