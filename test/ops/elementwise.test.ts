import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { grad, vjp } from '../../src/autodiff/vjp.js'
import { abs, add, clamp, div, exp, mul, neg, pow, sqrt, square, sub, sum } from '../../src/ops/index.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectDerivatives, expectElementwise } from '../helpers/elementwise.js'
import { numbers } from '../helpers/linear.js'
import { at, difference, indices, size } from '../helpers/reference.js'
import { functions, operators, type Pointwise } from '../operations/index.js'

beforeAll(() => init())

/** Shapes that broadcast: each axis whole in both, or 1 in one of them; leading axes may be missing. */
const shapes = fc
  .record({
    axes: fc.array(
      fc.record({ extent: fc.integer({ min: 1, max: 11 }), kind: fc.constantFrom('both', 'both', 'a', 'b') }),
      { maxLength: 4 },
    ),
    missing: fc.nat(4),
    shorter: fc.constantFrom('a', 'b'),
    seed: fc.integer({ min: 1, max: 1e6 }),
  })
  .map(({ axes, missing, shorter, seed }) => {
    const side = (name: 'a' | 'b'): number[] => {
      const shape = axes.map(({ extent, kind }) => (kind === 'both' || kind === name ? extent : 1))
      return shorter === name ? shape.slice(Math.min(missing, shape.length)) : shape
    }
    const a = side('a')
    const b = side('b')
    const ndim = Math.max(a.length, b.length)
    const extent = (shape: number[], axis: number): number => shape[axis - ndim + shape.length] ?? 1
    const y = Array.from({ length: ndim }, (_, axis) => Math.max(extent(a, axis), extent(b, axis)))
    return { a, b, y, seed }
  })

/** Position in an operand of an index of the output. */
const under = (shape: readonly number[], index: readonly number[]): number =>
  at(
    shape,
    shape.map((extent, axis) => (extent === 1 ? 0 : index[axis + index.length - shape.length]!)),
  )

describe.each(Object.entries(operators))('%s', (_, { op, value, da, db }) => {
  const check = (a: number[], b: number[], y: number[], seed: number): void => {
    const as = numbers(size(a), seed, false)
    const bs = numbers(size(b), seed + 1, false).map((element) => element + Math.sign(element) * 0.25)
    const dys = numbers(size(y), seed + 2, false)
    const expected = new Float32Array(size(y))
    const das = new Float64Array(as.length)
    const dbs = new Float64Array(bs.length)
    /** What is added up for any one gradient, at most. */
    const terms = [new Float64Array(as.length), new Float64Array(bs.length)] as const
    let i = 0
    for (const index of indices(y)) {
      const left = under(a, index)
      const right = under(b, index)
      expected[i] = value(as[left]!, bs[right]!)
      const [toA, toB] = [dys[i]! * da(as[left]!, bs[right]!), dys[i]! * db(as[left]!, bs[right]!)]
      das[left]! += toA
      dbs[right]! += toB
      terms[0][left]! += Math.abs(toA)
      terms[1][right]! += Math.abs(toB)
      i++
    }
    scope(() => {
      const inputs = [tensor(as, a), tensor(bs, b)]
      const { value: result, pullback, dispose } = vjp((x, z) => op(x, z), ...inputs)
      expect(result.shape).toEqual(y)
      expect(result.data()).toEqual(expected)
      const gradients = pullback(tensor(dys, y))
      ;[das, dbs].forEach((reference, which) => {
        expect(gradients[which]!.shape).toEqual(inputs[which]!.shape)
        const { error, scale } = difference(gradients[which]!.data(), reference)
        expect(error).toBeLessThanOrEqual(1e-6 * scale + 1e-6 + 2 ** -24 * Math.max(...terms[which]!))
      })
      dispose()
    })
  }

  it('broadcasts as NumPy does, bit for bit, with both gradients', () => {
    fc.assert(
      fc.property(shapes, ({ a, b, y, seed }) => {
        check(a, b, y, seed)
      }),
      { numRuns: 150 },
    )
  })

  it('reaches every remainder of the loops', () => {
    for (let n = 1; n <= 40; n++) {
      check([n], [n], [n], n)
      check([3, n], [n], [3, n], n)
      check([2, n], [2, 1], [2, n], n)
      check([1], [n], [n], n)
    }
  })

  it('takes a number', () => {
    scope(() => {
      for (let n = 1; n <= 20; n++) {
        const x = numbers(n, n, false)
        const { value: y, pullback, dispose } = vjp((t) => op(t, 1.7), tensor(x))
        const number = Math.fround(1.7)
        expect(y.data()).toEqual(x.map((element) => value(element, number)))
        const { error } = difference(
          pullback(ones([n]))[0]!.data(),
          x.map((element) => da(element, number)),
        )
        expect(error).toBeLessThan(1e-6)
        dispose()
      }
    })
  })

  it('can be differentiated twice', () => {
    scope(() => {
      const a = uniform([3, 4], { low: 1, high: 2, seed: 1 })
      const b = uniform([4], { low: 1, high: 2, seed: 2 })
      const dy = uniform([3, 4], { low: -1, high: 1, seed: 3 })
      for (const which of [0, 1]) {
        const gradient = (x: Tensor, z: Tensor, w: Tensor): Tensor => vjp((p, q) => op(p, q), x, z).pullback(w)[which]!
        for (const error of gradcheck((x, z, w) => gradient(x, z, w), [a, b, dy]).errors) {
          expect(error).toBeLessThan(5e-3)
        }
      }
    })
  })

  it('refuses shapes that do not broadcast, strings and disposed tensors, and allocates nothing', () => {
    scope(() => {
      const a = zeros([2, 3])
      const b = zeros([2])
      const gone = zeros([2, 3])
      gone.dispose()
      const before = memoryUsage().liveBytes
      expect(() => op(a, b)).toThrow(ShapeError)
      expect(() => op(a, b)).toThrow(/shapes \(2, 3\) and \(2\) do not broadcast; extents must be equal or 1/)
      expect(() => op(a, '1' as never)).toThrow(/b must be a Tensor, not '1';/)
      expect(() => op(1 as never, a)).toThrow(/a must be a Tensor, not 1;/)
      expect(() => op(gone, a)).toThrow(DisposedError)
      expect(memoryUsage().liveBytes).toBe(before)
    })
  })
})

const tried = Object.entries(functions).flatMap(([name, row]) =>
  row.tried.map((options) => [name, options, row as unknown as Pointwise<unknown>] as const),
)

describe.each(tried)('%s %j', (_, options, row) => {
  it('agrees with float64 over every remainder, with its gradient', () => {
    expectElementwise(row, options)
  })

  it('can be differentiated twice', () => {
    expectDerivatives(row, options)
  })
})

describe('functions of one tensor', () => {
  it('keep NaN, and follow IEEE rules at the ends', () => {
    scope(() => {
      const x = tensor([NaN, Infinity, -Infinity, -0, 5])
      expect([...abs(x).data()]).toEqual([NaN, Infinity, Infinity, 0, 5])
      expect([...neg(x).data()]).toEqual([NaN, -Infinity, Infinity, 0, -5])
      expect([...square(x).data()]).toEqual([NaN, Infinity, Infinity, 0, 25])
      expect([...clamp(x, { min: -1, max: 1 }).data()]).toEqual([NaN, 1, -1, -0, 1])
      expect([...add(x, Infinity).data()]).toEqual([NaN, Infinity, NaN, Infinity, Infinity])
      expect([...div(x, 0).data()]).toEqual([NaN, Infinity, -Infinity, NaN, Infinity])
      expect([...grad((t) => sum(abs(t)))(tensor([2, 0, -0, -3]))[0]!.data()]).toEqual([1, 0, 0, -1])
    })
  })

  it('work on scalars', () => {
    scope(() => {
      expect(add(tensor(2), tensor(3)).shape).toEqual([])
      expect(mul(tensor(2), 4).item()).toBe(8)
      expect(exp(tensor(0)).item()).toBe(1)
      expect(div(tensor([[1, 2]]), tensor(2)).data()).toEqual(Float32Array.of(0.5, 1))
    })
  })

  it('refuse wrong options and allocate nothing', () => {
    scope(() => {
      const x = zeros([3])
      const before = memoryUsage().liveBytes
      expect(() => clamp(x, { min: 2, max: 1 })).toThrow(
        /clamp: min and max must be numbers, min not above max; given 2/,
      )
      expect(() => clamp(x, { min: NaN })).toThrow(ShapeError)
      expect(() => clamp(x, { max: 'a' as never })).toThrow(ShapeError)
      expect(() => pow(x, Infinity)).toThrow(/pow: the exponent must be a finite number, given Infinity/)
      expect(() => exp([1] as never)).toThrow(/exp: x must be a Tensor, not \[1\];/)
      expect(memoryUsage().liveBytes).toBe(before)
    })
  })

  it('free what no gradient needs', () => {
    scope(() => {
      const x = ones([1024])
      const added = (fn: (x: Tensor) => Tensor): number => {
        const before = memoryUsage().liveBytes
        const { value, dispose } = vjp((t) => fn(t), x)
        const after = memoryUsage().liveBytes
        dispose()
        value.dispose()
        return (after - before) / 4096
      }
      expect(added((t) => exp(mul(add(t, 1), 0.5)))).toBe(1)
      expect(added((t) => add(sub(neg(t), 1), t))).toBe(1)
      expect(added((t) => sqrt(div(t, 2)))).toBe(1)
    })
  })
})

describe('gradients of a tensor that is used more than once', () => {
  it('are summed', () => {
    scope(() => {
      const x = uniform([37], { low: -1, high: 1, seed: 5 })
      const xs = x.data()
      const cube = grad((t) => sum(mul(mul(t, t), t)))
      const { error } = difference(
        cube(x)[0]!.data(),
        xs.map((value) => 3 * value * value),
      )
      expect(error).toBeLessThan(1e-6)
      expect(grad((t) => sum(add(t, t)))(x)[0]!.data()).toEqual(new Float32Array(37).fill(2))
    })
  })

  it('are summed on the tapes around, so that they can be differentiated again and again', () => {
    scope(() => {
      const x = uniform([9], { low: -1, high: 1, seed: 6 })
      const fourth = (t: Tensor): Tensor => sum(mul(mul(t, t), mul(t, t)))
      const first = (t: Tensor): Tensor => sum(grad((u) => fourth(u))(t)[0]!)
      const second = (t: Tensor): Tensor => sum(grad((u) => first(u))(t)[0]!)
      const third = grad((u) => second(u))(x)[0]!.data()
      const { error } = difference(
        third,
        x.data().map((value) => 24 * value),
      )
      expect(error).toBeLessThan(1e-5)
    })
  })

  it('leave no memory behind', () => {
    const before = memoryUsage()
    scope(() => {
      const x = uniform([100], { seed: 7 })
      for (let i = 0; i < 3; i++) {
        const { pullback, dispose } = vjp((t) => div(exp(mul(t, t)), add(t, 1)), x)
        pullback(ones([100]))
        dispose()
      }
      grad((t) => sum(grad((u) => sum(mul(u, u)))(t)[0]!))(x)
    })
    expect(memoryUsage()).toMatchObject({ liveBytes: before.liveBytes, blocks: before.blocks })
  })
})
