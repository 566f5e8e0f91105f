/** Every operation of the table against its definition: values, gradients, and adjoints where it is linear. */
import { beforeAll, describe, expect, it } from 'vitest'
import { vjp } from '../../src/autodiff/vjp.js'
import * as exported from '../../src/ops/index.js'
import { algorithms } from '../../src/plan/conv.js'
import { init } from '../../src/runtime/embedded.js'
import { uniform } from '../../src/tensor/create.js'
import { scope, type Tensor } from '../../src/tensor/tensor.js'
import { Random } from '../fuzz/random.js'
import { operations as target } from '../fuzz/targets/operations.js'
import { difference, type Reference } from '../helpers/reference.js'
import { byAlgorithm, everyCase, operations, type Case } from './index.js'

beforeAll(() => init())

type Calling = Extract<Case, { readonly inputs: unknown }>

const referenceOf = (tensor: Tensor): Reference => ({ shape: tensor.shape, data: Float64Array.from(tensor.data()) })

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

/** Sum of the magnitudes of the terms of a dot product: what its rounding is measured by. */
const magnitude = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  dot(Float64Array.from(a, Math.abs), Float64Array.from(b, Math.abs))

/** Value and gradients of a case for a random dy. */
function passes({ inputs, fn }: Calling): { y: Reference; dy: Float64Array; gradients: Reference[] } {
  const { value, pullback, dispose } = vjp(fn, ...inputs)
  const dy = uniform(value.shape, { low: -1, high: 1, seed: 12 })
  const gradients = pullback(dy).map(referenceOf)
  dispose()
  return { y: referenceOf(value), dy: referenceOf(dy).data, gradients }
}

const rows = Object.entries(operations)
const calling = (make: () => Case): Calling | undefined =>
  scope(() => {
    const made = make()
    return 'numbers' in made ? undefined : made
  })

describe('the table', () => {
  it('has a row for every operation that is exported, and for nothing else', () => {
    expect(Object.keys(operations).sort()).toEqual(Object.keys(exported).sort())
  })

  it('has a case for every algorithm of a convolution', () => {
    expect(Object.keys(byAlgorithm).sort()).toEqual(Object.keys(algorithms).sort())
  })

  it.each(rows)('%s has cases, calls, and a definition or the reason why not', (_, row) => {
    expect(row.cases.length).toBeGreaterThan(0)
    expect(row.calls.length).toBeGreaterThan(0)
    expect(row.definition === undefined).toBe(row.undefinedBecause !== undefined)
  })
})

describe('small cases agree with their definition', () => {
  it.each(everyCase)('%s', (_, __, make) => {
    scope(() => {
      const made = make()
      if ('numbers' in made || !made.value) return
      const { value: define } = made
      const { y, dy, gradients } = passes(made)
      const references = made.inputs.map(referenceOf)
      const right = define(references)
      expect(y.shape).toEqual(right.shape)
      const { error, scale } = difference(y.data, right.data)
      expect(error).toBeLessThanOrEqual(2e-6 * scale + 1e-6)
      gradients.forEach((gradient, i) => {
        // Along a random line: the definition's slope by differences, and the gradient's.
        const random = new Random('line', i)
        const direction = Float64Array.from(gradient.data, () => random.bits() / 2 ** 31 - 1)
        const step = 1e-6
        const moved = (sign: number): Float64Array =>
          define(
            references.map((each, j) =>
              j === i ? { ...each, data: each.data.map((value, k) => value + sign * step * direction[k]!) } : each,
            ),
          ).data
        const slope = (dot(dy, moved(1)) - dot(dy, moved(-1))) / (2 * step)
        expect(gradient.shape).toEqual(references[i]!.shape)
        const given = dot(gradient.data, direction)
        expect(Math.abs(given - slope)).toBeLessThanOrEqual(1e-5 * magnitude(gradient.data, direction) + 1e-6)
      })
    })
  })
})

describe('random cases agree with their definition', () => {
  it.each(rows.filter(([, { definition }]) => definition))('%s', async (operation, { definition }) => {
    for (let index = 0; index < 4; index++) {
      const random = new Random('table', operation, index)
      const { shapes, options } = definition!.choose(random)
      await target.check({ operation, shapes, options, seed: random.bits(), chunk: 0 })
    }
  })
})

describe('what is linear is the adjoint of its gradient: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩', () => {
  const linear = rows.filter(([, row]) => row.linear)

  it.each(linear)('%s', (_, { cases, linear: groups = [], linearCases }) => {
    for (const make of cases.slice(0, linearCases)) {
      scope(() => {
        const made = make()
        if ('numbers' in made) return
        const { y, dy, gradients } = passes(made)
        for (const group of groups) {
          const inputs = group.filter((place) => place < made.inputs.length)
          if (inputs.length === 0) continue
          const data = (place: number): Float32Array => made.inputs[place]!.data()
          const back = inputs.reduce((sum, place) => sum + dot(data(place), gradients[place]!.data), 0)
          const terms = inputs.reduce((sum, place) => sum + magnitude(data(place), gradients[place]!.data), 0)
          expect(Math.abs(dot(y.data, dy) - back)).toBeLessThanOrEqual(1e-6 * (magnitude(y.data, dy) + terms))
        }
      })
    }
  })

  it('is asked of the operations that say so, none of which is a function of numbers', () => {
    expect(linear.length).toBeGreaterThan(25)
    for (const [name, { cases }] of linear) expect(calling(cases[0]!), name).toBeDefined()
  })
})
