/** The lecture's ConvNets. */
import { Conv2d } from '../nn/conv.js'
import { ReLU, Softmax } from '../nn/activation.js'
import { Flatten } from '../nn/layout.js'
import type { ModelOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { Linear } from '../nn/linear.js'
import { MaxPool2d } from '../nn/pool.js'
import { Sequential } from '../nn/sequential.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { modelOptions } from './options.js'

/** Options of `convnet`. */
export interface ConvNetOptions extends ModelOptions {
  /** (C, H, W) of the images. Default (1, 28, 28), MNIST's; CIFAR-10's is (3, 32, 32). */
  readonly input?: readonly [C: number, H: number, W: number]
  /** Number of outputs; default 10. */
  readonly classes?: number
  /** Of the weights; default 'he'. */
  readonly weightInit?: Initializer
}

/**
 * conv(5, 32) - pool(2) - conv(5, 64) - pool(2) - fc(100) - fc(10), with ReLU after each convolution and the hidden
 * layer. The outputs are logits: softmax is part of the loss.
 */
export function convnet(options: ConvNetOptions = {}): Sequential {
  checkCount('convnet', 1, arguments)
  checkKeys('convnet', options, {
    input: 0,
    classes: 0,
    seed: 0,
    keepPacked: 0,
    weightInit: 0,
  } satisfies Names<ConvNetOptions>)
  const { input = [1, 28, 28], classes = 10, weightInit = 'he' } = options
  return new Sequential(
    [
      new Conv2d({ outChannels: 32, kernel: 5, weightInit }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Conv2d({ outChannels: 64, kernel: 5, weightInit }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Flatten(),
      new Linear({ outFeatures: 100, weightInit }),
      new ReLU(),
      new Linear({ outFeatures: classes, weightInit }),
      new Softmax({ inLoss: true }),
    ],
    { input, ...modelOptions(options) },
  )
}
