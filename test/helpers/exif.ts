/** Pictures of which Exif data tell how they were taken. */
import { encode } from 'jpeg-js'
import { crc32 } from '../../src/formats/crc32.js'
import { encodePng, type PngImage } from '../../src/formats/png.js'

/** TIFF data with an orientation, after another entry. */
export function exifData(orientation: number, little = true, type = 3): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 + 2 + 24 + 4))
  view.setUint16(0, little ? 0x4949 : 0x4d4d)
  view.setUint16(2, 42, little)
  view.setUint32(4, 8, little)
  view.setUint16(8, 2, little)
  const entry = (at: number, tag: number, type: number, value: number): void => {
    view.setUint16(at, tag, little)
    view.setUint16(at + 2, type, little)
    view.setUint32(at + 4, 1, little)
    view.setUint16(at + 8, value, little)
  }
  entry(10, 0x010f, 2, 0)
  entry(22, 0x0112, type, orientation)
  return new Uint8Array(view.buffer)
}

/** A JPEG whose second segment holds Exif data. */
export function jpegWith(exif: Uint8Array, image: PngImage, quality = 100): Uint8Array {
  const rgba = new Uint8Array(image.width * image.height * 4)
  for (let i = 0; i < image.width * image.height; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = image.data[i * image.channels + (image.channels >= 3 ? c : 0)]!
    rgba[4 * i + 3] = 255
  }
  const file = new Uint8Array(encode({ width: image.width, height: image.height, data: rgba }, quality).data)
  const head = Uint8Array.of(0xff, 0xe1, 0, exif.length + 8, 0x45, 0x78, 0x69, 0x66, 0, 0)
  return Uint8Array.of(...file.subarray(0, 2), ...head, ...exif, ...file.subarray(2))
}

/** A PNG with Exif data before its pixels. */
export function pngWith(exif: Uint8Array, image: PngImage): Uint8Array {
  const file = encodePng(image)
  const chunk = new Uint8Array(12 + exif.length)
  const view = new DataView(chunk.buffer)
  view.setUint32(0, exif.length)
  view.setUint32(4, 0x65584966)
  chunk.set(exif, 8)
  view.setUint32(8 + exif.length, crc32(chunk.subarray(4, 8 + exif.length)))
  // After the signature and IHDR.
  return Uint8Array.of(...file.subarray(0, 33), ...chunk, ...file.subarray(33))
}
