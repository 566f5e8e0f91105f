/**
 * The two steps that a classifier of grey pictures needs: to grey, to another size. Integer arithmetic throughout: the
 * same pixels in every engine.
 */
import { wrongKind } from '../runtime/check.js'
import { allocate, isBytes } from '../formats/limits.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkPixels, checkSize } from './pixels.js'
import type { PngImage } from '../formats/png.js'
import { checkCount } from '../runtime/options.js'

/** A grey picture, (height, width) row-major, 0 black to 255 white. */
export interface GrayscaleImage {
  /** Columns. */
  readonly width: number
  /** Rows. */
  readonly height: number
  /** One byte for each pixel, 0 black to 255 white, row by row. */
  readonly data: Uint8Array
}

/**
 * Turns a picture to grey: luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), laid over white where it is transparent,
 * rounded to the nearest whole number once.
 *
 * @throws ShapeError when sizes, channels and data do not fit one another
 */
export function toGrayscale(image: PngImage): GrayscaleImage {
  checkCount('toGrayscale', 1, arguments)
  checkPixels('toGrayscale', image)
  const { width, height, channels, data } = image
  const gray = new Uint8Array(width * height)
  const colored = channels >= 3
  const hasAlpha = channels % 2 === 0
  for (let i = 0; i < gray.length; i++) {
    const at = i * channels
    const red = data[at] ?? 0
    // In thousandths.
    const luma = colored ? 299 * red + 587 * (data[at + 1] ?? 0) + 114 * (data[at + 2] ?? 0) : 1000 * red
    const alpha = hasAlpha ? (data[at + channels - 1] ?? 0) : 255
    gray[i] = Math.floor((luma * alpha + 255_000 * (255 - alpha) + 127_500) / 255_000)
  }
  return { width, height, data: gray }
}

/**
 * Resizes a grey picture: along each axis, the mean of the area that an output pixel covers when shrinking, linear
 * interpolation between pixel centres (edges repeated) when enlarging. Weights are whole numbers and the result is
 * rounded to the nearest once.
 *
 * @param width pixels of the result, at least 1
 * @param height pixels of the result, at least 1
 * @throws ShapeError when a size is not a whole number ≥ 1 or the picture does not fit its data
 */
export function resizeGrayscale(image: GrayscaleImage, width: number, height: number): GrayscaleImage {
  checkCount('resizeGrayscale', 3, arguments)
  checkPixels('resizeGrayscale', image, 1)
  checkSize('resizeGrayscale', 'width', width)
  checkSize('resizeGrayscale', 'height', height)
  const data = allocate(width * height, 'resizeGrayscale: the picture')
  resample(image, new Axis(image.width, width), new Axis(image.height, height), data)
  return { width, height, data }
}

/**
 * Resizes a grey picture along two axes, of which each may give a part of the result only, into `target`. Sums are whole
 * numbers, exact below 2^53: for sizes up to 2^21. Beyond, the error is far below half a shade.
 */
export function resample(image: GrayscaleImage, x: Axis, y: Axis, target: Uint8Array): void {
  if (!(x instanceof Axis && y instanceof Axis && isBytes(target))) {
    throw new ArgumentError('resample: it takes a picture, two of Axis and the bytes of the result')
  }
  checkPixels('resample', image, 1)
  const { width, height, data } = image
  const total = x.total * y.total
  const sums = new Float64Array(x.count)
  // Sums over rows and over columns give the same in either order. The one that leaves less for the other goes first.
  const rowsFirst = y.count * width < height * x.count
  const line = new Float64Array(rowsFirst ? width : x.count)
  // Lines of two source rows: neighbouring results share them.
  const lines = [line, new Float64Array(rowsFirst ? 0 : x.count)] as const
  const kept = [-1, -1]
  const shrunk = (row: number): Float64Array => {
    const parity = (row & 1) as 0 | 1
    if (kept[parity] !== row) x.sum(data, row * width, lines[parity])
    kept[parity] = row
    return lines[parity]
  }
  for (let out = 0; out < y.count; out++) {
    const into = rowsFirst ? line : sums
    into.fill(0)
    for (let row = y.first[out]!; row <= y.last[out]!; row++) {
      const weight = y.weight(out, row)
      if (rowsFirst) for (let i = 0, at = row * width; i < width; i++) line[i] = line[i]! + weight * data[at + i]!
      else {
        const part = shrunk(row)
        for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + weight * part[i]!
      }
    }
    if (rowsFirst) x.sum(line, 0, sums)
    for (let i = 0; i < sums.length; i++)
      target[out * sums.length + i] = Math.floor((2 * sums[i]! + total) / (2 * total))
  }
}

/**
 * How pixels of another size are made: `area` takes the mean of the area that a pixel covers where it shrinks, and
 * interpolates linearly between pixel centres where it enlarges; `bilinear` interpolates in both cases, so that shrinking
 * passes over pixels; `nearest` takes the pixel in which the centre lies.
 */
export type Interpolation = (typeof interpolations)[number]

/** All ways of making pixels of another size. */
export const interpolations = ['area', 'bilinear', 'nearest'] as const

/** The weights by which `from` pixels along an axis become `to`, for `count` of these from `begin` on. */
export class Axis {
  /** Outputs. */
  readonly count: number
  /** What the weights of one output add up to. */
  readonly total: number
  /** Of each output, the first input that it is made of. Both ends have weights of their own, inputs between `#middle`. */
  readonly first: Float64Array
  /** Of each output, the last input that it is made of. */
  readonly last: Float64Array
  readonly #firstWeight: Float64Array
  readonly #lastWeight: Float64Array
  readonly #middle: number

  constructor(from: number, to: number, begin = 0, count = to, interpolation: Interpolation = 'area') {
    for (const value of [from, to, begin, count]) {
      if (!Number.isInteger(value)) throw wrongKind('Axis: sizes', 'whole numbers', value)
    }
    const list = (): Float64Array => new Float64Array(allocate(8 * count, 'a picture: its axis').buffer)
    this.count = count
    this.first = list()
    this.last = list()
    this.#firstWeight = list()
    this.#lastWeight = list()
    this.#middle = to
    const shrinks = to <= from && interpolation === 'area'
    const isNearest = interpolation === 'nearest'
    this.total = isNearest ? 1 : shrinks ? from : 2 * to
    for (let i = 0; i < count; i++) {
      if (isNearest) {
        const index = Math.floor(((2 * (begin + i) + 1) * from) / (2 * to))
        this.first[i] = this.last[i] = index
        this.#firstWeight[i] = this.#lastWeight[i] = 1
      } else if (shrinks) {
        // In units of 1/to input pixels: input i covers [i·to, (i+1)·to), output o covers [o·from, (o+1)·from).
        const start = (begin + i) * from
        const end = start + from
        const first = Math.floor(start / to)
        const last = Math.ceil(end / to) - 1
        this.first[i] = first
        this.last[i] = last
        this.#firstWeight[i] = Math.min(end, (first + 1) * to) - start
        this.#lastWeight[i] = end - Math.max(start, last * to)
      } else {
        // In units of 1/(2·to) input pixels: the centre of output o lies (2o+1)·from - to past the centre of input 0.
        const center = Math.min(Math.max((2 * (begin + i) + 1) * from - to, 0), (from - 1) * this.total)
        const index = Math.floor(center / this.total)
        const fraction = center - index * this.total
        this.first[i] = index
        this.last[i] = fraction > 0 ? index + 1 : index
        this.#firstWeight[i] = this.total - fraction
        this.#lastWeight[i] = fraction > 0 ? fraction : this.total
      }
    }
  }

  /** Counts inputs from the first that is used on; gives the inputs, of those before, that are used: [begin, end). */
  crop(): readonly [begin: number, end: number] {
    // Outputs are in the order of their inputs.
    const begin = this.first[0]!
    const end = this.last[this.count - 1]! + 1
    for (let i = 0; i < this.count; i++) {
      this.first[i] = this.first[i]! - begin
      this.last[i] = this.last[i]! - begin
    }
    return [begin, end]
  }

  /** The weight of an input in the output of a number. */
  weight(output: number, input: number): number {
    if (input === this.first[output]) return this.#firstWeight[output]!
    return input === this.last[output] ? this.#lastWeight[output]! : this.#middle
  }

  /** The outputs for the inputs that begin at `at`. */
  sum(inputs: ArrayLike<number>, at: number, outputs: Float64Array): void {
    for (let output = 0; output < this.count; output++) {
      const first = this.first[output]!
      const last = this.last[output]!
      let sum = this.#firstWeight[output]! * inputs[at + first]!
      if (last > first) {
        let middle = 0
        for (let i = at + first + 1; i < at + last; i++) middle += inputs[i]!
        sum += this.#middle * middle + this.#lastWeight[output]! * inputs[at + last]!
      }
      outputs[output] = sum
    }
  }
}

/**
 * Light strokes on a dark ground, as MNIST has them: a picture with a light border, above 127 on average, is inverted.
 */
export function lightOnDark(image: GrayscaleImage): GrayscaleImage {
  checkCount('lightOnDark', 1, arguments)
  checkPixels('lightOnDark', image, 1)
  const { width, height, data } = image
  let sum = 0
  let count = 0
  for (let y = 0; y < height; y++) {
    const step = y > 0 && y < height - 1 ? Math.max(1, width - 1) : 1
    for (let x = 0; x < width; x += step) {
      sum += data[y * width + x] as number
      count++
    }
  }
  return sum / count <= 127 ? { width, height, data } : { width, height, data: data.map((value) => 255 - value) }
}
