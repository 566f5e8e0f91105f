/** Functions of one number beyond those of elementwise.ts, and small matters of whole numbers. */
import { ArgumentError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { elu } from '../../../ops/activation.js'
import { cast } from '../../../ops/cast.js'
import { equal, greater, less, where } from '../../../ops/choice.js'
import { add, div, mul } from '../../../ops/elementwise.js'
import { pointwiseRoutine, type Element } from '../../../ops/pointwiseRoutine.js'
import * as of from '../../../ops/transcendental.js'
import { gather } from '../../../ops/places.js'
import { tensor } from '../../../tensor/create.js'
import type { DType } from '../../../tensor/dtype.js'
import { checkAxis, checkSize, showShape, sizeOf } from '../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import { floats, need, optionalNumbers, type Given, type Meaning, type Rows } from '../row.js'
import { mish, selu, seluAlpha, seluScale, softsign } from '../../functions.js'
import { plain, typeOf } from './elementwise.js'

/** A function that is there from an opset on. */
const from = (since: number, of: (x: Tensor) => Tensor): readonly Meaning[] => [
  { since, inputs: [1, 1], lower: () => (inputs) => of(floats(inputs, 0)) },
]

const scalar = (value: number, dtype: DType = 'float32'): AnyTensor => tensor([value], [], { dtype })

const Selu: Meaning = {
  since: 6,
  inputs: [1, 1],
  lower(node) {
    const alpha = node.float('alpha', seluAlpha)
    const gamma = node.float('gamma', seluScale)
    return (inputs) => selu(floats(inputs, 0), alpha, gamma)
  },
}

const Celu: Meaning = {
  since: 12,
  inputs: [1, 1],
  lower(node) {
    const alpha = node.float('alpha', 1)
    if (!(alpha > 0)) throw new UnsupportedError(`alpha ${alpha} is not supported; it must be above 0`)
    // max(0, x) + min(0, α·(e^(x/α) − 1)).
    return (inputs) => scope(() => mul(elu(div(floats(inputs, 0), alpha)), alpha))
  },
}

const Shrink: Meaning = {
  since: 9,
  inputs: [1, 1],
  lower(node) {
    const [lambda, bias] = [node.float('lambd', 0.5), node.float('bias', 0)]
    return (inputs) => {
      const given = need(inputs, 0)
      return scope(() => {
        const x = cast(given, 'float32')
        const zero = scalar(0) as Tensor
        const below = where(less(x, scalar(-lambda)), add(x, bias), zero)
        return cast(where(greater(x, scalar(lambda)), add(x, -bias), below), given.dtype)
      })
    }
  },
}

/** Whether an element is infinite: 1 for +∞ alone, −1 for −∞ alone, 0 for either, NaN for neither. */
const infinite = (name: string, sign: number): ((x: AnyTensor) => AnyTensor) =>
  pointwiseRoutine(name, 1, {
    types: ['float32'],
    dtype: 'bool',
    compute: () => (x: number) => Number((x === Infinity && sign >= 0) || (x === -Infinity && sign <= 0)),
  })
const isNegative = infinite('isNegativeInfinity', -1)
const isEither = infinite('isInfinite', 0)
const isPositive = infinite('isPositiveInfinity', 1)
const isNeither = infinite('isNeitherInfinity', NaN)

const IsInf: Meaning = {
  since: 10,
  inputs: [1, 1],
  lower(node) {
    const [negative, positive] = [node.flag('detect_negative', true), node.flag('detect_positive', true)]
    const detect = negative ? (positive ? isEither : isNegative) : positive ? isPositive : isNeither
    return (inputs) => detect(floats(inputs, 0))
  },
}

/**
 * Whole numbers without a sign, shifted. ONNX shifts no others, so that int32 stands for uint16 and int64 for uint32 here, which are held
 * in them: of what is shifted out at the top nothing is left.
 */
const shift = (isLeft: boolean): ((a: AnyTensor, b: AnyTensor) => AnyTensor) =>
  pointwiseRoutine(isLeft ? 'shiftLeft' : 'shiftRight', 2, {
    types: ['uint8', 'int32', 'int64'],
    compute: (dtype) => {
      const bits = dtype === 'uint8' ? 8 : dtype === 'int32' ? 16 : 32
      return (a: Element, b: Element) => {
        const by = Number(b)
        const y = by >= bits ? 0n : BigInt.asUintN(bits, isLeft ? BigInt(a) << BigInt(by) : BigInt(a) >> BigInt(by))
        return dtype === 'int64' ? y : Number(y)
      }
    },
  })
const [shiftLeft, shiftRight] = [shift(true), shift(false)]

const BitShift: Meaning = {
  since: 11,
  inputs: [2, 2],
  lower(node) {
    const shifted = node.text('direction', '', ['LEFT', 'RIGHT']) === 'LEFT' ? shiftLeft : shiftRight
    return (inputs) => shifted(need(inputs, 0), need(inputs, 1))
  },
}

/** 1 where a place is on or above the k-th diagonal of (rows, columns). */
const diagonal = (rows: number, columns: number, holds: (row: number, column: number) => boolean): number[] =>
  Array.from({ length: rows * columns }, (_, i) => Number(holds(Math.floor(i / columns), i % columns)))

const Trilu: Meaning = {
  since: 14,
  inputs: [1, 2],
  lower(node) {
    const isUpper = node.flag('upper', true)
    return (inputs) => {
      const x = need(inputs, 0)
      const [k = 0] = optionalNumbers(inputs, 1) ?? []
      if (x.ndim < 2) throw new ShapeError(`expected (…, N, M), given ${showShape(x.shape)}`)
      const [rows, columns] = x.shape.slice(-2) as [number, number]
      return scope(() => {
        const kept = diagonal(rows, columns, (row, column) => (isUpper ? column - row >= k : column - row <= k))
        return where(tensor(kept, [rows, columns], { dtype: 'bool' }), x, scalar(0, x.dtype))
      })
    }
  },
}

const EyeLike: Meaning = {
  since: 9,
  inputs: [1, 1],
  lower(node) {
    const k = node.int('k', 0)
    const given = node.hasAttribute('dtype') ? typeOf(node.int('dtype')) : undefined
    return (inputs) => {
      const x = need(inputs, 0)
      if (x.ndim !== 2) throw new ShapeError(`expected (N, M), given ${showShape(x.shape)}`)
      const [rows, columns] = x.shape as unknown as [number, number]
      const ones = diagonal(rows, columns, (row, column) => column - row === k)
      return tensor(ones, [rows, columns], { dtype: given ?? x.dtype })
    }
  },
}

/** Indices as rows of on and off. Negative ones count from the end; of those outside all is off. */
function oneHot(indices: AnyTensor, depth: number, values: AnyTensor, given: number): AnyTensor {
  if (values.size !== 2) throw new ArgumentError(`values must be off and on, given ${showShape(values.shape)}`)
  const axis = checkAxis(given, indices.ndim + 1, 'axis')
  return scope(() => {
    const whole = cast(indices, 'int64')
    const at = whole.reshape([...whole.shape.slice(0, axis), 1, ...whole.shape.slice(axis)])
    const classes = (first: number): AnyTensor =>
      tensor(
        Array.from({ length: depth }, (_, i) => i + first),
        [depth, ...indices.shape.slice(axis).map(() => 1)],
        { dtype: 'int64' },
      )
    const value = (place: number): AnyTensor =>
      gather(values.reshape([2]), tensor([place], [1], { dtype: 'int64' }), 0).reshape([])
    const fromEnd = where(equal(at, classes(-depth)), value(1), value(0))
    return where(equal(at, classes(0)), value(1), fromEnd)
  })
}

const OneHot: Meaning = {
  since: 9,
  inputs: [3, 3],
  lower(node) {
    const axis = node.int('axis', -1)
    return (inputs) => {
      const [depth = 0] = depthOf(need(inputs, 1))
      checkSize([...need(inputs, 0).shape, depth], 'OneHot')
      return oneHot(need(inputs, 0), depth, need(inputs, 2), axis)
    }
  },
}

/** The number of classes, which may be of any type. */
const depthOf = (x: AnyTensor): number[] => Array.from(x.data() as Iterable<number | bigint>, Number)

/** Subtensors along an axis, or elements, each once. */
function unique(x: AnyTensor, axis: number | undefined, isSorted: boolean): Given {
  const along = axis === undefined ? x.reshape([x.size]) : x
  const at = axis === undefined ? 0 : checkAxis(axis, x.ndim, 'axis')
  const n = along.shape[at] as number
  const [outer, inner] = [sizeOf(along.shape.slice(0, at)), sizeOf(along.shape.slice(at + 1))]
  const values = along.data() as ArrayLike<number | bigint>
  /** Below 0 where part i comes before part j: element by element, NaN last. */
  const order = (i: number, j: number): number => {
    for (let row = 0; row < outer; row++) {
      for (let k = 0; k < inner; k++) {
        const [a, b] = [i, j].map((part) => values[(row * n + part) * inner + k]) as [number, number]
        if (a === b || (a !== a && b !== b)) continue
        return a < b || b !== b ? -1 : 1
      }
    }
    return 0
  }
  const sorted = Array.from({ length: n }, (_, i) => i).sort((i, j) => order(i, j) || i - j)
  /** Parts that are alike, the first one first. */
  const groups: number[][] = []
  for (const part of sorted) {
    const last = groups.at(-1)
    if (last && order(last[0] as number, part) === 0) last.push(part)
    else groups.push([part])
  }
  if (!isSorted) groups.sort(([i], [j]) => (i as number) - (j as number))
  const inverse = new Array<number>(n)
  groups.forEach((group, index) => group.forEach((part) => (inverse[part] = index)))
  const whole = (list: readonly number[]): Tensor<'int64'> => tensor(list, [list.length], { dtype: 'int64' })
  return scope(() => {
    const first = whole(groups.map(([part]) => part as number))
    return [gather(along, first, at), first, whole(inverse), whole(groups.map((group) => group.length))]
  })
}

const Unique: Meaning = {
  since: 11,
  inputs: [1, 1],
  lower(node) {
    const axis = node.hasAttribute('axis') ? node.int('axis') : undefined
    const isSorted = node.flag('sorted', true)
    return (inputs) => unique(need(inputs, 0), axis, isSorted)
  },
}

export const functions: Rows = {
  Erf: from(9, of.erf),
  Sin: from(7, of.sin),
  Cos: from(7, of.cos),
  Tan: from(7, of.tan),
  Asin: from(7, of.asin),
  Acos: from(7, of.acos),
  Atan: from(7, of.atan),
  Sinh: from(9, of.sinh),
  Cosh: from(9, of.cosh),
  Asinh: from(9, of.asinh),
  Acosh: from(9, of.acosh),
  Atanh: from(9, of.atanh),
  Selu: [Selu],
  Celu: [Celu],
  Mish: from(18, mish),
  Softsign: plain(softsign),
  Shrink: [Shrink],
  IsInf: [IsInf],
  BitShift: [BitShift],
  Trilu: [Trilu],
  EyeLike: [EyeLike],
  OneHot: [OneHot],
  Unique: [Unique],
}
