/**
 * Trains a small ConvNet on MNIST and writes it as one file.
 *
 *   node examples/node/train.mjs [--epochs 4] [--data-dir DIR] [--out model.safetensors]
 */
import { parseArgs } from 'node:util'
import {
  accuracy,
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
} from 'toeplitz'
import { fitNormalization, imageExamples } from 'toeplitz/data'
import { digitPictures, encodeModel, plainPreprocessing } from 'toeplitz/io'
import { loadMnist, writeFileAtomically } from 'toeplitz/node'

const { values } = parseArgs({
  options: {
    epochs: { type: 'string', default: '4' },
    'data-dir': { type: 'string' },
    out: { type: 'string', default: 'model.safetensors' },
  },
})
const epochs = Number(values.epochs)
const batchSize = 64

await init()
const { training, test } = await loadMnist(values['data-dir'])
// Digits that are dark on light are inverted when the model is used.
const preprocessing = { ...plainPreprocessing(training.shape, fitNormalization(training)), ...digitPictures }

const model = new Sequential(
  [
    new Conv2d({ outChannels: 8, kernel: 5 }),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
    new Conv2d({ outChannels: 16, kernel: 5 }),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
    new Flatten(),
    new Linear({ outFeatures: 10 }),
  ],
  { input: [1, 28, 28], seed: 1 },
)
console.log(String(model.summary()))

const steps = epochs * Math.ceil(training.size / batchSize)
const run = fit(model, imageExamples(training, preprocessing), {
  epochs,
  batchSize,
  loss: crossEntropy,
  optimizer: new SGD(model.parameters(), { lr: 0.04, momentum: 0.9, weightDecay: 5e-4 }),
  schedule: schedule.warmup(100, schedule.cosine({ lr: 0.04, steps: Math.max(1, steps - 100) })),
  metrics: { accuracy },
  seed: 1,
})
for await (const event of run) {
  if (event.type === 'epoch') {
    const { loss, metrics } = event.training
    console.log(`epoch ${event.epoch}: loss ${loss.toFixed(4)}, accuracy ${(100 * metrics.accuracy).toFixed(2)} %`)
  }
}

const { metrics } = await evaluate(model, imageExamples(test, preprocessing), {
  batchSize: 250,
  loss: crossEntropy,
  metrics: { accuracy },
})
console.log(`test accuracy ${(100 * metrics.accuracy).toFixed(2)} %`)
const classes = Array.from({ length: 10 }, (_, digit) => String(digit))
await writeFileAtomically(values.out, encodeModel(model, { name: 'small ConvNet on MNIST', preprocessing, classes }))
console.log(`model in ${values.out}`)
