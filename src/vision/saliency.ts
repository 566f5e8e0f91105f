/** Which pixels a score depends on: its gradient with respect to the picture (Simonyan, Vedaldi & Zisserman 2014). */
import { vjp } from '../autodiff/vjp.js'
import { ArgumentError } from '../runtime/errors.js'
import { inWords } from '../runtime/text.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { onePicture, targetOf, type Classifier } from './classifier.js'

/** Options of `saliencyMap`. */
export interface SaliencyOptions {
  /** The class to explain. Default: the one with the largest score. */
  readonly target?: number
  /**
   * `magnitude`: the largest |dx| of the channels, how much the score changes with the pixel. `contribution`: the sum of
   * x · dx over the channels, signed; over all pixels it adds up to the score of a network of ReLUs without biases.
   * Default: magnitude.
   */
  readonly kind?: 'magnitude' | 'contribution'
}

/** What `saliencyMap` gives. */
export interface SaliencyMap {
  /** [H, W]. */
  readonly shape: readonly [number, number]
  /** Row by row. */
  readonly values: Float32Array
  /** The class whose score was differentiated. */
  readonly target: number
}

/** The gradient of a class's score with respect to one picture, of the picture's shape, and the class. */
export function inputGradient(
  model: Classifier,
  x: Tensor,
  target?: number,
): { readonly gradient: Tensor; readonly target: number } {
  return scope(() => {
    const picture = onePicture(x, model, 'inputGradient')
    const { value, pullback, dispose } = vjp((given) => model.forward(given, { training: false }), picture)
    try {
      const chosen = targetOf(value, target, 'inputGradient')
      const classes = value.shape[1] as number
      const dy = tensor(
        Float32Array.from({ length: classes }, (_, label) => (label === chosen ? 1 : 0)),
        [1, classes],
      )
      const [gradient] = pullback(dy) as [Tensor]
      return { gradient: gradient.reshape(x.shape), target: chosen }
    } finally {
      dispose()
    }
  })
}

/**
 * The saliency map of one picture (C, H, W) or (1, C, H, W).
 * @throws ShapeError when picture, model or options do not fit.
 */
export function saliencyMap(model: Classifier, x: Tensor, options: SaliencyOptions = {}): SaliencyMap {
  checkCount('saliencyMap', 3, arguments)
  checkKeys('saliencyMap', options, { target: 0, kind: 0 } satisfies Names<SaliencyOptions>)
  const { kind = 'magnitude' } = options
  if (kind !== 'magnitude' && kind !== 'contribution') {
    throw new ArgumentError(`saliencyMap: kind must be 'magnitude' or 'contribution', given ${inWords(kind)}`)
  }
  return scope(() => {
    const { gradient, target } = inputGradient(model, x, options.target)
    const [H, W] = x.shape.slice(-2) as [number, number]
    const [pixels, slopes] = [x.data(), gradient.data()]
    const values = new Float32Array(H * W)
    slopes.forEach((slope, i) => {
      const at = i % values.length
      const before = values[at] as number
      values[at] = kind === 'magnitude' ? Math.max(before, Math.abs(slope)) : before + slope * (pixels[i] as number)
    })
    return { shape: [H, W], values, target }
  })
}
