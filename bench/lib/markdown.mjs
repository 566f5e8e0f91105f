// @ts-check
// Results as tables in Markdown.
import { memoryChange, timesEach } from './growth.mjs'
import { fewerRounds, percentOfPeak } from './row.mjs'
import { geometricMeans, summarizeModels } from './summary.mjs'

/** @typedef {import('./results.mjs').Result} Result */

/**
 * What was measured, its geometric means, and the line that says where.
 * @param {readonly Result[]} rows of one bench
 */
export function resultTables(rows) {
  const shown = rows.some((row) => row.selected) ? rows.filter((row) => row.selected) : rows
  const peers = [...new Set(rows.flatMap((row) => [...Object.keys(row.peers), ...Object.keys(row.left_out ?? {})]))]
  const has = (/** @type {keyof Result} */ key) => rows.some((row) => row[key] !== undefined)
  const withImages = has('images_per_second')
  const names = ['ours', ...peers]
  const withMemory = names.filter((name) => rows.some((row) => row.peak_mb?.[name] !== undefined))
  const withStart = names.filter((name) => rows.some((row) => row.start_ms?.[name] !== undefined))
  const severalThreads = new Set(rows.map((row) => row.threads)).size > 1
  const titles = [
    'case',
    ...(severalThreads ? ['threads'] : []),
    ...names.flatMap((name) => [`${name}, ms`, ...(withImages ? ['images/s'] : [])]),
    ...withMemory.map((name) => `${name}, MB`),
    ...(peers.length > 0 ? ['ratio'] : []),
    ...withStart.map((name) => `${name}, start, ms`),
    ...(withStart.length > 1 ? ['start ratio'] : []),
    ...(has('gflops') ? ['GFLOPS'] : []),
    ...(has('peak_gflops') ? ['of peak'] : []),
    ...(has('growth') ? ['exponent', 'each', 'memory'] : []),
  ]
  const lines = shown.map((row) => [
    row.case,
    ...(severalThreads ? [String(row.threads)] : []),
    ...names.flatMap((name) => {
      const time = name === 'ours' ? row.ours_ms : row.peers[name]
      const images = row.images_per_second?.[name]
      const cell = time === undefined ? (row.left_out?.[name] ?? '') : `${digits(time)}${fewerRounds(row, name)}`
      return [cell, ...(withImages ? [images === undefined ? '' : digits(images)] : [])]
    }),
    ...withMemory.map((name) => digits(row.peak_mb?.[name])),
    ...(peers.length > 0 ? [row.ratio === null ? '' : `${digits(row.ratio)} ×`] : []),
    ...withStart.map((name) => digits(row.start_ms?.[name])),
    ...(withStart.length > 1 ? [row.start_ratio == null ? '' : `${digits(row.start_ratio)} ×`] : []),
    ...(has('gflops') ? [digits(row.gflops)] : []),
    ...(has('peak_gflops') ? [percentOfPeak(row)] : []),
    ...(row.growth ? [row.growth.exponent.toFixed(2), timesEach(row.growth), memoryChange(row.growth)] : []),
  ])
  const means = rows.length > shown.length ? geometricMeans(rows) : []
  const meanLines = means.map(({ name, rows: count, ratio }) => [name, String(count), `${digits(ratio)} ×`])
  return [
    markdownTable(titles, lines),
    ...(meanLines.length > 0 ? [markdownTable(['geometric mean', 'rows', 'ratio'], meanLines)] : []),
    ...(withStart.length > 0 ? summarizeModels(rows) : []),
    `${where(rows, peers)}.`,
  ].join('\n\n')
}

/**
 * One thread beside several: how many times as fast.
 * @param {readonly Result[]} rows
 */
export function threadTable(rows) {
  if (rows.length === 0) return ''
  const titles = ['case', 'one thread, ms', `${rows[0]?.threads} threads, ms`, 'as fast']
  const lines = rows.map((row) => [
    row.case,
    digits(row.peers['one thread']),
    digits(row.ours_ms),
    `${row.ratio?.toFixed(2)} ×`,
  ])
  return `${markdownTable(titles, lines)}\n\n${where(rows, [])}.`
}

/**
 * @param {readonly Result[]} rows
 * @param {readonly string[]} peers
 */
function where(rows, peers) {
  const [row] = rows
  if (row === undefined) return ''
  const { machine } = row
  const threads = [...new Set(rows.map((row) => row.threads))].join(' and ')
  return [
    `${machine.cpu}, ${threads} thread${threads === '1' ? '' : 's'}`,
    `Node ${machine.versions['node']}`,
    // What was timed and has no version is another way of this library.
    ...peers
      .filter((name) => machine.versions[name] !== undefined || rows.every((row) => row.peers[name] === undefined))
      .map((name) => `${name} ${machine.versions[name] ?? 'not installed'}`),
    machine.date.slice(0, 10),
  ].join(', ')
}

/**
 * Three digits, never with an exponent.
 * @param {number | undefined} value
 */
export function digits(value) {
  return value === undefined ? '' : value >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

/**
 * @param {readonly string[]} titles the first column is text, the others are numbers
 * @param {readonly (readonly string[])[]} lines
 */
function markdownTable(titles, lines) {
  const align = titles.map((_, column) => (column === 0 ? '---' : '--:'))
  return [titles, align, ...lines]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
}
