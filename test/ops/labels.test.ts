/** Every form in which labels are given. */
import { beforeAll, describe, expect, it } from 'vitest'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { rbfLoss } from '../../src/nn/rbf.js'
import { crossEntropy, hingeLoss } from '../../src/ops/loss.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { scope } from '../../src/tensor/tensor.js'
import { accuracy, labelNumbers } from '../../src/train/metrics.js'

beforeAll(() => init())

const rows = [
  [0, 0, 1],
  [1, 0, 0],
]
const forms = () =>
  ({
    Int32Array: Int32Array.of(2, 0),
    Uint8Array: Uint8Array.of(2, 0),
    BigInt64Array: BigInt64Array.of(2n, 0n),
    BigUint64Array: BigUint64Array.of(2n, 0n),
    'a list of bigints': [2n, 0n],
    'a tensor': tensor([2, 0]),
    'one-hot rows': rows,
    'a one-hot tensor': tensor(rows),
  }) as const

describe.each(Object.entries({ crossEntropy, hingeLoss, rbfLoss, accuracy }))('%s', (_, measure) => {
  it.each([
    'Int32Array',
    'Uint8Array',
    'BigInt64Array',
    'BigUint64Array',
    'a list of bigints',
    'a tensor',
    'one-hot rows',
    'a one-hot tensor',
  ] as const)('takes labels as %s', (form) => {
    scope(() => {
      const scores = normal([2, 3], { seed: 4 })
      const valueOf = (target: never): number => {
        const value = measure(scores, target)
        return typeof value === 'number' ? value : value.item()
      }
      const given = forms()[form]
      expect(valueOf(given as never)).toBeCloseTo(valueOf([2, 0] as never), 6)
    })
    expect(memoryUsage().liveBytes).toBe(0)
  })
})

it('hingeLoss takes one-hot maps, and no other distributions', () => {
  scope(() => {
    const scores = normal([2, 3, 2], { seed: 4 })
    const maps = tensor([0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1], [2, 3, 2])
    expect(hingeLoss(scores, maps).item()).toBe(hingeLoss(scores, [1, 0, 2, 2]).item())
    const message = /^hingeLoss: target must be labels \(2\) or one-hot rows \(2, 3\), given others$/
    for (const wrong of [
      [0.5, 0.5, 0],
      [0, 0, 0],
      [1, 0, 1],
      [2, 0, 0],
    ]) {
      expect(() => hingeLoss(normal([2, 3]), [[0, 0, 1], wrong])).toThrow(message)
    }
  })
})

it('labels are numbers, whatever they were', () => {
  expect([...(labelNumbers(BigInt64Array.of(3n, 1n)) as number[])]).toEqual([3, 1])
  expect(() => labelNumbers(3 as never)).toThrow(/^the labels must be a list of whole numbers or a Tensor, given 3$/)
  expect(() => crossEntropy(normal([1, 3]), BigInt64Array.of(7n))).toThrow(/row 0 has the label 7; with 3 classes/)
})
