// @ts-check
// Fits the costs of convolutions of bytes, src/quant/costs.ts, to bench/results/integers.json, and prints for each layer what is measured and
// estimated: `node bench/fit/integers.mjs`, after `npm run bench -- integers --save`.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { format as prettier, resolveConfig } from 'prettier'
import { cases } from '../integers.mjs'
import { describeShape } from '../layers/table.mjs'
import { readResults } from '../lib/results.mjs'
import { solve } from './solve.mjs'

/** @typedef {{ countsOf: (problem: object) => { kind: string, counts: Record<string, number> } }} Counts */

const root = fileURLToPath(new URL('../..', import.meta.url))
const { outputFiles } = await build({
  stdin: { contents: `export { countsOf } from './src/quant/counts.ts'`, resolveDir: root },
  ...{ bundle: true, platform: 'node', format: 'esm', write: false, logLevel: 'error' },
})
const source = Buffer.from(outputFiles[0]?.text ?? '').toString('base64')
const { countsOf } = /** @type {Counts} */ (await import(`data:text/javascript;base64,${source}`))

const results = readResults('integers')
const rows = cases.map((layer) => {
  const { C, H, W, K, R, S, stride, padding, groups } = layer
  const name = describeShape(layer)
  const measured = results.find((row) => row.case === name)
  if (measured === undefined) throw new Error(`${name} is not measured: npm run bench -- integers --save`)
  const extent = (/** @type {number} */ n, /** @type {number} */ r) => Math.floor((n + 2 * padding - r) / stride) + 1
  const problem = {
    ...{ N: 1, C, K, groups, flip: false, kernel: [R, S], stride: [stride, stride], dilation: [1, 1] },
    ...{ lo: [padding, padding], hi: [padding, padding], input: [H, W], output: [extent(H, R), extent(W, S)] },
  }
  return { name, nanoseconds: measured.ours_ms * 1e6, ...countsOf(problem) }
})

/** @type {Record<string, Record<string, number>>} */
const costs = {}
for (const kind of new Set(rows.map((row) => row.kind))) {
  const of = rows.filter((row) => row.kind === kind)
  const names = Object.keys(of[0]?.counts ?? {})
  const fitted = solve(of.map(({ counts, nanoseconds }) => names.map((name) => (counts[name] ?? 0) / nanoseconds)))
  const known = names.flatMap((name, i) => (fitted[i] ? [[name, Number(fitted[i].toPrecision(3))]] : []))
  costs[kind] = Object.fromEntries(known)
}
for (const { name, kind, counts, nanoseconds } of rows) {
  const estimated = Object.entries(costs[kind] ?? {}).reduce((sum, [what, each]) => sum + each * (counts[what] ?? 0), 0)
  console.log(`${name}: ${(nanoseconds / 1e6).toPrecision(3)} ms, estimated ${(estimated / 1e6).toPrecision(3)} ms`)
}

const { cpu, versions, date } = results[0]?.machine ?? { cpu: '', versions: { node: '' }, date: '' }
const path = fileURLToPath(new URL('../../src/quant/costs.ts', import.meta.url))
const text = `/**
 * Nanoseconds of one of each of what counts.ts counts. Written by \`node bench/fit/integers.mjs\` from bench/results/integers.json: ${cpu}, one thread,
 * Node ${versions.node}, ${date.slice(0, 10)}.
 */
import type { IntegerKind } from './counts.js'

export const costs: Readonly<Record<IntegerKind, Readonly<Record<string, number>>>> = ${JSON.stringify(costs)}
`
writeFileSync(path, await prettier(text, { ...(await resolveConfig(path)), filepath: path }))
