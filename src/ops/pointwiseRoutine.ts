/**
 * Functions of one, two or three numbers of any types, element by element with broadcasting, computed in JavaScript: what imported
 * models ask for and no kernel does. They use + − · / and comparisons, which give the same bits in every engine; float32 is computed in
 * double precision, which for those rounds to what single precision gives.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { ArgumentError } from '../runtime/errors.js'
import { dtypes, type DType } from '../tensor/dtype.js'
import { broadcastShapes, checkSize, sizeOf, type Shape } from '../tensor/shape.js'
import { broadcastStrides } from '../tensor/strided.js'
import { elementsAt, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** One element, of any type. */
export type Element = number | bigint

/** A function of the elements of tensors that are laid over each other. */
export interface PointwiseRoutine {
  /** Types that each operand takes; all by default. */
  readonly types?: readonly DType[]
  /** Operands that have a type of their own, by their places; the others must be of one type. */
  readonly apart?: Readonly<Record<number, readonly DType[]>>
  /** Type of the result; default: that of the operands. */
  readonly dtype?: DType
  /** The function for a type: what it gives is put into an array of the result's type, which rounds or wraps. */
  compute(dtype: DType): (...elements: never[]) => Element
  /** Gradients of the operands, where all are float32. */
  gradient?(dy: Tensor, operands: readonly Tensor[], need: readonly boolean[]): readonly (Tensor | undefined)[]
}

const letters = ['a', 'b', 'c'] as const

interface Laid {
  readonly shape: Shape
  readonly strides: readonly (readonly number[])[]
  readonly sizes: readonly number[]
  readonly types: readonly DType[]
  readonly dtype: DType
  /** Type of the operands that have one in common. */
  readonly common: DType
}

/** Calls `use` with the place of each element of the result and of the operands that it is made of. */
function forEachPlace(
  shape: Shape,
  strides: readonly (readonly number[])[],
  use: (to: number, from: readonly number[]) => void,
): void {
  const from = strides.map(() => 0)
  let to = 0
  const go = (axis: number): void => {
    if (axis === shape.length) {
      use(to++, from)
      return
    }
    const before = [...from]
    for (let i = 0; i < (shape[axis] as number); i++) {
      go(axis + 1)
      for (let operand = 0; operand < from.length; operand++)
        from[operand] = (from[operand] as number) + ((strides[operand] as number[])[axis] as number)
    }
    before.forEach((place, operand) => (from[operand] = place))
  }
  go(0)
}

/** Makes an operation of so many operands. */
/* @__NO_SIDE_EFFECTS__ */
export function pointwiseRoutine(
  name: string,
  count: 1 | 2 | 3,
  { types = dtypes, apart = {}, dtype: given, compute, gradient }: PointwiseRoutine,
): (...operands: AnyTensor[]) => AnyTensor {
  const names = letters.slice(0, count)
  const takes = Object.fromEntries(names.map((letter, index) => [letter, apart[index] ?? types]))
  const infer = (inputs: Readonly<Record<string, AnyTensor>>): Laid => {
    const operands = names.map((letter) => inputs[letter] as AnyTensor)
    const alike = operands.filter((_, index) => !apart[index])
    const { dtype: common } = (alike[0] ?? operands[0]) as AnyTensor
    const other = alike.find(({ dtype }) => dtype !== common)
    if (other)
      throw new ArgumentError(`${name}: ${common} and ${other.dtype} do not go together; cast one to the other`)
    const shape = operands.reduce<Shape>((laid, operand) => broadcastShapes(laid, operand.shape, name), [])
    checkSize(shape, name)
    return {
      shape,
      strides: operands.map((operand) => broadcastStrides(operand.shape, shape)),
      sizes: operands.map(({ size }) => size),
      types: operands.map(({ dtype }) => dtype),
      dtype: given ?? common,
      common,
    }
  }
  const op: Op<Readonly<Record<string, AnyTensor>>, undefined, never, DType> = defineOp(name, {
    types: takes,
    infer,
    output: ({ shape }: Laid) => shape,
    dtype: ({ dtype }: Laid): DType => dtype,
    prepare: (list, { shape, strides, sizes, types: own, dtype, common }) => {
      const of = compute(common) as (...elements: Element[]) => Element
      list.routine(
        (out, ...addresses) => {
          const y = elementsAt(out, sizeOf(shape), dtype) as unknown as Element[]
          const read = addresses.map(
            (at, operand) => elementsAt(at, sizes[operand] as number, own[operand] as DType) as unknown as Element[],
          )
          const [a, b, c] = read as [Element[], Element[], Element[]]
          // One operand alone, and two of the shape of the result, lie as the result does.
          if (count === 1) {
            for (let i = 0; i < y.length; i++) y[i] = of(a[i] as Element)
            return
          }
          if (count === 2 && sizes.every((size) => size === y.length)) {
            for (let i = 0; i < y.length; i++) y[i] = of(a[i] as Element, b[i] as Element)
            return
          }
          forEachPlace(shape, strides, (to, from) => {
            const [i, j, k] = from as [number, number, number]
            if (count === 2) y[to] = of(a[i] as Element, b[j] as Element)
            else y[to] = of(a[i] as Element, b[j] as Element, c[k] as Element)
          })
        },
        list.out,
        ...names.map((letter) => list.operand(letter)),
      )
    },
    keeps: gradient ? [...names] : [],
    ...(gradient && {
      gradient: ({ inputs, need }, dy) => {
        const operands = names.map((letter) => inputs[letter] as Tensor)
        const gradients = gradient(
          dy,
          operands,
          names.map((letter) => need[letter] ?? false),
        )
        return Object.fromEntries(names.map((letter, index) => [letter, gradients[index]]))
      },
    }),
  })
  return (...operands) =>
    op(Object.fromEntries(names.map((letter, index) => [letter, operands[index] as AnyTensor])), undefined)
}
