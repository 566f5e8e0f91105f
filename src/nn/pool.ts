/** Pooling layers. */
import { maxPool2d } from '../ops/pool/max.js'
import { outputExtents, perDirection, type PerDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { Layer, type ForwardContext, type LayerConfig } from './layer.js'

export interface MaxPool2dOptions {
  readonly kernel: PerDirection
  /** Default: the kernel. */
  readonly stride?: PerDirection
}

/** The largest value of each window. */
export class MaxPool2d extends Layer {
  readonly type = 'MaxPool2d'
  readonly options: MaxPool2dOptions

  constructor(options: MaxPool2dOptions) {
    super()
    this.options = { ...options }
    perDirection(options.kernel, 2, 1, 'MaxPool2d: kernel')
  }

  outputShape(input: Shape): number[] {
    if (input.length !== 3) throw new ShapeError(`MaxPool2d: the input must be (C, H, W), given ${showShape(input)}`)
    const [C, ...plane] = input as [number, number, number]
    const kernel = perDirection(this.options.kernel, 2, 1, 'MaxPool2d: kernel')
    const stride = perDirection(this.options.stride ?? kernel, 2, 1, 'MaxPool2d: stride')
    const none = [0, 0]
    return [C, ...outputExtents({ input: plane, kernel, stride, dilation: [1, 1], lo: none, hi: none }, 'MaxPool2d')]
  }

  forward(x: Tensor, _context: ForwardContext): Tensor {
    return maxPool2d(x, this.options)
  }

  override operations(input: Shape): number {
    return sizeOf(input)
  }

  describe(): string {
    const { kernel, stride } = this.options
    return `pool(${JSON.stringify(kernel)}${stride === undefined ? '' : `, ${JSON.stringify(stride)}`})`
  }

  override config(): LayerConfig {
    return { type: this.type, ...Layer.defined(this.options) }
  }
}
