/**
 * What the table of operations says of each, and the tools with which its rows are written. `index.ts` lists who reads
 * the table.
 */
import { normal, uniform } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import type { Json } from '../fuzz/mutate.js'
import type { Random } from '../fuzz/random.js'
import { at, indices, size, type Reference } from '../helpers/reference.js'

/** What a case gives: tensors to differentiate by and the function, or numbers as they are. */
export type Case =
  | {
      readonly inputs: readonly Tensor[]
      readonly fn: (...inputs: Tensor[]) => Tensor
      /** The same by definition, in float64. */
      readonly value?: (inputs: readonly Reference[]) => Reference
    }
  | { readonly numbers: readonly ArrayLike<number>[] }

/** Makes a case anew each time: who asks owns the tensors. */
export type MakeCase = () => Case

export type Options = { [key: string]: Json }

/** A choice: the shapes of the tensors, and options. */
export interface Choice {
  readonly shapes: number[][]
  readonly options: Options
}

/** An operation by its definition, in float64, on plain arrays. */
export interface Definition {
  /** Random shapes and options that are legal. */
  choose(random: Random): Choice
  run(inputs: readonly Tensor[], options: never): Tensor
  /** The same by definition. */
  value(inputs: readonly Reference[], options: never): Reference
  /** What the elements of the tensors are: any, above 0, none like another. Default 'any'. */
  readonly values?: 'any' | 'positive' | 'distinct'
}

/** A row of the table. */
export interface Operation {
  /** Small shapes that reach the kernels and their remainders. Value and gradients of all of them are one golden hash, in this order. */
  readonly cases: readonly MakeCase[]
  /** Calls that are right, as JSON: the wrong ones are made from them, and every tensor in them has a gradient or an error. */
  readonly calls: readonly (readonly Json[])[]
  /** Left out only where `undefinedBecause` says why. */
  readonly definition?: Definition
  readonly undefinedBecause?: string
  /** Groups of inputs, by their places, in which each case is linear while the others stay. */
  readonly linear?: readonly (readonly number[])[]
  /** How many of the cases are so, from the first on. Default: all. */
  readonly linearCases?: number
  /** Shapes with more items to divide among threads, by what they are. */
  readonly divided?: Readonly<Record<string, MakeCase>>
  /** That its cases call more than the operation. */
  readonly compound?: true
}

export type Rows = Readonly<Record<string, Operation>>

export const define = (definition: Definition): Definition => definition

/** Normal numbers; the seed is the place of the input. */
export const normals = (...shapes: readonly (readonly number[])[]): Tensor[] =>
  shapes.map((shape, seed) => normal(shape, { seed: seed + 1 }))

export const positive = (shape: readonly number[]): Tensor => uniform(shape, { seed: 9, low: 0.1, high: 3 })

/** A case of normal numbers that is told by a function alone. */
export const of =
  (
    shapes: readonly (readonly number[])[],
    fn: (...inputs: Tensor[]) => Tensor,
    value?: (inputs: readonly Reference[]) => Reference,
  ): MakeCase =>
  () => ({ inputs: normals(...shapes), fn, ...(value ? { value } : {}) })

/** Shapes, and options where there are any. */
export type Small = readonly [shapes: readonly (readonly number[])[], options?: unknown]

/** Cases of a definition, of normal numbers, or of positive ones where it takes those alone. */
export const small = (definition: Definition, ...given: readonly Small[]): MakeCase[] =>
  given.map(([shapes, options = {}]) => () => ({
    inputs: definition.values === 'positive' ? shapes.map(positive) : normals(...shapes),
    fn: (...inputs) => definition.run(inputs, options as never),
    value: (inputs) => definition.value(inputs, options as never),
  }))

/** A case that gives numbers. */
export const numbers =
  (...make: (() => ArrayLike<number>)[]): MakeCase =>
  () => ({ numbers: make.map((each) => each()) })

/** x (2, 4, 7), (2, 4, 7, 6) or (2, 4, 5, 7, 6). */
export const volume = (directions: number): number[] => [2, 4, ...[5, 7, 6].slice(3 - directions)]

// ---- references -------------------------------------------------------------------------------------------------------

export const from = (shape: readonly number[], of: (index: readonly number[]) => number): Reference => {
  const data = new Float64Array(size(shape))
  let i = 0
  for (const index of indices(shape)) data[i++] = of(index)
  return { shape: [...shape], data }
}

export const get = ({ shape, data }: Reference, index: readonly number[]): number => data[at(shape, index)] as number

export const mapped = ({ shape, data }: Reference, of: (value: number) => number): Reference => ({
  shape,
  data: data.map(of),
})

/** The same numbers in another shape. */
export const reshaped = ({ data }: Reference, shape: readonly number[]): Reference => ({ shape, data })

/** x with the values along one axis replaced by a function of all of them. */
export function alongAxis(x: Reference, axis: number, of: (values: number[]) => number[]): Reference {
  const data = new Float64Array(x.data.length)
  for (const index of indices(x.shape.map((n, other) => (other === axis ? 1 : n)))) {
    const places = Array.from({ length: x.shape[axis] as number }, (_, i) =>
      at(
        x.shape,
        index.map((position, other) => (other === axis ? i : position)),
      ),
    )
    const values = of(places.map((place) => x.data[place] as number))
    places.forEach((place, i) => (data[place] = values[i] as number))
  }
  return { shape: x.shape, data }
}

export const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)
export const mean = (values: readonly number[]): number => total(values) / values.length
export const largest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, value), -Infinity)

/** ln Σ eˣ. */
export const logSumExp = (values: readonly number[]): number => {
  const most = largest(values)
  return most + Math.log(total(values.map((value) => Math.exp(value - most))))
}

// ---- options ------------------------------------------------------------------------------------------------------------

/** One value for each direction: of a list that has them, or the same for all. */
export const each = (value: unknown, directions: number, otherwise: number): number[] =>
  Array.isArray(value) ? (value as number[]) : new Array<number>(directions).fill((value ?? otherwise) as number)

/** Zeros before and behind in each direction; `reach` is how far a window stretches beyond its first tap. */
export function paddings(padding: unknown, reach: readonly number[]): [before: number, behind: number][] {
  if (padding === 'same') return reach.map((zeros) => [Math.floor(zeros / 2), Math.ceil(zeros / 2)])
  if (padding === 'full') return reach.map((zeros) => [zeros, zeros])
  if (padding === 'valid') return reach.map(() => [0, 0])
  return reach.map((_, axis): [number, number] => {
    const zeros: unknown = Array.isArray(padding) ? padding[axis] : (padding ?? 0)
    return Array.isArray(zeros) ? (zeros as [number, number]) : [zeros as number, zeros as number]
  })
}

// ---- choices ------------------------------------------------------------------------------------------------------------

/** An extent that is small, or leaves a remainder of the widths that kernels have. */
export const extent = (random: Random, most = 20): number =>
  Math.min(most, random.pick([1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 20, 31, 33, 64]))
export const few = (random: Random): number => random.between(1, 3)
export const shapeOf = (
  random: Random,
  rank = random.between(1, 4),
  most = [400, 60, 20, 10, 6][rank - 1] ?? 4,
): number[] => random.list(rank, () => random.between(1, random.chance(0.3) ? 3 : most))
