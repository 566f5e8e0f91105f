/** Elements taken by their places, and gradients that are added back. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { gather } from '../../src/ops/places.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { dtypes } from '../../src/tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../../src/tensor/tensor.js'
import { size } from '../helpers/reference.js'

beforeAll(() => init())

describe('gather', () => {
  it('takes rows along any axis, of any type, and adds their gradients', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 0, maxLength: 2 }),
        fc.infiniteStream(fc.nat()),
        fc.constantFrom(...dtypes),
        fc.constantFrom('int64', 'int32'),
        (shape, along, indexShape, random, dtype, indexType) => {
          scope(() => {
            const axis = along % shape.length
            const n = shape[axis]!
            const next = random[Symbol.iterator]()
            const places = Array.from({ length: size(indexShape) }, () => ((next.next().value as number) % (2 * n)) - n)
            const whole = dtype !== 'float32'
            const x: AnyTensor = whole
              ? tensor(
                  Array.from({ length: size(shape) }, (_, i) => (dtype === 'bool' ? i % 2 : i % 100)),
                  shape,
                  { dtype },
                )
              : normal(shape, { seed: 1 })
            const indices = tensor(places, indexShape, { dtype: indexType })
            const y = gather(x, indices, axis - (along % 2 ? shape.length : 0))
            const [outer, inner] = [size(shape.slice(0, axis)), size(shape.slice(axis + 1))]
            expect(y.shape).toEqual([...shape.slice(0, axis), ...indexShape, ...shape.slice(axis + 1)])
            expect(y.dtype).toBe(dtype)
            const from = (to: number): number => {
              const [row, i, k] = [
                Math.floor(to / (places.length * inner)),
                Math.floor(to / inner) % places.length,
                to % inner,
              ]
              const place = places[i]!
              return (row * n + (place < 0 ? place + n : place)) * inner + k
            }
            const values = x.data() as ArrayLike<number>
            expect([...(y.data() as Iterable<number>)]).toEqual(
              Array.from({ length: y.size }, (_, to) => values[from(to)]),
            )
            if (whole) return
            const { pullback } = vjp((a) => gather(a, indices, axis), x as Tensor)
            const dy = normal(y.shape, { seed: 2 })
            const due = new Float64Array(x.size)
            dy.data().forEach((value, to) => (due[from(to)]! += value))
            const [dx] = pullback(dy)
            expect([...dx!.data()]).toEqual([...Float32Array.from(due)])
            expect(outer * n * inner).toBe(x.size)
          })
        },
      ),
      { numRuns: 300 },
    )
  })

  it('refuses places that there are none of', () => {
    scope(() => {
      const take = (place: number) => () => gather(tensor([1, 2, 3]), tensor([place], [1], { dtype: 'int64' }))
      expect(take(3)).toThrow(ShapeError)
      expect(take(3)).toThrow(/gather: indices\[0\] must be from -3 to 2, given 3/)
      expect(take(-4)).toThrow(/given -4/)
      expect(() => gather(tensor([1]), tensor([0]))).toThrow(/indices must be of int64 or int32/)
      expect(() => gather(tensor([1]), tensor([0], [1], { dtype: 'int64' }), 1)).toThrow(/axis 1 does not exist/)
    })
  })
})
