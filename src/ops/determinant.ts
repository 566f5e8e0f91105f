/** Determinants, for models from elsewhere. Computed in JavaScript, in double precision. */
import { defineOp, type Op } from '../autodiff/op.js'
import { ShapeError } from '../runtime/errors.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { elementsAt, type Tensor } from '../tensor/tensor.js'

/** The determinant of an (n, n) matrix, which is overwritten, by elimination. */
function eliminate(a: Float64Array, n: number): number {
  let determinant = 1
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(a[i * n + k] as number) > Math.abs(a[pivot * n + k] as number)) pivot = i
    }
    if (pivot !== k) {
      determinant = -determinant
      for (let j = k; j < n; j++) {
        const other = a[k * n + j] as number
        a[k * n + j] = a[pivot * n + j] as number
        a[pivot * n + j] = other
      }
    }
    const leading = a[k * n + k] as number
    determinant *= leading
    if (leading === 0) return 0
    for (let i = k + 1; i < n; i++) {
      const factor = (a[i * n + k] as number) / leading
      for (let j = k + 1; j < n; j++) a[i * n + j] = (a[i * n + j] as number) - factor * (a[k * n + j] as number)
    }
  }
  return determinant
}

interface Matrices {
  readonly n: number
  readonly yShape: Shape
}

const determinants: Op<{ x: Tensor }, undefined> = defineOp('determinant', {
  nothing: 'prepared',
  infer: ({ x }: { x: Tensor }): Matrices => {
    const n = x.shape.at(-1) ?? 0
    if (x.ndim < 2 || x.shape.at(-2) !== n)
      throw new ShapeError(`determinant: x must be (…, n, n), given ${showShape(x.shape)}`)
    return { n, yShape: x.shape.slice(0, -2) }
  },
  output: ({ yShape }) => yShape,
  prepare: (list, { n, yShape }) => {
    list.routine(
      (out, from) => {
        const y = elementsAt(out, sizeOf(yShape), 'float32')
        const x = elementsAt(from, y.length * n * n, 'float32')
        for (let i = 0; i < y.length; i++)
          y[i] = eliminate(Float64Array.from(x.subarray(i * n * n, (i + 1) * n * n)), n)
      },
      list.out,
      list.operand('x'),
    )
  },
  keeps: [],
})

/** The determinants of matrices, (…, n, n) -> (…). They have no gradient here. @throws ShapeError where matrices are not square */
export const determinant = (x: Tensor): Tensor => determinants({ x }, undefined)
