/** Arithmetic of a tensor and one number. */
import { after, type CallList, type Place } from '../runtime/calls.js'
import { LIGHT } from '../runtime/work.js'

/** y[i] = x[i] ∘ value for `size` elements at y and x: the second operand is repeated with stride 0. */
export function withNumber(
  list: CallList,
  operation: 'add' | 'sub' | 'mul' | 'div',
  y: Place,
  x: Place,
  size: number,
  value: number,
): void {
  const record = list.integers([1, size, 1, 0, ...new Int32Array(Float32Array.of(value).buffer)])
  list.call(`${operation}_fwd`, size, LIGHT, y, x, after(record, 16), record)
}
