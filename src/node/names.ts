/**
 * Names of files as text. A POSIX system takes any bytes but 0 and / for a name, and old archives bring names in Latin-1.
 * In a name that is not UTF-8, each byte from 0x80 stands as the lone surrogate U+DC00 plus the byte, which no valid name
 * holds: so every name can be compared, shown and turned back into its bytes. Python does likewise (PEP 383).
 */
import { Buffer, isUtf8 } from 'node:buffer'

/** Where the surrogates of bytes begin: those from 0x80 are U+DC80 to U+DCFF. */
const BYTES = 0xdc00

const lone = /[\udc80-\udcff]/u

/** The name that the bytes spell. */
export function nameOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  return bytes.toString('latin1').replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(BYTES + byte.charCodeAt(0)))
}

/** Whether a name is not UTF-8. */
export const isForeign = (name: string): boolean => lone.test(name)

/** The path as the system knows it: bytes, where a name in it is not UTF-8. */
export function systemPath(path: string): string | Buffer {
  if (!isForeign(path) || process.platform === 'win32') return path
  return Buffer.concat(
    Array.from(path, (character) => {
      const code = character.codePointAt(0) as number
      return code > BYTES && code <= BYTES + 0xff ? Buffer.of(code - BYTES) : Buffer.from(character)
    }),
  )
}
