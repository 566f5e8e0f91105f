/**
 * Softmax and its logarithm over one axis:
 *
 *   y = e^x / Σ e^x            dx = y · (dy − Σ y · dy)
 *   y = x − ln Σ e^x           dx = dy − e^y · Σ dy
 *
 * The maximum is taken off first, so that nothing overflows. A NaN or +∞ among the classes, or −∞ in all of them,
 * makes the whole row NaN.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { kernels, withWorkspace } from '../runtime/core.js'
import type { Kernels } from '../runtime/generated/kernels.js'
import { checkAxis, sizeOf, type Shape } from '../tensor/shape.js'
import { empty, type Tensor } from '../tensor/tensor.js'

/** (outer, classes, inner): the axis and what lies before and after it. */
interface Classes {
  readonly shape: Shape
  readonly outer: number
  readonly classes: number
  readonly inner: number
}

type Forward = 'softmax_fwd' | 'logsoftmax_fwd'
type Gradient = 'softmax_dx' | 'logsoftmax_dx'

function run(use: (k: Kernels, y: number, ws: number) => void, { shape }: Classes): Tensor {
  const k = kernels()
  const y = empty(shape)
  withWorkspace(k.softmax_workspace() >>> 0, (ws) => {
    use(k, y.pointer, ws)
  })
  return y
}

function defineSoftmax(name: string, forward: Forward, gradient: Gradient): (x: Tensor, axis?: number) => Tensor {
  const inputGradient: Op<{ dy: Tensor; y: Tensor }, Classes> = defineOp(`${name}Gradient`, {
    shape: (_, d) => d,
    forward: ({ dy, y }, d) =>
      run((k, dx, ws) => {
        k[gradient](dx, dy.pointer, y.pointer, ws, d.classes, d.inner, 0, d.outer)
      }, d),
  })
  const op: Op<{ x: Tensor }, number> = defineOp(name, {
    shape: ({ x: { shape } }, axis): Classes => {
      const at = checkAxis(axis, shape.length, name)
      return {
        shape,
        outer: sizeOf(shape.slice(0, at)),
        classes: shape[at] as number,
        inner: sizeOf(shape.slice(at + 1)),
      }
    },
    forward: ({ x }, d) =>
      run((k, y, ws) => {
        k[forward](y, x.pointer, ws, d.classes, d.inner, 0, d.outer)
      }, d),
    keeps: ['y'],
    gradient: ({ y }, dy, d) => ({ x: inputGradient({ dy, y }, d) }),
  })
  return (x, axis = 1) => op({ x }, axis)
}

/**
 * Probabilities over `axis` (default 1, the channels), which may be negative: y has the shape of x.
 * @throws ShapeError when x has no such axis.
 */
export const softmax = defineSoftmax('softmax', 'softmax_fwd', 'softmax_dx')

/**
 * Logarithms of the probabilities over `axis` (default 1): y has the shape of x.
 * @throws ShapeError when x has no such axis.
 */
export const logSoftmax = defineSoftmax('logSoftmax', 'logsoftmax_fwd', 'logsoftmax_dx')
