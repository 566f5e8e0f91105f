import { beforeAll, describe, expect, it } from 'vitest'
import {
  Conv2d,
  Flatten,
  initialize,
  Linear,
  MaxPool2d,
  modelFromJSON,
  ReLU,
  Sequential,
  Softmax,
  type InitializerName,
} from '../../src/nn/index.js'
import { decodeSafetensors, encodeSafetensors } from '../../src/formats/safetensors.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, FormatError, ShapeError } from '../../src/runtime/errors.js'
import { uniform, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { convnet } from '../../src/zoo/convnet.js'

beforeAll(() => init())

const small = (seed = 1): Sequential =>
  new Sequential(
    [
      new Conv2d({ outChannels: 3, kernel: 3, padding: 'same' }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 4 }),
      new Softmax(),
    ],
    { input: [2, 6, 6], seed },
  )

describe('Sequential', () => {
  it('infers the shapes of its layers and names its parameters', () => {
    const model = small()
    expect([...model.namedParameters()].map(([name, { shape }]) => [name, shape])).toEqual([
      ['0.weight', [3, 2, 3, 3]],
      ['0.bias', [3]],
      ['4.weight', [4, 27]],
      ['4.bias', [4]],
    ])
    scope(() => {
      expect(model.forward(zeros([5, 2, 6, 6])).shape).toEqual([5, 4])
    })
    model.dispose()
  })

  it('is built by its first input when it is not told', () => {
    const model = new Sequential([new Flatten(), new Linear({ outFeatures: 2 })])
    expect(() => model.summary()).toThrow(/input is not known yet/)
    scope(() => {
      expect(model.forward(zeros([1, 3, 2])).shape).toEqual([1, 2])
    })
    expect(model.parameters()[0]!.shape).toEqual([2, 6])
    model.dispose()
  })

  it('has the weights of its seed', () => {
    const weights = (seed: number): number[] => {
      const model = small(seed)
      const list = model.parameters().flatMap((parameter) => [...parameter.data()])
      model.dispose()
      return list
    }
    expect(weights(7)).toEqual(weights(7))
    expect(weights(7)).not.toEqual(weights(8))
  })

  it('summarizes the lecture’s network to the digit', () => {
    const model = convnet()
    const { layers, total } = model.summary()
    expect(
      layers.filter((row) => row.operations > 0).map((row) => [row.layer, row.parameters, row.operations, row.output]),
    ).toEqual([
      ['conv(5, 32)', 832, 479232, [32, 24, 24]],
      ['pool(2)', 0, 18432, [32, 12, 12]],
      ['conv(5, 64)', 51264, 3280896, [64, 8, 8]],
      ['pool(2)', 0, 4096, [64, 4, 4]],
      ['fc(100)', 102500, 102500, [100]],
      ['fc(10)', 1010, 1010, [10]],
    ])
    expect(total).toMatchObject({ parameters: 155606, operations: 3886166 })
    expect(String(model.summary())).toContain('conv(5, 64)   64 × 8 × 8        51,264   3,280,896')
    model.dispose()
  })

  it('round-trips through JSON and safetensors', () => {
    const model = small(3)
    const copy = modelFromJSON(JSON.parse(JSON.stringify(model)))
    copy.load(model.save({ note: 'x' }))
    scope(() => {
      const x = uniform([3, 2, 6, 6], { seed: 9 })
      expect(copy.forward(x).data()).toEqual(model.forward(x).data())
    })
    model.dispose()
    copy.dispose()
  })

  it('takes all weights or none', () => {
    const model = small(3)
    const before = model.parameters().map((parameter) => parameter.data())
    const { tensors } = decodeSafetensors(model.save(), 'x')
    const wrong = Object.fromEntries(
      [...tensors].flatMap(([name, { shape, data }]) => {
        if (name === '0.bias') return []
        if (name === '4.weight') return [[name, { shape: [27, 4], data: data as Float32Array }]]
        if (name === '4.bias') return [[name, { shape, data: Float32Array.of(1, 2, NaN, 4) }]]
        return [[name, { shape, data: new Float32Array(data.length) }]]
      }),
    )
    const bytes = encodeSafetensors({ ...wrong, extra: { shape: [1], data: Float32Array.of(1) } })
    expect(() => {
      model.load(bytes, 'w.safetensors')
    }).toThrow(FormatError)
    expect(() => {
      model.load(bytes, 'w.safetensors')
    }).toThrow(
      'w.safetensors: the weights do not match the model: 0.bias (3) is missing; 4.weight is (27, 4), not (4, 27); 4.bias has values that are not finite; extra is not part of the model',
    )
    expect(model.parameters().map((parameter) => parameter.data())).toEqual(before)
    model.dispose()
  })

  it('says which layer an input does not fit, before it allocates', () => {
    const before = memoryUsage().liveBytes
    expect(
      () =>
        new Sequential([new Conv2d({ outChannels: 3, kernel: 3 }), new Linear({ outFeatures: 4 })], {
          input: [1, 8, 8],
        }),
    ).toThrow(
      /layer 1, fc\(4\): Linear: the input must be \(features\), given \(3, 6, 6\); put a Flatten layer before it/,
    )
    expect(() => new Sequential([new Conv2d({ outChannels: 3, kernel: 9 })], { input: [1, 8, 8] })).toThrow(
      /layer 0, conv\(9, 3\)/,
    )
    expect(() => new Sequential([])).toThrow(ShapeError)
    expect(() => new Conv2d({ outChannels: 0, kernel: 3 })).toThrow(
      /outChannels must be whole numbers from 1 on, given 0/,
    )
    expect(() => new Conv2d({ outChannels: 2, kernel: 3, inChannels: 3 }).outputShape([1, 8, 8])).toThrow(
      /inChannels is 3, but the input/,
    )
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('frees its parameters and refuses to work afterwards', () => {
    const before = memoryUsage().liveBytes
    const model = small()
    model.dispose()
    model.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
    expect(() => model.parameters()).toThrow(DisposedError)
    scope(() => {
      expect(() => model.forward(zeros([1, 2, 6, 6]))).toThrow(/model was used after dispose/)
    })
  })
})

describe('modelFromJSON', () => {
  const layers = [{ type: 'Linear', outFeatures: 2 }]
  it.each<[string, unknown, RegExp]>([
    ['no object', 3, /expected an object of type 'Sequential'/],
    ['another type', { type: 'Tree' }, /expected an object of type 'Sequential'/],
    ['a misspelt type', { type: 'Sequental' }, /expected an object of type 'Sequential' or 'Graph': there is no model type 'Sequental'; did you mean 'Sequential'\?/], // prettier-ignore
    ['Keras’s Conv2D', { type: 'Sequential', input: null, layers: [{ type: 'Conv2D' }] }, /there is no layer type 'Conv2D'; did you mean 'Conv2d'\?/], // prettier-ignore
    ['a small letter', { type: 'Sequential', input: null, layers: [{ type: 'Relu' }] }, /there is no layer type 'Relu'; did you mean 'ReLU'\?/], // prettier-ignore
    ['no layers', { type: 'Sequential', layers: [] }, /at least one layer/],
    [
      'an unknown layer',
      { type: 'Sequential', layers: [{ type: 'Conv9d' }] },
      /layer 0: there is no layer type 'Conv9d'; did you mean 'Conv\dd'\? There are .*Conv2d/,
    ],
    ['an inherited name', { type: 'Sequential', layers: [{ type: 'toString' }] }, /no layer type 'toString'/],
    ['a layer that is no object', { type: 'Sequential', layers: [null] }, /a layer must be an object with a type/],
    ['a wrong input', { type: 'Sequential', layers, input: 5 }, /input must be a shape/],
    ['an input that does not fit', { type: 'Sequential', layers, input: [1, 2] }, /model: layer 0, fc\(2\)/],
    ['wrong options', { type: 'Sequential', layers: [{ type: 'Linear', outFeatures: 'x' }] }, /outFeatures/],
  ])('refuses %s', (_, config, message) => {
    expect(() => modelFromJSON(config)).toThrow(FormatError)
    expect(() => modelFromJSON(config)).toThrow(message)
  })
})

describe('initializers', () => {
  const spread = (values: Float32Array): number =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
  it.each<[InitializerName, number]>([
    ['he', Math.sqrt(2 / 72)],
    ['glorot', Math.sqrt(2 / (72 + 288))],
    ['lecun', Math.sqrt(1 / 72)],
  ])('%s has its variance, as normal and as uniform', (name, std) => {
    scope(() => {
      for (const distribution of ['normal', 'uniform'] as const) {
        const values = initialize([32, 8, 3, 3], { name, distribution }, { seed: 1, stream: 0 }).data()
        expect(spread(values) / std).toBeGreaterThan(0.95)
        expect(spread(values) / std).toBeLessThan(1.05)
      }
    })
  })

  it.each([[[5, 12]], [[12, 5]], [[4, 2, 3, 3]]])('orthogonal %j has orthonormal rows or columns', (shape) => {
    scope(() => {
      const values = initialize(shape, 'orthogonal', { seed: 2, stream: 1 }).data()
      const rows = shape[0]!
      const columns = values.length / rows
      const along = Math.min(rows, columns)
      for (let i = 0; i < along; i++) {
        for (let j = 0; j < along; j++) {
          let dot = 0
          for (let k = 0; k < Math.max(rows, columns); k++) {
            dot +=
              rows <= columns
                ? values[i * columns + k]! * values[j * columns + k]!
                : values[k * columns + i]! * values[k * columns + j]!
          }
          expect(dot).toBeCloseTo(i === j ? 1 : 0, 5)
        }
      }
    })
  })

  it('zeros, constant, normal and uniform do what they say, and others are refused', () => {
    scope(() => {
      const source = { seed: 1, stream: 0 }
      expect([...initialize([2], 'zeros', source).data()]).toEqual([0, 0])
      expect([...initialize([2], { name: 'constant', value: 3 }, source).data()]).toEqual([3, 3])
      expect(spread(initialize([5000], { name: 'normal', std: 2 }, source).data())).toBeCloseTo(2, 0)
      expect(Math.max(...initialize([500], { name: 'uniform', low: 2, high: 3 }, source).data())).toBeLessThan(3)
      expect(() => initialize([2], 'ones' as 'zeros', source)).toThrow(/initializer 'ones' does not exist; use zeros/)
    })
  })
})
