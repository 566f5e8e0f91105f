/** Operations of 8-bit integers on fixed data: by the kernels of the second module, or by loops where that is not loaded; the bytes are the same. */
import * as t from '../../src/index.js'
import type { ByteType } from '../../src/ops/integers/bytes.js'
import { byteConv } from '../../src/ops/integers/conv.js'
import { byteAdd, byteDequantize, byteLookup, byteQuantize } from '../../src/ops/integers/elementwise.js'
import { integerConv, integerMatmul, requantize } from '../../src/ops/integers/exact.js'
import { fixedOf } from '../../src/ops/integers/fixed.js'
import { byteAvgPool, byteMaxPool, type BytePoolOptions } from '../../src/ops/integers/pool.js'
import type { Bytes } from '../../src/ops/integers/windows.js'
import type { AnyTensor } from '../../src/tensor/tensor.js'

type Pair = readonly [number, number]

/** Whole numbers from `low` to `high`, by a seed. */
function whole<D extends ByteType | 'int32'>(dtype: D, shape: readonly number[], [low, high]: Pair, seed: number) {
  const values = t.scope(() => t.uniform(shape, { seed }).data())
  const list = Array.from(values, (value) => low + Math.floor(value * (high - low + 1)))
  return t.tensor(list, shape, { dtype })
}

/** Bytes of all values. */
const bytes = (dtype: ByteType, shape: readonly number[], seed: number): Bytes =>
  whole(dtype, shape, dtype === 'int8' ? [-128, 127] : [0, 255], seed) as Bytes

interface Layer {
  readonly x: readonly number[]
  readonly w: readonly [number, number, number, number]
  readonly groups?: number
  readonly stride?: Pair
  readonly dilation?: Pair
  readonly padding?: readonly [Pair, Pair]
}

const one: Pair = [1, 1]
const none: readonly [Pair, Pair] = [
  [0, 0],
  [0, 0],
]

/** Layers that each way of computing convolutions has: of one pixel, of each pixel, of each channel, and gathered. */
const layers: Readonly<Record<string, Layer>> = {
  'one pixel': { x: [3, 37, 1, 1], w: [21, 37, 1, 1] },
  '1 × 1': { x: [2, 19, 7, 9], w: [30, 19, 1, 1] },
  '3 × 3': {
    x: [2, 5, 13, 11],
    w: [14, 5, 3, 3],
    padding: [
      [1, 1],
      [1, 2],
    ],
  },
  strided: {
    x: [1, 6, 14, 15],
    w: [10, 3, 5, 4],
    groups: 2,
    stride: [2, 3],
    dilation: [2, 1],
    padding: [
      [2, 3],
      [0, 1],
    ],
  },
  depthwise: {
    x: [2, 6, 12, 17],
    w: [6, 1, 3, 3],
    groups: 6,
    padding: [
      [1, 1],
      [1, 1],
    ],
  },
  'depthwise, strided': {
    x: [1, 6, 12, 17],
    w: [12, 1, 3, 3],
    groups: 6,
    stride: [2, 2],
    padding: [
      [0, 1],
      [1, 1],
    ],
  },
}

/** Numbers that were computed, whole ones as int32. */
const numbers = (y: AnyTensor): Float32Array | Int32Array =>
  y.dtype === 'float32' ? (y.data() as Float32Array) : Int32Array.from(y.data() as Uint8Array)

function convolutions(): [string, (Float32Array | Int32Array)[]][] {
  return Object.entries(layers).map(([name, { x, w, groups = 1, stride = one, dilation = one, padding = none }]) => {
    const windows = { stride, dilation, padding }
    const [K] = w
    const factors = Array.from({ length: K }, (_, k) => fixedOf(0.0004 * (k + 1), 'a factor'))
    const list = (key: 'm' | 's') =>
      t.tensor(
        factors.map((each) => each[key]),
        [K],
        { dtype: 'int32' },
      )
    const made = (['uint8', 'int8'] as const).flatMap((type, seed) => {
      const operands = {
        ...{ x: bytes(type, x, seed + 1), w: whole('int8', w, [-127, 127], seed + 3), m: list('m'), s: list('s') },
        bias: whole('int32', [K], [-9000, 9000], seed + 5),
      }
      const limits = type === 'int8' ? { low: -128, high: 127, yZero: -20 } : { low: 0, high: 255, yZero: 120 }
      const xZero = type === 'int8' ? -3 : 130
      const given = { x: operands.x, w: bytes(type, w, 9), bias: undefined }
      return [
        numbers(byteConv(operands, { ...windows, ...limits, groups, xZero, type })),
        numbers(integerConv(given, { ...windows, groups, xZero, wZeros: [5] })),
      ]
    })
    return [`integers: convolution, ${name}`, made]
  })
}

/** SHA-256 are taken of these. */
export function integers(): Record<string, (Float32Array | Int32Array)[]> {
  return t.scope(() => {
    const [a, b] = [bytes('uint8', [2, 3, 11, 13], 1), bytes('int8', [2, 3, 11, 13], 2)]
    const how = { a: { scale: 0.03, zero: 120 }, b: { scale: 0.07, zero: -3 }, y: { scale: 0.05, zero: 9 } }
    const types = { a: 'uint8', b: 'int8', y: 'int8' } as const
    const of = (key: 'a' | 'b' | 'y') => ({ ...how[key], type: types[key] })
    const windows: BytePoolOptions = {
      kernel: [3, 2],
      stride: [2, 2],
      dilation: [1, 2],
      padding: [
        [1, 1],
        [1, 0],
      ],
      ceil: true,
      xZero: 120,
      yZero: 120,
      type: 'uint8',
      low: 0,
      high: 255,
    }
    const means = [true, false].map((countIncludePad) => byteAvgPool(a, { ...windows, factor: 1.3, countIncludePad }))
    const sums = integerMatmul(
      { a: bytes('uint8', [3, 4, 9], 5), b: bytes('int8', [9, 5], 6) },
      { aZeros: [100], bZeros: [1, 2, 3, 4, -128] },
    )
    const x = t.normal([700], { seed: 8, std: 3 })
    return {
      ...Object.fromEntries(convolutions()),
      'integers: pools': [byteMaxPool(a, windows), ...means].map(numbers),
      'integers: sums': [numbers(byteAdd(a, b, { a: of('a'), b: of('b'), y: of('y'), low: -128, high: 127 }))],
      'integers: tables': [
        numbers(
          byteLookup(
            b,
            'uint8',
            Array.from({ length: 256 }, (_, i) => (i * 77) % 256),
          ),
        ),
      ],
      'integers: products': [sums, requantize({ sums }, { factors: [0.01], axis: 2, zero: 3, to: 'int8' })].map(
        numbers,
      ),
      'integers: from and to float32': [byteQuantize(x, of('a')), byteDequantize(b, of('b'))].map(numbers),
    }
  })
}
