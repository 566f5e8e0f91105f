import { beforeAll, describe, expect, it } from 'vitest'
import {
  decodeModel,
  decodeModelFile,
  describeModel,
  encodeModel,
  encodeModelFile,
  type ModelDescription,
} from '../../src/io/model-file.js'
import { digitPictures, plainPreprocessing, type Preprocessing } from '../../src/io/preprocessing.js'
import { decodeSafetensors, encodeSafetensors, type SafetensorsInput } from '../../src/formats/safetensors.js'
import { Conv2d, Flatten, Linear, ReLU, Sequential, type Graph } from '../../src/nn/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { FormatError } from '../../src/runtime/errors.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { mutate, randomOf } from '../helpers/mutants.js'

beforeAll(() => init())

const facts = { name: 'small', normalization: { mean: 0.25, std: 0.5 }, classes: ['a', 'b', 'c'] }
const make = (seed: number): Sequential =>
  new Sequential([new Flatten(), new Linear({ outFeatures: 4 }), new ReLU(), new Linear({ outFeatures: 3 })], {
    input: [1, 2, 3],
    seed,
  })

describe('a whole model in one file', () => {
  it('comes back with its weights and what is needed to use them', () => {
    const model = make(7)
    const { file, model: read } = decodeModel(encodeModel(model, facts), 'model')
    const preprocessing = plainPreprocessing([1, 2, 3], facts.normalization)
    const architecture = model.toJSON()
    expect(file).toEqual({ format: 'toeplitz-model', version: 2, ...facts, architecture, preprocessing })
    scope(() => {
      const x = uniform([2, 1, 2, 3], { seed: 1 })
      expect(read.forward(x).data()).toEqual(model.forward(x).data())
    })
    model.dispose()
    read.dispose()
  })

  it('is not written of a model that holds NaN', () => {
    const model = make(7)
    const bias = model.namedState().get('1.bias')!
    bias.assign(Float32Array.of(0, NaN, 0, 0))
    for (const dtype of ['float32', 'float16', 'int8'] as const) {
      expect(() => encodeModel(model, facts, { dtype })).toThrow(
        /^encodeModel: '1.bias' holds NaN: the training has diverged/,
      )
    }
    // A checkpoint of it can be looked at.
    expect(model.save().length).toBeGreaterThan(0)
    model.dispose()
  })

  it('is a safetensors file of the same bytes for the same model', () => {
    const bytes = encodeModel(make(7), facts)
    expect(encodeModel(make(7), facts)).toEqual(bytes)
    expect([...decodeSafetensors(bytes, 'model').tensors.keys()]).toEqual(['1.weight', '1.bias', '3.weight', '3.bias'])
  })
})

describe('a model in float16', () => {
  const half = (model: Graph): Uint8Array => encodeModel(model, facts, { dtype: 'float16' })

  it('takes half the bytes of its weights, and comes back rounded', () => {
    const model = new Sequential([new Flatten(), new Linear({ outFeatures: 1000 }), new Linear({ outFeatures: 3 })], {
      input: [1, 2, 3],
    })
    const [whole, bytes] = [encodeModel(model, facts), half(model)]
    const numbers = model.parameters().reduce((sum, { size }) => sum + size, 0)
    // Texts in the headers differ by one letter here and there.
    expect(Math.abs(whole.length - bytes.length - 2 * numbers)).toBeLessThan(64)
    expect(half(model)).toEqual(bytes)
    const { file, model: read } = decodeModel(bytes, 'half')
    expect(file).toEqual(decodeModel(whole, 'whole').file)
    const theirs = read.namedState()
    for (const [name, own] of model.namedState()) {
      const stored = theirs.get(name)!.data()
      own.data().forEach((value, i) => {
        expect(Math.abs(stored[i]! - value)).toBeLessThanOrEqual(Math.max(2 ** -25, Math.abs(value) * 2 ** -11))
      })
      expect(stored.some((value, i) => value !== own.data()[i])).toBe(name.endsWith('weight'))
    }
    // What float16 holds stays as it is.
    expect(half(read)).toEqual(bytes)
    model.dispose()
    read.dispose()
  })

  it('is refused when it is damaged', () => {
    const bytes = half(make(1))
    bytes[bytes.length - 3]! ^= 1
    expect(() => decodeModel(bytes, 'half')).toThrow(/half: its checksum does not match/)
  })

  it.each([65520, -70000, Infinity])('refuses %s, by the name of the tensor', (value) => {
    const model = make(1)
    const weight = model.namedState().get('3.weight')!
    weight.assign(weight.data().fill(value, 5, 6))
    const live = memoryUsage().liveBytes
    expect(() => half(model)).toThrow(
      `encodeModel: '3.weight' has ${value}, which float16 does not hold: its numbers end at 65504; leave dtype out`,
    )
    expect(memoryUsage().liveBytes).toBe(live)
    weight.assign(weight.data().fill(65519, 5, 6))
    expect(decodeModel(half(model), 'half').model.namedState().get('3.weight')!.data()[5]).toBe(65504)
    model.dispose()
  })

  it('has no other types', () => {
    const encode = (dtype: string) => () => encodeModel(make(1), facts, { dtype: dtype as never })
    expect(encode('half')).toThrow(/^encodeModel: dtype must be 'float32', 'float16' or 'int8', given 'half'$/)
    expect(() => encodeModel(make(1), facts, { type: 'float16' } as never)).toThrow(/there is no option 'type'/)
  })
})

describe('a model in int8', () => {
  const small = (model: Graph): Uint8Array => encodeModel(model, facts, { dtype: 'int8' })
  const wide = (): Graph =>
    new Sequential(
      [
        new Conv2d({ outChannels: 40, kernel: 3, padding: 1 }),
        new Flatten(),
        new Linear({ outFeatures: 200 }),
        new Linear({ outFeatures: 3 }),
      ],
      { input: [1, 2, 3], seed: 5 },
    )

  it('takes a quarter of the bytes, and comes back with every weight within half a step of its channel', () => {
    const model = wide()
    for (const [name, tensor] of model.namedState())
      if (name.endsWith('bias')) tensor.assign(tensor.data().map((_, i) => i / 7))
    const [whole, bytes] = [encodeModel(model, facts), small(model)]
    expect(bytes.length / whole.length).toBeLessThan(0.29)
    expect(small(model)).toEqual(bytes)
    const { tensors } = decodeSafetensors(bytes, 'int8')
    expect(tensors.get('2.weight')).toMatchObject({ dtype: 'I8', shape: [200, 240] })
    expect(tensors.get('2.weight#scale')).toMatchObject({ dtype: 'F32', shape: [200] })
    expect(tensors.get('2.bias')).toMatchObject({ dtype: 'F32', shape: [200] })
    const { file, model: read } = decodeModel(bytes, 'int8')
    expect(file).toEqual(decodeModel(whole, 'whole').file)
    for (const [name, own] of model.namedState()) {
      const [values, stored] = [own.data(), read.namedState().get(name)!.data()]
      if (name.endsWith('bias')) {
        expect(stored).toEqual(values)
        continue
      }
      const each = values.length / own.shape[0]!
      let [worst, changed] = [0, 0]
      for (let k = 0; k < own.shape[0]!; k++) {
        const slice = values.subarray(k * each, (k + 1) * each)
        const step = Math.max(...slice.map(Math.abs)) / 127
        slice.forEach((value, i) => {
          const error = Math.abs(stored[k * each + i]! - value)
          worst = Math.max(worst, error / step)
          if (error > 0) changed++
        })
      }
      expect(worst).toBeLessThanOrEqual(0.5 + 2 ** -16)
      expect(worst).toBeGreaterThan(0.4)
      expect(changed).toBeGreaterThan(0)
    }
    model.dispose()
    read.dispose()
  })

  it('computes in float32 what its weights stand for', () => {
    const model = wide()
    const { model: read } = decodeModel(small(model), 'int8')
    const x = tensor([0.1, -0.4, 0.3, 0.9, -0.2, 0.6], [1, 1, 2, 3])
    const [due, given] = [model.forward(x).data(), read.forward(x).data()]
    const norm = Math.sqrt(due.reduce((sum, value) => sum + value * value, 0))
    const error = Math.sqrt(due.reduce((sum, value, i) => sum + (value - given[i]!) ** 2, 0))
    expect(error).toBeGreaterThan(0)
    expect(error / norm).toBeLessThan(0.02)
    model.dispose()
    read.dispose()
  })

  it('refuses what is infinite, by the name of the tensor, and what is damaged', () => {
    const model = make(1)
    const bytes = small(model)
    const weight = model.namedState().get('3.weight')!
    weight.assign(weight.data().fill(Infinity, 5, 6))
    expect(() => small(model)).toThrow(
      /^encodeModel: '3\.weight' has Infinity, for which int8 has no scale; train again with a lower learning rate$/,
    )
    model.dispose()
    bytes[bytes.length - 3]! ^= 1
    expect(() => decodeModel(bytes, 'int8')).toThrow(/int8: its checksum does not match/)
  })

  it.each([
    ['0', { shape: [3], data: Float32Array.of(1, 0, 1) }],
    ['NaN', { shape: [3], data: Float32Array.of(1, NaN, 1) }],
    ['too few', { shape: [2], data: Float32Array.of(1, 1) }],
    ['of another type', { shape: [3], data: Int32Array.of(1, 1, 1) }],
  ])('refuses scales that are %s', (_, scale) => {
    const { tensors, metadata } = decodeSafetensors(small(make(1)), 'int8')
    expect(tensors.get('3.weight')!.shape).toEqual([3, 4])
    const changed = Object.fromEntries([...tensors, ['3.weight#scale', scale]]) as Record<string, SafetensorsInput>
    const bytes = encodeSafetensors(changed, metadata, { checksum: true })
    expect(() => decodeModel(bytes, 'int8')).toThrow(
      /^int8: 3\.weight#scale must be numbers of F32 above 0, one for each of the 3 slices of 3\.weight$/,
    )
  })
})

describe('the preprocessing of a model', () => {
  const given: Preprocessing = {
    ...{ channels: 1, order: 'rgb', invert: 'light-background', resize: [4, 4], size: [2, 3], fit: 'contain' },
    ...{ interpolation: 'bilinear', scale: 1 / 128, normalization: { mean: 1, std: 0.5 } },
  }

  it('comes back, and stands once in the file', () => {
    const bytes = encodeModel(make(7), { name: 'small', classes: facts.classes, preprocessing: given })
    expect(decodeModel(bytes, 'm').file).toMatchObject({
      ...{ version: 2, preprocessing: given, normalization: given.normalization },
    })
    const text = new TextDecoder().decode(bytes)
    expect(text.match(/normalization/g)).toHaveLength(1)
    const { file } = decodeModel(bytes, 'm')
    const json = encodeModelFile({ ...file, weights: { file: 'w', sha256: '0' } })
    expect(json.match(/normalization/g)).toHaveLength(1)
    expect(decodeModelFile(json, 'm').file).toEqual({ ...file, weights: { file: 'w', sha256: '0' } })
  })

  it('is refused where it contradicts the model', () => {
    const wrong = { ...given, size: [3, 2] as const }
    expect(() => encodeModel(make(7), { name: '', classes: facts.classes, preprocessing: wrong })).toThrow(
      'preprocessing: it gives pictures of (1, 3, 2), but the model takes (1, 2, 3)',
    )
    expect(() =>
      describeModel(make(7), { name: '', classes: [], preprocessing: { ...given, fit: 'crop' as 'cover' } }),
    ).toThrow(/^preprocessing\.fit must be one of cover, contain, stretch; given 'crop'$/)
  })

  it('is that of its training in files of the first version, which only for MNIST invert', () => {
    const digits = '0123456789'.split('')
    const model = new Sequential([new Flatten(), new Linear({ outFeatures: 10 })], { input: [1, 2, 3], seed: 1 })
    const read = (name: string, classes: readonly string[]) => {
      const { tensors } = decodeSafetensors(model.save(), 'm')
      const description = { format: 'toeplitz-model', version: 1, name, architecture: model.toJSON(), classes }
      const metadata = { 'toeplitz-model': JSON.stringify({ ...description, normalization: facts.normalization }) }
      const kept = Object.fromEntries([...tensors].map(([key, { shape, data }]) => [key, { shape, data }]))
      return decodeModel(encodeSafetensors(kept as Record<string, SafetensorsInput>, metadata), 'm').file
    }
    const plain = plainPreprocessing([1, 2, 3], facts.normalization)
    expect(read('convnet-mnist', digits)).toMatchObject({ version: 2, preprocessing: { ...plain, ...digitPictures } })
    expect(read('convnet-photos', digits).preprocessing).toEqual(plain)
    const clothes = digits.map((digit) => `kind ${digit}`)
    expect(read('convnet-fashion-mnist', clothes).preprocessing).toEqual(plain)
  })

  it('is none where the model takes no pictures', () => {
    const model = new Sequential([new Linear({ outFeatures: 3 })], { input: [5], seed: 1 })
    const { file } = decodeModel(encodeModel(model, facts), 'm')
    expect(file).toEqual({ format: 'toeplitz-model', version: 1, ...facts, architecture: model.toJSON() })
  })
})

describe('the checksum of a model', () => {
  const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
    const changed = bytes.slice()
    changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7))
    return changed
  }

  it('is not written with members that none are; two classes may have one name', () => {
    const model = make(7)
    expect(() => encodeModel(model, { ...facts, preprocesing: {} } as never)).toThrow(
      /^describeModel: the facts: there is no option 'preprocesing'; did you mean 'preprocessing'\?/,
    )
    // Two classes of ImageNet are called crane: the bird and the machine.
    const named = decodeModel(encodeModel(model, { ...facts, classes: ['crane', 'b', 'crane'] }), 'm')
    expect(named.file.classes).toEqual(['crane', 'b', 'crane'])
    named.model.dispose()
  })

  it('covers weights, architecture, classes and normalization: no flipped bit is accepted', () => {
    const bytes = encodeModel(make(7), facts)
    const before = memoryUsage().liveBytes
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      expect(() => decodeModel(flipped(bytes, bit), 'm'), `bit ${bit}`).toThrow(FormatError)
    }
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('covers a model.json', () => {
    const text = encodeModelFile({ ...describeModel(make(1), facts), weights: { file: 'w', sha256: '0' } })
    const { file, model } = decodeModelFile(text, 'model.json')
    expect(file).toEqual({ ...describeModel(model, facts), weights: { file: 'w', sha256: '0' } })
    const bytes = new TextEncoder().encode(text)
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = new TextDecoder().decode(flipped(bytes, bit))
      expect(() => decodeModelFile(changed, 'model.json'), `bit ${bit}`).toThrow(FormatError)
    }
  })

  it('is missed where the description says that there was one', () => {
    const { tensors, metadata } = decodeSafetensors(encodeModel(make(7), facts), 'm')
    const kept = Object.fromEntries([...tensors].map(([key, { shape, data }]) => [key, { shape, data }]))
    const bytes = encodeSafetensors(kept as Record<string, SafetensorsInput>, metadata)
    expect(() => decodeModel(bytes, 'm')).toThrow(/^m: the file is damaged: its checksum is missing/)
  })

  it('is not asked of files that were written before', () => {
    const description = JSON.stringify(describeModel(make(1), facts))
    expect(decodeModel(fileOf(description), 'm').file.classes).toEqual(facts.classes)
    const text = JSON.stringify({ ...describeModel(make(1), facts), weights: { file: 'w', sha256: '0' } })
    expect(decodeModelFile(text, 'm').file.name).toBe('small')
  })
})

/** A file of given tensors and description. */
function fileOf(description: unknown, change: (tensors: Record<string, SafetensorsInput>) => void = () => undefined) {
  const { tensors } = decodeSafetensors(encodeModel(make(1), facts), 'model')
  const kept = Object.fromEntries([...tensors].map(([key, { shape, data }]) => [key, { shape, data }]))
  change(kept as Record<string, SafetensorsInput>)
  const metadata: Record<string, string> = description === undefined ? {} : { 'toeplitz-model': description as string }
  return encodeSafetensors(kept as Record<string, SafetensorsInput>, metadata)
}

describe('files that do not fit', () => {
  const good = (): ModelDescription => describeModel(make(1), facts)
  const changed = (part: object): string => JSON.stringify({ ...good(), ...part })
  /** As it was written before a preprocessing was. */
  const first = (part: object): string => changed({ version: 1, preprocessing: undefined, ...part })
  const preprocessed = (part: object): string => {
    const { normalization: _, ...rest } = good()
    return JSON.stringify({ ...rest, preprocessing: { ...good().preprocessing, ...part } })
  }

  it.each<[string, () => Uint8Array, RegExp]>([
    ['no safetensors', () => new Uint8Array(100), /^m\.safetensors: /],
    ['nothing but weights', () => fileOf(undefined), /holds weights without their architecture/],
    ['a header that is no JSON', () => fileOf('{'), /toeplitz-model in its header: not JSON/],
    [
      'another version',
      () => fileOf(changed({ version: 3 })),
      /version 3 is not known; this release reads versions 1 and 2/,
    ],
    ['no name', () => fileOf(changed({ name: 1 })), /name must be a text/],
    ['a std of 0', () => fileOf(first({ normalization: { mean: 0, std: 0 } })), /a std above 0/],
    ['classes that are no names', () => fileOf(changed({ classes: [1, 2, 3] })), /classes must be a list of names/],
    ['too many classes', () => fileOf(changed({ classes: ['a', 'b', 'c', 'd'] })), /outputs \(3\), but there are 4/],
    [
      'no input',
      () => fileOf(changed({ architecture: { ...good().architecture, input: null } })),
      /architecture.input/,
    ],
    [
      'a normalization of other channels',
      () => fileOf(first({ normalization: { mean: [0, 0, 0], std: 1 } })),
      /normalization\.mean has 3 numbers, but the model takes 1 channels/,
    ],
    [
      'a preprocessing in the first version',
      () => fileOf(changed({ version: 1 })),
      /preprocessing stands in files of version 2, and this is version 1/,
    ],
    ['no preprocessing', () => fileOf(changed({ preprocessing: undefined })), /preprocessing must be an object/],
    ['a preprocessing that is a list', () => fileOf(changed({ preprocessing: [] })), /preprocessing must be an object/],
    [
      'another normalization beside',
      () => fileOf(changed({ normalization: { mean: 0, std: 1 } })),
      /normalization is another one than preprocessing\.normalization/,
    ],
    ...Object.entries({
      channels: 3,
      order: 'gbr',
      invert: true,
      resize: 0,
      size: [2],
      fit: 'fill',
      interpolation: 'cubic',
      scale: 0,
      normalization: { mean: 0, std: -1 },
    }).map(([member, value]): [string, () => Uint8Array, RegExp] => [
      `a wrong ${member}`,
      () => fileOf(preprocessed({ [member]: value })),
      member === 'channels'
        ? /preprocessing: it gives pictures of \(3, 2, 3\), but the model takes \(1, 2, 3\)$/
        : new RegExp(`preprocessing\\.${member} must be .*; given `),
    ]),
    ...['channels', 'order', 'invert', 'size', 'fit', 'interpolation', 'scale', 'normalization'].map(
      (member): [string, () => Uint8Array, RegExp] => [
        `a missing ${member}`,
        () => fileOf(preprocessed({ [member]: undefined })),
        new RegExp(`preprocessing\\.${member} must be .*; it is missing`),
      ],
    ),
    [
      'an unknown step',
      () => fileOf(preprocessed({ gamma: 2.2 })),
      /preprocessing: there is no member 'gamma'; there are channels, order, /,
    ],
    [
      'another size',
      () => fileOf(preprocessed({ size: [3, 2] })),
      /preprocessing: it gives pictures of \(1, 3, 2\), but the model takes \(1, 2, 3\)$/,
    ],
    [
      'a window beyond the picture',
      () => fileOf(preprocessed({ resize: [4, 2] })),
      /resize \[4, 2\] is smaller than size \[2, 3\], which is cut out of it/,
    ],
    [
      'a shorter side that is stretched',
      () => fileOf(preprocessed({ resize: 4, fit: 'stretch' })),
      /resize is one number, the shorter side, which goes with fit 'cover', not 'stretch'/,
    ],
    [
      'an order of one channel',
      () => fileOf(preprocessed({ order: 'bgr' })),
      /order is 'bgr', but there is one channel/,
    ],
    [
      'means of other channels',
      () => fileOf(preprocessed({ normalization: { mean: [0, 0, 0], std: 1 } })),
      /normalization\.mean has 3 numbers, but there are 1 channels/,
    ],
    ['any depth', () => fileOf('['.repeat(1_000_000)), /in its header: the JSON is nested more than 64 levels deep/],
    [
      'any depth within a layer',
      () =>
        fileOf(
          JSON.stringify(good()).replace(
            '"layers":[',
            `"layers":[{"type":"ReLU","x":${'['.repeat(60)}${']'.repeat(60)}},`,
          ),
        ),
      /architecture: it is nested more than 32 levels deep/,
    ],
    [
      'an unknown layer',
      () => fileOf(changed({ architecture: { type: 'Sequential', layers: [{ type: 'Magic' }] } })),
      /no layer type 'Magic'/,
    ],
    [
      'a missing tensor',
      () => fileOf(JSON.stringify(good()), (tensors) => delete tensors['3.bias']),
      /3\.bias \(3\) is missing/,
    ],
    [
      'a tensor of another shape',
      () =>
        fileOf(JSON.stringify(good()), (tensors) => (tensors['3.bias'] = { shape: [4], data: new Float32Array(4) })),
      /3\.bias is \(4\), not \(3\)/,
    ],
  ])('%s', (_, bytes, message) => {
    const given = bytes()
    const before = memoryUsage().liveBytes
    expect(() => decodeModel(given, 'm.safetensors')).toThrow(FormatError)
    expect(() => decodeModel(given, 'm.safetensors')).toThrow(message)
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('answers every mutant with a model or a FormatError, and leaves nothing behind', () => {
    const random = randomOf(21)
    const whole = encodeModel(make(7), facts)
    const open = fileOf(preprocessed({}))
    const text = new TextEncoder().encode(JSON.stringify({ ...good(), weights: { file: 'w', sha256: '0' } }))
    const before = memoryUsage().liveBytes
    let read = 0
    for (let n = 0; n < 900; n++) {
      const file = [whole, open, text][n % 3]!
      const bytes = mutate(file, random)
      try {
        const { model } = n % 3 < 2 ? decodeModel(bytes, 'm') : decodeModelFile(new TextDecoder().decode(bytes), 'm')
        model.dispose()
        // What has a checksum is the same or refused.
        if (n % 3 === 0) expect(Buffer.compare(bytes, whole)).toBe(0)
        read++
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        expect(error.message).toMatch(/^m: [^\n]*$/)
      }
    }
    expect(read).toBeGreaterThan(5)
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each<[string, unknown, RegExp]>([
    ['no weights', undefined, /model\.json: weights\.file must be the name/],
    ['weights elsewhere', { file: '../x', sha256: '' }, /weights\.file must be the name of a file beside this one/],
    ['no hash', { file: 'x' }, /weights\.sha256 must be a text/],
  ])('a model.json with %s', (_, weights, message) => {
    const text = encodeModelFile({ ...good(), weights: weights as { file: string; sha256: string } })
    expect(() => decodeModelFile(text, 'model.json')).toThrow(message)
  })
})
