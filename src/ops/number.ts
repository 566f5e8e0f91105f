/** Arithmetic of a tensor and one number. */
import { after, type CallList, type Place } from '../runtime/calls.js'
import { LIGHT } from '../runtime/work.js'

const one = new Float32Array(1)
const bits = new Int32Array(one.buffer)

/** y[i] = x[i] ∘ value for `size` elements at y and x: the second operand is repeated with stride 0. */
export function withNumber(
  list: CallList,
  operation: 'add' | 'sub' | 'mul' | 'div',
  y: Place,
  x: Place,
  size: number,
  value: number,
): void {
  one[0] = value
  const record = list.integers([1, size, 1, 0, bits[0] as number])
  list.call(`${operation}_fwd`, size, LIGHT, y, x, after(record, 16), record)
}
