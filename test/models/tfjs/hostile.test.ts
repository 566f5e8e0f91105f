/** Files that are no models, damaged ones, and such that ask for far more than they are: one error, at once, and nothing stays. */
import { beforeAll, describe, expect, it } from 'vitest'
import { loadTfjs } from '../../../src/models/tfjs/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { ArgumentError, FormatError, ToeplitzError, UnsupportedError } from '../../../src/runtime/errors.js'
import { ones } from '../../../src/tensor/create.js'
import { scope } from '../../../src/tensor/tensor.js'
import {
  bytesOf,
  flag,
  functional,
  graphModel,
  layersModel,
  numbers,
  placeholder,
  text,
  texts,
  whole,
  wholes,
  type GraphNode,
  type LayerOf,
  type Weight,
} from '../../helpers/tfjs.js'

beforeAll(() => init())

const far = 2 ** 31 - 1

/** What loading and running throws; nothing stays in memory. */
async function errorOf(model: unknown, weights: readonly Weight[] = [], read = () => bytesOf(weights)): Promise<Error> {
  const before = memoryUsage().liveBytes
  const start = performance.now()
  let error: unknown
  try {
    const program = await loadTfjs(model as string, read, { name: 'm' })
    try {
      scope(() => {
        program.run(
          Object.fromEntries(
            program.inputs.map(({ name, shape }) => [name, ones((shape ?? [2, 2]).map((n) => Number(n ?? 2)))]),
          ),
        )
      })
    } finally {
      program.dispose()
    }
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(ToeplitzError)
  expect((error as ToeplitzError).code).not.toBe('CORE')
  expect((error as Error).message.startsWith('m: ') || error instanceof ArgumentError, (error as Error).message).toBe(
    true,
  )
  expect((error as Error).message).not.toContain('\n')
  expect(memoryUsage().liveBytes).toBe(before)
  expect(performance.now() - start).toBeLessThan(2000)
  return error as Error
}

const x = placeholder('x', [2, 2])
const k: Weight = { name: 'k', shape: [2, 2], values: [1, 2, 3, 4] }
const sum: GraphNode = { name: 'y', op: 'Add', input: ['x', 'k'] }
const good = graphModel([x, sum], [k])

describe('what is no model', () => {
  it.each<[string, unknown, RegExp]>([
    ['a web page', '<!DOCTYPE html><html></html>', /m: it is a web page/],
    ['a pointer of Git LFS', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', /a pointer of Git LFS/],
    ['bytes of a PNG', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), /not JSON|a PNG/],
    ['nothing', '', /the file is empty/],
    ['another JSON', '[1]', /no object/],
    ['an object without a topology', {}, /no modelTopology/],
    ['a number', 3, /must be an object, a text or bytes, given 3/],
    ['another format', { format: 'tflite', modelTopology: {} }, /format 'tflite' is not supported/],
    ['JSON cut short', JSON.stringify(good).slice(0, 100), /not JSON/],
    ['JSON of many levels', `${'['.repeat(100)}${']'.repeat(100)}`, /nested more than/],
  ])('%s', async (_, model, message) => {
    expect((await errorOf(model)).message).toMatch(message)
  })
})

describe('weights', () => {
  const [entry] = good['weightsManifest'] as { paths: string[]; weights: object[] }[]
  const changed = (weight: object, more: object = {}): unknown => ({
    ...good,
    weightsManifest: [{ ...entry, weights: [{ ...entry!.weights[0], ...weight }], ...more }],
  })
  it.each<[string, unknown, () => Uint8Array, RegExp]>([
    [
      'that are missing',
      good,
      () => {
        throw new Error('404')
      },
      /'w.bin' could not be read \(404\)/,
    ],
    ['that are short', good, () => new Uint8Array(7), /'w.bin': 7 bytes for weights of 16; a file is cut short/],
    ['that are long', good, () => new Uint8Array(17), /17 bytes for weights of 16/],
    ['that are a web page', good, () => new TextEncoder().encode('<html>'), /'w.bin' is a web page/],
    [
      'that are a pointer of Git LFS',
      good,
      () => new TextEncoder().encode('version https://git-lfs'),
      /a pointer of Git LFS|23 bytes/,
    ],
    ['that are no bytes', good, () => 'text' as never, /must be a Uint8Array or an ArrayBuffer, given 'text'/],
    ['of another type', changed({ dtype: 'string' }), () => new Uint8Array(16), /the weight 'k' is of 'string'/],
    [
      'of a shape that is none',
      changed({ shape: [2, -1] }),
      () => new Uint8Array(16),
      /the weight 'k': shape\[1\] must be a whole number from 0 on/,
    ],
    [
      'of far too many elements',
      changed({ shape: [2 ** 30, 2 ** 30] }),
      () => new Uint8Array(16),
      /more elements than any file/,
    ],
    [
      'quantized in another way',
      changed({ quantization: { dtype: 'int4' } }),
      () => new Uint8Array(16),
      /quantized as 'int4'/,
    ],
    [
      'quantized without a scale',
      changed({ quantization: { dtype: 'uint8', min: 0 } }),
      () => new Uint8Array(4),
      /quantization.scale must be a finite number, and is missing/,
    ],
    ['without a name', changed({ name: 3 }), () => new Uint8Array(16), /the name of a weight must be a text/],
    ['without files', changed({}, { paths: 'w.bin' }), () => new Uint8Array(16), /paths must be a list/],
    [
      'that are twice there',
      { ...good, weightsManifest: [{ ...entry, weights: [...entry!.weights, ...entry!.weights] }] },
      () => new Uint8Array(32),
      /two weights are called 'k'/,
    ],
    [
      'that are not in the manifest',
      { ...good, weightsManifest: [] },
      () => new Uint8Array(0),
      /node 'k' \(Const\): the manifest has no weight/,
    ],
  ])('%s', async (_, model, read, message) => {
    expect((await errorOf(model, [], read)).message).toMatch(message)
  })

  it('are not asked for where the model is refused', async () => {
    let asked = 0
    const read = (): Uint8Array => {
      asked++
      return new Uint8Array(0)
    }
    await expect(loadTfjs(graphModel([x, { name: 'y', op: 'Where', input: ['x'] }], [k]), read)).rejects.toThrow(
      UnsupportedError,
    )
    expect(asked).toBe(0)
  })
})

const constant = (name: string, shape: readonly number[], values: readonly number[]): Weight => ({
  name,
  shape,
  values,
  dtype: 'int32',
})
const floats = (name: string, shape: readonly number[]): Weight => ({
  name,
  shape,
  values: numbers(shape.reduce((n, m) => n * m, 1)),
})
const maps = placeholder('m', [1, 4, 4, 2])
const window = { strides: wholes(1, 1, 1, 1), padding: text('VALID'), data_format: text('NHWC') }
const filters = floats('w', [3, 3, 2, 2])

describe('a graph', () => {
  it('tells every operator that it does not know', async () => {
    const error = await errorOf(
      graphModel([x, { name: 'a', op: 'Where', input: ['x'] }, { name: 'b', op: 'Bincount', input: ['a'] }]),
    )
    expect(error).toBeInstanceOf(UnsupportedError)
    expect(error.message).toBe(
      "m: 2 things cannot be run: node 'a' (Where): the operator is not supported; node 'b' (Bincount): the operator is not supported",
    )
  })

  it.each<[string, GraphNode[], Weight[], RegExp, typeof FormatError?]>([
    [
      'reads what nothing gives',
      [{ name: 'y', op: 'Relu', input: ['z'] }],
      [],
      /node 'y' \(Relu\): it reads 'z', which nothing gives/,
    ],
    [
      'reads an output that there is not',
      [x, { name: 'r', op: 'Relu', input: ['x'] }, { name: 'y', op: 'Relu', input: ['r:3'] }],
      [],
      /its output 3 is read, and it has 1/,
    ],
    [
      'is a circle',
      [
        { name: 'a', op: 'Relu', input: ['b'] },
        { name: 'b', op: 'Relu', input: ['a'] },
      ],
      [],
      /needs itself: the nodes are in a circle/,
    ],
    ['has two nodes of one name', [x, sum, sum], [k], /two nodes are called 'y'/],
    ['has no output', [x], [], /outputs: there is none/],
    ['has too few inputs', [x, { name: 'y', op: 'Add', input: ['x'] }], [], /takes 2 inputs, given 1/],
    [
      'has an attribute that is not known',
      [x, { name: 'y', op: 'Relu', input: ['x'], attr: { speed: whole(1) } }],
      [],
      /the attribute 'speed' is not known/,
    ],
    [
      'has an attribute of another kind',
      [x, { name: 'y', op: 'LeakyRelu', input: ['x'], attr: { alpha: whole(1) } }],
      [],
      /attribute 'alpha' must have 'f', and has 'i'/,
    ],
    [
      'has a text that is no base64',
      [maps, { name: 'y', op: 'Conv2D', input: ['m', 'w'], attr: { ...window, padding: { s: 'é' } } }],
      [filters],
      /must be a text in base64/,
    ],
    [
      'has a type that is not known',
      [x, { name: 'y', op: 'Cast', input: ['x'], attr: { DstT: { type: 'DT_STRING' } } }],
      [],
      /the type 'DT_STRING' is not supported/,
    ],
    [
      'has strides of the batch',
      [maps, { name: 'y', op: 'Conv2D', input: ['m', 'w'], attr: { ...window, strides: wholes(2, 1, 1, 1) } }],
      [filters],
      /of batch and channels other than 1/,
    ],
    [
      'has strides of 0',
      [maps, { name: 'y', op: 'Conv2D', input: ['m', 'w'], attr: { ...window, strides: wholes(1, 0, 1, 1) } }],
      [filters],
      /strides must be from 1 on/,
    ],
    [
      'has too few explicit paddings',
      [
        maps,
        {
          name: 'y',
          op: 'Conv2D',
          input: ['m', 'w'],
          attr: { ...window, padding: text('EXPLICIT'), explicit_paddings: wholes(1) },
        },
      ],
      [filters],
      /explicit_paddings must have 8 numbers, and has 1/,
    ],
    [
      'has explicit paddings far out',
      [
        maps,
        {
          name: 'y',
          op: 'Conv2D',
          input: ['m', 'w'],
          attr: { ...window, padding: text('EXPLICIT'), explicit_paddings: wholes(0, 0, far, far, far, far, 0, 0) },
        },
      ],
      [filters],
      /./,
    ],
    [
      'fuses what is not known',
      [
        maps,
        {
          name: 'y',
          op: '_FusedConv2D',
          input: ['m', 'w', 'b'],
          attr: { ...window, fused_ops: texts('BiasAdd', 'Cube') },
        },
      ],
      [filters, floats('b', [2])],
      /Cube as part of the operator is not supported/,
    ],
    [
      'fuses more than it has inputs',
      [maps, { name: 'y', op: '_FusedConv2D', input: ['m', 'w'], attr: { ...window, fused_ops: texts('BiasAdd') } }],
      [filters],
      /it takes 3 inputs, given 2/,
    ],
    [
      'has filters for other channels',
      [maps, { name: 'y', op: 'Conv2D', input: ['m', 'w'], attr: window }],
      [floats('w', [3, 3, 5, 2])],
      /take 5 channels of each group, and the input has 2/,
    ],
    [
      'has filters of three axes',
      [maps, { name: 'y', op: 'DepthwiseConv2dNative', input: ['m', 'w'], attr: window }],
      [floats('w', [3, 3, 2])],
      /must be \(extents…, C, M\)/,
    ],
    [
      'normalizes by the batch',
      [
        maps,
        { name: 'y', op: 'FusedBatchNormV3', input: ['m', 'b', 'b', 'b', 'b'], attr: { is_training: flag(true) } },
      ],
      [floats('b', [2])],
      /is_training true/,
    ],
    [
      'fills 2^62 places',
      [{ name: 'y', op: 'Fill', input: ['s', 'v'] }],
      [constant('s', [2], [far, far]), floats('v', [])],
      /./,
    ],
    [
      'fills fewer than none',
      [{ name: 'y', op: 'Fill', input: ['s', 'v'] }],
      [constant('s', [1], [-1]), floats('v', [])],
      /./,
    ],
    [
      'counts to 2^31',
      [{ name: 'y', op: 'Range', input: ['a', 'b', 'c'] }],
      [constant('a', [], [-far]), constant('b', [], [far]), constant('c', [], [1])],
      /./,
    ],
    [
      'counts by 0',
      [{ name: 'y', op: 'Range', input: ['a', 'b', 'a'] }],
      [constant('a', [], [0]), constant('b', [], [far])],
      /goes nowhere/,
    ],
    ['tiles 2^31 times', [x, { name: 'y', op: 'Tile', input: ['x', 's'] }], [constant('s', [2], [far, far])], /./],
    [
      'broadcasts to 2^62',
      [x, { name: 'y', op: 'BroadcastTo', input: ['x', 's'] }],
      [constant('s', [4], [far, far, 2, 2])],
      /./,
    ],
    ['pads by 2^31', [x, { name: 'y', op: 'Pad', input: ['x', 's'] }], [constant('s', [2, 2], [0, far, 0, far])], /./],
    [
      'pads below 0',
      [x, { name: 'y', op: 'Pad', input: ['x', 's'] }],
      [constant('s', [2, 2], [0, -1, 0, 0])],
      /paddings must be \(2, 2\) numbers from 0 on/,
    ],
    [
      'resizes to 2^31',
      [maps, { name: 'y', op: 'ResizeBilinear', input: ['m', 's'] }],
      [constant('s', [2], [far, far])],
      /./,
    ],
    [
      'resizes to nothing',
      [maps, { name: 'y', op: 'ResizeBilinear', input: ['m', 's'] }],
      [constant('s', [2], [0, 1])],
      /two extents from 1 on/,
    ],
    [
      'is one hot of 2^31',
      [
        x,
        { name: 'c', op: 'Cast', input: ['x'], attr: { DstT: { type: 'DT_INT32' } } },
        { name: 'y', op: 'OneHot', input: ['c', 'd', 'a', 'b'] },
      ],
      [constant('d', [], [far]), floats('a', []), floats('b', [])],
      /./,
    ],
    [
      'unpacks 2^31',
      [x, { name: 'y', op: 'Unpack', input: ['x'], attr: { num: whole(far) } }],
      [],
      /outputs are more than|is not made of/,
    ],
    [
      'splits into 0',
      [x, { name: 'y', op: 'Split', input: ['a', 'x'], attr: { num_split: whole(0) } }],
      [constant('a', [], [0])],
      /num_split must be from 1 on/,
    ],
    [
      'slices behind the end',
      [x, { name: 'y', op: 'Slice', input: ['x', 'a', 'b'] }],
      [constant('a', [2], [far, 0]), constant('b', [2], [1, 1])],
      /./,
    ],
    [
      'slices by steps of 0',
      [x, { name: 'y', op: 'StridedSlice', input: ['x', 'a', 'a', 'a'] }],
      [constant('a', [1], [0])],
      /a step of 0 goes nowhere/,
    ],
    [
      'slices more axes than there are',
      [x, { name: 'y', op: 'StridedSlice', input: ['x', 'a', 'a', 'a'] }],
      [constant('a', [3], [1, 1, 1])],
      /3 axes are named/,
    ],
    [
      'gathers beyond',
      [x, { name: 'y', op: 'GatherV2', input: ['x', 'a', 'b'] }],
      [constant('a', [1], [far]), constant('b', [], [0])],
      /./,
    ],
    [
      'scatters beyond',
      [{ name: 'y', op: 'SparseToDense', input: ['a', 'b', 'v'] }],
      [constant('a', [1], [7]), constant('b', [1], [2]), floats('v', [1])],
      /./,
    ],
    [
      'takes blocks that do not divide',
      [maps, { name: 'y', op: 'SpaceToBatchND', input: ['m', 'a', 'b'] }],
      [constant('a', [1], [3]), constant('b', [1, 2], [0, 0])],
      /cannot be divided into blocks of 3/,
    ],
    [
      'takes blocks of 2^31',
      [maps, { name: 'y', op: 'DepthToSpace', input: ['m'], attr: { block_size: whole(far) } }],
      [],
      /./,
    ],
    ['multiplies what does not fit', [x, { name: 'y', op: 'MatMul', input: ['x', 'k'] }], [floats('k', [3, 2])], /./],
    [
      'reshapes to what does not fit',
      [x, { name: 'y', op: 'Reshape', input: ['x', 's'] }],
      [constant('s', [1], [3])],
      /./,
    ],
    [
      'reduces an axis that there is not',
      [x, { name: 'y', op: 'Sum', input: ['x', 's'] }],
      [constant('s', [1], [5])],
      /axis 5 does not exist/,
    ],
  ])('that %s', async (_, nodes, weights, message) => {
    expect((await errorOf(graphModel(nodes, weights), weights)).message).toMatch(message)
  })

  it.each<[string, unknown, RegExp]>([
    ['nodes', { node: {} }, /modelTopology.node must be a list/],
    ['a node', { node: [3] }, /modelTopology.node\[0\] must be an object, and is 3/],
    ['a name', { node: [{ op: 'Relu' }] }, /node\[0\]: name must be a text, and is missing/],
    ['inputs', { node: [{ name: 'y', op: 'Relu', input: 'x' }] }, /node\[0\]: input must be a list/],
    [
      'an operator that every object has',
      { node: [{ name: 'y', op: 'constructor', input: [] }] },
      /the operator is not supported/,
    ],
    [
      'a shape',
      {
        node: [
          { name: 'x', op: 'Placeholder', attr: { shape: { shape: { dim: [{ size: '1.5' }] } } } },
          { name: 'y', op: 'Relu', input: ['x'] },
        ],
      },
      /extent 0 must be a whole number/,
    ],
  ])('whose %s is none', async (_, modelTopology, message) => {
    expect((await errorOf({ format: 'graph-model', modelTopology, weightsManifest: [] })).message).toMatch(message)
  })

  it('whose signature names what is not there', async () => {
    const model = { ...good, signature: { outputs: { y: { name: 'z:0' } } } }
    expect((await errorOf(model, [k])).message).toMatch(/the signature names 'z', which nothing gives/)
  })
})

const image: LayerOf = { type: 'InputLayer', name: 'x', config: { batch_input_shape: [null, 4, 4, 2] } }
const conv: LayerOf = { type: 'Conv2D', name: 'c', config: { kernel_size: 3, padding: 'same' }, calls: [['x']] }
const convWeights: Weight[] = [
  { name: 'c/kernel', shape: [3, 3, 2, 2], values: numbers(36) },
  { name: 'c/bias', shape: [2], values: [1, 2] },
]

describe('layers', () => {
  it('tell every class that is not known, in models within the model too', async () => {
    const inner = functional([image, { type: 'Odd', name: 'odd', calls: [['x']] }], ['x'], ['odd'])
    const layers: LayerOf[] = [
      image,
      { type: 'LSTM', name: 'l', calls: [['x']] },
      { type: 'Functional', name: 'f', config: inner, calls: [['l']] },
    ]
    const error = await errorOf(layersModel('Functional', functional(layers, ['x'], ['f'])))
    expect(error).toBeInstanceOf(UnsupportedError)
    expect(error.message).toMatch(/layer 'l' \(LSTM\).*layer 'f\/odd' \(Odd\)/)
  })

  it.each<[string, LayerOf[], RegExp, Weight[]?]>([
    [
      'a missing weight',
      [image, conv],
      /layer 'c' \(Conv2D\): the manifest has no weight 'c\/bias'/,
      [convWeights[0]!],
    ],
    [
      'an option that is not known',
      [image, { ...conv, config: { ...conv.config, speed: 3 } }],
      /the option 'speed' is not known/,
      convWeights,
    ],
    [
      'an option of another kind',
      [image, { ...conv, config: { ...conv.config, strides: 'a' } }],
      /'strides' must be a whole number from 1 on, and is 'a'/,
      convWeights,
    ],
    [
      'an activation that is not known',
      [image, { ...conv, config: { ...conv.config, activation: 'cube' } }],
      /the activation 'cube' is not supported/,
      convWeights,
    ],
    [
      'an activation that every object has',
      [image, { ...conv, config: { ...conv.config, activation: 'constructor' } }],
      /the activation 'constructor' is not supported/,
      convWeights,
    ],
    [
      'strides of 0',
      [image, { ...conv, config: { ...conv.config, strides: [0, 1] } }],
      /must be a whole number from 1 on/,
      convWeights,
    ],
    [
      'a padding that is not known',
      [image, { ...conv, config: { ...conv.config, padding: 'full' } }],
      /padding 'full' is not supported/,
      convWeights,
    ],
    [
      'a layer that is not there',
      [image, { ...conv, calls: [['z']] }],
      /layer 'c' reads 'z', which gives nothing to it/,
      convWeights,
    ],
    [
      'a circle',
      [image, { type: 'Add', name: 'c', calls: [['x', 'd']] }, { type: 'ReLU', name: 'd', calls: [['c']] }],
      /the layers are in a circle/,
    ],
    ['two layers of one name', [image, conv, conv], /two layers are called 'c'/, convWeights],
    [
      'a call with too many inputs',
      [image, { ...conv, calls: [['x', 'x']] }],
      /it takes 1 inputs, given 2/,
      convWeights,
    ],
    [
      'maps of another rank',
      [{ ...image, config: { batch_input_shape: [null, 4] } }, conv],
      /it takes maps of 4 axes/,
      convWeights,
    ],
    ['padding far out', [image, { type: 'ZeroPadding2D', name: 'c', config: { padding: far }, calls: [['x']] }], /./],
    [
      'cropping of everything',
      [image, { type: 'Cropping2D', name: 'c', config: { cropping: 3 }, calls: [['x']] }],
      /./,
    ],
    ['enlarging far', [image, { type: 'UpSampling2D', name: 'c', config: { size: far }, calls: [['x']] }], /./],
    [
      'repeating far',
      [
        { ...image, config: { batch_input_shape: [null, 4] } },
        { type: 'RepeatVector', name: 'c', config: { n: far }, calls: [['x']] },
      ],
      /./,
    ],
    [
      'a reshape that does not fit',
      [image, { type: 'Reshape', name: 'c', config: { target_shape: [7] }, calls: [['x']] }],
      /./,
    ],
    [
      'an axis that there is not',
      [image, { type: 'Concatenate', name: 'c', config: { axis: 9 }, calls: [['x', 'x']] }],
      /axis 9 does not exist/,
    ],
    [
      'statistics over two axes',
      [image, { type: 'BatchNormalization', name: 'c', config: { axis: [1, 2] }, calls: [['x']] }],
      /two axes/,
    ],
    [
      'an input of another type',
      [{ ...image, config: { ...image.config, dtype: 'string' } }, conv],
      /the type 'string' is not supported/,
      convWeights,
    ],
  ])('with %s', async (_, layers, message, weights = []) => {
    const model = layersModel('Functional', functional(layers, ['x'], ['c']), weights)
    expect((await errorOf(model, weights)).message).toMatch(message)
  })

  it.each<[string, string, unknown, RegExp]>([
    ['another class', 'Subclassed', {}, /the model is of the class 'Subclassed'/],
    ['no layers', 'Functional', {}, /layers must be a list, and is missing/],
    ['an empty row', 'Sequential', { layers: [] }, /there is no layer/],
    [
      'outputs that are none',
      'Functional',
      { ...functional([image], ['x'], ['x']), output_layers: 3 },
      /output_layers must be a list/,
    ],
    [
      'an output that is not there',
      'Functional',
      functional([image], ['x'], ['y']),
      /the output 'y' is given by nothing/,
    ],
    [
      'an input that is none',
      'Functional',
      functional([image, { type: 'ReLU', name: 'r', calls: [['x']] }], ['r'], ['r']),
      /the input 'r' is no InputLayer/,
    ],
    [
      'an argument that is not known',
      'Functional',
      {
        ...functional([image], ['x'], ['r']),
        layers: [
          { class_name: 'InputLayer', name: 'x', config: image.config },
          { class_name: 'ReLU', name: 'r', config: {}, inbound_nodes: [[['x', 0, 0, { scale: 2 }]]] },
        ],
      },
      /the argument 'scale' is not supported/,
    ],
  ])('of a model with %s', async (_, type, config, message) => {
    expect((await errorOf(layersModel(type, config))).message).toMatch(message)
  })

  it('of models in models without an end', async () => {
    let config = functional([image, { type: 'ReLU', name: 'r', calls: [['x']] }], ['x'], ['r'])
    for (let depth = 0; depth < 20; depth++)
      config = functional([image, { type: 'Functional', name: 'r', config, calls: [['x']] }], ['x'], ['r'])
    expect((await errorOf(layersModel('Functional', config))).message).toMatch(
      /models are in each other more than 16 deep/,
    )
    // Each calls the one within it twice: a million calls.
    config = functional([image, { type: 'ReLU', name: 'r', calls: [['x']] }], ['x'], ['r'])
    for (let depth = 0; depth < 14; depth++)
      config = functional(
        [image, { type: 'Functional', name: 'r', config, calls: [['x'], ['r'], ['r#1'], ['r#2']] }],
        ['x'],
        ['r#3'],
      )
    expect((await errorOf(layersModel('Functional', config))).message).toMatch(/layers are called more than/)
    const circular: Record<string, unknown> = functional([image], ['x'], ['x'])
    circular['output_layers'] = { again: circular }
    ;(circular['output_layers'] as Record<string, unknown>)['again'] = circular['output_layers']
    expect((await errorOf(layersModel('Functional', circular))).message).toMatch(/nested too deep/)
  })
})

describe('wrong calls', () => {
  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'without a reader',
      () => loadTfjs(good, undefined as never),
      /loadTfjs: what reads the weights must be a function/,
    ],
    [
      'with an option that is not known',
      () => loadTfjs(good, () => new Uint8Array(16), { custom: {} } as never),
      /there is no option 'custom'/,
    ],
    [
      'with a layer that is no function',
      () => loadTfjs(good, () => new Uint8Array(16), { customLayers: { A: 3 } } as never),
      /the layer 'A' must be a function, given 3/,
    ],
    [
      'with a name that is none',
      () => loadTfjs(good, () => new Uint8Array(16), { name: 3 } as never),
      /the name must be a text/,
    ],
  ])('%s', async (_, call, message) => {
    await expect(call()).rejects.toThrow(message)
  })
})
