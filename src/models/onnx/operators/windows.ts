/** Convolution and pooling. */
import { FormatError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
} from '../../../ops/pool/adaptive.js'
import { maxPool2dWithIndices, placesOfMaxima } from '../../../ops/pool/max.js'
import { cast } from '../../../ops/cast.js'
import { showShape } from '../../../tensor/shape.js'
import { scope, type AnyTensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import {
  averaged,
  convolutions,
  fitted,
  isNarrow,
  maxima,
  noPadding,
  sameZeros,
  spatial,
  transposed,
  type Pairs,
} from '../../windows.js'
import { always, floats, need, type Meaning, type Rows } from '../row.js'

/** The attributes that convolution and pooling have in common. */
export interface Windows {
  readonly kernel: number[] | undefined
  readonly stride: number[] | undefined
  readonly dilation: number[] | undefined
  readonly automatic: string
  readonly pads: number[] | undefined
}

export const readWindows = (node: NodeReader): Windows => ({
  kernel: node.ints('kernel_shape'),
  stride: node.ints('strides'),
  dilation: node.ints('dilations'),
  automatic: node.text('auto_pad', 'NOTSET', ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID']),
  pads: node.ints('pads'),
})

/** The same of a pool, which tells its kernel. */
export function readPool(node: NodeReader): Windows & { readonly kernel: number[] } {
  const windows = readWindows(node)
  const { kernel } = windows
  if (!kernel) throw new FormatError("attribute 'kernel_shape' is missing")
  return { ...windows, kernel }
}

/** A list with one number for each direction. */
export function perDirection(values: readonly number[] | undefined, directions: number, what: string): number[] {
  if (values === undefined) return new Array<number>(directions).fill(1)
  if (values.length !== directions)
    throw new ShapeError(`${what} must have ${directions} numbers, one for each direction, and has ${values.length}`)
  return [...values]
}

/** Zeros before and behind in each direction: as given, or so that there are ⌈n / stride⌉ windows. */
export function paddingOf(
  { automatic, pads }: Windows,
  input: readonly number[],
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
): Pairs {
  const directions = input.length
  if (automatic === 'VALID') return input.map(() => [0, 0])
  if (automatic === 'NOTSET') {
    const given = pads ?? new Array<number>(2 * directions).fill(0)
    if (given.length !== 2 * directions)
      throw new ShapeError(`pads must have ${2 * directions} numbers, and has ${given.length}`)
    return input.map((_, axis) => [given[axis] as number, given[axis + directions] as number])
  }
  const isUpper = automatic === 'SAME_UPPER'
  return input.map((n, axis) =>
    sameZeros(n, kernel[axis] as number, stride[axis] as number, dilation[axis] as number, isUpper),
  )
}

/** Windows over maps of some directions: what is left out is 1, and padding as `paddingOf` tells it. */
export interface WindowSizes {
  readonly kernel: number[]
  readonly stride: number[]
  readonly dilation: number[]
  readonly padding: Pairs
}

/** The windows of a node over maps of extents `input`; `kernel` is that of the weights where there are some. */
export function windowsOver(windows: Windows, input: readonly number[], weights?: AnyTensor): WindowSizes {
  const kernel = weights ? weights.shape.slice(2) : perDirection(windows.kernel, input.length, 'kernel_shape')
  if (weights && windows.kernel && windows.kernel.join() !== kernel.join())
    throw new ShapeError(
      `kernel_shape ${showShape(windows.kernel)} is not that of the weights, ${showShape(weights.shape)}`,
    )
  const stride = perDirection(windows.stride, input.length, 'strides')
  const dilation = perDirection(windows.dilation, input.length, 'dilations')
  return { kernel, stride, dilation, padding: paddingOf(windows, input, kernel, stride, dilation) }
}

const Conv: Meaning = {
  since: 1,
  inputs: [2, 3],
  weights: [1, 2],
  lower(node) {
    const windows = readWindows(node)
    const groups = node.int('group', 1)
    return (inputs) => {
      const [x, w] = [floats(inputs, 0), floats(inputs, 1)]
      const input = spatial(x)
      const { stride, dilation, padding } = windowsOver(windows, input, w)
      const bias = inputs[2] && floats(inputs, 2)
      const options = { stride, dilation, padding, groups, ...(bias && { bias }) }
      return convolutions[(input.length - 1) as 0](x, w, options)
    }
  },
}

const ConvTranspose: Meaning = {
  since: 1,
  inputs: [2, 3],
  weights: [1, 2],
  lower(node) {
    const windows = readWindows(node)
    const groups = node.int('group', 1)
    const extra = node.ints('output_padding')
    const shape = node.ints('output_shape')
    return (inputs) => {
      const [x, w] = [floats(inputs, 0), floats(inputs, 1)]
      const input = spatial(x)
      const directions = input.length
      const kernel = w.shape.slice(2)
      const stride = perDirection(windows.stride, directions, 'strides')
      const dilation = perDirection(windows.dilation, directions, 'dilations')
      const more = extra ?? new Array<number>(directions).fill(0)
      const reach = kernel.map((extent, axis) => (dilation[axis] as number) * (extent - 1) + 1)
      /** What all of the windows cover. */
      const whole = input.map(
        (n, axis) => (stride[axis] as number) * (n - 1) + (more[axis] as number) + (reach[axis] as number),
      )
      const size = shape?.slice(-directions)
      const isSame = windows.automatic.startsWith('SAME')
      let padding: Pairs
      if (size || isSame) {
        const wanted = size ?? input.map((n, axis) => n * (stride[axis] as number))
        padding = whole.map((all, axis): [number, number] => {
          const cut = all - (wanted[axis] as number)
          // What is more than the windows cover is added behind.
          if (cut < 0) return [0, cut]
          const less = Math.floor(cut / 2)
          return windows.automatic === 'SAME_UPPER' ? [less, cut - less] : [cut - less, less]
        })
      } else padding = paddingOf(windows, input, kernel, stride, dilation)
      const bias = inputs[2] && floats(inputs, 2)
      // The operation adds less than a stride or a dilation behind; what is more is cut or padded here.
      const y = transposed[(directions - 1) as 0](x, w, { stride, dilation, groups, ...(bias && { bias }) })
      const around = padding.map(([lo, hi], axis): [number, number] => [-lo, (more[axis] as number) - hi])
      return fitted(y, around, bias)
    }
  },
}

const MaxPool: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node) {
    const windows = readPool(node)
    const ceil = node.flag('ceil_mode')
    const byColumns = node.flag('storage_order')
    return (inputs) => {
      const given = need(inputs, 0)
      return scope(() => {
        // Bytes are float32 without a loss.
        const isByte = given.dtype === 'uint8' || given.dtype === 'int8'
        const x = isByte ? cast(given, 'float32') : floats(inputs, 0)
        const input = spatial(x)
        const { kernel, stride, dilation, padding } = windowsOver(windows, input)
        const isInside = isNarrow(padding, kernel, dilation)
        const options = { kernel, stride, dilation, padding: isInside ? padding : noPadding(padding), ceil }
        if (node.gives(1)) {
          if (input.length > 2 || !isInside)
            throw new UnsupportedError(
              'places of maxima are supported in one or two directions, with padding of half a window',
            )
          const flat = input.length === 2 ? x : x.reshape([...x.shape.slice(0, 2), 1, ...input])
          const { y, indices } = maxPool2dWithIndices(flat, input.length === 2 ? options : lifted(options))
          const shape = [...y.shape.slice(0, 2), ...y.shape.slice(4 - input.length)]
          const { bits } = indices
          const places = placesOfMaxima({ bits }, { plane: flat.shape.slice(2), byColumns }).reshape(shape)
          const values = y.reshape(shape)
          return [isByte ? cast(values, given.dtype) : values, places]
        }
        const y = maxima(x, kernel, stride, padding, dilation, ceil)
        return isByte ? cast(y, given.dtype) : y
      })
    }
  },
}

/** Options of one direction as those of two. */
const lifted = (options: WindowSizes & { readonly ceil: boolean }): typeof options => ({
  kernel: [1, ...options.kernel],
  stride: [1, ...options.stride],
  dilation: [1, ...options.dilation],
  padding: [[0, 0], ...options.padding],
  ceil: options.ceil,
})

const AveragePool: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node) {
    const windows = readPool(node)
    const ceil = node.flag('ceil_mode')
    const countIncludePad = node.flag('count_include_pad')
    return (inputs) => {
      const x = floats(inputs, 0)
      const input = spatial(x)
      const { kernel, stride, dilation, padding } = windowsOver(windows, input)
      return averaged(x, kernel, stride, padding, { dilation, ceil, countIncludePad })
    }
  },
}

const global = (
  pools: readonly [typeof adaptiveAvgPool1d, typeof adaptiveAvgPool2d, typeof adaptiveAvgPool3d],
): Rows[string] =>
  always([1, 1], () => (inputs) => {
    const x = floats(inputs, 0)
    return pools[(spatial(x).length - 1) as 0](x, 1)
  })

export const windows: Rows = {
  Conv: [Conv],
  ConvTranspose: [ConvTranspose],
  MaxPool: [MaxPool],
  AveragePool: [AveragePool],
  GlobalAveragePool: global([adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d]),
  GlobalMaxPool: global([adaptiveMaxPool1d, adaptiveMaxPool2d, adaptiveMaxPool3d]),
}
