import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { Painter, type Augmentation } from '../../src/data/augment.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'

beforeAll(() => init())

type Shape = readonly [number, number, number]

/** The same by definition: a function of the place, one change after the other. */
function reference(
  [C, H, W]: Shape,
  pixels: Uint8Array,
  { crop, shift = 0, flip = false, brightness = 0, contrast = 0, saturation = 0 }: Augmentation,
  words: readonly number[] | undefined,
  mean: readonly number[],
  std: readonly number[],
): number[] {
  const [h, w] = crop ?? [H, W]
  const unit = (use: number): number => (words ? words[use]! / 2 ** 32 : 0)
  const moved = (use: number): number => (words ? Math.floor(unit(use) * (2 * shift + 1)) - shift : 0)
  const start = (use: number, room: number): number => (words ? Math.floor(unit(use) * (room + 1)) : room >> 1)
  const top = start(1, H - h) + moved(3)
  const left = start(2, W - w) + moved(4)
  const factor = (use: number, range: number): number => (words ? 1 + range * (2 * unit(use) - 1) : 1)
  const luma = (colour: readonly number[]): number =>
    C === 3 ? 0.299 * colour[0]! + 0.587 * colour[1]! + 0.114 * colour[2]! : colour.reduce((a, b) => a + b, 0) / C
  let picture = Array.from({ length: H * W }, (_, i) =>
    Array.from({ length: C }, (_, c) => pixels[c * H * W + i]! * factor(5, brightness)),
  )
  const grey = picture.reduce((sum, colour) => sum + luma(colour), 0) / (H * W)
  picture = picture.map((colour) => colour.map((v) => grey + (v - grey) * factor(6, contrast)))
  if (C === 3)
    picture = picture.map((colour) => colour.map((v) => luma(colour) + (v - luma(colour)) * factor(7, saturation)))
  const mirrored = flip && words !== undefined && unit(0) >= 0.5
  const result: number[] = []
  for (let c = 0; c < C; c++) {
    for (let p = 0; p < h; p++) {
      for (let q = 0; q < w; q++) {
        const row = top + p
        const column = left + (mirrored ? w - 1 - q : q)
        const inside = row >= 0 && row < H && column >= 0 && column < W
        const value = inside ? Math.min(255, Math.max(0, picture[row * W + column]![c]!)) : NaN
        result.push(inside ? (value / 255 - mean[c]!) / std[c]! : 0)
      }
    }
  }
  return result
}

const extent = fc.integer({ min: 1, max: 7 })
const range = fc.constantFrom(0, 0.3, 1)

describe('Painter', () => {
  it('does what the definition says, for every shape and change', () => {
    const cases = fc
      .record({
        C: fc.constantFrom(1, 3),
        H: extent,
        W: extent,
        h: extent,
        w: extent,
        shift: fc.nat(3),
        flip: fc.boolean(),
      })
      .chain(({ C, H, W, h, w, shift, flip }) => {
        const crop = [Math.min(h, H), Math.min(w, W)] as const
        return fc.record({
          shape: fc.constant<Shape>([C, H, W]),
          pixels: fc.uint8Array({ minLength: C * H * W, maxLength: C * H * W }),
          words: fc.option(fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 8, maxLength: 8 })),
          augmentation: fc.record({
            ...{ crop: fc.constant(crop), shift: fc.constant(Math.min(shift, Math.min(...crop) - 1)) },
            ...{ flip: fc.constant(flip), brightness: range, contrast: range },
            saturation: C === 3 ? range : fc.constant(0),
          }),
        })
      })
    fc.assert(
      fc.property(cases, ({ shape, pixels, words, augmentation }) => {
        const mean = [0.5, 0.4, 0.45].slice(0, shape[0])
        const std = [0.25, 0.2, 0.3].slice(0, shape[0])
        const painter = new Painter(shape, { mean, std }, augmentation)
        const expected = reference(shape, pixels, augmentation, words ?? undefined, mean, std)
        const size = expected.length
        expect(painter.shape.reduce((a, b) => a * b, 1)).toBe(size)
        // Written in the middle of other numbers, from the middle of other pixels, as picture 1.
        const to = new Float32Array(size + 4).fill(7)
        const from = Uint8Array.of(9, 9, 9, ...pixels, 9)
        painter.paint(to, 2, from, 3, words ? Uint32Array.of(1, 2, 3, 4, 5, 6, 7, 8, ...words) : undefined, 1)
        expect([to[0], to[1], to[size + 2], to[size + 3]]).toEqual([7, 7, 7, 7])
        expected.forEach((value, i) => expect(Math.abs(to[2 + i]! - value)).toBeLessThan(1e-5))
      }),
      { numRuns: 400 },
    )
  })

  it('draws words for each step and place, whatever the parts', () => {
    const painter = new Painter([1, 2, 2], { mean: 0, std: 1 }, { flip: true })
    const whole = painter.words(5, { seed: 3, step: 7, first: 0 })!
    expect(whole).toHaveLength(40)
    expect(painter.words(3, { seed: 3, step: 7, first: 2 })).toEqual(whole.subarray(16))
    expect(painter.words(5, { seed: 3, step: 8, first: 0 })).not.toEqual(whole)
    expect(painter.words(5, { seed: 4, step: 7, first: 0 })).not.toEqual(whole)
    expect(painter.words(5, undefined)).toBeUndefined()
  })

  it('mirrors half of the pictures and moves to every place', () => {
    const painter = new Painter([1, 8, 8], { mean: 0, std: 1 }, { flip: true, shift: 2 })
    const pixels = new Uint8Array(64)
    pixels[27] = 255
    const words = painter.words(2000, { seed: 1, step: 0, first: 0 })
    const counts = new Map<number, number>()
    const to = new Float32Array(64)
    for (let n = 0; n < 2000; n++) {
      painter.paint(to, 0, pixels, 0, words, n)
      const place = to.indexOf(1)
      counts.set(place, (counts.get(place) ?? 0) + 1)
    }
    // Row 3 and column 3, or 4 when mirrored, moved by −2 … 2.
    const rows = [1, 2, 3, 4, 5]
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual(
      rows.flatMap((row) => [1, 2, 3, 4, 5, 6].map((q) => row * 8 + q)),
    )
    const mirrored = [...counts].filter(([place]) => place % 8 === 6).reduce((sum, [, count]) => sum + count, 0)
    expect(mirrored).toBeGreaterThan(150)
    expect(mirrored).toBeLessThan(250)
  })

  it.each<[Augmentation, RegExp]>([
    [{ crop: [9, 4] }, /crop \[9, 4\] must be \[height, width\] of whole numbers from 1 to the picture's \[8, 8\]/],
    [{ crop: [0, 4] }, /crop \[0, 4\]/],
    [{ shift: 8 }, /shift must be a whole number from 0 to 7, given 8/],
    [{ shift: 1.5 }, /shift/],
    [{ brightness: 1.5 }, /brightness must be a number from 0 to 1, given 1.5/],
    [{ contrast: NaN }, /contrast/],
    [{ saturation: 0.5 }, /saturation needs pictures of 3 channels, these have 1/],
  ])('refuses %j', (augmentation, message) => {
    const make = (): Painter => new Painter([1, 8, 8], { mean: 0, std: 1 }, augmentation)
    expect(make).toThrow(message)
    expect(make).toThrow(ShapeError)
  })

  it('refuses a normalization of other channels', () => {
    expect(() => new Painter([3, 2, 2], { mean: [0, 0], std: 1 })).toThrow(
      /mean has 2 numbers for pictures of 3 channels/,
    )
  })
})
