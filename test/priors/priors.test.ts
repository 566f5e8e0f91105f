import { describe, expect, it } from 'vitest'
import {
  Adam,
  conv2d,
  convMatrix,
  gradcheck,
  grad,
  init,
  memoryUsage,
  normal,
  tensor,
  uniform,
  valueAndGrad,
  type Tensor,
} from '../../src/index.js'
import { MixturePrior, nearestConvolution, toeplitzPenalty } from '../../src/priors/index.js'

await init()

/** The matrix of a convolution, dense (K·P·Q, C·H·W). */
function matrixOf(
  w: Tensor,
  input: readonly [number, number, number],
  options: { padding?: 'same' | 'valid'; stride?: number },
): Tensor {
  const { rows, cols, rowPtr, colIndex, values } = convMatrix(w, input.slice(1), options)
  const dense = new Float32Array(rows * cols)
  for (let row = 0; row < rows; row++)
    for (let e = rowPtr[row]!; e < rowPtr[row + 1]!; e++) dense[row * cols + colIndex[e]!] = values[e]!
  return tensor(dense, [rows, cols])
}

const cases = [
  [[2, 4, 5], [3, 2, 3, 2], { padding: 'same' }],
  [[1, 5, 5], [2, 1, 3, 3], { padding: 'valid' }],
  [[2, 5, 6], [2, 2, 2, 3], { padding: 'valid', stride: 2 }],
  // Taps that meet no pixel.
  [[1, 2, 2], [1, 1, 5, 5], { padding: 'same' }],
] as const

describe('the convolution nearest to a dense layer', () => {
  it.each(cases)('of input %j and kernel %j is itself, where the layer is one', (input, kernel, options) => {
    const w = uniform([...kernel], { seed: 2, low: -1 })
    const dense = matrixOf(w, [...input], options)
    const found = nearestConvolution(dense, { input, kernel: kernel.slice(2), ...options })
    expect(found.shape).toEqual(kernel)
    const [own, other] = [w.data(), found.data()]
    const isMet = kernel[2] <= 2 * input[1] - 1
    if (isMet) own.forEach((value, i) => expect(other[i]).toBeCloseTo(value, 5))
    const penalty = toeplitzPenalty(dense, { input, kernel: kernel.slice(2), ...options })
    expect(penalty.item()).toBeLessThan(1e-9)
  })

  it.each(cases)('of input %j and kernel %j is at half the squares of what is left', (input, kernel, options) => {
    const how = { input, kernel: kernel.slice(2), ...options }
    const { shape } = matrixOf(uniform([...kernel]), [...input], options)
    const dense = normal(shape, { seed: 4 })
    const nearest = matrixOf(nearestConvolution(dense, how), [...input], options)
    const [a, b] = [dense.data(), nearest.data()]
    const left = a.map((value, i) => value - b[i]!)
    const half = left.reduce((sum, value) => sum + (value * value) / 2, 0)
    expect(toeplitzPenalty(dense, { ...how, strength: 3 }).item() / (3 * half)).toBeCloseTo(1, 4)
    // The gradient is what is left, and at right angles to every convolution.
    const dw = grad((w) => toeplitzPenalty(w, how))(dense)[0]!
    dw.data().forEach((value, i) => expect(value).toBeCloseTo(left[i]!, 4))
    expect(left.reduce((sum, value, i) => sum + value * b[i]!, 0)).toBeCloseTo(0, 2)
  })

  it('has gradients, and second ones', () => {
    const how = { input: [1, 3, 3], kernel: 2 }
    const w = uniform([9, 9], { seed: 6, low: -1 })
    expect(gradcheck((w) => toeplitzPenalty(w, how), [w]).ok).toBe(true)
    expect(gradcheck((w) => grad((w) => toeplitzPenalty(w, how))(w)[0]!, [w]).ok).toBe(true)
  })

  it('is reached by a large strength', () => {
    const how = { input: [1, 4, 4], kernel: 3 }
    const w = normal([16, 16], { seed: 7 })
    const optimizer = new Adam([w], { lr: 0.05 })
    for (let step = 0; step < 300; step++) {
      const { value, gradients: grads } = valueAndGrad((w) => toeplitzPenalty(w, how))(w)
      optimizer.step(grads)
      for (const each of [value, ...grads]) each.dispose()
    }
    const x = uniform([2, 1, 4, 4], { seed: 8 })
    const y = conv2d(x, nearestConvolution(w, how), { padding: 'same' }).data()
    const [rows, values] = [w.data(), x.data()]
    y.forEach((value, i) => {
      let sum = 0
      for (let j = 0; j < 16; j++) sum += rows[(i % 16) * 16 + j]! * values[Math.floor(i / 16) * 16 + j]!
      expect(Math.abs(sum - value)).toBeLessThan(0.02)
    })
  })

  it('is refused where w, the input or the strength is none, and nothing stays', () => {
    const w = uniform([9, 9])
    const { liveBytes } = memoryUsage()
    for (const [given, options, message] of [
      [w, { input: [1, 3, 3], kernel: 2, strength: -1 }, /strength must not be negative, given -1/],
      [w, { input: [3, 3], kernel: 2 }, 'toeplitzPenalty: input must be (C, H, W), given (3, 3)'],
      [
        w,
        { input: [1, 3, 2], kernel: 2 },
        'toeplitzPenalty: w must be (K·3·2, 6) for an input (1, 3, 2), given (9, 9)',
      ],
      [w, { input: [1, 65, 65], kernel: 2 }, /has 4225 elements; at most 4096 are taken/],
      [w, { input: [1, 3, 3], kernel: 0 }, /kernel must be/],
      [w, { input: [1, 3, 3] }, /kernel/],
      [w, { input: [1, 3, 3], kernel: 2, dilation: 2 }, /dilation/],
    ] as const)
      expect(() => toeplitzPenalty(given, options as never)).toThrow(message)
    expect(memoryUsage().liveBytes).toBe(liveBytes)
  })
})

describe('MixturePrior', () => {
  it('is the negative logarithm of the likelihood', () => {
    const prior = new MixturePrior({ components: 3, range: 1, strength: 0.5 })
    const [means, deviations, shares] = prior.parameters()
    means.assign([-1, 0.25, 2])
    deviations.assign([-0.5, 0.1, -2])
    shares.assign([0.3, -1, 0.7])
    const w = tensor([-1.2, 0, 0.4, 1.9, 30])
    const total = [0.3, -1, 0.7].reduce((sum, value) => sum + Math.exp(value), 0)
    const right = [...w.data()].reduce((sum, value) => {
      const terms = [-1, 0.25, 2].map((mean, j) => {
        const sigma = Math.exp([-0.5, 0.1, -2][j]!)
        return (
          Math.log(Math.exp([0.3, -1, 0.7][j]!) / total / sigma / Math.sqrt(2 * Math.PI)) -
          (value - mean) ** 2 / (2 * sigma ** 2)
        )
      })
      const most = Math.max(...terms)
      return sum - most - Math.log(terms.reduce((sum, term) => sum + Math.exp(term - most), 0))
    }, 0)
    expect(prior.penalty([w]).item() / (0.5 * right)).toBeCloseTo(1, 5)
    expect(prior.penalty([w, w]).item() / right).toBeCloseTo(1, 5)
    expect(gradcheck((w) => prior.penalty([w]), [tensor([-1.2, 0, 0.4, 1.9])]).ok).toBe(true)
    // The mixture's own parameters are read, not given: they are moved by hand.
    const near = tensor([-1.2, 0, 0.4, 1.9])
    const { value, gradients } = valueAndGrad(() => prior.penalty([near]))(means, deviations, shares)
    value.dispose()
    for (const [index, parameter] of prior.parameters().entries()) {
      const start = parameter.data()
      start.forEach((_, j) => {
        const at = (step: number): number => {
          parameter.assign(start.map((value, k) => value + (k === j ? step : 0)))
          return prior.penalty([near]).item()
        }
        expect(gradients[index]!.data()[j]).toBeCloseTo((at(1e-2) - at(-1e-2)) / 2e-2, 2)
        parameter.assign(start)
      })
    }
    prior.dispose()
  })

  it('finds the values that weights share', () => {
    const prior = new MixturePrior({ components: 8, range: 1 })
    const noise = normal([300], { seed: 3 }).data()
    const w = tensor(noise.map((value, i) => [-0.8, 0, 0.5][i % 3]! + 0.02 * value))
    const optimizer = new Adam(prior.parameters(), { lr: 0.02 })
    for (let step = 0; step < 400; step++) {
      const { value, gradients: grads } = valueAndGrad(() => prior.penalty([w]))(...prior.parameters())
      optimizer.step(grads)
      for (const each of [value, ...grads]) each.dispose()
    }
    const { distinct, counts } = prior.share([w])
    expect(counts.reduce((sum, count) => sum + count)).toBe(300)
    expect(distinct).toBeGreaterThanOrEqual(3)
    expect(distinct).toBeLessThanOrEqual(8)
    expect(new Set(w.data()).size).toBe(distinct)
    w.data().forEach((value, i) => expect(Math.abs(value - [-0.8, 0, 0.5][i % 3]!)).toBeLessThan(0.08))
  })

  it('refuses what is none', () => {
    expect(() => new MixturePrior({ components: 0 })).toThrow(
      'MixturePrior: components must be a whole number from 1 to 256, given 0',
    )
    expect(() => new MixturePrior({ strength: -2 })).toThrow('MixturePrior: strength must not be negative, given -2')
    expect(() => new MixturePrior({ range: 0 })).toThrow(
      /^MixturePrior: range must be from 0.000001 to 1000000, given 0$/,
    )
    const prior = new MixturePrior()
    expect(() => prior.share([tensor([NaN, 1])])).toThrow('share: the weights and the mixture must be finite numbers')
    expect(() => prior.penalty([])).toThrow('penalty: give at least one tensor of weights')
    expect(() => prior.penalty([3 as never])).toThrow(/weights\[0\]/)
  })
})
