/**
 * Sound files in the format WAVE: chunks of a RIFF file, little endian ("Multimedia Programming Interface and Data Specifications
 * 1.0", IBM and Microsoft, 1991; extensible headers: Microsoft's WAVEFORMATEXTENSIBLE). Samples are whole numbers of 8, 16, 24 or
 * 32 bits, or floats of 32 or 64; compressed ones are refused by name.
 */
import { wrongKind } from '../runtime/check.js'
import { checkCount } from '../runtime/options.js'
import { FormatError, UnsupportedError } from '../runtime/errors.js'
import type { OwnFloats } from '../runtime/platform.js'
import { formatOf } from './formats.js'
import { allocate, beginsWith, fileBytes, type FileBytes } from './limits.js'

/** A sound, as its samples. */
export interface Sound {
  /** Samples of a channel in a second. */
  readonly sampleRate: number
  /** Channels and samples of each: (C, T). */
  readonly shape: readonly [C: number, T: number]
  /** Samples (C, T), row-major: whole numbers are divided by 2^(bits − 1), so that they lie in −1 ≤ s < 1. Floats are as stored. */
  readonly samples: OwnFloats
}

/** Codes of the format chunk. */
const PCM = 1
const FLOAT = 3
const EXTENSIBLE = 0xfffe

/** What other programs write in the format chunk, for messages. */
const others: ReadonlyMap<number, string> = new Map([
  [2, 'Microsoft ADPCM'],
  [6, 'A-law'],
  [7, 'µ-law'],
  [0x11, 'IMA ADPCM'],
  [0x31, 'GSM 6.10'],
  [0x50, 'MPEG'],
  [0x55, 'MP3'],
  [0xff, 'AAC'],
])

/** Bytes 2 to 15 of the identifier of a format in an extensible header; the first two are its code. */
const GUID_REST = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]

/** Programs that write to a pipe do not know the size, and write one of these or more: sox 0x7ffff024, espeak-ng 0x7ffff000, ffmpeg −1. */
const UNKNOWN_SIZE = 0x7fff_f000

const codesOf = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0))
const riff = codesOf('RIFF')
const wave = codesOf('WAVE')

interface Format {
  readonly isFloat: boolean
  readonly channels: number
  readonly sampleRate: number
  /** Bytes of a sample. */
  readonly bytes: number
}

/**
 * Reads a WAV file: samples of 8, 16, 24 or 32 bits, or floats of 32 or 64, in one or several channels, with a plain or an extensible
 * header. Where the header says that the size was not known, as programs write it to a pipe, the sound goes to the end of the file.
 *
 * @example
 * const { sampleRate, shape, samples } = decodeWav(await readFile('word.wav'), 'word.wav')
 * const x = tensor(samples, [1, ...shape]) // (1, C, T)
 * @param name what to call the file in errors, usually its path
 * @throws FormatError when the file is none, is cut short, holds no samples or contradicts itself; UnsupportedError when its samples
 *   are compressed, or of another size; OutOfMemoryError
 */
export function decodeWav(file: FileBytes, name: string): Sound {
  checkCount('decodeWav', 2, arguments)
  if (typeof name !== 'string') throw wrongKind('decodeWav: name', 'a text', name)
  const bytes = fileBytes(file, name)
  checkBeginning(bytes, name)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let format: Format | undefined
  for (let at = 12; at + 8 <= bytes.length;) {
    const kind = String.fromCharCode(...bytes.subarray(at, at + 4))
    const size = view.getUint32(at + 4, true)
    const start = at + 8
    const there = bytes.length - start
    if (kind === 'fmt ') {
      if (size < 16 || size > there)
        throw new FormatError(`${name}: the format chunk has ${Math.min(size, there)} bytes; at least 16 are needed`)
      format = readFormat(bytes.subarray(start, start + size), name)
    }
    if (kind === 'data') {
      if (!format) throw new FormatError(`${name}: the samples come before the format chunk; is the file damaged?`)
      const isKnown = size < UNKNOWN_SIZE
      if (isKnown && size > there) {
        throw new FormatError(
          `${name}: cut short: the header says ${size} bytes of samples, ${there} are there; fetch the file again`,
        )
      }
      return samplesOf(bytes.subarray(start, isKnown ? start + size : bytes.length), format, isKnown, name)
    }
    // Chunks begin at even places.
    at = start + size + (size % 2)
  }
  throw new FormatError(
    `${name}: the file ends before ${format ? 'its samples (no data chunk)' : 'its format chunk'}; it is cut short or damaged`,
  )
}

/** @throws FormatError unless the file begins as a WAV file does */
function checkBeginning(bytes: Uint8Array, name: string): void {
  if (bytes.length === 0) throw new FormatError(`${name}: the file is empty; a WAV file was expected`)
  const isSo = (text: string, at = 0): boolean => beginsWith(bytes.subarray(at), codesOf(text))
  if ((isSo('RF64') || isSo('RIFX')) && isSo('WAVE', 8)) {
    const kind = isSo('RF64') ? 'of more than 4 GiB (RF64)' : 'with its bytes in the other order (RIFX)'
    throw new UnsupportedError(`${name}: WAV files ${kind} are not read; save it as a plain one`)
  }
  const ends = bytes.length < 12
  const known = riff.every((byte, i) => i >= bytes.length || bytes[i] === byte)
  if (ends && known) throw new FormatError(`${name}: cut short: ${bytes.length} bytes hold no WAV header`)
  if (beginsWith(bytes, riff) && beginsWith(bytes.subarray(8), wave)) return
  const compressed: readonly (readonly [string, boolean])[] = [
    ['an MP3', isSo('ID3') || (bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe0) === 0xe0)],
    ['a FLAC', isSo('fLaC')],
    ['an Ogg file', isSo('OggS')],
    ['an AIFF', isSo('FORM')],
    ['an MP4', isSo('ftyp', 4)],
  ]
  const found = compressed.find(([, is]) => is)?.[0] ?? formatOf(bytes)
  throw new FormatError(
    `${name}: no WAV file${found === undefined ? '; a WAV file begins with RIFF and WAVE' : ` but ${found}`}; convert it: ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav`,
  )
}

/** What the format chunk says. */
function readFormat(chunk: Uint8Array, name: string): Format {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
  let code = view.getUint16(0, true)
  const channels = view.getUint16(2, true)
  const sampleRate = view.getUint32(4, true)
  const block = view.getUint16(12, true)
  const bits = view.getUint16(14, true)
  if (code === EXTENSIBLE) {
    if (chunk.length < 40) {
      throw new FormatError(`${name}: the extensible header has ${chunk.length} bytes; 40 are needed`)
    }
    if (!beginsWith(chunk.subarray(26), GUID_REST)) {
      throw new UnsupportedError(`${name}: its samples are of a kind that only its maker's programs know`)
    }
    code = view.getUint16(24, true)
  }
  if (code !== PCM && code !== FLOAT) {
    throw new UnsupportedError(
      `${name}: samples by ${others.get(code) ?? `the format ${code}`} are not read; convert it: ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav`,
    )
  }
  const isFloat = code === FLOAT
  const sizes = isFloat ? [32, 64] : [8, 16, 24, 32]
  if (!sizes.includes(bits)) {
    throw new UnsupportedError(
      `${name}: ${isFloat ? 'floats' : 'whole numbers'} of ${bits} bits are not read; ${sizes.join(', ')} are`,
    )
  }
  if (channels === 0 || sampleRate === 0) {
    throw new FormatError(`${name}: the header says ${channels} channels and ${sampleRate} samples in a second`)
  }
  if (block !== (channels * bits) / 8) {
    throw new FormatError(
      `${name}: the header contradicts itself: ${channels} channels of ${bits} bits are ${(channels * bits) / 8} bytes, not ${block}`,
    )
  }
  return { isFloat, channels, sampleRate, bytes: bits / 8 }
}

/** How a sample at a place is read, on the scale −1 to 1. */
function readerOf(view: DataView, { isFloat, bytes }: Format): (at: number) => number {
  if (isFloat) return bytes === 4 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true)
  if (bytes === 1) return (at) => (view.getUint8(at) - 128) / 2 ** 7
  if (bytes === 2) return (at) => view.getInt16(at, true) / 2 ** 15
  if (bytes === 3) return (at) => (view.getInt8(at + 2) * 2 ** 16 + view.getUint16(at, true)) / 2 ** 23
  return (at) => view.getInt32(at, true) / 2 ** 31
}

/** The samples of the data chunk, channel by channel; they are stored moment by moment. */
function samplesOf(stored: Uint8Array, format: Format, isKnown: boolean, name: string): Sound {
  const { channels: C, bytes, sampleRate } = format
  const block = C * bytes
  if (isKnown && stored.length % block !== 0) {
    throw new FormatError(
      `${name}: ${stored.length} bytes of samples are not whole moments of ${block} bytes (${C} channels); is the file damaged?`,
    )
  }
  const T = Math.floor(stored.length / block)
  if (T === 0) throw new FormatError(`${name}: the file holds no samples`)
  const samples = new Float32Array(allocate(4 * C * T, `${name}: the sound`).buffer)
  const read = readerOf(new DataView(stored.buffer, stored.byteOffset, stored.length), format)
  for (let c = 0; c < C; c++) for (let t = 0; t < T; t++) samples[c * T + t] = read((t * C + c) * bytes)
  return { sampleRate, shape: [C, T], samples }
}
