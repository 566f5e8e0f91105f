// @ts-check
// Models from elsewhere, and networks of the zoo as others would run them: time of a pass on one thread and on two, and what a
// fresh process needs until its first answer.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runChild } from './lib/child.mjs'
import { BenchError } from './lib/errors.mjs'
import { summarize } from './lib/measure.mjs'
import { toRow } from './lib/row.mjs'
import { filesOf } from './models/files.mjs'
import { listModels } from './models/list.mjs'
import { absentPeers, peerModules } from './models/peers.mjs'

/** Starts of each side; `--rounds` gives another number. */
const fewStarts = 5

const scripts = {
  passes: new URL('models/passes.mjs', import.meta.url),
  start: new URL('models/start.mjs', import.meta.url),
}

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'whole models on one thread and on two, and their starts in fresh processes: time, and peak memory',
  peers: [...Object.keys(peerModules), ...Object.keys(absentPeers)],
  options: ['network', 'threads', 'light', 'models'],
  networksIn: (folders) => {
    const models = listModels(folders)
    return [...new Set([...models.map(({ family }) => family), ...models.map(({ name }) => name)])]
  },
  async run({ networks, threads, rounds, peers, light, models, log, refuse }) {
    const rows = []
    for (const model of listModels({ light, models })) {
      if (networks !== undefined && !networks.some((name) => name === model.name || name === model.family)) continue
      const folder = mkdtempSync(join(tmpdir(), 'toeplitz-bench-'))
      try {
        const files = await filesOf(model, folder, log)
        for (const count of threads === undefined ? [1, 2] : [threads]) {
          rows.push(await measureModel(files, model.family, { threads: count, rounds, peers, log }))
        }
      } catch (error) {
        // One model that cannot be measured does not cost the hour that the others took.
        if (!(error instanceof BenchError)) throw error
        refuse(`models: ${error.message}`)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    }
    return rows
  },
}

/**
 * @param {import('./models/files.mjs').ModelFiles} model
 * @param {string} family
 * @param {{ threads: number, rounds: number | undefined, peers: readonly string[], log: (line: string) => void }} options
 * @returns {Promise<import('./lib/row.mjs').Row>}
 */
async function measureModel(model, family, { threads, rounds, peers, log }) {
  const { name } = model
  const what = `${name}, ${threads} thread${threads === 1 ? '' : 's'}`
  log(`models: ${what}`)
  /** @type {import('./models/passes.mjs').PassesTask} */
  const task = { model, threads, rounds, peers: peers.filter((peer) => Object.hasOwn(peerModules, peer)) }
  /** @type {import('./models/passes.mjs').Passes} */
  const {
    timings,
    extents,
    left_out: leftOut,
    ...passes
  } = await runChild(what, scripts.passes, [JSON.stringify(task)], log)
  /** @type {Record<string, import('./models/start.mjs').Start[]>} */
  const starts = {}
  const sides = Object.keys(timings)
  for (let round = 0; round < (rounds ?? fewStarts); round++) {
    log(`models: ${what}, start ${round + 1}`)
    for (let turn = 0; turn < sides.length; turn++) {
      const side = sides[(round + turn) % sides.length] ?? ''
      const start = JSON.stringify({ side, model, extents, threads })
      ;(starts[side] ??= []).push(await runChild(`${what}: the start of ${side}`, scripts.start, [start]))
    }
  }
  for (const peer of peers) if (Object.hasOwn(absentPeers, peer)) leftOut[peer] = absentPeers[peer] ?? ''
  const about = {
    bench: 'models',
    case: name,
    family,
    ...passes,
    ...(Object.keys(leftOut).length > 0 && { left_out: leftOut }),
  }
  const ofStarts = (/** @type {(starts: import('./models/start.mjs').Start[]) => number} */ of) =>
    Object.fromEntries(Object.entries(starts).map(([side, list]) => [side, of(list)]))
  const start = ofStarts((list) => summarize(list.map(({ milliseconds }) => milliseconds)).median)
  return {
    ...toRow(about, timings),
    start_ms: start,
    start_ratio: ratioOf(start),
    peak_mb: ofStarts((list) => Math.max(...list.map(({ megabytes }) => megabytes))),
  }
}

/**
 * The fastest peer's time divided by ours; null without peers.
 * @param {Record<string, number>} times
 */
function ratioOf({ ours = NaN, ...peers }) {
  const fastest = Math.min(...Object.values(peers))
  return Number.isFinite(fastest) ? fastest / ours : null
}
