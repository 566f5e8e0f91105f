/** Kernels that are outer products, and connection tables between channels. */
import { checkConstant } from '../autodiff/op.js'
import { mapExtents } from '../plan/window.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkNumber, checkObject } from '../runtime/check.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { showShape, type Shape } from '../tensor/shape.js'
import { checkTensor, scope, type Tensor } from '../tensor/tensor.js'
import { conv2d, outputNames, windowNames, type ConvOptions } from './conv.js'
import { mul } from './elementwise.js'

/** Options of `separableConv2d`; each takes [rows, columns] or one number for both. */
export type SeparableOptions = Pick<ConvOptions, 'bias' | 'flip' | 'paddingMode'> & {
  /** Distance between kernels, at least 1; default 1. */
  readonly stride?: number | readonly [number, number]
  /** As in `conv2d`: a name, a number, or what lies before and behind; default 'valid'. */
  readonly padding?:
    | 'valid'
    | 'same'
    | 'full'
    | number
    | readonly [number | readonly [number, number], number | readonly [number, number]]
  /** Distance between the taps of a kernel, at least 1; default 1. */
  readonly dilation?: number | readonly [number, number]
}

/** Names of the options but for the bias. */
export const separableNames = {
  flip: 0,
  paddingMode: 0,
  stride: 0,
  padding: 0,
  dilation: 0,
} as const satisfies Names<Omit<SeparableOptions, 'bias'>>

const along = <T>(option: T | readonly [T, T] | undefined, axis: 0 | 1): T | undefined =>
  Array.isArray(option) ? (option as readonly [T, T])[axis] : (option as T | undefined)

/**
 * Every channel of x (N, C, H, W) convolved with the outer product column · rowᵀ, as two one-dimensional passes:
 * R + S multiplications per pixel in place of R·S. column is (R) or (C, R), row (S) or (C, S); bias (C).
 *
 *     separableConv2d(x, { column: tensor([1, 2, 1]), row: tensor([-1, 0, 1]) }, { padding: 1 })   // Sobel's operator
 *
 * @throws ShapeError when shapes or options do not fit.
 */
export const separableConv2d = withArity(
  'separableConv2d',
  3,
  (x: Tensor, kernel: { readonly column: Tensor; readonly row: Tensor }, options: SeparableOptions = {}): Tensor => {
    checkObject(kernel, 'separableConv2d: the kernel', '{ column, row }')
    const { column, row } = kernel
    checkKeys('separableConv2d', options, separableNames, { bias: 0 })
    checkTensor(x, 'separableConv2d', 'x')
    checkTensor(column, 'separableConv2d', 'column')
    checkTensor(row, 'separableConv2d', 'row')
    mapExtents('separableConv2d', 2, x.shape)
    const C = x.shape[1] as number
    const spread = (vector: Tensor, name: string, place: 'rows' | 'columns'): Tensor => {
      const taps = vector.shape.at(-1)
      const fits = vector.ndim === 1 || (vector.ndim === 2 && vector.shape[0] === C)
      if (!fits || taps === undefined) {
        throw new ShapeError(
          `separableConv2d: ${name} must be (taps) or (${C}, taps), given ${showShape(vector.shape)}`,
        )
      }
      const [R, S] = place === 'rows' ? [taps, 1] : [1, taps]
      const kernel = vector.reshape([vector.ndim === 1 ? 1 : C, 1, R, S])
      return vector.ndim === 2 ? kernel : mul(kernel, tensor(new Float32Array(C).fill(1), [C, 1, 1, 1]))
    }
    for (const [name, option] of Object.entries({
      stride: options.stride,
      padding: options.padding,
      dilation: options.dilation,
    })) {
      if (Array.isArray(option) && option.length !== 2) {
        throw new ArgumentError(`separableConv2d: ${name} must be a number or 2 entries, given ${option.length}`)
      }
    }
    const { bias, flip = false, paddingMode = 'zeros', stride, padding, dilation } = options
    const pass = (axis: 0 | 1): ConvOptions => {
      const pick = <T>(value: T, neutral: T): [T, T] => (axis === 0 ? [value, neutral] : [neutral, value])
      const zeros = along<number | readonly [number, number] | string>(padding, axis) ?? 0
      return {
        groups: C,
        flip,
        paddingMode,
        stride: pick(along(stride, axis) ?? 1, 1),
        dilation: pick(along(dilation, axis) ?? 1, 1),
        padding: typeof zeros === 'string' ? (zeros as 'same') : pick<number | readonly [number, number]>(zeros, 0),
      }
    }
    return scope(() => {
      const down = conv2d(x, spread(column, 'column', 'rows'), pass(0))
      return conv2d(down, spread(row, 'row', 'columns'), bias ? { ...pass(1), bias } : pass(1))
    })
  },
)

/**
 * Factors a kernel (R, S) into column (R) and row (S) when it is an outer product, within `tolerance` of its largest
 * element; undefined when it is not.
 *
 *     factorKernel(tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]]))   // { column, row }: their outer product
 */
export const factorKernel = withArity(
  'factorKernel',
  2,
  (kernel: Tensor, tolerance = 1e-5): { column: Tensor; row: Tensor } | undefined => {
    checkTensor(kernel, 'factorKernel', 'the kernel')
    checkConstant(kernel, 'factorKernel', 'the kernel')
    checkNumber(tolerance, 'factorKernel: tolerance')
    if (kernel.ndim !== 2)
      throw new ShapeError(`factorKernel: the kernel must be (R, S), given ${showShape(kernel.shape)}`)
    const [R, S] = kernel.shape as readonly [number, number]
    const values = kernel.data()
    let pivot = 0
    values.forEach((value, i) => {
      if (Math.abs(value) > Math.abs(values[pivot] as number)) pivot = i
    })
    const largest = values[pivot] as number
    if (!Number.isFinite(largest)) return undefined
    // The cross through the largest element spans the kernel if anything does.
    const [p, q] = [Math.floor(pivot / S), pivot % S]
    const scale = Math.sqrt(Math.abs(largest)) || 1
    const column = Float32Array.from({ length: R }, (_, r) =>
      largest === 0 ? 0 : ((values[r * S + q] as number) / largest) * scale,
    )
    const row = Float32Array.from({ length: S }, (_, s) => (values[p * S + s] as number) / scale)
    const product = (i: number): number => (column[Math.floor(i / S)] as number) * (row[i % S] as number)
    const fits = values.every((value, i) => Math.abs(product(i) - value) <= tolerance * Math.abs(largest))
    return fits ? scope(() => ({ column: tensor(column), row: tensor(row) })) : undefined
  },
)

const isRow = (row: unknown, C: number): boolean =>
  Array.isArray(row) && row.length === C && row.every((connected) => typeof connected === 'boolean')

/** Checks a table of connections for weights w (K, C, R, S). @throws ShapeError */
export function checkTable(w: Shape, table: readonly (readonly boolean[])[]): void {
  if (w.length !== 4) throw new ShapeError(`connectedConv2d: w must be (K, C, R, S), given ${showShape(w)}`)
  const [K, C] = w as readonly [number, number, number, number]
  if (!Array.isArray(table) || table.length !== K || !table.every((row) => isRow(row, C))) {
    const given = Array.isArray(table)
      ? `${table.length} × ${Array.isArray(table[0]) ? table[0].length : '?'}`
      : inWords(table)
    throw new ShapeError(
      `connectedConv2d: the table must be ${K} × ${C} booleans, as w is ${showShape(w)}; given ${given}`,
    )
  }
}

/**
 * Convolution in which output map k sees input channel c only where `table` says so, as LeNet-5's C3: the weights of
 * missing connections count as zero and get none of the gradient. x (N, C, H, W), w (K, C, R, S), table K × C.
 *
 *     connectedConv2d(x, w, [[true, true, false], [false, true, true]])   // (8, 3, 14, 14), (2, 3, 5, 5) -> (8, 2, 10, 10)
 *
 * @throws ShapeError when the table does not have K rows of C booleans.
 */
export const connectedConv2d = withArity(
  'connectedConv2d',
  4,
  (x: Tensor, w: Tensor, table: readonly (readonly boolean[])[], options: Omit<ConvOptions, 'groups'> = {}): Tensor => {
    checkKeys('connectedConv2d', options, windowNames, outputNames)
    checkTensor(w, 'connectedConv2d', 'w')
    checkTable(w.shape, table)
    const [K, C] = w.shape as readonly [number, number, number, number]
    return scope(() => {
      const mask = tensor(
        table.flatMap((row) => row.map((connected) => (connected ? 1 : 0))),
        [K, C, 1, 1],
      )
      return conv2d(x, mul(w, mask), options)
    })
  },
)
