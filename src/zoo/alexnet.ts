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
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pool.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import {
  chain,
  checkVariant,
  imageShape,
  modelOptions,
  refuseOptions,
  scaler,
  type ZooOptions,
  zooNames,
} from './options.js'
import { gaussian, linearUnits, probabilities, withinFanIn } from './torchvision.js'

export interface AlexNetOptions extends ZooOptions {
  /**
   * 'lecture' (default): the network of 2012, as `groups` and `order` say. 'torchvision': that of "One weird trick for
   * parallelizing convolutional neural networks" (Krizhevsky, 2014), of fewer maps and without normalization, with
   * torchvision's names (`features.0`, …, `classifier.6`), for any size from 63 × 63 on.
   */
  readonly variant?: 'lecture' | 'torchvision'
  /** Into how many groups conv2, conv4 and conv5 are divided: 2 as in the paper, or 1 (default) as in the lecture. */
  readonly groups?: 1 | 2
  /**
   * 'caffe' (default): pooling before normalization, whose alpha is divided by its size, k = 1, as the reference network
   * of Caffe. 'paper': normalization before pooling, k = 2.
   */
  readonly order?: 'caffe' | 'paper'
}

const constant = (value: number): Initializer => ({ name: 'constant', value })

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

/** Places in `features` of torchvision's convolutions, with their maps, kernels and the pooling behind. */
const TORCHVISION = [
  { place: 0, maps: 64, kernel: 11, stride: 4, padding: 2, pooled: true },
  { place: 3, maps: 192, kernel: 5, padding: 2, pooled: true },
  { place: 6, maps: 384, kernel: 3, padding: 1, pooled: false },
  { place: 8, maps: 256, kernel: 3, padding: 1, pooled: false },
  { place: 10, maps: 256, kernel: 3, padding: 1, pooled: true },
] as const

/** AlexNet with torchvision's names and numbers. Weights and biases are PyTorch's, uniform in ±1 / √fanIn. */
function torchvisionAlexnet(options: AlexNetOptions): Graph {
  refuseOptions('alexnet', 'torchvision', options, ['groups', 'order'])
  const { input = [3, 224, 224], classes = 1000, width, weightInit } = options
  const of = scaler(width)
  let [channels] = imageShape(input, 'alexnet')
  const features = TORCHVISION.flatMap(({ place, maps, pooled, ...window }) => {
    const within = withinFanIn(channels * window.kernel * window.kernel)
    channels = of(maps)
    const init = { weightInit: weightInit ?? within, biasInit: within }
    return chain({
      [`features.${place}`]: new Conv2d({ outChannels: channels, ...window, ...init }),
      [`features.${place + 1}`]: new ReLU(),
      ...(pooled ? { [`features.${place + 2}`]: new MaxPool2d({ kernel: 3, stride: 2 }) } : {}),
    })
  })
  const hidden = of(4096)
  const head = chain({
    avgpool: new AdaptiveAvgPool2d({ outputSize: 6 }),
    flatten: new Flatten(),
    'classifier.0': new Dropout(),
    'classifier.1': linearUnits(channels * 6 * 6, hidden, weightInit),
    'classifier.2': new ReLU(),
    'classifier.3': new Dropout(),
    'classifier.4': linearUnits(hidden, hidden, weightInit),
    'classifier.5': new ReLU(),
    'classifier.6': linearUnits(hidden, classes, weightInit),
  })
  return new Graph([...features, ...head, ...probabilities()], {
    ...modelOptions(options),
    inputs: { input },
    outputs: ['classifier.6', 'softmax'],
  })
}

/**
 * AlexNet: conv(11, 96, s4) - pool - norm - conv(5, 256) - pool - norm - conv(3, 384) - conv(3, 384) - conv(3, 256) - pool -
 * fc(4096) - fc(4096) - fc(1000), for (3, 227, 227). Outputs: `fc8`, the logits, and `softmax`; of torchvision's variant, for
 * (3, 224, 224), `classifier.6` and `softmax`.
 *
 *     loadStateDict(alexnet({ variant: 'torchvision' }), await readFile('alexnet.safetensors'))
 *
 * @throws ShapeError when an option is none that there is, or none of the variant
 */
export function alexnet(options: AlexNetOptions = {}): Graph {
  checkCount('alexnet', 1, arguments)
  checkKeys('alexnet', options, zooNames, { variant: 0, groups: 0, order: 0 } satisfies Names<
    Omit<AlexNetOptions, keyof ZooOptions>
  >)
  const { variant = 'lecture' } = options
  checkVariant('alexnet', variant, ['lecture', 'torchvision'])
  if (variant === 'torchvision') return torchvisionAlexnet(options)
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
