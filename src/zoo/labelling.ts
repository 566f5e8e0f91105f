/**
 * Networks that give a label for every pixel, fully convolutional, and plain: with one of the ways of section 9.6 (Goodfellow et
 * al.) to deal with maps that pooling would shrink.
 */
import { ReLU } from '../nn/activation.js'
import { Conv2d } from '../nn/conv.js'
import type { Layer } from '../nn/layer.js'
import { BatchNorm2d } from '../nn/norm.js'
import { MaxPool2d } from '../nn/pool.js'
import { Sequential } from '../nn/sequential.js'
import { checkCount, checkKeys, type Names } from '../runtime/options.js'
import { checkVariant, imageShape, modelOptions, scaler, zooNames, type ZooOptions } from './options.js'

/** Options of `labelling`. */
export interface LabellingOptions extends ZooOptions {
  /**
   * What becomes of the maps: `none`, no pooling; `coarse`, pooling by 2 in two places, so that there is one label for 4 × 4 pixels
   * (`coarseLabels` of toeplitz/segmentation makes such targets); `unit`, pooling over 3 × 3 with stride one. Default 'none'.
   */
  readonly pooling?: 'none' | 'coarse' | 'unit'
}

/** Convolutions with so many maps each; those that are pooled after it are the second and the third. */
const CONVOLUTIONS = 4

/**
 * Four times conv(3, 32), batch normalization and ReLU, with one way of pooling after the second and the third, and scores by conv(1, classes): logits (classes, H, W),
 * or (classes, H / 4, W / 4) of coarse labels. A pixel sees 9 × 9 others without pooling.
 *
 *     labelling({ input: [1, 40, 40], classes: 11, pooling: 'unit' })
 *
 * @throws ShapeError when an option is none that there is, or the image is too small
 */
export function labelling(options: LabellingOptions = {}): Sequential {
  checkCount('labelling', 1, arguments)
  checkKeys('labelling', options, zooNames, { pooling: 0 } satisfies Names<Omit<LabellingOptions, keyof ZooOptions>>)
  const { input = [1, 40, 40], classes = 11, width, weightInit = 'he', pooling = 'none' } = options
  checkVariant('labelling', pooling, ['none', 'coarse', 'unit'], 'pooling')
  const of = scaler(width)
  const pool = (): Layer[] => {
    if (pooling === 'none') return []
    return [pooling === 'coarse' ? new MaxPool2d({ kernel: 2 }) : new MaxPool2d({ kernel: 3, stride: 1, padding: 1 })]
  }
  const layers = Array.from({ length: CONVOLUTIONS }, (_, i) => [
    new Conv2d({ outChannels: of(32), kernel: 3, padding: 1, bias: false, weightInit }),
    new BatchNorm2d(),
    new ReLU(),
    ...(i === 1 || i === 2 ? pool() : []),
  ])
  return new Sequential([...layers.flat(), new Conv2d({ outChannels: classes, kernel: 1, weightInit })], {
    input: imageShape(input, 'labelling'),
    ...modelOptions(options),
  })
}
