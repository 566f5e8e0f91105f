/** Arithmetic of a tensor and one number. */
import { parallel, withIntegers } from '../runtime/core.js'
import { LIGHT } from '../runtime/work.js'

const one = new Float32Array(1)
const bits = new Int32Array(one.buffer)

/** y[i] = x[i] ∘ value for `size` elements at the addresses y and x: the second operand is repeated with stride 0. */
export function withNumber(
  operation: 'add' | 'sub' | 'mul' | 'div',
  y: number,
  x: number,
  size: number,
  value: number,
): void {
  one[0] = value
  withIntegers([1, size, 1, 0, bits[0] as number], (record) => {
    parallel(`${operation}_fwd`, size, LIGHT, y, x, record + 16, record)
  })
}
