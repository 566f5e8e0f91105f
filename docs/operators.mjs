/**
 * Writes the tables of operators into docs/onnx.md and docs/tfjs.md, by what the built library says that it knows. `--check` compares
 * the pages instead. Exit codes: 0 good; 1 a page differs; 2 wrong usage.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, URL } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { onnxOperators } from '../dist/onnx.js'
import { tfjsLayers, tfjsOperators } from '../dist/tfjs.js'

const [flag, ...more] = process.argv.slice(2)
if ((flag !== undefined && flag !== '--check') || more.length > 0) {
  console.error('usage: node docs/operators.mjs [--check]')
  process.exit(2)
}

/** Names in code, by their first letter. */
function byLetter(names) {
  const letterOf = (name) => name.replace(/^_/, '')[0].toUpperCase()
  const letters = [...new Set(names.map(letterOf))].sort()
  const rows = letters.map((letter) => {
    const own = names.filter((name) => letterOf(name) === letter).map((name) => `\`${name}\``)
    return `| ${letter} | ${own.join(' ')} |`
  })
  return ['|   | names |', '| --- | --- |', ...rows].join('\n')
}

const opsets = Object.entries(onnxOperators).map(([name, since]) => `| \`${name}\` | ${since.join(', ')} |`)
/** The tables of each page, by the names of the comments around them. */
const pages = {
  'onnx.md': {
    operators: ['| operator | opsets from which on its meaning is its own |', '| --- | --- |', ...opsets].join('\n'),
  },
  'tfjs.md': { layers: byLetter(tfjsLayers), operators: byLetter(tfjsOperators) },
}

for (const [name, tables] of Object.entries(pages)) {
  const page = fileURLToPath(new URL(name, import.meta.url))
  const text = await readFile(page, 'utf8')
  let changed = text
  for (const [what, table] of Object.entries(tables)) {
    const [begin, end] = [`<!-- ${what} -->`, `<!-- /${what} -->`]
    const at = changed.indexOf(begin) + begin.length
    changed = `${changed.slice(0, at)}\n\n${table}\n\n${changed.slice(changed.indexOf(end))}`
  }
  const written = await format(changed, { ...(await resolveConfig(page)), parser: 'markdown' })
  if (flag !== '--check') await writeFile(page, written)
  else if (written !== text) {
    console.error(`docs/${name} differs from what the library knows; run node docs/operators.mjs`)
    process.exitCode = 1
  }
}
