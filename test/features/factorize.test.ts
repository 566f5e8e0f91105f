import { describe, expect, it } from 'vitest'
import {
  Add,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  Conv3d,
  Flatten,
  Graph,
  init,
  Linear,
  matmul,
  MaxPool2d,
  memoryUsage,
  ReLU,
  Sequential,
  tensor,
  uniform,
  type Layer,
  type Tensor,
} from '../../src/index.js'
import { factorize, svd } from '../../src/features/index.js'
import { decompose } from '../../src/features/svd.js'

await init()

const at = (list: ArrayLike<number>, i: number): number => list[i] as number

/** Numbers that look random, the same every time. */
const numbers = (count: number, seed: number): number[] => {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  })
}

/** A matrix (m, n) of this rank. */
function ofRank(m: number, n: number, rank: number): number[] {
  const [a, b] = [numbers(m * rank, 7), numbers(rank * n, 8)]
  return Array.from({ length: m * n }, (_, i) => {
    let sum = 0
    for (let q = 0; q < rank; q++) sum += at(a, Math.floor(i / n) * rank + q) * at(b, q * n + (i % n))
    return sum
  })
}

/** The largest difference of row i · row j from 1 or 0. */
function offOrthonormal(rows: Float64Array, r: number, length: number): number {
  let worst = 0
  for (let i = 0; i < r; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let k = 0; k < length; k++) sum += at(rows, i * length + k) * at(rows, j * length + k)
      worst = Math.max(worst, Math.abs(sum - (i === j ? 1 : 0)))
    }
  return worst
}

describe('singular values', () => {
  it.each([
    ['square', 7, 7, numbers(49, 1)],
    ['wide', 3, 11, numbers(33, 2)],
    ['tall', 12, 5, numbers(60, 3)],
    ['one row', 1, 6, numbers(6, 4)],
    ['one number', 1, 1, [-3]],
    ['a rank below its sides', 9, 8, ofRank(9, 8, 3)],
    ['zeros', 4, 3, Array<number>(12).fill(0)],
    ['very small numbers', 5, 4, numbers(20, 5).map((value) => value * 1e-300)],
    ['very large numbers', 5, 4, numbers(20, 6).map((value) => value * 1e300)],
    ['columns of very different sizes', 6, 4, numbers(24, 9).map((value, i) => value * [1, 1e-8, 1e8, 1e-4][i % 4]!)],
  ])('of a matrix with %s make it up, with orthonormal vectors', (_, m, n, matrix) => {
    const { u, values, v } = decompose(matrix, m, n)
    const r = Math.min(m, n)
    expect(values).toHaveLength(r)
    expect([...values]).toEqual([...values].sort((a, b) => b - a))
    expect(offOrthonormal(u, r, m)).toBeLessThan(1e-12)
    expect(offOrthonormal(v, r, n)).toBeLessThan(1e-12)
    const largest = Math.max(...matrix.map(Math.abs))
    matrix.forEach((value, i) => {
      let sum = 0
      for (let q = 0; q < r; q++) sum += at(values, q) * at(u, q * m + Math.floor(i / n)) * at(v, q * n + (i % n))
      expect(Math.abs(sum - value)).toBeLessThanOrEqual(1e-14 * r * largest)
    })
  })

  it('are those of Hilbert’s matrix to the last digits, the small ones too', () => {
    const hilbert = Array.from({ length: 16 }, (_, i) => 1 / (Math.floor(i / 4) + (i % 4) + 1))
    // Of mpmath with 50 digits.
    const known = [1.50021428005924, 0.169141220221449, 0.0067382736057607, 9.67023040225868e-5]
    const { values } = decompose(hilbert, 4, 4)
    known.forEach((value, i) => expect(Math.abs(at(values, i) / value - 1)).toBeLessThan(1e-12))
  })

  it('come as tensors, with columns', () => {
    const { u, s, v } = svd(
      tensor([
        [0, 2, 0],
        [-3, 0, 0],
      ]),
    )
    expect([...s.data()]).toEqual([3, 2])
    expect([...u.data()]).toEqual([0, 1, 1, 0])
    expect([...v.data()]).toEqual([-1, 0, 0, 1, 0, 0])
    expect([u.shape, v.shape]).toEqual([
      [2, 2],
      [3, 2],
    ])
    for (const each of [u, s, v]) each.dispose()
  })

  it('are refused of what is no matrix, too large, or not finite', () => {
    expect(() => svd(tensor([1, 2]))).toThrow('svd: x must be a matrix (m, n), given (2)')
    expect(() => svd(tensor([[1, NaN]]))).toThrow('svd: the matrix must be finite numbers')
    expect(() => svd(tensor(new Float32Array(1025 * 1026), [1025, 1026]))).toThrow(
      /^svd: x is \(1025, 1026\), and what is decomposed has at most 1024 rows or columns/,
    )
  })
})

/** The largest difference of two models' outputs for the same random input, relative to the largest output. */
function difference(a: Graph, b: Graph): number {
  const x = uniform([3, ...(a.input as number[])], { seed: 5, low: -1, high: 1 })
  const [y, z] = [a.forward(x), b.forward(x)]
  const [left, right] = [y.data(), z.data()]
  for (const each of [x, y, z]) each.dispose()
  const largest = left.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  expect(largest).toBeGreaterThan(0)
  return left.reduce((most, value, i) => Math.max(most, Math.abs(value - at(right, i))), 0) / largest
}

describe('a layer of full rank is what it was', () => {
  const cases: readonly [string, Layer, number[], number][] = [
    ['Linear', new Linear({ outFeatures: 5 }), [8], 5],
    ['Linear at every place', new Linear({ outFeatures: 4, everyPlace: true, bias: false }), [6, 3, 2], 4],
    ['Conv1d', new Conv1d({ outChannels: 4, kernel: 3, padding: 'same', dilation: 2 }), [2, 11], 4],
    ['Conv3d', new Conv3d({ outChannels: 3, kernel: [2, 3, 1], stride: [1, 2, 1] }), [2, 4, 5, 3], 3],
    ['1 × 1', new Conv2d({ outChannels: 4, kernel: 1, stride: 2 }), [6, 5, 5], 4],
    ['1 × 3', new Conv2d({ outChannels: 4, kernel: [1, 3], padding: [0, 1] }), [2, 4, 6], 4],
    ['3 × 3', new Conv2d({ outChannels: 4, kernel: 3, padding: 1 }), [2, 6, 7], 6],
    ['a stride', new Conv2d({ outChannels: 3, kernel: [3, 2], stride: [2, 3], padding: 'same' }), [2, 9, 8], 6],
    ['dilation', new Conv2d({ outChannels: 3, kernel: [2, 3], dilation: [3, 2], padding: 'full' }), [2, 7, 7], 4],
    ['one-sided padding', new Conv2d({ outChannels: 2, kernel: 3, padding: [[0, 2], 1] }), [3, 5, 5], 6],
    [
      'mirrored borders',
      new Conv2d({ outChannels: 2, kernel: 3, padding: [2, 1], paddingMode: 'reflect' }),
      [3, 5, 5],
      6,
    ],
    ['a flipped kernel', new Conv2d({ outChannels: 2, kernel: 3, flip: true, bias: 'location' }), [2, 5, 5], 6],
  ]

  it.each(cases)('%s', (_, layer, input, full) => {
    const model = new Sequential([layer], { input, seed: 3 })
    // Biases that are not zeros.
    for (const [name, weight] of model.namedState()) if (name.endsWith('bias')) weight.assign(numbers(weight.size, 11))
    const { model: made, layers, kept } = factorize(model, { rank: { 0: full } })
    expect(made.nodes.map(({ layer: { type } }) => type)).toEqual([layer.type, layer.type])
    expect(layers).toMatchObject([{ name: '0', rank: full, of: full, error: 0 }])
    expect(kept).toEqual([])
    expect(made.outputShape()).toEqual(model.outputShape())
    expect(difference(model, made)).toBeLessThan(2e-6)
    for (const each of [model, made]) each.dispose()
  })
})

const vgg = (): Sequential =>
  new Sequential(
    [
      new Conv2d({ outChannels: 8, kernel: 3, padding: 1 }),
      new ReLU(),
      new Conv2d({ outChannels: 16, kernel: 3, padding: 1, bias: false }),
      new BatchNorm2d(),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 20 }),
      new ReLU(),
      new Linear({ outFeatures: 5 }),
    ],
    { input: [3, 8, 8] },
  )

describe('a model', () => {
  it('is made of ranks that keep to an error, the smallest that do', () => {
    const model = vgg()
    const before = model.save()
    const { model: made, layers, parameters, operations } = factorize(model, { error: 0.5 })
    expect(layers.length).toBeGreaterThan(1)
    for (const { rank, of, error, parameters, operations } of layers) {
      expect(rank).toBeLessThan(of)
      expect(error).toBeLessThanOrEqual(0.5)
      expect(error).toBeGreaterThan(0.2)
      expect(parameters.after).toBeLessThan(parameters.before)
      expect(operations.after).toBeLessThan(operations.before)
    }
    // The weights of the two layers make up those of the one, but for the error that was told.
    const { model: one, layers: replaced } = factorize(model, { error: 0.5, layers: ['7'] })
    const [a, b] = ['7.weight', '8.weight'].map((name) => one.namedState().get(name)!) as [Tensor, Tensor]
    const product = matmul(b, a)
    const [whole, low] = [model.namedState().get('7.weight')!.data(), product.data()]
    const square = (list: ArrayLike<number>): number => Array.from(list).reduce((sum, value) => sum + value * value, 0)
    const difference = Array.from(whole, (value, i) => value - at(low, i))
    expect(Math.sqrt(square(difference) / square(whole))).toBeCloseTo(replaced[0]!.error, 5)
    for (const each of [product, one]) each.dispose()
    expect(parameters.before).toBe(model.summary().total.parameters)
    expect(parameters.after).toBe(made.summary().total.parameters)
    expect(operations.after).toBeLessThan(operations.before)
    expect(model.save()).toEqual(before)
    for (const each of [model, made]) each.dispose()
  })

  it('keeps what costs no less, and says so', () => {
    const model = vgg()
    const { layers, kept } = factorize(model, { rank: 6 })
    expect(layers.map(({ name, rank }) => [name, rank])).toEqual([
      ['0', 6],
      ['2', 6],
      ['7', 6],
    ])
    expect(kept).toEqual([
      { name: '3', reason: 'it has no weights that are a matrix: fully connected layers and convolutions have' },
      { name: '9', reason: 'the rank must be at most that of its matrix of 5 × 20, 5, given 6' },
    ])
  })

  it('of layers in a graph, shared ones too, keeps names and what reads what', () => {
    const shared = new Conv2d({ outChannels: 6, kernel: 3, padding: 1 })
    const model = new Graph(
      [
        { name: 'a', layer: shared, inputs: 'input', block: 'tower' },
        { name: 'b', layer: shared, inputs: 'a' },
        { name: 'a-low', layer: new ReLU(), inputs: 'b' },
        { name: 'sum', layer: new Add(), inputs: ['a', 'a-low'] },
      ],
      { inputs: { input: [6, 5, 5] }, outputs: ['sum', 'b'] },
    )
    model.freeze('b')
    const { model: made, layers } = factorize(model, { rank: { a: 18 } })
    expect(layers).toHaveLength(1)
    expect(made.nodes.map(({ name }) => name)).toEqual(['a-low-low', 'a', 'b-low', 'b', 'a-low', 'sum'])
    expect(made.outputs).toEqual(['sum', 'b'])
    expect(made.namedState().size).toBe(3)
    expect(made.parameters()).toEqual([])
    expect(difference(model, made)).toBeLessThan(2e-6)
    for (const each of [model, made]) each.dispose()
  })

  it('that cannot be meant is refused, and nothing stays', () => {
    const model = vgg()
    model.namedState()
    const { liveBytes } = memoryUsage()
    for (const [options, message] of [
      [{}, 'factorize: give a rank or an error: { rank: 16 } or { error: 0.1 }'],
      [{ rank: 2, error: 0.1 }, /give a rank or an error/],
      [{ rank: 0 }, 'factorize: rank must be a whole number from 1 to 2147483647, given 0'],
      [{ rank: 1.5 }, /rank must be a whole number/],
      [
        { rank: 10_000 },
        /no layer would be replaced; of '0': the rank must be at most that of its matrix of 9 × 24, 9, given 10000/,
      ],
      [
        { rank: { 9: 6 } },
        "factorize: '9' cannot be replaced: the rank must be at most that of its matrix of 5 × 20, 5, given 6",
      ],
      [{ rank: { 3: 2 } }, /'3' cannot be replaced: it has no weights that are a matrix/],
      [{ rank: { 7: 0 } }, "factorize: rank of '7' must be a whole number from 1 to 2147483647, given 0"],
      [{ rank: 4, layers: ['77'] }, /there is no layer '77'/],
      [{ rank: { 7: 3 }, layers: ['7'] }, /give ranks by name, or the names of layers, not both/],
      [{ error: 1 }, 'factorize: error must be below 1, which leaves nothing, given 1'],
      [{ error: -0.1 }, /error must be a finite number from 0 on/],
      [{ error: NaN }, /error must be a finite number/],
      [{ error: 1e-9, layers: ['9'] }, /'9' cannot be replaced: of rank 5 it would have/],
      [{ ranks: 3 }, /ranks/],
      [{ rank: null }, /factorize: rank must be/],
      [{ rank: [1] }, /factorize: rank must be a whole number/],
      [{ rank: 1, layers: [null] }, 'factorize: a layer must be a name, given null'],
    ] as const) {
      expect(() => factorize(model, options as never), JSON.stringify(options)).toThrow(message)
    }
    expect(() => factorize(new Sequential([new ReLU()], { input: [3] }), { rank: 2 })).toThrow(
      'factorize: no layer would be replaced, since none has weights',
    )
    expect(() => factorize({} as never, { rank: 2 })).toThrow(/factorize: the model must be/)
    expect(memoryUsage().liveBytes).toBe(liveBytes)
  })
})
