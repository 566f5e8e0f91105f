/**
 * Pictures of different sizes, trained and tested as they are (section 9.7): digits of MNIST on pictures of seven sizes, through
 * LeNet-5. From C5 on everything stands at each place, and the mean over the places is the answer for a picture.
 */
import { globalAvgPool } from 'toeplitz'
import { fitNormalization, imageRange, sizedExamples } from 'toeplitz/data'
import { resizeGrayscale } from 'toeplitz/io'
import { loadMnist } from 'toeplitz/node'
import { lenet5 } from 'toeplitz/zoo'
import { random, trainAndTest } from './common.mjs'

const sizes = [
  [32, 32],
  [32, 40],
  [40, 32],
  [40, 40],
  [40, 48],
  [48, 40],
  [48, 48],
]

/** Each digit brought to a height and a width that are drawn, with distortion. */
function collection({ images, labels, size, classes }, seed) {
  const next = random(seed)
  const chosen = Array.from({ length: size }, () => sizes[Math.floor(next() * sizes.length)])
  const pictures = chosen.map(([H, W], n) => {
    const data = images.subarray(n * 784, (n + 1) * 784)
    return resizeGrayscale({ data, width: 28, height: 28, channels: 1 }, W, H).data
  })
  return { size, labels: labels.subarray(0, size), classes, channels: 1, sizes: chosen, read: (n) => pictures[n] }
}

export async function sizesOf() {
  const mnist = await loadMnist()
  const normalization = fitNormalization(mnist.training)
  const digits = { training: imageRange(mnist.training, 0, 6000), test: imageRange(mnist.test, 0, 2000) }
  const training = sizedExamples(collection(digits.training, 1), normalization)
  const model = lenet5({ input: [1, 48, 48], seed: 1 })
  return trainAndTest(model, {
    name: 'sizes',
    data: '6,000 digits of MNIST on pictures of seven sizes from 32 × 32 to 48 × 48, tested with 2,000 of the test digits',
    training: { ...training, shape: [1, '32 … 48', '32 … 48'] },
    test: sizedExamples(collection(digits.test, 2), normalization),
    classes: mnist.training.classes,
    output: (y) => globalAvgPool(y).reshape([-1, 10]),
    ...{ epochs: 6, lr: 0.002 },
  })
}
