/** Pixels in another order, the same for every picture: what a network loses to whom neighbours mean something. */
import { Layer, type OptionRules } from '../nn/layer.js'
import type { RulesOf } from '../nn/options.js'
import { wholeWindow, type Window } from '../nn/receptive.js'
import { gather } from '../ops/places.js'
import { ShapeError } from '../runtime/errors.js'
import { checkSeed, tensor } from '../tensor/create.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { permutation } from '../train/examples.js'

/** Options of `PermutePixels`. */
export interface PermutePixelsOptions {
  /** Which order: each seed is another, and the same one always. Default 0. */
  readonly seed?: number
}

/**
 * The places of maps (C, …) in an order drawn by a seed, the same in every channel and every example. As the first layer of a
 * model it shows what the rest of it knows of neighbourhoods: a dense layer learns the shuffled pictures as well as before, a
 * convolution does not (section 9.4).
 *
 *     new PermutePixels({ seed: 1 })
 */
export class PermutePixels extends Layer<PermutePixelsOptions> {
  static override readonly rules: OptionRules = { seed: 0 } satisfies RulesOf<PermutePixelsOptions>
  readonly type = 'PermutePixels'
  #order: Int32Array | undefined

  constructor(...given: [options?: PermutePixelsOptions]) {
    super(...given)
    checkSeed(this.options.seed ?? 0, 'PermutePixels')
  }

  /** The shape of the input. @throws ShapeError when it is not maps */
  outputShape(input: Shape): number[] {
    if (input.length < 2)
      throw new ShapeError(`PermutePixels: the input must be maps (C, …), given ${showShape(input)}`)
    return [...input]
  }

  forward(x: Tensor): Tensor {
    const [N, ...input] = x.shape as readonly [number, ...number[]]
    const [C, ...places] = this.outputShape(input) as [number, ...number[]]
    const size = sizeOf(places)
    if (this.#order?.length !== size) this.#order = permutation(size, this.options.seed ?? 0, 0)
    const order = this.#order
    return scope(() => gather(x.reshape([N, C, size]), tensor(order, [size], { dtype: 'int32' }), 2).reshape(x.shape))
  }

  override window(input: Shape): Window {
    return wholeWindow(input)
  }

  describe(): string {
    return 'permute'
  }
}
