/** Elements taken and put by their places, and gradients that are added back. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import { gather, gatherElements, gatherNd, reverseSequences, scatterElements, scatterNd } from '../../src/ops/places.js'
import { init } from '../../src/runtime/embedded.js'
import { ShapeError } from '../../src/runtime/errors.js'
import { normal, tensor } from '../../src/tensor/create.js'
import { dtypes } from '../../src/tensor/dtype.js'
import { scope, type AnyTensor, type Tensor } from '../../src/tensor/tensor.js'
import { at, indices, size } from '../helpers/reference.js'

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

/** A tensor of any type whose elements are told apart, as far as the type allows. */
const made = (shape: readonly number[], dtype: (typeof dtypes)[number], seed = 1): AnyTensor =>
  dtype === 'float32'
    ? normal(shape, { seed })
    : tensor(
        Array.from({ length: size(shape) }, (_, i) => (dtype === 'bool' ? (i + seed) % 2 : (i * 7 + seed) % 100)),
        shape,
        { dtype },
      )

const numbers = (x: AnyTensor): number[] => Array.from(x.data() as ArrayLike<number | bigint>, Number)

/** Places that a test takes from or puts to: for each element of the result, by its index, that of x. */
interface Addressed {
  readonly xShape: readonly number[]
  readonly shape: readonly number[]
  readonly indices: AnyTensor
  readonly of: (index: readonly number[]) => readonly number[]
}

/** An index from −n to n − 1. */
function drawn(random: Iterator<number>, n: number): number {
  return (random.next().value % (2 * n)) - n
}

const wrapped = (index: number, n: number): number => (index < 0 ? index + n : index)

const elementsCase = (shape: readonly number[], along: number, extent: number, random: Iterator<number>): Addressed => {
  const axis = along % shape.length
  const own = shape.map((n, other) => (other === axis ? extent : n))
  const n = shape[axis]!
  const values = Array.from({ length: size(own) }, () => drawn(random, n))
  return {
    xShape: shape,
    shape: own,
    indices: tensor(values, own, { dtype: 'int64' }),
    of: (index) => index.map((i, other) => (other === axis ? wrapped(values[at(own, index)]!, n) : i)),
  }
}

const ndCase = (
  shape: readonly number[],
  batch: number,
  last: number,
  between: readonly number[],
  random: Iterator<number>,
): Addressed => {
  const outer = [...shape.slice(0, batch), ...between]
  const count = size(outer)
  const values = Array.from({ length: count * last }, (_, i) => drawn(random, shape[batch + (i % last)]!))
  return {
    xShape: shape,
    shape: [...outer, ...shape.slice(batch + last)],
    indices: tensor(values, [...outer, last], { dtype: 'int64' }),
    of: (index) => {
      const row = at(outer, index.slice(0, outer.length))
      const own = Array.from({ length: last }, (_, k) => wrapped(values[row * last + k]!, shape[batch + k]!))
      return [...index.slice(0, batch), ...own, ...index.slice(outer.length)]
    },
  }
}

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
const streams = fc.infiniteStream(fc.nat())

/** Checks what is taken, its gradient and the gradient of that. */
function checkTaken(
  { xShape, shape, of }: Addressed,
  take: (x: AnyTensor) => AnyTensor,
  dtype: (typeof dtypes)[number],
) {
  const x = made(xShape, dtype)
  const y = take(x)
  expect([y.shape, y.dtype]).toEqual([shape, dtype])
  const values = numbers(x)
  const from = Array.from(indices(shape), (index) => at(xShape, of(index)))
  expect(numbers(y)).toEqual(from.map((place) => values[place]))
  if (dtype !== 'float32') return
  const dy = normal(shape, { seed: 2 })
  const backwards = (d: Tensor): Tensor => vjp((a) => take(a) as Tensor, x as Tensor).pullback(d)[0]!
  const due = new Float64Array(x.size)
  dy.data().forEach((value, i) => (due[from[i]!]! += value))
  expect([...backwards(dy).data()]).toEqual([...Float32Array.from(due)])
  // The gradient of the gradient takes again.
  const [again] = vjp(backwards, dy).pullback(x as Tensor)
  expect([...again!.data()]).toEqual([...y.data()])
}

describe('gatherElements, gatherNd and reverseSequences', () => {
  it('take elements by their indices along one axis', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.nat(),
        fc.integer({ min: 1, max: 5 }),
        streams,
        fc.constantFrom(...dtypes),
        (shape, along, extent, random, dtype) => {
          scope(() => {
            const addressed = elementsCase(shape, along, extent, random[Symbol.iterator]())
            checkTaken(addressed, (x) => gatherElements(x, addressed.indices, along % shape.length), dtype)
          })
        },
      ),
    )
  })

  it('take parts by indices of several axes behind a batch', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.nat(),
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
        streams,
        fc.constantFrom(...dtypes),
        (shape, first, second, between, random, dtype) => {
          scope(() => {
            const batch = first % shape.length
            const last = 1 + (second % (shape.length - batch))
            const addressed = ndCase(shape, batch, last, between, random[Symbol.iterator]())
            checkTaken(addressed, (x) => gatherNd(x, addressed.indices, batch), dtype)
          })
        },
      ),
    )
  })

  it('turn the beginnings of sequences around', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 }),
        fc.constantFrom(0, 1),
        streams,
        fc.constantFrom(...dtypes),
        (shape, batch, random, dtype) => {
          scope(() => {
            const next = random[Symbol.iterator]()
            const time = 1 - batch
            const lengths = Array.from(
              { length: shape[batch]! },
              () => (next.next().value as number) % (shape[time]! + 1),
            )
            const given = tensor(lengths, [lengths.length], { dtype: 'int64' })
            const of = (index: readonly number[]): number[] =>
              index.map((i, axis) => {
                const length = lengths[index[batch]!]!
                return axis === time && i < length ? length - 1 - i : i
              })
            checkTaken(
              { xShape: shape, shape, indices: given, of },
              (x) => reverseSequences(x, given, batch, time),
              dtype,
            )
          })
        },
      ),
    )
  })

  it('refuse what does not fit', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4, 5, 6], [2, 3])
      const places = (values: number[], shape: number[]) => tensor(values, shape, { dtype: 'int64' })
      expect(() => gatherElements(x, places([0], [1]))).toThrow(/indices of shape \(1\) do not fit x of shape \(2, 3\)/)
      expect(() => gatherElements(x, places([2], [1, 1]))).toThrow(/indices\[0\] must be from -2 to 1, given 2/)
      expect(() => gatherNd(x, places([0, 3], [1, 2]))).toThrow(/indices\[1\] must be from -3 to 2 for axis 1, given 3/)
      expect(() => gatherNd(x, places([0, 0, 0], [1, 3]))).toThrow(/do not fit/)
      expect(() => reverseSequences(x, places([1], [1]), 0, 1)).toThrow(/do not fit/)
      expect(() => reverseSequences(x, places([1, 4], [2]), 0, 1)).toThrow(/lengths must be from 0 to 3, given 4/)
      expect(() => reverseSequences(x, places([1, 1], [2]), 0, 0)).toThrow(/must be axes 0 and 1/)
    })
  })
})

describe('scatterElements and scatterNd', () => {
  const apply = {
    none: (_: number, b: number) => b,
    add: (a: number, b: number) => a + b,
    mul: (a: number, b: number) => a * b,
    max: Math.max,
    min: Math.min,
  } as const
  const kinds = fc.constantFrom('none', 'add', 'mul', 'max', 'min')

  /** Checks what is put, one after another, and the gradients of what is linear. */
  function checkPut(
    { xShape, shape, of }: Addressed,
    put: (x: AnyTensor, updates: AnyTensor) => AnyTensor,
    reduction: keyof typeof apply,
    dtype: (typeof dtypes)[number],
  ) {
    const x = made(xShape, dtype)
    const updates = made(shape, dtype, 3)
    const to = Array.from(indices(shape), (index) => at(xShape, of(index)))
    const due = numbers(x)
    const given = numbers(updates)
    to.forEach((place, i) => (due[place] = apply[reduction](due[place]!, given[i]!)))
    const y = put(x, updates)
    expect([y.shape, y.dtype]).toEqual([xShape, dtype])
    // As the type holds them.
    const wrap = (value: number): number =>
      dtype === 'float32'
        ? Math.fround(value)
        : dtype === 'uint8'
          ? value & 255
          : dtype === 'int8'
            ? (value << 24) >> 24
            : value
    expect(numbers(y)).toEqual(due.map(wrap))
    if (dtype !== 'float32' || (reduction !== 'none' && reduction !== 'add')) return
    const dy = normal(xShape, { seed: 4 })
    const [dx, du] = vjp((a, b) => put(a, b) as Tensor, x as Tensor, updates as Tensor).pullback(dy)
    const dyValues = [...dy.data()]
    const isOver = (place: number): boolean => reduction === 'none' && to.includes(place)
    expect([...dx!.data()]).toEqual(dyValues.map((value, place) => (isOver(place) ? 0 : value)))
    expect([...du!.data()]).toEqual(
      to.map((place, i) => (reduction === 'add' || to.lastIndexOf(place) === i ? dyValues[place] : 0)),
    )
    // The gradient by the updates is linear in dy: its adjoint puts back.
    const toUpdates = (d: Tensor): Tensor => vjp((b) => put(x, b) as Tensor, updates as Tensor).pullback(d)[0]!
    const [back] = vjp(toUpdates, dy).pullback(updates as Tensor)
    const dot = (a: Tensor, b: Tensor): number => [...a.data()].reduce((sum, value, i) => sum + value * b.data()[i]!, 0)
    expect(dot(back!, dy)).toBeCloseTo(dot(du!, updates as Tensor), 4)
  }

  // Sums of whole numbers stay below what a double holds.
  const types = dtypes.filter((dtype) => dtype !== 'bool')

  it('put elements by their indices along one axis', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.nat(),
        fc.integer({ min: 1, max: 3 }),
        streams,
        fc.constantFrom(...types),
        kinds,
        (shape, along, extent, random, dtype, kind) => {
          scope(() => {
            const addressed = elementsCase(shape, along, extent, random[Symbol.iterator]())
            checkPut(
              addressed,
              (x, updates) => scatterElements(x, addressed.indices, updates, along % shape.length, kind),
              kind,
              dtype,
            )
          })
        },
      ),
    )
  })

  it('put parts by indices of several axes', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 2 }), { maxLength: 2 }),
        streams,
        fc.constantFrom(...types),
        kinds,
        (shape, second, between, random, dtype, kind) => {
          scope(() => {
            const addressed = ndCase(shape, 0, 1 + (second % shape.length), between, random[Symbol.iterator]())
            checkPut(addressed, (x, updates) => scatterNd(x, addressed.indices, updates, kind), kind, dtype)
          })
        },
      ),
    )
  })

  it('refuse what does not fit, and gradients that there are none of', () => {
    scope(() => {
      const x = tensor([1, 2, 3])
      const places = tensor([0, 1], [2], { dtype: 'int64' })
      expect(() => scatterElements(x, places, tensor([1]))).toThrow(/updates must be \(2\), given \(1\)/)
      const whole: AnyTensor = tensor([1, 2], [2], { dtype: 'int32' })
      expect(() => scatterElements(x as AnyTensor, places, whole)).toThrow(/updates must be of float32 as x is/)
      const bools = tensor([true, false], [2], { dtype: 'bool' })
      expect(() => scatterElements(bools, places, bools, 0, 'add')).toThrow(/bools have no add/)
      const updates = tensor([1, 2])
      const { pullback } = vjp((a) => scatterElements(a, places, updates, 0, 'mul'), x)
      expect(() => pullback(tensor([1, 1, 1]))).toThrow(/x has no gradient/)
    })
  })

  it('keep NaN as the largest and the smallest', () => {
    scope(() => {
      const place = tensor([0, 1], [2], { dtype: 'int64' })
      for (const kind of ['max', 'min'] as const) {
        const y = scatterElements(tensor([NaN, 1]), place, tensor([1, NaN]), 0, kind)
        expect([...y.data()]).toEqual([NaN, NaN])
      }
    })
  })
})
