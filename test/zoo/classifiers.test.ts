import { beforeAll, describe, expect, it } from 'vitest'
import { Linear } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal } from '../../src/tensor/create.js'
import { convnet, linearClassifier, singleLayerClassifier, twoLayerClassifier } from '../../src/zoo/index.js'

beforeAll(() => init())

describe('classifiers of the lecture', () => {
  it('the linear classifier is one matrix product over the pixels', () => {
    const model = linearClassifier({ input: [3, 4, 5], classes: 7, seed: 2 })
    expect(model.summary().total.parameters).toBe(7 * 60 + 7)
    const [w, b] = model.parameters().map((parameter) => parameter.data()) as [Float32Array, Float32Array]
    const x = normal([2, 3, 4, 5], { seed: 1 })
    const values = x.data()
    const expected = [0, 1].flatMap((n) =>
      Array.from({ length: 7 }, (_, k) => {
        let sum = b[k]!
        for (let i = 0; i < 60; i++) sum += w[k * 60 + i]! * values[n * 60 + i]!
        return sum
      }),
    )
    model
      .forward(x)
      .data()
      .forEach((score, i) => expect(score).toBeCloseTo(expected[i]!, 4))
  })

  it('the two-layer classifier has a hidden layer of the size asked for', () => {
    expect(twoLayerClassifier().summary().total.parameters).toBe(3072 * 100 + 100 + 1010)
    const model = twoLayerClassifier({ input: [1, 2, 2], hidden: 5, classes: 3 })
    expect(model.parameters().map(({ shape }) => shape)).toEqual([[5, 4], [5], [3, 5], [3]])
  })

  it('the single-layer classifier has filters of the number and size asked for, averaged over parts of the picture', () => {
    expect(singleLayerClassifier().summary().total.parameters).toBe(400 * 109 + 1600 * 10 + 10)
    const model = singleLayerClassifier({ input: [1, 12, 12], filters: 7, kernel: 5, grid: 3, classes: 4 })
    expect(model.shapes()).toEqual([[7, 8, 8], [7, 8, 8], [7, 3, 3], [63], [63], [4]])
    expect(model.parameters().map(({ shape }) => shape)).toEqual([[7, 1, 5, 5], [7], [4, 63], [4]])
  })

  it('weights are initialized as asked', () => {
    const std = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length)
    for (const make of [convnet, linearClassifier, singleLayerClassifier, twoLayerClassifier]) {
      const model = make({ weightInit: { name: 'normal', std: 0.3 } })
      for (const parameter of model.parameters()) {
        if (parameter.ndim > 1) expect(Math.abs(std(parameter.data()) - 0.3)).toBeLessThan(0.03)
      }
      const last = model.layers.findLast((layer) => layer instanceof Linear)
      expect(last!.config()['weightInit']).toEqual({ name: 'normal', std: 0.3 })
    }
  })
})
