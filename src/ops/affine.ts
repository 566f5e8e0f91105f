/** Factors and summands of channels as part of weights and biases: what src/graph/fold.ts asks of operations. */
import type { Affine, Tensor } from '../tensor/tensor.js'
import { add, mul } from './elementwise.js'

/** Values (C) for the outermost axis of a tensor. */
export const outermost = (values: Tensor, { ndim }: Tensor): Tensor =>
  values.reshape(Array.from({ length: ndim }, (_, axis) => (axis === 0 ? -1 : 1)))

/** A bias, or zeros, scaled and shifted by channels, its outermost axis. */
export function scaledBias(bias: Tensor | undefined, { scale, shift }: Affine): Tensor | undefined {
  if (!bias) return shift
  const scaled = scale ? mul(bias, outermost(scale, bias)) : bias
  return shift ? add(scaled, outermost(shift, scaled)) : scaled
}
