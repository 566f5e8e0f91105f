/**
 * Convolution of bytes with sums of 32 bits: y = zero + ⌊M[k] · (bias[k] + Σ w · (x − xZero)) + 1/2⌋, limited to low … high. Matrix products are
 * convolutions of one pixel. The kernels of the second module and the loops in JavaScript give the same bytes.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { recordOf } from '../../plan/record.js'
import type { CallList, Place } from '../../runtime/calls.js'
import { withIntegers } from '../../runtime/core.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import { fieldsOfIntegerShape } from '../../runtime/generated/constants.js'
import { LIGHT, MULTIPLY_ADD } from '../../runtime/work.js'
import { showShape, sizeOf, type Shape } from '../../tensor/shape.js'
import { elementsAt, type Tensor } from '../../tensor/tensor.js'
import { byteTypes, checkTerms, hasIntegers, integerKernels, typeOf, type ByteType } from './bytes.js'
import { limited, scaledBy } from './fixed.js'
import {
  byteShape,
  isForKernels,
  tapsWithin,
  type Bytes,
  type ByteLimits,
  type ByteShape,
  type ByteWindows,
} from './windows.js'

/** Options of `byteConv`. */
export interface ByteConvOptions extends Omit<ByteWindows, 'kernel'>, ByteLimits {
  readonly groups: number
}

/** A described operation. */
export interface ByteProblem {
  readonly shape: ByteShape
  readonly xType: ByteType
  readonly type: ByteType
  readonly yShape: Shape
}

/** Operands of a convolution: weights (K, C/groups, R, S), and a bias, m and s for each filter (`fixedOf`). */
export interface ByteOperands extends Record<string, Tensor<'uint8'> | Tensor<'int8'> | Tensor<'int32'>> {
  readonly x: Bytes
  readonly w: Tensor<'int8'>
  readonly bias: Tensor<'int32'>
  readonly m: Tensor<'int32'>
  readonly s: Tensor<'int32'>
}

/** Checks that there is a bias and a factor for each filter. */
function checkFilters({ bias, m, s }: ByteOperands, K: number): void {
  for (const [key, given] of Object.entries({ bias, m, s })) {
    if (given.ndim !== 1 || given.shape[0] !== K)
      throw new ShapeError(`byteConv: ${key} must be (${K}), one for each filter, given ${showShape(given.shape)}`)
  }
}

function inferConv(operands: ByteOperands, { groups, ...options }: ByteConvOptions): ByteProblem {
  const { x, w } = operands
  if (w.ndim !== 4) throw new ShapeError(`byteConv: w must be (K, C / groups, R, S), given ${showShape(w.shape)}`)
  const [K, c, R, S] = w.shape as [number, number, number, number]
  checkFilters(operands, K)
  if (c * groups !== x.shape[1] || K % groups !== 0)
    throw new ShapeError(
      `byteConv: ${groups} groups of weights ${showShape(w.shape)} do not fit x ${showShape(x.shape)}`,
    )
  checkTerms(c * R * S, 'byteConv')
  const shape = byteShape('byteConv', x, K, groups, { ...options, kernel: [R, S] }, options)
  return { shape, xType: typeOf(x), type: options.type, yShape: [shape.N, K, shape.P, shape.Q] }
}

/** Multiplications of a described convolution. */
const products = ({ N, C, K, G, R, S, P, Q }: ByteShape): number => N * K * (C / G) * R * S * P * Q

/** Whether each of several channels is a group. */
const isDepthwise = ({ C, G }: ByteShape): boolean => C > 1 && C === G

/** Whether the kernel is one pixel at each pixel. */
const isPointwise = ({ R, S, P, Q, H, W, strideH, strideW, padH, padW }: ByteShape): boolean =>
  R === 1 && S === 1 && P === H && Q === W && strideH === 1 && strideW === 1 && padH === 0 && padW === 0

/** Lists the kernels of the second module. */
function listKernels(list: CallList, { shape: fields }: ByteProblem): void {
  const record = recordOf(fieldsOfIntegerShape, fields)
  const ask = (of: (k: ReturnType<typeof integerKernels>, at: number) => number): number =>
    withIntegers(record, (at) => of(integerKernels(), at))
  const shape = list.integers(record)
  const [x, bias, m, s] = ['x', 'bias', 'm', 's'].map((name) => list.operand(name)) as [Place, Place, Place, Place]
  const { N, C, K, H, W, P, Q } = fields
  const work = 0.6 * MULTIPLY_ADD * products(fields) + LIGHT * N * K * P * Q
  if (fields.G * H * W === 1 && isPointwise(fields)) {
    const examples = list.block(ask((k, at) => k.integer_linear_bytes(at))) as Place
    list.call('integer_examples_fwd', N, (LIGHT * C) / 4, examples, x, shape)
    list.call('integer_linear_fwd', K, work / K, list.out, examples, list.operand('w'), bias, m, s, shape)
    return
  }
  if (isDepthwise(fields)) {
    const ws = list.perThread(ask((k, at) => k.integer_depthwise_workspace(at)))
    const items = N * K
    list.call('integer_depthwise_fwd', items, work / items, list.out, x, list.operand('w'), bias, m, s, ws, shape)
    return
  }
  let from = x
  if (!isPointwise(fields)) {
    from = list.block(ask((k, at) => k.integer_widen_bytes(at))) as Place
    list.call('integer_widen_fwd', N * C, (LIGHT * H * W) / 4, from, x, shape)
  }
  const bytes = ask((k, at) => k.integer_conv_packed(at))
  const key = `bytes ${fields.G} ${fields.K} ${fields.C} ${fields.R}x${fields.S}`
  const packed = list.packed('w', key, bytes, (packing, to, w) => {
    packing.once('integer_conv_pack', to, w, packing.integers(record))
  })
  const items = ask((k, at) => k.integer_conv_items(at))
  const ws = list.perThread(ask((k, at) => k.integer_conv_workspace(at)))
  list.call('integer_conv_fwd', items, work / items, list.out, from, packed, bias, m, s, ws, shape)
}

/** The same in JavaScript, where the second module is not loaded. */
function listLoops(list: CallList, { shape, xType, type, yShape }: ByteProblem): void {
  const { N, C, K, G, H, W, R, S, P, Q, strideH, strideW, padH, padW, dilationH, dilationW } = shape
  const [c, k] = [C / G, K / G]
  list.routine(
    (out, from, weights, biases, factors, shifts) => {
      const y = elementsAt(out, sizeOf(yShape), type)
      const x = elementsAt(from, N * C * H * W, xType)
      const w = elementsAt(weights, K * c * R * S, 'int8')
      const [bias, m, s] = [biases, factors, shifts].map((at) => elementsAt(at, K, 'int32')) as [
        Int32Array,
        Int32Array,
        Int32Array,
      ]
      let to = 0
      for (let n = 0; n < N; n++) {
        for (let filter = 0; filter < K; filter++) {
          const first = n * C + Math.floor(filter / k) * c
          for (let p = 0; p < P; p++) {
            const [top, bottom] = tapsWithin(p * strideH - padH, R, dilationH, H)
            for (let q = 0; q < Q; q++) {
              let sum = bias[filter] as number
              const [left, right] = tapsWithin(q * strideW - padW, S, dilationW, W)
              for (let r = top; r < bottom; r++) {
                const row = p * strideH - padH + r * dilationH
                for (let t = left; t < right; t++) {
                  const column = q * strideW - padW + t * dilationW
                  for (let channel = 0; channel < c; channel++) {
                    const weight = w[((filter * c + channel) * R + r) * S + t] as number
                    sum += weight * ((x[((first + channel) * H + row) * W + column] as number) - shape.xZero)
                  }
                }
              }
              const scaled = scaledBy(sum, m[filter] as number, s[filter] as number)
              y[to++] = limited(scaled + shape.yZero, shape.low, shape.high)
            }
          }
        }
      }
    },
    list.out,
    ...['x', 'w', 'bias', 'm', 's'].map((name) => list.operand(name)),
  )
}

/** The convolution, by kernels or by loops. */
const convolved: Op<ByteOperands, ByteConvOptions & { readonly fast: boolean }, never, ByteType> = defineOp(
  'byteConv',
  {
    types: { x: byteTypes, w: ['int8'], bias: ['int32'], m: ['int32'], s: ['int32'] },
    infer: (operands: ByteOperands, { fast, ...options }: ByteConvOptions & { readonly fast: boolean }) => ({
      ...inferConv(operands, options),
      fast,
    }),
    output: ({ yShape }) => yShape,
    dtype: ({ type }) => type,
    prepare: (list, { fast, ...problem }) => {
      if (fast && isForKernels(problem.shape)) listKernels(list, problem)
      else listLoops(list, problem)
    },
    keeps: [],
  },
)

/**
 * The convolution of bytes x (N, C, H, W) with w (K, C/groups, R, S), with 32-bit sums that begin at the bias and are multiplied by m / 2^(32 + s).
 * @throws ShapeError where shapes do not fit, ArgumentError where sums could pass 32 bits
 */
export function byteConv(operands: ByteOperands, options: ByteConvOptions): Bytes {
  const { low, high } = options
  if (low > high) throw new ArgumentError(`byteConv: low must be at most high, given ${low} and ${high}`)
  return convolved(operands, { ...options, fast: hasIntegers() }) as Bytes
}
