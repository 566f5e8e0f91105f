import { describe, expect, it } from 'vitest'
import { digitOf, type Stroke } from '../../examples/browser/strokes.js'

const line = (x0: number, y0: number, x1: number, y1: number): Stroke => [
  { x: x0, y: y0 },
  { x: x1, y: y1 },
]

/** Rows and columns of the pixels that are not black, and their centre of mass. */
function extentOf(pixels: Uint8Array) {
  const lit = [...pixels.keys()].filter((i) => (pixels[i] as number) > 0)
  const [xs, ys] = [lit.map((i) => i % 28), lit.map((i) => Math.floor(i / 28))]
  const mass = pixels.reduce((sum, value) => sum + value, 0)
  const mean = (of: (i: number) => number): number =>
    lit.reduce((sum, i) => sum + (pixels[i] as number) * of(i), 0) / mass
  return {
    width: Math.max(...xs) - Math.min(...xs) + 1,
    height: Math.max(...ys) - Math.min(...ys) + 1,
    x: mean((i) => (i % 28) + 0.5),
    y: mean((i) => Math.floor(i / 28) + 0.5),
  }
}

describe('strokes as pictures of MNIST', () => {
  it('fill 20 pixels, about the centre of mass, wherever and however large they were drawn', () => {
    for (const scale of [0.1, 1, 30]) {
      const found = extentOf(digitOf([line(200 * scale, 10 * scale, 200 * scale, 80 * scale)]))
      expect(found.height).toBeGreaterThanOrEqual(20)
      expect(found.height).toBeLessThanOrEqual(22)
      expect(found.width).toBeLessThanOrEqual(4)
      expect([found.x, found.y]).toEqual([expect.closeTo(14, 1), expect.closeTo(14, 1)])
    }
  })

  it('are the same at every size', () => {
    const seven = [line(10, 10, 60, 10), line(60, 10, 30, 90)]
    const larger = seven.map((stroke) => stroke.map(({ x, y }) => ({ x: 4 * x + 32, y: 4 * y - 8 })))
    expect(digitOf(larger)).toEqual(digitOf(seven))
    expect(Math.max(...digitOf(seven))).toBe(255)
  })

  it('lie with their mass in the middle, not their box', () => {
    // A heavy foot: five strokes at the bottom, one upwards.
    const found = extentOf(digitOf([line(0, 0, 0, 100), ...[80, 85, 90, 95, 100].map((y) => line(0, y, 60, y))]))
    expect([found.x, found.y]).toEqual([expect.closeTo(14, 0), expect.closeTo(14, 0)])
  })

  it('may be a point or nothing', () => {
    expect(extentOf(digitOf([[{ x: 5, y: 5 }]]))).toMatchObject({ x: expect.closeTo(14, 3) as number })
    expect(digitOf([])).toEqual(new Uint8Array(784))
    expect(digitOf([[]])).toEqual(new Uint8Array(784))
  })
})
