// @ts-check
// Committed results, and the tables of the README that are generated from them.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { geometricMeans } from './summary.mjs'
import { formatJson, percentOfPeak } from './table.mjs'

const readme = new URL('../../README.md', import.meta.url)
const folder = new URL('../results/', import.meta.url)

/**
 * Tables in Markdown: what was measured, its geometric means, and the line that says where.
 * @param {readonly (import('./row.mjs').Row & { machine: import('./machine.mjs').Machine })[]} rows
 */
function markdown(rows) {
  const shown = rows.some((row) => row.selected) ? rows.filter((row) => row.selected) : rows
  const peers = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))]
  const has = (/** @type {keyof import('./row.mjs').Row} */ key) => rows.some((row) => row[key] !== undefined)
  const withImages = has('images_per_second')
  const names = ['ours', ...peers]
  const titles = [
    'case',
    ...names.flatMap((name) => [`${name}, ms`, ...(withImages ? ['images/s'] : [])]),
    ...(has('peak_mb') ? names.map((name) => `${name}, MB`) : []),
    ...(peers.length > 0 ? ['ratio'] : []),
    ...(has('gflops') ? ['GFLOPS'] : []),
    ...(has('peak_gflops') ? ['of peak'] : []),
  ]
  const lines = shown.map((row) => [
    row.case,
    ...names.flatMap((name) => {
      const time = name === 'ours' ? row.ours_ms : row.peers[name]
      return [digits(time), ...(withImages ? [String(Math.round(row.images_per_second?.[name] ?? 0))] : [])]
    }),
    ...(has('peak_mb') ? names.map((name) => digits(row.peak_mb?.[name])) : []),
    ...(peers.length > 0 ? [row.ratio === null ? '' : `${digits(row.ratio)} ×`] : []),
    ...(has('gflops') ? [digits(row.gflops)] : []),
    ...(has('peak_gflops') ? [percentOfPeak(row)] : []),
  ])
  const machine = rows[0]?.machine
  const where = machine
    ? [
        `${machine.cpu}, ${rows[0]?.threads} thread${rows[0]?.threads === 1 ? '' : 's'}`,
        `Node ${machine.versions['node']}`,
        ...peers.map((name) => `${name} ${machine.versions[name]}`),
        machine.date.slice(0, 10),
      ].join(', ')
    : ''
  const means = geometricMeans(rows).map(({ name, rows: count, ratio }) => [name, String(count), `${digits(ratio)} ×`])
  return [
    markdownTable(titles, lines),
    ...(means.length > 0 ? [markdownTable(['geometric mean', 'rows', 'ratio'], means)] : []),
    `${where}.`,
  ].join('\n\n')
}

/**
 * Three digits, never with an exponent.
 * @param {number | undefined} value
 */
function digits(value) {
  return value === undefined ? '' : value >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

/**
 * @param {readonly string[]} titles the first column is text, the others are numbers
 * @param {readonly (readonly string[])[]} lines
 */
function markdownTable(titles, lines) {
  const align = titles.map((_, column) => (column === 0 ? '---' : '--:'))
  return [titles, align, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/**
 * Writes bench/results/<bench>.json, or <bench>-<n>-threads.json, and the README's table from it.
 * @param {readonly import('./row.mjs').Row[]} rows of one bench
 * @param {import('./machine.mjs').Machine} machine
 */
export function saveResults(rows, machine) {
  const [row] = rows
  if (row === undefined) return
  const name = row.threads === 1 ? row.bench : `${row.bench}-${row.threads}-threads`
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL(`${name}.json`, folder), formatJson(rows, machine))
  updateReadme(name)
}

/**
 * Writes the README's table of one bench from its committed results.
 * @param {string} name
 */
export function updateReadme(name) {
  const json = readFileSync(new URL(`${name}.json`, folder), 'utf8')
  const begin = `<!-- bench:${name} -->`
  const end = `<!-- /bench:${name} -->`
  const text = readFileSync(readme, 'utf8')
  const [head, rest] = text.split(begin)
  const tail = rest?.split(end)[1]
  if (head === undefined || tail === undefined) return
  writeFileSync(readme, `${head}${begin}\n\n${markdown(JSON.parse(json))}\n\n${end}${tail}`)
}
