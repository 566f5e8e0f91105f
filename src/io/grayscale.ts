/**
 * The two steps that a classifier of grey pictures needs: to grey, to another size. Integer arithmetic throughout: the
 * same pixels in every engine.
 */
import { ShapeError } from '../runtime/errors.js'
import type { PngImage } from './png.js'

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
  const { width, height, channels, data } = image
  checkPixels('toGrayscale', image, channels)
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
  checkPixels('resizeGrayscale', image, 1)
  checkSize('resizeGrayscale', 'width', width)
  checkSize('resizeGrayscale', 'height', height)
  const horizontal = weightsOf(image.width, width)
  const vertical = weightsOf(image.height, height)
  // Sums are whole numbers, exact below 2^53: for sizes up to 2^21.
  const rows = new Float64Array(image.height * width)
  for (let y = 0; y < image.height; y++) {
    horizontal.taps.forEach((taps, x) => {
      let sum = 0
      for (const { index, weight } of taps) sum += weight * (image.data[y * image.width + index] ?? 0)
      rows[y * width + x] = sum
    })
  }
  const total = horizontal.total * vertical.total
  const data = new Uint8Array(width * height)
  vertical.taps.forEach((taps, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0
      for (const { index, weight } of taps) sum += weight * (rows[index * width + x] ?? 0)
      data[y * width + x] = Math.floor((2 * sum + total) / (2 * total))
    }
  })
  return { width, height, data }
}

/**
 * Light strokes on a dark ground, as MNIST has them: a picture with a light border, above 127 on average, is inverted.
 */
export function lightOnDark({ width, height, data }: GrayscaleImage): GrayscaleImage {
  let sum = 0
  let count = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (y > 0 && y < height - 1 && x > 0 && x < width - 1) continue
      sum += data[y * width + x] as number
      count++
    }
  }
  return sum / count <= 127 ? { width, height, data } : { width, height, data: data.map((value) => 255 - value) }
}

interface Weights {
  /** What the weights of one output add up to. */
  readonly total: number
  /** For each output, the inputs it is made of. */
  readonly taps: readonly { readonly index: number; readonly weight: number }[][]
}

function weightsOf(from: number, to: number): Weights {
  if (to <= from) {
    // In units of 1/to input pixels: input i covers [i·to, (i+1)·to), output o covers [o·from, (o+1)·from).
    const taps = Array.from({ length: to }, (_, output) => {
      const begin = output * from
      const end = begin + from
      const inputs = []
      for (let index = Math.floor(begin / to); index * to < end; index++) {
        inputs.push({ index, weight: Math.min(end, (index + 1) * to) - Math.max(begin, index * to) })
      }
      return inputs
    })
    return { total: from, taps }
  }
  // In units of 1/(2·to) input pixels: the centre of output o lies (2o+1)·from - to past the centre of input 0.
  const total = 2 * to
  const taps = Array.from({ length: to }, (_, output) => {
    const center = Math.min(Math.max((2 * output + 1) * from - to, 0), (from - 1) * total)
    const index = Math.floor(center / total)
    const fraction = center - index * total
    const inputs = [{ index, weight: total - fraction }]
    if (fraction > 0) inputs.push({ index: index + 1, weight: fraction })
    return inputs
  })
  return { total, taps }
}

function checkPixels(operation: string, image: GrayscaleImage, channels: number): void {
  checkSize(operation, "the image's width", image.width)
  checkSize(operation, "the image's height", image.height)
  const expected = image.width * image.height * channels
  if (image.data.length !== expected) {
    throw new ShapeError(
      `${operation}: ${image.width} × ${image.height} pixels of ${channels} bytes take ${expected} bytes, ` +
        `${image.data.length} are given`,
    )
  }
}

function checkSize(operation: string, what: string, size: number): void {
  if (!Number.isInteger(size) || size < 1) {
    throw new ShapeError(`${operation}: ${what} is ${size}; it must be a whole number ≥ 1`)
  }
}
