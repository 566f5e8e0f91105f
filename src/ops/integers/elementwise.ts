/** Tensors of bytes element by element: sums, tables of 256 entries, and the ways from float32 and to it. */
import { defineOp, type Op } from '../../autodiff/op.js'
import { recordOf } from '../../plan/record.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import { fieldsOfIntegerSum } from '../../runtime/generated/constants.js'
import { LIGHT } from '../../runtime/work.js'
import { sameShape, showShape, sizeOf, type Shape } from '../../tensor/shape.js'
import { elementsAt, type Tensor } from '../../tensor/tensor.js'
import {
  byteTypes,
  checkQuantization,
  hasIntegers,
  limitsOf,
  typeOf,
  type ByteType,
  type Quantization,
} from './bytes.js'
import type { Bytes } from './windows.js'
import { limited, powerOfTwo, roundEven } from './fixed.js'

/** Time of an element of bytes, in ns. */
const BYTE = LIGHT / 4

/** Options of `byteAdd`. */
export interface ByteAddOptions {
  readonly a: Quantization
  readonly b: Quantization
  readonly y: Quantization
  /** Limits of y, which its type holds. */
  readonly low: number
  readonly high: number
}

type Fast = { readonly fast: boolean }

/**
 * The same for the operation. No name is that of an operand: what was inferred of options is found again by all of them but
 * those (src/autodiff/recall.ts).
 */
interface AddOptions extends Fast {
  readonly ofA: Quantization
  readonly ofB: Quantization
  readonly to: Quantization
  readonly low: number
  readonly high: number
}
type Shaped = { readonly shape: Shape }

/** Factors of one shift are at most 2^21: 255 times one of them, twice, and half a unit of the shift, fits 31 bits. */
const MOST_FACTOR = 2 ** 21

/** The record of a sum: factors of both in units of 2^−shift, as fine as they can be. */
function sumRecord({
  ofA: a,
  ofB: b,
  to: y,
  low,
  high,
}: AddOptions): Readonly<Record<(typeof fieldsOfIntegerSum)[number], number>> {
  for (const [key, each] of Object.entries({ a, b, y })) checkQuantization(each, `byteAdd: ${key}`)
  const [first, second] = [a.scale / y.scale, b.scale / y.scale]
  for (const ratio of [first, second]) {
    if (ratio >= MOST_FACTOR / 2)
      throw new ArgumentError(`byteAdd: a scale must be below 2^20 times that of the sum, given ${ratio} times it`)
  }
  let shift = 1
  while (shift < 28 && Math.max(first, second) * powerOfTwo(shift + 1) < MOST_FACTOR) shift++
  const factor = (of: number): number => Math.min(MOST_FACTOR, Math.round(of * powerOfTwo(shift)))
  return {
    aZero: a.zero,
    aSigned: Number(a.type === 'int8'),
    bZero: b.zero,
    bSigned: Number(b.type === 'int8'),
    aFactor: factor(first),
    bFactor: factor(second),
    shift,
    yZero: y.zero,
    low,
    high,
  }
}

const added: Op<{ a: Bytes; b: Bytes }, AddOptions, never, ByteType> = defineOp('byteAdd', {
  types: byteTypes,
  infer: ({ a, b }: { a: Bytes; b: Bytes }, options: AddOptions) => {
    if (!sameShape(a.shape, b.shape))
      throw new ShapeError(`byteAdd: both must be of one shape, given ${showShape(a.shape)} and ${showShape(b.shape)}`)
    const types = [typeOf(a), typeOf(b), options.to.type] as const
    // The signs are those of the bytes that are read.
    const how = { ...options, ofA: { ...options.ofA, type: types[0] }, ofB: { ...options.ofB, type: types[1] } }
    return { shape: a.shape, record: sumRecord(how), types, fast: options.fast }
  },
  output: ({ shape }) => shape,
  dtype: ({ types }) => types[2],
  prepare: (list, { shape, record, types, fast }) => {
    const size = sizeOf(shape)
    const [a, b] = [list.operand('a'), list.operand('b')]
    if (fast) {
      list.call('integer_add_fwd', size, BYTE, list.out, a, b, list.integers(recordOf(fieldsOfIntegerSum, record)))
      return
    }
    const { aZero, bZero, aFactor, bFactor, shift, yZero, low, high } = record
    list.routine(
      (...at) => {
        const [y, va, vb] = [
          elementsAt(at[0] as number, size, types[2]),
          elementsAt(at[1] as number, size, types[0]),
          elementsAt(at[2] as number, size, types[1]),
        ]
        for (let i = 0; i < size; i++) {
          const sum = ((va[i] as number) - aZero) * aFactor + ((vb[i] as number) - bZero) * bFactor
          y[i] = limited(Math.floor((sum + powerOfTwo(shift - 1)) / powerOfTwo(shift)) + yZero, low, high)
        }
      },
      list.out,
      a,
      b,
    )
  },
  keeps: [],
})

/**
 * a + b of one shape in the scale of y, ⌊… + 1/2⌋ and limited. Factors have 21 bits.
 * @throws ShapeError where the shapes differ, ArgumentError for a scale that is none
 */
export const byteAdd = (a: Bytes, b: Bytes, { a: ofA, b: ofB, y: to, low, high }: ByteAddOptions): Bytes =>
  added({ a, b }, { ofA, ofB, to, low, high, fast: hasIntegers() }) as Bytes

/** What a table is made of. */
interface TableOptions {
  readonly type: ByteType
  /** What becomes of each byte, from 0 to 255 or from −128 to 127: 256 bytes, in the order of the bits of x. */
  readonly table: readonly number[]
}

const lookedUp: Op<{ x: Bytes }, TableOptions & Fast, never, ByteType> = defineOp('byteLookup', {
  types: byteTypes,
  infer: ({ x }: { x: Bytes }, { type, table, fast }: TableOptions & Fast): TableOptions & Fast & Shaped => {
    if (table.length !== 256) throw new ShapeError(`byteLookup: a table has 256 entries, given ${table.length}`)
    return { shape: x.shape, type, table, fast }
  },
  output: ({ shape }) => shape,
  dtype: ({ type }) => type,
  prepare: (list, { shape, table, fast }) => {
    const size = sizeOf(shape)
    const bytes = Uint8Array.from(table)
    if (fast) {
      const at = list.integers(new Int32Array(bytes.buffer))
      list.call('integer_lookup_fwd', size, BYTE, list.out, list.operand('x'), at)
      return
    }
    list.routine(
      (out, from) => {
        const [y, x] = [elementsAt(out, size, 'uint8'), elementsAt(from, size, 'uint8')]
        for (let i = 0; i < size; i++) y[i] = bytes[x[i] as number] as number
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** For each byte of x that of a table, which has 256 entries in the order of the bits of x: of int8, −1 is the last. */
export const byteLookup = (x: Bytes, type: ByteType, table: readonly number[]): Bytes =>
  lookedUp({ x }, { type, table, fast: hasIntegers() }) as Bytes

const quantized: Op<{ x: Tensor }, Quantization & Fast, never, ByteType> = defineOp('byteQuantize', {
  infer: ({ x }: { x: Tensor }, given: Quantization & Fast): Quantization & Fast & Shaped => {
    checkQuantization(given, 'byteQuantize')
    return { ...given, shape: x.shape }
  },
  output: ({ shape }) => shape,
  dtype: ({ type }) => type,
  prepare: (list, { shape, scale, zero, type, fast }) => {
    const size = sizeOf(shape)
    const [low, high] = limitsOf(type)
    if (fast) {
      list.call('integer_quantize_fwd', size, LIGHT, list.out, list.operand('x'), Math.fround(scale), zero, low, high)
      return
    }
    list.routine(
      (out, from) => {
        const [y, x] = [elementsAt(out, size, type), elementsAt(from, size, 'float32')]
        for (let i = 0; i < size; i++) {
          const ratio = Math.fround((x[i] as number) / Math.fround(scale))
          y[i] = Number.isNaN(ratio) ? low : limited(roundEven(limited(ratio, -512, 512)) + zero, low, high)
        }
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** The byte nearest to zero + x / scale, halves to the even one; NaN becomes the least. */
export const byteQuantize = (x: Tensor, { scale, zero, type }: Quantization): Bytes =>
  quantized({ x }, { scale, zero, type, fast: hasIntegers() }) as Bytes

const dequantized: Op<{ x: Bytes }, Quantization & Fast> = defineOp('byteDequantize', {
  types: byteTypes,
  infer: ({ x }: { x: Bytes }, given: Quantization & Fast): Quantization & Fast & Shaped => {
    checkQuantization(given, 'byteDequantize')
    return { ...given, shape: x.shape, type: typeOf(x) }
  },
  output: ({ shape }) => shape,
  prepare: (list, { shape, scale, zero, type, fast }) => {
    const size = sizeOf(shape)
    if (fast) {
      const signed = Number(type === 'int8')
      list.call('integer_dequantize_fwd', size, LIGHT, list.out, list.operand('x'), Math.fround(scale), zero, signed)
      return
    }
    list.routine(
      (out, from) => {
        const [y, x] = [elementsAt(out, size, 'float32'), elementsAt(from, size, type)]
        for (let i = 0; i < size; i++) y[i] = ((x[i] as number) - zero) * Math.fround(scale)
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** scale · (x − zero) as float32. */
export const byteDequantize = (x: Bytes, { scale, zero, type }: Quantization): Tensor =>
  dequantized({ x }, { scale, zero, type, fast: hasIntegers() })
