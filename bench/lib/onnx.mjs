// @ts-check
// Writes ONNX models: the few fields of the format (protocol buffers, onnx.proto) that the benches need.
import { varint } from './varint.mjs'

const varintField = 0
const bytesField = 2
const fixed32Field = 5
const floatType = 1 // TensorProto.DataType.FLOAT
/** @type {ReadonlyMap<Function, number>} */
const types = new Map(
  /** @type {[Function, number][]} */ ([
    [Float32Array, floatType],
    [Uint8Array, 2], // TensorProto.DataType.UINT8
    [Int8Array, 3], // TensorProto.DataType.INT8
    [Int32Array, 6], // TensorProto.DataType.INT32
  ]),
)
const floatAttribute = 1 // AttributeProto.AttributeType.FLOAT
const intAttribute = 2 // AttributeProto.AttributeType.INT
const intsAttribute = 7 // AttributeProto.AttributeType.INTS

/**
 * An operator with constant and computed inputs, by name, and one output. Attributes are numbers, whole where they are,
 * or lists of whole numbers.
 * @typedef {{
 *   operator: string,
 *   inputs: readonly string[],
 *   output: string,
 *   attributes?: Record<string, number | readonly number[] | { float: number }>,
 * }} OnnxNode
 * @typedef {{ shape: readonly number[], data: Float32Array | Uint8Array | Int8Array | Int32Array }} OnnxConstant
 */

/**
 * A model of one input x and one output y.
 * @param {readonly number[]} input shape of x
 * @param {readonly OnnxNode[]} nodes in the order of computation; the last one's output must be y
 * @param {Record<string, OnnxConstant>} constants
 * @param {Function} [elements] the array that holds the elements of x and of y
 * @returns {Buffer}
 */
export function onnxModel(input, nodes, constants, elements = Float32Array) {
  const type = typeOf(elements)
  const graph = message(
    ...nodes.map((node) => bytes(1, nodeMessage(node))),
    text(2, 'model'),
    ...Object.entries(constants).map(([name, { shape, data }]) => bytes(5, constant(name, shape, data))),
    bytes(11, value('x', input, type)),
    bytes(12, message(text(1, 'y'), bytes(2, message(bytes(1, integer(1, type)))))),
  )
  const operatorSet = message(text(1, ''), integer(2, 17))
  return message(integer(1, 8), bytes(7, graph), bytes(8, operatorSet))
}

/**
 * The code of a type of elements, by the array that holds them.
 * @param {Function} elements
 */
function typeOf(elements) {
  const type = types.get(elements)
  if (type === undefined) throw new Error(`no type of ONNX has the elements of ${elements.name}`)
  return type
}

/** @param {OnnxNode} node */
function nodeMessage({ operator, inputs, output, attributes = {} }) {
  return message(
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(4, operator),
    ...Object.entries(attributes).map(([name, given]) => bytes(5, attribute(name, given))),
  )
}

/**
 * y = Conv(x, w, b) with constant w and b. The tensors of the model are called as here.
 * @param {import('../layers/table.mjs').Layer} layer
 * @param {{ weights: Float32Array, bias: Float32Array }} constants
 */
export function convolutionModel(layer, { weights, bias }) {
  const { C, H, W, K, R, S, groups } = layer
  const attributes = windowsOf(layer)
  return onnxModel([1, C, H, W], [{ operator: 'Conv', inputs: ['x', 'w', 'b'], output: 'y', attributes }], {
    w: { shape: [K, C / groups, R, S], data: weights },
    b: { shape: [K], data: bias },
  })
}

/**
 * y = QLinearConv(x, w, b) of bytes, with weights of int8 around 0 and a bias in the scale of the sums.
 * @param {import('../layers/table.mjs').Layer} layer
 * @param {{ weights: Int8Array, bias: Int32Array }} constants
 * @param {{ x: readonly [scale: number, zero: number], w: Float32Array, y: readonly [scale: number, zero: number] }} how
 */
export function quantizedModel(layer, { weights, bias }, { x, w, y }) {
  const { C, H, W, K, R, S, groups } = layer
  const names = ['x', 'x_scale', 'x_zero', 'w', 'w_scale', 'w_zero', 'y_scale', 'y_zero', 'b']
  const node = { operator: 'QLinearConv', inputs: names, output: 'y', attributes: windowsOf(layer) }
  const constants = {
    x_scale: { shape: [], data: Float32Array.of(x[0]) },
    x_zero: { shape: [], data: Uint8Array.of(x[1]) },
    w: { shape: [K, C / groups, R, S], data: weights },
    w_scale: { shape: [K], data: w },
    w_zero: { shape: [K], data: new Int8Array(K) },
    y_scale: { shape: [], data: Float32Array.of(y[0]) },
    y_zero: { shape: [], data: Uint8Array.of(y[1]) },
    b: { shape: [K], data: bias },
  }
  return onnxModel([1, C, H, W], [node], constants, Uint8Array)
}

/**
 * The attributes of a convolution.
 * @param {import('../layers/table.mjs').Layer} layer
 */
const windowsOf = ({ R, S, stride, padding, groups }) => ({
  group: groups,
  kernel_shape: [R, S],
  strides: [stride, stride],
  pads: [padding, padding, padding, padding],
})

/**
 * AttributeProto
 * @param {string} name
 * @param {number | readonly number[] | { float: number }} given
 */
function attribute(name, given) {
  if (typeof given === 'number') return message(text(1, name), integer(3, given), integer(20, intAttribute))
  if ('float' in given) {
    const number = Buffer.alloc(4)
    number.writeFloatLE(given.float)
    return message(text(1, name), Buffer.from(varint(2 * 8 + fixed32Field)), number, integer(20, floatAttribute))
  }
  return message(text(1, name), ...given.map((item) => integer(8, item)), integer(20, intsAttribute))
}

/**
 * TensorProto
 * @param {string} name
 * @param {readonly number[]} shape
 * @param {OnnxConstant['data']} data
 */
const constant = (name, shape, data) =>
  message(
    ...shape.map((extent) => integer(1, extent)),
    integer(2, typeOf(data.constructor)),
    text(8, name),
    bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  )

/**
 * ValueInfoProto
 * @param {string} name
 * @param {readonly number[]} shape
 * @param {number} type
 */
function value(name, shape, type) {
  const dimensions = shape.map((extent) => bytes(1, integer(1, extent)))
  const tensor = message(integer(1, type), bytes(2, message(...dimensions)))
  return message(text(1, name), bytes(2, bytes(1, tensor)))
}

/** @param {Uint8Array[]} fields */
const message = (...fields) => Buffer.concat(fields)

/**
 * @param {number} field
 * @param {number} number
 */
const integer = (field, number) => Buffer.from([...varint(field * 8 + varintField), ...varint(number)])

/**
 * @param {number} field
 * @param {string} string
 */
const text = (field, string) => bytes(field, Buffer.from(string))

/**
 * @param {number} field
 * @param {Uint8Array} content
 */
const bytes = (field, content) =>
  message(Buffer.from([...varint(field * 8 + bytesField), ...varint(content.length)]), content)
