/** Training steps of every architecture, narrow: a seed gives one hash. */
import { createHash } from 'node:crypto'
import { beforeAll, expect, it } from 'vitest'
import { SGD } from '../../src/optim/sgd.js'
import { init } from '../../src/runtime/embedded.js'
import { uniform } from '../../src/tensor/create.js'
import { sizeOf } from '../../src/tensor/shape.js'
import { fit } from '../../src/train/fit.js'
import { architectures, lossOf } from '../../src/zoo/index.js'
import { small } from '../helpers/zoo.js'

beforeAll(() => init())

/** Losses of some steps on four random images, and the hash of the weights afterwards. */
async function train(name: string, seed: number, epochs: number): Promise<{ losses: number[]; hash: string }> {
  const model = small(name, { seed, weightInit: 'he' })
  const places = sizeOf(model.outputShape().slice(1))
  const optimizer = new SGD(model.parameters(), { lr: 0.005, momentum: 0.9, weightDecay: 1e-4 })
  const data = {
    size: 4,
    batch: (indices: Int32Array) => ({
      x: uniform([indices.length, ...model.input!], { low: -1, high: 1, seed: 100 + indices[0]! }),
      // One for each picture, or for each of its pixels.
      target: [...indices].flatMap((index) => new Array<number>(places).fill(index % 4)),
    }),
  }
  const loss = lossOf(name)
  const { steps } = await fit(model, data, { epochs, batchSize: 2, loss, optimizer, seed, clipNorm: 1 })
  const hash = createHash('sha256').update(model.save()).digest('hex')
  model.dispose()
  optimizer.dispose()
  return { losses: steps.map((step) => step.loss), hash }
}

it.each(Object.keys(architectures))('%s: two trainings with one seed give one hash', async (name) => {
  const [first, second, other] = [await train(name, 1, 2), await train(name, 1, 2), await train(name, 2, 2)]
  expect(first.losses.every(Number.isFinite)).toBe(true)
  expect(second).toEqual(first)
  expect(other.hash).not.toBe(first.hash)
  expect(new Set(first.losses).size).toBe(first.losses.length)
})
