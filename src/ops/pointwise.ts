/**
 * How every function of one number is defined, in elementwise.ts and in activation.ts: one pass forward, by `unary`, and one for the
 * gradient, by `slope`, which is an operation itself and so can be differentiated again.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import type { CallList, Place } from '../runtime/calls.js'
import { withArity } from '../runtime/options.js'
import { LIGHT } from '../runtime/work.js'
import { sizeOf } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'

interface Unary<O> {
  /** Checks the options; allocates nothing. */
  check?(options: O): void
  forward(list: CallList, y: Place, x: Place, size: number, options: O): void
  /** What the gradient reads: the input, the output, or nothing. The other is freed early. */
  readonly keeps?: 'x' | 'y'
  gradient(dy: Tensor, kept: Tensor, options: O): Tensor
}

/** Makes a function of one tensor, element by element. */
/* @__NO_SIDE_EFFECTS__ */
export function unary<O>(
  name: string,
  { check, forward, keeps, gradient }: Unary<O>,
): (x: Tensor, options: O) => Tensor {
  const op: Op<{ x: Tensor }, O> = defineOp(name, {
    infer: ({ x }, options: O) => {
      check?.(options)
      return { shape: x.shape, options }
    },
    output: ({ shape }) => shape,
    prepare: (list, { shape, options }) => {
      forward(list, list.out, list.operand('x'), sizeOf(shape), options)
    },
    keeps: keeps ? [keeps] : [],
    gradient: ({ inputs: { x }, y }, dy, { options }) => ({
      x: scope(() => gradient(dy, keeps === 'x' ? x : y, options)),
    }),
  })
  return (x, options) => op({ x }, options)
}

/** Makes a function of one tensor that has no options. */
/* @__NO_SIDE_EFFECTS__ */
export function plainUnary(name: string, definition: Unary<void>): (x: Tensor) => Tensor {
  const call = unary(name, definition)
  return withArity(name, 1, (x: Tensor) => call(x))
}

interface Slope<O> {
  /** dx = dy·f′, f′ read off `kept`. */
  forward(list: CallList, dx: Place, dy: Place, kept: Place, size: number, options: O): void
  /** The gradient with respect to `kept`; left out where it is zero. */
  second?(ddx: Tensor, dy: Tensor, kept: Tensor, options: O): Tensor
}

/** Makes the gradient of a function of one tensor: linear in dy, so that it is its own derivative there. */
/* @__NO_SIDE_EFFECTS__ */
export function slope<O>(
  name: string,
  { forward, second }: Slope<O>,
): (dy: Tensor, kept: Tensor, options: O) => Tensor {
  const op: Op<{ dy: Tensor; kept: Tensor }, O> = defineOp(name, {
    infer: ({ kept }, options: O) => ({ shape: kept.shape, options }),
    output: ({ shape }) => shape,
    prepare: (list, { shape, options }) => {
      forward(list, list.out, list.operand('dy'), list.operand('kept'), sizeOf(shape), options)
    },
    keeps: second ? ['dy', 'kept'] : ['kept'],
    gradient: ({ inputs: { dy, kept }, need }, ddx, { options }) => ({
      dy: need.dy && op({ dy: ddx, kept }, options),
      kept: need.kept && second && scope(() => second(ddx, dy, kept, options)),
    }),
  })
  return (dy, kept, options) => op({ dy, kept }, options)
}

/** dy, or 0 where y ≤ 0: the gradient of relu, and of convolutions that end with it. */
export const rectifySlope = slope<void>('reluGradient', {
  forward: (list, dx, dy, y, size) => list.call('relu_dx', size, LIGHT, dx, dy, y),
})
