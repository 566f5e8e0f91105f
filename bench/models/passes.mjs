// @ts-check
// Times the passes of one model on a number of threads, ours and the peers' by turns, once their outputs agree. Arguments: a
// task, as JSON. Its result is the last line of the output, as JSON.
import { BenchError, LeftOutError } from '../lib/errors.mjs'
import { measure, ofPasses } from '../lib/measure.mjs'
import { distanceOf, finding, loadPeers } from '../lib/peers.mjs'
import { createModel as createOurs } from '../ours/model.mjs'
import { start } from '../ours/start.mjs'
import { firstOutput } from './values.mjs'
import { peerModules } from './peers.mjs'

/**
 * @typedef {{
 *   model: import('./files.mjs').ModelFiles,
 *   threads: number,
 *   rounds?: number | undefined,
 *   peers: readonly string[],
 * }} PassesTask
 * @typedef {{
 *   timings: Record<string, import('../lib/measure.mjs').Timing>,
 *   extents: import('./values.mjs').Extents[],
 *   algorithm: string,
 *   threads: number,
 *   simd: string,
 *   left_out: Record<string, string>,
 *   checked?: string,
 * }} Passes
 */

/** Largest distance of two outputs, as a part of the largest number of the output. */
const tolerance = 1e-4

/** @type {PassesTask} */
const { model, threads, rounds, peers: wanted } = JSON.parse(process.argv[2] ?? '')
const log = (/** @type {string} */ line) => void process.stderr.write(`${line}\n`)
const runtime = await start(threads)
const ours = createOurs(model)
const expected = ours.outputs()
const { peers, leftOut } = await loadPeers(peerModules, wanted, log, threads)

/** @type {Record<string, { run: () => unknown, dispose: () => unknown }>} */
const contenders = { ours }
const findings = []
for (const [name, { createModel, mostThreads = Infinity }] of Object.entries(peers)) {
  try {
    if (threads > mostThreads) throw new LeftOutError(`${mostThreads} thread in Node`)
    const contender = await createModel(model, ours.inputs)
    findings.push(finding(name, distance(name, await contender.outputs())))
    contenders[name] = contender
  } catch (error) {
    // Outputs that differ are no reason to leave a peer out: one of the two is wrong.
    if (error instanceof BenchError || !(error instanceof Error)) throw error
    leftOut[name] = error instanceof LeftOutError ? error.message : 'cannot run it'
    if (!(error instanceof LeftOutError)) log(`models: ${model.name}: ${name}: ${error.message}`)
  }
}
const calls = Object.fromEntries(Object.entries(contenders).map(([side, { run }]) => [side, run]))
const timings = await measure(calls, { ...ofPasses, rounds })
/** @type {Passes} */
const passes = {
  timings,
  extents: ours.extents,
  algorithm: ours.algorithm,
  ...runtime,
  left_out: leftOut,
  ...(findings.length > 0 && { checked: findings.join(', ') }),
}
console.log(JSON.stringify(passes))
process.exit()

/**
 * The largest distance of a peer's outputs from ours of the same names.
 * @param {string} peer
 * @param {Record<string, Float32Array>} given
 */
function distance(peer, given) {
  const [first = ''] = Object.keys(expected)
  return Object.entries(given).reduce((most, [name, values]) => {
    const own = expected[name === firstOutput ? first : name] ?? expected[`${name}:0`]
    if (own === undefined) throw new BenchError(`${peer} gives an output '${name}', ours does not`)
    return Math.max(most, distanceOf(`output '${name || first}'`, own, peer, values, tolerance))
  }, 0)
}
