// @ts-check
// The rows of the benches as a table for people and as JSON for programs.
import Table from 'cli-table3'

/** @typedef {import('./row.mjs').Row} Row */

/**
 * @param {readonly Row[]} rows
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
 * @param {readonly Row[]} rows
 * @param {import('./machine.mjs').Machine} machine
 */
export function formatTable(rows, machine) {
  const peers = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))]
  const withImages = rows.some((row) => row.images_per_second !== undefined)
  const names = ['ours', ...peers]
  const table = new Table({
    head: ['bench', 'case', ...names.flatMap((name) => [`${name} ms`, ...(withImages ? ['images/s'] : [])]), 'ratio'],
    colAligns: ['left', 'left', ...names.flatMap(() => rightAligned(withImages ? 2 : 1)), 'right'],
    style: { head: [], border: [], compact: true },
  })
  for (const row of rows) {
    const cells = names.flatMap((name) => {
      const milliseconds = name === 'ours' ? row.ours_ms : row.peers[name]
      const images = row.images_per_second?.[name]
      const time =
        milliseconds === undefined ? '' : `${number(milliseconds)} ± ${number(row.spread_ms[name] ?? 0, milliseconds)}`
      return [time, ...(withImages ? [images === undefined ? '' : number(images)] : [])]
    })
    table.push([row.bench, row.case, ...cells, row.ratio === null ? '' : `${number(row.ratio)} ×`])
  }
  const checked = rows.flatMap((row) =>
    row.checked === undefined ? [] : [`Checked before timing (${row.case}): ${row.checked}.`],
  )
  const { versions } = machine
  const machineLine = [
    `${machine.cpu}, ${machine.cores} cores (load ${machine.load.toFixed(1)})`,
    machine.platform,
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    machine.date,
  ].join('; ')
  const rounds = [...new Set(rows.map((row) => row.rounds))].join('/')
  const threads = [...new Set(rows.map((row) => row.threads))].join('/')
  return `${table.toString()}
Median of ${rounds} rounds ± half the interquartile range; ${threads} thread${threads === '1' ? '' : 's'}; ratio: fastest peer / ours.
${[...checked, machineLine].join('\n')}
`
}

/**
 * As many decimals as make three digits, of `value` or of the number it goes with.
 * @param {number} value
 * @param {number} beside
 */
function number(value, beside = value) {
  const decimals = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(beside), 1e-6)))))
  return value.toFixed(decimals)
}

/**
 * @param {number} count
 * @returns {'right'[]}
 */
function rightAligned(count) {
  return Array.from({ length: count }, () => 'right')
}
