/** The two-layer classifier. */
import { ReLU } from '../nn/activation.js'
import type { ModelOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { Flatten } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { Sequential } from '../nn/sequential.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { modelOptions } from './options.js'

/** Options of `twoLayerClassifier`. */
export interface TwoLayerClassifierOptions extends ModelOptions {
  /** (C, H, W) of the images. Default (3, 32, 32), CIFAR-10's. */
  readonly input?: readonly [C: number, H: number, W: number]
  /** Units of the hidden layer. Default 100. */
  readonly hidden?: number
  /** Number of outputs; default 10. */
  readonly classes?: number
  /** Of the weights; default 'he'. */
  readonly weightInit?: Initializer
}

/** s = W₂ · max(0, W₁ · x + b₁) + b₂ over all pixels x. */
export function twoLayerClassifier(options: TwoLayerClassifierOptions = {}): Sequential {
  checkCount('twoLayerClassifier', 1, arguments)
  checkKeys('twoLayerClassifier', options, {
    input: 0,
    hidden: 0,
    classes: 0,
    seed: 0,
    keepPacked: 0,
    weightInit: 0,
  } satisfies Names<TwoLayerClassifierOptions>)
  const { input = [3, 32, 32], hidden = 100, classes = 10, weightInit = 'he' } = options
  return new Sequential(
    [
      new Flatten(),
      new Linear({ outFeatures: hidden, weightInit }),
      new ReLU(),
      new Linear({ outFeatures: classes, weightInit }),
    ],
    { input, ...modelOptions(options) },
  )
}
