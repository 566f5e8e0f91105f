/**
 * The naive oracle: every operation by its definition, in float64, on plain arrays. Slow and obvious. Nothing here
 * may import the library.
 */

/** A float64 array with a shape. */
export interface Reference {
  readonly shape: readonly number[]
  readonly data: Float64Array
}

export const size = (shape: readonly number[]): number => shape.reduce((total, extent) => total * extent, 1)

/** All index tuples of a shape in row-major order. */
export function* indices(shape: readonly number[]): Generator<number[]> {
  const index = shape.map(() => 0)
  for (let i = size(shape); i > 0; i--) {
    yield index
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++(index[axis] as number) < (shape[axis] as number)) break
      index[axis] = 0
    }
  }
}

/** Row-major position of an index. */
export const at = (shape: readonly number[], index: readonly number[]): number =>
  shape.reduce((position, extent, axis) => position * extent + (index[axis] as number), 0)

export interface ConvSpec {
  readonly stride: readonly number[]
  readonly lo: readonly number[]
  readonly dilation: readonly number[]
  readonly groups: number
  readonly flip: boolean
}

/**
 * Calls visit(position in x, position in w, position in y) for every product of a convolution: x (N, C, …),
 * w (K, C/groups, …), y (N, K, …). Forward, both gradients and the matrix are all sums over these triples.
 */
export function visitConv(
  x: readonly number[],
  w: readonly number[],
  y: readonly number[],
  { stride, lo, dilation, groups, flip }: ConvSpec,
  visit: (xi: number, wi: number, yi: number) => void,
): void {
  const [, C] = x as [number, number]
  const [K, groupC, ...kernel] = w as [number, number, ...number[]]
  for (const out of indices(y)) {
    const [n, k, ...pixel] = out as [number, number, ...number[]]
    const first = Math.floor(k / (K / groups)) * (C / groups)
    for (const tap of indices([groupC, ...kernel])) {
      const [c, ...offset] = tap as [number, ...number[]]
      const position = pixel.map(
        (p, axis) =>
          p * (stride[axis] as number) -
          (lo[axis] as number) +
          (dilation[axis] as number) *
            (flip ? (kernel[axis] as number) - 1 - (offset[axis] as number) : (offset[axis] as number)),
      )
      if (position.some((value, axis) => value < 0 || value >= (x[axis + 2] as number))) continue
      visit(at(x, [n, first + c, ...position]), at(w, [k, c, ...offset]), at(y, out))
    }
  }
}

/** Largest |a − b|, and the largest |b|: the scale to judge it by. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): { error: number; scale: number } {
  if (a.length !== b.length) throw new Error(`lengths differ: ${a.length} and ${b.length}`)
  let error = 0
  let scale = 0
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs((a[i] as number) - (b[i] as number))
    error = Number.isNaN(distance) ? Infinity : Math.max(error, distance)
    scale = Math.max(scale, Math.abs(b[i] as number))
  }
  return { error, scale }
}
