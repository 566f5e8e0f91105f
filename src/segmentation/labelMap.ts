/** Label maps: a whole number for every pixel, checked before anything is computed of them. */
import { labelList, checkIgnored, type Labels } from '../ops/loss.js'
import { wrongKind } from '../runtime/check.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { Tensor } from '../tensor/tensor.js'

/** What a label map must be. */
export interface LabelMapRules {
  /** Extents of the map, (N, H, W) or (H, W). */
  readonly shape: Shape
  /** K: labels are 0 to K − 1. */
  readonly classes: number
  /** A label that is allowed besides the classes. */
  readonly ignoreIndex?: number | undefined
}

/**
 * The labels of a map in a row, checked.
 * @throws ShapeError when there is another number of labels than pixels; ArgumentError when a label is no class
 */
export function checkLabelMap(name: string, labels: Labels, rules: LabelMapRules): ArrayLike<number> {
  const { shape, classes, ignoreIndex } = rules
  if (ignoreIndex !== undefined) checkIgnored(name, ignoreIndex)
  const values = labelList(labels)
  if (!values) throw wrongKind(`${name}: the label map`, 'a list of whole numbers or a Tensor', labels)
  const isOther = labels instanceof Tensor && labels.ndim > 1 && !sameShape(labels.shape, shape)
  if (values.length !== sizeOf(shape) || isOther) {
    throw new ShapeError(
      `${name}: the label map must be ${showShape(shape)}, ${sizeOf(shape)} labels, given ${isOther ? showShape(labels.shape) : values.length}`,
    )
  }
  for (let i = 0; i < values.length; i++) {
    const label = values[i] as number
    if (Number.isInteger(label) && label >= 0 && label < classes) continue
    if (label === ignoreIndex) continue
    throw new ArgumentError(
      `${name}: label ${i} of the map is ${inWords(label)}; a label must be a whole number from 0 to ${classes - 1}${ignoreIndex === undefined ? '' : `, or ${ignoreIndex} to be ignored`}`,
    )
  }
  return values as ArrayLike<number>
}

/** Extents of scores (N, K, H, W). @throws ShapeError */
export function scoreExtents(name: string, scores: Tensor): readonly [N: number, K: number, H: number, W: number] {
  if (scores.ndim === 4) return scores.shape as unknown as readonly [number, number, number, number]
  throw new ShapeError(`${name}: scores must be (N, K, H, W), given ${showShape(scores.shape)}`)
}
