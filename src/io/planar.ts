/** Pictures as the planes that models take: channel by channel, of a size asked for. */
import { ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkShape, showShape } from '../tensor/shape.js'
import { Axis, resample, toGrayscale } from './grayscale.js'
import { allocate, isBytes } from './limits.js'
import { checkPixels } from './pixels.js'
import type { PngImage } from './png.js'

/** A picture channel by channel, (C, H, W) row-major, 0..255. */
export interface PlanarImage {
  /** Channels, rows, columns. */
  readonly shape: readonly [C: number, H: number, W: number]
  /** One plane after another: all of red, all of green, all of blue. */
  readonly data: Uint8Array
}

/** Channels as planes: 1 for grey (luma), 3 for red, green and blue. Transparent pixels lie over white. */
export function toPlanes(image: PngImage, channels: 1 | 3): PlanarImage {
  checkPixels('toPlanes', image, image.channels)
  const { width, height } = image
  if (channels === 1) return { shape: [1, height, width], data: toGrayscale(image).data }
  const plane = width * height
  const data = allocate(3 * plane, 'toPlanes: the picture')
  for (let c = 0; c < 3; c++) writePlane(image, c, data.subarray(c * plane, (c + 1) * plane))
  return { shape: [3, height, width], data }
}

/** Red, green or blue of a picture, over white. */
function writePlane({ channels, data }: PngImage, c: number, plane: Uint8Array): void {
  const channel = channels >= 3 ? c : 0
  for (let i = 0; i < plane.length; i++) {
    const value = data[i * channels + channel] as number
    const alpha = channels % 2 === 0 ? (data[i * channels + channels - 1] as number) : 255
    plane[i] = Math.floor((value * alpha + 255 * (255 - alpha) + 127) / 255)
  }
}

/** The middle of a picture in another size: resized until it covers height × width, and cut to it. */
export function coverImage({ shape, data }: PlanarImage, height: number, width: number): PlanarImage {
  const [C, H, W] = checkShape(shape, 'coverImage') as [number, number, number]
  checkShape([height, width], 'coverImage')
  if (shape.length !== 3 || !isBytes(data) || data.length !== C * H * W) {
    throw new ShapeError(`coverImage: expected the bytes of (C, H, W), given ${inWords(data)} for ${showShape(shape)}`)
  }
  if (H === height && W === width) return { shape, data }
  const { x, y } = coverAxes(W, H, width, height)
  const result = allocate(C * height * width, 'coverImage: the picture')
  for (let c = 0; c < C; c++) {
    const plane = { width: W, height: H, data: data.subarray(c * H * W, (c + 1) * H * W) }
    resample(plane, x, y, result.subarray(c * height * width, (c + 1) * height * width))
  }
  return { shape: [C, height, width], data: result }
}

/**
 * Which pixels of W × H make the middle that covers width × height, and how. What is cut away is never computed: a picture of
 * a million columns and one row would be one of 32 million columns before it is cut to 32.
 */
function coverAxes(W: number, H: number, width: number, height: number): { readonly x: Axis; readonly y: Axis } {
  // The side that is shorter, relative to what is wanted, fits; the other is cut.
  const wide = W * height > width * H
  const rows = wide ? height : Math.max(height, Math.round((H * width) / W))
  const columns = wide ? Math.max(width, Math.round((W * height) / H)) : width
  return {
    x: new Axis(W, columns, Math.floor((columns - width) / 2), width),
    y: new Axis(H, rows, Math.floor((rows - height) / 2), height),
  }
}

/**
 * The middle of a picture as planes in another size: what `coverImage` makes of `toPlanes`, from the pixels that it needs, one
 * plane after another.
 */
export function coverPlanes(image: PngImage, channels: 1 | 3, height: number, width: number): PlanarImage {
  const { x, y } = coverAxes(image.width, image.height, width, height)
  const cut = cutImage(image, x.crop(), y.crop())
  const size = height * width
  const result = allocate(channels * size, 'coverPlanes: the picture')
  const plane = channels === 1 ? toGrayscale(cut).data : new Uint8Array(cut.width * cut.height)
  for (let c = 0; c < channels; c++) {
    if (channels === 3) writePlane(cut, c, plane)
    resample({ width: cut.width, height: cut.height, data: plane }, x, y, result.subarray(c * size, (c + 1) * size))
  }
  return { shape: [channels, height, width], data: result }
}

type Range = readonly [begin: number, end: number]

/** Some columns and rows of a picture; itself where these are all. */
function cutImage(image: PngImage, [left, right]: Range, [top, bottom]: Range): PngImage {
  const [width, height] = [right - left, bottom - top]
  if (width === image.width && height === image.height) return image
  const bytes = width * image.channels
  const data = allocate(bytes * height, 'coverPlanes: the picture')
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * image.width + left) * image.channels
    data.set(image.data.subarray(from, from + bytes), row * bytes)
  }
  return { width, height, channels: image.channels, data }
}
