/**
 * One part of a step's batch, and the sum of several. What a process computes by itself and what other machines compute for it
 * runs through the same two functions, so that both give the same bits.
 */
import { valueAndGrad } from '../autodiff/vjp.js'
import { add, mul } from '../ops/elementwise.js'
import { wrongKind } from '../runtime/check.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import type { Batch } from './examples.js'
import type { Metric } from './metrics.js'
import type { ExchangePart, ExchangeSession, Loss, PartOutcome, Trainable } from './options.js'

/** What all parts of a run have in common. */
export interface PassOptions<Target, Output> {
  /** A mean over the examples of the part. */
  readonly loss: Loss<Target, Output>
  /** Measures of the part's output, by name. */
  readonly metrics: Readonly<Record<string, Metric<Target, Output>>>
  /** Seed of what is random in a pass. */
  readonly seed: number
}

/** The metrics of an output. @throws ShapeError where one gives no number */
export function measure<Target, Output>(
  metrics: Readonly<Record<string, Metric<Target, Output>>>,
  output: Output,
  target: Target,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(metrics).map(([name, metric]) => {
      const value: unknown = metric(output, target)
      if (typeof value !== 'number') throw wrongKind(`what the metric ${name} gives`, 'a number', value)
      return [name, value]
    }),
  )
}

/**
 * The loss of a part, its gradients in the order of the parameters, and its metrics. `weight` is what the loss is a mean over
 * where it weighs its rows; undefined, it is the examples. `step` numbers the pass: what is drawn in it depends on the seed and on it.
 */
export function passPart<Target, Output>(
  model: Trainable<Output>,
  parameters: readonly Tensor[],
  { x, target }: Batch<Target>,
  { loss, metrics, seed }: PassOptions<Target, Output>,
  step: number,
): { value: Tensor; gradients: Tensor[]; measured: Record<string, number>; weight: number | undefined } {
  let measured: Record<string, number> = {}
  let weight: number | undefined
  const lossAndGradients = valueAndGrad(() => {
    const options = { training: true, seed, step }
    const { output, auxiliary } = model.forwardTraining?.(x, options) ?? {
      output: model.forward(x, options),
      auxiliary: [],
    }
    measured = measure(metrics, output, target)
    const main = loss(output, target)
    weight = (main as Partial<Tensor> | undefined)?.storage?.counted
    return auxiliary.reduce((total, head) => add(total, mul(loss(head.output, target), head.weight)), main)
  })
  const { value, gradients } = lossAndGradients(...parameters)
  return { value, gradients, measured, weight }
}

/** What keeps statistics of batches: the running means and variances of a model's layers, in the order of the layers. */
export const buffersOf = ({ layers = [] }: Trainable<unknown>): Tensor[] =>
  layers.flatMap((layer) => [...layer.buffers().values()])

/**
 * A part as numbers outside of the core: what a worker sends back. The model's statistics end as they began: their values after
 * the pass are in the outcome.
 */
export function outcomeOf<Target, Output>(
  model: Trainable<Output>,
  parameters: readonly Tensor[],
  part: Batch<Target> & Pick<ExchangePart, 'examples' | 'step'>,
  options: PassOptions<Target, Output>,
): PartOutcome {
  const kept = buffersOf(model)
  const before = kept.map((buffer) => buffer.data())
  try {
    return scope(() => {
      const { value, gradients, measured, weight } = passPart(model, parameters, part, options, part.step)
      return {
        examples: part.examples,
        loss: value.item(),
        ...(weight === undefined ? {} : { weight }),
        metrics: measured,
        gradients: gradients.map((gradient) => gradient.data()),
        buffers: kept.map((buffer) => buffer.data()),
      }
    })
  } finally {
    kept.forEach((buffer, index) => buffer.assign(before[index] as Float32Array))
  }
}

/** The parts of each step computed here, one after another. */
export function partsHere<Target, Output>(
  model: Trainable<Output>,
  parameters: readonly Tensor[],
  options: PassOptions<Target, Output>,
): ExchangeSession {
  return {
    step: (parts) =>
      Promise.resolve(
        parts.map((part) => outcomeOf(model, parameters, { ...part, target: part.target as Target }, options)),
      ),
    close: () => Promise.resolve(),
  }
}

/**
 * Σ wₚ · gₚ / Σ wₚ over parts p, element by element. The products are added pairwise: the sum of n parts is that of the first 2ᵏ,
 * the largest power of two below n, and that of the others. The order depends on the number of parts alone. Parts whose weight is 0
 * must have been left out before. One part is given as it is. `total` is Σ wₚ where the values are sums of several parts, with the weight 1.
 */
export function pairwiseMean(
  parts: readonly { readonly weight: number; readonly values: readonly Float32Array[] }[],
  total = parts.reduce((sum, { weight }) => sum + weight, 0),
): Float32Array[] {
  const [first] = parts
  if (!first) return []
  if (parts.length === 1 && first.weight === total) return [...first.values]
  return first.values.map((_, index) => {
    const mean = pairwiseSum(
      parts.map(({ weight, values }) => ({ weight, values: values[index] as Float32Array })),
      0,
      parts.length,
    )
    for (let i = 0; i < mean.length; i++) mean[i] = (mean[i] as number) / total
    return mean
  })
}

/**
 * Σ wₚ · vₚ over the parts from `from` to before `to`, in the order of `pairwiseMean`. Products and sums are rounded to float32 one by one.
 * Two parts are multiplied and added in one loop: with a list for each product, a step of 8 parts of 155,000 weights took 25 ms longer.
 */
function pairwiseSum(
  parts: readonly { readonly weight: number; readonly values: Float32Array }[],
  from: number,
  to: number,
): Float32Array {
  const [{ weight, values }, second] = parts.slice(from, to) as [(typeof parts)[number], (typeof parts)[number]?]
  const sum = new Float32Array(values.length)
  if (!second) {
    for (let i = 0; i < sum.length; i++) sum[i] = (values[i] as number) * weight
    return sum
  }
  if (to - from === 2) {
    const { weight: otherWeight, values: others } = second
    for (let i = 0; i < sum.length; i++) {
      sum[i] = Math.fround((values[i] as number) * weight) + Math.fround((others[i] as number) * otherWeight)
    }
    return sum
  }
  let half = 1
  while (2 * half < to - from) half *= 2
  const low = pairwiseSum(parts, from, from + half)
  const high = pairwiseSum(parts, from + half, to)
  for (let i = 0; i < low.length; i++) low[i] = (low[i] as number) + (high[i] as number)
  return low
}

/** What the loss of a part is a mean over. */
export const weightOf = ({ examples, weight = examples }: PartOutcome): number => weight

/**
 * The outcomes of some parts with the sum of their gradients, so that one list of gradients travels instead of many. Where a part has
 * the weight 0, or there is one part alone, they stay as they are.
 */
export function addedParts(outcomes: readonly PartOutcome[]): readonly PartOutcome[] {
  const [first] = outcomes
  if (!first || outcomes.length === 1 || outcomes.some((outcome) => weightOf(outcome) === 0)) return outcomes
  const sums = first.gradients.map((_, index) =>
    pairwiseSum(
      outcomes.map((outcome) => ({
        weight: weightOf(outcome),
        values: outcome.gradients[index] as Float32Array,
      })),
      0,
      outcomes.length,
    ),
  )
  return outcomes.map((outcome, n) =>
    n === 0 ? { ...outcome, gradients: sums, added: outcomes.length } : { ...outcome, gradients: [], added: 0 },
  )
}

/**
 * What statistics become after a step: each moves by the mean of what the parts moved it by, weighed by their examples. One that
 * no part moves stays as it is.
 */
export function movedBuffers(
  before: readonly Float32Array[],
  outcomes: readonly PartOutcome[],
): readonly Float32Array[] {
  const [first = { buffers: before }] = outcomes
  if (outcomes.length < 2) return first.buffers
  const moves = pairwiseMean(
    outcomes.map(({ examples, buffers }) => ({
      weight: examples,
      values: buffers.map((after, index) => after.map((value, i) => value - (before[index]?.[i] as number))),
    })),
  )
  return before.map((values, index) => values.map((value, i) => value + (moves[index]?.[i] as number)))
}

/** Parts of a step's batch where they are computed elsewhere and nothing else is said. */
export const PARTS = 8
