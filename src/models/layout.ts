/** What moves elements of models from elsewhere: axes that come and go, stretches, parts, copies and blocks. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { broadcastTo, slice, transpose } from '../ops/layout.js'
import { gather } from '../ops/places.js'
import type { DType } from '../tensor/dtype.js'
import { checkAxis, checkShape, checkSize, showShape, type Shape } from '../tensor/shape.js'
import { tensor } from '../tensor/create.js'
import { scope, type AnyTensor, type Tensor } from '../tensor/tensor.js'

/** Whole numbers as a tensor of int64: shapes and places. */
export const whole = (values: readonly number[], shape: Shape = [values.length]): Tensor<'int64'> =>
  tensor(values, shape, { dtype: 'int64' })

/** start, start + delta, … up to before `limit`. @throws ArgumentError when delta is 0 */
export function rangeOf(start: number, limit: number, delta: number, dtype: DType): AnyTensor {
  if (delta === 0) throw new ArgumentError('a delta of 0 goes nowhere')
  const count = Math.max(0, Math.ceil((limit - start) / delta))
  checkSize([count], 'Range')
  return tensor(
    Array.from({ length: count }, (_, i) => start + i * delta),
    [count],
    { dtype },
  )
}

/** Axes from 0 on, in rising order. */
export const sortedAxes = (axes: readonly number[], ndim: number, name: string): number[] => {
  const sorted = axes.map((axis) => checkAxis(axis, ndim, name)).sort((a, b) => a - b)
  if (new Set(sorted).size < sorted.length) throw new ArgumentError(`axes ${showShape(axes)} name one twice`)
  return sorted
}

export function squeezed(x: AnyTensor, given: readonly number[] | undefined): AnyTensor {
  const axes = given
    ? sortedAxes(given, x.ndim, 'Squeeze')
    : x.shape.flatMap((extent, axis) => (extent === 1 ? [axis] : []))
  const wide = axes.find((axis) => x.shape[axis] !== 1)
  if (wide !== undefined) throw new ShapeError(`axis ${wide} of ${showShape(x.shape)} is not 1`)
  return x.reshape(x.shape.filter((_, axis) => !axes.includes(axis)))
}

export function unsqueezed(x: AnyTensor, given: readonly number[] | undefined): AnyTensor {
  if (!given) throw new ArgumentError('axes are missing')
  const ndim = x.ndim + given.length
  const axes = sortedAxes(given, ndim, 'Unsqueeze')
  const rest = [...x.shape]
  return x.reshape(Array.from({ length: ndim }, (_, axis) => (axes.includes(axis) ? 1 : (rest.shift() as number))))
}

/** One stretch of an axis: places begin, begin + step … before end. */
export function stretch(x: AnyTensor, axis: number, first: number, last: number, step: number): AnyTensor {
  const n = x.shape[axis] as number
  if (step === 0) throw new ArgumentError('a step of 0 goes nowhere')
  const clamped = (value: number, low: number, high: number): number =>
    Math.max(low, Math.min(high, value < 0 ? value + n : value))
  const begin = step > 0 ? clamped(first, 0, n) : clamped(first, 0, n - 1)
  const end = step > 0 ? clamped(last, 0, n) : clamped(last, -1, n - 1)
  if (step === 1) {
    return slice(x, {
      begin: x.shape.map((_, other) => (other === axis ? begin : 0)),
      end: x.shape.map((extent, other) => (other === axis ? Math.max(begin, end) : extent)),
    })
  }
  const count = Math.max(0, Math.ceil((end - begin) / step))
  return gather(x, whole(Array.from({ length: count }, (_, i) => begin + i * step)), axis)
}

/** Parts of x along an axis. */
export function split(x: AnyTensor, axis: number, sizes: readonly number[]): AnyTensor[] {
  const along = checkAxis(axis, x.ndim, 'Split')
  const n = x.shape[along] as number
  const total = sizes.reduce((sum, size) => sum + size, 0)
  if (total !== n)
    throw new ShapeError(`parts of ${showShape(sizes)} do not make up axis ${along} of ${showShape(x.shape)}`)
  let begin = 0
  return sizes.map((size) => {
    const part = slice(x, {
      begin: x.shape.map((_, other) => (other === along ? begin : 0)),
      end: x.shape.map((extent, other) => (other === along ? begin + size : extent)),
    })
    begin += size
    return part
  })
}

export const equalParts = (x: AnyTensor, axis: number, count: number): number[] => {
  const n = x.shape[checkAxis(axis, x.ndim, 'Split')] as number
  const size = Math.ceil(n / count)
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(size, n - i * size)))
}

/** Copies of x side by side. */
export function tiled(x: AnyTensor, repeats: readonly number[]): AnyTensor {
  if (repeats.length !== x.ndim)
    throw new ArgumentError(`repeats must have ${x.ndim} numbers, and has ${repeats.length}`)
  checkShape(repeats, 'Tile: repeats', 0)
  return scope(() => {
    const apart = broadcastTo(
      x.reshape(x.shape.flatMap((extent) => [1, extent])),
      x.shape.flatMap((extent, axis) => [repeats[axis] as number, extent]),
    )
    return apart.reshape(x.shape.map((extent, axis) => extent * (repeats[axis] as number)))
  })
}

/** (N, C, H, W) whose channels become blocks of pixels: of a channel's places the block comes first (DCR) or the channel does. */
export function depthToSpace(x: Tensor, size: number, mode: string): AnyTensor {
  const [N, C, H, W] = x.shape as unknown as [number, number, number, number]
  const depth = C / (size * size)
  const apart =
    mode === 'DCR'
      ? transpose(x.reshape([N, size, size, depth, H, W]), [0, 3, 4, 1, 5, 2])
      : transpose(x.reshape([N, depth, size, size, H, W]), [0, 1, 4, 2, 5, 3])
  return apart.reshape([N, depth, H * size, W * size])
}

/** (N, C, H, W) whose blocks of pixels become channels, the block's places first. */
export function spaceToDepth(x: Tensor, size: number): AnyTensor {
  const [N, C, H, W] = x.shape as unknown as [number, number, number, number]
  const apart = transpose(x.reshape([N, C, H / size, size, W / size, size]), [0, 3, 5, 1, 2, 4])
  return apart.reshape([N, C * size * size, H / size, W / size])
}
