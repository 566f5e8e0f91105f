import { describe, expect, it } from 'vitest'
import {
  add,
  conv1d,
  conv2d,
  conv3d,
  gradcheck,
  init,
  memoryUsage,
  separableConv2d,
  tensor,
  uniform,
  type Tensor,
} from '../../src/index.js'
import { separableConv, separableTerms } from '../../src/features/index.js'

await init()

const at = (list: ArrayLike<number>, i: number): number => list[i] as number

/** The outer product of one vector for each direction, for each of C channels. */
function outer(vectors: readonly Tensor[], C: number): Tensor {
  const taps = vectors.map(({ shape }) => shape.at(-1)!)
  const size = taps.reduce((product, extent) => product * extent, 1)
  const values = Float32Array.from({ length: C * size }, (_, i) => {
    const channel = Math.floor(i / size)
    let rest = i % size
    let product = 1
    for (let axis = taps.length - 1; axis >= 0; axis--) {
      const offset = vectors[axis]!.ndim === 2 ? channel * taps[axis]! : 0
      product *= at(vectors[axis]!.data(), offset + (rest % taps[axis]!))
      rest = Math.floor(rest / taps[axis]!)
    }
    return product
  })
  return tensor(values, [C, 1, ...taps])
}

const largestDifference = (a: Tensor, b: Tensor): number => {
  expect(a.shape).toEqual(b.shape)
  const [left, right] = [a.data(), b.data()]
  return left.reduce((most, value, i) => Math.max(most, Math.abs(value - at(right, i))), 0)
}

describe('separableConv', () => {
  it.each([
    [1, [2, 3, 9], 'same'],
    [1, [1, 1, 6], 'full'],
    [2, [2, 3, 7, 8], 'valid'],
    [2, [1, 4, 5, 6], 'same'],
    [3, [2, 2, 6, 5, 7], 'valid'],
    [3, [1, 3, 5, 4, 6], 'full'],
    [3, [1, 1, 9, 9, 9], 'same'],
  ] as const)('in %i directions is the convolution by the outer product: %j, %s', (directions, shape, padding) => {
    const C = shape[1]
    const x = uniform([...shape], { seed: 1, low: -1 })
    for (const flip of [false, true])
      for (const isShared of [false, true]) {
        const vectors = Array.from({ length: directions }, (_, axis) =>
          uniform(isShared ? [axis + 2] : [C, axis + 2], { seed: axis + 2, low: -1 }),
        )
        const convolve = [conv1d, conv2d, conv3d][directions - 1]!
        const bias = uniform([C], { seed: 9 })
        const right = convolve(x, outer(vectors, C), { groups: C, padding, flip, bias })
        expect(largestDifference(separableConv(x, vectors, { padding, flip, bias }), right)).toBeLessThan(1e-5)
      }
  })

  it('has gradients', () => {
    const x = uniform([1, 2, 3, 4, 3], { seed: 1, low: -1 })
    const vectors = [uniform([2, 2], { seed: 2 }), uniform([3], { seed: 3 }), uniform([2, 2], { seed: 4 })]
    const { ok } = gradcheck((x, a, b, c) => separableConv(x, [a, b, c], { padding: 'same' }), [x, ...vectors])
    expect(ok).toBe(true)
  })

  it('refuses what does not fit, and leaves nothing', () => {
    const x = uniform([1, 2, 5, 5])
    const v = tensor([1, 2, 1])
    const { liveBytes } = memoryUsage()
    expect(() => separableConv(x, [v])).toThrow(
      'separableConv: x (1, 2, 5, 5) has 2 directions; give a vector for each, given 1',
    )
    expect(() => separableConv(x, [v, x])).toThrow(
      'separableConv: vector 1 must be (taps) or (2, taps), given (1, 2, 5, 5)',
    )
    expect(() => separableConv(v, [v])).toThrow(/x must be \(N, C, W\)/)
    expect(() => separableConv(x, v as never)).toThrow(/the vectors must be a list of tensors/)
    expect(() => separableConv(x, [v, v], { stride: 2 } as never)).toThrow(/stride/)
    expect(memoryUsage().liveBytes).toBe(liveBytes)
  })
})

describe('separableTerms', () => {
  it('make up a kernel, the most important first', () => {
    const x = uniform([1, 2, 9, 9], { seed: 3 })
    const w = uniform([5, 3], { seed: 4, low: -1 })
    const whole = conv2d(x, tensor([...w.data(), ...w.data()], [2, 1, 5, 3]), { groups: 2 })
    const errors = [1, 2, 3].map((rank) => {
      const terms = separableTerms(w, { rank })
      expect(terms).toHaveLength(rank)
      const y = terms.map((term) => separableConv2d(x, term)).reduce((sum, part) => add(sum, part))
      return largestDifference(y, whole)
    })
    expect(errors[0]!).toBeGreaterThan(errors[1]!)
    expect(errors[1]!).toBeGreaterThan(0.01)
    expect(errors[2]!).toBeLessThan(1e-6)
  })

  it('are as few as keep to an error', () => {
    const w = tensor([[4, 0, 0], [0, 2, 0], [0, 0, 1]]) // prettier-ignore
    // ‖w‖² = 21: what is left is 5, 1 and 0 of it.
    expect(separableTerms(w, { error: 0.49 })).toHaveLength(1)
    expect(separableTerms(w, { error: 0.48 })).toHaveLength(2)
    expect(separableTerms(w, { error: 0 })).toHaveLength(3)
    const [{ column, row }] = separableTerms(w, { rank: 1 }) as [{ column: Tensor; row: Tensor }]
    expect([...column.data(), ...row.data()]).toEqual([2, 0, 0, 2, 0, 0])
  })

  it('are refused of what is no kernel, and of a rank that it does not have', () => {
    const w = tensor([[1, 2, 3], [4, 5, 6]]) // prettier-ignore
    expect(() => separableTerms(w, { rank: 3 })).toThrow(
      'separableTerms: rank must be a whole number from 1 to 2, given 3',
    )
    expect(() => separableTerms(w, {})).toThrow(/give a rank or an error/)
    expect(() => separableTerms(w, { error: 1 })).toThrow(/below 1/)
    expect(() => separableTerms(tensor([1, 2]), { rank: 1 })).toThrow(/w must be \(R, S\)/)
    expect(() => separableTerms(tensor([[Infinity]]), { rank: 1 })).toThrow(
      'separableTerms: the kernel must be finite numbers',
    )
  })
})
