/** An operation that copies a tensor into memory of its own. Its gradient is the gradient of the copy. */
import { LIGHT } from '../runtime/work.js'
import { planCopy } from '../tensor/strided.js'
import { sizeOf, stridesOf } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { defineOp } from './op.js'

const duplicate = defineOp('copy', {
  infer: ({ x }: { x: Tensor }) => ({ shape: x.shape }),
  output: ({ shape }) => shape,
  prepare: (list, { shape }) => {
    const strides = stridesOf(shape)
    const { record, planes } = planCopy(shape, strides, strides)
    list.call('copy_fwd', planes, (LIGHT * sizeOf(shape)) / planes, list.out, list.operand('x'), list.integers(record))
  },
  keeps: [],
  gradient: (_, dy) => ({ x: dy.alias() }),
})

/** A copy of x in memory of its own. */
export const copy = (x: Tensor): Tensor => duplicate({ x }, {})
