import { beforeAll, expect, it } from 'vitest'
import { conv2d, conv2dInputGrad } from '../../src/ops/index.js'
import { adjointProblem } from '../../src/plan/conv.js'
import { init } from '../../src/runtime/embedded.js'
import { scope } from '../../src/tensor/tensor.js'
import { numbersLike } from '../helpers/linear.js'

beforeAll(() => init())

const problem = {
  ...{ N: 1, C: 3, K: 5, groups: 1, flip: false, input: [8, 7], output: [8, 8], kernel: [3, 4] },
  ...{ stride: [1, 1], dilation: [1, 2], lo: [1, 4], hi: [1, 3] },
}

it('the adjoint of the adjoint is the convolution', () => {
  expect(adjointProblem(adjointProblem(problem))).toEqual(problem)
})

it('the adjoint, as a convolution with the transposed weights, is the input gradient', () => {
  const { kernel, input, lo, hi, dilation } = problem
  const padding = lo.map((zeros, axis) => [zeros, hi[axis]!] as const)
  scope(() => {
    const w = numbersLike([5, 3, 3, 4], 1)
    const dy = numbersLike([1, 5, 8, 8], 2)
    const values = w.data()
    const swapped = numbersLike([3, 5, 3, 4], 3)
    swapped.assign(
      Float32Array.from(
        { length: values.length },
        (_, i) => values[((Math.floor(i / 12) % 5) * 3 + Math.floor(i / 60)) * 12 + (i % 12)]!,
      ),
    )
    const back = adjointProblem(problem)
    const around = back.lo.map((zeros, axis) => {
      const reach = dilation[axis]! * (kernel[axis]! - 1) + 1
      return [zeros, input[axis]! + reach - 1 - problem.output[axis]! - zeros] as const
    })
    const expected = conv2dInputGrad(w, dy, { inputSize: input, padding, dilation })
    expect(conv2d(dy, swapped, { padding: around, dilation, flip: true }).data()).toEqual(expected.data())
  })
})
