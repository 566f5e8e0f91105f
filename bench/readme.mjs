// @ts-check
// Writes what is generated from bench/results/: the tables of the READMEs, here and in the root, between <!-- bench:NAME --> and
// <!-- /bench:NAME -->, and the chart.
//
//   node bench/readme.mjs [--check]     --check: only says whether they are what this writes
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { speedChart } from './lib/chart.mjs'
import { resultTables, threadTable } from './lib/markdown.mjs'
import { readResults } from './lib/results.mjs'

const readmes = ['../README.md', 'README.md'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
const chart = fileURLToPath(new URL('../docs/images/speed.svg', import.meta.url))

/** @param {string} name */
function block(name) {
  if (name === 'scaling') return threadTable(readResults('scaling-2-threads'))
  const rows = readResults(name)
  return rows.length > 0 ? resultTables(rows) : ''
}

/** The files as they should be: [path, text] of each. @returns {Promise<[string, string][]>} */
async function generated() {
  const pages = readmes.map(async (path) => {
    const text = readFileSync(path, 'utf8').replaceAll(
      /<!-- bench:([a-z-]+) -->[^]*?<!-- \/bench:\1 -->/g,
      (_, name) => `<!-- bench:${name} -->\n\n${block(name)}\n\n<!-- /bench:${name} -->`,
    )
    return /** @type {[string, string]} */ ([
      path,
      await format(text, { ...(await resolveConfig(path)), filepath: path }),
    ])
  })
  return [...(await Promise.all(pages)), [chart, speedChart(readResults('layers'), readResults('forward'))]]
}

/** Writes the files; the paths of those that were otherwise. */
export async function writeReadme({ check = false } = {}) {
  const changed = []
  for (const [path, text] of await generated()) {
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
    changed.push(path)
    if (!check) writeFileSync(path, text)
  }
  return changed
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [option, ...rest] = process.argv.slice(2)
  if (rest.length > 0 || (option !== undefined && option !== '--check')) {
    console.error('usage: node bench/readme.mjs [--check]')
    process.exit(2)
  }
  const changed = await writeReadme({ check: option === '--check' })
  if (option === '--check' && changed.length > 0) {
    console.error(`not what bench/readme.mjs writes now: ${changed.join(', ')}; run node bench/readme.mjs`)
    process.exitCode = 1
  }
}
