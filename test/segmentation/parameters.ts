/** Gradients of a model's weights and input against central differences of its values. */
import { valueAndGrad } from '../../src/autodiff/vjp.js'
import type { Graph } from '../../src/nn/index.js'
import { mul } from '../../src/ops/elementwise.js'
import { sum } from '../../src/ops/reduce.js'
import { uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

/** The largest |analytic − numeric| of each tensor, over its largest |gradient|: of ⟨v, model(x)⟩ with a random v. */
export function gradientErrors(model: Graph, x: Tensor, step: number, samples = 24): number[] {
  const inputs = [x, ...model.parameters()]
  return scope(() => {
    const v = uniform(model.forward(x).shape, { low: -1, high: 1, seed: 8 })
    const weighed = (): Tensor => sum(mul(v, model.forward(x, { training: true })))
    const { gradients } = valueAndGrad(weighed)(...inputs)
    // In float64, because the sum of all outputs hides small differences.
    const numeric = (): number => {
      const [own, by] = [scope(() => model.forward(x, { training: true }).data()), v.data()]
      return own.reduce((total, value, i) => total + value * by[i]!, 0)
    }
    return inputs.map((input, at) => {
      const [kept, analytic] = [input.data(), gradients[at]!.data()]
      const largest = analytic.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const every = Math.max(1, Math.floor(kept.length / samples))
      let worst = 0
      for (let i = 0; i < kept.length; i += every) {
        const [above, below] = [1, -1].map((sign) => {
          input.assign(kept.map((value, j) => (i === j ? value + sign * step : value)))
          return numeric()
        }) as [number, number]
        worst = Math.max(worst, Math.abs((above - below) / (2 * step) - analytic[i]!))
      }
      input.assign(kept)
      return worst / largest
    })
  })
}
