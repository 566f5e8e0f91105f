// @ts-check
// Convolutions of bytes beside the same in float32, batch 1: layers of MobileNetV2, ResNet and GoogLeNet. Bytes come in and go out, as between
// the layers of a quantized network; conversions are not counted.
import { dataFor } from './layers.mjs'
import { BenchError } from './lib/errors.mjs'
import { measure } from './lib/measure.mjs'
import { toRow } from './lib/row.mjs'
import { describeShape, operationsOf } from './layers/table.mjs'

/**
 * A layer with square maps and kernels; its padding keeps the map.
 * @param {string} family
 * @param {[C: number, extent: number]} input
 * @param {number} K
 * @param {number} kernel
 * @param {{ stride?: number, groups?: number }} [more]
 * @returns {import('./layers/table.mjs').Layer}
 */
const layer = (family, [C, extent], K, kernel, { stride = 1, groups = 1 } = {}) => {
  const padding = (kernel - 1) / 2
  return {
    ...{ name: family, family, C, H: extent, W: extent, K, R: kernel, S: kernel, stride, padding, groups },
    selected: false,
  }
}
const depthwise = (/** @type {number} */ C, /** @type {number} */ extent, stride = 1) =>
  layer('depthwise', [C, extent], C, 3, { stride, groups: C })

/** The layers that are measured. */
export const cases = [
  layer('first', [3, 224], 32, 3, { stride: 2 }),
  layer('first', [3, 224], 64, 7, { stride: 2 }),
  ...[layer('1×1', [24, 56], 144, 1), layer('1×1', [144, 28], 32, 1), layer('1×1', [64, 14], 384, 1)],
  ...[layer('1×1', [576, 14], 96, 1), layer('1×1', [160, 7], 960, 1), layer('1×1', [320, 7], 1280, 1)],
  ...[depthwise(96, 112, 2), depthwise(144, 56), depthwise(144, 56, 2), depthwise(192, 28), depthwise(576, 14)],
  ...[depthwise(576, 14, 2), depthwise(960, 7)],
  ...[layer('3×3', [64, 56], 64, 3), layer('3×3', [128, 28], 128, 3), layer('3×3', [256, 14], 256, 3)],
  ...[layer('3×3', [512, 7], 512, 3), layer('3×3', [64, 56], 128, 3, { stride: 2 })],
  ...[layer('5×5', [16, 28], 32, 5), layer('5×5', [48, 7], 128, 5)],
  layer('linear', [1280, 1], 1000, 1),
]

/** Largest distance from float32, as a part of the largest output: weights of 8 bits err by 1 %, and the output by half a step of 255. */
const tolerance = 0.04

/** @type {import('./run.mjs').Bench} */
export const bench = {
  description: 'convolutions of 8-bit integers beside float32, batch 1',
  peers: ['float32'],
  own: true,
  options: ['threads'],
  async run({ threads = 1, rounds, peers, log }) {
    const { createFloats, createIntegers, load } = await import('./ours/integers.mjs')
    const { algorithmOf } = await import('./ours/layer.mjs')
    const { start } = await import('./ours/start.mjs')
    const runtime = await start(threads)
    await load()
    const rows = []
    for (const [index, one] of cases.entries()) {
      const name = describeShape(one)
      log(`integers: ${index + 1}/${cases.length} ${name}`)
      const data = dataFor(one)
      const floats = createFloats(one, data)
      const due = floats.output()
      const integers = createIntegers(one, data, due)
      check(name, integers.output(), due)
      /** @type {Record<string, () => unknown>} */
      const sides = { ours: integers.run, ...(peers.includes('float32') ? { float32: floats.run } : {}) }
      const timings = await measure(sides, {
        rounds,
        fewestRounds: 5,
        mostRounds: 9,
        budgetMilliseconds: 2500,
        warmupMilliseconds: 60,
        shortestSample: 30,
      })
      floats.dispose()
      integers.dispose()
      const timing = timings.ours
      if (timing === undefined) throw new Error(`${name} was not timed`)
      const algorithm = `integers; ${algorithmOf(one)} in float32`
      const about = { bench: 'integers', case: name, family: one.family, operations: operationsOf(one), algorithm }
      rows.push(toRow({ ...about, ...runtime }, { ...timings, ours: timing }))
    }
    return rows
  },
}

/**
 * Integers must be near float32.
 * @param {string} name
 * @param {Float32Array} given
 * @param {Float32Array} due
 */
function check(name, given, due) {
  let [apart, largest] = [0, 0]
  for (const [i, value] of due.entries()) {
    apart = Math.max(apart, Math.abs(value - (given[i] ?? NaN)))
    largest = Math.max(largest, Math.abs(value))
  }
  if (!(apart <= tolerance * largest))
    throw new BenchError(`integers ${name}: results are ${apart} apart, of ${largest}`)
}
