/** Sums and maxima along axes, products of matrices, and what normalizes by sums. */
import * as ops from '../../src/ops/index.js'
import { normal } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { t as tensorOf } from '../fuzz/tags.js'
import { at, indices, size, type Reference } from '../helpers/reference.js'
import {
  alongAxis,
  define,
  extent,
  few,
  from,
  get,
  largest,
  logSumExp,
  mean,
  normals,
  of,
  positive,
  shapeOf,
  small,
  total,
  type Definition,
  type Operation,
  type Rows,
  type Small,
} from './operation.js'

/** Values along some axes, gathered for each place of the others. */
function reduced(
  x: Reference,
  axes: readonly number[],
  keepDims: boolean,
  of: (values: number[]) => number,
): Reference {
  const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
  const groups = new Map<number, number[]>()
  let i = 0
  for (const index of indices(x.shape)) {
    const place = at(
      kept,
      index.map((position, axis) => (axes.includes(axis) ? 0 : position)),
    )
    const group = groups.get(place) ?? []
    group.push(x.data[i++] as number)
    groups.set(place, group)
  }
  const data = Float64Array.from({ length: size(kept) }, (_, place) => of(groups.get(place) ?? []))
  return { shape: keepDims ? kept : x.shape.filter((_, axis) => !axes.includes(axis)), data }
}

interface ReduceChoice {
  /** All of them, where left out. */
  readonly axes?: number | number[]
  readonly keepDims?: boolean
}

function reductionRow(
  run: typeof ops.sum,
  of: (values: number[]) => number,
  cases: readonly Small[],
  told: Pick<Operation, 'linear' | 'divided'> & { readonly values?: Definition['values'] } = {},
): Operation {
  const { values = 'any', ...rest } = told
  const definition = define({
    values,
    choose(random) {
      const shape = shapeOf(random)
      const axes = shape.map((_, axis) => axis).filter(() => random.chance(0.5))
      return {
        shapes: [shape],
        options: { axes: axes.length > 0 ? axes : [shape.length - 1], keepDims: random.chance(0.5) },
      }
    },
    run: ([x], { axes, keepDims }: ReduceChoice) => run(x as Tensor, axes, keepDims === undefined ? {} : { keepDims }),
    value([x], { axes, keepDims = false }: ReduceChoice) {
      const rank = (x as Reference).shape.length
      const chosen = axes === undefined ? Array.from({ length: rank }, (_, axis) => axis) : [axes].flat()
      return reduced(
        x as Reference,
        chosen.map((axis) => (axis < 0 ? axis + rank : axis)),
        keepDims,
        of,
      )
    },
  })
  return {
    ...rest,
    definition,
    cases: small(definition, ...cases),
    calls: [[tensorOf(2, 3, 4), 1, { keepDims: true }], [tensorOf(2, 3, 4), [0, 2], {}], [tensorOf(2, 3)]],
  }
}

const row = [[3, 5, 23]]
const map = [[3, 4, 5, 7]]

function softmaxRow(
  run: (x: Tensor, axis?: number) => Tensor,
  of: (values: number[]) => number[],
  otherAxis: number,
  call: number,
  divided: Operation['divided'],
): Operation {
  const definition = define({
    choose(random) {
      const shape = shapeOf(random)
      return { shapes: [shape], options: { axis: random.below(shape.length) } }
    },
    run: ([x], { axis }: { axis?: number }) => run(x as Tensor, axis),
    value: ([x], { axis = -1 }: { axis?: number }) =>
      alongAxis(x as Reference, axis < 0 ? axis + (x as Reference).shape.length : axis, of),
  })
  return {
    definition,
    cases: small(definition, [[[5, 7]]], [map, { axis: otherAxis }]),
    calls: [[tensorOf(2, 3, 4), call]],
    ...(divided ? { divided } : {}),
  }
}

const linear = define({
  choose(random) {
    const [N, I, O] = [extent(random, 64), random.between(1, 90), random.between(1, 90)]
    return { shapes: [[N, I], [O, I], ...(random.chance(0.5) ? [[O]] : [])], options: {} }
  },
  run: ([x, w, bias]) => ops.linear(x as Tensor, w as Tensor, bias),
  value: ([x, w, bias]) =>
    from([(x as Reference).shape[0] as number, (w as Reference).shape[0] as number], ([n, o]) => {
      let sum = bias?.data[o as number] ?? 0
      for (let i = 0; i < ((x as Reference).shape[1] as number); i++)
        sum += get(x as Reference, [n as number, i]) * get(w as Reference, [o as number, i])
      return sum
    }),
})

const matmul = define({
  choose(random) {
    const [M, K, N] = [random.between(1, 70), random.between(1, 70), random.between(1, 70)]
    return {
      shapes: [
        [M, K],
        [K, N],
      ],
      options: {},
    }
  },
  run: ([a, b]) => ops.matmul(a as Tensor, b as Tensor),
  value: ([a, b]) =>
    from([(a as Reference).shape[0] as number, (b as Reference).shape[1] as number], ([m, n]) => {
      let sum = 0
      for (let k = 0; k < ((b as Reference).shape[0] as number); k++)
        sum += get(a as Reference, [m as number, k]) * get(b as Reference, [k, n as number])
      return sum
    }),
})

const EPS = 1e-5

/** (x − centre) / √(spread + eps) · gamma + beta, by channels. */
const normalized = (
  [x, gamma, beta]: readonly Reference[],
  centre: ArrayLike<number>,
  spread: ArrayLike<number>,
  eps: number,
): Reference =>
  from((x as Reference).shape, (index) => {
    const c = index[1] as number
    const normal = (get(x as Reference, index) - (centre[c] as number)) / Math.sqrt((spread[c] as number) + eps)
    return normal * ((gamma as Reference).data[c] as number) + ((beta as Reference).data[c] as number)
  })

const batchNorm = define({
  choose(random) {
    const C = extent(random, 20)
    const spatial = shapeOf(random, random.below(3) + 1, 9)
    return { shapes: [[random.between(2, 5), C, ...spatial], [C], [C]], options: { eps: 0.1 } }
  },
  run: ([x, gamma, beta], options: { eps?: number }) =>
    ops.batchNorm(x as Tensor, gamma, beta, { training: true, ...options }),
  value(inputs, { eps = EPS }: { eps?: number }) {
    const [x] = inputs as [Reference]
    const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1)
    const centre = reduced(x, axes, false, mean)
    const spread = reduced(x, axes, false, (values) => mean(values.map((value) => (value - mean(values)) ** 2)))
    return normalized(inputs, centre.data, spread.data, eps)
  },
})

const localResponseNorm = define({
  choose: (random) => ({
    shapes: [[few(random), extent(random, 17), ...shapeOf(random, 2, 9)]],
    options: { size: random.between(1, 7), alpha: 0.5, beta: 0.75, k: 1.5 },
  }),
  run: ([x], options: ops.LocalResponseNormOptions) => ops.localResponseNorm(x as Tensor, options),
  value: ([x], { size: width, alpha = 1e-4, beta = 0.75, k = 1 }: ops.LocalResponseNormOptions) =>
    alongAxis(x as Reference, 1, (values) =>
      values.map((value, c) => {
        const first = c - (width >> 1)
        const near = values.filter((_, other) => other >= first && other < first + width)
        return value / (k + (alpha / width) * total(near.map((other) => other * other))) ** beta
      }),
    ),
})

export const sums = {
  linear: {
    definition: linear,
    cases: small(
      linear,
      [[[5, 37], [11, 37], [11]]],
      [[[1, 70], [33, 70], [33]]],
      [
        [
          [64, 100],
          [40, 100],
        ],
      ],
    ),
    calls: [[tensorOf(5, 7), tensorOf(3, 7), tensorOf(3)]],
    linear: [
      [0, 2],
      [1, 2],
    ],
    divided: {
      '': of(
        [
          [37, 45],
          [22, 45],
        ],
        (x, w) => ops.linear(x, w),
      ),
      'of two rows': of(
        [
          [2, 45],
          [39, 45],
        ],
        (x, w) => ops.linear(x, w),
      ),
    },
  },
  matmul: {
    definition: matmul,
    cases: small(matmul, [
      [
        [9, 31],
        [31, 14],
      ],
    ]),
    calls: [[tensorOf(3, 4), tensorOf(4, 5)]],
    linear: [[0], [1]],
    divided: {
      '': of(
        [
          [41, 23],
          [23, 50],
        ],
        ops.matmul,
      ),
    },
  },
  sum: reductionRow(ops.sum, total, [[row], [row, { axes: [0, 2] }], [[[4, 1003]], { axes: 1 }]], {
    linear: [[0]],
    divided: {
      'over rows': of([[33, 7, 29]], (x) => ops.sum(x, 0)),
      'over channels': of([[13, 17, 11]], (x) => ops.sum(x, [0, 2])),
    },
  }),
  mean: reductionRow(ops.mean, mean, [[row, { axes: -1 }]], { linear: [[0]] }),
  max: reductionRow(ops.max, largest, [[row, { axes: 1 }]], {
    values: 'distinct',
    divided: { '': of([[13, 17, 11]], (x) => ops.max(x, 1)) },
  }),
  min: reductionRow(
    ops.min,
    (values) => -largest(values.map((value) => -value)),
    [[row, { axes: [1, 2], keepDims: true }]],
    { values: 'distinct' },
  ),
  softmax: softmaxRow(ops.softmax, (values) => values.map((value) => Math.exp(value - logSumExp(values))), 3, 1, {
    '': of([[19, 23]], (x) => ops.softmax(x)),
  }),
  logSoftmax: softmaxRow(ops.logSoftmax, (values) => values.map((value) => value - logSumExp(values)), 1, -1, {
    '': of([[5, 7, 6]], (x) => ops.logSoftmax(x, 1)),
  }),
  localResponseNorm: {
    definition: localResponseNorm,
    cases: small(localResponseNorm, [map, { size: 3, alpha: 0.5 }]),
    calls: [[tensorOf(2, 5, 3, 3), { size: 3, alpha: 1, beta: 0.5, k: 1, normalize: 'none' }]],
    divided: { '': of([[3, 9, 5, 7]], (x) => ops.localResponseNorm(x, { size: 5, alpha: 1 })) },
  },
  batchNorm: {
    definition: batchNorm,
    cases: [
      ...small(batchNorm, [[...map, [4], [4]]]),
      () => ({
        inputs: normals(...map, [4], [4]),
        fn: (x, gamma, beta) =>
          ops.batchNorm(x, gamma, beta, { runningMean: normal([4], { seed: 7 }), runningVar: positive([4]) }),
        value: (inputs) => normalized(inputs, normal([4], { seed: 7 }).data(), positive([4]).data(), EPS),
      }),
    ],
    calls: [
      [
        ...[tensorOf(4, 3, 2), tensorOf(3), tensorOf(3)],
        { training: true, eps: 1e-5, runningMean: tensorOf(3), runningVar: tensorOf(3), momentum: 0.1 },
      ],
      [
        ...[tensorOf(4, 3, 2, 2), tensorOf(3), tensorOf(3)],
        { training: false, runningMean: tensorOf(3), runningVar: tensorOf(3) },
      ],
    ],
    divided: { '': of([[5, 7, 4, 5], [7]], (x, w) => ops.batchNorm(x, w, w, { training: true })) },
    compound: true,
  },
} as const satisfies Rows
