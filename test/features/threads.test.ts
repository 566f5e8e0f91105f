/** What is learned has the same bits on any number of threads. */
import { afterAll, expect, it } from 'vitest'
import { ConvRBM, greedyPretrain, kMeansFilters, sparseFilters } from '../../src/features/index.js'
import { ReLU } from '../../src/nn/activation.js'
import { Conv2d } from '../../src/nn/conv.js'
import { Sequential } from '../../src/nn/sequential.js'
import { runtimeInfo } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { uniform } from '../../src/tensor/create.js'

afterAll(() => init())

it('on two and on one', async () => {
  const learned: string[] = []
  for (const threads of [2, 1]) {
    await init({ threads })
    expect(runtimeInfo().threads).toBe(threads)
    const x = uniform([64, 1, 16, 16], { seed: 3 })
    const found = await kMeansFilters(x, { filters: 16, size: 5, patches: 3000, rounds: 2 })
    const coded = await sparseFilters(x, { filters: 16, size: 5, patches: 1000, rounds: 2 })
    const machine = new ConvRBM({ filters: 8, size: 5 })
    await machine.train(x, { epochs: 1, batchSize: 16 })
    const model = new Sequential([new Conv2d({ outChannels: 8, kernel: 5 }), new ReLU()], { input: [1, 16, 16] })
    await greedyPretrain(model, x, { epochs: 1, batchSize: 16 })
    const tensors = [found.weight, found.bias, coded.weight, coded.bias, machine.filters, ...model.parameters()]
    learned.push(tensors.map((tensor) => String(tensor.data())).join('\n'))
    for (const { weight, bias, dictionary } of [found, coded]) {
      for (const item of [weight, bias, dictionary]) item.dispose()
    }
    for (const item of [x, machine, model]) item.dispose()
  }
  expect(learned[1]).toBe(learned[0])
})
