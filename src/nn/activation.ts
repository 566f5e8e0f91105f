/** Layers without parameters that keep the shape, and Flatten. */
import { relu } from '../ops/activation.js'
import { softmax } from '../ops/softmax.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { Layer } from './layer.js'

/** max(x, 0). */
export class ReLU extends Layer {
  readonly type = 'ReLU'

  outputShape(input: Shape): number[] {
    return [...input]
  }

  forward(x: Tensor): Tensor {
    return relu(x)
  }

  describe(): string {
    return 'relu'
  }
}

/** Probabilities over the channels. Leave it out of a model trained by `crossEntropy`, which takes logits. */
export class Softmax extends Layer {
  readonly type = 'Softmax'

  outputShape(input: Shape): number[] {
    return [...input]
  }

  forward(x: Tensor): Tensor {
    return softmax(x, 1)
  }

  describe(): string {
    return 'softmax'
  }
}

/** (N, C, H, W) -> (N, C·H·W). */
export class Flatten extends Layer {
  readonly type = 'Flatten'

  outputShape(input: Shape): number[] {
    return [sizeOf(input)]
  }

  forward(x: Tensor): Tensor {
    return x.reshape([x.shape[0] as number, -1])
  }

  describe(): string {
    return 'flatten'
  }
}
