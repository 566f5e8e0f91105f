/**
 * Pictures on their way into a batch: normalized and, in training, changed at random. The random numbers are words of
 * the core's generator, eight for each picture of a step, and sixteen where it is turned, blurred and so on (`warp.ts`), so that they
 * depend on (seed, step, place in the batch) alone.
 */
import { guarded, integersAt, kernels, withWorkspace } from '../runtime/core.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkObject, wrongKind } from '../runtime/check.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import { checkShape, checkSize, showShape } from '../tensor/shape.js'
import { augmentationStream } from '../tensor/streams.js'
import type { Draw } from '../train/examples.js'
import type { Normalization } from '../io/preprocessing.js'
import { checkWarp, LUMA, Warp, WARP_WORDS, warpNames, type WarpOptions, type WarpScratch } from './warp.js'

/** What may happen to a picture in training. Without training only the crop remains, from the middle. */
export interface Augmentation extends WarpOptions {
  /** Height and width of a window to cut out, at random (Krizhevsky et al. 2012: 224 of 256); default: all of it. */
  readonly crop?: readonly [height: number, width: number]
  /** Moves the picture by up to this many pixels along each axis; what comes into sight has the mean. Default 0. */
  readonly shift?: number
  /** Mirrors half of the pictures, left to right. Default false. */
  readonly flip?: boolean
  /** Colours: factors from 1 − b to 1 + b on the brightness, and likewise. Default 0. */
  readonly brightness?: number
  /** Distances of all pixels from the picture's mean grey. Default 0. */
  readonly contrast?: number
  /** Distances of the colours from their grey. Default 0. */
  readonly saturation?: number
}

const augmentationNames = {
  crop: 0,
  shift: 0,
  flip: 0,
  brightness: 0,
  contrast: 0,
  saturation: 0,
} satisfies Names<Omit<Augmentation, keyof WarpOptions>>

/** Words of a picture, by use. */
const word = {
  flip: 0,
  cropRow: 1,
  cropColumn: 2,
  shiftRow: 3,
  shiftColumn: 4,
  brightness: 5,
  contrast: 6,
  saturation: 7,
}
const WORDS = 8
const MOST_CHANNELS = 4096

/** A whole number from 0 to count − 1 out of a random word. */
const below = (bits: number, count: number): number => Math.floor((bits / 2 ** 32) * count)

/** A number from 1 − range to 1 + range. */
const around = (bits: number, range: number): number => 1 + range * ((2 * bits) / 2 ** 32 - 1)

/** Where the output's first pixel lies in the picture, and how its colours change: u = scale · v + grey · luma + offset. */
interface Change {
  readonly top: number
  readonly left: number
  readonly flip: boolean
  readonly colour: { readonly scale: number; readonly grey: number; readonly offset: number } | undefined
}

function checkAugmentation([C, H, W]: readonly [number, number, number], given: Augmentation): Required<Augmentation> {
  checkKeys('augmentation', given, augmentationNames, warpNames)
  const { crop = [H, W], shift = 0, flip = false, brightness = 0, contrast = 0, saturation = 0 } = given
  const [h, w] = Array.isArray(crop) ? (crop as readonly [number, number]) : [Number.NaN, Number.NaN]
  if (![h, w].every((extent) => Number.isInteger(extent) && extent > 0) || h > H || w > W) {
    throw new ArgumentError(
      `augmentation: crop ${inWords(crop)} must be [height, width] of whole numbers from 1 to the picture's [${H}, ${W}]`,
    )
  }
  if (!Number.isInteger(shift) || shift < 0 || shift >= Math.min(h, w)) {
    throw new ArgumentError(
      `augmentation: shift must be a whole number from 0 to ${Math.min(h, w) - 1}, given ${inWords(shift)}`,
    )
  }
  for (const [name, value] of Object.entries({ brightness, contrast, saturation })) {
    if (!(value >= 0 && value <= 1)) {
      throw new ArgumentError(`augmentation: ${name} must be a number from 0 to 1, given ${inWords(value)}`)
    }
  }
  if (saturation > 0 && C !== 3) {
    throw new ShapeError(`augmentation: saturation needs pictures of 3 channels, these have ${C}`)
  }
  return { crop, shift, flip, brightness, contrast, saturation, ...checkWarp([C, h, w], given) }
}

/** Writes pictures of one size into batches. */
export class Painter {
  /** Channels, height and width of what is written. */
  readonly shape: readonly [number, number, number]
  readonly #input: readonly [number, number, number]
  readonly #augmentation: Required<Augmentation>
  readonly #mean: readonly number[]
  readonly #scale: readonly number[]
  /** The normalized value of each of the 256 pixels, for each channel. */
  readonly #tables: readonly Float32Array[]
  readonly #line: Float64Array
  /** What happens to whole pictures; undefined where nothing does. */
  readonly #warp: Warp | undefined

  /** @throws ShapeError when the augmentation or the normalization does not fit pictures of `shape`. */
  constructor(shape: readonly [number, number, number], normalization: Normalization, augmentation: Augmentation = {}) {
    checkCount('Painter', 3, arguments)
    checkShape(shape, 'pictures')
    checkSize(shape, 'pictures', 'one of')
    checkObject(normalization, 'the normalization', '{ mean, std }')
    const { mean, std } = normalization
    const [C] = shape
    // A channel has a table of its own.
    if (C > MOST_CHANNELS) throw wrongKind('pictures: the number of channels', `at most ${MOST_CHANNELS}`, C)
    if (shape.length !== 3) throw new ShapeError(`pictures: their shape must be (C, H, W), given ${showShape(shape)}`)
    this.#augmentation = checkAugmentation(shape, augmentation)
    this.#input = shape
    this.shape = [C, ...this.#augmentation.crop]
    const ofChannel = (name: string, value: number | readonly number[]): readonly number[] => {
      if (typeof value === 'number') return new Array<number>(C).fill(value)
      if (!Array.isArray(value)) {
        throw new ArgumentError(
          `normalization: ${name} must be a number, or a list of one for each channel, given ${inWords(value)}`,
        )
      }
      if (value.length !== C) {
        throw new ShapeError(`normalization: ${name} has ${value.length} numbers for pictures of ${C} channels`)
      }
      if (!value.every(Number.isFinite)) {
        throw new ArgumentError(`normalization: ${name} must have finite numbers, given ${inWords(value)}`)
      }
      return value as readonly number[]
    }
    this.#mean = ofChannel('mean', mean)
    this.#scale = ofChannel('std', std)
    this.#tables = this.#mean.map((center, c) =>
      Float32Array.from({ length: 256 }, (_, pixel) => (pixel / 255 - center) / (this.#scale[c] as number)),
    )
    this.#line = new Float64Array(3 * shape[2])
    if (Warp.isNeeded(checkWarp(this.shape, augmentation)))
      this.#warp = new Warp(shape, checkWarp(this.shape, augmentation), this.#mean)
  }

  /**
   * Warps pictures where other painters warp theirs, which can be as many as there are sizes: none may be in the middle of a picture.
   * @internal
   */
  warpIn(scratch: WarpScratch): this {
    this.#warp?.workIn(scratch)
    return this
  }

  /** Random words of `count` pictures from place `first` of the step's batch on; none where nothing is random. */
  words(count: number, draw: Draw | undefined): Uint32Array | undefined {
    if (!draw) return undefined
    const { seed, step, first } = draw
    const each = this.#wordsOfOne
    const needed = (first + count) * each
    return withWorkspace(needed * 4, (pointer) => {
      guarded('augmentation', () => kernels().random_bits(pointer, needed, seed, augmentationStream(step)))
      return new Uint32Array(integersAt(pointer, needed).slice(first * each).buffer)
    })
  }

  /** Random words of a picture: its own, and those of what happens to it as a whole. */
  get #wordsOfOne(): number {
    return this.#warp ? WORDS + WARP_WORDS : WORDS
  }

  /**
   * Writes one picture: `pixels` (C, H, W) from `from` on, to `to` (C, h, w) from `at` on, changed by the words of
   * place n.
   */
  paint(
    to: Float32Array,
    at: number,
    pixels: Uint8Array,
    from: number,
    words: Uint32Array | undefined,
    n: number,
  ): void {
    const warp = words && this.#warp
    if (!warp) {
      this.#place(to, at, pixels, from, words, n)
      return
    }
    const place = n * this.#wordsOfOne + WORDS
    this.#place(to, at, warp.apply(pixels, from, words, place), 0, words, n)
    const [C, h, w] = this.shape
    const hole = warp.hole(words, place, h, w)
    if (!hole) return
    for (let row = at; row < at + C * h * w; row += h * w) {
      for (let p = hole.top; p < hole.bottom; p++) to.fill(0, row + p * w + hole.left, row + p * w + hole.right)
    }
  }

  /** Writes a picture as `paint` does, cut out, moved, mirrored and with other colours. */
  #place(
    to: Float32Array,
    at: number,
    pixels: Uint8Array,
    from: number,
    words: Uint32Array | undefined,
    n: number,
  ): void {
    const [C, H, W] = this.#input
    const [, h, w] = this.shape
    const change = this.#change(pixels, from, words, n)
    const { top, left, flip, colour } = change
    // Output columns first ≤ q < last lie in the picture: column left + q, or left + w − 1 − q when mirrored.
    const first = Math.max(0, flip ? left + w - W : -left)
    const last = Math.min(w, flip ? left + w : W - left)
    for (let p = 0; p < h; p++) {
      const row = top + p
      if (row < 0 || row >= H || first >= last) {
        for (let c = 0; c < C; c++) to.fill(0, at + (c * h + p) * w, at + (c * h + p + 1) * w)
        continue
      }
      if (colour) this.#colours(pixels, from + row * W, colour)
      for (let c = 0; c < C; c++) {
        const line = at + (c * h + p) * w
        if (first > 0) to.fill(0, line, line + first)
        if (last < w) to.fill(0, line + last, line + w)
        const step = flip ? -1 : 1
        let column = flip ? left + w - 1 - first : left + first
        if (colour) {
          const center = 255 * (this.#mean[c] as number)
          const scale = 255 * (this.#scale[c] as number)
          for (let q = first; q < last; q++, column += step) {
            to[line + q] = ((this.#line[c * W + column] as number) - center) / scale
          }
        } else {
          const table = this.#tables[c] as Float32Array
          column += from + (c * H + row) * W
          for (let q = first; q < last; q++, column += step) to[line + q] = table[pixels[column] as number] as number
        }
      }
    }
  }

  #change(pixels: Uint8Array, from: number, words: Uint32Array | undefined, n: number): Change {
    const [C, H, W] = this.#input
    const [, h, w] = this.shape
    if (!words) return { top: (H - h) >> 1, left: (W - w) >> 1, flip: false, colour: undefined }
    const { shift, flip, brightness, contrast, saturation } = this.#augmentation
    const bits = (use: number): number => words[n * this.#wordsOfOne + use] as number
    const change = {
      top: below(bits(word.cropRow), H - h + 1) + below(bits(word.shiftRow), 2 * shift + 1) - shift,
      left: below(bits(word.cropColumn), W - w + 1) + below(bits(word.shiftColumn), 2 * shift + 1) - shift,
      flip: flip && bits(word.flip) >= 0x80000000,
    }
    if (brightness === 0 && contrast === 0 && saturation === 0) return { ...change, colour: undefined }
    const bright = around(bits(word.brightness), brightness)
    const apart = around(bits(word.contrast), contrast)
    const vivid = around(bits(word.saturation), saturation)
    // v · bright, then its distance from the mean grey times apart, then that from its own grey times vivid.
    const grey = contrast === 0 ? 0 : meanGrey(pixels, from, C, H * W)
    return {
      ...change,
      colour: {
        scale: vivid * apart * bright,
        grey: (1 - vivid) * apart * bright,
        offset: (1 - apart) * bright * grey,
      },
    }
  }

  /** Fills the line (C, W) with the changed colours of the row that begins at `from` in the first channel. */
  #colours(pixels: Uint8Array, from: number, { scale, grey, offset }: NonNullable<Change['colour']>): void {
    const [C, H, W] = this.#input
    const plane = H * W
    for (let column = 0; column < W; column++) {
      let base = offset
      if (grey !== 0) {
        for (let c = 0; c < C; c++) base += grey * (LUMA[c] as number) * (pixels[from + c * plane + column] as number)
      }
      for (let c = 0; c < C; c++) {
        const value = scale * (pixels[from + c * plane + column] as number) + base
        this.#line[c * W + column] = value < 0 ? 0 : value > 255 ? 255 : value
      }
    }
  }
}

/** Mean luma of a picture of three channels, mean of all pixels otherwise. Sums of whole numbers, so exact. */
function meanGrey(pixels: Uint8Array, from: number, channels: number, plane: number): number {
  let mean = 0
  for (let c = 0; c < channels; c++) {
    let sum = 0
    for (let i = from + c * plane; i < from + (c + 1) * plane; i++) sum += pixels[i] as number
    mean += (channels === 3 ? (LUMA[c] as number) : 1 / channels) * (sum / plane)
  }
  return mean
}
