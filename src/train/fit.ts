/**
 * Training: epochs over shuffled mini-batches, with the state that resumes it to the bit. Everything random is a
 * function of (seed, epoch, step), so an interrupted run that goes on ends with the weights of one that was not.
 */
import { valueAndGrad } from '../autodiff/vjp.js'
import { DivergedError, ShapeError } from '../runtime/errors.js'
import type { ForwardOptions } from '../nn/graph.js'
import { add, mul } from '../ops/elementwise.js'
import { clipGradNorm } from '../optim/clip.js'
import type { Optimizer } from '../optim/optimizer.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { checkBatches, readBatches, type DistantExamples, type Examples, type ReadBatch } from './examples.js'
import { turnTaker } from './host.js'
import type { Metric } from './metrics.js'

/** What `fit` needs of a model: `Sequential`, or anything else with parameters and a forward pass. */
export interface Trainable<Output = Tensor> {
  /** Whether layers behave as in training. */
  readonly training: boolean
  /** Lets layers behave as in training. */
  train(): unknown
  /** Lets layers behave as in use. */
  eval(): unknown
  /** Trained tensors, in the optimizer's order. */
  parameters(): Tensor[]
  /** The output for a batch. */
  forward(x: Tensor, options: ForwardOptions): Output
  /** The output, and those whose losses are added to its own, each times its weight; left out: `forward` alone. */
  forwardTraining?(
    x: Tensor,
    options: ForwardOptions,
  ): {
    readonly output: Output
    readonly auxiliary: readonly { readonly output: Output; readonly weight: number }[]
  }
}

/** A scalar tensor to make small: the mean over the batch. */
export type Loss<Target, Output = Tensor> = (output: Output, target: Target) => Tensor

/** Averages over the examples so far. */
export interface Averages {
  /** Mean loss of the examples. */
  readonly loss: number
  /** Mean metrics of the examples, by name. */
  readonly metrics: Readonly<Record<string, number>>
}

/** Where training stands between two steps: numbers only, so that it can be written as JSON. */
export interface FitState {
  /** Steps done, over all epochs. */
  readonly step: number
  /**
   * Sums over the examples of the epoch so far. After the last step of an epoch they are those of the whole epoch: what
   * goes on from there validates first. After validation they are zero.
   */
  readonly sums: {
    readonly examples: number
    readonly loss: number
    readonly metrics: Readonly<Record<string, number>>
  }
  /** With early stopping: the best epoch so far (from 1), and what validation gave after it. */
  readonly best?: { readonly epoch: number; readonly value: number }
}

/** After each training step. */
export interface StepEvent {
  /** Tells the events apart. */
  readonly type: 'step'
  /** Steps done, over all epochs, and the epoch of this one; both from 1. */
  readonly step: number
  /** Number of the epoch, from 1. */
  readonly epoch: number
  /** The loss of this batch. */
  readonly loss: number
  /** That of this step. */
  readonly learningRate: number
  /** With `clipNorm`: the L2 norm of all gradients together, before clipping. */
  readonly gradientNorm?: number
  /** Averages over the epoch so far. */
  readonly running: Averages
  /** Where to go on from. */
  readonly state: FitState
}

/** After each epoch. */
export interface EpochEvent {
  /** Tells the events apart. */
  readonly type: 'epoch'
  /** Number of the epoch, from 1. */
  readonly epoch: number
  /** Averages over the epoch's training examples, each as it was when its step was taken. */
  readonly training: Averages
  /** Averages over the validation examples, where there are any. */
  readonly validation?: Averages
  /** With early stopping: whether this epoch is the best so far. */
  readonly improved?: boolean
  /** Time and speed of the steps of this epoch that this call made, validation left out. */
  readonly seconds: number
  /** Speed of training, without validation. */
  readonly examplesPerSecond: number
  /** From which the run can go on to the bit. */
  readonly state: FitState
}

/** Why a run ended. */
export type Stopped = 'finished' | 'aborted' | 'early'

/** What the iterator of `fit` gives. */
export type FitEvent = StepEvent | EpochEvent

/** Everything that happened in a run that was awaited. One that is iterated gives its events away and keeps none. */
export interface History {
  /** Every step; empty where the run was iterated. */
  readonly steps: readonly StepEvent[]
  /** Every epoch; empty where the run was iterated. */
  readonly epochs: readonly EpochEvent[]
  /**
   * 'aborted' when the signal ended it after a whole step or between batches of validation, 'early' when validation had not
   * improved for long enough.
   */
  readonly stopped: Stopped
  /** From which the run can go on to the bit. */
  readonly state: FitState
}

/** Called by `fit`, and waited for. */
export interface FitCallbacks {
  /** After each step. */
  onStep?(event: StepEvent): void | Promise<void>
  /** After each epoch. */
  onEpoch?(event: EpochEvent): void | Promise<void>
}

/** When to stop because nothing gets better. */
export interface EarlyStopping {
  /** Epochs without improvement after which training ends. */
  readonly patience: number
  /** What must improve on the validation examples: 'loss' (lower is better) or a metric (higher is). Default 'loss'. */
  readonly monitor?: string
  /** By how much it must, to count. Default 0. */
  readonly minimumChange?: number
}

/** Options of `fit`. */
export interface FitOptions<Target, Output = Tensor> {
  /** How often every example is used. */
  readonly epochs: number
  /** Examples in a step. */
  readonly batchSize: number
  /** Scalar loss of the model's output (N, …) and the batch's target. */
  readonly loss: Loss<Target, Output>
  /** Made with the model's parameters. */
  readonly optimizer: Optimizer
  /** Learning rate before each step, counted from 0; default: the optimizer's own. */
  readonly schedule?: (step: number) => number
  /** Scales gradients down to this L2 norm, all of them together, where it is exceeded. Default: as they are. */
  readonly clipNorm?: number
  /**
   * Number of parts in which a batch passes through the model; their gradients are added up for one step, so that only
   * one part's feature maps are in memory at a time. The same step up to rounding, batch statistics apart. Default 1.
   */
  readonly accumulate?: number
  /** What else to measure of every batch, by name. */
  readonly metrics?: Readonly<Record<string, Metric<Target, Output>>>
  /** Examples to measure after each epoch. */
  readonly validation?: Examples<Target> | DistantExamples<Target>
  /** Ends training when validation stops improving. */
  readonly earlyStopping?: EarlyStopping
  /** Called after each step and epoch. */
  readonly callbacks?: FitCallbacks
  /** Ends training after the step in progress, and validation after its batch in progress. */
  readonly signal?: AbortSignal
  /** Seed of the order of examples and of what is random in a step. Default 0. */
  readonly seed?: number
  /** State of an earlier run to go on from; weights and optimizer state must be that run's. */
  readonly start?: FitState
  /** Batches that are read ahead, where examples must be read first. Default 2. */
  readonly prefetch?: number
}

/** Sums over examples, and their averages. */
class Running {
  #examples = 0
  #loss = 0
  readonly #metrics: Record<string, number> = {}

  constructor(names: readonly string[], from?: FitState['sums']) {
    for (const name of names) this.#metrics[name] = from?.metrics[name] ?? 0
    if (from) {
      this.#examples = from.examples
      this.#loss = from.loss
    }
  }

  add(examples: number, loss: number, metrics: Readonly<Record<string, number>>): void {
    this.#examples += examples
    this.#loss += loss * examples
    for (const name of Object.keys(this.#metrics))
      this.#metrics[name] = (this.#metrics[name] as number) + (metrics[name] as number) * examples
  }

  averages(): Averages {
    const mean = (sum: number): number => (this.#examples === 0 ? 0 : sum / this.#examples)
    return {
      loss: mean(this.#loss),
      metrics: Object.fromEntries(Object.entries(this.#metrics).map(([name, sum]) => [name, mean(sum)])),
    }
  }

  sums(): FitState['sums'] {
    return { examples: this.#examples, loss: this.#loss, metrics: { ...this.#metrics } }
  }
}

function measure<Target, Output>(
  metrics: Readonly<Record<string, Metric<Target, Output>>>,
  output: Output,
  target: Target,
): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, metric(output, target)]))
}

/** Options of `evaluate`. */
export interface EvaluateOptions<Target, Output = Tensor> {
  /** Examples in a forward pass. */
  readonly batchSize: number
  /** As in `fit`. */
  readonly loss: Loss<Target, Output>
  /** What else to measure of every batch, by name. */
  readonly metrics?: Readonly<Record<string, Metric<Target, Output>>>
  /** Called with each batch's output, before it is disposed. */
  readonly onBatch?: (output: Output, target: Target, indices: Int32Array) => void
  /** Ends the evaluation after the batch in progress: what it has measured is lost. */
  readonly signal?: AbortSignal
}

/**
 * Averages of the loss and the metrics over examples, without training.
 * @throws the signal's reason, an AbortError unless it was given another, when the signal ended it.
 */
export async function evaluate<Target, Output = Tensor>(
  model: Trainable<Output>,
  examples: Examples<Target> | DistantExamples<Target>,
  options: EvaluateOptions<Target, Output>,
): Promise<Averages> {
  const measured = await measureAll(model, examples, options)
  if (measured) return measured
  throw options.signal?.reason
}

/** The averages, or undefined where the signal ended it. */
async function measureAll<Target, Output>(
  model: Trainable<Output>,
  examples: Examples<Target> | DistantExamples<Target>,
  { batchSize, loss, metrics = {}, onBatch, signal }: EvaluateOptions<Target, Output>,
): Promise<Averages | undefined> {
  const running = new Running(Object.keys(metrics))
  const turn = turnTaker()
  for await (const { parts } of readBatches(examples, { batchSize })) {
    if (signal?.aborted) return undefined
    for (const { indices, batch } of parts.map((part) => part.examples)) {
      if (indices.length === 0) continue
      scope(() => {
        const { x, target } = batch()
        const output = model.forward(x, { training: false })
        running.add(indices.length, loss(output, target).item(), measure(metrics, output, target))
        onBatch?.(output, target, indices)
      })
    }
    await turn()
  }
  return running.averages()
}

function checkFit<Target, Output>(options: FitOptions<Target, Output>): void {
  const { epochs, accumulate = 1, clipNorm, earlyStopping, validation, metrics = {} } = options
  const check = (value: number, what: string): void => {
    if (!Number.isInteger(value) || value < 1)
      throw new ShapeError(`fit: ${what} must be a whole number from 1 on, given ${value}`)
  }
  check(epochs, 'epochs')
  check(accumulate, 'accumulate')
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new ShapeError(`fit: clipNorm must be a number above 0, given ${clipNorm}`)
  if (!earlyStopping) return
  const { patience, monitor = 'loss' } = earlyStopping
  check(patience, 'earlyStopping.patience')
  if (!validation) throw new ShapeError('fit: earlyStopping needs validation examples')
  if (monitor !== 'loss' && !Object.hasOwn(metrics, monitor)) {
    const known = ['loss', ...Object.keys(metrics)].join(', ')
    throw new ShapeError(`fit: earlyStopping.monitor must be one of ${known}, given ${monitor}`)
  }
}

interface StepResult {
  readonly examples: number
  readonly loss: number
  readonly metrics: Record<string, number>
  readonly gradientNorm?: number
}

/** One step: forward, loss, gradients, update. The update is left out when the loss is not a number. */
function trainStep<Target, Output>(
  model: Trainable<Output>,
  options: FitOptions<Target, Output>,
  { parts }: ReadBatch<Target>,
  context: { readonly seed: number; readonly step: number },
): StepResult {
  const { loss, optimizer, metrics = {}, clipNorm, accumulate = 1 } = options
  const parameters = model.parameters()
  const read = parts.filter(({ examples }) => examples.indices.length > 0)
  const examples = read.reduce((total, part) => total + part.examples.indices.length, 0)
  const sums = new Running(Object.keys(metrics))
  let gradients: Tensor[] = []
  read.forEach(({ draw, examples: { indices, batch } }, part) => {
    const share = indices.length / examples
    gradients = scope(() => {
      const { x, target } = batch(draw)
      let measured: Record<string, number> = {}
      const lossAndGradients = valueAndGrad(() => {
        // Each part draws numbers of its own.
        const options = { training: true, ...context, step: context.step * accumulate + part }
        const { output, auxiliary } = model.forwardTraining?.(x, options) ?? {
          output: model.forward(x, options),
          auxiliary: [],
        }
        measured = measure(metrics, output, target)
        return auxiliary.reduce(
          (total, head) => add(total, mul(loss(head.output, target), head.weight)),
          loss(output, target),
        )
      })
      const { value, gradients: own } = lossAndGradients(...parameters)
      sums.add(indices.length, value.item(), measured)
      if (share === 1) return own
      const shares = own.map((gradient) => mul(gradient, share))
      const added = part === 0 ? shares : shares.map((gradient, index) => add(gradients[index] as Tensor, gradient))
      for (const gradient of gradients) gradient.dispose()
      return added
    })
  })
  const result = { examples, ...sums.averages() }
  if (!Number.isFinite(result.loss)) return result
  if (clipNorm === undefined) {
    optimizer.step(gradients)
    return result
  }
  const clipped = clipGradNorm(gradients, clipNorm)
  optimizer.step(clipped.gradients)
  return { ...result, gradientNorm: clipped.norm }
}

function diverged(loss: number, step: number, learningRate: number): DivergedError {
  return new DivergedError(
    `the loss became ${loss} at step ${step} with learning rate ${learningRate}; ` +
      `try ${Number((learningRate / 10).toPrecision(3))}, or clip gradients, and check the inputs for NaN`,
  )
}

/** What the monitored value of an epoch makes of the best one so far. */
function judge(
  best: FitState['best'],
  epoch: number,
  measured: Averages,
  { monitor = 'loss', minimumChange = 0 }: EarlyStopping,
): { readonly best: NonNullable<FitState['best']>; readonly improved: boolean } {
  const value = monitor === 'loss' ? measured.loss : (measured.metrics[monitor] as number)
  const change = best === undefined ? Infinity : monitor === 'loss' ? best.value - value : value - best.value
  return change > minimumChange || best === undefined
    ? { best: { epoch, value }, improved: true }
    : { best, improved: false }
}

async function* steps<Target, Output>(
  model: Trainable<Output>,
  data: Examples<Target> | DistantExamples<Target>,
  options: FitOptions<Target, Output>,
): AsyncGenerator<FitEvent, Stopped> {
  checkBatches(data, options)
  checkFit(options)
  const { epochs, batchSize, optimizer, schedule, metrics = {}, validation, signal, seed = 0, start } = options
  const { accumulate: parts = 1, prefetch = 2, earlyStopping } = options
  const names = Object.keys(metrics)
  const stepsPerEpoch = Math.ceil(data.size / batchSize)
  const turn = turnTaker()
  let step = start?.step ?? 0
  let sums = start?.sums
  let best = start?.best
  const state = (running: Running): FitState => ({ step, sums: running.sums(), ...(best ? { best } : {}) })
  for (;;) {
    // The steps of an epoch were made, and its validation was not.
    const pending = sums !== undefined && sums.examples > 0 && step % stepsPerEpoch === 0
    if (step >= epochs * stepsPerEpoch && !pending) return 'finished'
    const epoch = Math.floor(step / stepsPerEpoch) - (pending ? 1 : 0)
    if (!pending && earlyStopping && best && epoch - best.epoch >= earlyStopping.patience) return 'early'
    const running = new Running(names, sums)
    let seconds = 0
    let examples = 0
    const first = pending ? stepsPerEpoch : step % stepsPerEpoch
    const batches = readBatches(data, { batchSize, seed, epoch, first, parts, prefetch })
    for await (const batch of batches) {
      if (signal?.aborted) return 'aborted'
      const began = performance.now()
      const learningRate = schedule ? schedule(step) : optimizer.lr
      optimizer.lr = learningRate
      const result = scope(() => trainStep(model, options, batch, { seed, step }))
      step++
      // Nothing of the batch could be read: there is no step to tell of.
      if (result.examples === 0) continue
      if (!Number.isFinite(result.loss)) throw diverged(result.loss, step, learningRate)
      running.add(result.examples, result.loss, result.metrics)
      seconds += (performance.now() - began) / 1000
      examples += result.examples
      yield {
        type: 'step',
        step,
        epoch: epoch + 1,
        loss: result.loss,
        learningRate,
        ...(result.gradientNorm === undefined ? {} : { gradientNorm: result.gradientNorm }),
        running: running.averages(),
        state: state(running),
      }
      await turn()
    }
    const measured = validation && (await measureAll(model, validation, options))
    if (validation && !measured) return 'aborted'
    const judged = earlyStopping && measured && judge(best, epoch + 1, measured, earlyStopping)
    best = judged?.best
    yield {
      type: 'epoch',
      epoch: epoch + 1,
      training: running.averages(),
      ...(measured ? { validation: measured } : {}),
      ...(judged ? { improved: judged.improved } : {}),
      seconds,
      examplesPerSecond: seconds > 0 ? examples / seconds : 0,
      state: state(new Running(names)),
    }
    sums = undefined
  }
}

/**
 * A training run. Iterate it for its events (`for await (const event of run)`), of which it keeps none, so that it can go on
 * for ever; or await it for its history. It does its work while one of the two is going on, once.
 */
export class FitRun implements AsyncIterable<FitEvent>, PromiseLike<History> {
  readonly #start: () => AsyncGenerator<FitEvent, History>
  #history: Promise<History> | undefined
  #iterated = false

  constructor(start: () => AsyncGenerator<FitEvent, History>) {
    this.#start = start
  }

  /** Trains as far as it is pulled: the events, and at the end how it stopped and its state, without lists of events. */
  [Symbol.asyncIterator](): AsyncGenerator<FitEvent, History> {
    if (this.#iterated) throw new ShapeError('fit: a run can be iterated or awaited once; call fit() again for another')
    this.#iterated = true
    return this.#start()
  }

  then<A = History, B = never>(
    fulfilled?: ((history: History) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#history ??= (async () => {
      const steps: StepEvent[] = []
      const epochs: EpochEvent[] = []
      const events = this[Symbol.asyncIterator]()
      for (;;) {
        const next = await events.next()
        if (next.done) return { ...next.value, steps, epochs }
        if (next.value.type === 'step') steps.push(next.value)
        else epochs.push(next.value)
      }
    })()
    return this.#history.then(fulfilled, rejected)
  }
}

/**
 * Trains a model: for each epoch, mini-batches in a seeded random order, each one step of the optimizer.
 * @throws (while it runs) DivergedError when the loss is no longer finite; the update of that step is not made.
 */
export function fit<Target, Output = Tensor>(
  model: Trainable<Output>,
  data: Examples<Target> | DistantExamples<Target>,
  options: FitOptions<Target, Output>,
): FitRun {
  return new FitRun(async function* () {
    const { callbacks = {}, start, metrics = {} } = options
    let state: FitState = start ?? { step: 0, sums: new Running(Object.keys(metrics)).sums() }
    const wasTraining = model.training
    const events = steps(model, data, options)
    model.train()
    try {
      for (;;) {
        const next = await events.next()
        if (next.done) return { steps: [], epochs: [], stopped: next.value, state }
        const event = next.value
        state = event.state
        if (event.type === 'step') await callbacks.onStep?.(event)
        else await callbacks.onEpoch?.(event)
        yield event
      }
    } finally {
      if (!wasTraining) model.eval()
      // Who stops iterating, or throws in a callback, leaves it in the middle.
      await events.return('aborted')
    }
  })
}
