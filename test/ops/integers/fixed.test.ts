/** Factors of fixed point, against whole numbers of any size. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fixedOf, roundEven, scaledBy } from '../../../src/ops/integers/fixed.js'
import { scaledExactly } from './reference.js'

describe('factors', () => {
  it('are the nearest of 31 bits, and scale as their definition says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        fc.integer({ min: -60, max: 14 }),
        (sum, mantissa, exponent) => {
          const factor = (mantissa / 2 ** 31) * 2 ** exponent
          const { m, s } = fixedOf(factor, 'factor')
          expect(Math.abs(m * 2 ** (-32 - s) - factor)).toBeLessThanOrEqual(2 ** (-33 - s))
          expect(BigInt(scaledBy(sum, m, s))).toBe(scaledExactly(BigInt(sum), m, s))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it.each([0, -1, NaN, Infinity, 2 ** 16])('are refused: %d', (factor) => {
    expect(() => fixedOf(factor, 'the factor')).toThrow(/^the factor must be (a number above 0|below 2\^15), given/)
  })

  it('round halves to the even number', () => {
    expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, 2.6].map(roundEven)).toEqual([-2, -2, 0, 0, 2, 2, 2, 3])
  })
})
