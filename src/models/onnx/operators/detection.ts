/** What detectors ask for: values at points and regions, and the boxes that are kept. */
import { ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { gridSample, roiAlign, type GridPadding } from '../../../ops/sampling.js'
import { tensor } from '../../../tensor/create.js'
import { showShape } from '../../../tensor/shape.js'
import type { AnyTensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import { constantsOf, floats, need, type Lowered, type Rows } from '../row.js'

const gridRow =
  (modes: Readonly<Record<string, 'nearest' | 'linear' | 'cubic'>>, otherwise: string) =>
  (node: NodeReader): Lowered => {
    const mode = modes[node.text('mode', otherwise, Object.keys(modes))] as 'linear'
    const padding = node.text('padding_mode', 'zeros', ['zeros', 'border', 'reflection']) as GridPadding
    const alignCorners = node.flag('align_corners')
    return (inputs) => gridSample(floats(inputs, 0), floats(inputs, 1), { mode, padding, alignCorners })
  }

const regionRow =
  (halfPixelOf: (node: NodeReader) => boolean) =>
  (node: NodeReader): Lowered => {
    const size = [node.int('output_height', 1), node.int('output_width', 1)] as const
    const options = {
      size,
      scale: node.float('spatial_scale', 1),
      samples: node.int('sampling_ratio', 0),
      halfPixel: halfPixelOf(node),
      largest: node.text('mode', 'avg', ['avg', 'max']) === 'max',
    }
    if (size.some((extent) => extent < 1))
      throw new UnsupportedError(`output_height and output_width must be from 1 on, given ${size.join(' and ')}`)
    return (inputs) => roiAlign(floats(inputs, 0), floats(inputs, 1), need(inputs, 2), options)
  }

/** A box by its edges. */
type Box = readonly [top: number, left: number, bottom: number, right: number]

/** Box i of a list: two corners in any order, or its centre, width and height. */
function boxAt(boxes: Float32Array, i: number, isCentred: boolean): Box {
  const [a, b, c, d] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number]
  if (isCentred) return [b - d / 2, a - c / 2, b + d / 2, a + c / 2]
  return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)]
}

/** Whether the intersection of two boxes is more than `threshold` of their union. */
function overlaps(a: Box, b: Box, threshold: number): boolean {
  const area = (box: Box): number => (box[2] - box[0]) * (box[3] - box[1])
  const [areaA, areaB] = [area(a), area(b)]
  const high = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const wide = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (!(high > 0 && wide > 0 && areaA > 0 && areaB > 0)) return false
  const shared = high * wide
  return Math.fround(shared / (areaA + areaB - shared)) > threshold
}

/** The boxes of each class of each image that are kept, the best ones first, as (image, class, box). */
function kept(inputs: readonly (AnyTensor | undefined)[], isCentred: boolean): AnyTensor {
  const [boxes, scores] = [floats(inputs, 0), floats(inputs, 1)]
  const [images, count] = boxes.shape as unknown as [number, number]
  const classes = scores.shape[1] as number
  if (boxes.ndim !== 3 || boxes.shape[2] !== 4 || scores.shape.join() !== [images, classes, count].join()) {
    throw new ShapeError(
      `boxes must be (images, boxes, 4) and scores (images, classes, boxes), given ${showShape(boxes.shape)} and ${showShape(scores.shape)}`,
    )
  }
  const option = (input: number): number | undefined => {
    const x = inputs[input]
    return x && x.size > 0 ? constantsOf(x)[0] : undefined
  }
  const [most = 0, threshold = 0, least = -Infinity] = [option(2), option(3), option(4)]
  const hasLeast = inputs[4] !== undefined
  const [corners, values] = [boxes.data(), scores.data()]
  const rows: number[] = []
  for (let image = 0; image < images; image++) {
    const all = Array.from({ length: count }, (_, i) => boxAt(corners, image * count + i, isCentred))
    for (let group = 0; group < classes; group++) {
      const own = values.subarray((image * classes + group) * count, (image * classes + group + 1) * count)
      const open = [...own.keys()]
        // A score that is NaN is no score.
        .filter((i) => (hasLeast ? (own[i] as number) > least : !Number.isNaN(own[i])))
        .sort((i, j) => (own[j] as number) - (own[i] as number) || i - j)
      const chosen: Box[] = []
      for (const i of open) {
        if (chosen.length >= most) break
        const box = all[i] as Box
        if (chosen.some((other) => overlaps(box, other, threshold))) continue
        chosen.push(box)
        rows.push(image, group, i)
      }
    }
  }
  return tensor(rows, [rows.length / 3, 3], { dtype: 'int64' })
}

export const detection: Rows = {
  GridSample: [
    {
      since: 16,
      inputs: [2, 2],
      lower: gridRow({ bilinear: 'linear', nearest: 'nearest', bicubic: 'cubic' }, 'bilinear'),
    },
    { since: 20, inputs: [2, 2], lower: gridRow({ linear: 'linear', nearest: 'nearest', cubic: 'cubic' }, 'linear') },
  ],
  RoiAlign: [
    { since: 10, inputs: [3, 3], lower: regionRow(() => false) },
    {
      since: 16,
      inputs: [3, 3],
      lower: regionRow(
        (node) =>
          node.text('coordinate_transformation_mode', 'half_pixel', ['half_pixel', 'output_half_pixel']) ===
          'half_pixel',
      ),
    },
  ],
  NonMaxSuppression: [
    {
      since: 10,
      inputs: [2, 5],
      lower(node) {
        const isCentred = node.flag('center_point_box')
        return (inputs) => kept(inputs, isCentred)
      },
    },
  ],
}
