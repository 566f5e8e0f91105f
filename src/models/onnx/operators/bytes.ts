/** How the operators of quantized models read scales and zero points, and lower convolutions and products of bytes. */
import { ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { checkScale, limitsOf, MOST_SUM, type Quantization } from '../../../ops/integers/bytes.js'
import { byteConv, type Bytes, type ByteWindows } from '../../../ops/integers/conv.js'
import { integerConv, requantize } from '../../../ops/integers/exact.js'
import { fixedOf } from '../../../ops/integers/fixed.js'
import { tensor } from '../../../tensor/create.js'
import { showShape } from '../../../tensor/shape.js'
import { checkTensor, scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import { constantsOf, need } from '../row.js'

type Inputs = readonly (AnyTensor | undefined)[]

/** An input of bytes. */
export function bytesAt(inputs: Inputs, index: number): Bytes {
  const x = need(inputs, index)
  checkTensor(x, 'here', `input ${index}`, ['uint8', 'int8'])
  return x as Bytes
}

/** Scales, each checked. */
export function scalesAt(inputs: Inputs, index: number): number[] {
  const scales = constantsOf(need(inputs, index))
  for (const scale of scales) checkScale(scale, `input ${index}, a scale,`)
  return scales
}

/** One number of an input. */
export function numberAt(inputs: Inputs, index: number, otherwise: number): number {
  const x = inputs[index]
  if (!x) return otherwise
  if (x.size !== 1) throw new ShapeError(`input ${index} must be one number, given ${showShape(x.shape)}`)
  return constantsOf(x)[0] as number
}

/** A scale with its zero point, each one number; the type is that of the zero point. */
export function quantizationAt(inputs: Inputs, scale: number, zero: number): Quantization {
  if (inputs[scale]?.size !== 1)
    throw new ShapeError(`input ${scale}, a scale, must be one number, given ${showShape(need(inputs, scale).shape)}`)
  const type = inputs[zero]?.dtype ?? 'uint8'
  if (type !== 'uint8' && type !== 'int8') throw new UnsupportedError(`zero points of ${type} are not supported`)
  return { scale: scalesAt(inputs, scale)[0] as number, zero: numberAt(inputs, zero, 0), type }
}

/** What a quantized node that is asked to train says. */
export function refuseTraining(training: boolean): void {
  if (training)
    throw new UnsupportedError(
      'a quantized layer cannot be trained; train the model that it was made of, and quantize that',
    )
}

/** Operands of a quantized convolution of one or two directions. */
export interface QuantizedConv {
  readonly x: Bytes
  readonly w: Bytes
  readonly bias: Tensor<'int32'> | undefined
  readonly of: Quantization
  readonly to: Quantization
  /** One for all filters, or one for each. */
  readonly scales: readonly number[]
  readonly zeros: readonly number[]
  readonly groups: number
  readonly windows: Omit<ByteWindows, 'kernel'>
}

/** Whether the kernels take it: weights of int8 around 0, few enough products in a sum, a bias and factors within their limits. */
function isForKernels({ w, zeros, bias }: QuantizedConv, factors: readonly number[]): boolean {
  if (w.dtype !== 'int8' || zeros.some((zero) => zero !== 0)) return false
  if ((w.size / (w.shape[0] as number)) * 255 * 128 > MOST_SUM) return false
  if (factors.some((factor) => factor >= 8192)) return false
  return bias === undefined || constantsOf(bias).every((value) => Math.abs(value) < MOST_SUM)
}

/** The convolution of bytes (N, C, H, W), as bytes. */
export function quantizedConv(given: QuantizedConv): Bytes {
  const { x, w, bias, of, to, scales, zeros, groups, windows } = given
  const K = w.shape[0] as number
  if (scales.length !== 1 && scales.length !== K)
    throw new ShapeError(`scales of the weights must be one, or ${K}, given ${scales.length}`)
  const factors = scales.map((scale) => (of.scale * scale) / to.scale)
  const [low, high] = limitsOf(to.type)
  return scope(() => {
    if (isForKernels(given, factors)) {
      const fixed = factors.map((factor) => fixedOf(factor, 'the factor of its scales'))
      const whole = (key: 'm' | 's'): Tensor<'int32'> => {
        const values = Int32Array.from({ length: K }, (_, k) => (fixed[k] ?? fixed[0])?.[key] as number)
        return tensor(values, [K], { dtype: 'int32' })
      }
      const start = bias ?? tensor(new Int32Array(K), [K], { dtype: 'int32' })
      const operands = { x, w: w as Tensor<'int8'>, bias: start, m: whole('m'), s: whole('s') }
      return byteConv(operands, { ...windows, groups, xZero: of.zero, yZero: to.zero, type: to.type, low, high })
    }
    const sums = integerConv({ x, w, bias }, { ...windows, groups, xZero: of.zero, wZeros: zeros })
    return requantize({ sums }, { factors, axis: 1, zero: to.zero, to: to.type }) as Bytes
  })
}
