/** Elements by their places: taken, put, and chosen by numbers that decide how many there are. */
import { ArgumentError } from '../../../runtime/errors.js'
import {
  gather,
  gatherElements,
  gatherNd,
  reverseSequences,
  scatterElements,
  scatterNd,
  type Reduction,
} from '../../../ops/places.js'
import { checkAxis, stridesOf } from '../../../tensor/shape.js'
import { tensor } from '../../../tensor/create.js'
import { scope, type AnyTensor } from '../../../tensor/tensor.js'
import type { NodeReader } from '../node.js'
import { need, type Lowered, type Meaning, type Rows } from '../row.js'

/** Reductions that an opset has. */
const reductionOf = (node: NodeReader): Reduction =>
  node.opset < 16
    ? 'none'
    : (node.text('reduction', 'none', ['none', 'add', 'mul', ...(node.opset < 18 ? [] : ['max', 'min'])]) as Reduction)

const scatterElementsRow = (node: NodeReader): Lowered => {
  const axis = node.int('axis', 0)
  const reduction = reductionOf(node)
  return (inputs) => scatterElements(need(inputs, 0), need(inputs, 1), need(inputs, 2), axis, reduction)
}

const gatherNdRow =
  (read: (node: NodeReader) => number): Meaning['lower'] =>
  (node) => {
    const batch = read(node)
    if (batch < 0) throw new ArgumentError(`batch_dims must be from 0 on, given ${batch}`)
    return (inputs) => gatherNd(need(inputs, 0), need(inputs, 1), batch)
  }

/** Places of the elements that are not 0, one column for each. How many there are its numbers tell. */
function nonZero(x: AnyTensor): AnyTensor {
  const values: ArrayLike<number | bigint> = x.data()
  const found: number[] = []
  for (let i = 0; i < values.length; i++) if (Number(values[i]) !== 0) found.push(i)
  const strides = stridesOf(x.shape)
  const rows = x.shape.flatMap((extent, axis) => found.map((i) => Math.floor(i / (strides[axis] as number)) % extent))
  return tensor(rows, [x.ndim, found.length], { dtype: 'int64' })
}

/** The rows of x along an axis, or its elements, at which the condition holds. */
function compressed(x: AnyTensor, condition: AnyTensor, given: number | undefined): AnyTensor {
  const holds: ArrayLike<number | bigint> = condition.data()
  const found: number[] = []
  for (let i = 0; i < holds.length; i++) if (Number(holds[i]) !== 0) found.push(i)
  return scope(() => {
    const axis = given === undefined ? 0 : checkAxis(given, x.ndim, 'axis')
    return gather(
      given === undefined ? x.reshape([x.size]) : x,
      tensor(found, [found.length], { dtype: 'int64' }),
      axis,
    )
  })
}

export const places: Rows = {
  GatherElements: [
    {
      since: 11,
      inputs: [2, 2],
      lower(node) {
        const axis = node.int('axis', 0)
        return (inputs) => gatherElements(need(inputs, 0), need(inputs, 1), axis)
      },
    },
  ],
  GatherND: [
    { since: 11, inputs: [2, 2], lower: gatherNdRow(() => 0) },
    { since: 12, inputs: [2, 2], lower: gatherNdRow((node) => node.int('batch_dims', 0)) },
  ],
  ScatterElements: [{ since: 11, inputs: [3, 3], lower: scatterElementsRow }],
  ScatterND: [
    {
      since: 11,
      inputs: [3, 3],
      lower(node) {
        const reduction = reductionOf(node)
        return (inputs) => scatterNd(need(inputs, 0), need(inputs, 1), need(inputs, 2), reduction)
      },
    },
  ],
  // From opset 11 on ScatterElements takes its place, and files that keep it mean the same.
  Scatter: [
    {
      since: 9,
      inputs: [3, 3],
      lower(node) {
        const axis = node.int('axis', 0)
        return (inputs) => scatterElements(need(inputs, 0), need(inputs, 1), need(inputs, 2), axis)
      },
    },
  ],
  NonZero: [{ since: 9, inputs: [1, 1], lower: () => (inputs) => nonZero(need(inputs, 0)) }],
  Compress: [
    {
      since: 9,
      inputs: [2, 2],
      lower(node) {
        const axis = node.hasAttribute('axis') ? node.int('axis') : undefined
        return (inputs) => compressed(need(inputs, 0), need(inputs, 1), axis)
      },
    },
  ],
  ReverseSequence: [
    {
      since: 10,
      inputs: [2, 2],
      lower(node) {
        const [batch, time] = [node.int('batch_axis', 1), node.int('time_axis', 0)]
        if (!(batch + time === 1 && (batch === 0 || batch === 1)))
          throw new ArgumentError(`batch_axis and time_axis must be 0 and 1, given ${batch} and ${time}`)
        return (inputs) => reverseSequences(need(inputs, 0), need(inputs, 1), batch, time)
      },
    },
  ],
}
