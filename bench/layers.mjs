// @ts-check
// The forward pass of single convolution layers, batch 1, one thread.
import { BenchError, UsageError } from './lib/errors.mjs'
import { measure } from './lib/measure.mjs'
import { compareOutputs, loadPeers } from './lib/peers.mjs'
import { randomNumbers } from './lib/random.mjs'
import { toRow } from './lib/row.mjs'
import { describeShape, findLayers, layers, operationsOf, outputExtents } from './layers/table.mjs'

/**
 * The numbers of a layer: x (1, C, H, W), weights (K, C/groups, R, S), bias (K).
 * @typedef {{ x: Float32Array, weights: Float32Array, bias: Float32Array }} LayerData
 *
 * One side. The weights are constant: whoever can, packs them beforehand. `run` computes the output, bias included, and
 * leaves it where it is; `output` computes it and copies it out as (1, K, P, Q); `dispose` returns the memory.
 * @typedef {{
 *   run: () => unknown,
 *   output: () => Float32Array | Promise<Float32Array>,
 *   dispose: () => unknown,
 * }} Contender
 * @typedef {(layer: import('./layers/table.mjs').Layer, data: LayerData) => Contender | Promise<Contender>} CreateLayer
 */

/** Largest distance of two outputs, as a part of the largest output: float32 and fast algorithms give 1e-6 to 1e-5. */
const tolerance = 1e-3

/** @type {Record<string, () => Promise<{ createLayer: CreateLayer }>>} */
const peerModules = {
  'onnxruntime-web': () => import('./peers/onnxruntime-web.mjs'),
  'tfjs-wasm': () => import('./peers/tfjs-wasm.mjs'),
}

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'the forward pass of the convolution layers of LeNet-5, AlexNet, VGG-16 and GoogLeNet, batch 1',
  peers: Object.keys(peerModules),
  options: ['layer', 'threads'],
  checkLayers,
  async run({ layers: wanted, threads = 1, rounds, peers: names, log }) {
    const chosen = wanted === undefined ? layers : findLayers(wanted).found
    const { algorithmOf, createLayer: createOurs } = await import('./ours/layer.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const { peers, leftOut } = await loadPeers(peerModules, names, log, threads)
    const rows = []
    for (const [index, layer] of chosen.entries()) {
      const name = `${layer.name} ${describeShape(layer)}`
      log(`layers: ${index + 1}/${chosen.length} ${name}`)
      const data = dataFor(layer)
      /** @type {Record<string, Contender>} */
      const contenders = { ours: await createOurs(layer, data) }
      for (const [peer, { createLayer }] of Object.entries(peers)) contenders[peer] = await createLayer(layer, data)
      const checked = await checkSameOutput(name, layer, contenders)
      const calls = Object.fromEntries(Object.entries(contenders).map(([side, { run }]) => [side, run]))
      const timings = await measure(calls, {
        rounds,
        fewestRounds: 5,
        mostRounds: 9,
        budgetMilliseconds: 2500,
        warmupMilliseconds: 60,
        shortestSample: 30,
      })
      for (const contender of Object.values(contenders)) await contender.dispose()
      const about = {
        bench: 'layers',
        case: name,
        family: layer.family,
        selected: layer.selected,
        operations: operationsOf(layer),
        algorithm: algorithmOf(layer),
        ...runtime,
        ...(Object.keys(leftOut).length > 0 ? { left_out: leftOut } : {}),
        checked,
      }
      rows.push(toRow(about, timings))
    }
    return rows
  },
}

/** @param {readonly string[]} queries */
export function checkLayers(queries) {
  const { unknown } = findLayers(queries)
  if (unknown === undefined) return
  const unique = (/** @type {string[]} */ names) => [...new Set(names)].join(', ')
  throw new UsageError(
    `--layer ${queries.join()}: no layer "${unknown}", expected a name such as ${layers[0]?.name}, a network (${unique(
      layers.map(({ name }) => name.split('/')[0] ?? ''),
    )}), a family (${unique(layers.map(({ family }) => family))}) or selected`,
  )
}

/**
 * @param {import('./layers/table.mjs').Layer} layer
 * @returns {LayerData}
 */
export function dataFor({ C, H, W, K, R, S, groups }) {
  return {
    x: randomNumbers(C * H * W, 1),
    weights: randomNumbers(K * (C / groups) * R * S, 2),
    bias: randomNumbers(K, 3),
  }
}

/**
 * Compares every peer's output with ours. Returns what was found, in words.
 * @param {string} name
 * @param {import('./layers/table.mjs').Layer} layer
 * @param {Record<string, Contender>} contenders
 */
async function checkSameOutput(name, layer, { ours, ...peers }) {
  if (ours === undefined) throw new Error('ours is missing')
  const { P, Q } = outputExtents(layer)
  const expected = await ours.output()
  if (expected.length !== layer.K * P * Q) {
    throw new BenchError(`${name}: ours has ${expected.length} outputs, expected ${layer.K * P * Q}`)
  }
  const findings = []
  for (const [peer, contender] of Object.entries(peers)) {
    findings.push(compareOutputs(name, expected, peer, await contender.output(), tolerance))
  }
  return findings.length > 0 ? findings.join(', ') : undefined
}
