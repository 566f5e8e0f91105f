/** Layers that are not trained. */
import { beforeAll, describe, expect, it } from 'vitest'
import { BatchNorm2d, Conv2d, Flatten, Graph, Linear, modelFromJSON, ReLU, Sequential } from '../../src/nn/index.js'
import { SGD } from '../../src/optim/index.js'
import { crossEntropy } from '../../src/ops/loss.js'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { init } from '../../src/runtime/embedded.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'
import { normal } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { fit } from '../../src/train/fit.js'

beforeAll(() => init())

const model = (): Graph =>
  new Graph(
    [
      { name: 'conv1', layer: new Conv2d({ outChannels: 3, kernel: 3 }) },
      { name: 'bn1', layer: new BatchNorm2d() },
      { name: 'relu', layer: new ReLU() },
      { name: 'conv2', layer: new Conv2d({ outChannels: 2, kernel: 3 }) },
      { name: 'flat', layer: new Flatten() },
      { name: 'head', layer: new Linear({ outFeatures: 2 }) },
    ],
    { inputs: { input: [1, 6, 6] }, seed: 3 },
  )
const names = (of: Graph): string[] => [...of.namedParameters().keys()]
const all = ['conv1', 'bn1', 'conv2', 'head'].flatMap((name) => [`${name}.weight`, `${name}.bias`])
const values = (of: Graph): Map<string, Float32Array> =>
  new Map([...of.namedState()].map(([name, tensor]) => [name, tensor.data()]))

const examples = {
  size: 8,
  batch: (indices: Int32Array) => ({
    x: normal([indices.length, 1, 6, 6], { seed: 100 + (indices[0] ?? 0) }),
    target: indices.map((index) => index % 2),
  }),
}

describe('a model', () => {
  it('gives the parameters that are trained, by name, pattern and function', () => {
    const m = model()
    expect(names(m)).toEqual(all)
    expect(names(m.freeze('conv1'))).toEqual(all.filter((name) => !name.startsWith('conv1')))
    expect(m.parameters()).toHaveLength(6)
    expect(names(m.freeze(/^conv/gy))).toEqual(['bn1.weight', 'bn1.bias', 'head.weight', 'head.bias'])
    expect(names(m.freeze((layer) => layer.type === 'BatchNorm2d'))).toEqual(['head.weight', 'head.bias'])
    expect(names(m.unfreeze('conv2'))).toEqual(['conv2.weight', 'conv2.bias', 'head.weight', 'head.bias'])
    expect(names(m.unfreeze(/./))).toEqual(all)
    ;(m.layers[0] as Conv2d).trainable = false
    expect(names(m)).toEqual(all.slice(2))
    expect([...m.namedState().keys()]).toHaveLength(10)
    m.dispose()
  })

  it('can be frozen before its weights are made, as a whole', () => {
    scope(() => {
      const m = new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { seed: 1 }).freeze(() => true)
      const other = new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { seed: 1 })
      const x = normal([2, 5])
      expect(m.forward(x).data()).toEqual(other.forward(x).data())
      expect(m.parameters()).toEqual([])
      expect(() => new SGD(m.parameters(), { lr: 1 })).toThrow(
        /^SGD: parameters must be an array of at least one Tensor/,
      )
      for (const each of [m, other]) each.dispose()
    })
  })

  it('freezes what shares a layer, by any of its names', () => {
    const shared = new Linear({ outFeatures: 4 })
    const m = new Graph([{ name: 'a', layer: shared }, { name: 'b', layer: shared }], { inputs: { input: [4] } }) // prettier-ignore
    expect(names(m.freeze('b'))).toEqual([])
    m.dispose()
  })

  it.each<[unknown, RegExp]>([
    [
      'conv3',
      /^freeze: there is no layer 'conv3'; did you mean 'conv\d'\? There are conv1, bn1, relu, conv2, flat, head$/,
    ],
    [/^pool/, /^freeze: no layer of 'conv1', 'bn1', .* is meant; give a name, a RegExp or a function/],
    [() => false, /^freeze: no layer of/],
    [
      () => Promise.resolve(false),
      /^freeze and unfreeze: what the function of a layer gives must be true or false, given a Promise/,
    ],
    [() => 'yes', /must be true or false, given 'yes'$/],
    [undefined, /^freeze: no layer of/],
  ])('refuses %s', (which, message) => {
    const m = model()
    expect(() => m.freeze(which as string)).toThrow(ShapeError)
    expect(() => m.freeze(which as string)).toThrow(message)
    expect(names(m)).toEqual(all)
    m.dispose()
  })

  it('keeps what is frozen through its JSON form', () => {
    const m = model().freeze(/^(conv|bn)/)
    const again = modelFromJSON(JSON.parse(JSON.stringify(m)))
    expect(names(again)).toEqual(['head.weight', 'head.bias'])
    again.load(m.save())
    expect(values(again)).toEqual(values(m))
    const chain = new Sequential([new Linear({ outFeatures: 2 }), new Linear({ outFeatures: 2 })], { input: [3] })
    chain.freeze('0')
    expect(names(modelFromJSON(JSON.parse(JSON.stringify(chain))))).toEqual(['1.weight', '1.bias'])
    const config = { type: 'Sequential', input: [3], layers: [{ type: 'Linear', outFeatures: 2, trainable: 'no' }] }
    expect(() => modelFromJSON(config)).toThrow(FormatError)
    expect(() => modelFromJSON(config)).toThrow(/^model: layer 0: trainable must be true or false, given 'no'$/)
    for (const each of [m, again, chain]) each.dispose()
  })
})

describe('a frozen batch normalization', () => {
  it('keeps its statistics and uses them in training', () => {
    scope(() => {
      const m = model()
      const x = normal([4, 1, 6, 6], { seed: 9, mean: 2 })
      m.forward(x, { training: true })
      m.freeze('bn1')
      const before = values(m)
      const trained = m.forward(x, { training: true })
      expect(values(m)).toEqual(before)
      // In use, what multiplies channels is part of the weights before it: the same numbers but for their rounding.
      const used = m.forward(x).data()
      trained.data().forEach((value, at) => expect(used[at]).toBeCloseTo(value, 4))
      // The gradient for what lies before it is that of the statistics as constants.
      const { gradients } = valueAndGrad(() => crossEntropy(m.forward(x, { training: true }), [0, 1, 0, 1]))(
        ...(m.parameters() as [Tensor]),
      )
      const inUse = valueAndGrad(() => crossEntropy(m.forward(x), [0, 1, 0, 1]))(...(m.parameters() as [Tensor]))
      gradients.forEach((gradient, index) => {
        expect(gradient.data()).toEqual(inUse.gradients[index]!.data())
      })
      m.unfreeze('bn1').forward(x, { training: true })
      expect(values(m).get('bn1.runningMean')).not.toEqual(before.get('bn1.runningMean'))
      m.dispose()
    })
  })
})

describe('training', () => {
  it('changes what is not frozen, and nothing else', async () => {
    const m = model().freeze(/1$/)
    const before = values(m)
    const optimizer = new SGD(m.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 0.1 })
    await fit(m, examples, { epochs: 2, batchSize: 4, loss: crossEntropy, optimizer })
    const changed = [...values(m)].filter(([name, data]) => String(data) !== String(before.get(name)))
    expect(changed.map(([name]) => name)).toEqual(['conv2.weight', 'conv2.bias', 'head.weight', 'head.bias'])
    optimizer.dispose()
    m.dispose()
  })
})
