import { beforeAll, describe, expect, it } from 'vitest'
import {
  Add,
  BatchNorm2d,
  Concat,
  ConnectedConv2d,
  Conv2d,
  Dropout,
  Graph,
  type Layer,
  LocallyConnected2d,
  modelFromJSON,
  rbfLoss,
  RBF,
  Sequential,
  Subsample2d,
  type GraphConfig,
  Linear,
  ReLU,
} from '../../src/nn/index.js'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import { avgPool2d } from '../../src/ops/pool/index.js'
import { sum } from '../../src/ops/reduce.js'
import { init } from '../../src/runtime/embedded.js'
import { FormatError, ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { layerRows, table, type LayerRow, layerTypes, readModel } from '../helpers/layers.js'
import { peakOf } from '../helpers/memory.js'

beforeAll(() => init())

const chain = ({ type, options = {}, input }: LayerRow): Graph =>
  readModel({ type: 'Sequential', input, layers: [{ type, ...options }] })

describe('every layer', () => {
  it('is in the table', () => {
    expect(layerTypes.filter((type) => !layerRows.some((row) => row.type === type) && !['Concat', 'Add'].includes(type))).toEqual([]) // prettier-ignore
  })

  it.each(layerRows)('$type $options: shape, parameters, notation, JSON, gradients', (row) => {
    const model = chain(row)
    const [input, summary] = model.summary().layers
    expect(input!.output).toEqual(row.input)
    expect(summary).toMatchObject({ layer: row.name, output: row.output, parameters: row.parameters })
    const copy = readModel(JSON.parse(JSON.stringify(model)))
    copy.load(model.save())
    expect(JSON.parse(JSON.stringify(copy))).toEqual(JSON.parse(JSON.stringify(model)))
    scope(() => {
      const x = uniform([2, ...row.input], { seed: 3, low: -1 })
      const y = model.forward(x)
      expect(y.shape).toEqual([2, ...row.output])
      expect(copy.forward(x).data()).toEqual(y.data())
      const { gradients } = valueAndGrad((...inputs) => sum(model.forward(inputs[0]!)))(x, ...model.parameters())
      expect(gradients.map(({ shape }) => shape)).toEqual([x, ...model.parameters()].map(({ shape }) => shape))
    })
    model.dispose()
    copy.dispose()
  })

  it.each(layerRows)(
    '$type $options: passes that repeat an earlier one have the bits of others',
    ({ type, options, input }) => {
      const layers = (): Layer[] =>
        readModel({ type: 'Sequential', input, layers: [{ type, ...options }] }).layers as Layer[]
      const [model, plain] = [true, false].map((keepPacked) => new Sequential(layers(), { input, keepPacked }))
      for (let seed = 0; seed < 6; seed++) {
        scope(() => {
          const x = uniform([2, ...input], { seed, low: -1 })
          const [y, expected] = [model!, plain!].map((each) => new Uint32Array(each.forward(x).data().buffer))
          expect(y).toEqual(expected)
        })
      }
      for (const owned of [model!, plain!]) owned.dispose()
    },
  )

  it.each(layerRows)('$type $options: memory of the first and of later passes, as predicted', (row) => {
    for (const batch of [1, 3]) {
      const model = chain(row)
      model.parameters()
      const { memory } = model.summary(undefined, { batch }).total
      const pass = (): number =>
        peakOf(() => {
          scope(() => void model.forward(zeros([batch, ...row.input])))
        })
      // A pass below a few kilobytes is made of records and tables.
      const within = (bytes: number, expected: number): void => {
        expect(bytes).toBeGreaterThan(expected * 0.95 - 4096)
        expect(bytes).toBeLessThan(expected * 1.05 + 4096)
      }
      within(pass(), memory.firstPeak - memory.weights)
      pass()
      within(pass(), memory.working)
      model.dispose()
    }
  })
})

describe('layers of several inputs', () => {
  it('say which shapes do not join', () => {
    expect(() => new Concat().outputShape([2, 4, 4], [3, 4, 5])).toThrow(
      'Concat: inputs (2, 4, 4) and (3, 4, 5) may differ in their channels only',
    )
    expect(() => new Add().outputShape([2, 4, 4], [3, 4, 4])).toThrow(ShapeError)
    expect(new Concat().outputShape([2, 4, 4], [3, 4, 4], [1, 4, 4])).toEqual([6, 4, 4])
  })
})

describe('Dropout', () => {
  const model = (): Sequential => new Sequential([new Dropout({ p: 0.5 }), new Dropout({ p: 0.5 })], { seed: 4 })
  const values = (training: boolean, step?: number, seed?: number): string => {
    const chained = model()
    return scope(() => {
      const options = { training, ...(step === undefined ? {} : { step }), ...(seed === undefined ? {} : { seed }) }
      return chained
        .forward(ones([1, 4000]), options)
        .data()
        .join()
    })
  }

  it('changes nothing in use and keeps a quarter after two halves in training', () => {
    expect(new Set(values(false).split(','))).toEqual(new Set(['1']))
    const kept = values(true)
      .split(',')
      .filter((value) => value === '4').length
    // Layers that shared a mask would keep a half.
    expect(kept / 4000).toBeGreaterThan(0.22)
    expect(kept / 4000).toBeLessThan(0.28)
  })

  it('draws by seed and step, and counts the steps itself when it is not told', () => {
    expect(values(true, 5)).toBe(values(true, 5))
    expect(values(true, 5)).not.toBe(values(true, 6))
    expect(values(true, 5, 1)).not.toBe(values(true, 5, 2))
    const chained = model().train()
    const x = ones([1, 400])
    const [first, second] = [0, 1].map(() => scope(() => chained.forward(x).data().join()))
    expect(first).not.toBe(second)
    x.dispose()
  })

  it('refuses what is no probability', () => {
    expect(() => new Dropout({ p: 1.5 })).toThrow(/p must be a number from 0 to 1/)
  })
})

describe('BatchNorm2d', () => {
  it('moves its statistics in training, uses them in use, and saves them', () => {
    const model = new Sequential([new BatchNorm2d({ momentum: 1 })], { input: [2, 8, 8] })
    scope(() => {
      const x = uniform([4, 2, 8, 8], { seed: 1, low: 3, high: 5 })
      const trained = model.forward(x, { training: true }).data()
      const mean = trained.reduce((total, value) => total + value, 0) / trained.length
      expect(Math.abs(mean)).toBeLessThan(1e-5)
      const state = model.namedState()
      expect([...state.keys()]).toEqual(['0.weight', '0.bias', '0.runningMean', '0.runningVar'])
      expect([...model.namedParameters().keys()]).toEqual(['0.weight', '0.bias'])
      expect(state.get('0.runningMean')!.data()[0]).toBeCloseTo(4, 1)
      const copy = modelFromJSON(JSON.parse(JSON.stringify(model)))
      copy.load(model.save())
      expect(copy.forward(x).data()).toEqual(model.forward(x).data())
      copy.dispose()
    })
    model.dispose()
  })
})

describe('ConnectedConv2d', () => {
  it('gives missing connections no gradient', () => {
    const model = new Sequential([new ConnectedConv2d({ kernel: 3, table })], { input: [4, 6, 6] })
    scope(() => {
      const x = uniform([2, 4, 6, 6], { seed: 1 })
      const { gradients } = valueAndGrad(() => sum(model.forward(x)))(...model.parameters())
      const weights = gradients[0]!.data()
      table.forEach((row, k) => {
        row.forEach((connected, c) => {
          const kernel = weights.subarray((4 * k + c) * 9, (4 * k + c + 1) * 9)
          expect(kernel.some((value) => value !== 0)).toBe(connected)
        })
      })
    })
    model.dispose()
  })
})

describe('LocallyConnected2d', () => {
  it('is Conv2d when all its kernels are the same', () => {
    const local = new Sequential([new LocallyConnected2d({ outChannels: 2, kernel: 3, stride: 2, padding: 1 })], {
      input: [3, 7, 6],
    })
    const conv = new Sequential([new Conv2d({ outChannels: 2, kernel: 3, stride: 2, padding: 1 })], {
      input: [3, 7, 6],
    })
    const [w, b] = conv.parameters()
    const [lw, lb] = local.parameters()
    const places = lw!.shape[1]! * lw!.shape[2]!
    const kernels = w!.data()
    lw!.assign(
      [0, 1].flatMap((k) => Array.from({ length: places }, () => [...kernels.subarray(27 * k, 27 * k + 27)]).flat()),
    )
    lb!.assign([0, 1].flatMap((k) => new Array<number>(places).fill(b!.data()[k]!)))
    scope(() => {
      const x = uniform([2, 3, 7, 6], { seed: 1 })
      const expected = conv.forward(x).data()
      local
        .forward(x)
        .data()
        .forEach((value, i) => {
          expect(value).toBeCloseTo(expected[i]!, 5)
        })
    })
    local.dispose()
    conv.dispose()
  })
})

describe('Subsample2d', () => {
  it('starts as the sum of each window', () => {
    const model = new Sequential([new Subsample2d({ kernel: 2 })], { input: [2, 4, 4] })
    scope(() => {
      const x = uniform([1, 2, 4, 4], { seed: 1 })
      const means = avgPool2d(x, { kernel: 2 }).data()
      expect([...model.forward(x).data()]).toEqual([...means].map((value) => Math.fround(4 * value)))
    })
    model.dispose()
  })
})

describe('RBF', () => {
  const codes = ['##..', '.#.#', '....']

  it('is the negative squared distance to each code, at every place', () => {
    const model = new Sequential([new RBF({ units: 3, codes })], { input: [4] })
    const maps = new Sequential([new RBF({ units: 3, codes })], { input: [4, 1, 2] })
    scope(() => {
      const x = [
        [0.5, 1, -1, 0.25],
        [-1, 1, -1, 1],
      ]
      const expected = x.map((row) =>
        codes.map((code) => -row.reduce((total, value, j) => total + (value - (code[j] === '#' ? 1 : -1)) ** 2, 0)),
      )
      expect([...model.forward(tensor(x)).data()]).toEqual(expected.flat().map((value) => value + 0))
      // (N, C, 1, 2): the rows of x side by side.
      const sideBySide = tensor(
        [0, 1, 2, 3].flatMap((j) => x.map((row) => row[j]!)),
        [1, 4, 1, 2],
      )
      const places = maps.forward(sideBySide).data()
      expect([...places]).toEqual([0, 1, 2].flatMap((unit) => expected.map((row) => row[unit]! + 0)))
    })
    model.dispose()
    maps.dispose()
  })

  it('has the loss of the paper, equation 9, and its gradient', () => {
    scope(() => {
      const answers = tensor([
        [-1, -3, -2],
        [-0.5, -4, -1],
      ])
      const expected = [
        [-1, [-1, -3, -2]],
        [-1, [-0.5, -4, -1]],
      ].map(
        ([y, row]) => -(y as number) + Math.log(Math.exp(-2) + (row as number[]).reduce((s, v) => s + Math.exp(v), 0)),
      )
      expect(rbfLoss(answers, [0, 2], { rubbish: 2 }).item()).toBeCloseTo((expected[0]! + expected[1]!) / 2, 5)
      expect(gradcheck((x) => rbfLoss(x, [0, 2]), [answers])).toBeDefined()
    })
  })

  it('refuses codes that do not fit', () => {
    expect(() => new RBF({ units: 2, codes })).toThrow(/codes must be 2 texts/)
    expect(() => new Sequential([new RBF({ units: 3, codes })], { input: [5] })).toThrow(
      /the input \(5\) has 5 features, but the code of unit 0 has 4/,
    )
  })
})

describe('graphs as JSON', () => {
  it('keep blocks, shared layers, auxiliary outputs and several inputs', () => {
    const shared = new Conv2d({ outChannels: 3, kernel: 1 })
    const model = new Graph(
      [
        { name: 'a', layer: shared, inputs: 'left', block: 'pair' },
        { name: 'b', layer: shared, inputs: 'right', block: 'pair' },
        { name: 'join', layer: new Concat(), inputs: ['a', 'b'] },
        { name: 'side', layer: new Dropout(), inputs: 'b' },
      ],
      {
        inputs: { left: [2, 3, 3], right: [2, 3, 3] },
        outputs: ['join'],
        auxiliary: { side: 0.3 },
        blocks: { pair: 'both' },
        seed: 2,
      },
    )
    const config = JSON.parse(JSON.stringify(model)) as GraphConfig
    expect(config.nodes[1]).toEqual({ name: 'b', inputs: ['right'], shares: 'a', block: 'pair' })
    const copy = modelFromJSON(config)
    expect(JSON.parse(JSON.stringify(copy))).toEqual(config)
    copy.load(model.save())
    scope(() => {
      const inputs = { left: uniform([1, 2, 3, 3]), right: uniform([1, 2, 3, 3], { seed: 1 }) }
      expect(copy.forward(inputs).data()).toEqual(model.forward(inputs).data())
    })
    expect(copy.layers[0]).toBe(copy.nodes.find(({ name }) => name === 'b')!.layer)
    model.dispose()
    copy.dispose()
  })

  it.each<[string, object, RegExp]>([
    ['no nodes', { nodes: [] }, /nodes must be a list of at least one node/],
    ['no outputs', { outputs: 3 }, /outputs must be a list of names/],
    ['a node without inputs', { nodes: [{ name: 'a' }] }, /node 0 must be an object with a name and a list of inputs/],
    ['a later layer shared', { nodes: [{ name: 'a', inputs: ['x'], shares: 'b' }] }, /node 'a' shares "b", which does/],
    ['an unknown layer', { nodes: [{ name: 'a', inputs: ['x'], layer: { type: 'Conv' } }] }, /node 'a': there is no/],
    ['wrong inputs', { inputs: { x: 3 } }, /inputs must have a shape/],
    ['a wrong auxiliary', { auxiliary: { a: '1' } }, /auxiliary must have a weight/],
    ['wrong blocks', { blocks: { a: 1 } }, /blocks must have a text/],
    ['a cycle', { nodes: [{ name: 'a', inputs: ['a'], layer: { type: 'ReLU' } }] }, /a -> a form a cycle/],
  ])('refuse %s', (_, wrong, message) => {
    const nodes = [{ name: 'a', inputs: ['x'], layer: { type: 'ReLU' } }]
    const config = { type: 'Graph', inputs: { x: [1, 2, 2] }, nodes, outputs: ['a'], ...wrong }
    expect(() => modelFromJSON(config)).toThrow(message)
  })
})

describe('options of layers', () => {
  const layer = (config: object, input: readonly number[] = [2, 6, 6]) => ({
    type: 'Sequential',
    input,
    layers: [config],
  })

  it.each<[string, object, RegExp]>([
    [
      'a list as a number of channels',
      { type: 'Conv2d', outChannels: [1], kernel: 1 },
      /Conv2d: outChannels must be a whole number from 1 on, given \[1\]/,
    ],
    [
      'a list as a number of units',
      { type: 'Linear', outFeatures: [1], everyPlace: true },
      /Linear: outFeatures must be a whole number/,
    ],
    ['a list as a number of codes', { type: 'RBF', units: [1] }, /RBF: units must be a whole number from 1 on/],
    ['no number of channels', { type: 'Conv2d', kernel: 1 }, /Conv2d: outChannels must be/],
    [
      'a bias that is no flag',
      { type: 'Conv2d', outChannels: 1, kernel: 1, bias: 0 },
      /bias must be true, false or 'location', given 0/,
    ],
    [
      'an initializer that is a number',
      { type: 'Conv2d', outChannels: 1, kernel: 1, weightInit: 0 },
      /weightInit: initializer 0 does not exist; use zeros, .* or orthogonal/,
    ],
    [
      'an initializer without a name',
      { type: 'Subsample2d', kernel: 2, weightInit: {} },
      /weightInit: initializer an object does not exist/,
    ],
    [
      'an unknown initializer',
      { type: 'Linear', outFeatures: 1, everyPlace: true, biasInit: { name: 'nope' } },
      /biasInit: initializer 'nope' does not exist/,
    ],
    [
      'an initializer of text',
      { type: 'RBF', units: 1, weightInit: { name: 'normal', std: '1' } },
      /weightInit: std of initializer normal must be a number, given '1'/,
    ],
    [
      'an unknown distribution',
      { type: 'TiledConv2d', outChannels: 1, kernel: 1, tiles: 1, weightInit: { name: 'he', distribution: 'x' } },
      /distribution must be 'normal' or 'uniform', given 'x'/,
    ],
    [
      'padding with more than there is',
      {
        type: 'Conv2d',
        outChannels: 1,
        kernel: 1,
        padding: [
          [0, 7],
          [0, 0],
        ],
        paddingMode: 'circular',
      },
      /padding along direction 0 can be at most 6 with 'circular', given 7/,
    ],
    [
      'an unknown padding',
      { type: 'Conv2d', outChannels: 1, kernel: 1, paddingMode: 'x' },
      /paddingMode must be 'zeros' or 'reflect' or 'replicate' or 'circular', given/,
    ],
    [
      'an unknown interpolation',
      { type: 'Upsample2d', scale: 2, mode: 'x' },
      /Upsample2d: mode must be 'nearest' or 'bilinear', given 'x'/,
    ],
    ['an unknown GELU', { type: 'GELU', approximate: true }, /GELU: approximate must be 'none' or 'tanh', given true/],
    ['a beta of 0', { type: 'Softplus', beta: 0 }, /Softplus: beta must be a finite number above 0, given 0/],
    ['a list as a beta', { type: 'Softplus', beta: [1] }, /beta must be a finite number above 0, given \[1\]/],
    ['a negative alpha', { type: 'ELU', alpha: -1 }, /ELU: alpha must be a finite number from 0 on, given -1/],
    [
      'a slope that is null',
      { type: 'LeakyReLU', negativeSlope: null },
      /negativeSlope must be a finite number from 0 on, given null/,
    ],
    ['a norm of 0', { type: 'LPPool2d', kernel: 2, p: 0 }, /LPPool2d: p must be a finite number above 0, given 0/],
    [
      'padding that is counted by number',
      { type: 'AvgPool2d', kernel: 2, countIncludePad: 1 },
      /countIncludePad must be true or false, given 1/,
    ],
    [
      'a list as an eps',
      { type: 'BatchNorm2d', eps: [0] },
      /BatchNorm2d: eps must be a finite number from 0 on, given \[0\]/,
    ],
    [
      'a momentum above 1',
      { type: 'BatchNorm2d', momentum: 2 },
      /BatchNorm2d: momentum must be a number from 0 to 1, given 2/,
    ],
    [
      'codes that are trained by a list',
      { type: 'RBF', units: 1, trained: [] },
      /RBF: trained must be true or false, given \[\]/,
    ],
    ['a probability of text', { type: 'Dropout', p: '0.5' }, /Dropout: p must be a number from 0 to 1, given '0.5'/],
    ['a table of nothing', { type: 'ConnectedConv2d', kernel: 1 }, /table must be a list with one row/],
    [
      'a map of 2^31 rows',
      { type: 'Upsample2d', scale: 2 ** 31 - 1 },
      /Upsample2d: the output \(2, .*\) needs more than the 4 GiB/,
    ],
    [
      'depth',
      { type: 'ReLU', more: JSON.parse('['.repeat(50) + ']'.repeat(50)) as object },
      /nested more than 32 levels deep/,
    ],
  ])('refuse %s when the layer is made', (_, config, message) => {
    expect(() => modelFromJSON(layer(config), 'x.json')).toThrow(FormatError)
    expect(() => modelFromJSON(layer(config), 'x.json')).toThrow(/^x\.json: [^\n]*$/)
    expect(() => modelFromJSON(layer(config), 'x.json')).toThrow(message)
  })

  it('are an object', () => {
    for (const options of [null, 5, 'x', [1]]) {
      expect(() => new Linear(options as never)).toThrow(ShapeError)
      expect(() => new ReLU(options as never)).toThrow(/ReLU: the options must be an object, given/)
    }
    expect(() => new Conv2d(undefined as never)).toThrow(/Conv2d: outChannels must be/)
  })

  it('that hold themselves are refused, not followed', () => {
    const list: unknown[] = []
    list.push(list, list)
    expect(() => modelFromJSON(layer({ type: 'ReLU', list }))).toThrow(FormatError)
    const config: Record<string, unknown> = { type: 'Graph', nodes: [] }
    config['inputs'] = config
    expect(() => modelFromJSON(config)).toThrow(FormatError)
  })

  it('of other kinds are told by what they are', () => {
    for (const input of [[{ toString: 0 }], [[1]], ['2'], [2 ** 40], [1, 2 ** 30, 2], [0.5], {}]) {
      const config = { type: 'Sequential', input, layers: [{ type: 'Flatten' }] }
      expect(() => modelFromJSON(config), JSON.stringify(input)).toThrow(FormatError)
    }
    expect(() =>
      modelFromJSON({ type: 'Sequential', input: [1, 14210854715202004, 1], layers: [{ type: 'Flatten' }] }),
    ).toThrow(/input 'input': the shape \(1, 14210854715202004, 1\) needs more than the 4 GiB/)
  })

  it('that are shared by inputs of other weights are refused when the model is made', () => {
    const layers = [{ type: 'BatchNorm2d' }, { type: 'RBF', units: 2 }, { shares: 0 }]
    expect(() => modelFromJSON({ type: 'Sequential', input: [1, 1, 1], layers })).toThrow(
      /layer 2, batchnorm: its weights are shared; its weight is \(1\) for an input \(1, 1, 1\), but an input \(2, 1, 1\) needs \(2\)/,
    )
  })

  it('of a graph are nodes with layers', () => {
    const make =
      (...given: unknown[]) =>
      () =>
        new Graph(...(given as ConstructorParameters<typeof Graph>))
    const node = { name: 'a', layer: new ReLU() }
    for (const nodes of [
      undefined,
      5,
      [null],
      ['a'],
      [{ name: 'a' }],
      [{ layer: new ReLU() }],
      [{ ...node, layer: {} }],
      [{ ...node, inputs: 5 }],
      [{ ...node, inputs: [5] }],
    ]) {
      expect(make(nodes), JSON.stringify(nodes)).toThrow(ShapeError)
    }
    expect(make([node], { outputs: 5 })).toThrow(/the outputs must be a list of names of nodes, given 5/)
    expect(() => new Sequential(5 as never)).toThrow(/the layers must be a list, given 5/)
    expect(() => new Sequential([{}] as never)).toThrow(/node 0 must have a name and a layer, given '0' and an object/)
  })
})
