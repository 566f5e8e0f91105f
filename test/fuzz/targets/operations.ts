/**
 * Every operation at random shapes and options that are legal, against its definition: values, gradients by finite
 * differences of the definition, guards around every block, the same bits however the work is divided.
 */
import { vjp } from '../../../src/autodiff/vjp.js'
import { forceChunks } from '../../../src/runtime/core.js'
import { UnsupportedError } from '../../../src/runtime/errors.js'
import { tensor } from '../../../src/tensor/create.js'
import { scope, type Tensor } from '../../../src/tensor/tensor.js'
import { size, type Reference } from '../../helpers/reference.js'
import { definitions, type Definition } from '../../operations/index.js'
import type { Json } from '../mutate.js'
import { Random } from '../random.js'
import { accepted, defineTarget, expect, type Outcome, type Target } from '../target.js'

interface Case {
  readonly operation: string
  readonly shapes: number[][]
  readonly options: never
  /** Seed of the elements. */
  readonly seed: number
  /** Items of a chunk of work that threads share; 0: as the library divides it. */
  readonly chunk: number
}

/** Elements away from the kinks of relu, clamp and maxima; whole numbers and fractions. */
function elements(count: number, kind: NonNullable<Definition['values']>, random: Random): Float32Array {
  if (kind === 'distinct') {
    // Steps of 0.0207, in random order: no two of them are a margin apart.
    const order = random.shuffled(Array.from({ length: count }, (_, i) => i))
    return Float32Array.from(order, (place) => 0.0207 * (place - count / 2) + 0.005)
  }
  const whole = random.chance(0.3)
  return Float32Array.from({ length: count }, () => {
    const magnitude = whole ? random.between(1, 4) : 0.05 + 2 * (random.bits() / 2 ** 32)
    const clear = Math.abs(magnitude - 0.9) < 0.01 || Math.abs(magnitude - 1.1) < 0.01 ? magnitude + 0.05 : magnitude
    return kind === 'positive' || random.chance(0.5) ? clear : -clear
  })
}

/** Largest |a − b| against the largest |b|. */
function compare(a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number, what: () => string): void {
  let scale = 0
  for (let i = 0; i < b.length; i++) scale = Math.max(scale, Math.abs(b[i] as number))
  for (let i = 0; i < b.length; i++) {
    const [given, right] = [a[i] as number, b[i] as number]
    const close = Object.is(given, right) || Math.abs(given - right) <= tolerance * scale + 1e-6
    expect(close, () => `${what()}: element ${i} is ${given}, ${right} by definition`)
  }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

const bitsOf = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength)

function check(given: Json): Outcome {
  const { operation, shapes, options, seed, chunk } = given as unknown as Case
  const definition = definitions[operation] as Definition
  const random = new Random(seed)
  const data = shapes.map((shape) => elements(size(shape), definition.values ?? 'any', random))
  const references = data.map((values, i): Reference => ({
    shape: shapes[i] as number[],
    data: Float64Array.from(values),
  }))
  return scope(() => {
    const inputs = data.map((values, i) => tensor(values, shapes[i] as number[]))
    /** Value and gradients, with the work divided so. */
    const compute = (items: number | undefined, dy?: Float32Array): { y: Tensor; gradients: Float32Array[] } => {
      forceChunks(items)
      try {
        const { value, pullback, dispose } = vjp((...tensors) => definition.run(tensors, options), ...inputs)
        const weights = dy ?? new Float32Array(value.size).fill(1)
        const gradients = pullback(tensor(weights, value.shape)).map((gradient) => gradient.data())
        dispose()
        return { y: value, gradients }
      } finally {
        forceChunks(undefined)
      }
    }
    const right = definition.value(references, options)
    const dy = elements(right.data.length, 'any', random)
    let result: ReturnType<typeof compute>
    try {
      result = compute(chunk || undefined, dy)
    } catch (error) {
      // An algorithm that cannot do the shape says so.
      if (error instanceof UnsupportedError) return 'refused'
      expect(false, `${operation} refuses what is legal: ${(error as Error).message}`)
    }
    const { y, gradients } = result
    expect(
      y.shape.join() === right.shape.join(),
      `${operation} gives (${y.shape.join()}), (${right.shape.join()}) by definition`,
    )
    compare(y.data(), right.data, 5e-4, () => operation)
    inputs.forEach((input, i) => {
      expect(bitsOf(input.data()).equals(bitsOf(data[i] as Float32Array)), `${operation} changed its input ${i}`)
    })
    gradients.forEach((gradient, i) => {
      const reference = references[i] as Reference
      expect(gradient.length === reference.data.length, `${operation}: gradient ${i} has ${gradient.length} elements`)
      const direction = Float64Array.from(reference.data, () => random.bits() / 2 ** 31 - 1)
      const step = 1e-5
      const moved = (sign: number): Float64Array => {
        const other = references.map((each, j) =>
          j === i
            ? { ...each, data: each.data.map((value, k) => value + sign * step * (direction[k] as number)) }
            : each,
        )
        return definition.value(other, options).data
      }
      const [up, down] = [moved(1), moved(-1)]
      const slope = dot(
        dy,
        up.map((value, k) => (value - (down[k] as number)) / (2 * step)),
      )
      const scale = gradient.reduce((sum, value, k) => sum + Math.abs(value * (direction[k] as number)), 0)
      const terms = gradient.length
      const given = dot(gradient, direction)
      // Rounding adds up like a walk: the largest of the terms, by the root of their number.
      const close = Math.abs(given - slope) <= 1e-3 * (scale / Math.sqrt(terms) + Math.abs(slope)) + 2e-4
      expect(
        close,
        () => `${operation}: along a line, gradient ${i} gives ${given}, the definition ${slope} (of ${scale})`,
      )
    })
    if (chunk > 0) {
      const alone = compute(2 ** 31 - 1, dy)
      expect(bitsOf(alone.y.data()).equals(bitsOf(y.data())), `${operation}: other bits when the work is divided`)
      gradients.forEach((gradient, i) => {
        expect(
          bitsOf(alone.gradients[i] as Float32Array).equals(bitsOf(gradient)),
          `${operation}: gradient ${i} has other bits when the work is divided`,
        )
      })
    }
    return accepted()
  })
}

const targetOf = (threads: number | undefined): Target =>
  defineTarget<Json>({
    about: `every operation at legal shapes against its definition${threads === undefined ? '' : `, on ${threads} threads`}`,
    cases: threads === undefined ? 300 : 150,
    ...(threads === undefined ? {} : { threads }),
    make(random) {
      const operation = random.pick(Object.keys(definitions))
      const { shapes, options } = (definitions[operation] as Definition).choose(random)
      const chunk = threads === undefined ? 0 : random.pick([1, 1, 2, 3, 16])
      return { operation, shapes, options, seed: random.bits(), chunk }
    },
    check,
  })

export const operations = targetOf(undefined)
export const operationsThreads = targetOf(2)
