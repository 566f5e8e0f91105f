/** Volumes of NIfTI files and of files of plain numbers, and what is said of those that contradict themselves. */
import { gzipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { decodeNifti } from '../../src/formats/nifti.js'
import { readRaw } from '../../src/formats/voxels.js'
import { ArgumentError, FormatError, UnsupportedError } from '../../src/runtime/errors.js'
import { nifti } from '../helpers/nifti.js'

const values = Array.from({ length: 24 }, (_, i) => i)

describe('decodeNifti', () => {
  it.each([2, 4, 8, 16, 64, 256, 512, 768])(
    'reads values of the type %d in both orders of bytes, packed and not',
    (code) => {
      for (const isLittle of [true, false]) {
        const file = nifti([4, 3, 2], values, { code, isLittle, spacing: [0.5, 2, 3] })
        for (const bytes of [file, gzipSync(file)]) {
          const volume = decodeNifti(bytes, 'x.nii')
          expect(volume.shape).toEqual([2, 3, 4])
          expect(volume.spacing).toEqual([3, 2, 0.5])
          expect([...volume.values]).toEqual(values)
        }
      }
    },
  )

  it('scales values as the header says, in float64', () => {
    const file = nifti([2, 1, 1], [3, -5], { slope: 0.5, intercept: 10 })
    expect([...decodeNifti(file, 'x.nii').values]).toEqual([11.5, 7.5])
    for (const slope of [0, Number.NaN])
      expect([...decodeNifti(nifti([2, 1, 1], [3, -5], { slope, intercept: 10 }), 'x.nii').values]).toEqual([3, -5])
    // The smallest and the largest of each type.
    expect([...decodeNifti(nifti([2, 1, 1], [-32768, 32767]), 'x').values]).toEqual([-32768, 32767])
    expect([...decodeNifti(nifti([2, 1, 1], [0, 65535], { code: 512 }), 'x').values]).toEqual([0, 65535])
  })

  it('reads series, and passes over axes of one and what extends the header', () => {
    expect(decodeNifti(nifti([2, 2, 2, 3], values), 'x').shape).toEqual([3, 2, 2, 2])
    expect(decodeNifti(nifti([4, 3, 2, 1, 1], values), 'x').shape).toEqual([2, 3, 4])
    expect(decodeNifti(nifti([24], values), 'x').shape).toEqual([24])
    expect([...decodeNifti(nifti([4, 3, 2], values, { offset: 400 }), 'x').values]).toEqual(values)
  })

  const good = nifti([4, 3, 2], values)
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /^x: the file is empty; a NIfTI file was expected/],
    ['three bytes', good.subarray(0, 3), /cut short: 3 bytes hold no NIfTI header/],
    ['half a header', good.subarray(0, 300), /cut short: a NIfTI header has 348 bytes, 300 are given/],
    [
      'half its values',
      good.subarray(0, 380),
      /cut short: \(2, 3, 4\) of int16 takes 400 bytes with the header, 380 are/,
    ],
    [
      'more values',
      Uint8Array.of(...good, 0),
      /bytes after the end: \(2, 3, 4\) of int16 takes 400 bytes .* 401 are given/,
    ],
    ['other bytes', new Uint8Array(500), /no NIfTI file: it does not begin with the length of its header, 348/],
    ['Analyze', nifti([4, 3, 2], values, { magic: '\0\0\0\0' }), /its header does not end with n\+1 \(Analyze/],
    ['no axes', nifti([4, 3, 2], values, { rank: 0 }), /the header says 0 axes; 1 to 7 are known/],
    ['an extent of 0', nifti([4, 0, 2], []), /says the extents \(4, 0, 2\); each must be at least 1/],
    ['an extent below 0', nifti([4, -3, 2], []), /says the extents \(4, -3, 2\); each must be at least 1/],
    ['other bits', nifti([4, 3, 2], values, { bits: 8 }), /contradicts itself: int16 has 16 bits, and it says 8/],
    ['values within the header', nifti([4, 3, 2], values, { offset: 100 }), /the values begin at byte 100, within it/],
    ['a broken offset', nifti([4, 3, 2], values, { offset: 352.5 }), /the values begin at byte 352.5/],
    ['huge extents', nifti([32767, 32767, 32767], []), /\(32767, 32767, 32767\) of int16 takes \d+ bytes/],
    ['hugest extents', nifti([32767, 32767, 32767, 32767], []), /takes more bytes than can be addressed/],
  ])('refuses %s, packed too', (name, bytes, message) => {
    expect(() => decodeNifti(bytes, 'x')).toThrow(FormatError)
    expect(() => decodeNifti(bytes, 'x')).toThrow(message)
    if (name === 'nothing') return
    expect(() => decodeNifti(gzipSync(bytes), 'x')).toThrow(FormatError)
  })

  it.each<[string, Uint8Array, RegExp]>([
    [
      'colours',
      nifti([4, 3, 2], values, { code: 128 }),
      /values of the type 128, colours \(RGB\), are not read; uint8/,
    ],
    ['an unknown type', nifti([4, 3, 2], values, { code: 3 }), /values of the type 3 are not read; uint8, int16/],
    ['one of a pair', nifti([4, 3, 2], values, { magic: 'ni1\0' }), /is one of a pair of files \(\.hdr, \.img\)/],
    ['NIfTI-2', nifti([4, 3, 2], values, { headerSize: 540 }), /NIfTI-2 is not read; save it as NIfTI-1/],
  ])('says that it does not read %s', (_, bytes, message) => {
    expect(() => decodeNifti(bytes, 'x')).toThrow(UnsupportedError)
    expect(() => decodeNifti(bytes, 'x')).toThrow(message)
  })

  it('takes no more memory than the limit, and inflates no more than the header says', () => {
    const large = nifti([100, 100, 100], [])
    const bomb = gzipSync(new Uint8Array([...large, ...new Uint8Array(20_000_000)]), { level: 9 })
    expect(() => decodeNifti(bomb, 'x', { maxBytes: 1e6 })).toThrow(
      /takes \d+ bytes to decode, more than the limit of 1000000/,
    )
    expect(() => decodeNifti(bomb, 'x')).toThrow(/bytes after the end: .* more are given/)
    const promise = gzipSync(nifti([1000, 1000, 1000], []))
    expect(() => decodeNifti(promise, 'x', { maxBytes: Infinity })).toThrow(/which so few cannot hold/)
    expect(() => decodeNifti(good, 'x', { maxBytes: 90 })).toThrow(
      /takes 96 bytes to decode, more than the limit of 90/,
    )
  })

  it('refuses damaged gzip', () => {
    const packed = gzipSync(good)
    expect(() => decodeNifti(packed.subarray(0, 60), 'x')).toThrow(/gzip data are damaged or cut short/)
    const flipped = packed.slice()
    flipped[flipped.length - 6]! ^= 1
    expect(() => decodeNifti(flipped, 'x')).toThrow(/the checksum at the end of the gzip data does not match/)
    expect(() => decodeNifti(Uint8Array.of(...packed, ...packed), 'x')).toThrow(
      /several gzip files in one; a NIfTI file is one/,
    )
  })
})

describe('readRaw', () => {
  it('reads values of any type, behind others, scaled', () => {
    const bytes = new Uint8Array(new Float64Array([1.5, -2, 3, 4]).buffer)
    expect(readRaw(bytes, 'x', { shape: [2, 1, 2], type: 'float64' })).toEqual({
      shape: [2, 1, 2],
      values: Float32Array.of(1.5, -2, 3, 4),
    })
    const big = Uint8Array.of(9, 9, 1, 0, 255, 255)
    const options = { shape: [1, 1, 2], order: 'big', offset: 2, slope: 2, intercept: 1 } as const
    expect([...readRaw(big, 'x', { ...options, type: 'int16' }).values]).toEqual([513, -1])
    expect([...readRaw(big, 'x', { ...options, type: 'uint16' }).values]).toEqual([513, 131_071])
  })

  it.each<[object, RegExp]>([
    [
      { shape: [2, 2], type: 'uint8' },
      /^x: \(2, 2\) of uint8 takes 4 bytes, the file has 8; is it another shape or type/,
    ],
    [{ shape: [2, 2], type: 'uint8', offset: 5 }, /takes 4 bytes after 5 others, the file has 8/],
    [{ shape: [2, 2], type: 'int32' }, /\(2, 2\) of int32 takes 16 bytes, the file has 8/],
  ])('refuses a file that is not of %o', (options, message) => {
    expect(() => readRaw(new Uint8Array(8), 'x', options as never)).toThrow(FormatError)
    expect(() => readRaw(new Uint8Array(8), 'x', options as never)).toThrow(message)
  })

  it.each<[object, RegExp]>([
    [{ shape: [8], type: 'int7' }, /^readRaw: type must be one of uint8, int8, uint16/],
    [{ shape: 8, type: 'uint8' }, /^readRaw: shape must be a list of extents/],
    [{ shape: [0.5], type: 'uint8' }, /^readRaw: an extent must be a whole number from 1 on/],
    [{ shape: [8], type: 'uint8', order: 'middle' }, /^readRaw: order must be 'little' or 'big'/],
    [{ shape: [8], type: 'uint8', slope: Number.NaN }, /^readRaw: slope must be a finite number/],
    [{ shape: [8], typ: 'uint8' }, /there is no option 'typ'; did you mean 'type'/],
  ])('refuses the options %o', (options, message) => {
    expect(() => readRaw(new Uint8Array(8), 'x', options as never)).toThrow(ArgumentError)
    expect(() => readRaw(new Uint8Array(8), 'x', options as never)).toThrow(message)
  })
})
