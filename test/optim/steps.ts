/** Runs an optimizer beside a float64 reference, over every remainder of four lanes. */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Optimizer } from '../../src/optim/index.js'
import { tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { difference } from '../helpers/reference.js'

/** Updates w in place with the gradient g of step t, counted from 1; `state` starts empty. */
export type ReferenceStep = (w: Float64Array, g: Float64Array, t: number, state: Record<string, Float64Array>) => void

/** Numbers of either sign, `from` to `to` in size. */
const values = (count: number, from: number, to: number): fc.Arbitrary<number[]> =>
  fc
    .array(fc.tuple(fc.integer({ min: from * 100, max: to * 100 }), fc.boolean()), {
      minLength: count,
      maxLength: count,
    })
    .map((list) => list.map(([hundredths, negative]) => (negative ? -hundredths : hundredths) / 100))

export const slot = (state: Record<string, Float64Array>, name: string, like: Float64Array): Float64Array =>
  (state[name] ??= new Float64Array(like.length))

/** Two parameters of arbitrary sizes, five steps, the same after each one. */
export function expectSteps(make: (parameters: Tensor[]) => Optimizer, reference: ReferenceStep, numRuns = 60): void {
  const size = fc.integer({ min: 1, max: 21 })
  const cases = fc.tuple(size, size).chain((sizes) =>
    fc.record({
      parameters: fc.tuple(values(sizes[0], 0, 1), values(sizes[1], 0, 1)),
      // Weight decay never cancels a gradient: the sign of what is left would decide the step.
      gradients: fc.array(fc.tuple(values(sizes[0], 0.5, 5), values(sizes[1], 0.5, 5)), { minLength: 5, maxLength: 5 }),
    }),
  )
  fc.assert(
    fc.property(cases, ({ parameters, gradients }) => {
      scope(() => {
        const tensors = parameters.map((list) => tensor(list))
        const optimizer = make(tensors)
        const expected = tensors.map((parameter) => Float64Array.from(parameter.data()))
        const states = tensors.map(() => ({}))
        gradients.forEach((lists, index) => {
          const given = lists.map((list) => tensor(list))
          optimizer.step(given)
          tensors.forEach((parameter, position) => {
            const w = expected[position]!
            reference(w, Float64Array.from(given[position]!.data()), index + 1, states[position]!)
            const { error, scale } = difference(parameter.data(), w)
            expect(error).toBeLessThanOrEqual(1e-5 * scale + 1e-6)
          })
        })
        optimizer.dispose()
      })
    }),
    { numRuns },
  )
}
