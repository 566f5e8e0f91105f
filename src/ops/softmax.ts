/**
 * Softmax and its logarithm over one axis:
 *
 *   y = e^x / Σ e^x            dx = y · (dy − Σ y · dy)
 *   y = x − ln Σ e^x           dx = dy − e^y · Σ dy
 *
 * The gradients are operations of dy and y, and have gradients of their own, made of other operations.
 *
 * The maximum is taken off first, so that nothing overflows. A NaN or +∞ among the classes, or −∞ in all of them,
 * makes the whole row NaN.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import type { CallList, Place } from '../runtime/calls.js'
import { kernels } from '../runtime/core.js'
import { HEAVY } from '../runtime/work.js'
import { checkAxis, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { exp, mul, neg, sub } from './elementwise.js'
import { sum } from './reduce.js'
import { withArity } from '../runtime/options.js'

/** (outer, classes, inner): the axis and what lies before and after it. */
interface Classes {
  readonly shape: Shape
  readonly axis: number
  readonly outer: number
  readonly classes: number
  readonly inner: number
}

type Forward = 'softmax_fwd' | 'logsoftmax_fwd'
type Gradient = 'softmax_dx' | 'logsoftmax_dx'

/** Workspace of every thread, and the time that one outer index takes. */
const needs = (list: CallList, { classes, inner }: Classes): readonly [Place | 0, number] => [
  list.perThread(kernels().softmax_workspace()),
  HEAVY * classes * inner,
]

/** Sums over the classes, the axis kept. */
type Total = (x: Tensor) => Tensor

/** The gradients of dx by dy and by y, given that of dx. */
interface Second {
  dy(ddx: Tensor, y: Tensor, total: Total): Tensor
  y(ddx: Tensor, dy: Tensor, y: Tensor, total: Total): Tensor
}

function defineSoftmax(
  name: string,
  forward: Forward,
  gradient: Gradient,
  second: Second,
): (x: Tensor, axis?: number) => Tensor {
  const inputGradient: Op<{ dy: Tensor; y: Tensor }, Classes> = defineOp(`${name}Gradient`, {
    infer: (_, d) => d,
    output: ({ shape }) => shape,
    prepare: (list, d) => {
      const [ws, work] = needs(list, d)
      list.call(gradient, d.outer, work, list.out, list.operand('dy'), list.operand('y'), ws, d.classes, d.inner)
    },
    gradient: ({ inputs: { dy, y }, need }, ddx, { axis }) => {
      const total: Total = (x) => sum(x, axis, { keepDims: true })
      return {
        dy: need.dy && scope(() => second.dy(ddx, y, total)),
        y: need.y && scope(() => second.y(ddx, dy, y, total)),
      }
    },
  })
  const op: Op<{ x: Tensor }, number> = defineOp(name, {
    infer: ({ x: { shape } }, axis): Classes => {
      const at = checkAxis(axis, shape.length, name)
      return {
        shape,
        axis: at,
        outer: sizeOf(shape.slice(0, at)),
        classes: shape[at] as number,
        inner: sizeOf(shape.slice(at + 1)),
      }
    },
    output: ({ shape }) => shape,
    prepare: (list, d) => {
      const [ws, work] = needs(list, d)
      list.call(forward, d.outer, work, list.out, list.operand('x'), ws, d.classes, d.inner)
    },
    keeps: ['y'],
    gradient: ({ y }, dy, d) => ({ x: inputGradient({ dy, y }, d) }),
  })
  return withArity(name, 2, (x: Tensor, axis = 1) => op({ x }, axis))
}

/**
 * Probabilities over `axis` (default 1, the channels), which may be negative: y has the shape of x.
 *
 *     softmax(logits)                                      // (8, 10): the numbers of each row add up to 1
 *
 * @throws ShapeError when x has no such axis.
 */
export const softmax = defineSoftmax('softmax', 'softmax_fwd', 'softmax_dx', {
  // dx is linear in dy, with a symmetric matrix.
  dy: (ddx, y, total) => mul(y, sub(ddx, total(mul(y, ddx)))),
  y: (ddx, dy, y, total) => sub(mul(ddx, sub(dy, total(mul(y, dy)))), mul(dy, total(mul(y, ddx)))),
})

/**
 * Logarithms of the probabilities over `axis` (default 1): y has the shape of x.
 *
 *     logSoftmax(logits, -1)
 *
 * @throws ShapeError when x has no such axis.
 */
export const logSoftmax = defineSoftmax('logSoftmax', 'logsoftmax_fwd', 'logsoftmax_dx', {
  dy: (ddx, y, total) => sub(ddx, total(mul(exp(y), ddx))),
  y: (ddx, dy, y, total) => neg(mul(mul(exp(y), ddx), total(dy))),
})
