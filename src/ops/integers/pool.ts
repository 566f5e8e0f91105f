/** Pools of bytes: the largest of a window, which keeps scale and zero point, and the mean. */
import { defineOp, type Op } from '../../autodiff/op.js'
import { recordOf } from '../../plan/record.js'
import { fieldsOfIntegerShape } from '../../runtime/generated/constants.js'
import { LIGHT } from '../../runtime/work.js'
import { sizeOf } from '../../tensor/shape.js'
import { elementsAt } from '../../tensor/tensor.js'
import { byteTypes, checkTerms, hasIntegers, MOST_BYTE, typeOf, type ByteType } from './bytes.js'
import type { ByteProblem } from './conv.js'
import { fixedOf, limited, scaledBy, type Fixed } from './fixed.js'
import {
  byteShape,
  isForKernels,
  tapsWithin,
  type Bytes,
  type ByteLimits,
  type ByteShape,
  type ByteWindows,
} from './windows.js'

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
      const [top, bottom] = tapsWithin(p * strideH - padH, R, dilationH, H)
      for (let q = 0; q < Q; q++) {
        const places: number[] = []
        const [left, right] = tapsWithin(q * strideW - padW, S, dilationW, W)
        for (let r = top; r < bottom; r++) {
          const row = map * H + p * strideH - padH + r * dilationH
          for (let s = left; s < right; s++) places.push(row * W + q * strideW - padW + s * dilationW)
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
    if (fast && isForKernels(shape)) {
      const record = list.integers(recordOf(fieldsOfIntegerShape, shape))
      list.call('integer_maxpool_fwd', shape.N * shape.C, work(shape), list.out, list.operand('x'), record)
      return
    }
    list.routine(
      (out, from) => {
        const y = elementsAt(out, sizeOf(yShape), type)
        const x = elementsAt(from, shape.N * shape.C * shape.H * shape.W, xType)
        eachWindow(shape, (places, to) => {
          const most = places.reduce((value, place) => Math.max(value, x[place] as number), -Infinity)
          y[to] = limited(most, shape.low, shape.high)
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

/** Whether each window lies in x. */
const areWhole = ({ H, W, R, S, P, Q, padH, padW, ...steps }: ByteShape): boolean =>
  padH === 0 &&
  padW === 0 &&
  (P - 1) * steps.strideH + (R - 1) * steps.dilationH < H &&
  (Q - 1) * steps.strideW + (S - 1) * steps.dilationW < W

/**
 * The factor of windows that all count as `size` elements, alone; else the factors of windows of 0, 1, … `size` elements, of which that of
 * none is any, since such a window gives the zero point.
 */
const factorsOf = (factor: number, size: number, all: boolean): Fixed[] =>
  Array.from({ length: all ? 1 : size + 1 }, (_, count) =>
    fixedOf(factor / (all ? size : Math.max(1, count)), 'byteAvgPool: the factor'),
  )

const mean: Op<{ x: Bytes }, ByteAverageOptions & Fast, never, ByteType> = defineOp('byteAvgPool', {
  types: byteTypes,
  infer: ({ x }: { x: Bytes }, options: ByteAverageOptions & Fast) => {
    const { kernel, factor, countIncludePad, fast } = options
    const described = describe('byteAvgPool', x, options)
    const size = kernel[0] * kernel[1]
    checkTerms(size, 'byteAvgPool', MOST_BYTE)
    const all = countIncludePad || areWhole(described.shape)
    return { ...described, fixed: factorsOf(factor, size, all), all, fast }
  },
  output: ({ yShape }) => yShape,
  dtype: ({ type }) => type,
  prepare: (list, { shape, xType, type, yShape, fixed, all, fast }) => {
    if (fast && isForKernels(shape)) {
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
          const { m, s } = fixed[all ? 0 : places.length] as Fixed
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
