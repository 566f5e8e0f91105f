/** JPEG pictures to 8-bit pixels, read by jpeg-js, in integer arithmetic: the same pixels in every engine. */
import { decode } from 'jpeg-js'
import { FormatError } from '../runtime/errors.js'
import type { PngImage } from './png.js'

/** Largest pictures, in millions of pixels, and the memory that decoding may take, in MB. */
const LARGEST = 100
const MEMORY = 1024

const END_OF_IMAGE = [0xff, 0xd9] as const

/** Whether the bytes begin as a JPEG does. */
export const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff

/**
 * Reads a baseline or progressive JPEG as RGB; grey ones have three equal channels.
 * @throws FormatError when the bytes are not a JPEG, are damaged or cut short, or the picture is too large
 */
export function decodeJpeg(bytes: Uint8Array, name: string): PngImage {
  if (!isJpeg(bytes)) throw new FormatError(`${name}: not a JPEG: it does not begin with ff d8 ff`)
  // The decoder fills what is missing with grey; a whole file ends with a marker, perhaps before padding.
  const end = bytes.findLastIndex((byte, i) => byte === END_OF_IMAGE[1] && bytes[i - 1] === END_OF_IMAGE[0])
  if (end < 0) throw new FormatError(`${name}: the JPEG is cut short: its end is missing`)
  try {
    const { width, height, data } = decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxResolutionInMP: LARGEST,
      maxMemoryUsageInMB: MEMORY,
    })
    return { width, height, channels: 3, data }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new FormatError(`${name}: the JPEG is damaged: ${reason.replace(/\s+/g, ' ')}`, { cause: error })
  }
}
