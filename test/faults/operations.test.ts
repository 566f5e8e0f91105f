/** An allocation or a kernel call that fails in the middle of an operation, or of its gradient, leaves nothing behind. */
import { beforeAll, describe, expect, it } from 'vitest'
import * as t from '../../src/index.js'
import type { Tensor } from '../../src/index.js'
import { everyCase, operations } from '../operations/index.js'
import { consumed, expectSurvival, initWithFaults } from '../helpers/faults.js'

beforeAll(() => initWithFaults())

describe('what fails leaves nothing', () => {
  it.each(everyCase)('%s', (_, name, make) => {
    const { liveBytes, blocks } = t.memoryUsage()
    const made = t.scope(make)
    if ('numbers' in made) return
    const { inputs, fn } = made
    const kept = (): readonly Tensor[] => inputs
    const forward = (): Float32Array[] => consumed(fn(...inputs))
    const shape = t.scope(() => fn(...inputs).shape)
    const dy = t.normal(shape, { seed: 77 })
    const backward = (): Float32Array[] => {
      const { value, gradients } = t.valueAndGrad((...given) => t.sum(t.mul(fn(...given), dy)))(...inputs)
      return consumed(value, ...gradients)
    }
    // With weights that were never packed, and with those that stay packed.
    const fresh = (): void => {
      for (const input of inputs) input.assign(input.data())
    }
    const trials = operations[name]!.compound ? [backward] : [forward, backward]
    for (const use of trials) {
      const count = expectSurvival({ use, kept, prepare: fresh })
      expect(count).toBeGreaterThan(name === 'flatten' && use === forward ? -1 : 1)
      for (let pass = 0; pass < 3; pass++) use()
      expect(expectSurvival({ use, kept })).toBeLessThanOrEqual(count)
    }
    for (const owned of [...inputs, dy]) owned.dispose()
    // Nobody holds an input either.
    expect(t.memoryUsage()).toMatchObject({ liveBytes, blocks })
  })
})
