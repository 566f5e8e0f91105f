import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../../src/autodiff/vjp.js'
import { maxPool2dWithIndices } from '../../../src/ops/pool/max.js'
import { maxUnpool2d } from '../../../src/ops/pool/unpool.js'
import { memoryUsage } from '../../../src/runtime/core.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor, uniform, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { numbers } from '../../helpers/linear.js'
import { cases, expectSecondDerivative, options } from '../../helpers/pool.js'
import { size } from '../../helpers/reference.js'
import { itRefuses } from '../../helpers/refusals.js'

beforeAll(() => init())

const x2 = (): Tensor => zeros([1, 4, 5, 5])

describe('unpooling', () => {
  it('puts maxima back where they were found', () => {
    fc.assert(
      fc.property(cases(2, 2), (test) => {
        fc.pre(test.directions === 2)
        scope(() => {
          const xShape = [...test.maps, ...test.input]
          const values = numbers(size(xShape), test.seed, false)
          const { y, indices: positions } = maxPool2dWithIndices(tensor(values, xShape), options(test))
          const back = maxUnpool2d(y, positions, { outputSize: test.input })
          expect(back.shape).toEqual(xShape)
          const chosen = new Set<number>()
          const plane = size(test.input)
          positions.data().forEach((position, i) => {
            if (position >= 0) chosen.add(Math.floor(i / size(y.shape.slice(2))) * plane + position)
          })
          expect(back.data()).toEqual(values.map((value, i) => (chosen.has(i) ? value : 0)))
        })
      }),
      { numRuns: 60 },
    )
  })

  it('has its gradient at the positions, of equal positions only at the last', () => {
    scope(() => {
      const positions = [3, 0, 3, -1]
      const { value, pullback } = vjp(
        (x) => maxUnpool2d(x, positions, { outputSize: [2, 2] }),
        tensor([
          [
            [
              [5, 6],
              [7, 8],
            ],
          ],
        ]),
      )
      expect([...value.data()]).toEqual([6, 0, 0, 7])
      expect([
        ...pullback(
          tensor([
            [
              [
                [1, 2],
                [3, 4],
              ],
            ],
          ]),
        )[0]!.data(),
      ]).toEqual([0, 1, 4, 0])
    })
  })

  it('derives its size from the windows', () => {
    scope(() => {
      const x = zeros([1, 2, 3, 3])
      const at0 = new Int32Array(18)
      expect(maxUnpool2d(x, at0, { kernel: 2 }).shape).toEqual([1, 2, 6, 6])
      expect(maxUnpool2d(x, at0, { kernel: 3, stride: 2, padding: 1 }).shape).toEqual([1, 2, 5, 5])
      expect(maxUnpool2d(x, at0, { kernel: 2, outputSize: [7, 5] }).shape).toEqual([1, 2, 7, 5])
      expect(maxUnpool2d(x, at0, { kernel: 2, outputSize: [1, 2, 7, 7] }).shape).toEqual([1, 2, 7, 7])
    })
  })

  it('keeps indices alive as long as the scope that made them', () => {
    const before = scope(() => memoryUsage().liveBytes)
    const { y, indices: positions } = scope(() => maxPool2dWithIndices(uniform([1, 1, 4, 4]), { kernel: 2 }))
    expect(positions.data().length).toBe(4)
    y.dispose()
    positions.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('returns all memory after a pass and its gradient', () => {
    const before = memoryUsage().liveBytes
    scope(() => {
      const { pullback, dispose } = vjp(
        (t) => maxUnpool2d(t, [3, 0, 1, -1], { outputSize: [2, 2] }),
        zeros([1, 1, 2, 2]),
      )
      pullback(zeros([1, 1, 2, 2]))
      dispose()
    })
    const y = scope(() => maxUnpool2d(zeros([1, 1, 1, 1]), [0], { outputSize: [1, 1] }))
    y.dispose()
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('can be differentiated twice', () => {
    expectSecondDerivative((t) => maxUnpool2d(t, new Int32Array(72), { outputSize: [3, 3] }))
  })

  itRefuses(
    [
      'number of indices',
      () => maxUnpool2d(x2(), [1], { kernel: 2 }),
      /indices must be 100 positions as x is \(1, 4, 5, 5\), given 1/,
    ],
    [
      'kind of indices',
      () => maxUnpool2d(x2(), {} as never, { kernel: 2 }),
      /indices must be those of maxPool2dWithIndices/,
    ],
    [
      'position',
      () => maxUnpool2d(x2(), new Int32Array(100).fill(100), { kernel: 2 }),
      /positions from 0 to 99 in a plane of \(10, 10\), given 100/,
    ],
    [
      'output size of unpooling',
      () => maxUnpool2d(x2(), new Int32Array(100), { kernel: 2, outputSize: [12, 10] }),
      /outputSize must be from 9 to 11 along direction 0.*given 12/,
    ],
    [
      'output size of unpooling alone',
      () => maxUnpool2d(x2(), new Int32Array(100), { outputSize: [3] }),
      /outputSize must be \[H, W\]/,
    ],
    ['kernel of unpooling', () => maxUnpool2d(x2(), new Int32Array(100), {}), /maxUnpool2d: kernel must be/],
  )

  it('refuses indices that point outside of a smaller plane', () => {
    scope(() => {
      const { y, indices: positions } = maxPool2dWithIndices(
        tensor([
          [
            [
              [0, 0],
              [0, 1],
            ],
          ],
        ]),
        { kernel: 2 },
      )
      expect(() => maxUnpool2d(y, positions, { outputSize: [1, 2] })).toThrow(/positions from 0 to 1 .* given 3/)
    })
  })
})
