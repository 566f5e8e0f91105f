/** Numbers of 16 bits from those of 32, and back. */
import { describe, expect, it } from 'vitest'
import { floatsOfHalves, halvesOfFloats } from '../../src/formats/elements.js'

const every = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits)
const isNumber = (half: number): boolean => (half & 0x7fff) <= 0x7c00

describe('float16', () => {
  it('comes back from float32 with every bit, infinities and zeros of either sign too', () => {
    const halves = every.filter(isNumber)
    expect(halves).toHaveLength(2 ** 16 - 2 * 1023)
    expect(halvesOfFloats(floatsOfHalves(halves))).toEqual(halves)
  })

  it('of NaN is NaN', () => {
    const halves = halvesOfFloats(floatsOfHalves(every.filter((half) => !isNumber(half))))
    expect(halves.every((half) => (half & 0x7fff) === 0x7e00)).toBe(true)
  })

  it('is the nearest one, of two that are as near the even one', () => {
    // The numbers from 0 on: neighbours, what lies halfway between them, and what lies just beside that.
    const halves = every.slice(0, 0x7c00)
    const values = floatsOfHalves(halves)
    const word = new Uint32Array(1)
    const float = new Float32Array(word.buffer)
    const beside = (value: number, step: number): number => {
      float[0] = value
      word[0]! += step
      return float[0]
    }
    // As if the next number after the largest were there.
    const middles = Float32Array.from(
      values,
      (value, i) => (value + (i + 1 < values.length ? values[i + 1]! : 65536)) / 2,
    )
    expect(halvesOfFloats(middles)).toEqual(halves.map((half) => half + (half & 1)))
    expect(halvesOfFloats(middles.map((value) => beside(value, -1)))).toEqual(halves)
    expect(halvesOfFloats(middles.map((value) => beside(value, 1)))).toEqual(halves.map((half) => half + 1))
    expect(halvesOfFloats(middles.map((value) => -value))).toEqual(halves.map((half) => 0x8000 | (half + (half & 1))))
  })

  it('of what is beyond it is infinite, and of next to nothing 0', () => {
    const given = Float32Array.of(1e6, -1e6, Infinity, -Infinity, 1e-10, -1e-10, 1e-45)
    expect(halvesOfFloats(given)).toEqual(Uint16Array.of(0x7c00, 0xfc00, 0x7c00, 0xfc00, 0, 0x8000, 0))
  })

  it('is made of a part of a buffer', () => {
    expect(halvesOfFloats(Float32Array.of(9, 1, 2).subarray(1))).toEqual(Uint16Array.of(0x3c00, 0x4000))
  })
})
