/** Layers that learn without labels: autoencoders and Boltzmann machines. */
import { beforeAll, describe, expect, it } from 'vitest'
import { ConvRBM, greedyPretrain } from '../../src/features/index.js'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

/** Pictures with a bar each, of 12 × 12. */
function bars(count: number): Tensor {
  const values = new Float32Array(count * 144)
  const random = scope(() => uniform([count * 2], { seed: 9 }).data())
  for (let n = 0; n < count; n++) {
    const place = Math.floor(random[2 * n]! * 11)
    for (let i = 0; i < 12; i++)
      for (const wide of [0, 1])
        values[n * 144 + (random[2 * n + 1]! < 0.5 ? (place + wide) * 12 + i : i * 12 + place + wide)] = 1
  }
  return tensor(values, [count, 1, 12, 12])
}

describe('greedy pretraining', () => {
  const make = (): Sequential =>
    new Sequential(
      [
        new Conv2d({ outChannels: 6, kernel: 3 }),
        new ReLU(),
        new MaxPool2d({ kernel: 2 }),
        new Conv2d({ outChannels: 8, kernel: 2 }),
        new ReLU(),
        new Flatten(),
        new Linear({ outFeatures: 2 }),
      ],
      { input: [1, 12, 12], seed: 1 },
    )

  it('makes each reconstruction better, layer by layer, and changes the convolutions alone', async () => {
    const x = bars(40)
    const model = make()
    const before = [...model.namedState()].map(([name, tensor]) => [name, tensor.data()] as const)
    const live = memoryUsage().liveBytes
    const steps: string[] = []
    const learned = await greedyPretrain(model, x, {
      ...{ epochs: 6, batchSize: 8, lr: 0.01, seed: 2 },
      onStep: ({ layer, step, steps: all }) => void steps.push(`${layer} ${step}/${all}`),
    })
    expect(learned.map(({ layer }) => layer)).toEqual(['0', '3'])
    for (const { losses } of learned) {
      expect(losses).toHaveLength(6)
      expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]!)
    }
    expect(steps).toHaveLength(60)
    expect(steps.at(-1)).toBe('3 30/30')
    for (const [name, values] of before) {
      const now = model.namedState().get(name)!.data()
      if (name.startsWith('6.')) expect(now).toEqual(values)
      else expect(now).not.toEqual(values)
    }
    expect(memoryUsage().liveBytes - live).toBeLessThan(100_000)
    const again = make()
    await greedyPretrain(again, x, { epochs: 6, batchSize: 8, lr: 0.01, seed: 2 })
    expect(again.save()).toEqual(model.save())
    for (const item of [x, model, again]) item.dispose()
  })

  it('takes chosen layers, noise and all responses', async () => {
    const x = bars(20)
    const model = make()
    const learned = await greedyPretrain(model, x, { layers: ['3'], epochs: 1, pool: 1, noise: 0.3 })
    expect(learned.map(({ layer, losses }) => [layer, losses.length])).toEqual([['3', 1]])
    for (const item of [x, model]) item.dispose()
  })

  it('refuses what cannot learn', async () => {
    const x = bars(4)
    const model = make()
    const frozen = make().freeze('0')
    const dense = new Sequential([new Flatten(), new Linear({ outFeatures: 2 })], { input: [1, 12, 12] })
    const wrong: [unknown[], RegExp][] = [
      [[dense, x], /^greedyPretrain: the model has no Conv2d, which could learn/],
      [[model, x, { layers: ['6'] }], /^greedyPretrain: layer '6' is a Linear; only a Conv2d learns by itself/],
      [[model, x, { layers: ['9'] }], /^greedyPretrain: there is no layer '9'/],
      [[frozen, x], /^greedyPretrain: layer '0' is frozen; unfreeze it first/],
      [[model, x, { noise: 1 }], /^greedyPretrain: noise must be a number from 0 up to, but not including, 1, given 1/],
      [[model, x, { pool: 40 }], /^greedyPretrain: maps \(10, 10\) are smaller than a window of 40 × 40/],
      [[model, x, { lr: 0 }], /^greedyPretrain: lr must be a finite number above 0/],
      [[model, 5], /^greedyPretrain: the data must be a Tensor/],
    ]
    for (const [args, message] of wrong) {
      await expect(greedyPretrain(...(args as [Sequential, Tensor]))).rejects.toThrow(ShapeError)
      await expect(greedyPretrain(...(args as [Sequential, Tensor]))).rejects.toThrow(message)
    }
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(greedyPretrain(model, x, { signal })).rejects.toThrow('enough')
    for (const item of [x, model, frozen, dense]) item.dispose()
  })
})

describe('a convolutional Boltzmann machine', () => {
  const options = { filters: 2, size: [2, 3], channels: 2, pool: 2, std: 0.5, seed: 3 } as const

  /** Inputs of the hidden units of v (1, 2, 5, 6), by the definition: (2, 4, 4). */
  function inputs(v: Float32Array, w: Float32Array, b: Float32Array): number[] {
    const all: number[] = []
    for (let k = 0; k < 2; k++) {
      for (let y = 0; y < 4; y++) {
        for (let x = 0; x < 4; x++) {
          let sum = b[k]!
          for (let c = 0; c < 2; c++)
            for (let r = 0; r < 2; r++)
              for (let s = 0; s < 3; s++) sum += w[((k * 2 + c) * 2 + r) * 3 + s]! * v[(c * 5 + y + r) * 6 + x + s]!
          all.push(sum)
        }
      }
    }
    return all
  }

  /** Sum of exponentials over the block of a unit. */
  const blockSum = (input: readonly number[], k: number, y: number, x: number): number => {
    const [top, left] = [y - (y % 2), x - (x % 2)]
    let sum = 0
    for (const i of [0, 1]) for (const j of [0, 1]) sum += Math.exp(input[(k * 4 + top + i) * 4 + left + j]!)
    return sum
  }

  it('has the probabilities of probabilistic max pooling', () => {
    scope(() => {
      const machine = new ConvRBM(options)
      machine.hiddenBias.assign([0.5, -1])
      const v = uniform([3, 2, 5, 6], { seed: 4 })
      const [hidden, pooled] = [machine.hidden(v), machine.pool(v)]
      expect([hidden.shape, pooled.shape]).toEqual([
        [3, 2, 4, 4],
        [3, 2, 2, 2],
      ])
      for (let n = 0; n < 3; n++) {
        const input = inputs(v.data().subarray(n * 60, (n + 1) * 60), machine.filters.data(), machine.hiddenBias.data())
        for (let k = 0; k < 2; k++) {
          for (let y = 0; y < 4; y++) {
            for (let x = 0; x < 4; x++) {
              const sum = blockSum(input, k, y, x)
              const own = Math.exp(input[(k * 4 + y) * 4 + x]!) / (1 + sum)
              expect(hidden.data()[((n * 2 + k) * 4 + y) * 4 + x]).toBeCloseTo(own, 5)
              const pool = pooled.data()[((n * 2 + k) * 2 + (y >> 1)) * 2 + (x >> 1)]
              expect(pool).toBeCloseTo(1 - 1 / (1 + sum), 5)
            }
          }
        }
      }
      machine.dispose()
    })
  })

  it.each(['binary', 'gaussian'] as const)('reconstructs %s units by the adjoint of its convolution', (visible) => {
    scope(() => {
      const machine = new ConvRBM({ ...options, visible })
      machine.visibleBias.assign([0.25, -0.5])
      const v = uniform([1, 2, 5, 6], { seed: 4 })
      const [hidden, w] = [machine.hidden(v).data(), machine.filters.data()]
      const made = machine.reconstruct(v).data()
      for (let c = 0; c < 2; c++) {
        for (let y = 0; y < 5; y++) {
          for (let x = 0; x < 6; x++) {
            let sum = [0.25, -0.5][c]!
            for (let k = 0; k < 2; k++)
              for (let r = 0; r < 2; r++)
                for (let s = 0; s < 3; s++) {
                  const [i, j] = [y - r, x - s]
                  if (i < 0 || i > 3 || j < 0 || j > 3) continue
                  sum += w[((k * 2 + c) * 2 + r) * 3 + s]! * hidden[(k * 4 + i) * 4 + j]!
                }
            expect(made[(c * 5 + y) * 6 + x]).toBeCloseTo(visible === 'binary' ? 1 / (1 + Math.exp(-sum)) : sum, 5)
          }
        }
      }
      machine.dispose()
    })
  })

  it('moves along the difference of correlations in a step, as the definition says', () => {
    scope(() => {
      // Inputs so large that which units are drawn is certain: each block has one at its first place.
      const still = { momentum: 0, weightDecay: 0, sparsityRate: 0, lr: 0.5 }
      const machine = new ConvRBM({ filters: 1, size: 1, pool: 2, visible: 'gaussian', ...still })
      machine.filters.assign([40])
      const v = tensor([1, 0, 0, 0], [1, 1, 2, 2])
      const { error, activity } = machine.step(v)
      // v₁ = 40 at the place of the unit; P(h₁) is 1 there, too.
      expect(error).toBeCloseTo(39 ** 2 / 4, 3)
      expect(activity).toBeCloseTo(1 / 4, 5)
      expect(machine.filters.item()).toBeCloseTo(40 + (0.5 * (1 - 40)) / 4, 4)
      expect(machine.hiddenBias.item()).toBeCloseTo(0, 5)
      expect(machine.visibleBias.item()).toBeCloseTo((0.5 * (1 - 40)) / 4, 4)
      machine.dispose()
    })
  })

  it('draws each unit of a block with its probability', () => {
    scope(() => {
      const still = { momentum: 0, weightDecay: 0, sparsityRate: 0, lr: 1 }
      const machine = new ConvRBM({ filters: 1, size: 1, pool: 2, visible: 'gaussian', std: 1e-6, ...still })
      // Without weights the visible units are told nothing: all five outcomes of a block are equally probable.
      machine.filters.assign([1e-4])
      const v = zeros([500, 1, 2, 2])
      machine.step(v)
      // The mean of v₁ is 1e-4 times the share of units that are on, 1/5: the visible bias moved by its negative.
      expect(machine.visibleBias.item() / -1e-4).toBeCloseTo(0.2, 1)
      machine.dispose()
    })
  })

  it('reconstructs better as it learns, with units as rarely on as they are to be', async () => {
    const x = bars(60)
    const live = memoryUsage().liveBytes
    const machine = new ConvRBM({ filters: 6, size: 5, lr: 0.5, sparsity: 0.05, sparsityRate: 2, seed: 1 })
    const errors: number[] = []
    let activity = 0
    await machine.train(x, {
      ...{ epochs: 40, batchSize: 10 },
      onStep: (step) => {
        errors.push(step.error)
        activity = step.activity
      },
    })
    expect(errors).toHaveLength(240)
    expect(errors.at(-1)).toBeLessThan(0.6 * errors[0]!)
    expect(activity).toBeGreaterThan(0.02)
    expect(activity).toBeLessThan(0.12)
    const again = new ConvRBM({ filters: 6, size: 5, lr: 0.5, sparsity: 0.05, sparsityRate: 2, seed: 1 })
    await again.train(x, { epochs: 40, batchSize: 10 })
    expect(again.filters.data()).toEqual(machine.filters.data())
    // A second machine learns from the pooling units of the first: a deep belief network.
    const second = new ConvRBM({ filters: 4, size: 3, channels: 6, pool: 1 })
    const { error } = scope(() => second.step(machine.pool(x)))
    expect(Number.isFinite(error)).toBe(true)
    for (const one of [machine, again, second]) one.dispose()
    expect(memoryUsage().liveBytes).toBe(live)
    expect(() => machine.hidden(x)).toThrow(DisposedError)
    x.dispose()
  })

  it('trains on pictures whose maps no blocks fill, without their last rows', async () => {
    const x = normal([4, 1, 9, 10], { seed: 1 })
    const machine = new ConvRBM({ filters: 2, size: 3, pool: 3, visible: 'gaussian' })
    await machine.train(x, { epochs: 1 })
    expect(machine.filters.data().every(Number.isFinite)).toBe(true)
    expect(() => machine.step(x)).toThrow(
      /^ConvRBM: step: v \(4, 1, 9, 10\) has hidden maps \(7, 8\), which blocks of 3 × 3 do not fill; H and W must be 2 and 2 more than multiples of 3/,
    )
    for (const item of [x, machine]) item.dispose()
  })

  it('refuses what it cannot be made with or learn from', async () => {
    const wrong: [object | undefined, RegExp][] = [
      [undefined, /^ConvRBM: the options are missing/],
      [{ size: 3 }, /^ConvRBM: filters must be a whole number from 1/],
      [{ filters: 2, size: 0 }, /^ConvRBM: size must be whole numbers from 1 on/],
      [{ filters: 2, size: 3, visible: 'grey' }, /^ConvRBM: visible must be 'binary' or 'gaussian', given 'grey'/],
      [{ filters: 2, size: 3, lr: 0 }, /^ConvRBM: lr must be a finite number above 0/],
      [{ filters: 2, size: 3, momentum: 1 }, /^ConvRBM: momentum must be a number from 0 up to/],
      [{ filters: 2, size: 3, sparsity: 0 }, /^ConvRBM: sparsity must be a number above 0 and below 1/],
      [{ filters: 2 ** 20, size: 99 }, /^ConvRBM: \(1048576, 1, 99, 99\) are more than 16777216 weights/],
      [{ filters: 2, size: 3, rate: 1 }, /^ConvRBM: there is no option 'rate'/],
    ]
    for (const [given, message] of wrong) {
      expect(() => new ConvRBM(given as never)).toThrow(ShapeError)
      expect(() => new ConvRBM(given as never)).toThrow(message)
    }
    const machine = new ConvRBM({ filters: 2, size: 3 })
    const x = zeros([2, 2, 8, 8])
    expect(() => machine.hidden(x)).toThrow(/^ConvRBM: hidden: v must be \(N, 1, H, W\), given \(2, 2, 8, 8\)/)
    await expect(machine.train(x, { epochs: 0 })).rejects.toThrow(/epochs must be a whole number from 1/)
    for (const item of [x, machine]) item.dispose()
  })
})
