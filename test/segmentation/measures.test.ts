/** Pixel accuracy and intersection over union against their definitions, and label maps that are none. */
import { beforeAll, describe, expect, it } from 'vitest'
import { meanIoU, pixelAccuracy, PixelConfusion } from '../../src/segmentation/index.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { ArgumentError, ShapeError } from '../../src/runtime/errors.js'
import { tensor, uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { accuracy, argmax } from '../../src/train/metrics.js'

beforeAll(() => init())

const [N, K, H, W] = [3, 4, 5, 6]
const size = N * H * W
const labelsOf = (seed: number, classes = K): number[] =>
  scope(() => Array.from(uniform([size], { seed }).data(), (value) => Math.floor(value * classes)))

/** By the definition, from sets of pixels. */
function byDefinition(predicted: ArrayLike<number>, labels: readonly number[], ignored?: number) {
  const pixels = labels.flatMap((label, i) => (label === ignored ? [] : [i]))
  const iou = Array.from({ length: K }, (_, k) => {
    const wanted = new Set(pixels.filter((i) => labels[i] === k))
    const found = new Set(pixels.filter((i) => predicted[i] === k))
    const both = [...wanted].filter((i) => found.has(i)).length
    return both / new Set([...wanted, ...found]).size
  })
  const there = iou.filter((value) => !Number.isNaN(value))
  return {
    iou,
    meanIoU: there.reduce((sum, value) => sum + value, 0) / there.length,
    pixelAccuracy: pixels.filter((i) => predicted[i] === labels[i]).length / pixels.length,
  }
}

describe('measures of label maps', () => {
  const scores = (): Tensor => uniform([N, K, H, W], { seed: 3 })

  it.each([undefined, 2, 255])('are what their definitions say, with ignoreIndex %s', (ignoreIndex) => {
    scope(() => {
      const x = scores()
      const labels = labelsOf(4).map((label, i) => (ignoreIndex === 255 && i % 7 === 0 ? 255 : label))
      const options = ignoreIndex === undefined ? {} : { ignoreIndex }
      const expected = byDefinition(argmax(x), labels, ignoreIndex)
      expect(pixelAccuracy(x, labels, options)).toBeCloseTo(expected.pixelAccuracy, 12)
      expect(pixelAccuracy(x, labels, options)).toBe(accuracy(x, labels, options))
      expect(meanIoU(x, labels, options)).toBeCloseTo(expected.meanIoU, 12)
      const confusion = new PixelConfusion({ classes: K, ...options })
      // Picture by picture, or of all together: the counts are the same.
      const plane = H * W
      for (let n = 0; n < N; n++) {
        const part = tensor(x.data().subarray(n * K * plane, (n + 1) * K * plane), [1, K, H, W])
        confusion.add(part, labels.slice(n * plane, (n + 1) * plane))
      }
      confusion.iou.forEach((value, k) => expect(value).toBeCloseTo(expected.iou[k]!, 12))
      expect(confusion.counts.reduce((sum, count) => sum + count)).toBe(labels.filter((l) => l !== ignoreIndex).length)
    })
  })

  it('leave classes out that do not occur, and count what is NaN as wrong', () => {
    scope(() => {
      const labels = new Array<number>(4).fill(1)
      const confusion = new PixelConfusion({ classes: 3 })
      confusion.add(tensor([0, 0, 0, 0, 1, 1, NaN, 1, 0, 0, 0, 2], [1, 3, 2, 2]), labels)
      expect(confusion.pixelAccuracy).toBe(0.5)
      expect(confusion.iou).toEqual([NaN, 0.5, 0])
      expect(confusion.meanIoU).toBe(0.25)
      expect([...confusion.unknown]).toEqual([0, 1, 0])
      expect(new PixelConfusion({ classes: 2 }).meanIoU).toBeNaN()
    })
  })

  it('take maps that were predicted in place of scores', () => {
    const [predicted, labels] = [labelsOf(5), labelsOf(6)]
    const confusion = new PixelConfusion({ classes: K })
    confusion.add(Uint8Array.from(predicted), labels)
    expect(confusion.meanIoU).toBeCloseTo(byDefinition(predicted, labels).meanIoU, 12)
    expect(() => {
      confusion.add([4], [0])
    }).toThrow(
      'PixelConfusion: add: what was predicted: label 0 of the map is 4; a label must be a whole number from 0 to 3',
    )
  })

  it('refuse label maps of another size, and labels that are no class, in one line', () => {
    const x = scores()
    const before = memoryUsage().liveBytes
    const labels = labelsOf(4)
    const one = (at: number, label: number): number[] => labels.map((own, i) => (i === at ? label : own))
    for (const [name, measure] of [
      ['pixelAccuracy', pixelAccuracy],
      ['meanIoU', meanIoU],
    ] as const) {
      expect(() => measure(x, labels.slice(1))).toThrow(ShapeError)
      expect(() => measure(x, labels.slice(1))).toThrow(`${name}: the label map must be (3, 5, 6), 90 labels, given 89`)
      expect(() => scope(() => measure(x, tensor(labels, [3, 6, 5])))).toThrow(
        `${name}: the label map must be (3, 5, 6), 90 labels, given (3, 6, 5)`,
      )
      expect(() => measure(x, one(7, 4))).toThrow(ArgumentError)
      expect(() => measure(x, one(7, 4))).toThrow(
        `${name}: label 7 of the map is 4; a label must be a whole number from 0 to 3`,
      )
      expect(() => measure(x, one(0, -1), { ignoreIndex: 255 })).toThrow(/from 0 to 3, or 255 to be ignored$/)
      expect(() => measure(x, one(0, 1.5))).toThrow(/label 0 of the map is 1.5/)
      expect(() => scope(() => measure(uniform([2, 3]), [0, 1]))).toThrow(
        `${name}: scores must be (N, K, H, W), given (2, 3)`,
      )
    }
    const confusion = new PixelConfusion({ classes: 5 })
    expect(() => {
      confusion.add(x, labels)
    }).toThrow('5 classes need scores (N, 5, H, W), given (3, 4, 5, 6)')
    expect(confusion.counts.every((count) => count === 0)).toBe(true)
    expect(memoryUsage().liveBytes).toBe(before)
    x.dispose()
  })
})

it('takes guesses as a list beside labels as a Tensor', () => {
  const confusion = new PixelConfusion({ classes: 2 })
  const labels = tensor([0, 1, 1, 0], [1, 2, 2])
  confusion.add([0, 1, 0, 0], labels)
  expect(confusion.pixelAccuracy).toBe(0.75)
  expect(() => {
    confusion.add([0, 1, 0], labels)
  }).toThrow(/must be \(1, 2, 2\), 4 labels, given 3/)
  labels.dispose()
})
