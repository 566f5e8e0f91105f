/**
 * Mean over sliding windows: x (N, C, …) -> y (N, C, …output extents), y = Σ x / extent, where the extent counts padding
 * or not. The gradient spreads dy / extent over the window. The kernels are those of assembly/ops/pool/average.ts.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { poolNames, slide, type Describe, type Pool, type PoolOptions } from '../../plan/pool.js'
import { kernels, withIntegers } from '../../runtime/core.js'
import { checkKeys, withArity, type Names } from '../../runtime/options.js'
import type { Tensor } from '../../tensor/tensor.js'

/** Options of `avgPool1d`, `avgPool2d` and `avgPool3d`. */
export interface AvgPoolOptions extends PoolOptions {
  /** Whether the divisor counts padding (default), or only elements of the input. */
  readonly countIncludePad?: boolean | undefined
}

/** The option that averages have beside those of every pooling. */
export const avgPoolNames = { countIncludePad: 'flag' } as const satisfies Names<
  Omit<AvgPoolOptions, keyof PoolOptions>
>

/** An operation that takes the mean over the windows that `describe` derives. */
export function averaging<O>(name: string, describe: Describe<O>): Op<{ x: Tensor }, O> {
  return defineOp(name, {
    infer: ({ x }: { x: Tensor }, options: O) => describe(name, x.shape, options),
    output: ({ yShape }) => yShape,
    prepare: (list, { maps, work, record }) => {
      list.call('avgpool_fwd', maps, work, list.out, list.operand('x'), list.integers(record))
    },
    keeps: [],
    gradient: ({ need }, dy, pool) => ({ x: need.x && spread({ dy }, pool) }),
  })
}

/** The operation on what `makePool` describes: sums over windows, scaled by numerator / extent. */
export const average: Op<{ x: Tensor }, Pool> = averaging('avgPool', (_, __, pool: Pool) => pool)

/** The adjoint of `average`. */
export const spread: Op<{ dy: Tensor }, Pool> = defineOp('avgPoolGradient', {
  infer: (_, pool) => pool,
  output: ({ xShape }) => xShape,
  prepare: (list, { maps, work, record }) => {
    const ws = list.perThread(withIntegers(record, (shape) => kernels().avgpool_dx_workspace(shape)))
    list.call('avgpool_dx', maps, work, list.out, list.operand('dy'), ws, list.integers(record))
  },
  keeps: [],
  gradient: ({ need }, ddx, pool) => ({ dy: need.dy && average({ x: ddx }, pool) }),
})

function avgPool(directions: number): (x: Tensor, options: AvgPoolOptions) => Tensor {
  const name = `avgPool${directions}d`
  const op = averaging<AvgPoolOptions>(name, (_, x, options) => {
    checkKeys(name, options, poolNames, avgPoolNames)
    return slide(name, directions, x, { ...options, dilation: 1 }, { countIncludePad: options.countIncludePad })
  })
  return withArity(name, 2, (x: Tensor, options: AvgPoolOptions) => op({ x }, options ?? {}))
}

/**
 * Mean over windows: x (N, C, W) -> (N, C, Q).
 *
 *     avgPool1d(x, { kernel: 2 })                          // (8, 2, 10) -> (8, 2, 5)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const avgPool1d = avgPool(1)

/**
 * Mean over windows: x (N, C, H, W) -> (N, C, P, Q).
 *
 *     avgPool2d(x, { kernel: 3, padding: 1, countIncludePad: false })
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const avgPool2d = avgPool(2)

/**
 * Mean over windows: x (N, C, D, H, W) -> (N, C, O, P, Q).
 *
 *     avgPool3d(x, { kernel: 2 })                          // (1, 2, 8, 8, 8) -> (1, 2, 4, 4, 4)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const avgPool3d = avgPool(3)
