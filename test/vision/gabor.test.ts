import { beforeAll, describe, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { scope } from '../../src/tensor/tensor.js'
import { gabor, type GaborOptions } from '../../src/vision/gabor.js'

beforeAll(() => init())

const values = (options: GaborOptions): Float32Array => scope(() => gabor(options).data())

describe('Gabor functions', () => {
  it('are equations (9.16) to (9.18)', () => {
    const { alpha, betaX, betaY, frequency, phase, tau, x0, y0 } = {
      alpha: 2,
      betaX: 0.05,
      betaY: 0.2,
      frequency: 0.9,
      phase: 0.4,
      tau: 0.7,
      x0: 2.5,
      y0: 1,
    }
    values({ size: [4, 6], alpha, betaX, betaY, frequency, phase, tau, centre: [x0, y0] }).forEach((value, i) => {
      const [x, y] = [(i % 6) - x0, Math.floor(i / 6) - y0]
      const along = x * Math.cos(tau) + y * Math.sin(tau)
      const across = -x * Math.sin(tau) + y * Math.cos(tau)
      expect(value).toBeCloseTo(
        alpha * Math.exp(-betaX * along ** 2 - betaY * across ** 2) * Math.cos(frequency * along + phase),
        6,
      )
    })
  })

  it('turn with τ: a quarter turn transposes', () => {
    const upright = values({ size: 7, frequency: 1.3, phase: 0.2 })
    const turned = values({ size: 7, frequency: 1.3, phase: 0.2, tau: Math.PI / 2 })
    turned.forEach((value, i) => expect(value).toBeCloseTo(upright[(i % 7) * 7 + Math.floor(i / 7)]!, 6))
  })

  it('are even at phase 0 and odd at phase π/2, about the centre', () => {
    const even = values({ size: 5 })
    const odd = values({ size: 5, phase: -Math.PI / 2 })
    even.forEach((value, i) => expect(value).toBeCloseTo(even[24 - i]!, 6))
    odd.forEach((value, i) => expect(value).toBeCloseTo(-odd[24 - i]!, 6))
    expect(even[12]).toBe(1)
  })

  it.each<[GaborOptions, RegExp]>([
    [{ size: 0 }, /gabor: size must be whole numbers from 1 on, given 0/],
    [{ size: 3, tau: NaN }, /gabor: tau must be a finite number, given NaN/],
    [{ size: [2, 2 ** 22] }, /size 2 × 4194304 has 8388608 pixels; at most 4194304/],
    [{ size: 2 ** 31 - 1 }, /at most 4194304 are computed/],
    [{ size: 3, centre: 2 as never }, /x0 must be a finite number/],
    [undefined as never, /gabor: the options must be an object, given null/],
    [{ size: 3, betaX: Infinity }, /betaX must be a finite number/],
  ])('refuse %j', (options, message) => {
    expect(() => gabor(options)).toThrow(ShapeError)
    expect(() => gabor(options)).toThrow(message)
  })
})
