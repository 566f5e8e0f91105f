/**
 * Training: epochs over shuffled mini-batches, with the state that resumes it to the bit. Everything random is a
 * function of (seed, epoch, step), so an interrupted run that goes on ends with the weights of one that was not.
 */
import { checkFunction } from '../runtime/check.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor/tensor.js'
import type { TrainingData } from './examples.js'
import type {
  Averages,
  EpochEvent,
  EvaluateOptions,
  FitEvent,
  FitOptions,
  History,
  StepEvent,
  Trainable,
} from './options.js'
import { checkCount } from '../runtime/options.js'
import { loadWork } from './later.js'

/**
 * Averages of the loss and the metrics over examples, without training.
 *
 *     const { loss, metrics } = await evaluate(model, { x, y }, { batchSize: 256, loss: crossEntropy, metrics: { accuracy } })
 *
 * @throws the signal's reason, an AbortError unless it was given another, when the signal ended it.
 */
export async function evaluate<Target, Output = Tensor, Name extends string = never>(
  model: Trainable<Output>,
  examples: TrainingData<Target>,
  options: EvaluateOptions<Target, Output, Name>,
): Promise<Averages<Name>> {
  checkCount('evaluate', 3, arguments)
  const { evaluateAll } = await loadWork()
  const measured = await evaluateAll(model, examples, options as EvaluateOptions<Target, Output>)
  if (measured) return measured
  throw options.signal?.reason
}

/**
 * A training run. Iterate it for its events (`for await (const event of run)`), of which it keeps none but the epochs, so
 * that it can go on for ever; or await it for its history. It does its work while one of the two is going on, once. Awaited
 * after its iteration it gives the history without the steps.
 */
export class FitRun<Name extends string = string> implements AsyncIterable<FitEvent<Name>>, PromiseLike<History<Name>> {
  readonly #start: (report: (outcome: Promise<History<Name>>) => void) => AsyncGenerator<FitEvent<Name>, History<Name>>
  #history: Promise<History<Name>> | undefined
  #iterated = false

  /** @internal */
  constructor(
    start: (report: (outcome: Promise<History<Name>>) => void) => AsyncGenerator<FitEvent<Name>, History<Name>>,
  ) {
    checkFunction(start, 'FitRun: what is run', 'a function, as fit() gives it')
    this.#start = start
  }

  /** Trains as far as it is pulled: the events, and at the end how it stopped and its state, without lists of events. */
  [Symbol.asyncIterator](): AsyncGenerator<FitEvent<Name>, History<Name>> {
    if (this.#iterated) throw new ArgumentError('fit: a run can be iterated once; call fit() again for another')
    this.#iterated = true
    return this.#start((outcome) => {
      this.#history ??= outcome
    })
  }

  /**
   * The history: of a run that was not iterated, after training; else of what the iteration was.
   * @throws ShapeError while it is being iterated.
   */
  then<A = History<Name>, B = never>(
    fulfilled?: ((history: History<Name>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (this.#iterated && !this.#history) {
      const early = new ArgumentError('fit: the run is being iterated; await it after the loop, or without one')
      return Promise.reject<History<Name>>(early).then(fulfilled, rejected)
    }
    this.#history ??= (async () => {
      const steps: StepEvent<Name>[] = []
      const epochs: EpochEvent<Name>[] = []
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
 *
 *     const run = fit(model, { x, y }, {
 *       epochs: 5, batchSize: 64, loss: crossEntropy, optimizer: new Adam(model.parameters()),
 *     })
 *     for await (const event of run) if (event.type === 'epoch') console.log(event.training.loss)
 *
 * @throws (while it runs) DivergedError when the loss or a gradient is no longer finite: the update of that step is not made.
 * ShapeError, before the first step, when options, optimizer, data and model do not go together.
 */
export function fit<Target, Output = Tensor, Name extends string = never>(
  model: Trainable<Output>,
  data: TrainingData<Target>,
  options: FitOptions<Target, Output, Name>,
): FitRun<Name> {
  checkCount('fit', 3, arguments)
  return new FitRun<Name>(async function* (report) {
    const { run } = await loadWork()
    const events = run(model, data, options as FitOptions<Target, Output>, report)
    return yield* events as AsyncGenerator<FitEvent<Name>, History<Name>>
  })
}
