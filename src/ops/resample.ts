/**
 * Resampling along axes, as ONNX's Resize defines it. Element j of a resampled axis is Σ weight · x[place] over a few places around
 * the coordinate that j comes from. The axes are separable: places and weights are computed once for each axis, when the operation is
 * prepared, and the axes are resampled one after another in double precision. Computed in JavaScript.
 */
import { defineOp, type Op } from '../autodiff/op.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { arrays, dtypes, type DType } from '../tensor/dtype.js'
import { checkAxis, checkSize, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { elementsAt, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** Which coordinate of x an element of the output comes from; ONNX's coordinate_transformation_mode. */
export type Transformation =
  | 'half_pixel'
  | 'half_pixel_symmetric'
  | 'pytorch_half_pixel'
  | 'align_corners'
  | 'asymmetric'
  | 'tf_half_pixel_for_nn'
  | 'tf_crop_and_resize'

/** How `nearest` rounds a coordinate; `simple` is what ONNX meant before opset 11: down, and up where an axis shrinks. */
export type NearestMode = 'round_prefer_floor' | 'round_prefer_ceil' | 'floor' | 'ceil' | 'simple'

/** One axis that is resampled. */
export interface ResampledAxis {
  readonly axis: number
  /** Extent of the output. */
  readonly size: number
  /** Pixels of the output for each of the input. */
  readonly scale: number
  /** `scale` times the extent of x where the scale is given: it need not be whole. Default `size`. */
  readonly width?: number
  /** Part of x that is taken, from 0 to 1; only for `tf_crop_and_resize`. */
  readonly region?: readonly [begin: number, end: number]
}

/** Options of `resample`. */
export interface ResampleOptions {
  readonly axes: readonly ResampledAxis[]
  readonly mode: 'nearest' | 'linear' | 'cubic'
  readonly transformation: Transformation
  /** Default 'round_prefer_floor'. */
  readonly nearest?: NearestMode
  /** The coefficient of the cubic kernel; default −0.75. */
  readonly cubicCoefficient?: number
  /** Whether places outside of x count nothing, so that the others' weights sum to 1; else the edge is repeated. Default false. */
  readonly excludeOutside?: boolean
  /** Whether the kernel is widened where an axis shrinks, so that every pixel counts. Default false. */
  readonly antialias?: boolean
  /** The value where a region reaches out of x; default 0. */
  readonly extrapolation?: number
}

/** Places and weights along one axis: `taps` of each for every element of the output. */
interface Table {
  readonly axis: number
  readonly size: number
  readonly taps: number
  readonly places: Int32Array
  readonly weights: Float64Array
  /** Which elements lie outside of x, and have the weight 0 throughout; undefined where none can. */
  readonly outside: readonly boolean[] | undefined
}

interface Resampling {
  readonly dtype: DType
  readonly xShape: Shape
  readonly yShape: Shape
  readonly tables: readonly Table[]
  /** Value outside of x. */
  readonly extrapolation: number
  /** Whether elements are copied, so that any type will do. */
  readonly copies: boolean
}

/** The coordinate that element `j` of an axis of extent `n` comes from. */
function coordinateOf(transformation: Transformation, j: number, n: number, axis: ResampledAxis): number {
  const { size, scale, width = size, region: [begin, end] = [0, 1] } = axis
  const half = (j + 0.5) / scale - 0.5
  switch (transformation) {
    case 'half_pixel':
      return half
    case 'half_pixel_symmetric':
      return (n / 2) * (1 - size / width) + (j + 0.5) / scale - 0.5
    case 'pytorch_half_pixel':
      return size > 1 ? half : 0
    case 'align_corners':
      return width === 1 ? 0 : (j * (n - 1)) / (width - 1)
    case 'asymmetric':
      return j / scale
    case 'tf_half_pixel_for_nn':
      return (j + 0.5) / scale
    case 'tf_crop_and_resize':
      return width === 1 ? 0.5 * (begin + end) * (n - 1) : begin * (n - 1) + (j * (end - begin) * (n - 1)) / (width - 1)
  }
}

/** A coordinate to the nearest place. */
function nearestPlace(mode: NearestMode, x: number, scale: number): number {
  switch (mode) {
    case 'floor':
      return Math.floor(x)
    case 'ceil':
      return Math.ceil(x)
    case 'simple':
      return scale < 1 ? Math.ceil(x) : Math.floor(x)
    case 'round_prefer_floor':
      return x - Math.floor(x) <= 0.5 ? Math.floor(x) : Math.ceil(x)
    case 'round_prefer_ceil':
      return x - Math.floor(x) < 0.5 ? Math.floor(x) : Math.ceil(x)
  }
}

/** The kernels by the distance from the coordinate, and how far they reach. */
const linearKernel = (t: number): number => Math.max(0, 1 - Math.abs(t))
const cubicKernel =
  (a: number) =>
  (t: number): number => {
    const d = Math.abs(t)
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
  }

const clamped = (place: number, n: number): number => Math.max(0, Math.min(n - 1, place))

/** Places and weights of an axis of extent `n`. */
function tableOf(n: number, axis: ResampledAxis, options: ResampleOptions): Table {
  const { size, scale } = axis
  const { mode, transformation, nearest = 'round_prefer_floor', cubicCoefficient = -0.75 } = options
  const isCrop = transformation === 'tf_crop_and_resize'
  const reach = mode === 'linear' ? 1 : 2
  // The kernel is widened by 1 / shrink.
  const shrink = options.antialias ? Math.min(1, scale) : 1
  const first = mode === 'nearest' ? 0 : Math.floor(-reach / shrink) + 1
  const taps = mode === 'nearest' ? 1 : 2 - 2 * first
  const kernel = mode === 'linear' ? linearKernel : cubicKernel(cubicCoefficient)
  const places = new Int32Array(size * taps)
  const weights = new Float64Array(size * taps)
  const outside: boolean[] = []
  for (let j = 0; j < size; j++) {
    const x = coordinateOf(transformation, j, n, axis)
    const isOutside = isCrop && !(x >= 0 && x <= n - 1)
    outside.push(isOutside)
    if (isOutside) continue
    if (mode === 'nearest') {
      places[j] = clamped(nearestPlace(nearest, x, scale), n)
      weights[j] = 1
      continue
    }
    const low = Math.floor(x)
    let sum = 0
    for (let tap = 0; tap < taps; tap++) {
      const place = low + first + tap
      const counts = !options.excludeOutside || (place >= 0 && place < n)
      const weight = counts ? kernel((place - x) * shrink) : 0
      places[j * taps + tap] = clamped(place, n)
      weights[j * taps + tap] = weight
      sum += weight
    }
    // The weights of the kernels as they are sum to 1.
    if ((shrink < 1 || options.excludeOutside) && sum !== 0)
      for (let tap = j * taps; tap < (j + 1) * taps; tap++) weights[tap] = (weights[tap] as number) / sum
  }
  return { axis: axis.axis, size, taps, places, weights, outside: outside.includes(true) ? outside : undefined }
}

/** Any array of elements. */
type Elements = Float64Array | Float32Array

/** x (outer, n, inner) along its middle axis -> y (outer, size, inner). */
function along(x: Elements, outer: number, n: number, inner: number, table: Table): Float64Array {
  const { size, taps, places, weights } = table
  const y = new Float64Array(outer * size * inner)
  for (let row = 0; row < outer; row++) {
    for (let j = 0; j < size; j++) {
      const to = (row * size + j) * inner
      for (let tap = j * taps; tap < (j + 1) * taps; tap++) {
        const weight = weights[tap] as number
        // What counts nothing is not read: a NaN there stays there.
        if (weight === 0) continue
        const from = (row * n + (places[tap] as number)) * inner
        for (let k = 0; k < inner; k++) y[to + k] = (y[to + k] as number) + weight * (x[from + k] as number)
      }
    }
  }
  return y
}

/** dx (outer, n, inner) of dy (outer, size, inner). */
function back(dy: Elements, outer: number, n: number, inner: number, table: Table): Float64Array {
  const { size, taps, places, weights } = table
  const dx = new Float64Array(outer * n * inner)
  for (let row = 0; row < outer; row++) {
    for (let j = 0; j < size; j++) {
      const from = (row * size + j) * inner
      for (let tap = j * taps; tap < (j + 1) * taps; tap++) {
        const weight = weights[tap] as number
        if (weight === 0) continue
        const to = (row * n + (places[tap] as number)) * inner
        for (let k = 0; k < inner; k++) dx[to + k] = (dx[to + k] as number) + weight * (dy[from + k] as number)
      }
    }
  }
  return dx
}

/** Elements in front of an axis and behind it. */
const around = (shape: readonly number[], axis: number): [outer: number, inner: number] => [
  sizeOf(shape.slice(0, axis)),
  sizeOf(shape.slice(axis + 1)),
]

/** Writes a value where an axis of y lies outside of x; whole numbers are cut. */
function extrapolate(y: Elements, { dtype, yShape: shape, tables, extrapolation }: Resampling): void {
  const value = (dtype === 'int64' ? BigInt(Math.trunc(extrapolation)) : extrapolation) as number
  for (const { axis, size, outside } of tables) {
    if (!outside) continue
    const [outer, inner] = around(shape, axis)
    for (let row = 0; row < outer; row++) {
      for (let j = 0; j < size; j++)
        if (outside[j]) y.fill(value, (row * size + j) * inner, (row * size + j + 1) * inner)
    }
  }
}

/** Copies x of any type: one place for each element of y. */
function copied(x: Float32Array, dtype: DType, xShape: Shape, tables: readonly Table[]): typeof x {
  const shape = [...xShape]
  let from = x
  for (const { axis, size, places } of tables) {
    const [outer, inner] = around(shape, axis)
    const n = shape[axis] as number
    // Elements are only moved: as an array of floats stands for one of any type.
    const to = new arrays[dtype](outer * size * inner) as typeof x
    for (let row = 0; row < outer; row++) {
      for (let j = 0; j < size; j++) {
        const first = (row * n + (places[j] as number)) * inner
        const at = (row * size + j) * inner
        if (inner === 1) to[at] = from[first] as number
        else to.set(from.subarray(first, first + inner), at)
      }
    }
    shape[axis] = size
    from = to
  }
  return from
}

/** x along its axes; the operation without the value outside, which is no part of its gradient, is `linearly`. */
function define(
  name: string,
  describe: (x: AnyTensor, options: never) => Resampling,
): Op<{ x: AnyTensor }, unknown, never, DType> {
  return defineOp(name, {
    types: { x: dtypes },
    infer: ({ x }: { x: AnyTensor }, options: unknown) => describe(x, options as never),
    output: ({ yShape }) => yShape,
    dtype: ({ dtype }): DType => dtype,
    prepare: (list, d) => {
      const { dtype, xShape, yShape, tables, extrapolation, copies } = d
      list.routine(
        (out, from) => {
          const x = elementsAt(from, sizeOf(xShape), dtype) as Float32Array
          const y = elementsAt(out, sizeOf(yShape), dtype) as Float32Array
          if (copies) {
            y.set(copied(x, dtype, xShape, tables))
          } else {
            const shape = [...xShape]
            let part: Elements = x
            for (const table of tables) {
              const [outer, inner] = around(shape, table.axis)
              part = along(part, outer, shape[table.axis] as number, inner, table)
              shape[table.axis] = table.size
            }
            y.set(part)
          }
          if (extrapolation !== 0 || copies) extrapolate(y, d)
        },
        list.out,
        list.operand('x'),
      )
    },
    keeps: [],
    gradient: (_, dy, d) => ({ x: adjoint({ dy }, d) }),
  })
}

const resampled = define('resample', (x, options: ResampleOptions) => {
  const { axes, mode, extrapolation = 0 } = options
  const yShape = [...x.shape]
  for (const { axis, size, scale } of axes) {
    checkAxis(axis, x.ndim, 'resample')
    if (!(Number.isInteger(size) && size >= 0))
      throw new ShapeError(`resample: extent ${axis} must be a whole number from 0 on, given ${size}`)
    if (size > 0 && !(scale > 0 && scale < Infinity))
      throw new ArgumentError(`resample: the scale of axis ${axis} must be above 0, given ${scale}`)
    yShape[axis] = size
  }
  checkSize(yShape, 'resample')
  if (x.size === 0 && sizeOf(yShape) > 0)
    throw new ShapeError(`resample: x of shape ${showShape(x.shape)} has no elements to make others of`)
  if (mode !== 'nearest' && x.dtype !== 'float32')
    throw new ArgumentError(
      `resample: mode '${mode}' needs x of float32, given ${x.dtype}; convert it with cast(x, 'float32')`,
    )
  if (x.dtype !== 'float32' && !Number.isFinite(extrapolation))
    throw new ArgumentError(`resample: the value outside must be finite in ${x.dtype}, given ${extrapolation}`)
  const tables = sizeOf(yShape) === 0 ? [] : axes.map((each) => tableOf(x.shape[each.axis] as number, each, options))
  return { dtype: x.dtype, xShape: x.shape, yShape, tables, extrapolation, copies: mode === 'nearest' }
})

/** The linear part of a resampling that is described already. */
const linearly = define('resampleLinear', (_, d: Resampling) => ({ ...d, extrapolation: 0 }))

/** dx of dy: every element of dy added at the places that it comes from. */
const adjoint: Op<{ dy: Tensor }, Resampling> = defineOp('resampleGradient', {
  nothing: 'zeros',
  infer: (_: { dy: Tensor }, d: Resampling) => d,
  output: ({ xShape }) => xShape,
  prepare: (list, { xShape, yShape, tables }) => {
    list.routine(
      (out, from) => {
        const shape = [...yShape]
        let part: Elements = elementsAt(from, sizeOf(yShape), 'float32')
        for (const table of [...tables].reverse()) {
          const [outer, inner] = around(shape, table.axis)
          const n = xShape[table.axis] as number
          part = back(part, outer, n, inner, table)
          shape[table.axis] = n
        }
        elementsAt(out, sizeOf(xShape), 'float32').set(part)
      },
      list.out,
      list.operand('dy'),
    )
  },
  keeps: [],
  gradient: (_, ddx, d) => ({ dy: linearly({ x: ddx }, d) as Tensor }),
})

/**
 * x with other extents along some axes. `nearest` takes any type.
 * @throws ShapeError, ArgumentError when an extent, a scale or the type does not fit
 */
export const resample = <D extends DType>(x: Tensor<D>, options: ResampleOptions): Tensor<D> =>
  resampled({ x }, options) as Tensor<D>
