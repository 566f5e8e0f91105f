/** Values centred and scaled by their own statistics, beside the definition in float64, and their gradients. */
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { mul } from '../../src/ops/index.js'
import { standardized } from '../../src/ops/standardize.js'
import { init } from '../../src/runtime/embedded.js'
import { normal } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const shape = [2, 3, 4]
const axesOf = [[0], [1], [2], [1, 2], [0, 2], [0, 1, 2]]

describe('standardized', () => {
  it.each(axesOf)('over axes %j, … is (x − mean) / √(variance + ε)', (...axes) => {
    scope(() => {
      const x = normal(shape, { mean: 3, std: 2, seed: 4 })
      const values = x.data()
      const { y, average, variance, deviation } = standardized(x, axes, 0.1)
      const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent))
      for (const result of [average, variance, deviation]) expect(result.shape).toEqual(kept)
      const keyOf = (i: number): string =>
        [Math.floor(i / 12), Math.floor(i / 4) % 3, i % 4].filter((_, axis) => !axes.includes(axis)).join()
      const groups = new Map<string, number[]>()
      for (const i of values.keys()) groups.set(keyOf(i), [...(groups.get(keyOf(i)) ?? []), i])
      const found = y.data()
      let group = 0
      for (const indices of groups.values()) {
        const mean = indices.reduce((total, i) => total + values[i]!, 0) / indices.length
        const spread = indices.reduce((total, i) => total + (values[i]! - mean) ** 2, 0) / indices.length
        expect(average.data()[group]).toBeCloseTo(mean, 5)
        expect(variance.data()[group]).toBeCloseTo(spread, 4)
        expect(deviation.data()[group]).toBeCloseTo(Math.sqrt(spread + 0.1), 5)
        for (const i of indices) expect(found[i]).toBeCloseTo((values[i]! - mean) / Math.sqrt(spread + 0.1), 5)
        group++
      }
      expect(group).toBe(kept.reduce((product, extent) => product * extent, 1))
    })
  })

  it('has gradients through mean and variance', () => {
    scope(() => {
      const target = normal(shape, { seed: 9 })
      const x = normal(shape, { seed: 4 })
      expect(gradcheck((given) => mul(standardized(given, [1, 2], 0.1).y, target), [x]).ok).toBe(true)
    })
  })
})
