/** Pooling whose regions are found, whose weights are learned, and over some channels alone. */
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { clusterPool } from '../../src/features/index.js'
import * as layers from '../../src/layers/index.js'
import { Conv2d, Flatten, Graph, Linear, modelFromJSON, ReLU, Sequential, type Layer } from '../../src/nn/index.js'
import { add, avgPool2d, conv2d, maxout, mseLoss, mul, weightedPool2d } from '../../src/ops/index.js'
import { Adam } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

const { ChannelPool, ClusterPool, LearnedPool2d } = layers

beforeAll(() => init())

const run = (layer: Layer, x: Tensor): Tensor => layer.forward(x, { training: true, seed: 0, step: 0, stream: 0 })
const close = (a: Tensor, b: Tensor, digits = 5): void => {
  expect(a.shape).toEqual(b.shape)
  const expected = b.data()
  a.data().forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, digits))
}

describe('LearnedPool2d', () => {
  it.each([{}, { shared: true }, { weights: 'free' }, { weights: 'free', shared: true }] as const)(
    'of %j begins as average pooling, and has gradients of input and weights',
    (options) => {
      scope(() => {
        const layer = new LearnedPool2d({ kernel: [2, 3], stride: 2, padding: 1, ...options })
        const x = normal([2, 3, 6, 7], { seed: 1 })
        layer.build([3, 6, 7], () => ({ seed: 1, stream: 0 }))
        const [weight] = [...layer.parameters().values()] as [Tensor]
        expect(weight.shape).toEqual([options.shared ? 1 : 3, 2, 3])
        close(run(layer, x), avgPool2d(x, { kernel: [2, 3], stride: 2, padding: 1 }))
        const drawn = normal(weight.shape, { seed: 2 }).data()
        weight.assign(drawn)
        expect(gradcheck((given) => run(layer, given), [x])).toMatchObject({ ok: true })
        const moved = (given: Tensor): Tensor => {
          const values = given.data()
          if (values.some((value, i) => value !== weight.data()[i])) weight.assign(values)
          return run(layer, x)
        }
        expect(gradcheck(moved, [weight])).toMatchObject({ ok: true })
      })
    },
  )

  it('is a weighted mean, whose weights are the softmax of what is learned', () => {
    scope(() => {
      const x = normal([2, 3, 6, 7], { seed: 1 })
      const layer = new LearnedPool2d({ kernel: 2, shared: true })
      layer.build([3, 6, 7], () => ({ seed: 1, stream: 0 }))
      layer
        .tensors()
        .get('weight')!
        .assign(Float32Array.of(0, 1, -1, 2))
      const weights = [0, 1, -1, 2].map(Math.exp)
      close(run(layer, x), weightedPool2d(x, { weights: [weights.slice(0, 2), weights.slice(2)], stride: 2 }))
      const each = new LearnedPool2d({ kernel: 2, weights: 'free' })
      each.build([3, 6, 7], () => ({ seed: 1, stream: 0 }))
      const free = normal([3, 2, 2], { seed: 5 })
      each.tensors().get('weight')!.assign(free.data())
      close(run(each, x), conv2d(x, free.reshape([3, 1, 2, 2]), { stride: 2, groups: 3 }))
    })
  })

  it('learns which element of a window counts, within a model that is saved and read again', () => {
    const make = (): Sequential => new Sequential([new LearnedPool2d({ kernel: 2 })], { input: [2, 8, 8], seed: 1 })
    const model = make()
    const x = normal([16, 2, 8, 8], { seed: 3 })
    // The upper left element of each window in the first channel, the mean in the second.
    const one = tensor([1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25], [2, 1, 2, 2])
    const y = conv2d(x, one, { stride: 2, groups: 2 })
    const [weight] = model.parameters() as [Tensor]
    const optimizer = new Adam([weight], { lr: 0.1 })
    model.train()
    for (let step = 0; step < 200; step++)
      scope(() => optimizer.step(valueAndGrad(() => mseLoss(model.forward(x), y))(weight).gradients))
    model.eval()
    scope(() => {
      expect(mseLoss(model.forward(x), y).item()).toBeLessThan(1e-3)
      const again = modelFromJSON(JSON.parse(JSON.stringify(model)), 'model', { layers })
      again.load(model.save())
      expect([...again.forward(x).data()]).toEqual([...model.forward(x).data()])
      expect(() => modelFromJSON(JSON.parse(JSON.stringify(model)))).toThrow(/there is no layer type 'LearnedPool2d'/)
      again.dispose()
    })
    for (const each of [x, y, one, optimizer, model]) each.dispose()
  })

  it('refuses what does not fit', () => {
    const make =
      (options: object): (() => unknown) =>
      () =>
        new LearnedPool2d(options as never)
    expect(make({})).toThrow(/^LearnedPool2d: kernel must be/)
    expect(make({ kernel: 2, weights: 'max' })).toThrow(
      /^LearnedPool2d: weights must be 'softmax' or 'free', given 'max'$/,
    )
    expect(make({ kernel: 2, shared: 1 })).toThrow(/^LearnedPool2d: shared must be true or false, given 1$/)
    expect(() => new LearnedPool2d({ kernel: 5 }).outputShape([3, 4, 8])).toThrow(/^LearnedPool2d: /)
    expect(() => new LearnedPool2d({ kernel: 2 }).outputShape([3, 4])).toThrow(/^LearnedPool2d: the input must be/)
  })
})

describe('ChannelPool', () => {
  it('pools its groups and leaves the others', () => {
    scope(() => {
      const x = normal([2, 8, 3, 4], { seed: 1 })
      const values = x.data()
      for (const pool of ['max', 'mean'] as const) {
        const y = run(new ChannelPool({ groups: [[5, 0, 2], [7]], pool }), x)
        expect(y.shape).toEqual([2, 6, 3, 4])
        const at = (n: number, c: number, p: number): number => values[(n * 8 + c) * 12 + p]!
        y.data().forEach((value, i) => {
          const [n, c, p] = [Math.floor(i / 72), Math.floor(i / 12) % 6, i % 12]
          const group = [5, 0, 2].map((channel) => at(n, channel, p))
          const pooled = pool === 'max' ? Math.max(...group) : (group[0]! + group[1]! + group[2]!) / 3
          expect(value).toBeCloseTo(c === 0 ? pooled : at(n, [7, 1, 3, 4, 6][c - 1]!, p), 6)
        })
      }
    })
  })

  it('of equal groups of all channels is maxout', () => {
    scope(() => {
      const x = normal([2, 6, 5], { seed: 1 })
      const groups = [[0, 1], [2, 3], [4, 5]] // prettier-ignore
      expect([...run(new ChannelPool({ groups }), x).data()]).toEqual([...maxout(x, 2).data()])
    })
  })

  it.each(['max', 'mean'] as const)('has gradients: %s', (pool) => {
    scope(() => {
      const x = mul(normal([2, 5, 3, 2], { seed: 2 }), 5)
      const layer = new ChannelPool({ groups: [[4, 1], [0]], pool })
      expect(gradcheck((given) => run(layer, given), [x])).toMatchObject({ ok: true })
    })
  })

  it('refuses what does not fit', () => {
    const make =
      (options: object): (() => unknown) =>
      () =>
        new ChannelPool(options as never)
    expect(make({})).toThrow(/^ChannelPool: groups must be a list of lists of channels/)
    expect(make({ groups: [] })).toThrow(/^ChannelPool: give at least one group of channels$/)
    expect(make({ groups: [[1], []] })).toThrow(/^ChannelPool: group 1 has no channels$/)
    expect(make({ groups: [3] })).toThrow(/^ChannelPool: group 0 must be a list of channels, given 3$/)
    expect(make({ groups: [[1, 2], [2]] })).toThrow(/^ChannelPool: channel 2 is in the groups twice$/)
    expect(make({ groups: [[-1]] })).toThrow(/^ChannelPool: a channel of group 0 must be a whole number from 0/)
    expect(make({ groups: [[0]], pool: 'sum' })).toThrow(/^ChannelPool: pool must be 'max' or 'mean', given 'sum'$/)
    expect(() => new ChannelPool({ groups: [[0, 3]] }).outputShape([3, 4])).toThrow(
      /^ChannelPool: there is no channel 3 in an input \(3, 4\)$/,
    )
  })
})

describe('ClusterPool', () => {
  it('is the function, in a model that runs as it is trained', () => {
    scope(() => {
      const x = normal([3, 2, 9, 8], { seed: 1 })
      const model = new Sequential(
        [new Conv2d({ outChannels: 4, kernel: 3 }), new ReLU(), new ClusterPool({ clusters: [2, 2], location: 1 })],
        { input: [2, 9, 8], seed: 1 },
      )
      model.forward(x) // makes the weights
      const maps = model.layers.slice(0, 2).reduce((y, layer) => run(layer, y), x)
      const expected = [...clusterPool(maps, { clusters: [2, 2], location: 1 }).data()]
      for (let pass = 0; pass < 3; pass++) expect([...model.forward(x).data()]).toEqual(expected)
      const again = modelFromJSON(JSON.parse(JSON.stringify(model)), 'model', { layers })
      again.load(model.save())
      expect([...again.forward(x).data()]).toEqual(expected)
      model.dispose()
      again.dispose()
    })
  })

  it('learns in a graph beside another branch', () => {
    const x = normal([16, 1, 8, 8], { seed: 2 })
    const y = normal([16, 3], { seed: 3 })
    const graph = new Graph(
      [
        { name: 'c', layer: new Conv2d({ outChannels: 4, kernel: 3 }), inputs: ['input'] },
        { name: 'r', layer: new ReLU(), inputs: ['c'] },
        { name: 'p', layer: new ClusterPool({ clusters: 3, pool: 'mean' }), inputs: ['r'] },
        { name: 'q', layer: new ClusterPool({ clusters: 2, of: 'channels' }), inputs: ['r'] },
        { name: 'pf', layer: new Flatten(), inputs: ['p'] },
        { name: 'qf', layer: new Flatten(), inputs: ['q'] },
        { name: 'a', layer: new Linear({ outFeatures: 3 }), inputs: ['pf'] },
        { name: 'b', layer: new Linear({ outFeatures: 3 }), inputs: ['qf'] },
      ],
      { inputs: { input: [1, 8, 8] }, outputs: ['a', 'b'], seed: 1 },
    )
    const optimizer = new Adam(graph.parameters(), { lr: 0.01 })
    const loss = (): Tensor => {
      const { a, b } = graph.run(x)
      return mseLoss(add(a!, b!), y)
    }
    graph.train()
    const losses: number[] = []
    for (let step = 0; step < 100; step++) {
      scope(() => {
        const { value, gradients } = valueAndGrad(loss)(...graph.parameters())
        losses.push(value.item())
        optimizer.step(gradients)
      })
    }
    expect(losses.at(-1)).toBeLessThan(0.2 * losses[0]!)
    for (const each of [x, y, optimizer, graph]) each.dispose()
  })

  it('refuses what does not fit', () => {
    const make =
      (options: object): (() => unknown) =>
      () =>
        new ClusterPool(options as never)
    expect(make({ clusters: 2, pool: 'sum' })).toThrow(/^ClusterPool: pool must be 'max' or 'mean', given 'sum'$/)
    expect(make({ clusters: 2, location: -1 })).toThrow(/^ClusterPool: location must be/)
    expect(make({ clusters: 2, rounds: 1.5 })).toThrow(/^ClusterPool: rounds must be/)
    expect(make({ clusters: 2, seed: 1 })).toThrow(/^ClusterPool: there is no option 'seed'/)
    expect(() => new ClusterPool({} as never).outputShape([3, 4, 4])).toThrow(/^ClusterPool: clusters must be/)
    expect(() => new ClusterPool({ clusters: 17 }).outputShape([3, 4, 4])).toThrow(
      /^ClusterPool: 17 clusters cannot be made of the places of \(3, 4, 4\)$/,
    )
  })
})
