/** What multiplies and adds to channels becomes part of the weights before it, and answers stay what they were. */
import { beforeAll, describe, expect, it } from 'vitest'
import { planPass } from '../../src/graph/plan.js'
import { PlannedProgram } from '../../src/graph/program.js'
import { trace } from '../../src/graph/trace.js'
import * as nn from '../../src/nn/index.js'
import { add, batchNorm, conv1d, conv2d, linear, mul, relu, sub } from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

type Pass = (x: Tensor) => Record<string, Tensor>

/** Weights that belong to a test. */
let made: Tensor[] = []
const weights = (shape: number[], seed: number): Tensor => {
  const w = normal(shape, { seed })
  made.push(w)
  return w
}
const positive = (shape: number[], seed: number): Tensor => {
  const w = uniform(shape, { seed, low: 0.2, high: 3 })
  made.push(w)
  return w
}

/**
 * The operations that a repeated pass makes. Its answers are those of the operations one by one within some ulp of the largest,
 * and the same bits in each run: at once, repeated, and after the weights have changed.
 */
function operationsOf(shape: readonly number[], pass: Pass): string[] {
  const before = memoryUsage().blocks
  const plan = planPass(trace(new Map([['x', shape]]), (inputs) => new Map(Object.entries(pass(inputs.get('x')!))))!)
  const program = new PlannedProgram(plan, true)
  for (const change of [undefined, 'weights'] as const) {
    if (change) for (const w of made) w.assign(w.data().map((value) => 0.7 * value))
    let first: Float32Array[] | undefined
    for (let run = 0; run < 3; run++) {
      scope(() => {
        const x = normal(shape, { seed: 5 })
        const [found, right] = [program.run(new Map([['x', x]])), pass(x)].map((values) =>
          Object.values(values).map((y) => y.data()),
        ) as [Float32Array[], Float32Array[]]
        found.forEach((values, i) => {
          const scale = right[i]!.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
          const error = values.reduce((most, value, at) => Math.max(most, Math.abs(value - right[i]![at]!)), 0)
          expect(error).toBeLessThan(4e-6 * scale)
        })
        first ??= found
        expect(found).toEqual(first)
      })
    }
  }
  const names = plan.repeated.map(({ node }) => node.name)
  program.dispose()
  for (const w of made) w.dispose()
  const owned = made.length
  made = []
  expect(memoryUsage().blocks).toBe(before - owned)
  return names
}

/** Batch normalization by constants. */
const normalize = (C: number, seed: number, affine = true): ((x: Tensor) => Tensor) => {
  const [gamma, beta] = affine ? [weights([C], seed), weights([C], seed + 1)] : []
  const [runningMean, runningVar] = [weights([C], seed + 2), positive([C], seed + 3)]
  return (x) => batchNorm(x, gamma, beta, { runningMean, runningVar })
}

describe('batch normalization is folded into what is before it', () => {
  for (const affine of [true, false]) {
    for (const bias of ['none', 'channel', 'location'] as const) {
      it(`a convolution, bias: ${bias}${affine ? '' : ', without gamma and beta'}; relu follows`, () => {
        const w = weights([6, 3, 3, 3], 1)
        const b = { none: undefined, channel: weights([6], 2), location: weights([6, 8, 8], 3) }[bias]
        const norm = normalize(6, 10, affine)
        expect(operationsOf([2, 3, 8, 8], (x) => ({ y: relu(norm(conv2d(x, w, { padding: 1, bias: b }))) }))).toEqual([
          'conv',
        ])
      })
    }
  }

  it('convolutions of groups, along one direction, and strided ones', () => {
    const [w, v] = [weights([8, 2, 3], 1), weights([8, 1, 5], 2)]
    const [first, second] = [normalize(8, 10), normalize(8, 20)]
    expect(
      operationsOf([3, 4, 30], (x) => {
        const y = relu(first(conv1d(x, w, { groups: 2, stride: 2 })))
        return { y: second(conv1d(y, v, { groups: 8, padding: 'same' })) }
      }),
    ).toEqual(['conv', 'conv'])
  })

  it('a matrix product, with and without a bias', () => {
    const [w, v, b] = [weights([6, 5], 1), weights([4, 6], 2), weights([6], 3)]
    const [first, second] = [normalize(6, 10), normalize(4, 20)]
    const pass: Pass = (x) => ({ y: second(linear(relu(first(linear(x, w, b))), v)) })
    // Weights of more elements than one example's result are left as they are.
    expect(operationsOf([7, 5], pass)).toEqual(['matmul', 'batchNorm', 'relu', 'matmul', 'batchNorm'])
  })

  it('in a model of layers, whose summary tells the memory', () => {
    const model = new nn.Sequential(
      [
        new nn.Conv2d({ outChannels: 8, kernel: 3, bias: false }),
        new nn.BatchNorm2d(),
        new nn.ReLU(),
        new nn.Conv2d({ outChannels: 8, kernel: 3 }),
        new nn.BatchNorm2d(),
      ],
      { input: [3, 20, 20], seed: 1 },
    )
    for (const tensor of model.namedState().values()) {
      if (tensor.ndim === 1) tensor.assign(tensor.data().map((value, c) => 0.5 + 0.3 * Math.abs(value) + 0.1 * c))
    }
    scope(() => {
      const x = normal([4, 3, 20, 20], { seed: 2 })
      const right = model.layers.reduce(
        (y, layer) => layer.forward(y, { training: false, seed: 0, step: 0, stream: 0 }),
        x,
      )
      for (let run = 0; run < 3; run++) {
        const [y, expected] = [model.forward(x).data(), right.data()]
        y.forEach((value, at) => {
          expect(Math.abs(value - expected[at]!)).toBeLessThan(1e-5)
        })
      }
    })
    model.dispose()
  })
})

describe('constants that are added and multiplied', () => {
  it('are folded channel by channel, one after another', () => {
    const w = weights([6, 3, 1, 1], 1)
    const [a, b, c] = [weights([6, 1, 1], 2), weights([1, 6, 1, 1], 3), weights([6, 1, 1], 4)]
    expect(operationsOf([2, 3, 8, 8], (x) => ({ y: sub(add(mul(b, conv2d(x, w)), a), c) }))).toEqual(['conv'])
  })

  it('are left where they differ from place to place, or are taken from', () => {
    const w = weights([6, 3, 1, 1], 1)
    const [a, b] = [weights([8, 8], 2), weights([6, 1, 1], 3)]
    expect(operationsOf([2, 3, 8, 8], (x) => ({ y: add(conv2d(x, w), a) }))).toEqual(['conv2d', 'add'])
    const v = weights([6, 3, 1, 1], 1)
    const d = weights([6, 1, 1], 3)
    b.dispose()
    expect(operationsOf([2, 3, 8, 8], (x) => ({ y: sub(d, conv2d(x, v)) }))).toEqual(['conv2d', 'sub'])
  })
})

describe('nothing is folded', () => {
  it('where the result before is read by others, or handed out', () => {
    const w = weights([6, 3, 3, 3], 1)
    const norm = normalize(6, 10)
    expect(
      operationsOf([2, 3, 8, 8], (x) => {
        const y = conv2d(x, w)
        return { y: add(norm(y), y) }
      }),
    ).toEqual(['conv2d', 'batchNorm', 'add'])
    const v = weights([6, 3, 3, 3], 1)
    const other = normalize(6, 10)
    expect(
      operationsOf([2, 3, 8, 8], (x) => {
        const y = conv2d(x, v)
        return { y: other(y), before: y }
      }),
    ).toEqual(['conv2d', 'batchNorm'])
  })

  it('where the factors are computed from the input', () => {
    const w = weights([6, 3, 8, 8], 1)
    expect(operationsOf([1, 3, 8, 8], (x) => ({ y: mul(conv2d(x, w), conv2d(x, w)) }))).toEqual([
      'conv2d',
      'conv2d',
      'mul',
    ])
  })

  it('where relu is part of the convolution', () => {
    const w = weights([6, 3, 3, 3], 1)
    const norm = normalize(6, 10)
    expect(operationsOf([2, 3, 8, 8], (x) => ({ y: norm(conv2d(x, w, { activation: 'relu' })) }))).toEqual([
      'conv2d',
      'batchNorm',
    ])
  })
})
