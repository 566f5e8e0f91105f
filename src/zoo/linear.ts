/** The linear classifier. */
import type { ModelOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { Flatten } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { Sequential } from '../nn/sequential.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { modelOptions } from './options.js'

/** Options of `linearClassifier`. */
export interface LinearClassifierOptions extends ModelOptions {
  /** (C, H, W) of the images. Default (3, 32, 32), CIFAR-10's. */
  readonly input?: readonly [C: number, H: number, W: number]
  /** Number of outputs; default 10. */
  readonly classes?: number
  /** Of the weights; default Gaussian with sigma 0.01. */
  readonly weightInit?: Initializer
}

/** One score for each class, s = W · x + b, over all pixels x. */
export function linearClassifier(options: LinearClassifierOptions = {}): Sequential {
  checkCount('linearClassifier', 1, arguments)
  checkKeys('linearClassifier', options, {
    input: 0,
    classes: 0,
    seed: 0,
    keepPacked: 0,
    weightInit: 0,
  } satisfies Names<LinearClassifierOptions>)
  const { input = [3, 32, 32], classes = 10, weightInit = { name: 'normal', std: 0.01 } } = options
  return new Sequential([new Flatten(), new Linear({ outFeatures: classes, weightInit })], {
    input,
    ...modelOptions(options),
  })
}
