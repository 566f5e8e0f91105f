/** Numbers of one type as those of another. */
import { defineOp, type Op } from '../autodiff/op.js'
import { withArity } from '../runtime/options.js'
import { checkDType, dtypes, ranges, type DType } from '../tensor/dtype.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import { elementsAt, Tensor, type AnyTensor } from '../tensor/tensor.js'

/** Types of whole numbers. */
type Whole = Exclude<DType, 'float32'>

/**
 * A bigint as a double that becomes the float32 nearest to it. Beyond 2⁵³, where two roundings could go another way than one, bits that
 * no float32 has are put together into one.
 */
function toDouble(value: number | bigint): number {
  const double = Number(value)
  if (typeof value === 'number' || Number.isSafeInteger(double)) return double
  const kept = value & ~2047n
  return Number(kept === value ? kept : kept | 2048n)
}

/**
 * How an element becomes one of another type: to float32 the nearest, of two the even; to a bool whether it is not 0; to whole
 * numbers towards 0, and what the type does not hold becomes its nearest, NaN 0.
 */
function converter(from: DType, to: DType): (value: number | bigint) => number | bigint {
  if (to === 'float32') return toDouble
  // A bigint is compared with 0 as a number is.
  if (to === 'bool') return (value) => Number(value != 0)
  const [least, most] = ranges[to as Whole]
  const [low, high] = [Number(least), Number(most)]
  const limited = (value: bigint): bigint => (value < least ? least : value > most ? most : value)
  if (from === 'int64') return to === 'int64' ? (value) => value : (value) => Number(limited(value as bigint))
  // Above 2⁵³ the limits of int64 are no doubles: what is limited is the bigint.
  const whole = (value: number): number => (Number.isNaN(value) ? 0 : Math.trunc(Math.min(high, Math.max(low, value))))
  return to === 'int64' ? (value) => limited(BigInt(whole(value as number))) : (value) => whole(value as number)
}

interface Casting {
  readonly shape: Shape
  readonly from: DType
  readonly to: DType
}

const casting: Op<{ x: AnyTensor }, DType, never, DType> = defineOp('cast', {
  types: dtypes,
  infer: ({ x }: { x: AnyTensor }, to: DType): Casting => {
    checkDType(to, 'cast')
    return { shape: x.shape, from: x.dtype, to }
  },
  output: ({ shape }) => shape,
  dtype: ({ to }) => to,
  prepare: (list, { shape, from, to }) => {
    const size = sizeOf(shape)
    const convert = converter(from, to)
    list.routine(
      (y, x) => {
        const [values, given] = [elementsAt(y, size, to), elementsAt(x, size, from)]
        for (let i = 0; i < size; i++) values[i] = convert(given[i] as number)
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/**
 * x with elements of another type. To float32 each becomes the nearest number; to whole numbers what is behind the point is dropped
 * and what the type does not hold becomes the nearest that it holds, NaN 0; to bool 0 is false. Only float32 to float32 has a gradient.
 *
 *     cast(tensor([2.7, -1, 300]), 'uint8')        // Tensor (3) uint8 [2, 0, 255]
 *
 * @throws ShapeError when there is no such type.
 */
export const cast = withArity('cast', 2, <D extends DType>(x: AnyTensor, dtype: D): Tensor<D> =>
  x instanceof Tensor && x.dtype === dtype ? (x.alias() as Tensor<D>) : (casting({ x }, dtype) as Tensor<D>),
)
