import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../../src/autodiff/vjp.js'
import { maxout } from '../../../src/ops/pool/maxout.js'
import { init } from '../../../src/runtime/embedded.js'
import { tensor, zeros } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { numbers } from '../../helpers/linear.js'
import { expectFiniteDifferences, itAgreesWithPyTorch } from '../../helpers/pool.js'
import { size } from '../../helpers/reference.js'
import { itRefuses } from '../../helpers/refusals.js'

beforeAll(() => init())

const x2 = (): Tensor => zeros([1, 4, 5, 5])

describe('maxout', () => {
  it('agrees with the definition, gradients included', () => {
    for (const groupSize of [1, 2, 3, 5]) {
      for (const spatial of [[], [1], [3], [2, 3], [5, 7], [2, 3, 4]]) {
        scope(() => {
          const [N, groups] = [2, 3]
          const pixels = size(spatial)
          const x = numbers(N * groups * groupSize * pixels, groupSize + pixels, true)
          const { value, pullback } = vjp(
            (given) => maxout(given, groupSize),
            tensor(x, [N, groups * groupSize, ...spatial]),
          )
          expect(value.shape).toEqual([N, groups, ...spatial])
          const dy = numbers(value.size, 3, false)
          const y = new Float64Array(value.size)
          const dx = new Float64Array(x.length)
          for (let i = 0; i < y.length; i++) {
            const from = Array.from(
              { length: groupSize },
              (_, c) => (Math.floor(i / pixels) * groupSize + c) * pixels + (i % pixels),
            )
            y[i] = Math.max(...from.map((j) => x[j]!))
            dx[from.find((j) => x[j] === y[i])!]! += dy[i]!
          }
          expect(value.data()).toEqual(Float32Array.from(y))
          expect(pullback(tensor(dy, value.shape))[0]!.data()).toEqual(Float32Array.from(dx))
        })
      }
    }
  })

  itAgreesWithPyTorch({ maxout: (x, { groupSize }: { groupSize: number }) => maxout(x, groupSize) })

  it('has the gradients that finite differences show', () => {
    expectFiniteDifferences((t) => maxout(t, 2))
  })

  itRefuses(
    ['group size', () => maxout(x2(), 3), /maxout: groupSize must divide the 4 channels of x, given 3/],
    ['group size of zero', () => maxout(x2(), 0), /groupSize must divide/],
  )
})
