/** Comparisons, logic, choices and arithmetic of whole numbers, element by element, for models from elsewhere. */
import type { DType } from '../tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../tensor/tensor.js'
import { cast } from './cast.js'
import { mul } from './elementwise.js'
import { pointwiseRoutine, type Element } from './pointwiseRoutine.js'
import { sumTo } from './reduce.js'

const compared = (
  name: string,
  holds: (a: Element, b: Element) => boolean,
): ((a: AnyTensor, b: AnyTensor) => Tensor<'bool'>) =>
  pointwiseRoutine(name, 2, {
    dtype: 'bool',
    compute: () => (a: Element, b: Element) => Number(holds(a, b)),
  }) as (a: AnyTensor, b: AnyTensor) => Tensor<'bool'>

/** a = b; NaN equals nothing. */
export const equal = compared('equal', (a, b) => a === b)
/** a > b. */
export const greater = compared('greater', (a, b) => a > b)
/** a ≥ b. */
export const greaterOrEqual = compared('greaterOrEqual', (a, b) => a >= b)
/** a < b. */
export const less = compared('less', (a, b) => a < b)
/** a ≤ b. */
export const lessOrEqual = compared('lessOrEqual', (a, b) => a <= b)

const logical = (name: string, of: (a: number, b: number) => number): ((a: AnyTensor, b: AnyTensor) => AnyTensor) =>
  pointwiseRoutine(name, 2, { types: ['bool'], compute: () => (a: number, b: number) => of(a, b) })

/** Whether both of two bools are true; shapes broadcast as in NumPy. */
export const logicalAnd = logical('and', (a, b) => a & b)
/** Whether one of two bools is true; shapes broadcast. */
export const logicalOr = logical('or', (a, b) => a | b)
/** Whether exactly one of two bools is true; shapes broadcast. */
export const logicalXor = logical('xor', (a, b) => a ^ b)
/** Whether a bool is false. */
export const logicalNot = pointwiseRoutine('not', 1, { types: ['bool'], compute: () => (a: number) => 1 - a })

/** dy where `mask`, summed to a shape that it was repeated from. */
const masked = (dy: Tensor, mask: Tensor<'bool'>, shape: readonly number[]): Tensor =>
  scope(() => sumTo(mul(dy, cast(mask, 'float32')), shape))

/** a where `condition`, else b. */
export const where = pointwiseRoutine('where', 3, {
  apart: { 0: ['bool'] },
  compute: () => (condition: number, a: Element, b: Element) => (condition ? a : b),
  gradient: (dy, [condition, a, b], need) => {
    const mask = condition as unknown as Tensor<'bool'>
    return [
      undefined,
      need[1] ? masked(dy, mask, (a as Tensor).shape) : undefined,
      need[2] ? scope(() => masked(dy, logicalNot(mask) as Tensor<'bool'>, (b as Tensor).shape)) : undefined,
    ]
  },
}) as <D extends DType>(condition: Tensor<'bool'>, a: Tensor<D>, b: Tensor<D>) => Tensor<D>

/** The larger of two numbers, or the smaller; NaN where one is NaN, and of equals the gradient goes to a. */
const outermost = (
  name: string,
  isFirst: (a: Element, b: Element) => boolean,
): ((a: AnyTensor, b: AnyTensor) => AnyTensor) => {
  const first = compared(`${name}First`, isFirst)
  return pointwiseRoutine(name, 2, {
    compute: () => (a: Element, b: Element) => (a !== a || isFirst(a, b) ? a : b),
    gradient: (dy, [a, b], need) => {
      const mask = scope(() => first(a as Tensor, b as Tensor))
      const gradients = [
        need[0] ? masked(dy, mask, (a as Tensor).shape) : undefined,
        need[1] ? scope(() => masked(dy, logicalNot(mask) as Tensor<'bool'>, (b as Tensor).shape)) : undefined,
      ]
      mask.dispose()
      return gradients
    },
  })
}
/** The larger of a and b, element by element; shapes broadcast, and NaN stays NaN. */
export const maximum = outermost('maximum', (a, b) => a >= b)
/** The smaller of a and b, element by element; shapes broadcast, and NaN stays NaN. */
export const minimum = outermost('minimum', (a, b) => a <= b)

const whole: readonly DType[] = ['int32', 'int64', 'uint8', 'int8']

/** Arithmetic of whole numbers, which wraps where a type ends. */
const wholeArithmetic = (
  name: string,
  small: (a: number, b: number) => number,
  large: (a: bigint, b: bigint) => bigint,
): ((a: AnyTensor, b: AnyTensor) => AnyTensor) =>
  pointwiseRoutine(name, 2, { types: whole, compute: (dtype) => (dtype === 'int64' ? large : small) })

/** a + b of whole numbers. */
export const addWhole = wholeArithmetic(
  'add',
  (a, b) => a + b,
  (a, b) => a + b,
)
/** a − b of whole numbers. */
export const subWhole = wholeArithmetic(
  'sub',
  (a, b) => a - b,
  (a, b) => a - b,
)
/** a · b of whole numbers. */
export const mulWhole = wholeArithmetic('mul', Math.imul, (a, b) => a * b)
/** Towards 0; by 0 it is 0, for which no hardware and no standard has an answer. */
export const divWhole = wholeArithmetic(
  'div',
  (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
  (a, b) => (b === 0n ? 0n : a / b),
)
/** The remainder with the sign of the divisor, as in Python. */
export const modWhole = wholeArithmetic(
  'mod',
  (a, b) => (b === 0 ? 0 : a - b * Math.floor(a / b)),
  (a, b) => (b === 0n ? 0n : ((a % b) + b) % b),
)
/** The remainder with the sign of the dividend, as in C. */
export const fmod = pointwiseRoutine('fmod', 2, {
  compute: (dtype) =>
    dtype === 'int64' ? (a: bigint, b: bigint) => (b === 0n ? 0n : a % b) : (a: number, b: number) => a % b,
})
/** −x of whole numbers. */
export const negWhole = pointwiseRoutine('neg', 1, {
  types: whole,
  compute: (dtype) => (dtype === 'int64' ? (a: bigint) => -a : (a: number) => -a),
})
/** |x| of whole numbers. */
export const absWhole = pointwiseRoutine('abs', 1, {
  types: whole,
  compute: (dtype) => (dtype === 'int64' ? (a: bigint) => (a < 0n ? -a : a) : (a: number) => Math.abs(a)),
})

const stepped = (name: string, of: (a: number) => number): ((x: AnyTensor) => AnyTensor) =>
  pointwiseRoutine(name, 1, {
    types: ['float32'],
    compute: () => of,
    // Constant between its steps.
    gradient: (dy) => [mul(dy, 0)],
  })
/** The largest whole number that is not above x. */
export const floor = stepped('floor', Math.floor)
/** The smallest whole number that is not below x. */
export const ceil = stepped('ceil', Math.ceil)
/** To the nearest whole number, of two the even one. */
export const round = stepped('round', (a) => {
  const down = Math.floor(a)
  const apart = a - down
  return apart < 0.5 || (apart === 0.5 && down % 2 === 0) ? down : down + 1
})
/** −1, 0 or 1, as x is below, at or above 0. */
export const sign = pointwiseRoutine('sign', 1, {
  compute: (dtype) => (dtype === 'int64' ? (a: bigint) => (a > 0n ? 1n : a < 0n ? -1n : 0n) : Math.sign),
})
/** Whether x is NaN, as bools. */
export const isNaNs = pointwiseRoutine('isNaN', 1, {
  types: ['float32'],
  dtype: 'bool',
  compute: () => (a: number) => Number(a !== a),
}) as (x: AnyTensor) => Tensor<'bool'>
