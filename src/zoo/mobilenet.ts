/**
 * MobileNetV2: inverted residual blocks, which widen the maps by 1×1, filter each one by itself, and narrow them again.
 *
 * Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: inverted residuals and linear bottlenecks", 2018, table 2. Layers have
 * torchvision's names.
 */
import { ReLU6 } from '../nn/activation.js'
import { Dropout } from '../nn/dropout.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import { Add } from '../nn/layout.js'
import { Linear } from '../nn/linear.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { modelOptions, scaler, type ZooOptions, zooNames } from './options.js'
import { gaussian, inBlock, normalized, pooledFeatures, probabilities } from './torchvision.js'

/** Table 2: by what the maps are widened, how many leave each block, how many blocks there are, and the stride of the first. */
const STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const

const FIRST = 32
const LAST = 1280
/** Numbers of maps are multiples of this, for kernels that take several at once. */
const MULTIPLE = 8

/** Scaled by `width`, to the nearest multiple of 8 that is not under nine tenths of it, as the authors' code rounds. */
function rounding(width: number | undefined): (maps: number) => number {
  const scaled = scaler(width, MULTIPLE)
  return (maps) => {
    const nearest = scaled(maps)
    return nearest < 0.9 * maps * (width ?? 1) ? nearest + MULTIPLE : nearest
  }
}

/**
 * MobileNetV2, for (3, 224, 224) and other sizes, with torchvision's names and numbers. `width` is the paper's multiplier: maps
 * are rounded to multiples of 8, and the last 1280 become more for a width above 1, never fewer. Outputs: `classifier.1`, the
 * logits, and `softmax`. Weights of convolutions are He's by fan-out, as torchvision draws them.
 *
 *     loadStateDict(mobilenetV2(), await readFile('mobilenet_v2.safetensors'))
 *
 * @throws ShapeError when an option is none that there is
 */
export function mobilenetV2(options: ZooOptions = {}): Graph {
  checkCount('mobilenetV2', 1, arguments)
  checkKeys('mobilenetV2', options, zooNames)
  const { input = [3, 224, 224], classes = 1000, width, weightInit } = options
  const of = rounding(width)
  const blocks: Record<string, string> = {}
  /** Convolution, normalization and rectifier, called `id.0`, `id.1` and `id.2`. */
  const unit = (id: string, outChannels: number, kernel: number, more: { stride?: number; groups?: number } = {}) => [
    ...normalized({ conv: `${id}.0`, norm: `${id}.1`, outChannels, kernel, options: more, weightInit }),
    { name: `${id}.2`, layer: new ReLU6() },
  ]
  const nodes: NodeOptions[] = [...unit('features.0', of(FIRST), 3, { stride: 2 })]
  let before = of(FIRST)
  let last = 'features.0.2'
  let index = 1
  for (const [expansion, maps, count, firstStride] of STAGES) {
    for (let place = 0; place < count; place++) {
      const id = `features.${index}`
      const after = of(maps)
      const wide = before * expansion
      const stride = place === 0 ? firstStride : 1
      const units = [
        ...(expansion === 1 ? [] : unit(`${id}.conv.0`, wide, 1)),
        ...unit(`${id}.conv.${expansion === 1 ? 0 : 1}`, wide, 3, { stride, groups: wide }),
      ]
      const end = expansion === 1 ? 1 : 2
      const [conv, norm] = [`${id}.conv.${end}`, `${id}.conv.${end + 1}`]
      const narrow = normalized({ conv, norm, outChannels: after, kernel: 1, weightInit })
      const sum = stride === 1 && before === after ? [{ name: id, inputs: [last, norm], layer: new Add() }] : []
      blocks[id] = `inverted(${wide}, ${after}${stride === 1 ? '' : `, s${stride}`})`
      nodes.push(...inBlock(id, [...units, ...narrow, ...sum]))
      last = sum.length > 0 ? id : norm
      before = after
      index++
    }
  }
  const features = Math.max(LAST, of(LAST))
  nodes.push(
    ...unit(`features.${index}`, features, 1),
    ...pooledFeatures(),
    { name: 'classifier.0', layer: new Dropout({ p: 0.2 }) },
    { name: 'classifier.1', layer: new Linear({ outFeatures: classes, weightInit: weightInit ?? gaussian(0.01) }) },
    ...probabilities(),
  )
  return new Graph(nodes, { ...modelOptions(options), inputs: { input }, outputs: ['classifier.1', 'softmax'], blocks })
}
