/** PyTorch's state dicts: names, types, and what does not fit. */
import { beforeAll, describe, expect, it } from 'vitest'
import { encodeSafetensors, loadStateDict, type SafetensorsInput } from '../../src/io/index.js'
import { BatchNorm2d, Conv2d, Flatten, Graph, Linear, Sequential } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'
import { mobilenetV2, vgg } from '../../src/zoo/index.js'
import timm from '../fixtures/timm.json' with { type: 'json' }
import { stateShapes, torchvision } from '../helpers/torchvision.js'

beforeAll(() => init())

const network = (): Graph =>
  new Graph(
    [
      { name: 'conv1', layer: new Conv2d({ outChannels: 2, kernel: 3, bias: false }) },
      { name: 'bn1', layer: new BatchNorm2d() },
      { name: 'flat', layer: new Flatten() },
      { name: 'fc', layer: new Linear({ outFeatures: 3 }) },
    ],
    { inputs: { input: [1, 4, 4] } },
  )

const shapes: Readonly<Record<string, number[]>> = {
  'conv1.weight': [2, 1, 3, 3],
  'bn1.weight': [2],
  'bn1.bias': [2],
  'bn1.running_mean': [2],
  'bn1.running_var': [2],
  'fc.weight': [3, 8],
  'fc.bias': [3],
}
const ours = (name: string): string => name.replace('running_mean', 'runningMean').replace('running_var', 'runningVar')
const numbersOf = (name: string): number[] => {
  const size = shapes[name]!.reduce((product, extent) => product * extent, 1)
  return Array.from({ length: size }, (_, i) => (i + name.length) / 16)
}
type Make = (values: number[]) => SafetensorsInput['data']
const dict = (prefix = '', make: Make = (values) => Float32Array.from(values)): Record<string, SafetensorsInput> => ({
  ...Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [prefix + name, { shape, data: make(numbersOf(name)) }]),
  ),
  [`${prefix}bn1.num_batches_tracked`]: { shape: [], data: BigInt64Array.of(7n) },
})
const bytes = (given: Record<string, SafetensorsInput>): Uint8Array => encodeSafetensors(given)
const state = (model: Graph): Record<string, number[]> =>
  Object.fromEntries([...model.namedState()].map(([name, x]) => [name, [...x.data()]]))
const due = Object.fromEntries(Object.keys(shapes).map((name) => [ours(name), numbersOf(name)]))

/** The file with floats of 16 bits, which no array of JavaScript has. */
function halves(type: 'F16' | 'BF16'): Uint8Array {
  const half = (value: number): number => {
    const word = new Uint32Array(Float32Array.of(value).buffer)[0]!
    if (type === 'BF16') return word >>> 16
    return value === 0 ? 0 : (((word >>> 23) - 127 + 15) << 10) | ((word >>> 13) & 1023)
  }
  let end = 0
  const header: Record<string, unknown> = {}
  const data: Uint8Array[] = []
  for (const [name, shape] of Object.entries(shapes)) {
    const values = Uint16Array.from(numbersOf(name), half)
    header[name] = { dtype: type, shape, data_offsets: [end, (end += values.byteLength)] }
    data.push(new Uint8Array(values.buffer))
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const file = new Uint8Array(8 + text.length + end)
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true)
  file.set(text, 8)
  let at = 8 + text.length
  for (const part of data) {
    file.set(part, at)
    at += part.length
  }
  return file
}

describe('a state dict', () => {
  it.each<[string, () => Uint8Array]>([
    ['as PyTorch names it', () => bytes(dict())],
    ['of a model in a wrapper', () => bytes(dict('module.'))],
    ['of a model in two wrappers', () => bytes(dict('model._orig_mod.'))],
    ['of float64', () => bytes(dict('', (values) => Float64Array.from(values)))],
    ['of float16', () => halves('F16')],
    ['of bfloat16', () => halves('BF16')],
  ])('%s is taken', (_, make) => {
    const model = network()
    expect(loadStateDict(model, make())).toEqual({ missing: [], unexpected: [] })
    expect(state(model)).toEqual(due)
    model.dispose()
  })

  it.each(['state_dict.', 'params_ema.', 'state_dict.module.'])('in %s is taken', (prefix) => {
    const model = network()
    expect(loadStateDict(model, bytes(dict(prefix)))).toEqual({ missing: [], unexpected: [] })
    expect(state(model)).toEqual(due)
    model.dispose()
  })

  it('of a model whose own names begin like a wrapper’s is taken as it is', () => {
    const model = new Graph([{ name: 'model.fc', layer: new Linear({ outFeatures: 2 }) }], { inputs: { input: [1] } })
    const file = bytes({
      'model.fc.weight': { shape: [2, 1], data: Float32Array.of(1, 2) },
      'model.fc.bias': { shape: [2], data: Float32Array.of(3, 4) },
    })
    expect(loadStateDict(model, file)).toEqual({ missing: [], unexpected: [] })
    expect(state(model)).toEqual({ 'model.fc.weight': [1, 2], 'model.fc.bias': [3, 4] })
    model.dispose()
  })

  it('of timm’s VGG is taken: other names, and fully connected weights as convolutions', () => {
    const options = { classes: 3, width: 1 / 64, input: [3, 32, 32] } as const
    const [model, due] = [1, 2].map((seed) => vgg({ configuration: 'A', variant: 'torchvision', ...options, seed }))
    const renamed = (name: string): string =>
      name
        .replace('classifier.0', 'pre_logits.fc1')
        .replace('classifier.3', 'pre_logits.fc2')
        .replace('classifier.6', 'head.fc')
    const file = Object.fromEntries(
      [...due!.namedState()].map(([name, values]) => {
        // Over the last maps, 8 of 7 × 7 here; the second over single pixels.
        const wide = name === 'classifier.0.weight' ? [64, 8, 7, 7] : [64, 64, 1, 1]
        const shape = /classifier\.[03]\.weight/.test(name) ? wide : [...values.shape]
        return [renamed(name), { shape, data: values.data() }]
      }),
    )
    expect(loadStateDict(model!, bytes(file))).toEqual({ missing: [], unexpected: [] })
    expect(state(model!)).toEqual(state(due!))
    // As many numbers, but no convolution over the whole of a map.
    const wrong = { ...file, 'pre_logits.fc1.weight': { ...file['pre_logits.fc1.weight']!, shape: [32, 16, 7, 7] } }
    expect(() => loadStateDict(model!, bytes(wrong))).toThrow(
      /'pre_logits.fc1.weight' is \(32, 16, 7, 7\), not \(64, 392\)/,
    )
    for (const each of [model, due]) each!.dispose()
  })

  it('of timm’s MobileNetV2 is taken: other names in the same order', () => {
    const theirs = timm.mobilenetv2_100
    const names = stateShapes(torchvision['mobilenet-v2']!).map(([name]) => name)
    expect(theirs).toHaveLength(names.length)
    const [model, due] = [1, 2].map((seed) => mobilenetV2({ classes: 3, width: 1 / 8, input: [3, 32, 32], seed }))
    const values = due!.namedState()
    const file = Object.fromEntries(
      names.map((name, i) => {
        const x = values.get(ours(name))!
        // No two tensors alike, as new statistics are.
        x.assign(Float32Array.from({ length: x.size }, (_, k) => i + k / x.size))
        return [theirs[i]!, { shape: [...x.shape], data: x.data() }]
      }),
    )
    expect(loadStateDict(model!, bytes(file))).toEqual({ missing: [], unexpected: [] })
    expect(state(model!)).toEqual(state(due!))
    const { 'blocks.3.2.bn1.running_mean': moved, ...rest } = file
    expect(() => loadStateDict(model!, bytes({ ...rest, 'blocks.3.9.bn1.running_mean': moved! }))).toThrow(
      /missing: 'features.9.conv.0.1.runningMean'; unexpected: 'blocks.3.9.bn1.running_mean'/,
    )
    for (const each of [model, due]) each!.dispose()
  })

  it('is renamed and cut as the caller says', () => {
    const model = network()
    const file = bytes({ ...dict('backbone.'), 'head.weight': { shape: [1], data: Float32Array.of(1) } })
    const report = loadStateDict(model, file, {
      rename: (name) => (name.startsWith('head.') ? undefined : name.replace('backbone.', '')),
    })
    expect(report).toEqual({ missing: [], unexpected: [] })
    expect(state(model)).toEqual(due)
    model.dispose()
  })

  it('tells what did not meet where it need not be whole', () => {
    const model = network()
    const before = state(model)
    const { 'fc.bias': left, ...rest } = dict()
    const report = loadStateDict(model, bytes({ ...rest, other: left! }), { strict: false })
    expect(report).toEqual({ missing: ['fc.bias'], unexpected: ['other'] })
    expect(state(model)).toEqual({ ...due, 'fc.bias': before['fc.bias'] })
    model.dispose()
  })

  it.each<[string, () => Uint8Array, Parameters<typeof loadStateDict>[2], RegExp]>([
    [
      'all that is missing and left over',
      () => {
        const { 'fc.bias': bias, 'conv1.weight': weight, ...rest } = dict()
        return bytes({ ...rest, a: bias!, b: weight! })
      },
      {},
      /^the state dict: does not fit the model: missing: 'conv1.weight', 'fc.bias'; unexpected: 'a', 'b'; give rename, or strict: false/,
    ],
    [
      'another shape, strict or not',
      () => bytes({ ...dict(), 'fc.weight': { shape: [8, 3], data: new Float32Array(24) } }),
      { strict: false, name: 'w.safetensors' },
      /^w.safetensors: does not fit the model: of another shape or type: 'fc.weight' is \(8, 3\), not \(3, 8\)$/,
    ],
    [
      'whole numbers',
      () => bytes({ ...dict(), 'fc.bias': { shape: [3], data: new Int32Array(3) } }),
      {},
      /tensor 'fc.bias' is of I32; weights are of F32, F16, BF16 or F64/,
    ],
    [
      'numbers that are not finite, in float32 or beyond its range',
      () => bytes({ ...dict(), 'fc.bias': { shape: [3], data: Float64Array.of(1, 1e300, 2) } }),
      {},
      /of another shape or type: tensor 'fc.bias' has values that are not finite$/,
    ],
    [
      'two tensors for one weight',
      () => bytes({ ...dict(), again: { shape: [3], data: new Float32Array(3) } }),
      { rename: (name: string) => (name === 'again' ? 'fc.bias' : name) },
      /there twice under one name: 'again'/,
    ],
    ['no file', () => new Uint8Array(4), {}, /cut short/],
  ])('refuses %s, and changes nothing', (_, make, options, message) => {
    const model = network()
    const before = state(model)
    const live = memoryUsage().liveBytes
    expect(() => loadStateDict(model, make(), options)).toThrow(FormatError)
    expect(() => loadStateDict(model, make(), options)).toThrow(message)
    expect(state(model)).toEqual(before)
    expect(memoryUsage().liveBytes).toBe(live)
    model.dispose()
  })

  it('refuses wrong arguments', () => {
    const model = new Sequential([new Flatten(), new Linear({ outFeatures: 1 })], { input: [1, 1, 1] })
    const file = bytes({})
    expect(() => loadStateDict({} as never, file)).toThrow(ShapeError)
    expect(() => loadStateDict(model, file, { strickt: false } as never)).toThrow(/did you mean 'strict'/)
    expect(() => loadStateDict(model, file, { rename: 'x' as never })).toThrow(/rename must be a function of a name/)
    model.dispose()
  })
})
