/**
 * A convolution written as a matrix: Toeplitz in one dimension, doubly block Toeplitz in two (section 9.1). Row (k, p, q)
 * of the matrix gives output (k, p, q) as a sum over inputs, column (c, h, w); most entries are zero, so it is kept as
 * compressed sparse rows.
 */
import { perDirection, type PerDirection } from '../plan/window.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkList, checkObject, wrongKind } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { checkKeys, withArity, type Names } from '../runtime/options.js'
import { showShape, sizeOf } from '../tensor/shape.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'
import { checkPaddingMode, describeConv, type ConvOptions } from './conv.js'
import { describeTranspose } from './convTranspose.js'
import { describeLocal } from './local.js'

/** A sparse matrix: the entries of row i are at rowPtr[i] ≤ e < rowPtr[i + 1], with rising columns. */
export interface SparseMatrix {
  /** Rows: elements of the output. */
  readonly rows: number
  /** Columns: elements of the input. */
  readonly cols: number
  /** Where each row's values begin, and at the end their number. */
  readonly rowPtr: Int32Array
  /** Column of each value. */
  readonly colIndex: Int32Array
  /** The entries that are not zero, row by row. */
  readonly values: Float64Array
}

/** Options of `convMatrix`: those of the convolution that it is the matrix of. */
export type ConvMatrixOptions = Pick<
  ConvOptions,
  'stride' | 'padding' | 'dilation' | 'groups' | 'flip' | 'paddingMode'
> & {
  /** Which operation: w is shaped as that operation takes it. Default 'conv'. */
  readonly variant?: 'conv' | 'transpose' | 'locallyConnected' | 'tiled'
  /** 'transpose': rows and columns added at the end. */
  readonly outputPadding?: PerDirection
  /** 'transpose': the extents of the output, instead of `outputPadding`. */
  readonly outputSize?: readonly number[]
  /** 'conv': which channels are connected, K × C. */
  readonly table?: readonly (readonly boolean[])[]
}

const matrixNames = {
  stride: 0,
  padding: 0,
  dilation: 0,
  groups: 0,
  flip: 0,
  paddingMode: 0,
  variant: 0,
  outputPadding: 0,
  outputSize: 0,
  table: 0,
} satisfies Names<ConvMatrixOptions>

/** What any variant needs: windows over an input, and the weight of each connection. */
interface Connections {
  readonly C: number
  readonly K: number
  readonly groups: number
  readonly flip: boolean
  readonly input: readonly number[]
  readonly output: readonly number[]
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly lo: readonly number[]
  /** Position in w of tap (c, …) of output map k at a pixel. */
  weightAt(k: number, c: number, tap: readonly number[], pixel: readonly number[]): number
}

/** Rows, columns and entries of a matrix at most: its rows take some gigabytes while they are collected. */
const MOST_ENTRIES = 2 ** 26

/** All index tuples of a shape. */
function* indices(shape: readonly number[]): Generator<readonly number[]> {
  const total = sizeOf(shape)
  for (let i = 0; i < total; i++) {
    let rest = i
    const index = new Array<number>(shape.length)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % (shape[axis] as number)
      rest = Math.floor(rest / (shape[axis] as number))
    }
    yield index
  }
}

const position = (shape: readonly number[], index: readonly number[]): number =>
  index.reduce((total, value, axis) => total * (shape[axis] as number) + value, 0)

/** Where a position beyond the border takes its value from; undefined for a zero. */
function source(x: number, n: number, mode: NonNullable<ConvOptions['paddingMode']>): number | undefined {
  if (x >= 0 && x < n) return x
  if (mode === 'replicate') return x < 0 ? 0 : n - 1
  if (mode === 'circular') return ((x % n) + n) % n
  if (mode === 'reflect') return x < 0 ? -x : 2 * (n - 1) - x
  return undefined
}

/** Entries (row, column, value) in the order of rows, into compressed rows; equal columns are added. */
function compress(rows: number, cols: number, entries: readonly Map<number, number>[]): SparseMatrix {
  const count = entries.reduce((total, row) => total + row.size, 0)
  const rowPtr = new Int32Array(rows + 1)
  const colIndex = new Int32Array(count)
  const values = new Float64Array(count)
  let next = 0
  entries.forEach((row, i) => {
    for (const [column, value] of [...row].sort(([a], [b]) => a - b)) {
      colIndex[next] = column
      values[next++] = value
    }
    rowPtr[i + 1] = next
  })
  return { rows, cols, rowPtr, colIndex, values }
}

function connectionsOf(w: Tensor, inputSize: readonly number[], options: ConvMatrixOptions): Connections {
  const { variant = 'conv', groups = 1 } = options
  const directions = inputSize.length
  const letters = w.shape
  const name = 'convMatrix'
  const whole = (shape: readonly number[]): number[] => [1, ...shape]
  if (!Number.isInteger(groups)) throw wrongKind('convMatrix: groups', 'a whole number from 1 on', groups)
  if (variant === 'conv') {
    const C = (letters[1] ?? 0) * groups
    const { problem } = describeConv(name, directions, whole([C, ...inputSize]), letters, options)
    checkPaddingMode(name, problem, options.paddingMode ?? 'zeros')
    return { ...problem, weightAt: (k, c, tap) => position(letters, [k, c, ...tap]) }
  }
  if (variant === 'transpose') {
    const C = letters[0] ?? 0
    const { problem } = describeTranspose(name, directions, whole([C, ...inputSize]), letters, options as object)
    return { ...problem, weightAt: (k, c, tap) => position(letters, [k, c, ...tap]) }
  }
  if (variant === 'locallyConnected' || variant === 'tiled') {
    const { problem, weightAt } = describeLocal(name, variant, inputSize, letters, options)
    return { ...problem, weightAt }
  }
  throw wrongKind('convMatrix: variant', 'conv, transpose, locallyConnected or tiled', variant)
}

/**
 * The matrix of a linear operation on one input of extents `inputSize` (1 to 3 directions): rows are outputs (K, …),
 * columns inputs (C, …), both flattened in row-major order. Values are exact copies of the weights, in float64.
 *
 *     convMatrix(tensor([[[1, 2, 3]]]), [5])               // 3 rows, 5 columns: 1 2 3 0 0, 0 1 2 3 0, 0 0 1 2 3
 *
 * @throws ShapeError as the operation itself does.
 */
export const convMatrix = withArity(
  'convMatrix',
  3,
  (w: Tensor, inputSize: readonly number[], options: ConvMatrixOptions = {}): SparseMatrix => {
    checkKeys('convMatrix', options, matrixNames)
    if (!Array.isArray(inputSize) || inputSize.length < 1 || inputSize.length > 3) {
      throw new ShapeError('convMatrix: inputSize must be the extents of one to three directions, such as [28, 28]')
    }
    const extents = perDirection(inputSize, inputSize.length, 1, 'convMatrix: inputSize')
    const { paddingMode = 'zeros', table, variant = 'conv' } = options
    checkTensor(w, 'convMatrix', 'w')
    if (table) for (const rows of [table, ...table]) checkList(rows, 'convMatrix: the table', 'lists of booleans')
    const connections = connectionsOf(w, extents, options)
    const { C, K, groups, flip, input, output, kernel, stride, dilation, lo, weightAt } = connections
    if (table && (table.length !== K || table.some((row) => row.length !== C))) {
      throw new ShapeError(`convMatrix: the table must be ${K} × ${C} booleans for w ${showShape(w.shape)}`)
    }
    const rows = K * sizeOf(output)
    const cols = C * sizeOf(input)
    const visits = rows * (C / groups) * sizeOf(kernel)
    if (Math.max(rows, cols, visits) > MOST_ENTRIES) {
      throw new ArgumentError(
        `convMatrix: a matrix of ${rows} × ${cols} with up to ${visits} entries is more than ${MOST_ENTRIES}; use a smaller inputSize`,
      )
    }
    const weights = w.data()
    const entries = Array.from({ length: rows }, () => new Map<number, number>())
    const [groupC, groupK] = [C / groups, K / groups]
    for (let k = 0; k < K; k++) {
      for (const pixel of indices(output)) {
        const row = entries[position([K, ...output], [k, ...pixel])] as Map<number, number>
        for (let c = 0; c < groupC; c++) {
          const channel = Math.floor(k / groupK) * groupC + c
          if (table && !table[k]?.[channel]) continue
          for (const tap of indices(kernel)) {
            const from = pixel.map((p, axis) => {
              const offset = flip ? (kernel[axis] as number) - 1 - (tap[axis] as number) : (tap[axis] as number)
              const x = p * (stride[axis] as number) - (lo[axis] as number) + offset * (dilation[axis] as number)
              return source(x, input[axis] as number, paddingMode)
            })
            if (from.includes(undefined)) continue
            const column = position([C, ...input], [channel, ...(from as number[])])
            row.set(column, (row.get(column) ?? 0) + (weights[weightAt(k, c, tap, pixel)] as number))
          }
        }
      }
    }
    const matrix = compress(rows, cols, entries)
    return variant === 'transpose' ? transposeMatrix(matrix) : matrix
  },
)

function checkMatrix(name: string, matrix: SparseMatrix): void {
  checkObject(matrix, `${name}: the matrix`, 'one of convMatrix()', ['rowPtr', 'colIndex', 'values'])
  const { rows, cols, rowPtr, colIndex, values } = matrix
  const fits =
    [rows, cols].every((extent) => Number.isInteger(extent) && extent >= 0 && extent <= MOST_ENTRIES) &&
    rowPtr.length === rows + 1 &&
    rowPtr[rows] === values.length &&
    colIndex.length === values.length &&
    Array.prototype.every.call(colIndex, (column: number) => column >= 0 && column < cols)
  if (!fits) throw new ShapeError(`${name}: the parts of the matrix do not fit one another`)
}

/**
 * The transposed matrix: the adjoint of the operation.
 *
 *     transposeMatrix(convMatrix(w, [28, 28]))             // the matrix of the gradient of the input
 */
export const transposeMatrix = withArity('transposeMatrix', 1, (matrix: SparseMatrix): SparseMatrix => {
  checkMatrix('transposeMatrix', matrix)
  const { rows, cols, rowPtr, colIndex, values } = matrix
  const entries = Array.from({ length: cols }, () => new Map<number, number>())
  for (let row = 0; row < rows; row++) {
    for (let e = rowPtr[row] as number; e < (rowPtr[row + 1] as number); e++) {
      ;(entries[colIndex[e] as number] as Map<number, number>).set(row, values[e] as number)
    }
  }
  return compress(cols, rows, entries)
})

/**
 * The product of a sparse matrix and a vector, in float64.
 *
 *     multiplyMatrix(convMatrix(w, [28, 28]), x.data())    // the elements of conv2d(x, w) for one input x
 *
 * @throws ShapeError when lengths differ.
 */
export const multiplyMatrix = withArity(
  'multiplyMatrix',
  2,
  (matrix: SparseMatrix, vector: ArrayLike<number>): Float64Array => {
    checkMatrix('multiplyMatrix', matrix)
    const { rows, cols, rowPtr, colIndex, values } = matrix
    if ((vector as ArrayLike<number> | undefined)?.length !== cols)
      throw new ShapeError(
        `multiplyMatrix: the matrix has ${cols} columns, the vector ${(vector as ArrayLike<number> | undefined)?.length ?? inWords(vector)} elements`,
      )
    return Float64Array.from({ length: rows }, (_, row) => {
      let sum = 0
      for (let e = rowPtr[row] as number; e < (rowPtr[row + 1] as number); e++) {
        sum += (values[e] as number) * (vector[colIndex[e] as number] as number)
      }
      return sum
    })
  },
)
