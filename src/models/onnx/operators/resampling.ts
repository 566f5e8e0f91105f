/** Maps that are enlarged, reduced, unpooled and pooled by norms. */
import { ArgumentError, ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { type NearestMode, type ResampledAxis, type Transformation } from '../../../ops/resample.js'
import { conv1d, conv2d, conv3d } from '../../../ops/conv.js'
import { abs, clamp, mul, pow, sqrt, square } from '../../../ops/elementwise.js'
import { pad } from '../../../ops/layout.js'
import { scatterElements } from '../../../ops/places.js'
import { avgPool1d, avgPool2d, avgPool3d } from '../../../ops/pool/average.js'
import { sum } from '../../../ops/reduce.js'
import { full, zeros } from '../../../tensor/create.js'
import { checkAxis, showShape, sizeOf } from '../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import { resized, type Resizing } from '../../resizing.js'
import { constantsOf, floats, need, numbersOf, type Lowered, type Meaning, type Rows } from '../row.js'

/** What was meant before opset 11. */
const older: Omit<Resizing, 'mode'> = {
  transformation: 'asymmetric',
  nearest: 'simple',
  cubicCoefficient: -0.75,
  excludeOutside: false,
  antialias: false,
  extrapolation: 0,
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

/** Windows of pooling by norms. */
interface NormWindows {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly automatic: string
  readonly pads: readonly number[] | undefined
  readonly ceil: boolean
}

const perDirection = (values: readonly number[] | undefined, directions: number): readonly number[] =>
  values ?? new Array<number>(directions).fill(1)

/** Zeros in front and behind in one direction, so that all windows lie within. */
function zerosAround(n: number, axis: number, windows: NormWindows): [lo: number, hi: number] {
  const [extent, step, apart] = [windows.kernel, windows.stride, windows.dilation].map(
    (all) => all[axis] as number,
  ) as [number, number, number]
  const reach = apart * (extent - 1) + 1
  if (windows.automatic.startsWith('SAME')) {
    const zeros = Math.max(0, (Math.ceil(n / step) - 1) * step + reach - n)
    const less = Math.floor(zeros / 2)
    return windows.automatic === 'SAME_UPPER' ? [less, zeros - less] : [zeros - less, less]
  }
  const isGiven = windows.automatic === 'NOTSET' && windows.pads
  const lo = isGiven ? (windows.pads?.[axis] as number) : 0
  const hi = isGiven ? (windows.pads?.[axis + windows.kernel.length] as number) : 0
  if (!windows.ceil) return [lo, hi]
  // A window that starts behind x counts no more.
  let count = Math.ceil((n + lo + hi - reach) / step) + 1
  if ((count - 1) * step >= n + lo) count--
  return [lo, Math.max(hi, (count - 1) * step + reach - n - lo)]
}

const powered = (x: Tensor, p: number): Tensor => (p === 1 ? abs(x) : p === 2 ? square(x) : pow(abs(x), p))
const rooted = (sum: Tensor, p: number): Tensor => (p === 1 ? sum.alias() : p === 2 ? sqrt(sum) : pow(sum, 1 / p))

const checkPower = (p: number): void => {
  if (!(p >= 1 && p < Infinity)) throw new UnsupportedError(`p must be from 1 on, given ${p}`)
}

const averages = [avgPool1d, avgPool2d, avgPool3d] as const
const convolutions = [conv1d, conv2d, conv3d] as const

const lpPoolRow =
  (readPower: (node: NodeReader) => number) =>
  (node: NodeReader): Lowered => {
    const p = readPower(node)
    checkPower(p)
    const kernel = node.ints('kernel_shape')
    if (!kernel) throw new ArgumentError('attribute kernel_shape is missing')
    const directions = kernel.length
    if (directions < 1 || directions > 3)
      throw new UnsupportedError(`one to three directions are supported, and kernel_shape has ${directions}`)
    const windows: NormWindows = {
      kernel,
      stride: perDirection(node.ints('strides'), directions),
      dilation: perDirection(node.opset < 18 ? undefined : node.ints('dilations'), directions),
      automatic: node.text('auto_pad', 'NOTSET', ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID']),
      pads: node.ints('pads'),
      ceil: node.opset >= 18 && node.flag('ceil_mode'),
    }
    checkCount(windows.stride, directions, 'strides')
    checkCount(windows.dilation, directions, 'dilations')
    if (windows.pads) checkCount(windows.pads, 2 * directions, 'pads')
    return (inputs) => {
      const x = floats(inputs, 0)
      if (x.ndim !== directions + 2)
        throw new ShapeError(`kernel_shape has ${directions} numbers, and the input is ${showShape(x.shape)}`)
      const around = x.shape.slice(2).map((n, axis) => zerosAround(n, axis, windows))
      return scope(() => {
        const terms = pad(powered(x, p), around)
        const { stride, dilation } = windows
        if (dilation.every((apart) => apart === 1)) {
          const means = averages[(directions - 1) as 0](terms, {
            kernel: [...kernel] as [number],
            stride: [...stride] as [number],
          })
          return rooted(mul(means, sizeOf(kernel)), p)
        }
        const [N, C, ...extents] = terms.shape as [number, number, ...number[]]
        const ones = full([1, 1, ...kernel], 1)
        const sums = convolutions[(directions - 1) as 0](terms.reshape([N * C, 1, ...extents]), ones, {
          stride: [...stride] as [number],
          dilation: [...dilation] as [number],
        })
        // Terms are never negative, and their sums must not be by rounding.
        return rooted(clamp(sums.reshape([N, C, ...sums.shape.slice(2)]), { min: 0 }), p)
      })
    }
  }

const globalLpRow =
  (readPower: (node: NodeReader) => number) =>
  (node: NodeReader): Lowered => {
    const p = readPower(node)
    checkPower(p)
    return (inputs) => {
      const x = floats(inputs, 0)
      if (x.ndim < 3) throw new ShapeError(`expected (N, C, …), given ${showShape(x.shape)}`)
      const axes = x.shape.flatMap((_, axis) => (axis >= 2 ? [axis] : []))
      return scope(() => rooted(sum(powered(x, p), axes, { keepDims: true }), p))
    }
  }

/** The values of a pooled map at the places that they came from, among zeros. */
function unpoolRow(node: NodeReader): Lowered {
  const kernel = node.ints('kernel_shape')
  if (!kernel) throw new ArgumentError('attribute kernel_shape is missing')
  const stride = perDirection(node.ints('strides'), kernel.length)
  const pads = node.ints('pads') ?? new Array<number>(2 * kernel.length).fill(0)
  checkCount(stride, kernel.length, 'strides')
  checkCount(pads, 2 * kernel.length, 'pads')
  return (inputs) => {
    const [x, indices] = [floats(inputs, 0), need(inputs, 1)]
    if (x.ndim !== kernel.length + 2)
      throw new ShapeError(`kernel_shape has ${kernel.length} numbers, and the input is ${showShape(x.shape)}`)
    const shape = x.shape.map((n, axis) => {
      if (axis < 2) return n
      const [lo, hi] = [pads[axis - 2] as number, pads[axis - 2 + kernel.length] as number]
      return (n - 1) * (stride[axis - 2] as number) - lo - hi + (kernel[axis - 2] as number)
    })
    const asked = inputs[2] && numbersOf(inputs[2])
    // Places count the elements of the map that was pooled; ONNX's own case counts them in the shape that the attributes give.
    if (asked && asked.join() !== shape.join()) {
      throw new UnsupportedError(
        `output_shape ${showShape(asked)} is not what kernel_shape, strides and pads give, ${showShape(shape)}; ONNX does not tell which of them the indices count in`,
      )
    }
    return scope(() => {
      const flat = scatterElements(zeros([sizeOf(shape)]), indices.reshape([x.size]), x.reshape([x.size]))
      return flat.reshape(shape)
    })
  }
}

export const resampling: Rows = {
  Upsample,
  Resize: [
    { since: 10, inputs: [2, 2], lower: byFactors({ nearest: 'nearest', linear: 'linear' }, () => undefined) },
    { since: 11, inputs: [3, 4], lower: resizeRow },
    { since: 13, inputs: [1, 4], lower: resizeRow },
  ],
  MaxUnpool: [{ since: 9, inputs: [2, 3], lower: unpoolRow }],
  LpPool: [
    { since: 1, inputs: [1, 1], lower: lpPoolRow((node) => node.float('p', 2)) },
    { since: 2, inputs: [1, 1], lower: lpPoolRow((node) => node.int('p', 2)) },
  ],
  GlobalLpPool: [
    { since: 1, inputs: [1, 1], lower: globalLpRow((node) => node.float('p', 2)) },
    { since: 2, inputs: [1, 1], lower: globalLpRow((node) => node.int('p', 2)) },
  ],
}
