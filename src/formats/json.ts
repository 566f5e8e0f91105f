/** JSON from files: bounded in depth and number of values, and with a checksum in what this package writes. */
import { ArgumentError, FormatError } from '../runtime/errors.js'
import { inWords, named } from '../runtime/text.js'
import { checksumMark, isChecksumLike, isIntact, seal, unsealedChecksum } from './checksum.js'

/** Objects and lists within one another. A model's architecture has about 8. */
const MAX_DEPTH = 64
/**
 * Values and keys. Parsed, one takes at most about 100 bytes, whatever its text. A model of 100,000 convolutions has about
 * 1.5 million of them.
 */
const MAX_VALUES = 2 ** 22

/** Why a text is not parsed, which would take a stack or a memory that its length does not tell; undefined: it may be. */
function excessOf(text: string): string | undefined {
  let depth = 0
  let values = 1
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) {
      // A string ends at the next quotation mark that no backslash stands before.
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++
    } else if (code === 0x7b || code === 0x5b) {
      values++
      if (++depth > MAX_DEPTH) return `nested more than ${MAX_DEPTH} levels deep`
    } else if (code === 0x7d || code === 0x5d) depth--
    else if (code === 0x2c || code === 0x3a) values++
    if (values > MAX_VALUES) return `more than ${MAX_VALUES} keys and values`
  }
  return undefined
}

/**
 * Parses JSON of a file.
 *
 * @param name what to call the text in errors
 * @throws FormatError when it is not JSON, or has more levels or values than any file of ours
 */
export function parseJson(text: string, name: string): unknown {
  if (typeof text !== 'string') throw new ArgumentError(`${named(name)}: JSON must be a text, given ${inWords(text)}`)
  const excess = excessOf(text)
  if (excess !== undefined) throw new FormatError(`${name}: the JSON is ${excess}, which no file of this kind needs`)
  try {
    return JSON.parse(text)
  } catch (error) {
    const reason = (error as Error).message.replace(/[\s\p{Cc}]+/gu, ' ')
    throw new FormatError(`${name}: not JSON (${reason})`, { cause: error })
  }
}

/** The JSON of a value. @throws ShapeError when it holds what JSON cannot say: itself, or a BigInt */
export function jsonOf(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, null, indent)
  } catch (error) {
    throw new ArgumentError(
      `the description cannot be written as JSON (${(error as Error).message.replace(/\s+/g, ' ')})`,
    )
  }
}

const KEY = 'checksum'
/** How a text with a checksum begins, up to its digits. */
const head = (): string => `{\n  "${KEY}": "${checksumMark}`

/** The JSON of an object, indented for reading, whose first member is a checksum over all of the text. */
export function encodeSealedJson(value: object): string {
  const bytes = new TextEncoder().encode(`${jsonOf({ [KEY]: unsealedChecksum, ...value }, 2)}\n`)
  seal(bytes, head().length)
  return new TextDecoder().decode(bytes)
}

/**
 * Parses JSON that `encodeSealedJson` wrote, checks its checksum and leaves it out; and other JSON as it is.
 * @throws FormatError when it is damaged or was changed
 */
export function decodeSealedJson(text: string, name: string): unknown {
  const value = parseJson(text, name)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const members = Object.entries(value)
  const marked = members.some(([key, member]) => key === KEY || (typeof member === 'string' && isChecksumLike(member)))
  if (!marked) return value
  if (!text.startsWith(head()) || !isIntact(new TextEncoder().encode(text), head().length)) {
    throw new FormatError(
      `${name}: its checksum does not match: the file is damaged, or was changed by hand; ` +
        `take the line "${KEY}" out to have it read as it is`,
    )
  }
  return Object.fromEntries(members.filter(([key]) => key !== KEY))
}
