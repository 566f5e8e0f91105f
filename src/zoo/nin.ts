/**
 * Network in Network: convolutions followed by 1×1 ones, a small network at every place, and global average pooling in the
 * place of fully connected layers.
 *
 * Lin, Chen & Yan, "Network in network", 2013.
 */
import { ReLU, Softmax } from '../nn/activation.js'
import { Conv2d, type Conv2dOptions } from '../nn/conv.js'
import { Dropout } from '../nn/dropout.js'
import { Graph, type NodeOptions } from '../nn/graph.js'
import { Flatten } from '../nn/layout.js'
import { AvgPool2d, GlobalAvgPool, MaxPool2d } from '../nn/pool.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { chain, modelOptions, scaler, type ZooOptions, zooNames } from './options.js'

/** Options of `nin`. */
export interface NinOptions extends ZooOptions {
  /** The authors' network for ImageNet (default), for (3, 224, 224), or that of the paper for CIFAR-10, for (3, 32, 32). */
  readonly variant?: 'imagenet' | 'cifar10'
}

type Maps = readonly [first: number, second: number, third: number]

/**
 * Network in Network. The last feature maps are the classes, and their means the logits. Outputs: `logits`, and `softmax`.
 */
export function nin(options: NinOptions = {}): Graph {
  checkCount('nin', 1, arguments)
  checkKeys('nin', options, zooNames, { variant: 0 } satisfies Names<Omit<NinOptions, keyof ZooOptions>>)
  const { variant = 'imagenet', width, weightInit = 'he' } = options
  const small = variant === 'cifar10'
  const { input = small ? [3, 32, 32] : [3, 224, 224], classes = small ? 10 : 1000 } = options
  const of = scaler(width)
  /** A convolution and two of 1×1, with a rectifier after each. `last`: the third has the classes. */
  const mlpconv = (
    index: number,
    kernel: Omit<Conv2dOptions, 'outChannels'>,
    [first, second, third]: Maps,
    last = false,
  ): NodeOptions[] =>
    chain({
      [`conv${index}`]: new Conv2d({ outChannels: of(first), ...kernel, weightInit }),
      [`relu${index}`]: new ReLU(),
      [`cccp${index}_1`]: new Conv2d({ outChannels: of(second), kernel: 1, weightInit }),
      [`relu${index}_1`]: new ReLU(),
      [`cccp${index}_2`]: new Conv2d({ outChannels: last ? third : of(third), kernel: 1, weightInit }),
      [`relu${index}_2`]: new ReLU(),
    })
  const pool = (index: number): NodeOptions => ({
    name: `pool${index}`,
    layer: new MaxPool2d({ kernel: 3, stride: 2 }),
  })
  const drop = (index: number): NodeOptions => ({ name: `drop${index}`, layer: new Dropout() })
  const features = small
    ? [
        ...mlpconv(1, { kernel: 5, padding: 2 }, [192, 160, 96]),
        { name: 'pool1', layer: new MaxPool2d({ kernel: 3, stride: 2, ceil: true }) },
        drop(1),
        ...mlpconv(2, { kernel: 5, padding: 2 }, [192, 192, 192]),
        { name: 'pool2', layer: new AvgPool2d({ kernel: 3, stride: 2, ceil: true }) },
        drop(2),
        ...mlpconv(3, { kernel: 3, padding: 1 }, [192, 192, classes], true),
      ]
    : [
        ...mlpconv(1, { kernel: 11, stride: 4 }, [96, 96, 96]),
        pool(1),
        ...mlpconv(2, { kernel: 5, padding: 2 }, [256, 256, 256]),
        pool(2),
        ...mlpconv(3, { kernel: 3, padding: 1 }, [384, 384, 384]),
        pool(3),
        drop(3),
        ...mlpconv(4, { kernel: 3, padding: 1 }, [1024, 1024, classes], true),
      ]
  const head = chain({ gap: new GlobalAvgPool(), logits: new Flatten(), softmax: new Softmax() })
  return new Graph([...features, ...head], {
    ...modelOptions(options),
    inputs: { input },
    outputs: ['logits', 'softmax'],
  })
}
