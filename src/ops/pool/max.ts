/**
 * Maximum over sliding windows: x (N, C, …) -> y (N, C, …output extents), with the positions of the maxima. The gradient
 * adds dy at the positions, and the gather that reads x there is the adjoint of that. The kernels are those of
 * assembly/ops/pool/max.ts.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { poolNames, slide, type Describe, type Pool, type PoolOptions } from '../../plan/pool.js'
import type { PerDirection } from '../../plan/window.js'
import { integersAt, kernels, withIntegers } from '../../runtime/core.js'
import { LIGHT } from '../../runtime/work.js'
import { checkKeys, withArity, type Names } from '../../runtime/options.js'
import { sizeOf, type Shape } from '../../tensor/shape.js'
import { elementsAt, type Tensor } from '../../tensor/tensor.js'

/** Options of `maxPool1d`, `maxPool2d`, `maxPool3d` and `maxPool2dWithIndices`. */
export interface MaxPoolOptions extends PoolOptions {
  /** Distance between the elements of a window; default 1. */
  readonly dilation?: PerDirection | undefined
}

/** The option that maxima have beside those of every pooling. */
export const maxPoolNames = { dilation: 0 } as const satisfies Names<Omit<MaxPoolOptions, keyof PoolOptions>>

/** Where the maximum of each window was found. Belongs to the scope that it was made in, like a tensor. */
export interface PoolIndices {
  /** That of the pooled tensor. */
  readonly shape: Shape
  /** Flat positions in the (H, W) plane of the input, a copy; -1 for a window without elements. */
  data(): Int32Array
  /** The memory: 32-bit integers under a tensor's name. */
  readonly bits: Tensor
  /** Frees the memory. */
  dispose(): void
}

/** dx: dy added at the positions of the maxima. */
const scatter: Op<{ dy: Tensor; indices: Tensor }, Pool> = defineOp('maxPoolGradient', {
  infer: (_, pool) => pool,
  output: ({ xShape }) => xShape,
  prepare: (list, { maps, work, record }) => {
    const ws = list.perThread(withIntegers(record, (shape) => kernels().maxpool_dx_workspace(shape)))
    const from = [list.operand('dy'), list.operand('indices')] as const
    list.call('maxpool_dx', maps, work, list.out, ...from, ws, list.integers(record))
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, ddx, pool) => ({ dy: need.dy && gather({ x: ddx, indices }, pool) }),
})

/** y: the elements of x at the positions of the maxima. */
const gather: Op<{ x: Tensor; indices: Tensor }, Pool> = defineOp('maxPoolGather', {
  infer: (_, pool) => pool,
  output: ({ yShape }) => yShape,
  prepare: (list, { maps, inputPixels, pixels }) => {
    const from = [list.operand('x'), list.operand('indices')] as const
    list.call('maxpool_gather', maps, 2 * LIGHT * pixels, list.out, ...from, inputPixels, pixels)
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, dy, pool) => ({ x: need.x && scatter({ dy, indices }, pool) }),
})

/** An operation that takes the maximum over the windows that `describe` derives, and can give the positions as well. */
export function maximum<O>(name: string, describe: Describe<O>): Op<{ x: Tensor }, O, 'indices'> {
  return defineOp(name, {
    infer: ({ x }: { x: Tensor }, options: O) => describe(name, x.shape, options),
    output: ({ yShape }) => yShape,
    saves: { indices: ({ yShape }: Pool) => yShape },
    prepare: (list, { maps, work, record }) => {
      const out = [list.out, list.operand('indices')] as const
      list.call('maxpool_fwd', maps, work, ...out, list.operand('x'), list.integers(record))
    },
    keeps: [],
    gradient: ({ saved: { indices }, need }, dy, pool) => ({ x: need.x && scatter({ dy, indices }, pool) }),
  })
}

const maxPool = (directions: number): Op<{ x: Tensor }, MaxPoolOptions, 'indices'> =>
  maximum(`maxPool${directions}d`, (name, x, options) => {
    checkKeys(name, options, poolNames, maxPoolNames)
    return slide(name, directions, x, options)
  })

const max1d = maxPool(1)
const max2d = maxPool(2)
const max3d = maxPool(3)

/**
 * Maximum over windows: x (N, C, W) -> (N, C, Q). Equals go to the first; a NaN in a window gives NaN.
 *
 *     maxPool1d(x, { kernel: 2 })                          // (8, 2, 10) -> (8, 2, 5)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const maxPool1d = withArity('maxPool1d', 2, (x: Tensor, options: MaxPoolOptions) => max1d({ x }, options ?? {}))

/**
 * Maximum over windows: x (N, C, H, W) -> (N, C, P, Q). Equals go to the first, in rows; a NaN in a window gives NaN.
 * With `ceil` partial windows at the end are kept (figure 9.10).
 *
 *     maxPool2d(x, { kernel: 3, stride: 2, padding: 1 })   // (8, 2, 32, 32) -> (8, 2, 16, 16)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const maxPool2d = withArity('maxPool2d', 2, (x: Tensor, options: MaxPoolOptions) => max2d({ x }, options ?? {}))

/**
 * Maximum over windows: x (N, C, D, H, W) -> (N, C, O, P, Q). Equals go to the first; a NaN in a window gives NaN.
 *
 *     maxPool3d(x, { kernel: 2 })                          // (1, 2, 8, 8, 8) -> (1, 2, 4, 4, 4)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const maxPool3d = withArity('maxPool3d', 2, (x: Tensor, options: MaxPoolOptions) => max3d({ x }, options ?? {}))

/**
 * maxPool2d together with the position of each maximum in its (H, W) plane, for `maxUnpool2d`. Gradients flow
 * through y.
 *
 *     const { y, indices } = maxPool2dWithIndices(x, { kernel: 2 })
 *     maxUnpool2d(y, indices, { kernel: 2 })               // the maxima at their places, and zeros
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const maxPool2dWithIndices = withArity(
  'maxPool2dWithIndices',
  2,
  (x: Tensor, options: MaxPoolOptions): { y: Tensor; indices: PoolIndices } => {
    let indices: Tensor | undefined
    const y = max2d({ x }, options ?? {}, (saved) => {
      indices = saved.indices
    })
    return { y, indices: positions(indices as unknown as Tensor) }
  },
)

/** What places are counted in. */
interface Plane {
  /** (H, W). */
  readonly plane: Shape
  /** Whether elements are counted down the columns, instead of along the rows. */
  readonly byColumns: boolean
}

/**
 * Places of maxima in the whole tensor that was pooled, counted map after map: what other libraries give beside the maxima. `bits`
 * are those of `PoolIndices`.
 */
export const placesOfMaxima: Op<{ bits: Tensor }, Plane, never, 'int64'> = /* @__PURE__ */ defineOp('placesOfMaxima', {
  infer: ({ bits }: { bits: Tensor }, { plane, byColumns }: Plane) => ({ shape: bits.shape, plane, byColumns }),
  output: ({ shape }) => shape,
  dtype: () => 'int64' as const,
  prepare: (list, { shape, plane, byColumns }) => {
    const [H, W] = plane as [number, number]
    const [size, perMap] = [sizeOf(shape), sizeOf(shape.slice(2))]
    list.routine(
      (out, from) => {
        const [places, positions] = [elementsAt(out, size, 'int64'), elementsAt(from, size, 'int32')]
        for (let i = 0; i < size; i++) {
          const position = positions[i] as number
          const own = byColumns ? (position % W) * H + Math.floor(position / W) : position
          places[i] = BigInt(Math.floor(i / perMap) * H * W + own)
        }
      },
      list.out,
      list.operand('bits'),
    )
  },
  keeps: [],
})

const positions = (bits: Tensor): PoolIndices => ({
  shape: bits.shape,
  data: () => integersAt(bits.pointer, bits.size).slice(),
  bits,
  dispose: () => {
    bits.dispose()
  },
})
