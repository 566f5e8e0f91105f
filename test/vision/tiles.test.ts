import { beforeAll, describe, expect, it } from 'vitest'
import { decodePng, encodePng } from '../../src/formats/png.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { fromImageData, tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { diverging, divergingDark, gray, ink, paletteOf, type Colour } from '../../src/vision/palette.js'
import {
  featureMapGrid,
  filterGrid,
  imageDataOf,
  rangeOf,
  tileGrid,
  tilePictures,
  type Picture,
} from '../../src/vision/tiles.js'

beforeAll(() => init())

const pixel = ({ width, data }: Picture, x: number, y: number): number[] => [
  ...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4),
]
const opaque = (colour: Colour): number[] => [...colour, 255]
const clear = [0, 0, 0, 0]

/** Contrast of WCAG 2.2 against black, 1 to 21. */
function luminance(colour: Colour): number {
  const [red, green, blue] = colour.map((value) => {
    const share = value / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

describe('palettes', () => {
  it('pass through their stops, straight in between, and end where they end', () => {
    const palette = paletteOf([
      [0, 0, 0],
      [100, 200, 50],
      [200, 0, 250],
    ])
    expect(palette(0)).toEqual([0, 0, 0])
    expect(palette(0.25)).toEqual([50, 100, 25])
    expect(palette(0.5)).toEqual([100, 200, 50])
    expect(palette(0.75)).toEqual([150, 100, 150])
    expect(palette(Number.NaN)).toEqual([0, 0, 0])
    expect([palette(1), palette(7), palette(-3)]).toEqual([
      [200, 0, 250],
      [200, 0, 250],
      [0, 0, 0],
    ])
    expect(paletteOf([[1, 2, 3]])(0.4)).toEqual([1, 2, 3])
  })

  it('diverge evenly: brightness falls (on dark ground: rises) from the middle to both ends', () => {
    for (const [palette, sign] of [
      [diverging, -1],
      [divergingDark, 1],
    ] as const) {
      for (let i = 0; i < 20; i++) {
        for (const side of [-1, 1]) {
          const [inner, outer] = [palette(0.5 + (side * i) / 40), palette(0.5 + (side * (i + 1)) / 40)]
          expect(sign * (luminance(outer) - luminance(inner))).toBeGreaterThan(0)
        }
      }
      expect(palette(0.2)[2]).toBeGreaterThan(palette(0.2)[0])
      expect(palette(0.8)[0]).toBeGreaterThan(palette(0.8)[2])
    }
    expect(gray(0.5)).toEqual([128, 128, 128])
    expect(ink(0.2)).toEqual([204, 204, 204])
  })

  it.each([[[]], [[[0, 0]]], [[[0, 0, 256]]], [[[0, 0.5, 0]]]])('refuse %j', (stops) => {
    expect(() => paletteOf(stops as unknown as Colour[])).toThrow(ShapeError)
  })
})

describe('ranges', () => {
  const values = [Number.NaN, -1, 0.5, 3, Number.POSITIVE_INFINITY]

  it('are symmetric, the extent, from 0, or given, and pass over what is not finite', () => {
    expect(rangeOf(values)).toEqual([-3, 3])
    expect(rangeOf([-4, 1])).toEqual([-4, 4])
    expect(rangeOf(values, 'extent')).toEqual([-1, 3])
    expect(rangeOf(values, 'positive')).toEqual([0, 3])
    expect(rangeOf([-2, -1], 'positive')).toEqual([0, 0])
    expect(rangeOf(values, [-5, 2])).toEqual([-5, 2])
    expect(rangeOf([Number.NaN], 'extent')).toEqual([0, 0])
  })

  it.each([[[1, 0]], [[0, Number.NaN]], [[1]], ['all']])('refuse %j', (range) => {
    expect(() => rangeOf([1], range as 'extent')).toThrow(/range must be/)
  })
})

describe('tiles', () => {
  const planes = { shape: [3, 2, 2], values: [0, 1, 2, -2, 4, 0, 0, -4, 0, 0, 0, 0] }

  it('are one picture for each plane, on one scale', () => {
    const [first, second, third] = tilePictures(planes) as [Picture, Picture, Picture]
    expect(first).toMatchObject({ width: 2, height: 2, channels: 4 })
    expect(pixel(first, 0, 0)).toEqual(opaque(diverging(0.5)))
    expect(pixel(first, 1, 0)).toEqual(opaque(diverging(0.625)))
    expect(pixel(first, 1, 1)).toEqual(opaque(diverging(0.25)))
    expect(pixel(second, 0, 0)).toEqual(opaque(diverging(1)))
    expect(pixel(second, 1, 1)).toEqual(opaque(diverging(0)))
    expect(pixel(third, 1, 1)).toEqual(opaque(diverging(0.5)))
  })

  it('or each on its own scale', () => {
    const [first, second, third] = tilePictures(planes, { normalize: 'each' }) as [Picture, Picture, Picture]
    expect(pixel(first, 1, 1)).toEqual(opaque(diverging(0)))
    expect(pixel(second, 1, 1)).toEqual(opaque(diverging(0)))
    // All zeros: the colour of zero.
    expect(pixel(third, 0, 0)).toEqual(opaque(diverging(0.5)))
  })

  it('take other ranges and palettes', () => {
    const [tile] = tilePictures({ shape: [1, 3], values: [0, 1, 4] }, { range: 'positive', palette: gray }) as [Picture]
    expect([0, 1, 2].map((x) => pixel(tile, x, 0)[0])).toEqual([0, 64, 255])
    const [zeros] = tilePictures({ shape: [1, 1], values: [0] }, { range: 'positive', palette: gray }) as [Picture]
    expect(pixel(zeros, 0, 0)).toEqual([0, 0, 0, 255])
  })

  it('leave what is not finite transparent', () => {
    const [tile] = tilePictures({ shape: [1, 3], values: [Number.NaN, -1, Number.NEGATIVE_INFINITY] }) as [Picture]
    expect([0, 1, 2].map((x) => pixel(tile, x, 0))).toEqual([clear, opaque(diverging(0)), clear])
  })

  it('lie side by side with gaps and zoom', () => {
    const five = { shape: [5, 1, 2], values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }
    const grid = tileGrid(five, { columns: 3, gap: 2, zoom: 2, range: [0, 9], palette: gray })
    // Three tiles of 4 × 2 pixels and two gaps of 2; two rows and one gap.
    expect(grid).toMatchObject({ width: 16, height: 6 })
    const shade = (x: number, y: number): number => {
      const [red, , , alpha] = pixel(grid, x, y)
      return alpha === 255 ? Math.round(((red as number) * 9) / 255) : -1
    }
    const rows = Array.from({ length: 6 }, (_, y) => Array.from({ length: 16 }, (_, x) => shade(x, y)))
    const top = [0, 0, 1, 1, -1, -1, 2, 2, 3, 3, -1, -1, 4, 4, 5, 5]
    const bottom = [6, 6, 7, 7, -1, -1, 8, 8, 9, 9, -1, -1, -1, -1, -1, -1]
    expect(rows).toEqual([top, top, top.map(() => -1), top.map(() => -1), bottom, bottom])
  })

  it('make nearly square grids, and no wider than there are tiles', () => {
    const shape = (count: number, options = {}): number[] => {
      const { width, height } = tileGrid({ shape: [count, 1, 1], values: new Float32Array(count) }, options)
      return [(width + 1) / 2, (height + 1) / 2]
    }
    expect(shape(32)).toEqual([6, 6])
    expect(shape(9)).toEqual([3, 3])
    expect(shape(2, { columns: 8 })).toEqual([2, 1])
  })

  it('survive a PNG and a canvas', () => {
    const picture = tileGrid(planes)
    const read = decodePng(encodePng(picture), 'grid.png')
    expect(read).toEqual(picture)
    const { width, height, data } = imageDataOf(picture)
    expect(data).toBeInstanceOf(Uint8ClampedArray)
    scope(() => {
      expect(fromImageData({ width, height, data }).shape).toEqual([1, 3, picture.height, picture.width])
    })
  })
})

describe('filterGrid', () => {
  it('has a row for each filter of several channels', () => {
    const weights = { shape: [3, 2, 1, 1], values: [1, 2, 3, 4, 5, -6] }
    const grid = filterGrid(weights, { gap: 0 })
    expect(grid).toMatchObject({ width: 2, height: 3 })
    expect(pixel(grid, 1, 2)).toEqual(opaque(diverging(0)))
    expect(pixel(grid, 0, 0)).toEqual(opaque(diverging(0.5 + 1 / 12)))
    expect(filterGrid({ shape: [9, 1, 1, 1], values: new Float32Array(9) }, { gap: 0 })).toMatchObject({
      width: 3,
      height: 3,
    })
  })

  it('shows filters of three channels in colour, each on its own scale, unless told otherwise', () => {
    const weights = { shape: [2, 3, 1, 2], values: [-1, 1, 0, 0, 1, -1, 10, 20, 20, 20, 20, 10] }
    const grid = filterGrid(weights, { gap: 0, columns: 1 })
    expect(grid).toMatchObject({ width: 2, height: 2 })
    expect(pixel(grid, 0, 0)).toEqual([0, 128, 255, 255])
    expect(pixel(grid, 1, 0)).toEqual([255, 128, 0, 255])
    expect(pixel(grid, 0, 1)).toEqual([0, 255, 255, 255])
    expect(filterGrid(weights, { color: false, gap: 0 })).toMatchObject({ width: 6, height: 2 })
  })

  it('takes the tensor itself', () => {
    const values = [1, -2, 3, -4]
    const picture = scope(() => filterGrid(tensor(values).reshape([1, 1, 2, 2])))
    expect(picture).toEqual(filterGrid({ shape: [1, 1, 2, 2], values }))
  })
})

describe('featureMapGrid', () => {
  it('takes one input with or without its batch', () => {
    const values = [0, 1, 2, 3, 4, 5, 6, 7]
    const picture = featureMapGrid({ shape: [2, 2, 2], values })
    expect(featureMapGrid({ shape: [1, 2, 2, 2], values })).toEqual(picture)
    expect(picture).toMatchObject({ width: 5, height: 2 })
  })
})

describe('wrong arguments', () => {
  const plane = { shape: [1, 1, 1, 1], values: [0] }
  it.each<[string, () => unknown, RegExp]>([
    ['values', () => tileGrid({ shape: [2, 2], values: [1] }), /tileGrid: 1 values do not fill shape \(2, 2\)/],
    ['shape', () => tileGrid({ shape: [4], values: [1, 2, 3, 4] }), /expected \(…, rows, columns\), given \(4\)/],
    ['filters', () => filterGrid({ shape: [1, 1], values: [0] }), /expected filters \(K, C, R, S\), given \(1, 1\)/],
    ['maps', () => featureMapGrid({ shape: [2, 1, 1, 1], values: [0, 0] }), /the maps of one input/],
    ['colour', () => tileGrid(plane, { color: true }), /colour needs three channels/],
    ['zoom', () => tileGrid(plane, { zoom: 0.5 }), /tileGrid: zoom must be a whole number from 1/],
    ['gap', () => tileGrid(plane, { gap: -1 }), /tileGrid: gap must be a whole number from 0/],
    ['columns', () => filterGrid(plane, { columns: 0 }), /filterGrid: columns must be/],
    ['normalize', () => tileGrid(plane, { normalize: 'none' as 'all' }), /normalize must be 'all' or 'each'/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(ShapeError)
    expect(call).toThrow(message)
  })
})
