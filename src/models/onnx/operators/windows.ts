/** Convolution and pooling. */
import { ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
} from '../../../ops/pool/adaptive.js'
import { avgPool1d, avgPool2d, avgPool3d } from '../../../ops/pool/average.js'
import { maxPool1d, maxPool2d, maxPool3d } from '../../../ops/pool/max.js'
import { conv1d, conv2d, conv3d } from '../../../ops/conv.js'
import { convTranspose1d, convTranspose2d, convTranspose3d } from '../../../ops/convTranspose.js'
import { add, sub } from '../../../ops/elementwise.js'
import { pad, slice } from '../../../ops/layout.js'
import type { Tensor } from '../../../tensor/tensor.js'
import { showShape } from '../../../tensor/shape.js'
import type { NodeReader } from '../node.js'
import { always, floats, type Meaning, type Rows } from '../row.js'

type Pairs = [lo: number, hi: number][]

/** The attributes that convolution and pooling have in common. */
interface Windows {
  readonly kernel: number[] | undefined
  readonly stride: number[] | undefined
  readonly dilation: number[] | undefined
  readonly automatic: string
  readonly pads: number[] | undefined
}

const readWindows = (node: NodeReader): Windows => ({
  kernel: node.ints('kernel_shape'),
  stride: node.ints('strides'),
  dilation: node.ints('dilations'),
  automatic: node.text('auto_pad', 'NOTSET', ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID']),
  pads: node.ints('pads'),
})

/** A list with one number for each direction. */
function perDirection(values: readonly number[] | undefined, directions: number, what: string): number[] {
  if (values === undefined) return new Array<number>(directions).fill(1)
  if (values.length !== directions)
    throw new ShapeError(`${what} must have ${directions} numbers, one for each direction, and has ${values.length}`)
  return [...values]
}

/** Zeros before and behind in each direction: as given, or so that there are ⌈n / stride⌉ windows. */
function paddingOf(
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
  return input.map((n, axis) => {
    const step = stride[axis] as number
    const reach = (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1
    const zeros = Math.max(0, (Math.ceil(n / step) - 1) * step + reach - n)
    const less = Math.floor(zeros / 2)
    return automatic === 'SAME_UPPER' ? [less, zeros - less] : [zeros - less, less]
  })
}

const spatial = (x: Tensor): readonly number[] => {
  if (x.ndim < 3 || x.ndim > 5)
    throw new UnsupportedError(`one to three directions are supported, and the input is ${showShape(x.shape)}`)
  return x.shape.slice(2)
}

const convolutions = [conv1d, conv2d, conv3d] as const
const transposed = [convTranspose1d, convTranspose2d, convTranspose3d] as const

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
      const directions = input.length
      const kernel = w.shape.slice(2)
      const stride = perDirection(windows.stride, directions, 'strides')
      const dilation = perDirection(windows.dilation, directions, 'dilations')
      const padding = paddingOf(windows, input, kernel, stride, dilation)
      if (windows.kernel && windows.kernel.join() !== kernel.join())
        throw new ShapeError(
          `kernel_shape ${showShape(windows.kernel)} is not that of the weights, ${showShape(w.shape)}`,
        )
      const bias = inputs[2] && floats(inputs, 2)
      const options = { stride, dilation, padding, groups, ...(bias && { bias }) }
      return convolutions[(directions - 1) as 0](x, w, options)
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
          const cut = Math.max(0, all - (wanted[axis] as number))
          const less = Math.floor(cut / 2)
          return windows.automatic === 'SAME_UPPER' ? [less, cut - less] : [cut - less, less]
        })
      } else padding = paddingOf(windows, input, kernel, stride, dilation)
      const bias = inputs[2] && floats(inputs, 2)
      // The operation adds less than a stride or a dilation behind; what is more is cut or padded here.
      const y = transposed[(directions - 1) as 0](x, w, { stride, dilation, groups, ...(bias && { bias }) })
      const around = padding.map(([lo, hi], axis): [number, number] => [-lo, (more[axis] as number) - hi])
      return resized(y, around, bias)
    }
  },
}

/** y with elements cut off (below 0) or added around its last axes; what is added holds the bias alone. */
function resized(y: Tensor, around: Pairs, bias: Tensor | undefined): Tensor {
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

const maxPools = [maxPool1d, maxPool2d, maxPool3d] as const
const avgPools = [avgPool1d, avgPool2d, avgPool3d] as const

const MaxPool: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node) {
    const windows = readWindows(node)
    const ceil = node.flag('ceil_mode')
    node.ignore('storage_order')
    if (node.gives(1)) throw new UnsupportedError('the second output, Indices, is not supported')
    return (inputs) => {
      const x = floats(inputs, 0)
      const input = spatial(x)
      const kernel = perDirection(windows.kernel, input.length, 'kernel_shape')
      const stride = perDirection(windows.stride, input.length, 'strides')
      const dilation = perDirection(windows.dilation, input.length, 'dilations')
      const padding = paddingOf(windows, input, kernel, stride, dilation)
      return maxPools[(input.length - 1) as 0](x, { kernel, stride, dilation, padding, ceil })
    }
  },
}

const AveragePool: Meaning = {
  since: 1,
  inputs: [1, 1],
  lower(node) {
    const windows = readWindows(node)
    const ceil = node.flag('ceil_mode')
    const countIncludePad = node.flag('count_include_pad')
    if (windows.dilation?.some((step) => step !== 1))
      throw new UnsupportedError('dilations other than 1 are not supported in a mean of windows')
    return (inputs) => {
      const x = floats(inputs, 0)
      const input = spatial(x)
      const kernel = perDirection(windows.kernel, input.length, 'kernel_shape')
      const stride = perDirection(windows.stride, input.length, 'strides')
      const padding = paddingOf(
        windows,
        input,
        kernel,
        stride,
        input.map(() => 1),
      )
      return avgPools[(input.length - 1) as 0](x, { kernel, stride, padding, ceil, countIncludePad })
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
