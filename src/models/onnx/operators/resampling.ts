/** Maps that are enlarged, reduced, unpooled and pooled by norms. */
import { ArgumentError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { resample, type NearestMode, type ResampledAxis, type Transformation } from '../../../ops/resample.js'
import { upsample2d } from '../../../ops/layout.js'
import { checkAxis, showShape } from '../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import { constantsOf, floats, need, numbersOf, type Lowered, type Meaning, type Rows } from '../row.js'

/** What the attributes of a resampling say. */
interface Resizing {
  readonly mode: 'nearest' | 'linear' | 'cubic'
  readonly transformation: Transformation
  readonly nearest: NearestMode
  readonly cubicCoefficient: number
  readonly excludeOutside: boolean
  readonly antialias: boolean
  readonly extrapolation: number
}

/** What was meant before opset 11. */
const older: Omit<Resizing, 'mode'> = {
  transformation: 'asymmetric',
  nearest: 'simple',
  cubicCoefficient: -0.75,
  excludeOutside: false,
  antialias: false,
  extrapolation: 0,
}

/** Whether two axes that are enlarged by whole factors are repeated pixels, or interpolated between the centres of pixels. */
function enlargement(
  x: AnyTensor,
  axes: readonly ResampledAxis[],
  resizing: Resizing,
): 'nearest' | 'bilinear' | undefined {
  const { mode, transformation, nearest, excludeOutside } = resizing
  if (x.dtype !== 'float32' || x.ndim !== 4 || x.size === 0 || axes.some(({ axis }) => axis < 2)) return undefined
  if (!axes.every(({ axis, size, scale }) => Number.isInteger(scale) && size === scale * (x.shape[axis] as number)))
    return undefined
  const isCentred = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel'].includes(transformation)
  if (mode === 'linear') return isCentred && !excludeOutside ? 'bilinear' : undefined
  if (mode !== 'nearest') return undefined
  const isRepeated = isCentred
    ? nearest.startsWith('round')
    : transformation === 'asymmetric' && (nearest === 'floor' || nearest === 'simple')
  return isRepeated ? 'nearest' : undefined
}

/** x along axes; one that stays as it is costs nothing. */
function resized(x: AnyTensor, given: readonly ResampledAxis[], resizing: Resizing): AnyTensor {
  const isCrop = resizing.transformation === 'tf_crop_and_resize'
  const axes = given.filter(
    ({ axis, size, scale, region: [begin, end] = [0, 1] }) =>
      !(size === x.shape[axis] && scale === 1 && (!isCrop || (begin === 0 && end === 1))),
  )
  if (axes.length === 0) return x.alias()
  if (resizing.mode !== 'nearest' && x.dtype !== 'float32')
    throw new UnsupportedError(`mode ${resizing.mode} is supported for float32, and the input is of ${x.dtype}`)
  const mode = enlargement(x, axes, resizing)
  if (mode) {
    const factor = (axis: number): number => axes.find((each) => each.axis === axis)?.scale ?? 1
    return upsample2d(x as Tensor, { scale: [factor(2), factor(3)], mode })
  }
  return resample(x, { ...resizing, axes })
}

/** ⌊n · scale⌋, in single precision as the scale is given: 10 · 0.7 is 7. */
const scaledExtent = (n: number, scale: number): number => Math.floor(Math.fround(n * scale))

const checkCount = (values: readonly number[], count: number, what: string): void => {
  if (values.length !== count)
    throw new ShapeError(`${what} must have ${count} numbers, one for each axis, and has ${values.length}`)
}

/** Axes that are resized by factors. */
function byScales(
  x: AnyTensor,
  axes: readonly number[],
  scales: readonly number[],
  regions?: readonly (readonly [number, number])[],
): ResampledAxis[] {
  checkCount(scales, axes.length, 'scales')
  return axes.map((axis, i) => {
    const [n, scale, region] = [x.shape[axis] as number, scales[i] as number, regions?.[i]]
    if (!(scale > 0 && scale < Infinity)) throw new ArgumentError(`scales must be above 0, given ${scale}`)
    return { axis, size: scaledExtent(n, scale), scale, width: scale * n, ...(region && { region }) }
  })
}

/** Axes that are resized to extents, or as near to them as the proportions allow. */
function bySizes(
  x: AnyTensor,
  axes: readonly number[],
  sizes: readonly number[],
  policy: string,
  regions?: readonly (readonly [number, number])[],
): ResampledAxis[] {
  checkCount(sizes, axes.length, 'sizes')
  const extents = axes.map((axis) => x.shape[axis] as number)
  if (sizes.some((size) => size < 0)) throw new ArgumentError(`sizes must be from 0 on, given ${showShape(sizes)}`)
  const ratios = sizes.map((size, i) => size / (extents[i] as number))
  const common = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  return axes.map((axis, i) => {
    const [n, region] = [extents[i] as number, regions?.[i]]
    const more = region && { region }
    if (policy === 'stretch') return { axis, size: sizes[i] as number, scale: ratios[i] as number, ...more }
    return { axis, size: Math.floor(common * n + 0.5), scale: common, width: common * n, ...more }
  })
}

/** Upsample, and Resize before opset 11: factors, from the attributes or an input. */
const byFactors =
  (modes: Readonly<Record<string, 'nearest' | 'linear'>>, read: (node: NodeReader) => readonly number[] | undefined) =>
  (node: NodeReader): Lowered => {
    const mode = modes[node.text('mode', 'nearest', Object.keys(modes))] as 'nearest' | 'linear'
    const fixed = read(node)
    return (inputs) => {
      const x = need(inputs, 0)
      const scales = fixed ?? constantsOf(need(inputs, 1))
      return resized(
        x,
        byScales(
          x,
          x.shape.map((_, axis) => axis),
          scales,
        ),
        { ...older, mode },
      )
    }
  }

const olderModes = { nearest: 'nearest', linear: 'linear', bilinear: 'linear' } as const

const Upsample: readonly Meaning[] = [
  {
    since: 1,
    inputs: [1, 1],
    lower: byFactors(olderModes, (node) => [1, 1, node.float('height_scale'), node.float('width_scale')]),
  },
  {
    since: 7,
    inputs: [1, 1],
    lower: byFactors(olderModes, (node) => {
      const scales = node.floats('scales')
      if (!scales) throw new ArgumentError('attribute scales is missing')
      return scales
    }),
  },
  // From opset 10 on Resize takes its place, and files that keep it mean the same.
  { since: 9, inputs: [2, 2], lower: byFactors(olderModes, () => undefined) },
]

const nearestModes = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const

/** Coordinates of opset 11 and of those after it. */
const transformationsOf = (opset: number): Transformation[] => [
  'half_pixel',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_crop_and_resize',
  ...(opset < 13 ? (['tf_half_pixel_for_nn'] as const) : []),
  ...(opset >= 19 ? (['half_pixel_symmetric'] as const) : []),
]

/** Resize from opset 11 on. */
function resizeRow(node: NodeReader): Lowered {
  const mode = node.text('mode', 'nearest', ['nearest', 'linear', 'cubic']) as Resizing['mode']
  const isNewer = node.opset >= 18
  const resizing: Resizing = {
    mode,
    transformation: node.text(
      'coordinate_transformation_mode',
      'half_pixel',
      transformationsOf(node.opset),
    ) as Transformation,
    nearest: node.text('nearest_mode', 'round_prefer_floor', nearestModes) as NearestMode,
    cubicCoefficient: node.float('cubic_coeff_a', -0.75),
    excludeOutside: node.flag('exclude_outside'),
    antialias: isNewer && node.flag('antialias'),
    extrapolation: node.float('extrapolation_value', 0),
  }
  const given = isNewer ? node.ints('axes') : undefined
  const policy = isNewer
    ? node.text('keep_aspect_ratio_policy', 'stretch', ['stretch', 'not_larger', 'not_smaller'])
    : 'stretch'
  if (resizing.antialias && mode === 'nearest') throw new UnsupportedError('antialias has no meaning in mode nearest')
  const isCrop = resizing.transformation === 'tf_crop_and_resize'
  if (isCrop && !node.has(1)) throw new UnsupportedError('tf_crop_and_resize needs the input roi')
  if (!node.has(2) && !node.has(3)) throw new UnsupportedError('either scales or sizes must be given')
  return (inputs) => {
    const x = need(inputs, 0)
    const axes = given?.map((axis) => checkAxis(axis, x.ndim, 'Resize')) ?? x.shape.map((_, axis) => axis)
    if (new Set(axes).size < axes.length) throw new ArgumentError(`axes ${showShape(axes)} name one twice`)
    const numbers = (input: number): number[] | undefined => {
      const values = inputs[input]
      return values && values.size > 0 ? constantsOf(values) : undefined
    }
    const roi = isCrop ? (numbers(1) ?? []) : undefined
    if (roi) checkCount(roi, 2 * axes.length, 'roi')
    const regions = roi && axes.map((_, i) => [roi[i] as number, roi[axes.length + i] as number] as const)
    const scales = numbers(2)
    const sizes = inputs[3] && inputs[3].size > 0 ? numbersOf(inputs[3]) : undefined
    if (sizes && scales) throw new ArgumentError('scales and sizes are given, of which one may be')
    if (sizes) return resized(x, bySizes(x, axes, sizes, policy, regions), resizing)
    if (scales) return resized(x, byScales(x, axes, scales, regions), resizing)
    if (axes.length === 0) return x.alias()
    throw new ArgumentError('either scales or sizes must be given')
  }
}

void floats
void scope
export const resampling: Rows = {
  Upsample,
  Resize: [
    { since: 10, inputs: [2, 2], lower: byFactors({ nearest: 'nearest', linear: 'linear' }, () => undefined) },
    { since: 11, inputs: [3, 4], lower: resizeRow },
    { since: 13, inputs: [1, 4], lower: resizeRow },
  ],
}
