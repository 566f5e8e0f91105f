/** Pictures as the planes that models take: channel by channel, of a size asked for. */
import { ShapeError } from '../runtime/errors.js'
import { checkObject, wrongKind } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { checkShape, showShape } from '../tensor/shape.js'
import { Axis, resample, toGrayscale, type Interpolation } from './grayscale.js'
import { allocate, isBytes } from '../formats/limits.js'
import { checkPixels } from './pixels.js'
import type { PngImage } from '../formats/png.js'
import { checkCount } from '../runtime/options.js'

/** A picture channel by channel, (C, H, W) row-major, 0..255. */
export interface PlanarImage {
  /** Channels, rows, columns. */
  readonly shape: readonly [C: number, H: number, W: number]
  /** One plane after another: all of red, all of green, all of blue. */
  readonly data: Uint8Array
}

function checkChannels(name: string, channels: unknown): void {
  if (channels !== 1 && channels !== 3) throw wrongKind(`${name}: channels`, '1 or 3', channels)
}

/** Channels as planes: 1 for grey (luma), 3 for red, green and blue. Transparent pixels lie over white. */
export function toPlanes(image: PngImage, channels: 1 | 3): PlanarImage {
  checkCount('toPlanes', 2, arguments)
  checkPixels('toPlanes', image)
  checkChannels('toPlanes', channels)
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
export function coverImage(image: PlanarImage, height: number, width: number): PlanarImage {
  checkCount('coverImage', 3, arguments)
  checkObject(image, 'coverImage: the image', '{ shape, data }')
  const { shape, data } = image
  const [C, H, W] = checkShape(shape, 'coverImage') as [number, number, number]
  checkShape([height, width], 'coverImage')
  if (shape.length !== 3 || !isBytes(data) || data.length !== C * H * W) {
    throw new ShapeError(`coverImage: expected the bytes of (C, H, W), given ${inWords(data)} for ${showShape(shape)}`)
  }
  if (H === height && W === width) return { shape, data }
  const { x, y } = placeOf(W, H, { size: [height, width] })
  const result = allocate(C * height * width, 'coverImage: the picture')
  for (let c = 0; c < C; c++) {
    const plane = { width: W, height: H, data: data.subarray(c * H * W, (c + 1) * H * W) }
    resample(plane, x, y, result.subarray(c * height * width, (c + 1) * height * width))
  }
  return { shape: [C, height, width], data: result }
}

/**
 * How a picture is brought to a size: `cover` resizes it until it covers the size, and cuts what is beyond; `contain` until
 * it fits in, with black around it; `stretch` along each axis for itself.
 */
export type Fit = (typeof fits)[number]

/** All ways of bringing a picture to a size. */
export const fits = ['cover', 'contain', 'stretch'] as const

/** The size of a result, and how a picture comes to it. */
export interface Placing {
  /** Height and width of the result. */
  readonly size: readonly [height: number, width: number]
  /**
   * What the picture is brought to first, of which the result is the middle: a height and a width, or the length of the
   * shorter side. Default: `size`.
   */
  readonly resize?: number | readonly [height: number, width: number]
  /** Default 'cover'. */
  readonly fit?: Fit
  /** Default 'area'. */
  readonly interpolation?: Interpolation
}

/** Which pixels of a picture make which of the result: along each axis `count` of them, the first of which stands at `at`. */
interface Place {
  readonly x: Axis
  readonly y: Axis
  readonly left: number
  readonly top: number
}

/**
 * Where the pixels of W × H come to lie. What is cut away is never computed: a picture of a million columns and one row would be
 * one of 32 million columns before it is cut to 32.
 */
function placeOf(W: number, H: number, { size, resize = size, fit = 'cover', interpolation = 'area' }: Placing): Place {
  const [rows, columns] = scaled(W, H, resize, fit)
  const [frameRows, frameColumns] = typeof resize === 'number' ? [rows, columns] : resize
  const along = (from: number, to: number, frame: number, count: number): readonly [axis: Axis, at: number] => {
    // Counted from the beginning of the frame: where the picture begins, and where the window that is the result does.
    const picture = to > frame ? -Math.floor((to - frame) / 2) : Math.floor((frame - to) / 2)
    const window = Math.floor((frame - count) / 2)
    const begin = Math.max(picture, window)
    const end = Math.min(picture + to, window + count)
    return [new Axis(from, to, begin - picture, end - begin, interpolation), begin - window]
  }
  const [height, width] = size
  const [x, left] = along(W, columns, frameColumns, width)
  const [y, top] = along(H, rows, frameRows, height)
  return { x, y, left, top }
}

/** Rows and columns of the whole picture when it has been resized. */
function scaled(W: number, H: number, resize: NonNullable<Placing['resize']>, fit: Fit): readonly [number, number] {
  const [height, width] = typeof resize === 'number' ? [resize, resize] : resize
  if (fit === 'stretch') return [height, width]
  // One side fits; the other follows, and is cut or leaves room.
  const wide = W * height > width * H
  if (wide === (fit === 'cover')) {
    const columns = Math.round((W * height) / H)
    return [height, fit === 'cover' ? Math.max(width, columns) : Math.max(1, columns)]
  }
  const rows = Math.round((H * width) / W)
  return [fit === 'cover' ? Math.max(height, rows) : Math.max(1, rows), width]
}

/** What becomes of the pixels besides their place. */
export interface Colouring {
  /** 1 for grey (luma), 3 for colours. */
  readonly channels: 1 | 3
  /** The order of three channels. Default 'rgb'. */
  readonly order?: 'rgb' | 'bgr'
  /** Whether light becomes dark. Default false. */
  readonly inverted?: boolean
}

/**
 * A picture as planes of another size: what resizing all of `toPlanes` and cutting it afterwards would give, from the pixels
 * that are needed, one plane after another.
 */
export function placePlanes(
  image: PngImage,
  { channels, order = 'rgb', inverted = false }: Colouring,
  placing: Placing,
): PlanarImage {
  const [height, width] = placing.size
  const { x, y, left, top } = placeOf(image.width, image.height, placing)
  const cut = cutImage(image, x.crop(), y.crop())
  const size = height * width
  const result = allocate(channels * size, 'the picture')
  const isWhole = x.count === width && y.count === height
  const part = isWhole ? undefined : allocate(x.count * y.count, 'the picture')
  const plane = channels === 1 ? toGrayscale(cut).data : new Uint8Array(cut.width * cut.height)
  for (let c = 0; c < channels; c++) {
    if (channels === 3) writePlane(cut, order === 'rgb' ? c : 2 - c, plane)
    if (inverted) for (let i = 0; i < plane.length; i++) plane[i] = 255 - plane[i]!
    const target = result.subarray(c * size, (c + 1) * size)
    resample({ width: cut.width, height: cut.height, data: plane }, x, y, part ?? target)
    if (!part) continue
    for (let row = 0; row < y.count; row++) {
      target.set(part.subarray(row * x.count, (row + 1) * x.count), (top + row) * width + left)
    }
  }
  return { shape: [channels, height, width], data: result }
}

/** The middle of a picture as planes in another size: what `coverImage` makes of `toPlanes`. */
export function coverPlanes(image: PngImage, channels: 1 | 3, height: number, width: number): PlanarImage {
  checkCount('coverPlanes', 4, arguments)
  checkPixels('coverPlanes', image)
  checkChannels('coverPlanes', channels)
  checkShape([height, width], 'coverPlanes')
  return placePlanes(image, { channels }, { size: [height, width] })
}

/** Whether a picture has a light border: of more than 127 on average, as its luma over white. */
export function isLightGround(image: PngImage): boolean {
  const { width, height } = image
  const strips: (readonly [Range, Range])[] = [
    [
      [0, width],
      [0, 1],
    ],
    [
      [0, width],
      [height - 1, height],
    ],
    [
      [0, 1],
      [1, height - 1],
    ],
    [
      [width - 1, width],
      [1, height - 1],
    ],
  ]
  let sum = 0
  let count = 0
  for (const [i, [columns, rows]] of strips.entries()) {
    // The sides of a picture of one row or column are one.
    if (rows[1] <= rows[0] || (i === 1 && height === 1) || (i === 3 && width === 1)) continue
    const { data } = toGrayscale(cutImage(image, columns, rows))
    for (const value of data) sum += value
    count += data.length
  }
  return sum > 127 * count
}

type Range = readonly [begin: number, end: number]

/** Some columns and rows of a picture; itself where these are all. */
function cutImage(image: PngImage, [left, right]: Range, [top, bottom]: Range): PngImage {
  const [width, height] = [right - left, bottom - top]
  if (width === image.width && height === image.height) return image
  const bytes = width * image.channels
  const data = allocate(bytes * height, 'the picture')
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * image.width + left) * image.channels
    data.set(image.data.subarray(from, from + bytes), row * bytes)
  }
  return { width, height, channels: image.channels, data }
}
