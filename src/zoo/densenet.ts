/**
 * DenseNet: each layer of a block reads the maps of all layers before it.
 *
 * Huang, Liu, van der Maaten & Weinberger, "Densely connected convolutional networks", 2016, table 1. Layers have torchvision's
 * names.
 */
import { ReLU } from '../nn/activation.js'
import { Conv2d } from '../nn/conv.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import { Concat } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { BatchNorm2d } from '../nn/norm.js'
import { AvgPool2d, MaxPool2d } from '../nn/pool.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { chain, modelOptions, scaler, type ZooOptions, zooNames } from './options.js'
import { inBlock, normalized, pooledFeatures, probabilities, rectified, withinFanIn } from './torchvision.js'

/** Layers of the four blocks. */
const LAYERS = [6, 12, 24, 16]
/** Maps that each layer adds, maps of the first convolution, and maps between the two convolutions of a layer for each that it adds. */
const GROWTH = 32
const FIRST = 64
const NARROW = 4

/**
 * DenseNet-121, for (3, 224, 224) and other sizes, with torchvision's names and numbers. Outputs: `classifier`, the logits, and
 * `softmax`. Weights are He's, as torchvision draws them.
 *
 *     loadStateDict(densenet121(), await readFile('densenet121.safetensors'))
 *
 * @throws ShapeError when an option is none that there is, or the image is too small
 */
export function densenet121(options: ZooOptions = {}): Graph {
  checkCount('densenet121', 1, arguments)
  checkKeys('densenet121', options, zooNames)
  const { input = [3, 224, 224], classes = 1000, width, weightInit = 'he' } = options
  const of = scaler(width)
  const growth = of(GROWTH)
  const conv = (outChannels: number, kernel: 1 | 3): Conv2d =>
    new Conv2d({ outChannels, kernel, ...(kernel === 3 ? { padding: 1 } : {}), bias: false, weightInit })
  const blocks: Record<string, string> = {}
  const nodes: NodeOptions[] = [
    ...normalized({
      ...{ conv: 'features.conv0', norm: 'features.norm0', outChannels: of(FIRST), kernel: 7, weightInit },
      options: { stride: 2 },
    }),
    rectified('features.relu0'),
    { name: 'features.pool0', layer: new MaxPool2d({ kernel: 3, stride: 2, padding: 1 }) },
  ]
  let maps = of(FIRST)
  let last = 'features.pool0'
  for (const [index, count] of LAYERS.entries()) {
    const block = `features.denseblock${index + 1}`
    for (let place = 1; place <= count; place++) {
      const id = `${block}.denselayer${place}`
      blocks[id] = `dense(${growth})`
      const layer: NodeOptions[] = [
        { name: `${id}.norm1`, inputs: last, layer: new BatchNorm2d() },
        rectified(`${id}.relu1`),
        { name: `${id}.conv1`, layer: conv(NARROW * growth, 1) },
        { name: `${id}.norm2`, layer: new BatchNorm2d() },
        rectified(`${id}.relu2`),
        { name: `${id}.conv2`, layer: conv(growth, 3) },
        { name: id, inputs: [last, `${id}.conv2`], layer: new Concat() },
      ]
      nodes.push(...inBlock(id, layer))
      last = id
      maps += growth
    }
    if (index === LAYERS.length - 1) break
    const id = `features.transition${index + 1}`
    maps = Math.floor(maps / 2)
    nodes.push(
      ...chain({
        [`${id}.norm`]: new BatchNorm2d(),
        [`${id}.relu`]: new ReLU(),
        [`${id}.conv`]: conv(maps, 1),
        [`${id}.pool`]: new AvgPool2d({ kernel: 2 }),
      }),
    )
    last = `${id}.pool`
  }
  const head = new Linear({ outFeatures: classes, weightInit: options.weightInit ?? withinFanIn(maps) })
  nodes.push(
    { name: 'features.norm5', layer: new BatchNorm2d() },
    rectified('features.relu5'),
    ...pooledFeatures(),
    { name: 'classifier', layer: head },
    ...probabilities(),
  )
  return new Graph(nodes, { ...modelOptions(options), inputs: { input }, outputs: ['classifier', 'softmax'], blocks })
}
