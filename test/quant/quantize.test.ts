/** Quantized models: near those of float32, with the same bytes by loops and kernels, and errors that say what is wrong. */
import { beforeAll, describe, expect, it } from 'vitest'
import * as t from '../../src/api.js'
import { init } from '../../src/runtime/embedded.js'
import { loadOnnx, saveOnnx, type Program } from '../../src/models/onnx/index.js'
import { initIntegers, quantize, quantizeToOnnx, type QuantizedLayer } from '../../src/quant/index.js'
import { readOnnx } from '../../src/formats/onnx.js'
import { constant, node, onnx, value } from '../helpers/onnx.js'

beforeAll(() => init())

const batches = (shape: readonly number[], count = 3): t.Tensor[] =>
  Array.from({ length: count }, (_, seed) => t.normal([4, ...shape], { seed: seed + 1 }))

/** A network with all that is computed in bytes: convolutions with batch norm, of groups and strides, pools, a sum, linear layers. */
function network(): t.Sequential {
  const model = new t.Sequential(
    [
      new t.Conv2d({ outChannels: 16, kernel: 3, padding: 1 }),
      new t.BatchNorm2d({}),
      new t.ReLU(),
      new t.MaxPool2d({ kernel: 2 }),
      new t.Conv2d({ outChannels: 16, kernel: 3, padding: 1, groups: 16 }),
      new t.ReLU(),
      new t.Conv2d({ outChannels: 32, kernel: 1, stride: 2 }),
      new t.ReLU(),
      new t.Flatten(),
      new t.Linear({ outFeatures: 20 }),
      new t.ReLU(),
      new t.Linear({ outFeatures: 5 }),
    ],
    { input: [2, 12, 11], seed: 3 },
  )
  return model
}

/** The squares of `due` over those of the difference. */
function ratio(due: Float32Array, given: Float32Array): number {
  const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value * value, 0)
  return sum(due) / sum(due.map((value, i) => value - given[i]!))
}

const operatorsOf = (bytes: Uint8Array): string[] => readOnnx(bytes, 'test').graph.nodes.map(({ opType }) => opType)

describe('quantize', () => {
  it('asks for its kernels', () => {
    expect(() => quantize(network(), batches([2, 12, 11]))).toThrow(
      new t.UnsupportedError('quantize: the kernels of integers are not loaded; call await initIntegers() first'),
    )
  })

  it('gives a program near the model, which converts at its borders alone', async () => {
    const model = network()
    const x = t.normal([4, 2, 12, 11], { seed: 99 })
    const examples = batches([2, 12, 11], 16)
    await initIntegers()
    const bytes = quantizeToOnnx(model, examples)
    const operators = operatorsOf(bytes)
    expect(operators.filter((name) => name === 'QuantizeLinear')).toHaveLength(1)
    expect(operators.filter((name) => name === 'DequantizeLinear')).toHaveLength(1)
    expect(operators.filter((name) => name === 'QLinearConv')).toHaveLength(5)
    expect(operators).not.toContain('Relu')
    expect(operators).not.toContain('BatchNormalization')
    for (const range of ['min-max', 'percentile', 'mse'] as const) {
      for (const weights of ['per-channel', 'per-tensor'] as const) {
        let layers: readonly QuantizedLayer[] = []
        const program = quantize(model, examples, { range, weights, report: (given) => (layers = given) })
        expect(layers.map(({ operator }) => operator)).toEqual(['Conv', 'Conv', 'Conv', 'Gemm', 'Gemm'])
        for (const { signalToNoise } of layers) expect(signalToNoise).toBeGreaterThan(150)
        const due = t.scope(() => model.forward(x).data())
        const given = t.scope(() => program.forward(x).data())
        expect(ratio(due, given)).toBeGreaterThan(150)
        program.dispose()
      }
    }
    model.dispose()
  })

  it('takes a program, sums, concatenations and means', () => {
    const graph = new t.Graph(
      [
        { name: 'a', layer: new t.Conv2d({ outChannels: 8, kernel: 3, padding: 1 }), inputs: 'x' },
        { name: 'b', layer: new t.Conv2d({ outChannels: 8, kernel: 1 }), inputs: 'x' },
        { name: 'sum', layer: new t.Add(), inputs: ['a', 'b'] },
        { name: 'both', layer: new t.Concat(), inputs: ['sum', 'a'] },
        { name: 'mean', layer: new t.GlobalAvgPool() },
        { name: 'flat', layer: new t.Flatten() },
        { name: 'out', layer: new t.Linear({ outFeatures: 3 }) },
      ],
      { inputs: { x: [3, 8, 8] }, seed: 1 },
    )
    const program = loadOnnx(saveOnnx(graph))
    const examples = batches([3, 8, 8])
    const x = t.normal([2, 3, 8, 8], { seed: 5 })
    const operators = operatorsOf(quantizeToOnnx(program, examples))
    expect(operators).toEqual(expect.arrayContaining(['QLinearAdd', 'QLinearConcat']))
    const small: Program = quantize(program, examples)
    expect(
      ratio(
        t.scope(() => program.forward(x).data()),
        t.scope(() => small.forward(x).data()),
      ),
    ).toBeGreaterThan(150)
  })

  it('takes a quarter of the bytes', () => {
    const model = new t.Sequential(
      [new t.Flatten(), new t.Linear({ outFeatures: 300 }), new t.ReLU(), new t.Linear({ outFeatures: 10 })],
      {
        input: [1, 16, 16],
      },
    )
    expect(quantizeToOnnx(model, batches([1, 16, 16])).length).toBeLessThan(0.27 * saveOnnx(model).length)
  })

  it('leaves layers that are skipped in float32, and computes them there', () => {
    const model = network()
    const examples = batches([2, 12, 11])
    let names: string[] = []
    quantize(model, examples, { report: (layers) => (names = layers.map(({ name }) => name)) }).dispose()
    const operators = operatorsOf(quantizeToOnnx(model, examples, { skip: [names[1]!] }))
    expect(operators.filter((name) => name === 'QLinearConv')).toHaveLength(4)
    expect(operators).toContain('Conv')
    expect(() => quantize(model, examples, { skip: ['nothing'] })).toThrow(
      /^quantize: skip: there is no node 'nothing'; there are /,
    )
  })

  it('refuses to be trained, by the name of the node', () => {
    const program = quantize(network(), batches([2, 12, 11]))
    expect(() => program.forward(t.normal([1, 2, 12, 11]), { training: true })).toThrow(
      /^the quantized model: node '.*' \(QLinearConv\): a quantized layer cannot be trained; train the model that it was made of/,
    )
  })

  it('refuses calibration that is none', () => {
    const model = network()
    for (const [calibration, message] of [
      [[], /^quantize: calibration is empty; give some batches of inputs/],
      [[t.zeros([1, 2, 12, 11])], /^quantize: calibration has the same number everywhere in '.*'; give real inputs/],
      [[t.full([1, 2, 12, 11], NaN)], /^quantize: calibration\[0\] has a number that is not finite/],
      [[t.normal([1, 2, 12, 12])], /must be \(.*, 2, 12, 11\), given \(1, 2, 12, 12\)/],
      [t.normal([1, 2, 12, 11]), /^quantize: calibration must be a list of tensors, each a batch of inputs/],
      [['a'], /^quantize: calibration\[0\] must be a Tensor/],
    ] as const) {
      expect(() => quantize(model, calibration as unknown as t.Tensor[])).toThrow(message)
    }
    for (const [options, message] of [
      [{ weights: 'some' }, /^quantize: weights must be 'per-channel' or 'per-tensor'/],
      [{ range: 'all' }, /^quantize: range must be 'min-max' or 'percentile' or 'mse'/],
      [{ percentile: 101 }, /^quantize: percentile must be above 50, and at most 100, given 101/],
      [{ layers: 'some' }, /^quantize: layers must be 'fastest' or 'all'/],
      [{ skip: 'a' }, /^quantize: skip must be a list of names of nodes/],
      [{ wieghts: 1 }, /wieghts/],
    ] as const) {
      expect(() => quantize(model, batches([2, 12, 11]), options as object)).toThrow(message)
    }
  })

  it('leaves layers in float32 that are slower in integers, with weights of int8, and tells the estimates', () => {
    const conv = (options: { outChannels: number; kernel: number; padding?: number; groups?: number }) => [
      new t.Conv2d(options),
      new t.ReLU(),
    ]
    const model = new t.Sequential(
      [
        ...conv({ outChannels: 64, kernel: 1 }),
        ...conv({ outChannels: 64, kernel: 3, padding: 1 }),
        ...conv({ outChannels: 64, kernel: 3, padding: 1 }),
        ...conv({ outChannels: 96, kernel: 1 }),
        ...conv({ outChannels: 96, kernel: 3, padding: 1, groups: 96 }),
        ...[new t.GlobalAvgPool(), new t.Flatten(), new t.Linear({ outFeatures: 10 })],
      ],
      { input: [48, 28, 28], seed: 4 },
    )
    const examples = [t.normal([2, 48, 28, 28], { seed: 1 })]
    let layers: readonly QuantizedLayer[] = []
    const bytes = quantizeToOnnx(model, examples, { report: (given) => (layers = given) })
    // Of 3 × 3 kernels minimal filtering has fewer products; the depthwise layer would be faster in float32, too, but for its conversions.
    expect(layers.map(({ operator, computes }) => `${operator} ${computes}`)).toEqual([
      'Conv integers',
      'Conv float32',
      'Conv float32',
      'Conv integers',
      'Conv integers',
      'GlobalAveragePool integers',
      'Gemm integers',
    ])
    for (const { operator, computes, estimates, signalToNoise } of layers) {
      expect(signalToNoise).toBeGreaterThan(150)
      if (operator !== 'Conv') continue
      const { integers, float32 } = estimates!
      expect(Math.min(integers, float32)).toBeGreaterThan(0)
      expect(computes).toBe(float32 < integers ? 'float32' : 'integers')
    }
    expect(operatorsOf(bytes).filter((name) => name === 'Conv')).toHaveLength(2)
    const all = quantizeToOnnx(model, examples, { layers: 'all' })
    // Names and scales are a fiftieth of so small a file; the weights of either are int8.
    expect(bytes.length).toBeLessThan(1.01 * all.length)
    expect(bytes.length).toBeLessThan(0.28 * saveOnnx(model).length)
    const forced = operatorsOf(all)
    expect(forced).not.toContain('Conv')
    expect(forced.filter((name) => name === 'QLinearConv')).toHaveLength(6)

    // The weights are made of int8 once, before the first pass.
    const program = quantize(model, examples)
    const [due, given] = [model, program].map((each) => t.scope(() => each.forward(examples[0]!).data()))
    expect(ratio(due!, given!)).toBeGreaterThan(150)
    expect(program.explain().layers.map(({ passes }) => passes[0]!.chosen)).toEqual(['winograd', 'winograd'])
    program.dispose()
  })

  it('takes layers that give the same number everywhere', () => {
    const model = network()
    // The first convolution with its norm gives nothing but 0, and so does the second; the third gives its bias.
    const parameters = model.parameters()
    for (const parameter of parameters.slice(0, 6)) parameter.assign(new Float32Array(parameter.size))
    const bias = parameters[7] as t.Tensor
    bias.assign(Float32Array.from({ length: bias.size }, (_, k) => (k % 5) - 1))
    const examples = batches([2, 12, 11])
    const x = t.normal([2, 2, 12, 11], { seed: 9 })
    for (const range of ['min-max', 'percentile', 'mse'] as const) {
      const program = quantize(model, examples, { range })
      const [due, given] = [model, program].map((each) => t.scope(() => each.forward(x).data()))
      expect(ratio(due!, given!)).toBeGreaterThan(150)
      program.dispose()
    }
  })

  /** A program of nodes over x (N, 2, 3, 4) with constants of float32. */
  const programOf = (nodes: ReturnType<typeof node>[], constants: Parameters<typeof constant>[]): Program =>
    loadOnnx(
      onnx({
        inputs: [value('x', ['N', 2, 3, 4])],
        outputs: [value('y')],
        nodes,
        initializers: constants.map((given) => constant(...given)),
      }),
    )
  const filters = (name: string, by = 1): Parameters<typeof constant> => [
    name,
    [3, 2, 1, 1],
    [0.5, -0.25, 1, 0.125, -1, 0.75].map((weight) => weight * by),
  ]

  it('names a value within the model that is not finite', () => {
    const program = programOf(
      [node('Conv', ['x', 'w'], ['a']), node('Mul', ['a', 'far'], ['inner']), node('Sigmoid', ['inner'], ['y'])],
      [filters('w'), ['far', [], [3e38]]],
    )
    const message =
      /^quantize: the value 'inner' within the model has a number that is not finite; leave out the example that makes it$/
    // In the second example alone.
    const calibration = [t.normal([1, 2, 3, 4], { std: 1e-3 }), t.normal([1, 2, 3, 4], { mean: 100 })]
    expect(() => quantize(program, calibration)).toThrow(message)
    quantize(program, calibration.slice(0, 1)).dispose()
  })

  it('adds in float32 what has different shapes in one of the examples', () => {
    const program = programOf(
      [
        node('Conv', ['x', 'w'], ['a']),
        node('ReduceMean', ['x'], ['mean'], { axes: [0n] }),
        node('Conv', ['mean', 'v'], ['b']),
        node('Add', ['a', 'b'], ['y']),
      ],
      [filters('w'), filters('v', 2)],
    )
    const many = t.normal([8, 2, 3, 4], { seed: 1 })
    const one = t.normal([1, 2, 3, 4], { seed: 2 })
    expect(operatorsOf(quantizeToOnnx(program, [one], { layers: 'all' }))).toContain('QLinearAdd')
    for (const calibration of [
      [many, one],
      [one, many],
    ]) {
      const operators = operatorsOf(quantizeToOnnx(program, calibration, { layers: 'all' }))
      expect(operators).toContain('Add')
      expect(operators).not.toContain('QLinearAdd')
      const small = quantize(program, calibration, { layers: 'all' })
      const [due, given] = [program, small].map((each) => t.scope(() => each.forward(many).data()))
      expect(ratio(due!, given!)).toBeGreaterThan(150)
      small.dispose()
    }
  })

  it('adds in float32 what is far larger than its sum', () => {
    const program = programOf(
      [node('Conv', ['x', 'w'], ['a']), node('Conv', ['x', 'v'], ['b']), node('Add', ['a', 'b'], ['y'])],
      [filters('w', 2 ** 30), filters('v', -(2 ** 30))],
    )
    const x = t.normal([4, 2, 3, 4], { seed: 1 })
    expect(operatorsOf(quantizeToOnnx(program, [x], { layers: 'all' }))).not.toContain('QLinearAdd')
    const small = quantize(program, [x], { layers: 'all' })
    expect(t.scope(() => [...small.forward(x).data()])).toEqual(new Array<number>(4 * 3 * 12).fill(0))
    small.dispose()
  })

  it('takes means of partial windows, with zeros that count and that do not', () => {
    const pool = (more: object) =>
      programOf(
        [
          node('Conv', ['x', 'w'], ['a']),
          node('AveragePool', ['a'], ['y'], { kernel_shape: [2n, 2n], strides: [2n, 2n], ...more }),
        ],
        [filters('w')],
      )
    const x = t.normal([4, 2, 3, 4], { seed: 1 })
    for (const more of [
      {},
      { ceil_mode: 1n },
      { pads: [1n, 1n, 1n, 1n] },
      { count_include_pad: 1n, pads: [1n, 1n, 1n, 1n] },
      { ceil_mode: 1n, count_include_pad: 1n, pads: [1n, 1n, 0n, 0n] },
    ]) {
      const program = pool(more)
      expect(operatorsOf(quantizeToOnnx(program, [x], { layers: 'all' }))).toContain('QLinearAveragePool')
      const small = quantize(program, [x], { layers: 'all' })
      const [due, given] = [program, small].map((each) => t.scope(() => each.forward(x).data()))
      expect(ratio(due!, given!)).toBeGreaterThan(150)
      small.dispose()
    }
  })
})
