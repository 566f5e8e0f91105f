/** Windows over maps (N, C, spatial…) of models from elsewhere: what lies around them, convolutions and pools of each rank. */
import { UnsupportedError } from '../runtime/errors.js'
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
export const isNarrow = (padding: Pairs, kernel: readonly number[], dilation: readonly number[]): boolean =>
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

/** Means of windows, whatever lies around x. Zeros around x count only where `countIncludePad` says so. */
export function averaged(
  x: Tensor,
  kernel: number[],
  stride: number[],
  padding: Pairs,
  { ceil = false, countIncludePad = false }: { readonly ceil?: boolean; readonly countIncludePad?: boolean } = {},
): Tensor {
  const input = spatial(x)
  const mean = (of: Tensor, around: Pairs): Tensor =>
    avgPools[(input.length - 1) as 0](of, { kernel, stride, padding: around, ceil, countIncludePad })
  const ones = input.map(() => 1)
  if (isNarrow(padding, kernel, ones)) return mean(x, padding)
  if (ceil) throw new UnsupportedError('ceil_mode with padding of more than half a window is not supported')
  return scope(() => {
    const all = mean(surrounded(x, padding, 0), noPadding(padding))
    if (countIncludePad) return all
    const counted = tensor(new Float32Array(sizeOf(input)).fill(1), [1, 1, ...input])
    return div(all, mean(surrounded(counted, padding, 0), noPadding(padding)))
  })
}
