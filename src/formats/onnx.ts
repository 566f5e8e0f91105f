/**
 * ONNX files (https://onnx.ai/onnx/repo-docs/IR.html): the messages that describe a model, and the values of its tensors.
 *
 * The tables below tell, for each message, which property lies in which field of onnx.proto; they read and they write.
 * Texts for people, training, annotations of quantization and what runs where are skipped. Nothing is known here of what
 * an operator does, or of which value goes where.
 *
 * Bytes of a file stay where they are: `rawData` and attributes that are texts are views of it.
 */
import { FormatError, isOutOfMemory, OutOfMemoryError, UnsupportedError } from '../runtime/errors.js'
import { inWords, showShape } from '../runtime/text.js'
import { wrongKind } from '../runtime/check.js'
import { elementsOf, floatsOfHalves, floatsOfUpperHalves, type ArrayType } from './elements.js'
import { formatOf } from './formats.js'
import { fileBytes, isBytes, isWithinFolder, type FileBytes } from './limits.js'
import {
  blob,
  decode,
  doubles,
  encode,
  float,
  floats,
  int32s,
  int64,
  int64s,
  integer,
  integers,
  many,
  mapped,
  maybe,
  message,
  one,
  Refusal,
  text,
  uint64s,
  type Codec,
  type Message,
} from './protobuf.js'

/** A model: a graph, and which operators its nodes mean. */
export interface OnnxModel {
  /** Version of the format. */
  readonly irVersion: number
  readonly producerName: string
  readonly producerVersion: string
  readonly domain: string
  readonly modelVersion: bigint
  readonly graph: OnnxGraph
  /** The version of each set of operators that nodes may use; the domain '' is ONNX's own. */
  readonly opsetImport: readonly OnnxOpset[]
  readonly metadataProps: readonly OnnxEntry[]
  /** Operators that the model defines by others. */
  readonly functions: readonly OnnxFunction[]
}

/** A set of operators. */
export interface OnnxOpset {
  readonly domain: string
  readonly version: number
}

/** A key with its value, as metadata and places of external data are stored. */
export interface OnnxEntry {
  readonly key: string
  readonly value: string
}

/** Nodes in the order in which they can be computed, and the values that they begin with and end in. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[]
  readonly name: string
  /** Constants by name. Files of before IR version 4 name each of them as an input too. */
  readonly initializers: readonly OnnxTensor[]
  readonly inputs: readonly OnnxValueInfo[]
  readonly outputs: readonly OnnxValueInfo[]
  /** Types of values in between. */
  readonly valueInfo: readonly OnnxValueInfo[]
}

/** One use of an operator. */
export interface OnnxNode {
  /** Names of values; '' stands for an optional input that is left out. */
  readonly inputs: readonly string[]
  /** Names of values; '' stands for an output that nobody takes. */
  readonly outputs: readonly string[]
  /** A name for people, '' where there is none. */
  readonly name: string
  /** Never ''. */
  readonly opType: string
  readonly attributes: readonly OnnxAttribute[]
  /** The set that the operator belongs to; '' is ONNX's own, and so is 'ai.onnx'. */
  readonly domain: string
  /** Which of several functions of the same name. */
  readonly overload: string
}

/** What an attribute holds, by its kind. Texts are bytes in UTF-8. Sparse tensors and types are left as they are stored. */
export interface OnnxAttributeValues {
  readonly float: number
  readonly int: bigint
  readonly string: Uint8Array
  readonly tensor: OnnxTensor
  readonly graph: OnnxGraph
  readonly floats: Float32Array
  readonly ints: BigInt64Array
  readonly strings: readonly Uint8Array[]
  readonly tensors: readonly OnnxTensor[]
  readonly graphs: readonly OnnxGraph[]
  readonly sparse_tensor: Uint8Array
  readonly sparse_tensors: readonly Uint8Array[]
  readonly type: Uint8Array
  readonly types: readonly Uint8Array[]
}

type AttributeKind = keyof OnnxAttributeValues

/** An option of a node; a `reference`, within a function, stands for the attribute of that name of the function's call. */
export type OnnxAttribute =
  | {
      readonly [K in AttributeKind]: { readonly name: string; readonly kind: K; readonly value: OnnxAttributeValues[K] }
    }[AttributeKind]
  | {
      readonly name: string
      readonly kind: 'reference'
      readonly value: string
      readonly of: AttributeKind | undefined
    }

/** A constant as it is stored; `tensorValues` gives its values. One of the lists of data is filled, or none. */
export interface OnnxTensor {
  readonly dims: readonly number[]
  /** A code of onnx.proto's TensorProto.DataType; `elementTypeName` names it. */
  readonly elementType: number
  readonly floatData: Float32Array
  readonly int32Data: Int32Array
  readonly stringData: readonly Uint8Array[]
  readonly int64Data: BigInt64Array
  readonly name: string
  readonly rawData: Uint8Array | undefined
  readonly doubleData: Float64Array
  readonly uint64Data: BigUint64Array
  readonly externalData: readonly OnnxEntry[]
  /** 0: here; 1: in another file, which `externalData` tells. */
  readonly dataLocation: number
}

/** A value and its type, which is undefined where the file does not tell it. */
export interface OnnxValueInfo {
  readonly name: string
  readonly type: OnnxType | undefined
}

/** An extent of a tensor: a number, a name that stands for one, or undefined, which stands for any. */
export type OnnxDim = number | string | undefined

/** The type of a value. Those that are no tensors are left as they are stored. */
export type OnnxType =
  | { readonly kind: 'tensor'; readonly elementType: number; readonly shape: readonly OnnxDim[] | undefined }
  | { readonly kind: 'sequence' | 'map' | 'optional' | 'sparse_tensor' | 'opaque'; readonly bytes: Uint8Array }

/** An operator that is defined by others. */
export interface OnnxFunction {
  readonly name: string
  /** Names of values. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Names of attributes that every call must have. */
  readonly attributes: readonly string[]
  readonly nodes: readonly OnnxNode[]
  readonly opsetImport: readonly OnnxOpset[]
  readonly domain: string
  /** Attributes with the values that they have where a call has none. */
  readonly attributeDefaults: readonly OnnxAttribute[]
  readonly valueInfo: readonly OnnxValueInfo[]
  readonly overload: string
}

/** What may be left out of a message that is written: everything but kinds, and what belongs to them. */
export type OnnxInput<T> = T extends string | number | bigint | undefined | ArrayBufferView | { readonly kind: string }
  ? T
  : T extends readonly (infer E)[]
    ? readonly OnnxInput<E>[]
    : { readonly [K in keyof T]?: OnnxInput<T[K]> }

/** Sizes of a tensor. */
const MAX_RANK = 256
/** Elements of a tensor. */
const MAX_ELEMENTS = 2 ** 30

const entry = message<OnnxEntry>('entry', () => ({ key: one(1, text, ''), value: one(2, text, '') }))

const opset = message<OnnxOpset>('opset', () => ({ domain: one(1, text, ''), version: one(2, integer, 0) }))

const tensorNamed = (noun: string): Message<OnnxTensor> =>
  message<OnnxTensor>(
    noun,
    () => ({
      dims: integers(1, MAX_RANK),
      elementType: one(2, integer, 0),
      floatData: floats(4),
      int32Data: int32s(5),
      stringData: many(6, blob),
      int64Data: int64s(7),
      name: one(8, text, ''),
      rawData: maybe(9, blob),
      doubleData: doubles(10),
      uint64Data: uint64s(11),
      externalData: many(13, entry),
      dataLocation: one(14, integer, 0),
    }),
    { refused: { 3: 'the tensor is stored in segments, which are not read; store it as a whole' } },
  )
const tensor = tensorNamed('tensor')
const initializer = tensorNamed('initializer')

interface StoredDim {
  readonly size: number | undefined
  readonly param: string
}

const dim: Codec<OnnxDim> = mapped(
  message<StoredDim>('dim', () => ({ size: maybe(1, integer), param: one(2, text, '') })),
  ({ size, param }) => size ?? (param === '' ? undefined : param),
  (value) => (typeof value === 'number' ? { size: value, param: '' } : { size: undefined, param: value ?? '' }),
)

interface StoredTensorType {
  readonly elementType: number
  readonly shape: { readonly dims: readonly OnnxDim[] } | undefined
}

interface StoredType {
  readonly tensor: StoredTensorType | undefined
  readonly sequence: Uint8Array | undefined
  readonly map: Uint8Array | undefined
  readonly opaque: Uint8Array | undefined
  readonly sparse_tensor: Uint8Array | undefined
  readonly optional: Uint8Array | undefined
}

const tensorType = message<StoredTensorType>('tensor type', () => ({
  elementType: one(1, integer, 0),
  shape: maybe(
    2,
    message('shape', () => ({ dims: many(1, dim) })),
  ),
}))

const type: Codec<OnnxType | undefined> = mapped(
  message<StoredType>('type', () => ({
    tensor: maybe(1, tensorType),
    sequence: maybe(4, blob),
    map: maybe(5, blob),
    opaque: maybe(7, blob),
    sparse_tensor: maybe(8, blob),
    optional: maybe(9, blob),
  })),
  ({ tensor, ...others }) => {
    if (tensor) return { kind: 'tensor', elementType: tensor.elementType, shape: tensor.shape?.dims }
    for (const kind of ['sequence', 'map', 'optional', 'sparse_tensor', 'opaque'] as const) {
      const bytes = others[kind]
      if (bytes) return { kind, bytes }
    }
    return undefined
  },
  (value) => {
    if (value === undefined) return {} as StoredType
    if (value.kind !== 'tensor') return { [value.kind]: value.bytes } as unknown as StoredType
    const shape = value.shape && { dims: value.shape }
    return { tensor: { elementType: value.elementType, shape } } as StoredType
  },
)

const valueInfo = message<OnnxValueInfo>('value', () => ({ name: one(1, text, ''), type: maybe(2, type) }))

/** An attribute as it is stored: a code of its kind, and a field for each kind. */
type StoredAttribute = { readonly [K in AttributeKind]: OnnxAttributeValues[K] | undefined } & {
  readonly name: string
  readonly code: number
  readonly refAttrName: string
}

/** Kinds of attributes; their codes count from 1. */
const attributeKinds: readonly AttributeKind[] = [
  ...(['float', 'int', 'string', 'tensor', 'graph', 'floats', 'ints', 'strings', 'tensors', 'graphs'] as const),
  ...(['sparse_tensor', 'sparse_tensors', 'type', 'types'] as const),
]

/** Values that some programs do not write. */
const unwritten: Partial<OnnxAttributeValues> = { float: 0, int: 0n, string: new Uint8Array(0) }

const attribute: Codec<OnnxAttribute> = mapped(
  message<StoredAttribute>('attribute', () => ({
    name: one(1, text, ''),
    float: maybe(2, float),
    int: maybe(3, int64),
    string: maybe(4, blob),
    tensor: maybe(5, tensor),
    graph: maybe(6, graph),
    floats: floats(7),
    ints: int64s(8),
    strings: many(9, blob),
    tensors: many(10, tensor),
    graphs: many(11, graph),
    type: maybe(14, blob),
    types: many(15, blob),
    code: one(20, integer, 0),
    refAttrName: one(21, text, ''),
    sparse_tensor: maybe(22, blob),
    sparse_tensors: many(23, blob),
  })),
  (stored): OnnxAttribute => {
    const { name, code, refAttrName } = stored
    if (name === '') throw new Refusal('an attribute has no name')
    const isThere = (kind: AttributeKind): boolean =>
      stored[kind] !== undefined && (stored[kind] as { readonly length?: number }).length !== 0
    // The first version of the format has no codes.
    const kind = code === 0 ? attributeKinds.find(isThere) : attributeKinds[code - 1]
    if (refAttrName !== '') return { name, kind: 'reference', value: refAttrName, of: kind }
    if (kind === undefined) {
      const problem = code === 0 ? 'neither a type nor a value' : `the unknown type ${code}`
      throw new Refusal(`attribute ${inWords(name)} has ${problem}`)
    }
    const value = stored[kind] ?? unwritten[kind]
    if (value === undefined) throw new Refusal(`attribute ${inWords(name)} is to be a ${kind}, and holds none`)
    return { name, kind, value } as OnnxAttribute
  },
  (given) => {
    const { name, kind, value } = given
    const stored =
      kind === 'reference'
        ? { name, refAttrName: value, code: given.of === undefined ? 0 : attributeKinds.indexOf(given.of) + 1 }
        : { name, code: attributeKinds.indexOf(kind) + 1, [kind]: value }
    return stored as unknown as StoredAttribute
  },
)

const node = message<OnnxNode>(
  'node',
  () => ({
    inputs: many(1, text),
    outputs: many(2, text),
    name: one(3, text, ''),
    opType: one(4, text, ''),
    attributes: many(5, attribute),
    domain: one(7, text, ''),
    overload: one(8, text, ''),
  }),
  {
    kind: 'opType',
    check({ opType }) {
      if (opType === '') throw new Refusal('the node has no op_type; every node must name its operator')
    },
  },
)

const graph: Message<OnnxGraph> = message<OnnxGraph>(
  'graph',
  () => ({
    nodes: many(1, node),
    name: one(2, text, ''),
    initializers: many(5, initializer),
    inputs: many(11, valueInfo),
    outputs: many(12, valueInfo),
    valueInfo: many(13, valueInfo),
  }),
  {
    refused: {
      15: 'an initializer is sparse (sparse_initializer), which is not read; store it as a dense initializer',
    },
  },
)

const definition = message<OnnxFunction>('function', () => ({
  name: one(1, text, ''),
  inputs: many(4, text),
  outputs: many(5, text),
  attributes: many(6, text),
  nodes: many(7, node),
  opsetImport: many(9, opset),
  domain: one(10, text, ''),
  attributeDefaults: many(11, attribute),
  valueInfo: many(12, valueInfo),
  overload: one(13, text, ''),
}))

type StoredModel = Omit<OnnxModel, 'graph'> & { readonly graph: OnnxGraph | undefined }

const model = message<StoredModel>('', () => ({
  irVersion: one(1, integer, 0),
  producerName: one(2, text, ''),
  producerVersion: one(3, text, ''),
  domain: one(4, text, ''),
  modelVersion: one(5, int64, 0n),
  graph: maybe(7, graph),
  opsetImport: many(8, opset),
  metadataProps: many(14, entry),
  functions: many(25, definition),
}))

/** Files that are taken for models, by bytes at a position: what they are, and what to do. */
const others: readonly (readonly [at: number, beginning: string, what: string])[] = [
  [0, 'version https://git-lfs', 'a pointer of Git LFS to the model; fetch the model itself by git lfs pull'],
  [0, '\x1f\x8b', 'compressed (gzip); unpack it'],
  [0, 'PK\x03\x04', 'a ZIP archive, as torch.save writes; unpack it, or export the model by torch.onnx.export'],
  [0, '\x80\x02', 'a pickle of Python, as torch.save writes; export the model by torch.onnx.export'],
  [0, '\x89HDF', 'HDF5, as Keras saves; convert it by tf2onnx'],
  [0, '\x93NUMPY', 'an array of NumPy, and no model; give an .onnx file'],
  [4, 'TFL3', 'a model of TensorFlow Lite; convert it by tf2onnx'],
  [4, 'ORTM', "in onnxruntime's own format (.ort); give the .onnx file that it was made of"],
  [0, 'ir_version:', 'a model in the text form of protocol buffers; save it as binary'],
  [0, '\x08\x01\x12', 'a SavedModel of TensorFlow; convert it by tf2onnx'],
]

/** What bytes are that are no model of ONNX; undefined where that is not known. */
function otherKindOf(bytes: Uint8Array): string | undefined {
  const beginning = String.fromCharCode(...bytes.subarray(0, 64))
  const found = others.find(([at, due]) => beginning.startsWith(due, at))
  if (found) return found[2]
  const letters = beginning.replace(/^\xef\xbb\xbf/, '').trimStart()
  if (letters.startsWith('<')) return 'a web page (HTML) in place of the model; fetch the file itself'
  if (letters.startsWith('{') || letters.startsWith('[')) return 'JSON, and no ONNX; give an .onnx file'
  const format = formatOf(bytes)
  if (format !== undefined) return `${format}; give an .onnx file`
  try {
    const { dims, elementType } = decode(tensor, bytes, '')
    if (elementType > 0 && elementType < elementTypeNames.length && dims.every((size) => size >= 0)) {
      return 'a single tensor, as test data of ONNX are; give the model'
    }
  } catch {
    // Its first field tells the most that can be told.
  }
  return beginning.startsWith('\n')
    ? 'protocol buffers of another kind, as frozen graphs of TensorFlow and models of Caffe are; convert it to ONNX'
    : undefined
}

/**
 * Reads a model. Nothing is known of its operators here, and no values are made of its tensors.
 *
 * @param file the whole of it
 * @param what what to call it in errors, usually its path
 * @returns messages whose bytes are views of the file
 * @throws FormatError when the file is not a model, or is damaged; it tells what the file is where that is known
 * @throws UnsupportedError when the model has a sparse initializer or a tensor in segments
 */
export function readOnnx(file: FileBytes, what: string): OnnxModel {
  const bytes = fileBytes(file, what)
  if (bytes.length === 0) throw new FormatError(`${what}: the file is empty; give an .onnx file`)
  let read: StoredModel
  try {
    read = decode(model, bytes, what)
  } catch (error) {
    const other = error instanceof FormatError ? otherKindOf(bytes) : undefined
    if (other === undefined) throw error
    throw new FormatError(`${what}: is ${other}`, { cause: error })
  }
  if (read.graph) return { ...read, graph: read.graph }
  const other = otherKindOf(bytes)
  throw new FormatError(
    `${what}: ${other === undefined ? 'has no graph, which every model of ONNX has' : `is ${other}`}`,
  )
}

/**
 * The bytes of a model. The same model gives the same bytes. What is left out is empty; lists of numbers are packed.
 *
 * @throws ShapeError when they would be over 2 GiB, or a number is not whole where it must be
 */
export const writeOnnx = (given: OnnxInput<OnnxModel>): Uint8Array => encode<StoredModel>(model, given as OnnxModel)

/** Reads a file of one tensor, as test data of ONNX are. @throws FormatError when it is none */
export const readTensorProto = (file: FileBytes, what: string): OnnxTensor =>
  decode(tensor, fileBytes(file, what), what)

/** Names of element types, by their codes. */
const elementTypeNames = [
  ...['undefined', 'float32', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'string', 'bool', 'float16'],
  ...['float64', 'uint32', 'uint64', 'complex64', 'complex128', 'bfloat16', 'float8e4m3fn', 'float8e4m3fnuz'],
  ...['float8e5m2', 'float8e5m2fnuz', 'uint4', 'int4', 'float4e2m1', 'float8e8m0', 'uint2', 'int2'],
]

/** The name of an element type, as `float32`; `type 99` where there is none of that code. */
export const elementTypeName = (code: number): string => elementTypeNames[code] ?? `type ${code}`

/** The values of a tensor in row-major order. bool is 0 or 1. */
export type OnnxValues = { readonly dims: readonly number[] } & (
  | { readonly dtype: 'float32'; readonly values: Float32Array }
  | { readonly dtype: 'int32'; readonly values: Int32Array }
  | { readonly dtype: 'int64'; readonly values: BigInt64Array }
  | { readonly dtype: 'uint8' | 'bool'; readonly values: Uint8Array }
  | { readonly dtype: 'int8'; readonly values: Int8Array }
)

type Elements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** How elements of a type are stored, and what is made of them. */
interface ElementType {
  readonly bytes: number
  readonly List: ArrayType<Elements> & (new (count: number) => Elements)
  /** The list of data that holds them where there are no raw data. */
  readonly typed: 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data'
  readonly dtype: OnnxValues['dtype']
  make?(stored: never): OnnxValues['values']
}

const elementTypes: Readonly<Record<string, ElementType>> = {
  float32: { bytes: 4, List: Float32Array, typed: 'floatData', dtype: 'float32' },
  float64: {
    bytes: 8,
    List: Float64Array,
    typed: 'doubleData',
    dtype: 'float32',
    make: (stored: Float64Array) => new Float32Array(stored),
  },
  float16: { bytes: 2, List: Uint16Array, typed: 'int32Data', dtype: 'float32', make: floatsOfHalves },
  bfloat16: { bytes: 2, List: Uint16Array, typed: 'int32Data', dtype: 'float32', make: floatsOfUpperHalves },
  uint8: { bytes: 1, List: Uint8Array, typed: 'int32Data', dtype: 'uint8' },
  int8: { bytes: 1, List: Int8Array, typed: 'int32Data', dtype: 'int8' },
  bool: {
    bytes: 1,
    List: Uint8Array,
    typed: 'int32Data',
    dtype: 'bool',
    make: (stored: Uint8Array) =>
      stored.every((byte) => byte <= 1) ? stored : stored.map((byte) => Math.min(byte, 1)),
  },
  uint16: {
    bytes: 2,
    List: Uint16Array,
    typed: 'int32Data',
    dtype: 'int32',
    make: (stored: Uint16Array) => new Int32Array(stored),
  },
  int16: {
    bytes: 2,
    List: Int16Array,
    typed: 'int32Data',
    dtype: 'int32',
    make: (stored: Int16Array) => new Int32Array(stored),
  },
  int32: { bytes: 4, List: Int32Array, typed: 'int32Data', dtype: 'int32' },
  int64: { bytes: 8, List: BigInt64Array, typed: 'int64Data', dtype: 'int64' },
  uint32: {
    bytes: 4,
    List: Uint32Array,
    typed: 'uint64Data',
    dtype: 'int64',
    make: (stored: Uint32Array) => BigInt64Array.from(stored as unknown as readonly number[], BigInt),
  },
  uint64: {
    bytes: 8,
    List: BigUint64Array,
    typed: 'uint64Data',
    dtype: 'int64',
    make(stored: BigUint64Array) {
      const signed = new BigInt64Array(stored.buffer, stored.byteOffset, stored.length)
      const at = signed.findIndex((value) => value < 0n)
      if (at >= 0)
        throw new Refusal(`the value ${stored[at]} does not fit int64, as which uint64 is read`, UnsupportedError)
      return signed
    },
  },
}

/** Bytes of files that lie beside a model, by the locations that its tensors name. */
export type OnnxExternal = Readonly<Record<string, Uint8Array>>

/**
 * The values of a tensor: views of the file where they are aligned, and stored as they are given.
 *
 * float16 and bfloat16 are widened to float32, exactly; float64 is rounded to the nearest float32. int16 and uint16 become
 * int32, uint32 and uint64 become int64.
 *
 * @param external files that lie beside the model, by exactly the locations that tensors name
 * @param what begins every error, as `x.onnx: initializer 'w'`
 * @throws FormatError when the data have another size than the dims, when values are out of the range of their type, or when
 *   a location is not one of `external`
 * @throws UnsupportedError when the elements are texts, complex, of less than 8 bits or float8, or do not fit int64
 */
export function tensorValues(
  stored: OnnxTensor,
  external: OnnxExternal = {},
  what = stored.name === '' ? 'a tensor' : `tensor ${inWords(stored.name)}`,
): OnnxValues {
  try {
    return valuesOf(stored, external)
  } catch (error) {
    if (isOutOfMemory(error)) {
      throw new OutOfMemoryError(`${what}: there is not enough memory for its values`, { cause: error })
    }
    if (!(error instanceof Refusal)) throw error
    throw new error.Kind(`${what}: ${error.message}`)
  }
}

function valuesOf(stored: OnnxTensor, external: OnnxExternal): OnnxValues {
  const { dims, elementType } = stored
  const name = elementTypeName(elementType)
  const element = Object.hasOwn(elementTypes, name) ? elementTypes[name] : undefined
  if (element === undefined) {
    const known = Object.keys(elementTypes).join(', ')
    throw new Refusal(`elements of ${name} are not read; those of ${known} are`, UnsupportedError)
  }
  const { bytes: width, List, typed, dtype, make } = element
  const count = countOf(dims)
  const shape = `${name} of shape ${showShape(dims)}`
  const raw = rawDataOf(stored, count * width, shape, external)
  let elements: Elements
  if (raw) elements = elementsOf(raw, width, List)
  else {
    const data = stored[typed]
    if (data.length !== count) throw new Refusal(`${shape} has ${count} values, and ${data.length} are stored`)
    elements = data instanceof List ? data : narrowed(data, List, name)
  }
  return { dtype, dims, values: make ? make(elements as never) : elements } as OnnxValues
}

/** How many elements a tensor has. */
function countOf(dims: readonly number[]): number {
  let count = 1
  for (const size of dims) {
    if (size < 0) throw new Refusal(`the shape ${showShape(dims)} has a negative size`)
    // Once above the limit it stays there, unless a size is 0.
    count = Math.min(count * size, 2 * MAX_ELEMENTS)
  }
  if (count > MAX_ELEMENTS && !dims.includes(0)) {
    throw new Refusal(`the shape ${showShape(dims)} has more than ${MAX_ELEMENTS} elements, the most that are read`)
  }
  return dims.includes(0) ? 0 : count
}

/** Values of a type that is stored as one of more bits. */
function narrowed(data: OnnxTensor[ElementType['typed']], List: ElementType['List'], name: string): Elements {
  const list = new List(data.length) as Uint8Array
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i])
    list[i] = value
    if (list[i] !== value) throw new Refusal(`the value ${data[i]} is out of the range of ${name}`)
  }
  return list
}

/** The bytes that elements are stored as, and undefined where they are in a list of their type. */
function rawDataOf(
  { rawData, dataLocation, externalData, ...lists }: OnnxTensor,
  due: number,
  shape: string,
  external: OnnxExternal,
): Uint8Array | undefined {
  if (dataLocation === 1) return externalBytes(externalData, due, shape, external)
  if (dataLocation !== 0) throw new Refusal(`its data are at the unknown location ${dataLocation}`)
  const { floatData, int32Data, int64Data, doubleData, uint64Data } = lists
  const listed = Math.max(...[floatData, int32Data, int64Data, doubleData, uint64Data].map(({ length }) => length))
  if (rawData === undefined || (rawData.length === 0 && listed > 0)) return undefined
  if (listed > 0) throw new Refusal('it has raw data, and a list of values as well')
  if (rawData.length !== due) throw new Refusal(`${shape} takes ${due} bytes, and ${rawData.length} are stored`)
  return rawData
}

/** The bytes of a tensor in another file, which the caller has given. */
function externalBytes(entries: readonly OnnxEntry[], due: number, shape: string, external: OnnxExternal): Uint8Array {
  const valueOf = (key: string): string | undefined => entries.find((entry) => entry.key === key)?.value
  const numberOf = (key: string, absent: number): number => {
    const value = valueOf(key) ?? String(absent)
    if (!/^\d{1,15}$/.test(value))
      throw new Refusal(`the ${key} of its data is ${inWords(value)}; it must be a whole number`)
    return Number(value)
  }
  const location = valueOf('location') ?? ''
  if (!isWithinFolder(location)) {
    throw new Refusal(`its data are at ${inWords(location)}; a location must be a path within the folder of the model`)
  }
  const file = Object.hasOwn(external, location) ? external[location] : undefined
  if (file === undefined) {
    const known = Object.keys(external)
    const given = `${known.slice(0, 4).map(inWords).join(', ')}${known.length > 4 ? ', …' : ''}`
    throw new Refusal(
      `its data are in the file ${inWords(location)}, which is not given; ${known.length === 0 ? 'no files are' : `given are ${given}`}`,
    )
  }
  if (!isBytes(file)) throw wrongKind(`external data ${inWords(location)}`, 'a Uint8Array', file)
  const offset = numberOf('offset', 0)
  const length = numberOf('length', due)
  if (length !== due) throw new Refusal(`${shape} takes ${due} bytes, and ${length} are stored in ${inWords(location)}`)
  if (offset + length > file.length) {
    throw new Refusal(
      `its data end at byte ${offset + length} of ${inWords(location)}, which has ${file.length}; the file is cut short or another one`,
    )
  }
  return file.subarray(offset, offset + length)
}
