/** Pixels of what a page shows. */
import { checkPicture, type Picture } from '../io/preprocessing.js'
import { ShapeError, UnsupportedError } from '../runtime/errors.js'
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
export function pixelsOf(image: PictureSource): Picture {
  if (typeof image !== 'object' || image === null) {
    throw new ShapeError(
      `predict: expected ImageData, an <img>, a canvas, an ImageBitmap, a VideoFrame or { data, width, height, channels }, ` +
        `given ${inWords(image)}`,
    )
  }
  return 'data' in image ? checkPicture(image, 'predict') : drawn(image)
}

function sizeOf(image: Drawable): readonly [what: string, width: unknown, height: unknown] {
  if ('naturalWidth' in image) return ['the <img>', image.naturalWidth, image.naturalHeight]
  if ('videoWidth' in image) return ['the <video>', image.videoWidth, image.videoHeight]
  if ('displayWidth' in image) return ['the VideoFrame', image.displayWidth, image.displayHeight]
  return ['the picture', image.width, image.height]
}

/** Draws a picture to read its pixels: upright, and in sRGB. */
function drawn(image: Drawable): Picture {
  const [what, width, height] = sizeOf(image)
  const isExtent = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0
  if (!isExtent(width) || !isExtent(height)) {
    throw new ShapeError(
      `predict: the object has no pixels: neither data nor a width and a height; given ${inWords(image)}`,
    )
  }
  if (width === 0 || height === 0) {
    throw new ShapeError(
      `predict: ${what} has ${width} × ${height} pixels; wait until it is loaded (image.decode(), or the event loadeddata)`,
    )
  }
  if (width * height > LARGEST_DRAWING) {
    throw new ShapeError(
      `predict: ${what} has ${width} × ${height} pixels, more than a canvas can have; make it smaller`,
    )
  }
  const context = contextOf(width, height)
  try {
    context.drawImage(image as CanvasImageSource, 0, 0, width, height)
    const { data } = context.getImageData(0, 0, width, height)
    return { data, width, height, channels: 4 }
  } catch (error) {
    const { name, message } = error as Error
    if (name === 'SecurityError') {
      throw new UnsupportedError(
        `predict: ${what} is of another origin, and its pixels must not be read; set crossOrigin = 'anonymous' before src`,
        { cause: error },
      )
    }
    throw new ShapeError(`predict: ${what} cannot be drawn (${message})`)
  }
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D

function contextOf(width: number, height: number): Context {
  const canvas =
    typeof OffscreenCanvas === 'function'
      ? new OffscreenCanvas(width, height)
      : typeof document === 'object'
        ? Object.assign(document.createElement('canvas'), { width, height })
        : undefined
  const context = canvas?.getContext('2d', { willReadFrequently: true })
  if (context) return context
  throw new UnsupportedError(
    'predict: nothing can be drawn here; give the pixels themselves: { data, width, height, channels }',
  )
}
