/** Measures of outputs for rows and for pixels, beside the definition told example by example. */
import { beforeAll, describe, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { full, normal, tensor, uniform } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { accuracy, argmax } from '../../src/train/index.js'

beforeAll(() => init())

const shapes = [
  [1, 1],
  [5, 3],
  [2, 4, 1],
  [3, 2, 7],
  [2, 5, 3, 4],
  [1, 3, 1, 1],
  [2, 3, 2, 2, 3],
] satisfies number[][]

/** The first of the largest scores over axis 1 at each place. */
function classes(values: ArrayLike<number>, [N, K, ...places]: readonly number[]): number[] {
  const P = places.reduce((product, extent) => product * extent, 1)
  const found: number[] = []
  for (let n = 0; n < N!; n++) {
    for (let p = 0; p < P; p++) {
      const scores = Array.from({ length: K! }, (_, k) => values[(n * K! + k) * P + p]!)
      found.push(scores.some(Number.isNaN) ? -1 : scores.indexOf(Math.max(...scores)))
    }
  }
  return found
}

describe('argmax and accuracy', () => {
  it.each(shapes)('are those of the definition for (%i, %i, …)', (...shape: number[]) => {
    scope(() => {
      const scores = normal(shape, { seed: shape.length })
      const labels = classes(scores.data(), shape)
      expect([...argmax(scores)]).toEqual(labels)
      expect(accuracy(scores, labels)).toBe(1)
      // Every second label is another class, which is there from two classes on.
      const others = labels.map((label, n) => (n % 2 === 0 ? (label + 1) % shape[1]! : label))
      const wrong = shape[1] === 1 ? 0 : Math.ceil(labels.length / 2)
      expect(accuracy(scores, others)).toBeCloseTo(1 - wrong / labels.length, 12)
      expect(accuracy(scores, Int32Array.from(others))).toBe(accuracy(scores, others))
      // The same labels as distributions of the output's shape.
      expect(accuracy(scores, scores)).toBe(1)
    })
  })

  it('take the first of equal scores, and −1 where one is NaN, at each pixel', () => {
    scope(() => {
      expect([...argmax(full([1, 3, 2, 2], 7))]).toEqual([0, 0, 0, 0])
      const scores = tensor([1, NaN, 3, 0, 2, 5], [1, 2, 3])
      expect([...argmax(scores)]).toEqual([0, -1, 1])
      expect(accuracy(scores, [0, 1, 1])).toBeCloseTo(2 / 3, 12)
    })
  })
})

describe('accuracy with ignoreIndex', () => {
  it('is the share of the labels that are left, of rows and of pixels', () => {
    scope(() => {
      const rows = tensor([[2, 1], [0, 1], [3, 1], [0, 4]]) // prettier-ignore
      expect(accuracy(rows, [0, 1, 1, 255], { ignoreIndex: 255 })).toBeCloseTo(2 / 3, 12)
      expect(accuracy(rows, [-1, -1, -1, 1], { ignoreIndex: -1 })).toBe(1)
      for (const label of [255, -1, 2])
        expect(() => accuracy(rows, [0, 1, 1, label])).toThrow(
          new RegExp(`^accuracy: label 3 is ${label}; with 2 classes it is from 0 to 1$`),
        )
      expect(accuracy(rows, [9, 9, 9, 9], { ignoreIndex: 9 })).toBeNaN()
      const shape = [2, 3, 4, 5]
      const pixels = uniform(shape, { seed: 4 })
      const found = classes(pixels.data(), shape)
      const labels = found.map((label, n) => (n % 3 === 0 ? 255 : n % 3 === 1 ? label : (label + 1) % 3))
      const left = labels.filter((label) => label !== 255)
      const right = labels.filter((label, n) => label === found[n])
      expect(accuracy(pixels, labels, { ignoreIndex: 255 })).toBeCloseTo(right.length / left.length, 12)
      expect(accuracy(pixels, tensor(labels, [2, 4, 5]), { ignoreIndex: 255 })).toBeCloseTo(right.length / left.length, 12) // prettier-ignore
    })
  })
})
