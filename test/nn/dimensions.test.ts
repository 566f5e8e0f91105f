/** Layers in each number of directions, and those that normalize, cut and reshape, beside the operations and definitions. */
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import * as layers from '../../src/layers/index.js'
import { gaussianDerivatives } from '../../src/layers/structured.js'
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import {
  AvgPool1d,
  AvgPool3d,
  BatchNorm3d,
  Conv1d,
  Conv2d,
  Conv3d,
  Flatten,
  GlobalAvgPool,
  GlobalMaxPool,
  Graph,
  Linear,
  LocallyConnected1d,
  MaxPool1d,
  MaxPool3d,
  ReLU,
  modelFromJSON,
  Sequential,
  TiledConv1d,
  type Layer,
} from '../../src/nn/index.js'
import {
  avgPool1d,
  avgPool3d,
  concat,
  conv1d,
  conv2d,
  conv3d,
  globalAvgPool,
  globalMaxPool,
  locallyConnected1d,
  maxPool1d,
  maxPool3d,
  crossEntropy,
  mul,
  separableConv2d,
  slice,
  tiledConv1d,
} from '../../src/ops/index.js'
import { SGD } from '../../src/optim/index.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

const { GroupNorm, LayerNorm, PermutePixels, Reshape, SeparableConv2d, Slice, Split, StructuredConv2d } = layers

beforeAll(() => init())

/** A layer with random weights, and x for it. */
function built(layer: Layer, input: readonly number[], N = 2): { x: Tensor; w: (name: string) => Tensor } {
  const model = new Sequential([layer], { input: [...input], seed: 3 })
  for (const [index, [, weight]] of [...model.namedState()].entries()) {
    weight.assign(normal(weight.shape, { seed: 10 + index }).data())
  }
  return { x: normal([N, ...input], { seed: 1 }), w: (name) => layer.tensors().get(name)! }
}

const run = (layer: Layer, x: Tensor): Tensor => layer.forward(x, { training: false, seed: 0, step: 0, stream: 0 })

const same = (a: Tensor, b: Tensor): void => {
  expect(a.shape).toEqual(b.shape)
  expect([...a.data()]).toEqual([...b.data()])
}

describe('layers of one and three directions are their operations', () => {
  it('pooling', () => {
    scope(() => {
      const line = normal([2, 3, 11], { seed: 1 })
      const volume = normal([2, 2, 5, 4, 6], { seed: 2 })
      const options = { kernel: 3, stride: 2, padding: 1 }
      same(run(new MaxPool1d({ ...options, dilation: 2 }), line), maxPool1d(line, { ...options, dilation: 2 }))
      same(run(new AvgPool1d({ ...options, ceil: true }), line), avgPool1d(line, { ...options, ceil: true }))
      same(run(new MaxPool3d({ kernel: [1, 2, 3] }), volume), maxPool3d(volume, { kernel: [1, 2, 3] }))
      same(run(new AvgPool3d(options), volume), avgPool3d(volume, options))
      for (const x of [line, volume]) {
        same(run(new GlobalAvgPool(), x), globalAvgPool(x))
        same(run(new GlobalMaxPool(), x), globalMaxPool(x))
        expect(new GlobalAvgPool().outputShape(x.shape.slice(1))).toEqual(globalAvgPool(x).shape.slice(1))
      }
    })
  })

  it('local and tiled convolution', () => {
    scope(() => {
      const own = new LocallyConnected1d({ outChannels: 3, kernel: 3, stride: 2, padding: 1 })
      const local = built(own, [2, 9])
      const bias = local.w('bias')
      same(run(own, local.x), locallyConnected1d(local.x, local.w('weight'), { stride: 2, padding: 1, bias }))
      const repeated = new TiledConv1d({ outChannels: 3, kernel: 3, tiles: 2 })
      const tiled = built(repeated, [2, 9])
      same(run(repeated, tiled.x), tiledConv1d(tiled.x, tiled.w('weight'), { bias: tiled.w('bias') }))
    })
  })

  it('refuse maps of another number of directions', () => {
    for (const [layer, given, message] of [
      [new MaxPool1d({ kernel: 2 }), [3, 4, 4], /^MaxPool1d: the input must be \(C, W\), given \(3, 4, 4\)$/],
      [new AvgPool3d({ kernel: 2 }), [3, 4, 4], /^AvgPool3d: the input must be \(C, D, H, W\), given \(3, 4, 4\)$/],
      [new BatchNorm3d(), [3, 4, 4], /^BatchNorm3d: the input must be \(C, D, H, W\), given \(3, 4, 4\)$/],
      [new TiledConv1d({ outChannels: 2, kernel: 2, tiles: 2 }), [3, 4, 4], /^TiledConv1d: the input must be \(C, W\)/],
      [
        new GlobalAvgPool(),
        [3],
        /^GlobalAvgPool: the input must be \(C, W\) or \(C, H, W\) or \(C, D, H, W\), given \(3\)$/,
      ],
    ] as const) {
      expect(() => layer.outputShape([...given])).toThrow(message)
    }
    expect(() => new MaxPool1d({ kernel: [2, 2] as never })).toThrow(/^MaxPool1d: kernel must be/)
    expect(() => new TiledConv1d({ outChannels: 2, kernel: 2, tiles: [2, 2] })).toThrow(/^TiledConv1d: tiles must be/)
  })

  it('a model of volumes learns which of three places is bright', () => {
    const layers = [
      new Conv3d({ outChannels: 4, kernel: 2 }),
      new BatchNorm3d(),
      new ReLU(),
      new MaxPool3d({ kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 3 }),
    ]
    const model = new Sequential(layers, { input: [1, 5, 5, 5], seed: 2 })
    const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 })
    const labels = Array.from({ length: 12 }, (_, n) => n % 3)
    const values = normal([12, 1, 5, 5, 5], { seed: 5, std: 0.3 })
    const x = values.data()
    for (const [n, label] of labels.entries()) x[n * 125 + label * 50 + 12] = 3
    values.assign(x)
    const losses = Array.from({ length: 30 }, () =>
      scope(() => {
        const lossOf = valueAndGrad(() => crossEntropy(model.forward(values, { training: true }), labels))
        const { value, gradients } = lossOf(...model.parameters())
        optimizer.step(gradients)
        return value.item()
      }),
    )
    expect(losses[0]).toBeGreaterThan(0.5)
    expect(losses.at(-1)).toBeLessThan(0.05)
    optimizer.dispose()
    model.dispose()
    values.dispose()
  })
})

/** (x − mean) / √(variance + eps) of each of some stretches of neighbouring values. */
function standardize(values: Float32Array, stretch: number, eps: number): number[] {
  const out: number[] = []
  for (let begin = 0; begin < values.length; begin += stretch) {
    const part = [...values.subarray(begin, begin + stretch)]
    const mean = part.reduce((total, value) => total + value, 0) / stretch
    const variance = part.reduce((total, value) => total + (value - mean) ** 2, 0) / stretch
    out.push(...part.map((value) => (value - mean) / Math.sqrt(variance + eps)))
  }
  return out
}

describe('normalization of each example', () => {
  it.each([1, 2, 3, 6])('GroupNorm of %i groups is its definition', (groups) => {
    scope(() => {
      const layer = new GroupNorm({ groups, eps: 1e-3 })
      const { x, w } = built(layer, [6, 4, 5])
      const [scale, offset] = [w('weight').data(), w('bias').data()]
      const expected = standardize(x.data(), (6 / groups) * 20, 1e-3).map((value, i) => {
        const channel = Math.floor(i / 20) % 6
        return value * scale[channel]! + offset[channel]!
      })
      run(layer, x)
        .data()
        .forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5))
    })
  })

  it.each([
    [undefined, 120],
    [[4, 5], 20],
    [5, 5],
  ] as const)('LayerNorm over %j is its definition', (normalizedShape, size) => {
    // prettier-ignore
    scope(() => {
      const layer = new LayerNorm(normalizedShape === undefined ? {} : { normalizedShape })
      const { x, w } = built(layer, [6, 4, 5])
      const [scale, offset] = [w('weight').data(), w('bias').data()]
      const expected = standardize(x.data(), size, 1e-5).map((value, i) => value * scale[i % size]! + offset[i % size]!)
      run(layer, x).data().forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4))
    })
  })

  it('has gradients, and does not depend on the batch', () => {
    for (const layer of [new GroupNorm({ groups: 2 }), new LayerNorm()]) {
      scope(() => {
        const { x } = built(layer, [4, 3, 2])
        const weights = [...layer.parameters().values()]
        const target = normal(x.shape, { seed: 8 })
        expect(gradcheck((given) => mul(run(layer, given), target), [x]).ok).toBe(true)
        // The weights stay where they are: what is tried is written into them.
        const own = weights.map((weight) => weight.data())
        const moved = (...given: Tensor[]): Tensor => {
          for (const [index, weight] of weights.entries()) {
            const values = given[index]!.data()
            if (values.some((value, i) => value !== weight.data()[i])) weight.assign(values)
          }
          return mul(run(layer, x), target)
        }
        expect(gradcheck(moved, weights).ok).toBe(true)
        for (const [index, weight] of weights.entries()) weight.assign(own[index]!)
        const alone = run(layer, slice(x, { begin: [1] }))
        same(alone, slice(run(layer, x), { begin: [1] }))
      })
    }
  })

  it('refuses groups and shapes that do not fit', () => {
    expect(() => new GroupNorm({ groups: 4 }).outputShape([6, 2, 2])).toThrow(
      /^GroupNorm: 4 groups do not divide the channels of \(6, 2, 2\)$/,
    )
    expect(() => new GroupNorm({} as never)).toThrow(/^GroupNorm: groups must be/)
    for (const normalizedShape of [3, [4, 6], [], 'x', [6, 4, 5, 5]] as never[]) {
      expect(() => new LayerNorm({ normalizedShape }).outputShape([6, 4, 5])).toThrow(
        /^LayerNorm: normalizedShape must be the last extents of the input \(6, 4, 5\), given /,
      )
    }
  })
})

describe('cutting and reshaping', () => {
  it('Split gives parts that join to the whole', () => {
    scope(() => {
      const x = normal([2, 6, 3, 2], { seed: 1 })
      same(
        concat(
          [0, 1, 2].map((part) => run(new Split({ parts: 3, part }), x)),
          1,
        ),
        x,
      )
    })
  })

  it('Slice is the function, for any batch, and says where its outputs look', () => {
    scope(() => {
      const x = normal([3, 4, 6, 7], { seed: 1 })
      const layer = new Slice({ begin: [1, 2], end: [3, -1, 6] })
      same(run(layer, x), slice(x, { begin: [0, 1, 2], end: [3, 3, 5, 6] }))
      const model = new Sequential([new Conv2d({ outChannels: 4, kernel: 3, stride: 2 }), new Slice({ begin: [0, 1, 2] })], { input: [1, 12, 12] }) // prettier-ignore
      expect(model.summary().layers.at(-1)!.receptiveField).toEqual({ size: [3, 3], stride: [2, 2], offset: [2, 4] })
    })
    expect(() => new Slice({ begin: [2], end: [2] }).outputShape([3, 2])).toThrow(/^Slice: nothing is left of \(3, 2\)/)
    expect(() => new Slice({ begin: [5] }).outputShape([3, 2])).toThrow(
      /^Slice: begin of axis 0 must be a whole number from -3 to 3, given 5$/,
    )
    expect(() => new Slice({ end: 3 as never }).outputShape([3, 2])).toThrow(/^Slice: end must be an array/)
  })

  it('Reshape keeps the values', () => {
    scope(() => {
      const x = normal([2, 6, 4], { seed: 1 })
      const y = run(new Reshape({ shape: [3, -1, 2] }), x)
      same(y, x.reshape([2, 3, 4, 2]))
    })
    expect(() => new Reshape({ shape: [5, -1] }).outputShape([6, 4])).toThrow(
      /^Reshape: \(6, 4\) has 24 elements, which do not fit \(5, -1\)$/,
    )
    expect(() => new Reshape({ shape: 24 as never })).toThrow(/^Reshape: shape must be a list of extents, given 24$/)
    expect(() => new Split({ parts: 2, part: 2 })).toThrow(/^Split: part must be a whole number from 0 to 1, given 2$/)
    expect(() => new Split({ parts: 2, part: 1 }).outputShape([3, 4])).toThrow(
      /^Split: 3 channels cannot be split into 2 equal parts$/,
    )
  })

  it('a graph of branches is saved and read again', () => {
    scope(() => {
      const x = normal([2, 4, 6], { seed: 3 })
      const graph = new Graph(
        [
          { name: 'left', layer: new Split({ parts: 2, part: 0 }), inputs: ['input'] },
          { name: 'right', layer: new Split({ parts: 2, part: 1 }), inputs: ['input'] },
          { name: 'c', layer: new Conv1d({ outChannels: 2, kernel: 3, bias: 'location' }), inputs: ['left'] },
          { name: 'p', layer: new MaxPool1d({ kernel: 3, stride: 1 }), inputs: ['right'] },
          { name: 'y', layer: new Reshape({ shape: [-1] }), inputs: ['c'] },
        ],
        { inputs: { input: [4, 6] }, outputs: ['y', 'p'], seed: 1 },
      )
      const answers = graph.run(x)
      const again = modelFromJSON(JSON.parse(JSON.stringify(graph)), 'branches', { layers })
      again.load(graph.save())
      for (const name of ['y', 'p']) same(again.run(x)[name]!, answers[name]!)
      expect(() => modelFromJSON(JSON.parse(JSON.stringify(graph)))).toThrow(/there is no layer type 'Split'/)
    })
  })
})

describe('a bias for each place', () => {
  it('is that of the function, in one to three directions', () => {
    scope(() => {
      const options = { outChannels: 2, kernel: 2, bias: 'location' } as const
      for (const [layer, input, convolve] of [
        [new Conv1d(options), [3, 6], conv1d],
        [new Conv2d(options), [3, 4, 5], conv2d],
        [new Conv3d(options), [2, 3, 4, 3], conv3d],
      ] as const) {
        const { x, w } = built(layer, input)
        expect(w('bias').shape).toEqual(layer.outputShape([...input]))
        same(run(layer, x), convolve(x, w('weight'), { bias: w('bias') }))
      }
    })
    expect(() => new Conv2d({ outChannels: 2, kernel: 2, bias: 'place' as never })).toThrow(
      /^Conv2d: bias must be true, false or 'location', given 'place'$/,
    )
  })

  it('is for inputs of one size', () => {
    const layer = new Conv1d({ outChannels: 2, kernel: 2, bias: 'location' })
    scope(() => built(layer, [3, 6]))
    expect(() => layer.check([[3, 7]])).toThrow(
      /^Conv1d: the layer's bias is \(2, 5\), but an input \(3, 7\) needs \(2, 6\)$/,
    )
  })
})

describe('SeparableConv2d', () => {
  it('is the function', () => {
    scope(() => {
      const layer = new SeparableConv2d({ kernel: [3, 5], padding: 'same', stride: 2 })
      const { x, w } = built(layer, [3, 6, 5])
      const kernel = { column: w('column'), row: w('row') }
      same(run(layer, x), separableConv2d(x, kernel, { padding: 'same', stride: 2, bias: w('bias') }))
    })
    expect(() => new SeparableConv2d({ kernel: [3] as never })).toThrow(/^SeparableConv2d: kernel must be/)
    expect(() => new SeparableConv2d({ kernel: 3, groups: 2 } as never)).toThrow(/no option 'groups'/)
  })
})

describe('StructuredConv2d', () => {
  it('has derivatives of a Gaussian of norm 1, each the difference of the one before', () => {
    const [R, S] = [41, 41]
    const bank = gaussianDerivatives(3, 5, [R, S])
    expect(bank).toHaveLength(10 * R * S)
    const kernel = (m: number): Float32Array => bank.subarray(m * R * S, (m + 1) * R * S)
    for (let m = 0; m < 10; m++) {
      expect(kernel(m).reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(1, 5)
    }
    // In the order of 1, y, x, yy, yx, xx, yyy, …: central differences down and across, up to a factor and the sign.
    const derived = (from: number, stride: number): number[] =>
      Array.from(kernel(from), (_, i) => (kernel(from)[i + stride] ?? 0) - (kernel(from)[i - stride] ?? 0))
    for (const [from, stride, to] of [
      [0, S, 1],
      [0, 1, 2],
      [1, S, 3],
      [1, 1, 4],
      [2, 1, 5],
      [3, S, 6],
      [5, 1, 9],
    ] as const) {
      const [a, b] = [derived(from, stride), kernel(to)]
      const norm = Math.sqrt(a.reduce((sum, value) => sum + value * value, 0))
      const cosine = a.reduce((sum, value, i) => sum + value * b[i]!, 0) / norm
      expect(Math.abs(cosine)).toBeGreaterThan(0.995)
    }
  })

  it('is a convolution with their sums, and has gradients', () => {
    scope(() => {
      const layer = new StructuredConv2d({
        outChannels: 3,
        order: 2,
        sigma: 0.8,
        kernel: [5, 3],
        padding: 'same',
        stride: 2,
      })
      const { x, w } = built(layer, [2, 8, 7])
      const weight = w('weight')
      expect(weight.shape).toEqual([3, 2, 6])
      const [alpha, bank] = [weight.data(), gaussianDerivatives(2, 0.8, [5, 3])]
      const kernel = Float32Array.from({ length: 3 * 2 * 15 }, (_, i) => {
        let sum = 0
        for (let m = 0; m < 6; m++) sum += alpha[Math.floor(i / 15) * 6 + m]! * bank[m * 15 + (i % 15)]!
        return sum
      })
      const y = conv2d(x, tensor(kernel, [3, 2, 5, 3]), { padding: 'same', stride: 2, bias: w('bias') })
      const [own, other] = [run(layer, x).data(), y.data()]
      own.forEach((value, i) => expect(value).toBeCloseTo(other[i]!, 5))
    })
  })

  it('takes kernels of many pixels', () => {
    expect(gaussianDerivatives(2, 4, [401, 401])).toHaveLength(6 * 401 * 401)
  })

  it('refuses what is no order and no deviation', () => {
    for (const [options, message] of [
      [{ order: 5 }, 'StructuredConv2d: order must be a whole number from 0 to 4, given 5'],
      [{ sigma: 0.1 }, 'StructuredConv2d: sigma must be from 0.3 to 16 pixels, given 0.1'],
      [{ sigma: NaN }, /sigma must be a finite number/],
      [{ kernel: 0 }, /kernel must be/],
      [{ groups: 2 }, /no option 'groups'/],
    ] as const)
      expect(() => new StructuredConv2d({ outChannels: 2, ...(options as object) })).toThrow(message)
  })
})

describe('PermutePixels', () => {
  it('shuffles the places of every channel and example alike, by its seed', () => {
    scope(() => {
      const x = tensor(
        Float32Array.from({ length: 2 * 3 * 20 }, (_, i) => i),
        [2, 3, 4, 5],
      )
      const y = run(new PermutePixels({ seed: 3 }), x).data()
      const order = y.subarray(0, 20)
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i))
      expect([...order]).not.toEqual(Array.from({ length: 20 }, (_, i) => i))
      y.forEach((value, i) => expect(value).toBe(20 * Math.floor(i / 20) + order[i % 20]!))
      expect([...run(new PermutePixels({ seed: 3 }), x).data()]).toEqual([...y])
      expect([...run(new PermutePixels({ seed: 4 }), x).data()]).not.toEqual([...y])
      // Those of one layer on maps of another size are in another order.
      const layer = new PermutePixels()
      expect(run(layer, x).shape).toEqual([2, 3, 4, 5])
      expect(run(layer, tensor(new Float32Array(12), [1, 3, 4])).shape).toEqual([1, 3, 4])
    })
    expect(() => new PermutePixels().outputShape([5])).toThrow(
      'PermutePixels: the input must be maps (C, …), given (5)',
    )
    expect(() => new PermutePixels({ seed: -1 })).toThrow(/seed/)
  })
})
