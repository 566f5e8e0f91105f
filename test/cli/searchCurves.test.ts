/** The losses of the trials of a search: what is kept of them, and what the page draws. */
import { describe, expect, it } from 'vitest'
import { curveData, LossCurves } from '../../src/cli/searchCurves.js'
import { renderSearch } from '../../src/cli/searchReport.js'
import type { Trial } from '../../src/train/trials.js'

const trial = (number: number, lr: number, score: number | null = 0.5, round = 1): Trial => ({
  ...{ number, round, score, seconds: 1 },
  values: { lr, weightDecay: 0 },
})

/** Curves of trials whose losses are given, as a search tells them. */
function curvesOf(steps: number, losses: readonly (readonly number[])[]): LossCurves {
  const curves = new LossCurves(steps)
  losses.forEach((list, index) => {
    const tell = curves.begin(index + 1)
    list.forEach((loss, n) => {
      tell({ step: n + 1, loss })
    })
  })
  return curves
}

describe('curves of losses', () => {
  it('are means over stretches: of 100 steps 33, of more in later rounds more', () => {
    const rising = Array.from({ length: 100 }, (_, n) => n + 1)
    const { all } = curvesOf(100, [rising, [...rising, ...rising]])
    expect(all.map(({ trial: number, steps }) => [number, steps.length])).toEqual([
      [1, 33],
      [2, 66],
    ])
    expect(all[0]!.steps.slice(0, 3)).toEqual([3, 6, 9])
    expect(all[0]!.losses.slice(0, 3)).toEqual([2, 5, 8])
    // Of few steps each is kept.
    expect(curvesOf(4, [[4, 3, 2, 1]]).all[0]).toEqual({ trial: 1, steps: [1, 2, 3, 4], losses: [4, 3, 2, 1] })
  })

  it('are drawn from the lowest rate to the highest, on one axis that diverging trials leave', () => {
    const { all } = curvesOf(3, [[2, 3000, 1e9], [2.2, 1, 0.5], [2.1, 2, 1.9], []])
    const trials = [trial(1, 1, null), trial(2, 0.1), trial(3, 0.01), trial(4, 0.001)]
    const data = curveData(trials, all)!
    expect(data.steps).toEqual([1, 2, 3])
    expect(data.lines.map(({ name, place }) => [name, place])).toEqual([
      ['lr 0.01 (trial 3)', 0],
      ['lr 0.1 (trial 2)', 0.5],
      ['lr 1 (trial 1)', 1],
    ])
    expect(data.lines[1]!.losses).toEqual([2.2, 1, 0.5])
    const [low, high] = data.range
    expect(low).toBeGreaterThan(0.3)
    expect(low).toBeLessThan(0.5)
    expect(high).toBeGreaterThan(2.2)
    expect(high).toBeLessThan(10)
    expect(data.named).toBe(true)
  })

  it('leaves gaps where a trial has no point, and the legend out where it would be long', () => {
    const { all } = curvesOf(2, [[2, 1], ...Array.from({ length: 11 }, () => [3, 2, 1, 0.5])])
    const trials = all.map(({ trial: number }) => trial(number, number, 0.5, number === 1 ? 1 : 2))
    const data = curveData(trials, all)!
    expect(data.lines[0]!.losses).toEqual([2, 1, null, null])
    expect(data.named).toBe(false)
    expect(curveData([], all)).toBeUndefined()
    expect(curveData(trials, [])).toBeUndefined()
  })

  it('stand on the page even where every trial diverged', () => {
    const { all: curves } = curvesOf(2, [[5, 1e30]])
    const facts = { model: 'm', data: 'd', images: 1, seed: 1, seconds: 1, command: 'c', version: '1' }
    const page = renderSearch({ ...facts, trials: [trial(1, 10, null)], curves })
    expect(page).toContain('id="search-curves"')
    expect(page).toContain('No trial gave a result')
    const data = JSON.parse(/id="search-data">(.*?)<\/script>/.exec(page)![1]!) as { plots: unknown[]; curves: object }
    expect(data.plots).toEqual([])
    expect(data.curves).toEqual(curveData([trial(1, 10, null)], curves))
    expect(renderSearch({ ...facts, trials: [trial(1, 1)], curves: [] })).not.toContain('id="search-curves"')
  })
})
