/** 1-D, several channels: angles of the joints of a skeleton over time, (9, 45). */
import { BatchNorm1d, Conv1d, Flatten, GlobalAvgPool, Linear, MaxPool1d, ReLU, Sequential } from 'toeplitz'
import { movements as make } from 'toeplitz/volumes'
import { trainAndTest } from './common.mjs'

export function movements() {
  const training = make({ count: 1200, noise: 0.3, seed: 1 })
  const test = make({ count: 600, noise: 0.3, seed: 2 })
  const block = (outChannels) => [
    new Conv1d({ outChannels, kernel: 5, padding: 2, bias: false }),
    new BatchNorm1d(),
    new ReLU(),
    new MaxPool1d({ kernel: 2 }),
  ]
  const model = new Sequential(
    [...block(24), ...block(48), new GlobalAvgPool(), new Flatten(), new Linear({ outFeatures: 6 })],
    { input: [...training.shape], seed: 1 },
  )
  return trainAndTest(model, {
    name: 'movements',
    data: 'movements({ count: 1200, noise: 0.3, seed: 1 }), tested with 600 of the seed 2',
    ...{ training, test, classes: training.classes, epochs: 10, lr: 0.005 },
  })
}
