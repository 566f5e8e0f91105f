/** Pools of bytes: the largest of a window, which keeps scale and zero point, and the mean. */
import { defineOp, type Op } from '../../autodiff/op.js'
import { recordOf } from '../../plan/record.js'
import { fieldsOfIntegerShape } from '../../runtime/generated/constants.js'
import { LIGHT } from '../../runtime/work.js'
import { sizeOf } from '../../tensor/shape.js'
import { elementsAt } from '../../tensor/tensor.js'
import { byteTypes, checkTerms, hasIntegers, typeOf, type ByteType } from './bytes.js'
import { byteShape, type ByteLimits, type ByteProblem, type Bytes, type ByteShape, type ByteWindows } from './conv.js'
import { fixedOf, limited, scaledBy } from './fixed.js'

/** Options of both pools. */
export interface BytePoolOptions extends ByteWindows, ByteLimits {
  /** Whether windows that reach over the end count. */
  readonly ceil: boolean
}

/** Options of the mean. */
export interface ByteAverageOptions extends BytePoolOptions {
  /** The scale of x over that of y. */
  readonly factor: number
  /** Whether pixels around x, which are its zero point, count. */
  readonly countIncludePad: boolean
}

type Fast = { readonly fast: boolean }

function describe(name: string, x: Bytes, options: BytePoolOptions): ByteProblem {
  const C = x.shape[1] as number
  const shape = byteShape(name, x, C, C, options, options, options.ceil)
  return { shape, xType: typeOf(x), type: options.type, yShape: [shape.N, C, shape.P, shape.Q] }
}

/** Calls `take` with the byte and the place of each output for the pixels of its window that x has. */
function eachWindow(
  { N, C, H, W, R, S, P, Q, strideH, strideW, padH, padW, dilationH, dilationW }: ByteShape,
  take: (places: readonly number[], to: number) => void,
): void {
  let to = 0
  for (let map = 0; map < N * C; map++) {
    for (let p = 0; p < P; p++) {
      for (let q = 0; q < Q; q++) {
        const places: number[] = []
        for (let r = 0; r < R; r++) {
          const row = p * strideH - padH + r * dilationH
          for (let s = 0; s < S; s++) {
            const column = q * strideW - padW + s * dilationW
            if (row >= 0 && row < H && column >= 0 && column < W) places.push((map * H + row) * W + column)
          }
        }
        take(places, to++)
      }
    }
  }
}

const work = ({ R, S, P, Q }: ByteShape): number => LIGHT * P * Q * (R * S + 1)

const largest: Op<{ x: Bytes }, BytePoolOptions & Fast, never, ByteType> = defineOp('byteMaxPool', {
  types: byteTypes,
  infer: ({ x }: { x: Bytes }, options: BytePoolOptions & Fast) => ({
    ...describe('byteMaxPool', x, options),
    fast: options.fast,
  }),
  output: ({ yShape }) => yShape,
  dtype: ({ type }) => type,
  prepare: (list, { shape, xType, type, yShape, fast }) => {
    if (fast) {
      const record = list.integers(recordOf(fieldsOfIntegerShape, shape))
      list.call('integer_maxpool_fwd', shape.N * shape.C, work(shape), list.out, list.operand('x'), record)
      return
    }
    list.routine(
      (out, from) => {
        const y = elementsAt(out, sizeOf(yShape), type)
        const x = elementsAt(from, shape.N * shape.C * shape.H * shape.W, xType)
        eachWindow(shape, (places, to) => {
          y[to] = limited(Math.max(...places.map((place) => x[place] as number)), shape.low, shape.high)
        })
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** The largest byte of each window of x (N, C, H, W), limited. Nothing around x counts. */
export const byteMaxPool = (x: Bytes, options: BytePoolOptions): Bytes =>
  largest({ x }, { ...options, fast: hasIntegers() }) as Bytes

const mean: Op<{ x: Bytes }, ByteAverageOptions & Fast, never, ByteType> = defineOp('byteAvgPool', {
  types: byteTypes,
  infer: ({ x }: { x: Bytes }, options: ByteAverageOptions & Fast) => {
    const { kernel, factor, countIncludePad, fast } = options
    checkTerms(kernel[0] * kernel[1], 'byteAvgPool')
    // By the number of elements that count; a window without any gives the zero point.
    const fixed = Array.from({ length: kernel[0] * kernel[1] + 1 }, (_, count) =>
      fixedOf(factor / Math.max(1, count), 'byteAvgPool: the factor'),
    )
    return { ...describe('byteAvgPool', x, options), fixed, all: countIncludePad, fast }
  },
  output: ({ yShape }) => yShape,
  dtype: ({ type }) => type,
  prepare: (list, { shape, xType, type, yShape, fixed, all, fast }) => {
    if (fast) {
      const factors = list.integers(fixed.map(({ m }) => m))
      const shifts = list.integers(fixed.map(({ s }) => s))
      const record = list.integers(recordOf(fieldsOfIntegerShape, shape))
      const items = shape.N * shape.C
      list.call('integer_avgpool_fwd', items, work(shape), list.out, list.operand('x'), factors, shifts, all, record)
      return
    }
    list.routine(
      (out, from) => {
        const y = elementsAt(out, sizeOf(yShape), type)
        const x = elementsAt(from, shape.N * shape.C * shape.H * shape.W, xType)
        eachWindow(shape, (places, to) => {
          const sum = places.reduce((total, place) => total + (x[place] as number) - shape.xZero, 0)
          const { m, s } = fixed[all ? shape.R * shape.S : places.length] as { m: number; s: number }
          y[to] = limited(scaledBy(sum, m, s) + shape.yZero, shape.low, shape.high)
        })
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** The mean of each window of x (N, C, H, W), times a factor, rounded and limited. @throws ArgumentError for windows beyond 32 bits */
export const byteAvgPool = (x: Bytes, options: ByteAverageOptions): Bytes =>
  mean({ x }, { ...options, fast: hasIntegers() }) as Bytes
