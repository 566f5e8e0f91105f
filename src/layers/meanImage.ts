/**
 * Pictures without the mean picture: Krizhevsky et al. 2012 subtract it of each pixel, where later networks subtract one mean
 * for each channel. It lies in the model, so that whoever uses the model subtracts the same one.
 */
import { LoweredLayer, type OptionRules, type WeightSpec } from '../nn/layer.js'
import { noRules } from '../nn/options.js'
import { sub } from '../ops/elementwise.js'
import type { Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

/**
 * x − mean, for inputs of one shape. The mean, of that shape, is no parameter: it is zero until it is assigned, and is saved with the
 * model. `meanImage` of toeplitz/data has that of a data set.
 *
 * @example
 * const model = new Sequential([new MeanImage(), new Conv2d({ outChannels: 8, kernel: 3 })], { input: [3, 32, 32], seed: 1 })
 * model.namedState().get('0.mean').assign((await meanImage(training, normalization)).data())
 */
export class MeanImage extends LoweredLayer {
  static override readonly rules: OptionRules = noRules
  readonly type = 'MeanImage'

  /** The shape of the input. */
  outputShape(input: Shape): number[] {
    return [...input]
  }

  override weights(input: Shape): readonly WeightSpec[] {
    return [{ name: 'mean', shape: [...input], init: 'zeros', trained: false }]
  }

  protected lower(x: Tensor): Tensor {
    return sub(x, this.weight('mean'))
  }

  describe(): string {
    return 'mean image'
  }
}
