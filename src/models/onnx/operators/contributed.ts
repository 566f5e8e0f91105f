/**
 * Operators on bytes that onnxruntime adds to ONNX's own, of the set com.microsoft
 * (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md): sums, means and concatenations, of which
 * quantized graphs cannot do without.
 */
import { ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { limitsOf, type Quantization } from '../../../ops/integers/bytes.js'
import type { Bytes, ByteWindows } from '../../../ops/integers/windows.js'
import { byteAdd, byteLookup } from '../../../ops/integers/elementwise.js'
import { fixedOf, limited, scaledBy } from '../../../ops/integers/fixed.js'
import { byteAvgPool } from '../../../ops/integers/pool.js'
import { concat } from '../../../ops/layout.js'
import { showShape } from '../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import { always, type Meaning, type Rows } from '../row.js'
import { bytesAt, quantizationAt, refuseTraining, resultAt } from './bytes.js'
import { readPool, windowsOver, type WindowSizes } from './windows.js'

/** The name of the set. */
export const CONTRIBUTED = 'com.microsoft'

const QLinearAdd = always([7, 8], () => (inputs, { training }) => {
  refuseTraining(training)
  const [a, b] = [bytesAt(inputs, 0), bytesAt(inputs, 3)]
  const y = resultAt(inputs, 6, 7, a)
  const [low, high] = limitsOf(y.type)
  const how = { a: quantizationAt(inputs, 1, 2, a), b: quantizationAt(inputs, 4, 5, b), y, low, high }
  return byteAdd(a, b, how)
})

/** The mean of windows of bytes. */
function averaged(
  x: Bytes,
  windows: ByteWindows,
  of: Quantization,
  to: Quantization,
  ceil: boolean,
  countIncludePad: boolean,
): Bytes {
  const [low, high] = limitsOf(to.type)
  const limits = { xZero: of.zero, yZero: to.zero, type: to.type, low, high, ceil, countIncludePad }
  return byteAvgPool(x, { ...windows, ...limits, factor: of.scale / to.scale })
}

/** Maps of two directions. */
function mapsAt(inputs: readonly (AnyTensor | undefined)[]): Bytes {
  const x = bytesAt(inputs, 0)
  if (x.ndim !== 4) throw new ShapeError(`maps must be (N, C, H, W), given ${showShape(x.shape)}`)
  return x
}

const QLinearAveragePool: Meaning = {
  since: 1,
  inputs: [4, 5],
  lower(node) {
    const windows = readPool(node)
    const ceil = node.flag('ceil_mode')
    const countIncludePad = node.flag('count_include_pad')
    if (node.flag('channels_last'))
      throw new UnsupportedError('channels_last 1 is not supported; give maps (N, C, H, W)')
    return (inputs, { training }) => {
      refuseTraining(training)
      const x = mapsAt(inputs)
      const sizes = windowsOver(windows, x.shape.slice(2)) as WindowSizes & ByteWindows
      return averaged(x, sizes, quantizationAt(inputs, 1, 2, x), resultAt(inputs, 3, 4, x), ceil, countIncludePad)
    }
  },
}

const QLinearGlobalAveragePool: Meaning = {
  since: 1,
  inputs: [4, 5],
  lower(node) {
    if (node.flag('channels_last'))
      throw new UnsupportedError('channels_last 1 is not supported; give maps (N, C, H, W)')
    return (inputs, { training }) => {
      refuseTraining(training)
      const x = mapsAt(inputs)
      const [H, W] = x.shape.slice(2) as [number, number]
      const whole = {
        kernel: [H, W],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [
          [0, 0],
          [0, 0],
        ],
      } as const
      return averaged(x, whole, quantizationAt(inputs, 1, 2, x), resultAt(inputs, 3, 4, x), false, false)
    }
  },
}

/** Bytes of one scale and zero point as those of another. */
function rescaled(x: Bytes, of: Quantization, to: Quantization): Bytes {
  if (of.scale === to.scale && of.zero === to.zero && of.type === to.type) return x
  const { m, s } = fixedOf(of.scale / to.scale, 'the factor of its scales')
  const [low, high] = limitsOf(to.type)
  const table = Array.from({ length: 256 }, (_, bits) => {
    const value = of.type === 'int8' && bits > 127 ? bits - 256 : bits
    return limited(scaledBy(value - of.zero, m, s) + to.zero, low, high) & 255
  })
  return byteLookup(x, to.type, table)
}

const QLinearConcat: Meaning = {
  since: 1,
  inputs: [5, Infinity],
  lower(node) {
    const axis = node.int('axis')
    return (inputs, { training }) => {
      refuseTraining(training)
      if (inputs.length % 3 !== 2)
        throw new ShapeError(`each tensor needs a scale and a zero point, given ${inputs.length} inputs`)
      const to = resultAt(inputs, 0, 1, bytesAt(inputs, 2))
      return scope(() => {
        const parts: Bytes[] = []
        for (let i = 2; i < inputs.length; i += 3) {
          const x = bytesAt(inputs, i)
          parts.push(rescaled(x, quantizationAt(inputs, i + 1, i + 2, x), to))
        }
        return concat(parts as unknown as Tensor[], axis)
      })
    }
  },
}

export const contributed: Rows = {
  QLinearAdd,
  QLinearAveragePool: [QLinearAveragePool],
  QLinearGlobalAveragePool: [QLinearGlobalAveragePool],
  QLinearConcat: [QLinearConcat],
}
