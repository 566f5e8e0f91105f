import { describe, expect, it } from 'vitest'
import { decodeImage } from '../../src/formats/decode.js'
import { orientationOf, upright, type Orientation } from '../../src/formats/exif.js'
import type { PngImage } from '../../src/formats/png.js'
import { exifData, jpegWith, pngWith } from '../helpers/exif.js'
import { mutate, randomOf } from '../helpers/mutants.js'

const image = (width: number, height: number, data: number[]): PngImage => ({
  ...{ width, height, channels: 1 },
  data: Uint8Array.from(data),
})
/** A picture as a camera stores it that was held upright and saw `1 2 3` over `4 5 6`. */
const stored: Readonly<Record<Orientation, PngImage>> = {
  1: image(3, 2, [1, 2, 3, 4, 5, 6]),
  2: image(3, 2, [3, 2, 1, 6, 5, 4]),
  3: image(3, 2, [6, 5, 4, 3, 2, 1]),
  4: image(3, 2, [4, 5, 6, 1, 2, 3]),
  5: image(2, 3, [1, 4, 2, 5, 3, 6]),
  6: image(2, 3, [3, 6, 2, 5, 1, 4]),
  7: image(2, 3, [6, 3, 5, 2, 4, 1]),
  8: image(2, 3, [4, 1, 5, 2, 6, 3]),
}
const orientations = Object.keys(stored).map(Number) as Orientation[]

describe('orientations', () => {
  it.each(orientations)('%i stands upright', (orientation) => {
    expect(upright(stored[orientation], orientation)).toEqual(stored[1])
    for (const little of [true, false]) {
      expect(decodeImage(pngWith(exifData(orientation, little), stored[orientation]), 'x')).toEqual(stored[1])
    }
  })

  it.each(orientations)('%i is told by a JPEG', (orientation) => {
    const file = jpegWith(exifData(orientation, false), stored[orientation])
    expect(orientationOf(file)).toBe(orientation)
    const { width, height, data } = decodeImage(file, 'x')
    expect([width, height]).toEqual([3, 2])
    const plain = decodeImage(jpegWith(exifData(1), stored[orientation]), 'x')
    expect(upright(plain, orientation).data).toEqual(data)
  })

  it('keep the channels of a pixel together', () => {
    const rgb = { width: 2, height: 1, channels: 3 as const, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }
    expect(upright(rgb, 6)).toEqual({ width: 1, height: 2, channels: 3, data: rgb.data })
    expect([...upright(rgb, 2).data]).toEqual([4, 5, 6, 1, 2, 3])
  })

  it.each([0, 9, 65535])('%i is none', (value) => {
    expect(orientationOf(jpegWith(exifData(value), stored[1]))).toBe(1)
  })

  it('are none of another type, or where the data are damaged or missing', () => {
    expect(orientationOf(jpegWith(exifData(6, true, 4), stored[1]))).toBe(1)
    const exif = exifData(6)
    for (let length = 0; length < exif.length; length++) {
      const told = orientationOf(jpegWith(exif.subarray(0, length), stored[6]))
      expect(told).toBe(length < 34 ? 1 : 6)
    }
    const random = randomOf(5)
    const file = jpegWith(exif, stored[6])
    for (let n = 0; n < 2000; n++) {
      const told = orientationOf(mutate(file, random))
      expect(told >= 1 && told <= 8).toBe(true)
    }
  })
})
