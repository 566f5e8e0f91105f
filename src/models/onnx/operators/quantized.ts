/** Operators of 8-bit integers: quantization, convolutions and products of bytes. */
import { LEAST_SCALE } from '../../../formats/scaledBytes.js'
import { ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { limitsOf, type Quantization } from '../../../ops/integers/bytes.js'
import { byteMaxPool } from '../../../ops/integers/pool.js'
import { isNarrow } from '../../windows.js'
import type { Bytes, ByteWindows } from '../../../ops/integers/windows.js'
import { byteDequantize, byteQuantize } from '../../../ops/integers/elementwise.js'
import {
  dequantizeAlong,
  integerConv,
  integerMatmul,
  quantizeAlong,
  requantize,
  type Scales,
} from '../../../ops/integers/exact.js'
import { limited, roundEven } from '../../../ops/integers/fixed.js'
import { tensor } from '../../../tensor/create.js'
import { checkAxis, showShape } from '../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import { always, constantsOf, floats, need, type Meaning, type Rows } from '../row.js'
import {
  bytesAt,
  checkZeroType,
  quantizationAt,
  quantizedConv,
  refuseTraining,
  resultAt,
  scalesAt,
  zeroAt,
  zerosAt,
} from './bytes.js'
import {
  readPool,
  readWindows,
  windows as plainWindows,
  windowsOver,
  type Windows,
  type WindowSizes,
} from './windows.js'

type Inputs = readonly (AnyTensor | undefined)[]

/** Scales and zero points of inputs 1 and 2 along an axis of x. */
function scalesOf(inputs: Inputs, axis: number, block: number): Scales {
  const x = need(inputs, 0)
  const { shape } = need(inputs, 1)
  const scales = scalesAt(inputs, 1)
  const zeros = inputs[2] ? constantsOf(inputs[2]) : [0]
  if (zeros.length !== 1 && zeros.length !== scales.length)
    throw new ShapeError(`zero points must be as many as scales, ${scales.length}, given ${zeros.length}`)
  return { scales, zeros, shape, axis: scales.length === 1 ? 0 : checkAxis(axis, x.ndim, 'axis'), block }
}

const readBlocks = (node: NodeReader): { readonly axis: number; readonly block: number } => ({
  axis: node.int('axis', 1),
  block: node.int('block_size', 0),
})

const QuantizeLinear: Meaning = {
  since: 10,
  inputs: [2, 3],
  lower(node) {
    const { axis, block } = readBlocks(node)
    node.ignore('saturate', 'precision')
    const code = node.int('output_dtype', 0)
    if (![0, 2, 3].includes(code))
      throw new UnsupportedError(`output_dtype ${code} is not supported; uint8 (2) and int8 (3) are`)
    return (inputs) => {
      const type = inputs[2]?.dtype ?? (code === 3 ? 'int8' : 'uint8')
      if (code !== 0) checkZeroType(inputs, 2, code === 3 ? 'int8' : 'uint8')
      if (type !== 'uint8' && type !== 'int8') throw new UnsupportedError(`zero points of ${type} are not supported`)
      const x = need(inputs, 0)
      const given = scalesOf(inputs, axis, block)
      const [scale, zero] = [given.scales[0] as number, given.zeros[0] as number]
      if (given.scales.length === 1 && x.dtype === 'float32') return byteQuantize(x as Tensor, { scale, zero, type })
      return quantizeAlong({ x }, { ...given, to: type })
    }
  },
}

const DequantizeLinear: Meaning = {
  since: 10,
  inputs: [2, 3],
  lower(node) {
    const { axis, block } = readBlocks(node)
    node.ignore('output_dtype')
    return (inputs) => {
      const x = need(inputs, 0)
      checkZeroType(inputs, 2, x.dtype)
      const given = scalesOf(inputs, axis, block)
      const [scale, zero] = [given.scales[0] as number, given.zeros[0] as number]
      if (given.scales.length === 1 && (x.dtype === 'uint8' || x.dtype === 'int8'))
        return byteDequantize(x as Bytes, { scale, zero, type: x.dtype })
      return dequantizeAlong({ x }, given)
    }
  },
}

/**
 * x as uint8 by its least and its largest number, with 0 among what is stood for; a tensor of zeros, or of numbers so small that their
 * scale would be denormal, has the scale 1.
 */
const DynamicQuantizeLinear: Meaning = {
  since: 11,
  inputs: [1, 1],
  lower: () => (inputs) => {
    const x = floats(inputs, 0)
    const values = constantsOf(x)
    const [least, most] = values.reduce<[number, number]>(
      ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
      [0, 0],
    )
    const width = Math.fround(Math.fround(most - least) / 255)
    const scale = width < LEAST_SCALE ? 1 : width
    const zero = limited(roundEven(Math.fround(Math.fround(0 - least) / scale)), 0, 255)
    return scope(() => [
      byteQuantize(x, { scale, zero, type: 'uint8' }),
      tensor([scale], []),
      tensor([zero], [], { dtype: 'uint8' }),
    ])
  },
}

/** Windows over maps of one or two directions, as those of two. */
function planarWindows(windows: Windows, x: Bytes, w: Bytes): Omit<ByteWindows, 'kernel'> {
  if (x.ndim < 3 || x.ndim > 4)
    throw new UnsupportedError(`one and two directions are supported, and the input is ${showShape(x.shape)}`)
  if (w.ndim !== x.ndim)
    throw new ShapeError(`weights ${showShape(w.shape)} must have as many axes as the input, ${showShape(x.shape)}`)
  const { stride, dilation, padding } = windowsOver(windows, x.shape.slice(2), w)
  const two = <T>(values: readonly T[], filler: T): [T, T] => (x.ndim === 4 ? values : [filler, ...values]) as [T, T]
  return { stride: two(stride, 1), dilation: two(dilation, 1), padding: two<[number, number]>(padding, [0, 0]) }
}

/** Maps of one direction as those of two, of one row. */
const planar = <T extends AnyTensor>(x: T): T =>
  (x.ndim === 3 ? x.reshape([...x.shape.slice(0, 2), 1, x.shape[2] as number]) : x) as T

/** The same back. */
const unplanar = <T extends AnyTensor>(y: T, like: AnyTensor): T =>
  (like.ndim === 3 ? y.reshape([...y.shape.slice(0, 2), y.shape[3] as number]) : y) as T

/** Windows over maps of two directions. */
type Planar = WindowSizes & ByteWindows

const QLinearConv: Meaning = {
  since: 10,
  inputs: [8, 9],
  lower(node) {
    const windows = readWindows(node)
    const groups = node.int('group', 1)
    return (inputs, { training }) => {
      refuseTraining(training)
      const [x, w] = [bytesAt(inputs, 0), bytesAt(inputs, 3)]
      const bias = inputs[8] as Tensor<'int32'> | undefined
      return scope(() =>
        unplanar(
          quantizedConv({
            x: planar(x),
            w: planar(w),
            bias,
            of: quantizationAt(inputs, 1, 2, x),
            to: resultAt(inputs, 6, 7, x),
            scales: scalesAt(inputs, 4),
            zeros: zerosAt(inputs, 5, w),
            groups,
            windows: planarWindows(windows, x, w),
          }),
          x,
        ),
      )
    }
  },
}

const ConvInteger: Meaning = {
  since: 10,
  inputs: [2, 4],
  lower(node) {
    const windows = readWindows(node)
    const groups = node.int('group', 1)
    return (inputs) => {
      const [x, w] = [bytesAt(inputs, 0), bytesAt(inputs, 1)]
      const options = {
        ...planarWindows(windows, x, w),
        groups,
        xZero: zeroAt(inputs, 2, x),
        wZeros: zerosAt(inputs, 3, w),
      }
      return scope(() => unplanar(integerConv({ x: planar(x), w: planar(w), bias: undefined }, options), x))
    }
  },
}

/** Vectors as matrices of one row, or of one column. */
function product(a: Bytes, b: Bytes, aZeros: readonly number[], bZeros: readonly number[]): Tensor<'int32'> {
  const left = a.ndim === 1 ? a.reshape([1, a.size]) : a
  const right = b.ndim === 1 ? b.reshape([b.size, 1]) : b
  const y = integerMatmul({ a: left, b: right }, { aZeros, bZeros })
  const outer = y.shape.slice(0, -2)
  const [M, N] = y.shape.slice(-2) as [number, number]
  return y.reshape([...outer, ...(a.ndim === 1 ? [] : [M]), ...(b.ndim === 1 ? [] : [N])])
}

const MatMulInteger = always([2, 4], () => (inputs) => {
  const [a, b] = [bytesAt(inputs, 0), bytesAt(inputs, 1)]
  return scope(() => product(a, b, zerosAt(inputs, 2, a), zerosAt(inputs, 3, b)))
})

const QLinearMatMul = always([8, 8], () => (inputs, { training }) => {
  refuseTraining(training)
  const [a, b] = [bytesAt(inputs, 0), bytesAt(inputs, 3)]
  const to: Quantization = resultAt(inputs, 6, 7, a)
  const [aScales, bScales] = [scalesAt(inputs, 1), scalesAt(inputs, 4)]
  if (aScales.length !== 1)
    throw new UnsupportedError('a scale for each row of the first factor is not supported; give one')
  const factors = bScales.map((scale) => ((aScales[0] as number) * scale) / to.scale)
  return scope(() => {
    const sums = product(a, b, zerosAt(inputs, 2, a), zerosAt(inputs, 5, b))
    return requantize({ sums }, { factors, axis: Math.max(0, sums.ndim - 1), zero: to.zero, to: to.type })
  })
})

/** The largest of windows: of bytes by their kernel, of all else as before. */
const MaxPool: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node, subgraph) {
    const others = (plainWindows['MaxPool']?.[0] as Meaning).lower(node, subgraph)
    const windows = readPool(node)
    const ceil = node.flag('ceil_mode')
    return (inputs, context, outer) => {
      const x = need(inputs, 0)
      if ((x.dtype !== 'uint8' && x.dtype !== 'int8') || x.ndim !== 4 || node.gives(1))
        return others(inputs, context, outer)
      const sizes = windowsOver(windows, x.shape.slice(2))
      if (!isNarrow(sizes.padding, sizes.kernel, sizes.dilation)) return others(inputs, context, outer)
      const [low, high] = limitsOf(x.dtype)
      return byteMaxPool(x as Bytes, { ...(sizes as Planar), ceil, xZero: 0, yZero: 0, type: x.dtype, low, high })
    }
  },
}

export const quantized: Rows = {
  MaxPool: [MaxPool],
  QuantizeLinear: [QuantizeLinear],
  DequantizeLinear: [DequantizeLinear],
  DynamicQuantizeLinear: [DynamicQuantizeLinear],
  QLinearConv: [QLinearConv],
  QLinearMatMul,
  ConvInteger: [ConvInteger],
  MatMulInteger,
}
