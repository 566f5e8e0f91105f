/**
 * p-norm over sliding windows: x (N, C, …) -> y (N, C, …output extents), y = (Σ xᵖ)^(1/p); the sum of a partial window is
 * scaled up to a full one's. dx = xᵖ⁻¹ · Σ dy · y¹⁻ᵖ over the windows of x. The kernels are those of
 * assembly/ops/pool/lp.ts.
 *
 * Second derivatives: with S the scaled sum over windows, Sᵀ its adjoint and c the gradient of dx, the loss changes with
 *
 *   dy by y¹⁻ᵖ · S(c · xᵖ⁻¹)
 *   y by (1 − p) · dy · y⁻ᵖ · S(c · xᵖ⁻¹)
 *   x by (p − 1) · c · xᵖ⁻² · Sᵀ(dy · y¹⁻ᵖ)
 *
 * where a power of y is 0 if y is 0 and p is not 1, as in dx.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { slide, type Pool, type PoolOptions } from '../../plan/pool.js'
import { kernels, withIntegers } from '../../runtime/core.js'
import { wrongKind } from '../../runtime/check.js'
import { HEAVY } from '../../runtime/work.js'
import { checkKeys, withArity, type Names } from '../../runtime/options.js'
import { tensor } from '../../tensor/create.js'
import { scope, type Tensor } from '../../tensor/tensor.js'
import { add, mul, pow } from '../elementwise.js'
import { average, spread } from './average.js'

/** Options of `lpPool1d` and `lpPool2d`. */
export interface LpPoolOptions extends Omit<PoolOptions, 'padding'> {
  /** Keep the last, partial window; its sum is scaled up to a full window's. */
  readonly ceil?: boolean | undefined
  /** Positive; default 2. */
  readonly p?: number | undefined
}

/** The options of `lpPool1d` and `lpPool2d`, each with what it must be. */
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

/** 1 where both tensors are 0, and 0 elsewhere. */
const zerosOf = (a: Tensor, b: Tensor): Tensor => {
  const other = b.data()
  return tensor(
    a.data().map((value, i) => (value === 0 && other[i] === 0 ? 1 : 0)),
    a.shape,
  )
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
  gradient: ({ inputs: { dy, x, y }, need }, ddx, { pool, p }) => {
    if (p === 1) return { dy: need.dy && average({ x: ddx }, pool), x: undefined, y: undefined }
    // dy·yⁿ, and 0 where y is 0: there y is raised by 1.
    const scaled = (given: Tensor, n: number): Tensor => {
      const none = zerosOf(y, y)
      return mul(mul(given, add(mul(none, -1), 1)), pow(add(y, none), n))
    }
    const sums = (): Tensor => average({ x: mul(ddx, pow(x, p - 1)) }, pool)
    return {
      dy: need.dy && scope(() => scaled(sums(), 1 - p)),
      y: need.y && scope(() => mul(scaled(mul(dy, sums()), -p), 1 - p)),
      x:
        need.x &&
        scope(() => {
          const spreads = spread({ dy: scaled(dy, 1 - p) }, pool)
          // x is raised by 1 in windows of zeros alone, whose powers with p < 2 are infinite.
          return mul(mul(mul(ddx, spreads), pow(add(x, zerosOf(x, spreads)), p - 2)), p - 1)
        }),
    }
  },
})

function lpPool(directions: number): (x: Tensor, options: LpPoolOptions) => Tensor {
  const name = `lpPool${directions}d`
  const op: Op<{ x: Tensor }, LpPoolOptions> = defineOp(name, {
    infer: ({ x }: { x: Tensor }, options: LpPoolOptions): LpPool => {
      checkKeys(name, options, lpPoolNames)
      const { kernel, stride, ceil, p = 2 } = options
      const pool = slide(name, directions, x.shape, { kernel, stride, ceil }, { scaleUp: true })
      if (!Number.isFinite(p) || p <= 0) throw wrongKind(`${name}: p`, 'a positive number', p)
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
 *
 *     lpPool1d(x, { kernel: 2, p: 2 })                     // (8, 2, 10) -> (8, 2, 5)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const lpPool1d = lpPool(1)

/**
 * (Σ xᵖ)^(1/p) over windows: x (N, C, H, W) -> (N, C, P, Q). The powers keep signs, as torch.nn.LPPool2d does: with an
 * odd p a negative sum gives NaN. The gradient is 0 where the sum is 0.
 *
 *     lpPool2d(x, { kernel: 2, p: 3 })                     // (8, 2, 10, 10) -> (8, 2, 5, 5)
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const lpPool2d = lpPool(2)
