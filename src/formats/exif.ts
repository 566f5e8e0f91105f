/**
 * The orientation that a camera writes beside a picture (Exif 2.3, tag 0x0112; TIFF 6.0): how its rows and columns are to
 * be turned to stand upright, as viewers show it. JPEG keeps it in a segment APP1, PNG in a chunk eXIf.
 */
import { isJpeg } from './jpeg.js'
import { allocate } from './limits.js'
import type { PngImage } from './png.js'

/** 1 is upright; the others are turned, mirrored, or both. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8

const TAG = 0x0112
/** The type of a number of 16 bits. */
const SHORT = 3
/** "Exif" and two zeros, as a JPEG's segment begins. */
const mark = [0x45, 0x78, 0x69, 0x66, 0, 0]

/** The orientation that a PNG or a JPEG tells, 1 where it tells none. Damage is for the decoder to find. */
export function orientationOf(bytes: Uint8Array): Orientation {
  const exif = isJpeg(bytes) ? exifOfJpeg(bytes) : exifOfPng(bytes)
  return exif ? orientationIn(exif) : 1
}

/** The Exif data of a JPEG, which stand before its first scan. */
function exifOfJpeg(bytes: Uint8Array): Uint8Array | undefined {
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!
    // 255 fills.
    if (marker === 0xff) {
      at++
      continue
    }
    if (marker === 0xda || marker === 0xd9) return undefined
    const length = (bytes[at + 2]! << 8) | bytes[at + 3]!
    if (marker === 0xe1 && mark.every((value, i) => bytes[at + 4 + i] === value)) {
      return bytes.subarray(at + 10, at + 2 + length)
    }
    at += 2 + length
  }
  return undefined
}

/** The Exif data of a PNG. */
function exifOfPng(bytes: Uint8Array): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at)
    const type = view.getUint32(at + 4)
    // eXIf, IEND.
    if (type === 0x65584966) return bytes.subarray(at + 8, at + 8 + length)
    if (type === 0x49454e44) return undefined
    at += 12 + length
  }
  return undefined
}

/** The orientation in TIFF data: of its first directory alone, as the second one is the thumbnail's. */
function orientationIn(exif: Uint8Array): Orientation {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength)
  const { byteLength } = view
  if (byteLength < 8) return 1
  const order = view.getUint16(0)
  const little = order === 0x4949
  if ((!little && order !== 0x4d4d) || view.getUint16(2, little) !== 42) return 1
  const directory = view.getUint32(4, little)
  if (directory + 2 > byteLength) return 1
  const entries = view.getUint16(directory, little)
  for (let entry = 0, at = directory + 2; entry < entries && at + 12 <= byteLength; entry++, at += 12) {
    if (view.getUint16(at, little) !== TAG) continue
    const value = view.getUint16(at + 8, little)
    return view.getUint16(at + 2, little) === SHORT && value >= 1 && value <= 8 ? (value as Orientation) : 1
  }
  return 1
}

/** A picture turned upright: what is at the top and at the left of it is told by the orientation. */
export function upright(image: PngImage, orientation: Orientation): PngImage {
  if (orientation === 1) return image
  const { width: W, height: H, channels, data } = image
  const turned = orientation >= 5
  const [width, height] = turned ? [H, W] : [W, H]
  const result = allocate(data.length, 'the picture')
  // Which way the source is gone through, from where, for a step to the right and one down in the result.
  const mirrored = [2, 3, 7, 8].includes(orientation)
  const upsideDown = [3, 4, 6, 7].includes(orientation)
  const [right, down] = turned ? [W, 1] : [1, W]
  // Steps along the source's columns change sign where they are mirrored, those along its rows where it is upside down.
  const stepX = turned ? (upsideDown ? -right : right) : mirrored ? -right : right
  const stepY = turned ? (mirrored ? -down : down) : upsideDown ? -down : down
  const start = (mirrored ? W - 1 : 0) + (upsideDown ? (H - 1) * W : 0)
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (start + y * stepY + x * stepX) * channels
      for (let c = 0; c < channels; c++) result[to++] = data[from + c]!
    }
  }
  return { width, height, channels, data: result }
}
