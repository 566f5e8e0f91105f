/**
 * The steps of training and measuring. `fit` and `evaluate` load this file when they run, so that a page that only uses a
 * model does not carry it.
 */
import type { FileBytes } from '../formats/safetensors.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { checkCallback, checkSignal } from '../runtime/check.js'
import { needKeys, unknownName, type Names } from '../runtime/options.js'
import type { Shape } from '../tensor/shape.js'
import { checkTensor, restoring, scope, Tensor } from '../tensor/tensor.js'
import { unlessAborted } from './aborted.js'
import { batchesOf } from './count.js'
import { readAhead } from './batches.js'
import {
  checkFit,
  checkLastBatch,
  checkLoss,
  checkModel,
  checkStart,
  evaluateNames,
  factsOf,
  fitNames,
  nameOf,
  trainedParameters,
} from './checks.js'
import {
  checkBatches,
  tensorExamples,
  type Arrays,
  type DistantExamples,
  type Examples,
  type TrainingData,
} from './examples.js'
import { turnTaker } from './host.js'
import { judge } from './judge.js'
import { checkFirst, checkTargets } from './labels.js'
import { buffersOf, measure, PARTS, partsHere } from './part.js'
import { Running } from './running.js'
import { joinParts, sendParts, trainStep } from './step.js'
import type {
  Averages,
  EpochEvent,
  EvaluateOptions,
  ExchangeSession,
  FitEvent,
  FitOptions,
  FitState,
  History,
  Stopped,
  Trainable,
} from './options.js'

/** What a loss gives, as a number. @throws ShapeError unless it is a Tensor of one element */
function lossOf(value: Tensor): number {
  checkTensor(value, 'evaluate', 'what loss gives')
  return value.item()
}

/** The examples of what is given as data: arrays are cut into inputs of the model. */
function examplesOf<Target>(
  data: TrainingData<Target>,
  model: Trainable<never> | Trainable<unknown>,
): Examples<Target> | DistantExamples<Target> {
  const isMade = Object(data) !== data || Array.isArray(data) || 'batch' in data || 'read' in data || 'size' in data
  const names = isMade ? [] : Object.keys(data)
  if (names.length === 0) return data as Examples<Target>
  const known = Object.keys({ x: 0, y: 0 } satisfies Names<Arrays<Target>>)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new ArgumentError(`fit: the data: ${unknownName('member', unknown, known)}`)
  const { x, y } = data as Arrays<Target>
  const { input } = model as { readonly input?: Shape }
  if (!(x instanceof Tensor) && !input) {
    throw new ShapeError(
      'fit: the elements of x need the shape of an input; give a Tensor, or the input option of the model',
    )
  }
  return tensorExamples(x, y, input) as Examples<Target>
}

/** The averages, or undefined where the signal ended it. */
export async function evaluateAll<Target, Output>(
  model: Trainable<Output>,
  examples: TrainingData<Target>,
  options: EvaluateOptions<Target, Output>,
): Promise<Averages | undefined> {
  needKeys('evaluate', options, evaluateNames)
  checkModel('evaluate', model)
  checkLoss(options, 'evaluate')
  checkCallback(options.onBatch, 'evaluate: onBatch')
  checkSignal(options.signal, 'evaluate: signal')
  return measureAll(model, examples, options)
}

async function measureAll<Target, Output>(
  model: Trainable<Output>,
  examples: TrainingData<Target>,
  { batchSize, loss, metrics = {}, onBatch, signal }: EvaluateOptions<Target, Output>,
): Promise<Averages | undefined> {
  const running = new Running(Object.keys(metrics))
  const turn = turnTaker()
  for await (const { parts } of readAhead(examplesOf(examples, model), { batchSize })) {
    if (signal?.aborted) return undefined
    for (const { indices, batch } of parts.map((part) => part.examples)) {
      if (indices.length === 0) continue
      scope(() => {
        const { x, target } = batch()
        const output = model.forward(x, { training: false })
        const value = loss(output, target)
        running.add(indices.length, lossOf(value), measure(metrics, output, target), value.storage.counted)
        onBatch?.(output, target, indices)
      })
    }
    await turn()
  }
  return running.averages()
}

/** Copies of all that a step changes in a model; gives what brings them back. */
function copyOf(model: Trainable<unknown>): () => void {
  const copies = [...model.parameters(), ...buffersOf(model)].map((tensor) => [tensor, tensor.data()] as const)
  return () => {
    for (const [tensor, data] of copies) tensor.assign(data)
  }
}

/** The best weights of a run, as an earlier one saved them. */
function savedBest(model: Trainable<unknown>, weights: FileBytes): () => void {
  if (!model.load) throw new ArgumentError('fit: earlyStopping.bestWeights are for a model that has load()')
  const back = copyOf(model)
  model.load(weights)
  const best = copyOf(model)
  back()
  return best
}

async function* steps<Target, Output>(
  model: Trainable<Output>,
  given: TrainingData<Target>,
  options: FitOptions<Target, Output>,
): AsyncGenerator<FitEvent, Ended> {
  const data = examplesOf(given, model)
  checkFit(options)
  checkBatches(data, options)
  // What is wrong with it would be told after the steps of an epoch.
  const measuring = options.validation && examplesOf(options.validation, model)
  if (measuring) checkBatches(measuring, { batchSize: options.batchSize })
  trainedParameters(model, options.optimizer)
  // Of groups, each has a last batch: of those the layer tells.
  if (!data.groups) checkLastBatch(model, data.size, options as unknown as FitOptions<never>)
  const facts = factsOf(model, data.size, options as unknown as FitOptions<never>)
  if (options.start) checkStart(options.start, facts, options.earlyStopping)
  await checkTargets('the data', model, data, options.loss)
  if (measuring) {
    await checkFirst(model, measuring, options.loss)
    await checkTargets('validation', model, measuring, options.loss)
  }
  const {
    epochs,
    batchSize,
    dropLast = false,
    optimizer,
    schedule,
    metrics = {},
    validation,
    signal,
    seed = 0,
    start,
  } = options
  const { accumulate = 1, exchange, parts: divided = exchange && PARTS, prefetch = 2, earlyStopping } = options
  const parts = divided ?? accumulate
  const names = Object.keys(metrics)
  const stepsPerEpoch = batchesOf(data, options)
  const turn = turnTaker()
  let step = start?.step ?? 0
  let sums = start?.sums
  let best = start?.best
  let isFirst = true
  const { restoreBest = true, bestWeights } = earlyStopping ?? {}
  let toBest = bestWeights && savedBest(model, bestWeights)
  const state = (running: Running): FitState => ({ step, sums: running.sums(), ...(best ? { best } : {}), run: facts })
  // Goes back to the best weights, where others came after them.
  const ended = (stopped: Stopped): Ended => {
    const epoch = Math.floor(step / stepsPerEpoch)
    if (!earlyStopping || !restoreBest || !best || best.epoch === epoch) return { stopped, epoch, kept: epoch }
    toBest?.()
    return { stopped, epoch, kept: best.epoch }
  }
  const aborted = (): Ended => {
    const epoch = Math.floor((step - 1) / stepsPerEpoch) + 1
    return { stopped: 'aborted', epoch, kept: epoch }
  }
  // Where no value was a number yet, patience is counted from where this call began.
  const began = Math.floor(step / stepsPerEpoch)
  const session = await sessionOf(model, options)
  try {
    for (;;) {
      // The steps of an epoch were made, and its validation was not.
      const pending = sums !== undefined && sums.examples > 0 && step % stepsPerEpoch === 0
      if (step >= epochs * stepsPerEpoch && !pending) return ended('finished')
      const epoch = Math.floor(step / stepsPerEpoch) - (pending ? 1 : 0)
      if (!pending && earlyStopping && epoch - (best?.epoch ?? began) >= earlyStopping.patience) return ended('early')
      const running = new Running(names, sums)
      let seconds = 0
      let examples = 0
      let ignored = 0
      const first = pending ? stepsPerEpoch : step % stepsPerEpoch
      const batches = readAhead(data, { batchSize, dropLast, seed, epoch, first, parts, prefetch })
      for await (const batch of batches) {
        if (signal?.aborted) return aborted()
        const began = performance.now()
        const learningRate = schedule ? schedule(step) : optimizer.lr
        optimizer.lr = learningRate
        // Of a step that is refused no statistics of its batch stay.
        const place = { count: parts, step, isFirst }
        const outcomes = session && (await unlessAborted(sendParts(session, model, options, batch, place), signal))
        if (session && !outcomes) return aborted()
        const result = restoring(buffersOf(model), () =>
          scope(() =>
            outcomes
              ? joinParts(model, options, outcomes, step)
              : trainStep(model, options, batch, { seed, step, isFirst }),
          ),
        )
        step++
        ignored += result.ignored
        // Nothing of the batch could be read, or counts: there is no step to tell of.
        if (result.examples === 0) continue
        isFirst = false
        running.add(result.examples, result.loss, result.metrics, result.counted)
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
      if (ignored > 0 && running.sums().examples === 0) {
        throw new ArgumentError(
          `fit: the loss ignores the labels of all ${ignored} examples of epoch ${epoch + 1}; check ignoreIndex and the weights of classes`,
        )
      }
      const measured = validation && (await measureAll(model, validation, options))
      if (validation && !measured) return aborted()
      const judged = earlyStopping && measured && judge(best, epoch + 1, measured, earlyStopping)
      if (judged) best = judged.best
      if (judged?.improved && restoreBest) toBest = copyOf(model)
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
  } finally {
    await session?.close()
  }
}

/** What computes the parts of a run's steps, where they are told apart. */
async function sessionOf<Target, Output>(
  model: Trainable<Output>,
  { parts, exchange, optimizer, loss, metrics = {}, seed = 0 }: FitOptions<Target, Output>,
): Promise<ExchangeSession | undefined> {
  const parameters = trainedParameters(model, optimizer)
  if (exchange) {
    const names = parameters.map((parameter) => nameOf(model, parameter))
    return exchange.openExchange({ model: model as Trainable<never>, parameters: names, loss, metrics, seed })
  }
  return parts === undefined ? undefined : partsHere(model, parameters, { loss, metrics, seed })
}

/** How a run ended. */
type Ended = Pick<History, 'stopped' | 'epoch' | 'kept'>

/** Epochs of an iterated run that are kept for who awaits it afterwards, so that it takes no more memory the longer it is. */
const MOST_EPOCHS = 10_000

/**
 * The events of a run, which are told to its callbacks first, and at the end how it stopped and its state. `report` is told
 * the same, with the epochs, or the error, however the iteration ends.
 */
export async function* run<Target, Output>(
  model: Trainable<Output>,
  data: TrainingData<Target>,
  options: FitOptions<Target, Output>,
  report: (outcome: Promise<History>) => void,
): AsyncGenerator<FitEvent, History> {
  needKeys('fit', options, fitNames)
  checkModel('fit', model)
  const { start, metrics } = options
  const callbacks = options.callbacks ?? {}
  let state: FitState = start ?? { step: 0, sums: new Running(Object.keys(metrics ?? {})).sums() }
  let epoch = 0
  const epochs: EpochEvent[] = []
  const wasTraining = model.training
  const events = steps(model, data, options)
  let outcome: Promise<History> | undefined
  model.train()
  try {
    for (;;) {
      const next = await events.next()
      if (next.done) {
        const history = { steps: [], epochs: [], ...next.value, state }
        outcome = Promise.resolve({ ...history, epochs })
        return history
      }
      const event = next.value
      state = event.state
      epoch = event.epoch
      if (event.type === 'step') await callbacks.onStep?.(event)
      else {
        epochs.push({ ...event })
        if (epochs.length > MOST_EPOCHS) epochs.shift()
        await callbacks.onEpoch?.(event)
      }
      yield event
    }
  } catch (error) {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it is what was thrown
    outcome = Promise.reject(error)
    outcome.catch(() => undefined)
    throw error
  } finally {
    if (!wasTraining) model.eval()
    // Who stops iterating, or throws in a callback, leaves it in the middle.
    await events.return({ stopped: 'aborted', epoch, kept: epoch })
    report(outcome ?? Promise.resolve({ steps: [], epochs, stopped: 'aborted', epoch, kept: epoch, state }))
  }
}
