/** Numbers as int8 with scales stand within half a step of themselves. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesByScales, floatsOfScaled, scalesOf } from '../../src/formats/scaledBytes.js'

const LARGEST = (2 - 2 ** -23) * 2 ** 127

/** The definition, slice by slice. */
function naive(values: readonly number[], slices: number, scales: Float32Array): number[] {
  const each = values.length / slices
  return values.map((value, i) => {
    const steps = value / scales[(i - (i % each)) / each]!
    const below = Math.floor(steps)
    return Math.max(-127, Math.min(127, steps - below < 0.5 ? below : below + 1))
  })
}

describe('numbers as int8', () => {
  it('are the nearest steps, of which the largest magnitude of a slice has 127, and come back within half a step', () => {
    const number = fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.float({ noNaN: true, noDefaultInfinity: true, min: -1, max: 1 }),
    )
    const slices = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 6 }))
      .chain(([K, each]) =>
        fc.array(fc.array(number, { minLength: each, maxLength: each }), { minLength: K, maxLength: K }),
      )
    fc.assert(
      fc.property(slices, (given) => {
        const values = Float32Array.from(given.flat())
        const scales = scalesOf(values, given.length)
        const bytes = bytesByScales(values, scales)
        // −0 is 0 as a byte.
        expect([...bytes]).toEqual(naive([...values], given.length, scales).map((value) => value + 0))
        const back = floatsOfScaled(bytes, scales)
        given.forEach((slice, k) => {
          const most = Math.max(...slice.map(Math.abs))
          // The scale is rounded to float32, and so is each product.
          const bound = Math.max((most / 254) * (1 + 2 ** -15), 2 ** -127)
          slice.forEach((value, i) => {
            expect(Math.abs(back[k * slice.length + i]! - value)).toBeLessThanOrEqual(bound)
          })
        })
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it.each([LARGEST, 2 ** -149, 2 ** -126, 0])('have scales up to the largest float32, and down to 0: %s', (value) => {
    const values = Float32Array.of(value, -value, 0)
    const scales = scalesOf(values, 1)
    expect(scales[0]).toBeGreaterThanOrEqual(2 ** -126)
    const back = floatsOfScaled(bytesByScales(values, scales), scales)
    expect(back.every(Number.isFinite)).toBe(true)
    back.forEach((each, i) => {
      expect(Math.abs(each - values[i]!)).toBeLessThanOrEqual(Math.max(value / 254, 2 ** -127))
    })
  })
})
