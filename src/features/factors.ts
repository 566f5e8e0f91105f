/**
 * A layer as two of low rank, whose composition it is but for the singular values that are left out, which is the nearest there
 * is in the sum of squares (Eckart & Young 1936):
 *
 * - fully connected: W (K, C) ≈ U · Vᵀ, two fully connected layers with `rank` units between them;
 * - two-dimensional kernels, as sums of separable ones: the weights as a matrix with rows (c, r) and columns (k, s) give `rank`
 *   kernels R × 1 over all channels and then K kernels 1 × S (Jaderberg, Vedaldi & Zisserman 2014, scheme 2);
 * - other kernels: the weights as a matrix with a row for each k give `rank` kernels of the same extents and then K of one pixel.
 */
import { Conv1d, Conv2d, Conv3d, type Conv1dOptions } from '../nn/conv.js'
import type { Layer } from '../nn/layer.js'
import { Linear } from '../nn/linear.js'
import { perDirection } from '../plan/window.js'
import { defined } from '../runtime/options.js'
import type { Shape } from '../tensor/shape.js'
import { decompose, DECOMPOSED, isDecomposed, type Factors } from './svd.js'

/** A layer and the values of its weights by name. */
export interface Filled {
  readonly layer: Layer
  readonly values: Readonly<Record<string, Float32Array>>
}

/** How the weights of a layer are a matrix, and what two layers its factors are. */
export interface Factorable {
  /** Rows and columns. */
  readonly extents: readonly [number, number]
  /** Makes that matrix of the weights, row by row. */
  readonly matrix: () => Float64Array
  /** The two layers of a rank, each without its weights. */
  readonly layers: (rank: number) => [Layer, Layer]
  /** Weights of the two layers from the factors: √σ of each term goes to either. */
  readonly weights: (factors: Factors, rank: number) => [Float32Array, Float32Array]
}

/** What the weights of a layer are as a matrix; or, in words, why they are none. */
export function factorable(layer: Layer, input: Shape, w: ArrayLike<number>): Factorable | string {
  const found = matrixOf(layer, input, w)
  if (typeof found === 'string') return found
  if (!isDecomposed(...found.extents)) return `its matrix is ${found.extents.join(' × ')}, and ${DECOMPOSED}`
  return Array.prototype.every.call(w, Number.isFinite) ? found : 'its weights are not finite'
}

function matrixOf(layer: Layer, input: Shape, w: ArrayLike<number>): Factorable | string {
  if (layer instanceof Linear) {
    const { outFeatures, everyPlace, bias } = layer.options
    const layers = (rank: number): [Layer, Layer] => [
      new Linear(defined({ outFeatures: rank, everyPlace, bias: false })),
      new Linear(defined({ outFeatures, everyPlace, bias })),
    ]
    return byOutput(outFeatures, w, layers)
  }
  if (layer instanceof Conv2d || layer instanceof Conv1d || layer instanceof Conv3d) {
    if ((layer.options.groups ?? 1) > 1) return 'it is a convolution in groups'
    const directions = layer instanceof Conv1d ? 1 : layer instanceof Conv2d ? 2 : 3
    const kernel = perDirection(layer.options.kernel, directions, 1, layer.type)
    if (directions === 2 && kernel.every((extent) => extent > 1))
      return separable(layer.options, input[0] as number, kernel as [number, number], w)
    const { outChannels, bias, stride, padding, dilation, flip, paddingMode } = layer.options
    const Convolution = layer.constructor as new (options: Conv1dOptions) => Layer
    const layers = (rank: number): [Layer, Layer] => [
      new Convolution(
        defined({ outChannels: rank, kernel, bias: false, stride, padding, dilation, flip, paddingMode }),
      ),
      new Convolution(defined({ outChannels, kernel: 1, bias })),
    ]
    return byOutput(outChannels, w, layers)
  }
  return 'it has no weights that are a matrix: fully connected layers and convolutions have'
}

/** The weights (K, …) as the matrix with a row for each output. */
function byOutput(K: number, w: ArrayLike<number>, layers: Factorable['layers']): Factorable {
  const columns = w.length / K
  return {
    extents: [K, columns],
    matrix: () => Float64Array.from(w),
    layers,
    weights: ({ u, values, v }, rank) => {
      const first = new Float32Array(rank * columns)
      const second = new Float32Array(K * rank)
      for (let q = 0; q < rank; q++) {
        const root = Math.sqrt(values[q] as number)
        for (let i = 0; i < columns; i++) first[q * columns + i] = root * (v[q * columns + i] as number)
        for (let k = 0; k < K; k++) second[k * rank + q] = root * (u[q * K + k] as number)
      }
      return [first, second]
    },
  }
}

/** Weights (K, C, R, S) as the matrix with rows (c, r) and columns (k, s). */
function separable(
  options: Conv1dOptions,
  C: number,
  [R, S]: readonly [number, number],
  w: ArrayLike<number>,
): Factorable {
  const { outChannels: K, bias, stride = 1, padding = 0, dilation = 1, flip, paddingMode } = options
  const matrix = (): Float64Array => {
    const values = new Float64Array(C * R * K * S)
    for (let k = 0; k < K; k++)
      for (let c = 0; c < C; c++)
        for (let r = 0; r < R; r++)
          for (let s = 0; s < S; s++) values[((c * R + r) * K + k) * S + s] = w[((k * C + c) * R + r) * S + s] as number
    return values
  }
  const [strides, dilations] = [stride, dilation].map((option) => perDirection(option, 2, 1, 'Conv2d'))
  const along = (axis: 0 | 1): Omit<Conv1dOptions, 'outChannels'> => {
    const only = <T>(value: T, neutral: T): [T, T] => (axis === 0 ? [value, neutral] : [neutral, value])
    const steps = (both: readonly number[]): [number, number] | undefined =>
      both[axis] === 1 ? undefined : only(both[axis] as number, 1)
    const pads =
      typeof padding === 'string' ? padding : only<unknown>(Array.isArray(padding) ? padding[axis] : padding, 0)
    return defined({
      kernel: only([R, S][axis] as number, 1),
      stride: steps(strides as number[]),
      dilation: steps(dilations as number[]),
      padding: pads as Conv1dOptions['padding'],
      ...{ flip, paddingMode },
    })
  }
  return {
    extents: [C * R, K * S],
    matrix,
    layers: (rank) => [
      new Conv2d({ outChannels: rank, ...along(0), bias: false }),
      new Conv2d(defined({ outChannels: K, ...along(1), bias })),
    ],
    weights: ({ u, values, v }, rank) => {
      const first = new Float32Array(rank * C * R)
      const second = new Float32Array(K * rank * S)
      for (let q = 0; q < rank; q++) {
        const root = Math.sqrt(values[q] as number)
        for (let i = 0; i < C * R; i++) first[q * C * R + i] = root * (u[q * C * R + i] as number)
        for (let k = 0; k < K; k++)
          for (let s = 0; s < S; s++) second[(k * rank + q) * S + s] = root * (v[(q * K + k) * S + s] as number)
      }
      return [first, second]
    },
  }
}

/** Parameters and operations of a layer, or of two of which the second reads the first. */
export function costsOf(layers: readonly Layer[], input: Shape): { parameters: number; operations: number } {
  let shape = input
  let [parameters, operations] = [0, 0]
  for (const layer of layers) {
    parameters += layer.parameterCount(shape)
    operations += layer.operations(shape)
    shape = layer.outputShape(shape)
  }
  return { parameters, operations }
}

/** Values of a layer's tensors that a copy of it gets. */
export const valuesOf = (layer: Layer): Record<string, Float32Array> =>
  Object.fromEntries([...layer.tensors()].map(([name, tensor]) => [name, tensor.data()]))

/** ‖A − Aᵣ‖ / ‖A‖ for every rank r from 0 on: the root of the squares that are left out, as a share. */
export function errorsOf({ values }: Factors): Float64Array {
  const left = new Float64Array(values.length + 1)
  // From the smallest on, so that small ones count.
  for (let i = values.length - 1; i >= 0; i--)
    left[i] = (left[i + 1] as number) + (values[i] as number) * (values[i] as number)
  const all = left[0] as number
  return left.map((squares) => (all > 0 ? Math.sqrt(squares / all) : 0))
}

/** The decomposition of a layer's weights. */
export const factorsOf = ({ matrix, extents: [m, n] }: Factorable): Factors => decompose(matrix(), m, n)
