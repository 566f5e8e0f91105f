/** How the operators of quantized models read scales and zero points, and lower convolutions and products of bytes. */
import { ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { checkScale, limitsOf, MOST_PRODUCT, MOST_SUM, typeOf, type Quantization } from '../../../ops/integers/bytes.js'
import { byteConv } from '../../../ops/integers/conv.js'
import type { Bytes, ByteWindows } from '../../../ops/integers/windows.js'
import { integerConv, requantize } from '../../../ops/integers/exact.js'
import { fixedOf } from '../../../ops/integers/fixed.js'
import { tensor } from '../../../tensor/create.js'
import type { DType } from '../../../tensor/dtype.js'
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

/** Checks that the zero point of a tensor has the type of that tensor. @throws UnsupportedError that names both */
export function checkZeroType(inputs: Inputs, index: number, type: DType): void {
  const zero = inputs[index]
  if (zero && zero.dtype !== type)
    throw new UnsupportedError(`input ${index}, a zero point, is ${zero.dtype}, but must be ${type}, as its tensor is`)
}

/** Zero points of x, all of the type of x; one of 0 where they are left out. */
export function zerosAt(inputs: Inputs, index: number, x: Bytes): number[] {
  checkZeroType(inputs, index, x.dtype)
  return inputs[index] ? constantsOf(inputs[index]) : [0]
}

/** The one zero point of x. */
export function zeroAt(inputs: Inputs, index: number, x: Bytes): number {
  const zeros = zerosAt(inputs, index, x)
  if (zeros.length !== 1)
    throw new ShapeError(`input ${index} must be one number, given ${showShape(need(inputs, index).shape)}`)
  return zeros[0] as number
}

/** A scale, one number. */
function scaleAt(inputs: Inputs, index: number): number {
  const { size, shape } = need(inputs, index)
  if (size !== 1) throw new ShapeError(`input ${index}, a scale, must be one number, given ${showShape(shape)}`)
  return scalesAt(inputs, index)[0] as number
}

/** The scale of x with its zero point, each one number; the zero point is of the type of x, and 0 where it is left out. */
export const quantizationAt = (inputs: Inputs, scale: number, zero: number, x: Bytes): Quantization => ({
  scale: scaleAt(inputs, scale),
  zero: zeroAt(inputs, zero, x),
  type: typeOf(x),
})

/** Scale and zero point of a result: its type is that of the zero point, or that of the operand x where there is none. */
export function resultAt(inputs: Inputs, scale: number, zero: number, x: Bytes): Quantization {
  const like = inputs[zero] ?? x
  if (like.dtype !== 'uint8' && like.dtype !== 'int8')
    throw new UnsupportedError(`input ${zero}, a zero point, is ${like.dtype}, but must be uint8 or int8`)
  return quantizationAt(inputs, scale, zero, like as Bytes)
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

/** Whether the kernels compute it: weights of int8 around 0, few enough products in a sum, a bias and factors within their limits. */
function fitsKernels({ w, zeros, bias }: QuantizedConv, factors: readonly number[]): boolean {
  if (w.dtype !== 'int8' || zeros.some((zero) => zero !== 0)) return false
  if ((w.size / (w.shape[0] as number)) * MOST_PRODUCT > MOST_SUM) return false
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
    if (fitsKernels(given, factors)) {
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
