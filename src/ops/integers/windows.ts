/** Windows over maps of bytes: the record that kernels and loops are told, checked, since its numbers can come from files of strangers. */
import { isWide } from '../../plan/reach.js'
import { outputExtents, perDirection } from '../../plan/window.js'
import type { fieldsOfIntegerShape } from '../../runtime/generated/constants.js'
import { ShapeError } from '../../runtime/errors.js'
import { checkSize, showShape } from '../../tensor/shape.js'
import type { Tensor } from '../../tensor/tensor.js'
import { checkZero, typeOf, type ByteType } from './bytes.js'

/** Bytes that an operation reads. */
export type Bytes = Tensor<'uint8'> | Tensor<'int8'>

/** Windows in two directions. */
export interface ByteWindows {
  readonly kernel: readonly [number, number]
  readonly stride: readonly [number, number]
  readonly dilation: readonly [number, number]
  /** Pixels before and behind in each direction. */
  readonly padding: readonly [readonly [number, number], readonly [number, number]]
}

/** What the bytes of an operation mean. */
export interface ByteLimits {
  /** Zero point of x. */
  readonly xZero: number
  /** Zero point of y, its type, and its limits, which the type holds: a relu is a lower limit of the zero point. */
  readonly yZero: number
  readonly type: ByteType
  readonly low: number
  readonly high: number
}

/** The record of the kernels, by the names of its fields. */
export type ByteShape = Readonly<Record<(typeof fieldsOfIntegerShape)[number], number>>

/**
 * The record for maps x (N, C, H, W), K channels of y in G groups, and windows. `ceil` keeps the last, partial window as `outputExtents` says.
 * @throws ShapeError where no window fits or no memory holds y, ArgumentError for windows that are none and zero points that their types do not hold
 */
export function byteShape(
  name: string,
  x: Bytes,
  K: number,
  G: number,
  windows: ByteWindows,
  { xZero, yZero, type, low, high }: ByteLimits,
  ceil = false,
): ByteShape {
  if (x.ndim !== 4) throw new ShapeError(`${name}: x must be (N, C, H, W), given ${showShape(x.shape)}`)
  const [N, C, H, W] = x.shape as [number, number, number, number]
  const [kernel, stride, dilation] = (['kernel', 'stride', 'dilation'] as const).map((key) =>
    perDirection(windows[key], 2, 1, `${name}: ${key}`),
  ) as [[number, number], [number, number], [number, number]]
  const padding = windows.padding.map((pair) => perDirection(pair, 2, 0, `${name}: padding`)) as [number, number][]
  const [lo, hi] = [padding.map((pair) => pair[0]), padding.map((pair) => pair[1])]
  const [P, Q] = outputExtents({ input: [H, W], kernel, stride, dilation, lo, hi }, name, ceil) as [number, number]
  checkSize([N, K, P, Q], name)
  checkZero(xZero, typeOf(x), `${name}: the zero point of x`)
  checkZero(yZero, type, `${name}: the zero point of y`)
  return {
    N,
    C,
    K,
    G,
    H,
    W,
    R: kernel[0],
    S: kernel[1],
    P,
    Q,
    strideH: stride[0],
    strideW: stride[1],
    padH: lo[0] as number,
    padW: lo[1] as number,
    dilationH: dilation[0],
    dilationW: dilation[1],
    xZero,
    xSigned: Number(x.dtype === 'int8'),
    yZero,
    low,
    high,
  }
}

/**
 * Whether the kernels compute windows: they number pixels with 32 bits, and convolutions make the padded image. Where that image is too
 * large (src/plan/reach.ts) the loops compute the same, which visit what lies in x alone.
 */
export const isForKernels = ({ C, G, H, W, R, S, P, Q, padH, padW, ...steps }: ByteShape): boolean =>
  !isWide({
    C,
    groups: G,
    kernel: [R, S],
    input: [H, W],
    output: [P, Q],
    stride: [steps.strideH, steps.strideW],
    dilation: [steps.dilationH, steps.dilationW],
    lo: [padH, padW],
  })

/**
 * Taps first ≤ t < end of a window of `taps`, `dilation` apart, that lie in 0 … n − 1 when its first tap is at `origin`; end ≤ first where
 * there are none.
 */
export function tapsWithin(origin: number, taps: number, dilation: number, n: number): [first: number, end: number] {
  const first = Math.max(0, Math.ceil(-origin / dilation))
  return [first, Math.min(taps, Math.floor((n - 1 - origin) / dilation) + 1)]
}
