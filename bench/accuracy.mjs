// @ts-check
// The error of every algorithm on every layer against float64, beside its time.
import { checkLayers, dataFor } from './layers.mjs'
import { errorsOf, gateOf, inputKinds, passes } from './accuracy/errors.mjs'
import { describeShape, findLayers, layers, operationsOf, outputExtents } from './layers/table.mjs'
import { measure } from './lib/measure.mjs'
import { toRow } from './lib/row.mjs'

/** Results of which each pass is compared. */
const samples = 300
/** Operations beyond which the loops of the definition are left out: their sums are those of 'gemm'. */
const mostDirect = 5e6
/** Filters beyond which Fourier transforms of less than 5 × 5 kernels, which nobody would take, are left out. */
const mostFiltersForFft = 1024

/** The weight gradient sums over a batch of as many pixels at least, but for maps that are smaller than a 16th of it. */
const batchPixels = 1024

/** Kernels for Fourier transforms, which those networks do not have. */
const large = [
  { name: '7×7', C: 32, H: 64, W: 64, K: 32, R: 7, S: 7, stride: 1, padding: 3, groups: 1 },
  { name: '11×11', C: 64, H: 56, W: 56, K: 64, R: 11, S: 11, stride: 1, padding: 5, groups: 1 },
  { name: '21×21', C: 16, H: 64, W: 64, K: 16, R: 21, S: 21, stride: 1, padding: 0, groups: 1 },
].map((layer) => ({ ...layer, family: 'large', selected: false }))

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'the error of every algorithm, forward and of both gradients, in units of u · Σ|w · x|, beside its time',
  peers: [],
  options: ['layer'],
  checkLayers,
  async run({ layers: wanted, rounds, log }) {
    const chosen = wanted === undefined ? [...layers, ...large] : findLayers(wanted).found
    const api = await import('../dist/index.js')
    const { algorithmsOf, createLayer } = await import('./ours/layer.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(1)
    const rows = []
    for (const [index, layer] of chosen.entries()) {
      const name = `${layer.name} ${describeShape(layer)}`
      log(`accuracy: ${index + 1}/${chosen.length} ${name}`)
      const compared = algorithmsOf(layer).filter(({ algorithm }) => {
        if (algorithm === 'direct') return operationsOf(layer) <= mostDirect
        return algorithm !== 'fft' || layer.R >= 5 || (layer.K * layer.C) / layer.groups <= mostFiltersForFft
      })
      /** @type {Record<string, Record<string, Record<string, number>>>} */
      const errors = Object.fromEntries(compared.map(({ algorithm }) => [algorithm, {}]))
      for (const pass of passes) {
        const able = compared.filter((one) => one.passes.includes(pass)).map(({ algorithm }) => algorithm)
        const { P, Q } = outputExtents(layer)
        const N = pass === 'weight gradient' ? Math.min(16, Math.ceil(batchPixels / (P * Q))) : 1
        for (const kind of inputKinds) {
          for (const [algorithm, error] of Object.entries(errorsOf(api, { ...layer, N }, able, pass, kind, samples))) {
            const ofPass = ((errors[algorithm] ??= {})[pass] ??= {})
            ofPass[kind] = Number(error.toPrecision(3))
          }
        }
      }
      const data = dataFor(layer)
      for (const { algorithm, asked, passes: able } of compared) {
        const { run, dispose } = createLayer(layer, data, algorithm)
        const timings = await measure({ ours: run }, { rounds: rounds ?? 3, shortestSample: 2 })
        dispose()
        const about = {
          bench: 'accuracy',
          case: name,
          family: layer.family,
          selected: layer.selected,
          operations: operationsOf(layer),
          algorithm: asked ? `${algorithm}, asked for` : algorithm,
          ...runtime,
          errors: errors[algorithm] ?? {},
          gates: Object.fromEntries(able.map((pass) => [pass, gateOf(algorithm, pass, layer)])),
        }
        rows.push(toRow(about, timings))
      }
    }
    const missed = rows.flatMap((row) =>
      passes
        .filter((pass) => worstOf(row.errors?.[pass]) > (row.gates?.[pass] ?? Infinity))
        .map((pass) => ({ row, pass })),
    )
    for (const { row, pass } of missed) {
      const error = worstOf(row.errors?.[pass]).toFixed(1)
      log(`accuracy: ${row.case}, ${row.algorithm}: ${pass} errs by ${error}, more than ${row.gates?.[pass]}`)
    }
    log(
      `accuracy: ${missed.length} of ${rows.flatMap(({ gates }) => Object.keys(gates ?? {})).length} errors are above their gates`,
    )
    return rows
  },
}

/** @param {Record<string, number> | undefined} errors by inputs */
export const worstOf = (errors) => Math.max(0, ...Object.values(errors ?? {}))
