// @ts-check
// The same work on more and more images, and on larger and larger maps: how time grows, and that memory does not.
import { UsageError } from './lib/errors.mjs'
import { exponentOf } from './lib/growth.mjs'
import { measure } from './lib/measure.mjs'
import { toRow } from './lib/row.mjs'

const batches = [1, 2, 4, 8, 16, 32, 64]
const extents = [28, 56, 112, 224]

/** Extent of the maps of which there are more and more. */
const fixedExtent = 28
/** Images in a training step on larger and larger maps. */
const fixedBatch = 4

/**
 * Convolutions of stride 1 whose outputs are as large as their inputs; without `passes` only forward.
 * @type {readonly {
 *   family: string,
 *   C: number,
 *   K: number,
 *   kernel: number,
 *   groups?: number,
 *   passes?: readonly import('./ours/algorithms.mjs').Pass[],
 * }[]}
 */
const convolutions = [
  { family: '3x3', C: 64, K: 64, kernel: 3, passes: ['forward', 'input gradient', 'weight gradient'] },
  { family: '1x1', C: 192, K: 64, kernel: 1 },
  { family: '5x5', C: 32, K: 96, kernel: 5, passes: ['forward', 'weight gradient'] },
  { family: 'first', C: 3, K: 64, kernel: 3 },
  { family: 'depthwise', C: 128, K: 128, kernel: 3, groups: 128 },
]

const families = [...new Set(convolutions.map(({ family }) => family)), 'linear', 'network', 'training']

/**
 * What is measured at several sizes; `create` takes a number of images, or the extent of the maps.
 * @typedef {{
 *   name: string,
 *   family: string,
 *   by: import('./lib/growth.mjs').Growth['by'],
 *   create: (size: number) => import('./ours/growth.mjs').Work,
 * }} Series
 */

/**
 * @param {typeof import('./ours/growth.mjs')} ours
 * @returns {Series[]}
 */
function seriesOf({ createConvolution, createForward, createLinear, createTrainStep }) {
  const layers = convolutions.flatMap(({ family, passes = ['forward'], ...layer }) =>
    passes.map((pass) => {
      const { C, K, kernel, groups = 1 } = layer
      const name = `${kernel}×${kernel}, ${C}→${K}${groups > 1 ? ` g${groups}` : ''}, ${pass}`
      const create = (/** @type {number} */ batch, /** @type {number} */ extent) =>
        createConvolution({ groups, ...layer }, pass, batch, extent)
      return { name, family, create }
    }),
  )
  return [
    ...layers.map(({ name, family, create }) => ({
      name: `${name}, ${fixedExtent}²`,
      family,
      by: /** @type {const} */ ('images'),
      create: (/** @type {number} */ batch) => create(batch, fixedExtent),
    })),
    {
      name: 'fully connected, 1024→1024',
      family: 'linear',
      by: 'images',
      create: (batch) => createLinear({ inputs: 1024, units: 1024 }, batch),
    },
    {
      name: 'MNIST ConvNet, forward',
      family: 'network',
      by: 'images',
      create: (batch) => createForward('convnet', [1, 28, 28], batch),
    },
    {
      name: 'MNIST ConvNet, training step',
      family: 'training',
      by: 'images',
      create: (batch) => createTrainStep('convnet', [1, 28, 28], batch),
    },
    ...layers.map(({ name, family, create }) => ({
      name,
      family,
      by: /** @type {const} */ ('pixels'),
      create: (/** @type {number} */ extent) => create(1, extent),
    })),
    {
      name: `ConvNet on 3 channels, training step of ${fixedBatch}`,
      family: 'training',
      by: 'pixels',
      create: (extent) => createTrainStep('convnet', [3, extent, extent], fixedBatch),
    },
  ]
}

/** @param {readonly string[]} queries */
function checkLayers(queries) {
  const unknown = queries.find((query) => !families.includes(query))
  if (unknown === undefined) return
  throw new UsageError(`--layer ${queries.join()}: no family "${unknown}", expected ${families.join(', ')}`)
}

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'how time and memory grow with the batch, 1 to 64 images, and with the pixels, 28² to 224²',
  peers: [],
  options: ['layer', 'threads'],
  checkLayers,
  async run({ layers: wanted, threads = 1, rounds, log }) {
    const { memoryUsage } = await import('../dist/index.js')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    const rows = []
    for (const { name, family, by, create } of seriesOf(await import('./ours/growth.mjs'))) {
      if (wanted !== undefined && !wanted.includes(family)) continue
      const given = by === 'images' ? batches : extents
      const label = `${name}, ${by === 'images' ? `batch ${batches[0]}…${batches.at(-1)}` : `${extents[0]}²…${extents.at(-1)}²`}`
      log(`growth: ${label}`)
      const works = given.map(create)
      // What is packed once is packed, what is captured is captured, and memory has grown to what the largest size needs.
      for (let pass = 0; pass < 4; pass++) for (const { run } of works) run()
      const before = memoryUsage()
      const timings = await measure(Object.fromEntries(works.map(({ run }, index) => [String(index), run])), {
        rounds,
        fewestRounds: 5,
        mostRounds: 7,
        budgetMilliseconds: 2500,
        warmupMilliseconds: 20,
        shortestSample: 20,
      })
      const after = memoryUsage()
      for (const { dispose } of works) dispose()
      const sizes = by === 'images' ? given : given.map((extent) => extent ** 2)
      const ms = works.map((_, index) => timings[index]?.median ?? NaN)
      const algorithms = works.map(({ algorithm }) => algorithm)
      const growth = {
        by,
        sizes,
        ms,
        algorithms,
        exponent: exponentOf(sizes, ms),
        memory_bytes: {
          live: after.liveBytes - before.liveBytes,
          peak: after.peakBytes - before.peakBytes,
          reserved: after.reservedBytes - before.reservedBytes,
        },
      }
      const largest = timings[works.length - 1]
      if (largest === undefined) throw new Error(`${name} was not timed`)
      const algorithm = algorithms.at(-1) ?? ''
      rows.push(toRow({ bench: 'growth', case: label, family, algorithm, ...runtime, growth }, { ours: largest }))
    }
    return rows
  },
}
