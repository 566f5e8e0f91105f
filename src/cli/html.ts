/** Texts, scripts and data as parts of a page. */
import { visible } from '../runtime/text.js'

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * A text as it stands between tags or in a quoted attribute. What could not be seen is written as an escape: a page forbids
 * control characters, and a name must not turn the direction of the words around it.
 */
export const escapeHtml = (text: string): string =>
  visible(text).replace(/[&<>"']/g, (character) => entities[character] as string)

/** A script of ours as an element. */
export const scriptElement = (source: string): string =>
  `<script>${source.replaceAll('</script', '<\\/script')}</script>`

/** A value as JSON in an element, which no text in it can end. */
export const dataElement = (id: string, value: unknown): string =>
  `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>`
