/** WAV files of every kind that is read, and what is said of those that are not. */
import { describe, expect, it } from 'vitest'
import { decodeWav } from '../../src/formats/wav.js'
import { FormatError, UnsupportedError } from '../../src/runtime/errors.js'
import { wav } from '../helpers/wav.js'

const moments = [
  [0, 0.5],
  [-1, 0.25],
  [0.75, -0.125],
]

describe('decodeWav', () => {
  it.each([
    [8, false],
    [16, false],
    [24, false],
    [32, false],
    [32, true],
    [64, true],
  ])('reads samples of %d bits, floats: %s, with a plain and an extensible header', (bits, isFloat) => {
    for (const extensible of [false, true]) {
      const { sampleRate, shape, samples } = decodeWav(wav(moments, { bits, isFloat, extensible }), 'x.wav')
      expect(sampleRate).toBe(8000)
      expect(shape).toEqual([2, 3])
      expect([...samples]).toEqual([0, -1, 0.75, 0.5, 0.25, -0.125])
    }
  })

  it('reads the smallest differences of each kind', () => {
    for (const bits of [8, 16, 24]) {
      const step = 2 ** (1 - bits)
      const { samples } = decodeWav(wav([[step], [-step], [1 - step]], { bits }), 'x.wav')
      expect([...samples]).toEqual([step, -step, 1 - step])
    }
    // Of 32 bits float32 keeps 24.
    expect(decodeWav(wav([[2 ** -31], [0.5 + 2 ** -31]], { bits: 32 }), 'x.wav').samples).toEqual(
      Float32Array.of(2 ** -31, 0.5),
    )
  })

  it('passes over other chunks, of odd sizes too, and what follows the samples', () => {
    const file = wav([[0.5]], { before: [['LIST', [1, 2, 3]]], after: [['id3 ', [9]]] })
    expect([...decodeWav(file, 'x.wav').samples]).toEqual([0.5])
    expect([...decodeWav(file.buffer, 'x.wav').samples]).toEqual([0.5])
    // At any place of a buffer.
    const moved = new Uint8Array(file.length + 1)
    moved.set(file, 1)
    expect([...decodeWav(moved.subarray(1), 'x.wav').samples]).toEqual([0.5])
  })

  it.each([0x7fff_f000, 0x7fff_f024, 0xffff_ffff])('reads to the end where the size is %d: a pipe', (size) => {
    const file = wav([[0.5], [0.25]], { size })
    expect([...decodeWav(file, 'x.wav').samples]).toEqual([0.5, 0.25])
    expect([...decodeWav(file.subarray(0, file.length - 1), 'x.wav').samples]).toEqual([0.5])
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /^x\.wav: the file is empty; a WAV file was expected/],
    ['its beginning', wav([[0.5]]).subarray(0, 9), /^x\.wav: cut short: 9 bytes hold no WAV header/],
    ['no chunk', wav([[0.5]]).subarray(0, 12), /ends before its format chunk; it is cut short or damaged/],
    ['half a format chunk', wav([[0.5]]).subarray(0, 30), /the format chunk has 10 bytes; at least 16 are needed/],
    ['no samples', wav([[0.5]]).subarray(0, 36), /ends before its samples \(no data chunk\)/],
    ['half its samples', wav(moments).subarray(0, 50), /cut short: the header says 12 bytes of samples, 6 are there/],
    ['no moment', wav([]), /the file holds no samples/],
    [
      'half a moment',
      wav(moments, { size: 10 }),
      /10 bytes of samples are not whole moments of 4 bytes \(2 channels\)/,
    ],
    ['no channel', wav([[]], { size: 0 }), /the header says 0 channels and 8000 samples in a second/],
    ['no rate', wav(moments, { rate: 0 }), /the header says 2 channels and 0 samples in a second/],
    ['another block', wav(moments, { block: 5 }), /contradicts itself: 2 channels of 16 bits are 4 bytes, not 5/],
    ['a short extensible header', wav(moments, { code: 0xfffe }), /the extensible header has 16 bytes; 40 are needed/],
    ['data first', wav(moments, { dataFirst: true }), /the samples come before the format chunk/],
    ['an MP3', Uint8Array.of(0x49, 0x44, 0x33, ...new Uint8Array(20)), /no WAV file but an MP3; convert it: ffmpeg/],
    ['a FLAC', Uint8Array.of(0x66, 0x4c, 0x61, 0x43, ...new Uint8Array(20)), /no WAV file but a FLAC/],
    ['a PNG', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0xd, 0xa, 0x1a, 0xa, 0, 0, 0, 0), /no WAV file but a PNG/],
    ['other bytes', new Uint8Array(50), /no WAV file; a WAV file begins with RIFF and WAVE; convert it/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decodeWav(bytes, 'x.wav')).toThrow(FormatError)
    expect(() => decodeWav(bytes, 'x.wav')).toThrow(message)
  })

  it.each<[string, Uint8Array, RegExp]>([
    ['µ-law', wav(moments, { bits: 8, code: 7 }), /samples by µ-law are not read; convert it: ffmpeg/],
    ['an unknown one', wav(moments, { code: 999 }), /samples by the format 999 are not read/],
    ['12 bits', wav(moments, { saidBits: 12 }), /whole numbers of 12 bits are not read; 8, 16, 24, 32 are/],
    ['floats of 16 bits', wav(moments, { code: 3 }), /floats of 16 bits are not read; 32, 64 are/],
    ['a maker’s own', wav(moments, { extensible: true, guid: 1 }), /of a kind that only its maker's programs know/],
    ['RF64', wav(moments, { magic: 'RF64' }), /WAV files of more than 4 GiB \(RF64\) are not read/],
    ['RIFX', wav(moments, { magic: 'RIFX' }), /with its bytes in the other order \(RIFX\) are not read/],
  ])('says that it does not read %s', (_, bytes, message) => {
    expect(() => decodeWav(bytes, 'x.wav')).toThrow(UnsupportedError)
    expect(() => decodeWav(bytes, 'x.wav')).toThrow(message)
  })

  it('refuses every file that is cut short', () => {
    const file = wav(moments, { extensible: true })
    for (let length = 0; length < file.length; length++)
      expect(() => decodeWav(file.subarray(0, length), 'x.wav')).toThrow(FormatError)
  })
})
