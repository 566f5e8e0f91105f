/** Reductions of whole numbers and running sums against their definitions. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { cumulativeSum, foldWhole, type Fold } from '../../src/ops/fold.js'
import { init } from '../../src/runtime/embedded.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { ranges } from '../../src/tensor/dtype.js'
import { scope } from '../../src/tensor/tensor.js'
import { size } from '../helpers/reference.js'

beforeAll(() => init())

const types = ['int32', 'int64', 'uint8', 'int8'] as const
type Whole = (typeof types)[number]
const wrapped = (value: bigint, dtype: Whole): bigint =>
  dtype === 'uint8' ? BigInt.asUintN(8, value) : BigInt.asIntN({ int32: 32, int64: 64, int8: 8 }[dtype], value)
const absolute = (value: bigint): bigint => (value < 0n ? -value : value)

const definitions: Record<Fold, (values: bigint[], dtype: Whole) => bigint> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0n),
  mean: (values) => definitions.sum(values, 'int64') / BigInt(values.length),
  prod: (values) => values.reduce((product, value) => product * value, 1n),
  max: (values, dtype) => values.reduce((a, b) => (a > b ? a : b), ranges[dtype][0]),
  min: (values, dtype) => values.reduce((a, b) => (a < b ? a : b), ranges[dtype][1]),
  sumSquare: (values) => values.reduce((sum, value) => sum + value * value, 0n),
  sumAbs: (values) => values.reduce((sum, value) => sum + absolute(value), 0n),
}
const folds = Object.keys(definitions) as Fold[]

/** Every index of a shape. */
const indices = (shape: readonly number[]): number[][] =>
  shape.reduce<number[][]>((all, n) => all.flatMap((head) => Array.from({ length: n }, (_, i) => [...head, i])), [[]])

describe('foldWhole', () => {
  it('is its definition over any axes, of any type', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
        fc.nat(),
        fc.constantFrom(...types),
        fc.constantFrom(...folds),
        fc.boolean(),
        fc.infiniteStream(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
        (shape, mask, dtype, fold, keepDims, random) => {
          scope(() => {
            const axes = shape.flatMap((_, axis) => (mask & (1 << axis) ? [axis] : []))
            const stream = random[Symbol.iterator]()
            const values = Array.from({ length: size(shape) }, () => wrapped(stream.next().value as bigint, dtype))
            const x = tensor(values, shape, { dtype })
            const y = foldWhole(x, fold, axes, keepDims)
            expect(y.dtype).toBe(dtype)
            expect(y.shape).toEqual(
              keepDims
                ? shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
                : shape.filter((_, axis) => !axes.includes(axis)),
            )
            const groups = new Map<string, bigint[]>()
            indices(shape).forEach((index, i) => {
              const key = index.filter((_, axis) => !axes.includes(axis)).join()
              groups.set(key, [...(groups.get(key) ?? []), values[i]!])
            })
            expect(Array.from(y.data() as ArrayLike<number | bigint>, BigInt)).toEqual(
              [...groups.values()].map((group) => wrapped(definitions[fold](group, dtype), dtype)),
            )
          })
        },
      ),
    )
  })

  it('of no elements is 0, 1 or the end of the type; of bools the largest and the smallest', () => {
    const nothing = tensor([], [2, 0], { dtype: 'int32' })
    const of = (fold: Fold): number[] => [...foldWhole(nothing, fold, [1], false).data()]
    expect(of('sum')).toEqual([0, 0])
    expect(of('mean')).toEqual([0, 0])
    expect(of('prod')).toEqual([1, 1])
    expect(of('max')).toEqual([-(2 ** 31), -(2 ** 31)])
    expect(of('min')).toEqual([2 ** 31 - 1, 2 ** 31 - 1])
    const flags = tensor([1, 0, 0, 0], [2, 2], { dtype: 'bool' })
    expect([...foldWhole(flags, 'max', [1], false).data()]).toEqual([1, 0])
    expect([...foldWhole(flags, 'min', [0], true).data()]).toEqual([0, 0])
    expect(() => foldWhole(nothing, 'sum', [2], false)).toThrow(/foldWhole/)
  })
})

describe('cumulativeSum', () => {
  it('is its definition along any axis, either way, of any type', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.constantFrom('float32', ...types),
        fc.boolean(),
        fc.boolean(),
        (shape, along, dtype, exclusive, reverse) => {
          scope(() => {
            const axis = along % shape.length
            const values = Array.from({ length: size(shape) }, (_, i) => ((i * 37) % 101) + 1)
            const x = tensor(values, shape, { dtype })
            const y = cumulativeSum(x, { axis: axis - (along % 2) * shape.length, exclusive, reverse })
            const all = indices(shape)
            const due = all.map((to) =>
              all.reduce((sum, from, i) => {
                const apart = (from[axis]! - to[axis]!) * (reverse ? -1 : 1)
                const isIn = exclusive ? apart < 0 : apart <= 0
                return isIn && from.every((place, other) => other === axis || place === to[other])
                  ? sum + values[i]!
                  : sum
              }, 0),
            )
            const rounded = due.map((sum) => (dtype === 'float32' ? sum : Number(wrapped(BigInt(sum), dtype))))
            expect(Array.from(y.data() as ArrayLike<number | bigint>, Number)).toEqual(rounded)
          })
        },
      ),
    )
  })

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('has the gradient of its differences: exclusive %s, reverse %s', (exclusive, reverse) => {
    const x = normal([3, 4, 2], { seed: 1 })
    expect(gradcheck((at) => cumulativeSum(at, { axis: 1, exclusive, reverse }), [x])).toMatchObject({ ok: true })
  })
})
