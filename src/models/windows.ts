/** Windows over maps (N, C, spatial…) of models from elsewhere: what lies around them, convolutions and pools of each rank. */
import { ShapeError, UnsupportedError } from '../runtime/errors.js'
import { avgPool1d, avgPool2d, avgPool3d } from '../ops/pool/average.js'
import { maxPool1d, maxPool2d, maxPool3d } from '../ops/pool/max.js'
import { conv1d, conv2d, conv3d } from '../ops/conv.js'
import { convTranspose1d, convTranspose2d, convTranspose3d } from '../ops/convTranspose.js'
import { add, div, sub } from '../ops/elementwise.js'
import { pad, slice } from '../ops/layout.js'
import { tensor } from '../tensor/create.js'
import { showShape, sizeOf } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'

/** Zeros before and behind in each direction; below 0 elements are cut off. */
export type Pairs = [lo: number, hi: number][]

/** Zeros around n pixels so that there are ⌈n / stride⌉ windows; the odd one is behind, or before where `isUpper` is false. */
export function sameZeros(
  n: number,
  kernel: number,
  stride: number,
  dilation: number,
  isUpper = true,
): [lo: number, hi: number] {
  const reach = dilation * (kernel - 1) + 1
  const zeros = Math.max(0, (Math.ceil(n / stride) - 1) * stride + reach - n)
  const less = Math.floor(zeros / 2)
  return isUpper ? [less, zeros - less] : [zeros - less, less]
}

export const spatial = (x: Tensor): readonly number[] => {
  if (x.ndim < 3 || x.ndim > 5)
    throw new UnsupportedError(`one to three directions are supported, and the input is ${showShape(x.shape)}`)
  return x.shape.slice(2)
}

export const convolutions = [conv1d, conv2d, conv3d] as const
export const transposed = [convTranspose1d, convTranspose2d, convTranspose3d] as const

/** y with elements cut off (below 0) or added around its last axes; what is added holds the bias alone. */
export function fitted(y: Tensor, around: Pairs, bias: Tensor | undefined): Tensor {
  let z = y
  const begin = z.shape.map(() => 0)
  const end = [...z.shape]
  around.forEach(([lo, hi], axis) => {
    begin[axis + 2] = Math.max(0, -lo)
    end[axis + 2] = (z.shape[axis + 2] as number) - Math.max(0, -hi)
  })
  if (begin.some((first) => first > 0) || end.some((last, axis) => last < (z.shape[axis] as number)))
    z = slice(z, { begin, end })
  const added = around.map(([lo, hi]) => [Math.max(0, lo), Math.max(0, hi)] as const)
  if (added.every(([lo, hi]) => lo + hi === 0)) return z
  if (bias) {
    const shaped = bias.reshape([1, -1, ...around.map(() => 1)])
    return add(pad(sub(z, shaped), added), shaped)
  }
  return pad(z, added)
}

export const maxPools = [maxPool1d, maxPool2d, maxPool3d] as const
export const avgPools = [avgPool1d, avgPool2d, avgPool3d] as const

/** Whether pooling takes the padding: at most half of what a window reaches over. */
export const isNarrow = (
  padding: readonly (readonly [lo: number, hi: number])[],
  kernel: readonly number[],
  dilation: readonly number[],
): boolean =>
  padding.every(([lo, hi], axis) => {
    const reach = (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1
    return Math.max(lo, hi) <= reach / 2 && Math.min(lo, hi) >= 0
  })

/** x with elements around its last axes, or cut off. */
export const surrounded = (x: Tensor, padding: Pairs, value: number): Tensor =>
  pad(
    slice(x, {
      begin: [0, 0, ...padding.map(([lo]) => Math.max(0, -lo))],
      end: [...x.shape.slice(0, 2), ...padding.map(([, hi], axis) => (x.shape[axis + 2] as number) - Math.max(0, -hi))],
    }),
    padding.map(([lo, hi]) => [Math.max(0, lo), Math.max(0, hi)] as const),
    { value },
  )

export const noPadding = (padding: Pairs): Pairs => padding.map(() => [0, 0])

/** Largest elements of windows, whatever lies around x: nothing outdoes it there. */
export const maxima = (
  x: Tensor,
  kernel: number[],
  stride: number[],
  padding: Pairs,
  dilation: number[] = kernel.map(() => 1),
  ceil = false,
): Tensor =>
  scope(() => {
    const isInside = isNarrow(padding, kernel, dilation)
    const options = { kernel, stride, dilation, padding: isInside ? padding : noPadding(padding), ceil }
    return maxPools[(kernel.length - 1) as 0](isInside ? x : surrounded(x, padding, -Infinity), options)
  })

/** How means of windows are taken. */
export interface AverageOptions {
  /** Distances of the elements of a window; default 1. */
  readonly dilation?: readonly number[]
  /** Whether windows that reach over the end count. */
  readonly ceil?: boolean
  /** Whether zeros around x count. */
  readonly countIncludePad?: boolean
}

/** Means of windows, whatever lies around x. Zeros around x count only where `countIncludePad` says so. */
export function averaged(
  x: Tensor,
  kernel: number[],
  stride: number[],
  padding: Pairs,
  options: AverageOptions = {},
): Tensor {
  const input = spatial(x)
  const { dilation = input.map(() => 1), ceil = false, countIncludePad = false } = options
  if (dilation.every((step) => step === 1) && isNarrow(padding, kernel, dilation))
    return avgPools[(input.length - 1) as 0](x, { kernel, stride, padding, ceil, countIncludePad })
  const axes = input.map((n, axis) => {
    const [extent, step, apart] = [kernel, stride, dilation].map((all) => all[axis] as number) as [
      number,
      number,
      number,
    ]
    const [lo, hi] = padding[axis] as [number, number]
    return windowsAlong(n, extent, step, apart, lo, hi, ceil, countIncludePad)
  })
  return scope(() => {
    const around = surrounded(
      x,
      axes.map(({ lo, behind }): [number, number] => [lo, behind]),
      0,
    )
    const [N, C, ...extents] = around.shape as [number, number, ...number[]]
    const ones = tensor(new Float32Array(sizeOf(kernel)).fill(1), [1, 1, ...kernel])
    const sums = convolutions[(input.length - 1) as 0](around.reshape([N * C, 1, ...extents]), ones, {
      stride,
      dilation: [...dilation],
    })
    const counts = axes.reduce<number[]>(
      (products, axis) => products.flatMap((product) => axis.counts.map((count) => product * count)),
      [1],
    )
    // A window of which nothing counts gives 0.
    const divisors = tensor(
      counts.map((count) => Math.max(1, count)),
      [1, 1, ...axes.map((axis) => axis.counts.length)],
    )
    return div(sums.reshape([N, C, ...sums.shape.slice(2)]), divisors)
  })
}

/** Windows along an axis: zeros before the elements and behind them, so that they are covered, and how many elements of each count. */
function windowsAlong(
  n: number,
  kernel: number,
  stride: number,
  dilation: number,
  lo: number,
  hi: number,
  ceil: boolean,
  countIncludePad: boolean,
): { readonly lo: number; readonly behind: number; readonly counts: readonly number[] } {
  const reach = dilation * (kernel - 1) + 1
  const steps = (n + lo + hi - reach) / stride
  let count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
  // A window that begins behind the elements is none.
  if (ceil && (count - 1) * stride >= n + lo) count--
  if (!(count > 0)) throw new ShapeError(`windows that reach over ${reach} elements do not fit into ${n + lo + hi}`)
  const [first, end] = countIncludePad ? [-lo, n + hi] : [0, n]
  const counts = Array.from({ length: count }, (_, window) => {
    let within = 0
    for (let tap = 0; tap < kernel; tap++) {
      const place = window * stride - lo + tap * dilation
      if (place >= first && place < end) within++
    }
    return within
  })
  return { lo, behind: (count - 1) * stride + reach - n - lo, counts }
}
