import { beforeAll, describe, expect, it } from 'vitest'
import { runtimeInfo } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { createModel } from '../../src/zoo/index.js'
import { peakOf } from '../helpers/memory.js'

beforeAll(() => init({ threads: 2 }))

describe('memory on two threads', () => {
  it.each(['vgg16', 'googlenet'])('%s: as predicted, each thread with a workspace of its own', (name) => {
    expect(runtimeInfo().threads).toBe(2)
    const model = createModel(name, { input: [3, 64, 64], width: 1 / 2, classes: 10 })
    model.parameters()
    const { memory } = model.summary(undefined, { batch: 2 }).total
    const pass = (): number =>
      peakOf(() => {
        scope(() => void model.forward(zeros([2, 3, 64, 64])))
      })
    expect(Math.abs(pass() / (memory.firstPeak - memory.weights) - 1)).toBeLessThan(0.05)
    pass()
    expect(Math.abs(pass() / memory.working - 1)).toBeLessThan(0.05)
    model.dispose()
  })
})
