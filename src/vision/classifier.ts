/** What the pictures of a model's reasons need of it. */
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkFunction, checkObject } from '../runtime/check.js'
import { inWords } from '../runtime/text.js'
import { showShape } from '../tensor/shape.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'

/** A model that gives (N, classes) scores for (N, C, H, W): logits, as `crossEntropy` takes them. */
export interface Classifier {
  /** Scores (N, classes) for pictures (N, C, H, W). */
  forward(x: Tensor, context?: { readonly training?: boolean }): Tensor
}

/** One picture (C, H, W) or (1, C, H, W) as (1, C, H, W). @throws ShapeError otherwise. */
export function onePicture(x: Tensor, model: Classifier, name: string): Tensor {
  checkObject(model, `${name}: the model`, 'a Sequential, a Graph or an object like one')
  checkFunction(model.forward, `${name}: forward of the model`)
  checkTensor(x, name, 'x')
  if (x.ndim === 3) return x.reshape([1, ...x.shape])
  if (x.ndim === 4 && x.shape[0] === 1) return x
  throw new ShapeError(`${name}: expected one picture, (C, H, W) or (1, C, H, W), given ${showShape(x.shape)}`)
}

/** The class to explain: the one given, or that of the largest score. @throws ShapeError when there is no such class. */
export function targetOf(scores: Tensor, target: number | undefined, name: string): number {
  checkTensor(scores, name, 'what the model gives')
  const [N, classes] = scores.shape
  if (scores.ndim !== 2 || N !== 1) {
    throw new ShapeError(
      `${name}: the model must give (1, classes) for one picture, it gave ${showShape(scores.shape)}`,
    )
  }
  if (target === undefined) {
    const values = scores.data()
    return values.indexOf(values.reduce((most, value) => Math.max(most, value), -Infinity))
  }
  if (Number.isInteger(target) && target >= 0 && target < (classes as number)) return target
  throw new ArgumentError(
    `${name}: target must be a class from 0 to ${(classes as number) - 1}, given ${inWords(target)}`,
  )
}
