/** Losses of scores and labels, and of two tensors. */
import * as ops from '../../src/ops/index.js'
import { normal, uniform } from '../../src/tensor/create.js'
import type { Tensor } from '../../src/tensor/tensor.js'
import { bytes, t as tensorOf, tag } from '../fuzz/tags.js'
import { indices, size, type Reference } from '../helpers/reference.js'
import {
  define,
  get,
  logSumExp,
  mean,
  of,
  shapeOf,
  small,
  total,
  type Definition,
  type Options,
  type Rows,
} from './operation.js'

const reductions = {
  none: (values: number[]): Reference => ({ shape: [], data: Float64Array.from(values) }),
  sum: (values: number[]): Reference => ({ shape: [], data: Float64Array.of(total(values)) }),
  mean: (values: number[]): Reference => ({ shape: [], data: Float64Array.of(mean(values)) }),
}

type Reduction = keyof typeof reductions

interface LossChoice {
  readonly labels: number[]
  readonly reduction?: Reduction
  readonly labelSmoothing?: number
  readonly margin?: number
}

/** A loss of scores (N, classes, …) and labels. */
const classLoss = (
  run: (x: Tensor, options: LossChoice) => Tensor,
  of: (scores: number[], label: number, options: LossChoice) => number,
): Definition =>
  define({
    values: 'distinct',
    choose(random) {
      const [N, classes] = [random.between(1, 20), random.between(2, 12)]
      const places = random.chance(0.3) ? [random.between(1, 5)] : []
      const options: LossChoice = {
        labels: random.list(N * size(places), () => random.below(classes)),
        reduction: random.pick(['none', 'sum', 'mean']),
        labelSmoothing: random.pick([0, 0.2]),
        margin: random.pick([1, 0.5]),
      }
      return { shapes: [[N, classes, ...places]], options: options as unknown as Options }
    },
    run: ([x], options: LossChoice) => run(x as Tensor, options),
    value([x], options: LossChoice) {
      const { reduction = 'mean' } = options
      const { shape } = x as Reference
      const rows = shape.filter((_, axis) => axis !== 1)
      const values: number[] = []
      for (const [n, ...place] of indices(rows)) {
        const scores = Array.from({ length: shape[1] as number }, (_, c) =>
          get(x as Reference, [n as number, c, ...place]),
        )
        values.push(of(scores, options.labels[values.length] as number, options))
      }
      const result = reductions[reduction](values)
      return reduction === 'none' ? { ...result, shape: rows } : result
    },
  })

const pairLoss = (
  run: (a: Tensor, b: Tensor, options: { reduction: 'sum' }) => Tensor,
  of: (a: number, b: number) => number,
): Definition =>
  define({
    choose(random) {
      const shape = shapeOf(random)
      return { shapes: [shape, shape], options: { reduction: random.pick(['none', 'sum', 'mean']) } }
    },
    run: ([a, b], options: { reduction: 'sum' }) => run(a as Tensor, b as Tensor, options),
    value([a, b], { reduction = 'mean' }: { reduction?: Reduction }) {
      const values = [...(a as Reference).data].map((value, i) => of(value, (b as Reference).data[i] as number))
      const result = reductions[reduction](values)
      return reduction === 'none' ? { ...result, shape: (a as Reference).shape } : result
    },
  })

/** The options that are given, of some. */
const only = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T

const crossEntropy = classLoss(
  (x, { labels, reduction, labelSmoothing }) =>
    ops.crossEntropy(x, labels, only({ reduction, labelSmoothing }) as ops.CrossEntropyOptions),
  (scores, label, { labelSmoothing = 0 }) =>
    total(
      scores.map(
        (score, c) =>
          -(score - logSumExp(scores)) * ((c === label ? 1 - labelSmoothing : 0) + labelSmoothing / scores.length),
      ),
    ),
)

const hingeLoss = classLoss(
  (x, { labels, reduction, margin }) => ops.hingeLoss(x, labels, only({ reduction, margin }) as ops.HingeOptions),
  (scores, label, { margin = 1 }) =>
    total(scores.map((score, c) => (c === label ? 0 : Math.max(0, score - (scores[label] as number) + margin)))),
)

const mseLoss = pairLoss(ops.mseLoss, (a, b) => (a - b) ** 2)
const bceWithLogits = pairLoss(
  ops.bceWithLogits,
  (logit, target) => Math.max(logit, 0) - logit * target + Math.log1p(Math.exp(-Math.abs(logit))),
)

const labels = [0, 3, 1, 6, 2]
const scores = [[5, 7]]
const many = Array.from({ length: 33 }, (_, i) => i % 10)

export const losses = {
  crossEntropy: {
    definition: crossEntropy,
    cases: small(crossEntropy, [scores, { labels }], [scores, { labels, labelSmoothing: 0.1, reduction: 'none' }]),
    calls: [
      [tensorOf(3, 4), [0, 1, 3], { labelSmoothing: 0.1, reduction: 'sum' }],
      [tensorOf(2, 4, 3), tag('Int32Array', { values: [0, 1, 2, 3, 0, 1] }), { reduction: 'none' }],
      [tensorOf(3, 4), tag('labels', { values: [0, 1, 2] })],
      [tensorOf(3, 4), tag('labels', { values: [0, 1, 3] }), {}],
      [tensorOf(3, 4), [0, 1, 3], { weight: tag('positive', { shape: [4] }) }],
      [tensorOf(3, 4), [0, 1, 3], { weight: tag('positive', { shape: [4] }), labelSmoothing: 0.1, ignoreIndex: 1 }],
      [tensorOf(3, 4), tag('positive', { shape: [3, 4] }), { weight: tag('positive', { shape: [4] }), labelSmoothing: 0.1 }], // prettier-ignore
      [tensorOf(2, 4, 3), tag('positive', { shape: [2, 4, 3] }), { reduction: 'none' }],
    ],
    divided: { '': of([[33, 10]], (x) => ops.crossEntropy(x, many)) },
  },
  hingeLoss: {
    definition: hingeLoss,
    cases: small(hingeLoss, [scores, { labels }]),
    calls: [
      [tensorOf(3, 4), bytes(3, 1), { margin: 1, reduction: 'mean' }],
      [tensorOf(3, 4), tag('labels', { values: [0, 1, 3] }), {}],
    ],
    divided: { '': of([[33, 10]], (x) => ops.hingeLoss(x, many)) },
  },
  mseLoss: {
    definition: mseLoss,
    cases: small(mseLoss, [
      [
        [5, 7],
        [5, 7],
      ],
    ]),
    calls: [[tensorOf(3, 4), tensorOf(3, 4), { reduction: 'mean' }]],
    divided: {
      '': of(
        [
          [41, 53],
          [41, 53],
        ],
        (x, w) => ops.mseLoss(x, w),
      ),
    },
  },
  bceWithLogits: {
    definition: bceWithLogits,
    cases: [
      () => ({
        inputs: [normal([5, 7]), uniform([5, 7], { seed: 3 })],
        fn: (x, y) => ops.bceWithLogits(x, y, { reduction: 'sum' }),
        value: (inputs) => bceWithLogits.value(inputs, { reduction: 'sum' } as never),
      }),
    ],
    calls: [[tensorOf(3, 4), tensorOf(3, 4), { reduction: 'sum' }]],
    divided: { '': of([[41, 53]], (x) => ops.bceWithLogits(x, ops.sigmoid(x))) },
  },
} as const satisfies Rows
