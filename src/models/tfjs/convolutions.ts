/**
 * Convolutions and pools as TensorFlow means them, on tensors with channels first. Filters stay as files hold them, (R, S, C, K): in a
 * planned pass what depends on them alone is computed once for each version of the weights.
 */
import { ShapeError } from '../../runtime/errors.js'
import { transpose } from '../../ops/layout.js'
import { showShape } from '../../tensor/shape.js'
import { scope, type Tensor } from '../../tensor/tensor.js'
import { convolutions, fitted, sameZeros, spatial, transposed, type Pairs } from '../windows.js'

/** Zeros around maps: so that there are ⌈n / stride⌉ windows, none, or as they are given. */
export type Padding = 'same' | 'valid' | Pairs

/** How windows lie; one number for each direction. */
export interface Windows {
  readonly stride: number[]
  readonly dilation: number[]
  readonly padding: Padding
}

/** The zeros around maps of these extents. */
export const zerosOf = (
  input: readonly number[],
  kernel: readonly number[],
  { stride, dilation, padding }: Windows,
): Pairs =>
  typeof padding === 'string'
    ? input.map((n, axis): [number, number] =>
        padding === 'valid'
          ? [0, 0]
          : sameZeros(n, kernel[axis] as number, stride[axis] as number, dilation[axis] as number),
      )
    : padding

/** Checks that filters are of as many directions as the maps, and gives their extents and the last two axes. */
function readFilters(
  x: Tensor,
  w: Tensor,
  axes: string,
): { readonly kernel: number[]; readonly last: readonly [number, number]; readonly places: number[] } {
  const directions = spatial(x).length
  if (w.ndim !== directions + 2)
    throw new ShapeError(
      `filters for maps ${showShape(x.shape)} must be (extents…, ${axes}), given ${showShape(w.shape)}`,
    )
  return {
    kernel: w.shape.slice(0, -2),
    last: w.shape.slice(-2) as unknown as readonly [number, number],
    places: Array.from({ length: directions }, (_, axis) => axis),
  }
}

/** x (N, C, H, W), w (R, S, C / groups, K) -> (N, K, P, Q). */
export function convolved(x: Tensor, w: Tensor, windows: Windows, bias?: Tensor): Tensor {
  const { kernel, last, places } = readFilters(x, w, 'C, K')
  const [each] = last
  const C = x.shape[1] as number
  const groups = C / each
  if (!Number.isInteger(groups) || groups < 1)
    throw new ShapeError(`filters ${showShape(w.shape)} take ${each} channels of each group, and the input has ${C}`)
  const { stride, dilation } = windows
  const options = { stride, dilation, groups, padding: zerosOf(spatial(x), kernel, windows), ...(bias && { bias }) }
  const filters = transpose(w, [places.length + 1, places.length, ...places])
  return convolutions[(places.length - 1) as 0](x, filters, options)
}

/** Each channel by filters of its own: x (N, C, H, W), w (R, S, C, M) -> (N, C · M, P, Q), the M of a channel side by side. */
export function depthwise(x: Tensor, w: Tensor, windows: Windows, bias?: Tensor): Tensor {
  const { kernel, last, places } = readFilters(x, w, 'C, M')
  const [C, M] = last
  if (x.shape[1] !== C)
    throw new ShapeError(`filters ${showShape(w.shape)} are for ${C} channels, and the input has ${x.shape[1]}`)
  const { stride, dilation } = windows
  const options = { stride, dilation, groups: C, padding: zerosOf(spatial(x), kernel, windows), ...(bias && { bias }) }
  const filters = transpose(w, [places.length, places.length + 1, ...places]).reshape([C * M, 1, ...kernel])
  return convolutions[(places.length - 1) as 0](x, filters, options)
}

/**
 * The adjoint of a convolution from maps of the extents `output`: x (N, C, P, Q), w (R, S, K, C) -> (N, K, output…). Without `output`
 * they are those that Keras gives: stride times as large for 'same', and all that windows cover for 'valid'.
 */
export function convolvedBack(
  x: Tensor,
  w: Tensor,
  windows: Windows,
  {
    output,
    bias,
    extra,
  }: { readonly output?: readonly number[]; readonly bias?: Tensor; readonly extra?: readonly number[] } = {},
): Tensor {
  const { kernel, places } = readFilters(x, w, 'K, C')
  const { stride, dilation, padding } = windows
  const input = spatial(x)
  const reach = kernel.map((extent, axis) => (dilation[axis] as number) * (extent - 1) + 1)
  /** What all of the windows cover. */
  const whole = input.map((n, axis) => (n - 1) * (stride[axis] as number) + (reach[axis] as number))
  const size =
    output ??
    input.map((n, axis) => {
      const more = extra?.[axis]
      const [step, covered] = [stride[axis] as number, whole[axis] as number]
      // Keras: with output_padding the extent is what the windows cover without the zeros, and that much more.
      if (more !== undefined)
        return covered - (padding === 'same' ? 2 * Math.floor((reach[axis] as number) / 2) : 0) + more
      return padding === 'same' ? n * step : covered + Math.max(0, step - (reach[axis] as number))
    })
  const zeros = zerosOf(size, kernel, windows)
  const around = size.map((extent, axis): [number, number] => {
    const [lo] = zeros[axis] as [number, number]
    return [-lo, extent + lo - (whole[axis] as number)]
  })
  return scope(() => {
    const filters = transpose(w, [places.length + 1, places.length, ...places])
    const y = transposed[(places.length - 1) as 0](x, filters, { stride, dilation, ...(bias && { bias }) })
    return fitted(y, around, bias)
  })
}
