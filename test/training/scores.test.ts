/** Confusion, precision, recall, F1 and the first k classes, against counts by hand and a naive count of pairs. */
import { beforeAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { tensor } from '../../src/tensor/create.js'
import { accuracy, argmax } from '../../src/train/metrics.js'
import { PixelConfusion } from '../../src/segmentation/index.js'
import { ConfusionMatrix, confusionMatrix, f1, precision, recall, topK } from '../../src/training/index.js'

beforeAll(() => init())

/** Scores whose largest is at the class of each row. */
const hot = (classes: number, ...rows: number[]): Tensor =>
  tensor(rows.map((row) => Array.from({ length: classes }, (_, k) => (k === row ? 1 : 0))))

/** Of class k by pairs of label and prediction: the definitions, counted one after another. */
function naive(labels: readonly number[], guesses: readonly number[], k: number) {
  const both = labels.filter((label, i) => label === k && guesses[i] === k).length
  const predicted = guesses.filter((guess) => guess === k).length
  const support = labels.filter((label) => label === k).length
  const p = predicted === 0 ? 0 : both / predicted
  const r = support === 0 ? 0 : both / support
  return { precision: p, recall: r, f1: p + r === 0 ? 0 : (2 * p * r) / (p + r), support }
}

describe('the confusion of classes', () => {
  it('counts labels down and predictions across, and adds batches up', () =>
    scope(() => {
      const matrix = confusionMatrix(hot(3, 0, 1, 1, 2), [0, 1, 2, 2])
      expect([...matrix.counts]).toEqual([1, 0, 0, 0, 1, 0, 0, 1, 1])
      matrix.add(hot(3, 0, 2), [1, 2])
      matrix.add([2, 2], Int32Array.of(0, 2))
      expect([...matrix.counts]).toEqual([1, 0, 1, 1, 1, 0, 0, 1, 3])
      expect(matrix.accuracy).toBe(5 / 8)
    }))

  it('is what a count of pairs says, of any labels', () => {
    const pair = fc.tuple(fc.nat(4), fc.nat(4))
    fc.assert(
      fc.property(fc.array(pair, { minLength: 1, maxLength: 40 }), (pairs) => {
        const labels = pairs.map(([label]) => label)
        const guesses = pairs.map(([, guess]) => guess)
        const matrix = confusionMatrix(guesses, labels, { classes: 5 })
        const each = [0, 1, 2, 3, 4].map((k) => naive(labels, guesses, k))
        matrix.perClass().forEach((own, k) => {
          for (const name of ['precision', 'recall', 'f1', 'support'] as const)
            expect(own[name]).toBeCloseTo(each[k]![name], 12)
        })
        const there = each.filter((_, k) => labels.includes(k) || guesses.includes(k))
        for (const name of ['precision', 'recall', 'f1'] as const) {
          const sum = there.reduce((total, one) => total + one[name], 0)
          expect(matrix[name]()).toBeCloseTo(sum / there.length, 12)
          const weighted = each.reduce((total, one) => total + one[name] * one.support, 0)
          expect(matrix[name]({ average: 'weighted' })).toBeCloseTo(weighted / labels.length, 12)
          // Each example has one label and one prediction: of all together the three are the accuracy.
          expect(matrix[name]({ average: 'micro' })).toBeCloseTo(matrix.accuracy, 12)
          expect(matrix[name]({ positive: 2 })).toBeCloseTo(each[2]![name], 12)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('agrees with accuracy, and with the confusion of pixels', () =>
    scope(() => {
      const scores = tensor([[[[1, 5], [2, 0]], [[3, 1], [2, 9]]]]) // prettier-ignore
      const labels = [1, 0, 1, 255]
      const matrix = confusionMatrix(scores, labels, { ignoreIndex: 255 })
      expect(matrix.accuracy).toBe(accuracy(scores, labels, { ignoreIndex: 255 }))
      const pixels = new PixelConfusion({ classes: 2, ignoreIndex: 255 })
      pixels.add(scores, labels)
      expect([...pixels.counts]).toEqual([...matrix.counts])
      expect(pixels).toBeInstanceOf(ConfusionMatrix)
      expect(pixels.f1()).toBe(matrix.f1())
    }))

  it('counts a NaN against the label, and for no class', () =>
    scope(() => {
      const matrix = confusionMatrix(tensor([[NaN, 1], [0, 1]]), [1, 1]) // prettier-ignore
      expect([...matrix.unknown]).toEqual([0, 1])
      expect(matrix.accuracy).toBe(0.5)
      expect(matrix.precision({ positive: 1 })).toBe(1)
      expect(matrix.recall({ positive: 1 })).toBe(0.5)
      expect(matrix.recall({ average: 'micro' })).toBe(0.5)
    }))

  it('of nothing is no number', () => {
    const matrix = new ConfusionMatrix({ classes: 2 })
    expect([matrix.accuracy, matrix.f1(), matrix.recall({ average: 'micro' })]).toEqual([NaN, NaN, NaN])
    expect(matrix.f1({ positive: 0 })).toBe(0)
    matrix.add([], [])
    expect(matrix.accuracy).toBeNaN()
  })

  it('gives the examples of its functions', () =>
    scope(() => {
      const [scores, labels, positive] = [hot(2, 1, 1, 0), [1, 0, 0], { positive: 1 }] as const
      expect(precision(scores, labels, positive)).toBe(0.5)
      expect(recall(scores, labels, positive)).toBe(1)
      expect(f1(scores, labels, positive)).toBeCloseTo(2 / 3, 12)
    }))
})

describe('the first k classes', () => {
  it('hold the label, or not', () =>
    scope(() => {
      expect(topK(tensor([[1, 3, 2], [5, 0, 4]]), [2, 1], { k: 2 })).toBe(0.5) // prettier-ignore
      expect(topK(tensor([[1, 3, 2], [5, 0, 4]]), [2, 1], { k: 3 })).toBe(1) // prettier-ignore
      expect(topK(tensor([[1, 3, 2], [5, 0, 4]]), [9, 2], { k: 2, ignoreIndex: 9 })).toBe(1) // prettier-ignore
      expect(topK(tensor([[1, 1, NaN, 0, 0]]), [0])).toBe(0)
      expect(topK(tensor([[1, 1]]), [7], { k: 1, ignoreIndex: 7 })).toBeNaN()
    }))

  it('are by the rank of a sort, ties by the first, at every place', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 24, maxLength: 24 }), fc.integer({ min: 1, max: 4 }), (values, k) =>
        scope(() => {
          const scores = tensor(Float32Array.from(values), [2, 4, 3])
          const labels = [0, 1, 2, 3, 0, 1]
          const right = labels.filter((label, row) => {
            const at = (j: number): number => values[(row < 3 ? 0 : 12) + j * 3 + (row % 3)]!
            return [0, 1, 2, 3]
              .sort((a, b) => at(b) - at(a) || a - b)
              .slice(0, k)
              .includes(label)
          })
          expect(topK(scores, labels, { k })).toBeCloseTo(right.length / 6, 12)
          const first = argmax(scores).filter((guess, row) => guess === labels[row]).length / 6
          expect(topK(scores, labels, { k: 1 })).toBeCloseTo(first, 12)
        }),
      ),
      { numRuns: 50 },
    )
  })
})

it.each<[string, (x: Tensor) => unknown, RegExp]>([
  ['no label for each', (x) => f1(x, [0]), /^ConfusionMatrix: add: 2 predictions need as many labels, given 1$/],
  ['a label that is no class', (x) => recall(x, [0, 3]), /label 1 is 3; it must be a whole number from 0 to 2$/],
  ['a NaN label', (x) => precision(x, [NaN, 0]), /label 0 is NaN/],
  ['a half label', (x) => topK(x, [0.5, 0], { k: 1 }), /topK: label 0 is 0.5; it must be a whole number from 0 to 2$/],
  [
    'other ignored labels',
    (x) => f1(x, [0, 5], { ignoreIndex: 4 }),
    /label 1 is 5; .* from 0 to 2, or 4 to be ignored$/,
  ],
  ['distributions', (x) => f1(x, [[1, 0, 0], [0, 1, 0]] as never), /has a distribution for each example; give one label/], // prettier-ignore
  ['distributions of topK', (x) => topK(x, x, { k: 1 }), /^topK: the target has a distribution/],
  ['k of 0', (x) => topK(x, [0, 1], { k: 0 }), /^topK: k must be a whole number from 1 to 3, given 0$/],
  ['k above the classes', (x) => topK(x, [0, 1]), /^topK: k must be a whole number from 1 to 3, given 5$/],
  ['no scores', () => topK(tensor([1, 2]), [0, 1]), /^topK: the output must be \(N, classes\)/],
  ['labels as predictions', () => confusionMatrix([0, 1], [0, 1]), /give classes$/],
  ['a prediction that is no class', () => confusionMatrix([0, 4], [0, 1], { classes: 2 }), /prediction 1 is 4/],
  ['other scores', (x) => new ConfusionMatrix({ classes: 2 }).add(x, [0, 1]), /2 classes need an output \(N, 2\)/],
  ['no classes', () => new ConfusionMatrix({ classes: 0 }), /^ConfusionMatrix: classes must be a whole number from 1/],
  ['too many classes', () => new ConfusionMatrix({ classes: 5000 }), /from 1 to 4096, given 5000$/],
  ['no options', () => new ConfusionMatrix(undefined as never), /the options are missing/],
  [
    'another average',
    (x) => f1(x, [0, 1], { average: 'mean' as never }),
    /average must be 'macro', 'micro' or 'weighted'/,
  ],
  ['both ways', (x) => f1(x, [0, 1], { average: 'micro', positive: 1 }), /give one of them$/],
  ['positive that is no class', (x) => f1(x, [0, 1], { positive: 3 }), /positive must be a whole number from 0 to 2/],
  ['an unknown option', (x) => f1(x, [0, 1], { averages: 'micro' } as never), /did you mean 'average'\?/],
  [
    'a surplus argument',
    (x) => (f1 as (...all: unknown[]) => unknown)(x, [0, 1], {}, 1),
    /^f1: there is no argument 4/,
  ],
])('%s is refused', (_, call, message) => {
  const before = memoryUsage().liveBytes
  scope(() => {
    const x = hot(3, 0, 1)
    expect(() => call(x)).toThrow(message)
  })
  expect(memoryUsage().liveBytes).toBe(before)
})
