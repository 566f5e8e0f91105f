/**
 * Pooling: a summary of each window of each map. Maximum, mean, p-norm, mean weighted by the distance from the
 * centre; over sliding windows, over a fixed grid (adaptive), over whole maps (global), over groups of channels
 * (maxout). Shapes: x (N, C, …) -> y (N, C, …output extents).
 *
 * All share one description of windows (PoolShape in assembly/ops/pool.ts). The maximum remembers positions; its
 * gradient and the gather that reads positions are each other's adjoints.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { outputExtents, perDirection, resolvePadding, type Padding, type PerDirection } from '../plan/window.js'
import { floatsAt, integersAt, kernels, withIntegers, withWorkspace } from '../runtime/core.js'
import { ShapeError } from '../runtime/errors.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { empty, keep, Tensor } from '../tensor/tensor.js'

export interface PoolOptions {
  /** Extents of a window. */
  readonly kernel: PerDirection
  /** Distance between windows; default: the kernel, so that they lie side by side. */
  readonly stride?: PerDirection | undefined
  /** Default 0; at most half of what the kernel reaches over. */
  readonly padding?: Padding | undefined
  /** Keep the last, partial window, provided that it starts inside the input or the padding before it. */
  readonly ceil?: boolean | undefined
}

export interface MaxPoolOptions extends PoolOptions {
  /** Distance between the elements of a window; default 1. */
  readonly dilation?: PerDirection | undefined
}

export interface AvgPoolOptions extends PoolOptions {
  /** Whether the divisor counts padding (default), or only elements of the input. */
  readonly countIncludePad?: boolean | undefined
}

export interface LpPoolOptions {
  readonly kernel: PerDirection
  /** Default: the kernel. */
  readonly stride?: PerDirection | undefined
  /** Keep the last, partial window; its sum is scaled up to a full window's. */
  readonly ceil?: boolean | undefined
  /** Positive; default 2. */
  readonly p?: number | undefined
}

export interface WeightedPoolOptions extends Omit<AvgPoolOptions, 'kernel'> {
  /** Extents of a window; default: those of `weights`. */
  readonly kernel?: PerDirection | undefined
  /** Weights (R, S) from 0 on, which are divided by their sum. Give these or `sigma`. */
  readonly weights?: readonly (readonly number[])[] | Tensor | undefined
  /** Standard deviation, in elements, of a Gaussian around the centre of the window. */
  readonly sigma?: number | readonly number[] | undefined
}

export interface UnpoolOptions {
  /** The pooling's kernel, stride (default: the kernel) and padding. May be left out if `outputSize` is given. */
  readonly kernel?: PerDirection | undefined
  readonly stride?: PerDirection | undefined
  readonly padding?: PerDirection | undefined
  /** [H, W] of the result, or its whole shape: several input sizes are pooled to the same output size. */
  readonly outputSize?: readonly number[] | undefined
}

/** Output extents of adaptive pooling: one number, or one for each direction, where null keeps the input's. */
export type OutputSize = number | readonly (number | null)[]

/** Where the maximum of each window was found. Belongs to the scope that it was made in, like a tensor. */
export interface PoolIndices {
  readonly shape: Shape
  /** Flat positions in the (H, W) plane of the input, a copy; -1 for a window without elements. */
  data(): Int32Array
  /** The memory: 32-bit integers under a tensor's name. */
  readonly bits: Tensor
  dispose(): void
}

/** A validated pooling. */
interface Pool {
  readonly xShape: Shape
  readonly yShape: Shape
  /** Number of independent maps, and elements of one map of x and of y. */
  readonly maps: number
  readonly inputPixels: number
  readonly pixels: number
  /** PoolShape of assembly/ops/pool.ts. */
  readonly record: readonly number[]
}

/** One direction: the fields of Axis in assembly/ops/pool.ts. */
interface Axis {
  readonly n: number
  /** 0: adaptive. */
  readonly kernel: number
  readonly output: number
  readonly stride: number
  readonly lo: number
  readonly hi: number
  readonly dilation: number
}

const adaptiveAxis = (n: number, output: number): Axis => ({
  n,
  kernel: 0,
  output,
  stride: 1,
  lo: 0,
  hi: 0,
  dilation: 1,
})

const slidingAxis = (n: number, kernel: number, output: number): Axis => ({ ...adaptiveAxis(n, output), kernel })

const product = (values: readonly number[]): number => values.reduce((total, value) => total * value, 1)

function makePool(
  name: string,
  xShape: Shape,
  yShape: Shape,
  axes: readonly Axis[],
  { numerator = 1, countPadding = false } = {},
): Pool {
  if (sizeOf(yShape) * 4 > 2 ** 32) {
    throw new ShapeError(`${name}: the output ${showShape(yShape)} needs more than the 4 GiB of WebAssembly memory`)
  }
  const inputPixels = product(axes.map(({ n }) => n))
  const three = [...new Array<Axis>(3 - axes.length).fill(slidingAxis(1, 1, 1)), ...axes]
  return {
    xShape,
    yShape,
    maps: sizeOf(xShape) / inputPixels,
    inputPixels,
    pixels: product(axes.map(({ output }) => output)),
    record: [
      numerator,
      countPadding ? 1 : 0,
      ...three.flatMap(({ n, kernel, output, stride, lo, hi, dilation }) => [
        n,
        kernel,
        output,
        stride,
        lo,
        hi,
        dilation,
      ]),
    ],
  }
}

function checkInput(name: string, directions: number, x: Shape): readonly number[] {
  if (x.length !== directions + 2) {
    const letters = ['W', 'H, W', 'D, H, W'][directions - 1] as string
    throw new ShapeError(`${name}: x must be (N, C, ${letters}), given ${showShape(x)}`)
  }
  return x.slice(2)
}

function flag(value: boolean | undefined, otherwise: boolean, what: string): boolean {
  if (value === undefined) return otherwise
  if (typeof value !== 'boolean') throw new ShapeError(`${what} must be true or false, given ${String(value)}`)
  return value
}

/** Checks the options of sliding windows and derives the output's shape. */
function slide(
  name: string,
  directions: number,
  x: Shape,
  options: MaxPoolOptions,
): { yShape: Shape; axes: Axis[]; kernel: readonly number[] } {
  const input = checkInput(name, directions, x)
  const kernel = perDirection(options.kernel, directions, 1, `${name}: kernel`)
  const stride = perDirection(options.stride ?? kernel, directions, 1, `${name}: stride`)
  const dilation = perDirection(options.dilation ?? 1, directions, 1, `${name}: dilation`)
  const { lo, hi } = resolvePadding(options.padding ?? 0, input, kernel, stride, dilation, name)
  const ceil = flag(options.ceil, false, `${name}: ceil`)
  kernel.forEach((extent, axis) => {
    const reach = (dilation[axis] as number) * (extent - 1) + 1
    const padding = Math.max(lo[axis] as number, hi[axis] as number)
    if (padding > reach >> 1) {
      throw new ShapeError(
        `${name}: padding must be at most half of the kernel, which reaches over ${reach} elements along direction ${axis}, so at most ${reach >> 1}; given ${padding}`,
      )
    }
  })
  const output = outputExtents({ input, kernel, stride, dilation, lo, hi }, name, ceil)
  const axes = input.map((n, axis) => ({
    n,
    kernel: kernel[axis] as number,
    output: output[axis] as number,
    stride: stride[axis] as number,
    lo: lo[axis] as number,
    hi: hi[axis] as number,
    dilation: dilation[axis] as number,
  }))
  return { yShape: [...x.slice(0, 2), ...output], axes, kernel }
}

/** Checks the options of adaptive windows. */
function adapt(name: string, directions: number, x: Shape, outputSize: OutputSize): Pool {
  const input = checkInput(name, directions, x)
  const asked = Array.isArray(outputSize)
    ? (outputSize as readonly (number | null)[]).map((extent, axis) => extent ?? input[axis] ?? 1)
    : (outputSize as number)
  const output = perDirection(asked, directions, 1, `${name}: outputSize`)
  return makePool(
    name,
    x,
    [...x.slice(0, 2), ...output],
    input.map((n, axis) => adaptiveAxis(n, output[axis] as number)),
  )
}

/** Whole maps. */
function whole(name: string, x: Shape): Pool {
  if (x.length < 3 || x.length > 5) {
    throw new ShapeError(`${name}: x must be (N, C, W), (N, C, H, W) or (N, C, D, H, W), given ${showShape(x)}`)
  }
  return adapt(name, x.length - 2, x, 1)
}

type Describe<O> = (name: string, x: Shape, options: O) => Pool

// Maximum

/** dx: dy added at the positions of the maxima. */
const scatter: Op<{ dy: Tensor; indices: Tensor }, Pool> = defineOp('maxPoolGradient', {
  shape: (_, pool) => pool,
  forward: ({ dy, indices }, { xShape, maps, record }) => {
    const dx = empty(xShape)
    withIntegers(record, (shape) => {
      kernels().maxpool_dx(dx.pointer, dy.pointer, indices.pointer, shape, 0, maps)
    })
    return dx
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, ddx, pool) => ({ dy: need.dy && gather({ x: ddx, indices }, pool) }),
})

/** y: the elements of x at the positions of the maxima. */
const gather: Op<{ x: Tensor; indices: Tensor }, Pool> = defineOp('maxPoolGather', {
  shape: (_, pool) => pool,
  forward: ({ x, indices }, { yShape, maps, inputPixels, pixels }) => {
    const y = empty(yShape)
    kernels().maxpool_gather(y.pointer, x.pointer, indices.pointer, inputPixels, pixels, 0, maps)
    return y
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, dy, pool) => ({ x: need.x && scatter({ dy, indices }, pool) }),
})

interface MaxRequest<O> {
  readonly options: O
  /** Given the indices, which it may keep. */
  readonly receive?: (indices: Tensor) => void
}

function maximum<O>(name: string, describe: Describe<O>): Op<{ x: Tensor }, MaxRequest<O>> {
  return defineOp(name, {
    shape: ({ x }: { x: Tensor }, { options, receive }: MaxRequest<O>) => ({
      pool: describe(name, x.shape, options),
      receive,
    }),
    forward: ({ x }, { pool, receive }, differentiate) => {
      const y = empty(pool.yShape)
      const indices = differentiate || receive ? empty(pool.yShape) : undefined
      withIntegers(pool.record, (shape) => {
        kernels().maxpool_fwd(y.pointer, indices?.pointer ?? 0, x.pointer, shape, 0, pool.maps)
      })
      if (indices) receive?.(indices)
      return indices ? { y, saved: { indices } } : y
    },
    keeps: [],
    gradient: ({ saved, need }, dy, { pool }) => ({
      x: need.x && scatter({ dy, indices: saved.indices }, pool),
    }),
  })
}

const maxPool = (directions: number): Op<{ x: Tensor }, MaxRequest<MaxPoolOptions>> =>
  maximum(`maxPool${directions}d`, (name, x, options) => {
    const { yShape, axes } = slide(name, directions, x, options)
    return makePool(name, x, yShape, axes)
  })

const max1d = maxPool(1)
const max2d = maxPool(2)
const max3d = maxPool(3)

/**
 * Maximum over windows: x (N, C, W) -> (N, C, Q). Equals go to the first; a NaN in a window gives NaN.
 * @throws ShapeError when shapes or options do not fit.
 */
export function maxPool1d(x: Tensor, options: MaxPoolOptions): Tensor {
  return max1d({ x }, { options: options ?? {} })
}

/**
 * Maximum over windows: x (N, C, H, W) -> (N, C, P, Q). Equals go to the first, in rows; a NaN in a window gives NaN.
 * With `ceil` partial windows at the end are kept (figure 9.10).
 * @throws ShapeError when shapes or options do not fit.
 */
export function maxPool2d(x: Tensor, options: MaxPoolOptions): Tensor {
  return max2d({ x }, { options: options ?? {} })
}

/**
 * Maximum over windows: x (N, C, D, H, W) -> (N, C, O, P, Q). Equals go to the first; a NaN in a window gives NaN.
 * @throws ShapeError when shapes or options do not fit.
 */
export function maxPool3d(x: Tensor, options: MaxPoolOptions): Tensor {
  return max3d({ x }, { options: options ?? {} })
}

/**
 * maxPool2d together with the position of each maximum in its (H, W) plane, for `maxUnpool2d`. Gradients flow
 * through y.
 * @throws ShapeError when shapes or options do not fit.
 */
export function maxPool2dWithIndices(x: Tensor, options: MaxPoolOptions): { y: Tensor; indices: PoolIndices } {
  let kept: Tensor | undefined
  const y = max2d({ x }, { options: options ?? {}, receive: (indices) => (kept = keep(indices.alias())) })
  const bits = (kept as unknown as Tensor).alias()
  ;(kept as unknown as Tensor).dispose()
  return {
    y,
    indices: {
      shape: bits.shape,
      data: () => integersAt(bits.pointer, bits.size).slice(),
      bits,
      dispose: () => {
        bits.dispose()
      },
    },
  }
}

interface UnpoolRequest {
  readonly indices: PoolIndices | Int32Array | readonly number[]
  readonly options: UnpoolOptions
}

interface Unpool {
  readonly xShape: Shape
  readonly yShape: Shape
  readonly indices: Tensor | Int32Array
}

/** Extents of the result: those asked for, or the smallest that pool to the input's. */
function unpooledSize(name: string, x: Shape, options: UnpoolOptions): number[] {
  const asked = options.outputSize
  let size: number[] | undefined
  if (asked !== undefined) {
    const spatial =
      Array.isArray(asked) && asked.length === 4 && sameShape(asked.slice(0, 2), x.slice(0, 2)) ? asked.slice(2) : asked
    if (!Array.isArray(spatial) || spatial.length !== 2) {
      throw new ShapeError(
        `${name}: outputSize must be [H, W] or [${x[0]}, ${x[1]}, H, W], given ${Array.isArray(asked) ? `[${asked.join(', ')}]` : typeof asked}`,
      )
    }
    size = perDirection(spatial, 2, 1, `${name}: outputSize`)
    if (options.kernel === undefined) return size
  }
  const kernel = perDirection(options.kernel as PerDirection, 2, 1, `${name}: kernel`)
  const stride = perDirection(options.stride ?? kernel, 2, 1, `${name}: stride`)
  const padding = perDirection(options.padding ?? 0, 2, 0, `${name}: padding`)
  return kernel.map((extent, axis) => {
    const step = stride[axis] as number
    const natural = ((x[axis + 2] as number) - 1) * step - 2 * (padding[axis] as number) + extent
    const given = size?.[axis] ?? natural
    if (given < 1) {
      throw new ShapeError(
        `${name}: padding ${padding[axis]} leaves ${given} elements along direction ${axis}; use at most half of the kernel`,
      )
    }
    if (Math.abs(given - natural) >= step) {
      throw new ShapeError(
        `${name}: outputSize must be from ${Math.max(1, natural - step + 1)} to ${natural + step - 1} along direction ${axis} for ${x[axis + 2]} windows of ${extent} with stride ${step}, given ${given}`,
      )
    }
    return given
  })
}

function describeUnpool(name: string, x: Shape, { indices, options }: UnpoolRequest): Unpool {
  checkInput(name, 2, x)
  const yShape = [...x.slice(0, 2), ...unpooledSize(name, x, options)]
  const plane = (yShape[2] as number) * (yShape[3] as number)
  let bad: number
  let values: Tensor | Int32Array
  let at: (i: number) => number
  if (Array.isArray(indices) || ArrayBuffer.isView(indices)) {
    const list = indices as ArrayLike<number>
    if (list.length !== sizeOf(x)) {
      throw new ShapeError(
        `${name}: indices must be ${sizeOf(x)} positions as x is ${showShape(x)}, given ${list.length}`,
      )
    }
    bad = Array.prototype.findIndex.call(list, (i: number) => !Number.isInteger(i) || i < -1 || i >= plane)
    at = (i) => list[i] as number
    values = Int32Array.from(list)
  } else {
    const bits = (indices as PoolIndices | undefined)?.bits
    if (!(bits instanceof Tensor) || !sameShape(bits.shape, x)) {
      throw new ShapeError(
        `${name}: indices must be those of maxPool2dWithIndices, of shape ${showShape(x)}, or that many integers; given ${bits instanceof Tensor ? showShape(bits.shape) : typeof indices}`,
      )
    }
    bad = kernels().maxunpool_check(bits.pointer, bits.size, plane)
    at = (i) => integersAt(bits.pointer, bits.size)[i] as number
    values = bits
  }
  if (bad >= 0) {
    throw new ShapeError(
      `${name}: indices must be positions from 0 to ${plane - 1} in a plane of ${showShape(yShape.slice(2))}, given ${at(bad)}`,
    )
  }
  return { xShape: x, yShape, indices: values }
}

interface Planes {
  readonly xShape: Shape
  readonly yShape: Shape
}

const planeSize = (shape: Shape): number => (shape[2] as number) * (shape[3] as number)
const planeCount = (shape: Shape): number => (shape[0] as number) * (shape[1] as number)

/** x written at the positions, zero elsewhere; the last of equal positions stays. */
const place: Op<{ x: Tensor; indices: Tensor }, Planes> = defineOp('maxUnpool2d', {
  shape: (_, planes) => planes,
  forward: ({ x, indices }, { xShape, yShape }) => {
    const y = empty(yShape)
    const maps = planeCount(yShape)
    kernels().maxunpool_fwd(y.pointer, x.pointer, indices.pointer, planeSize(xShape), planeSize(yShape), 0, maps)
    return y
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, dy, planes) => ({ x: need.x && unplace({ dy, indices }, planes) }),
})

/** The adjoint of `place`. */
const unplace: Op<{ dy: Tensor; indices: Tensor }, Planes> = defineOp('maxUnpool2dGradient', {
  shape: (_, planes) => planes,
  forward: ({ dy, indices }, { xShape, yShape }) => {
    const dx = empty(xShape)
    const pixels = planeSize(yShape)
    withWorkspace(pixels * 4, (ws) => {
      kernels().maxunpool_dx(
        dx.pointer,
        dy.pointer,
        indices.pointer,
        ws,
        planeSize(xShape),
        pixels,
        0,
        planeCount(xShape),
      )
    })
    return dx
  },
  keeps: ['indices'],
  gradient: ({ inputs: { indices }, need }, ddx, planes) => ({ dy: need.dy && place({ x: ddx, indices }, planes) }),
})

const unpool: Op<{ x: Tensor }, UnpoolRequest> = defineOp('maxUnpool2d', {
  shape: ({ x }: { x: Tensor }, request: UnpoolRequest) => describeUnpool('maxUnpool2d', x.shape, request),
  forward: ({ x }, unpooling) => {
    let { indices } = unpooling
    if (!(indices instanceof Tensor)) {
      const values = indices
      indices = empty(unpooling.xShape)
      integersAt(indices.pointer, values.length).set(values)
    }
    return { y: place({ x, indices }, unpooling), saved: { indices } }
  },
  keeps: [],
  gradient: ({ saved, need }, dy, planes) => ({
    x: need.x && unplace({ dy, indices: saved.indices }, planes),
  }),
})

/**
 * The partial inverse of max pooling: y (N, C, P, Q) written at its indices into zeros (N, C, H, W). Where two windows
 * had the same maximum, the last one stays and receives the gradient.
 * @throws ShapeError when shapes, options or positions do not fit.
 */
export function maxUnpool2d(
  y: Tensor,
  indices: PoolIndices | Int32Array | readonly number[],
  options: UnpoolOptions,
): Tensor {
  return unpool({ x: y }, { indices, options: options ?? {} })
}

// Mean

const averageForward = ({ x }: { x: Tensor }, { yShape, maps, record }: Pool): Tensor => {
  const y = empty(yShape)
  withIntegers(record, (shape) => {
    kernels().avgpool_fwd(y.pointer, x.pointer, shape, 0, maps)
  })
  return y
}

const average: Op<{ x: Tensor }, Pool> = averaging('avgPool', (_, __, pool: Pool) => pool)

const spread: Op<{ dy: Tensor }, Pool> = defineOp('avgPoolGradient', {
  shape: (_, pool) => pool,
  forward: ({ dy }, { xShape, maps, record }) => {
    const dx = empty(xShape)
    const k = kernels()
    withIntegers(record, (shape) => {
      withWorkspace(k.avgpool_dx_workspace(shape), (ws) => {
        k.avgpool_dx(dx.pointer, dy.pointer, ws, shape, 0, maps)
      })
    })
    return dx
  },
  keeps: [],
  gradient: ({ need }, ddx, pool) => ({ dy: need.dy && average({ x: ddx }, pool) }),
})

function averaging<O>(name: string, describe: Describe<O>): Op<{ x: Tensor }, O> {
  return defineOp(name, {
    shape: ({ x }: { x: Tensor }, options: O) => describe(name, x.shape, options),
    forward: averageForward,
    keeps: [],
    gradient: ({ need }, dy, pool) => ({ x: need.x && spread({ dy }, pool) }),
  })
}

const avgPool = (directions: number): Op<{ x: Tensor }, AvgPoolOptions> =>
  averaging(`avgPool${directions}d`, (name, x, options) => {
    const { yShape, axes } = slide(name, directions, x, { ...options, dilation: 1 })
    return makePool(name, x, yShape, axes, {
      countPadding: flag(options.countIncludePad, true, `${name}: countIncludePad`),
    })
  })

const avg1d = avgPool(1)
const avg2d = avgPool(2)
const avg3d = avgPool(3)

/** Mean over windows: x (N, C, W) -> (N, C, Q). @throws ShapeError when shapes or options do not fit. */
export function avgPool1d(x: Tensor, options: AvgPoolOptions): Tensor {
  return avg1d({ x }, options ?? {})
}

/** Mean over windows: x (N, C, H, W) -> (N, C, P, Q). @throws ShapeError when shapes or options do not fit. */
export function avgPool2d(x: Tensor, options: AvgPoolOptions): Tensor {
  return avg2d({ x }, options ?? {})
}

/** Mean over windows: x (N, C, D, H, W) -> (N, C, O, P, Q). @throws ShapeError when shapes or options do not fit. */
export function avgPool3d(x: Tensor, options: AvgPoolOptions): Tensor {
  return avg3d({ x }, options ?? {})
}

// p-norm

interface LpPool {
  readonly pool: Pool
  readonly p: number
}

/** dx of lpPool. */
const lpGradient: Op<{ dy: Tensor; x: Tensor; y: Tensor }, LpPool> = defineOp('lpPoolGradient', {
  shape: (_, described) => described,
  forward: ({ dy, x, y }, { pool: { xShape, maps, record }, p }) => {
    const dx = empty(xShape)
    const k = kernels()
    withIntegers(record, (shape) => {
      withWorkspace(k.lppool_dx_workspace(shape), (ws) => {
        k.lppool_dx(dx.pointer, dy.pointer, x.pointer, y.pointer, ws, p, shape, 0, maps)
      })
    })
    return dx
  },
})

function lpPool(directions: number): Op<{ x: Tensor }, LpPoolOptions> {
  const name = `lpPool${directions}d`
  return defineOp(name, {
    shape: ({ x }: { x: Tensor }, { kernel, stride, ceil, p = 2 }: LpPoolOptions): LpPool => {
      const { yShape, axes, kernel: extents } = slide(name, directions, x.shape, { kernel, stride, ceil })
      if (!Number.isFinite(p) || p <= 0)
        throw new ShapeError(`${name}: p must be a positive number, given ${String(p)}`)
      return { pool: makePool(name, x.shape, yShape, axes, { numerator: product(extents) }), p }
    },
    forward: ({ x }, { pool: { yShape, maps, record }, p }) => {
      const y = empty(yShape)
      const k = kernels()
      withIntegers(record, (shape) => {
        withWorkspace(k.lppool_fwd_workspace(shape), (ws) => {
          k.lppool_fwd(y.pointer, x.pointer, ws, p, shape, 0, maps)
        })
      })
      return y
    },
    keeps: ['x', 'y'],
    gradient: ({ inputs: { x }, y, need }, dy, described) => ({ x: need.x && lpGradient({ dy, x, y }, described) }),
  })
}

const lp1d = lpPool(1)
const lp2d = lpPool(2)

/**
 * (Σ xᵖ)^(1/p) over windows: x (N, C, W) -> (N, C, Q). The powers keep signs, as torch.nn.LPPool1d does: with an odd p
 * a negative sum gives NaN. The gradient is 0 where the sum is 0.
 * @throws ShapeError when shapes or options do not fit.
 */
export function lpPool1d(x: Tensor, options: LpPoolOptions): Tensor {
  return lp1d({ x }, options ?? {})
}

/**
 * (Σ xᵖ)^(1/p) over windows: x (N, C, H, W) -> (N, C, P, Q). The powers keep signs, as torch.nn.LPPool2d does: with an
 * odd p a negative sum gives NaN. The gradient is 0 where the sum is 0.
 * @throws ShapeError when shapes or options do not fit.
 */
export function lpPool2d(x: Tensor, options: LpPoolOptions): Tensor {
  return lp2d({ x }, options ?? {})
}

// Weighted mean

interface WeightedPool {
  readonly pool: Pool
  readonly kernel: readonly number[]
  /** Normalized weights, or the deviations of a Gaussian. */
  readonly weights: Float32Array | undefined
  readonly sigma: readonly number[]
}

/** Weights (R, S) as rows. */
function weightRows(name: string, weights: WeightedPoolOptions['weights']): readonly (readonly number[])[] {
  if (weights instanceof Tensor) {
    if (weights.ndim !== 2) throw new ShapeError(`${name}: weights must be (R, S), given ${showShape(weights.shape)}`)
    const [rows, columns] = weights.shape as readonly [number, number]
    const data = weights.data()
    return Array.from({ length: rows }, (_, r) => [...data.subarray(r * columns, (r + 1) * columns)])
  }
  if (!Array.isArray(weights) || weights.length === 0 || !Array.isArray(weights[0]) || weights[0].length === 0) {
    throw new ShapeError(`${name}: weights must be R rows of S numbers`)
  }
  for (const row of weights as readonly unknown[]) {
    const length = Array.isArray(row) ? row.length : 0
    if (length !== weights[0].length) {
      throw new ShapeError(
        `${name}: weights must be rows of equal length, given rows of ${weights[0].length} and ${length}`,
      )
    }
  }
  return weights as readonly (readonly number[])[]
}

function normalizeWeights(name: string, rows: readonly (readonly number[])[]): Float32Array {
  const flat = rows.flat()
  let sum = 0
  for (const weight of flat) {
    if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0) {
      throw new ShapeError(`${name}: weights must be finite numbers from 0 on, given ${String(weight)}`)
    }
    sum += weight
  }
  if (!(sum > 0)) throw new ShapeError(`${name}: weights must have a sum above 0, given ${sum}`)
  return Float32Array.from(flat, (weight) => weight / sum)
}

function checkSigma(name: string, sigma: number | readonly number[]): readonly number[] {
  const list = typeof sigma === 'number' ? [sigma, sigma] : sigma
  if (!Array.isArray(list) || list.length !== 2 || !list.every((value) => Number.isFinite(value) && value > 0)) {
    throw new ShapeError(
      `${name}: sigma must be a positive number or two, given ${Array.isArray(sigma) ? `[${sigma.join(', ')}]` : String(sigma)}`,
    )
  }
  return list as readonly number[]
}

function describeWeighted(x: Shape, options: WeightedPoolOptions): WeightedPool {
  const name = 'weightedPool2d'
  const { weights, sigma, countIncludePad, ...windows } = options
  if ((weights === undefined) === (sigma === undefined)) {
    throw new ShapeError(`${name}: give either weights or sigma, not ${weights === undefined ? 'neither' : 'both'}`)
  }
  const rows = weights === undefined ? undefined : weightRows(name, weights)
  const extents = rows && [rows.length, (rows[0] as readonly number[]).length]
  const { yShape, axes, kernel } = slide(name, 2, x, {
    ...windows,
    kernel: (options.kernel ?? extents) as PerDirection,
    dilation: 1,
  })
  if (extents && !sameShape(extents, kernel)) {
    throw new ShapeError(`${name}: weights must be ${showShape(kernel)} like the kernel, given ${showShape(extents)}`)
  }
  return {
    pool: makePool(name, x, yShape, axes, {
      countPadding: flag(countIncludePad, true, `${name}: countIncludePad`),
    }),
    kernel,
    weights: rows && normalizeWeights(name, rows),
    sigma: sigma === undefined ? [1, 1] : checkSigma(name, sigma),
  }
}

/** Runs `use` with the weights in linear memory. */
function withWeights(d: WeightedPool, use: (weights: number, shape: number) => void): void {
  const [R, S] = d.kernel as readonly [number, number]
  withIntegers(d.pool.record, (shape) => {
    withWorkspace(R * S * 4, (weights) => {
      if (d.weights) floatsAt(weights, R * S).set(d.weights)
      else kernels().weightedpool_gaussian(weights, R, S, d.sigma[0] as number, d.sigma[1] as number)
      use(weights, shape)
    })
  })
}

const weighted = defineOp('weightedPool2d', {
  shape: ({ x }: { x: Tensor }, request: WeightedPoolOptions | WeightedPool) =>
    'pool' in request ? request : describeWeighted(x.shape, request),
  forward: ({ x }, d) => {
    const y = empty(d.pool.yShape)
    withWeights(d, (weights, shape) => {
      kernels().weightedpool_fwd(y.pointer, x.pointer, weights, shape, 0, d.pool.maps)
    })
    return y
  },
  keeps: [],
  gradient: ({ need }, dy, d): { x: Tensor | false } => ({ x: need.x && weightedGradient({ dy }, d) }),
})

const weightedGradient: Op<{ dy: Tensor }, WeightedPool> = defineOp('weightedPool2dGradient', {
  shape: (_, d) => d,
  forward: ({ dy }, d) => {
    const dx = empty(d.pool.xShape)
    withWeights(d, (weights, shape) => {
      kernels().weightedpool_dx(dx.pointer, dy.pointer, weights, shape, 0, d.pool.maps)
    })
    return dx
  },
  keeps: [],
  gradient: ({ need }, ddx, d) => ({ dy: need.dy && weighted({ x: ddx }, d) }),
})

/**
 * Mean over windows with weights that fall with the distance from the centre, given as such or as a Gaussian:
 * x (N, C, H, W) -> (N, C, P, Q). The weights are divided by their sum; padding counts as zeros, unless
 * `countIncludePad` is false.
 * @throws ShapeError when shapes or options do not fit.
 */
export function weightedPool2d(x: Tensor, options: WeightedPoolOptions): Tensor {
  return weighted({ x }, options ?? {})
}

// Adaptive and global

const adaptiveAverage = (directions: number): Op<{ x: Tensor }, OutputSize> =>
  averaging(`adaptiveAvgPool${directions}d`, (name, x, size) => adapt(name, directions, x, size))
const adaptiveMaximum = (directions: number): Op<{ x: Tensor }, MaxRequest<OutputSize>> =>
  maximum(`adaptiveMaxPool${directions}d`, (name, x, size) => adapt(name, directions, x, size))

const adaptiveAvg1d = adaptiveAverage(1)
const adaptiveAvg2d = adaptiveAverage(2)
const adaptiveAvg3d = adaptiveAverage(3)
const adaptiveMax1d = adaptiveMaximum(1)
const adaptiveMax2d = adaptiveMaximum(2)
const adaptiveMax3d = adaptiveMaximum(3)
const globalAvg = averaging('globalAvgPool', (name, x, _: undefined) => whole(name, x))
const globalMax = maximum('globalMaxPool', (name, x, _: undefined) => whole(name, x))

/** Mean over outputSize windows that cover x (N, C, W) -> (N, C, Q). @throws ShapeError */
export function adaptiveAvgPool1d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvg1d({ x }, outputSize)
}

/**
 * Mean over a grid of windows that cover x, whatever its size: x (N, C, H, W) -> (N, C, …outputSize). Window i of m
 * reaches from floor(i·n / m) to ceil((i + 1)·n / m).
 * @throws ShapeError when shapes or options do not fit.
 */
export function adaptiveAvgPool2d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvg2d({ x }, outputSize)
}

/** Mean over a grid of windows that cover x (N, C, D, H, W) -> (N, C, …outputSize). @throws ShapeError */
export function adaptiveAvgPool3d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAvg3d({ x }, outputSize)
}

/** Maximum over outputSize windows that cover x (N, C, W) -> (N, C, Q). @throws ShapeError */
export function adaptiveMaxPool1d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMax1d({ x }, { options: outputSize })
}

/**
 * Maximum over a grid of windows that cover x, whatever its size: x (N, C, H, W) -> (N, C, …outputSize). Window i of m
 * reaches from floor(i·n / m) to ceil((i + 1)·n / m): [2, 2] gives one summary for each quadrant.
 * @throws ShapeError when shapes or options do not fit.
 */
export function adaptiveMaxPool2d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMax2d({ x }, { options: outputSize })
}

/** Maximum over a grid of windows that cover x (N, C, D, H, W) -> (N, C, …outputSize). @throws ShapeError */
export function adaptiveMaxPool3d(x: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveMax3d({ x }, { options: outputSize })
}

/** Mean of each map: x (N, C, …) of one to three directions -> (N, C, 1, …). @throws ShapeError */
export function globalAvgPool(x: Tensor): Tensor {
  return globalAvg({ x }, undefined)
}

/** Maximum of each map: x (N, C, …) of one to three directions -> (N, C, 1, …). @throws ShapeError */
export function globalMaxPool(x: Tensor): Tensor {
  return globalMax({ x }, { options: undefined })
}

const maxoutOp = maximum('maxout', (name, x, groupSize: number) => {
  const [N, C, ...spatial] = x as readonly [number, number, ...number[]]
  if (x.length < 2) throw new ShapeError(`${name}: x must be (N, C, …), given ${showShape(x)}`)
  if (!Number.isInteger(groupSize) || groupSize < 1 || C % groupSize !== 0) {
    throw new ShapeError(`${name}: groupSize must divide the ${C} channels of x, given ${String(groupSize)}`)
  }
  // A group is a map (groupSize, pixels), pooled along its first direction.
  const pixels = sizeOf(spatial)
  const axes = [slidingAxis(groupSize, groupSize, 1), slidingAxis(pixels, 1, pixels)]
  return makePool(name, x, [N, C / groupSize, ...spatial], axes)
})

/**
 * Maximum over groups of `groupSize` neighbouring channels: x (N, C, …) -> (N, C / groupSize, …) (Goodfellow et al.,
 * "Maxout networks", 2013).
 * @throws ShapeError when groupSize does not divide C.
 */
export function maxout(x: Tensor, groupSize: number): Tensor {
  return maxoutOp({ x }, { options: groupSize })
}
