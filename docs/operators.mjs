/**
 * Writes the table of operators into docs/onnx.md, by what the built library says that it knows. `--check` compares the page
 * instead. Exit codes: 0 good; 1 the page differs; 2 wrong usage.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, URL } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { onnxOperators } from '../dist/onnx.js'

const page = fileURLToPath(new URL('onnx.md', import.meta.url))
const [flag, ...more] = process.argv.slice(2)
if ((flag !== undefined && flag !== '--check') || more.length > 0) {
  console.error('usage: node docs/operators.mjs [--check]')
  process.exit(2)
}

const rows = Object.entries(onnxOperators).map(([name, since]) => `| \`${name}\` | ${since.join(', ')} |`)
const table = ['| operator | opsets from which on its meaning is its own |', '| --- | --- |', ...rows].join('\n')
const [begin, end] = ['<!-- operators -->', '<!-- /operators -->']
const text = await readFile(page, 'utf8')
const at = text.indexOf(begin) + begin.length
const written = await format(`${text.slice(0, at)}\n\n${table}\n\n${text.slice(text.indexOf(end))}`, {
  ...(await resolveConfig(page)),
  parser: 'markdown',
})
if (flag === '--check') {
  if (written !== text) {
    console.error('docs/onnx.md differs from what the library knows; run node docs/operators.mjs')
    process.exit(1)
  }
} else await writeFile(page, written)
