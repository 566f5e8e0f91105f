/** A small problem to train on: bars across or down. */
import { imageExamples } from '../../src/data/images.js'
import type { ImageDataset } from '../../src/data/dataset.js'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js'
import { crossEntropy } from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { accuracy, type Examples, type FitOptions } from '../../src/train/index.js'

/** Pictures of 8 × 8 with a bright bar: class 0 across, class 1 down. */
export function bars(size: number): ImageDataset {
  const images = new Uint8Array(size * 64)
  const labels = Uint8Array.from({ length: size }, (_, n) => n % 2)
  for (let n = 0; n < size; n++) {
    const place = (n * 5) % 8
    for (let i = 0; i < 8; i++) images[n * 64 + (labels[n] === 0 ? place * 8 + i : i * 8 + place)] = 200 + (n % 50)
  }
  return { images, labels, size, shape: [1, 8, 8], classes: ['across', 'down'] }
}

export const normalization = { mean: 0.1, std: 0.3 }
export const examples = (size: number): Examples<Int32Array> => imageExamples(bars(size), normalization)

export function setting(lr = 0.05): { model: Sequential; optimizer: SGD } {
  const model = new Sequential(
    [
      new Conv2d({ outChannels: 4, kernel: 3 }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 2 }),
    ],
    { input: [1, 8, 8], seed: 1 },
  )
  return { model, optimizer: new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay: 1e-3 }) }
}

export const options = (optimizer: SGD, more: Partial<FitOptions<Int32Array>> = {}): FitOptions<Int32Array> => ({
  epochs: 3,
  batchSize: 10,
  loss: crossEntropy,
  optimizer,
  metrics: { accuracy },
  seed: 4,
  ...more,
})
