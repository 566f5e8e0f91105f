// @ts-check
// Fits the costs by which the library chooses its algorithms for convolutions, src/plan/costs.ts, to measurements.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format as prettier, resolveConfig } from 'prettier'
import { cases } from './fit/cases.mjs'
import { loadPlan } from './fit/plan.mjs'
import { solve } from './fit/solve.mjs'
import { describeMachine } from './lib/machine.mjs'

const usage = `Usage: node bench/fit.mjs measure [--seconds <n>] [--again]    (after npm run build)
       node bench/fit.mjs fit
       node bench/fit.mjs check

measure   times every algorithm in every pass of the cases of bench/fit/cases.mjs, on one thread, and keeps the times in
          bench/results/algorithms.json; stops after --seconds and goes on from there when called again, in the end with
          those for which the machine was slower than for others; --again begins anew
fit       writes src/plan/costs.ts from these times
check     prints, for every case and pass, what is chosen and how much slower it was measured than the fastest, and fails
          where that is more than a tenth
`

/** @typedef {import('./fit/plan.mjs').Pass} Pass */
/** @typedef {{ machine: import('./lib/machine.mjs').Machine, measured: Record<string, Measured> }} Measurements */
/** `reference`: ms of the same small product beside each. @typedef {Record<Pass, import('./fit/measure.mjs').Times> & { reference: number }} Measured */

const results = new URL('results/algorithms.json', import.meta.url)
const costs = new URL('../src/plan/costs.ts', import.meta.url)
const passes = /** @type {const} */ (['fwd', 'dx', 'dw'])

/** @returns {Measurements} */
const readMeasurements = () => JSON.parse(readFileSync(results, 'utf8'))

/** @param {{ seconds?: string, again?: boolean }} options */
async function measure({ seconds, again }) {
  const { init } = await import('../dist/index.js')
  const { measurePass, timedAlgorithms } = await import('./fit/measure.mjs')
  await init()
  const plan = await loadPlan()
  const begin = performance.now()
  const measured = existsSync(results) && !again ? readMeasurements().measured : {}
  const quickest = () => Math.min(...Object.values(measured).map(({ reference }) => reference))
  const missing = cases.filter(({ name, problem }) =>
    passes.some((pass) =>
      timedAlgorithms(problem, pass, plan).some((algorithm) => measured[name]?.[pass][algorithm] === undefined),
    ),
  )
  const slow = cases.filter(
    (item) => !missing.includes(item) && (measured[item.name]?.reference ?? 0) > 1.08 * quickest(),
  )
  for (const { name, problem } of [...missing, ...slow]) {
    if (performance.now() - begin > 1000 * Number(seconds ?? Infinity)) break
    const times = /** @type {Measured} */ ({ reference: 0 })
    for (const pass of passes) {
      const found = await measurePass(problem, pass, plan)
      times[pass] = found.times
      times.reference = Math.max(times.reference, found.reference)
    }
    const before = missing.some((item) => item.name === name) ? undefined : measured[name]
    if (times.reference < (before?.reference ?? Infinity)) measured[name] = times
    process.stderr.write(`${name}, reference ${times.reference} ms\n`)
  }
  // In the order of the cases, without those that are gone.
  const kept = Object.fromEntries(cases.flatMap(({ name }) => (measured[name] ? [[name, measured[name]]] : [])))
  writeFileSync(results, format({ machine: describeMachine([]), measured: kept }))
  const even = Object.values(kept).filter(({ reference }) => reference <= 1.08 * quickest()).length
  process.stderr.write(`${Object.keys(kept).length} of ${cases.length} cases, ${even} of them at full speed\n`)
}

/** One line for each case and pass. @param {Measurements} measurements */
function format({ machine, measured }) {
  const lines = Object.entries(measured).map(([name, times]) => {
    const each = passes.map((pass) => `      "${pass}": ${JSON.stringify(times[pass])}`)
    return `    ${JSON.stringify(name)}: {\n      "reference": ${times.reference},\n${each.join(',\n')}\n    }`
  })
  return `{\n  "machine": ${JSON.stringify(machine)},\n  "measured": {\n${lines.join(',\n')}\n  }\n}\n`
}

async function fit() {
  const plan = await loadPlan()
  const { machine, measured } = readMeasurements()
  /** @type {string[]} */
  const text = []
  for (const [algorithm, { counts }] of Object.entries(plan.algorithms)) {
    text.push(`  ${algorithm}: {`)
    for (const pass of passes) {
      /** @type {{ milliseconds: number, counts: Record<string, number> }[]} */
      const samples = []
      for (const { name, problem } of cases) {
        const times = measured[name]?.[pass][algorithm]
        if (times === undefined) continue
        const all = counts[pass](problem)
        const rest = Object.fromEntries(Object.entries(all).filter(([what]) => !what.startsWith('packed')))
        samples.push({ milliseconds: times.kept, counts: rest })
        if (times.fresh !== undefined && (all.packed ?? 0) > 0) {
          samples.push({ milliseconds: times.fresh, counts: all })
        }
      }
      const what = [...new Set(samples.flatMap((sample) => Object.keys(sample.counts)))]
      const rows = samples.map((sample) =>
        [...what.map((key) => sample.counts[key] ?? 0), 1].map((count) => count / (1e6 * sample.milliseconds)),
      )
      const found = solve(rows)
      const errors = rows.map((row) => Math.abs(row.reduce((sum, value, at) => sum + value * (found[at] ?? 0), 0) - 1))
      errors.sort((a, b) => a - b)
      const typical = errors[Math.floor(errors.length / 2)] ?? 0
      process.stderr.write(`${algorithm} ${pass}: ${rows.length} times, half of them within ${percent(typical)}\n`)
      const fields = [...what, 'call'].flatMap((key, at) => (weighs(found[at]) ? [`${key}: ${digits(found[at])}`] : []))
      text.push(`    ${pass}: { ${fields.join(', ')} },`)
    }
    text.push('  },')
  }
  const { cpu, versions, date } = machine
  const source = `/**
 * Nanoseconds of one of each of what counts.ts counts, and of a call. Written by \`node bench/fit.mjs fit\` from
 * bench/results/algorithms.json: ${cpu}, one thread, Node ${versions['node']}, ${date.slice(0, 10)}.
 */
export const costs = {
${text.join('\n')}
}
`
  const file = fileURLToPath(costs)
  writeFileSync(file, await prettier(source, { ...(await resolveConfig(file)), filepath: file }))
}

async function check() {
  const plan = await loadPlan()
  const { measured } = readMeasurements()
  const lines = [['case', 'pass', 'chosen', 'ms', 'estimated', 'fastest', 'ms', 'slower by']]
  let worst = 0
  let missed = 0
  for (const { name, problem } of cases) {
    for (const pass of passes) {
      const times = measured[name]?.[pass]
      if (times === undefined) continue
      const packs = pass === 'dx' || (pass === 'fwd' && problem.N > 1)
      const allowed = plan
        .automaticFor(problem, pass)
        .map((algorithm) => {
          const { kept, fresh = kept } = times[algorithm] ?? { kept: Infinity }
          return { algorithm, ms: packs ? fresh : kept }
        })
        .sort((a, b) => a.ms - b.ms)
      const [best] = allowed
      const chosen = allowed.find(({ algorithm }) => algorithm === plan.planConv(problem, pass))
      if (best === undefined || chosen === undefined) throw new Error(`${name} ${pass}: the choice was not measured`)
      const slower = chosen.ms / best.ms - 1
      worst = Math.max(worst, slower)
      if (slower > 0.1) missed++
      const estimated = plan.costOf(problem, pass, chosen.algorithm) / 1e6
      lines.push([
        name,
        pass,
        chosen.algorithm,
        ...[chosen.ms, estimated].map(digits),
        best.algorithm,
        digits(best.ms),
        slower > 0 ? `${percent(slower)}${slower > 0.1 ? ' !' : ''}` : '',
      ])
    }
  }
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  for (const line of lines)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  console.log(
    `\n${lines.length - 1} choices, ${missed} more than a tenth slower than the fastest, at most ${percent(worst)}`,
  )
  if (missed > 0) process.exitCode = 1
}

/**
 * Whether a cost is one: what is less than a femtosecond is what rounding left of a zero.
 * @param {number | undefined} value
 * @returns {value is number}
 */
const weighs = (value) => value !== undefined && value >= 1e-6

/** @param {number | undefined} value */
const digits = (value = 0) => String(Number(value.toPrecision(3)))

/** @param {number} part */
const percent = (part) => `${(100 * part).toFixed(1)} %`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, again: { type: 'boolean' } },
})
const command = /** @type {Record<string, () => Promise<void>>} */ ({ measure: () => measure(values), fit, check })[
  positionals[0] ?? ''
]
if (command === undefined || positionals.length !== 1) {
  process.stderr.write(usage)
  process.exitCode = 2
} else await command()
