// @ts-check
// A network as an ONNX model.
import { onnxModel } from '../lib/onnx.mjs'
import { asProducts, pair } from './steps.mjs'

/**
 * @param {import('./steps.mjs').Network} network
 * @returns {Buffer}
 */
export function onnxOf({ input, steps }) {
  /** @type {import('../lib/onnx.mjs').OnnxNode[]} */
  const nodes = []
  /** @type {Record<string, import('../lib/onnx.mjs').OnnxConstant>} */
  const constants = {}
  const add = (
    /** @type {string} */ operator,
    /** @type {string[]} */ inputs,
    /** @type {string} */ output,
    /** @type {import('../lib/onnx.mjs').OnnxNode['attributes']} */ attributes = {},
  ) => void nodes.push({ operator, inputs, output, attributes })
  const scalar = (/** @type {string} */ name, /** @type {number} */ value) => {
    constants[name] = { shape: [], data: Float32Array.of(value) }
    return name
  }
  for (const step of steps) {
    const { name, type, inputs, options, weight, bias, relu } = asProducts(step)
    const out = relu ? `${name}:sum` : name
    if (weight) constants[`${name}:w`] = weight
    if (bias) constants[`${name}:b`] = bias
    const [x = ''] = inputs
    const window = () => {
      const kernel = pair(options['kernel'], 1)
      const [top, left] = pair(options['padding'], 0)
      const strides = pair(options['stride'], 0).map(
        (step, axis) => step || (type === 'Conv2d' ? 1 : (kernel[axis] ?? 1)),
      )
      return { kernel_shape: kernel, strides, pads: [top, left, top, left] }
    }
    if (type === 'Conv2d') {
      add('Conv', [x, `${name}:w`, `${name}:b`], out, { ...window(), group: options['groups'] ?? 1 })
    } else if (type === 'Linear') add('Gemm', [x, `${name}:w`, `${name}:b`], out, { transB: 1 })
    else if (type === 'ReLU') add('Relu', [x], out)
    else if (type === 'MaxPool2d') add('MaxPool', [x], out, { ...window(), ceil_mode: options['ceil'] ? 1 : 0 })
    else if (type === 'AvgPool2d') add('AveragePool', [x], out, { ...window(), count_include_pad: 1 })
    else if (type === 'Flatten') add('Flatten', [x], out)
    else if (type === 'Concat') add('Concat', inputs, out, { axis: 1 })
    else if (type === 'LocalResponseNorm') {
      const { size, alpha, beta, k } = options
      add('LRN', [x], out, { size, alpha: { float: alpha }, beta: { float: beta }, bias: { float: k } })
    } else if (type === 'ScaledTanh') {
      add('Mul', [x, scalar(`${name}:in`, 2 / 3)], `${name}:scaled`)
      add('Tanh', [`${name}:scaled`], `${name}:tanh`)
      add('Mul', [`${name}:tanh`, scalar(`${name}:out`, 1.7159)], out)
    } else if (type === 'RBF') {
      const features = weight?.shape[1] ?? 0
      constants[`${name}:ones`] = { shape: [features, 1], data: new Float32Array(features).fill(1) }
      add('Gemm', [x, `${name}:w`, `${name}:b`], `${name}:products`, { transB: 1 })
      add('Mul', [x, x], `${name}:squares`)
      add('MatMul', [`${name}:squares`, `${name}:ones`], `${name}:norm`)
      add('Sub', [`${name}:products`, `${name}:norm`], out)
    } else throw new Error(`${name}: ${type} has no ONNX form here`)
    if (relu) add('Relu', [out], name)
  }
  const last = steps.at(-1)?.name ?? ''
  for (const node of nodes) if (node.output === last) node.output = 'y'
  return onnxModel([1, ...input], nodes, constants)
}
