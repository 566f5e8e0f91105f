/** 3-D, several channels: digits of MNIST that move, in colour, (3, 8, 32, 32). The class is the direction. */
import { BatchNorm3d, Conv3d, Flatten, GlobalAvgPool, Linear, MaxPool3d, ReLU, Sequential } from 'toeplitz'
import { imageRange } from 'toeplitz/data'
import { loadMnist } from 'toeplitz/node'
import { movingPictures } from 'toeplitz/volumes'
import { trainAndTest } from './common.mjs'

export async function video() {
  const mnist = await loadMnist()
  const training = movingPictures(imageRange(mnist.training, 0, 10_000), { count: 2000, seed: 1 })
  const test = movingPictures(mnist.test, { count: 800, seed: 2 })
  const model = new Sequential(
    [
      // Half as many rows and columns at once: the first convolution would else take most of the time.
      new Conv3d({ outChannels: 16, kernel: [3, 5, 5], stride: [1, 2, 2], padding: [1, 2, 2], bias: false }),
      new BatchNorm3d(),
      new ReLU(),
      new Conv3d({ outChannels: 32, kernel: 3, stride: [1, 2, 2], padding: 1, bias: false }),
      new BatchNorm3d(),
      new ReLU(),
      new MaxPool3d({ kernel: 2 }),
      new Conv3d({ outChannels: 64, kernel: 3, padding: 1, bias: false }),
      new BatchNorm3d(),
      new ReLU(),
      new GlobalAvgPool(),
      new Flatten(),
      new Linear({ outFeatures: 8 }),
    ],
    { input: [...training.shape], seed: 1 },
  )
  return trainAndTest(model, {
    name: 'video',
    data: 'digits of MNIST in movingPictures({ count: 2000, seed: 1 }), tested with 800 of the test digits and the seed 2',
    ...{ training, test, classes: training.classes, epochs: 12, lr: 0.003 },
  })
}
