/**
 * Max unpooling, the partial inverse of max pooling: y (N, C, P, Q) written at its positions into zeros (N, C, H, W). The
 * gradient reads dy there. The kernels are those of assembly/ops/pool/unpool.ts.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { mapExtents, perDirection, type PerDirection } from '../../plan/window.js'
import { guarded, integersAt, kernels } from '../../runtime/core.js'
import { wrongKind } from '../../runtime/check.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import { LIGHT } from '../../runtime/work.js'
import { checkKeys, withArity, type Names } from '../../runtime/options.js'
import { checkSize, sameShape, showShape, sizeOf, type Shape } from '../../tensor/shape.js'
import { checkTensor, empty, scope, Tensor } from '../../tensor/tensor.js'
import type { PoolIndices } from './max.js'

/** Options of `maxUnpool2d`: those of the pooling that it undoes. */
export interface UnpoolOptions {
  /** The pooling's kernel, stride (default: the kernel) and padding. May be left out if `outputSize` is given. */
  readonly kernel?: PerDirection | undefined
  /** As in the pooling; default the kernel. */
  readonly stride?: PerDirection | undefined
  /** As in the pooling; default 0. */
  readonly padding?: PerDirection | undefined
  /** [H, W] of the result, or its whole shape: several input sizes are pooled to the same output size. */
  readonly outputSize?: readonly number[] | undefined
}

const unpoolNames = { kernel: 0, stride: 0, padding: 0, outputSize: 0 } satisfies Names<UnpoolOptions>

/** A validated unpooling. */
interface Unpool {
  readonly xShape: Shape
  readonly yShape: Shape
}

const NAME = 'maxUnpool2d'

/** Extents of the result: those asked for, or the smallest that pool to the input's. */
function unpooledSize(x: Shape, options: UnpoolOptions): number[] {
  checkKeys(NAME, options, unpoolNames)
  const asked = options.outputSize
  let size: number[] | undefined
  if (asked !== undefined) {
    const spatial =
      Array.isArray(asked) && asked.length === 4 && sameShape(asked.slice(0, 2), x.slice(0, 2)) ? asked.slice(2) : asked
    if (!Array.isArray(spatial) || spatial.length !== 2) {
      throw wrongKind(`${NAME}: outputSize`, `[H, W] or [${x[0]}, ${x[1]}, H, W]`, asked)
    }
    size = perDirection(spatial, 2, 1, `${NAME}: outputSize`)
    if (options.kernel === undefined) return size
  }
  const kernel = perDirection(options.kernel as PerDirection, 2, 1, `${NAME}: kernel`)
  const stride = perDirection(options.stride ?? kernel, 2, 1, `${NAME}: stride`)
  const padding = perDirection(options.padding ?? 0, 2, 0, `${NAME}: padding`)
  return kernel.map((extent, axis) => {
    const step = stride[axis] as number
    const natural = ((x[axis + 2] as number) - 1) * step - 2 * (padding[axis] as number) + extent
    const given = size?.[axis] ?? natural
    if (given < 1) {
      throw new ShapeError(
        `${NAME}: padding ${padding[axis]} leaves ${given} elements along direction ${axis}; use at most half of the kernel`,
      )
    }
    if (Math.abs(given - natural) >= step) {
      throw new ArgumentError(
        `${NAME}: outputSize must be from ${Math.max(1, natural - step + 1)} to ${natural + step - 1} along direction ${axis} for ${x[axis + 2]} windows of ${extent} with stride ${step}, given ${given}`,
      )
    }
    return given
  })
}

const planeSize = (shape: Shape): number => (shape[2] as number) * (shape[3] as number)
const planeCount = (shape: Shape): number => (shape[0] as number) * (shape[1] as number)

/** The positions, one for each element of x, all in a plane of y: in linear memory already, or yet to be put there. */
function checkIndices(
  indices: PoolIndices | Int32Array | readonly number[],
  { xShape, yShape }: Unpool,
): Tensor | Int32Array {
  const plane = planeSize(yShape)
  let bad: number
  let values: Tensor | Int32Array
  let at: (i: number) => number
  if (Array.isArray(indices) || ArrayBuffer.isView(indices)) {
    const list = indices as ArrayLike<number>
    if (list.length !== sizeOf(xShape)) {
      throw new ShapeError(
        `${NAME}: indices must be ${sizeOf(xShape)} positions as x is ${showShape(xShape)}, given ${list.length}`,
      )
    }
    bad = Array.prototype.findIndex.call(list, (i: number) => !Number.isInteger(i) || i < -1 || i >= plane)
    at = (i) => list[i] as number
    values = Int32Array.from(list)
  } else {
    const bits = (indices as PoolIndices | undefined)?.bits
    if (!(bits instanceof Tensor) || !sameShape(bits.shape, xShape)) {
      throw new ShapeError(
        `${NAME}: indices must be those of maxPool2dWithIndices, of shape ${showShape(xShape)}, or that many integers; given ${bits instanceof Tensor ? showShape(bits.shape) : typeof indices}`,
      )
    }
    bad = guarded(NAME, () => kernels().maxunpool_check(bits.pointer, bits.size, plane))
    at = (i) => integersAt(bits.pointer, bits.size)[i] as number
    values = bits
  }
  if (bad >= 0) {
    throw new ShapeError(
      `${NAME}: indices must be positions from 0 to ${plane - 1} in a plane of ${showShape(yShape.slice(2))}, given ${at(bad)}`,
    )
  }
  return values
}

/** x written at the positions, zero elsewhere; the last of equal positions stays. */
const place: Op<{ x: Tensor; indices: Tensor }, Unpool> = defineOp(NAME, {
  infer: (_, unpool) => unpool,
  output: ({ yShape }) => yShape,
  prepare: (list, { xShape, yShape }) => {
    const [from, to] = [planeSize(xShape), planeSize(yShape)]
    const read = [list.operand('x'), list.operand('indices')] as const
    list.call('maxunpool_fwd', planeCount(yShape), LIGHT * (from + to), list.out, ...read, from, to)
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, dy, unpool) => ({ x: need.x && unplace({ dy, indices }, unpool) }),
})

/** The adjoint of `place`. */
const unplace: Op<{ dy: Tensor; indices: Tensor }, Unpool> = defineOp('maxUnpool2dGradient', {
  infer: (_, unpool) => unpool,
  output: ({ xShape }) => xShape,
  prepare: (list, { xShape, yShape }) => {
    const [to, from] = [planeSize(xShape), planeSize(yShape)]
    const read = [list.operand('dy'), list.operand('indices')] as const
    list.call(
      'maxunpool_dx',
      planeCount(xShape),
      LIGHT * (from + to),
      list.out,
      ...read,
      list.perThread(from * 4),
      to,
      from,
    )
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, ddx, unpool) => ({ dy: need.dy && place({ x: ddx, indices }, unpool) }),
})

/**
 * The partial inverse of max pooling: y (N, C, P, Q) written at its indices into zeros (N, C, H, W). Where two windows
 * had the same maximum, the last one stays and receives the gradient.
 *
 *     const { y, indices } = maxPool2dWithIndices(x, { kernel: 2 })
 *     maxUnpool2d(y, indices, { outputSize: x.shape })
 *
 * @throws ShapeError when shapes, options or positions do not fit.
 */
export const maxUnpool2d = withArity(
  'maxUnpool2d',
  3,
  (y: Tensor, indices: PoolIndices | Int32Array | readonly number[], options: UnpoolOptions): Tensor => {
    kernels(NAME)
    checkTensor(y, NAME, 'x')
    mapExtents(NAME, 2, y.shape)
    const unpool = { xShape: y.shape, yShape: [...y.shape.slice(0, 2), ...unpooledSize(y.shape, options ?? {})] }
    checkSize(unpool.yShape, NAME)
    const positions = checkIndices(indices, unpool)
    if (positions instanceof Tensor) return place({ x: y, indices: positions }, unpool)
    return scope(() => {
      const bits = empty(y.shape)
      integersAt(bits.pointer, bits.size).set(positions)
      return place({ x: y, indices: bits }, unpool)
    })
  },
)
