/** Changes of whole pictures, beside their definitions, and what they leave alone. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { Painter, type Augmentation } from '../../src/data/augment.js'
import { augmentationOf } from '../../src/cli/options.js'
import { init } from '../../src/runtime/embedded.js'

beforeAll(() => init())

type Shape = readonly [number, number, number]
const plain = { mean: 0, std: 1 / 255 }

/** Pixels of a picture that is written with these options and words, as numbers from 0 to 255. */
function painted(shape: Shape, pixels: readonly number[], options: Augmentation, words: readonly number[]): number[] {
  const painter = new Painter(shape, plain, options)
  const to = new Float32Array(shape[0] * painter.shape[1] * painter.shape[2])
  painter.paint(to, 0, Uint8Array.from(pixels), 0, Uint32Array.from(words), 0)
  return Array.from(to, (value) => Math.round(value))
}

/** Sixteen words that leave a picture where it is, but for some. */
const still = (change: Readonly<Record<number, number>> = {}): number[] =>
  Array.from({ length: 16 }, (_, use) => change[use - 8] ?? 2 ** 31)

/** The word for which a number from −range to range is this. */
const wordFor = (value: number, range: number): number =>
  Math.min(2 ** 32 - 1, Math.round(((value / range + 1) / 2) * 2 ** 32))

/** What lies at a place between pixels, by the definition of bilinear interpolation; 0 beyond the border. */
function between(pixels: readonly number[], H: number, W: number, row: number, column: number): number {
  let sum = 0
  for (let r = 0; r < H; r++)
    for (let k = 0; k < W; k++)
      sum += Math.max(0, 1 - Math.abs(row - r)) * Math.max(0, 1 - Math.abs(column - k)) * pixels[r * W + k]!
  return sum
}

const picture = fc.record({
  H: fc.integer({ min: 1, max: 7 }),
  W: fc.integer({ min: 1, max: 7 }),
  seed: fc.array(fc.nat(255), { minLength: 49, maxLength: 49 }),
})

describe('turning, enlarging and shearing', () => {
  it('are what their definition says, of any picture', () => {
    const angles = [fc.integer({ min: -180, max: 180 }), fc.integer({ min: -5, max: 5 }), fc.integer({ min: -30, max: 30 })] as const // prettier-ignore
    fc.assert(
      fc.property(picture, ...angles, ({ H, W, seed }, degrees, tenths, lean) => {
        const pixels = seed.slice(0, H * W)
        const words = still({ 0: wordFor(degrees, 180), 1: wordFor(tenths / 10, 0.9), 2: wordFor(lean, 60) })
        const got = painted([1, H, W], pixels, { rotate: 180, zoom: 0.9, shear: 60 }, words)
        const [s, c] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)]
        const [zoom, tan] = [1 + tenths / 10, Math.tan((lean * Math.PI) / 180)]
        got.forEach((value, i) => {
          const y = Math.floor(i / W) - (H - 1) / 2
          const x = (i % W) - (W - 1) / 2 - y * tan
          const due = between(pixels, H, W, (H - 1) / 2 + (s * x + c * y) / zoom, (W - 1) / 2 + (c * x - s * y) / zoom)
          expect(Math.abs(value - due)).toBeLessThanOrEqual(0.51)
        })
      }),
      { numRuns: 100 },
    )
  })

  it('by a quarter moves pixels, and by nothing leaves them', () => {
    const pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    const words = (degrees: number): number[] => still({ 0: wordFor(degrees, 180) })
    expect(painted([1, 3, 3], pixels, { rotate: 180 }, words(90))).toEqual([3, 6, 9, 2, 5, 8, 1, 4, 7])
    expect(painted([1, 3, 3], pixels, { rotate: 180 }, words(0))).toEqual(pixels)
  })

  it('show the mean of each channel beyond the border', () => {
    const painter = new Painter([2, 4, 4], { mean: [0.2, 0.6], std: 1 }, { zoom: 0.5 })
    const to = new Float32Array(32)
    painter.paint(to, 0, new Uint8Array(32).fill(255), 0, Uint32Array.from(still({ 1: 0 })), 0)
    // Half as large: the corners are the ground, to half a step of a pixel.
    for (const i of [0, 3, 12, 15, 16, 31]) expect(Math.abs(to[i]!)).toBeLessThanOrEqual(0.5 / 255 + 1e-6)
    expect(to[5]).toBeGreaterThan(0.5)
  })
})

describe('blurring', () => {
  it('is a Gaussian with the border repeated', () => {
    fc.assert(
      fc.property(picture, fc.integer({ min: 1, max: 30 }), ({ H, W, seed }, tenths) => {
        const pixels = seed.slice(0, H * W)
        const sigma = tenths / 10
        const got = painted([1, H, W], pixels, { blur: 4 }, still({ 3: Math.round((sigma / 4) * 2 ** 32) }))
        const radius = Math.max(1, Math.ceil(3 * sigma))
        const bounded = (place: number, extent: number): number => Math.min(extent - 1, Math.max(0, place))
        got.forEach((value, i) => {
          let [sum, total] = [0, 0]
          for (let dy = -radius; dy <= radius; dy++)
            for (let dx = -radius; dx <= radius; dx++) {
              const weight = Math.exp(-(dy * dy + dx * dx) / (2 * sigma * sigma))
              sum += weight * pixels[bounded(Math.floor(i / W) + dy, H) * W + bounded((i % W) + dx, W)]!
              total += weight
            }
          expect(Math.abs(value - sum / total)).toBeLessThanOrEqual(0.51)
        })
      }),
      { numRuns: 40 },
    )
  })
})

describe('colours', () => {
  const colour = fc.array(fc.nat(255), { minLength: 3, maxLength: 3 })
  const luma = ([r, g, b]: readonly number[]): number => 0.299 * r! + 0.587 * g! + 0.114 * b!

  it('become their luma, or stay', () => {
    fc.assert(
      fc.property(colour, (rgb) => {
        const grey = painted([3, 1, 1], rgb, { grey: 0.5 }, still({ 5: 0 }))
        expect(grey).toEqual(new Array(3).fill(Math.floor(luma(rgb) + 0.5)))
        expect(painted([3, 1, 1], rgb, { grey: 0.5 }, still({ 5: 2 ** 31 }))).toEqual(rgb)
      }),
    )
  })

  it('turn about their luma: by nothing they stay, there and back they nearly do', () => {
    const muted = fc.array(fc.integer({ min: 100, max: 150 }), { minLength: 3, maxLength: 3 })
    fc.assert(
      fc.property(muted, fc.integer({ min: -50, max: 50 }), (rgb, percent) => {
        const turned = (pixels: readonly number[], turn: number): number[] =>
          painted([3, 1, 1], pixels, { hue: 0.5 }, still({ 4: wordFor(turn, 0.5) }))
        expect(turned(rgb, 0)).toEqual(rgb)
        const there = turned(rgb, percent / 100)
        expect(Math.abs(luma(there) - luma(rgb))).toBeLessThanOrEqual(0.6)
        turned(there, -percent / 100).forEach((value, c) => expect(Math.abs(value - rgb[c]!)).toBeLessThanOrEqual(2))
      }),
    )
  })
})

describe('a cutout', () => {
  it('covers a square about its place with the mean, after all else', () => {
    const at = (row: number, column: number): number[] =>
      still({ 6: (row / 6) * 2 ** 32 + 9, 7: (column / 5) * 2 ** 32 + 9 })
    const pixels = new Array<number>(30).fill(9)
    const inMiddle = painted([1, 6, 5], pixels, { cutout: 2 }, at(3, 2))
    const covered = inMiddle.flatMap((value, i) => (value === 0 ? [i] : []))
    expect(covered).toEqual([11, 12, 16, 17])
    const inCorner = painted([1, 6, 5], pixels, { cutout: 3 }, at(0, 4))
    expect(inCorner.flatMap((value, i) => (value === 0 ? [i] : []))).toEqual([3, 4, 8, 9])
  })
})

describe('the words of a picture', () => {
  it('are its own, wherever it stands in a batch, and without them nothing happens', () => {
    const options = { rotate: 20, zoom: 0.2, shear: 10, blur: 1, hue: 0.1, grey: 0.3, cutout: 3, flip: true, shift: 1 }
    const painter = new Painter([3, 6, 6], plain, options)
    const pixels = Uint8Array.from({ length: 108 }, (_, i) => (i * 37) % 256)
    const draw = { seed: 3, step: 5, first: 0 }
    const paint = (words: Uint32Array | undefined, n: number): Float32Array => {
      const to = new Float32Array(108)
      painter.paint(to, 0, pixels, 0, words, n)
      return to
    }
    expect(paint(painter.words(1, { ...draw, first: 2 }), 0)).toEqual(paint(painter.words(4, draw), 2))
    expect(paint(painter.words(1, draw), 0)).not.toEqual(paint(painter.words(1, { ...draw, step: 6 }), 0))
    expect(Array.from(paint(undefined, 0), Math.round)).toEqual([...pixels])
  })
})

it.each<[Augmentation, Shape, RegExp]>([
  [{ rotate: 181 }, [1, 4, 4], /^augmentation: rotate must be a number from 0 to 180, given 181$/],
  [{ rotate: NaN }, [1, 4, 4], /rotate must be/],
  [{ rotate: -1 }, [1, 4, 4], /rotate must be/],
  [{ zoom: 1 }, [1, 4, 4], /zoom must be a number from 0 to below 1, given 1$/],
  [{ shear: 90 }, [1, 4, 4], /shear must be a number from 0 to 60/],
  [{ blur: 17 }, [1, 4, 4], /blur must be a number from 0 to 16/],
  [{ blur: '1' as never }, [1, 4, 4], /blur must be/],
  [{ hue: 0.6 }, [3, 4, 4], /hue must be a number from 0 to 0.5/],
  [{ hue: 0.1 }, [1, 4, 4], /^augmentation: hue needs pictures of 3 channels, these have 1$/],
  [{ grey: 0.1 }, [4, 4, 4], /grey needs pictures of 3 channels/],
  [{ cutout: 5 }, [1, 6, 4], /cutout must be a whole number from 0 to 4, given 5$/],
  [{ cutout: 1.5 }, [1, 4, 4], /cutout must be a whole number/],
  [{ cutout: 3, crop: [2, 2] }, [1, 4, 4], /cutout must be a whole number from 0 to 2/],
  [{ rotation: 3 } as never, [1, 4, 4], /there is no option 'rotation'; did you mean 'rotate'\?/],
])('%o is refused', (options, shape, message) => {
  expect(() => new Painter(shape, plain, options)).toThrow(message)
})

it('is typed on the command line', () => {
  expect(augmentationOf('flip,rotate=15,zoom=0.1,shear=5,blur=1,hue=0.05,grey=0.1,cutout=8')).toEqual({
    ...{ flip: true, rotate: 15, zoom: 0.1, shear: 5, blur: 1, hue: 0.05, grey: 0.1, cutout: 8 },
  })
  expect(() => augmentationOf('rotate=200')).toThrow('rotate: It must be a number from 0 to 180.')
  expect(() => augmentationOf('zoom=1')).toThrow(/zoom: It must be a number from 0 up to/)
  expect(() => augmentationOf('cutout=0')).toThrow(/cutout: It must be a whole number from 1/)
  expect(() => augmentationOf('spin=3')).toThrow(/It must be none, or a list of flip, .*rotate=15.*cutout=8/)
})
