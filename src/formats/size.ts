/** The size of a picture, as its file's header says it. */
import { orientationOf } from './exif.js'
import { isJpeg } from './jpeg.js'
import { beginsWith, pngSignature } from './limits.js'

/** Height and width of a PNG or a JPEG, upright; undefined where the bytes are neither, or end before they say so. */
export function pictureSize(bytes: Uint8Array): readonly [height: number, width: number] | undefined {
  const size = isJpeg(bytes) ? sizeOfJpeg(bytes) : beginsWith(bytes, pngSignature) ? sizeOfPng(bytes) : undefined
  if (!size || size.includes(0)) return undefined
  return orientationOf(bytes) >= 5 ? [size[1], size[0]] : size
}

/** Whether a file says that it is a PNG of one channel, with transparency or without. Decoded JPEGs have three. */
export const isGreyPng = (bytes: Uint8Array): boolean =>
  beginsWith(bytes, pngSignature) && (bytes[25] === 0 || bytes[25] === 4)

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

function sizeOfPng(bytes: Uint8Array): readonly [number, number] | undefined {
  const view = viewOf(bytes)
  // IHDR is the first chunk.
  if (bytes.length < 24 || view.getUint32(12) !== 0x49484452) return undefined
  return [view.getUint32(20), view.getUint32(16)]
}

/** The segments of a JPEG up to the header of its frame, whose markers are C0 to CF, apart from C4, C8 and CC. */
function sizeOfJpeg(bytes: Uint8Array): readonly [number, number] | undefined {
  const view = viewOf(bytes)
  for (let at = 2; at + 9 <= bytes.length;) {
    const marker = bytes[at + 1]!
    if (bytes[at] !== 0xff || marker === 0xff) at++
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return [view.getUint16(at + 5), view.getUint16(at + 7)]
    } else at += 2 + view.getUint16(at + 2)
  }
  return undefined
}
