/**
 * AlexNet and ZFNet: five convolutions, three fully connected layers.
 *
 * Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", 2012.
 * Zeiler & Fergus, "Visualizing and understanding convolutional networks", 2014.
 */
import { checkList } from '../runtime/check.js'
import { ReLU, Softmax } from '../nn/activation.js'
import { Conv2d } from '../nn/conv.js'
import { Dropout } from '../nn/dropout.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { Flatten } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { LocalResponseNorm } from '../nn/norm.js'
import { MaxPool2d } from '../nn/pool.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { chain, modelOptions, scaler, type ZooOptions, zooNames } from './options.js'

export interface AlexNetOptions extends ZooOptions {
  /** Into how many groups conv2, conv4 and conv5 are divided: 2 as in the paper, or 1 (default) as in the lecture. */
  readonly groups?: 1 | 2
  /**
   * 'caffe' (default): pooling before normalization, whose alpha is divided by its size, k = 1, as the reference network
   * of Caffe. 'paper': normalization before pooling, k = 2.
   */
  readonly order?: 'caffe' | 'paper'
}

const constant = (value: number): Initializer => ({ name: 'constant', value })
const gaussian = (std: number): Initializer => ({ name: 'normal', std })

interface Head {
  /** Units of the two hidden layers. */
  readonly hidden: number
  readonly classes: number
  readonly weightInit: (layer: 'hidden' | 'output') => Initializer
  readonly hiddenBias?: Initializer
}

/** fc6 - fc7 - fc8, with ReLU and dropout of a half after the hidden ones, and probabilities beside the logits. */
export function classifier({ hidden, classes, weightInit, hiddenBias = 'zeros' }: Head): NodeOptions[] {
  const unit = (): Linear => new Linear({ outFeatures: hidden, weightInit: weightInit('hidden'), biasInit: hiddenBias })
  return chain({
    flatten: new Flatten(),
    fc6: unit(),
    relu6: new ReLU(),
    drop6: new Dropout(),
    fc7: unit(),
    relu7: new ReLU(),
    drop7: new Dropout(),
    fc8: new Linear({ outFeatures: classes, weightInit: weightInit('output') }),
    softmax: new Softmax(),
  })
}

/** Logits for losses; probabilities for who asks for them. */
export const classifierOutputs = ['fc8', 'softmax'] as const

/**
 * AlexNet: conv(11, 96, s4) - pool - norm - conv(5, 256) - pool - norm - conv(3, 384) - conv(3, 384) - conv(3, 256) - pool -
 * fc(4096) - fc(4096) - fc(1000), for (3, 227, 227). Outputs: `fc8`, the logits, and `softmax`.
 */
export function alexnet(options: AlexNetOptions = {}): Graph {
  checkCount('alexnet', 1, arguments)
  checkKeys('alexnet', options, zooNames, { groups: 0, order: 0 } satisfies Names<
    Omit<AlexNetOptions, keyof ZooOptions>
  >)
  const { input = [3, 227, 227], classes = 1000, width, groups = 1, order = 'caffe', weightInit } = options
  const of = scaler(width, groups)
  const paper = order === 'paper'
  const norm = (): LocalResponseNorm =>
    new LocalResponseNorm(
      paper
        ? { size: 5, alpha: 1e-4, beta: 0.75, k: 2, normalize: 'none' }
        : { size: 5, alpha: 1e-4, beta: 0.75, k: 1 },
    )
  const pool = (): MaxPool2d => new MaxPool2d({ kernel: 3, stride: 2 })
  // Ones, or tenths in Caffe's, give the rectifiers positive inputs in the early stages of learning.
  const positive = constant(paper ? 1 : 0.1)
  const init = { weightInit: weightInit ?? gaussian(0.01) }
  const grouped = groups === 1 ? {} : { groups }
  const reduce = (index: number): Record<string, NodeOptions['layer']> =>
    paper
      ? { [`norm${index}`]: norm(), [`pool${index}`]: pool() }
      : { [`pool${index}`]: pool(), [`norm${index}`]: norm() }
  const nodes = [
    ...chain({
      conv1: new Conv2d({ outChannels: of(96), kernel: 11, stride: 4, ...init }),
      relu1: new ReLU(),
      ...reduce(1),
      conv2: new Conv2d({ outChannels: of(256), kernel: 5, padding: 2, ...grouped, ...init, biasInit: positive }),
      relu2: new ReLU(),
      ...reduce(2),
      conv3: new Conv2d({ outChannels: of(384), kernel: 3, padding: 1, ...init }),
      relu3: new ReLU(),
      conv4: new Conv2d({ outChannels: of(384), kernel: 3, padding: 1, ...grouped, ...init, biasInit: positive }),
      relu4: new ReLU(),
      conv5: new Conv2d({ outChannels: of(256), kernel: 3, padding: 1, ...grouped, ...init, biasInit: positive }),
      relu5: new ReLU(),
      pool5: pool(),
    }),
    ...classifier({
      hidden: of(4096),
      classes,
      weightInit: (layer) => weightInit ?? gaussian(paper || layer === 'output' ? 0.01 : 0.005),
      hiddenBias: positive,
    }),
  ]
  return new Graph(nodes, { ...modelOptions(options), inputs: { input }, outputs: classifierOutputs })
}

export interface ZFNetOptions extends ZooOptions {
  /** Feature maps of conv3, conv4 and conv5: by default the larger network of section 4.3; the paper's base has 384, 384, 256. */
  readonly maps?: readonly [conv3: number, conv4: number, conv5: number]
}

/**
 * ZFNet: AlexNet with conv(7, 96, s2) first and a stride of 2 in conv2, and with more maps, for (3, 224, 224). Outputs: `fc8`,
 * the logits, and `softmax`.
 */
export function zfnet(options: ZFNetOptions = {}): Graph {
  checkCount('zfnet', 1, arguments)
  checkKeys('zfnet', options, zooNames, { maps: 0 } satisfies Names<Omit<ZFNetOptions, keyof ZooOptions>>)
  const { input = [3, 224, 224], classes = 1000, width, maps = [512, 1024, 512], weightInit = gaussian(0.01) } = options
  checkList(maps, 'zfnet: maps', 'three numbers of maps')
  const of = scaler(width)
  const norm = (): LocalResponseNorm => new LocalResponseNorm({ size: 5, alpha: 1e-4, beta: 0.75, k: 1 })
  const narrow = (outChannels: number): Conv2d =>
    new Conv2d({ outChannels: of(outChannels), kernel: 3, padding: 1, weightInit })
  const nodes = [
    ...chain({
      conv1: new Conv2d({ outChannels: of(96), kernel: 7, stride: 2, padding: 1, weightInit }),
      relu1: new ReLU(),
      pool1: new MaxPool2d({ kernel: 3, stride: 2, padding: 1 }),
      norm1: norm(),
      conv2: new Conv2d({ outChannels: of(256), kernel: 5, stride: 2, weightInit }),
      relu2: new ReLU(),
      pool2: new MaxPool2d({ kernel: 3, stride: 2, padding: 1 }),
      norm2: norm(),
      conv3: narrow(maps[0]),
      relu3: new ReLU(),
      conv4: narrow(maps[1]),
      relu4: new ReLU(),
      conv5: narrow(maps[2]),
      relu5: new ReLU(),
      pool5: new MaxPool2d({ kernel: 3, stride: 2 }),
    }),
    ...classifier({ hidden: of(4096), classes, weightInit: () => weightInit }),
  ]
  return new Graph(nodes, { ...modelOptions(options), inputs: { input }, outputs: classifierOutputs })
}
