/** One step of training: its parts, the mean of their gradients, and the update. */
import { add, mul } from '../ops/elementwise.js'
import { concat, slice } from '../ops/layout.js'
import { clipGradNorm, gradientNorm } from '../optim/clip.js'
import { ArgumentError, DivergedError } from '../runtime/errors.js'
import { tensor } from '../tensor/create.js'
import { scope, Tensor, type AnyTensor } from '../tensor/tensor.js'
import { nameOf, trainedParameters } from './checks.js'
import type { ReadBatch } from './examples.js'
import { buffersOf, movedBuffers, pairwiseMean, passPart, weightOf } from './part.js'
import { Running } from './running.js'
import type { ExchangeSession, FitOptions, PartOutcome, Trainable } from './options.js'

/** The first example of a batch, so many times; undefined where it is not known how to take one of such targets. */
function repeated<Target>(target: Target, examples: number, times: number): Target | undefined {
  if (target instanceof Tensor) {
    if (target.shape[0] !== examples) return undefined
    return concat(new Array<AnyTensor>(times).fill(slice(target, { end: [1] })), 0) as Target
  }
  if (!Array.isArray(target) && !ArrayBuffer.isView(target)) return undefined
  const list = target as unknown as readonly unknown[]
  if (list.length !== examples) return undefined
  return (list.constructor as ArrayConstructor).from(new Array<unknown>(times).fill(list[0])) as Target
}

/** Checks that a loss is a mean over the examples: of an example and itself it is what it is of the example alone. */
function checkMean<Target, Output>(
  model: Trainable<Output>,
  loss: FitOptions<Target, Output>['loss'],
  x: Tensor,
  target: Target,
): void {
  const N = x.shape[0] as number
  const [one, two] = [1, 2].map((times) => {
    const own = repeated(target, N, times)
    const input = repeated(x, N, times)
    return own === undefined || !input ? 0 : loss(model.forward(input, { training: false }), own).item()
  }) as [number, number]
  // What is no number says nothing: the example may be one that the loss ignores, and counts for nothing alone.
  const isSum = Math.abs(two - 2 * one) <= 1e-3 * Math.abs(one)
  if (!isSum || Math.abs(one) < 1e-6) return
  throw new ArgumentError(
    "fit: the loss is a sum over the examples (twice as much of two equal ones), and accumulate needs a mean; use reduction: 'mean'",
  )
}

interface StepResult {
  readonly examples: number
  /** What the loss is a mean over. */
  readonly counted: number
  /** Examples that were read and of which none counts. */
  readonly ignored: number
  readonly loss: number
  readonly metrics: Record<string, number>
  readonly gradientNorm?: number
}

/**
 * One step: forward, loss, gradients, update. @throws DivergedError before the update when the loss or a gradient is not
 * finite
 */
export function trainStep<Target, Output>(
  model: Trainable<Output>,
  options: FitOptions<Target, Output>,
  { parts }: ReadBatch<Target>,
  context: { readonly seed: number; readonly step: number; readonly isFirst: boolean },
): StepResult {
  const { loss, optimizer, metrics = {}, accumulate = 1 } = options
  const { seed, step, isFirst } = context
  const parameters = trainedParameters(model, optimizer)
  const read = parts.filter(({ examples }) => examples.indices.length > 0)
  const examples = read.reduce((total, part) => total + part.examples.indices.length, 0)
  const sums = new Running(Object.keys(metrics))
  let gradients: Tensor[] = []
  // What the means of the parts so far are over, where the loss weighs its rows.
  let counted = 0
  read.forEach(({ draw, examples: { indices, batch } }, part) => {
    gradients = scope(() => {
      const { x, target } = batch(draw)
      if (accumulate > 1 && isFirst && part === 0) scope(() => checkMean(model, loss, x, target))
      // Each part draws numbers of its own.
      const pass = passPart(model, parameters, { x, target }, { loss, metrics, seed }, step * accumulate + part)
      const { value, gradients: own, measured, weight } = pass
      sums.add(indices.length, value.item(), measured, weight)
      // Nothing of this part counts: its mean and the gradients of it are no numbers.
      if (weight === 0) return gradients
      counted += weight ?? 0
      const share = weight === undefined ? indices.length / examples : weight / counted
      if (share === 1) return own
      const shares = own.map((gradient) => mul(gradient, share))
      // Where the sum of the weights is not known before, each part takes its share of what there is.
      const before = weight === undefined ? gradients : gradients.map((gradient) => mul(gradient, 1 - share))
      const added = part === 0 ? shares : shares.map((gradient, index) => add(before[index] as Tensor, gradient))
      for (const gradient of gradients) gradient.dispose()
      return added
    })
  })
  return update(model, options, { sums, examples, gradients, step })
}

/** The sums over the parts of a step and its gradients. */
interface Computed {
  readonly sums: Running
  readonly examples: number
  readonly gradients: readonly Tensor[]
  readonly step: number
}

/** The end of a step: the update. @throws DivergedError before it when the loss or a gradient is not finite */
function update<Target, Output>(
  model: Trainable<Output>,
  { optimizer, clipNorm }: FitOptions<Target, Output>,
  { sums, examples, gradients, step }: Computed,
): StepResult {
  const parameters = optimizer.parameters
  const { counted: total = examples } = sums.sums()
  // Nothing of the batch could be read, or counts.
  if (total === 0) return { examples: 0, loss: 0, metrics: {}, counted: 0, ignored: examples }
  const result = { examples, ...sums.averages(), counted: total, ignored: 0 }
  if (!Number.isFinite(result.loss)) throw diverged(`the loss became ${result.loss}`, step + 1, optimizer.lr)
  const clipped = clipNorm === undefined ? undefined : clipGradNorm(gradients, clipNorm)
  const norm = clipped?.norm ?? gradientNorm(gradients)
  if (!Number.isFinite(norm)) {
    const first = parameters[gradients.findIndex((gradient) => !Number.isFinite(gradientNorm([gradient])))] as Tensor
    const what = `the gradient of ${nameOf(model, first)} is not finite (the norm of all gradients is ${norm})`
    throw diverged(what, step + 1, optimizer.lr)
  }
  optimizer.step(clipped?.gradients ?? gradients)
  return clipped ? { ...result, gradientNorm: norm } : result
}

/** The parts of a batch are sent to where they are computed: the tensors last as long as the scope. */
export function sendParts<Target, Output>(
  session: ExchangeSession,
  model: Trainable<Output>,
  { loss }: FitOptions<Target, Output>,
  { parts }: ReadBatch<Target>,
  { count, step, isFirst }: { readonly count: number; readonly step: number; readonly isFirst: boolean },
): Promise<readonly PartOutcome[]> {
  let sent: Promise<readonly PartOutcome[]> = Promise.resolve([])
  scope(() => {
    const read = parts.filter(({ examples }) => examples.indices.length > 0)
    if (read.length === 0) return
    const given = read.map(({ draw, examples: { indices, batch } }, part) => {
      const { x, target } = batch(draw)
      if (count > 1 && isFirst && part === 0) scope(() => checkMean(model, loss, x, target))
      return { x, target, examples: indices.length, step: step * count + part }
    })
    sent = session.step(given)
  })
  return sent
}

/** The step of what its parts gave: the update by the mean of their gradients, and their statistics. */
export function joinParts<Target, Output>(
  model: Trainable<Output>,
  options: FitOptions<Target, Output>,
  outcomes: readonly PartOutcome[],
  step: number,
): StepResult {
  const sums = new Running(Object.keys(options.metrics ?? {}))
  for (const { examples, loss, metrics, weight } of outcomes) sums.add(examples, loss, metrics, weight)
  // Of a part in which nothing counts the gradients are no numbers.
  const counting = outcomes.filter((outcome) => weightOf(outcome) !== 0)
  const total = counting.reduce((sum, outcome) => sum + weightOf(outcome), 0)
  const means = pairwiseMean(
    counting
      .filter(({ added }) => added !== 0)
      .map((outcome) => ({
        weight: outcome.added === undefined ? weightOf(outcome) : 1,
        values: outcome.gradients,
      })),
    total,
  )
  const gradients = means.map((values, index) => tensor(values, (options.optimizer.parameters[index] as Tensor).shape))
  const buffers = buffersOf(model)
  const moved = movedBuffers(
    buffers.map((buffer) => buffer.data()),
    outcomes,
  )
  const examples = outcomes.reduce((total, part) => total + part.examples, 0)
  const result = update(model, options, { sums, examples, gradients, step })
  buffers.forEach((buffer, index) => buffer.assign(moved[index] as Float32Array))
  return result
}

function diverged(what: string, step: number, learningRate: number): DivergedError {
  return new DivergedError(
    `${what} at step ${step} with learning rate ${Number(learningRate.toPrecision(6))}; the weights are those before the step; ` +
      `try ${Number((learningRate / 10).toPrecision(3))}, or clip gradients, and check the inputs for NaN`,
  )
}
