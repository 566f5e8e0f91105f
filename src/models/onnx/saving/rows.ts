/** Operations as nodes of ONNX: a row for each. */
import type { MatmulProblem } from '../../../plan/matmul.js'
import type { Axis, Pool } from '../../../plan/pool.js'
import type { Conv } from '../../../ops/conv.js'
import type { Box } from '../../../ops/layout.js'
import { UnsupportedError } from '../../../runtime/errors.js'
import { sameShape, type Shape } from '../../../tensor/shape.js'
import { foreignRows, numberOf, reduced } from './foreign.js'
import type { NodeWriter, SavingRow } from './writer.js'

/** An operator that takes the operands as they are. */
const same =
  (operator: string): SavingRow =>
  (node) =>
    node.emit(
      operator,
      [...node.node.inputs.keys()].map((key) => node.operand(key)),
    )

/** Arithmetic of two tensors, or of one and a number. */
const arithmetic =
  (operator: string): SavingRow =>
  (node) => {
    const { value } = node.described<{ readonly value?: number }>()
    const second = node.has('b') ? node.operand('b') : node.graph.floats([value as number])
    return node.emit(operator, [node.operand('a'), second])
  }

/** Zeros before and behind, as ONNX lists them. */
const padsOf = (lo: readonly number[], hi: readonly number[]): number[] => [...lo, ...hi]

/** x with the order of some axes turned round. */
const reversed = (node: NodeWriter, x: string, axes: readonly number[]): string => {
  const every = (value: number): string => node.graph.whole(axes.map(() => value))
  return node.emit('Slice', [x, every(-1), every(-(2 ** 31)), node.graph.whole(axes), every(-1)])
}

const kernelAxes = (shape: Shape): number[] => shape.slice(2).map((_, axis) => axis + 2)

/** A convolution, whose kernel ONNX never flips; a bias for each location and relu are nodes of their own. */
const convolution: SavingRow = (node) => {
  const { problem, bias, relu } = node.described<Conv>()
  const { kernel, stride, dilation, lo, hi, groups, flip } = problem
  const w = flip ? reversed(node, node.operand('w'), kernelAxes(node.shapeOf('w'))) : node.operand('w')
  const inputs = [node.operand('x'), w, ...(bias === 'channel' ? [node.operand('bias')] : [])]
  const attributes = { kernel_shape: kernel, strides: stride, dilations: dilation, pads: padsOf(lo, hi), group: groups }
  const y = node.emit('Conv', inputs, attributes)
  const sum = bias === 'location' ? node.emit('Add', [y, node.operand('bias')]) : y
  return relu ? node.emit('Relu', [sum]) : sum
}

/** The adjoint of the convolution that describes it. */
const transposed: SavingRow = (node) => {
  const { problem, bias } = node.described<Conv>()
  const { kernel, stride, dilation, lo, hi, groups, flip, input, output } = problem
  const w = flip ? reversed(node, node.operand('w'), kernelAxes(node.shapeOf('w'))) : node.operand('w')
  const inputs = [node.operand('x'), w, ...(bias === 'channel' ? [node.operand('bias')] : [])]
  const more = input.map((extent, axis) => {
    const at = (list: readonly number[]): number => list[axis] as number
    return extent + at(lo) + at(hi) - (at(stride) * (at(output) - 1) + at(dilation) * (at(kernel) - 1) + 1)
  })
  const attributes = { strides: stride, dilations: dilation, pads: padsOf(lo, hi), group: groups }
  const y = node.emit('ConvTranspose', inputs, { kernel_shape: kernel, ...attributes, output_padding: more })
  return bias === 'location' ? node.emit('Add', [y, node.operand('bias')]) : y
}

const matmul: SavingRow = (node) => {
  const { transposeA, transposeB } = node.described<MatmulProblem>()
  const operands = [node.operand('a'), node.operand('b')]
  if (!transposeA && !transposeB && !node.has('bias')) return node.emit('MatMul', operands)
  const bias = node.has('bias') ? [node.operand('bias')] : []
  return node.emit('Gemm', [...operands, ...bias], { transA: Number(transposeA), transB: Number(transposeB) })
}

/** Local patches of every place as channels (N, C·R·S, P, Q), times weights of the place (K, P, Q, C·R·S). */
const local: SavingRow = (node) => {
  const { problem } = node.described<Conv>()
  const { C, K, kernel, stride, lo, hi, output } = problem
  const [taps, places] = [kernel, output].map((list) => list.reduce((product, extent) => product * extent, 1)) as [
    number,
    number,
  ]
  const F = C * taps
  // Kernel f of a channel, one of as many as there are taps, takes the tap f alone.
  const ones = new Float32Array(F * taps)
  for (let f = 0; f < F; f++) ones[f * taps + (f % taps)] = 1
  const patches = node.emit('Conv', [node.operand('x'), node.graph.floats(ones, [F, 1, ...kernel])], {
    ...{ kernel_shape: kernel, strides: stride, pads: padsOf(lo, hi), group: C },
  })
  // A tile of weights is used again for the places behind it.
  const tile = node.shapeOf('w').slice(1, 1 + kernel.length)
  const spread = (x: string): string =>
    output.reduce(
      (given, extent, axis) =>
        extent === tile[axis]
          ? given
          : node.emit(
              'Gather',
              [given, node.graph.whole(Array.from({ length: extent }, (_, i) => i % (tile[axis] as number)))],
              { axis: axis + 1 },
            ),
      x,
    )
  const w = node.graph.reshape(spread(node.operandAs('w', [K, ...tile, F])), [K, places, F])
  const flat = node.emit('Einsum', [node.graph.reshape(patches, [node.shapeOf('x')[0] as number, F, places]), w], {
    equation: 'nfp,kpf->nkp',
  })
  const y = node.graph.reshape(flat, node.node.shape)
  return node.has('bias') ? node.emit('Add', [y, spread(node.operand('bias'))]) : y
}

/** Windows of a pool, with as much behind the input as the last, partial one reaches over. */
function windowsOf(axes: readonly Axis[]) {
  const reach = ({ kernel, dilation }: Axis): number => dilation * (kernel - 1) + 1
  const behind = axes.map((axis) => Math.max(axis.hi, (axis.output - 1) * axis.stride + reach(axis) - axis.n - axis.lo))
  const list = (of: (axis: Axis) => number): number[] => axes.map((axis) => of(axis))
  return {
    kernel_shape: list(({ kernel }) => kernel),
    strides: list(({ stride }) => stride),
    pads: padsOf(
      list(({ lo }) => lo),
      behind,
    ),
  }
}

const maxPool: SavingRow = (node) => {
  const { axes } = node.described<Pool>()
  const { pads, ...windows } = windowsOf(axes)
  const attributes = { ...windows, dilations: axes.map(({ dilation }) => dilation) }
  const x = node.operand('x')
  // onnxruntime refuses as much padding as a kernel has elements, which dilated windows may reach over.
  if (pads.every((count, i) => count < (axes[i % axes.length] as Axis).kernel))
    return node.emit('MaxPool', [x], { ...attributes, pads })
  const [lo, hi] = [pads.slice(0, axes.length), pads.slice(axes.length)]
  const around = node.graph.whole(padsOf([0, 0, ...lo], [0, 0, ...hi]))
  return node.emit('MaxPool', [node.emit('Pad', [x, around, node.graph.floats([-Infinity])])], attributes)
}

/** How many elements each window is divided by: those of the input, and of the padding that was asked for. */
function divisorsOf(axes: readonly Axis[]): number[] {
  return axes.reduce<number[]>(
    (products, { n, kernel, output, stride, lo, hi }) => {
      const counts = Array.from({ length: output }, (_, i) => Math.min(i * stride + kernel, n + lo + hi) - i * stride)
      return products.flatMap((product) => counts.map((count) => product * count))
    },
    [1],
  )
}

const averagePool: SavingRow = (node) => {
  const { axes, countPadding, yShape } = node.described<Pool>()
  const windows = windowsOf(axes)
  const whole = windows.kernel_shape.reduce((product, extent) => product * extent, 1)
  const isPartial = axes.some(({ hi }, axis) => (windows.pads[axes.length + axis] as number) > hi)
  const y = node.emit('AveragePool', [node.operand('x')], { ...windows, count_include_pad: Number(countPadding) })
  if (!countPadding || !isPartial) return y
  const factors = divisorsOf(axes).map((divisor) => whole / divisor)
  return node.emit('Mul', [y, node.graph.floats(factors, [1, 1, ...yShape.slice(2)])])
}

/** (Σ xᵖ)^(1/p) over windows, partial ones as if they were whole. */
const lpPool: SavingRow = (node) => {
  const { pool, p } = node.described<{ readonly pool: Pool; readonly p: number }>()
  const windows = windowsOf(pool.axes)
  const count = windows.kernel_shape.reduce((product, extent) => product * extent, 1)
  const { graph } = node
  const powers = node.emit('Pow', [node.operand('x'), graph.floats([p])])
  const sums = node.emit('Mul', [
    node.emit('AveragePool', [powers], { ...windows, count_include_pad: 0 }),
    graph.floats([count]),
  ])
  return node.emit('Pow', [sums, graph.floats([1 / p])])
}

/** First and last of the elements that each output of an adaptive window sees. */
const adaptiveBounds = ({ n, output }: Axis): [begin: number, end: number][] =>
  Array.from({ length: output }, (_, i) => [Math.floor((i * n) / output), Math.ceil(((i + 1) * n) / output)])

/** One window is the whole map; windows of which the input holds a whole number are side by side; others are joined along one axis after another. */
const adaptive =
  (plain: string, joined: (node: NodeWriter, x: string, place: number, axis: Axis) => string): SavingRow =>
  (node) => {
    const { axes } = node.described<Pool>()
    const x = node.operand('x')
    if (axes.every(({ output }) => output === 1)) return node.emit(`Global${plain}`, [x])
    if (axes.every(({ n, output }) => n % output === 0)) {
      const kernel = axes.map(({ n, output }) => n / output)
      return node.emit(plain, [x], { kernel_shape: kernel, strides: kernel })
    }
    return axes.reduce((y, axis, index) => (axis.n === axis.output ? y : joined(node, y, index + 2, axis)), x)
  }

const adaptiveAverage = adaptive('AveragePool', (node, x, place, axis) => {
  const rank = node.node.shape.length
  const values = new Float32Array(axis.n * axis.output)
  adaptiveBounds(axis).forEach(([begin, end], i) => {
    for (let j = begin; j < end; j++) values[j * axis.output + i] = 1 / (end - begin)
  })
  return alongAxis(node, x, place, rank, node.graph.floats(values, [axis.n, axis.output]))
})

const adaptiveMaximum = adaptive('MaxPool', (node, x, place, axis) => {
  const { graph } = node
  const at = (value: number): string => graph.whole([value])
  const parts = adaptiveBounds(axis).map(([begin, end]) =>
    reduced(node, 'ReduceMax', node.emit('Slice', [x, at(begin), at(end), at(place)]), [place], true),
  )
  return parts.length === 1 ? (parts[0] as string) : node.emit('Concat', parts, { axis: place })
})

/** A matrix (n, size) applied along one axis. */
function alongAxis(node: NodeWriter, x: string, place: number, rank: number, matrix: string): string {
  const swapped = Array.from({ length: rank }, (_, axis) =>
    axis === place ? rank - 1 : axis === rank - 1 ? place : axis,
  )
  const turn = (y: string): string => (place === rank - 1 ? y : node.emit('Transpose', [y], { perm: swapped }))
  return turn(node.emit('MatMul', [turn(x), matrix]))
}

interface Reduction {
  readonly xShape: Shape
  readonly yShape: Shape
  readonly axes: ReadonlySet<number>
  readonly divisor?: number
}

const reduction =
  (operator: string): SavingRow =>
  (node) => {
    const { xShape, yShape, axes, divisor = 1 } = node.described<Reduction>()
    const { graph } = node
    const list = [...axes].sort((a, b) => a - b)
    const count = list.reduce((product, axis) => product * (xShape[axis] as number), 1)
    const kept = xShape.map((extent, axis) => (axes.has(axis) ? 1 : extent))
    const keepDims = sameShape(kept, yShape)
    const isMean = divisor === count && divisor !== 1
    const x = node.operand('x')
    const y = list.length === 0 ? x : reduced(node, isMean ? 'ReduceMean' : operator, x, list, keepDims)
    const quotient = isMean || divisor === 1 ? y : node.emit('Div', [y, graph.floats([divisor])])
    const bare = keepDims ? kept : xShape.filter((_, axis) => !axes.has(axis))
    return sameShape(bare, yShape) ? quotient : graph.reshape(quotient, yShape)
  }

const softmax =
  (operator: string): SavingRow =>
  (node) =>
    node.emit(operator, [node.operand('x')], { axis: node.described<{ readonly axis: number }>().axis })

const batchNorm: SavingRow = (node) => {
  const { C, eps, training } = node.described<{
    readonly C: number
    readonly eps: number
    readonly training: boolean
  }>()
  if (training)
    throw new UnsupportedError('batch normalization by the statistics of the batch cannot be saved; call eval()')
  const filled = (value: number): string => node.graph.floats(new Array<number>(C).fill(value), [C])
  const or = (key: string, value: number): string => (node.has(key) ? node.operand(key) : filled(value))
  const inputs = [node.operand('x'), or('gamma', 1), or('beta', 0), or('runningMean', 0), or('runningVar', 1)]
  return node.emit('BatchNormalization', inputs, { epsilon: { float: eps } })
}

interface LocalResponse {
  readonly C: number
  readonly pixels: number
  readonly size: number
  readonly alpha: number
  readonly beta: number
  readonly k: number
}

/** ONNX's window of an even size lies one channel further on, so that it is written out: sums are averages over channels. */
const localResponseNorm: SavingRow = (node) => {
  const { C, pixels, size, alpha, beta, k } = node.described<LocalResponse>()
  const [x, shape] = [node.operand('x'), node.shapeOf('x')]
  const { graph } = node
  if (size % 2 === 1) {
    const floats = { alpha: { float: alpha * size }, beta: { float: beta }, bias: { float: k } }
    return node.emit('LRN', [x], { ...floats, size })
  }
  const squares = graph.reshape(node.emit('Mul', [x, x]), [shape[0] as number, 1, C, pixels])
  const half = size / 2
  const means = node.emit('AveragePool', [squares], {
    ...{ kernel_shape: [size, 1], strides: [1, 1], pads: [half, 0, half - 1, 0], count_include_pad: 1 },
  })
  const scale = node.emit('Add', [node.emit('Mul', [means, graph.floats([alpha * size])]), graph.floats([k])])
  const power = node.emit('Pow', [scale, graph.floats([beta])])
  return node.emit('Div', [x, graph.reshape(power, shape)])
}

/** The parts lie one after another along the axis in which their places differ. */
const concat: SavingRow = (node) => {
  const { names, boxes, yShape } = node.described<{
    readonly names: readonly string[]
    readonly boxes: readonly Box[]
    readonly yShape: Shape
  }>()
  const axis = Math.max(
    0,
    yShape.findIndex((extent, index) => boxes.some(({ inner }) => inner[index] !== extent)),
  )
  const parts = names.map((name) => node.operand(name))
  return node.emit('Concat', parts, { axis })
}

const slice: SavingRow = (node) => {
  const { outer, inner, begin } = node.described<Box>()
  const axes = outer.flatMap((extent, axis) => (inner[axis] === extent ? [] : [axis]))
  if (axes.length === 0) return node.emit('Identity', [node.operand('x')])
  const first = axes.map((axis) => begin[axis] as number)
  const last = axes.map((axis, index) => (first[index] as number) + (inner[axis] as number))
  const { graph } = node
  return node.emit('Slice', [node.operand('x'), graph.whole(first), graph.whole(last), graph.whole(axes)])
}

const padModes: Readonly<Record<string, string>> = { reflect: 'reflect', replicate: 'edge', circular: 'wrap' }

interface Continued {
  readonly xShape: Shape
  readonly axis: number
  readonly lo: number
  readonly hi: number
  readonly length: number
  readonly mode: string
}

const pad: SavingRow = (node) => {
  const { graph } = node
  const d = node.described<(Box & { readonly value: number }) | Continued>()
  if ('mode' in d) {
    const mode = padModes[d.mode] as string
    const [lo, hi] = [d.lo, d.hi]
    if (mode === 'wrap' && graph.opset < 19) {
      const n = d.xShape[d.axis] as number
      const part = (begin: number, end: number): string[] =>
        begin === end
          ? []
          : [node.emit('Slice', [node.operand('x'), ...[[begin], [end], [d.axis]].map((list) => graph.whole(list))])]
      return node.emit('Concat', [...part(n - lo, n), node.operand('x'), ...part(0, hi)], { axis: d.axis })
    }
    const at = (value: number): number[] => d.xShape.map((_, axis) => (axis === d.axis ? value : 0))
    return node.emit('Pad', [node.operand('x'), graph.whole(padsOf(at(lo), at(hi)))], { mode })
  }
  const { outer, inner, begin, value } = d
  const behind = outer.map((extent, axis) => extent - (inner[axis] as number) - (begin[axis] as number))
  return node.emit('Pad', [
    node.operand('x'),
    graph.whole(padsOf(begin, behind)),
    numberOf(node, value, node.typeOf('x')),
  ])
}

/** Extents that are there already are left as they are, the batch among them. */
const broadcastTo: SavingRow = (node) => {
  const { xShape, yShape } = node.described<{ readonly xShape: Shape; readonly yShape: Shape }>()
  const added = yShape.length - xShape.length
  const target = yShape.map((extent, axis) => (xShape[axis - added] === extent ? 1 : extent))
  return node.emit('Expand', [node.operand('x'), node.graph.whole(target)])
}

interface Enlarged {
  readonly xShape: Shape
  readonly axis: number
  readonly scale: number
}
interface Repeated {
  readonly blocks: readonly [maps: number, H: number, rows: number, W: number, columns: number]
}

const upsample2d: SavingRow = (node) => {
  const d = node.described<Enlarged | Repeated>()
  const isNearest = 'blocks' in d
  const scales = isNearest
    ? [1, 1, d.blocks[2], d.blocks[4]]
    : d.xShape.map((_, axis) => (axis === d.axis ? d.scale : 1))
  return node.emit('Resize', [node.operand('x'), '', node.graph.floats(scales, [4])], {
    mode: isNearest ? 'nearest' : 'linear',
    coordinate_transformation_mode: isNearest ? 'asymmetric' : 'half_pixel',
    ...(isNearest && { nearest_mode: 'floor' }),
  })
}

interface Resampled {
  readonly xShape: Shape
  readonly tables: readonly {
    readonly axis: number
    readonly size: number
    readonly taps: number
    readonly places: Int32Array
    readonly weights: Float64Array
    readonly outside: unknown
  }[]
  readonly copies: boolean
}

/** Resampling is linear along each axis: elements that are copied are gathered, others are a product with the weights. */
const resample: SavingRow = (node) => {
  const { xShape, tables, copies } = node.described<Resampled>()
  if (tables.some(({ outside }) => outside !== undefined))
    throw new UnsupportedError('resampling with a value outside of the input cannot be saved')
  return tables.reduce((x, { axis, size, taps, places, weights }) => {
    if (copies) return node.emit('Gather', [x, node.graph.whole(places)], { axis })
    const values = new Float32Array((xShape[axis] as number) * size)
    for (let j = 0; j < size * taps; j++) {
      const at = (places[j] as number) * size + Math.floor(j / taps)
      values[at] = (values[at] as number) + (weights[j] as number)
    }
    return alongAxis(node, x, axis, xShape.length, node.graph.floats(values, [xShape[axis] as number, size]))
  }, node.operand('x'))
}

/** Groups of neighbouring channels as an axis of their own. */
const maxout: SavingRow = (node) => {
  const { xShape, yShape } = node.described<Pool>()
  const [N, C, ...rest] = xShape as [number, number, ...number[]]
  const groups = yShape[1] as number
  const x = node.operandAs('x', [N, groups, C / groups, ...rest])
  return reduced(node, 'ReduceMax', x, [2], false)
}

/** A function of one number with an option. */
const withOption =
  (write: (node: NodeWriter, x: string, option: never) => string): SavingRow =>
  (node) =>
    write(node, node.operand('x'), node.described<{ readonly options: never }>().options)

const scaledBy = (node: NodeWriter, x: string, factor: number): string =>
  factor === 1 ? x : node.emit('Mul', [x, node.graph.floats([factor])])

/** x·(1 + erf(x/√2)) / 2, or the approximation by tanh. */
const gelu = withOption((node, x, approximate: 'tanh' | undefined) => {
  const { graph } = node
  const inner = approximate
    ? node.emit('Tanh', [
        scaledBy(
          node,
          node.emit('Add', [x, scaledBy(node, node.emit('Mul', [node.emit('Mul', [x, x]), x]), 0.044715)]),
          0.7978845608028654,
        ),
      ])
    : node.emit('Erf', [scaledBy(node, x, Math.SQRT1_2)])
  return node.emit('Mul', [scaledBy(node, x, 0.5), node.emit('Add', [inner, graph.floats([1])])])
})

/** Rows by the names of operations. Made when a model is saved, so that bundles which only load models leave them out. */
export const savingRows = (): Readonly<Record<string, SavingRow>> => ({
  ...Object.fromEntries(['conv', 'conv1d', 'conv2d', 'conv3d'].map((name) => [name, convolution])),
  ...Object.fromEntries([1, 2, 3].map((directions) => [`convTranspose${directions}d`, transposed])),
  ...Object.fromEntries([1, 2, 3].map((directions) => [`maxPool${directions}d`, maxPool])),
  ...Object.fromEntries([1, 2, 3].map((directions) => [`avgPool${directions}d`, averagePool])),
  ...Object.fromEntries([1, 2, 3].map((directions) => [`lpPool${directions}d`, lpPool])),
  ...Object.fromEntries([1, 2, 3].map((directions) => [`adaptiveAvgPool${directions}d`, adaptiveAverage])),
  ...Object.fromEntries([1, 2, 3].map((directions) => [`adaptiveMaxPool${directions}d`, adaptiveMaximum])),
  globalAvgPool: same('GlobalAveragePool'),
  globalMaxPool: same('GlobalMaxPool'),
  maxout,
  locallyConnected1d: local,
  locallyConnected2d: local,
  localConv: local,
  matmul,
  add: arithmetic('Add'),
  sub: arithmetic('Sub'),
  mul: arithmetic('Mul'),
  div: arithmetic('Div'),
  neg: (node) => node.emit('Neg', [node.operand('a')]),
  square: (node) => node.emit('Mul', [node.operand('x'), node.operand('x')]),
  pow: withOption((node, x, exponent: number) => node.emit('Pow', [x, node.graph.floats([exponent])])),
  power: same('Pow'),
  clamp: withOption((node, x, { min, max }: { readonly min: number; readonly max: number }) =>
    node.emit('Clip', [x, ...[min, max].map((value) => (Number.isFinite(value) ? node.graph.floats([value]) : ''))]),
  ),
  leakyRelu: withOption((node, x, alpha: number) => node.emit('LeakyRelu', [x], { alpha: { float: alpha } })),
  elu: withOption((node, x, alpha: number) => node.emit('Elu', [x], { alpha: { float: alpha } })),
  softplus: withOption((node, x, beta: number) =>
    scaledBy(node, node.emit('Softplus', [scaledBy(node, x, beta)]), 1 / beta),
  ),
  silu: (node) => node.emit('Mul', [node.operand('x'), node.emit('Sigmoid', [node.operand('x')])]),
  gelu,
  ...Object.fromEntries(
    ['tanh', 'scaledTanh'].map((name) => [
      name,
      withOption((node, x, { amplitude, slope }: { readonly amplitude: number; readonly slope: number }) =>
        scaledBy(node, node.emit('Tanh', [scaledBy(node, x, slope)]), amplitude),
      ),
    ]),
  ),
  softmax: softmax('Softmax'),
  logSoftmax: softmax('LogSoftmax'),
  batchNorm,
  localResponseNorm,
  concat,
  slice,
  pad,
  broadcastTo,
  transpose: (node) =>
    node.emit('Transpose', [node.operand('x')], {
      perm: node.described<{ readonly axes: readonly number[] }>().axes,
    }),
  upsample2d,
  resample,
  sum: reduction('ReduceSum'),
  mean: reduction('ReduceSum'),
  max: reduction('ReduceMax'),
  min: reduction('ReduceMin'),
  ...Object.fromEntries(
    [
      ...['relu', 'sigmoid', 'exp', 'log', 'sqrt', 'abs', 'erf', 'sin', 'cos', 'tan', 'asin', 'acos', 'atan'],
      ...['sinh', 'cosh', 'asinh', 'acosh', 'atanh', 'floor', 'ceil', 'round', 'sign', 'not', 'equal', 'greater'],
      ...['less', 'greaterOrEqual', 'lessOrEqual', 'and', 'or', 'xor', 'where', 'isNaN'],
    ].map((name) => [name, same((name[0] as string).toUpperCase() + name.slice(1))]),
  ),
  maximum: same('Max'),
  minimum: same('Min'),
  ...foreignRows(),
})
