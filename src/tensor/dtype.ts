/**
 * Types of numbers that tensors hold. Gradients are of float32 alone; the others hold labels, indices, extents and pixels, and are
 * exact: a number that does not fit is refused, never cut.
 */
import { wrongKind } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { unknownName } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'

/** What holds the elements of each type. */
export interface ElementArrays {
  /** Single precision. */
  float32: Float32Array
  /** From −2³¹ to 2³¹ − 1. */
  int32: Int32Array
  /** From −2⁶³ to 2⁶³ − 1, as bigints. */
  int64: BigInt64Array
  /** From 0 to 255. */
  uint8: Uint8Array
  /** From −128 to 127. */
  int8: Int8Array
  /** Bytes that are 0 or 1. */
  bool: Uint8Array
}

/** A type of numbers. */
export type DType = keyof ElementArrays

/** One number of a type. */
export type ElementOf<D extends DType> = ElementArrays[D][number]

/** Makes the array of a type. */
interface ArrayMaker<A> {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): A
  new (buffer: ArrayBufferLike, offset: number, length: number): A
}

/** The arrays of the types, float32 first. */
export const arrays: { readonly [D in DType]: ArrayMaker<ElementArrays[D]> } = {
  float32: Float32Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
}

/** Every type. */
export const dtypes = Object.keys(arrays) as readonly DType[]

/** Bytes that an element takes. */
export const bytesOf = (dtype: DType): number => arrays[dtype].BYTES_PER_ELEMENT

/** Checks the name of a type. @throws ArgumentError naming the nearest */
export function checkDType(dtype: unknown, what: string): asserts dtype is DType {
  if (typeof dtype !== 'string' || !Object.hasOwn(arrays, dtype)) {
    throw new ArgumentError(
      typeof dtype === 'string'
        ? `${what}: ${unknownName('type', dtype, dtypes)}`
        : `${what}: dtype must be one of ${dtypes.join(', ')}, given ${inWords(dtype)}`,
    )
  }
}

/** Smallest and largest whole number of a type. */
export const ranges: { readonly [D in Exclude<DType, 'float32'>]: readonly [least: bigint, most: bigint] } = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint8: [0n, 255n],
  int8: [-128n, 127n],
  bool: [0n, 1n],
}

/** A number as an element of a type of whole numbers. @throws ArgumentError where it does not fit */
function elementOf<D extends DType>(value: unknown, dtype: D, what: string): ElementOf<D> {
  const given = dtype === 'bool' && typeof value === 'boolean' ? Number(value) : value
  if (typeof given === 'bigint' || (typeof given === 'number' && Number.isSafeInteger(given))) {
    const [least, most] = ranges[dtype as Exclude<DType, 'float32'>]
    if (given >= least && given <= most) return dtype === 'int64' ? BigInt(given) : Number(given)
  }
  const due = dtype === 'bool' ? 'true, false, 0 or 1' : `a whole number that ${dtype} holds`
  throw wrongKind(what, due, value)
}

/** Checks that a number is one of a type: of float32 every one is. @throws ArgumentError */
export function checkElement(value: number, dtype: DType, what: string): void {
  if (dtype !== 'float32') elementOf(value, dtype, what)
}

/** Writes numbers as elements of a type; `what` names the list. @throws ArgumentError where one does not fit */
export function writeElements<D extends DType>(
  to: ElementArrays[D],
  from: ArrayLike<unknown>,
  dtype: D,
  what: string,
): void {
  if (dtype === 'float32' || (dtype !== 'bool' && from.constructor === arrays[dtype])) {
    // Whatever cannot be a number is met here, before anything is overwritten.
    ;(to as Float32Array).set(ArrayBuffer.isView(from) ? (from as Float32Array) : Float32Array.from(from as number[]))
    return
  }
  const elements = Array.from(from, (value, i) => elementOf(value, dtype, `${what}[${i}]`))
  ;(to as Int32Array).set(elements as number[])
}
