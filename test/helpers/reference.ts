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
  /** One or two directions as three, the others of one element. */
  const three = (values: readonly number[], filler: number): [number, number, number] =>
    [...new Array<number>(3 - values.length).fill(filler), ...values] as [number, number, number]
  const [C, K, groupC] = [x[1] as number, w[0] as number, w[1] as number]
  const [D, H, W] = three(x.slice(2), 1)
  const [T, R, S] = three(w.slice(2), 1)
  const [O, P, Q] = three(y.slice(2), 1)
  const [steps, before, apart] = [three(stride, 1), three(lo, 0), three(dilation, 1)]
  const inOrder = (tap: number, taps: number): number => (flip ? taps - 1 - tap : tap)
  /** Where the input meets tap `tap` of window i along one direction. */
  const meets = (axis: 0 | 1 | 2, i: number, tap: number, taps: number): number =>
    i * steps[axis] - before[axis] + apart[axis] * inOrder(tap, taps)
  let yi = 0
  for (let n = 0; n < (y[0] as number); n++) {
    for (let k = 0; k < K; k++) {
      const first = n * C + Math.floor(k / (K / groups)) * (C / groups)
      for (let o = 0; o < O; o++) {
        for (let p = 0; p < P; p++) {
          for (let q = 0; q < Q; q++) {
            let wi = k * groupC * T * R * S
            for (let c = 0; c < groupC; c++) {
              for (let t = 0; t < T; t++) {
                const d = meets(0, o, t, T)
                for (let r = 0; r < R; r++) {
                  const h = meets(1, p, r, R)
                  const row = (((first + c) * D + d) * H + h) * W
                  const outside = d < 0 || d >= D || h < 0 || h >= H
                  for (let s = 0; s < S; s++, wi++) {
                    const column = meets(2, q, s, S)
                    if (!outside && column >= 0 && column < W) visit(row + column, wi, yi)
                  }
                }
              }
            }
            yi++
          }
        }
      }
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
