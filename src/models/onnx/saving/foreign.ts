/**
 * Operations that only models from elsewhere call, as nodes of ONNX: conversions, places that are computed, whole numbers, and what
 * detectors ask for.
 */
import { UnsupportedError } from '../../../runtime/errors.js'
import type { DType } from '../../../tensor/dtype.js'
import type { Shape } from '../../../tensor/shape.js'
import type { Fold } from '../../../ops/fold.js'
import type { ArgOptions } from '../../../ops/order.js'
import type { Addressing, Reduction } from '../../../ops/places.js'
import type { GridOptions, RegionOptions } from '../../../ops/sampling.js'
import { elementTypes, type NodeWriter, type SavingRow } from './writer.js'

/** @throws UnsupportedError where an operator, or an option of it, came later */
function since(node: NodeWriter, opset: number, what: string): void {
  if (node.graph.opset < opset)
    throw new UnsupportedError(`${what} is there from opset ${opset} on, and ${node.graph.opset} is asked for`)
}

const converted = (node: NodeWriter, x: string, to: keyof typeof elementTypes): string =>
  node.emit('Cast', [x], { to: elementTypes[to] })

/** One number of a type. */
export const numberOf = (node: NodeWriter, value: number, dtype: DType): string => {
  if (dtype === 'float32') return node.graph.floats([value])
  const whole = node.graph.whole([value], [])
  return dtype === 'int64' ? whole : converted(node, whole, dtype)
}

/** An operand of indices, in the types that the operator takes. */
const indicesOf = (node: NodeWriter, key: string, types: readonly DType[] = ['int64', 'int32']): string =>
  types.includes(node.typeOf(key)) ? node.operand(key) : converted(node, node.operand(key), 'int64')

/** A reduction: its axes are an input from opset 13 or 18 on. */
export function reduced(
  node: NodeWriter,
  operator: string,
  x: string,
  axes: readonly number[],
  keepDims: boolean,
): string {
  const asInput = operator === 'ReduceSum' || node.graph.opset >= 18
  return asInput
    ? node.emit(operator, [x, node.graph.whole(axes)], { keepdims: Number(keepDims) })
    : node.emit(operator, [x], { axes, keepdims: Number(keepDims) })
}

const gather: SavingRow = (node) =>
  node.emit('Gather', [node.operand('x'), indicesOf(node, 'indices')], {
    axis: node.described<{ readonly axis: number }>().axis,
  })

const take: SavingRow = (node) => {
  const { addressing } = node.described<{ readonly addressing: Addressing }>()
  const x = node.operand('x')
  switch (addressing.kind) {
    case 'elements':
      return node.emit('GatherElements', [x, indicesOf(node, 'indices')], { axis: addressing.axis })
    case 'nd':
      return node.emit('GatherND', [x, indicesOf(node, 'indices', ['int64'])], { batch_dims: addressing.batch })
    case 'reversed':
      return node.emit('ReverseSequence', [x, indicesOf(node, 'indices', ['int64'])], {
        ...{ batch_axis: addressing.batch, time_axis: addressing.time },
      })
  }
}

const scatter: SavingRow = (node) => {
  const { addressing, reduction } = node.described<{
    readonly addressing: Addressing
    readonly reduction: Reduction
  }>()
  if (reduction !== 'none') since(node, reduction === 'add' || reduction === 'mul' ? 16 : 18, `reduction ${reduction}`)
  const how = reduction === 'none' ? {} : { reduction }
  const isElements = addressing.kind === 'elements'
  const indices = indicesOf(node, 'indices', isElements ? undefined : ['int64'])
  return node.emit(
    isElements ? 'ScatterElements' : 'ScatterND',
    [node.operand('x'), indices, node.operand('updates')],
    isElements ? { axis: addressing.axis, ...how } : how,
  )
}

/** Places alone: elements are gathered by them. */
const top: SavingRow = (node) => {
  const { count, axis, largest } = node.described<{
    readonly count: number
    readonly axis: number
    readonly largest: boolean
  }>()
  return node.emit('TopK', [node.operand('x'), node.graph.whole([count])], { axis, largest: Number(largest) }, 1)
}

const argExtremum: SavingRow = (node) => {
  const { axis, keepDims, largest, last } = node.described<ArgOptions>()
  const flags = { keepdims: Number(keepDims), select_last_index: Number(last) }
  return node.emit(largest ? 'ArgMax' : 'ArgMin', [node.operand('x')], { axis, ...flags })
}

const cumulativeSum: SavingRow = (node) => {
  const { axis, exclusive, reverse, dtype } = node.described<{
    readonly axis: number
    readonly exclusive: boolean
    readonly reverse: boolean
    readonly dtype: DType
  }>()
  return throughInt32(node, dtype === 'int8' || dtype === 'uint8' ? dtype : undefined, (x) =>
    node.emit('CumSum', [x, node.graph.whole([axis], [])], { exclusive: Number(exclusive), reverse: Number(reverse) }),
  )
}

/** What is computed of x; where a type is given, which the operator does not take, in int32. */
function throughInt32(node: NodeWriter, dtype: DType | undefined, of: (x: string) => string): string {
  const x = node.operand('x')
  return dtype === undefined ? of(x) : converted(node, of(converted(node, x, 'int32')), dtype)
}

const folds: Readonly<Record<Fold, string>> = {
  ...{ sum: 'ReduceSum', mean: 'ReduceMean', prod: 'ReduceProd', max: 'ReduceMax', min: 'ReduceMin' },
  ...{ sumSquare: 'ReduceSumSquare', sumAbs: 'ReduceL1' },
}

const foldWhole: SavingRow = (node) => {
  const { fold, dtype, axes, xShape, yShape } = node.described<{
    readonly fold: Fold
    readonly dtype: DType
    readonly axes: readonly number[]
    readonly xShape: Shape
    readonly yShape: Shape
  }>()
  if (axes.length === 0) return node.emit('Identity', [node.operand('x')])
  const isExtremum = fold === 'max' || fold === 'min'
  const isTaken = dtype === 'int32' || dtype === 'int64' || (isExtremum && (dtype !== 'bool' || node.graph.opset >= 20))
  return throughInt32(node, isTaken ? undefined : dtype, (x) =>
    reduced(node, folds[fold], x, axes, xShape.length === yShape.length),
  )
}

const isInfinite =
  (negative: boolean, positive: boolean): SavingRow =>
  (node) =>
    node.emit('IsInf', [node.operand('a')], {
      ...{ detect_negative: Number(negative), detect_positive: Number(positive) },
    })

/** Whole numbers without a sign, as which some types stand for others here. */
const unsigned: Readonly<Record<string, 'uint8' | 'uint16' | 'uint32'>> = {
  ...{ uint8: 'uint8', int32: 'uint16', int64: 'uint32' },
}

const shifted =
  (direction: 'LEFT' | 'RIGHT'): SavingRow =>
  (node) => {
    const dtype = node.typeOf('a')
    const type = unsigned[dtype] as 'uint8'
    const operands = ['a', 'b'].map((key) =>
      type === dtype ? node.operand(key) : converted(node, node.operand(key), type),
    )
    const y = node.emit('BitShift', operands, { direction })
    return type === dtype ? y : converted(node, y, dtype)
  }

const remainder =
  (fmod: 0 | 1): SavingRow =>
  (node) =>
    node.emit('Mod', [node.operand('a'), node.operand('b')], { fmod })

/** The remainder of C, and where that has not the sign of the divisor the remainder of its sum with the divisor. */
const floorMod: SavingRow = (node) => {
  const [a, b, zero] = [node.operand('a'), node.operand('b'), node.graph.floats([0])]
  const rest = node.emit('Mod', [a, b], { fmod: 1 })
  const isAlike = node.emit('Equal', [node.emit('Less', [a, zero]), node.emit('Less', [b, zero])])
  return node.emit('Where', [isAlike, rest, node.emit('Mod', [node.emit('Add', [rest, b]), b], { fmod: 1 })])
}

/** The arctangent of a / b, turned by half a circle where b is below 0; at the origin 0. */
const atan2: SavingRow = (node) => {
  const { graph } = node
  const [a, b, zero] = [node.operand('a'), node.operand('b'), graph.floats([0])]
  const isUpright = node.emit('Equal', [b, zero])
  // A divisor of −0 is one of 0.
  const angle = node.emit('Atan', [node.emit('Div', [a, node.emit('Where', [isUpright, zero, b])])])
  const half = node.emit('Where', [node.emit('Less', [a, zero]), graph.floats([-Math.PI]), graph.floats([Math.PI])])
  const turn = node.emit('Where', [node.emit('Less', [b, zero]), half, zero])
  const isOrigin = node.emit('And', [isUpright, node.emit('Equal', [a, zero])])
  return node.emit('Where', [isOrigin, zero, node.emit('Add', [angle, turn])])
}

const gridSample: SavingRow = (node) => {
  const { mode, padding, alignCorners } = node.described<{ readonly d: Required<GridOptions> }>().d
  const isPlane = node.shapeOf('x').length === 4
  since(node, isPlane ? 16 : 20, isPlane ? 'GridSample' : 'GridSample of other than two directions')
  const older = { linear: 'bilinear', nearest: 'nearest', cubic: 'bicubic' }
  return node.emit('GridSample', [node.operand('x'), node.operand('grid')], {
    mode: node.graph.opset >= 20 ? mode : older[mode],
    padding_mode: padding,
    align_corners: Number(alignCorners),
  })
}

const roiAlign: SavingRow = (node) => {
  const { size, scale, samples, halfPixel, largest } = node.described<{ readonly d: Required<RegionOptions> }>().d
  if (halfPixel) since(node, 16, 'RoiAlign of half pixels')
  const coordinates = { coordinate_transformation_mode: halfPixel ? 'half_pixel' : 'output_half_pixel' }
  const operands = [node.operand('x'), node.operand('regions'), indicesOf(node, 'maps', ['int64'])]
  return node.emit('RoiAlign', operands, {
    ...(node.graph.opset >= 16 && coordinates),
    ...{ mode: largest ? 'max' : 'avg', output_height: size[0], output_width: size[1] },
    ...{ sampling_ratio: samples, spatial_scale: { float: scale } },
  })
}

/** Rows by the names of operations. */
export const foreignRows = (): Readonly<Record<string, SavingRow>> => ({
  cast: (node) => converted(node, node.operand('x'), node.described<{ readonly to: DType }>().to),
  toFloat16: (node) => converted(node, converted(node, node.operand('a'), 'float16'), 'float32'),
  gather,
  take,
  scatter,
  top,
  argExtremum,
  cumulativeSum,
  foldWhole,
  determinant: (node) => node.emit('Det', [node.operand('x')]),
  isInfinite: isInfinite(true, true),
  isNegativeInfinity: isInfinite(true, false),
  isPositiveInfinity: isInfinite(false, true),
  isNeitherInfinity: isInfinite(false, false),
  shiftLeft: shifted('LEFT'),
  shiftRight: shifted('RIGHT'),
  mod: remainder(0),
  fmod: remainder(1),
  floorMod,
  atan2,
  gridSample,
  roiAlign,
})
