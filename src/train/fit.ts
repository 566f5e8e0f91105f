/**
 * Training: epochs over shuffled mini-batches, with the state that resumes it to the bit. Everything random is a
 * function of (seed, epoch, step), so an interrupted run that goes on ends with the weights of one that was not.
 */
import { valueAndGrad } from '../autodiff/vjp.js'
import { integersAt, kernels, withWorkspace } from '../runtime/core.js'
import { DivergedError, ShapeError } from '../runtime/errors.js'
import type { Graph } from '../nn/graph.js'
import type { Optimizer } from '../optim/optimizer.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { turnTaker } from './host.js'
import type { Metric } from './metrics.js'

/** Examples that can be drawn by number. Tensors that `batch` makes belong to the scope around the call. */
export interface Examples<Target> {
  readonly size: number
  batch(indices: Int32Array): { readonly x: Tensor; readonly target: Target }
}

/** A scalar tensor to make small. */
export type Loss<Target> = (output: Tensor, target: Target) => Tensor

/** Averages over the examples so far. */
export interface Averages {
  readonly loss: number
  readonly metrics: Readonly<Record<string, number>>
}

/** Where training stands between two steps: numbers only, so that it can be written as JSON. */
export interface FitState {
  /** Steps done, over all epochs. */
  readonly step: number
  /** Sums over the examples of the epoch so far. */
  readonly sums: {
    readonly examples: number
    readonly loss: number
    readonly metrics: Readonly<Record<string, number>>
  }
}

export interface StepEvent {
  readonly type: 'step'
  /** Steps done, over all epochs, and the epoch of this one; both from 1. */
  readonly step: number
  readonly epoch: number
  /** The loss of this batch. */
  readonly loss: number
  readonly learningRate: number
  /** Averages over the epoch so far. */
  readonly running: Averages
  /** Where to go on from. */
  readonly state: FitState
}

export interface EpochEvent {
  readonly type: 'epoch'
  readonly epoch: number
  readonly training: Averages
  readonly validation?: Averages
  /** Time and speed of the steps of this epoch that this call made, validation left out. */
  readonly seconds: number
  readonly examplesPerSecond: number
  readonly state: FitState
}

export type FitEvent = StepEvent | EpochEvent

export interface History {
  readonly steps: readonly StepEvent[]
  readonly epochs: readonly EpochEvent[]
  /** 'aborted' when the signal ended it after a whole step. */
  readonly stopped: 'finished' | 'aborted'
  readonly state: FitState
}

export interface FitCallbacks {
  onStep?(event: StepEvent): void | Promise<void>
  onEpoch?(event: EpochEvent): void | Promise<void>
}

export interface FitOptions<Target> {
  readonly epochs: number
  readonly batchSize: number
  /** Scalar loss of the model's output (N, …) and the batch's target. */
  readonly loss: Loss<Target>
  readonly optimizer: Optimizer
  /** Learning rate before each step, counted from 0; default: the optimizer's own. */
  readonly schedule?: (step: number) => number
  readonly metrics?: Readonly<Record<string, Metric<Target>>>
  /** Examples to measure after each epoch. */
  readonly validation?: Examples<Target>
  readonly callbacks?: FitCallbacks
  /** Ends training after the step in progress. */
  readonly signal?: AbortSignal
  /** Seed of the order of examples. Default 0. */
  readonly seed?: number
  /** State of an earlier run to go on from; weights and optimizer state must be that run's. */
  readonly start?: FitState
}

/** Streams of random numbers, so that no two uses of a seed share any. */
const SHUFFLE_STREAM = 0x10000

/** The numbers 0 to size − 1 in the random order of an epoch (Fisher-Yates on the core's generator). */
export function permutation(size: number, seed: number, epoch: number): Int32Array {
  const order = Int32Array.from({ length: size }, (_, i) => i)
  withWorkspace(4 * (size + 3), (pointer) => {
    kernels('permutation').random_bits(pointer, size, seed, SHUFFLE_STREAM + epoch)
    const bits = integersAt(pointer, size)
    for (let i = size - 1; i > 0; i--) {
      const j = (bits[i] as number) >>> 0
      const other = j % (i + 1)
      const kept = order[i] as number
      order[i] = order[other] as number
      order[other] = kept
    }
  })
  return order
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

function measure<Target>(
  metrics: Readonly<Record<string, Metric<Target>>>,
  output: Tensor,
  target: Target,
): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, metric(output, target)]))
}

/** Averages of the loss and the metrics over examples, without training. */
export async function evaluate<Target>(
  model: Graph,
  examples: Examples<Target>,
  options: {
    readonly batchSize: number
    readonly loss: Loss<Target>
    readonly metrics?: Readonly<Record<string, Metric<Target>>>
    /** Called with each batch's output, before it is disposed. */
    readonly onBatch?: (output: Tensor, target: Target, indices: Int32Array) => void
  },
): Promise<Averages> {
  const { batchSize, loss, metrics = {}, onBatch } = options
  const running = new Running(Object.keys(metrics))
  const turn = turnTaker()
  for (let begin = 0; begin < examples.size; begin += batchSize) {
    const indices = Int32Array.from({ length: Math.min(batchSize, examples.size - begin) }, (_, i) => begin + i)
    scope(() => {
      const { x, target } = examples.batch(indices)
      const output = model.forward(x, { training: false })
      running.add(indices.length, loss(output, target).item(), measure(metrics, output, target))
      onBatch?.(output, target, indices)
    })
    await turn()
  }
  return running.averages()
}

function checkFit(size: number, epochs: number, batchSize: number): void {
  const check = (value: number, what: string): void => {
    if (!Number.isInteger(value) || value < 1)
      throw new ShapeError(`fit: ${what} must be a whole number from 1 on, given ${value}`)
  }
  check(size, 'the number of examples')
  check(epochs, 'epochs')
  check(batchSize, 'batchSize')
}

/** One step: forward, loss, gradients, update. The update is left out when the loss is not a number. */
function trainStep<Target>(
  model: Graph,
  options: FitOptions<Target>,
  batch: { readonly x: Tensor; readonly target: Target },
  context: { readonly seed: number; readonly step: number },
): { loss: number; metrics: Record<string, number> } {
  const { loss, optimizer, metrics = {} } = options
  const { x, target } = batch
  let measured: Record<string, number> = {}
  const lossAndGradients = valueAndGrad(() => {
    const output = model.forward(x, { training: true, ...context })
    measured = measure(metrics, output, target)
    return loss(output, target)
  })
  const { value, gradients } = lossAndGradients(...model.parameters())
  const result = value.item()
  if (Number.isFinite(result)) optimizer.step(gradients)
  return { loss: result, metrics: measured }
}

function diverged(loss: number, step: number, learningRate: number): DivergedError {
  return new DivergedError(
    `the loss became ${loss} at step ${step} with learning rate ${learningRate}; ` +
      `try ${Number((learningRate / 10).toPrecision(3))}, or clip gradients, and check the inputs for NaN`,
  )
}

async function* steps<Target>(
  model: Graph,
  data: Examples<Target>,
  options: FitOptions<Target>,
): AsyncGenerator<FitEvent, 'finished' | 'aborted'> {
  const { epochs, batchSize, optimizer, schedule, metrics = {}, validation, signal, seed = 0, start } = options
  checkFit(data.size, epochs, batchSize)
  const names = Object.keys(metrics)
  const stepsPerEpoch = Math.ceil(data.size / batchSize)
  const turn = turnTaker()
  let step = start?.step ?? 0
  let sums = start?.sums
  while (step < epochs * stepsPerEpoch) {
    const epoch = Math.floor(step / stepsPerEpoch)
    const order = permutation(data.size, seed, epoch)
    const running = new Running(names, sums)
    let seconds = 0
    let examples = 0
    for (let first = step % stepsPerEpoch; first < stepsPerEpoch; first++) {
      if (signal?.aborted) return 'aborted'
      const began = performance.now()
      const learningRate = schedule ? schedule(step) : optimizer.lr
      optimizer.lr = learningRate
      const indices = order.subarray(first * batchSize, Math.min(data.size, (first + 1) * batchSize))
      const result = scope(() => trainStep(model, options, data.batch(indices), { seed, step }))
      step++
      if (!Number.isFinite(result.loss)) throw diverged(result.loss, step, learningRate)
      running.add(indices.length, result.loss, result.metrics)
      seconds += (performance.now() - began) / 1000
      examples += indices.length
      const last = first + 1 === stepsPerEpoch
      yield {
        type: 'step',
        step,
        epoch: epoch + 1,
        loss: result.loss,
        learningRate,
        running: running.averages(),
        // At the end of an epoch its sums are complete: the next starts from nothing.
        state: { step, sums: last ? new Running(names).sums() : running.sums() },
      }
      await turn()
    }
    const measured = validation && (await evaluate(model, validation, { ...options, metrics }))
    yield {
      type: 'epoch',
      epoch: epoch + 1,
      training: running.averages(),
      ...(measured ? { validation: measured } : {}),
      seconds,
      examplesPerSecond: seconds > 0 ? examples / seconds : 0,
      state: { step, sums: new Running(names).sums() },
    }
    sums = undefined
  }
  return 'finished'
}

/**
 * A training run. Iterate it for its events (`for await (const event of run)`), or await it for its history; it does
 * its work while one of the two is going on, once.
 */
export class FitRun implements AsyncIterable<FitEvent>, PromiseLike<History> {
  readonly #start: () => AsyncGenerator<FitEvent, History>
  #history: Promise<History> | undefined
  #iterated = false

  constructor(start: () => AsyncGenerator<FitEvent, History>) {
    this.#start = start
  }

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
      const events = this[Symbol.asyncIterator]()
      for (;;) {
        const next = await events.next()
        if (next.done) return next.value
      }
    })()
    return this.#history.then(fulfilled, rejected)
  }
}

/**
 * Trains a model: for each epoch, mini-batches in a seeded random order, each one step of the optimizer.
 * @throws (while it runs) DivergedError when the loss is no longer finite; the update of that step is not made.
 */
export function fit<Target>(model: Graph, data: Examples<Target>, options: FitOptions<Target>): FitRun {
  return new FitRun(async function* () {
    const { callbacks = {}, start, metrics = {} } = options
    const history = { steps: [] as StepEvent[], epochs: [] as EpochEvent[] }
    let state: FitState = start ?? { step: 0, sums: new Running(Object.keys(metrics)).sums() }
    const wasTraining = model.training
    model.train()
    try {
      const events = steps(model, data, options)
      for (;;) {
        const next = await events.next()
        if (next.done) return { ...history, stopped: next.value, state }
        const event = next.value
        state = event.state
        if (event.type === 'step') {
          history.steps.push(event)
          await callbacks.onStep?.(event)
        } else {
          history.epochs.push(event)
          await callbacks.onEpoch?.(event)
        }
        yield event
      }
    } finally {
      if (!wasTraining) model.eval()
    }
  })
}
