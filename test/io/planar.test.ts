import { encode } from 'jpeg-js'
import { describe, expect, it } from 'vitest'
import { resizeGrayscale } from '../../src/io/grayscale.js'
import { decodeImage } from '../../src/formats/decode.js'
import { coverImage, coverPlanes, toPlanes } from '../../src/io/planar.js'
import { encodePng, type PngImage } from '../../src/formats/png.js'
import { randomOf } from '../helpers/mutants.js'

describe('planes', () => {
  it('separate the channels, over white', () => {
    const image = { width: 2, height: 1, channels: 4 as const, data: Uint8Array.of(10, 20, 30, 255, 10, 20, 30, 0) }
    expect(toPlanes(image, 3)).toEqual({ shape: [3, 1, 2], data: Uint8Array.of(10, 255, 20, 255, 30, 255) })
    const grey = { width: 1, height: 1, channels: 2 as const, data: Uint8Array.of(100, 51) }
    expect([...toPlanes(grey, 3).data]).toEqual([224, 224, 224])
    expect([...toPlanes(grey, 1).data]).toEqual([224])
  })

  it('cover a size from the middle', () => {
    const planes = { shape: [1, 2, 6] as const, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) }
    expect([...coverImage(planes, 2, 2).data]).toEqual([3, 4, 9, 10])
    expect([...coverImage(planes, 1, 1).data]).toEqual([7])
    expect(coverImage(planes, 2, 6)).toEqual(planes)
    const random = (n: number): number => (n * 7919) % 251
    for (const [h, w] of [
      [3, 5],
      [7, 2],
      [1, 9],
      [4, 4],
      [13, 11],
    ] as const) {
      for (const [H, W] of [
        [5, 3],
        [2, 2],
        [9, 4],
      ] as const) {
        const data = Uint8Array.from({ length: 2 * H * W }, (_, i) => random(i))
        const covered = coverImage({ shape: [2, H, W], data }, h, w)
        expect(covered.shape).toEqual([2, h, w])
        expect(covered.data).toHaveLength(2 * h * w)
      }
    }
  })

  it('are cut before they are resized, with the same result', () => {
    const random = randomOf(3)
    for (let n = 0; n < 300; n++) {
      const [W, H, w, h] = [1 + random(40), 1 + random(40), 1 + random(40), 1 + random(40)]
      const channels = (1 + random(4)) as PngImage['channels']
      const data = Uint8Array.from({ length: W * H * channels }, () => random(256))
      const planes = toPlanes({ width: W, height: H, channels, data }, 3)
      // The whole picture in the size that covers, cut afterwards.
      const wide = W * h > w * H
      const rows = wide ? h : Math.max(h, Math.round((H * w) / W))
      const columns = wide ? Math.max(w, Math.round((W * h) / H)) : w
      const expected = [0, 1, 2].flatMap((c) => {
        const plane = { width: W, height: H, data: planes.data.subarray(c * W * H, (c + 1) * W * H) }
        const whole = resizeGrayscale(plane, columns, rows).data
        return Array.from({ length: h * w }, (_, i) => {
          const y = ((rows - h) >> 1) + Math.floor(i / w)
          return whole[y * columns + ((columns - w) >> 1) + (i % w)]
        })
      })
      expect([...coverImage(planes, h, w).data]).toEqual(expected)
      expect([...coverPlanes({ width: W, height: H, channels, data }, 3, h, w).data]).toEqual(expected)
      const grey = { width: W, height: H, channels, data }
      expect(coverPlanes(grey, 1, h, w)).toEqual(coverImage(toPlanes(grey, 1), h, w))
    }
  })

  it('of any aspect take no more than a moment and a few bytes', () => {
    for (const [width, height] of [
      [1_000_000, 1],
      [1, 1_000_000],
      [2 ** 24, 1],
      [1, 2 ** 24],
      [1, 2 ** 24 - 1],
    ] as const) {
      const data = new Uint8Array(width * height).map((_, i) => (255 * i) / (width * height))
      const image = { width, height, channels: 1 as const, data }
      const started = performance.now()
      const { shape, data: covered } = coverPlanes(image, 3, 224, 224)
      expect(shape).toEqual([3, 224, 224])
      // One pixel in the middle, or two that meet there.
      expect(covered.every((value) => value === 127 || value === 128)).toBe(true)
      const small = resizeGrayscale(image, 3, 3)
      expect(Math.abs(small.data[4]! - 127.5)).toBeLessThan(1)
      expect(performance.now() - started).toBeLessThan(5000)
    }
  })

  it('come from either format', () => {
    const file = encode({ width: 24, height: 17, data: new Uint8Array(24 * 17 * 4) }, 95).data
    expect(decodeImage(file, 'x').width).toBe(24)
    expect(() => decodeImage(file, 'x', { maxPixels: 24 * 17 - 1 })).toThrow(/more than the limit of 407/)
    const png = encodePng({ width: 2, height: 2, channels: 1, data: new Uint8Array(4) })
    expect(() => decodeImage(png, 'x', { maxPixels: 3 })).toThrow(/more than the limit of 3/)
    expect(() => decodeImage(png, 'x', { maxBytes: 9 })).toThrow(/takes 10 bytes to decode, more than the limit of 9/)
    expect(decodeImage(encodePng({ width: 1, height: 1, channels: 1, data: Uint8Array.of(3) }), 'x').data[0]).toBe(3)
    expect(() => decodeImage(new TextEncoder().encode('GIF89a'), 'x')).toThrow(
      /^x: neither a PNG nor a JPEG but a GIF; save it as one of the two$/,
    )
  })
})
