/** Networks with torchvision's names: names and shapes of its state dicts, and what PyTorch computes by them. */
import { beforeAll, describe, expect, it } from 'vitest'
import { loadStateDict } from '../../src/io/index.js'
import { BatchNorm2d, type Graph } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { tensor, zeros } from '../../src/tensor/create.js'
import type { Shape } from '../../src/tensor/shape.js'
import { scope } from '../../src/tensor/tensor.js'
import {
  alexnet,
  architecture,
  googlenet,
  mobilenetV2,
  resnet18,
  resnet20,
  resnet50,
  vgg,
  type ZooOptions,
} from '../../src/zoo/index.js'
import { images, stateDict, stateShapes, torchvision } from '../helpers/torchvision.js'

beforeAll(() => init())

const theirs = (name: string): string =>
  name.replace(/runningMean$/, 'running_mean').replace(/runningVar$/, 'running_var')

/** What a model keeps, by PyTorch's names, without making its weights. */
function shapesOf(model: Graph): Map<string, Shape> {
  const outputs = model.shapes()
  const shapes = new Map([['input', model.input as Shape], ...model.nodes.map(({ name }, i) => [name, outputs[i]!] as const)]) // prettier-ignore
  return new Map(
    model.nodes.flatMap(({ name, layer, inputs }) =>
      layer
        .weights(shapes.get(inputs[0]!)!)
        .map(({ name: part, shape }) => [theirs(`${name}.${part}`), shape] as const),
    ),
  )
}

const networks = Object.entries(torchvision)
const sorted = (entries: Iterable<readonly [string, Shape]>): string[] =>
  [...entries].map(([name, shape]) => `${name} ${shape.join('×')}`).sort()
const make = (name: string, options?: ZooOptions): Graph => architecture(name).make(options)

describe('state dicts of torchvision', () => {
  it('are seventeen', () => {
    expect(networks).toHaveLength(17)
  })

  it.each(networks)('%s: every name and shape', (name, network) => {
    const model = make(name)
    expect(sorted(shapesOf(model))).toEqual(sorted(stateShapes(network)))
    model.dispose()
  })

  it.each(networks)('%s: the logits that PyTorch computes', (name, network) => {
    const { width, size, logits } = network
    const options = { classes: 10, ...(width === 1 ? {} : { width }) }
    // Made for another size than that of the images, which heads that average the last maps take as well.
    const model = make(name, { ...options, input: [3, size[0] + 32, size[1] + 16] })
    const narrow = shapesOf(model)
    const file = stateDict(stateShapes(network).map(([key]) => [key, narrow.get(key)!]))
    expect(loadStateDict(model, file)).toEqual({ missing: [], unexpected: [] })
    const largest = logits.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const error = scope(() => {
      const y = model.forward(tensor(images(size), [2, 3, ...size])).data()
      expect(y).toHaveLength(logits.length)
      return y.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i]!)), 0) / largest
    })
    expect(error).toBeLessThan(5e-5)
    model.dispose()
  })
})

describe('what sets torchvision’s networks apart', () => {
  it('GoogLeNet normalizes with an epsilon of 0.001, and has its auxiliary classifiers in training alone', () => {
    const model = googlenet({ variant: 'torchvision', classes: 5, width: 1 / 8, input: [3, 64, 64] })
    const norms = model.layers.filter((layer) => layer instanceof BatchNorm2d)
    expect(new Set(norms.map(({ options }) => options.eps))).toEqual(new Set([0.001]))
    expect(model.auxiliary).toEqual({ 'aux1.fc2': 0.3, 'aux2.fc2': 0.3 })
    const without = googlenet({ variant: 'torchvision', classes: 5, width: 1 / 8, auxiliary: false })
    const auxiliary = [...shapesOf(model).keys()].filter((name) => name.startsWith('aux'))
    expect(auxiliary).toHaveLength(18)
    expect([...shapesOf(without).keys()]).toEqual([...shapesOf(model).keys()].slice(0, -18))
    for (const each of [model, without]) each.dispose()
  })

  it('MobileNetV2 rounds maps to multiples of 8, and its last ones never go under 1280', () => {
    // torchvision's numbers for width_mult 0.35 and 1.4.
    const first = (width: number): (readonly number[])[] =>
      ['features.0.0.weight', 'features.2.conv.2.weight', 'features.18.0.weight'].map((name) =>
        shapesOf(mobilenetV2({ width })).get(name)!,
      )
    expect(first(0.35)).toEqual([
      [16, 3, 3, 3],
      [8, 48, 1, 1],
      [1280, 112, 1, 1],
    ])
    expect(first(1.4)).toEqual([
      [48, 3, 3, 3],
      [32, 144, 1, 1],
      [1792, 448, 1, 1],
    ])
  })

  it('ResNet-20 has 272,474 numbers to train, and ResNet-50 25,557,032', () => {
    expect(resnet20().summary().total.parameters).toBe(272_474)
    expect(resnet50().summary().total.parameters).toBe(25_557_032)
  })

  it('ResNets give the maps of a block by torchvision’s name of it', () => {
    const model = resnet18({ classes: 3, width: 1 / 16, input: [3, 64, 64] })
    scope(() => {
      const y = model.run(zeros([1, 3, 64, 64]), ['layer1.1', 'layer4.1'])
      expect(y['layer1.1']!.shape).toEqual([1, 4, 16, 16])
      expect(y['layer4.1']!.shape).toEqual([1, 32, 2, 2])
    })
    model.dispose()
  })

  it.each<[string, (input: [number, number, number]) => Graph, number]>([
    ['AlexNet', (input) => alexnet({ variant: 'torchvision', input }), 63],
    ['VGG', (input) => vgg({ variant: 'torchvision', input }), 32],
    ['GoogLeNet', (input) => googlenet({ variant: 'torchvision', input }), 15],
  ])('%s takes images from the size on that its page says', (_, make, least) => {
    expect(make([3, least, least]).outputShape()).toEqual([1000])
    expect(() => make([3, least - 1, least])).toThrow(/layer [\w.]+, .*: .*kernel/)
  })

  it.each<[string, () => unknown, RegExp]>([
    [
      'a variant',
      () => alexnet({ variant: 'torch' as never }),
      /^alexnet: variant must be 'lecture' or 'torchvision', given 'torch'$/,
    ],
    [
      'groups',
      () => alexnet({ variant: 'torchvision', groups: 2 }),
      /^alexnet: variant 'torchvision' has no option 'groups'; leave it out$/,
    ],
    [
      'a configuration',
      () => vgg({ variant: 'torchvision', configuration: 'C' }),
      /^vgg: configuration of variant 'torchvision' must be one of A, B, D, E, given 'C'$/,
    ],
    [
      'normalization',
      () => vgg({ batchNorm: true }),
      /^vgg: variant 'lecture' has no option 'batchNorm'; leave it out$/,
    ],
    [
      'a word',
      () => vgg({ variant: 'torchvision', batchNorm: 'yes' as never }),
      /^vgg: batchNorm must be true or false/,
    ],
    [
      'the paper’s',
      () => googlenet({ variant: 'torchvision', normalize: true }),
      /^googlenet: variant 'torchvision' has no option 'normalize'/,
    ],
    ['an option', () => resnet18({ depth: 3 } as never), /^resnet18: there is no option 'depth'/],
  ])('refuses %s that it has not', (_, wrong, message) => {
    expect(wrong).toThrow(ShapeError)
    expect(wrong).toThrow(message)
  })
})
