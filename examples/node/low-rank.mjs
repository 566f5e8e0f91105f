/**
 * A VGG-like network for CIFAR-10, trained, and then with layers of low rank in its place: what that saves, and what it costs in
 * accuracy, as it is and after one more epoch of training.
 *
 *   node examples/node/low-rank.mjs --data-dir DIR [--epochs 4] [--out result.json]
 */
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
  options: { 'data-dir': { type: 'string' }, epochs: { type: 'string', default: '4' }, out: { type: 'string' } },
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

/** Milliseconds that a picture takes, one at a time: the least of thirty rounds of ten, after a second in which the engine warms up. */
function timeOf(model) {
  const x = uniform([1, 3, 32, 32])
  const round = () => {
    const began = performance.now()
    for (let n = 0; n < 10; n++) model.forward(x).dispose()
    return (performance.now() - began) / 10
  }
  for (const until = performance.now() + 1000; performance.now() < until;) round()
  const least = Math.min(...Array.from({ length: 30 }, round))
  x.dispose()
  return Number(least.toFixed(3))
}

const model = new Sequential(
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
await train(model, Number(values.epochs), 0.05)
const { parameters, operations } = model.summary().total
const rows = [{ error: 0, parameters, operations, accuracy: await accuracyOf(model), ms: timeOf(model) }]
for (const error of [0.2, 0.3, 0.4, 0.5, 0.6]) {
  const made = factorize(model, { error })
  const row = {
    error,
    ranks: Object.fromEntries(made.layers.map(({ name, rank, of }) => [name, `${rank} of ${of}`])),
    parameters: made.parameters.after,
    operations: made.operations.after,
    accuracy: await accuracyOf(made.model),
    ms: timeOf(made.model),
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
console.table(rows, ['error', 'parameters', 'operations', 'accuracy', 'accuracy_trained', 'ms'])

if (values.out) {
  const result = {
    command: `node examples/node/low-rank.mjs --data-dir DIR --epochs ${values.epochs}`,
    machine: machineRecord(),
    rows,
  }
  await writeFileAtomically(values.out, `${JSON.stringify(result, null, 2)}\n`)
}
