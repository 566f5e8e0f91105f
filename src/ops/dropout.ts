/**
 * Dropout (Srivastava et al., 2014), scaled while training so that nothing is left to do afterwards. The mask is
 * a function of (seed, stream) and the position of the element: it is drawn again for the gradient, not kept.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { wrongKind } from '../runtime/check.js'
import { HEAVY } from '../runtime/work.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { checkSeed, checkStream, type RandomOptions } from '../tensor/create.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

/** Options of `dropout`. */
export interface DropoutOptions extends RandomOptions {
  /** Probability with which an element becomes zero, from 0 to 1; default 0.5. */
  readonly p?: number | undefined
}

const dropoutNames = { p: 0, seed: 0, stream: 0 } satisfies Names<DropoutOptions>

interface Mask {
  readonly shape: Shape
  readonly seed: number
  readonly stream: number
  /** Elements whose random 32-bit word lies below this are dropped. */
  readonly threshold: number
  /** What the others are multiplied by. */
  readonly scale: number
}

/** Checks the options of dropout. @throws ShapeError */
export function describeDropout({ p = 0.5, seed = 0, stream = 0 }: DropoutOptions): Omit<Mask, 'shape'> {
  if (typeof p !== 'number' || !(p >= 0 && p <= 1)) {
    throw wrongKind('dropout: p', 'a number from 0 to 1', p)
  }
  checkSeed(seed, 'dropout')
  checkStream(stream, 'dropout')
  if (p === 1) return { seed, stream, threshold: 0, scale: 0 }
  return { seed, stream, threshold: Math.floor(p * 2 ** 32), scale: 1 / (1 - p) }
}

/** Linear in x, and its own adjoint. */
const mask: Op<{ x: Tensor }, DropoutOptions | Mask> = defineOp('dropout', {
  // The gradient gets what was described: the caller may change the options before.
  infer: ({ x }: { x: Tensor }, asked: DropoutOptions | Mask): Mask =>
    'threshold' in asked ? asked : { shape: x.shape, ...describeDropout(asked) },
  output: ({ shape }) => shape,
  prepare: (list, { shape, seed, stream, threshold, scale }) => {
    const size = sizeOf(shape)
    const x = list.operand('x')
    list.call('dropout_fwd', Math.ceil(size / 16), 16 * HEAVY, list.out, x, size, seed, stream, threshold, scale)
  },
  keeps: [],
  gradient: ({ need }, dy, d): { x: Tensor | false } => ({ x: need.x && mask({ x: dy }, d) }),
})

/**
 * Sets elements of x (any shape) to zero with probability p and multiplies the others by 1 / (1 − p). The same seed and
 * stream drop the same elements everywhere: give each layer its stream, and each step its seed.
 *
 *     dropout(x, { p: 0.5, seed: step, stream: layer })
 *
 * @throws ShapeError when p, seed or stream do not fit.
 */
export const dropout = withArity('dropout', 2, (x: Tensor, options: DropoutOptions = {}): Tensor => {
  checkKeys('dropout', options, dropoutNames)
  return mask({ x }, options)
})
