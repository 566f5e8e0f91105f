/** K-means of the places or channels of each example, beside its definition: every element is nearest to the mean of its cluster. */
import { beforeAll, describe, expect, it } from 'vitest'
import { clusterRegions, type ClusterOptions } from '../../../src/ops/pool/clusters.js'
import { init } from '../../../src/runtime/embedded.js'
import { normal, tensor } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'

beforeAll(() => init())

/** The vectors that are clustered of one example of maps (C, H, W): responses, and behind them places. */
function vectorsOf(x: Tensor, n: number, { of = 'places', location = 0 }: ClusterOptions): number[][] {
  const [, C, H, W] = x.shape as [number, number, number, number]
  const at = (c: number, p: number): number => x.data()[(n * C + c) * H * W + p]!
  const range = (count: number): number[] => [...Array(count).keys()]
  if (of === 'channels') return range(C).map((c) => range(H * W).map((p) => at(c, p)))
  const rows = range(H * W).map((p) => range(C).map((c) => at(c, p)))
  if (location === 0) return rows
  const means = range(C).map((c) => rows.reduce((sum, row) => sum + row[c]!, 0) / rows.length)
  const variance = rows.reduce((sum, row) => sum + row.reduce((t, v, c) => t + (v - means[c]!) ** 2, 0), 0) / (H * W)
  return rows.map((row, p) => [
    ...row.map((value) => value / Math.sqrt(variance || 1)),
    ...[Math.floor(p / W), p % W].map((place) => (location * place) / Math.max(H, W)),
  ])
}

const apart = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0)
const meanOf = (rows: number[][]): number[] =>
  rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length)

const kinds: [string, ClusterOptions][] = [
  ['places', { clusters: 4 }],
  ['places near each other', { clusters: 5, location: 3 }],
  ['a grid', { clusters: [2, 3], location: 2 }],
  ['one cluster', { clusters: 1 }],
  ['as many as places', { clusters: 30 }],
  ['channels', { clusters: 3, of: 'channels' }],
]

describe('clusters of responses', () => {
  it.each(kinds)('of %s: every element is nearest to the mean of its own', (_, options) => {
    scope(() => {
      const x = normal([3, 7, 5, 6], { seed: 4 })
      const labels = clusterRegions(x, { ...options, rounds: 100 })
      expect(labels.dtype).toBe('int32')
      expect(labels.shape).toEqual(options.of === 'channels' ? [3, 7] : [3, 5, 6])
      for (let n = 0; n < 3; n++) {
        const vectors = vectorsOf(x, n, options)
        const own = [...labels.data().subarray(n * vectors.length, (n + 1) * vectors.length)]
        const used = [...new Set(own)]
        const means = new Map(used.map((k) => [k, meanOf(vectors.filter((_, p) => own[p] === k))]))
        vectors.forEach((vector, p) => {
          const least = Math.min(...used.map((k) => apart(vector, means.get(k)!)))
          expect(apart(vector, means.get(own[p]!)!)).toBeLessThanOrEqual(least + 1e-9)
        })
        if (typeof options.clusters !== 'number') continue
        // The order is that of the lengths of the mean responses.
        const D = options.of === 'channels' ? 30 : 7
        const lengths = [...used].sort((a, b) => a - b).map((k) => apart(means.get(k)!.slice(0, D), Array<number>(D).fill(0))) // prettier-ignore
        lengths.slice(1).forEach((length, i) => expect(length).toBeLessThanOrEqual(lengths[i]! + 1e-9))
      }
    })
  })

  it('finds what is there: an example does not change those of another', () => {
    scope(() => {
      // Two squares of different strength on a dark ground.
      const picture = (top: number, left: number): number[] =>
        Array.from({ length: 64 }, (_, p) => {
          const [y, x] = [Math.floor(p / 8), p % 8]
          if (y >= top && y < top + 3 && x >= left && x < left + 3) return 5
          return y >= 5 && x >= 5 ? 2 : 0
        })
      const both = clusterRegions(tensor([...picture(0, 1), ...picture(1, 0)], [2, 1, 8, 8]), { clusters: 3 }).data()
      ;[picture(0, 1), picture(1, 0)].forEach((values, n) => {
        const expected = values.map((value) => ({ 5: 0, 2: 1, 0: 2 })[value])
        expect([...both.subarray(n * 64, (n + 1) * 64)]).toEqual(expected)
      })
    })
  })

  it('of a grid keep their cells where places decide', () => {
    scope(() => {
      const labels = clusterRegions(normal([1, 2, 6, 4], { seed: 1 }), { clusters: [3, 2], location: 1e4 }).data()
      expect([...labels]).toEqual(Array.from({ length: 24 }, (_, p) => 2 * Math.floor(p / 8) + Math.floor((p % 4) / 2)))
    })
  })

  it('of one and three directions are those of the places in a row', () => {
    scope(() => {
      const x = normal([2, 3, 24], { seed: 2 })
      const flat = [...clusterRegions(x, { clusters: 4 }).data()]
      for (const shape of [
        [2, 3, 4, 6],
        [2, 3, 2, 3, 4],
      ])
        // prettier-ignore
        expect([...clusterRegions(x.reshape(shape), { clusters: 4 }).data()]).toEqual(flat)
    })
  })
})
