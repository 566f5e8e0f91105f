import { beforeAll, describe, expect, it } from 'vitest'
import { modelFromJSON, rbfLoss, type Graph, type SummaryRow } from '../../src/nn/index.js'
import { decodeSafetensors, encodeSafetensors } from '../../src/formats/safetensors.js'
import { crossEntropy } from '../../src/ops/loss.js'
import { SGD } from '../../src/optim/sgd.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'
import { full, uniform, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { fit } from '../../src/train/fit.js'
import { accuracy } from '../../src/train/metrics.js'
import {
  alexnet,
  architectures,
  digitCodes,
  googlenet,
  initializeFromA,
  lenet5,
  lenet5Table,
  lossOf,
  vgg,
  type GoogLeNetOptions,
} from '../../src/zoo/index.js'
import { peakOf } from '../helpers/memory.js'
import { small } from '../helpers/zoo.js'

beforeAll(() => init())

describe('every model of the zoo', () => {
  it.each(Object.keys(architectures))('%s comes back from its files with identical outputs', (name) => {
    const model = small(name, { seed: 3 })
    const copy = modelFromJSON(JSON.parse(JSON.stringify(model)), name)
    copy.load(model.save(), name)
    scope(() => {
      const x = uniform([2, ...model.input!], { seed: 5 })
      const y = model.forward(x)
      expect(y.shape).toEqual([2, ...model.outputShape()])
      expect(y.data().every(Number.isFinite)).toBe(true)
      expect(new Set(y.data()).size).toBeGreaterThan(2)
      expect(copy.forward(x).data()).toEqual(y.data())
      // Auxiliary classifiers too.
      const names = Object.keys(model.auxiliary)
      const [own, theirs] = [model, copy].map((each) => each.run(x, names, { training: true, seed: 1, step: 1 }))
      for (const output of names) expect(own![output]!.data()).toEqual(theirs![output]!.data())
    })
    model.dispose()
    copy.dispose()
  })

  it.each(Object.keys(architectures))('%s has the weights of its seed', (name) => {
    const hash = (seed: number): string => {
      const model = small(name, { seed })
      const sums = model.parameters().map((tensor) => tensor.data().reduce((sum, value) => sum + value, 0))
      model.dispose()
      return sums.join()
    }
    expect(hash(1)).toBe(hash(1))
    expect(hash(1)).not.toBe(hash(2))
  })

  it.each(['alexnet', 'zfnet', 'vgg16', 'nin', 'googlenet', 'googlenet-paper', 'lenet5', 'lenet5-paper'])(
    '%s: memory of passes as predicted',
    (name) => {
      const model = small(name, /lenet/.test(name) ? {} : { width: 1 / 4 })
      model.parameters()
      const { memory } = model.summary(undefined, { batch: 2 }).total
      const pass = (): number =>
        peakOf(() => {
          scope(() => void model.forward(zeros([2, ...model.input!])))
        })
      expect(Math.abs(pass() / (memory.firstPeak - memory.weights) - 1)).toBeLessThan(0.05)
      const live = memoryUsage().liveBytes
      pass()
      expect(Math.abs(pass() / memory.working - 1)).toBeLessThan(0.05)
      expect(memoryUsage().liveBytes - live).toBe(memory.packed)
      model.dispose()
    },
  )
})

describe('weights that do not match', () => {
  it('are listed: missing, left over, of another shape; nothing is changed', () => {
    const narrow = small('vgg-a')
    const { tensors } = decodeSafetensors(small('vgg16').save(), 'vgg16')
    const given = Object.fromEntries(
      [...tensors].filter(([name]) => name !== 'conv2_1.bias').map(([name, { shape, data }]) => [name, { shape, data: data as Float32Array }]), // prettier-ignore
    )
    given['fc8.bias'] = { shape: [2, 3], data: given['fc8.bias']!.data }
    const load = (): void => {
      narrow.load(encodeSafetensors(given), 'vgg16.safetensors')
    }
    const before = [...narrow.namedParameters()].map(([name, tensor]) => [name, tensor.data()])
    expect(load).toThrow(FormatError)
    // Of 16 and 11 layers: five convolutions, weights and biases, too many.
    const extra = ['conv1_2', 'conv2_2', 'conv3_3', 'conv4_3', 'conv5_3'].flatMap((layer) =>
      ['weight', 'bias'].map((part) => `${layer}.${part} is not part of the model`),
    )
    const listed = ['conv2_1.bias (8) is missing', 'fc8.bias is (2, 3), not (6)', ...extra].join('; ')
    expect(load).toThrow(`vgg16.safetensors: the weights do not match the model: ${listed}`)
    expect([...narrow.namedParameters()].map(([name, tensor]) => [name, tensor.data()])).toEqual(before)
  })
})

describe('LeNet-5', () => {
  it('has codes of 84 marks, all different, and the paper’s connections', () => {
    expect(digitCodes.map((code) => code.length)).toEqual(new Array(10).fill(84))
    expect(new Set(digitCodes).size).toBe(10)
    expect(lenet5Table.map((row) => row.filter(Boolean).length)).toEqual([
      3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6,
    ])
    // Each map of S2 is read by ten maps of C3.
    expect([0, 1, 2, 3, 4, 5].map((map) => lenet5Table.filter((row) => row[map]).length)).toEqual(new Array(6).fill(10))
  })

  it('runs over larger images with the same weights: each place is what a window of 32 gives', () => {
    for (const variant of ['lecture', 'paper'] as const) {
      const one = lenet5({ variant, seed: 2 })
      const wide = lenet5({ variant, input: [1, 32, 40] })
      wide.load(one.save())
      scope(() => {
        const x = uniform([1, 1, 32, 40], { seed: 1 })
        const y = wide.forward(x)
        expect(y.shape).toEqual([1, 10, 1, 3])
        const pixels = x.data()
        for (let column = 0; column < 3; column++) {
          const window = zeros([1, 1, 32, 32])
          window.assign(Float32Array.from({ length: 1024 }, (_, i) => pixels[40 * (i >> 5) + (i & 31) + 4 * column]!))
          const expected = one.forward(window).data()
          expected.forEach((value, unit) => {
            expect(y.data()[3 * unit + column]! / value).toBeCloseTo(1, 4)
          })
        }
      })
      one.dispose()
      wide.dispose()
    }
  })

  it('pads smaller images to 32', () => {
    const model = lenet5({ input: [1, 28, 28] })
    expect(model.outputShape()).toEqual([10])
    expect(model.summary().layers[1]).toMatchObject({ layer: 'conv(5, 6, p2)', output: [6, 28, 28] })
    expect(() => lenet5({ variant: 'paper', width: 2 })).toThrow(/the connections of the paper are for 6 and 16 maps/)
  })

  it('has other functions behind its layers where they are asked for, with the same weights', () => {
    const of = (model: Graph): string[] =>
      model.nodes
        .filter(({ layer }) => /tanh|sigmoid|relu/i.test(layer.describe()))
        .map(({ name, layer }) => `${name} ${layer.type}`)
    const [plain, other] = [
      lenet5({ seed: 3 }),
      lenet5({ seed: 3, nonlinearities: { convolution: 'tanh', subsampling: 'none', hidden: 'sigmoid' } }),
    ]
    expect(of(plain)).toEqual(['c1', 's2', 'c3', 's4', 'c5', 'f6'].map((name) => `${name}_tanh ScaledTanh`))
    expect(of(other)).toEqual(['c1_tanh Tanh', 'c3_tanh Tanh', 'c5_tanh Tanh', 'f6_sigmoid Sigmoid'])
    const weights = (model: Graph): [string, Float32Array][] =>
      [...model.namedParameters()].map(([name, tensor]) => [name, tensor.data()])
    expect(weights(other)).toEqual(weights(plain))
    // Without any, all that stands before the codes is affine: steps of one size change F6 by the same amount.
    const nothing = { convolution: 'none', subsampling: 'none', hidden: 'none' } as const
    const affine = lenet5({ seed: 3, nonlinearities: nothing })
    scope(() => {
      const at = (value: number): Float32Array => affine.run(full([1, 1, 32, 32], value), ['f6'])['f6']!.data()
      const [a, b, c] = [at(0), at(1), at(2)]
      expect(c.every((value, i) => Math.abs(value - 2 * b[i]! + a[i]!) < 1e-5)).toBe(true)
    })
    expect(() => lenet5({ nonlinearities: { hidden: 'tan' } as never })).toThrow(
      /^lenet5: nonlinearities.hidden must be 'scaledTanh' or 'tanh' or 'sigmoid' or 'relu' or 'none', given 'tan'$/,
    )
    expect(() => lenet5({ nonlinearities: { conv: 'tanh' } as never })).toThrow(/there is no option 'conv'/)
    for (const model of [plain, other, affine]) model.dispose()
  })

  it('learns by the paper’s loss', async () => {
    const model = lenet5({ variant: 'paper', seed: 1 })
    // The codes themselves as images: 7 × 12 marks, doubled, in the middle of 32 × 32, in the paper's grey levels.
    const draw = (code: string): Float32Array =>
      Float32Array.from({ length: 1024 }, (_, i) => {
        const [row, column] = [((i >> 5) - 4) >> 1, ((i & 31) - 9) >> 1]
        const inside = row >= 0 && row < 12 && column >= 0 && column < 7
        return inside && code[7 * row + column] === '#' ? 1.175 : -0.1
      })
    const images = digitCodes.map(draw)
    const { steps } = await fit(
      model,
      {
        size: 10,
        batch: (indices) => {
          const x = zeros([indices.length, 1, 32, 32])
          x.assign([...indices].flatMap((index) => [...images[index]!]))
          return { x, target: [...indices] }
        },
      },
      {
        epochs: 150,
        batchSize: 10,
        loss: (answers, target: number[]) => rbfLoss(answers, target),
        optimizer: new SGD(model.parameters(), { lr: 0.002, momentum: 0.9 }),
        metrics: { accuracy },
      },
    )
    expect(steps[0]!.loss).toBeGreaterThan(50)
    expect(steps.at(-1)!.loss).toBeLessThan(5)
    expect(steps.at(-1)!.running.metrics['accuracy']).toBe(1)
    model.dispose()
  })
})

describe('the loss of an architecture', () => {
  it('is that of its codes for LeNet-5, and cross-entropy otherwise', () => {
    const answers = uniform([3, 10], { low: -5, high: 0, seed: 1 })
    const labels = [1, 9, 4]
    const value = (name: string): number => lossOf(name)(answers, labels).item()
    expect(value('lenet5')).toBe(rbfLoss(answers, labels).item())
    expect(value('lenet5-paper')).toBe(value('lenet5'))
    expect(value('convnet')).toBe(crossEntropy(answers, labels).item())
    expect(value('convnet')).toBeLessThan(value('lenet5'))
    expect(() => value('lenet')).toThrow(/did you mean lenet5/)
  })
})

describe('GoogLeNet', () => {
  it('adds 0.3 of each auxiliary loss in training, and only there', async () => {
    const make = (auxiliary: boolean): Graph =>
      googlenet({ input: [3, 64, 64], classes: 4, width: 1 / 16, seed: 1, auxiliary })
    const [with2, without] = [make(true), make(false)]
    const data = {
      size: 2,
      batch: () => ({ x: uniform([2, 3, 64, 64], { seed: 2 }), target: [1, 3] }),
    }
    const lossOf = async (model: Graph): Promise<number> => {
      const optimizer = new SGD(model.parameters(), { lr: 0 })
      const run = await fit(model, data, { epochs: 1, batchSize: 2, loss: crossEntropy, optimizer, seed: 4 })
      return run.steps[0]!.loss
    }
    const expected = scope(() => {
      const { x, target } = data.batch()
      const names = ['fc', 'aux1/fc2', 'aux2/fc2']
      const outputs = with2.run(x, names, { training: true, seed: 4, step: 0 })
      const [main, first, second] = names.map((name) => crossEntropy(outputs[name]!, target).item())
      expect(without.forward(x).data()).toEqual(with2.forward(x).data())
      return main! + 0.3 * (first! + second!)
    })
    expect(await lossOf(with2)).toBeCloseTo(expected, 5)
    expect(await lossOf(without)).toBeLessThan(expected - 0.5)
    with2.dispose()
    without.dispose()
  })
})

describe('the auxiliary classifiers of GoogLeNet', () => {
  it('average padded maps where that is asked for, over as many windows', () => {
    const headOf = (options: GoogLeNetOptions): readonly SummaryRow[] => {
      const model = googlenet({ width: 1 / 16, classes: 4, ...options })
      const { layers } = model.summary(undefined, { training: true })
      model.dispose()
      return layers.filter(({ name }) => name.startsWith('aux1/'))
    }
    const [plain, padded] = [headOf({}), headOf({ auxiliaryPadding: 1 })]
    expect([plain[0]!.layer, padded[0]!.layer]).toEqual(['avg(5, 3)', 'avg(5, 3, p1)'])
    expect(padded.map(({ output, parameters }) => [output, parameters])).toEqual(
      plain.map(({ output, parameters }) => [output, parameters]),
    )
    expect(headOf({ auxiliaryPadding: 2 })[0]!.output.slice(1)).toEqual([5, 5])
    expect(() => headOf({ auxiliaryPadding: 3 as never })).toThrow(/^googlenet: auxiliaryPadding must be .*2, given 3$/)
    expect(() => headOf({ variant: 'torchvision', auxiliaryPadding: 1 })).toThrow(/has no option 'auxiliaryPadding'/)
  })
})

describe('VGG', () => {
  it('starts a deep network from configuration A', () => {
    const [a, d] = [small('vgg-a', { seed: 1 }), small('vgg16', { seed: 2 })]
    const copied = initializeFromA(d, a)
    const layers = ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8']
    expect(copied).toEqual(layers.flatMap((name) => [`${name}.weight`, `${name}.bias`]))
    // The others are as they were drawn.
    const drawn = small('vgg16', { seed: 2 })
    for (const [name, tensor] of d.namedParameters()) {
      const from = copied.includes(name) ? a : drawn
      expect(tensor.data(), name).toEqual(from.namedParameters().get(name)!.data())
    }
    for (const model of [a, d, drawn]) model.dispose()
  })

  it('is what it is made of', () => {
    expect(() => vgg({ width: 0 })).toThrow(ShapeError)
    expect(() => alexnet({ input: [3, 20, 20] })).toThrow(/layer \w+, .*: .*kernel/)
  })
})
