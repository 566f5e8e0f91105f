/** Convolutions, pools, normalization and resizing: all of them computed channels first. */
import { FormatError, ShapeError, UnsupportedError } from '../../../../runtime/errors.js'
import { mulWhole } from '../../../../ops/choice.js'
import { add } from '../../../../ops/elementwise.js'
import { foldWhole } from '../../../../ops/fold.js'
import { batchNorm, localResponseNorm } from '../../../../ops/norm.js'
import { elu, relu, sigmoid, tanh } from '../../../../ops/activation.js'
import { linear } from '../../../../ops/linear.js'
import { transpose } from '../../../../ops/layout.js'
import type { ResampledAxis } from '../../../../ops/resample.js'
import { showShape } from '../../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../../tensor/tensor.js'
import { leaky, sloped } from '../../../functions.js'
import { floats, need, numbersOf } from '../../../inputs.js'
import { depthToSpace } from '../../../layout.js'
import { resized, type Resizing } from '../../../resizing.js'
import { product } from '../../../sums.js'
import { averaged, maxima, spatial, type Pairs } from '../../../windows.js'
import { relu6 } from '../../activations.js'
import { convolved, convolvedBack, depthwise, zerosOf, type Windows } from '../../convolutions.js'
import { laidFirst } from '../../values.js'
import type { NodeReader } from '../node.js'
import { laid, row, type Lowered, type Row, type Rows, type Step } from '../row.js'

/** How a node that has windows says where its axes are, and what lies around. */
interface Layout {
  /** Whether tensors have their channels last in the file. */
  readonly isLast: boolean
  readonly directions: number
}

const formats: Readonly<Record<string, Layout>> = {
  NHWC: { isLast: true, directions: 2 },
  NCHW: { isLast: false, directions: 2 },
  NDHWC: { isLast: true, directions: 3 },
  NCDHW: { isLast: false, directions: 3 },
}

function readLayout(node: NodeReader, directions: number): Layout {
  const names = Object.keys(formats).filter((name) => formats[name]?.directions === directions)
  return formats[node.text('data_format', names[0] as string, names)] as Layout
}

/** The numbers of an attribute that belong to the directions; those of the batch and the channels must be 1. */
function perDirection(node: NodeReader, name: string, { isLast, directions }: Layout): number[] {
  const all = node.ints(name) ?? []
  if (all.length === 0) return new Array<number>(directions).fill(1)
  if (all.length !== directions + 2)
    throw new FormatError(`${name} must have ${directions + 2} numbers, and has ${all.length}`)
  const own = isLast ? all.slice(1, -1) : all.slice(2)
  const others = isLast ? [all[0], all.at(-1)] : all.slice(0, 2)
  if (others.some((value) => value !== 1))
    throw new UnsupportedError(`${name} ${showShape(all)} of batch and channels other than 1 are not supported`)
  const wrong = own.find((value) => value < 1)
  if (wrong !== undefined) throw new FormatError(`${name} must be from 1 on, given ${wrong}`)
  return own
}

function readWindows(node: NodeReader, layout: Layout): Windows {
  const padding = node.text('padding', 'VALID', ['SAME', 'VALID', 'EXPLICIT'])
  const explicit = node.ints('explicit_paddings') ?? []
  const [stride, dilation] = [perDirection(node, 'strides', layout), perDirection(node, 'dilations', layout)]
  if (padding !== 'EXPLICIT') return { stride, dilation, padding: padding === 'SAME' ? 'same' : 'valid' }
  const { directions, isLast } = layout
  if (explicit.length !== 2 * directions + 4)
    throw new FormatError(`explicit_paddings must have ${2 * directions + 4} numbers, and has ${explicit.length}`)
  const pairs = Array.from({ length: directions + 2 }, (_, axis): [number, number] => [
    explicit[2 * axis] as number,
    explicit[2 * axis + 1] as number,
  ])
  const own = isLast ? pairs.slice(1, -1) : pairs.slice(2)
  const others = isLast ? [pairs[0], pairs.at(-1)] : pairs.slice(0, 2)
  if (others.some((pair) => pair?.some((value) => value !== 0)))
    throw new UnsupportedError('explicit_paddings of batch and channels are not supported')
  return { stride, dilation, padding: own }
}

/** The form of tensors of a node of windows. */
const formOf = ({ isLast, directions }: Layout): Omit<Lowered, 'step'> =>
  isLast ? { first: [0], isFirst: true, ndim: directions + 2 } : {}

/** What is fused behind a convolution or a product: a bias, then an activation, in the order of `fused_ops`. */
interface Ending {
  /** Inputs of the bias and of the slope of PReLU, where there are such. */
  readonly bias: number | undefined
  readonly end: (y: Tensor, inputs: readonly (AnyTensor | undefined)[]) => Tensor
}

/** `from` is the first input behind the operands; channels lie in the axis 1 of what is given, or in the last one. */
function readEnding(node: NodeReader, from: number, isFirst: boolean): Ending {
  const names = node.texts('fused_ops')
  const alpha = node.float('leakyrelu_alpha', 0.2)
  node.ignore('epsilon')
  let next = from
  const bias = names[0] === 'BiasAdd' ? next++ : undefined
  const steps = names.slice(bias === undefined ? 0 : 1).map((name): Ending['end'] => {
    switch (name) {
      case 'Relu':
        return relu
      case 'Relu6':
        return relu6
      case 'Elu':
        return (y) => elu(y)
      case 'Sigmoid':
        return sigmoid
      case 'Tanh':
        return tanh
      case 'LeakyRelu':
        return (y) => leaky(y, alpha)
      case 'Prelu': {
        const input = next++
        return (y, inputs) => {
          const slope = floats(inputs, input)
          return sloped(y, isFirst ? (laidFirst(slope, y.ndim) as Tensor) : slope)
        }
      }
      default:
        throw new UnsupportedError(`${name} as part of the operator is not supported`)
    }
  })
  if (node.inputs !== next)
    throw new FormatError(`with ${names.join(', ') || 'nothing'} fused it takes ${next} inputs, given ${node.inputs}`)
  return { bias, end: (y, inputs) => steps.reduce((z, step) => step(z, inputs), y) }
}

const convolution = (of: typeof convolved, directions: number, isFused: boolean): Row =>
  row(
    [2, isFused ? 4 : 2],
    (node) => {
      const layout = readLayout(node, directions)
      const windows = readWindows(node, layout)
      const { bias, end } = isFused ? readEnding(node, 2, true) : { bias: undefined, end: (y: Tensor) => y }
      return {
        ...formOf(layout),
        step: (inputs) =>
          scope(() => {
            const added = bias === undefined ? undefined : floats(inputs, bias)
            return end(of(floats(inputs, 0), floats(inputs, 1), windows, added?.reshape([added.size])), inputs)
          }),
      }
    },
    { weights: [1, 2, 3] },
  )

const Conv2DBackpropInput = row(
  [3, 3],
  (node) => {
    const layout = readLayout(node, 2)
    const windows = readWindows(node, layout)
    return {
      ...formOf(layout),
      ...(layout.isLast && { first: [2] }),
      step: (inputs) => {
        const shape = numbersOf(need(inputs, 0))
        const [x, w] = [floats(inputs, 2), floats(inputs, 1)]
        const due = spatial(x).length
        const output = shape.length === due ? shape : layout.isLast ? shape.slice(1, -1) : shape.slice(2)
        if (output.length !== due || output.some((extent) => !(extent >= 0)))
          throw new ShapeError(`the extents ${showShape(shape)} of the output are none of maps ${showShape(x.shape)}`)
        return convolvedBack(x, w, windows, { output })
      },
    }
  },
  { weights: [1] },
)

const pool = (directions: number, of: (x: Tensor, kernel: number[], stride: number[], padding: Pairs) => Tensor): Row =>
  row([1, 1], (node) => {
    const layout = readLayout(node, directions)
    const kernel = perDirection(node, 'ksize', layout)
    const windows = readWindows(node, layout)
    return {
      ...formOf(layout),
      step: (inputs) => {
        const x = floats(inputs, 0)
        return of(x, kernel, windows.stride, zerosOf(spatial(x), kernel, windows))
      },
    }
  })

const mostOf = (x: Tensor, kernel: number[], stride: number[], padding: Pairs): Tensor =>
  maxima(x, kernel, stride, padding)
const meanOf = (x: Tensor, kernel: number[], stride: number[], padding: Pairs): Tensor =>
  averaged(x, kernel, stride, padding)

const normalization = row(
  [5, 5],
  (node) => {
    const layout = readLayout(node, 2)
    const eps = node.float('epsilon', 1e-4)
    node.ignore('U', 'exponential_avg_factor')
    if (node.flag('is_training', false))
      throw new UnsupportedError(
        'is_training true, statistics of the batch, is not supported: freeze the model before you convert it',
      )
    if (node.read > 1) throw new UnsupportedError('outputs of statistics are not supported')
    return {
      ...formOf(layout),
      step: (inputs) => {
        const [x, gamma, beta, runningMean, runningVar] = [0, 1, 2, 3, 4].map((input) => floats(inputs, input)) as [
          Tensor,
          Tensor,
          Tensor,
          Tensor,
          Tensor,
        ]
        return batchNorm(x, gamma, beta, { training: false, eps, runningMean, runningVar })
      },
    }
  },
  { weights: [1, 2], statistics: [3, 4] },
)

const BiasAdd = row(
  [2, 2],
  (node) => {
    const isLast = node.text('data_format', 'NHWC', ['NHWC', 'NCHW']) === 'NHWC'
    if (isLast) return laid(node, ([x, bias]) => add(x as Tensor, bias as Tensor))
    return (inputs) =>
      scope(() => {
        const [x, bias] = [floats(inputs, 0), floats(inputs, 1)]
        return add(x, bias.reshape([1, bias.size, ...new Array<number>(Math.max(0, x.ndim - 2)).fill(1)]))
      })
  },
  { weights: [1] },
)

const LRN = row([1, 1], (node) => {
  const radius = node.int('depth_radius', 5)
  const options = {
    size: 2 * radius + 1,
    k: node.float('bias', 1),
    alpha: node.float('alpha', 1),
    beta: node.float('beta', 0.5),
    normalize: 'none' as const,
  }
  return { first: [0], isFirst: true, ndim: 4, step: (inputs) => localResponseNorm(floats(inputs, 0), options) }
})

/** Maps of other extents: pixels are taken at their corners, their centres, or where the image's corner is the first pixel's. */
const resizing = (mode: 'linear' | 'nearest'): Row =>
  row([2, 2], (node) => {
    const isAligned = node.flag('align_corners')
    const isCentred = node.flag('half_pixel_centers')
    if (isAligned && isCentred) throw new UnsupportedError('align_corners and half_pixel_centers do not go together')
    const how: Resizing = {
      mode,
      transformation: isAligned
        ? 'align_corners'
        : !isCentred
          ? 'asymmetric'
          : mode === 'linear'
            ? 'half_pixel'
            : 'tf_half_pixel_for_nn',
      nearest: isAligned ? 'round_prefer_ceil' : 'floor',
      cubicCoefficient: -0.75,
      excludeOutside: false,
      antialias: false,
      extrapolation: 0,
    }
    return {
      first: [0],
      isFirst: true,
      ndim: 4,
      step: (inputs) => {
        const [x, size] = [floats(inputs, 0), numbersOf(need(inputs, 1))]
        if (x.ndim !== 4 || size.length !== 2 || size.some((extent) => !(extent >= 1)))
          throw new ShapeError(`(N, H, W, C) is resized to two extents from 1 on, given ${showShape(size)}`)
        const axes = size.map((extent, i): ResampledAxis => {
          const n = x.shape[i + 2] as number
          return { axis: i + 2, size: extent, scale: extent / n }
        })
        return resized(x, axes, how)
      },
    }
  })

/** Blocks of channels as blocks of pixels, or back. */
const blocks = (of: (x: Tensor, size: number) => AnyTensor): Row =>
  row([1, 1], (node) => {
    const layout = readLayout(node, 2)
    const size = node.int('block_size', 2)
    if (size < 1) throw new FormatError(`block_size must be from 1 on, given ${size}`)
    return {
      ...formOf(layout),
      step: (inputs) => {
        const x = floats(inputs, 0)
        if (x.ndim !== 4) throw new ShapeError(`expected maps of four axes, given ${showShape(x.shape)}`)
        return scope(() => of(x, size))
      },
    }
  })

const swapped = (x: Tensor): Tensor =>
  transpose(x, [...x.shape.slice(2).map((_, axis) => axis), x.ndim - 1, x.ndim - 2])

/** The same of whole numbers, in full: all products, then their sums. */
function wholeProduct(a: AnyTensor, b: AnyTensor, isLeft: boolean, isRight: boolean): AnyTensor {
  if (a.ndim !== 2 || b.ndim !== 2)
    throw new UnsupportedError(
      `products of whole numbers are supported of two axes, given ${showShape(a.shape)} and ${showShape(b.shape)}`,
    )
  const [left, right] = [isLeft ? transpose(a, [1, 0]) : a, isRight ? transpose(b, [1, 0]) : b]
  const [M, K] = left.shape as unknown as [number, number]
  const [L, N] = right.shape as unknown as [number, number]
  if (K !== L)
    throw new ShapeError(`${showShape(left.shape)} and ${showShape(right.shape)} have ${K} and ${L} terms in each sum`)
  return foldWhole(mulWhole(left.reshape([M, K, 1]), right.reshape([1, K, N])), 'sum', [1], false)
}

/** A product of matrices, transposed or not. */
const matrices = (a: string, b: string, isFused: boolean): Row =>
  row(
    [2, isFused ? 4 : 2],
    (node) => {
      const [isLeft, isRight] = [node.flag(a), node.flag(b)]
      const { bias, end } = isFused ? readEnding(node, 2, false) : { bias: undefined, end: (y: Tensor) => y }
      const step: Step = (inputs) =>
        scope(() => {
          if (need(inputs, 0).dtype !== 'float32')
            return wholeProduct(need(inputs, 0), need(inputs, 1), isLeft, isRight)
          const [x, w] = [floats(inputs, 0), floats(inputs, 1)]
          if (x.ndim < 2 || w.ndim < 2)
            throw new ShapeError(`${showShape(x.shape)} and ${showShape(w.shape)} are no matrices`)
          const left = isLeft ? swapped(x) : x
          const added = bias === undefined ? undefined : floats(inputs, bias)
          if (left.ndim === 2 && w.ndim === 2 && left.size > 0)
            return end(linear(left, isRight ? w : swapped(w), added?.reshape([added.size])), inputs)
          const y = product(left, isRight ? swapped(w) : w)
          return end(added ? add(y, added) : y, inputs)
        })
      return step
    },
    { weights: [0, 1, 2, 3] },
  )

export const windows: Rows = {
  AvgPool: pool(2, meanOf),
  AvgPool3D: pool(3, meanOf),
  BatchMatMul: matrices('adj_x', 'adj_y', false),
  BatchMatMulV2: matrices('adj_x', 'adj_y', false),
  BiasAdd,
  Conv2D: convolution(convolved, 2, false),
  Conv2DBackpropInput,
  Conv3D: convolution(convolved, 3, false),
  DepthToSpace: blocks((x, size) => depthToSpace(x, size, 'DCR')),
  DepthwiseConv2dNative: convolution(depthwise, 2, false),
  FusedBatchNorm: normalization,
  FusedBatchNormV2: normalization,
  FusedBatchNormV3: normalization,
  FusedDepthwiseConv2dNative: convolution(depthwise, 2, true),
  LRN,
  MatMul: matrices('transpose_a', 'transpose_b', false),
  MaxPool: pool(2, mostOf),
  MaxPool3D: pool(3, mostOf),
  ResizeBilinear: resizing('linear'),
  ResizeNearestNeighbor: resizing('nearest'),
  _FusedConv2D: convolution(convolved, 2, true),
  _FusedMatMul: matrices('transpose_a', 'transpose_b', true),
}
