// @ts-check
// Our side of the training step, written as a user of the library would write it.
import {
  Conv2d,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  SGD,
  Sequential,
  crossEntropy,
  scope,
  tensor,
  valueAndGrad,
} from '../../dist/index.js'

/**
 * @param {import('../train-step.mjs').Problem} problem
 * @returns {import('../train-step.mjs').Contender}
 */
export function createOurs({ images, labels, batch, optimizer: settings }) {
  const model = new Sequential(
    [
      new Conv2d({ outChannels: 32, kernel: 5 }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Conv2d({ outChannels: 64, kernel: 5 }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 100 }),
      new ReLU(),
      new Linear({ outFeatures: 10 }),
    ],
    { input: [1, 28, 28], seed: 1 },
  )
  const optimizer = new SGD(model.parameters(), settings)
  let next = 0
  return {
    name: 'ours',
    parameters: () => model.parameters().map((parameter) => parameter.data()),
    step() {
      const begin = next
      const end = begin + batch
      next = end % labels.length
      return scope(() => {
        const x = tensor(images.subarray(begin * 784, end * 784), [batch, 1, 28, 28])
        const lossOf = valueAndGrad(() => crossEntropy(model.forward(x), labels.subarray(begin, end)))
        const { value, gradients } = lossOf(...model.parameters())
        optimizer.step(gradients)
        return value.item()
      })
    },
  }
}
