/** Layers that move values: flattening, enlarging, joining. */
import { add } from '../ops/elementwise.js'
import { concat, upsample2d, upsampleNames, type Upsample2dOptions } from '../ops/layout.js'
import { perDirection } from '../plan/window.js'
import { ShapeError } from '../runtime/errors.js'
import { sameShape, showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { expectMaps, LoweredLayer, type ForwardContext, type OptionRules } from './layer.js'
import { noRules } from './options.js'
import { wholeWindow, type Window } from './receptive.js'

/** (N, C, H, W) -> (N, C·H·W). */
export class Flatten extends LoweredLayer {
  static override readonly rules: OptionRules = noRules
  readonly type = 'Flatten'

  outputShape(input: Shape): number[] {
    return [sizeOf(input)]
  }

  protected lower(x: Tensor): Tensor {
    return x.reshape([x.shape[0] as number, -1])
  }

  override window(input: Shape): Window {
    return wholeWindow(input)
  }

  describe(): string {
    return 'flatten'
  }
}

/**
 * Feature maps enlarged by whole factors.
 *
 *     new Upsample2d({ scale: 2, mode: 'bilinear' })
 */
export class Upsample2d extends LoweredLayer<Upsample2dOptions> {
  static override readonly rules: OptionRules = upsampleNames
  readonly type = 'Upsample2d'

  constructor(...given: [options: Upsample2dOptions]) {
    super(...given)
    perDirection(this.options.scale, 2, 1, 'Upsample2d: scale')
  }

  #scale(): number[] {
    return perDirection(this.options.scale, 2, 1, 'Upsample2d: scale')
  }

  outputShape(input: Shape): number[] {
    expectMaps('Upsample2d', 2, input)
    const [C, H, W] = input as [number, number, number]
    const [rows, columns] = this.#scale() as [number, number]
    return [C, H * rows, W * columns]
  }

  protected lower(x: Tensor): Tensor {
    return upsample2d(x, this.options)
  }

  override window(): Window {
    const two = this.options.mode === 'bilinear' ? 2 : 1
    return { reach: [two, two], stride: this.#scale().map((factor) => 1 / factor), lo: [0, 0] }
  }

  describe(): string {
    const [rows, columns] = this.#scale()
    return `upsample(${rows === columns ? rows : `${rows}×${columns}`})`
  }
}

/** Inputs one after another along the channels: (C₁, …), (C₂, …) -> (C₁ + C₂, …). */
export class Concat extends LoweredLayer {
  static override readonly rules: OptionRules = noRules
  readonly type = 'Concat'
  override readonly many = true

  outputShape(input: Shape, ...others: Shape[]): number[] {
    for (const other of others) {
      if (other.length !== input.length || !sameShape(other.slice(1), input.slice(1))) {
        throw new ShapeError(
          `Concat: inputs ${[input, ...others].map(showShape).join(' and ')} may differ in their channels only`,
        )
      }
    }
    return [[input, ...others].reduce((sum, shape) => sum + (shape[0] as number), 0), ...input.slice(1)]
  }

  protected lower(x: Tensor, _context: ForwardContext, ...others: Tensor[]): Tensor {
    return concat([x, ...others], 1)
  }

  describe(): string {
    return 'concat'
  }
}

/** The sum of inputs of one shape. */
export class Add extends LoweredLayer {
  static override readonly rules: OptionRules = noRules
  readonly type = 'Add'
  override readonly many = true

  outputShape(input: Shape, ...others: Shape[]): number[] {
    for (const other of others) {
      if (!sameShape(other, input)) {
        throw new ShapeError(`Add: inputs ${[input, ...others].map(showShape).join(' and ')} must be of one shape`)
      }
    }
    return [...input]
  }

  protected lower(x: Tensor, _context: ForwardContext, ...others: Tensor[]): Tensor {
    return scope(() => others.reduce((sum, other) => add(sum, other), x))
  }

  describe(): string {
    return 'add'
  }
}
