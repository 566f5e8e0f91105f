/**
 * Text from files and names as it may be shown. A name can hold characters that move a terminal's cursor, change its
 * colours or its title, begin a line of their own, or turn the direction of what follows.
 */

/**
 * What is never shown as it is: control characters (C0, DEL and C1), the marks, embeddings, overrides and isolates of
 * bidirectional text, the separators of lines and paragraphs, invisible operators and tags, and halves of surrogate
 * pairs. Joiners (U+200C, U+200D) are left, because scripts and emoji are written with them.
 */
const hidden =
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu

const short: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' }

const digits = (code: number, count: number): string => code.toString(16).padStart(count, '0')

function escapeOf(character: string): string {
  const code = character.codePointAt(0) as number
  if (code < 0x80) return short[character] ?? `\\x${digits(code, 2)}`
  // A byte of a file's name that is no UTF-8: src/node/names.ts.
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${digits(code - 0xdc00, 2)}`
  return code > 0xffff ? `\\u{${digits(code, 5)}}` : `\\u${digits(code, 4)}`
}

/**
 * The text with an escape for each character that could not be seen or would do something: one line, whatever it holds.
 *
 * @example visible('cat\n\u001b[2J.png') === 'cat\\n\\x1b[2J.png'
 */
export const visible = (text: string): string => text.replace(hidden, escapeOf)

/**
 * JSON of one value, indented, with every such character written as JSON's own escape: the value is the same, and the
 * line breaks are those of the indentation.
 */
export const visibleJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(hidden, (character) =>
    character === '\n'
      ? character
      : [...Array(character.length).keys()].map((at) => `\\u${digits(character.charCodeAt(at), 4)}`).join(''),
  )

/** A name as it is, and what is given in place of one in words. */
export const named = (name: unknown): string => (typeof name === 'string' ? name : inWords(name))

/** A value of any kind as it may stand in a message, where `String` would fail or say nothing: what it is, if it is large. */
export function inWords(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  if (!Array.isArray(value)) {
    const kind = Object.prototype.toString.call(value).slice(8, -1)
    if (kind === 'Promise') return 'a Promise, which must be awaited first'
    return kind === 'Object' ? 'an object' : `${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind}`
  }
  const shown = value.slice(0, 8).map((item: unknown) => (Array.isArray(item) ? 'a list' : inWords(item)))
  return `[${shown.join(', ')}${value.length > 8 ? ', …' : ''}]`
}

/** `(2, 3, 4)`: how the sizes of what has several are written in every message. */
export const showShape = (shape: readonly unknown[]): string =>
  Array.isArray(shape) ? `(${shape.map(inWords).join(', ')})` : inWords(shape)
