/**
 * Arithmetic with broadcasting as in NumPy, and functions of one variable, element by element. Everything that is exported here is
 * an operation of the library.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { planBroadcast } from '../tensor/strided.js'
import { checkNumber } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { HEAVY, LIGHT } from '../runtime/work.js'
import { needKeys, withArity, type Names } from '../runtime/options.js'
import { broadcastShapes, checkSize, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Affine, type Tensor } from '../tensor/tensor.js'
import { withNumber } from './number.js'
import { plainUnary, slope, unary } from './pointwise.js'
import { sumTo } from './reduce.js'

/** Two operands laid over each other. */
interface Broadcast {
  readonly shape: Shape
  /** What the kernels read, see assembly/ops/elementwise.ts; undefined where the shapes are equal. */
  readonly record: readonly number[] | undefined
}

function layOver(a: Shape, b: Shape, name: string): Broadcast {
  const shape = broadcastShapes(a, b, name)
  checkSize(shape, name)
  return { shape, record: planBroadcast(shape, a, b) }
}

type Arithmetic = 'add' | 'sub' | 'mul' | 'div'

/* @__NO_SIDE_EFFECTS__ */
function byTensor(
  name: Arithmetic,
  keeps: readonly ('a' | 'b' | 'y')[],
  gradientA: (dy: Tensor, b: Tensor) => Tensor,
  gradientB: (dy: Tensor, a: Tensor, b: Tensor, y: Tensor) => Tensor,
  channelwise?: (values: Tensor, isSecond: boolean) => Affine | undefined,
): (a: Tensor, b: Tensor) => Tensor {
  const op: Op<{ a: Tensor; b: Tensor }, undefined> = defineOp(name, {
    infer: ({ a, b }) => layOver(a.shape, b.shape, name),
    output: ({ shape }) => shape,
    prepare: (list, { shape, record }) => {
      const laid = record ? list.integers(record) : 0
      list.call(`${name}_fwd`, sizeOf(shape), LIGHT, list.out, list.operand('a'), list.operand('b'), laid)
    },
    affine: ({ a, b }, { shape }) => {
      const values = perChannel(a ?? (b as Tensor), shape)
      return values && channelwise?.(values, a === undefined)
    },
    keeps,
    gradient: ({ inputs: { a, b }, y, need }, dy) => ({
      a: need.a && scope(() => sumTo(gradientA(dy, b), a.shape)),
      b: need.b && scope(() => sumTo(gradientB(dy, a, b, y), b.shape)),
    }),
  })
  return (a, b) => op({ a, b }, undefined)
}

/** A tensor as one value for each channel, axis 1, of a shape that it is laid over; undefined where it is more. */
function perChannel(values: Tensor, shape: Shape): Tensor | undefined {
  const C = shape[1] as number
  const axis = 1 - shape.length + values.ndim
  return values.size === C && values.shape[axis] === C ? values.reshape([C]) : undefined
}

/** Arithmetic with one number: nothing needs to be kept. */
/* @__NO_SIDE_EFFECTS__ */
function byNumber(
  name: string,
  operation: Arithmetic,
  gradient: (dy: Tensor, value: number) => Tensor,
): (a: Tensor, value: number) => Tensor {
  const op: Op<{ a: Tensor }, number> = defineOp(name, {
    infer: ({ a }, value: number) => ({ shape: a.shape, value }),
    output: ({ shape }) => shape,
    prepare: (list, { shape, value }) => {
      withNumber(list, operation, list.out, list.operand('a'), sizeOf(shape), value)
    },
    keeps: [],
    gradient: (_, dy, { value }) => ({ a: gradient(dy, value) }),
  })
  return (a, value) => op({ a }, value)
}

/** Arithmetic with a tensor or with a number. */
/* @__NO_SIDE_EFFECTS__ */
const arithmetic = (
  name: Arithmetic,
  tensors: (a: Tensor, b: Tensor) => Tensor,
  number: (a: Tensor, value: number) => Tensor,
): ((a: Tensor, b: Tensor | number) => Tensor) =>
  withArity(name, 2, (a: Tensor, b: Tensor | number) => (typeof b === 'number' ? number(a, b) : tensors(a, b)))

const addTensor = byTensor(
  'add',
  [],
  (dy) => dy.alias(),
  (dy) => dy.alias(),
  (shift) => ({ shift }),
)
const subTensor = byTensor(
  'sub',
  [],
  (dy) => dy.alias(),
  (dy) => neg(dy),
  (values, isSecond) => (isSecond ? { shift: neg(values) } : undefined),
)
const mulTensor = byTensor(
  'mul',
  ['a', 'b'],
  (dy, b) => mul(dy, b),
  (dy, a) => mul(dy, a),
  (scale) => ({ scale }),
)
const divTensor = byTensor(
  'div',
  ['b', 'y'],
  (dy, b) => div(dy, b),
  (dy, _, b, y) => neg(div(mul(dy, y), b)),
)
const addNumber = byNumber('add', 'add', (dy) => dy.alias())
const subNumber = byNumber('sub', 'sub', (dy) => dy.alias())
const mulNumber = byNumber('mul', 'mul', (dy, value) => mul(dy, value))
const divNumber = byNumber('div', 'div', (dy, value) => div(dy, value))
const negate = byNumber('neg', 'mul', (dy) => neg(dy))

/**
 * a + b, shapes broadcast as in NumPy.
 *
 *     add(x, 1)
 *     add(x, tensor([1, 2, 3], [3, 1, 1]))                 // (8, 3, 5, 5): a number for each channel
 *
 * @throws ShapeError when they do not.
 */
export const add = arithmetic('add', addTensor, addNumber)

/**
 * a − b, shapes broadcast as in NumPy.
 *
 *     sub(x, mean(x))
 *
 * @throws ShapeError when they do not.
 */
export const sub = arithmetic('sub', subTensor, subNumber)

/**
 * a · b element by element, shapes broadcast as in NumPy.
 *
 *     mul(x, 2)
 *     mul(x, mask)                                         // (8, 3, 5, 5), (8, 1, 5, 5)
 *
 * @throws ShapeError when they do not.
 */
export const mul = arithmetic('mul', mulTensor, mulNumber)

/**
 * a / b element by element, shapes broadcast as in NumPy.
 *
 *     div(x, 255)
 *
 * @throws ShapeError when they do not.
 */
export const div = arithmetic('div', divTensor, divNumber)

/** −x. */
export const neg = withArity('neg', 1, (x: Tensor) => negate(x, -1))

/** eˣ, within 1 ulp; infinite above 88.72. */
export const exp = plainUnary('exp', {
  forward: (list, y, x, size) => list.call('exp_fwd', size, HEAVY, y, x),
  keeps: 'y',
  gradient: (dy, y) => mul(dy, y),
})

/** The natural logarithm, within 1 ulp; −∞ at 0, NaN below. */
export const log = plainUnary('log', {
  forward: (list, y, x, size) => list.call('log_fwd', size, HEAVY, y, x),
  keeps: 'x',
  gradient: (dy, x) => div(dy, x),
})

/** √x; NaN below 0. The gradient is infinite at 0. */
export const sqrt = plainUnary('sqrt', {
  forward: (list, y, x, size) => list.call('sqrt_fwd', size, LIGHT, y, x),
  keeps: 'y',
  gradient: (dy, y) => mul(div(dy, y), 0.5),
})

/** x². */
export const square = plainUnary('square', {
  forward: (list, y, x, size) => list.call('mul_fwd', size, LIGHT, y, x, x, 0),
  keeps: 'x',
  gradient: (dy, x) => mul(mul(dy, x), 2),
})

/** |x|; the gradient is 0 at 0. */
export const abs = plainUnary('abs', {
  forward: (list, y, x, size) => list.call('abs_fwd', size, LIGHT, y, x),
  keeps: 'x',
  gradient: (dy, x) => absoluteSlope(dy, x),
})

const absoluteSlope = slope<void>('absGradient', {
  forward: (list, dx, dy, x, size) => list.call('abs_dx', size, LIGHT, dx, dy, x),
})

const power = unary<number>('pow', {
  check: (p) => checkNumber(p, 'pow: the exponent'),
  forward: (list, y, x, size, p) => list.call('pow_fwd', size, HEAVY, y, x, p),
  keeps: 'x',
  gradient: (dy, x, p) => (p === 0 ? mul(dy, 0) : mul(mul(dy, pow(x, p - 1)), p)),
})

/**
 * xᵖ, within 0.51 ulp; NaN where x is negative and p is not whole.
 *
 *     pow(tensor([1, 4, 9]), 0.5)                          // Tensor (3) float32 [1, 2, 3]
 *
 * @throws ShapeError when p is not a finite number.
 */
export const pow: (x: Tensor, p: number) => Tensor = withArity('pow', 2, (x: Tensor, p: number) => power(x, p))

/** Options of `clamp`. */
export interface ClampOptions {
  /** Smallest value; default −∞. */
  readonly min?: number | undefined
  /** Largest value; default ∞. */
  readonly max?: number | undefined
}

type Range = Required<{ [name in keyof ClampOptions]: number }>

const limited = unary<Range>('clamp', {
  check: ({ min, max }) => {
    if (typeof min !== 'number' || typeof max !== 'number' || !(min <= max)) {
      throw new ArgumentError(
        `clamp: min and max must be numbers, min not above max; given ${inWords(min)} and ${inWords(max)}`,
      )
    }
  },
  forward: (list, y, x, size, { min, max }) => list.call('clamp_fwd', size, LIGHT, y, x, min, max),
  keeps: 'x',
  gradient: (dy, x, range) => limitedSlope(dy, x, range),
})

const limitedSlope = slope<Range>('clampGradient', {
  forward: (list, dx, dy, x, size, { min, max }) => list.call('clamp_dx', size, LIGHT, dx, dy, x, min, max),
})

/**
 * x limited to [min, max]; NaN stays. The gradient passes where min ≤ x ≤ max.
 *
 *     clamp(tensor([-1, 3, 9]), { min: 0, max: 6 })        // Tensor (3) float32 [0, 3, 6]
 *
 * @throws ShapeError when min is above max or one is not a number.
 */
export const clamp = withArity('clamp', 2, (x: Tensor, options: ClampOptions) => {
  needKeys('clamp', options, { min: 0, max: 0 } satisfies Names<ClampOptions>)
  const { min = -Infinity, max = Infinity } = options
  return limited(x, { min, max })
})
