/**
 * Residual networks: blocks of convolutions whose outputs are added to their inputs.
 *
 * He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2015: table 1 for ImageNet, section 4.2 for CIFAR-10.
 * Layers have torchvision's names (`conv1`, `bn1`, `layer1.0.conv1`, `layer2.0.downsample.0`, `fc`). As in torchvision the
 * stride of a bottleneck stands in its convolution of 3×3, not in the first one of 1×1.
 */
import { Graph, type NodeOptions } from '../nn/graph.js'
import { Add } from '../nn/layout.js'
import { MaxPool2d } from '../nn/pool.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { modelOptions, scaler, type ZooOptions, zooNames } from './options.js'
import { inBlock, linearUnits, normalized, pooledFeatures, probabilities, rectified } from './torchvision.js'

/** What sets one residual network apart from the others. */
interface Plan {
  readonly name: string
  /** Blocks of each stage. Each stage but the first halves the extents. */
  readonly blocks: readonly number[]
  /** Maps of the first stage; each further one has twice as many. */
  readonly maps: number
  /** Whether blocks are bottlenecks: 1×1, 3×3, and 1×1 to four times the maps. */
  readonly bottleneck: boolean
  /** Whether the network begins with a convolution of 7×7 at a stride of 2 and pooling, as for ImageNet. */
  readonly stem: boolean
  /** (C, H, W) and classes that it was made for. */
  readonly input: readonly [C: number, H: number, W: number]
  readonly classes: number
}

/** Maps that a bottleneck gives for each of its narrow ones. */
const EXPANSION = 4

function residual(plan: Plan, options: ZooOptions): Graph {
  checkKeys(plan.name, options, zooNames)
  const { input = plan.input, classes = plan.classes, width, weightInit } = options
  const of = scaler(width)
  const init = { weightInit }
  const blocks: Record<string, string> = {}
  /** The nodes of one block. Its last node has the block's own name. */
  const block = (id: string, from: string, before: number, maps: number, stride: number): NodeOptions[] => {
    const after = plan.bottleneck ? EXPANSION * maps : maps
    const conv = (index: number, kernel: number, outChannels: number, inputs: string, step: number): NodeOptions[] =>
      normalized({
        ...{ conv: `${id}.conv${index}`, norm: `${id}.bn${index}`, inputs, outChannels, kernel, ...init },
        ...(step === 1 ? {} : { options: { stride: step } }),
      })
    const branch = plan.bottleneck
      ? [
          ...conv(1, 1, maps, from, 1),
          rectified(`${id}.relu1`),
          ...conv(2, 3, maps, `${id}.relu1`, stride),
          rectified(`${id}.relu2`),
          ...conv(3, 1, after, `${id}.relu2`, 1),
        ]
      : [...conv(1, 3, maps, from, stride), rectified(`${id}.relu1`), ...conv(2, 3, maps, `${id}.relu1`, 1)]
    const projected = stride !== 1 || before !== after
    const [shortcut, norm] = [`${id}.downsample.0`, `${id}.downsample.1`]
    const projection = projected
      ? normalized({ conv: shortcut, norm, inputs: from, outChannels: after, kernel: 1, options: { stride }, ...init })
      : []
    blocks[id] =
      `${plan.bottleneck ? `bottleneck(${maps}, ${after}` : `residual(${maps}`}${stride === 1 ? '' : `, s${stride}`})`
    const sum = { name: `${id}.add`, inputs: [`${id}.bn${plan.bottleneck ? 3 : 2}`, projected ? norm : from] }
    return inBlock(id, [...branch, ...projection, { ...sum, layer: new Add() }, rectified(id)])
  }
  const first = of(plan.maps)
  const nodes: NodeOptions[] = [
    ...normalized({
      ...{ conv: 'conv1', norm: 'bn1', outChannels: first, kernel: plan.stem ? 7 : 3, ...init },
      ...(plan.stem ? { options: { stride: 2 } } : {}),
    }),
    rectified('relu'),
    ...(plan.stem ? [{ name: 'maxpool', layer: new MaxPool2d({ kernel: 3, stride: 2, padding: 1 }) }] : []),
  ]
  let before = first
  let last = plan.stem ? 'maxpool' : 'relu'
  for (const [stage, count] of plan.blocks.entries()) {
    const maps = of(plan.maps << stage)
    for (let index = 0; index < count; index++) {
      const id = `layer${stage + 1}.${index}`
      nodes.push(...block(id, last, before, maps, index === 0 && stage > 0 ? 2 : 1))
      before = plan.bottleneck ? EXPANSION * maps : maps
      last = id
    }
  }
  nodes.push(...pooledFeatures(), { name: 'fc', layer: linearUnits(before, classes, weightInit) }, ...probabilities())
  return new Graph(nodes, { ...modelOptions(options), inputs: { input }, outputs: ['fc', 'softmax'], blocks })
}

const forImages = { maps: 64, stem: true, input: [3, 224, 224], classes: 1000 } as const

/**
 * ResNet-18, for (3, 224, 224) and larger or smaller images, with torchvision's names and numbers. Outputs: `fc`, the logits, and
 * `softmax`. Weights of convolutions are He's by fan-out, as torchvision draws them.
 *
 *     const model = resnet18()
 *     loadStateDict(model, await readFile('resnet18.safetensors'))
 *
 * @throws ShapeError when an option is none that there is, or the image is too small
 */
export function resnet18(options: ZooOptions = {}): Graph {
  checkCount('resnet18', 1, arguments)
  return residual({ name: 'resnet18', blocks: [2, 2, 2, 2], bottleneck: false, ...forImages }, options)
}

/** ResNet-34: as `resnet18`, with 3, 4, 6 and 3 blocks. @throws ShapeError as `resnet18` does */
export function resnet34(options: ZooOptions = {}): Graph {
  checkCount('resnet34', 1, arguments)
  return residual({ name: 'resnet34', blocks: [3, 4, 6, 3], bottleneck: false, ...forImages }, options)
}

/**
 * ResNet-50: as `resnet34`, of bottlenecks, whose stride stands in the convolution of 3×3 ("version 1.5").
 * @throws ShapeError as `resnet18` does
 */
export function resnet50(options: ZooOptions = {}): Graph {
  checkCount('resnet50', 1, arguments)
  return residual({ name: 'resnet50', blocks: [3, 4, 6, 3], bottleneck: true, ...forImages }, options)
}

/**
 * ResNet-20 for CIFAR-10, (3, 32, 32): a convolution of 3×3 and three stages of three blocks with 16, 32 and 64 maps. Where maps
 * grow in number the shortcut is a convolution of 1×1 with normalization (option B of the paper; it has option A here), as in
 * the weights that are published under the names `conv1`, `layer2.0.downsample.0`, `fc`. Outputs: `fc`, the logits, and `softmax`.
 * @throws ShapeError as `resnet18` does
 */
export function resnet20(options: ZooOptions = {}): Graph {
  checkCount('resnet20', 1, arguments)
  const plan = { maps: 16, stem: false, input: [3, 32, 32], classes: 10 } as const
  return residual({ name: 'resnet20', blocks: [3, 3, 3], bottleneck: false, ...plan }, options)
}
