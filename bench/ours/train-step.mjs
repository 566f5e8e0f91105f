// @ts-check
// Our side of the training step, written as a user of the library would write it.
import { SGD, crossEntropy, scope, tensor, valueAndGrad } from '../../dist/index.js'
import { createModel } from '../../dist/zoo.js'
import { networkOf } from '../networks/steps.mjs'
import { algorithmsOfNetwork } from './algorithms.mjs'

/**
 * Our side, the algorithms of its step, and the problem for the peers, which begin with the same weights.
 * @param {Pick<import('../train-step.mjs').Case, 'model' | 'input'>} item
 * @param {Omit<import('../train-step.mjs').Problem, 'network'>} data
 * @returns {{
 *   ours: import('../train-step.mjs').Contender,
 *   algorithm: string,
 *   problem: import('../train-step.mjs').Problem,
 * }}
 */
export function createOurs({ model: name, input }, data) {
  const { images, labels, batch, optimizer: settings } = data
  const model = createModel(name, { seed: 1, input })
  const optimizer = new SGD(model.parameters(), settings)
  const pixels = input.reduce((product, extent) => product * extent, 1)
  const network = networkOf(model)
  let next = 0
  return {
    algorithm: algorithmsOfNetwork(model, network, batch, { training: true }),
    problem: { ...data, network },
    ours: {
      name: 'ours',
      parameters: () => model.parameters().map((parameter) => parameter.data()),
      step() {
        const begin = next
        const end = begin + batch
        next = end % labels.length
        return scope(() => {
          const x = tensor(images.subarray(begin * pixels, end * pixels), [batch, ...input])
          const lossOf = valueAndGrad(() => crossEntropy(model.forward(x), labels.subarray(begin, end)))
          const { value, gradients } = lossOf(...model.parameters())
          optimizer.step(gradients)
          return value.item()
        })
      },
      dispose: () => model.dispose(),
    },
  }
}
