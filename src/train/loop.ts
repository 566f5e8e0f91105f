/**
 * The steps of training and measuring. `fit` and `evaluate` load this file when they run, so that a page that only uses a
 * model does not carry it.
 */
import { valueAndGrad } from '../autodiff/vjp.js'
import { DivergedError, ShapeError } from '../runtime/errors.js'
import { add, mul } from '../ops/elementwise.js'
import { clipGradNorm } from '../optim/clip.js'
import { scope, type Tensor } from '../tensor/tensor.js'
import { checkBatches, readBatches, type DistantExamples, type Examples, type ReadBatch } from './examples.js'
import { turnTaker } from './host.js'
import type { Metric } from './metrics.js'
import type {
  Averages,
  EarlyStopping,
  EvaluateOptions,
  FitEvent,
  FitOptions,
  FitState,
  History,
  Stopped,
  Trainable,
} from './options.js'

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

/** The averages, or undefined where the signal ended it. */
export async function measureAll<Target, Output>(
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

/** The events of a run, which are told to its callbacks first, and at the end how it stopped and its state. */
export async function* run<Target, Output>(
  model: Trainable<Output>,
  data: Examples<Target> | DistantExamples<Target>,
  options: FitOptions<Target, Output>,
): AsyncGenerator<FitEvent, History> {
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
}
