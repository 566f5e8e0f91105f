/** Ranges of values, and the scales that are made of them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Observer, quantizationOf, type Calibration } from '../../src/quant/calibrate.js'

/** An observer that saw and counted some batches. */
function observed(...batches: readonly (readonly number[])[]): Observer {
  const observer = new Observer()
  for (const batch of batches) observer.see(Float32Array.from(batch))
  for (const batch of batches) observer.count(Float32Array.from(batch))
  return observer
}

const ways: readonly Calibration[] = ['min-max', 'percentile', 'mse']

describe('scales', () => {
  it('are 1 where there is nothing but 0, whichever range is chosen', () => {
    expect(quantizationOf(0, 0)).toEqual({ scale: 1, zero: 0, type: 'uint8' })
    for (const way of ways) {
      for (const observer of [observed([0, 0], [0]), observed([0, -0])])
        expect(observer.quantization(way, 99.9)).toEqual({ scale: 1, zero: 0, type: 'uint8' })
    }
  })

  it('hold a number that is the same everywhere, and 0', () => {
    for (const way of ways) {
      expect(observed([51, 51], [51]).quantization(way, 99)).toEqual({
        scale: Math.fround(0.2),
        zero: 0,
        type: 'uint8',
      })
      expect(observed([-51]).quantization(way, 99)).toEqual({ scale: Math.fround(0.2), zero: 255, type: 'uint8' })
    }
  })

  it('of tiny ranges are above what kernels take', () => {
    expect(quantizationOf(0, 1e-30).scale).toBe(Math.fround(1e-12))
  })

  it('of 100 percent are those of the whole range', () => {
    const batches = fc.array(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), {
      ...{ minLength: 1, maxLength: 4 },
    })
    fc.assert(
      fc.property(batches, (given) => {
        const observer = observed(...given)
        expect(observer.quantization('percentile', 100)).toEqual(observer.quantization('min-max', 0))
      }),
    )
  })

  it('of fewer percent leave the outermost numbers out, as many below as above', () => {
    // A thousand numbers from −1 to 1, and one far out.
    const values = Array.from({ length: 1001 }, (_, i) => (i - 500) / 500)
    const { scale, zero } = observed(values, [1000]).quantization('percentile', 99)
    const [low, high] = [-scale * zero, scale * (255 - zero)]
    const bin = 1001 / 2048
    // Five of 1002 numbers are cut off at each end, in whole bins, which are as wide as a quarter of the others.
    expect(low).toBeLessThanOrEqual(-1 + bin)
    expect(low).toBeGreaterThanOrEqual(-1 - scale)
    expect(high).toBeGreaterThanOrEqual(1 - bin)
    expect(high).toBeLessThanOrEqual(1 + bin + scale)
  })
})

describe('observers', () => {
  it('tell numbers that are not finite', () => {
    expect(observed([1, 2]).isFinite).toBe(true)
    for (const value of [NaN, Infinity, -Infinity]) expect(observed([1], [value, 2]).isFinite).toBe(false)
  })
})
