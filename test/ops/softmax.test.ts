import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { grad, vjp } from '../../src/autodiff/vjp.js'
import { logSoftmax, softmax } from '../../src/ops/softmax.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { DisposedError, ShapeError } from '../../src/runtime/errors.js'
import { normal, ones, tensor, uniform, zeros } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { expectClose, oracleCases } from '../helpers/oracle.js'
import { difference, size } from '../helpers/reference.js'
import { expectSecond, secondDerivatives } from '../helpers/second.js'

beforeAll(() => init())

interface Definition {
  readonly op: (x: Tensor, axis?: number) => Tensor
  /** The definition on one row. */
  readonly value: (x: number[]) => number[]
  /** The gradient from dy and y. */
  readonly gradient: (dy: number[], y: number[]) => number[]
}

const total = (list: number[]): number => list.reduce((sum, value) => sum + value, 0)

function probabilities(x: number[]): number[] {
  const largest = Math.max(...x)
  const exponentials = x.map((value) => Math.exp(value - largest))
  return exponentials.map((value) => value / total(exponentials))
}

const definitions: Record<string, Definition> = {
  softmax: {
    op: softmax,
    value: probabilities,
    gradient: (dy, y) => {
      const dot = total(dy.map((value, i) => value * y[i]!))
      return y.map((value, i) => value * (dy[i]! - dot))
    },
  },
  logSoftmax: {
    op: logSoftmax,
    value: (x) => {
      const largest = Math.max(...x)
      const logarithm = Math.log(total(x.map((value) => Math.exp(value - largest))))
      return x.map((value) => value - largest - logarithm)
    },
    gradient: (dy, y) => y.map((value, i) => dy[i]! - Math.exp(value) * total(dy)),
  },
}

/** Applies `use` to every row along an axis. */
function alongAxis(
  shape: readonly number[],
  axis: number,
  inputs: ArrayLike<number>[],
  use: (...rows: number[][]) => number[],
): Float64Array {
  const classes = shape[axis]!
  const inner = size(shape.slice(axis + 1))
  const result = new Float64Array(size(shape))
  for (let outer = 0; outer < size(shape.slice(0, axis)); outer++) {
    for (let i = 0; i < inner; i++) {
      const position = (c: number): number => (outer * classes + c) * inner + i
      const row = (input: ArrayLike<number>): number[] =>
        Array.from({ length: classes }, (_, c) => input[position(c)] as number)
      use(...inputs.map(row)).forEach((value, c) => (result[position(c)] = value))
    }
  }
  return result
}

/** The axis is up to 19 long, which meets every remainder of four lanes on both sides of it. */
const cases = fc.record({
  before: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
  classes: fc.integer({ min: 1, max: 19 }),
  after: fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 2 }),
  spread: fc.constantFrom(0.1, 3, 30),
  offset: fc.constantFrom(0, 1000, -1000),
  seed: fc.integer({ min: 0, max: 1e6 }),
})

describe.each(Object.entries(definitions))('%s', (name, { op, value, gradient }) => {
  it('agrees with its definition over any axis, with its gradient', () => {
    fc.assert(
      fc.property(cases, ({ before, classes, after, spread, offset, seed }) => {
        scope(() => {
          const shape = [...before, classes, ...after]
          const axis = before.length
          const x = normal(shape, { mean: offset, std: spread, seed })
          const dy = normal(shape, { seed, stream: 1 })
          const { value: y, pullback, dispose } = vjp((given) => op(given, axis), x)
          const wanted = alongAxis(shape, axis, [x.data()], value)
          const checks = [
            [y, wanted],
            [pullback(dy)[0]!, alongAxis(shape, axis, [dy.data(), wanted], gradient)],
          ] as const
          for (const [given, reference] of checks) {
            expect(given.shape).toEqual(shape)
            const { error, scale } = difference(given.data(), reference)
            expect(error).toBeLessThanOrEqual(2e-6 * scale + 1e-6)
          }
          const negative = op(x, axis - shape.length)
          expect(negative.data()).toEqual(y.data())
          dispose()
        })
      }),
      { numRuns: 300 },
    )
  })

  it.each(oracleCases(name))('agrees with PyTorch, case $id', ({ inputs, outputs, options, dy, gradients }) => {
    scope(() => {
      const { shape, data } = inputs.get('x')!
      const axis = options['axis'] as number
      const { value, pullback, dispose } = vjp((x) => op(x, axis), tensor(data, shape))
      expectClose(value.data(), outputs.get('y')!.data)
      expectClose(pullback(tensor(dy!.data, dy!.shape))[0]!.data(), gradients.get('x')!.data)
      dispose()
    })
  })

  it('has the gradient of its finite differences', () => {
    scope(() => {
      expect(gradcheck((x) => op(x), [normal([3, 7, 2], { seed: 3 })]).ok).toBe(true)
      expect(gradcheck((x) => op(x), [normal([2, 9], { seed: 4 })]).ok).toBe(true)
    })
  })

  it('keeps IEEE rules: NaN and infinity spoil their own row alone', () => {
    scope(() => {
      for (const wrong of [NaN, Infinity]) {
        for (const position of [0, 3, 5]) {
          const row = [1, 2, 3, 4, 5, 6]
          row[position] = wrong
          const alongRow = op(tensor([row, [1, 2, 3, 4, 5, 6]])).data()
          expect([...alongRow].map(Number.isNaN)).toEqual(Array.from({ length: 12 }, (_, i) => i < 6))
          const columns = op(tensor(row.map((element) => [element, 1])), 0).data()
          expect([...columns].map(Number.isNaN)).toEqual(Array.from({ length: 12 }, (_, i) => i % 2 === 0))
        }
      }
      expect(op(tensor([[-Infinity, -Infinity]])).data()).toEqual(Float32Array.of(NaN, NaN))
      const zero = name === 'softmax'
      expect([...op(tensor([[-Infinity, 0, 0, -Infinity, -Infinity]])).data()]).toEqual(
        zero
          ? [0, 0.5, 0.5, 0, 0]
          : [-Infinity, ...Array<number>(2).fill(Math.fround(-Math.LN2)), -Infinity, -Infinity],
      )
    })
  })

  it('does not overflow, and is exact for one class', () => {
    scope(() => {
      const y = op(tensor([[3e38, -3e38, 3e38]])).data()
      expect([...y]).toEqual(
        name === 'softmax' ? [0.5, 0, 0.5] : [Math.fround(-Math.LN2), -Infinity, Math.fround(-Math.LN2)],
      )
      expect([...op(tensor([[7], [-8]])).data()]).toEqual(name === 'softmax' ? [1, 1] : [-0, -0].map(Math.abs))
    })
  })

  it('leaves no memory behind', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const { pullback, dispose } = vjp((x) => op(x), normal([4, 5, 3]))
      pullback(ones([4, 5, 3]))
      dispose()
    })
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it.each([
    [[2, 5], 1],
    [[2, 3, 5], 1],
    [[3, 2, 2], 0],
    [[1, 2, 7], -1],
    [[4, 1], 1],
  ])('has the second derivatives of its definition, shape %j, axis %i', (shape, axis) => {
    const definition = (x: Float64Array): Float64Array =>
      alongAxis(shape, axis < 0 ? axis + shape.length : axis, [x], value)
    scope(() => {
      expectSecond((x) => op(x, axis), definition, [normal(shape, { seed: 6 })])
    })
  })

  it('has a third derivative', () => {
    scope(() => {
      const inputs = [normal([2, 3], { seed: 4 }), normal([2, 3], { seed: 5 })]
      const weights = uniform([2, 3], { seed: 6 })
      for (const k of [0, 1]) {
        const second = (...given: Tensor[]): Tensor => secondDerivatives((x) => op(x), 0, weights, given)[k]!
        expect(gradcheck(second, inputs).ok).toBe(true)
      }
    })
  })

  it('has finite second derivatives where classes are impossible', () => {
    scope(() => {
      const inputs = [tensor([[0.5, -Infinity, 1, -200]]), tensor([[1, 2, 3, 4]])]
      for (const gradient of secondDerivatives((x) => op(x), 0, ones([1, 4]), inputs)) {
        expect(gradient.data().every(Number.isFinite)).toBe(true)
      }
    })
  })

  it('refuses axes that do not exist, and allocates nothing', () => {
    scope(() => {
      const x = zeros([2, 3])
      const before = memoryUsage().liveBytes
      expect(() => op(x, 2)).toThrow(new RegExp(`^${name}: axis 2 does not exist in 2 dimensions; use -2 to 1$`))
      expect(() => op(x, 0.5)).toThrow(ShapeError)
      expect(() => op(x, NaN)).toThrow(ShapeError)
      expect(() => op([1] as unknown as Tensor)).toThrow(new RegExp(`^${name}: x must be a Tensor, not \\[1\\];`))
      expect(memoryUsage().liveBytes).toBe(before)
      const vector = zeros([3])
      expect(() => op(vector)).toThrow(/axis 1 does not exist in 1 dimensions; use -1 to 0/)
      vector.dispose()
      expect(() => op(vector, 0)).toThrow(DisposedError)
    })
  })
})

describe('logSoftmax', () => {
  it('keeps the digits of a sum next to 1', () => {
    scope(() => {
      const y = logSoftmax(tensor([[0, -20]])).data()
      expect(y[0]! / -Math.log1p(Math.exp(-20))).toBeCloseTo(1, 6)
      const columns = logSoftmax(tensor([[[0], [-20]]]), 1).data()
      expect(columns[0]).toBe(y[0])
    })
  })

  it('is the logarithm of softmax', () => {
    scope(() => {
      const x = normal([5, 11], { seed: 8 })
      const p = softmax(x).data()
      logSoftmax(x)
        .data()
        .forEach((value, i) => {
          expect(value).toBeCloseTo(Math.log(p[i]!), 5)
        })
      expect(grad((given) => logSoftmax(given, 0))(ones([1]))[0]!.data()).toEqual(Float32Array.of(0))
    })
  })
})
