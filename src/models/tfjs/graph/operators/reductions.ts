/** Reductions over axes, places of extrema, running sums and softmax. */
import { UnsupportedError } from '../../../../runtime/errors.js'
import { cast } from '../../../../ops/cast.js'
import { cumulativeSum, type Fold } from '../../../../ops/fold.js'
import { argExtremum, top } from '../../../../ops/order.js'
import { max, mean, min } from '../../../../ops/reduce.js'
import { logSoftmax, softmax } from '../../../../ops/softmax.js'
import { checkAxis } from '../../../../tensor/shape.js'
import { scope, type AnyTensor, type Tensor } from '../../../../tensor/tensor.js'
import { floats, need, numbersOf } from '../../../inputs.js'
import { extremum, productOver, reduced, sumOver, type Reduce } from '../../../reductions.js'
import { axisFirst } from '../../values.js'
import { row, type Row, type Rows } from '../row.js'

/**
 * A reduction over the axes of an input, of which none means none. Where x is computed channels first and the axes are known, it is
 * reduced so, unless axes that remain would be in another order then.
 */
const reduction = (of: Reduce, ofWhole: Fold | undefined, convert: (x: AnyTensor) => AnyTensor = (x) => x): Row =>
  row([2, 2], (node) => {
    const keepDims = node.flag('keep_dims', node.flag('keepdims'))
    node.ignore('keepdims')
    const ndim = node.ndim(0)
    const given = node.constant(1)
    const known =
      ndim !== undefined && given && node.isFirst(0) ? given.map((axis) => checkAxis(axis, ndim, 'axis')) : undefined
    const over = (x: AnyTensor, axes: readonly number[]): AnyTensor =>
      axes.length === 0 ? x.alias() : scope(() => reduced(convert(x), of, ofWhole, axes, keepDims))
    if (known && ndim !== undefined) {
      const left = ndim - new Set(known).size
      const isChannelsLeft = !known.includes(ndim - 1)
      const own = known.map((axis) => axisFirst(axis, ndim))
      const isInOrder = keepDims || !isChannelsLeft || left < 2 || !known.includes(0)
      const isFirst = keepDims || (isChannelsLeft && left > 2)
      if (isInOrder) {
        return {
          first: [0],
          isFirst,
          ndim: isFirst ? (keepDims ? ndim : left) : undefined,
          step: (inputs) => over(need(inputs, 0), own),
        }
      }
    }
    return (inputs) => {
      const x = need(inputs, 0)
      return over(
        x,
        numbersOf(need(inputs, 1)).map((axis) => checkAxis(axis, x.ndim, 'axis')),
      )
    }
  })

const asFloats = (x: AnyTensor): AnyTensor => cast(x, 'float32')

/** Whether all, or one, of bools hold: the least, or the largest. */
const holding = (fold: Fold): Row => reduction(() => refuseFloats(), fold)

function refuseFloats(): never {
  throw new UnsupportedError('it is supported of bool, and the input is of float32')
}

const places = (largest: boolean): Row =>
  row([1, 2], (node) => {
    const attribute = node.int('dimension', 0)
    return (inputs) => {
      const axis = inputs[1] ? (numbersOf(inputs[1])[0] ?? 0) : attribute
      return scope(() => cast(argExtremum(need(inputs, 0), { axis, keepDims: false, largest, last: false }), 'int32'))
    }
  })

const alongLast = (of: (x: Tensor, axis: number) => Tensor): Row =>
  row([1, 1], (node) =>
    node.isFirst(0)
      ? { first: [0], isFirst: true, ndim: node.ndim(0), step: (inputs) => of(floats(inputs, 0), 1) }
      : (inputs) => of(floats(inputs, 0), -1),
  )

const Cumsum = row([2, 2], (node) => {
  const [exclusive, reverse] = [node.flag('exclusive'), node.flag('reverse')]
  return (inputs) =>
    cumulativeSum(need(inputs, 0), { axis: numbersOf(need(inputs, 1))[0] as number, exclusive, reverse })
})

const TopKV2 = row([2, 2], (node) => {
  // Any order will do where none is asked for.
  node.ignore('sorted')
  return {
    outputs: 2,
    step: (inputs) =>
      scope(() => {
        const count = numbersOf(need(inputs, 1))[0] as number
        const { values, places: found } = top(need(inputs, 0), { count, axis: -1, largest: true })
        return [values, cast(found, 'int32')]
      }),
  }
})

export const reductions: Rows = {
  All: holding('min'),
  Any: holding('max'),
  ArgMax: places(true),
  ArgMin: places(false),
  Cumsum,
  LogSoftmax: alongLast(logSoftmax),
  Max: reduction(extremum(max, -Infinity), 'max'),
  Mean: reduction((x, axes, keepDims) => mean(x, axes, { keepDims }), undefined, asFloats),
  Min: reduction(extremum(min, Infinity), 'min'),
  Prod: reduction(productOver, 'prod'),
  Softmax: alongLast(softmax),
  Sum: reduction(sumOver, 'sum'),
  TopKV2,
}
