/** Functions of one number, arithmetic, comparisons and choices. */
import { ArgumentError, UnsupportedError } from '../../../runtime/errors.js'
import { elu, gelu, relu, sigmoid, softplus, tanh } from '../../../ops/activation.js'
import { cast } from '../../../ops/cast.js'
import * as choice from '../../../ops/choice.js'
import { abs, add, div, exp, log, mul, neg, sqrt, sub } from '../../../ops/elementwise.js'
import { pointwiseRoutine } from '../../../ops/pointwiseRoutine.js'
import { dropout } from '../../../ops/dropout.js'
import type { DType } from '../../../tensor/dtype.js'
import { broadcastShapes } from '../../../tensor/shape.js'
import { tensor } from '../../../tensor/create.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import { elementTypeName } from '../../../formats/onnx.js'
import type { NodeReader } from '../node.js'
import { clip, hardSigmoid, leaky, limited, powers, sloped } from '../../functions.js'
import { always, constantsOf, floats, need, type Meaning, type Rows } from '../row.js'

/** A function of float32 that has no attributes. */
export const plain = (of: (x: Tensor) => Tensor): readonly Meaning[] =>
  always([1, 1], (node) => {
    // Opsets before 6 could say that the input's memory may be used.
    node.ignore('consumed_inputs')
    return (inputs) => of(floats(inputs, 0))
  })

/** A function that is another of whole numbers. */
const either = (ofFloats: (x: Tensor) => Tensor, ofWhole: (x: AnyTensor) => AnyTensor): readonly Meaning[] =>
  always([1, 1], (node) => {
    node.ignore('consumed_inputs')
    return (inputs) => {
      const x = need(inputs, 0)
      return x.dtype === 'float32' ? ofFloats(x as Tensor) : ofWhole(x)
    }
  })

/** b laid over a from an axis on, as opsets before 7 say it. */
function laid(a: AnyTensor, b: AnyTensor, axis: number | undefined): AnyTensor {
  const first = axis === undefined ? a.ndim - b.ndim : axis < 0 ? axis + a.ndim : axis
  const behind = a.ndim - first - b.ndim
  if (behind < 0) throw new ArgumentError(`axis ${axis} leaves no room for the second input`)
  return b.reshape([...b.shape, ...new Array<number>(behind).fill(1)])
}

/** Arithmetic of two operands: before opset 7 the second is laid over the first only where `broadcast` says so. */
const binary = (of: (a: AnyTensor, b: AnyTensor) => AnyTensor): readonly Meaning[] => [
  {
    since: 1,
    inputs: [2, 2],
    lower(node) {
      node.ignore('consumed_inputs')
      const broadcast = node.flag('broadcast')
      const axis = node.hasAttribute('axis') ? node.int('axis') : undefined
      return (inputs) => {
        const [a, b] = [need(inputs, 0), need(inputs, 1)]
        if (!broadcast && a.shape.join() !== b.shape.join())
          throw new ArgumentError('before opset 7 the inputs must be of one shape, or broadcast must be 1')
        return scope(() => of(a, broadcast ? laid(a, b, axis) : b))
      }
    },
  },
  { since: 7, inputs: [2, 2], lower: () => (inputs) => of(need(inputs, 0), need(inputs, 1)) },
]

const arithmetic = (
  ofFloats: (a: Tensor, b: Tensor) => Tensor,
  ofWhole: (a: AnyTensor, b: AnyTensor) => AnyTensor,
): readonly Meaning[] =>
  binary((a, b) =>
    a.dtype === 'float32' && b.dtype === 'float32' ? ofFloats(a as Tensor, b as Tensor) : ofWhole(a, b),
  )

/** A function of any number of operands, two at a time. */
const many = (
  of: (a: AnyTensor, b: AnyTensor) => AnyTensor,
  end: (sum: AnyTensor, count: number) => AnyTensor = (y) => y,
): readonly Meaning[] =>
  always([1, Infinity], (node) => {
    node.ignore('consumed_inputs')
    return (inputs) => {
      const [first, ...others] = inputs.map((_, index) => need(inputs, index)) as [AnyTensor, ...AnyTensor[]]
      return scope(() => end(others.reduce(of, first.alias()), inputs.length))
    }
  })

const plus = (a: AnyTensor, b: AnyTensor): AnyTensor =>
  a.dtype === 'float32' ? add(a as Tensor, b as Tensor) : choice.addWhole(a, b)

/** Names of ONNX's types that are types of tensors here; those that are widened or narrowed are float32. */
const held: Readonly<Record<string, DType>> = {
  float32: 'float32',
  float16: 'float32',
  bfloat16: 'float32',
  float64: 'float32',
  int32: 'int32',
  int16: 'int32',
  uint16: 'int32',
  int64: 'int64',
  uint32: 'int64',
  uint8: 'uint8',
  int8: 'int8',
  bool: 'bool',
}

/** The type of a code of onnx.proto. @throws UnsupportedError */
export function typeOf(code: number): DType {
  const name = elementTypeName(code)
  const dtype = held[name]
  if (dtype === undefined) throw new UnsupportedError(`the type ${name} is not supported`)
  return dtype
}

/** The nearest number that float16 holds, of two the even one; beyond 65,504 infinity. */
const toHalf = pointwiseRoutine('toFloat16', 1, {
  types: ['float32'],
  compute: () => {
    const float = new Float32Array(1)
    const word = new Uint32Array(float.buffer)
    return (value: number) => {
      float[0] = value
      const exponent = Math.max((((word[0] as number) >>> 23) & 255) - 127, -14)
      if (exponent === 128) return value
      // Numbers of one exponent are steps of 2^(exponent − 10) apart.
      word[0] = (exponent - 10 + 127) << 23
      const step = float[0]
      const steps = value / step
      const down = Math.floor(steps)
      const apart = steps - down
      const rounded = (apart > 0.5 || (apart === 0.5 && down % 2 !== 0) ? down + 1 : down) * step
      return Math.abs(rounded) > 65504 ? Math.sign(rounded) * Infinity : rounded
    }
  },
})

/** Conversion to a type of ONNX: those that are no types of tensors here are held as float32, rounded. */
function conversionTo(code: number): (x: AnyTensor) => AnyTensor {
  const name = elementTypeName(code)
  const dtype = typeOf(code)
  if (name === 'float16') return (x) => toHalf(cast(x, 'float32'))
  if (name === 'bfloat16')
    throw new UnsupportedError('a conversion to bfloat16 is not supported: exporters round it in different ways')
  if (name === 'int16' || name === 'uint16' || name === 'uint32')
    throw new UnsupportedError(`a conversion to ${name} is not supported: no tensor holds it`)
  return (x) => cast(x, dtype)
}

const Cast: Meaning = {
  since: 6,
  inputs: [1, 1],
  lower(node) {
    const to = node.int('to')
    node.ignore('saturate', 'round_mode')
    const convert = conversionTo(to)
    return (inputs) => scope(() => convert(need(inputs, 0)))
  },
}

const Clip: readonly Meaning[] = [
  {
    since: 1,
    inputs: [1, 1],
    lower(node) {
      node.ignore('consumed_inputs')
      const [min, max] = [node.float('min', -Infinity), node.float('max', Infinity)]
      return (inputs) => clip(floats(inputs, 0), min, max)
    },
  },
  {
    since: 11,
    inputs: [1, 3],
    lower: () => (inputs) => {
      const [x, min, max] = [need(inputs, 0), inputs[1], inputs[2]]
      const isThere = (bound: AnyTensor | undefined): boolean => !bound?.storage.isPlanned
      if (x.dtype !== 'float32' || !isThere(min) || !isThere(max)) return limited(x, min, max)
      const numberOf = (bound: AnyTensor | undefined, otherwise: number): number =>
        bound ? (constantsOf(bound)[0] as number) : otherwise
      return clip(x, numberOf(min, -Infinity), numberOf(max, Infinity))
    },
  },
]

const scaled = (name: string, alpha: number, of: (x: Tensor, alpha: number) => Tensor): readonly Meaning[] =>
  always([1, 1], (node) => {
    node.ignore('consumed_inputs')
    const value = node.float(name, alpha)
    return (inputs) => of(floats(inputs, 0), value)
  })

const PRelu: Meaning = {
  since: 1,
  inputs: [2, 2],
  weights: [1],
  lower(node) {
    node.ignore('consumed_inputs')
    return (inputs) => {
      const [x, slope] = [floats(inputs, 0), floats(inputs, 1)]
      // Before opset 7 one slope for each channel is laid along axis 1.
      const along =
        node.opset < 7 && slope.ndim === 1 && x.ndim > 2 ? slope.reshape([-1, ...x.shape.slice(2).map(() => 1)]) : slope
      broadcastShapes(x.shape, along.shape, 'PRelu')
      return sloped(x, along)
    }
  },
}

/** x where a mask is given, in training; else as it is. */
const Dropout =
  (read: (node: NodeReader) => (inputs: readonly (AnyTensor | undefined)[]) => number): Meaning['lower'] =>
  (node) => {
    const ratioOf = read(node)
    node.ignore('is_test', 'consumed_inputs', 'seed')
    return (inputs, { training, seed, stream }) => {
      const x = floats(inputs, 0)
      if (inputs[2] && constantsOf(inputs[2])[0] && ratioOf(inputs) > 0)
        throw new UnsupportedError('a training_mode that is true is not supported: use train()')
      const y = training ? dropout(x, { p: ratioOf(inputs), seed, stream }) : x.alias()
      if (!node.gives(1)) return y
      if (training) throw new UnsupportedError('the mask of a dropout that is trained is not supported')
      return [y, cast(tensor(new Float32Array(x.size).fill(1), x.shape), 'bool')]
    }
  }

const compared = (of: (a: AnyTensor, b: AnyTensor) => AnyTensor): readonly Meaning[] => binary(of)

export const elementwise: Rows = {
  Relu: either(relu, (x) => scope(() => choice.maximum(x, tensor([0], [], { dtype: x.dtype })))),
  Sigmoid: plain(sigmoid),
  Tanh: plain(tanh),
  Exp: plain(exp),
  Log: plain(log),
  Sqrt: plain(sqrt),
  Softplus: plain((x) => softplus(x)),
  Floor: plain(choice.floor as (x: Tensor) => Tensor),
  Ceil: plain(choice.ceil as (x: Tensor) => Tensor),
  Round: plain(choice.round as (x: Tensor) => Tensor),
  Reciprocal: plain((x) => scope(() => div(tensor([1], []), x))),
  Abs: either(abs, choice.absWhole),
  Neg: either(neg, choice.negWhole),
  Sign: either((x) => choice.sign(x) as Tensor, choice.sign),
  IsNaN: plain(choice.isNaNs as unknown as (x: Tensor) => Tensor),
  Not: always([1, 1], () => (inputs) => choice.logicalNot(need(inputs, 0))),
  LeakyRelu: scaled('alpha', 0.01, leaky),
  Elu: scaled('alpha', 1, (x, alpha) => elu(x, { alpha })),
  Gelu: [
    {
      since: 20,
      inputs: [1, 1],
      lower(node) {
        const approximate = node.text('approximate', 'none', ['none', 'tanh'])
        return (inputs) => gelu(floats(inputs, 0), { approximate: approximate as 'none' | 'tanh' })
      },
    },
  ],
  ThresholdedRelu: scaled('alpha', 1, (x, alpha) =>
    scope(() => mul(x, cast(choice.greater(x, tensor([alpha], [])), 'float32'))),
  ),
  HardSigmoid: always([1, 1], (node) => {
    node.ignore('consumed_inputs')
    const [alpha, beta] = [node.float('alpha', 0.2), node.float('beta', 0.5)]
    return (inputs) => hardSigmoid(floats(inputs, 0), alpha, beta)
  }),
  HardSwish: plain((x) => scope(() => mul(x, hardSigmoid(x, 1 / 6, 0.5)))),
  PRelu: [PRelu],
  Clip,
  Cast: [Cast],
  CastLike: [
    {
      since: 15,
      inputs: [2, 2],
      lower(node) {
        node.ignore('saturate', 'round_mode')
        return (inputs) => cast(need(inputs, 0), need(inputs, 1).dtype)
      },
    },
  ],
  Add: arithmetic(add, choice.addWhole),
  Sub: arithmetic(sub, choice.subWhole),
  Mul: arithmetic(mul, choice.mulWhole),
  Div: arithmetic(div, choice.divWhole),
  Mod: [
    {
      since: 10,
      inputs: [2, 2],
      lower(node) {
        const isC = node.flag('fmod')
        return (inputs) => {
          const [a, b] = [need(inputs, 0), need(inputs, 1)]
          if (a.dtype === 'float32' && !isC) throw new UnsupportedError('remainders of float32 need fmod 1')
          return isC ? choice.fmod(a, b) : choice.modWhole(a, b)
        }
      },
    },
  ],
  Pow: binary(powers),
  Max: many(choice.maximum),
  Min: many(choice.minimum),
  Sum: many(plus),
  Mean: many(plus, (y, count) => div(y as Tensor, count)),
  Equal: compared(choice.equal),
  Greater: compared(choice.greater),
  GreaterOrEqual: compared(choice.greaterOrEqual),
  Less: compared(choice.less),
  LessOrEqual: compared(choice.lessOrEqual),
  And: compared(choice.logicalAnd),
  Or: compared(choice.logicalOr),
  Xor: compared(choice.logicalXor),
  Where: [
    {
      since: 9,
      inputs: [3, 3],
      lower: () => (inputs) => choice.where(need(inputs, 0) as Tensor<'bool'>, need(inputs, 1), need(inputs, 2)),
    },
  ],
  Dropout: [
    {
      since: 1,
      inputs: [1, 1],
      lower: Dropout((node) =>
        (
          (ratio) => () =>
            ratio
        )(node.float('ratio', 0.5)),
      ),
    },
    {
      since: 12,
      inputs: [1, 3],
      lower: Dropout(() => (inputs) => (inputs[1] ? (constantsOf(inputs[1])[0] ?? 0.5) : 0.5)),
    },
  ],
}
