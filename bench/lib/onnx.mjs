// @ts-check
// Writes an ONNX model of one convolution: the few fields of the format (protocol buffers, onnx.proto) that it needs.
import { varint } from './varint.mjs'

const varintField = 0
const bytesField = 2
const floatType = 1 // TensorProto.DataType.FLOAT
const intAttribute = 2 // AttributeProto.AttributeType.INT
const intsAttribute = 7 // AttributeProto.AttributeType.INTS

/**
 * y = Conv(x, w, b) with constant w and b. The tensors of the model are called as here.
 * @param {import('../layers/table.mjs').Layer} layer
 * @param {{ weights: Float32Array, bias: Float32Array }} constants
 * @returns {Buffer}
 */
export function convolutionModel({ C, H, W, K, R, S, stride, padding, groups }, { weights, bias }) {
  const node = message(
    ...['x', 'w', 'b'].map((name) => text(1, name)),
    text(2, 'y'),
    text(4, 'Conv'),
    bytes(5, message(text(1, 'group'), integer(3, groups), integer(20, intAttribute))),
    bytes(5, integers('kernel_shape', [R, S])),
    bytes(5, integers('strides', [stride, stride])),
    bytes(5, integers('pads', [padding, padding, padding, padding])),
  )
  const graph = message(
    bytes(1, node),
    text(2, 'layer'),
    bytes(5, constant('w', [K, C / groups, R, S], weights)),
    bytes(5, constant('b', [K], bias)),
    bytes(11, value('x', [1, C, H, W])),
    bytes(12, message(text(1, 'y'), bytes(2, message(bytes(1, integer(1, floatType)))))),
  )
  const operatorSet = message(text(1, ''), integer(2, 17))
  return message(integer(1, 8), bytes(7, graph), bytes(8, operatorSet))
}

/**
 * AttributeProto
 * @param {string} name
 * @param {readonly number[]} list
 */
const integers = (name, list) =>
  message(text(1, name), ...list.map((item) => integer(8, item)), integer(20, intsAttribute))

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
