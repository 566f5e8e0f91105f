/** An allocation or a kernel call that fails while a model is made, run, repeated, trained or loaded leaves nothing behind. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import {
  Add,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  Graph,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from '../../src/nn/index.js'
import { square, sum } from '../../src/ops/index.js'
import { Adagrad, Adam, AdamW, RMSprop, SGD, type Optimizer } from '../../src/optim/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { normal, uniform } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { bitsOf, consumed, expectSurvival, faults, initWithFaults, withFault } from '../helpers/faults.js'
import { layerCases, layerTypes, readModel } from '../helpers/layers.js'

beforeAll(() => initWithFaults())
// Every test disposes what it made, and nobody else holds any of it.
afterEach(() => expect(memoryUsage()).toMatchObject({ liveBytes: 0, blocks: 0 }))

const modelOf = (type: string): Graph => {
  const { input, options } = layerCases[type]!
  return readModel({ type: 'Sequential', input, layers: [{ type, ...options }] })
}

const layers = () => [
  new Conv2d({ outChannels: 16, kernel: 3, padding: 1 }),
  new BatchNorm2d(),
  new ReLU(),
  new MaxPool2d({ kernel: 2 }),
  new Conv2d({ outChannels: 16, kernel: 3 }),
  new BatchNorm2d(),
  new Dropout({ p: 0.3 }),
  new Flatten(),
  new Linear({ outFeatures: 10 }),
]
const make = (): Sequential => new Sequential(layers(), { input: [3, 12, 12], seed: 3 })

/** Two inputs that meet, and two outputs. */
const branched = (): Graph =>
  new Graph(
    [
      { name: 'left', layer: new Conv2d({ outChannels: 4, kernel: 1 }), inputs: ['a'] },
      { name: 'right', layer: new Conv2d({ outChannels: 4, kernel: 1 }), inputs: ['b'] },
      { name: 'both', layer: new Add(), inputs: ['left', 'right'] },
      { name: 'end', layer: new ReLU(), inputs: ['both'] },
    ],
    { inputs: { a: [2, 5, 5], b: [3, 5, 5] }, outputs: ['end', 'left'] },
  )

describe('layers', () => {
  it('are all here', () => {
    expect(Object.keys(layerCases).sort()).toEqual([...layerTypes].sort())
  })

  it.each(Object.keys(layerCases))('%s, forward and backward', (type) => {
    const model = modelOf(type)
    const x = uniform([3, ...layerCases[type]!.input], { seed: 1, low: 0.1, high: 2 })
    const parameters = model.parameters()
    const kept = (): Tensor[] => [x, ...model.namedState().values()]
    const forward = (): Float32Array[] => consumed(model.forward(x))
    const training = (): Float32Array[] => consumed(model.forward(x, { training: true, step: 2 }))
    const backward = (): Float32Array[] => {
      const loss = (): Tensor => sum(square(model.forward(x)))
      const { value, gradients } = valueAndGrad(loss)(...parameters, x)
      return consumed(value, ...gradients)
    }
    for (let pass = 0; pass < 5; pass++) for (const use of [forward, training, backward]) use()
    for (const use of [forward, training, backward]) expectSurvival({ use, kept })
    for (const owned of [model, x]) owned.dispose()
  })

  it.each(Object.keys(layerCases))('%s makes all its weights or none', (type) => {
    let model = modelOf(type)
    const state = (): Float32Array[] => [...model.namedState().values()].map((tensor) => tensor.data())
    const prepare = (): void => {
      model.dispose()
      model = modelOf(type)
    }
    expectSurvival({ use: state, prepare })
    model.dispose()
  })
})

describe('models', () => {
  it('make all their weights or none, and draw the same ones after a failure', () => {
    let model = make()
    const prepare = (): void => {
      model.dispose()
      model = make()
    }
    const use = (): Float32Array[] => model.parameters().map((tensor) => tensor.data())
    expect(expectSurvival({ use, prepare })).toBeGreaterThan(10)
    model.dispose()
  })

  it('are loaded or stay as they were', () => {
    const source = make()
    const bytes = source.save()
    let model = make()
    const prepare = (): void => {
      model.dispose()
      model = make()
    }
    const use = (): Float32Array[] => {
      model.load(bytes)
      return model.parameters().map((tensor) => tensor.data())
    }
    expect(expectSurvival({ use, prepare })).toBeGreaterThan(5)
    for (const owned of [model, source]) owned.dispose()
  })

  it('take the input from the first pass that succeeds', () => {
    const model = new Sequential([
      new Conv2d({ outChannels: 4, kernel: 3 }),
      new Flatten(),
      new Linear({ outFeatures: 2 }),
    ])
    const x = normal([2, 3, 8, 8], { seed: 1 })
    const wrong = normal([2, 3, 2, 2], { seed: 1 })
    expect(() => model.forward(wrong)).toThrow(/layer 0/)
    expect(model.input).toBeUndefined()
    for (let index = 0; ; index++) {
      const { chances, thrown, injected } = withFault('allocation', index, () => consumed(model.forward(x)))
      if (chances <= index) break
      expect(thrown).toBe(injected)
      if (model.input) break
    }
    const same = new Sequential(layersLike(model), { input: [3, 8, 8] })
    expect(consumed(model.forward(x)).map(bitsOf)).toEqual(consumed(same.forward(x)).map(bitsOf))
    for (const owned of [model, same, x, wrong]) owned.dispose()
  })
  const layersLike = (_: Sequential) => [
    new Conv2d({ outChannels: 4, kernel: 3 }),
    new Flatten(),
    new Linear({ outFeatures: 2 }),
  ]

  it('in training move running statistics and the number of the step only in a pass that succeeds', () => {
    const [model, sound] = [make(), make()]
    const x = normal([3, 3, 12, 12], { seed: 1 })
    const pass = (each: Sequential): number[][] => consumed(each.train().forward(x)).map(bitsOf)
    const state = (each: Sequential): number[][] => [...each.namedState().values()].map((w) => bitsOf(w.data()))
    for (let step = 0; step < 2; step++) {
      for (const fault of faults) {
        for (let index = 0; ; index++) {
          const before = state(model)
          // The one pass without a fault is that of `sound`.
          let output: number[][] = []
          const { chances, thrown, injected } = withFault(fault, index, () => (output = pass(model)))
          if (chances <= index) {
            expect(output).toEqual(pass(sound))
            expect(state(model)).toEqual(state(sound))
            break
          }
          expect(thrown).toBe(injected)
          expect(state(model)).toEqual(before)
        }
      }
    }
    for (const owned of [model, sound, x]) owned.dispose()
  })
})

describe('passes', () => {
  const x = (): Tensor => normal([1, 3, 12, 12], { seed: 1 })

  it('that are repeated for the first time: what depends on weights may be kept by then, as long as the model', () => {
    const image = x()
    const { blocks } = memoryUsage()
    const passes = (use: (pass: () => Float32Array[]) => void): void => {
      const model = make()
      const pass = (): Float32Array[] => consumed(model.forward(image))
      pass()
      use(pass)
      model.dispose()
      expect(memoryUsage().blocks).toBe(blocks)
    }
    let expected: Float32Array[] = []
    passes((pass) => (expected = pass()))
    for (const fault of faults) {
      let tried = 0
      for (let left = true; left; tried++) {
        passes((pass) => {
          const { chances, thrown, injected } = withFault(fault, tried, () => void pass())
          left = chances > tried
          expect(thrown).toBe(left ? injected : undefined)
          expect(pass()).toEqual(expected)
        })
      }
      expect(tried).toBeGreaterThan(5)
    }
    image.dispose()
  })

  it('that are repeated', () => {
    const image = x()
    const model = make()
    const use = (): Float32Array[] => consumed(model.forward(image))
    for (let pass = 0; pass < 5; pass++) use()
    const kept = (): Tensor[] => [image, ...model.namedState().values()]
    expect(expectSurvival({ use, kept })).toBeGreaterThan(5)
    for (const owned of [model, image]) owned.dispose()
  })

  it('with several inputs and outputs, from the first to a repeated one', () => {
    const model = branched()
    const [a, b] = [normal([1, 2, 5, 5], { seed: 1 }), normal([1, 3, 5, 5], { seed: 2 })]
    model.parameters()
    const use = (): Float32Array[] => consumed(...Object.values(model.run({ a, b })))
    expectSurvival({ use, kept: () => [a, b] })
    for (let pass = 0; pass < 5; pass++) use()
    expect(expectSurvival({ use, kept: () => [a, b] })).toBeGreaterThan(4)
    for (const owned of [model, a, b]) owned.dispose()
  })
})

describe('packed weights', () => {
  it('are those of the weights that there are, whoever packed them', () => {
    const model = new Sequential(
      [new Conv2d({ outChannels: 16, kernel: 3 }), new ReLU(), new Flatten(), new Linear({ outFeatures: 4 })],
      { input: [3, 10, 10] },
    )
    const x = normal([1, 3, 10, 10], { seed: 1 })
    const answer = (): Float32Array[] => consumed(model.forward(x))
    for (let pass = 0; pass < 3; pass++) answer()
    // New weights, packed once by training.
    for (const w of model.parameters()) w.assign(w.data())
    const { value, gradients } = valueAndGrad(() => sum(model.forward(x)))(...model.parameters())
    consumed(value, ...gradients)
    const expected = answer()
    // What is free is written over.
    const others = Array.from({ length: 500 }, (_, i) => normal([((i * 37) % 2000) | 64], { seed: i }))
    expect(answer()).toEqual(expected)
    for (const owned of [model, x, ...others]) owned.dispose()
  })
})

describe('optimizers', () => {
  it.each<[string, (parameters: Tensor[]) => Optimizer]>([
    ['SGD', (parameters) => new SGD(parameters, { lr: 0.1 })],
    ['SGD with momentum', (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9 })],
    ['Adam', (parameters) => new Adam(parameters)],
    ['AdamW', (parameters) => new AdamW(parameters)],
    ['RMSprop', (parameters) => new RMSprop(parameters, { momentum: 0.5 })],
    ['Adagrad', (parameters) => new Adagrad(parameters)],
  ])('%s: are made whole or not; a step takes no memory, and is whole or not for one parameter', (_, construct) => {
    const w = [normal([5, 7], { seed: 1 }), normal([5], { seed: 2 })]
    const construction = (): Float32Array[] => {
      construct(w).dispose()
      return []
    }
    expectSurvival({ use: construction, kept: () => w })
    const [parameter] = w as [Tensor, Tensor]
    const optimizer = construct([parameter])
    const dw = normal([5, 7], { seed: 3 })
    optimizer.step([dw])
    const initial = { state: optimizer.state(), w: parameter.data() }
    const step = (): Float32Array[] => {
      optimizer.step([dw])
      const { tensors, numbers } = optimizer.state()
      const values = Object.values(tensors).map(({ data }) => data)
      return [parameter.data(), ...values, Float32Array.of(numbers['step'] as number)]
    }
    const prepare = (): void => {
      optimizer.loadState(initial.state)
      parameter.assign(initial.w)
    }
    expect(withFault('allocation', 0, () => optimizer.step([dw])).chances).toBe(0)
    expect(expectSurvival({ use: step, kept: () => [parameter, dw], prepare })).toBeGreaterThan(0)
    // With two parameters the first may have been updated: the step does not count.
    const both = construct(w)
    const dws = [dw, normal([5], { seed: 4 })]
    const last = withFault('kernel call', -1, () => both.step(dws)).chances - 1
    const { thrown, injected } = withFault('kernel call', last, () => both.step(dws))
    expect(thrown).toBe(injected)
    expect(both.steps).toBe(1)
    for (const owned of [...w, ...dws, optimizer, both]) owned.dispose()
  })
})
