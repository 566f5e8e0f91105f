import { beforeAll, describe, expect, it } from 'vitest'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { fromImageData, fromNHWC, full, normal, ones, tensor, toNHWC, uniform, zeros } from '../../src/tensor/create.js'
import { dropout } from '../../src/ops/dropout.js'
import { square } from '../../src/ops/elementwise.js'
import { scope, Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

const live = (): number => memoryUsage().liveBytes

describe('tensors', () => {
  it('are made of nested and flat arrays', () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ])
    expect(x.shape).toEqual([2, 3])
    expect([x.size, x.ndim]).toEqual([6, 2])
    expect([...x.data()]).toEqual([1, 2, 3, 4, 5, 6])
    expect(tensor(new Float64Array(6), [3, 2]).shape).toEqual([3, 2])
    expect(tensor([1, 2, 3, 4], [2, 2]).shape).toEqual([2, 2])
    expect(tensor(7).shape).toEqual([])
    expect(String(tensor([1, 2]))).toBe('Tensor (2) float32 [1, 2]')
  })

  it.each<[string, () => unknown, RegExp]>([
    ['ragged', () => tensor([[1, 2], [3]]), /ragged nested array at depth 1: expected 2 entries, found 1/],
    ['too short', () => tensor([1, 2, 3], [2, 2]), /3 values do not fill shape \(2, 2\) \(4 elements\)/],
    ['negative', () => zeros([2, -1]), /extent -1; extents are whole numbers from 0 on/],
    ['fractional', () => ones([1.5]), /extent 1.5/],
    ['of 65 axes', () => ones(new Array<number>(65).fill(1)), /65 extents; a tensor has at most 64 axes/],
    ['not a shape', () => zeros(3 as never), /a shape is an array of whole numbers, not 3/],
    ['seed', () => uniform([1], { seed: -1 }), /a seed is a whole number from 0 to 4294967295, not -1/],
    ['item', () => zeros([2]).item(), /item: a tensor of shape \(2\) has 2 elements, not 1/],
    ['reshape', () => zeros([2, 3]).reshape([4, 2]), /reshape: \(2, 3\) has 6 elements, which do not fit \(4, 2\)/],
    ['reshape with two rests', () => zeros([2, 3]).reshape([-1, -1]), /one extent can be -1, given \(-1, -1\)/],
    ['reshape with a rest', () => zeros([2, 3]).reshape([4, -1]), /do not fit \(4, -1\)/],
  ])('refuse what is %s', (_, call, message) => {
    scope(() => {
      expect(call).toThrow(ShapeError)
      expect(call).toThrow(message)
    })
  })

  it('share memory when reshaped, until both are disposed', () => {
    const before = live()
    const x = tensor([1, 2, 3, 4])
    const y = x.reshape([2, -1])
    expect(y.shape).toEqual([2, 2])
    x.dispose()
    expect([...y.data()]).toEqual([1, 2, 3, 4])
    expect(live()).toBeGreaterThan(before)
    y.dispose()
    y.dispose()
    expect(live()).toBe(before)
  })

  it('refuse to be read after they were disposed', () => {
    const x = zeros([2, 3])
    x.dispose()
    expect(() => x.data()).toThrow(DisposedError)
    expect(() => x.reshape([6])).toThrow(/shape \(2, 3\) was used after it was disposed/)
  })

  it('convert between channel orders', () => {
    const values = Float32Array.from({ length: 24 }, (_, i) => i)
    const x = fromNHWC(values, [1, 2, 4, 3])
    expect(x.shape).toEqual([1, 3, 2, 4])
    expect([...x.data().subarray(0, 3)]).toEqual([0, 3, 6])
    expect(toNHWC(x)).toEqual(values)
    const picture = fromImageData({ data: [255, 0, 51, 255], width: 1, height: 1 })
    expect([...picture.data()].map((value) => value.toFixed(2))).toEqual(['1.00', '0.00', '0.20'])
  })
})

describe('random numbers', () => {
  it('are the known Philox sequence', () => {
    // Salmon et al.'s test vector for counter 0 and key 0 begins 6627e8d5; uniform keeps the upper 24 bits.
    expect(uniform([1]).item()).toBe(0x6627e8 / 2 ** 24)
  })

  it('depend on seed, stream and position alone', () => {
    const x = uniform([100], { seed: 5, stream: 2 }).data()
    expect(uniform([7], { seed: 5, stream: 2 }).data()).toEqual(x.subarray(0, 7))
    expect(uniform([100], { seed: 5, stream: 3 }).data()).not.toEqual(x)
    expect(uniform([100], { seed: 6, stream: 2 }).data()).not.toEqual(x)
  })

  it('have the moments they should', () => {
    const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length
    const u = uniform([100_000], { low: -1, high: 3, seed: 1 }).data()
    expect(Math.min(...u.subarray(0, 50_000))).toBeGreaterThanOrEqual(-1)
    expect(Math.max(...u.subarray(0, 50_000))).toBeLessThan(3)
    expect(mean(u)).toBeCloseTo(1, 1)
    const n = normal([100_001], { mean: 2, std: 3, seed: 1 }).data()
    expect(Math.abs(mean(n) - 2)).toBeLessThan(0.04)
    expect(Math.abs(Math.sqrt(mean(n.map((value) => (value - 2) ** 2))) - 3)).toBeLessThan(0.04)
    expect(Math.abs(mean(n.map((value) => ((value - 2) / 3) ** 4)) - 3)).toBeLessThan(0.1)
  })
})

describe('scope', () => {
  it('disposes what was made in it, except what it returns', () => {
    const before = live()
    const { kept } = scope(() => {
      zeros([1000])
      scope(() => full([10], 2))
      return { kept: ones([3]) }
    })
    expect([...kept.data()]).toEqual([1, 1, 1])
    expect(memoryUsage().liveBytes).toBe(before + 64)
    kept.dispose()
    expect(live()).toBe(before)
  })

  it('hands what an inner scope returns to the outer one', () => {
    const before = live()
    scope(() => scope(() => [zeros([3]), zeros([4])]))
    expect(live()).toBeGreaterThan(before)
    const outer = live()
    scope(() => {
      scope(() => [zeros([3]), zeros([4])])
    })
    expect(live()).toBe(outer)
  })

  it('disposes after an error too', () => {
    const before = live()
    expect(() =>
      scope(() => {
        zeros([5])
        throw new Error('x')
      }),
    ).toThrow('x')
    expect(live()).toBe(before)
  })

  it('refuses asynchronous functions', () => {
    expect(() => scope(async () => Promise.resolve(1))).toThrow(/asynchronous/)
  })
})

describe('what passes for a tensor', () => {
  it('is a tensor itself, of the shape that it was made with', () => {
    const x = ones([4])
    expect(() => {
      ;(x as { shape: readonly number[] }).shape = [40]
    }).toThrow(TypeError)
    expect(x.shape).toEqual([4])
    for (const other of [new Proxy(x, {}), Object.create(x) as Tensor]) {
      expect(other instanceof Tensor).toBe(false)
      expect(() => square(other)).toThrow('square: x must be a Tensor')
    }
    expect(() => new Tensor({ pointer: 0 } as never, [1_000_000], 'float32')).toThrow('make one with tensor(), zeros()')
    expect(() => dropout(x, 0.5 as never)).toThrow('dropout: the options must be an object')
    x.dispose()
  })
})
