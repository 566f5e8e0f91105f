/**
 * Integers of models from elsewhere, whatever their zero points, types and scales: computed in JavaScript, exactly. What the kernels take is in
 * conv.ts.
 */
import { defineOp, type Op } from '../../autodiff/op.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import type { DType } from '../../tensor/dtype.js'
import { broadcastShapes, checkSize, showShape, sizeOf, stridesOf, type Shape } from '../../tensor/shape.js'
import { elementsAt, type AnyTensor, type Tensor } from '../../tensor/tensor.js'
import { byteTypes, limitsOf, typeOf, type ByteType } from './bytes.js'
import { limited, roundEven } from './fixed.js'
import { byteShape, tapsWithin, type Bytes, type ByteShape, type ByteWindows } from './windows.js'

/** Options of `integerConv`. */
export interface IntegerConvOptions extends Omit<ByteWindows, 'kernel'> {
  readonly groups: number
  readonly xZero: number
  /** One for all filters, or one for each. */
  readonly wZeros: readonly number[]
}

/** A sum as int32 holds it: one that passes it begins again at the other end, as ONNX says. */
const wrapped = (sum: number): number => sum | 0

/** Terms that a double adds exactly, of products of two numbers of up to 9 bits. */
const MOST_TERMS = 1 << 30

interface ConvDescribed {
  readonly shape: ByteShape
  readonly types: readonly [ByteType, ByteType]
  readonly zeros: readonly number[]
}

/** Operands of `integerConv`. */
export type IntegerConvOperands = { readonly x: Bytes; readonly w: Bytes; readonly bias: Tensor<'int32'> | undefined }

/**
 * bias + Σ (w − wZero) · (x − xZero) as int32 (N, K, P, Q) for bytes x (N, C, H, W) and w (K, C/groups, R, S); what lies around x adds
 * nothing.
 */
export const integerConv: Op<IntegerConvOperands, IntegerConvOptions, never, 'int32'> = defineOp('integerConv', {
  types: { x: byteTypes, w: byteTypes, bias: ['int32'] },
  optional: ['bias'],
  infer: (
    { x, w, bias }: IntegerConvOperands,
    { groups, xZero, wZeros, ...windows }: IntegerConvOptions,
  ): ConvDescribed => {
    const [K, c, R, S] = w.shape as [number, number, number, number]
    if (w.ndim !== 4 || c * groups !== x.shape[1] || K % groups !== 0)
      throw new ShapeError(`weights ${showShape(w.shape)} of ${groups} groups do not fit x ${showShape(x.shape)}`)
    if (wZeros.length !== 1 && wZeros.length !== K)
      throw new ShapeError(`zero points of the weights must be one, or ${K}, given ${wZeros.length}`)
    if (bias && (bias.ndim !== 1 || bias.shape[0] !== K))
      throw new ShapeError(`integerConv: bias must be (${K}), one for each filter, given ${showShape(bias.shape)}`)
    if (c * R * S > MOST_TERMS) throw new ArgumentError(`sums of ${c * R * S} products are not supported`)
    const limits = { xZero, yZero: 0, type: 'uint8', low: 0, high: 255 } as const
    const shape = byteShape('integerConv', x, K, groups, { ...windows, kernel: [R, S] }, limits)
    return { shape, types: [typeOf(x), typeOf(w)], zeros: wZeros }
  },
  output: ({ shape: { N, K, P, Q } }) => [N, K, P, Q],
  dtype: () => 'int32',
  prepare: (list, { shape, types, zeros }) => {
    const { N, C, K, G, H, W, R, S, P, Q, strideH, strideW, padH, padW, dilationH, dilationW, xZero } = shape
    const [c, k] = [C / G, K / G]
    list.routine(
      (out, from, weights, biases) => {
        const y = elementsAt(out, N * K * P * Q, 'int32')
        const bias = biases === 0 ? undefined : elementsAt(biases, K, 'int32')
        const x = elementsAt(from, N * C * H * W, types[0])
        const w = elementsAt(weights, K * c * R * S, types[1])
        let to = 0
        for (let map = 0; map < N * K; map++) {
          const filter = map % K
          const zero = zeros[zeros.length === 1 ? 0 : filter] as number
          const first = Math.floor(map / K) * C + Math.floor(filter / k) * c
          for (let p = 0; p < P; p++) {
            const [top, bottom] = tapsWithin(p * strideH - padH, R, dilationH, H)
            for (let q = 0; q < Q; q++) {
              const [left, right] = tapsWithin(q * strideW - padW, S, dilationW, W)
              let sum = bias?.[filter] ?? 0
              for (let channel = 0; channel < c; channel++) {
                for (let r = top; r < bottom; r++) {
                  const row = (first + channel) * H + p * strideH - padH + r * dilationH
                  const taps = ((filter * c + channel) * R + r) * S
                  for (let s = left; s < right; s++) {
                    const value = x[row * W + q * strideW - padW + s * dilationW] as number
                    sum += ((w[taps + s] as number) - zero) * (value - xZero)
                  }
                }
              }
              y[to++] = wrapped(sum)
            }
          }
        }
      },
      list.out,
      list.operand('x'),
      list.operand('w'),
      list.operand('bias'),
    )
  },
  keeps: [],
})

/** Zero points of a product: one for all of a, or one for each row; one for all of b, or one for each column. */
export interface IntegerProductOptions {
  readonly aZeros: readonly number[]
  readonly bZeros: readonly number[]
}

interface ProductDescribed extends IntegerProductOptions {
  readonly outer: Shape
  readonly extents: readonly [M: number, K: number, N: number]
  /** How many matrices of a, and of b, are passed along each axis of `outer`. */
  readonly strides: readonly [a: Shape, b: Shape]
  readonly types: readonly [ByteType, ByteType]
}

/** For each axis of `outer` the stride of a shape that is broadcast to it: 0 where all places are one. */
function stridesIn(outer: Shape, shape: Shape): number[] {
  const own = stridesOf(shape)
  return outer.map((_, axis) => {
    const place = axis - (outer.length - shape.length)
    return (shape[place] ?? 1) === 1 ? 0 : (own[place] as number)
  })
}

/** Calls `take` for each place of `outer` with those of a and b. */
function eachPlace(
  outer: Shape,
  strides: ProductDescribed['strides'],
  take: (a: number, b: number) => void,
  axis = 0,
  a = 0,
  b = 0,
): void {
  if (axis === outer.length) {
    take(a, b)
    return
  }
  const [stepA, stepB] = [strides[0][axis] as number, strides[1][axis] as number]
  for (let i = 0; i < (outer[axis] as number); i++)
    eachPlace(outer, strides, take, axis + 1, a + i * stepA, b + i * stepB)
}

/** Σ (a − aZero) · (b − bZero) as int32 (…, M, N) for bytes a (…, M, K) and b (…, K, N); what stands before is broadcast. */
export const integerMatmul: Op<{ a: Bytes; b: Bytes }, IntegerProductOptions, never, 'int32'> = defineOp(
  'integerMatmul',
  {
    types: byteTypes,
    infer: ({ a, b }: { a: Bytes; b: Bytes }, { aZeros, bZeros }: IntegerProductOptions): ProductDescribed => {
      const [M, K] = a.shape.slice(-2) as [number, number]
      const [rows, N] = b.shape.slice(-2) as [number, number]
      if (a.ndim < 2 || b.ndim < 2 || K !== rows)
        throw new ShapeError(`a ${showShape(a.shape)} and b ${showShape(b.shape)} have no product`)
      for (const [zeros, count, key] of [
        [aZeros, M, 'a'],
        [bZeros, N, 'b'],
      ] as const) {
        if (zeros.length !== 1 && zeros.length !== count)
          throw new ShapeError(`zero points of ${key} must be one, or ${count}, given ${zeros.length}`)
      }
      const [ofA, ofB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
      const outer = broadcastShapes(ofA, ofB, 'integerMatmul')
      checkSize([...outer, M, N], 'integerMatmul')
      const strides = [stridesIn(outer, ofA), stridesIn(outer, ofB)] as const
      return { outer, extents: [M, K, N], strides, types: [typeOf(a), typeOf(b)], aZeros, bZeros }
    },
    output: ({ outer, extents: [M, , N] }) => [...outer, M, N],
    dtype: () => 'int32',
    prepare: (list, { outer, strides, extents: [M, K, N], types, aZeros, bZeros }) => {
      // How many matrices a and b have: one more than the place of the last.
      const [countA, countB] = strides.map((steps) =>
        steps.reduce((last, step, axis) => last + step * ((outer[axis] as number) - 1), 1),
      ) as [number, number]
      list.routine(
        (out, left, right) => {
          const y = elementsAt(out, sizeOf(outer) * M * N, 'int32')
          const a = elementsAt(left, countA * M * K, types[0])
          const b = elementsAt(right, countB * K * N, types[1])
          let to = 0
          eachPlace(outer, strides, (placeA, placeB) => {
            for (let m = 0; m < M; m++) {
              const za = aZeros[aZeros.length === 1 ? 0 : m] as number
              const row = (placeA * M + m) * K
              for (let n = 0; n < N; n++) {
                const zb = bZeros[bZeros.length === 1 ? 0 : n] as number
                let sum = 0
                for (let k = 0, at = placeB * K * N + n; k < K; k++, at += N)
                  sum += ((a[row + k] as number) - za) * ((b[at] as number) - zb)
                y[to++] = wrapped(sum)
              }
            }
          })
        },
        list.out,
        list.operand('a'),
        list.operand('b'),
      )
    },
    keeps: [],
  },
)

/** Scales and zero points along an axis, or of blocks along it: all of one number, or one for each element of `shape`. */
export interface Scales {
  readonly scales: readonly number[]
  /** As many, or one. */
  readonly zeros: readonly number[]
  /** The shape of the scales: () or (1) for all, (n) along the axis, or that of x but for the axis, along which each is of a block. */
  readonly shape: Shape
  readonly axis: number
  /** Elements that a scale is of; 0: there are no blocks. */
  readonly block: number
}

/** For each element of x the place of its scale. */
function scalePlaces(x: Shape, { scales, shape, axis, block }: Scales): (element: number) => number {
  if (scales.length === 1) return () => 0
  const inner = sizeOf(x.slice(axis + 1))
  const n = x[axis] as number
  if (block === 0) {
    if (shape.length !== 1 || shape[0] !== n)
      throw new ShapeError(`scales ${showShape(shape)} must be one, or ${n} along axis ${axis} of ${showShape(x)}`)
    return (element) => Math.floor(element / inner) % n
  }
  const blocks = Math.ceil(n / block)
  const due = x.map((extent, each) => (each === axis ? blocks : extent))
  if (shape.join() !== due.join())
    throw new ShapeError(
      `scales ${showShape(shape)} must be ${showShape(due)}, one for each ${block} elements along axis ${axis}`,
    )
  return (element) => {
    const [before, at, behind] = [Math.floor(element / (inner * n)), Math.floor(element / inner) % n, element % inner]
    return (before * blocks + Math.floor(at / block)) * inner + behind
  }
}

const zeroAt = ({ zeros }: Scales, place: number): number => zeros[zeros.length === 1 ? 0 : place] as number

interface Converted extends Scales {
  readonly x: Shape
  readonly from: DType
  readonly to: ByteType
}

/** zero + x / scale to the nearest, halves to the even one, limited to what the type holds; x of float32 or int32. NaN gives the least. */
export const quantizeAlong: Op<{ x: AnyTensor }, Scales & { readonly to: ByteType }, never, ByteType> = defineOp(
  'quantizeAlong',
  {
    types: ['float32', 'int32'],
    infer: ({ x }: { x: AnyTensor }, options: Scales & { readonly to: ByteType }): Converted => {
      scalePlaces(x.shape, options)
      return { ...options, x: x.shape, from: x.dtype }
    },
    output: ({ x }) => x,
    dtype: ({ to }) => to,
    prepare: (list, given) => {
      const size = sizeOf(given.x)
      const [low, high] = limitsOf(given.to)
      const placeOf = scalePlaces(given.x, given)
      list.routine(
        (out, from) => {
          const [y, x] = [elementsAt(out, size, given.to), elementsAt(from, size, given.from)]
          for (let i = 0; i < size; i++) {
            const place = placeOf(i)
            const ratio = Math.fround(Math.fround(Number(x[i])) / (given.scales[place] as number))
            const whole = Number.isNaN(ratio) ? -Infinity : roundEven(limited(ratio, -1024, 1024))
            y[i] = limited(whole + zeroAt(given, place), low, high)
          }
        },
        list.out,
        list.operand('x'),
      )
    },
    keeps: [],
  },
)

/** scale · (x − zero) as float32, for x of bytes or int32. */
export const dequantizeAlong: Op<{ x: AnyTensor }, Scales> = defineOp('dequantizeAlong', {
  types: ['uint8', 'int8', 'int32'],
  infer: ({ x }: { x: AnyTensor }, options: Scales) => {
    scalePlaces(x.shape, options)
    return { ...options, x: x.shape, from: x.dtype }
  },
  output: ({ x }) => x,
  prepare: (list, given) => {
    const size = sizeOf(given.x)
    const placeOf = scalePlaces(given.x, given)
    list.routine(
      (out, from) => {
        const [y, x] = [elementsAt(out, size, 'float32'), elementsAt(from, size, given.from)]
        for (let i = 0; i < size; i++) {
          const place = placeOf(i)
          y[i] = Math.fround(Number(x[i]) - zeroAt(given, place)) * (given.scales[place] as number)
        }
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** Sums of int32 times a factor for all, or for each place along an axis, to the nearest byte, halves to the even one. */
export interface RequantizeOptions {
  readonly factors: readonly number[]
  readonly axis: number
  readonly zero: number
  readonly to: ByteType
}

/** Sums that are no kernel's as bytes: zero + sum · factor + bias, to the nearest, halves to the even one. */
export const requantize: Op<{ sums: Tensor<'int32'> }, RequantizeOptions, never, ByteType> = defineOp('requantize', {
  types: { sums: ['int32'] },
  infer: ({ sums }: { sums: Tensor<'int32'> }, options: RequantizeOptions) => {
    const n = sums.shape[options.axis] ?? 1
    if (options.factors.length !== 1 && options.factors.length !== n)
      throw new ShapeError(`factors must be one, or ${n}, given ${options.factors.length}`)
    return { ...options, x: sums.shape }
  },
  output: ({ x }) => x,
  dtype: ({ to }) => to,
  prepare: (list, { x, factors, axis, zero, to }) => {
    const size = sizeOf(x)
    const [low, high] = limitsOf(to)
    const [inner, n] = [sizeOf(x.slice(axis + 1)), x[axis] ?? 1]
    list.routine(
      (out, from) => {
        const [y, sums] = [elementsAt(out, size, to), elementsAt(from, size, 'int32')]
        for (let i = 0; i < size; i++) {
          const factor = factors[factors.length === 1 ? 0 : Math.floor(i / inner) % n] as number
          y[i] = limited(roundEven(limited((sums[i] as number) * factor, -1024, 1024)) + zero, low, high)
        }
      },
      list.out,
      list.operand('sums'),
    )
  },
  keeps: [],
})
