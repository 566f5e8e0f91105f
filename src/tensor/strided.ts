/**
 * Walks over strided tensors, in the records that the kernels read (32-bit integers; assembly/ops/elementwise.ts,
 * layout.ts, reduce.ts). Dimensions that all operands walk through in equal steps become one.
 */
import { stridesOf, type Shape } from '../tensor/shape.js'

/** One dimension: its extent, and for each operand the distance between neighbours, in elements. */
interface Dimension {
  extent: number
  readonly steps: readonly number[]
}

/** The fewest dimensions that describe the walk, innermost first. `strides`: for each operand, outermost first. */
function join(extents: readonly number[], strides: readonly (readonly number[])[]): Dimension[] {
  const dimensions: Dimension[] = []
  for (let axis = extents.length - 1; axis >= 0; axis--) {
    const extent = extents[axis] as number
    if (extent === 1) continue
    const steps = strides.map((operand) => operand[axis] as number)
    const inner = dimensions.at(-1)
    if (inner && steps.every((step, operand) => step === (inner.steps[operand] as number) * inner.extent)) {
      inner.extent *= extent
    } else {
      dimensions.push({ extent, steps })
    }
  }
  return dimensions
}

const encode = (dimensions: readonly Dimension[]): number[] =>
  dimensions.flatMap(({ extent, steps }) => [extent, ...steps])

/** Strides of an operand laid over a larger shape: 0 where it is repeated. */
export function broadcastStrides(operand: Shape, shape: Shape): number[] {
  const own = stridesOf(operand).map((stride, axis) => (operand[axis] === 1 ? 0 : stride))
  return [...new Array<number>(shape.length - operand.length).fill(0), ...own]
}

/** Operands a and b laid over `shape`, for arithmetic; undefined where both have its elements, one for one. */
export function planBroadcast(shape: Shape, a: Shape, b: Shape): number[] | undefined {
  const dimensions = join(shape, [broadcastStrides(a, shape), broadcastStrides(b, shape)])
  const plain = dimensions.every(({ steps }) => steps.every((step) => step === 1))
  return plain && dimensions.length <= 1 ? undefined : [dimensions.length, ...encode(dimensions)]
}

/** A copy between two layouts of `extents`, and its number of planes. */
export interface CopyPlan {
  readonly record: readonly number[]
  readonly planes: number
}

/** y = x with the strides given, outermost first. */
export function planCopy(extents: readonly number[], y: readonly number[], x: readonly number[]): CopyPlan {
  const dimensions = join(extents, [y, x])
  while (dimensions.length < 2) dimensions.push({ extent: 1, steps: [0, 0] })
  // A plane whose rows are neighbours in x is transposed in blocks.
  const row = dimensions.findIndex(({ steps }, index) => index > 0 && steps[1] === 1)
  if (row > 0) dimensions.splice(1, 0, ...dimensions.splice(row, 1))
  const planes = dimensions.slice(2).reduce((count, { extent }) => count * extent, 1)
  return { record: [dimensions.length, ...encode(dimensions)], planes }
}

/** Strides of a reduction's output in the axes of x: 0 along the axes that are reduced. */
export function reducedStrides(shape: Shape, axes: ReadonlySet<number>): number[] {
  const kept = shape.map((extent, axis) => (axes.has(axis) ? 1 : extent))
  return stridesOf(kept).map((stride, axis) => (axes.has(axis) ? 0 : stride))
}

/** A reduction of `shape` over `axes`. */
export function planReduction(shape: Shape, axes: ReadonlySet<number>): number[] {
  const dimensions = join(shape, [reducedStrides(shape, axes), stridesOf(shape)])
  const part = (reduced: boolean): Dimension[] =>
    dimensions
      .filter(({ steps }) => (steps[0] === 0) === reduced)
      .map(({ extent, steps }) => ({ extent, steps: steps.slice(1) }))
  const kept = part(false)
  const reduced = part(true)
  // What is reduced has at least one element.
  if (reduced.length === 0) reduced.push({ extent: 1, steps: [1] })
  return [kept.length, reduced.length, ...encode(kept), ...encode(reduced)]
}
