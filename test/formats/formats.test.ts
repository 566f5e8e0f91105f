import { encode } from 'jpeg-js'
import { describe, expect, it } from 'vitest'
import { decodeImage } from '../../src/formats/decode.js'
import { formatOf } from '../../src/formats/formats.js'
import { decodeJpeg } from '../../src/formats/jpeg.js'
import { decodePng, encodePng } from '../../src/formats/png.js'
import { pictureSize } from '../../src/formats/size.js'
import { exifData, jpegWith, pngWith } from '../helpers/exif.js'

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0))
const png = encodePng({ width: 5, height: 3, channels: 1, data: new Uint8Array(15).fill(7) })
const jpeg = encode({ width: 5, height: 3, data: new Uint8Array(60).fill(90) }, 90).data

describe('a file of another format', () => {
  it.each([
    ['GIF87a', 'a GIF'],
    ['RIFF\x10\0\0\0WEBPVP8L', 'a WebP picture'],
    ['\0\0\0\x1cftypavif\0\0\0\0', 'an AVIF picture'],
    ['\0\0\0\x18ftypheic\0\0\0\0mif1', 'a HEIC picture, as iPhones take them'],
    ['\0\0\0\x18ftypmif1\0\0\0\0mif1heic', 'a HEIC picture, as iPhones take them'],
    ['II*\0\x08\0\0\0', 'a TIFF'],
    ['MM\0*\0\0\0\x08', 'a TIFF'],
    ['BM\x36\0\0\0', 'a Windows bitmap (BMP)'],
    ['\0\0\0\x0cjP  \r\n\x87\n', 'a JPEG 2000'],
    ['\xff\x0a\xfa\x00', 'a JPEG XL'],
    ['8BPS\0\x01', 'a Photoshop file'],
    ['%PDF-1.7', 'a PDF'],
    ['\n <svg xmlns="', 'a web page or an SVG'],
  ])('is named: %j', (text, format) => {
    const bytes = bytesOf(text)
    expect(formatOf(bytes)).toBe(format)
    expect(() => decodeImage(bytes, 'x')).toThrow(
      `x: neither a PNG nor a JPEG but ${format}; save it as one of the two`,
    )
    expect(() => decodePng(bytes, 'x')).toThrow(`x: not a PNG picture but ${format}; save it as PNG`)
    expect(() => decodeJpeg(bytes, 'x')).toThrow(`x: not a JPEG but ${format}; save it as JPEG`)
  })

  it.each([
    [
      'version https://git-lfs.github.com/spec/v1\noid',
      'a pointer of Git LFS to it; fetch the file itself by git lfs pull',
    ],
    ['\0\x05\x16\x07\0\x02\0\0Mac OS X', 'what macOS keeps beside a file (AppleDouble); remove it'],
    ['PK\x03\x04\x14\0', 'a ZIP archive; unpack it'],
    ['BM\x02\0\0\0\0\0{"a":', 'a model, or other weights (safetensors); give a picture here'],
    ['{"format":', 'JSON, as a model.json is; give a picture here'],
  ])('that is no picture is named with what to do: %j', (text, said) => {
    const bytes = bytesOf(text)
    expect(() => decodeImage(bytes, 'x')).toThrow(`x: neither a PNG nor a JPEG but ${said}`)
    expect(() => decodePng(bytes, 'x')).toThrow(`x: not a PNG picture but ${said}`)
    expect(() => decodeJpeg(bytes, 'x')).toThrow(`x: not a JPEG but ${said}`)
  })

  it('is the other of the two that are read, or nothing that is known', () => {
    expect(() => decodePng(jpeg, 'x')).toThrow('x: not a PNG picture but a JPEG; save it as PNG')
    expect(() => decodeJpeg(png, 'x')).toThrow('x: not a JPEG but a PNG; save it as JPEG')
    expect(formatOf(bytesOf('hello'))).toBeUndefined()
    expect(formatOf(new Uint8Array())).toBeUndefined()
    expect(() => decodeImage(bytesOf('hello'), 'x')).toThrow(/^x: neither a PNG nor a JPEG$/)
  })
})

it('passes over bytes after the end of a JPEG, and before it after its data', () => {
  const whole = decodeImage(jpeg, 'x')
  const end = jpeg.length - 2
  for (const bytes of [
    [...jpeg, ...bytesOf('and more')],
    [...jpeg, ...jpeg],
    [...jpeg.subarray(0, end), 0, 0, 1, 2, ...jpeg.subarray(end)],
  ]) {
    expect(decodeImage(Uint8Array.from(bytes), 'x')).toEqual(whole)
  }
})

describe('the size of a picture', () => {
  it('is what decoding gives, turned upright, from its header alone', () => {
    const image = { width: 12, height: 7, channels: 3, data: new Uint8Array(252).fill(40) } as const
    for (let orientation = 1; orientation <= 8; orientation++) {
      for (const bytes of [
        pngWith(exifData(orientation, true), image),
        jpegWith(exifData(orientation, false), image, 80),
      ]) {
        const { height, width } = decodeImage(bytes, 'x')
        expect(pictureSize(bytes)).toEqual([height, width])
      }
    }
    expect(pictureSize(png.subarray(0, 30))).toEqual([3, 5])
    for (const bytes of [new Uint8Array(), bytesOf('hello'), png.subarray(0, 20), jpeg.subarray(0, 20)]) {
      expect(pictureSize(bytes)).toBeUndefined()
    }
  })

  it('answers every cut and every changed byte with a size or nothing', () => {
    for (const file of [png, jpeg]) {
      for (let at = 0; at < Math.min(file.length, 400); at++) {
        pictureSize(file.subarray(0, at))
        for (const value of [0, 1, 0xff]) {
          const changed = Uint8Array.from(file)
          changed[at] = value
          const size = pictureSize(changed)
          if (size) expect(Math.min(...size)).toBeGreaterThan(0)
        }
      }
    }
  })
})
