/**
 * VGG: blocks of small convolutions, each followed by pooling, and three fully connected layers.
 *
 * Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014, table 1.
 */
import { checkModel, checkSwitch, wrongKind } from '../runtime/check.js'
import { ReLU } from '../nn/activation.js'
import { Conv2d } from '../nn/conv.js'
import { Dropout } from '../nn/dropout.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import type { Layer } from '../nn/layer.js'
import { Flatten } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { BatchNorm2d, LocalResponseNorm } from '../nn/norm.js'
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pool.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { classifier, classifierOutputs } from './alexnet.js'
import { chain, checkVariant, modelOptions, refuseOptions, scaler, type ZooOptions, zooNames } from './options.js'
import { fanOut, gaussian, probabilities } from './torchvision.js'

/** Kernels of the convolutions of the five blocks. */
const configurations = {
  A: [[3], [3], [3, 3], [3, 3], [3, 3]],
  'A-LRN': [[3], [3], [3, 3], [3, 3], [3, 3]],
  B: [
    [3, 3],
    [3, 3],
    [3, 3],
    [3, 3],
    [3, 3],
  ],
  C: [
    [3, 3],
    [3, 3],
    [3, 3, 1],
    [3, 3, 1],
    [3, 3, 1],
  ],
  D: [
    [3, 3],
    [3, 3],
    [3, 3, 3],
    [3, 3, 3],
    [3, 3, 3],
  ],
  E: [
    [3, 3],
    [3, 3],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
  ],
} as const satisfies Record<string, readonly (readonly number[])[]>

/** Feature maps of the five blocks. */
const MAPS = [64, 128, 256, 512, 512] as const

/** A column of the paper's table 1. */
export type VggConfiguration = keyof typeof configurations

/** Options of `vgg`. */
export interface VggOptions extends ZooOptions {
  /** Column of the paper's table 1; default D, the network of 16 layers. */
  readonly configuration?: VggConfiguration
  /**
   * 'lecture' (default): as in the paper, for images of one size. 'torchvision': with torchvision's names (`features.0`, …,
   * `classifier.6`), for any size from 32 × 32 on, because the last maps are averaged to 7 × 7. Configurations A, B, D and E are its
   * `vgg11`, `vgg13`, `vgg16` and `vgg19`.
   */
  readonly variant?: 'lecture' | 'torchvision'
  /** Of torchvision's variant: whether batch normalization follows each convolution, as in `vgg16_bn`. Default false. */
  readonly batchNorm?: boolean
}

/**
 * VGG with torchvision's names and numbers: `features` and `classifier` number convolutions, normalizations, rectifiers, poolings
 * and dropout alike. Convolutions are He's by fan-out, fully connected layers normal with a deviation of 0.01.
 */
function torchvisionVgg(configuration: VggConfiguration, options: VggOptions): Graph {
  if (configuration === 'C' || configuration === 'A-LRN') {
    throw wrongKind(`vgg: configuration of variant 'torchvision'`, 'one of A, B, D, E', configuration)
  }
  const { input = [3, 224, 224], classes = 1000, width, batchNorm = false, weightInit } = options
  checkSwitch(batchNorm, 'vgg: batchNorm')
  const of = scaler(width)
  const features = configurations[configuration].flatMap((kernels, block): Layer[] => {
    const outChannels = of(MAPS[block] as number)
    const init = { weightInit: weightInit ?? fanOut(outChannels, 3) }
    const layers = kernels.flatMap((kernel) => [
      new Conv2d({ outChannels, kernel, padding: 1, ...init }),
      ...(batchNorm ? [new BatchNorm2d()] : []),
      new ReLU(),
    ])
    return [...layers, new MaxPool2d({ kernel: 2 })]
  })
  const units = (outFeatures: number): Linear => new Linear({ outFeatures, weightInit: weightInit ?? gaussian(0.01) })
  const hidden = (): Layer[] => [units(of(4096)), new ReLU(), new Dropout()]
  const numbered = (name: string, layers: readonly Layer[]): NodeOptions[] =>
    layers.map((layer, place) => ({ name: `${name}.${place}`, layer }))
  const nodes = [
    ...numbered('features', features),
    ...chain({ avgpool: new AdaptiveAvgPool2d({ outputSize: 7 }), flatten: new Flatten() }),
    ...numbered('classifier', [...hidden(), ...hidden(), units(classes)]),
    ...probabilities(),
  ]
  return new Graph(nodes, { ...modelOptions(options), inputs: { input }, outputs: ['classifier.6', 'softmax'] })
}

/**
 * VGG in one of the paper's configurations, for (3, 224, 224). Its convolutions are called conv1_1, conv1_2, … as there.
 * Weights are He's; `initializeFromA` starts a deep one as the paper does. Outputs: `fc8`, the logits, and `softmax`; of
 * torchvision's variant `classifier.6` and `softmax`.
 *
 *     const model = vgg({ configuration: 'D', variant: 'torchvision', batchNorm: true })
 *     loadStateDict(model, await readFile('vgg16_bn.safetensors'))
 *
 * @throws ShapeError when an option is none that there is, or none of the variant
 */
export function vgg(options: VggOptions = {}): Graph {
  checkCount('vgg', 1, arguments)
  checkKeys('vgg', options, zooNames, { configuration: 0, variant: 0, batchNorm: 0 } satisfies Names<
    Omit<VggOptions, keyof ZooOptions>
  >)
  const { input = [3, 224, 224], classes = 1000, width, configuration = 'D', weightInit = 'he' } = options
  if (!Object.hasOwn(configurations, configuration)) {
    throw wrongKind('vgg: configuration', `one of ${Object.keys(configurations).join(', ')}`, configuration)
  }
  const { variant = 'lecture' } = options
  checkVariant('vgg', variant, ['lecture', 'torchvision'])
  if (variant === 'torchvision') return torchvisionVgg(configuration, options)
  refuseOptions('vgg', variant, options, ['batchNorm'])
  const of = scaler(width)
  const features = configurations[configuration].flatMap((kernels, block): NodeOptions[] => {
    const layers = kernels.flatMap((kernel, place): NodeOptions[] => {
      const outChannels = of(MAPS[block] as number)
      const padding = kernel === 3 ? { padding: 1 } : {}
      const name = `${block + 1}_${place + 1}`
      return [
        { name: `conv${name}`, layer: new Conv2d({ outChannels, kernel, ...padding, weightInit }) },
        { name: `relu${name}`, layer: new ReLU() },
      ]
    })
    if (configuration === 'A-LRN' && block === 0) {
      const layer = new LocalResponseNorm({ size: 5, alpha: 1e-4, beta: 0.75, k: 2, normalize: 'none' })
      layers.push({ name: 'norm1', layer })
    }
    return [...layers, { name: `pool${block + 1}`, layer: new MaxPool2d({ kernel: 2 }) }]
  })
  const head = classifier({ hidden: of(4096), classes, weightInit: () => weightInit })
  return new Graph([...features, ...head], { ...modelOptions(options), inputs: { input }, outputs: classifierOutputs })
}

/** The first four convolutions and the fully connected layers. */
const FROM_A = ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8']

/**
 * Starts a deep VGG from a trained configuration A: its first four convolutions and its fully connected layers are copied,
 * the others stay as they were drawn (section 3.1). Gives the names of the weights that were copied.
 */
export function initializeFromA(model: Graph, trained: Graph): string[] {
  checkCount('initializeFromA', 2, arguments)
  checkModel(model, 'initializeFromA: the model')
  return model.copyFrom(trained, (name) => FROM_A.includes(name.slice(0, name.lastIndexOf('.'))))
}
