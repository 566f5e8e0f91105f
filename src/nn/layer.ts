/** What a layer is: shapes without the batch, parameters made when the input is known, a forward pass. */
import { ShapeError } from '../runtime/errors.js'
import type { Shape } from '../tensor/shape.js'
import { keep, type Tensor } from '../tensor/tensor.js'
import { initialize, type Initializer, type Source } from './initialize.js'

/** Values of a layer's JSON form. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type LayerConfig = { readonly type: string } & { readonly [key: string]: Json }

/** What a forward pass knows besides its input. */
export interface ForwardContext {
  /** Whether layers behave as in training (dropout, batch statistics). */
  readonly training: boolean
  /** Seed and number of the training step, for layers that draw random numbers. */
  readonly seed: number
  readonly step: number
}

export abstract class Layer {
  /** The name of the class, in JSON and in summaries. */
  abstract readonly type: string
  readonly #parameters = new Map<string, Tensor>()
  #input: Shape | undefined

  /** Extents of one output, without the batch, for one input. @throws ShapeError when the input does not fit. */
  abstract outputShape(input: Shape): number[]

  /** y for x, both with the batch first. */
  abstract forward(x: Tensor, context: ForwardContext): Tensor

  /** The layer in the notation of the lecture: `conv(5, 32)`. */
  abstract describe(): string

  /** Options as JSON, from which the layer can be made again. */
  config(): LayerConfig {
    return { type: this.type }
  }

  /** Operations for one input, as the lecture counts them; 0 for layers that cost next to nothing. */
  operations(_input: Shape): number {
    return 0
  }

  /** Makes the parameters for an input of this shape; `source` gives each its random numbers. */
  protected make(_input: Shape, _source: () => Source): void {}

  /** Prepares the layer for inputs of this shape, without the batch. A second call changes nothing. */
  build(input: Shape, source: () => Source): number[] {
    const output = this.outputShape(input)
    if (!this.#input) {
      this.#input = [...input]
      this.make(input, source)
    }
    return output
  }

  get built(): boolean {
    return this.#input !== undefined
  }

  /** Adds a parameter; its handle lives until the layer is disposed. */
  protected addParameter(name: string, shape: Shape, initializer: Initializer, source: () => Source): void {
    this.#parameters.set(name, keep(initialize(shape, initializer, source())))
  }

  /** A parameter by name. @throws ShapeError before the layer was built. */
  protected parameter(name: string): Tensor {
    const found = this.#parameters.get(name)
    if (!found) {
      throw new ShapeError(
        `${this.type}: the layer has no ${name} yet; build the model by its input option or a first forward pass`,
      )
    }
    return found
  }

  /** Trained tensors by name, in a fixed order. */
  parameters(): ReadonlyMap<string, Tensor> {
    return this.#parameters
  }

  dispose(): void {
    for (const tensor of this.#parameters.values()) tensor.dispose()
  }

  /** The parts of an options object that are set. */
  protected static defined(options: object): { readonly [key: string]: Json } {
    return Object.fromEntries(
      Object.entries(options).filter((entry): entry is [string, Json] => entry[1] !== undefined),
    )
  }
}
