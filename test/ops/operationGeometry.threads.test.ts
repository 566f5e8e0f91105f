import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { adaptiveMaxPool1d, linear, tiledConv1d } from '../../src/ops/index.js'
import { forceChunks, runtimeInfo } from '../../src/runtime/core.js'
import { init } from '../../src/runtime/embedded.js'
import { normal } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { checkOperations } from '../helpers/operationGeometry.js'

beforeAll(() => init({ threads: 3 }))
afterEach(() => {
  forceChunks(undefined)
})
afterAll(() => init({ threads: 1 }))

it('operations under random geometry are right or refuse with threads too', () => {
  expect(runtimeInfo().threads).toBe(3)
  forceChunks(1)
  const { wrong, trapped, slow, broken } = checkOperations(3, 150)
  expect({ wrong, trapped, slow, broken }).toEqual({ wrong: [], trapped: [], slow: [], broken: [] })
})

it('long sums have the same bits with threads as without', async () => {
  const LONG = 2 ** 18
  const results = (f: (...inputs: Tensor[]) => Tensor, ...shapes: number[][]): string[] =>
    scope(() => {
      const inputs = shapes.map((shape, seed) => normal(shape, { seed }))
      const { value, pullback, dispose } = vjp(f, ...inputs)
      const gradients = pullback(normal(value.shape, { seed: 9 }))
      dispose()
      return [value, ...gradients].map((result) => createHash('sha256').update(result.data()).digest('hex'))
    })
  const all = (): string[] => [
    ...results((x, w) => linear(x, w), [3, LONG + 5], [6, LONG + 5]),
    ...results((x, w) => linear(x, w), [6, LONG + 5], [5, LONG + 5]),
    ...results((x, w, bias) => tiledConv1d(x, w, { bias }), [2, 2, LONG], [4, 2, 2, 1], [4, 1]),
    ...results((x) => adaptiveMaxPool1d(x, LONG + 1), [1, 3, 1]),
  ]
  await init({ threads: 1 })
  const alone = all()
  await init({ threads: 3 })
  expect(runtimeInfo().threads).toBe(3)
  expect(all()).toEqual(alone)
})
