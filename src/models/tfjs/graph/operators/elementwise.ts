/** Functions of one number, arithmetic, comparisons and choices. */
import { ArgumentError } from '../../../../runtime/errors.js'
import { elu, relu, sigmoid, softplus, tanh } from '../../../../ops/activation.js'
import { cast } from '../../../../ops/cast.js'
import * as choice from '../../../../ops/choice.js'
import { abs, add, div, exp, log, mul, neg, sqrt, square, sub } from '../../../../ops/elementwise.js'
import { broadcastTo } from '../../../../ops/layout.js'
import { pointwiseRoutine } from '../../../../ops/pointwiseRoutine.js'
import * as transcendental from '../../../../ops/transcendental.js'
import { tensor } from '../../../../tensor/create.js'
import type { DType } from '../../../../tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../../../../tensor/tensor.js'
import { clip, leaky, powers, selu, sloped } from '../../../functions.js'
import { constantsOf, need } from '../../../inputs.js'
import { relu6 } from '../../activations.js'
import { both, each, eachOf, laid, row, type Row, type Rows } from '../row.js'

/** A function of float32; whole numbers become that first, as TensorFlow.js does. */
const floats = (of: (x: Tensor) => AnyTensor): Row => each((x) => scope(() => of(cast(x, 'float32'))))

/** A function that is another of whole numbers. */
const either = (ofFloats: (x: Tensor) => AnyTensor, ofWhole: (x: AnyTensor) => AnyTensor): Row =>
  each((x) => (x.dtype === 'float32' ? ofFloats(x as Tensor) : ofWhole(x)))

const one = (value: number, dtype: DType = 'float32'): AnyTensor => tensor([value], [], { dtype })

type Binary = (a: AnyTensor, b: AnyTensor) => AnyTensor

/** Two operands of one type, arithmetic of floats or of whole numbers. */
const byType =
  (ofFloats: (a: Tensor, b: Tensor) => AnyTensor, ofWhole: Binary): Binary =>
  (a, b) =>
    a.dtype === 'float32' && b.dtype === 'float32' ? ofFloats(a as Tensor, b as Tensor) : ofWhole(a, b)

const arithmetic = (ofFloats: (a: Tensor, b: Tensor) => AnyTensor, ofWhole: Binary): Row =>
  both(byType(ofFloats, ofWhole))

const plus = byType(add, choice.addWhole)

/** ⌊a / b⌋ of whole numbers: what the remainder, which has the sign of b, leaves is divided without a rest. */
const floorDivWhole: Binary = (a, b) => scope(() => choice.divWhole(choice.subWhole(a, choice.modWhole(a, b)), b))
const floorDiv = byType((a, b) => scope(() => choice.floor(div(a, b))), floorDivWhole)

/** The remainder with the sign of the divisor. */
const floorMod = byType(
  pointwiseRoutine('floorMod', 2, {
    types: ['float32'],
    compute: () => (a: number, b: number) => (a < 0 === b < 0 ? a % b : ((a % b) + b) % b),
  }),
  choice.modWhole,
)

const difference = byType(
  (a, b) => scope(() => square(sub(a, b))),
  (a, b) =>
    scope(() => {
      const apart = choice.subWhole(a, b)
      return choice.mulWhole(apart, apart)
    }),
)

/** a where a condition holds, else b; a condition of fewer axes than a is laid along the first ones, as `Select` says. */
const select = (isFirstAxis: boolean): Row =>
  row([3, 3], (node) => {
    if (!isFirstAxis) {
      return laid(node, ([condition, a, b]) =>
        choice.where(condition as Tensor<'bool'>, a as AnyTensor, b as AnyTensor),
      )
    }
    return (inputs) => {
      const [condition, a, b] = [0, 1, 2].map((input) => need(inputs, input)) as [AnyTensor, AnyTensor, AnyTensor]
      const along =
        condition.ndim > 0 && condition.ndim < a.ndim
          ? condition.reshape([...condition.shape, ...new Array<number>(a.ndim - condition.ndim).fill(1)])
          : condition
      return choice.where(along as Tensor<'bool'>, a, b)
    }
  })

const Cast = row([1, 1], (node) => {
  const to = node.type('DstT', 'float32')
  return eachOf(node, (x) => cast(x, to))
})

/** Operands one after another, two at a time. */
const AddN = row([1, Infinity], (node) =>
  laid(node, ([first, ...others]) => scope(() => others.reduce(plus, (first as AnyTensor).alias()))),
)

const ClipByValue = row([3, 3], (node) => ({
  step: (inputs) => {
    const [min, max] = [1, 2].map((input) => constantsOf(need(inputs, input))[0]) as [number, number]
    if (!(min <= max)) throw new ArgumentError(`the limits ${min} and ${max} leave nothing between them`)
    return clip(need(inputs, 0), min, max)
  },
  ...(node.isFirst(0) && { first: [0], isFirst: true, ndim: node.ndim(0) }),
}))

const alike = (x: AnyTensor, value: number): AnyTensor => scope(() => broadcastTo(one(value, x.dtype), x.shape))

const of = transcendental

export const elementwise: Rows = {
  Abs: either(abs, choice.absWhole),
  Acos: floats(of.acos),
  Acosh: floats(of.acosh),
  Add: arithmetic(add, choice.addWhole),
  AddN,
  AddV2: arithmetic(add, choice.addWhole),
  Asin: floats(of.asin),
  Asinh: floats(of.asinh),
  Atan: floats(of.atan),
  Atan2: both(of.atan2 as Binary),
  Atanh: floats(of.atanh),
  Cast,
  Ceil: floats(choice.ceil),
  ClipByValue,
  Cos: floats(of.cos),
  Cosh: floats(of.cosh),
  // Of whole numbers TensorFlow.js gives the floor.
  Div: arithmetic(div, floorDivWhole),
  Elu: floats((x) => elu(x)),
  Equal: both(choice.equal),
  Erf: floats(of.erf),
  Exp: floats(exp),
  Expm1: floats((x) => mul(mul(of.sinh(mul(x, 0.5)), exp(mul(x, 0.5))), 2)),
  Floor: floats(choice.floor),
  FloorDiv: both(floorDiv),
  FloorMod: both(floorMod),
  Greater: both(choice.greater),
  GreaterEqual: both(choice.greaterOrEqual),
  IsNan: floats(choice.isNaNs),
  LeakyRelu: row([1, 1], (node) => {
    const alpha = node.float('alpha', 0.2)
    return eachOf(node, (x) => leaky(x as Tensor, alpha))
  }),
  Less: both(choice.less),
  LessEqual: both(choice.lessOrEqual),
  Log: floats(log),
  Log1p: floats((x) => mul(of.atanh(div(x, add(x, 2))), 2)),
  LogicalAnd: both(choice.logicalAnd),
  LogicalNot: each(choice.logicalNot),
  LogicalOr: both(choice.logicalOr),
  Maximum: both(choice.maximum),
  Minimum: both(choice.minimum),
  Mod: both(floorMod),
  Mul: arithmetic(mul, choice.mulWhole),
  Neg: either(neg, choice.negWhole),
  NotEqual: both((a, b) => scope(() => choice.logicalNot(choice.equal(a, b)))),
  OnesLike: each((x) => alike(x, 1)),
  Pow: both(powers),
  Prelu: row([2, 2], (node) => laid(node, ([x, slope]) => sloped(x as Tensor, slope as Tensor)), { weights: [1] }),
  RealDiv: arithmetic(div, floorDivWhole),
  Reciprocal: floats((x) => div(one(1) as Tensor, x)),
  Relu: either(relu, (x) => scope(() => choice.maximum(x, one(0, x.dtype)))),
  Relu6: floats(relu6),
  Round: floats(choice.round),
  Rsqrt: floats((x) => div(one(1) as Tensor, sqrt(x))),
  Select: select(true),
  SelectV2: select(false),
  Selu: floats((x) => selu(x)),
  Sigmoid: floats(sigmoid),
  Sign: each(choice.sign),
  Sin: floats(of.sin),
  Sinh: floats(of.sinh),
  Softplus: floats((x) => softplus(x)),
  Sqrt: floats(sqrt),
  Square: either(square, (x) => choice.mulWhole(x, x)),
  SquaredDifference: both(difference),
  Sub: arithmetic(sub, choice.subWhole),
  Tan: floats(of.tan),
  Tanh: floats(tanh),
  ZerosLike: each((x) => alike(x, 0)),
}
