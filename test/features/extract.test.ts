/** Features of a data set, computed once, and the head that is trained on them. */
import { beforeAll, describe, expect, it } from 'vitest'
import { extractFeatures, headOf } from '../../src/features/index.js'
import { Add, BatchNorm1d, Conv2d, Flatten, Graph, Linear, ReLU, Sequential } from '../../src/nn/index.js'
import { crossEntropy } from '../../src/ops/loss.js'
import { SGD } from '../../src/optim/sgd.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { tensorExamples } from '../../src/train/examples.js'
import { evaluate, fit } from '../../src/train/fit.js'
import { accuracy } from '../../src/train/metrics.js'

beforeAll(() => init())

const make = (): Sequential =>
  new Sequential(
    [
      new Conv2d({ outChannels: 4, kernel: 3 }),
      new ReLU(),
      new Flatten(),
      new BatchNorm1d({ affine: false }),
      new Linear({ outFeatures: 2 }),
    ],
    { input: [1, 5, 5], seed: 1 },
  )
/** The class is the sign of the sum. */
function examples(): { x: Tensor; labels: Int32Array } {
  const x = normal([30, 1, 5, 5], { seed: 2 })
  const values = x.data()
  const labels = Int32Array.from({ length: 30 }, (_, n) =>
    values.subarray(n * 25, (n + 1) * 25).reduce((sum, value) => sum + value, 0) > 0 ? 1 : 0,
  )
  return { x, labels }
}

it('are what the layer gives, in the order of the examples, for any batches', async () => {
  const model = make()
  const { x, labels } = examples()
  const expected = scope(() => model.run(x, ['2'])['2']!.data())
  const done: number[] = []
  const features = await extractFeatures(model, '2', tensorExamples(x, labels), {
    batchSize: 7,
    onBatch: (count) => void done.push(count),
  })
  expect(done).toEqual([7, 14, 21, 28, 30])
  expect(features.shape).toEqual([36])
  expect(features.values).toEqual(expected)
  expect(features.size).toBe(30)
  expect([...(features.labels as number[])]).toEqual([...labels])
  scope(() => {
    const { x: batch, target } = features.batch(Int32Array.of(4, 29))
    expect(batch.shape).toEqual([2, 36])
    expect(batch.data().subarray(36)).toEqual(expected.subarray(29 * 36))
    expect(target).toEqual(Int32Array.of(labels[4]!, labels[29]!))
  })
  const ofArrays = await extractFeatures(model, '2', { x: x.data(), y: labels })
  expect(ofArrays.values).toEqual(expected)
  // Maps keep their shape.
  const maps = await extractFeatures(model, '1', tensorExamples(x, labels))
  expect(maps.shape).toEqual([4, 3, 3])
  for (const item of [model, x]) item.dispose()
})

it('train the head alone, and the model with it', async () => {
  const before = memoryUsage().liveBytes
  const model = make()
  const { x, labels } = examples()
  const data = tensorExamples(x, labels)
  const first = [...model.namedState()].map(([name, tensor]) => [name, tensor.data()] as const)
  const features = await extractFeatures(model, '2', data)
  const head = headOf(model, '2')
  expect(head.nodes.map(({ name }) => name)).toEqual(['3', '4'])
  expect([...head.namedParameters().keys()]).toEqual(['4.weight', '4.bias'])
  const optimizer = new SGD(head.parameters(), { lr: 0.1 })
  await fit(head, features, { epochs: 30, batchSize: 10, loss: crossEntropy, optimizer })
  const measured = { batchSize: 30, loss: crossEntropy, metrics: { accuracy } }
  const [ofHead, ofModel] = [await evaluate(head, features, measured), await evaluate(model, data, measured)]
  expect(ofModel).toEqual(ofHead)
  expect(ofModel.metrics.accuracy).toBeGreaterThan(0.95)
  for (const [name, values] of first) {
    const now = model.namedState().get(name)!.data()
    if (name.startsWith('0.')) expect(now).toEqual(values)
    else expect(now).not.toEqual(values)
  }
  for (const item of [optimizer, head, model, x]) item.dispose()
  expect(memoryUsage().liveBytes).toBe(before)
})

it('begin with the same weights, whether the head or the model is asked first', () => {
  const [one, other] = [make(), make()]
  const weights = one.namedState().get('4.weight')!.data()
  const head = headOf(other, '2')
  expect(head.namedState().get('4.weight')!.data()).toEqual(weights)
  for (const model of [one, other, head]) model.dispose()
})

it('keep targets of every kind', async () => {
  const model = make()
  const { x } = examples()
  const rows = normal([30, 3], { seed: 5 })
  const ofRows = await extractFeatures(model, '2', tensorExamples(x, rows), { batchSize: 8 })
  scope(() => expect(ofRows.batch(Int32Array.of(11)).target.data()).toEqual(rows.data().subarray(33, 36)))
  const names = Array.from({ length: 30 }, (_, n) => `name ${n}`)
  const ofNames = await extractFeatures(model, '2', tensorExamples(x, names), { batchSize: 8 })
  scope(() => expect(ofNames.batch(Int32Array.of(2, 9)).target).toEqual(['name 2', 'name 9']))
  // Of examples that cannot be read there are no features.
  const all = tensorExamples(x, names)
  const distant = {
    size: 30,
    read: (indices: Int32Array) => {
      const sound = indices.filter((index) => index % 3 > 0)
      return Promise.resolve({ indices: sound, batch: () => all.batch(sound) })
    },
  }
  const fewer = await extractFeatures(model, '2', distant, { batchSize: 8 })
  expect(fewer.size).toBe(20)
  scope(() => expect(fewer.batch(Int32Array.of(0, 19)).target).toEqual(['name 1', 'name 29']))
  for (const item of [model, x, rows]) item.dispose()
})

describe('a head', () => {
  /** A branch that joins the trunk again. */
  const branching = (): Graph =>
    new Graph(
      [
        { name: 'a', layer: new Linear({ outFeatures: 3 }), inputs: 'x' },
        { name: 'b', layer: new ReLU() },
        { name: 'c', layer: new Add(), inputs: ['a', 'b'] },
        { name: 'd', layer: new Linear({ outFeatures: 2 }) },
      ],
      { inputs: { x: [4] }, outputs: ['d'] },
    )

  it('may branch behind the layer', () => {
    const model = branching()
    const head = headOf(model, 'a')
    scope(() => {
      const x = tensor([[1, 2, 3, 4]])
      const { a, d } = model.run(x, ['a', 'd'])
      expect(head.forward(a!).data()).toEqual(d!.data())
    })
    for (const item of [head, model]) item.dispose()
  })

  it.each([
    ['b', /^headOf: layer 'a' reads the input 'x' beside 'b'; choose a later layer/],
    ['d', /^headOf: 'd' is the output of the model; nothing comes behind it/],
    ['e', /^headOf: there is no layer 'e'; there are a, b, c, d|^headOf: there is no layer 'e'/i],
  ])('is not made behind %s', (until, message) => {
    const model = branching()
    expect(() => headOf(model, until)).toThrow(ShapeError)
    expect(() => headOf(model, until)).toThrow(message)
    model.dispose()
  })
})

it('are refused of what has none', async () => {
  const model = make()
  const { x, labels } = examples()
  const data = tensorExamples(x, labels)
  const before = memoryUsage().liveBytes
  const wrong: [unknown[], RegExp][] = [
    [[{}, '2', data], /^extractFeatures: the model must be a Sequential or a Graph/],
    [[model, 'conv', data], /^extractFeatures: there is no layer 'conv'/],
    [[model, '2', x], /^extractFeatures: features need targets/],
    [[model, '2', { size: 0 }], /^extractFeatures: the data must be/],
    [[model, '2', data, { batchSize: 0 }], /^extractFeatures: batchSize must be a whole number from 1/],
    [[model, '2', data, { size: 3 }], /^extractFeatures: there is no option 'size'/],
    [[model, '2', { size: 30, batch: () => ({ x: x.alias(), target: 5 }) }], /the targets of a batch must be/],
    [[model, '2', { size: 2, batch: () => ({ x: x.alias(), target: [1, 2] }) }], /a batch of 2 examples has inputs/],
  ]
  for (const [args, message] of wrong) {
    const call = extractFeatures(...(args as Parameters<typeof extractFeatures>))
    await expect(call).rejects.toThrow(message)
  }
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(extractFeatures(model, '2', data, { signal })).rejects.toThrow('enough')
  expect(memoryUsage().liveBytes - before).toBeLessThan(2000)
  for (const item of [model, x]) item.dispose()
})
