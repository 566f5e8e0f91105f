/** Comparisons, logic, choices and whole arithmetic against their definitions, over every type, broadcast. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import * as choice from '../../src/ops/choice.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import type { DType } from '../../src/tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../../src/tensor/tensor.js'
import { size } from '../helpers/reference.js'

beforeAll(() => init())

type Value = number | bigint
const numbers: Record<DType, fc.Arbitrary<Value>> = {
  float32: fc.oneof(fc.float(), fc.constantFrom(0, -0, 1, -1.5, 2.5, 0.5, NaN, Infinity, -Infinity)),
  int32: fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: -3, max: 3 })),
  int64: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -3n, max: 3n })),
  uint8: fc.integer({ min: 0, max: 255 }),
  int8: fc.integer({ min: -128, max: 127 }),
  bool: fc.constantFrom(0, 1),
}
const floats = ['float32'] as const
const whole = ['int32', 'int64', 'uint8', 'int8'] as const
const all = ['float32', 'int32', 'int64', 'uint8', 'int8', 'bool'] as const

/** A whole number as a type holds it: its low bits. */
function wrapped(value: bigint, dtype: DType): Value {
  if (dtype === 'int64') return BigInt.asIntN(64, value)
  if (dtype === 'uint8') return Number(BigInt.asUintN(8, value))
  return Number(BigInt.asIntN(dtype === 'int8' ? 8 : 32, value))
}
const exact =
  (of: (a: bigint, b: bigint) => bigint) =>
  (a: Value, b: Value, dtype: DType): Value =>
    wrapped(of(BigInt(a), BigInt(b)), dtype)

type Definition = (a: Value, b: Value, dtype: DType) => Value
const flag = (holds: boolean): number => Number(holds)
const binary: [keyof typeof choice, readonly DType[], Definition][] = [
  ['equal', all, (a, b) => flag(a === b)],
  ['greater', all, (a, b) => flag(a > b)],
  ['greaterOrEqual', all, (a, b) => flag(a >= b)],
  ['less', all, (a, b) => flag(a < b)],
  ['lessOrEqual', all, (a, b) => flag(a <= b)],
  ['logicalAnd', ['bool'], (a, b) => flag(a === 1 && b === 1)],
  ['logicalOr', ['bool'], (a, b) => flag(a === 1 || b === 1)],
  ['logicalXor', ['bool'], (a, b) => flag(a !== b)],
  ['maximum', whole, (a, b) => (a > b ? a : b)],
  ['minimum', whole, (a, b) => (a < b ? a : b)],
  ['maximum', floats, (a, b) => Math.max(a as number, b as number) + 0],
  ['minimum', floats, (a, b) => Math.min(a as number, b as number) + 0],
  ['addWhole', whole, exact((a, b) => a + b)],
  ['subWhole', whole, exact((a, b) => a - b)],
  ['mulWhole', whole, exact((a, b) => a * b)],
  ['divWhole', whole, exact((a, b) => (b === 0n ? 0n : a / b))],
  ['modWhole', whole, exact((a, b) => (b === 0n ? 0n : ((a % b) + b) % b))],
  ['fmod', whole, exact((a, b) => (b === 0n ? 0n : a % b))],
  ['fmod', floats, (a, b) => Math.fround((a as number) % (b as number)) + 0],
]
const unary: [keyof typeof choice, readonly DType[], Definition][] = [
  ['logicalNot', ['bool'], (a) => flag(a === 0)],
  ['negWhole', whole, exact((a) => -a)],
  ['absWhole', whole, exact((a) => (a < 0n ? -a : a))],
  ['sign', whole, exact((a) => (a > 0n ? 1n : a < 0n ? -1n : 0n))],
  ['sign', floats, (a) => Math.sign(a as number) + 0],
  ['floor', floats, (a) => Math.floor(a as number) + 0],
  ['ceil', floats, (a) => Math.ceil(a as number) + 0],
  [
    'round',
    floats,
    (a) => {
      const near = Math.round(a as number)
      return (Math.abs((a as number) % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near) + 0
    },
  ],
  ['isNaNs', floats, (a) => flag(Number.isNaN(a))],
]
const cases = (rows: typeof binary): [string, DType, keyof typeof choice, Definition][] =>
  rows.flatMap(([name, types, of]) =>
    types.map((dtype): [string, DType, keyof typeof choice, Definition] => [name, dtype, name, of]),
  )

/** Shapes that are laid over each other, and where an element of the result comes from. */
const layings = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 2 })), { minLength: 0, maxLength: 3 })
  .map((axes) => ({
    a: axes.map(([n, kind]) => (kind === 1 ? 1 : n)),
    b: axes.map(([n, kind]) => (kind === 2 ? 1 : n)),
    y: axes.map(([n]) => n),
  }))
function sourceOf(place: number, shape: readonly number[], operand: readonly number[]): number {
  let [rest, from, stride] = [place, 0, 1]
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const i = rest % shape[axis]!
    rest = Math.floor(rest / shape[axis]!)
    if (operand[axis]! > 1) from += i * stride
    stride *= operand[axis]!
  }
  return from
}
const list = (x: AnyTensor): Value[] =>
  [...(x.data() as unknown as Iterable<Value>)].map((value) => (typeof value === 'number' ? value + 0 : value))
const elements = (dtype: DType, count: number): fc.Arbitrary<Value[]> =>
  fc.array(numbers[dtype], { minLength: count, maxLength: count })

describe('two operands', () => {
  it.each(cases(binary))('%s of %s', (_, dtype, name, of) => {
    const run = choice[name] as (a: AnyTensor, b: AnyTensor) => AnyTensor
    fc.assert(
      fc.property(
        layings.chain(({ a, b, y }) =>
          fc.tuple(fc.constant({ a, b, y }), elements(dtype, size(a)), elements(dtype, size(b))),
        ),
        ([shapes, as, bs]) => {
          scope(() => {
            const [a, b] = [tensor(as, shapes.a, { dtype }), tensor(bs, shapes.b, { dtype })]
            const y = run(a, b)
            expect(y.shape).toEqual(shapes.y)
            const [xs, zs] = [list(a), list(b)]
            const due = Array.from({ length: y.size }, (__, i) =>
              of(xs[sourceOf(i, shapes.y, shapes.a)]!, zs[sourceOf(i, shapes.y, shapes.b)]!, dtype),
            )
            expect(list(y)).toEqual(due)
          })
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('one operand', () => {
  it.each(cases(unary))('%s of %s', (_, dtype, name, of) => {
    const run = choice[name] as (a: AnyTensor) => AnyTensor
    fc.assert(
      fc.property(elements(dtype, 12), (values) => {
        scope(() => {
          const x = tensor(values, [3, 4], { dtype })
          expect(list(run(x))).toEqual(list(x).map((value) => of(value, 0, dtype)))
        })
      }),
      { numRuns: 60 },
    )
  })
})

describe('a choice', () => {
  it.each(all)('of %s', (dtype) => {
    fc.assert(
      fc.property(elements('bool', 3), elements(dtype, 6), elements(dtype, 2), (mask, as, bs) => {
        scope(() => {
          const y = choice.where(
            tensor(mask, [3], { dtype: 'bool' }),
            tensor(as, [2, 3], { dtype }),
            tensor(bs, [2, 1], { dtype }),
          )
          const [xs, zs] = [list(tensor(as, [6], { dtype })), list(tensor(bs, [2], { dtype }))]
          expect(list(y)).toEqual(xs.map((value, i) => (mask[i % 3] ? value : zs[Math.floor(i / 3)])))
        })
      }),
      { numRuns: 60 },
    )
  })

  it('has gradients where it was taken', () => {
    scope(() => {
      const mask = tensor([true, false, true], [3], { dtype: 'bool' })
      const chosen = vjp((a, b) => choice.where(mask, a, b), normal([2, 3]), normal([3], { seed: 2 }))
      const [da, db] = chosen.pullback(tensor([1, 2, 3, 4, 5, 6], [2, 3]))
      expect([...da!.data()]).toEqual([1, 0, 3, 4, 0, 6])
      expect([...db!.data()]).toEqual([0, 7, 0])
      const most = vjp((a, b) => choice.maximum(a, b) as Tensor, tensor([1, 5, 2]), tensor([4, 5, 1]))
      const [dm, dn] = most.pullback(tensor([1, 2, 3]))
      expect([...dm!.data()]).toEqual([0, 2, 3])
      expect([...dn!.data()]).toEqual([1, 0, 0])
    })
  })
})

it.each([
  [
    'types that differ',
    () => choice.addWhole(tensor([1], [1], { dtype: 'int32' }), tensor([1], [1], { dtype: 'int64' })),
    /int32 and int64 do not go together/,
  ],
  ['floats as whole numbers', () => choice.addWhole(tensor([1]), tensor([1])), /add: a must be of int32 or int64/],
  ['logic of numbers', () => choice.logicalNot(tensor([1])), /not: a must be of bool, given float32/],
  ['shapes that do not fit', () => choice.less(tensor([1, 2]), tensor([1, 2, 3])), /do not broadcast/],
])('refuses %s', (_, use, message) => {
  scope(() => {
    expect(use).toThrow(ShapeError)
    expect(use).toThrow(message)
  })
})
