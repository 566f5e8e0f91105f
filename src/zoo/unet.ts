/**
 * U-Net: a path that shrinks the maps to see far, a path that enlarges them again, and at every size the maps of the first beside
 * those of the second, so that places are not lost. (Ronneberger, Fischer & Brox, "U-Net: Convolutional Networks for Biomedical
 * Image Segmentation", 2015; smaller here, and with padding, so that scores are as large as the image.)
 */
import { ReLU } from '../nn/activation.js'
import { Conv2d, ConvTranspose2d } from '../nn/conv.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import { Concat } from '../nn/layout.js'
import { BatchNorm2d } from '../nn/norm.js'
import { MaxPool2d } from '../nn/pool.js'
import { checkWhole } from '../runtime/check.js'
import { ShapeError } from '../runtime/errors.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { showShape } from '../tensor/shape.js'
import { imageShape, modelOptions, scaler, zooNames, type ZooOptions } from './options.js'

/** Options of `unet`. */
export interface UNetOptions extends ZooOptions {
  /** How often the maps are halved; default 2. The paper's is 4. */
  readonly depth?: number
}

/** Maps at full size; they double whenever the extents are halved. */
const MAPS = 16

/** Halvings that maps of 2³¹ rows would allow. */
const MOST_DEPTH = 30

/**
 * A small U-Net: 16, 32 and 64 maps, two convolutions of 3 × 3 with batch normalization and ReLU at each size on the way down and on the way up, max pooling by 2,
 * transposed convolutions of 2 × 2, and scores by conv(1, classes): logits (classes, H, W).
 *
 *     unet({ input: [1, 40, 40], classes: 11 })
 *
 * @throws ShapeError when H and W cannot be halved so often, or an option is none that there is
 */
export function unet(options: UNetOptions = {}): Graph {
  checkCount('unet', 1, arguments)
  checkKeys('unet', options, zooNames, { depth: 0 } satisfies Names<Omit<UNetOptions, keyof ZooOptions>>)
  const { input = [1, 40, 40], classes = 11, width, weightInit = 'he' } = options
  const depth = checkWhole(options.depth ?? 2, 'unet: depth', 1, MOST_DEPTH)
  const factor = 1 << depth
  const [, H, W] = imageShape(input, 'unet')
  if (H % factor !== 0 || W % factor !== 0) {
    throw new ShapeError(
      `unet: height and width must be multiples of ${factor}, since the maps are halved ${depth} times, given ${showShape(input)}`,
    )
  }
  const of = scaler(width)
  const mapsOf = (level: number): number => of(MAPS * (1 << level))
  const block = (name: string, maps: number, first: string): NodeOptions[] =>
    [1, 2].flatMap((place) => [
      {
        name: `${name}.conv${place}`,
        inputs: place === 1 ? first : `${name}.relu1`,
        layer: new Conv2d({ outChannels: maps, kernel: 3, padding: 1, bias: false, weightInit }),
        block: name,
      },
      { name: `${name}.norm${place}`, layer: new BatchNorm2d(), block: name },
      { name: `${name}.relu${place}`, layer: new ReLU(), block: name },
    ])
  const nodes: NodeOptions[] = []
  for (let level = 0; level < depth; level++) {
    nodes.push(...block(`down${level + 1}`, mapsOf(level), level === 0 ? 'input' : `pool${level}`))
    nodes.push({ name: `pool${level + 1}`, layer: new MaxPool2d({ kernel: 2 }) })
  }
  nodes.push(...block('bottom', mapsOf(depth), `pool${depth}`))
  for (let level = depth - 1; level >= 0; level--) {
    const name = `up${level + 1}`
    nodes.push(
      {
        name: `${name}.enlarge`,
        layer: new ConvTranspose2d({ outChannels: mapsOf(level), kernel: 2, stride: 2, weightInit }),
      },
      { name: `${name}.concat`, inputs: [`down${level + 1}.relu2`, `${name}.enlarge`], layer: new Concat() },
      ...block(name, mapsOf(level), `${name}.concat`),
    )
  }
  nodes.push({ name: 'scores', layer: new Conv2d({ outChannels: classes, kernel: 1, weightInit }) })
  return new Graph(nodes, { inputs: { input }, outputs: ['scores'], ...modelOptions(options) })
}
