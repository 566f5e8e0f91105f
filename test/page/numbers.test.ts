import { describe, expect, it } from 'vitest'
import { lossText } from '../../examples/browser/numbers.js'

describe('a loss', () => {
  it.each([
    [0.5676, '0.5676'],
    [0.001, '0.0010'],
    [0.00004, '4.0e-5'],
    [0.00094, '9.4e-4'],
    [3e-9, '3.0e-9'],
    [0, '0'],
    [7.5026e31, '7.5e+31'],
    [Number.NaN, 'NaN'],
  ])('%d is shown as %s', (loss, text) => {
    expect(lossText(loss)).toBe(text)
  })
})
