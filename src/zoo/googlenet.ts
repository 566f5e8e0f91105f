/**
 * GoogLeNet: nine inception modules, each of four branches of different kernels whose feature maps are joined, and two
 * auxiliary classifiers that help training.
 *
 * Szegedy et al., "Going deeper with convolutions", 2014, table 1 and section 5.
 */
import { ReLU, Softmax } from '../nn/activation.js'
import { Conv2d, type Conv2dOptions } from '../nn/conv.js'
import { Dropout } from '../nn/dropout.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import { Concat, Flatten } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { LocalResponseNorm } from '../nn/norm.js'
import { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, type MaxPool2dOptions } from '../nn/pool.js'
import { checkWhole } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
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
import { gaussian, inBlock, normalized, pooledFeatures, probabilities, rectified } from './torchvision.js'

/** Options of `googlenet`. */
export interface GoogLeNetOptions extends ZooOptions {
  /**
   * 'lecture' (default): as in the paper, apart from `normalize`. 'torchvision': with torchvision's names (`conv1.conv`,
   * `inception3a.branch2.1.bn`, …, `fc`) and its differences: batch normalization behind each convolution, 3×3 in the place of 5×5,
   * partial last windows, for any size from 15 × 15 on.
   */
  readonly variant?: 'lecture' | 'torchvision'
  /** Whether training has the two auxiliary classifiers, their losses weighted by 0.3; default true. */
  readonly auxiliary?: boolean
  /**
   * Zeros on each side of the maps whose averages over 5 × 5, stride 3, each auxiliary classifier reads. Default 0, as in the
   * paper. The lecture's table has padding there: with 1 there are 4 × 4 averages of maps of 14 × 14, too, so that the weights
   * are as many, and the windows begin one pixel outside.
   */
  readonly auxiliaryPadding?: 0 | 1 | 2
  /**
   * true: local response normalization after the first pooling and before the second, and poolings whose last window is
   * partial, as in the paper. Default false: poolings with padding and no normalization, as in the lecture.
   */
  readonly normalize?: boolean
}

/** Feature maps of the branches: 1×1, 3×3 with its reduction, 5×5 with its reduction, and after pooling. */
type Inception = readonly [
  one: number,
  three: readonly [reduce: number, maps: number],
  five: readonly [reduce: number, maps: number],
  pool: number,
]

const modules: Readonly<Record<string, Inception>> = {
  '3a': [64, [96, 128], [16, 32], 32],
  '3b': [128, [128, 192], [32, 96], 64],
  '4a': [192, [96, 208], [16, 48], 64],
  '4b': [160, [112, 224], [24, 64], 64],
  '4c': [128, [128, 256], [24, 64], 64],
  '4d': [112, [144, 288], [32, 64], 64],
  '4e': [256, [160, 320], [32, 128], 128],
  '5a': [256, [160, 320], [32, 128], 128],
  '5b': [384, [192, 384], [48, 128], 128],
}

/** Modules after which the maps are halved, and those that an auxiliary classifier reads. */
const POOLED = ['3b', '4e']
const WATCHED = ['4a', '4d']
/** Share of each auxiliary loss in training. */
const AUXILIARY_WEIGHT = 0.3

/** What summaries call each module. */
const blocksOf = (of: (maps: number) => number, prefix = ''): Record<string, string> =>
  Object.fromEntries(
    Object.entries(modules).map(([id, [one, three, five, pool]]) => {
      const pair = (maps: readonly [number, number]): string => `(${maps.map(of).join(', ')})`
      return [`${prefix}${id}`, `inc(${of(one)}, ${pair(three)}, ${pair(five)}, ${of(pool)})`]
    }),
  )

/** GoogLeNet with torchvision's names and numbers. Weights are normal with a deviation of 0.01. */
function torchvisionGooglenet(options: GoogLeNetOptions): Graph {
  refuseOptions('googlenet', 'torchvision', options, ['normalize', 'auxiliaryPadding'])
  const { input = [3, 224, 224], classes = 1000, width, auxiliary = true, weightInit = gaussian(0.01) } = options
  const of = scaler(width)
  /** Convolution, normalization and rectifier; the last has the name of all. */
  const unit = (id: string, inputs: string, maps: number, kernel: number, stride = 1): NodeOptions[] => [
    ...normalized({
      ...{ conv: `${id}.conv`, norm: `${id}.bn`, inputs, outChannels: of(maps), kernel, weightInit },
      normOptions: { eps: 0.001 },
      ...(stride === 1 ? {} : { options: { stride } }),
    }),
    rectified(id),
  ]
  const halve = (name: string, kernel: number): NodeOptions => ({
    name,
    layer: new MaxPool2d({ kernel, stride: 2, ceil: true }),
  })
  const inception = (id: string, from: string, [one, three, five, pool]: Inception): NodeOptions[] =>
    inBlock(id, [
      ...unit(`${id}.branch1`, from, one, 1),
      ...unit(`${id}.branch2.0`, from, three[0], 1),
      ...unit(`${id}.branch2.1`, `${id}.branch2.0`, three[1], 3),
      ...unit(`${id}.branch3.0`, from, five[0], 1),
      ...unit(`${id}.branch3.1`, `${id}.branch3.0`, five[1], 3),
      {
        name: `${id}.branch4.0`,
        inputs: from,
        layer: new MaxPool2d({ kernel: 3, stride: 1, padding: 1, ceil: true }),
      },
      ...unit(`${id}.branch4.1`, `${id}.branch4.0`, pool, 1),
      { name: id, inputs: ['branch1', 'branch2.1', 'branch3.1', 'branch4.1'].map((end) => `${id}.${end}`), layer: new Concat() }, // prettier-ignore
    ])
  const units = (outFeatures: number): Linear => new Linear({ outFeatures, weightInit })
  const auxiliaryHead = (id: string, inputs: string): NodeOptions[] => [
    { name: `${id}.pool`, inputs, layer: new AdaptiveAvgPool2d({ outputSize: 4 }) },
    ...unit(`${id}.conv`, `${id}.pool`, 128, 1),
    ...chain({
      [`${id}.flatten`]: new Flatten(),
      [`${id}.fc1`]: units(of(1024)),
      [`${id}.relu`]: new ReLU(),
      [`${id}.dropout`]: new Dropout({ p: 0.7 }),
      [`${id}.fc2`]: units(classes),
    }),
  ]
  const nodes = [
    ...unit('conv1', 'input', 64, 7, 2),
    halve('maxpool1', 3),
    ...unit('conv2', 'maxpool1', 64, 1),
    ...unit('conv3', 'conv2', 192, 3),
    halve('maxpool2', 3),
  ]
  let last = 'maxpool2'
  for (const [id, maps] of Object.entries(modules)) {
    nodes.push(...inception(`inception${id}`, last, maps))
    last = `inception${id}`
    if (POOLED.includes(id)) {
      last = id === '3b' ? 'maxpool3' : 'maxpool4'
      nodes.push(halve(last, id === '3b' ? 3 : 2))
    }
  }
  nodes.push(
    ...pooledFeatures(),
    ...chain({ dropout: new Dropout({ p: 0.2 }), fc: units(classes) }),
    ...probabilities(),
  )
  if (auxiliary) WATCHED.forEach((id, index) => nodes.push(...auxiliaryHead(`aux${index + 1}`, `inception${id}`)))
  return new Graph(nodes, {
    ...modelOptions(options),
    inputs: { input },
    outputs: ['fc', 'softmax'],
    auxiliary: auxiliary ? { 'aux1.fc2': AUXILIARY_WEIGHT, 'aux2.fc2': AUXILIARY_WEIGHT } : {},
    blocks: blocksOf(of, 'inception'),
  })
}

/**
 * GoogLeNet, for (3, 224, 224). Outputs: `fc`, the logits, and `softmax`; in training also `aux1/fc2` and `aux2/fc2`, which are
 * `aux1.fc2` and `aux2.fc2` in torchvision's variant. Weights are Glorot's, or torchvision's.
 *
 *     loadStateDict(googlenet({ variant: 'torchvision' }), await readFile('googlenet.safetensors'))
 *
 * @throws ShapeError when an option is none that there is, or none of the variant
 */
export function googlenet(options: GoogLeNetOptions = {}): Graph {
  checkCount('googlenet', 1, arguments)
  checkKeys('googlenet', options, zooNames, {
    variant: 0,
    auxiliary: 0,
    auxiliaryPadding: 0,
    normalize: 0,
  } satisfies Names<Omit<GoogLeNetOptions, keyof ZooOptions>>)
  const { variant = 'lecture' } = options
  checkVariant('googlenet', variant, ['lecture', 'torchvision'])
  if (variant === 'torchvision') return torchvisionGooglenet(options)
  const { input = [3, 224, 224], classes = 1000, width, auxiliary = true, normalize = false } = options
  const { weightInit = 'glorot' } = options
  if (!auxiliary && options.auxiliaryPadding !== undefined)
    throw new ArgumentError(
      'googlenet: auxiliaryPadding is for auxiliary classifiers; leave it out, or give auxiliary: true',
    )
  const padding = checkWhole(options.auxiliaryPadding ?? 0, 'googlenet: auxiliaryPadding', 0, 2)
  const of = scaler(width)
  const conv = (name: string, inputs: string, outChannels: number, kernel: Partial<Conv2dOptions>): NodeOptions[] => [
    { name, inputs, layer: new Conv2d({ kernel: 1, ...kernel, outChannels: of(outChannels), weightInit }) },
    { name: `${name}/relu`, layer: new ReLU() },
  ]
  const halving: MaxPool2dOptions = { kernel: 3, stride: 2, ...(normalize ? { ceil: true } : { padding: 1 }) }
  const halve = (name: string): NodeOptions => ({ name, layer: new MaxPool2d(halving) })
  const norm = (name: string): NodeOptions[] =>
    normalize ? [{ name, layer: new LocalResponseNorm({ size: 5, alpha: 1e-4, beta: 0.75, k: 1 }) }] : []
  const inception = (id: string, from: string): NodeOptions[] => {
    const [one, three, five, pool] = modules[id] as Inception
    const branches = [
      ...conv(`${id}/1x1`, from, one, {}),
      ...conv(`${id}/3x3_reduce`, from, three[0], {}),
      ...conv(`${id}/3x3`, `${id}/3x3_reduce/relu`, three[1], { kernel: 3, padding: 1 }),
      ...conv(`${id}/5x5_reduce`, from, five[0], {}),
      ...conv(`${id}/5x5`, `${id}/5x5_reduce/relu`, five[1], { kernel: 5, padding: 2 }),
      { name: `${id}/pool`, inputs: from, layer: new MaxPool2d({ kernel: 3, stride: 1, padding: 1 }) },
      ...conv(`${id}/pool_proj`, `${id}/pool`, pool, {}),
    ]
    const ends = ['1x1', '3x3', '5x5', 'pool_proj'].map((branch) => `${id}/${branch}/relu`)
    return [...branches, { name: id, inputs: ends, layer: new Concat() }].map((node) => ({ ...node, block: id }))
  }
  // Maps after each halving of the image: 14 and 7 for 224.
  const [, H, W] = imageShape(input, 'googlenet')
  const extents = (factor: number): number[] => [H, W].map((extent) => Math.ceil(extent / factor))
  const auxiliaryHead = (name: string, from: string): NodeOptions[] => {
    const kernel = extents(16).map((extent) => Math.min(5, extent))
    const averages = new AvgPool2d({ kernel, stride: 3, ...(padding > 0 ? { padding } : {}) })
    const rest = chain({
      [`${name}/flatten`]: new Flatten(),
      [`${name}/fc1`]: new Linear({ outFeatures: of(1024), weightInit }),
      [`${name}/fc1/relu`]: new ReLU(),
      [`${name}/drop`]: new Dropout({ p: 0.7 }),
      [`${name}/fc2`]: new Linear({ outFeatures: classes, weightInit }),
    })
    return [
      { name: `${name}/pool`, inputs: from, layer: averages },
      ...conv(`${name}/conv`, `${name}/pool`, 128, {}),
      ...rest,
    ]
  }
  const nodes: NodeOptions[] = [
    ...conv('conv1', 'input', 64, { kernel: 7, padding: 3, stride: 2 }),
    halve('pool1'),
    ...norm('norm1'),
    ...conv('conv2_reduce', normalize ? 'norm1' : 'pool1', 64, {}),
    ...conv('conv2', 'conv2_reduce/relu', 192, { kernel: 3, padding: 1 }),
    ...norm('norm2'),
    halve('pool2'),
  ]
  let last = 'pool2'
  for (const id of Object.keys(modules)) {
    nodes.push(...inception(id, last))
    last = id
    if (POOLED.includes(id)) {
      last = `pool${id.slice(0, 1)}`
      nodes.push(halve(last))
    }
  }
  nodes.push(
    ...chain({
      gap: new AvgPool2d({ kernel: extents(32) }),
      drop: new Dropout({ p: 0.4 }),
      flatten: new Flatten(),
      fc: new Linear({ outFeatures: classes, weightInit }),
      softmax: new Softmax(),
    }),
  )
  // Heads come last, so that the weights of a network without them are the same.
  if (auxiliary) WATCHED.forEach((id, index) => nodes.push(...auxiliaryHead(`aux${index + 1}`, id)))
  return new Graph(nodes, {
    ...modelOptions(options),
    inputs: { input },
    outputs: ['fc', 'softmax'],
    auxiliary: auxiliary ? { 'aux1/fc2': AUXILIARY_WEIGHT, 'aux2/fc2': AUXILIARY_WEIGHT } : {},
    blocks: blocksOf(of),
  })
}
