// @ts-check
// Committed results: bench/results/<bench>.json, or <bench>-<n>-threads.json.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'

const folder = new URL('../results/', import.meta.url)

/** @typedef {import('./row.mjs').Row & { machine: import('./machine.mjs').Machine }} Result */

/**
 * @param {readonly import('./row.mjs').Row[]} rows
 * @param {import('./machine.mjs').Machine} machine
 */
export function formatJson(rows, machine) {
  const rounded = (/** @type {string} */ _key, /** @type {unknown} */ value) =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value
  return `${JSON.stringify(
    rows.map((row) => ({ ...row, machine })),
    rounded,
    2,
  )}\n`
}

/**
 * @param {readonly import('./row.mjs').Row[]} rows of one bench
 * @param {import('./machine.mjs').Machine} machine
 */
export function saveResults(rows, machine) {
  const [row] = rows
  if (row === undefined) return
  mkdirSync(folder, { recursive: true })
  const name = row.threads === 1 ? row.bench : `${row.bench}-${row.threads}-threads`
  writeFileSync(new URL(`${name}.json`, folder), formatJson(rows, machine))
}

/**
 * The committed results of a bench; none where it has not been measured.
 * @param {string} name
 * @returns {Result[]}
 */
export function readResults(name) {
  const file = new URL(`${name}.json`, folder)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
}
