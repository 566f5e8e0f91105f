/** What operations on tensors of bytes have in common: types, limits, zero points, and whether their kernels are loaded. */
import type { IntegerKernels } from '../../runtime/generated/kernels.js'
import { LEAST_SCALE } from '../../formats/scaledBytes.js'
import { kernels } from '../../runtime/core.js'
import { ArgumentError } from '../../runtime/errors.js'
import type { AnyTensor } from '../../tensor/tensor.js'

/** Types of bytes. */
export type ByteType = 'uint8' | 'int8'
export const byteTypes = ['uint8', 'int8'] as const

/** A scale and a zero point: the byte q stands for the number scale · (q − zero). */
export interface Quantization {
  /** Above 0. */
  readonly scale: number
  /** A number that the type holds. */
  readonly zero: number
  readonly type: ByteType
}

/** Least and most number of a type. */
export const limitsOf = (type: ByteType): readonly [low: number, high: number] =>
  type === 'int8' ? [-128, 127] : [0, 255]

/** Checks a scale. @throws ArgumentError where it is no normal float32 above 0 */
export function checkScale(scale: number, what: string): void {
  if (!(scale >= LEAST_SCALE) || !Number.isFinite(scale))
    throw new ArgumentError(`${what} must be a number from 2^-126 on, the smallest normal float32, given ${scale}`)
}

/** Checks a zero point. @throws ArgumentError where the type does not hold it */
export function checkZero(zero: number, type: ByteType, what: string): void {
  const [low, high] = limitsOf(type)
  if (!Number.isInteger(zero) || zero < low || zero > high)
    throw new ArgumentError(`${what} must be a whole number from ${low} to ${high}, which ${type} holds, given ${zero}`)
}

/** Checks a scale with its zero point. */
export function checkQuantization({ scale, zero, type }: Quantization, what: string): void {
  checkScale(scale, `${what}: the scale`)
  checkZero(zero, type, `${what}: the zero point`)
}

/** The type of a tensor of bytes. */
export const typeOf = (x: AnyTensor): ByteType => x.dtype as ByteType

/** Whether the kernels of integers are loaded: without them the same numbers are computed in JavaScript. */
export const hasIntegers = (): boolean => 'integer_conv_fwd' in kernels()

/** The kernels of integers, once they are loaded. */
export const integerKernels = (): IntegerKernels => kernels() as unknown as IntegerKernels

/** The largest sum that kernels may meet: half of what 32 bits hold; the other half is for the bias. */
export const MOST_SUM = 2 ** 30

/** Magnitude of a byte less its zero point, at most, and of its product with a weight of int8. */
export const MOST_BYTE = 255
export const MOST_PRODUCT = MOST_BYTE * 128

/**
 * Checks that sums of `terms` whole numbers, each of a magnitude of at most `each`, stay below 2^30, whatever they are.
 * @throws ArgumentError where there are more terms
 */
export function checkTerms(terms: number, what: string, each: number = MOST_PRODUCT): void {
  const most = Math.floor(MOST_SUM / each)
  if (terms > most) {
    const kind = each === MOST_PRODUCT ? 'products' : 'bytes'
    throw new ArgumentError(`${what}: sums of ${terms} ${kind} can pass 32 bits; at most ${most} are added`)
  }
}
