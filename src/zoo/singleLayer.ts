/**
 * One layer of filters and a linear classifier: the network in which Coates, Ng & Lee 2011 compared features that are learned
 * without labels. `toeplitz features` fills its filters; it can be trained whole, too.
 */
import { ReLU } from '../nn/activation.js'
import { Conv2d } from '../nn/conv.js'
import { Flatten } from '../nn/layout.js'
import type { ModelOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { Linear } from '../nn/linear.js'
import { BatchNorm1d } from '../nn/norm.js'
import { AdaptiveAvgPool2d } from '../nn/pool.js'
import { Sequential } from '../nn/sequential.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { modelOptions } from './options.js'

/** Options of `singleLayerClassifier`. */
export interface SingleLayerClassifierOptions extends ModelOptions {
  /** (C, H, W) of the images. Default (3, 32, 32), CIFAR-10's. */
  readonly input?: readonly [C: number, H: number, W: number]
  /** Number of outputs; default 10. */
  readonly classes?: number
  /** Number of filters; default 400. */
  readonly filters?: number
  /** Extents of a filter in pixels; default 6. */
  readonly kernel?: number
  /** Parts of the picture along each direction, over which each filter's responses are averaged; default 2: quadrants. */
  readonly grid?: number
  /** Of the weights; default 'he'. */
  readonly weightInit?: Initializer
}

/**
 * conv(6, 400) - ReLU - averages over quadrants - normalization - fc(10). The features are normalized to mean 0 and variance 1,
 * without trained factors. The outputs are logits.
 */
export function singleLayerClassifier(options: SingleLayerClassifierOptions = {}): Sequential {
  checkCount('singleLayerClassifier', 1, arguments)
  checkKeys('singleLayerClassifier', options, {
    input: 0,
    classes: 0,
    filters: 0,
    kernel: 0,
    grid: 0,
    seed: 0,
    keepPacked: 0,
    weightInit: 0,
  } satisfies Names<SingleLayerClassifierOptions>)
  const { input = [3, 32, 32], classes = 10, filters = 400, kernel = 6, grid = 2, weightInit = 'he' } = options
  return new Sequential(
    [
      new Conv2d({ outChannels: filters, kernel, weightInit }),
      new ReLU(),
      new AdaptiveAvgPool2d({ outputSize: grid }),
      new Flatten(),
      new BatchNorm1d({ affine: false }),
      new Linear({ outFeatures: classes, weightInit }),
    ],
    { input, ...modelOptions(options) },
  )
}
