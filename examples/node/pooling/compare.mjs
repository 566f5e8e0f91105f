/** The same small network for MNIST with one pooling layer or another: what follows is one linear classifier of 16 · 16 features. */
import { AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, SGD } from 'toeplitz'
import { fitNormalization, imageExamples, imageRange } from 'toeplitz/data'
import { ClusterPool, LearnedPool2d } from 'toeplitz/layers'
import { testErrors } from '../testErrors.mjs'

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

/** One convolution, a pooling and a linear classifier. */
const networkWith = (pool, seed) =>
  new Sequential(
    [
      new Conv2d({ outChannels: 16, kernel: 5, stride: 2 }),
      new ReLU(),
      pool(),
      new Flatten(),
      new Linear({ outFeatures: 10 }),
    ],
    { input: [1, 28, 28], seed },
  )

/** Test errors of each pooling by seed. */
export async function comparePoolings({ training, test }, { pictures, epochs, seeds }) {
  const normalization = fitNormalization(training)
  const examples = imageExamples(imageRange(training, 0, pictures), normalization)
  const unseen = imageExamples(test, normalization)
  const rows = []
  for (const [name, pool] of Object.entries(poolings)) {
    const began = performance.now()
    const row = await testErrors(seeds, {
      model: (seed) => networkWith(pool, seed),
      optimizer: (model) => new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 }),
      examples: () => examples,
      ...{ unseen, epochs, batchSize: 64 },
    })
    const seconds = Math.round((performance.now() - began) / 1000)
    rows.push({ name, ...row, seconds })
    console.log(`${name}: ${(100 * row.test_error).toFixed(2)} % wrong, ${seconds} s for ${seeds.length} seed(s)`)
  }
  return rows
}
