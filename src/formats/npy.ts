/**
 * Arrays of NumPy, files with the ending .npy (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): a header in
 * Python's words, and the elements in row-major order.
 */
import { FormatError, UnsupportedError } from '../runtime/errors.js'
import { inWords, showShape } from '../runtime/text.js'
import { elementsOf, floatsOfHalves, toggleEndianness, type ArrayType } from './elements.js'
import { fileBytes, type FileBytes } from './limits.js'

/** An array, of the types that tensors have. */
export type NpyArray = { readonly shape: readonly number[] } & (
  | { readonly dtype: 'float32'; readonly values: Float32Array }
  | { readonly dtype: 'int32'; readonly values: Int32Array }
  | { readonly dtype: 'int64'; readonly values: BigInt64Array }
  | { readonly dtype: 'uint8' | 'bool'; readonly values: Uint8Array }
  | { readonly dtype: 'int8'; readonly values: Int8Array }
)

interface ElementType {
  readonly dtype: NpyArray['dtype']
  readonly bytes: number
  readonly List: ArrayType<NpyArray['values'] | Float64Array | Int16Array | Uint16Array | Uint32Array>
  make?(stored: never): NpyArray['values']
}

/** Types by NumPy's codes, without the order of bytes. Those that tensors have not become the next larger one, floats of 64 bits smaller. */
const types: Readonly<Record<string, ElementType>> = {
  f4: { dtype: 'float32', bytes: 4, List: Float32Array },
  f8: { dtype: 'float32', bytes: 8, List: Float64Array, make: (stored: Float64Array) => Float32Array.from(stored) },
  f2: { dtype: 'float32', bytes: 2, List: Uint16Array, make: floatsOfHalves },
  i8: { dtype: 'int64', bytes: 8, List: BigInt64Array },
  i4: { dtype: 'int32', bytes: 4, List: Int32Array },
  i2: { dtype: 'int32', bytes: 2, List: Int16Array, make: (stored: Int16Array) => Int32Array.from(stored) },
  u2: { dtype: 'int32', bytes: 2, List: Uint16Array, make: (stored: Uint16Array) => Int32Array.from(stored) },
  u4: {
    dtype: 'int64',
    bytes: 4,
    List: Uint32Array,
    make: (stored: Uint32Array) => BigInt64Array.from(stored as unknown as readonly number[], BigInt),
  },
  i1: { dtype: 'int8', bytes: 1, List: Int8Array },
  u1: { dtype: 'uint8', bytes: 1, List: Uint8Array },
  b1: { dtype: 'bool', bytes: 1, List: Uint8Array },
}

const codes: Readonly<Record<NpyArray['dtype'], string>> = {
  ...{ float32: '<f4', int32: '<i4', int64: '<i8', uint8: '|u1', int8: '|i1', bool: '|b1' },
}

const SIGNATURE = '\x93NUMPY'
/** Headers tell a type and a shape; longer ones are none. */
const LONGEST_HEADER = 2 ** 16

/** Reads an array. @throws FormatError where the file is none or is damaged, UnsupportedError for other types and orders of elements */
export function readNpy(file: FileBytes, what: string): NpyArray {
  const bytes = fileBytes(file, what)
  const latin = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to))
  if (latin(0, 6) !== SIGNATURE) throw new FormatError(`${what}: is no array of NumPy (.npy); save one by numpy.save`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const start = bytes[6] === 1 ? 10 : 12
  if (bytes.length < start) throw new FormatError(`${what}: the file ends within its header`)
  const length = bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (length > LONGEST_HEADER || start + length > bytes.length)
    throw new FormatError(`${what}: its header is to have ${length} bytes, and the file has ${bytes.length}`)
  const header = latin(start, start + length)
  const code = /'descr':\s*'([^']*)'/.exec(header)?.[1]
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1]
  const extents = /'shape':\s*\(([\d\s,L]*)\)/.exec(header)?.[1]
  if (code === undefined || order === undefined || extents === undefined)
    throw new FormatError(
      `${what}: its header does not tell type, order and shape of an array: ${inWords(header.trim())}`,
    )
  const name = code.slice(1)
  const type = Object.hasOwn(types, name) ? types[name] : undefined
  if (!type || code.startsWith('>'))
    throw new UnsupportedError(
      `${what}: elements of ${inWords(code)} are not read; save it with astype('float32'), or a type of whole numbers up to 64 bits`,
    )
  const shape = extents.split(',').flatMap((extent) => (extent.trim() === '' ? [] : [Number.parseInt(extent, 10)]))
  if (order === 'True' && shape.filter((extent) => extent !== 1).length > 1)
    throw new UnsupportedError(`${what}: its columns come first (Fortran's order); save numpy.ascontiguousarray(x)`)
  const count = shape.reduce((product, extent) => product * extent, 1)
  const stored = bytes.subarray(start + length)
  if (count * type.bytes !== stored.length)
    throw new FormatError(
      `${what}: ${code} of shape ${showShape(shape)} takes ${count * type.bytes} bytes, and ${stored.length} are stored`,
    )
  const elements = elementsOf(stored, type.bytes, type.List)
  const values = type.make ? type.make(elements as never) : elements
  return { dtype: type.dtype, shape, values } as NpyArray
}

/** The bytes of a file with an array. */
export function writeNpy({ dtype, shape, values }: NpyArray): Uint8Array {
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${codes[dtype]}', 'fortran_order': False, 'shape': (${extents}), }`
  // The elements begin at a multiple of 64 bytes.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10
  const header = `${SIGNATURE}\x01\x00${String.fromCharCode(length & 255, length >> 8)}${text.padEnd(length - 1)}\n`
  const file = new Uint8Array(header.length + values.byteLength)
  for (let i = 0; i < header.length; i++) file[i] = header.charCodeAt(i)
  const elements = file.subarray(header.length)
  elements.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  toggleEndianness(elements, values.BYTES_PER_ELEMENT)
  return file
}
