import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { automaticFor, planConv, type ConvProblem } from '../../src/plan/conv.js'

type Pass = 'fwd' | 'dx' | 'dw'
type Times = Record<string, { kept: number; fresh?: number }>

const bench = (file: string): URL => new URL(`../../bench/${file}`, import.meta.url)
const { cases } = (await import(bench('fit/cases.mjs').href)) as {
  cases: readonly { name: string; problem: ConvProblem }[]
}
const { solve } = (await import(bench('fit/solve.mjs').href)) as { solve: (rows: number[][]) => number[] }
const { measured } = JSON.parse(readFileSync(bench('results/algorithms.json'), 'utf8')) as {
  measured: Record<string, Record<Pass, Times>>
}

describe('the costs of algorithms', () => {
  it('were fitted to times of every case, pass and algorithm that is taken unasked', () => {
    expect(Object.keys(measured)).toEqual(cases.map(({ name }) => name))
    for (const { name, problem } of cases) {
      for (const pass of ['fwd', 'dx', 'dw'] as const) {
        // The loops of the definition would take long for large layers.
        const taken = automaticFor(problem, pass).filter((algorithm) => algorithm !== 'direct')
        expect(Object.keys(measured[name]?.[pass] ?? {})).toEqual(expect.arrayContaining(taken))
      }
    }
  })

  it.each(cases.map(({ name, problem }) => [name, problem] as const))(
    'choose for %s what was measured at most a tenth slower than the fastest',
    (name, problem) => {
      for (const pass of ['fwd', 'dx', 'dw'] as const) {
        const packs = pass === 'dx' || (pass === 'fwd' && problem.N > 1)
        const times = automaticFor(problem, pass).map((algorithm) => {
          const { kept, fresh = kept } = measured[name]?.[pass][algorithm] ?? { kept: Infinity }
          return [algorithm, packs ? fresh : kept] as const
        })
        const fastest = Math.min(...times.map(([, time]) => time))
        expect(new Map(times).get(planConv(problem, pass))).toBeLessThanOrEqual(1.1 * fastest)
      }
    },
  )

  it('are least squares that stay above zero', () => {
    const close = (values: number[], expected: number[]) =>
      expected.forEach((value, index) => expect(values[index]).toBeCloseTo(value, 6))
    close(solve([[1, 0], [0, 2], [1, 1]]), [7 / 9, 4 / 9]) // prettier-ignore
    close(solve([[1, 1], [1, 2], [1, 3]]), [1, 0]) // prettier-ignore
    close(solve([[1, 1], [2, 1], [3, 1]]), [0, 1]) // prettier-ignore
    close(solve([[-1, 2], [-1, 2]]), [0, 0.5]) // prettier-ignore
  })
})
