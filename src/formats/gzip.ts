/** gzip, RFC 1952: a header of 10 bytes or more, a deflate stream, CRC-32 and size of the content. */
import { crc32 } from './crc32.js'
import { Inflator } from './inflate.js'
import { FormatError } from '../runtime/errors.js'

/** Deflate makes at most so many bytes of one. */
export const largestExpansion = 1032

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b
}

/** What is read of a gzip file, step by step. */
export interface OpenGzip {
  readonly inflator: Inflator
  /** Bytes of the deflate stream, and of what follows it. */
  readonly compressed: number
  /** The error that tells that the stream is wrong. */
  readonly damaged: (what: string) => FormatError
}

/** Reads the header of a gzip file. @throws FormatError when it is damaged or cut short */
export function openGzip(bytes: Uint8Array, name: string): OpenGzip {
  const damaged = (what: string): FormatError =>
    new FormatError(`${name}: the gzip data are damaged or cut short: ${what}; fetch the file again`)
  if (bytes.length < 18) {
    throw new FormatError(`${name}: the gzip file is cut short: ${bytes.length} bytes are given; fetch it again`)
  }
  let rest: Uint8Array | undefined = bytes.subarray(gzipHeaderBytes(bytes, damaged))
  const compressed = rest.length
  const next = (): Uint8Array | undefined => {
    const part = rest
    rest = undefined
    return part
  }
  return { inflator: new Inflator(next, damaged), compressed, damaged }
}

/** The length of a gzip header. */
function gzipHeaderBytes(bytes: Uint8Array, damaged: (what: string) => FormatError): number {
  const [, , method = 0, flags = 0] = bytes
  if (method !== 8) throw damaged(`compression method ${method} is not known`)
  if ((flags & 0xe0) !== 0) throw damaged(`header flags ${flags} are not known`)
  let at = 10
  if ((flags & 4) !== 0) at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
  // A name and a comment, each up to a byte of 0.
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue
    at = bytes.indexOf(0, at) + 1
    if (at === 0) throw damaged('the header does not end')
  }
  if ((flags & 2) !== 0) {
    const checksum = (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
    if ((crc32(bytes, 0, at) & 0xffff) !== checksum) throw damaged('the checksum of the header does not match')
    at += 2
  }
  return at
}

/**
 * Checks what follows the data: CRC-32 and size (modulo 2^32) of the content, and nothing else. `kind`: what the file is to be.
 * @throws FormatError
 */
export function checkGzipEnd(inflator: Inflator, content: Uint8Array, name: string, kind: string): void {
  // Numbers of four bytes, the lowest first; NaN where some are missing.
  const number = (): number => {
    let value = 0
    for (let bit = 1; bit < 2 ** 32; bit *= 256) value += bit * (inflator.byte() ?? Number.NaN)
    return value
  }
  const [checksum, size] = [number(), number()]
  const [more, next] = [inflator.byte(), inflator.byte()]
  if (more === 0x1f && next === 0x8b) {
    throw new FormatError(`${name}: is several gzip files in one; ${kind} is one`)
  }
  if (checksum !== crc32(content) || size !== content.length % 2 ** 32 || more !== undefined) {
    throw new FormatError(
      `${name}: the checksum at the end of the gzip data does not match; the file is damaged or cut short: ` +
        'fetch it again',
    )
  }
}
