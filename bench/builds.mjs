// @ts-check
// Two builds of the library by turns in one process: `node bench/builds.mjs <folder of the other build's dist> [rows…]`.
// A change that should cost nothing is measured by it: layers, forward passes and training steps of both, their ratios
// and geometric means. Rows that differ by more than 5 % are measured once more, since a machine has slow phases.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { layers } from './layers/table.mjs'
import { measure } from './lib/measure.mjs'
import { randomNumbers } from './lib/random.mjs'

const [other, ...wanted] = process.argv.slice(2)
if (other === undefined) {
  console.error(
    'Usage: node bench/builds.mjs <dist of the other build> [rows, such as layers forward train-step vgg16]',
  )
  process.exit(2)
}

/** More than this is measured twice. */
const NOTABLE = 0.05
const ROUNDS = 7

/**
 * @typedef {{ core: typeof import('../dist/index.js'), zoo: typeof import('../dist/zoo.js') }} Build
 * @typedef {{ bench: string, name: string, make: (build: Build) => { run: () => unknown, dispose: () => void } }} Row
 */

/** @param {string} dist @returns {Promise<Build>} */
async function load(dist) {
  const at = (/** @type {string} */ file) => pathToFileURL(resolve(dist, file)).href
  const [core, zoo] = await Promise.all([import(at('index.js')), import(at('zoo.js'))])
  await core.init()
  return { core, zoo }
}

/** @type {Row[]} */
const rows = [
  ...layers.map(({ name, C, H, W, K, R, S, stride, padding, groups }) => ({
    bench: 'layers',
    name,
    make: (/** @type {Build} */ { core }) => {
      const x = core.tensor(randomNumbers(C * H * W, 1), [1, C, H, W])
      const w = core.tensor(randomNumbers((K * C * R * S) / groups, 2), [K, C / groups, R, S])
      const bias = core.tensor(randomNumbers(K, 3), [K])
      return {
        run: () => core.scope(() => void core.conv2d(x, w, { bias, stride, padding, groups })),
        dispose: () => [x, w, bias].forEach((tensor) => tensor.dispose()),
      }
    },
  })),
  ...['lenet5', 'alexnet', 'googlenet', 'vgg16'].map((name) => ({
    bench: 'forward',
    name,
    make: (/** @type {Build} */ { core, zoo }) => {
      const model = zoo.createModel(name, { seed: 1 }).eval()
      const shape = model.input ?? []
      const x = core.tensor(randomNumbers(product(shape), 1), [1, ...shape])
      return {
        run: () => core.scope(() => void model.forward(x)),
        dispose: () => [x, model].forEach((owned) => owned.dispose()),
      }
    },
  })),
  .../** @type {{ model: string, input: [number, number, number], batch: number }[]} */ ([
    { model: 'convnet', input: [1, 28, 28], batch: 128 },
    { model: 'convnet', input: [3, 32, 32], batch: 128 },
    { model: 'lenet5', input: [1, 32, 32], batch: 128 },
    { model: 'alexnet', input: [3, 227, 227], batch: 8 },
  ]).map(({ model: name, input, batch }) => ({
    bench: 'train-step',
    name: `${name} ${input.join('×')}`,
    make: (/** @type {Build} */ { core, zoo }) => {
      const model = zoo.createModel(name, { seed: 1, input })
      const optimizer = new core.SGD(model.parameters(), { lr: 1e-6, momentum: 0.9 })
      const images = randomNumbers(batch * product(input), 4)
      const labels = Int32Array.from({ length: batch }, (_, i) => i % 10)
      return {
        run: () =>
          core.scope(() => {
            const x = core.tensor(images, [batch, ...input])
            const lossOf = core.valueAndGrad(() => core.crossEntropy(model.forward(x), labels))
            optimizer.step(lossOf(...model.parameters()).gradients)
          }),
        dispose: () => [optimizer, model].forEach((owned) => owned.dispose()),
      }
    },
  })),
]

/** @param {readonly number[]} values */
function product(values) {
  return values.reduce((total, value) => total * value, 1)
}

const builds = { before: await load(other), after: await load(new URL('../dist', import.meta.url).pathname) }

/** @param {Row} row */
async function timed({ make }) {
  const [before, after] = [make(builds.before), make(builds.after)]
  const times = await measure(
    { before: before.run, after: after.run },
    { rounds: ROUNDS, warmupMilliseconds: 100, shortestSample: 60 },
  )
  for (const { dispose } of [before, after]) dispose()
  return { before: times.before.median, after: times.after.median, ratio: times.after.median / times.before.median }
}

const chosen = rows.filter(
  ({ bench, name }) => wanted.length === 0 || wanted.some((w) => w === bench || name.startsWith(w)),
)
/** @type {Map<string, number[]>} */
const ratios = new Map()
let twice = 0
for (const row of chosen) {
  let { before, after, ratio } = await timed(row)
  let again = ''
  if (Math.abs(ratio - 1) > NOTABLE) {
    const second = await timed(row)
    again = `, again ${second.ratio.toFixed(3)}`
    if (Math.min(ratio, second.ratio) > 1 + NOTABLE) {
      twice++
      again += ' SLOWER TWICE'
    }
    ratio = Math.sqrt(ratio * second.ratio)
  }
  console.log(
    `${row.bench.padEnd(11)} ${row.name.padEnd(28)} ${before.toFixed(3).padStart(9)} ${after.toFixed(3).padStart(9)} ms  ${ratio.toFixed(3)}${again}`,
  )
  ratios.set(row.bench, [...(ratios.get(row.bench) ?? []), ratio])
}
for (const [bench, values] of ratios) {
  const mean = Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
  console.log(`${bench}: geometric mean ${mean.toFixed(4)} over ${values.length} rows (after / before)`)
}
console.log(`${twice} rows slower by more than ${NOTABLE * 100} % twice`)
process.exit(twice > 0 ? 1 : 0)
