/** Convolutional layers. */
import { conv2d, type ConvOptions } from '../ops/conv.js'
import { outputExtents, perDirection, resolvePadding, type Padding, type PerDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { Layer, type ForwardContext, type LayerConfig } from './layer.js'
import type { Initializer, Source } from './initialize.js'

export interface Conv2dOptions {
  /** Number of feature maps. */
  readonly outChannels: number
  /** Extent of the kernel, one number or (R, S). */
  readonly kernel: PerDirection
  /** Inferred from the input when left out. */
  readonly inChannels?: number
  readonly stride?: PerDirection
  readonly padding?: Padding
  readonly dilation?: PerDirection
  readonly groups?: number
  /** Default true. */
  readonly bias?: boolean
  /** Default 'he'. */
  readonly weightInit?: Initializer
  /** Default 'zeros'. */
  readonly biasInit?: Initializer
}

/** Two-dimensional convolution with trained kernels (K, C/groups, R, S) and one bias for each feature map. */
export class Conv2d extends Layer {
  readonly type = 'Conv2d'
  readonly options: Conv2dOptions
  readonly #kernel: readonly [number, number]

  constructor(options: Conv2dOptions) {
    super()
    this.options = { ...options }
    perDirection(options.outChannels, 1, 1, 'Conv2d: outChannels')
    this.#kernel = perDirection(options.kernel, 2, 1, 'Conv2d: kernel') as [number, number]
  }

  outputShape(input: Shape): number[] {
    const { outChannels, inChannels, groups = 1 } = this.options
    if (input.length !== 3) throw new ShapeError(`Conv2d: the input must be (C, H, W), given ${showShape(input)}`)
    const [C, ...plane] = input as [number, number, number]
    if (inChannels !== undefined && inChannels !== C) {
      throw new ShapeError(`Conv2d: inChannels is ${inChannels}, but the input ${showShape(input)} has ${C} channels`)
    }
    if (!Number.isInteger(groups) || groups < 1 || C % groups !== 0 || outChannels % groups !== 0) {
      throw new ShapeError(
        `Conv2d: groups must divide the ${C} input and the ${outChannels} output channels, given ${groups}`,
      )
    }
    const stride = perDirection(this.options.stride ?? 1, 2, 1, 'Conv2d: stride')
    const dilation = perDirection(this.options.dilation ?? 1, 2, 1, 'Conv2d: dilation')
    const { lo, hi } = resolvePadding(this.options.padding ?? 'valid', plane, this.#kernel, stride, dilation, 'Conv2d')
    return [outChannels, ...outputExtents({ input: plane, kernel: this.#kernel, stride, dilation, lo, hi }, 'Conv2d')]
  }

  protected override make(input: Shape, source: () => Source): void {
    const { outChannels, groups = 1, bias = true, weightInit = 'he', biasInit = 'zeros' } = this.options
    this.addParameter('weight', [outChannels, (input[0] as number) / groups, ...this.#kernel], weightInit, source)
    if (bias) this.addParameter('bias', [outChannels], biasInit, source)
  }

  forward(x: Tensor, _context: ForwardContext): Tensor {
    const { stride, padding, dilation, groups, bias = true } = this.options
    const options = Layer.defined({ stride, padding, dilation, groups }) as ConvOptions
    return conv2d(x, this.parameter('weight'), bias ? { ...options, bias: this.parameter('bias') } : options)
  }

  override operations(input: Shape): number {
    const { groups = 1 } = this.options
    return ((sizeOf(this.#kernel) * (input[0] as number)) / groups + 1) * sizeOf(this.outputShape(input))
  }

  describe(): string {
    const [R, S] = this.#kernel
    const { outChannels, padding, stride = 1 } = this.options
    const parts = [R === S ? String(R) : `${R}×${S}`, String(outChannels)]
    if (padding !== undefined && padding !== 0 && padding !== 'valid') parts.push(`p${JSON.stringify(padding)}`)
    if (stride !== 1) parts.push(`s${JSON.stringify(stride)}`)
    return `conv(${parts.join(', ')})`
  }

  override config(): LayerConfig {
    return { type: this.type, ...Layer.defined(this.options) }
  }
}
