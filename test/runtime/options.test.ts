/** Names of options that there are none of, in every function and class that takes options. */
import { beforeAll, describe, expect, it } from 'vitest'
import { Conv2d, conv2d, Layer, LocallyConnected2d, MaxPool2d, modelFromJSON, Sequential } from '../../src/index.js'
import { init } from '../../src/runtime/embedded.js'
import { ToeplitzError } from '../../src/runtime/errors.js'
import { checkKeys, nearest, unknownName } from '../../src/runtime/options.js'
import { ones } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { calls } from '../fuzz/calls.js'
import type { Json } from '../fuzz/mutate.js'
import target from '../fuzz/targets/options.js'

beforeAll(() => init())

/** Objects in arguments that are no options, with what they are. */
const others: Readonly<Record<string, string>> = {
  'separableConv2d 1': 'vectors',
  'SGD.loadState 1': 'a state',
  'Graph.forward 1': 'inputs by name',
  'Graph.shapes 1': 'shapes by name',
  'Graph.save 1': 'metadata',
  'preparePixels 0': 'a picture',
  'movingPictures 0': 'a data set',
  'digitScenes 0': 'a data set',
  'pixelExamples 0': 'pictures with label maps',
  'pixelExamples 1': 'a normalization',
  'regionPicture 0': 'regions',
  'subset 0': 'a data set',
  'shuffled 0': 'a data set',
  'stratifiedSplit 0': 'a data set',
  'balanceClasses 0': 'a data set',
  'mixup 0': 'examples',
  'cached 0': 'a data set',
  'sizedExamples 0': 'pictures',
  'sizedExamples 1': 'a normalization',
  'sizedRange 0': 'pictures',
  'preparePixels 1': 'a value that was checked when it was read',
  'encodeSafetensors 0': 'tensors by name',
  'encodeSafetensors 1': 'metadata',
}
/** Files, pictures, data sets and facts: they may hold more than is read. */
const records =
  /^(encodePng|toGrayscale|resizeGrayscale|lightOnDark|toPlanes|coverPlanes|coverImage|encodeModel|encodeModelFile|describeModel|cifar10FromBinary|mnistFromIdx|fitNormalization|imageTensor|imageRange|holdOut|assertSameImages|new Painter|imageExamples|fromImageData|ranked|isOutOfMemory|checkBatches|modelFromJSON|plainPreprocessing|new PictureClassifier)$/

const isPlain = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !('$' in value)

const rows = Object.entries(calls).flatMap(([call, lists]) =>
  lists.flatMap((args, list) =>
    args.flatMap<[string, number, number]>((arg, index) =>
      isPlain(arg) && !records.test(call) && !(`${call} ${index}` in others) ? [[call, index, list]] : [],
    ),
  ),
)

describe('a name that there is none of', () => {
  it('is tried in most of what is exported', () => {
    expect(new Set(rows.map(([call]) => call)).size).toBeGreaterThan(100)
  })

  it.each(rows)('is refused by %s, argument %i of call %i', async (call, index, list) => {
    const args = calls[call]![list]!
    const wrong = args.map((arg, at): Json => (at === index ? { ...(arg as object), zzOption: 1 } : arg))
    const made = Promise.resolve().then(() => target.check({ call, args: wrong, gradient: false }))
    await expect(made).rejects.toThrow(ToeplitzError)
    await expect(made).rejects.toThrow(/there is no (option|member) 'zzOption'(;|\?) ?/)
  })
})

const meant: [string, string, string[]][] = [
  ['strides', 'stride', ['kernel', 'stride', 'padding', 'dilation']],
  ['learningRate', 'lr', ['lr', 'betas', 'eps', 'weightDecay']],
  ['weight_decay', 'weightDecay', ['lr', 'betas', 'eps', 'weightDecay']],
  ['epsilon', 'eps', ['lr', 'betas', 'eps', 'weightDecay']],
  ['kernelSize', 'kernel', ['outChannels', 'kernel', 'inChannels']],
  ['padings', 'padding', ['outputPadding', 'padding', 'paddingMode']],
  ['batch_size', 'batchSize', ['epochs', 'batchSize', 'seed']],
  ['Seed', 'seed', ['epochs', 'batchSize', 'seed']],
]

describe('the nearest name', () => {
  it.each(meant)('of %s is %s', (given, name, names) => {
    expect(nearest(given, names)).toBe(name)
  })

  it('is left out where none is alike', () => {
    expect(nearest('colour', ['kernel', 'stride'])).toBeUndefined()
    expect(unknownName('option', 'a\nb', ['kernel'])).toBe("there is no option 'a\nb'; there is kernel")
    expect(unknownName('option', 'kernl', ['kernel', 'stride'])).toBe(
      "there is no option 'kernl'; did you mean 'kernel'? There are kernel, stride",
    )
    expect(unknownName('option', 'kernl', [])).toBe("there is no option 'kernl'; there are none")
  })
})

describe('options', () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      'a convolution with strides',
      () => new Conv2d({ outChannels: 8, kernel: 3, strides: 2, activation: 'relu' } as never),
      /^Conv2d: there is no option 'strides'; did you mean 'stride'\?/,
    ],
    [
      'a convolution with an activation',
      () => new Conv2d({ outChannels: 8, kernel: 3, activation: 'relu' } as never),
      /^Conv2d: there is no option 'activation'/,
    ],
    [
      'a bias by a word',
      () => new Conv2d({ outChannels: 8, kernel: 3, bias: 'none' as never }),
      /^Conv2d: bias must be true, false or 'location', given 'none'$/,
    ],
    [
      'a locally connected bias',
      () => new LocallyConnected2d({ outChannels: 8, kernel: 3, bias: 'location' as never }),
      /^LocallyConnected2d: bias must be true or false/,
    ],
    [
      'a pooling with a bias',
      () => new MaxPool2d({ kernel: 2, bias: 'location' } as never),
      /^MaxPool2d: there is no option 'bias'/,
    ],
    [
      'options that are a text',
      () => conv2d(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), 'same' as never),
      /^conv2d: the options must be an object, given 'same'/,
    ],
    [
      'options that are a number',
      () => conv2d(ones([1, 1, 3, 3]), ones([1, 1, 3, 3]), 2 as never),
      /^conv2d: the options must be an object, given 2/,
    ],
    [
      'a name of Object',
      () => new MaxPool2d({ kernel: 2, toString: 1 } as never),
      /^MaxPool2d: there is no option 'toString'/,
    ],
    [
      'a model',
      () => new Sequential([new MaxPool2d({ kernel: 2 })], { inputShape: [1, 4, 4] } as never),
      /^Sequential: there is no option 'inputShape'; did you mean 'input'\?/,
    ],
  ])('%s: %#', (_, make, message) => {
    scope(() => {
      expect(make).toThrow(ToeplitzError)
      expect(make).toThrow(message)
    })
  })

  it.each<[unknown, RegExp]>([
    [
      { type: 'Sequential', input: [3], layers: [{ type: 'Linear', outFeatures: 2, units: 3 }] },
      /^model: .*Linear: there is no option 'units'/,
    ],
    [
      { type: 'Sequential', inputs: [3], layers: [{ type: 'ReLU' }] },
      /^model: the chain: there is no option 'inputs'; did you mean 'input'\?/,
    ],
    [
      {
        type: 'Graph',
        inputs: { x: [3] },
        outputs: ['a'],
        nodes: [{ name: 'a', input: 'x', inputs: ['x'], layer: { type: 'ReLU' } }],
      },
      /^model: node 'a': there is no option 'input'; did you mean 'inputs'\?/,
    ],
    [
      {
        type: 'Graph',
        input: { x: [3] },
        outputs: ['a'],
        nodes: [{ name: 'a', inputs: ['x'], layer: { type: 'ReLU' } }],
      },
      /^model: the graph: there is no option 'input'; did you mean 'inputs'\?/,
    ],
    [
      {
        type: 'Sequential',
        input: [3],
        layers: [{ type: 'Linear', outFeatures: 2, weightInit: { name: 'normal', sigma: 1 } }],
      },
      /initializer: there is no option 'sigma'/,
    ],
  ])('of a file: %#', (config, message) => {
    expect(() => modelFromJSON(config)).toThrow(ToeplitzError)
    expect(() => modelFromJSON(config)).toThrow(message)
  })

  it('of layers of one’s own are theirs, unless they have rules', () => {
    class Free extends Layer<{ readonly anything?: number }> {
      readonly type = 'Free'
      outputShape = (input: readonly number[]): number[] => [...input]
      forward = (x: Tensor): Tensor => x
      describe = (): string => 'free'
    }
    class Ruled extends Free {
      static override readonly rules = { anything: 'count' } as const
    }
    expect(new Free({ anything: 1, else: 2 } as never).options).toEqual({ anything: 1, else: 2 })
    expect(() => new Ruled({ anythin: 1 } as never)).toThrow(
      /^Ruled: there is no option 'anythin'; did you mean 'anything'\?/,
    )
    expect(new Ruled({ anything: 1 }).options.anything).toBe(1)
  })

  it('may be undefined, and inherited ones count', () => {
    expect(() => {
      checkKeys('x', undefined, { a: 0 })
      checkKeys('x', { a: undefined }, { a: 0 })
      checkKeys('x', Object.create({ a: 1 }), { b: 0 }, { a: 0 })
    }).not.toThrow()
    expect(() => {
      checkKeys('x', Object.create({ c: 1 }), { a: 0 })
    }).toThrow(/^x: there is no option 'c'/)
  })
})
