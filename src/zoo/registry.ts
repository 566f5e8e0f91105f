/** Architectures: the functions that make them, and all of them by name. */
import { distance } from 'fastest-levenshtein'
import type { Graph } from '../nn/graph.js'
import { rbfLoss } from '../nn/rbf.js'
import { crossEntropy, type Labels } from '../ops/loss.js'
import { ArgumentError } from '../runtime/errors.js'
import { checkCount } from '../runtime/options.js'
import { inWords } from '../runtime/text.js'
import type { Tensor } from '../tensor/tensor.js'
import { alexnet, zfnet } from './alexnet.js'
import { convnet } from './convnet.js'
import { densenet121 } from './densenet.js'
import { googlenet } from './googlenet.js'
import { labelling } from './labelling.js'
import { lenet5 } from './lenet5.js'
import { linearClassifier } from './linear.js'
import { mobilenetV2 } from './mobilenet.js'
import { nin } from './nin.js'
import { singleLayerClassifier } from './singleLayer.js'
import type { ZooOptions } from './options.js'
import { resnet18, resnet20, resnet34, resnet50 } from './resnet.js'
import { squeezenet1_1 } from './squeezenet.js'
import { twoLayerClassifier } from './twoLayer.js'
import { unet } from './unet.js'
import { vgg, type VggConfiguration } from './vgg.js'

export { alexnet, zfnet, type AlexNetOptions, type ZFNetOptions } from './alexnet.js'
export * from './convnet.js'
export * from './densenet.js'
export * from './googlenet.js'
export * from './labelling.js'
export * from './lenet5.js'
export * from './linear.js'
export * from './singleLayer.js'
export * from './mobilenet.js'
export * from './nin.js'
export * from './resnet.js'
export * from './squeezenet.js'
export * from './twoLayer.js'
export * from './unet.js'
export * from './vgg.js'

/** A network that the command knows by name. */
export interface Architecture {
  /** One line for people. */
  readonly about: string
  /** Makes it. */
  make(options?: ZooOptions): Graph
  /** What it is trained by, of its outputs and the labels. Default: crossEntropy. */
  readonly loss?: (outputs: Tensor, labels: Labels) => Tensor
  /** What has a label: a whole picture, or each of its pixels. Default: 'pictures'. */
  readonly labels?: 'pictures' | 'pixels'
}

/** Makes a VGG of torchvision's. */
const torchvisionVgg =
  (configuration: VggConfiguration, batchNorm = false) =>
  (options?: ZooOptions): Graph =>
    vgg({ ...options, configuration, variant: 'torchvision', batchNorm })

const networks = {
  linear: { about: 'a linear classifier', make: linearClassifier },
  'two-layer': { about: 'a classifier with one hidden layer', make: twoLayerClassifier },
  convnet: { about: 'the lecture’s ConvNet, for MNIST unless told otherwise', make: convnet },
  'convnet-mnist': { about: 'the lecture’s ConvNet for MNIST', make: convnet },
  'convnet-cifar10': {
    about: 'the lecture’s ConvNet for CIFAR-10',
    make: (options) => convnet({ input: [3, 32, 32], ...options }),
  },
  'single-layer': {
    about: 'one layer of filters under a linear classifier, for features without labels',
    make: singleLayerClassifier,
  },
  lenet5: { about: 'LeNet-5 as in the lecture', make: lenet5, loss: rbfLoss },
  'lenet5-paper': {
    about: 'LeNet-5 with trained subsampling, C3’s connections and fixed codes',
    make: (options) => lenet5({ ...options, variant: 'paper' }),
    loss: rbfLoss,
  },
  alexnet: { about: 'AlexNet, pooling before normalization, without groups', make: alexnet },
  caffenet: { about: 'AlexNet as in Caffe, in two groups', make: (options) => alexnet({ ...options, groups: 2 }) },
  'alexnet-paper': {
    about: 'AlexNet as in the paper, in two groups, normalization before pooling',
    make: (options) => alexnet({ ...options, groups: 2, order: 'paper' }),
  },
  zfnet: { about: 'ZFNet, the larger network of section 4.3', make: zfnet },
  'zfnet-paper': {
    about: 'ZFNet with 384, 384 and 256 maps',
    make: (options) => zfnet({ ...options, maps: [384, 384, 256] }),
  },
  'vgg-a': { about: 'VGG A, 11 layers', make: (options) => vgg({ ...options, configuration: 'A' }) },
  'vgg-a-lrn': {
    about: 'VGG A with local response normalization',
    make: (options) => vgg({ ...options, configuration: 'A-LRN' }),
  },
  'vgg-b': { about: 'VGG B, 13 layers', make: (options) => vgg({ ...options, configuration: 'B' }) },
  'vgg-c': { about: 'VGG C, 16 layers, three of 1×1', make: (options) => vgg({ ...options, configuration: 'C' }) },
  vgg16: { about: 'VGG D, 16 layers', make: (options) => vgg({ ...options, configuration: 'D' }) },
  vgg19: { about: 'VGG E, 19 layers', make: (options) => vgg({ ...options, configuration: 'E' }) },
  nin: { about: 'Network in Network for ImageNet', make: nin },
  'nin-cifar10': {
    about: 'Network in Network for CIFAR-10',
    make: (options) => nin({ ...options, variant: 'cifar10' }),
  },
  googlenet: { about: 'GoogLeNet as in the lecture, with auxiliary classifiers in training', make: googlenet },
  'googlenet-paper': {
    about: 'GoogLeNet with local response normalization',
    make: (options) => googlenet({ ...options, normalize: true }),
  },
  'alexnet-torchvision': {
    about: 'AlexNet with torchvision’s names, of fewer maps and without normalization',
    make: (options) => alexnet({ ...options, variant: 'torchvision' }),
  },
  'vgg11-torchvision': { about: 'VGG A with torchvision’s names', make: torchvisionVgg('A') },
  'vgg13-torchvision': { about: 'VGG B with torchvision’s names', make: torchvisionVgg('B') },
  'vgg16-torchvision': { about: 'VGG D with torchvision’s names', make: torchvisionVgg('D') },
  'vgg19-torchvision': { about: 'VGG E with torchvision’s names', make: torchvisionVgg('E') },
  'vgg11-bn': { about: 'VGG A with batch normalization, torchvision’s', make: torchvisionVgg('A', true) },
  'vgg13-bn': { about: 'VGG B with batch normalization, torchvision’s', make: torchvisionVgg('B', true) },
  'vgg16-bn': { about: 'VGG D with batch normalization, torchvision’s', make: torchvisionVgg('D', true) },
  'vgg19-bn': { about: 'VGG E with batch normalization, torchvision’s', make: torchvisionVgg('E', true) },
  'googlenet-torchvision': {
    about: 'GoogLeNet with torchvision’s names and batch normalization',
    make: (options) => googlenet({ ...options, variant: 'torchvision' }),
  },
  resnet18: { about: 'ResNet-18, torchvision’s', make: resnet18 },
  resnet34: { about: 'ResNet-34, torchvision’s', make: resnet34 },
  resnet50: { about: 'ResNet-50, torchvision’s, of bottlenecks', make: resnet50 },
  resnet20: { about: 'ResNet-20 for CIFAR-10', make: resnet20 },
  labelling: { about: 'a plain network that labels every pixel, without pooling', make: labelling, labels: 'pixels' },
  'labelling-coarse': {
    about: 'the same with pooling: one label for 4 × 4 pixels',
    make: (options) => labelling({ ...options, pooling: 'coarse' }),
    labels: 'pixels',
  },
  'labelling-unit': {
    about: 'the same with pooling of stride one',
    make: (options) => labelling({ ...options, pooling: 'unit' }),
    labels: 'pixels',
  },
  unet: { about: 'a small U-Net, which labels every pixel', make: unet, labels: 'pixels' },
  'mobilenet-v2': { about: 'MobileNetV2, torchvision’s', make: mobilenetV2 },
  squeezenet1_1: { about: 'SqueezeNet 1.1, torchvision’s', make: squeezenet1_1 },
  densenet121: { about: 'DenseNet-121, torchvision’s', make: densenet121 },
} satisfies Record<string, Architecture>

/** Names of the architectures. */
export type ArchitectureName = keyof typeof networks

/** A name that is spelt out must be one of these; of one that is computed the compiler knows nothing. */
export type KnownName<Name extends string> = Name extends ArchitectureName
  ? Name
  : string extends Name
    ? Name
    : ArchitectureName

/**
 * Every architecture of the zoo. Plain names are the networks of the lecture's tables; those of papers that differ are beside
 * them.
 */
export const architectures: Readonly<Record<ArchitectureName, Architecture>> = networks

/** Differences in spelling up to which a name is offered: a third of it, two at least. */
const allowed = (name: string): number => Math.max(2, Math.floor(name.length / 3))

/** The names most like one that does not exist, nearest first. */
export function nearestNames(name: string): string[] {
  checkCount('nearestNames', 1, arguments)
  if (typeof name !== 'string') return []
  const lower = name.toLowerCase()
  return Object.keys(architectures)
    .map((known) => ({ known, far: distance(lower, known.startsWith(lower) ? lower : known) }))
    .filter(({ far }) => far <= allowed(name))
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ known }) => known)
}

/** An architecture by name. @throws ShapeError that offers the nearest names, or all. */
export function architecture(name: string): Architecture {
  checkCount('architecture', 1, arguments)
  const found = Object.hasOwn(architectures, name) ? architectures[name as ArchitectureName] : undefined
  if (found) return found
  const near = nearestNames(name)
  const offer =
    near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there are ${Object.keys(architectures).join(', ')}`
  throw new ArgumentError(`zoo: there is no architecture ${inWords(name)}; ${offer}`)
}

/** A model by the name of its architecture. @throws ShapeError that offers the nearest names. */
export function createModel<Name extends string>(name: KnownName<Name>, options: ZooOptions = {}): Graph {
  checkCount('createModel', 2, arguments)
  return architecture(name).make(options)
}

/** The loss that an architecture is trained by. @throws ShapeError when there is none of the name. */
export function lossOf<Name extends string>(name: KnownName<Name>): NonNullable<Architecture['loss']> {
  checkCount('lossOf', 1, arguments)
  return architecture(name).loss ?? crossEntropy
}
