/** Pages: each is one document with everything in it, which never asks the network for anything. */
import { visible } from '../runtime/text.js'
import { plotAssets, reportStyle } from './assets.js'

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
const scriptElement = (source: string): string => `<script>${source.replaceAll('</script', '<\\/script')}</script>`

/** A value as JSON in an element, which no text in it can end. */
const dataElement = (id: string, value: unknown): string =>
  `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>`

/** A table in a box that scrolls by itself. */
export const scrollable = (label: string, table: string): string =>
  `<div class="scroll" role="region" aria-label="${label}" tabindex="0">\n${table}\n</div>`

export interface Page {
  readonly title: string
  /** What it is a page of, such as `training report`. */
  readonly kind: string
  /** What stands on it, as HTML. */
  readonly header: string
  readonly main: string
  /** Version of toeplitz. */
  readonly version: string
  /** Rules of its own behind those of all pages. */
  readonly style?: string
  /** What is plotted, if anything: values in an element with this id, and the script that draws them. */
  readonly plots: { readonly id: string; readonly values: object; readonly script: string } | undefined
}

export function renderPage({ title, kind, header, main, version, style = '', plots }: Page): string {
  const assets = plots ? plotAssets() : { script: '', style: '' }
  const scripts = plots && [
    dataElement(plots.id, plots.values),
    scriptElement(assets.script),
    scriptElement(plots.script),
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(title)} – ${kind}</title>
<link rel="icon" href="data:,">
<style>${assets.style}${reportStyle}${style}</style>
</head>
<body>
<header>
${header}
</header>
<main>
${main}
</main>
<footer>Made by toeplitz ${escapeHtml(version)}.</footer>
${scripts?.join('\n') ?? ''}
</body>
</html>
`
}
