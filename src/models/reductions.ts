/** Reductions over axes, of float32 with their gradients and of whole numbers. */
import { UnsupportedError } from '../runtime/errors.js'
import { mul } from '../ops/elementwise.js'
import { foldWhole, type Fold } from '../ops/fold.js'
import { broadcastTo, concat, slice, transpose } from '../ops/layout.js'
import { max, sum } from '../ops/reduce.js'
import { tensor } from '../tensor/create.js'
import { sizeOf } from '../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** A reduction of float32 over axes. */
export type Reduce = (x: Tensor, axes: readonly number[], keepDims: boolean) => Tensor

export const reducedShape = (x: AnyTensor, axes: readonly number[], keepDims: boolean): number[] =>
  keepDims
    ? x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent))
    : x.shape.filter((_, axis) => !axes.includes(axis))

export const keep = (keepDims: boolean): { readonly keepDims: boolean } => ({ keepDims })
export const sumOver: Reduce = (x, axes, keepDims) => sum(x, axes, keep(keepDims))

/** An extremum; of no elements the one that every number outdoes. */
export const extremum =
  (of: typeof max, ofNothing: number): Reduce =>
  (x, axes, keepDims) =>
    x.size > 0
      ? of(x, axes, keep(keepDims))
      : scope(() => broadcastTo(tensor([ofNothing], []), reducedShape(x, axes, keepDims)))

/** The product by halves, so that its gradient is that of multiplication, also where an element is 0. */
export const productOver: Reduce = (x, axes, keepDims) =>
  scope(() => {
    const kept = x.shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]))
    const shape = reducedShape(x, axes, keepDims)
    const rows = sizeOf(shape)
    let n = sizeOf(axes.map((axis) => x.shape[axis] as number))
    if (n === 0 || rows === 0) return broadcastTo(tensor([1], []), shape)
    // (n, rows): halves are stretches of memory.
    let y = transpose(x, [...axes, ...kept]).reshape([n, rows])
    while (n > 1) {
      const half = Math.floor(n / 2)
      const part = (begin: number, end: number): Tensor => slice(y, { begin: [begin], end: [end] })
      const halves = mul(part(0, half), part(half, 2 * half))
      y = n % 2 === 1 ? concat([halves, part(n - 1, n)], 0) : halves
      n = half + (n % 2)
    }
    return y.reshape(shape)
  })

/** x over axes, from 0 on: of float32 by `of`, of whole numbers by `ofWhole`. */
export function reduced(
  x: AnyTensor,
  of: Reduce,
  ofWhole: Fold | undefined,
  over: readonly number[],
  keepDims: boolean,
): AnyTensor {
  if (x.dtype === 'float32') return of(x as Tensor, over, keepDims)
  if (!ofWhole) throw new UnsupportedError(`it is supported of float32, and the input is of ${x.dtype}`)
  if (x.dtype === 'bool' && ofWhole !== 'max' && ofWhole !== 'min')
    throw new UnsupportedError('sums and products of bool are not supported')
  return foldWhole(x, ofWhole, over, keepDims)
}
