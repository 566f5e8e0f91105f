/** The share of examples whose class is among the k best, beside the definition: rows sorted. */
import { beforeAll, describe, expect, it } from 'vitest'
import { crossEntropy } from '../../src/ops/loss.js'
import { init } from '../../src/runtime/embedded.js'
import { ArgumentError, ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor, uniform } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { accuracy, evaluate, tensorExamples } from '../../src/train/index.js'
import { Flatten, Sequential } from '../../src/nn/index.js'
import { topK } from '../../src/vision/index.js'

beforeAll(() => init())

/** The classes at each place of (N, K, …) scores, best first; equal ones in the order of their numbers. */
function sorted(values: ArrayLike<number>, [N, K, ...places]: readonly number[]): number[][] {
  const P = places.reduce((product, extent) => product * extent, 1)
  return Array.from({ length: N! * P }, (_, row) => {
    const score = (k: number): number => values[(Math.floor(row / P) * K! + k) * P + (row % P)]!
    return Array.from({ length: K! }, (_, k) => k).sort((a, b) => score(b) - score(a) || a - b)
  })
}

describe('topK', () => {
  it.each([[[7, 12]], [[3, 6, 4]], [[2, 5, 3, 4]]])('is that of sorted rows for %j and every k', (shape) => {
    scope(() => {
      // Few distinct scores, so that many are equal.
      const scores = tensor(uniform(shape, { low: -3, high: 3, seed: 1 }).data().map(Math.round), shape)
      const order = sorted(scores.data(), shape)
      const labels = order.map((_, row) => (row * 7) % shape[1]!)
      for (let k = 1; k <= shape[1]!; k++) {
        const right = labels.filter((label, row) => order[row]!.indexOf(label) < k).length
        expect(topK(scores, labels, { k }), `k = ${k}`).toBe(right / labels.length)
      }
      expect(topK(scores, labels, { k: 1 })).toBe(accuracy(scores, labels))
      expect(topK(scores, labels)).toBe(topK(scores, Int32Array.from(labels), { k: 5 }))
      const left = labels.filter((label) => label !== 0)
      const right = labels.filter((label, row) => label !== 0 && order[row]!.indexOf(label) < 2).length
      expect(topK(scores, labels, { k: 2, ignoreIndex: 0 })).toBe(right / left.length)
    })
  })

  it('takes scores with a NaN for wrong, and nothing that is left for no number', () => {
    scope(() => {
      const scores = tensor([
        [0, 1, Number.NaN],
        [2, 1, 0],
      ])
      expect(topK(scores, [1, 1], { k: 3 })).toBe(0.5)
      expect(topK(scores, [9, 9], { k: 1, ignoreIndex: 9 })).toBeNaN()
    })
  })

  it('is a metric', async () => {
    const x = normal([30, 8], { seed: 2 })
    const labels = sorted(x.data(), [30, 8]).map((order, row) => order[row % 8]!)
    const model = new Sequential([new Flatten()], { input: [8] })
    const how = { batchSize: 7, loss: crossEntropy, metrics: { accuracy, top5: topK } }
    const { metrics } = await evaluate(model, tensorExamples(x, labels), how)
    // Of each eight rows one has its label in front, and five among the first five.
    expect(metrics.accuracy).toBeCloseTo(4 / 30, 12)
    expect(metrics.top5).toBeCloseTo(20 / 30, 12)
  })

  it.each<[string, () => number, typeof ShapeError | typeof ArgumentError, RegExp]>([
    ['one axis', () => topK(tensor([1, 2]), [0]), ShapeError, /^topK: scores must be \(N, classes\)/],
    [
      'few classes',
      () => topK(tensor([[1, 2]]), [0]),
      ArgumentError,
      /^topK: k must be at most 2, the number of classes, given 5$/,
    ],
    [
      'k of 0',
      () => topK(tensor([[1, 2]]), [0], { k: 0 }),
      ArgumentError,
      /^topK: k must be a whole number from 1 on, given 0$/,
    ],
    [
      'labels that lack',
      () => topK(tensor([[1, 2]]), [], { k: 1 }),
      ArgumentError,
      /^topK: 1 outputs need as many labels, given 0$/,
    ],
    [
      'a label that is no class',
      () => topK(tensor([[1, 2]]), [2], { k: 1 }),
      ArgumentError,
      /^topK: label 0 must be a whole number from 0 to 1, given 2$/,
    ],
    [
      'distributions',
      () => topK(tensor([[1, 2]]), tensor([[0, 1]]), { k: 1 }),
      ArgumentError,
      /^topK: the target must be labels/,
    ],
    ['another option', () => topK(tensor([[1, 2]]), [0], { K: 1 } as never), ArgumentError, /there is no option 'K'/],
  ])('refuses %s', (_, call, Failure, message) => {
    expect(() => scope(call)).toThrow(Failure)
    expect(() => scope(call)).toThrow(message)
  })
})
