/**
 * A VGG-like network for CIFAR-10, trained, and then with layers of low rank in its place: what that saves, and what it costs in
 * accuracy, as it is and after one more epoch of training.
 *
 *   node examples/node/low-rank.mjs --data-dir DIR [--epochs 4] [--out result.json]
 *   node examples/node/low-rank.mjs --times result.json [--out result.json]     measures the times again, without training
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import {
  accuracy,
  BatchNorm2d,
  Conv2d,
  crossEntropy,
  evaluate,
  fit,
  Flatten,
  init,
  Linear,
  MaxPool2d,
  ReLU,
  schedule,
  Sequential,
  SGD,
  uniform,
} from 'toeplitz'
import { fitNormalization, imageExamples } from 'toeplitz/data'
import { factorize } from 'toeplitz/features'
import { plainPreprocessing } from 'toeplitz/io'
import { loadCifar10, writeFileAtomically } from 'toeplitz/node'
import { machineRecord } from './machine.mjs'

const { values } = parseArgs({
  options: {
    'data-dir': { type: 'string' },
    epochs: { type: 'string', default: '4' },
    times: { type: 'string' },
    out: { type: 'string' },
  },
})
const batchSize = 64
const block = (maps) => [
  ...[0, 1].flatMap(() => [
    new Conv2d({ outChannels: maps, kernel: 3, padding: 1, bias: false }),
    new BatchNorm2d(),
    new ReLU(),
  ]),
  new MaxPool2d({ kernel: 2 }),
]

await init()
const network = () =>
  new Sequential(
    [
      ...block(16),
      ...block(32),
      ...block(64),
      new Flatten(),
      new Linear({ outFeatures: 128 }),
      new ReLU(),
      new Linear({ outFeatures: 10 }),
    ],
    { input: [3, 32, 32], seed: 1 },
  )

/** Ten passes, each of one picture: milliseconds of one. */
function round(model, x) {
  const began = performance.now()
  for (let n = 0; n < 10; n++) model.forward(x).dispose()
  return (performance.now() - began) / 10
}

/**
 * Milliseconds that a picture takes by the network of each row: the least of sixty rounds, in each of which every network has its turn,
 * after a second of each in which the engine warms up. What is measured follows from the ranks, and not from the weights.
 */
function timesOf(rows) {
  const x = uniform([1, 3, 32, 32])
  const networks = rows.map(({ ranks }) => {
    const model = network()
    if (!ranks) return model
    const rank = Object.fromEntries(Object.entries(ranks).map(([name, told]) => [name, Number.parseInt(told, 10)]))
    const made = factorize(model, { rank }).model
    model.dispose()
    return made
  })
  for (const model of networks) model.eval()
  for (const model of networks) for (const until = performance.now() + 1000; performance.now() < until;) round(model, x)
  const least = networks.map(() => Infinity)
  for (let n = 0; n < 60; n++) networks.forEach((model, i) => (least[i] = Math.min(least[i], round(model, x))))
  for (const item of [x, ...networks]) item.dispose()
  return least.map((ms) => Number(ms.toFixed(3)))
}

/** A result with the times of its networks, as they are here and now. */
function timed({ rows, ...rest }) {
  const times = timesOf(rows)
  const command = 'node examples/node/low-rank.mjs --times FILE'
  return {
    ...rest,
    times: { command, machine: machineRecord() },
    rows: rows.map((row, i) => ({ ...row, ms: times[i] })),
  }
}

async function write(result) {
  console.table(result.rows, ['error', 'parameters', 'operations', 'accuracy', 'accuracy_trained', 'ms'])
  if (values.out) await writeFileAtomically(values.out, `${JSON.stringify(result, null, 2)}\n`)
}

if (values.times) {
  await write(timed(JSON.parse(await readFile(values.times, 'utf8'))))
  process.exit(0)
}

const { training, test } = await loadCifar10(values['data-dir'])
const preprocessing = plainPreprocessing(training.shape, fitNormalization(training))
const examples = imageExamples(training, preprocessing)
const unseen = imageExamples(test, preprocessing)

async function train(model, epochs, lr) {
  const steps = epochs * Math.ceil(examples.size / batchSize)
  const run = fit(model, examples, {
    ...{ epochs, batchSize, loss: crossEntropy, metrics: { accuracy }, seed: 1 },
    optimizer: new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay: 5e-4 }),
    schedule: schedule.cosine({ lr, steps }),
  })
  for await (const event of run) {
    if (event.type !== 'epoch') continue
    const { loss, metrics } = event.training
    console.log(`epoch ${event.epoch}: loss ${loss.toFixed(4)}, accuracy ${(100 * metrics.accuracy).toFixed(2)} %`)
  }
}

async function accuracyOf(model) {
  const { metrics } = await evaluate(model, unseen, { batchSize: 100, loss: crossEntropy, metrics: { accuracy } })
  return metrics.accuracy
}

const model = network()
await train(model, Number(values.epochs), 0.05)
const { parameters, operations } = model.summary().total
const rows = [{ error: 0, parameters, operations, accuracy: await accuracyOf(model) }]
for (const error of [0.2, 0.3, 0.4, 0.5, 0.6]) {
  const made = factorize(model, { error })
  const row = {
    error,
    ranks: Object.fromEntries(made.layers.map(({ name, rank, of }) => [name, `${rank} of ${of}`])),
    parameters: made.parameters.after,
    operations: made.operations.after,
    accuracy: await accuracyOf(made.model),
  }
  // What was left out is made good by the layers that follow, once they are trained with it.
  if (error >= 0.3) {
    await train(made.model, 1, 0.01)
    row.accuracy_trained = await accuracyOf(made.model)
  }
  made.model.dispose()
  rows.push(row)
  console.log(JSON.stringify(row))
}
const command = `node examples/node/low-rank.mjs --data-dir DIR --epochs ${values.epochs}`
await write(timed({ command, machine: machineRecord(), rows }))
