/** Pictures of files, whatever their format. */
import { FormatError } from '../runtime/errors.js'
import { orientationOf, upright } from './exif.js'
import { formatOf, remedyOf } from './formats.js'
import { decodeJpeg, isJpeg } from './jpeg.js'
import { endsWithin, fileBytes, jpegSignature, pngSignature, type FileBytes, type PictureLimits } from './limits.js'
import { decodePng, type PngImage } from './png.js'
import { checkCount } from '../runtime/options.js'

const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89 && bytes[1] === 0x50

/**
 * Reads a PNG or a JPEG, told apart by their first bytes, and turns it upright where its Exif data say how it was taken.
 *
 * @param limits of pixels and of memory
 * @throws FormatError when it is neither, or damaged, or exceeds a limit
 */
export function decodeImage(file: FileBytes, name: string, limits: PictureLimits = {}): PngImage {
  checkCount('decodeImage', 3, arguments)
  const bytes = fileBytes(file, name)
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; a PNG or a JPEG was expected`)
  if (isJpeg(bytes) || endsWithin(bytes, jpegSignature))
    return upright(decodeJpeg(bytes, name, limits), orientationOf(bytes))
  if (isPng(bytes) || endsWithin(bytes, pngSignature))
    return upright(decodePng(bytes, name, limits), orientationOf(bytes))
  const format = formatOf(bytes)
  const known = format === undefined ? '' : ` but ${format}; ${remedyOf(bytes) ?? 'save it as one of the two'}`
  throw new FormatError(`${name}: neither a PNG nor a JPEG${known}`)
}
