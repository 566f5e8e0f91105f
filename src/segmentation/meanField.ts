/** Refinement by neighbours as a layer, whose graphical model is trained (Zheng et al., 2015; Goodfellow et al., section 9.6). */
import { expectMaps, LoweredLayer, type OptionRules, type WeightSpec } from '../nn/layer.js'
import type { RulesOf } from '../nn/options.js'
import { mul, sub } from '../ops/elementwise.js'
import { softmax } from '../ops/softmax.js'
import { checkNumber, checkWhole } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import { sizeOf, type Shape } from '../tensor/shape.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { messages, MOST_STEPS } from './grid.js'

/** Options of `MeanField`. */
export interface MeanFieldOptions {
  /** Number of steps. Default 5. */
  readonly steps?: number
  /** Side of the square of neighbours in pixels, odd. Default 3. */
  readonly size?: number
  /** Energy of two neighbours with different labels before training. Default 0.1. */
  readonly strength?: number
}

/**
 * Scores (K, H, W) refined by steps of mean field on a grid model: it gives scale · θ − m, whose softmax is the q of the last
 * step. Trained are `neighbours` (size, size), `compatibility` (K, K) and `scale` (1), the trust in the scores. At first all
 * neighbours weigh the same, and the compatibility is Potts's.
 *
 *     new Graph([...network, { name: 'refined', layer: new MeanField({ size: 5 }) }])
 *
 * A model with such a layer is read with `modelFromJSON(json, 'model', { layers: { MeanField } })`.
 */
export class MeanField extends LoweredLayer<MeanFieldOptions> {
  static override readonly rules: OptionRules = {
    steps: 'count',
    size: 'count',
    strength: 0,
  } satisfies RulesOf<MeanFieldOptions>
  readonly type = 'MeanField'

  constructor(...given: [options?: MeanFieldOptions]) {
    super(...given)
    const { steps = 5, size = 3, strength = 0.1 } = this.options
    checkWhole(steps, 'MeanField: steps', 1, MOST_STEPS)
    if (size % 2 === 0)
      throw new ArgumentError(`MeanField: size must be odd, so that a pixel is in the middle, given ${size}`)
    checkNumber(strength, 'MeanField: strength')
  }

  /** The shape of the input. @throws ShapeError unless it is (K, H, W) */
  outputShape(input: Shape): number[] {
    expectMaps('MeanField', 2, input)
    return [...input]
  }

  override weights([K = 0]: Shape): readonly WeightSpec[] {
    const { size = 3, strength = 0.1 } = this.options
    const potts = Float32Array.from({ length: K * K }, (_, i) => (i % (K + 1) === 0 ? 0 : strength))
    return [
      { name: 'neighbours', shape: [size, size], init: { name: 'constant', value: 1 } },
      { name: 'compatibility', shape: [K, K], init: potts },
      { name: 'scale', shape: [1], init: { name: 'constant', value: 1 } },
    ]
  }

  protected lower(x: Tensor): Tensor {
    const { steps = 5 } = this.options
    const grid = { neighbours: this.weight('neighbours'), compatibility: this.weight('compatibility') }
    return scope(() => {
      const scores = mul(x, this.weight('scale').reshape([1, 1, 1, 1]))
      let refined = scores
      for (let t = 0; t < steps; t++) refined = sub(scores, messages(softmax(refined), grid))
      return refined
    })
  }

  override operations(input: Shape): number {
    const { steps = 5, size = 3 } = this.options
    return steps * sizeOf(input) * (size * size + (input[0] as number))
  }

  describe(): string {
    const { steps = 5, size = 3 } = this.options
    return `meanfield(${size}, ${steps})`
  }
}
