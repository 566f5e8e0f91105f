/** Models of TensorFlow.js: read from several files, in each way that Keras wrote them, run in their own layout, cut and trained. */
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../../src/autodiff/vjp.js'
import { planPass } from '../../../src/graph/plan.js'
import { Trace } from '../../../src/graph/trace.js'
import { loadTfjs, type Program } from '../../../src/models/tfjs/index.js'
import { add, exp, mseLoss, mul, relu } from '../../../src/ops/index.js'
import { SGD } from '../../../src/optim/index.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { FormatError, UnsupportedError } from '../../../src/runtime/errors.js'
import { normal, ones, tensor } from '../../../src/tensor/create.js'
import { planning, scope, type Tensor } from '../../../src/tensor/tensor.js'
import { fit, tensorExamples } from '../../../src/train/index.js'
import {
  bytesOf,
  float,
  functional,
  graphModel,
  layer3,
  layersModel,
  numbers,
  placeholder,
  texts,
  text,
  whole,
  wholes,
  type GraphNode,
  type LayerOf,
  type Weight,
} from '../../helpers/tfjs.js'

beforeAll(() => init())

const list = (x: { data(): ArrayLike<unknown> } | undefined): number[] => Array.from(x!.data() as ArrayLike<number>)
const load = (
  model: Readonly<Record<string, unknown>>,
  weights: readonly Weight[] = [],
  options?: Parameters<typeof loadTfjs>[2],
): Promise<Program> => loadTfjs(model, () => Promise.resolve(bytesOf(weights)), options)

/** Runs a program once in a scope and gives the numbers of an output. */
const runOnce = (program: Program, values: readonly number[], shape: readonly number[], wanted?: string): number[] =>
  scope(() =>
    list(
      program.run(tensor([...values], [...shape]), wanted ? [wanted] : undefined)[wanted ?? program.outputs[0]!.name],
    ),
  )

/** A convolution (N, H, W, C) with filters (R, S, C, K) and no padding but what is given, by its definition. */
function convolved(
  x: readonly number[],
  [N, H, W, C]: readonly [number, number, number, number],
  w: readonly number[],
  [R, S, , K]: readonly [number, number, number, number],
  stride: number,
  [top, left, bottom, right]: readonly [number, number, number, number],
): number[] {
  const [P, Q] = [Math.floor((H + top + bottom - R) / stride) + 1, Math.floor((W + left + right - S) / stride) + 1]
  const y: number[] = []
  for (let n = 0; n < N; n++)
    for (let p = 0; p < P; p++)
      for (let q = 0; q < Q; q++)
        for (let k = 0; k < K; k++) {
          let sum = 0
          for (let r = 0; r < R; r++)
            for (let s = 0; s < S; s++)
              for (let c = 0; c < C; c++) {
                const [i, j] = [p * stride + r - top, q * stride + s - left]
                if (i < 0 || j < 0 || i >= H || j >= W) continue
                sum += x[((n * H + i) * W + j) * C + c]! * w[((r * S + s) * C + c) * K + k]!
              }
          y.push(sum)
        }
  return y
}

function expectNear(given: readonly number[], due: readonly number[]): void {
  expect(given.length).toBe(due.length)
  given.forEach((value, i) => expect(value).toBeCloseTo(due[i]!, 5))
}

const window = { strides: wholes(1, 2, 2, 1), padding: text('SAME'), data_format: text('NHWC') }
const plain = { strides: wholes(1, 1, 1, 1), padding: text('SAME'), data_format: text('NHWC') }

/** Blocks as BlazeFace has them: a depthwise and a pointwise convolution, and a sum with the padded or pooled input. */
function blaze(): { readonly nodes: readonly GraphNode[]; readonly weights: readonly Weight[] } {
  const weights: Weight[] = [
    { name: 'w', shape: [5, 5, 3, 8], values: numbers(600) },
    { name: 'b', shape: [8], values: numbers(8) },
    { name: 'pads', shape: [4, 2], values: [0, 0, 0, 0, 0, 0, 0, 4], dtype: 'int32' },
    { name: 'shape', shape: [3], values: [1, -1, 2], dtype: 'int32' },
    { name: 'axes', shape: [2], values: [1, 2], dtype: 'int32' },
    { name: 'size', shape: [2], values: [8, 8], dtype: 'int32' },
    { name: 'last', shape: [], values: [3], dtype: 'int32' },
    { name: 'slope', shape: [1, 1, 12], values: numbers(12) },
    { name: 'head', shape: [1, 1, 24, 6], values: numbers(144) },
  ]
  const nodes: GraphNode[] = [
    placeholder('input', [1, 16, 16, 3]),
    {
      name: 'stem',
      op: '_FusedConv2D',
      input: ['input', 'w', 'b'],
      attr: { ...window, fused_ops: texts('BiasAdd', 'Relu'), num_args: whole(1) },
    },
  ]
  let [from, channels] = ['stem', 8]
  for (const i of [0, 1, 2]) {
    const out = i === 1 ? channels + 4 : channels
    weights.push({ name: `d${i}`, shape: [3, 3, channels, 1], values: numbers(9 * channels, i) })
    weights.push({ name: `p${i}`, shape: [1, 1, channels, out], values: numbers(channels * out, i + 5) })
    weights.push({ name: `c${i}`, shape: [out], values: numbers(out, i + 9) })
    nodes.push({ name: `depth${i}`, op: 'DepthwiseConv2dNative', input: [from, `d${i}`], attr: plain })
    nodes.push({ name: `point${i}`, op: 'Conv2D', input: [`depth${i}`, `p${i}`], attr: plain })
    nodes.push({ name: `bias${i}`, op: 'BiasAdd', input: [`point${i}`, `c${i}`], attr: {} })
    if (i === 1) nodes.push({ name: 'wide', op: 'Pad', input: [from, 'pads'] })
    nodes.push({ name: `sum${i}`, op: 'AddV2', input: [i === 1 ? 'wide' : from, `bias${i}`] })
    nodes.push({ name: `relu${i}`, op: 'Relu6', input: [`sum${i}`] })
    ;[from, channels] = [`relu${i}`, out]
  }
  nodes.push({ name: 'slanted', op: 'Prelu', input: [from, 'slope'] })
  nodes.push({ name: 'pooled', op: 'MaxPool', input: ['slanted'], attr: { ...window, ksize: wholes(1, 2, 2, 1) } })
  nodes.push({
    name: 'large',
    op: 'ResizeBilinear',
    input: ['pooled', 'size'],
    attr: { half_pixel_centers: { b: true } },
  })
  nodes.push({ name: 'both', op: 'ConcatV2', input: ['large', 'slanted', 'last'] })
  nodes.push({ name: 'mean', op: 'Mean', input: ['both', 'axes'], attr: { keep_dims: { b: true } } })
  nodes.push({ name: 'gated', op: 'Mul', input: ['both', 'mean'] })
  nodes.push({ name: 'heads', op: 'Conv2D', input: ['gated', 'head'], attr: plain })
  nodes.push({ name: 'boxes', op: 'Reshape', input: ['heads', 'shape'] })
  return { nodes, weights }
}

describe('the layout', () => {
  it('is that of the model, without a transposition for each layer', async () => {
    const { nodes, weights } = blaze()
    const program = await load(graphModel(nodes, weights), weights)
    expect(program.inputs).toEqual([{ name: 'input', dtype: 'float32', shape: [1, 16, 16, 3] }])
    const trace = new Trace()
    const transposed = planning(trace, () =>
      scope(() => {
        const input = trace.input('input', [1, 16, 16, 3], 'float32')
        const { boxes } = program.run({ input })
        const outputs = new Map([['boxes', { value: trace.valueOf(boxes!), shape: boxes!.shape }]])
        const plan = planPass({
          ...{
            inputs: new Map([['input', trace.valueOf(input)]]),
            outputs,
            results: trace.results,
            nodes: trace.nodes,
          },
          ...{ constants: trace.constants, read: trace.readings },
        })
        return plan.repeated.filter(({ node }) => node.name === 'transpose').length
      }),
    )
    for (const constant of trace.constants) constant.dispose()
    expect(transposed).toBeGreaterThan(0)
    expect(transposed).toBeLessThanOrEqual(2)
    program.dispose()
  })

  it('is the same for every value that is asked for by name', async () => {
    const { nodes, weights } = blaze()
    const program = await load(graphModel(nodes, weights), weights)
    scope(() => {
      const x = normal([1, 16, 16, 3], { seed: 1 })
      const values = program.run(x, ['stem', 'depth1', 'mean', 'both', 'boxes'])
      expect(Object.values(values).map(({ shape }) => shape)).toEqual([
        ...[
          [1, 8, 8, 8],
          [1, 8, 8, 8],
          [1, 1, 1, 24],
          [1, 8, 8, 24],
          [1, 192, 2],
        ],
      ])
      const stem = convolved(list(x), [1, 16, 16, 3], numbers(600), [5, 5, 3, 8], 2, [1, 1, 2, 2])
      expectNear(
        list(values['stem']),
        stem.map((value, i) => Math.max(0, value + numbers(8)[i % 8]!)),
      )
    })
    program.dispose()
  })

  it('may have channels first', async () => {
    const [filters, gamma] = [numbers(36), numbers(4, 3)]
    const weights: Weight[] = [
      { name: 'w', shape: [3, 3, 1, 4], values: filters },
      { name: 'g', shape: [4], values: gamma },
    ]
    const attr = { strides: wholes(1, 1, 2, 2), padding: text('VALID'), data_format: text('NCHW') }
    const program = await load(
      graphModel(
        [
          placeholder('x', [-1, 1, 5, 5]),
          { name: 'y', op: 'Conv2D', input: ['x', 'w'], attr },
          { name: 'z', op: 'BiasAdd', input: ['y', 'g'], attr: { data_format: text('NCHW') } },
        ],
        weights,
      ),
      weights,
    )
    const x = numbers(25)
    const due = convolved(x, [1, 5, 5, 1], filters, [3, 3, 1, 4], 2, [0, 0, 0, 0])
    // (1, 2, 2, 4) as (1, 4, 2, 2), with the bias of each channel.
    const first = Array.from(
      { length: 16 },
      (_, i) => due[(i % 4) * 4 + Math.floor(i / 4)]! + gamma[Math.floor(i / 4)]!,
    )
    expectNear(runOnce(program, x, [1, 1, 5, 5]), first)
    program.dispose()
  })

  it('follows transpositions of the file without any of its own', async () => {
    const weights: Weight[] = [
      { name: 'last', shape: [4], values: [0, 2, 3, 1], dtype: 'int32' },
      { name: 'first', shape: [4], values: [0, 3, 1, 2], dtype: 'int32' },
      { name: 'w', shape: [1, 1, 2, 3], values: numbers(6) },
    ]
    const program = await load(
      graphModel(
        [
          placeholder('x', [1, 2, 4, 5]),
          { name: 'a', op: 'Transpose', input: ['x', 'last'] },
          { name: 'b', op: 'Conv2D', input: ['a', 'w'], attr: plain },
          { name: 'c', op: 'Transpose', input: ['b', 'first'] },
        ],
        weights,
      ),
      weights,
    )
    const trace = new Trace()
    planning(trace, () => scope(() => program.run({ x: trace.input('x', [1, 2, 4, 5], 'float32') })))
    // The only one is that of the filters, which is computed once.
    const onInputs = trace.nodes.filter(
      ({ name, inputs }) => name === 'transpose' && [...inputs.values()].some((value) => !value?.constant),
    )
    expect(onInputs).toEqual([])
    for (const constant of trace.constants) constant.dispose()
    const x = numbers(40)
    const moved = Array.from({ length: 40 }, (_, i) => x[(i % 2) * 20 + Math.floor(i / 2)]!)
    const due = convolved(moved, [1, 4, 5, 2], numbers(6), [1, 1, 2, 3], 1, [0, 0, 0, 0])
    expectNear(
      runOnce(program, x, [1, 2, 4, 5]),
      Array.from({ length: 60 }, (_, i) => due[(i % 20) * 3 + Math.floor(i / 20)]!),
    )
    program.dispose()
  })
})

describe('weights', () => {
  it('may lie in several files, and begin in one and end in another', async () => {
    const weights: Weight[] = [
      { name: 'k', shape: [], values: [3] },
      { name: 'b', shape: [4], values: [1, 2, 3, 4] },
    ]
    const model = graphModel(
      [placeholder('x', [4]), { name: 'm', op: 'Mul', input: ['x', 'k'] }, { name: 'y', op: 'Add', input: ['m', 'b'] }],
      weights,
    )
    const manifest = model['weightsManifest'] as { paths: string[] }[]
    manifest[0]!.paths = ['one', 'two', 'three']
    const bytes = bytesOf(weights)
    const parts: Record<string, Uint8Array> = { one: bytes.slice(0, 7), two: bytes.slice(7, 9), three: bytes.slice(9) }
    const asked: string[] = []
    const program = await loadTfjs(JSON.stringify(model), (path) => {
      asked.push(path)
      return Promise.resolve(parts[path]!.slice().buffer)
    })
    expect(asked).toEqual(['one', 'two', 'three'])
    expect(runOnce(program, [1, 1, 1, 2], [4])).toEqual([4, 5, 6, 10])
    program.dispose()
  })

  it('may be quantized', async () => {
    const weights = [
      { name: 'a', shape: [3], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -1 } },
      { name: 'b', shape: [3], dtype: 'float32', quantization: { dtype: 'uint16', scale: 0.001, min: 2 } },
      { name: 'c', shape: [3], dtype: 'float32', quantization: { dtype: 'float16', original_dtype: 'float32' } },
      { name: 'd', shape: [3], dtype: 'int32', quantization: { dtype: 'uint8', scale: 1.5, min: 2 } },
    ]
    const model = graphModel([
      placeholder('x', [3]),
      ...weights.map(({ name }) => ({ name, op: 'Const' })),
      ...['a', 'b', 'c'].map((name) => ({ name: `y${name}`, op: 'Mul', input: ['x', name] })),
      { name: 'yd', op: 'Identity', input: ['d'] },
    ])
    model['weightsManifest'] = [{ paths: ['w'], weights }]
    const bytes = new Uint8Array([
      ...[0, 4, 255],
      ...new Uint8Array(Uint16Array.of(0, 1000, 65535).buffer),
      ...new Uint8Array(Uint16Array.of(0x3c00, 0xc100, 0x0001).buffer),
      ...[0, 1, 2],
    ])
    const program = await loadTfjs(model, () => bytes)
    scope(() => {
      const y = program.run(ones([3]))
      expectNear(list(y['ya']), [-1, 1, 126.5])
      expectNear(list(y['yb']), [2, 3, 67.535])
      expect(list(y['yc'])).toEqual([1, -2.5, 2 ** -24])
      expect(list(y['yd'])).toEqual([2, 4, 5])
    })
    program.dispose()
  })
})

const image: LayerOf = {
  type: 'InputLayer',
  name: 'image',
  config: { batch_input_shape: [null, 6, 6, 2], dtype: 'float32' },
}
const image3: LayerOf = {
  type: 'InputLayer',
  name: 'image',
  config: { batch_shape: [null, 6, 6, 2], dtype: 'float32' },
}
const conv = (name: string, filters: number, calls: LayerOf['calls'], more = {}): LayerOf => ({
  type: 'Conv2D',
  name,
  config: {
    filters,
    kernel_size: [3, 3],
    strides: [1, 1],
    padding: 'same',
    data_format: 'channels_last',
    activation: 'relu',
    ...more,
  },
  ...(calls && { calls }),
})
const convWeights = (name: string, C: number, K: number, seed = 1): Weight[] => [
  { name: `${name}/kernel`, shape: [3, 3, C, K], values: numbers(9 * C * K, seed) },
  { name: `${name}/bias`, shape: [K], values: numbers(K, seed + 1) },
]
const layersOf = (own: LayerOf): LayerOf[] => [
  own,
  conv('first', 2, [['image']]),
  { type: 'Add', name: 'sum', calls: [['first', 'image']] },
  { type: 'Flatten', name: 'flat', config: { data_format: 'channels_last' }, calls: [['sum']] },
  { type: 'Dense', name: 'scores', config: { units: 3, activation: 'linear', use_bias: true }, calls: [['flat']] },
]
const layerWeights = [
  ...convWeights('first', 2, 2),
  { name: 'scores/kernel', shape: [72, 3], values: numbers(216, 4) },
  { name: 'scores/bias', shape: [3], values: numbers(3, 5) },
]
function scoresOf(x: readonly number[]): number[] {
  const y = convolved(x, [1, 6, 6, 2], numbers(36), [3, 3, 2, 2], 1, [1, 1, 1, 1])
  const sums = y.map((value, i) => Math.max(0, value + numbers(2, 2)[i % 2]!) + x[i]!)
  return [0, 1, 2].map((k) =>
    sums.reduce((sum, value, i) => sum + value * numbers(216, 4)[3 * i + k]!, numbers(3, 5)[k]!),
  )
}

describe('layers-models', () => {
  it.each([
    ['Keras 2', layersModel('Functional', functional(layersOf(image), ['image'], ['scores']), layerWeights)],
    [
      'Keras 3',
      layersModel(
        'Functional',
        {
          ...functional(layersOf(image3), ['image'], ['scores'], layer3),
          input_layers: ['image', 0, 0],
          output_layers: ['scores', 0, 0],
        },
        layerWeights,
        '3.5.0',
      ),
    ],
    [
      'TensorFlow.js',
      {
        format: 'layers-model',
        modelTopology: {
          class_name: 'Model',
          config: functional(layersOf(image), ['image'], ['scores']),
          keras_version: 'tfjs-layers 4.22.0',
        },
        weightsManifest: layersModel('Model', {}, layerWeights)['weightsManifest'],
      },
    ],
    [
      'a row',
      layersModel(
        'Sequential',
        {
          name: 's',
          layers: [
            {
              class_name: 'Conv2D',
              config: { ...conv('first', 2, undefined).config, name: 'first', batch_input_shape: [null, 6, 6, 2] },
            },
            { class_name: 'ReLU', config: { name: 'same' } },
          ],
        },
        convWeights('first', 2, 2),
      ),
    ],
  ] as const)('of %s run, whose Flatten has channels last', async (name, model) => {
    const weights = name === 'a row' ? convWeights('first', 2, 2) : layerWeights
    const program = await load(model, weights)
    expect(program.inputs).toEqual([
      { name: name === 'a row' ? 'first_input' : 'image', dtype: 'float32', shape: [null, 6, 6, 2] },
    ])
    const x = numbers(72, 8)
    const due =
      name === 'a row'
        ? convolved(x, [1, 6, 6, 2], numbers(36), [3, 3, 2, 2], 1, [1, 1, 1, 1]).map((value, i) =>
            Math.max(0, value + numbers(2, 2)[i % 2]!),
          )
        : scoresOf(x)
    expectNear(runOnce(program, x, [1, 6, 6, 2]), due)
    expect(program.outputs.map((output) => output.name)).toEqual([name === 'a row' ? 'same' : 'scores'])
    program.dispose()
  })

  it('call a layer, and a model, more than once', async () => {
    const inner = functional([image, conv('inside', 2, [['image']])], ['image'], ['inside'])
    const layers: LayerOf[] = [
      image,
      conv('shared', 2, [['image'], ['shared']]),
      { type: 'Functional', name: 'model', config: inner, calls: [['shared#1'], ['model#1']] },
      { type: 'Subtract', name: 'difference', calls: [['model#2', 'shared']] },
    ]
    const weights = [...convWeights('shared', 2, 2), ...convWeights('inside', 2, 2, 6)]
    const program = await load(
      layersModel('Functional', functional(layers, ['image'], ['difference', 'model#2']), weights),
      weights,
    )
    const x = numbers(72)
    const once = (values: readonly number[], seed: number): number[] =>
      convolved(values, [1, 6, 6, 2], numbers(36, seed), [3, 3, 2, 2], 1, [1, 1, 1, 1]).map((value, i) =>
        Math.max(0, value + numbers(2, seed + 1)[i % 2]!),
      )
    const first = once(x, 1)
    const last = once(once(once(first, 1), 6), 6)
    scope(() => {
      const y = program.run(tensor(x, [1, 6, 6, 2]))
      expectNear(
        list(y['difference']),
        last.map((value, i) => value - first[i]!),
      )
      expect(Object.keys(y)).toEqual(['difference', 'model'])
      expectNear(list(y['model']), last)
    })
    expect([...program.namedParameters().keys()]).toEqual([
      'shared/kernel',
      'shared/bias',
      'inside/kernel',
      'inside/bias',
    ])
    program.dispose()
  })

  it('take layers that the caller gives', async () => {
    const layers: LayerOf[] = [
      { type: 'InputLayer', name: 'x', config: { batch_input_shape: [null, 3] } },
      { type: 'Scaled', name: 'scaled', config: { power: 2 }, calls: [['x']] },
    ]
    const weights: Weight[] = [{ name: 'scaled/beta', shape: [3], values: [1, 2, 3] }]
    const model = layersModel('Functional', functional(layers, ['x'], ['scaled']), weights)
    const given: unknown[] = []
    const program = await load(model, weights, {
      customLayers: {
        Scaled([x], { config, weights: own }) {
          given.push(config['power'], Object.keys(own))
          return mul(x!, own['beta']!)
        },
      },
    })
    expect(runOnce(program, [1, 1, 2], [1, 3])).toEqual([1, 2, 6])
    expect(given.slice(0, 2)).toEqual([2, ['beta']])
    expect([...program.namedParameters().keys()]).toEqual(['scaled/beta'])
    program.dispose()
    await expect(load(model, weights)).rejects.toThrow(
      /layer 'scaled' \(Scaled\): the layer is not supported; give it in customLayers/,
    )
    const bad = await load(model, weights, { customLayers: { Scaled: () => 1 as never } })
    expect(() => runOnce(bad, [1, 1, 2], [1, 3])).toThrow(/what 'Scaled' gives must be a Tensor/)
    bad.dispose()
  })

  it('mean hard_sigmoid as their version of Keras does', async () => {
    const layers: LayerOf[] = [
      { type: 'InputLayer', name: 'x', config: { batch_input_shape: [null, 3] } },
      { type: 'Activation', name: 'y', config: { activation: 'hard_sigmoid' }, calls: [['x']] },
    ]
    for (const [version, slope] of [
      ['2.15.0', 0.2],
      ['3.5.0', 1 / 6],
    ] as const) {
      const program = await load(layersModel('Functional', functional(layers, ['x'], ['y']), [], version))
      expectNear(runOnce(program, [1, -1, 9], [1, 3]), [0.5 + slope, 0.5 - slope, 1])
      program.dispose()
    }
  })

  it('have channels first where they say so, and flatten them last', async () => {
    const first = { data_format: 'channels_first' }
    const layers: LayerOf[] = [
      { type: 'InputLayer', name: 'x', config: { batch_input_shape: [null, 2, 5, 5] } },
      conv('c', 2, [['x']], { ...first, padding: 'valid', activation: 'linear' }),
      {
        type: 'ZeroPadding2D',
        name: 'p',
        config: {
          ...first,
          padding: [
            [0, 1],
            [2, 0],
          ],
        },
        calls: [['c']],
      },
      { type: 'Flatten', name: 'f', config: first, calls: [['p']] },
    ]
    const weights = convWeights('c', 2, 2)
    const program = await load(layersModel('Functional', functional(layers, ['x'], ['f']), weights), weights)
    const x = numbers(50)
    const moved = Array.from({ length: 50 }, (_, i) => x[(i % 2) * 25 + Math.floor(i / 2)]!)
    const y = convolved(moved, [1, 5, 5, 2], numbers(36), [3, 3, 2, 2], 1, [0, 0, 0, 0])
    const due = Array.from({ length: 4 * 5 * 2 }, (_, i) => {
      const [row, column, k] = [Math.floor(i / 10), Math.floor(i / 2) % 5, i % 2]
      return row > 2 || column < 2 ? 0 : y[(row * 3 + column - 2) * 2 + k]! + numbers(2, 2)[k]!
    })
    expectNear(runOnce(program, x, [1, 2, 5, 5]), due)
    program.dispose()
  })

  it('keep the statistics of normalization that is not trained', async () => {
    const layers: LayerOf[] = [
      { type: 'InputLayer', name: 'x', config: { batch_input_shape: [null, 2] } },
      { type: 'BatchNormalization', name: 'bn', config: { trainable: false, epsilon: 0 }, calls: [['x']] },
    ]
    const weights = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((own, i): Weight => ({
      name: `bn/${own}`,
      shape: [2],
      values: [i + 1, i + 1],
    }))
    const program = await load(layersModel('Functional', functional(layers, ['x'], ['bn']), weights), weights)
    expect(program.parameters()).toEqual([])
    const x = [3, 5, 7, 9]
    const due = x.map((value) => (value - 3) / 2 + 2)
    program.train()
    for (let step = 0; step < 2; step++) expectNear(runOnce(program, x, [2, 2]), due)
    program.dispose()
  })

  it('train: batch normalization moves its statistics, dropout drops, frozen layers stay', async () => {
    const layers: LayerOf[] = [
      image,
      conv('first', 2, [['image']], { trainable: false }),
      {
        type: 'BatchNormalization',
        name: 'bn',
        config: { axis: [3], momentum: 0.9, epsilon: 0.001 },
        calls: [['first']],
      },
      { type: 'Dropout', name: 'drop', config: { rate: 0.25 }, calls: [['bn']] },
      { type: 'GlobalAveragePooling2D', name: 'mean', config: {}, calls: [['drop']] },
      { type: 'Dense', name: 'out', config: { units: 1 }, calls: [['mean']] },
    ]
    const weights: Weight[] = [
      ...convWeights('first', 2, 2),
      ...['gamma', 'beta', 'moving_mean', 'moving_variance'].map((own) => ({
        name: `bn/${own}`,
        shape: [2],
        values: [1, 1],
      })),
      { name: 'out/kernel', shape: [2, 1], values: [0.5, -0.5] },
      { name: 'out/bias', shape: [1], values: [0] },
    ]
    const program = await load(layersModel('Functional', functional(layers, ['image'], ['out']), weights), weights)
    expect([...program.namedParameters().keys()]).toEqual(['bn/gamma', 'bn/beta', 'out/kernel', 'out/bias'])
    const x = normal([8, 6, 6, 2], { seed: 3 })
    const y = ones([8, 1])
    const calm = scope(() => list(program.run(x)['out']))
    expect(scope(() => list(program.run(x)['out']))).toEqual(calm)
    program.train()
    const [first, second] = [0, 1].map(() => scope(() => list(program.run(x)['out'])))
    expect(first).not.toEqual(second)
    program.eval()
    expect(scope(() => list(program.run(x)['out']))).not.toEqual(calm)
    scope(() => {
      const { pullback } = vjp(
        (...parameters) => {
          expect(parameters).toHaveLength(4)
          return mseLoss(program.forward(x), y)
        },
        ...program.parameters(),
      )
      for (const gradient of pullback()) expect(list(gradient).some((slope) => slope !== 0)).toBe(true)
    })
    const optimizer = new SGD(program.parameters(), { lr: 0.1 })
    const history = await fit(program, tensorExamples(x, y), {
      ...{ epochs: 15, batchSize: 4, optimizer, seed: 1 },
      loss: (output: Tensor, target: Tensor) => mseLoss(output, target),
    })
    expect(history.epochs.at(-1)!.training.loss).toBeLessThan(0.5 * history.epochs[0]!.training.loss)
    for (const tensor of [x, y]) tensor.dispose()
    optimizer.dispose?.()
    program.dispose()
  })
})

describe('graphs', () => {
  it('have outputs by the signature, or those that nothing reads', async () => {
    const nodes: GraphNode[] = [
      placeholder('x', [-1, 2]),
      placeholder('unused', [1]),
      { name: 'half', op: 'Split', input: ['axis', 'x'], attr: { num_split: whole(2) } },
      { name: 'a', op: 'Relu', input: ['half:0', '^x'] },
      { name: 'b', op: 'Neg', input: ['half:1'] },
    ]
    const weights: Weight[] = [{ name: 'axis', shape: [], values: [1], dtype: 'int32' }]
    const open = await load(graphModel(nodes, weights), weights)
    expect(open.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [null, 2] }])
    expect(open.outputs.map(({ name }) => name)).toEqual(['a', 'b'])
    expect(runOnce(open, [1, 2, 3, 4], [2, 2], 'b')).toEqual([-2, -4])
    open.dispose()
    const signature = {
      outputs: { second: { name: 'half:1', dtype: 'DT_FLOAT', tensorShape: { dim: [{ size: '-1' }, { size: '1' }] } } },
    }
    const named = await load(graphModel(nodes, weights, { signature }), weights)
    expect(named.outputs).toEqual([{ name: 'half:1', dtype: 'float32', shape: [null, 1] }])
    expect(runOnce(named, [1, 2, 3, 4], [2, 2])).toEqual([2, 4])
    named.dispose()
  })

  it('compute shapes while a pass is planned', async () => {
    const weights: Weight[] = [
      { name: 'zero', shape: [1], values: [0], dtype: 'int32' },
      { name: 'oneth', shape: [1], values: [1], dtype: 'int32' },
      { name: 'rest', shape: [], values: [-1], dtype: 'int32' },
    ]
    const program = await load(
      graphModel(
        [
          placeholder('x', [-1, 2, 3]),
          { name: 's', op: 'Shape', input: ['x'] },
          {
            name: 'n',
            op: 'StridedSlice',
            input: ['s', 'zero', 'oneth', 'oneth'],
            attr: { shrink_axis_mask: whole(1) },
          },
          { name: 'p', op: 'Pack', input: ['n', 'rest'] },
          { name: 'y', op: 'Reshape', input: ['x', 'p'] },
        ],
        weights,
      ),
      weights,
    )
    scope(() => {
      expect(program.run(ones([4, 2, 3]))['y']!.shape).toEqual([4, 6])
      expect(program.run(ones([1, 2, 3]))['y']!.shape).toEqual([1, 6])
    })
    program.dispose()
  })

  it('give what they computed to a program that ends at a value, which is read with channels last', async () => {
    const { nodes, weights } = blaze()
    const program = await load(graphModel(nodes, weights), weights)
    const features = program.until('relu1')
    scope(() => {
      const x = normal([1, 16, 16, 3], { seed: 2 })
      expect(list(features.run(x)['relu1'])).toEqual(list(program.run(x, ['relu1'])['relu1']))
    })
    expect(program.namedParameters().has('w')).toBe(true)
    expect(program.namedParameters().has('pads')).toBe(false)
    // Between the layers nothing is transposed.
    const operators = program.summary().rows.map(({ operator }) => operator)
    expect(operators.filter((operator) => operator === 'Transpose')).toHaveLength(2)
    expect(operators).toContain('DepthwiseConv2dNative')
    program.dispose()
    features.dispose()
  })

  it('are differentiated and give the same numbers while they are trained', async () => {
    const { nodes, weights } = blaze()
    const program = await load(graphModel(nodes, weights), weights)
    scope(() => {
      const x = normal([1, 16, 16, 3], { seed: 2 })
      const calm = list(program.run(x)['boxes'])
      const { value, pullback } = vjp(
        (input) => program.run(input, undefined, { training: true })['boxes'] as Tensor,
        x,
      )
      expectNear(list(value), calm)
      const [dx] = pullback(ones([1, 192, 2]))
      expect(dx!.shape).toEqual([1, 16, 16, 3])
      expect(list(dx).some((slope) => slope !== 0)).toBe(true)
    })
    program.dispose()
  })

  it('whose inputs are whole numbers take them as int32', async () => {
    const program = await load(
      graphModel([
        placeholder('x', [3], 'DT_UINT8'),
        { name: 'y', op: 'Cast', input: ['x'], attr: { DstT: { type: 'DT_FLOAT' }, SrcT: { type: 'DT_UINT8' } } },
        { name: 'z', op: 'LeakyRelu', input: ['y'], attr: { alpha: float(0.5) } },
      ]),
    )
    expect(program.inputs[0]!.dtype).toBe('int32')
    scope(() =>
      expect(list(program.run({ x: tensor([1, 2, 255], [3], { dtype: 'int32' }) })['z'])).toEqual([1, 2, 255]),
    )
    program.dispose()
  })
})

/** One layer of one input in a model, with a batch of 1. */
async function single(
  type: string,
  config: object,
  shape: readonly number[],
  x: readonly number[],
  weights: readonly Weight[] = [],
): Promise<{ readonly shape: readonly number[]; readonly y: number[] }> {
  const layers: LayerOf[] = [
    { type: 'InputLayer', name: 'x', config: { batch_input_shape: [null, ...shape] } },
    { type, name: 'y', config: config as never, calls: [['x']] },
  ]
  const program = await load(layersModel('Functional', functional(layers, ['x'], ['y']), weights), weights)
  const result = scope(() => {
    const { y } = program.run(tensor([...x], [1, ...shape]))
    return { shape: y!.shape, y: list(y) }
  })
  program.dispose()
  return result
}

describe('layers that TensorFlow.js has not, or has otherwise', () => {
  const row = numbers(12)

  it('of one direction are those of two', async () => {
    const [each, points, kernel, bias] = [numbers(6), numbers(12, 2), numbers(18, 3), numbers(3, 4)]
    const pairs: [string, object, Weight[], string, object, Weight[]][] = [
      [
        'SeparableConv1D',
        { kernel_size: [3], padding: 'same' },
        [
          { name: 'y/depthwise_kernel', shape: [3, 2, 1], values: each },
          { name: 'y/pointwise_kernel', shape: [1, 2, 3], values: points.slice(0, 6) },
          { name: 'y/bias', shape: [3], values: bias },
        ],
        'SeparableConv2D',
        { kernel_size: [1, 3], padding: 'same' },
        [
          { name: 'y/depthwise_kernel', shape: [1, 3, 2, 1], values: each },
          { name: 'y/pointwise_kernel', shape: [1, 1, 2, 3], values: points.slice(0, 6) },
          { name: 'y/bias', shape: [3], values: bias },
        ],
      ],
      [
        'DepthwiseConv1D',
        { kernel_size: 3, strides: 1, use_bias: false },
        [{ name: 'y/kernel', shape: [3, 2, 1], values: each }],
        'DepthwiseConv2D',
        { kernel_size: [1, 3], use_bias: false },
        [{ name: 'y/depthwise_kernel', shape: [1, 3, 2, 1], values: each }],
      ],
      [
        'Conv1DTranspose',
        { kernel_size: [3], strides: [2], padding: 'same' },
        [
          { name: 'y/kernel', shape: [3, 3, 2], values: kernel },
          { name: 'y/bias', shape: [3], values: bias },
        ],
        'Conv2DTranspose',
        { kernel_size: [1, 3], strides: [1, 2], padding: 'same' },
        [
          { name: 'y/kernel', shape: [1, 3, 3, 2], values: kernel },
          { name: 'y/bias', shape: [3], values: bias },
        ],
      ],
      [
        'ZeroPadding1D',
        { padding: [1, 2] },
        [],
        'ZeroPadding2D',
        {
          padding: [
            [0, 0],
            [1, 2],
          ],
        },
        [],
      ],
      [
        'Cropping1D',
        { cropping: [1, 2] },
        [],
        'Cropping2D',
        {
          cropping: [
            [0, 0],
            [1, 2],
          ],
        },
        [],
      ],
      ['UpSampling1D', { size: 2 }, [], 'UpSampling2D', { size: [1, 2] }, []],
    ]
    for (const [one, config, weights, two, config2, weights2] of pairs) {
      const a = await single(one, config, [6, 2], row, weights)
      const b = await single(two, config2, [1, 6, 2], row, weights2)
      expect(a.y, one).toEqual(b.y)
      expect([1, 1, ...a.shape.slice(1)], one).toEqual(b.shape)
    }
  })

  it('of three directions are those of two where one of them is 1', async () => {
    for (const [three, config, two, config2] of [
      [
        'ZeroPadding3D',
        {
          padding: [
            [0, 0],
            [1, 0],
            [0, 2],
          ],
        },
        'ZeroPadding2D',
        {
          padding: [
            [1, 0],
            [0, 2],
          ],
        },
      ],
      [
        'Cropping3D',
        {
          cropping: [
            [0, 0],
            [1, 0],
            [0, 2],
          ],
        },
        'Cropping2D',
        {
          cropping: [
            [1, 0],
            [0, 2],
          ],
        },
      ],
      ['UpSampling3D', { size: [1, 2, 3] }, 'UpSampling2D', { size: [2, 3] }],
      ['GlobalAveragePooling3D', {}, 'GlobalAveragePooling2D', {}],
      ['GlobalMaxPooling3D', { keepdims: false }, 'GlobalMaxPooling2D', {}],
    ] as const)
      expect((await single(three, config, [1, 2, 3, 2], row)).y, three).toEqual(
        (await single(two, config2, [2, 3, 2], row)).y,
      )
  })

  it('leave their input as it is outside of training', async () => {
    for (const type of ['Identity', 'ActivityRegularization', 'SpatialDropout2D', 'SpatialDropout3D'])
      expect((await single(type, {}, type.endsWith('3D') ? [1, 2, 3, 2] : [2, 3, 2], row)).y, type).toEqual(row)
  })

  it('pad before alone where they are causal', async () => {
    const kernel = numbers(6)
    const { y } = await single(
      'Conv1D',
      { kernel_size: [3], padding: 'causal', dilation_rate: [2], use_bias: false },
      [6, 2],
      row,
      [{ name: 'y/kernel', shape: [3, 2, 1], values: kernel }],
    )
    expectNear(
      y,
      [0, 1, 2, 3, 4, 5].map((t) => {
        let sum = 0
        for (let r = 0; r < 3; r++)
          for (let c = 0; c < 2; c++) if (t + 2 * r - 4 >= 0) sum += row[(t + 2 * r - 4) * 2 + c]! * kernel[r * 2 + c]!
        return sum
      }),
    )
  })

  it('normalize along axis 1 where they say so', async () => {
    const weights = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((own, i): Weight => ({
      name: `y/${own}`,
      shape: [2],
      values: [i + 1, i + 2],
    }))
    const { y } = await single('BatchNormalization', { axis: 1, epsilon: 0 }, [2, 3, 2], row, weights)
    expectNear(
      y,
      row.map((value, i) => {
        const c = Math.floor(i / 6)
        return ((value - 3 - c) / Math.sqrt(4 + c)) * (1 + c) + 2 + c
      }),
    )
  })

  it('rectify with a slope, a threshold and a limit', async () => {
    const values = [-2, -0.5, 0.1, 0.6, 3]
    const { y } = await single('ReLU', { max_value: 2, negative_slope: 0.5, threshold: 0.25 }, [5], values)
    expectNear(
      y,
      values.map((x) => Math.min(2, x > 0.25 ? x : 0.5 * (x - 0.25))),
    )
    expectNear(
      (await single('LeakyReLU', { negative_slope: 0.1 }, [5], values)).y,
      values.map((x) => (x > 0 ? x : 0.1 * x)),
    )
    expectNear(
      (await single('Activation', { activation: 'exponential' }, [5], values)).y,
      scope(() => list(exp(tensor(values)))),
    )
    expectNear(
      (await single('Activation', { activation: 'leaky_relu' }, [5], values)).y,
      values.map((x) => (x > 0 ? x : 0.2 * x)),
    )
    expectNear(
      (await single('Activation', { activation: 'hard_swish' }, [5], values)).y,
      values.map((x) => (x * Math.min(6, Math.max(0, x + 3))) / 6),
    )
    expectNear(
      (await single('ELU', { alpha: 0.5 }, [5], values)).y,
      values.map((x) => (x > 0 ? x : 0.5 * Math.expm1(x))),
    )
  })
})

it('gives back everything', async () => {
  const before = memoryUsage().liveBytes
  const { nodes, weights } = blaze()
  const program = await load(graphModel(nodes, weights), weights)
  scope(() => void program.run(add(relu(ones([1, 16, 16, 3])), 1)))
  program.dispose()
  expect(memoryUsage().liveBytes).toBe(before)
  await expect(loadTfjs({}, () => bytesOf([]))).rejects.toThrow(FormatError)
  await expect(load(graphModel([{ name: 'x', op: 'Where' }]))).rejects.toThrow(UnsupportedError)
  expect(memoryUsage().liveBytes).toBe(before)
})
