/**
 * Matrix products. linear: y = x · wᵀ + bias, x (N, in), w (out, in), y (N, out); matmul: a (M, K) · b (K, N).
 * Both are one kernel that reads its operands by strides, so that nothing is ever transposed in memory.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import type { MatmulProblem } from '../plan/matmul.js'
import { ShapeError } from '../runtime/errors.js'
import { checkSize, sameShape, showShape } from '../tensor/shape.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'
import { outermost, scaledBias } from './affine.js'
import { mul } from './elementwise.js'
import { multiply } from './matmulKernels.js'
import { sumRows } from './reduce.js'
import { withArity } from '../runtime/options.js'

/** Which of the operands are read transposed. */
interface Orientation {
  readonly transposeA: boolean
  readonly transposeB: boolean
}

/** op(a) (M, K) · op(b) (K, N) [+ bias (N) in every row]. */
const product: Op<{ a: Tensor; b: Tensor; bias: Tensor | undefined }, Orientation> = defineOp('matmul', {
  optional: ['bias'],
  nothing: 'zeros',
  infer: ({ a, b, bias }, { transposeA, transposeB }): MatmulProblem => {
    const [aRows, aColumns] = a.shape as [number, number]
    const [bRows, bColumns] = b.shape as [number, number]
    const M = transposeA ? aColumns : aRows
    const N = transposeB ? bRows : bColumns
    checkSize([M, N], 'matmul')
    if (bias && aRows * aColumns === 0 && M > 0) throw new ShapeError('linear: x has no features; give it one or more')
    return { transposeA, transposeB, M, K: transposeA ? aRows : aColumns, N }
  },
  output: ({ M, N }) => [M, N],
  prepare: (list, problem) => {
    multiply(list, list.out, list.operand('a'), list.operand('b'), list.operand('bias'), problem)
  },
  scaled: ({ a, b, bias }, { transposeA, transposeB }, by) => {
    const scaled = by.scale ? mul(b, transposeB ? outermost(by.scale, b) : by.scale) : b
    return product({ a, b: scaled, bias: scaledBias(bias, by) }, { transposeA, transposeB })
  },
  keeps: ['a', 'b'],
  gradient: ({ inputs: { a, b }, need }, dy, { transposeA, transposeB }) => ({
    a:
      need.a &&
      (transposeA
        ? orient(b, dy, { transposeA: transposeB, transposeB: true })
        : orient(dy, b, { transposeA: false, transposeB: !transposeB })),
    b:
      need.b &&
      (transposeB
        ? orient(dy, a, { transposeA: true, transposeB: transposeA })
        : orient(a, dy, { transposeA: !transposeA, transposeB: false })),
    bias: need.bias && sumRows(dy),
  }),
})

const orient = (a: Tensor, b: Tensor, orientation: Orientation): Tensor =>
  product({ a, b, bias: undefined }, orientation)

function checkMatrix(value: Tensor, name: string, argument: string, expected: string): readonly [number, number] {
  checkTensor(value, name, argument)
  if (value.ndim !== 2)
    throw new ShapeError(`${name}: ${argument} must be ${expected}, given ${showShape(value.shape)}`)
  return value.shape as readonly [number, number]
}

/**
 * Fully connected layer: x (N, in) · w (out, in)ᵀ + bias (out) -> (N, out).
 *
 *     linear(x, w, bias)                                   // (8, 100), (10, 100), (10) -> (8, 10)
 *
 * @throws ShapeError when the inner extents differ, or bias is not (out).
 */
export const linear = withArity('linear', 3, (x: Tensor, w: Tensor, bias?: Tensor): Tensor => {
  const [, features] = checkMatrix(x, 'linear', 'x', '(N, in); flatten() it first')
  const [units, inputs] = checkMatrix(w, 'linear', 'w', '(out, in)')
  if (features !== inputs) {
    throw new ShapeError(
      `linear: x ${showShape(x.shape)} has ${features} features, w ${showShape(w.shape)} takes ${inputs}; w must be (out, ${features})`,
    )
  }
  if (bias !== undefined) checkTensor(bias, 'linear', 'bias')
  if (bias && !sameShape(bias.shape, [units])) {
    throw new ShapeError(`linear: bias must be (${units}) as w has ${units} rows, given ${showShape(bias.shape)}`)
  }
  return product({ a: x, b: w, bias }, { transposeA: false, transposeB: true })
})

/**
 * Matrix product: a (M, K) · b (K, N) -> (M, N).
 *
 *     matmul(a, b)                                         // (8, 100), (100, 10) -> (8, 10)
 *
 * @throws ShapeError when the inner extents differ.
 */
export const matmul = withArity('matmul', 2, (a: Tensor, b: Tensor): Tensor => {
  const [, K] = checkMatrix(a, 'matmul', 'a', '(M, K)')
  const [rows] = checkMatrix(b, 'matmul', 'b', '(K, N)')
  if (K !== rows)
    throw new ShapeError(`matmul: a ${showShape(a.shape)} and b ${showShape(b.shape)} do not fit; b must be (${K}, N)`)
  return orient(a, b, { transposeA: false, transposeB: false })
})
