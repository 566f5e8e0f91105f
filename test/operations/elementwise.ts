/** Functions of one number, and arithmetic with broadcasting. */
import * as ops from '../../src/ops/index.js'
import { normal, ones } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import type { Json } from '../fuzz/mutate.js'
import type { Random } from '../fuzz/random.js'
import { t as tensorOf } from '../fuzz/tags.js'
import { at, type Reference } from '../helpers/reference.js'
import { normalCdf } from '../helpers/special.js'
import {
  define,
  from,
  mapped,
  of,
  positive,
  shapeOf,
  small,
  type Definition,
  type MakeCase,
  type Operation,
  type Rows,
} from './operation.js'

/** A function of one number: with its row of the table, what is tried of it over every remainder of the loops. */
export interface Pointwise<O = never> extends Operation {
  readonly f: (x: Tensor, options: O) => Tensor
  value(this: void, x: number, options: O): number
  derivative(this: void, x: number, options: O): number
  /** Options under which value, gradient and second gradient are compared over every remainder. */
  readonly tried: readonly O[]
  /** Where it is tried; default −4 to 4. */
  range?(this: void, options: O): readonly [low: number, high: number]
  /** A range away from kinks and poles, where the second derivative is compared with finite differences. */
  smooth?(this: void, options: O): readonly [low: number, high: number]
}

type Told<O> = Pick<Pointwise<O>, 'value' | 'derivative' | 'range' | 'smooth'> & {
  /** Options of the cases that are hashed. Default: one case without options. */
  readonly hashed?: readonly O[]
  /** Options that are tried besides those. */
  readonly besides?: readonly O[]
  /** Options of random cases. Default: those of the hashed ones. */
  readonly random?: readonly O[]
  readonly calls?: Operation['calls']
  readonly linear?: Operation['linear']
}

const plain = [[3, 5, 23]]

/** A row of a function that keeps the shape. Where it is tried above 0 alone, it is defined there alone. */
function pointwise<O = undefined>(
  f: (x: Tensor, options: O) => Tensor,
  { hashed = [undefined as O], besides = [], random: choices = hashed, calls, linear, ...told }: Told<O>,
): Pointwise<O> {
  // An option that is no object is a choice all the same.
  const optionsOf = ({ options }: { options: O }): O => options
  const definition = define({
    values: (told.range?.(hashed[0] as O)[0] ?? -1) > 0 ? 'positive' : 'any',
    choose: (random: Random) => ({ shapes: [shapeOf(random)], options: { options: random.pick(choices) as Json } }),
    run: ([x], given: { options: O }) => f(x as Tensor, optionsOf(given)),
    value: ([x], given: { options: O }) => mapped(x as Reference, (value) => told.value(value, optionsOf(given))),
  })
  const option = hashed[0]
  return {
    ...told,
    f,
    definition,
    tried: [...hashed, ...besides],
    cases: small(definition, ...hashed.map((options) => [plain, { options }] as const)),
    calls: calls ?? [option === undefined ? [tensorOf(2, 3, 4)] : [tensorOf(2, 3), option as Json]],
    divided: { '': () => ({ inputs: [normal([1003], { seed: 1 })], fn: (x) => f(definition.values === 'positive' ? ops.abs(x) : x, option as O) }) }, // prettier-ignore
    ...(linear ? { linear } : {}),
  }
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x))
const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
const cubic = (x: number): number => 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)

/** Functions of one number. */
export const functions = {
  relu: pointwise(ops.relu, {
    value: (x) => Math.max(x, 0),
    derivative: (x) => (x > 0 ? 1 : 0),
    smooth: () => [0.1, 4],
  }),
  leakyRelu: pointwise<ops.LeakyReluOptions>(ops.leakyRelu, {
    value: (x, { negativeSlope = 0.01 }) => (x > 0 ? x : Math.fround(negativeSlope) * x),
    derivative: (x, { negativeSlope = 0.01 }) => (x > 0 ? 1 : negativeSlope),
    smooth: () => [-4, -0.1],
    hashed: [{ negativeSlope: 0.2 }],
    besides: [{}, { negativeSlope: 0.3 }],
  }),
  elu: pointwise<ops.EluOptions>(ops.elu, {
    value: (x, { alpha = 1 }) => (x > 0 ? x : alpha * Math.expm1(x)),
    derivative: (x, { alpha = 1 }) => (x > 0 ? 1 : alpha * Math.exp(x)),
    smooth: () => [-4, -0.1],
    hashed: [{ alpha: 1.3 }],
    besides: [{}, { alpha: 0.5 }],
    random: [{ alpha: 1.5 }, { alpha: 1.3 }],
  }),
  sigmoid: pointwise(ops.sigmoid, {
    value: logistic,
    derivative: (x) => logistic(x) * logistic(-x),
    range: () => [-20, 20],
  }),
  tanh: pointwise(ops.tanh, { value: Math.tanh, derivative: (x) => 1 / Math.cosh(x) ** 2, range: () => [-10, 10] }),
  scaledTanh: pointwise(ops.scaledTanh, {
    value: (x) => 1.7159 * Math.tanh((2 / 3) * x),
    derivative: (x) => (1.7159 * 2) / 3 / Math.cosh((2 / 3) * x) ** 2,
  }),
  softplus: pointwise<ops.SoftplusOptions>(ops.softplus, {
    value: (x, { beta = 1 }) => Math.log1p(Math.exp(beta * x)) / beta,
    derivative: (x, { beta = 1 }) => logistic(beta * x),
    hashed: [{ beta: 2 }],
    besides: [{}, { beta: 3 }],
    range: ({ beta }) => (beta === undefined ? [-30, 30] : [-4, 4]),
  }),
  gelu: pointwise<ops.GeluOptions>(ops.gelu, {
    value: (x, { approximate }) => x * (approximate === 'tanh' ? logistic(cubic(x)) : normalCdf(x)),
    derivative(x, { approximate }) {
      if (approximate !== 'tanh') return normalCdf(x) + x * density(x)
      const gate = logistic(cubic(x))
      return gate + x * gate * (1 - gate) * 2 * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x)
    },
    hashed: [{}, { approximate: 'tanh' }],
    calls: [[tensorOf(2, 3), { approximate: 'tanh' }]],
    range: ({ approximate }) => (approximate === 'tanh' ? [-4, 4] : [-8, 8]),
  }),
  silu: pointwise(ops.silu, {
    value: (x) => x * logistic(x),
    derivative: (x) => logistic(x) * (1 + x * logistic(-x)),
    range: () => [-20, 20],
  }),
  exp: pointwise(ops.exp, { value: Math.exp, derivative: Math.exp, smooth: () => [-2, 1] }),
  log: pointwise(ops.log, { value: Math.log, derivative: (x) => 1 / x, range: () => [0.01, 4], smooth: () => [1, 3] }),
  sqrt: pointwise(ops.sqrt, {
    value: Math.sqrt,
    derivative: (x) => 0.5 / Math.sqrt(x),
    range: () => [0.01, 4],
    smooth: () => [1, 3],
  }),
  pow: pointwise<number>(ops.pow, {
    value: (x, p) => x ** p,
    derivative: (x, p) => p * x ** (p - 1),
    range: () => [0.05, 4],
    smooth: () => [1, 2],
    hashed: [2.3],
    besides: [3, 2, 1, 0, 0.75, -1],
    random: [1.7, 2.3],
    calls: [[tensorOf(2, 3), 2.5]],
  }),
  square: pointwise(ops.square, { value: (x) => x * x, derivative: (x) => 2 * x }),
  abs: pointwise(ops.abs, { value: Math.abs, derivative: Math.sign, smooth: () => [0.1, 4] }),
  neg: pointwise(ops.neg, { value: (x) => -x, derivative: () => -1, linear: [[0]] }),
  clamp: pointwise<ops.ClampOptions>(ops.clamp, {
    value: (x, { min = -Infinity, max = Infinity }) => Math.min(Math.max(x, min), max),
    derivative: (x, { min = -Infinity, max = Infinity }) => (x >= min && x <= max ? 1 : 0),
    smooth: ({ min = -4, max = 3.1 }) => [min + 0.1, max - 0.1],
    hashed: [{ min: -0.5, max: 0.7 }],
    besides: [{ min: -1, max: 2 }, { min: 0.5 }, { max: 1 }],
    // Where elements of random cases are not, see `elements` of test/fuzz/targets/operations.ts.
    random: [{ min: -0.9, max: 1.1 }],
    calls: [[tensorOf(2, 3), { min: -1, max: 1 }]],
  }),
} as const

/** An operator of two tensors: with its row, what is tried of it over shapes that broadcast. */
export interface Arithmetic extends Operation {
  readonly op: (a: Tensor, b: Tensor | number) => Tensor
  value(this: void, a: number, b: number): number
  /** Its derivatives. */
  da(this: void, a: number, b: number): number
  db(this: void, a: number, b: number): number
}

/** Shapes that broadcast to one another. */
function broadcastable(random: Random): number[][] {
  const full = shapeOf(random)
  const part = full.map((n) => (random.chance(0.4) ? 1 : n)).slice(random.chance(0.4) ? random.below(full.length) : 0)
  return random.chance(0.5) ? [full, part] : [part, full]
}

/** Two references laid over each other as NumPy does. */
function broadcast([a, b]: readonly Reference[], of: (a: number, b: number) => number): Reference {
  const [left, right] = [a as Reference, b as Reference]
  const rank = Math.max(left.shape.length, right.shape.length)
  const padded = (shape: readonly number[]): number[] => [...new Array<number>(rank - shape.length).fill(1), ...shape]
  const shape = padded(left.shape).map((n, axis) => Math.max(n, padded(right.shape)[axis] as number))
  const pick = ({ shape: own, data }: Reference, index: readonly number[]): number =>
    data[
      at(
        own,
        index.slice(rank - own.length).map((i, axis) => (own[axis] === 1 ? 0 : i)),
      )
    ] as number
  return from(shape, (index) => of(pick(left, index), pick(right, index)))
}

function arithmetic(
  op: Arithmetic['op'],
  told: Pick<Arithmetic, 'value' | 'da' | 'db' | 'linear'>,
  values: Definition['values'] = 'any',
): Arithmetic {
  const definition = define({
    values,
    choose: (random) => ({ shapes: broadcastable(random), options: {} }),
    run: ([a, b]) => op(a as Tensor, b as Tensor),
    value: (inputs) => broadcast(inputs, told.value),
  })
  // The divisor alone is kept away from 0.
  const divisor: MakeCase = () => ({
    inputs: [normal([3, 5, 23]), positive([5, 1])],
    fn: (a, b) => op(a, b),
    value: (inputs) => broadcast(inputs, told.value),
  })
  const pairs = small(
    definition,
    [
      [
        [3, 5, 23],
        [3, 5, 23],
      ],
    ],
    [
      [
        [3, 5, 23],
        [5, 1],
      ],
    ],
  )
  return {
    ...told,
    op,
    definition,
    cases: values === 'positive' ? [divisor] : pairs,
    calls: [
      [tensorOf(2, 3), tensorOf(2, 3)],
      [tensorOf(2, 3), 4],
      [tensorOf(2, 1, 4), tensorOf(3, 1)],
    ],
    divided: {
      '': of(
        [
          [13, 17, 11],
          [13, 17, 11],
        ],
        op,
      ),
    },
  }
}

const product = arithmetic(ops.mul, { value: (a, b) => a * b, da: (_, b) => b, db: (a) => a, linear: [[0], [1]] })

/** Operators of two tensors. */
export const operators = {
  add: arithmetic(ops.add, { value: (a, b) => a + b, da: () => 1, db: () => 1, linear: [[0, 1]] }),
  sub: arithmetic(ops.sub, { value: (a, b) => a - b, da: () => 1, db: () => -1, linear: [[0, 1]] }),
  mul: {
    ...product,
    divided: {
      ...product.divided,
      'of what is broadcast': of(
        [
          [13, 17, 11],
          [17, 1],
        ],
        (x, w) => ops.mul(ops.add(x, w), 3),
      ),
    },
  },
  div: arithmetic(
    ops.div,
    { value: (a, b) => a / b, da: (_, b) => 1 / b, db: (a, b) => -a / (b * b), linear: [[0]] },
    'positive',
  ),
} as const

/** What is left of x is x times what is left of ones: the difference is 0 everywhere. */
const dropout = define({
  choose: (random) => ({ shapes: [shapeOf(random)], options: {} }),
  run([x]) {
    const options = { p: 0.4, seed: (x as Tensor).size, stream: 3 }
    const kept = ops.dropout(ones((x as Tensor).shape), options)
    return ops.sub(ops.dropout(x as Tensor, options), ops.mul(x as Tensor, kept))
  },
  value: ([x]) => mapped(x as Reference, () => 0),
})

export const elementwise = {
  ...functions,
  ...operators,
  dropout: {
    definition: dropout,
    cases: [of(plain, (x) => ops.dropout(x, { p: 0.3, seed: 4 }))],
    calls: [[tensorOf(2, 3), { p: 0.5, seed: 3, stream: 1 }]],
    linear: [[0]],
    divided: { '': of([[13, 17, 11]], (x) => ops.dropout(x, { p: 0.4, seed: 3 })) },
  },
} as const satisfies Rows
