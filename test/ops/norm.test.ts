import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { vjp } from '../../src/autodiff/vjp.js'
import {
  batchNorm,
  localResponseNorm,
  type BatchNormOptions,
  type LocalResponseNormOptions,
} from '../../src/ops/norm.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { normal, ones, tensor, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectOracle, numbers } from '../helpers/linear.js'
import { oracleCases } from '../helpers/oracle.js'
import { difference, size } from '../helpers/reference.js'
import { expectSecond, secondDerivatives } from '../helpers/second.js'

beforeAll(() => init())

const near = (given: ArrayLike<number>, wanted: ArrayLike<number>, tolerance = 2e-5): void => {
  const { error, scale } = difference(given, wanted)
  expect(error).toBeLessThanOrEqual(tolerance * scale + 1e-6)
}

/** Shapes (N, C, …) that reach every remainder of the four lanes. */
const shapes = fc
  .tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 9 }),
    fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 0, maxLength: 3 }),
  )
  .map(([N, C, spatial]) => [N, C, ...spatial])

describe('PyTorch', () => {
  it('localResponseNorm has the same values and gradients', () => {
    const cases = oracleCases('localResponseNorm')
    expect(cases.length).toBeGreaterThan(0)
    for (const test of cases) {
      expectOracle(test, ({ x }, options) => localResponseNorm(x!, options as unknown as LocalResponseNormOptions))
    }
  })

  it('batchNorm has the same values and gradients', () => {
    const cases = oracleCases('batchNorm')
    expect(cases.length).toBeGreaterThan(0)
    for (const test of cases) {
      expectOracle(test, ({ x, gamma, beta }, options) => batchNorm(x!, gamma, beta, options))
    }
  })
})

describe('local response normalization', () => {
  it('agrees with the definition, gradient included', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.constantFrom(1, 2, 3, 4, 5, 8, 40),
        fc.constantFrom(0.75, 0.5, 1, 0.6, 2),
        fc.constantFrom<'size' | 'none'>('size', 'none'),
        fc.integer({ min: 1, max: 1e6 }),
        (shape, channels, beta, normalize, seed) => {
          const [alpha, k] = [0.7, 1.5]
          const [N, C, ...spatial] = shape as [number, number, ...number[]]
          const pixels = size(spatial)
          const x = numbers(size(shape), seed, false)
          const dy = numbers(size(shape), seed + 1, false)
          const share = normalize === 'size' ? alpha / channels : alpha
          const y = new Float64Array(x.length)
          const dx = new Float64Array(x.length)
          const index = (n: number, c: number, i: number): number => (n * C + c) * pixels + i
          for (let n = 0; n < N; n++) {
            for (let i = 0; i < pixels; i++) {
              for (let c = 0; c < C; c++) {
                const first = c - Math.floor(channels / 2)
                const seen = Array.from({ length: channels }, (_, j) => first + j).filter((j) => j >= 0 && j < C)
                const s = k + share * seen.reduce((sum, j) => sum + x[index(n, j, i)]! ** 2, 0)
                const here = index(n, c, i)
                y[here] = x[here]! * s ** -beta
                dx[here]! += dy[here]! * s ** -beta
                for (const j of seen) {
                  dx[index(n, j, i)]! -= 2 * share * beta * x[index(n, j, i)]! * dy[here]! * x[here]! * s ** (-beta - 1)
                }
              }
            }
          }
          scope(() => {
            const options = { size: channels, alpha, beta, k, normalize }
            const input = tensor(x, shape)
            const { value, pullback } = vjp((t) => localResponseNorm(t, options), input)
            near(value.data(), y)
            expect(localResponseNorm(input, options).data()).toEqual(value.data())
            near(pullback(tensor(dy, shape))[0]!.data(), dx)
          })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('has the defaults of PyTorch', () => {
    scope(() => {
      const x = tensor([[[3], [4]]])
      const [first] = localResponseNorm(x, { size: 3 }).data()
      expect(first).toBeCloseTo(3 / (1 + (1e-4 / 3) * 25) ** 0.75, 6)
    })
  })

  it('lets NaN reach the channels that see it, and no others', () => {
    scope(() => {
      const x = tensor([[[1], [1], [NaN], [1], [1], [1]]])
      expect([...localResponseNorm(x, { size: 3 }).data()].map(Number.isNaN)).toEqual([
        false,
        true,
        true,
        true,
        false,
        false,
      ])
    })
  })

  it.each([
    [[2, 5, 2], { size: 3 }],
    [[1, 6, 2, 3], { size: 4, beta: 0.5 }],
    [[1, 4], { size: 2, beta: 0.6, normalize: 'none' as const }],
    [[2, 3, 1, 1], { size: 5, beta: 1, k: 2 }],
    [[1, 3, 5], { size: 1, beta: 2 }],
    [[1, 2, 3], { size: 40 }],
  ])('has the second derivatives of its definition, shape %j, %j', (shape, given) => {
    const options = { alpha: 0.7, beta: 0.75, k: 1.5, normalize: 'size' as const, ...given }
    const [, C, ...spatial] = shape as [number, number, ...number[]]
    const pixels = size(spatial)
    const share = options.normalize === 'size' ? options.alpha / options.size : options.alpha
    const definition = (x: Float64Array): Float64Array =>
      x.map((value, i) => {
        const c = Math.floor(i / pixels) % C
        let sum = 0
        for (let j = 0; j < C; j++) {
          const distance = j - c + Math.floor(options.size / 2)
          if (distance >= 0 && distance < options.size) sum += x[i + (j - c) * pixels]! ** 2
        }
        return value * (options.k + share * sum) ** -options.beta
      })
    scope(() => {
      expectSecond((x) => localResponseNorm(x, options), definition, [normal(shape, { seed: 1 })])
    })
  })

  it('has a third derivative', () => {
    scope(() => {
      const inputs = [normal([1, 4, 2], { seed: 1 }), normal([1, 4, 2], { seed: 2 })]
      const weights = normal([1, 4, 2], { seed: 3 })
      const f = (x: Tensor): Tensor => localResponseNorm(x, { size: 3, alpha: 1 })
      for (const k of [0, 1]) {
        const second = (...at: Tensor[]): Tensor => secondDerivatives(f, 0, weights, at)[k]!
        expect(gradcheck(second, inputs).ok).toBe(true)
      }
    })
  })
})

/** Mean and biased variance of each channel. */
function statistics(
  x: ArrayLike<number>,
  [N, C, ...spatial]: readonly number[],
): { mean: number[]; variance: number[] } {
  const pixels = size(spatial)
  const channel = (c: number): number[] =>
    Array.from({ length: N! * pixels }, (_, i) => x[(Math.floor(i / pixels) * C! + c) * pixels + (i % pixels)]!)
  const average = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length
  const mean = Array.from({ length: C! }, (_, c) => average(channel(c)))
  const variance = mean.map((center, c) => average(channel(c).map((v) => (v - center) ** 2)))
  return { mean, variance }
}

describe('batch normalization', () => {
  it('agrees with the definition, gradients and running statistics included', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.boolean(),
        fc.constantFrom('both', 'gamma', 'beta', 'neither'),
        fc.integer({ min: 1, max: 1e6 }),
        (shape, training, affine, seed) => {
          const [N, C, ...spatial] = shape as [number, number, ...number[]]
          const pixels = size(spatial)
          const count = N * pixels
          fc.pre(!training || count > 1)
          const [eps, momentum] = [1e-3, 0.3]
          const x = numbers(size(shape), seed, false)
          const dy = numbers(size(shape), seed + 1, false)
          const gamma = numbers(C, seed + 2, false)
          const beta = numbers(C, seed + 3, false)
          const runningMean = numbers(C, seed + 4, false)
          const runningVar = numbers(C, seed + 5, false).map((value) => Math.abs(value) + 0.1)
          const batch = statistics(x, shape)
          const { mean, variance } = training ? batch : { mean: runningMean, variance: runningVar }
          const has = (name: string): boolean => affine === 'both' || affine === name
          const y = new Float64Array(x.length)
          const dx = new Float64Array(x.length)
          const dgamma = new Float64Array(C)
          const dbeta = new Float64Array(C)
          const channelOf = (i: number): number => Math.floor(i / pixels) % C
          const unit = (i: number): number => (x[i]! - mean[channelOf(i)]!) / Math.sqrt(variance[channelOf(i)]! + eps)
          x.forEach((_, i) => {
            const c = channelOf(i)
            y[i] = unit(i) * (has('gamma') ? gamma[c]! : 1) + (has('beta') ? beta[c]! : 0)
            dgamma[c]! += dy[i]! * unit(i)
            dbeta[c]! += dy[i]!
          })
          x.forEach((_, i) => {
            const c = channelOf(i)
            const scale = (has('gamma') ? gamma[c]! : 1) / Math.sqrt(variance[c]! + eps)
            dx[i] = scale * (training ? dy[i]! - dbeta[c]! / count - (unit(i) * dgamma[c]!) / count : dy[i]!)
          })
          scope(() => {
            const running = { runningMean: tensor(runningMean), runningVar: tensor(runningVar) }
            const inputs = [tensor(x, shape), tensor(gamma), tensor(beta)]
            const { value, pullback } = vjp(
              (t, g, b) =>
                batchNorm(t, has('gamma') ? g : undefined, has('beta') ? b : undefined, {
                  training,
                  eps,
                  momentum,
                  ...running,
                }),
              ...inputs,
            )
            near(value.data(), y)
            const [gx, gg, gb] = pullback(tensor(dy, shape))
            // With two elements the gradient is what is left of terms of the size of dy / √(σ² + ε).
            const { error } = difference(gx!.data(), dx)
            expect(error).toBeLessThanOrEqual(2e-5 * (1 + Math.max(...variance.map((v) => 1 / Math.sqrt(v + eps)))))
            near(gg!.data(), has('gamma') ? dgamma : zeros([C]).data())
            near(gb!.data(), has('beta') ? dbeta : zeros([C]).data())
            const moved = (old: Float32Array, target: (c: number) => number): Float64Array =>
              Float64Array.from(old, (v, c) => (training ? (1 - momentum) * v + momentum * target(c) : v))
            near(
              running.runningMean.data(),
              moved(runningMean, (c) => batch.mean[c]!),
            )
            near(
              running.runningVar.data(),
              moved(runningVar, (c) => (batch.variance[c]! * count) / (count - 1)),
            )
          })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('loses nothing when the data lie far from zero', () => {
    scope(() => {
      const values = Float32Array.from({ length: 1000 }, (_, i) => 100_000 + (i % 7) / 8)
      const { mean, variance } = statistics(values, [1, 1, 1000])
      const y = batchNorm(tensor(values, [1, 1, 1000]), undefined, undefined, { training: true })
      near(
        y.data(),
        values.map((v) => (v - mean[0]!) / Math.sqrt(variance[0]! + 1e-5)),
        1e-6,
      )
    })
  })

  it('has the gradients that finite differences show', () => {
    scope(() => {
      const inputs = [normal([3, 2, 5], { seed: 1 }), normal([2], { seed: 2 }), normal([2], { seed: 3 })]
      expect(gradcheck((x, g, b) => batchNorm(x, g, b, { training: true }), inputs).ok).toBe(true)
      const running = { runningMean: tensor([0.3, -0.2]), runningVar: tensor([1.5, 0.7]) }
      expect(gradcheck((x, g, b) => batchNorm(x, g, b, running), inputs).ok).toBe(true)
    })
  })

  describe.each([[[4, 2]], [[3, 2, 3]], [[2, 3, 1, 5]], [[2, 1, 1, 1]]])('of shape %j', (shape) => {
    const [, C, ...spatial] = shape as [number, number, ...number[]]
    const pixels = size(spatial)
    const running = { mean: [0.3, -0.2, 0.1].slice(0, C), variance: [1.5, 0.7, 1.1].slice(0, C) }
    it.each([
      [true, 'both'],
      [true, 'gamma'],
      [true, 'neither'],
      [false, 'both'],
      [false, 'beta'],
    ])('has the second derivatives of its definition, training %s, given %s of gamma and beta', (training, affine) => {
      const has = (what: string): boolean => affine === what || affine === 'both'
      const eps = 0.1
      const definition = (x: Float64Array, ...affines: Float64Array[]): Float64Array => {
        const gamma = has('gamma') ? affines.shift() : undefined
        const beta = affines[0]
        const { mean, variance } = training ? statistics(x, shape) : running
        return x.map((value, i) => {
          const c = Math.floor(i / pixels) % C
          return ((value - mean[c]!) / Math.sqrt(variance[c]! + eps)) * (gamma?.[c] ?? 1) + (beta?.[c] ?? 0)
        })
      }
      scope(() => {
        const inputs = [normal(shape, { seed: 5 })]
        for (const what of ['gamma', 'beta']) if (has(what)) inputs.push(normal([C], { seed: 6 + inputs.length }))
        const options = training
          ? { training, eps }
          : { eps, runningMean: tensor(running.mean), runningVar: tensor(running.variance) }
        expectSecond(
          (x, ...affines) => {
            const gamma = has('gamma') ? affines.shift() : undefined
            return batchNorm(x, gamma, affines[0], options)
          },
          definition,
          inputs,
        )
      })
    })
  })

  it('has a third derivative', () => {
    scope(() => {
      const inputs = [normal([3, 2, 2], { seed: 1 }), normal([2], { seed: 2 }), normal([3, 2, 2], { seed: 3 })]
      const weights = [normal([3, 2, 2], { seed: 4 }), normal([2], { seed: 5 })]
      const f = (x: Tensor, gamma: Tensor): Tensor => batchNorm(x, gamma, undefined, { training: true, eps: 0.1 })
      for (const by of [0, 1]) {
        for (const k of [0, 1, 2]) {
          const second = (...at: Tensor[]): Tensor => secondDerivatives(f, by, weights[by]!, at)[k]!
          expect(gradcheck(second, inputs, { step: 3e-3 }).ok).toBe(true)
        }
      }
    })
  })

  it('has second derivatives that data far from zero do not spoil', () => {
    scope(() => {
      const [base, dy, weights] = [1, 2, 3].map((seed) => normal([1, 1, 40], { seed })) as [Tensor, Tensor, Tensor]
      // Sixteenths, which are the same numbers 4096 further on.
      const x = base.data().map((value) => Math.round(16 * value) / 16)
      const f = (given: Tensor): Tensor => batchNorm(given, undefined, undefined, { training: true })
      const [here, there] = [0, 4096].map((offset) =>
        secondDerivatives(f, 0, weights, [
          tensor(
            x.map((value) => value + offset),
            [1, 1, 40],
          ),
          dy,
        ]).map((t) => t.data()),
      ) as [Float32Array[], Float32Array[]]
      there.forEach((gradient, k) => near(gradient, here[k]!, 1e-5))
    })
  })

  it('leaves the running statistics alone when it cannot run', () => {
    scope(() => {
      const runningMean = tensor([1])
      const runningVar = tensor([2])
      const options = { training: true, runningMean, runningVar }
      expect(() => batchNorm(zeros([1, 1, 1]), undefined, undefined, options)).toThrow(ShapeError)
      expect([...runningMean.data(), ...runningVar.data()]).toEqual([1, 2])
    })
  })

  it('refuses disposed statistics', () => {
    scope(() => {
      const runningMean = zeros([2])
      const runningVar = ones([2])
      runningVar.dispose()
      expect(() => batchNorm(zeros([1, 2, 3]), undefined, undefined, { runningMean, runningVar })).toThrow(
        DisposedError,
      )
    })
  })
})

describe('normalization', () => {
  const x = (): Tensor => zeros([2, 3, 4])
  const running = (): BatchNormOptions => ({ runningMean: zeros([3]), runningVar: ones([3]) })
  const none = undefined
  it.each<[string, () => unknown, RegExp]>([
    [
      'size',
      () => localResponseNorm(x(), { size: 0 }),
      /localResponseNorm: size must be a whole number from 1 on, given 0/,
    ],
    [
      'missing options',
      () => localResponseNorm(x(), none as never),
      /size must be a whole number from 1 on, given undefined/,
    ],
    ['alpha', () => localResponseNorm(x(), { size: 3, alpha: NaN }), /alpha must be a finite number, given NaN/],
    ['beta', () => localResponseNorm(x(), { size: 3, beta: '1' as never }), /beta must be a finite number, given '1'/],
    [
      'normalize',
      () => localResponseNorm(x(), { size: 3, normalize: 'all' as never }),
      /normalize must be 'size' or 'none', given 'all'/,
    ],
    ['rank', () => localResponseNorm(zeros([3]), { size: 3 }), /localResponseNorm: x must be \(N, C, …\), given \(3\)/],
    [
      'rank of a batch',
      () => batchNorm(zeros([3]), none, none, running()),
      /batchNorm: x must be \(N, C, …\), given \(3\)/,
    ],
    [
      'gamma',
      () => batchNorm(x(), ones([4]), none, running()),
      /gamma must be \(3\), one for each channel of x \(2, 3, 4\), given \(4\)/,
    ],
    ['beta of a batch', () => batchNorm(x(), none, ones([3, 1]), running()), /beta must be \(3\).*given \(3, 1\)/],
    [
      'running mean',
      () => batchNorm(x(), none, none, { ...running(), runningMean: zeros([2]) }),
      /runningMean must be \(3\)/,
    ],
    [
      'kind of running mean',
      () => batchNorm(x(), none, none, { ...running(), runningMean: [0] as never }),
      /runningMean must be a Tensor, not \[0\]; make one with tensor\(\)/,
    ],
    [
      'missing running statistics',
      () => batchNorm(x(), none, none),
      /give runningMean and runningVar \(3\), or training: true/,
    ],
    ['eps', () => batchNorm(x(), none, none, { ...running(), eps: -1 }), /eps must be a number from 0 on, given -1/],
    [
      'momentum',
      () => batchNorm(x(), none, none, { ...running(), momentum: 2 }),
      /momentum must be a number from 0 to 1, given 2/,
    ],
    ['training', () => batchNorm(x(), none, none, { training: 1 as never }), /training must be true or false, given 1/],
    [
      'batch of one element',
      () => batchNorm(zeros([1, 3, 1]), none, none, { training: true }),
      /at least 2 elements for each channel/,
    ],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(message)
      expect(call).toThrow(ShapeError)
    })
    const before = memoryUsage().liveBytes
    scope(() => {
      expect(call).toThrow(ShapeError)
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('returns all memory after a pass and its gradient', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const { pullback, dispose } = vjp(
        (t, g, b) => batchNorm(localResponseNorm(t, { size: 3 }), g, b, { training: true }),
        normal([2, 3, 5], { seed: 1 }),
        ones([3]),
        zeros([3]),
      )
      pullback(ones([2, 3, 5]))
      dispose()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })
})
