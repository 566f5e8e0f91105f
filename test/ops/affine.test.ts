import { beforeAll, expect, it } from 'vitest'
import { outermost, scaledBias } from '../../src/ops/affine.js'
import { init } from '../../src/runtime/embedded.js'
import { tensor } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'

beforeAll(() => init())

it('a bias is scaled and shifted by its channels, wherever it lies', () => {
  scope(() => {
    const [scale, shift] = [tensor([2, 3]), tensor([10, 20])]
    const values = (bias: Tensor | undefined, by: Parameters<typeof scaledBias>[1]): number[] | undefined => {
      const found = scaledBias(bias, by)
      return found && [...found.data()]
    }
    const channel = tensor([1, 5])
    const location = tensor([[[1, 2]], [[5, 6]]]) // prettier-ignore
    expect(values(channel, { scale, shift })).toEqual([12, 35])
    expect(values(location, { scale, shift })).toEqual([12, 14, 35, 38])
    expect(values(channel, { scale })).toEqual([2, 15])
    expect(values(channel, { shift })).toEqual([11, 25])
    expect(values(undefined, { scale, shift })).toEqual([10, 20])
    expect(values(undefined, { scale })).toBeUndefined()
    expect(outermost(scale, location).shape).toEqual([2, 1, 1])
  })
})
