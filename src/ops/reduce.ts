/** Sums and means. Sums are accumulated in float64 in a fixed order and rounded once. */
import { defineOp } from '../autodiff/op.js'
import { kernels } from '../runtime/core.js'
import { sizeOf } from '../tensor/shape.js'
import { empty, type Tensor } from '../tensor/tensor.js'

/** dy (N, K, …) summed over everything but K: the gradient of a bias for each channel. */
const channels = defineOp('sumChannels', {
  shape: ({ x }: { x: Tensor }) => x.shape as readonly [number, number, ...number[]],
  forward: ({ x }, [N, K, ...spatial]) => {
    const y = empty([K])
    kernels().sum_channels(y.pointer, x.pointer, N, K, sizeOf(spatial), 0, K)
    return y
  },
})

/** dy (N, …) summed over N: the gradient of a bias for each location. */
const rows = defineOp('sumRows', {
  shape: ({ x }: { x: Tensor }) => x.shape as readonly [number, ...number[]],
  forward: ({ x }, [N, ...rest]) => {
    const y = empty(rest)
    kernels().sum_rows(y.pointer, x.pointer, N, y.size, 1, 0, y.size)
    return y
  },
})

export const sumChannels = (x: Tensor): Tensor => channels({ x }, {})
export const sumRows = (x: Tensor): Tensor => rows({ x }, {})
