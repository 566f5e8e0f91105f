import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { grad, vjp } from '../../src/autodiff/vjp.js'
import { max, mean, min, square, sum, type Axes, type ReduceOptions } from '../../src/ops/index.js'
import { sumChannels, sumRows, sumTo } from '../../src/ops/reduce.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { numbers } from '../helpers/linear.js'
import { at, difference, indices, size } from '../helpers/reference.js'

beforeAll(() => init())

type Reduce = (x: Tensor, axis?: Axes, options?: ReduceOptions) => Tensor

interface Definition {
  readonly name: string
  readonly op: Reduce
  /** Value and weights of the elements in the gradient, from the elements in order. */
  readonly value: (elements: number[]) => number
  readonly weights: (elements: number[]) => number[]
}

const total = (elements: number[]): number => elements.reduce((left, right) => left + right, 0)
const firstOf = (elements: number[], wanted: number): number[] =>
  elements.map((_, i) => (i === elements.indexOf(wanted) ? 1 : 0))

const definitions: Definition[] = [
  { name: 'sum', op: sum, value: total, weights: (elements) => elements.map(() => 1) },
  {
    name: 'mean',
    op: mean,
    value: (elements) => total(elements) / elements.length,
    weights: (elements) => elements.map(() => 1 / elements.length),
  },
  {
    name: 'max',
    op: max,
    value: (elements) => Math.max(...elements),
    weights: (elements) => firstOf(elements, Math.max(...elements)),
  },
  {
    name: 'min',
    op: min,
    value: (elements) => Math.min(...elements),
    weights: (elements) => firstOf(elements, Math.min(...elements)),
  },
]

const cases = fc
  .array(fc.tuple(fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 17, 26), fc.boolean()), { maxLength: 4 })
  .chain((axes) =>
    fc.record({
      shape: fc.constant(axes.map(([extent]) => extent)),
      axes: fc.shuffledSubarray(axes.flatMap(([, reduced], axis) => (reduced ? [axis] : []))),
      keepDims: fc.boolean(),
      negative: fc.boolean(),
      integers: fc.boolean(),
      seed: fc.integer({ min: 1, max: 1e6 }),
    }),
  )
  .filter(({ shape }) => size(shape) <= 20_000)

describe.each(definitions)('$name', ({ name, op, value, weights }) => {
  const check = (
    shape: readonly number[],
    axes: readonly number[],
    keepDims: boolean,
    seed: number,
    integers: boolean,
    axis: Axes | undefined = axes,
  ): void => {
    const xs = numbers(size(shape), seed, integers)
    const kept = shape.map((extent, index) => (axes.includes(index) ? 1 : extent))
    const groups = Array.from({ length: size(kept) }, () => [] as number[])
    let i = 0
    for (const index of indices(shape)) {
      groups[
        at(
          kept,
          index.map((position, along) => (axes.includes(along) ? 0 : position)),
        )
      ]!.push(i++)
    }
    const dys = numbers(groups.length, seed + 1, integers)
    const y = new Float64Array(groups.length)
    const dx = new Float64Array(xs.length)
    groups.forEach((members, group) => {
      const elements = members.map((member) => xs[member]!)
      y[group] = value(elements)
      weights(elements).forEach((weight, k) => (dx[members[k]!] = weight * dys[group]!))
    })
    scope(() => {
      const shown = keepDims ? kept : shape.filter((_, index) => !axes.includes(index))
      const { value: result, pullback, dispose } = vjp((x) => op(x, axis, { keepDims }), tensor(xs, shape))
      expect(result.shape).toEqual(shown)
      expect(result.data()).toEqual(Float32Array.from(y))
      const gradient = pullback(tensor(dys, shown))[0]!
      expect(gradient.shape).toEqual(shape)
      const { error } = difference(gradient.data(), dx)
      expect(error).toBeLessThanOrEqual(name === 'mean' ? 1e-6 : 0)
      dispose()
    })
  }

  it('agrees with float64 over any axes, with its gradient', () => {
    fc.assert(
      fc.property(cases, ({ shape, axes, keepDims, negative, integers, seed }) => {
        const given = negative ? axes.map((axis) => axis - shape.length) : axes
        check(shape, axes, keepDims, seed, integers || name === 'sum' || name === 'mean', given)
      }),
      { numRuns: 150 },
    )
  })

  it('reaches every remainder of rows and columns', () => {
    for (let n = 1; n <= 40; n++) {
      check([n], [0], false, n, true)
      check([3, n], [1], true, n, true)
      check([3, n], [0], false, n, true)
      check([2, n, 3], [0, 2], false, n, true)
      check([n, 2, n], [1], false, n, true)
    }
  })

  it('takes one axis, several, or all when left out', () => {
    check([3, 4, 5], [1], false, 1, true, 1)
    check([3, 4, 5], [2], false, 2, true, -1)
    check([3, 4, 5], [0, 1, 2], false, 3, true, undefined)
    scope(() => {
      expect(op(uniform([3, 4])).shape).toEqual([])
      expect(op(uniform([3, 4]), undefined, { keepDims: true }).shape).toEqual([1, 1])
      expect(op(uniform([3, 4]), []).shape).toEqual([3, 4])
      expect(op(tensor(5)).item()).toBe(5)
    })
  })

  it('can be differentiated twice', () => {
    scope(() => {
      const x = uniform([2, 3, 4], { low: 1, high: 2, seed: 4 })
      const gradient = (t: Tensor): Tensor => grad((u) => sum(square(op(u, [0, 2]))))(t)[0]!
      expect(gradcheck((t) => gradient(t), [x], { step: 1e-3 }).errors[0]).toBeLessThan(5e-3)
    })
  })

  it('gives NaN for NaN', () => {
    scope(() => {
      const y = op(
        tensor([
          [1, NaN, 3, 4, 5],
          [1, 2, 3, 4, 5],
        ]),
        1,
      ).data()
      expect([...y].map(Number.isNaN)).toEqual([true, false])
      expect([
        ...op(
          tensor([
            [NaN, 1],
            [2, NaN],
          ]),
          0,
        ).data(),
      ]).toEqual([NaN, NaN])
    })
  })

  it.each<[string, (x: Tensor) => unknown, RegExp]>([
    ['axis', (x) => op(x, 3), /axis 3 does not exist in 3 dimensions; use -3 to 2/],
    ['fraction of an axis', (x) => op(x, 0.5), /axis 0.5 does not exist/],
    ['axis that comes twice', (x) => op(x, [1, -2]), /names an axis twice/],
    ['kind of axis', (x) => op(x, 'all' as never), /axis must be a whole number or an array of them, given 'all'/],
    ['keepDims', (x) => op(x, 0, { keepDims: 1 as never }), /keepDims must be true or false, given 1/],
  ])('refuses a wrong %s and allocates nothing', (_, call, message) => {
    scope(() => {
      const x = zeros([2, 3, 4])
      const before = memoryUsage().liveBytes
      expect(() => call(x)).toThrow(ShapeError)
      expect(() => call(x)).toThrow(new RegExp(`^${name}: `))
      expect(() => call(x)).toThrow(message)
      expect(() => op([1] as never)).toThrow(/x must be a Tensor/)
      expect(memoryUsage().liveBytes).toBe(before)
    })
  })
})

describe('reductions', () => {
  it('add in float64, whatever the order of magnitude', () => {
    scope(() => {
      const small = new Float32Array(100_001).fill(0.1)
      small[0] = 1e7
      expect(sum(tensor(small)).item()).toBe(Math.fround(1e7 + 100_000 * Math.fround(0.1)))
      const columns = new Float32Array(8 * 100_001).fill(0.1)
      columns.fill(1e7, 0, 8)
      expect(sum(tensor(columns, [100_001, 8]), 0).data()).toEqual(
        new Float32Array(8).fill(1e7 + 100_000 * Math.fround(0.1)),
      )
      expect(mean(tensor([3e38, 3e38, -3e38])).item()).toBe(Math.fround(1e38))
    })
  })

  it('send the gradient to the first of equals', () => {
    scope(() => {
      const x = tensor([
        [1, 3, 3],
        [3, 0, 0],
      ])
      expect([...grad((t) => max(t))(x)[0]!.data()]).toEqual([0, 1, 0, 0, 0, 0])
      expect([...grad((t) => sum(min(t, 1)))(x)[0]!.data()]).toEqual([1, 0, 0, 0, 1, 0])
      expect([...grad((t) => sum(max(t, 0)))(x)[0]!.data()]).toEqual([0, 1, 1, 1, 0, 0])
    })
  })

  it('find infinities', () => {
    scope(() => {
      expect(max(tensor([-Infinity, -Infinity])).item()).toBe(-Infinity)
      expect(min(tensor([Infinity, 5, -Infinity])).item()).toBe(-Infinity)
      expect(sum(tensor([Infinity, -Infinity])).item()).toBe(NaN)
    })
  })

  it('serve the gradients of biases and of broadcasting', () => {
    scope(() => {
      const x = tensor(
        Float32Array.from({ length: 24 }, (_, i) => i),
        [2, 3, 4],
      )
      expect([...sumChannels(x).data()]).toEqual([60, 92, 124])
      expect(sumRows(x).shape).toEqual([3, 4])
      expect([...sumTo(x, [3, 1]).data()]).toEqual([60, 92, 124])
      expect(sumTo(x, [2, 3, 4]).data()).toEqual(x.data())
      expect(sumTo(x, []).item()).toBe(276)
      expect(sumTo(ones([1, 1, 3]), [1, 3]).shape).toEqual([1, 3])
    })
  })

  it('leave no memory behind', () => {
    const before = memoryUsage()
    scope(() => {
      const x = uniform([5, 6])
      for (const op of [sum, mean, max, min]) grad((t) => sum(op(t, 1)))(x)
    })
    expect(memoryUsage()).toMatchObject({ liveBytes: before.liveBytes, blocks: before.blocks })
  })
})
