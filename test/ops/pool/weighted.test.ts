import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../../src/autodiff/vjp.js'
import { weightedPool2d } from '../../../src/ops/pool/weighted.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { numbers } from '../../helpers/linear.js'
import {
  cases,
  compare,
  expectFiniteDifferences,
  expectSecondDerivative,
  rangesOf,
  type Naive,
  type Window,
} from '../../helpers/pool.js'
import { indices, size } from '../../helpers/reference.js'
import { itRefuses } from '../../helpers/refusals.js'

beforeAll(() => init())

const x2 = (): Tensor => zeros([1, 4, 5, 5])

const naiveWeighted = (weights: readonly (readonly number[])[], countPadding: boolean): Naive => {
  const total = weights.flat().reduce((sum, weight) => sum + weight, 0)
  const shares = ({ taps, countedTaps }: Window): number[] => {
    const inside = taps.map(([r, s]) => weights[r!]![s!]! / total)
    let divisor = 0
    if (countPadding) {
      for (const [r, s] of indices(countedTaps)) divisor += weights[r!]![s!]! / total
    } else divisor = inside.reduce((sum, weight) => sum + weight, 0)
    return inside.map((weight) => weight / divisor)
  }
  return {
    value: (x, window) => shares(window).reduce((sum, share, i) => sum + share * x[window.from[i]!]!, 0),
    gradient(dx, dy, _, window) {
      shares(window).forEach((share, i) => (dx[window.from[i]!]! += dy * share))
    },
  }
}

describe('weighted pooling', () => {
  it('agrees with the definition, gradients included', () => {
    fc.assert(
      fc.property(
        cases(2, 1).filter(({ directions }) => directions === 2),
        fc.boolean(),
        fc.boolean(),
        (test, countIncludePad, gaussian) => {
          const xShape = [...test.maps, ...test.input]
          const x = numbers(size(xShape), test.seed, false)
          const [R, S] = test.kernel as [number, number]
          const sigma = [0.8, 1.7]
          const weights = Array.from({ length: R }, (_, r) =>
            Array.from({ length: S }, (__, s) =>
              gaussian
                ? Math.exp(
                    -((r - (R - 1) / 2) ** 2) / (2 * sigma[0]! ** 2) - (s - (S - 1) / 2) ** 2 / (2 * sigma[1]! ** 2),
                  )
                : 1 + ((r * 7 + s * 3) % 5),
            ),
          )
          const { kernel, stride, padding, ceil } = test
          const how = gaussian ? { kernel, sigma } : { weights }
          compare(
            (input) => weightedPool2d(input, { ...how, stride, padding, ceil, countIncludePad }),
            naiveWeighted(weights, countIncludePad),
            x,
            xShape,
            rangesOf(test),
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  it('gives less weight to what is farther from the centre', () => {
    scope(() => {
      const { pullback } = vjp((x) => weightedPool2d(x, { kernel: 5, sigma: 1.2 }), zeros([1, 1, 5, 5]))
      const weights = pullback(tensor([[[[1]]]]))[0]!.data()
      const byDistance = [...weights.entries()]
        .map(([i, weight]) => ({ distance: (Math.floor(i / 5) - 2) ** 2 + ((i % 5) - 2) ** 2, weight }))
        .sort((a, b) => a.distance - b.distance)
      for (let i = 1; i < 25; i++) {
        const [a, b] = [byDistance[i - 1]!, byDistance[i]!]
        if (a.distance === b.distance) expect(b.weight).toBeCloseTo(a.weight, 7)
        else expect(b.weight).toBeLessThan(a.weight)
      }
      expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6)
    })
  })

  it('stays finite for a Gaussian much narrower than the elements', () => {
    scope(() => {
      const y = weightedPool2d(
        tensor([
          [
            [
              [1, 2],
              [3, 4],
            ],
          ],
        ]),
        { kernel: 2, sigma: 1e-3 },
      )
      expect(y.item()).toBe(2.5)
    })
  })

  it('takes a tensor of weights', () => {
    scope(() => {
      const x = tensor([
        [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      ])
      expect(
        weightedPool2d(x, {
          weights: tensor([
            [1, 1],
            [1, 5],
          ]),
        }).item(),
      ).toBe(26 / 8)
    })
  })

  it('has the gradients that finite differences show', () => {
    expectFiniteDifferences((t) => weightedPool2d(t, { kernel: 3, sigma: 1, padding: 1 }))
  })

  it('can be differentiated twice', () => {
    expectSecondDerivative((t) => weightedPool2d(t, { kernel: 3, sigma: 1 }))
  })

  itRefuses(
    ['weights and sigma', () => weightedPool2d(x2(), { kernel: 3 }), /give either weights or sigma, not neither/],
    ['weights and sigma together', () => weightedPool2d(x2(), { weights: [[1]], sigma: 1 }), /not both/],
    [
      'extents of weights',
      () => weightedPool2d(x2(), { kernel: 3, weights: [[1]] }),
      /weights must be \(3, 3\) like the kernel, given \(1, 1\)/,
    ],
    [
      'ragged weights',
      () => weightedPool2d(x2(), { weights: [[1, 2], [3]] }),
      /rows of equal length, given rows of 2 and 1/,
    ],
    ['negative weights', () => weightedPool2d(x2(), { weights: [[1, -2]] }), /finite numbers from 0 on, given -2/],
    ['zero weights', () => weightedPool2d(x2(), { weights: [[0, 0]] }), /sum above 0, given 0/],
    ['sigma', () => weightedPool2d(x2(), { kernel: 3, sigma: 0 }), /sigma must be a positive number or two, given 0/],
  )
})
