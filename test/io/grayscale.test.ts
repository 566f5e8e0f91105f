import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resizeGrayscale, toGrayscale } from '../../src/io/grayscale.js'
import type { PngImage } from '../../src/formats/png.js'
import { ShapeError } from '../../src/runtime/errors.js'

const runs = { numRuns: 100 }
const size = fc.integer({ min: 1, max: 19 })
const images: fc.Arbitrary<PngImage> = fc
  .tuple(size, size, fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const))
  .chain(([width, height, channels]) => {
    const length = width * height * channels
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((data): PngImage => ({ width, height, channels, data }))
  })

describe('toGrayscale', () => {
  it('keeps grey, and weighs colours after Rec. 601', () => {
    const gray = { width: 3, height: 1, channels: 1 as const, data: Uint8Array.of(0, 100, 255) }
    expect(toGrayscale(gray)).toEqual({ width: 3, height: 1, data: Uint8Array.of(0, 100, 255) })
    const data = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 7, 7, 7)
    expect(toGrayscale({ width: 5, height: 1, channels: 3, data }).data).toEqual(Uint8Array.of(76, 150, 29, 255, 7))
  })

  it('lays what is transparent over white', () => {
    const data = Uint8Array.of(0, 0, 0, 255, 0, 128, 255, 3)
    expect(toGrayscale({ width: 4, height: 1, channels: 2, data }).data).toEqual(Uint8Array.of(255, 0, 127, 255))
    const rgba = Uint8Array.of(255, 0, 0, 255, 255, 0, 0, 0)
    expect(toGrayscale({ width: 2, height: 1, channels: 4, data: rgba }).data).toEqual(Uint8Array.of(76, 255))
  })

  it('is the nearest whole number', () => {
    fc.assert(
      fc.property(images, (image) => {
        const { channels, data } = image
        toGrayscale(image).data.forEach((gray, i) => {
          const at = (k: number) => data[i * channels + k] ?? 0
          const luma = channels < 3 ? at(0) : 0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2)
          const alpha = channels % 2 === 0 ? at(channels - 1) / 255 : 1
          expect(Math.abs(gray - (luma * alpha + 255 * (1 - alpha)))).toBeLessThan(0.5 + 1e-9)
        })
      }),
      runs,
    )
  })

  it('refuses data of another size', () => {
    expect(() => toGrayscale({ width: 1, height: 1, channels: 3, data: new Uint8Array(4) })).toThrow(ShapeError)
  })
})

describe('resizeGrayscale', () => {
  const gray = (width: number, height: number, ...data: number[]) => ({ width, height, data: Uint8Array.from(data) })
  const grays = fc
    .tuple(size, size)
    .chain(([width, height]) =>
      fc.uint8Array({ minLength: width * height, maxLength: width * height }).map((data) => ({ width, height, data })),
    )

  it('averages areas when it shrinks', () => {
    expect(resizeGrayscale(gray(4, 2, 0, 10, 20, 30, 0, 30, 20, 50), 2, 1).data).toEqual(Uint8Array.of(10, 30))
    // Three pixels into two: (2a + b) / 3 and (b + 2c) / 3.
    expect(resizeGrayscale(gray(3, 1, 30, 60, 90), 2, 1).data).toEqual(Uint8Array.of(40, 80))
    expect(resizeGrayscale(gray(1, 3, 30, 60, 90), 1, 2).data).toEqual(Uint8Array.of(40, 80))
  })

  it('interpolates when it enlarges', () => {
    expect(resizeGrayscale(gray(2, 1, 0, 100), 4, 1).data).toEqual(Uint8Array.of(0, 25, 75, 100))
    expect(resizeGrayscale(gray(1, 2, 0, 100), 1, 3).data).toEqual(Uint8Array.of(0, 50, 100))
    expect(resizeGrayscale(gray(1, 1, 7), 3, 2).data).toEqual(new Uint8Array(6).fill(7))
    // One axis each way.
    expect(resizeGrayscale(gray(2, 2, 0, 100, 20, 120), 4, 1).data).toEqual(Uint8Array.of(10, 35, 85, 110))
  })

  it('changes nothing at the same size', () => {
    fc.assert(
      fc.property(grays, (image) => {
        expect(resizeGrayscale(image, image.width, image.height)).toEqual(image)
      }),
      runs,
    )
  })

  it('agrees with the definition, computed slowly', () => {
    const along = (line: number[], to: number): number[] => {
      const from = line.length
      return Array.from({ length: to }, (_, o) => {
        if (to <= from) {
          let sum = 0
          for (let i = 0; i < from; i++) {
            const overlap = Math.min(i + 1, ((o + 1) * from) / to) - Math.max(i, (o * from) / to)
            sum += Math.max(0, overlap) * (line[i] ?? 0)
          }
          return (sum * to) / from
        }
        const center = Math.min(Math.max(((o + 0.5) * from) / to - 0.5, 0), from - 1)
        const index = Math.floor(center)
        const left = line[index] ?? 0
        return left + (center - index) * ((line[index + 1] ?? left) - left)
      })
    }
    fc.assert(
      fc.property(grays, size, size, (image, width, height) => {
        const rows = Array.from({ length: image.height }, (_, y) =>
          along([...image.data.subarray(y * image.width, (y + 1) * image.width)], width),
        )
        const resized = resizeGrayscale(image, width, height)
        expect([resized.width, resized.height]).toEqual([width, height])
        for (let x = 0; x < width; x++) {
          along(
            rows.map((row) => row[x] ?? 0),
            height,
          ).forEach((exact, y) => {
            expect(Math.abs((resized.data[y * width + x] ?? -9) - exact)).toBeLessThan(0.5 + 1e-9)
          })
        }
      }),
      { numRuns: 50 },
    )
  })

  it('refuses impossible sizes', () => {
    for (const bad of [0, -1, 1.5, NaN]) {
      expect(() => resizeGrayscale(gray(1, 1, 5), bad, 2)).toThrow(`width is ${bad}; it must be a whole number`)
      expect(() => resizeGrayscale(gray(1, 1, 5), 2, bad)).toThrow(ShapeError)
    }
    expect(() => resizeGrayscale(gray(2, 1, 5), 2, 2)).toThrow(ShapeError)
  })
})
