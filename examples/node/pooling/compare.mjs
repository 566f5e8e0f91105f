/** The same small network for MNIST with one pooling layer or another: what follows is one linear classifier of 16 · 16 features. */
import {
  accuracy,
  AvgPool2d,
  Conv2d,
  crossEntropy,
  evaluate,
  fit,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  SGD,
} from 'toeplitz'
import { fitNormalization, imageExamples, imageRange } from 'toeplitz/data'
import { ClusterPool, LearnedPool2d } from 'toeplitz/layers'

/** Every one makes 4 × 4 or 16 of the 12 × 12 places of each map. */
export const poolings = {
  'the largest of 3 × 3': () => new MaxPool2d({ kernel: 3 }),
  'the mean of 3 × 3': () => new AvgPool2d({ kernel: 3 }),
  'learned weights of sum 1': () => new LearnedPool2d({ kernel: 3 }),
  'learned weights, any': () => new LearnedPool2d({ kernel: 3, weights: 'free' }),
  'clusters from a grid, their means': () =>
    new ClusterPool({ clusters: [4, 4], location: 3, rounds: 3, pool: 'mean' }),
  'clusters from a grid, their largest': () => new ClusterPool({ clusters: [4, 4], location: 3, rounds: 3 }),
  'clusters of responses alone, their means': () => new ClusterPool({ clusters: 16, rounds: 3, pool: 'mean' }),
}

/** Test errors of each pooling by seed. */
export async function comparePoolings({ training, test }, { pictures, epochs, seeds }) {
  const normalization = fitNormalization(training)
  const examples = imageExamples(imageRange(training, 0, pictures), normalization)
  const unseen = imageExamples(test, normalization)
  const rows = []
  for (const [name, pool] of Object.entries(poolings)) {
    const began = performance.now()
    const errors = []
    let parameters
    for (const seed of seeds) {
      const model = new Sequential(
        [
          new Conv2d({ outChannels: 16, kernel: 5, stride: 2 }),
          new ReLU(),
          pool(),
          new Flatten(),
          new Linear({ outFeatures: 10 }),
        ],
        { input: [1, 28, 28], seed },
      )
      const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 })
      await fit(model, examples, { epochs, batchSize: 64, loss: crossEntropy, optimizer, seed })
      const { metrics } = await evaluate(model, unseen, { batchSize: 100, loss: crossEntropy, metrics: { accuracy } })
      errors.push(1 - metrics.accuracy)
      parameters = model.summary().total.parameters
      for (const each of [optimizer, model]) each.dispose()
    }
    const seconds = Math.round((performance.now() - began) / 1000)
    const test_error = errors.reduce((sum, error) => sum + error) / errors.length
    rows.push({ name, parameters, test_error, errors, seconds })
    console.log(`${name}: ${(100 * test_error).toFixed(2)} % wrong, ${seconds} s for ${seeds.length} seed(s)`)
  }
  return rows
}
