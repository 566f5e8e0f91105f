/** Places of extrema and the first of an order, against sorting. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { gradcheck } from '../../src/autodiff/gradcheck.js'
import { argExtremum, top } from '../../src/ops/order.js'
import { init } from '../../src/runtime/embedded.js'
import { ArgumentError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { dtypes } from '../../src/tensor/dtype.js'
import { scope } from '../../src/tensor/tensor.js'
import { size } from '../helpers/reference.js'

beforeAll(() => init())

/** Few different numbers, so that many are equal. */
const element = fc.oneof(fc.constantFrom(0, 1, 2, -1, NaN, Infinity, -0), fc.float())

const cases = fc.tuple(
  fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
  fc.nat(),
  fc.constantFrom(...dtypes),
  fc.infiniteStream(element),
  fc.boolean(),
  fc.boolean(),
)

/** A tensor, and its rows along an axis. */
function made([shape, along, dtype, random]: [
  number[],
  number,
  (typeof dtypes)[number],
  Iterable<number>,
  ...unknown[],
]) {
  const stream = random[Symbol.iterator]()
  const values = Array.from({ length: size(shape) }, () => {
    const value = stream.next().value as number
    return dtype === 'float32' ? value : Math.abs(Math.trunc(Number.isFinite(value) ? value : 3)) % 2
  })
  const axis = along % shape.length
  const [n, inner] = [shape[axis]!, size(shape.slice(axis + 1))]
  const x = tensor(values, shape, { dtype })
  const rows = Array.from({ length: values.length / n }, (_, row) =>
    Array.from({ length: n }, (_, i) => Number(x.data()[(Math.floor(row / inner) * n + i) * inner + (row % inner)])),
  )
  return { x, axis, n, inner, rows }
}

/** Places from the first on: NaN is outermost, and equals come in their order. */
const sorted = (row: readonly number[], largest: boolean): number[] =>
  row
    .map((_, i) => i)
    .sort((i, j) => {
      const [a, b] = [row[i]!, row[j]!]
      if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a)) || i - j
      return (a === b ? 0 : a < b === largest ? 1 : -1) || i - j
    })

describe('argExtremum', () => {
  it('is the first or the last of the outermost elements', () => {
    fc.assert(
      fc.property(cases, (given) => {
        scope(() => {
          const { x, axis, rows } = made(given)
          const [largest, last] = [given[4], given[5]]
          const y = argExtremum(x, { axis, largest, last, keepDims: last })
          expect(y.dtype).toBe('int64')
          expect(y.shape).toEqual(
            last ? x.shape.map((n, other) => (other === axis ? 1 : n)) : x.shape.filter((_, other) => other !== axis),
          )
          const due = rows.map((row) => {
            const [first] = sorted(row, largest) as [number]
            const alike = (value: number): boolean =>
              value === row[first] || (value !== value && row[first] !== row[first])
            return BigInt(last ? row.findLastIndex(alike) : first)
          })
          expect([...y.data()]).toEqual(due)
        })
      }),
    )
  })
})

describe('top', () => {
  it('is the beginning of each sorted row, and where it lies', () => {
    fc.assert(
      fc.property(cases, fc.nat(), (given, some) => {
        scope(() => {
          const { x, axis, n, inner, rows } = made(given)
          const [count, largest] = [some % (n + 1), given[4]]
          const { values, places } = top(x, { axis: axis - (some % 2) * x.ndim, count, largest })
          expect(values.dtype).toBe(x.dtype)
          expect(values.shape).toEqual(x.shape.map((extent, other) => (other === axis ? count : extent)))
          expect(places.shape).toEqual(values.shape)
          const [all, at] = [values.data(), places.data()]
          rows.forEach((row, index) => {
            sorted(row, largest)
              .slice(0, count)
              .forEach((place, i) => {
                const to = (Math.floor(index / inner) * count + i) * inner + (index % inner)
                expect(Number(at[to])).toBe(place)
                expect(Number(all[to])).toBe(row[place])
              })
          })
        })
      }),
    )
  })

  it('passes gradients to the elements that are taken', () => {
    const x = normal([3, 5], { seed: 2 })
    expect(gradcheck((at) => top(at, { axis: 1, count: 2, largest: true }).values, [x], { step: 1e-3 })).toMatchObject({
      ok: true,
    })
  })

  it('refuses more than there are', () => {
    const x = normal([3, 5], { seed: 2 })
    expect(() => top(x, { axis: 1, count: 6, largest: true })).toThrow(ArgumentError)
    expect(() => top(x, { axis: 1, count: -1, largest: true })).toThrow(/there are no -1/)
  })
})
