/** Elements by their places, for models from elsewhere: taken, and added back by gradients. Computed in JavaScript. */
import { defineOp, type Op } from '../autodiff/op.js'
import { ArgumentError } from '../runtime/errors.js'
import { dtypes, type DType, type ElementArrays } from '../tensor/dtype.js'
import { checkAxis, checkSize, sizeOf, type Shape } from '../tensor/shape.js'
import { elementsAt, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** Rows along an axis: x seen as (outer, n, inner). */
interface Rows {
  readonly dtype: DType
  readonly xShape: Shape
  readonly indexShape: Shape
  readonly indexType: DType
  readonly axis: number
  readonly outer: number
  readonly n: number
  readonly inner: number
}

const indexTypes: readonly DType[] = ['int64', 'int32', 'uint8', 'int8']

/** Places from 0 on; negative ones count from the end. @throws ArgumentError where there is none */
function placesOf(indices: ElementArrays[DType], n: number, name: string): Int32Array {
  return Int32Array.from(indices as ArrayLike<number | bigint>, (index: number | bigint, i: number) => {
    const place = Number(index)
    if (!(place >= -n && place < n))
      throw new ArgumentError(`${name}: indices[${i}] must be from ${-n} to ${n - 1}, given ${place}`)
    return place < 0 ? place + n : place
  })
}

/** The rows of x at `indices` along an axis: the axis is replaced by those of `indices`. */
const gathered: Op<{ x: AnyTensor; indices: AnyTensor }, number, never, DType> = defineOp('gather', {
  types: { x: dtypes, indices: indexTypes },
  infer: ({ x, indices }: { x: AnyTensor; indices: AnyTensor }, given: number): Rows => {
    const axis = checkAxis(given, x.ndim, 'gather')
    const rows = {
      dtype: x.dtype,
      xShape: x.shape,
      indexShape: indices.shape,
      indexType: indices.dtype,
      axis,
      outer: sizeOf(x.shape.slice(0, axis)),
      n: x.shape[axis] as number,
      inner: sizeOf(x.shape.slice(axis + 1)),
    }
    checkSize(gatheredShape(rows), 'gather')
    return rows
  },
  output: (rows) => gatheredShape(rows),
  dtype: ({ dtype }): DType => dtype,
  prepare: (list, { dtype, indexShape, indexType, outer, n, inner }) => {
    const count = sizeOf(indexShape)
    list.routine(
      (out, from, at) => {
        const y = elementsAt(out, outer * count * inner, dtype) as Float32Array
        const x = elementsAt(from, outer * n * inner, dtype) as Float32Array
        const places = placesOf(elementsAt(at, count, indexType), n, 'gather')
        let to = 0
        for (let row = 0; row < outer; row++) {
          for (let i = 0; i < count; i++) {
            const first = (row * n + (places[i] as number)) * inner
            if (inner === 1) y[to] = x[first] as number
            else y.set(x.subarray(first, first + inner), to)
            to += inner
          }
        }
      },
      list.out,
      list.operand('x'),
      list.operand('indices'),
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, dy, rows) => ({ x: need.x && added({ dy, indices }, rows) }),
})

const gatheredShape = ({ xShape, indexShape, axis }: Rows): number[] => [
  ...xShape.slice(0, axis),
  ...indexShape,
  ...xShape.slice(axis + 1),
]

/** dx: dy added at the rows that were taken, in their order, in double precision. */
const added: Op<{ dy: Tensor; indices: AnyTensor }, Rows> = defineOp('gatherGradient', {
  types: { indices: indexTypes },
  nothing: 'zeros',
  infer: (_: { dy: Tensor; indices: AnyTensor }, rows: Rows) => rows,
  output: ({ xShape }) => xShape,
  prepare: (list, { indexShape, indexType, outer, n, inner }) => {
    const count = sizeOf(indexShape)
    list.routine(
      (out, from, at) => {
        const sums = new Float64Array(outer * n * inner)
        const dy = elementsAt(from, outer * count * inner, 'float32')
        const places = placesOf(elementsAt(at, count, indexType), n, 'gather')
        let next = 0
        for (let row = 0; row < outer; row++) {
          for (let i = 0; i < count; i++) {
            const first = (row * n + (places[i] as number)) * inner
            for (let k = 0; k < inner; k++) sums[first + k] = (sums[first + k] as number) + (dy[next++] as number)
          }
        }
        elementsAt(out, sums.length, 'float32').set(sums)
      },
      list.out,
      list.operand('dy'),
      list.operand('indices'),
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices } }, ddx, { axis }) => ({
    dy: gathered({ x: ddx, indices }, axis) as Tensor,
  }),
})

/** The rows of x at `indices` along an axis, which the axes of `indices` take the place of. */
export const gather = <D extends DType>(x: Tensor<D>, indices: AnyTensor, axis = 0): Tensor<D> =>
  gathered({ x, indices }, axis) as Tensor<D>
