/**
 * What the networks have in common whose layers are called as in torchvision, so that state dicts of PyTorch fit: nodes with
 * normalization, and the distributions from which PyTorch draws weights.
 */
import { ReLU, Softmax } from '../nn/activation.js'
import { Conv2d, type Conv2dOptions } from '../nn/conv.js'
import type { NodeOptions } from '../nn/graph.js'
import type { Initializer } from '../nn/initialize.js'
import { Flatten } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { BatchNorm2d, type BatchNorm2dOptions } from '../nn/norm.js'
import { GlobalAvgPool } from '../nn/pool.js'
import { chain } from './options.js'

/** A normal distribution of mean 0. */
export const gaussian = (std: number): Initializer => ({ name: 'normal', std })

/** He's distribution by fan-out, for outChannels maps and a square kernel: torchvision's for convolutions before normalization. */
export const fanOut = (outChannels: number, kernel: number): Initializer =>
  gaussian(Math.sqrt(2 / (outChannels * kernel * kernel)))

/** What PyTorch draws weights and biases from unless it is told otherwise: uniform in ±1 / √fanIn. */
export const withinFanIn = (fanIn: number): Initializer => {
  const bound = 1 / Math.sqrt(fanIn)
  return { name: 'uniform', low: -bound, high: bound }
}

/** A fully connected layer as PyTorch initializes it; `weightInit` of the caller replaces the distribution of its weights. */
export function linearUnits(inFeatures: number, outFeatures: number, weightInit?: Initializer): Linear {
  const within = withinFanIn(inFeatures)
  return new Linear({ outFeatures, weightInit: weightInit ?? within, biasInit: within })
}

/** A convolution and the normalization of its maps. */
interface Normalized {
  /** Names of the two nodes. */
  readonly conv: string
  readonly norm: string
  /** The node that the convolution reads; left out, the one before. */
  readonly inputs?: string
  readonly outChannels: number
  readonly kernel: number
  /** Stride and groups. The padding keeps the extents at a stride of 1. */
  readonly options?: Pick<Conv2dOptions, 'stride' | 'groups'>
  readonly normOptions?: BatchNorm2dOptions
  /** Default: He's by fan-out. */
  readonly weightInit?: Initializer | undefined
}

/** A convolution without bias, padded to keep its extents, and batch normalization. */
export function normalized({
  conv,
  norm,
  inputs,
  outChannels,
  kernel,
  options = {},
  normOptions = {},
  weightInit = fanOut(outChannels, kernel),
}: Normalized): NodeOptions[] {
  const padding = kernel === 1 ? {} : { padding: (kernel - 1) / 2 }
  const layer = new Conv2d({ outChannels, kernel, ...options, ...padding, bias: false, weightInit })
  return [
    { name: conv, layer, ...(inputs === undefined ? {} : { inputs }) },
    { name: norm, layer: new BatchNorm2d(normOptions) },
  ]
}

/** A rectifier. */
export const rectified = (name: string): NodeOptions => ({ name, layer: new ReLU() })

/** The same nodes as one block of a summary. */
export const inBlock = (block: string, nodes: readonly NodeOptions[]): NodeOptions[] =>
  nodes.map((node) => ({ ...node, block }))

/** The means of all maps as features, for images of any size. */
export const pooledFeatures = (): NodeOptions[] => chain({ avgpool: new GlobalAvgPool(), flatten: new Flatten() })

/** Probabilities beside the logits, and the outputs of a network whose logits `name` gives. */
export const probabilities = (): NodeOptions[] => chain({ softmax: new Softmax() })
