/** Limits, zero points and sums of bytes. */
import { describe, expect, it } from 'vitest'
import { checkQuantization, checkTerms, limitsOf, MOST_SUM } from '../../../src/ops/integers/bytes.js'

describe('bytes', () => {
  it('have the limits of their types', () => {
    expect([limitsOf('uint8'), limitsOf('int8')]).toEqual([
      [0, 255],
      [-128, 127],
    ])
  })

  it.each([
    [{ scale: 2 ** -126, zero: 0, type: 'uint8' }],
    [{ scale: 3, zero: 255, type: 'uint8' }],
    [{ scale: 0.5, zero: -128, type: 'int8' }],
  ] as const)('stand for numbers by %j', (quantization) => {
    expect(() => {
      checkQuantization(quantization, 'x')
    }).not.toThrow()
  })

  it.each([
    [{ scale: 2 ** -127, zero: 0, type: 'uint8' }, /^x: the scale must be a number from 2\^-126 on/],
    [{ scale: Infinity, zero: 0, type: 'uint8' }, /^x: the scale must be/],
    [{ scale: 1, zero: -1, type: 'uint8' }, /^x: the zero point must be a whole number from 0 to 255/],
    [{ scale: 1, zero: 128, type: 'int8' }, /^x: the zero point must be a whole number from -128 to 127/],
  ] as const)('do not by %j', (quantization, message) => {
    expect(() => {
      checkQuantization(quantization, 'x')
    }).toThrow(message)
  })

  it('are added up only where no sum can pass the bound', () => {
    const most = Math.floor(MOST_SUM / (255 * 128))
    expect(most * 255 * 128).toBeLessThanOrEqual(MOST_SUM)
    expect(() => {
      checkTerms(most, 'y')
    }).not.toThrow()
    expect(() => {
      checkTerms(most + 1, 'y')
    }).toThrow(`y: sums of ${most + 1} products can pass 32 bits; at most ${most} are added`)
  })
})
