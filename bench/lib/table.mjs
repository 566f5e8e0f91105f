// @ts-check
// The rows of the benches as a table for people and as JSON for programs.
import Table from 'cli-table3'
import { memoryChange, timesEach } from './growth.mjs'
import { fewerRounds, percentOfPeak } from './row.mjs'
import { geometricMeans, summarizeModels } from './summary.mjs'

/** @typedef {import('./row.mjs').Row} Row */

/**
 * A table for every bench, with what is special about it: speeds, families, geometric means.
 * @param {readonly Row[]} rows
 * @param {import('./machine.mjs').Machine} machine
 */
export function formatTable(rows, machine) {
  const { versions } = machine
  const machineLine = [
    `${machine.cpu}, ${machine.cores} cores (load ${machine.load.toFixed(1)})`,
    machine.platform,
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    machine.date,
  ].join('; ')
  const benches = [...new Set(rows.map((row) => row.bench))]
  return `${benches.map((bench) => formatBench(rows.filter((row) => row.bench === bench))).join('\n')}${machineLine}\n`
}

/** @param {readonly Row[]} rows of one bench */
function formatBench(rows) {
  const peers = [...new Set(rows.flatMap((row) => [...Object.keys(row.peers), ...Object.keys(row.left_out ?? {})]))]
  const has = (/** @type {keyof Row} */ key) => rows.some((row) => row[key] !== undefined)
  const withImages = has('images_per_second')
  const withPeak = has('peak_gflops')
  const manyRows = rows.length > 8
  const names = ['ours', ...peers]
  const withMemory = names.filter((name) => rows.some((row) => row.peak_mb?.[name] !== undefined))
  const withStart = names.filter((name) => rows.some((row) => row.start_ms?.[name] !== undefined))
  const severalThreads = new Set(rows.map((row) => row.threads)).size > 1
  const head = [
    'family',
    'case',
    ...(severalThreads ? ['threads'] : []),
    ...names.flatMap((name) => [`${name} ms`, ...(withImages ? ['images/s'] : [])]),
    ...withMemory.map((name) => `${name} MB`),
    ...(peers.length > 0 ? ['ratio'] : []),
    ...withStart.map((name) => `${name} start ms`),
    ...(withStart.length > 1 ? ['start ratio'] : []),
    ...(has('gflops') ? ['GFLOPS'] : []),
    ...(withPeak ? ['of peak'] : []),
    ...(has('growth') ? ['exponent', 'each', 'memory'] : []),
    'algorithm',
    ...errorPasses(rows),
  ]
  const table = new Table({
    head,
    colAligns: head.map((title) => (['family', 'case', 'algorithm'].includes(title) ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  })
  for (const row of rows) {
    const cells = names.flatMap((name) => {
      const milliseconds = name === 'ours' ? row.ours_ms : row.peers[name]
      const images = row.images_per_second?.[name]
      const time =
        milliseconds === undefined
          ? (row.left_out?.[name] ?? '')
          : `${number(milliseconds)} ± ${number(row.spread_ms[name] ?? 0, milliseconds)}${fewerRounds(row, name)}`
      return [time, ...(withImages ? [images === undefined ? '' : number(images)] : [])]
    })
    table.push([
      row.family,
      row.case,
      ...(severalThreads ? [row.threads] : []),
      ...cells,
      ...withMemory.map((name) => numberOrNothing(row.peak_mb?.[name])),
      ...(peers.length > 0 ? [row.ratio === null ? '' : `${number(row.ratio)} ×`] : []),
      ...withStart.map((name) => numberOrNothing(row.start_ms?.[name])),
      ...(withStart.length > 1 ? [row.start_ratio == null ? '' : `${number(row.start_ratio)} ×`] : []),
      ...(has('gflops') ? [row.gflops === undefined ? '' : number(row.gflops)] : []),
      ...(withPeak ? [percentOfPeak(row)] : []),
      ...(has('growth') ? growthCells(row) : []),
      row.algorithm.replaceAll(' | ', '\n'),
      ...errorPasses(rows).map((pass) => worstError(row, pass)),
    ])
  }
  const rounds = [...new Set(rows.map((row) => row.rounds))].join('/')
  const threads = [...new Set(rows.map((row) => row.threads))].join('/')
  const ratio = peers.length > 0 ? '; ratio: fastest peer / ours' : ''
  const lines = [
    table.toString(),
    `${rows[0]?.bench}: median of ${rounds} rounds ± half the interquartile range; ${threads} thread${threads === '1' ? '' : 's'}${ratio}.`,
    ...(has('growth')
      ? [
          'Times are those of the largest size. Exponent e: time ~ size^e; each: time for one image or pixel, the smallest size first, | where another algorithm begins; memory: after the measured calls against before.',
        ]
      : []),
    ...(has('errors')
      ? [
          'Errors: the largest for any inputs, in units of u · Σ|w · x| with u = 2⁻²⁴, against float64; > 20: above its gate of 20.',
        ]
      : []),
    ...(withStart.length > 0 ? summarizeModels(rows) : []),
    ...(manyRows && withStart.length === 0 ? geometricMeans(rows) : []).map(
      ({ name, rows: count, ratio: mean }) =>
        `Geometric mean, ${name} (${count} row${count === 1 ? '' : 's'}): ${number(mean)} ×`,
    ),
    ...(manyRows ? [] : rows).flatMap((row) =>
      row.checked === undefined ? [] : [`Checked before timing (${row.case}): ${row.checked}.`],
    ),
    ...(manyRows && has('checked') ? ["Checked before timing: every peer's output against ours."] : []),
  ]
  return `${lines.join('\n')}\n`
}

/** @param {Row} row */
const growthCells = ({ growth }) =>
  growth === undefined ? ['', '', ''] : [growth.exponent.toFixed(2), timesEach(growth), memoryChange(growth)]

/** The passes that any row has errors of. @param {readonly Row[]} rows */
const errorPasses = (rows) => [...new Set(rows.flatMap((row) => Object.keys(row.errors ?? {})))]

/**
 * The largest error of a pass whatever the inputs, and the gate where it is above it: `17.3` or `23.1 > 20`.
 * @param {Row} row
 * @param {string} pass
 */
function worstError({ errors, gates }, pass) {
  const ofPass = errors?.[pass]
  if (ofPass === undefined) return ''
  const worst = Math.max(...Object.values(ofPass))
  const gate = gates?.[pass] ?? Infinity
  return `${number(worst)}${worst <= gate ? '' : ` > ${gate}`}`
}

/** @param {number | undefined} value */
const numberOrNothing = (value) => (value === undefined ? '' : number(value))

/**
 * As many decimals as make three digits, of `value` or of the number it goes with.
 * @param {number} value
 * @param {number} beside
 */
function number(value, beside = value) {
  const decimals = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(beside), 1e-6)))))
  return value.toFixed(decimals)
}
