/**
 * SqueezeNet: fire modules, which squeeze the maps by 1×1 before they expand them by 1×1 and by 3×3.
 *
 * Iandola, Han, Moskewicz, Ashraf, Dally & Keutzer, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
 * size", 2016; version 1.1 is the authors' later one, of 2.4 times less work. Layers have torchvision's names.
 */
import { Conv2d } from '../nn/conv.js'
import { Dropout } from '../nn/dropout.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import { Concat, Flatten } from '../nn/layout.js'
import { GlobalAvgPool, MaxPool2d } from '../nn/pool.js'
import { checkCount, checkKeys } from '../runtime/options.js'
import { chain, modelOptions, scaler, type ZooOptions, zooNames } from './options.js'
import { gaussian, inBlock, probabilities, rectified } from './torchvision.js'

/** Maps of a fire module by its place in `features`: squeezed, and expanded by either kernel. The places between are poolings. */
const FIRES: Readonly<Record<number, readonly [squeeze: number, expand: number]>> = {
  3: [16, 64],
  4: [16, 64],
  6: [32, 128],
  7: [32, 128],
  9: [48, 192],
  10: [48, 192],
  11: [64, 256],
  12: [64, 256],
}

/** Places in `features` of the poolings, whose last window may be partial. */
const POOLINGS = [2, 5, 8]

/**
 * SqueezeNet 1.1, for (3, 224, 224) and other sizes, with torchvision's names and numbers. The last maps are the classes, and their
 * means the logits. Outputs: `logits`, and `softmax`. Weights are He's, uniform, as torchvision draws them.
 *
 *     loadStateDict(squeezenet1_1(), await readFile('squeezenet1_1.safetensors'))
 *
 * @throws ShapeError when an option is none that there is, or the image is too small
 */
export function squeezenet1_1(options: ZooOptions = {}): Graph {
  checkCount('squeezenet1_1', 1, arguments)
  checkKeys('squeezenet1_1', options, zooNames)
  const { input = [3, 224, 224], classes = 1000, width, weightInit } = options
  const of = scaler(width)
  const init = { weightInit: weightInit ?? ({ name: 'he', distribution: 'uniform' } as const) }
  const blocks: Record<string, string> = {}
  const fire = (id: string, [squeeze, expand]: readonly [number, number]): NodeOptions[] => {
    const wide = { outChannels: of(expand), ...init }
    blocks[id] = `fire(${of(squeeze)}, ${of(expand)})`
    const read = `${id}.squeeze_activation`
    return inBlock(id, [
      { name: `${id}.squeeze`, layer: new Conv2d({ outChannels: of(squeeze), kernel: 1, ...init }) },
      rectified(read),
      { name: `${id}.expand1x1`, inputs: read, layer: new Conv2d({ ...wide, kernel: 1 }) },
      rectified(`${id}.expand1x1_activation`),
      { name: `${id}.expand3x3`, inputs: read, layer: new Conv2d({ ...wide, kernel: 3, padding: 1 }) },
      rectified(`${id}.expand3x3_activation`),
      { name: id, inputs: [`${id}.expand1x1_activation`, `${id}.expand3x3_activation`], layer: new Concat() },
    ])
  }
  const pool = (place: number): NodeOptions => ({
    name: `features.${place}`,
    layer: new MaxPool2d({ kernel: 3, stride: 2, ceil: true }),
  })
  const places = [...POOLINGS, ...Object.keys(FIRES).map(Number)].sort((a, b) => a - b)
  const nodes = [
    { name: 'features.0', layer: new Conv2d({ outChannels: of(64), kernel: 3, stride: 2, ...init }) },
    rectified('features.1'),
    ...places.flatMap((place) => {
      const maps = FIRES[place]
      return maps ? fire(`features.${place}`, maps) : [pool(place)]
    }),
    { name: 'classifier.0', layer: new Dropout() },
    {
      name: 'classifier.1',
      layer: new Conv2d({ outChannels: classes, kernel: 1, weightInit: weightInit ?? gaussian(0.01) }),
    },
    rectified('classifier.2'),
    ...chain({ 'classifier.3': new GlobalAvgPool(), logits: new Flatten() }),
    ...probabilities(),
  ]
  return new Graph(nodes, { ...modelOptions(options), inputs: { input }, outputs: ['logits', 'softmax'], blocks })
}
