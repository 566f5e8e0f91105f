/** Pools of bytes are those of their definitions, by loops and by kernels. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { limitsOf } from '../../../src/ops/integers/bytes.js'
import { fixedOf } from '../../../src/ops/integers/fixed.js'
import { byteAvgPool, byteMaxPool } from '../../../src/ops/integers/pool.js'
import { initIntegers } from '../../../src/quant/index.js'
import { init } from '../../../src/runtime/embedded.js'
import { scope } from '../../../src/tensor/tensor.js'
import { bytesOf, byteType, listed, listOf } from './bytes.js'
import { scaledExactly, windowsOf, within } from './reference.js'

beforeAll(() => init())

const axis = fc
  .record({
    kernel: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    n: fc.integer({ min: 1, max: 9 }),
    lo: fc.integer({ min: 0, max: 2 }),
    hi: fc.integer({ min: 0, max: 2 }),
  })
  .filter(({ kernel, dilation, n, lo, hi }) => {
    const reach = dilation * (kernel - 1) + 1
    return n + lo + hi >= reach && Math.max(lo, hi) <= reach / 2
  })

const pools = fc
  .record({ h: axis, w: axis, C: fc.integer({ min: 1, max: 5 }), type: byteType, ceil: fc.boolean() })
  .chain((given) =>
    fc.record({
      given: fc.constant(given),
      x: listOf(given.type, given.C * given.h.n * given.w.n),
      zero: fc.integer({ min: limitsOf(given.type)[0], max: limitsOf(given.type)[1] }),
      factor: fc.integer({ min: 1, max: 3000 }).map((value) => value / 1000),
      all: fc.boolean(),
    }),
  )

/** Checks both pools against their definitions. */
const checkPools = fc.property(pools, ({ given: { h, w, C, type, ceil }, x, zero, factor, all }) => {
  scope(() => {
    const [low, high] = limitsOf(type)
    const pairs = [h, w] as const
    const windows = {
      kernel: pairs.map(({ kernel }) => kernel) as [number, number],
      stride: pairs.map(({ stride }) => stride) as [number, number],
      dilation: pairs.map(({ dilation }) => dilation) as [number, number],
      padding: pairs.map(({ lo, hi }): [number, number] => [lo, hi]) as [[number, number], [number, number]],
    }
    const outputs = pairs.map(({ kernel, stride, dilation, n, lo, hi }) => {
      const steps = (n + lo + hi - dilation * (kernel - 1) - 1) / stride
      return (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
    }) as [number, number]
    const limits = { xZero: zero, yZero: zero, type, low, high, ceil }
    const shape = [1, C, h.n, w.n] as const
    const input = bytesOf(x, shape, type)
    const largest: number[] = []
    const means: number[] = []
    for (let c = 0; c < C; c++) {
      windowsOf(shape, windows, outputs, (places) => {
        const values = places.filter((place) => place >= 0).map((place) => x[c * h.n * w.n + place]!)
        largest.push(Math.max(low, ...values))
        const { m, s } = fixedOf(factor / Math.max(1, all ? places.length : values.length), 'factor')
        const sum = values.reduce((total, value) => total + value - zero, 0)
        means.push(within(scaledExactly(BigInt(sum), m, s) + BigInt(zero), low, high))
      })
    }
    expect(listed(byteMaxPool(input, { ...windows, ...limits }))).toEqual(largest)
    expect(listed(byteAvgPool(input, { ...windows, ...limits, factor, countIncludePad: all }))).toEqual(means)
  })
})

describe('pools of bytes', () => {
  it('are their definitions in loops of JavaScript', () => {
    fc.assert(checkPools, { numRuns: 100 })
  })

  it('are their definitions by kernels', async () => {
    await initIntegers()
    fc.assert(checkPools, { numRuns: 300 })
  })
})
