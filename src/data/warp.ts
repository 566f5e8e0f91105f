/**
 * Pictures turned, enlarged, sheared, blurred, and their colours turned or taken away, at random: what happens to a picture in
 * training before it is cut out, moved and mirrored (`augment.ts`). Sines, cosines and exponentials are the core's, and all else is
 * + − · /, so that a seed gives the same pixels everywhere.
 */
import { kernels } from '../runtime/core.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import type { OwnBytes } from '../runtime/platform.js'
import { inWords } from '../runtime/text.js'

/** What may happen to a picture as a whole; each is drawn anew for every picture and step. */
export interface WarpOptions {
  /** Turns the picture about its middle by up to this many degrees either way, 0 to 180. Default 0. */
  readonly rotate?: number
  /** Enlarges or shrinks it about its middle by a factor from 1 − zoom to 1 + zoom; from 0 to below 1. Default 0. */
  readonly zoom?: number
  /** Shears its rows along the width by up to this many degrees either way, 0 to 60. Default 0. */
  readonly shear?: number
  /** Blurs it by a Gaussian whose deviation is up to this many pixels, 0 to 16. Default 0. */
  readonly blur?: number
  /** Turns its hues by up to this share of the colour circle either way, 0 to 0.5; for 3 channels. Default 0. */
  readonly hue?: number
  /** Share of the pictures that lose their colours, 0 to 1; for 3 channels. Default 0. */
  readonly grey?: number
  /** Side in pixels of a square that is covered by the mean, anywhere, in part beyond the border (DeVries & Taylor 2017). Default 0. */
  readonly cutout?: number
}

/** Luma of red, green and blue (ITU-R BT.601). */
export const LUMA = [0.299, 0.587, 0.114] as const

/** The largest value of each option, and whether it is left out of the range. */
const limits: Readonly<Record<keyof WarpOptions, { readonly most: number; readonly below?: boolean }>> = {
  rotate: { most: 180 },
  zoom: { most: 1, below: true },
  shear: { most: 60 },
  blur: { most: 16 },
  hue: { most: 0.5 },
  grey: { most: 1 },
  cutout: { most: Infinity },
}

/** Names of the options. */
export const warpNames: Readonly<Record<keyof WarpOptions, unknown>> = limits

/** Checks the options for pictures (C, h, w), as they are cut out. @throws ArgumentError, and ShapeError of channels */
export function checkWarp([C, h, w]: readonly [number, number, number], given: WarpOptions): Required<WarpOptions> {
  const { rotate = 0, zoom = 0, shear = 0, blur = 0, hue = 0, grey = 0, cutout = 0 } = given
  const all = { rotate, zoom, shear, blur, hue, grey, cutout }
  for (const [name, value] of Object.entries(all) as [keyof WarpOptions, number][]) {
    if (name === 'cutout') continue
    const { most, below = false } = limits[name]
    if (typeof value === 'number' && value >= 0 && (below ? value < most : value <= most)) continue
    const end = below ? `to below ${most}` : `to ${most}`
    throw new ArgumentError(`augmentation: ${name} must be a number from 0 ${end}, given ${inWords(value)}`)
  }
  const side = Math.min(h, w)
  if (!Number.isInteger(cutout) || cutout < 0 || cutout > side)
    throw new ArgumentError(`augmentation: cutout must be a whole number from 0 to ${side}, given ${inWords(cutout)}`)
  for (const [name, value] of Object.entries({ hue, grey })) {
    if (value > 0 && C !== 3)
      throw new ShapeError(`augmentation: ${name} needs pictures of 3 channels, these have ${C}`)
  }
  return all
}

/** Words of a picture, by use. */
const word = { rotate: 0, zoom: 1, shear: 2, blur: 3, hue: 4, grey: 5, cutoutRow: 6, cutoutColumn: 7 }
/** How many random words a picture takes. */
export const WARP_WORDS = 8

/** A random word as a number from 0 to below 1. */
const unit = (bits: number): number => bits / 2 ** 32

/** A random word as a number from −range to range. */
const within = (bits: number, range: number): number => range * (2 * unit(bits) - 1)

const toByte = (value: number): number => (value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5))

/** The window of a picture that a cutout covers: rows top ≤ p < bottom and columns left ≤ q < right. */
export interface Hole {
  readonly top: number
  readonly bottom: number
  readonly left: number
  readonly right: number
}

/** Where pictures are changed: as large as the largest so far, for all warps that share it. */
export class WarpScratch {
  from: OwnBytes = new Uint8Array(0)
  to: OwnBytes = new Uint8Array(0)
  line: Float64Array = new Float64Array(0)

  /** Makes room for so many numbers and pixels: at least twice as much as before, so that few are made. */
  hold(numbers: number, pixels: number): void {
    if (numbers > this.from.length) {
      const length = Math.max(numbers, 2 * this.from.length)
      this.from = new Uint8Array(length)
      this.to = new Uint8Array(length)
    }
    if (pixels > this.line.length) this.line = new Float64Array(Math.max(pixels, 2 * this.line.length))
  }
}

/** Changes pictures of one size by random words. */
export class Warp {
  readonly #shape: readonly [number, number, number]
  readonly #options: Required<WarpOptions>
  /** What lies beyond the border, for each channel: the mean, on the scale of the pixels. */
  readonly #ground: readonly number[]
  #scratch = new WarpScratch()
  #from = new Uint8Array(0)
  #to = new Uint8Array(0)
  #line: Float64Array = new Float64Array(0)

  /** @param mean of each channel, on the scale 0 to 1 */
  constructor(shape: readonly [number, number, number], options: Required<WarpOptions>, mean: readonly number[]) {
    this.#shape = shape
    this.#options = options
    this.#ground = mean.map((value) => Math.min(255, Math.max(0, 255 * value)))
  }

  /** Takes the room of other warps in place of its own. */
  workIn(scratch: WarpScratch): void {
    this.#scratch = scratch
  }

  /** Whether anything happens to pictures. */
  static isNeeded(options: Required<WarpOptions>): boolean {
    return Object.values(options).some((value) => value > 0)
  }

  /**
   * The changed pixels (C, H, W) of the picture that begins at `from`: valid until the next call. `words` are those of the picture,
   * from `at` on.
   */
  apply(pixels: Uint8Array, from: number, words: Uint32Array, at: number): Uint8Array {
    const bits = (use: number): number => words[at + use] as number
    const { rotate, zoom, shear, blur, hue, grey } = this.#options
    const [C, H, W] = this.#shape
    this.#scratch.hold(C * H * W, H * W)
    this.#from = this.#scratch.from.subarray(0, C * H * W)
    this.#to = this.#scratch.to.subarray(0, C * H * W)
    this.#line = this.#scratch.line
    let picture = pixels.subarray(from, from + this.#from.length)
    if (rotate > 0 || zoom > 0 || shear > 0) {
      this.#resample(
        picture,
        within(bits(word.rotate), rotate),
        1 + within(bits(word.zoom), zoom),
        within(bits(word.shear), shear),
      )
      picture = this.#to
    }
    const sigma = blur * unit(bits(word.blur))
    if (blur > 0 && sigma > 0) {
      this.#blur(picture, sigma)
      picture = this.#to
    }
    const isGrey = unit(bits(word.grey)) < grey
    if (isGrey || hue > 0) {
      this.#from.set(picture)
      if (isGrey) this.#recolour(this.#from, [LUMA, LUMA, LUMA])
      else this.#recolour(this.#from, hueMatrix(within(bits(word.hue), hue)))
      picture = this.#from
    }
    return picture
  }

  /** What a cutout covers of a picture (h, w); undefined where there is none. */
  hole(words: Uint32Array, at: number, h: number, w: number): Hole | undefined {
    const { cutout } = this.#options
    if (cutout === 0) return undefined
    const top = Math.floor(unit(words[at + word.cutoutRow] as number) * h) - (cutout >> 1)
    const left = Math.floor(unit(words[at + word.cutoutColumn] as number) * w) - (cutout >> 1)
    const clipped = (start: number, end: number): readonly [number, number] => [
      Math.max(0, start),
      Math.min(end, start + cutout),
    ]
    const [[first, bottom], [start, right]] = [clipped(top, h), clipped(left, w)]
    return { top: first, bottom, left: start, right }
  }

  /**
   * Turned by `degrees` (counterclockwise, rows going down), times `zoom`, sheared by `shear` degrees, about the middle: the pixel at
   * (y, x) from the middle is what lies at R(degrees) · (x − y · tan shear, y) / zoom, between its four neighbours in proportion.
   */
  #resample(pixels: Uint8Array, degrees: number, zoom: number, shear: number): void {
    const [C, H, W] = this.#shape
    const { scalar_sin: sin, scalar_cos: cos } = kernels('augmentation')
    const [angle, lean] = [(degrees * Math.PI) / 180, (shear * Math.PI) / 180]
    const [s, c, tan] = [sin(angle) / zoom, cos(angle) / zoom, sin(lean) / cos(lean)]
    const [middleY, middleX] = [(H - 1) / 2, (W - 1) / 2]
    for (let p = 0; p < H; p++) {
      const y = p - middleY
      for (let q = 0; q < W; q++) {
        const x = q - middleX - y * tan
        const row = middleY + s * x + c * y
        const column = middleX + c * x - s * y
        const [top, left] = [Math.floor(row), Math.floor(column)]
        const [down, across] = [row - top, column - left]
        for (let ch = 0; ch < C; ch++) {
          const at = (r: number, k: number): number =>
            r < 0 || r >= H || k < 0 || k >= W ? (this.#ground[ch] as number) : (pixels[(ch * H + r) * W + k] as number)
          const above = at(top, left) * (1 - across) + at(top, left + 1) * across
          const below = at(top + 1, left) * (1 - across) + at(top + 1, left + 1) * across
          this.#to[(ch * H + p) * W + q] = toByte(above * (1 - down) + below * down)
        }
      }
    }
  }

  /** A Gaussian of deviation σ, cut off at 3σ, along the columns and then the rows; the border is repeated beyond itself. */
  #blur(pixels: Uint8Array, sigma: number): void {
    const [C, H, W] = this.#shape
    const radius = Math.max(1, Math.ceil(3 * sigma))
    const { scalar_exp: exp } = kernels('augmentation')
    const raw = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
      exp(-((i - radius) * (i - radius)) / (2 * sigma * sigma)),
    )
    const total = raw.reduce((sum, value) => sum + value, 0)
    const weights = raw.map((value) => value / total)
    const inside = (place: number, extent: number): number => (place < 0 ? 0 : place >= extent ? extent - 1 : place)
    for (let ch = 0; ch < C; ch++) {
      const plane = ch * H * W
      for (let p = 0; p < H; p++) {
        for (let q = 0; q < W; q++) {
          let sum = 0
          for (let i = 0; i < weights.length; i++)
            sum += (weights[i] as number) * (pixels[plane + inside(p + i - radius, H) * W + q] as number)
          this.#line[p * W + q] = sum
        }
      }
      for (let p = 0; p < H; p++) {
        for (let q = 0; q < W; q++) {
          let sum = 0
          for (let i = 0; i < weights.length; i++)
            sum += (weights[i] as number) * (this.#line[p * W + inside(q + i - radius, W)] as number)
          this.#to[plane + p * W + q] = toByte(sum)
        }
      }
    }
  }

  /** Every pixel times a matrix, in place. */
  #recolour(picture: Uint8Array, matrix: readonly (readonly number[])[]): void {
    const plane = picture.length / 3
    for (let i = 0; i < plane; i++) {
      const [r, g, b] = [picture[i], picture[plane + i], picture[2 * plane + i]] as [number, number, number]
      matrix.forEach((row, c) => {
        picture[c * plane + i] = toByte((row[0] as number) * r + (row[1] as number) * g + (row[2] as number) * b)
      })
    }
  }
}

/**
 * Turns hues by a share of the colour circle: the colours' differences from their luma, in two axes across it (YIQ, NTSC), turn by that
 * angle, and the luma stays.
 */
function hueMatrix(turn: number): number[][] {
  const { scalar_sin: sin, scalar_cos: cos } = kernels('augmentation')
  const [s, c] = [sin(2 * Math.PI * turn), cos(2 * Math.PI * turn)]
  const toYiq = [LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]] as const
  const fromYiq = [
    [1, 0.956295719758948, 0.621024416465261],
    [1, -0.27212209931851, -0.647380596825695],
    [1, -1.106989016736491, 1.704614998364648],
  ] as const
  return fromYiq.map(([luma, i, q]) => {
    // The row of fromYiq, turned.
    const [turnedI, turnedQ] = [i * c + q * s, q * c - i * s]
    return [0, 1, 2].map(
      (k) => luma * (toYiq[0][k] as number) + turnedI * (toYiq[1][k] as number) + turnedQ * (toYiq[2][k] as number),
    )
  })
}
