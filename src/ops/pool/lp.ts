/**
 * p-norm over sliding windows: x (N, C, …) -> y (N, C, …output extents), y = (Σ xᵖ)^(1/p); the sum of a partial window is
 * scaled up to a full one's. dx = xᵖ⁻¹ · Σ dy · y¹⁻ᵖ over the windows of x. The kernels are those of
 * assembly/ops/pool/lp.ts.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { slide, type Pool, type PoolOptions } from '../../plan/pool.js'
import { kernels, withIntegers } from '../../runtime/core.js'
import { ShapeError } from '../../runtime/errors.js'
import { inWords } from '../../runtime/text.js'
import { HEAVY } from '../../runtime/work.js'
import { checkKeys, withArity, type Names } from '../../runtime/options.js'
import type { Tensor } from '../../tensor/tensor.js'

/** Options of `lpPool1d` and `lpPool2d`. */
export interface LpPoolOptions extends Omit<PoolOptions, 'padding'> {
  /** Keep the last, partial window; its sum is scaled up to a full window's. */
  readonly ceil?: boolean | undefined
  /** Positive; default 2. */
  readonly p?: number | undefined
}

export const lpPoolNames = {
  kernel: 0,
  stride: 0,
  ceil: 'flag',
  p: 'positive',
} as const satisfies Names<LpPoolOptions>

interface LpPool {
  readonly pool: Pool
  readonly p: number
}

/** dx of lpPool. */
const lpGradient: Op<{ dy: Tensor; x: Tensor; y: Tensor }, LpPool> = defineOp('lpPoolGradient', {
  infer: (_, described) => described,
  output: ({ pool }) => pool.xShape,
  prepare: (list, { pool: { maps, inputPixels, pixels, record }, p }) => {
    const ws = list.perThread(withIntegers(record, (shape) => kernels().lppool_dx_workspace(shape)))
    const from = [list.operand('dy'), list.operand('x'), list.operand('y')] as const
    list.call('lppool_dx', maps, HEAVY * (inputPixels + pixels), list.out, ...from, ws, p, list.integers(record))
  },
})

function lpPool(directions: number): (x: Tensor, options: LpPoolOptions) => Tensor {
  const name = `lpPool${directions}d`
  const op: Op<{ x: Tensor }, LpPoolOptions> = defineOp(name, {
    infer: ({ x }: { x: Tensor }, options: LpPoolOptions): LpPool => {
      checkKeys(name, options, lpPoolNames)
      const { kernel, stride, ceil, p = 2 } = options
      const pool = slide(name, directions, x.shape, { kernel, stride, ceil }, { scaleUp: true })
      if (!Number.isFinite(p) || p <= 0)
        throw new ShapeError(`${name}: p must be a positive number, given ${inWords(p)}`)
      return { pool, p }
    },
    output: ({ pool }) => pool.yShape,
    prepare: (list, { pool: { maps, inputPixels, pixels, record }, p }) => {
      const ws = list.perThread(withIntegers(record, (shape) => kernels().lppool_fwd_workspace(shape)))
      const work = HEAVY * (inputPixels + pixels)
      list.call('lppool_fwd', maps, work, list.out, list.operand('x'), ws, p, list.integers(record))
    },
    keeps: ['x', 'y'],
    gradient: ({ inputs: { x }, y, need }, dy, described) => ({ x: need.x && lpGradient({ dy, x, y }, described) }),
  })
  return withArity(name, 2, (x: Tensor, options: LpPoolOptions) => op({ x }, options ?? {}))
}

/**
 * (Σ xᵖ)^(1/p) over windows: x (N, C, W) -> (N, C, Q). The powers keep signs, as torch.nn.LPPool1d does: with an odd p
 * a negative sum gives NaN. The gradient is 0 where the sum is 0.
 * @throws ShapeError when shapes or options do not fit.
 */
export const lpPool1d = lpPool(1)

/**
 * (Σ xᵖ)^(1/p) over windows: x (N, C, H, W) -> (N, C, P, Q). The powers keep signs, as torch.nn.LPPool2d does: with an
 * odd p a negative sum gives NaN. The gradient is 0 where the sum is 0.
 * @throws ShapeError when shapes or options do not fit.
 */
export const lpPool2d = lpPool(2)
