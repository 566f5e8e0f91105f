/** Outputs in batches beside one forward pass, and models with another last layer. */
import { beforeAll, describe, expect, it } from 'vitest'
import * as t from '../../src/index.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { parameterGroups, predictBatches, replaceHead } from '../../src/training/index.js'
import { googlenet } from '../../src/zoo/index.js'

beforeAll(() => init())

const chain = (seed = 1): t.Sequential =>
  new t.Sequential(
    [new t.Conv2d({ outChannels: 3, kernel: 3 }), new t.BatchNorm2d(), new t.ReLU(), new t.Dropout({ p: 0.5 }), new t.Flatten(), new t.Linear({ outFeatures: 4 })], // prettier-ignore
    { input: [1, 4, 4], seed },
  )

describe('outputs in batches', () => {
  it('are those of one pass, of tensors, arrays and examples', async () => {
    const model = chain()
    model.train()
    const x = t.normal([7, 1, 4, 4], { seed: 2 })
    const whole = t.scope(() => model.forward(x, { training: false }).data())
    const told: number[] = []
    const examples = t.tensorExamples(x, [0, 1, 2, 3, 0, 1, 2])
    const distant = {
      size: 7,
      read: (indices: Int32Array) => Promise.resolve({ indices, batch: () => examples.batch(indices) }),
    }
    for (const data of [x, x.data(), examples, distant]) {
      const y = await predictBatches(model, data, { batchSize: 3, onBatch: (done) => told.push(done) })
      expect(y.shape).toEqual([7, 4])
      // The number of inputs decides how a convolution is computed, so that the last bits may differ.
      expect(Math.max(...y.data().map((value, i) => Math.abs(value - whole[i]!)))).toBeLessThan(1e-5)
      y.dispose()
    }
    expect(told.slice(0, 3)).toEqual([3, 6, 7])
    expect(model.training).toBe(true)
    for (const owned of [x, model]) owned.dispose()
  })

  it('end by a signal, and leave nothing', async () => {
    const model = chain()
    const x = t.zeros([4, 1, 4, 4])
    model.forward(x).dispose()
    const before = memoryUsage().liveBytes
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(predictBatches(model, x, { batchSize: 2, signal })).rejects.toThrow('enough')
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each<[string, (model: t.Sequential) => unknown, RegExp]>([
    [
      'no model',
      () => predictBatches({} as never, t.zeros([1, 1, 4, 4])),
      /the model must be a Sequential.*no forward/,
    ],
    [
      'no data',
      (model) => predictBatches(model, undefined as never),
      /the data must be a Tensor, a typed array or examples/,
    ],
    [
      'empty data',
      (model) => predictBatches(model, new Float32Array(0)),
      /one or more inputs of \(1, 4, 4\), given 0 elements/,
    ],
    ['an empty tensor', (model) => predictBatches(model, t.zeros([0, 1, 4, 4])), /given \(0, 1, 4, 4\)$/],
    ['half an input', (model) => predictBatches(model, new Float32Array(17)), /given 17 elements/],
    [
      'another shape',
      (model) => predictBatches(model, t.zeros([2, 1, 2, 2])),
      /Conv2d: a kernel of \(3, 3\) reaches over 3 elements/,
    ],
    ['a batch of 0', (model) => predictBatches(model, t.zeros([2, 1, 4, 4]), { batchSize: 0 }), /batchSize must be/],
    [
      'an unknown option',
      (model) => predictBatches(model, t.zeros([2, 1, 4, 4]), { batch: 1 } as never),
      /did you mean/,
    ],
    [
      'a controller',
      (model) => predictBatches(model, t.zeros([2, 1, 4, 4]), { signal: {} as never }),
      /signal must be an AbortSignal/,
    ],
    [
      'what cannot be read',
      (model) =>
        predictBatches(model, {
          size: 2,
          read: (indices) => {
            const read = indices.subarray(0, 1)
            return Promise.resolve({ indices: read, batch: () => ({ x: t.zeros([1, 1, 4, 4]), target: 0 }) })
          },
        }),
      /^predictBatches: example 1 cannot be read; leave it out of the data$/,
    ],
    [
      'sizes',
      (model) => predictBatches(model, { size: 1, groups: [0], batch: () => undefined as never }),
      /predict each size/,
    ],
  ])('of %s are refused', async (_, call, message) => {
    const model = chain()
    await expect(Promise.resolve().then(() => call(model))).rejects.toThrow(message)
    model.dispose()
  })
})

describe('a model with another last layer', () => {
  it('has all other weights, and shares none', () => {
    const trained = chain(5)
    trained.freeze((layer) => layer.type === 'Conv2d')
    const { model, head } = replaceHead(trained, { classes: 2, seed: 9 })
    expect(head).toBe('5')
    expect(model).toBeInstanceOf(t.Sequential)
    expect(model.outputShape()).toEqual([2])
    const [before, after] = [trained.namedState(), model.namedState()]
    expect([...after.keys()]).toEqual([...before.keys()])
    for (const [name, weights] of after) {
      if (name.startsWith('5.')) continue
      expect(weights.data(), name).toEqual(before.get(name)!.data())
      expect(weights.storage).not.toBe(before.get(name)!.storage)
    }
    expect([...model.namedParameters().keys()]).not.toContain('0.weight')
    expect(after.get('5.weight')!.shape).toEqual([2, 12])
    const same = replaceHead(trained, { classes: 4, seed: 5 })
    const other = replaceHead(trained, { classes: 4, seed: 6 })
    expect(same.model.namedState().get('5.weight')!.data()).not.toEqual(
      other.model.namedState().get('5.weight')!.data(),
    )
    expect(
      model
        .namedState()
        .get('5.weight')!
        .data()
        .some((value) => value !== 0),
    ).toBe(true)
    trained.dispose()
    expect(model.forward(t.zeros([1, 1, 4, 4])).shape).toEqual([1, 2])
  })

  it('may end in a softmax, or in a convolution and a mean', () => {
    const ends = [
      [new t.Flatten(), new t.Linear({ outFeatures: 4 }), new t.Softmax({ inLoss: true })],
      [new t.Conv2d({ outChannels: 4, kernel: 1 }), new t.ReLU(), new t.GlobalAvgPool(), new t.Flatten()],
    ]
    for (const end of ends) {
      const trained = new t.Sequential([new t.Conv2d({ outChannels: 3, kernel: 3 }), ...end], { input: [1, 4, 4] })
      expect(replaceHead(trained, { classes: 7 }).model.outputShape()).toEqual([7])
    }
  })

  it('is a graph where it was one, without auxiliary outputs', () => {
    const trained = googlenet({ classes: 3, width: 0.1, input: [3, 64, 64], auxiliary: true } as never)
    const { model, head } = replaceHead(trained, { classes: 2 })
    expect(model.auxiliary).toEqual({})
    expect(model.outputShape()).toEqual([2])
    expect(model.namedState().size).toBeLessThan(trained.namedState().size)
    expect([...model.namedState().keys()]).toContain(`${head}.weight`)
  })

  it.each<[string, () => t.Graph, object, RegExp]>([
    ['no classes', chain, { classes: 0 }, /classes must be a whole number from 1/],
    ['an odd seed', chain, { classes: 2, seed: -1 }, /seed/],
    ['an unknown option', chain, { classes: 2, class: 3 }, /did you mean 'classes'\?/],
    ['no model', () => 3 as never, { classes: 2 }, /the model must be a Sequential or a Graph/],
    ['an input that is not known', () => new t.Sequential([new t.Linear({ outFeatures: 2 })]), { classes: 2 }, /input/],
    [
      'no weights',
      () => new t.Sequential([new t.ReLU()], { input: [2] }),
      { classes: 2 },
      /no single layer with weights/,
    ],
    ['a normalization', () => new t.Sequential([new t.Linear({ outFeatures: 3 }), new t.BatchNorm1d()], { input: [2] }), { classes: 2 }, /'1', is of type BatchNorm1d; one of Linear/], // prettier-ignore
    ['places of their own', () => new t.Sequential([new t.Conv2d({ outChannels: 3, kernel: 2 }), new t.Flatten()], { input: [1, 3, 3] }), { classes: 2 }, /the output would be \(8\) in place of \(2\)/], // prettier-ignore
  ])('is refused with %s', (_, make, options, message) => {
    expect(() => replaceHead(make(), options as never)).toThrow(message)
  })
})

describe('groups of parameters', () => {
  it('have those of each selection, and the others last', () => {
    const model = chain()
    const groups = parameterGroups(model, [
      { layers: '5', lr: 0.5 },
      { layers: (layer) => layer.type !== 'Conv2d', lr: 0.2 },
    ])
    const named = model.namedParameters()
    const of = (...names: string[]) => names.map((name) => named.get(name))
    expect(groups).toEqual([
      { parameters: of('5.weight', '5.bias'), lr: 0.5 },
      { parameters: of('1.weight', '1.bias'), lr: 0.2 },
      { parameters: of('0.weight', '0.bias') },
    ])
    const optimizer = new t.SGD(groups, { lr: 0.1 })
    expect(optimizer.parameters).toHaveLength(6)
    model.freeze('0')
    expect(parameterGroups(model, [{ layers: /[15]/ }])).toHaveLength(1)
  })

  it.each<[string, unknown, RegExp]>([
    ['no list', {}, /the groups must be a list/],
    ['no selection', [{ lr: 1 }], /group 0 must be .*; it has no layers/],
    ['a number', [{ layers: 5 }], /layers of group 0 must be a name, a RegExp or a function/],
    [
      'a layer that there is not',
      [{ layers: 'head' }],
      /group 0 means no layer that is trained .*the layers are 0, 1, 2/,
    ],
    ['the same twice', [{ layers: '5' }, { layers: '5' }], /group 1 means no layer/],
    ['an option that there is not', [{ layers: '5', rate: 1 }], /group 0: there is no option 'rate'/],
  ])('are refused with %s', (_, groups, message) => {
    const model = chain()
    expect(() => new t.SGD(parameterGroups(model, groups as never), { lr: 0.1 })).toThrow(message)
  })
})
