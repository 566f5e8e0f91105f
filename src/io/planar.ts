/** Pictures of files as the planes that models take: channel by channel, of a size asked for. */
import { FormatError } from '../runtime/errors.js'
import { resizeGrayscale, toGrayscale } from './grayscale.js'
import { decodeJpeg, isJpeg } from './jpeg.js'
import { decodePng, type PngImage } from './png.js'

/** A picture channel by channel, (C, H, W) row-major, 0..255. */
export interface PlanarImage {
  /** Channels, rows, columns. */
  readonly shape: readonly [C: number, H: number, W: number]
  /** One plane after another: all of red, all of green, all of blue. */
  readonly data: Uint8Array
}

const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89 && bytes[1] === 0x50

/**
 * Reads a PNG or a JPEG, told apart by their first bytes.
 * @throws FormatError when it is neither, or damaged
 */
export function decodeImage(bytes: Uint8Array, name: string): PngImage {
  if (isJpeg(bytes)) return decodeJpeg(bytes, name)
  if (isPng(bytes)) return decodePng(bytes, name)
  throw new FormatError(`${name}: neither a PNG nor a JPEG`)
}

/** Channels as planes: 1 for grey (luma), 3 for red, green and blue. Transparent pixels lie over white. */
export function toPlanes(image: PngImage, channels: 1 | 3): PlanarImage {
  const { width, height, data } = image
  if (channels === 1) return { shape: [1, height, width], data: toGrayscale(image).data }
  const plane = width * height
  const step = image.channels
  const colored = step >= 3
  const planes = new Uint8Array(3 * plane)
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < plane; i++) {
      const value = data[i * step + (colored ? c : 0)] as number
      const alpha = step % 2 === 0 ? (data[i * step + step - 1] as number) : 255
      planes[c * plane + i] = Math.floor((value * alpha + 255 * (255 - alpha) + 127) / 255)
    }
  }
  return { shape: [3, height, width], data: planes }
}

/** The middle of a picture in another size: resized until it covers height × width, and cut to it. */
export function coverImage({ shape, data }: PlanarImage, height: number, width: number): PlanarImage {
  const [C, H, W] = shape
  if (H === height && W === width) return { shape, data }
  // The side that is shorter, relative to what is wanted, fits; the other is cut.
  const wide = W * height > width * H
  const rows = wide ? height : Math.max(height, Math.round((H * width) / W))
  const columns = wide ? Math.max(width, Math.round((W * height) / H)) : width
  const top = (rows - height) >> 1
  const left = (columns - width) >> 1
  const result = new Uint8Array(C * height * width)
  for (let c = 0; c < C; c++) {
    const plane = data.subarray(c * H * W, (c + 1) * H * W)
    const resized = resizeGrayscale({ width: W, height: H, data: plane }, columns, rows).data
    for (let p = 0; p < height; p++) {
      const from = (top + p) * columns + left
      result.set(resized.subarray(from, from + width), (c * height + p) * width)
    }
  }
  return { shape: [C, height, width], data: result }
}
