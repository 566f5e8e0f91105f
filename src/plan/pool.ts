/**
 * Windows of pooling: options checked, the output's shape derived, and the record that the core reads (PoolShape in
 * assembly/ops/pool/shape.ts). Sliding windows, a fixed grid of windows (adaptive), or one window over the whole map.
 */
import { checkSwitch } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { fieldsOfAxis } from '../runtime/generated/constants.js'
import { LIGHT } from '../runtime/work.js'
import { type Names } from '../runtime/options.js'
import { checkSize, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { recordOf } from './record.js'
import {
  mapExtents,
  MOST,
  outputExtents,
  perDirection,
  resolvePadding,
  type Padding,
  type PerDirection,
} from './window.js'

/** Numbers of any size up to 2³¹ − 1: what a window has beside the input costs nothing. */
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

/** The options of every pooling with sliding windows. */
export const poolNames = { kernel: 0, stride: 0, padding: 0, ceil: 'flag' } as const satisfies Names<PoolOptions>

/** Output extents of adaptive pooling: one number, or one for each direction, where null keeps the input's. */
export type OutputSize = number | readonly (number | null)[]

/** A validated pooling. */
export interface Pool {
  readonly xShape: Shape
  readonly yShape: Shape
  /** Number of independent maps, and elements of one map of x and of y. */
  readonly maps: number
  readonly inputPixels: number
  readonly pixels: number
  /** Time that one map takes, in ns. */
  readonly work: number
  /** What the record tells. */
  readonly axes: readonly Axis[]
  readonly countPadding: boolean
  /** PoolShape of assembly/ops/pool/shape.ts. */
  readonly record: Int32Array
}

/** A validated pooling whose windows slide. */
export interface SlidingPool extends Pool {
  /** Extents of a window. */
  readonly kernel: readonly number[]
}

/** Validates the options of operation `name` on a tensor of shape x. */
export type Describe<O> = (name: string, x: Shape, options: O) => Pool

/** What the sum over a window is divided by. */
export interface Divisor {
  /** Whether it counts padding; default true. */
  readonly countIncludePad?: boolean | undefined
  /** Whether the sum of a partial window is scaled up to that of a full one, instead of a mean. */
  readonly scaleUp?: boolean
}

/** The windows along one direction. */
export interface Axis {
  readonly n: number
  /** 0: adaptive. */
  readonly kernel: number
  readonly output: number
  readonly stride: number
  readonly lo: number
  readonly hi: number
  readonly dilation: number
}

/** `output` windows of `kernel` elements, side by side; 0: adaptive windows. */
export const plainAxis = (n: number, kernel: number, output: number): Axis => ({
  n,
  kernel,
  output,
  stride: 1,
  lo: 0,
  hi: 0,
  dilation: 1,
})

/**
 * Windows of a larger dilation are taken one by one: the addresses of a block of four then never pass the end of memory,
 * whose last page is not used, by more than that page.
 */
const WIDEST_DILATION = 2 ** 13
/** Windows with taps beside the input are taken by four up to this kernel, or the input's extent: what is beside costs time. */
const WIDEST_EDGE = 16

/**
 * The fields of Axis in assembly/ops/pool/shape.ts. Kernel, stride, dilation and padding may each be as large as 2³¹ − 1, and
 * what is computed of them here, as doubles, far larger: kernels get numbers that fit 32 bits.
 */
function encodeAxis({ n, kernel, output, stride, lo, hi, ...axis }: Axis): Int32Array {
  // The only tap of a window has no neighbour.
  const dilation = kernel === 1 ? 1 : axis.dilation
  // The windows insideBegin ≤ i < insideEnd lie in the input as a whole, partBegin ≤ i < partEnd at least in part.
  let [insideBegin, insideEnd] = [0, 0]
  if (kernel > 0 && dilation <= WIDEST_DILATION) {
    const last = n + lo - ((kernel - 1) * dilation + 1)
    insideBegin = Math.min(output, Math.ceil(lo / stride))
    insideEnd = last < 0 ? insideBegin : Math.max(insideBegin, Math.min(output, Math.floor(last / stride) + 1))
  }
  let [partBegin, partEnd] = [insideBegin, insideEnd]
  if (kernel > 0 && kernel <= Math.max(WIDEST_EDGE, n) && dilation === 1) {
    partBegin = Math.max(0, Math.ceil((lo - kernel + 1) / stride))
    partEnd = Math.min(output, Math.floor((n + lo - 1) / stride) + 1)
  }
  const windows = { insideBegin, insideEnd, partBegin, partEnd }
  return recordOf(fieldsOfAxis, { n, kernel, output, stride, lo, hi, dilation, ...windows })
}

/** The pooling of maps along one to three directions. @throws ShapeError when the output is too large. */
export function makePool(
  name: string,
  xShape: Shape,
  yShape: Shape,
  axes: readonly Axis[],
  numerator = 1,
  countPadding = false,
): Pool {
  checkSize(yShape, name)
  const inputPixels = sizeOf(axes.map(({ n }) => n))
  const pixels = sizeOf(axes.map(({ output }) => output))
  // Taps beside the input cost nothing.
  const window = sizeOf(axes.map(({ n, kernel, output }) => Math.min(n, kernel || n / output)))
  const three = [...new Array<Axis>(3 - axes.length).fill(plainAxis(1, 1, 1)), ...axes]
  const numeratorBits = new Int32Array(Float64Array.of(numerator).buffer)
  return {
    xShape,
    yShape,
    maps: sizeOf(xShape) / inputPixels,
    inputPixels,
    pixels,
    work: LIGHT * (inputPixels + pixels * window),
    axes,
    countPadding,
    record: Int32Array.of(...numeratorBits, countPadding ? 1 : 0, ...three.flatMap((axis) => [...encodeAxis(axis)])),
  }
}

type SlidingOptions = PoolOptions & { readonly dilation?: PerDirection | undefined }

/**
 * The windows of maxima without the first taps, which lie before the input in all of them, where there is more padding than
 * a kernel can be told; 'same' with a large dilation is. Padding behind the input has no part in a maximum.
 * @throws ShapeError where too much is left.
 */
function withoutDeadTaps(name: string, axis: Axis): Axis {
  const { kernel, output, stride, lo, hi, dilation } = axis
  if (Math.max(lo, hi) <= MOST) return axis
  const last = (output - 1) * stride - lo
  const dead = Math.max(0, Math.min(kernel - 1, Math.ceil(-last / dilation)))
  const left = lo - dead * dilation
  if (left > MOST)
    throw new ArgumentError(`${name}: padding can be at most ${MOST}, and here it is ${left}; use a smaller dilation`)
  return { ...axis, kernel: kernel - dead, lo: left, hi: Math.min(hi, MOST) }
}

/** Sliding windows. @throws ShapeError when shapes or options do not fit. */
export function slide(
  name: string,
  directions: number,
  x: Shape,
  options: SlidingOptions,
  { countIncludePad = true, scaleUp = false }: Divisor = {},
): SlidingPool {
  const input = mapExtents(name, directions, x)
  const kernel = perDirection(options.kernel, directions, 1, `${name}: kernel`)
  const stride = perDirection(options.stride ?? kernel, directions, 1, `${name}: stride`)
  const dilation = perDirection(options.dilation ?? 1, directions, 1, `${name}: dilation`)
  const { lo, hi } = resolvePadding(options.padding ?? 0, input, kernel, stride, dilation, name)
  const { ceil = false } = options
  checkSwitch(ceil, `${name}: ceil`)
  kernel.forEach((extent, axis) => {
    const reach = (dilation[axis] as number) * (extent - 1) + 1
    const padding = Math.max(lo[axis] as number, hi[axis] as number)
    const most = Math.floor(reach / 2)
    if (padding > most) {
      throw new ShapeError(
        `${name}: padding must be at most half of the kernel, which reaches over ${reach} elements along direction ${axis}, so at most ${most}; given ${padding}`,
      )
    }
  })
  const output = outputExtents({ input, kernel, stride, dilation, lo, hi }, name, ceil)
  const axes = input.map((n, axis) =>
    withoutDeadTaps(name, {
      n,
      kernel: kernel[axis] as number,
      output: output[axis] as number,
      stride: stride[axis] as number,
      lo: lo[axis] as number,
      hi: hi[axis] as number,
      dilation: dilation[axis] as number,
    }),
  )
  const yShape = Object.freeze([...x.slice(0, 2), ...output])
  checkSwitch(countIncludePad, `${name}: countIncludePad`)
  return { ...makePool(name, x, yShape, axes, scaleUp ? sizeOf(kernel) : 1, countIncludePad), kernel }
}

/** A grid of windows that cover the map, whatever its size. @throws ShapeError when shapes or extents do not fit. */
export function adapt(name: string, directions: number, x: Shape, outputSize: OutputSize): Pool {
  const input = mapExtents(name, directions, x)
  const asked = Array.isArray(outputSize)
    ? (outputSize as readonly (number | null)[]).map((extent, axis) => extent ?? input[axis] ?? 1)
    : (outputSize as number)
  const output = perDirection(asked, directions, 1, `${name}: outputSize`)
  return makePool(
    name,
    x,
    [...x.slice(0, 2), ...output],
    input.map((n, axis) => plainAxis(n, 0, output[axis] as number)),
  )
}

/** One window over each map. @throws ShapeError when x has not one to three directions. */
export function cover(name: string, x: Shape): Pool {
  if (x.length < 3 || x.length > 5) {
    throw new ShapeError(`${name}: x must be (N, C, W), (N, C, H, W) or (N, C, D, H, W), given ${showShape(x)}`)
  }
  return adapt(name, x.length - 2, x, 1)
}
