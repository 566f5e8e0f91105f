/** What `fit` and `evaluate` check before they begin, so that what is wrong is told before the first step. */
import { crc32 } from '../formats/crc32.js'
import type { GraphNode } from '../nn/wiring.js'
import type { Optimizer } from '../optim/optimizer.js'
import { ArgumentError } from '../runtime/errors.js'
import {
  checkCallback,
  checkFunction,
  checkNumber,
  checkObject,
  checkSignal,
  checkSwitch,
  wrongKind,
} from '../runtime/check.js'
import { checkKeys, type Names } from '../runtime/options.js'
import { showShape, sizeOf } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { PARTS } from './part.js'
import type {
  EarlyStopping,
  EvaluateOptions,
  FitCallbacks,
  FitOptions,
  FitState,
  RunFacts,
  Trainable,
} from './options.js'

export const fitNames = {
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
export const evaluateNames = {
  batchSize: 0,
  loss: 0,
  metrics: 0,
  onBatch: 0,
  signal: 0,
} satisfies Names<EvaluateOptions<unknown>>

export function checkModel(name: string, model: unknown): void {
  const methods = name === 'fit' ? ['forward', 'parameters', 'train', 'eval'] : ['forward']
  checkObject(model, `${name}: the model`, 'a Sequential, a Graph or an object like one', methods)
}

export function checkLoss(
  { loss, metrics = {} }: { readonly loss: unknown; readonly metrics?: Readonly<Record<string, unknown>> },
  name: string,
): void {
  checkFunction(loss, `${name}: loss`, 'a function of output and target, such as crossEntropy')
  checkObject(metrics, `${name}: metrics`, 'an object of functions, such as { accuracy }')
  for (const metric in metrics) checkFunction(metrics[metric], `${name}: metrics.${metric}`)
}

export function checkFit<Target, Output>(options: FitOptions<Target, Output>): void {
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
export function nameOf(model: Trainable<unknown>, parameter: Tensor): string {
  const named = [...(model.namedParameters?.() ?? [])].find(([, { storage }]) => storage === parameter.storage)
  return named?.[0] ?? `parameter ${model.parameters().findIndex(({ storage }) => storage === parameter.storage)}`
}

/** The parameters to train, in the optimizer's order. @throws ShapeError unless they are all of the model's */
export function trainedParameters(model: Trainable<unknown>, { parameters }: Optimizer): readonly Tensor[] {
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
export function checkLastBatch(
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
export function factsOf(
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
export function checkStart(start: FitState, own: RunFacts, earlyStopping: EarlyStopping | undefined): void {
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
