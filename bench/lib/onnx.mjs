// @ts-check
// Writes ONNX models: the few fields of the format (protocol buffers, onnx.proto) that the benches need.
import { varint } from './varint.mjs'

const varintField = 0
const bytesField = 2
const fixed32Field = 5
const floatType = 1 // TensorProto.DataType.FLOAT
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
 * @typedef {{ shape: readonly number[], data: Float32Array }} OnnxConstant
 */

/**
 * A model of one input x and one output y.
 * @param {readonly number[]} input shape of x
 * @param {readonly OnnxNode[]} nodes in the order of computation; the last one's output must be y
 * @param {Record<string, OnnxConstant>} constants
 * @returns {Buffer}
 */
export function onnxModel(input, nodes, constants) {
  const graph = message(
    ...nodes.map((node) => bytes(1, nodeMessage(node))),
    text(2, 'model'),
    ...Object.entries(constants).map(([name, { shape, data }]) => bytes(5, constant(name, shape, data))),
    bytes(11, value('x', input)),
    bytes(12, message(text(1, 'y'), bytes(2, message(bytes(1, integer(1, floatType)))))),
  )
  const operatorSet = message(text(1, ''), integer(2, 17))
  return message(integer(1, 8), bytes(7, graph), bytes(8, operatorSet))
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
export function convolutionModel({ C, H, W, K, R, S, stride, padding, groups }, { weights, bias }) {
  const attributes = {
    group: groups,
    kernel_shape: [R, S],
    strides: [stride, stride],
    pads: [padding, padding, padding, padding],
  }
  return onnxModel([1, C, H, W], [{ operator: 'Conv', inputs: ['x', 'w', 'b'], output: 'y', attributes }], {
    w: { shape: [K, C / groups, R, S], data: weights },
    b: { shape: [K], data: bias },
  })
}

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
 * @param {Float32Array} data
 */
const constant = (name, shape, data) =>
  message(
    ...shape.map((extent) => integer(1, extent)),
    integer(2, floatType),
    text(8, name),
    bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  )

/**
 * ValueInfoProto
 * @param {string} name
 * @param {readonly number[]} shape
 */
function value(name, shape) {
  const dimensions = shape.map((extent) => bytes(1, integer(1, extent)))
  const tensor = message(integer(1, floatType), bytes(2, message(...dimensions)))
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
