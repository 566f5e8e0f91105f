/** Commands that are printed to be run again: words as a POSIX shell reads them back, on one line of visible characters. */
import { Buffer } from 'node:buffer'
import { systemPath } from '../node/names.js'
import { visible } from '../runtime/text.js'

/** A word of these means itself, except at the beginning, where a dash is an option's and a tilde a home. */
const plain = /^[\w@%+=:,./-]+$/

/** A byte in printf's format: octal where the shell would read it otherwise, or a terminal not show it. */
function formatOf(byte: number): string {
  const character = String.fromCharCode(byte)
  if (character === '%') return '%%'
  const literal = byte >= 0x20 && byte <= 0x7e && !'\\\'"$`!'.includes(character)
  return literal ? character : `\\${byte.toString(8).padStart(3, '0')}`
}

/**
 * A word quoted for a POSIX shell. Where it holds what a terminal does not show, printf writes it: a line break between
 * quotation marks would begin a line of the output. A path that ends in line breaks, which the shell would cut off there,
 * gets the slash that a folder's may have.
 */
export function quoted(word: string): string {
  if (plain.test(word)) return word
  if (visible(word) === word) return `'${word.replaceAll("'", "'\\''")}'`
  const path = systemPath(word.endsWith('\n') ? `${word}/` : word)
  const bytes = typeof path === 'string' ? Buffer.from(path) : path
  return `"$(printf -- '${Array.from(bytes, formatOf).join('')}')"`
}

/** An option and its value. A value that begins with a dash is joined to it, or it would be taken for an option. */
export const optionWords = (flag: string, value: string | number): string =>
  String(value).startsWith('-') ? `${flag}=${quoted(String(value))}` : `${flag} ${quoted(String(value))}`
