/** Maps that are enlarged and reduced. */
import { UnsupportedError } from '../runtime/errors.js'
import { resample, type NearestMode, type ResampledAxis, type Transformation } from '../ops/resample.js'
import { upsample2d } from '../ops/layout.js'
import type { AnyTensor, Tensor } from '../tensor/tensor.js'

/** How axes are resampled. */
export interface Resizing {
  readonly mode: 'nearest' | 'linear' | 'cubic'
  readonly transformation: Transformation
  readonly nearest: NearestMode
  readonly cubicCoefficient: number
  readonly excludeOutside: boolean
  readonly antialias: boolean
  readonly extrapolation: number
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

/** x resampled along axes; one that stays as it is costs nothing. */
export function resized(x: AnyTensor, given: readonly ResampledAxis[], resizing: Resizing): AnyTensor {
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
