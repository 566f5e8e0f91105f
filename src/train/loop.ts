/**
 * The steps of training and measuring. `fit` and `evaluate` load this file when they run, so that a page that only uses a
 * model does not carry it.
 */
import { crc32 } from '../formats/crc32.js'
import type { FileBytes } from '../formats/safetensors.js'
import type { GraphNode } from '../nn/wiring.js'
import { add, mul } from '../ops/elementwise.js'
import { concat, slice } from '../ops/layout.js'
import { clipGradNorm, gradientNorm } from '../optim/clip.js'
import type { Optimizer } from '../optim/optimizer.js'
import { ArgumentError, DivergedError, ShapeError } from '../runtime/errors.js'
import {
  checkCallback,
  checkFunction,
  checkNumber,
  checkObject,
  checkSignal,
  checkSwitch,
  wrongKind,
} from '../runtime/check.js'
import { checkKeys, needKeys, unknownName, type Names } from '../runtime/options.js'
import { tensor } from '../tensor/create.js'
import { showShape, sizeOf, type Shape } from '../tensor/shape.js'
import { checkTensor, restoring, scope, Tensor, type AnyTensor } from '../tensor/tensor.js'
import { unlessAborted } from './aborted.js'
import { batchesOf } from './count.js'
import { readAhead } from './batches.js'
import {
  checkBatches,
  tensorExamples,
  type Arrays,
  type DistantExamples,
  type Examples,
  type ReadBatch,
  type TrainingData,
} from './examples.js'
import { turnTaker } from './host.js'
import { judge } from './judge.js'
import { checkFirst, checkTargets } from './labels.js'
import { buffersOf, measure, movedBuffers, pairwiseMean, partsHere, passPart } from './part.js'
import type {
  Averages,
  EarlyStopping,
  EpochEvent,
  EvaluateOptions,
  ExchangeSession,
  FitCallbacks,
  FitEvent,
  FitOptions,
  FitState,
  History,
  PartOutcome,
  RunFacts,
  Stopped,
  Trainable,
} from './options.js'

/** Sums over examples, and their averages. The mean of a loss that weighs its rows is over their weights. */
class Running {
  #examples = 0
  #counted = 0
  #loss = 0
  readonly #metrics: Record<string, number> = {}

  constructor(names: readonly string[], from?: FitState['sums']) {
    for (const name of names) {
      const sum: number | null | undefined = from?.metrics[name]
      // What is no number is null in JSON.
      this.#metrics[name] = sum === null ? Number.NaN : (sum ?? 0)
    }
    if (from) {
      this.#examples = from.examples
      this.#counted = from.counted ?? from.examples
      this.#loss = from.loss
    }
  }

  add(examples: number, loss: number, metrics: Readonly<Record<string, number>>, counted = examples): void {
    this.#examples += examples
    this.#counted += counted
    // The mean of nothing is no number.
    if (counted > 0) this.#loss += loss * counted
    for (const name of Object.keys(this.#metrics))
      this.#metrics[name] = (this.#metrics[name] as number) + (metrics[name] as number) * examples
  }

  averages(): Averages {
    const mean = (sum: number, count = this.#examples): number => (this.#examples === 0 ? 0 : sum / count)
    return {
      loss: mean(this.#loss, this.#counted),
      metrics: Object.fromEntries(Object.entries(this.#metrics).map(([name, sum]) => [name, mean(sum)])),
    }
  }

  sums(): FitState['sums'] {
    const [examples, counted] = [this.#examples, this.#counted]
    return { examples, loss: this.#loss, metrics: { ...this.#metrics }, ...(counted === examples ? {} : { counted }) }
  }
}

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

const fitNames = {
  epochs: 0,
  batchSize: 0,
  dropLast: 0,
  loss: 0,
  optimizer: 0,
  schedule: 0,
  clipNorm: 0,
  accumulate: 0,
  parts: 0,
  exchange: 0,
  metrics: 0,
  validation: 0,
  earlyStopping: 0,
  callbacks: 0,
  signal: 0,
  seed: 0,
  start: 0,
  prefetch: 0,
} satisfies Names<FitOptions<unknown>>
const stoppingNames = {
  patience: 0,
  monitor: 0,
  minimumChange: 0,
  restoreBest: 0,
  bestWeights: 0,
} satisfies Names<EarlyStopping>
const evaluateNames = {
  batchSize: 0,
  loss: 0,
  metrics: 0,
  onBatch: 0,
  signal: 0,
} satisfies Names<EvaluateOptions<unknown>>

function checkModel(name: string, model: unknown): void {
  const methods = name === 'fit' ? ['forward', 'parameters', 'train', 'eval'] : ['forward']
  checkObject(model, `${name}: the model`, 'a Sequential, a Graph or an object like one', methods)
}

function checkLoss(
  { loss, metrics = {} }: { readonly loss: unknown; readonly metrics?: Readonly<Record<string, unknown>> },
  name: string,
): void {
  checkFunction(loss, `${name}: loss`, 'a function of output and target, such as crossEntropy')
  checkObject(metrics, `${name}: metrics`, 'an object of functions, such as { accuracy }')
  for (const metric in metrics) checkFunction(metrics[metric], `${name}: metrics.${metric}`)
}

function checkFit<Target, Output>(options: FitOptions<Target, Output>): void {
  checkKeys('fit: earlyStopping', options.earlyStopping, stoppingNames)
  checkKeys('fit: callbacks', options.callbacks, { onStep: 0, onEpoch: 0 } satisfies Names<FitCallbacks>)
  const {
    epochs,
    accumulate = 1,
    parts,
    exchange,
    clipNorm,
    earlyStopping,
    validation,
    metrics = {},
    optimizer,
  } = options
  checkLoss(options, 'fit')
  checkCallback(options.callbacks?.onStep, 'fit: callbacks.onStep')
  checkCallback(options.callbacks?.onEpoch, 'fit: callbacks.onEpoch')
  checkCallback(options.schedule, 'fit: schedule', 'a function of the step, such as schedule.constant(0.1)')
  checkSignal(options.signal, 'fit: signal')
  checkSwitch(options.dropLast, 'fit: dropLast')
  const { parameters, step } = Object(optimizer) as Partial<Optimizer>
  if (!Array.isArray(parameters) || typeof step !== 'function') {
    throw wrongKind('fit: optimizer', 'one, such as new SGD(model.parameters(), { lr: 0.1 })', optimizer)
  }
  const check = (value: number, what: string): void => {
    if (!Number.isInteger(value) || value < 1) throw wrongKind(`fit: ${what}`, 'a whole number from 1 on', value)
  }
  check(epochs, 'epochs')
  check(accumulate, 'accumulate')
  if (parts !== undefined) check(parts, 'parts')
  if (exchange !== undefined)
    checkObject(exchange, 'fit: exchange', 'what remote() of toeplitz/distributed gives', ['openExchange'])
  if (options.accumulate !== undefined && (parts ?? exchange) !== undefined) {
    throw new ArgumentError('fit: accumulate and parts both divide a batch; give accumulate to save memory, or parts')
  }
  if (clipNorm !== undefined && !(typeof clipNorm === 'number' && clipNorm > 0))
    throw wrongKind('fit: clipNorm', 'a number above 0', clipNorm)
  if (!earlyStopping) return
  const { patience, monitor = 'loss', minimumChange = 0 } = earlyStopping
  check(patience, 'earlyStopping.patience')
  checkNumber(minimumChange, 'fit: earlyStopping.minimumChange', 0)
  checkSwitch(earlyStopping.restoreBest, 'fit: earlyStopping.restoreBest')
  if (!validation) throw new ArgumentError('fit: earlyStopping needs validation examples')
  if (monitor !== 'loss' && !Object.hasOwn(metrics, monitor)) {
    const known = ['loss', ...Object.keys(metrics)].join(', ')
    throw wrongKind('fit: earlyStopping.monitor', `one of ${known}`, monitor)
  }
}

/** A name for a parameter of the model. */
function nameOf(model: Trainable<unknown>, parameter: Tensor): string {
  const named = [...(model.namedParameters?.() ?? [])].find(([, { storage }]) => storage === parameter.storage)
  return named?.[0] ?? `parameter ${model.parameters().findIndex(({ storage }) => storage === parameter.storage)}`
}

/** The parameters to train, in the optimizer's order. @throws ShapeError unless they are all of the model's */
function trainedParameters(model: Trainable<unknown>, { parameters }: Optimizer): readonly Tensor[] {
  const own = new Set(model.parameters().map(({ storage }) => storage))
  const given = new Set(parameters.map(({ storage }) => storage))
  const foreign = parameters.findIndex(({ storage }) => !own.has(storage))
  const advice = 'make it with model.parameters(), after freeze() and unfreeze()'
  if (foreign >= 0) {
    throw new ArgumentError(`fit: parameter ${foreign} of the optimizer is none that this model trains; ${advice}`)
  }
  const missing = model.parameters().find(({ storage }) => !given.has(storage))
  if (missing)
    throw new ArgumentError(`fit: the optimizer does not have ${nameOf(model, missing)} of this model; ${advice}`)
  return parameters
}

/** Checks that the model can be trained with every batch of an epoch. @throws ShapeError that names the last */
function checkLastBatch(
  model: Trainable<unknown>,
  size: number,
  { batchSize, accumulate = 1, exchange, parts = exchange ? PARTS : accumulate, dropLast = false }: FitOptions<never>,
): void {
  const { nodes } = model as { readonly nodes?: readonly GraphNode[] }
  if (!nodes) return
  const shapes = (model as unknown as { shapes(): number[][] }).shapes()
  // One element of each channel has no deviation.
  const isSingle = ({ layer }: GraphNode, index: number): boolean =>
    /^BatchNorm/.test(layer.type) && layer.trainable && sizeOf((shapes[index] as number[]).slice(1)) === 1
  if (!nodes.some(isSingle)) return
  const part = Math.ceil(batchSize / parts)
  for (const [what, examples] of [
    ['a', Math.min(size, batchSize)],
    ['the last', dropLast ? batchSize : size % batchSize || batchSize],
  ] as const) {
    const smallest = examples % part || part
    if (smallest > 1) continue
    const of = parts > 1 ? `a part of ${smallest} of its ${examples}` : String(examples)
    throw new ArgumentError(
      `fit: ${what} batch has ${of} example${examples === 1 ? '' : 's'}, and batch normalization needs 2 in training; ` +
        `use ${what === 'a' ? 'larger batches' : 'dropLast, or another batch size'}`,
    )
  }
}

/** What a run that goes on must have in common with the one before. */
function factsOf(
  model: Trainable<unknown>,
  examples: number,
  { batchSize, dropLast = false, seed = 0 }: FitOptions<never>,
): RunFacts {
  const named = model.namedParameters?.() ?? new Map(model.parameters().map((tensor, index) => [String(index), tensor]))
  const text = [...named].map(([name, { shape }]) => `${name}${showShape(shape)}`).join()
  return { examples, batchSize, dropLast, seed, model: crc32(new TextEncoder().encode(text)) }
}

const factNames: Readonly<Record<keyof RunFacts, string>> = {
  examples: 'number of examples',
  batchSize: 'batchSize',
  dropLast: 'dropLast',
  seed: 'seed',
  model: 'model, or other frozen layers',
}

/** @throws ShapeError when a state is another run's */
function checkStart(start: FitState, own: RunFacts, earlyStopping: EarlyStopping | undefined): void {
  const due = 'the state of an event or of a history'
  checkObject(start, 'fit: start', due, ['step', 'sums'])
  checkObject(start.sums, 'fit: the sums of start', `those of ${due}`, ['examples', 'loss', 'metrics'])
  const { step, run, best } = start
  if (!Number.isInteger(step) || step < 0) throw wrongKind('fit: the step of start', 'a whole number from 0 on', step)
  for (const name of Object.keys(factNames) as (keyof RunFacts)[]) {
    if (!run || run[name] === own[name]) continue
    const values = name === 'model' ? '' : `, ${String(run[name])} and not ${String(own[name])}`
    throw new ArgumentError(
      `fit: start is the state of a run with another ${factNames[name]}${values}; go on with what that run had, or leave start out`,
    )
  }
  if (best && earlyStopping && earlyStopping.restoreBest !== false && !earlyStopping.bestWeights) {
    throw new ArgumentError(
      `fit: the weights of epoch ${best.epoch}, the best of start, are not here; give them as earlyStopping.bestWeights (what model.save() gave then), or set restoreBest: false`,
    )
  }
}

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
function trainStep<Target, Output>(
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
function sendParts<Target, Output>(
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
function joinParts<Target, Output>(
  model: Trainable<Output>,
  options: FitOptions<Target, Output>,
  outcomes: readonly PartOutcome[],
  step: number,
): StepResult {
  const sums = new Running(Object.keys(options.metrics ?? {}))
  for (const { examples, loss, metrics, weight } of outcomes) sums.add(examples, loss, metrics, weight)
  // Of a part in which nothing counts the gradients are no numbers.
  const counting = outcomes.filter(({ weight }) => weight !== 0)
  const means = pairwiseMean(
    counting.map(({ examples, weight = examples, gradients }) => ({ weight, values: gradients })),
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
  const session = await sessionOf(model, options)
  try {
    for (;;) {
      // The steps of an epoch were made, and its validation was not.
      const pending = sums !== undefined && sums.examples > 0 && step % stepsPerEpoch === 0
      if (step >= epochs * stepsPerEpoch && !pending) return ended('finished')
      const epoch = Math.floor(step / stepsPerEpoch) - (pending ? 1 : 0)
      if (!pending && earlyStopping && best && epoch - best.epoch >= earlyStopping.patience) return ended('early')
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

/** Parts of a step's batch where they are computed elsewhere and nothing else is said. */
const PARTS = 8

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
