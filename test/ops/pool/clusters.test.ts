/** The values that are pooled over clusters, their gradients, and what is refused; assign.test.ts has the clusters themselves. */
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../../src/autodiff/gradcheck.js'
import { vjp } from '../../../src/autodiff/vjp.js'
import { clusterPool, clusterRegions, type ClusterOptions } from '../../../src/ops/pool/clusters.js'
import { globalAvgPool, globalMaxPool, mul } from '../../../src/ops/index.js'
import { init } from '../../../src/runtime/embedded.js'
import { normal, tensor, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'

beforeAll(() => init())

const kinds: [string, ClusterOptions][] = [
  ['places', { clusters: 4 }],
  ['places near each other', { clusters: 5, location: 3 }],
  ['a grid', { clusters: [2, 3], location: 2 }],
  ['one cluster', { clusters: 1 }],
  ['as many as places', { clusters: 30 }],
  ['channels', { clusters: 3, of: 'channels' }],
]

describe('clusterPool', () => {
  it.each(kinds)('of %s gives the largest value and the mean of each', (_, options) => {
    scope(() => {
      const x = normal([3, 7, 5, 6], { seed: 4 })
      const isOfChannels = options.of === 'channels'
      const labels = clusterRegions(x, options).data()
      const K = [options.clusters].flat().reduce((a, b) => a * b)
      const expected = { max: [] as number[], mean: [] as number[] }
      const values = x.data()
      const push = (own: number[]): void => {
        expected.max.push(own.length > 0 ? Math.max(...own) : 0)
        expected.mean.push(own.length > 0 ? own.reduce((sum, value) => sum + value, 0) / own.length : 0)
      }
      for (let n = 0; n < 3; n++) {
        const of = (c: number, p: number): number => values[(n * 7 + c) * 30 + p]!
        if (isOfChannels) {
          for (let k = 0; k < K; k++)
            for (let p = 0; p < 30; p++)
              push([...Array(7).keys()].filter((c) => labels[n * 7 + c] === k).map((c) => of(c, p)))
        } else {
          for (let c = 0; c < 7; c++)
            for (let k = 0; k < K; k++)
              push([...Array(30).keys()].filter((p) => labels[n * 30 + p] === k).map((p) => of(c, p)))
        }
      }
      for (const pool of ['max', 'mean'] as const) {
        const y = clusterPool(x, { ...options, pool })
        expect(y.shape).toEqual(isOfChannels ? [3, K, 5, 6] : [3, 7, ...[options.clusters].flat()])
        y.data().forEach((value, i) => expect(value).toBeCloseTo(expected[pool][i]!, 5))
      }
    })
  })

  it('of one cluster is global pooling, and of nothing is 0', () => {
    scope(() => {
      const x = normal([2, 3, 4, 5], { seed: 3 })
      const flat = (y: Tensor): number[] => [...y.data()]
      expect(flat(clusterPool(x, { clusters: 1 }))).toEqual(flat(globalMaxPool(x)))
      const means = globalAvgPool(x).data()
      clusterPool(x, { clusters: 1, pool: 'mean' }).data().forEach((value, i) => expect(value).toBeCloseTo(means[i]!, 6)) // prettier-ignore
      // All places are alike: one cluster has them all.
      const same = tensor(new Float32Array(24).fill(-2), [1, 2, 3, 4])
      expect(flat(clusterPool(same, { clusters: 3 })).map((value) => value + 0)).toEqual([-2, 0, 0, -2, 0, 0])
      expect(flat(clusterPool(same, { clusters: 3, pool: 'mean' }))).toEqual([-2, 0, 0, -2, 0, 0])
      expect(clusterPool(zeros([0, 2, 3, 4]), { clusters: 3 }).shape).toEqual([0, 2, 3])
    })
  })

  it.each(kinds)('of %s has the gradients that finite differences show, clusters held', (_, options) => {
    scope(() => {
      // Far apart, so that no difference moves an element to another cluster.
      const x = mul(normal([2, 7, 5, 6], { seed: 4 }), 20)
      for (const pool of ['max', 'mean'] as const) {
        const result = gradcheck((given) => clusterPool(given, { ...options, pool }), [x], { samples: 200 })
        expect(result).toMatchObject({ ok: true })
      }
    })
  })

  it('gives dy to the first largest of a cluster, or to all of it alike', () => {
    scope(() => {
      const x = tensor([9, 8, 9, 1, 1, 0], [1, 1, 6])
      const gradient = (pool: 'max' | 'mean'): number[] => {
        const { pullback } = vjp((given) => clusterPool(given, { clusters: 2, pool }), x)
        return [...pullback(tensor([3, 6], [1, 1, 2]))[0]!.data()]
      }
      expect(gradient('max')).toEqual([3, 0, 0, 6, 0, 0])
      expect(gradient('mean')).toEqual([1, 1, 1, 2, 2, 2])
    })
  })

  it('lets NaN through and stays in bounds', () => {
    scope(() => {
      const x = tensor([1, NaN, 3, 4, Infinity, 6], [1, 1, 6])
      expect(clusterPool(x, { clusters: 1 }).item()).toBeNaN()
      expect(clusterPool(x, { clusters: 3, location: 1 }).shape).toEqual([1, 1, 3])
      const nothing = clusterPool(tensor([Infinity, 1, 1, 1], [1, 1, 4]), { clusters: 3 }).data()
      expect([...nothing]).not.toContain(NaN)
      expect(clusterPool(x, { clusters: [3], pool: 'mean' }).shape).toEqual([1, 1, 3])
    })
  })

  it('refuses what does not fit', () => {
    scope(() => {
      const x = zeros([2, 3, 4, 5])
      const pool =
        (options: object, given = x): (() => unknown) =>
        () =>
          clusterPool(given, options as never)
      expect(pool({})).toThrow(/^clusterPool: clusters must be a number or/)
      expect(pool({ clusters: 50_176, rounds: 100 }, zeros([1, 3, 224, 224]))).toThrow(
        /take 762842185728 differences for each example/,
      )
      expect(pool({ clusters: 21 })).toThrow(/^clusterPool: 21 clusters cannot be made of the places of \(3, 4, 5\)$/)
      expect(pool({ clusters: [5, 2] })).toThrow(
        /^clusterPool: a grid \(5, 2\) of clusters cannot be made of the places/,
      )
      expect(pool({ clusters: [2] })).toThrow(/^clusterPool: clusters must be a number or 2 numbers, given 1 numbers$/)
      expect(pool({ clusters: 0 })).toThrow(/^clusterPool: clusters must be whole numbers from 1 on, given 0$/)
      expect(pool({ clusters: 4, of: 'channels' })).toThrow(/4 clusters cannot be made of the channels of \(3, 4, 5\)$/)
      expect(pool({ clusters: 2, of: 'channels', location: 1 })).toThrow(
        /^clusterPool: channels have no places; give no location$/,
      )
      expect(pool({ clusters: [1, 2], of: 'channels' })).toThrow(/give no grid of clusters$/)
      expect(pool({ clusters: 2, of: 'rows' })).toThrow(
        /^clusterPool: of must be 'places' or 'channels', given 'rows'$/,
      )
      expect(pool({ clusters: 2, pool: 'sum' })).toThrow(/^clusterPool: pool must be 'max' or 'mean', given 'sum'$/)
      expect(pool({ clusters: 2, location: -1 })).toThrow(/^clusterPool: location must be a finite number from 0 on/)
      expect(pool({ clusters: 2, rounds: 0 })).toThrow(/^clusterPool: rounds must be a whole number from 1 to 100/)
      expect(pool({ clusters: 2, seed: 1 })).toThrow(/there is no option 'seed'/)
      expect(pool({ clusters: 2 }, zeros([2, 3]))).toThrow(/^clusterPool: x must be \(N, C, …\) of one to three/)
      expect(() => clusterRegions(x, { clusters: 2, pool: 'max' } as never)).toThrow(/there is no option 'pool'/)
      expect(() => (clusterPool as (...given: unknown[]) => unknown)(x, { clusters: 2 }, 1)).toThrow(
        /^clusterPool: there is no argument 3/,
      )
    })
  })
})
