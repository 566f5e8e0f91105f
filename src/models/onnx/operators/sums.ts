/** Products of matrices, softmax and normalization. */
import { ShapeError, UnsupportedError } from '../../../runtime/errors.js'
import { linear, matmul } from '../../../ops/linear.js'
import { add, div, mul } from '../../../ops/elementwise.js'
import { transpose } from '../../../ops/layout.js'
import { logSoftmax, softmax } from '../../../ops/softmax.js'
import { batchNorm, localResponseNorm } from '../../../ops/norm.js'
import { gather } from '../../../ops/places.js'
import { checkAxis, sameShape, sizeOf } from '../../../tensor/shape.js'
import { tensor } from '../../../tensor/create.js'
import { scope, type AnyTensor, type Tensor } from '../../../tensor/tensor.js'
import { product } from '../../sums.js'
import { standardized } from '../../../ops/standardize.js'
import { always, floats, type Given, type Lowered, type Meaning, type Rows } from '../row.js'

const Gemm: Meaning = {
  since: 1,
  inputs: [2, 3],
  weights: [1, 2],
  lower(node) {
    const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)]
    const [transposeA, transposeB] = [node.flag('transA'), node.flag('transB')]
    node.ignore('broadcast')
    return (inputs) => {
      const [a, b] = [floats(inputs, 0), floats(inputs, 1)]
      const c = inputs[2] && floats(inputs, 2)
      return scope(() => {
        const x = transposeA ? transpose(a, [1, 0]) : a
        const units = b.shape[transposeB ? 0 : 1]
        const isBias = c && c.size === units && sameShape(c.shape.slice(-1), [c.size])
        if (alpha === 1 && beta === 1 && isBias && x.size > 0)
          return linear(x, transposeB ? b : transpose(b, [1, 0]), c.reshape([c.size]))
        const y = transposeB ? linear(x, b) : matmul(x, b)
        const scaled = alpha === 1 ? y : mul(y, alpha)
        return c ? add(scaled, beta === 1 ? c : mul(c, beta)) : scaled
      })
    }
  },
}

/** Before opset 13 everything from `axis` on is one axis. */
export const softmaxRow = (of: (x: Tensor, axis: number) => Tensor): readonly Meaning[] => [
  {
    since: 1,
    inputs: [1, 1],
    lower(node) {
      const given = node.int('axis', 1)
      return (inputs) => {
        const x = floats(inputs, 0)
        const axis = given === x.ndim ? given : checkAxis(given, x.ndim, 'axis')
        const rows = [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]
        return scope(() => of(x.reshape(rows), 1).reshape(x.shape))
      }
    },
  },
  {
    since: 13,
    inputs: [1, 1],
    lower(node) {
      const axis = node.int('axis', -1)
      return (inputs) => of(floats(inputs, 0), axis)
    },
  },
]

/**
 * Batch normalization of a node whose training_mode is 1: always by the statistics of the batch. Its further outputs are the running
 * statistics after the batch; unlike those that train() moves, their variance is the batch's own, divided by n.
 */
function batchNormOfBatch(inputs: readonly (AnyTensor | undefined)[], eps: number, momentum: number): Given {
  const [x, gamma, beta, runningMean, runningVar] = [0, 1, 2, 3, 4].map((i) => floats(inputs, i)) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ]
  return scope(() => {
    const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]))
    const { y, average, variance } = standardized(x, axes, eps)
    const moved = (running: Tensor, now: Tensor): Tensor =>
      add(mul(running, momentum), mul(now.reshape(running.shape), 1 - momentum))
    return [
      add(mul(y, perChannel(gamma, x.ndim)), perChannel(beta, x.ndim)).reshape(x.shape),
      moved(runningMean, average),
      moved(runningVar, variance),
    ]
  })
}

/** x by the statistics of each channel, which in training are those of the batch. */
const batchNormRow: Meaning = {
  since: 1,
  inputs: [5, 5],
  weights: [1, 2],
  statistics: [3, 4],
  lower(node) {
    const eps = node.float('epsilon', 1e-5)
    const momentum = node.float('momentum', 0.9)
    node.ignore('consumed_inputs', 'is_test')
    if (!node.flag('spatial', true))
      throw new UnsupportedError('spatial 0, statistics for each place, is not supported')
    const isOfBatch = node.opset >= 14 && node.flag('training_mode')
    if (isOfBatch) return (inputs) => batchNormOfBatch(inputs, eps, momentum)
    if ([1, 2, 3, 4].some((output) => node.gives(output)))
      throw new UnsupportedError('outputs of statistics are supported where training_mode is 1, from opset 14 on')
    return (inputs, { training }) => {
      const [x, gamma, beta, runningMean, runningVar] = [0, 1, 2, 3, 4].map((i) => floats(inputs, i)) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ]
      const vector = x.ndim === 1
      return scope(() => {
        const y = batchNorm(vector ? x.reshape([x.size, 1]) : x, gamma, beta, {
          training,
          eps,
          momentum: 1 - momentum,
          runningMean,
          runningVar,
        })
        return y.reshape(x.shape)
      })
    }
  },
}

const perChannel = (values: Tensor, ndim: number): Tensor =>
  values.reshape([1, values.size, ...new Array<number>(Math.max(0, ndim - 2)).fill(1)])

const axesFrom = (x: AnyTensor, first: number): number[] => x.shape.flatMap((_, axis) => (axis >= first ? [axis] : []))

const instanceNorm: Meaning = {
  since: 1,
  inputs: [3, 3],
  weights: [1, 2],
  lower(node) {
    const eps = node.float('epsilon', 1e-5)
    node.ignore('consumed_inputs')
    return (inputs) => {
      const [x, scale, bias] = [0, 1, 2].map((i) => floats(inputs, i)) as [Tensor, Tensor, Tensor]
      return scope(() =>
        add(mul(standardized(x, axesFrom(x, 2), eps).y, perChannel(scale, x.ndim)), perChannel(bias, x.ndim)),
      )
    }
  },
}

const layerNorm: Meaning = {
  since: 17,
  inputs: [2, 3],
  weights: [1, 2],
  lower(node) {
    const eps = node.float('epsilon', 1e-5)
    const axis = node.int('axis', -1)
    node.ignore('stash_type')
    return (inputs) => {
      const [x, scale] = [floats(inputs, 0), floats(inputs, 1)]
      return scope(() => {
        const { y, average, deviation } = standardized(x, axesFrom(x, checkAxis(axis, x.ndim, 'axis')), eps)
        const scaled = mul(y, scale)
        const shifted = inputs[2] ? add(scaled, floats(inputs, 2)) : scaled
        return [shifted, average, ...(node.gives(2) ? [div(tensor([1], []), deviation)] : [])]
      })
    }
  },
}

const groupNorm = (since: number, ofGroups: boolean): Meaning => ({
  since,
  inputs: [3, 3],
  weights: [1, 2],
  lower(node) {
    const eps = node.float('epsilon', 1e-5)
    const groups = node.int('num_groups')
    node.ignore('stash_type')
    return (inputs) => {
      const [x, scale, bias] = [0, 1, 2].map((i) => floats(inputs, i)) as [Tensor, Tensor, Tensor]
      const [N, C] = x.shape as unknown as [number, number]
      if (C % groups !== 0) throw new ShapeError(`${C} channels cannot be divided into ${groups} groups`)
      return scope(() => {
        const grouped = x.reshape([N, groups, sizeOf(x.shape) / (N * groups)])
        const { y } = standardized(grouped, [2], eps)
        // Before opset 21 there is one factor for each group.
        if (ofGroups) return add(mul(y, perChannel(scale, 3)), perChannel(bias, 3)).reshape(x.shape)
        return add(mul(y.reshape(x.shape), perChannel(scale, x.ndim)), perChannel(bias, x.ndim))
      })
    }
  },
})

const several =
  (of: (inputs: readonly Tensor[]) => Given): Lowered =>
  (inputs) =>
    of(inputs.map((_, i) => floats(inputs, i)))

export const sums: Rows = {
  MatMul: always([2, 2], () => several(([a, b]) => product(a as Tensor, b as Tensor)), { weights: [0, 1] }),
  Gemm: [Gemm],
  Softmax: softmaxRow(softmax),
  LogSoftmax: softmaxRow(logSoftmax),
  BatchNormalization: [batchNormRow],
  InstanceNormalization: [instanceNorm],
  LayerNormalization: [layerNorm],
  GroupNormalization: [groupNorm(18, true), groupNorm(21, false)],
  LRN: always([1, 1], (node) => {
    const options = {
      size: node.int('size'),
      alpha: node.float('alpha', 1e-4),
      beta: node.float('beta', 0.75),
      k: node.float('bias', 1),
    }
    return (inputs) => {
      const x = floats(inputs, 0)
      if (options.size % 2 !== 0 || x.ndim < 2) return localResponseNorm(x, options)
      // An even window lies one channel further on than ours does: it is ours of the channels in the other order.
      return scope(() => {
        const C = x.shape[1] as number
        const order = tensor(
          Array.from({ length: C }, (_, c) => C - 1 - c),
          [C],
          { dtype: 'int64' },
        )
        return gather(localResponseNorm(gather(x, order, 1), options), order, 1)
      })
    }
  }),
}
