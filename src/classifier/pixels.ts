/** Pixels of what a page shows. */
import { checkPicture, type Picture } from '../io/preprocessing.js'
import { formatOf } from '../formats/formats.js'
import { ArgumentError, ShapeError, UnsupportedError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'

/**
 * A picture: ImageData or other pixels in memory; or what a page can draw, an <img>, a <video>, a canvas, an OffscreenCanvas, an
 * ImageBitmap or a VideoFrame.
 */
export type PictureSource =
  | Picture
  | { readonly width: number; readonly height: number }
  | { readonly displayWidth: number; readonly displayHeight: number }

/** What tells the size of what can be drawn. An element's own width is that of its box. */
interface Drawable {
  readonly naturalWidth?: number
  readonly naturalHeight?: number
  readonly complete?: boolean
  readonly videoWidth?: number
  readonly videoHeight?: number
  readonly displayWidth?: number
  readonly displayHeight?: number
  readonly width?: number
  readonly height?: number
}

/** Pixels that a canvas can have in every browser. */
const LARGEST_DRAWING = 2 ** 28

/** The pixels of a picture. @throws ShapeError, UnsupportedError */
export function pixelsOf(image: PictureSource, name: string): Picture {
  const undecoded = undecodedOf(image)
  if (undecoded !== undefined) {
    throw new ShapeError(
      `${name}: expected pixels, given ${undecoded}; decode it first, by decodeImage() of toeplitz/io, or by createImageBitmap(blob) on a page`,
    )
  }
  if (typeof image !== 'object' || image === null || Array.isArray(image)) {
    throw new ShapeError(
      `${name}: expected ImageData, an <img>, a canvas, an ImageBitmap, a VideoFrame or { data, width, height, channels }, ` +
        `given ${inWords(image)}${Array.isArray(image) ? '; predictBatch takes a list' : ''}`,
    )
  }
  return 'data' in image ? checkPicture(image, name) : drawn(image, name)
}

/** What is given where it is a file, or the name of one, and no pixels yet. */
function undecodedOf(image: unknown): string | undefined {
  if (typeof image === 'string') return `the path ${inWords(image)}`
  if (image instanceof ArrayBuffer) return undecodedOf(new Uint8Array(image))
  if (image instanceof Uint8Array) {
    const format = formatOf(image)
    return format === undefined ? 'bytes without a width and a height' : `the bytes of ${format}`
  }
  return typeof Blob === 'function' && image instanceof Blob ? inWords(image) : undefined
}

function sizeOf(image: Drawable): readonly [what: string, width: unknown, height: unknown] {
  if ('naturalWidth' in image) return ['the <img>', image.naturalWidth, image.naturalHeight]
  if ('videoWidth' in image) return ['the <video>', image.videoWidth, image.videoHeight]
  if ('displayWidth' in image) return ['the VideoFrame', image.displayWidth, image.displayHeight]
  return ['the picture', image.width, image.height]
}

/** Draws a picture to read its pixels: upright, and in sRGB. */
function drawn(image: Drawable, name: string): Picture {
  const [what, width, height] = sizeOf(image)
  const isExtent = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0
  if (!isExtent(width) || !isExtent(height)) {
    throw new ShapeError(
      `${name}: the object has no pixels: neither data nor a width and a height; given ${inWords(image)}`,
    )
  }
  if (width === 0 || height === 0) {
    throw new ShapeError(
      `${name}: ${what} has ${width} × ${height} pixels; wait until it is loaded (image.decode(), or the event loadeddata)`,
    )
  }
  // While another source loads, an <img> still shows the one before.
  if (image.complete === false) {
    throw new ShapeError(`${name}: ${what} is still loading; wait for it (await image.decode())`)
  }
  if (width * height > LARGEST_DRAWING) {
    throw new ShapeError(
      `${name}: ${what} has ${width} × ${height} pixels, more than a canvas can have; make it smaller`,
    )
  }
  const context = contextOf(width, height, name)
  try {
    context.drawImage(image as CanvasImageSource, 0, 0, width, height)
    const { data } = context.getImageData(0, 0, width, height)
    return { data, width, height, channels: 4 }
  } catch (error) {
    const { name: kind, message } = error as Error
    if (kind === 'SecurityError') {
      throw new UnsupportedError(
        `${name}: ${what} is of another origin, and its pixels must not be read; set crossOrigin = 'anonymous' before src`,
        { cause: error },
      )
    }
    throw new ArgumentError(`${name}: ${what} cannot be drawn (${message})`)
  }
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D

function contextOf(width: number, height: number, name: string): Context {
  const canvas =
    typeof OffscreenCanvas === 'function'
      ? new OffscreenCanvas(width, height)
      : typeof document === 'object'
        ? Object.assign(document.createElement('canvas'), { width, height })
        : undefined
  const context = canvas?.getContext('2d', { willReadFrequently: true })
  if (context) return context
  throw new UnsupportedError(
    `${name}: nothing can be drawn here; give the pixels themselves: { data, width, height, channels }`,
  )
}
