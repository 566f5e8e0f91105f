// @ts-check
// What a call costs besides its kernel: operations on tiny inputs, in microseconds, and as a ratio to `conv2d` of the same
// run. With another build they take turns: `node bench/calls.mjs [folder of the other build's dist]`.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { measure } from './lib/measure.mjs'

const [other] = process.argv.slice(2)
const ROUNDS = 9

/** @typedef {typeof import('../dist/index.js')} Core */
/** @typedef {import('../dist/index.js').Tensor} Tensor */

/** @param {string} dist @returns {Promise<Core>} */
async function load(dist) {
  const core = await import(pathToFileURL(resolve(dist, 'index.js')).href)
  await core.init()
  return core
}

/** Operations, each on inputs of its own. @type {Record<string, (core: Core) => () => Tensor>} */
const calls = {
  conv2d: (core) => {
    const [x, w] = [core.normal([1, 1, 8, 8], { seed: 1 }), core.normal([2, 1, 3, 3], { seed: 2 })]
    return () => core.conv2d(x, w)
  },
  convTranspose2d: (core) => {
    const [x, w] = [core.normal([1, 2, 6, 6], { seed: 1 }), core.normal([2, 1, 3, 3], { seed: 2 })]
    return () => core.convTranspose2d(x, w)
  },
  locallyConnected2d: (core) => {
    const [x, w] = [core.normal([1, 1, 8, 8], { seed: 1 }), core.normal([2, 6, 6, 1, 3, 3], { seed: 2 })]
    return () => core.locallyConnected2d(x, w)
  },
  ...onMaps({
    maxPool2d: (core, x) => core.maxPool2d(x, { kernel: 2 }),
    avgPool2d: (core, x) => core.avgPool2d(x, { kernel: 2 }),
    lpPool2d: (core, x) => core.lpPool2d(x, { kernel: 2 }),
    weightedPool2d: (core, x) => core.weightedPool2d(x, { kernel: 2, sigma: 1 }),
    adaptiveAvgPool2d: (core, x) => core.adaptiveAvgPool2d(x, 2),
    adaptiveMaxPool2d: (core, x) => core.adaptiveMaxPool2d(x, 2),
    globalAvgPool: (core, x) => core.globalAvgPool(x),
    globalMaxPool: (core, x) => core.globalMaxPool(x),
    maxout: (core, x) => core.maxout(x, 2),
    relu: (core, x) => core.relu(x),
    add: (core, x) => core.add(x, x),
    'add a number': (core, x) => core.add(x, 1),
    sum: (core, x) => core.sum(x),
    softmax: (core, x) => core.softmax(x),
    dropout: (core, x) => core.dropout(x, { seed: 3 }),
    concat: (core, x) => core.concat([x, x], 1),
    slice: (core, x) => core.slice(x, { begin: [0, 1] }),
  }),
  crossEntropy: (core) => {
    const logits = core.normal([4, 10], { seed: 1 })
    const labels = Int32Array.of(1, 2, 3, 4)
    return () => core.crossEntropy(logits, labels)
  },
}

/** @param {Record<string, (core: Core, x: Tensor) => Tensor>} operations @returns {typeof calls} */
function onMaps(operations) {
  return Object.fromEntries(
    Object.entries(operations).map(([name, use]) => [
      name,
      (/** @type {Core} */ core) => {
        const x = core.normal([1, 2, 8, 8], { seed: 1 })
        return () => use(core, x)
      },
    ]),
  )
}

const own = await load(new URL('../dist', import.meta.url).pathname)
const before = other === undefined ? undefined : await load(other)
/** @param {(core: Core) => () => Tensor} make @param {Core} core */
const disposing = (make, core) => {
  const call = make(core)
  return () => call().dispose()
}

let unit = NaN
for (const [name, make] of Object.entries(calls)) {
  /** @type {Record<string, () => unknown>} */
  const contenders = { own: disposing(make, own) }
  if (before) contenders.before = disposing(make, before)
  const times = await measure(contenders, { rounds: ROUNDS, warmupMilliseconds: 100, shortestSample: 20 })
  const microseconds = (/** @type {string} */ contender) => 1000 * (times[contender]?.median ?? NaN)
  if (name === 'conv2d') unit = microseconds('own')
  const compared = before ? `  before ${microseconds('before').toFixed(2).padStart(6)} µs, ${(microseconds('own') / microseconds('before')).toFixed(2)}` : '' // prettier-ignore
  console.log(
    `${name.padEnd(20)} ${microseconds('own').toFixed(2).padStart(6)} µs  ${(microseconds('own') / unit).toFixed(2)} of conv2d${compared}`,
  )
}
